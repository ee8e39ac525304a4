//! Notifications: short ones go by themselves, errors stay until they are dismissed.

use std::time::{Duration, Instant};

use super::Action;

/// How a notification is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something was done.
    Done,
    /// Something to know; stays a little longer.
    Info,
    /// Something was odd; stays until dismissed.
    Warning,
    /// Something failed; stays until dismissed.
    Error,
}

/// One notification.
pub struct Note {
    /// Its identity.
    pub id: u64,
    /// How it is meant.
    pub tone: Tone,
    /// What happened, in one sentence.
    pub text: String,
    /// More lines, shown on request: the files of a list.
    pub details: Vec<String>,
    /// The remedy: a button's text and what it does.
    pub remedy: Option<(String, Action)>,
    /// When it goes by itself.
    pub until: Option<Instant>,
}

const LINES: usize = 3;

/// All notifications, oldest first.
#[derive(Default)]
pub struct Notes {
    list: Vec<Note>,
    next: u64,
}

impl Notes {
    /// Adds a notification and returns it, to add details or a remedy.
    pub fn add(&mut self, tone: Tone, text: impl Into<String>) -> &mut Note {
        let text = text.into();
        // The same sentence twice is one sentence.
        self.list
            .retain(|note| note.text != text || !note.details.is_empty());
        let lasts = match tone {
            Tone::Done => Some(Duration::from_secs(4)),
            Tone::Info => Some(Duration::from_secs(8)),
            Tone::Warning | Tone::Error => None,
        };
        let note = Note {
            id: self.next,
            tone,
            text,
            details: Vec::new(),
            remedy: None,
            until: lasts.map(|lasts| Instant::now() + lasts),
        };
        self.next += 1;
        self.list.push(note);
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    /// The warnings of a job: one each when few, one list when many.
    pub fn warnings(&mut self, warnings: Vec<String>) {
        if warnings.len() <= LINES {
            for warning in warnings {
                self.add(Tone::Warning, warning);
            }
        } else {
            let text = format!("{} files need a look", warnings.len());
            self.add(Tone::Warning, text).details = warnings;
        }
    }

    /// All notifications, oldest first.
    #[must_use]
    pub fn list(&self) -> &[Note] {
        &self.list
    }

    /// Removes one notification.
    pub fn dismiss(&mut self, id: u64) {
        self.list.retain(|note| note.id != id);
    }

    /// Removes those whose time has come; tells when the next one will.
    pub(super) fn expire(&mut self) -> Option<Duration> {
        let now = Instant::now();
        self.list
            .retain(|note| note.until.is_none_or(|until| until > now));
        self.list
            .iter()
            .filter_map(|note| note.until)
            .min()
            .map(|until| until.saturating_duration_since(now))
    }
}
