//! Predicts the effect of a change of the project, to show it before the files are moved.
//!
//! For few frames this is computed at once. For many it takes too long for a frame of the window, so a thread does it;
//! actions on the frames or the selection wait for it in the meantime.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::label::label_prefix;
use super::{Action, App, Command, Lane, Session, Show, Snapshot};
use crate::jobs::JobError;
use crate::project::{Change, ProjectError};

/// Changes of more frames are predicted on a thread.
const MANY: usize = 1_000;

/// Old and new paths of frames.
pub(super) type Renames = HashMap<String, String>;

/// The frames and selection to show after a prediction.
pub(super) struct EditEffect {
    snapshot: Snapshot,
    selection: Arc<HashSet<String>>,
    renames: Renames,
}

/// A change that is being predicted, and what waits for it.
#[derive(Default)]
pub(super) struct PendingEffect {
    waiting: Option<Waiting>,
}

#[derive(Default)]
struct Waiting {
    actions: Vec<Action>,
    /// The frame that is selected afterwards.
    next_frame: Option<String>,
}

/// The new paths of the frames, if no other file is in the way.
pub(super) fn renames(change: &Change) -> Renames {
    let renamed = |frames: &[String], to: &dyn Fn(&str) -> Option<String>| {
        let pairs = frames.iter().map(|path| Some((path.clone(), to(path)?)));
        pairs.flatten().collect()
    };
    match change {
        Change::Relabel { frames, to } => {
            let prefix = label_prefix(to);
            renamed(frames, &|path| {
                let (_, name) = path.rsplit_once('/')?;
                Some([&prefix, "/", name].concat())
            })
        }
        Change::Trash { frames } => renamed(frames, &|path| Some(["trash/", path].concat())),
        Change::Restore { frames } => renamed(frames, &|path| {
            path.strip_prefix("trash/").map(str::to_owned)
        }),
        Change::LikeNeighbours { .. }
        | Change::CreateClass { .. }
        | Change::DeleteClass { .. }
        | Change::RenameClass { .. }
        | Change::MergeClass { .. }
        | Change::SetSourceClass { .. }
        | Change::MoveClass { .. }
        | Change::Import { .. } => Renames::new(),
    }
}

/// Applies a change to a snapshot and a selection.
fn effect_of(
    mut snapshot: Snapshot,
    mut selection: Arc<HashSet<String>>,
    change: &Change,
) -> EditEffect {
    let mut renames = Renames::new();
    match change {
        Change::Relabel { to, .. } => {
            renames = self::renames(change);
            snapshot.relabel(&renames, to);
            rename_in(&mut selection, &renames);
        }
        Change::Trash { frames } => {
            let gone: HashSet<&str> = frames.iter().map(String::as_str).collect();
            snapshot.remove(|frame| gone.contains(frame.path.as_str()));
        }
        Change::Restore { .. }
        | Change::LikeNeighbours { .. }
        | Change::CreateClass { .. }
        | Change::DeleteClass { .. }
        | Change::RenameClass { .. }
        | Change::MergeClass { .. }
        | Change::SetSourceClass { .. }
        | Change::MoveClass { .. }
        | Change::Import { .. } => {}
    }
    EditEffect {
        snapshot,
        selection,
        renames,
    }
}

/// Replaces old paths with new ones.
fn rename_in(selection: &mut Arc<HashSet<String>>, renames: &Renames) {
    if renames.is_empty() || !selection.iter().any(|path| renames.contains_key(path)) {
        return;
    }
    let renamed = selection.iter().map(|path| match renames.get(path) {
        Some(to) => to.clone(),
        None => path.clone(),
    });
    *selection = Arc::new(renamed.collect());
}

impl Session {
    /// Shows the prediction. Returns what was shown before.
    fn show_effect(&mut self, found: EditEffect) -> EditEffect {
        let only_labels = !found.renames.is_empty();
        self.rename_places(&found.renames);
        let before = EditEffect {
            snapshot: std::mem::replace(&mut self.snapshot, found.snapshot),
            selection: std::mem::replace(&mut self.label.selection, found.selection),
            renames: found.renames,
        };
        // The order does not depend on labels; if all labels are shown, the shown frames are the same.
        if !only_labels {
            self.rebuild_shown();
        } else if self.label.show != Show::All {
            self.show_relabelled(before.renames.values());
        }
        before
    }

    /// Frames are restored from the trash; if there are many, the scan shows it.
    fn leave_trash(&mut self, frames: &[String]) {
        if frames.len() > MANY {
            return;
        }
        let gone: HashSet<&str> = frames.iter().map(String::as_str).collect();
        self.trash
            .remove(|frame| gone.contains(frame.path.as_str()));
        if self.label.show == Show::Trash {
            self.rebuild_shown();
        }
    }

    /// Frames have new paths: updates their images and the selection.
    pub(super) fn moved(&mut self, renames: &Renames) {
        self.rename_places(renames);
        rename_in(&mut self.label.selection, renames);
    }

    fn rename_places(&mut self, renames: &Renames) {
        self.follow_renames(renames);
        self.images.renamed(&self.root, renames);
        for place in [&mut self.label.cursor, &mut self.label.anchor] {
            if let Some(to) = place.as_ref().and_then(|path| renames.get(path)) {
                *place = Some(to.clone());
            }
        }
    }

    /// Selects a frame once the prediction in progress is shown; `false` if there is none.
    pub(super) fn pick_afterwards(&mut self, next_frame: &str) -> bool {
        let waiting = self.edits.pending.waiting.as_mut();
        waiting
            .map(|waiting| waiting.next_frame = Some(next_frame.to_owned()))
            .is_some()
    }
}

impl App {
    /// Shows the effect of a change before it is made.
    pub(super) fn preview_effect(&mut self, change: &Change) {
        let Some(session) = &mut self.session else {
            return;
        };
        let count = match change {
            Change::Relabel { frames, .. } | Change::Restore { frames }
                if frames.iter().any(|path| path.starts_with("trash/")) =>
            {
                session.leave_trash(frames);
                session.follow_renames(&renames(change));
                return;
            }
            Change::Relabel { frames, .. } | Change::Trash { frames } => frames.len(),
            // Their effect takes milliseconds; the scan shows it. For a source's class see `edit_as`.
            Change::Restore { .. }
            | Change::LikeNeighbours { .. }
            | Change::CreateClass { .. }
            | Change::DeleteClass { .. }
            | Change::RenameClass { .. }
            | Change::MergeClass { .. }
            | Change::SetSourceClass { .. }
            | Change::MoveClass { .. }
            | Change::Import { .. } => return,
        };
        if matches!(change, Change::Trash { .. }) {
            session.follow_renames(&renames(change));
        }
        if count <= MANY {
            // Taken out, so that they are changed in place instead of copied.
            let snapshot = std::mem::take(&mut session.snapshot);
            let selection = std::mem::take(&mut session.label.selection);
            let found = effect_of(snapshot, selection, change);
            session.show_effect(found);
            return;
        }
        let (snapshot, selection) = (session.snapshot.clone(), session.label.selection.clone());
        session.edits.pending.waiting = Some(Waiting::default());
        let change = change.clone();
        let of = Arc::clone(&session.snapshot.frames);
        self.tasks.start(
            Lane::Free,
            "Preparing the change",
            true,
            move |_| Ok::<_, ProjectError>(effect_of(snapshot, selection, &change)),
            move |app, result: Result<_, JobError>| {
                let Some(session) = &mut app.session else {
                    return;
                };
                let waiting = session.edits.pending.waiting.take().unwrap_or_default();
                // If a scan ended first, its result is newer.
                let current = Arc::ptr_eq(&of, &session.snapshot.frames);
                if let (Ok(found), true) = (result, current) {
                    let before = session.show_effect(found);
                    app.tidy((before, of));
                }
                if let (Some(session), Some(next_frame)) = (&mut app.session, waiting.next_frame) {
                    session.select_next(next_frame);
                }
                for action in waiting.actions {
                    app.apply(action);
                }
            },
        );
    }

    /// Postpones an action that conflicts with the prediction in progress. Returns it if it need not wait.
    pub(super) fn or_later(&mut self, action: Action) -> Option<Action> {
        let touches = match &action {
            Action::Label(_)
            | Action::Import(_)
            | Action::Assign(_)
            | Action::Evaluate(_)
            | Action::UndoNow => true,
            Action::Command(command) => matches!(
                command,
                Command::SelectAll
                    | Command::SelectNone
                    | Command::TrashSelected
                    | Command::Undo
                    | Command::Redo
            ),
            _ => false,
        };
        let session = self.session.as_mut();
        match session.and_then(|session| session.edits.pending.waiting.as_mut()) {
            Some(waiting) if touches => {
                waiting.actions.push(action);
                None
            }
            _ => Some(action),
        }
    }

    /// Frees memory on a thread: tens of thousands of paths take milliseconds.
    pub(super) fn tidy(&mut self, old: impl Send + 'static) {
        self.tasks.start_for_window(
            Lane::Free,
            "Tidying up",
            true,
            move |_| {
                drop(old);
                Ok::<_, ProjectError>(())
            },
            |_, _| {},
        );
    }
}
