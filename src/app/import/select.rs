//! Selecting sources, for commands on several at once.

use crate::app::{App, Pick, Session};
use crate::project::{Source, SourceId};

/// A change of the selection of sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bulk {
    /// A click on one source.
    Pick(SourceId, Pick),
    /// All of them.
    All,
    /// None.
    None,
}

impl Session {
    /// The selected sources, in the order of the list.
    #[must_use]
    pub fn selected_sources(&self) -> Vec<&Source> {
        let selected = &self.import.selected;
        self.sources
            .iter()
            .filter(|source| selected.contains(&source.id))
            .collect()
    }
}

impl App {
    pub(super) fn select_sources(&mut self, bulk: Bulk) {
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.import;
        let place = |id: &SourceId| session.sources.iter().position(|source| source.id == *id);
        match bulk {
            Bulk::All => {
                let all = session.sources.iter().map(|source| source.id.clone());
                state.selected = all.collect();
            }
            Bulk::None => state.selected.clear(),
            Bulk::Pick(id, Pick::Toggle) => {
                if !state.selected.remove(&id) {
                    state.selected.insert(id.clone());
                }
                state.anchor = Some(id);
            }
            Bulk::Pick(id, pick) => {
                let anchor = state.anchor.as_ref().filter(|_| pick == Pick::Range);
                let range = anchor.and_then(place).zip(place(&id));
                if let Some((from, to)) = range {
                    let range = session.sources.get(from.min(to)..=from.max(to));
                    let ids = range.unwrap_or_default().iter().map(|s| s.id.clone());
                    state.selected = ids.collect();
                } else {
                    // A second click on the only selected one deselects it.
                    let only = state.selected.len() == 1 && state.selected.contains(&id);
                    state.selected.clear();
                    if !only {
                        state.selected.insert(id.clone());
                    }
                    state.anchor = Some(id);
                }
            }
        }
    }
}
