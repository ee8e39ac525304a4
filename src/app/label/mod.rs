//! The label workspace's state: the shown and selected frames, and labelling itself.

mod find;

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;

use crate::app::{Action, App, Dialog, Session, Snapshot, Workspace};
use crate::project::{Change, ClassName, Label, SourceId};
use find::Finder;

pub use find::contains as contains_word;

/// Which frames the grid shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Show {
    /// All of them.
    #[default]
    All,
    /// Those with one label.
    Label(Label),
    /// Those in the trash.
    Trash,
}

/// Frames of one source that are together in the grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GridSection {
    /// The source; `None` for files that were copied into the project by hand.
    pub source: Option<SourceId>,
    /// Index of the first of them in [`LabelState::shown`].
    pub start: usize,
    /// Their number.
    pub len: usize,
}

/// The state of the label workspace.
#[derive(Debug, Default)]
pub struct LabelState {
    /// Which frames are shown.
    pub show: Show,
    /// Only frames of this source.
    pub source: Option<SourceId>,
    /// Only frames with these words in the name of source, file or class; `None` without a search.
    pub find: Option<String>,
    /// The number of requests for the search field, which gets the focus then.
    pub find_asked: u64,
    /// The shown frames: indices into the snapshot's frames, in screen order.
    pub shown: Vec<u32>,
    /// The shown frames by source.
    pub sections: Vec<GridSection>,
    /// The paths of the selected frames.
    pub selection: Arc<HashSet<String>>,
    /// The frame with the keyboard cursor.
    pub cursor: Option<String>,
    /// The start of a range selection.
    pub anchor: Option<String>,
    /// Whether the frame at the cursor is shown large.
    pub preview: bool,
    /// The number of moves of the cursor after which it must be scrolled into view.
    pub reveal: u64,
    /// The number of frames that the label workspace has visited one by one so far; for tests of its cost.
    pub visited: Cell<u64>,
}

/// Up to this many frames are removed from the grid one by one.
const FEW: usize = 16;

/// A change of the selection by a click on a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// Only this one.
    Only,
    /// This one is added or removed.
    Toggle,
    /// Everything from the start of the range to this one.
    Range,
}

/// A movement of the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorMove {
    /// By this many frames; backwards if negative.
    By(isize),
    /// To the first frame.
    First,
    /// To the last frame.
    Last,
}

/// An action of the user in the label workspace.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelAction {
    /// Shows other frames.
    Show(Show),
    /// Shows one source's frames, or all.
    ShowSource(Option<SourceId>),
    /// Opens the workspace and shows these frames, of this source or of all.
    Open(Show, Option<SourceId>),
    /// Opens the workspace and selects these frames (paths).
    Reveal(Vec<String>),
    /// Shows only frames with these words in their names; `None` ends the search.
    Find(Option<String>),
    /// A click on a frame, by its path.
    Pick(String, Pick),
    /// Selects exactly these (paths), or these in addition.
    Select(Vec<String>, bool),
    /// Moves the cursor; with `true` extends the selection.
    Move(CursorMove, bool),
    /// Labels the selected frames.
    Assign(Label),
    /// Opens or closes the large image.
    Preview(bool),
    /// Adds a class; with `true` the selected frames are labelled with it.
    AddClass(String, bool),
    /// Renames a class.
    RenameClass(ClassName, String),
    /// Merges the first class into the second.
    MergeClass(ClassName, ClassName),
    /// Removes a class; its frames become unsorted.
    RemoveClass(ClassName),
    /// Moves a class to another position in the list.
    MoveClass(ClassName, usize),
    /// Restores frames (paths) from the trash.
    Restore(Vec<String>),
    /// Deletes frames (paths) in the trash permanently.
    DeleteForGood(Vec<String>),
}

/// The keys that label, in the order of the classes: the digits, then letters that no command has or will have (A, F,
/// H, I, L, O).
const CLASS_KEYS: &str = "123456789qwertyupsdgjkzxcvbnm";

/// The key of the class at `index` of the user's order; classes after the twenty-ninth have none.
#[must_use]
pub fn class_key(index: usize) -> Option<char> {
    let key = CLASS_KEYS.as_bytes().get(index)?;
    Some(char::from(key.to_ascii_uppercase()))
}

impl Session {
    /// The frames that the grid shows some of: the project's, or those in the trash.
    #[must_use]
    pub fn listed(&self) -> &Snapshot {
        match self.label.show {
            Show::Trash => &self.trash,
            Show::All | Show::Label(_) => &self.snapshot,
        }
    }

    /// Computes which frames are shown.
    pub(super) fn rebuild_shown(&mut self) {
        let state = &mut self.label;
        let listed = match state.show {
            Show::Trash => &self.trash,
            Show::All | Show::Label(_) => &self.snapshot,
        };
        let list = &listed.frames.list;
        let query = state.find.as_deref().unwrap_or_default();
        let mut finder = Finder::new(query, &self.sources);
        state.shown.clear();
        state.sections.clear();
        for index in listed.order.iter().copied() {
            let Some(frame) = list.get(index as usize) else {
                continue;
            };
            if let Show::Label(label) = &state.show
                && *label != frame.label
            {
                continue;
            }
            if state.source.is_some() && state.source != frame.source {
                continue;
            }
            if let Some(finder) = &mut finder
                && !finder.finds(frame)
            {
                continue;
            }
            match state.sections.last_mut() {
                Some(section) if section.source == frame.source => section.len += 1,
                _ => state.sections.push(GridSection {
                    source: frame.source.clone(),
                    start: state.shown.len(),
                    len: 1,
                }),
            }
            state.shown.push(index);
        }
        self.visit(self.snapshot.order.len());
        self.forget_hidden();
    }

    /// Removes frames from the grid that its filter hides because they were relabelled; `paths` are their new paths.
    /// Visits no other frames if they are few.
    pub(super) fn show_relabelled<'a>(&mut self, paths: impl ExactSizeIterator<Item = &'a String>) {
        if paths.len() > FEW || self.label.show == Show::Trash {
            self.rebuild_shown();
            return;
        }
        for path in paths {
            let Some(index) = self.snapshot.find(path) else {
                continue;
            };
            let frame = self.snapshot.frames.list.get(index as usize);
            let shows = frame.is_some_and(|frame| {
                let of_source = self.label.source.is_none() || self.label.source == frame.source;
                of_source && self.shows(&frame.label)
            });
            match (self.place_of_index(index), shows) {
                (Some(place), false) => self.hide(place),
                // Rare: a frame that was not in the grid was labelled.
                (None, true) => {
                    self.rebuild_shown();
                    return;
                }
                _ => {}
            }
            self.visit(1);
        }
        self.forget_hidden();
    }

    fn hide(&mut self, place: usize) {
        let state = &mut self.label;
        state.shown.remove(place);
        let after = state
            .sections
            .partition_point(|section| section.start <= place);
        for section in state.sections.iter_mut().skip(after) {
            section.start -= 1;
        }
        if let Some(at) = after.checked_sub(1)
            && let Some(section) = state.sections.get_mut(at)
        {
            section.len -= 1;
            if section.len == 0 {
                state.sections.remove(at);
            }
        }
    }

    /// Frames that are not shown are deselected and lose the cursor.
    fn forget_hidden(&mut self) {
        let hidden = |path: &String| self.place_of(path).is_none();
        let unselect: Vec<String> = self
            .label
            .selection
            .iter()
            .filter(|p| hidden(p))
            .cloned()
            .collect();
        let gone = [&self.label.cursor, &self.label.anchor]
            .map(|place| place.as_ref().is_some_and(hidden));
        self.visit(self.label.selection.len());
        if !unselect.is_empty() {
            let selection = Arc::make_mut(&mut self.label.selection);
            for path in &unselect {
                selection.remove(path);
            }
        }
        for (place, gone) in [&mut self.label.cursor, &mut self.label.anchor]
            .into_iter()
            .zip(gone)
        {
            if gone {
                *place = None;
            }
        }
    }

    /// Counts visited frames, for tests: an action on one frame must not visit all.
    fn visit(&self, frames: usize) {
        let visited = &self.label.visited;
        visited.set(visited.get() + frames as u64);
    }

    /// The path of the frame at an index of the grid.
    #[must_use]
    pub fn shown_path(&self, place: usize) -> Option<&str> {
        let index = *self.label.shown.get(place)?;
        Some(self.listed().frames.list.get(index as usize)?.path.as_str())
    }

    /// The index of a frame in the grid.
    #[must_use]
    pub fn place_of(&self, path: &str) -> Option<usize> {
        self.place_of_index(self.listed().find(path)?)
    }

    /// The grid is in screen order, so the index is found by binary search.
    fn place_of_index(&self, index: u32) -> Option<usize> {
        let rank = |index: u32| self.listed().rank(index);
        let wanted = rank(index)?;
        let shown = &self.label.shown;
        shown
            .binary_search_by_key(&Some(wanted), |index| rank(*index))
            .ok()
    }

    /// The selected frames in the order of the grid.
    #[must_use]
    pub fn selected_paths(&self) -> Vec<String> {
        self.visit(self.label.selection.len());
        // Only shown frames can be selected.
        if self.label.selection.len() == self.label.shown.len() {
            let all = (0..self.label.shown.len()).filter_map(|place| self.shown_path(place));
            return all.map(str::to_owned).collect();
        }
        let selection = self.label.selection.iter();
        let mut places: Vec<usize> = selection.filter_map(|path| self.place_of(path)).collect();
        places.sort_unstable();
        let paths = places
            .into_iter()
            .filter_map(|place| self.shown_path(place));
        paths.map(str::to_owned).collect()
    }

    fn pick(&mut self, path: String, pick: Pick) {
        let range = match (pick, &self.label.anchor) {
            (Pick::Range, Some(anchor)) => self.place_of(anchor).zip(self.place_of(&path)),
            _ => None,
        };
        match (pick, range) {
            (Pick::Toggle, _) => {
                let selection = Arc::make_mut(&mut self.label.selection);
                if !selection.remove(&path) {
                    selection.insert(path.clone());
                }
                self.label.anchor = Some(path.clone());
            }
            (Pick::Range, Some((from, to))) => {
                let paths = (from.min(to)..=from.max(to))
                    .filter_map(|place| self.shown_path(place))
                    .map(str::to_owned)
                    .collect();
                self.label.selection = Arc::new(paths);
            }
            (Pick::Only | Pick::Range, _) => {
                self.label.selection = Arc::new(HashSet::from([path.clone()]));
                self.label.anchor = Some(path.clone());
            }
        }
        self.label.cursor = Some(path);
    }

    fn step(&mut self, step: CursorMove, extend: bool) {
        let Some(last) = self.label.shown.len().checked_sub(1) else {
            return;
        };
        let at = self
            .label
            .cursor
            .as_ref()
            .and_then(|path| self.place_of(path));
        let place = match (step, at) {
            (CursorMove::First, _) | (CursorMove::By(_), None) => 0,
            (CursorMove::Last, _) => last,
            (CursorMove::By(by), Some(at)) => at.saturating_add_signed(by).min(last),
        };
        if let Some(path) = self.shown_path(place).map(str::to_owned) {
            self.pick(path, if extend { Pick::Range } else { Pick::Only });
            self.label.reveal += 1;
        }
    }

    /// The frame for the cursor when `gone` are no longer shown: the next one that stays.
    fn next_frame(&self, gone: &HashSet<&str>) -> Option<String> {
        let count = self.label.shown.len();
        let last = gone.iter().filter_map(|path| self.place_of(path)).max()?;
        (last + 1..count)
            .chain((0..last).rev())
            .filter_map(|place| self.shown_path(place))
            .find(|path| !gone.contains(path))
            .map(str::to_owned)
    }

    /// Selects the frame after those that were moved away.
    pub(super) fn select_next(&mut self, next_frame: String) {
        self.pick(next_frame, Pick::Only);
        self.label.reveal += 1;
    }

    /// Shows these frames among their neighbours, selected.
    fn reveal(&mut self, paths: Vec<String>) {
        let Some(first) = paths.first() else {
            return;
        };
        self.label.show = if first.starts_with("trash/") {
            Show::Trash
        } else {
            Show::All
        };
        self.label.source = None;
        self.label.find = None;
        self.label.preview = false;
        self.label.cursor = None;
        self.label.anchor = None;
        self.label.selection = Arc::default();
        self.rebuild_shown();
        self.label.cursor = Some(first.clone());
        self.label.anchor = Some(first.clone());
        self.label.selection = Arc::new(paths.into_iter().collect());
        self.label.reveal += 1;
    }

    /// Whether frames with this label are shown.
    fn shows(&self, label: &Label) -> bool {
        match &self.label.show {
            Show::All => true,
            Show::Label(shown) => shown == label,
            Show::Trash => false,
        }
    }
}

impl App {
    pub(super) fn apply_label(&mut self, action: LabelAction) {
        let Some(session) = &mut self.session else {
            return;
        };
        match action {
            LabelAction::Show(show) => {
                session.label.show = show;
                session.rebuild_shown();
            }
            LabelAction::ShowSource(source) => {
                session.label.source = source;
                session.rebuild_shown();
            }
            LabelAction::Open(show, source) => {
                session.label.show = show;
                session.label.source = source;
                session.label.find = None;
                session.rebuild_shown();
                self.workspace = Workspace::Label;
            }
            LabelAction::Reveal(paths) => {
                self.workspace = Workspace::Label;
                session.reveal(paths);
            }
            LabelAction::Find(query) => {
                if session.label.find != query {
                    session.label.find = query;
                    session.rebuild_shown();
                }
            }
            LabelAction::Restore(frames) => {
                let gone: HashSet<&str> = frames.iter().map(String::as_str).collect();
                let next_frame = session.next_frame(&gone);
                self.edit(Change::Restore { frames });
                self.move_cursor_to(next_frame);
            }
            LabelAction::DeleteForGood(frames) => self.delete_for_good(frames),
            LabelAction::Pick(path, pick) => session.pick(path, pick),
            LabelAction::Select(paths, also) => {
                if !also {
                    session.label.selection = Arc::default();
                }
                if let Some(last) = paths.last() {
                    session.label.cursor = Some(last.clone());
                    session.label.anchor = paths.first().cloned();
                }
                Arc::make_mut(&mut session.label.selection).extend(paths);
            }
            LabelAction::Move(step, extend) => session.step(step, extend),
            LabelAction::Preview(open) => {
                session.label.preview = open && session.label.cursor.is_some();
            }
            LabelAction::Assign(label) => {
                let paths = session.selected_paths();
                self.assign(paths, label);
            }
            LabelAction::AddClass(name, assign) => self.add_class(&name, assign),
            LabelAction::RenameClass(from, to) => {
                if from.as_str() == to.trim() {
                    return;
                }
                match ClassName::new(to.trim()) {
                    Ok(to) => {
                        self.edit(Change::RenameClass { from, to });
                    }
                    Err(error) => {
                        self.fail(error.to_string());
                    }
                }
            }
            LabelAction::MergeClass(from, into) => {
                self.edit(Change::MergeClass { from, into });
            }
            LabelAction::RemoveClass(name) => {
                self.edit(Change::DeleteClass { name });
            }
            LabelAction::MoveClass(name, position) => {
                self.edit(Change::MoveClass { name, position });
            }
        }
    }

    fn assign(&mut self, paths: Vec<String>, label: Label) {
        let Some(session) = &mut self.session else {
            return;
        };
        let prefix = label_prefix(&label);
        let paths: Vec<String> = paths
            .into_iter()
            .filter(|path| path.rsplit_once('/').is_some_and(|(dir, _)| dir != prefix))
            .collect();
        if paths.is_empty() {
            return;
        }
        let next_frame = if session.shows(&label) {
            None
        } else {
            session.next_frame(&paths.iter().map(String::as_str).collect())
        };
        self.edit(Change::Relabel {
            frames: paths,
            to: label,
        });
        self.move_cursor_to(next_frame);
    }

    /// Moves the cursor to the frame after those that were moved away.
    fn move_cursor_to(&mut self, next_frame: Option<String>) {
        if let (Some(session), Some(next_frame)) = (&mut self.session, next_frame)
            && !session.pick_afterwards(&next_frame)
        {
            session.select_next(next_frame);
        }
    }

    pub(super) fn trash_selected(&mut self) {
        let Some(session) = &self.session else {
            return;
        };
        let paths = session.selected_paths();
        if paths.is_empty() {
            return;
        }
        if session.label.show == Show::Trash {
            self.dialog = Some(Dialog::DeleteForGood(paths));
            return;
        }
        let gone: HashSet<&str> = paths.iter().map(String::as_str).collect();
        let next_frame = session.next_frame(&gone);
        self.edit(Change::Trash { frames: paths });
        self.move_cursor_to(next_frame);
    }

    fn add_class(&mut self, name: &str, assign: bool) {
        match ClassName::new(name.trim()) {
            Ok(name) => {
                let frames = match &self.session {
                    Some(session) if assign => session.selected_paths(),
                    _ => Vec::new(),
                };
                self.edit(Change::CreateClass { name: name.clone() });
                self.assign(frames, Label::Class(name));
            }
            Err(error) => {
                self.fail(error.to_string()).remedy = Some((
                    "Try another name".to_owned(),
                    Action::Command(crate::app::Command::NewClass),
                ));
            }
        }
    }
}

/// The folder of a label, relative to the project: `classes/cat`, `unsorted`.
#[must_use]
pub fn label_prefix(label: &Label) -> String {
    match label {
        Label::Class(name) => format!("classes/{name}"),
        Label::Unsorted => "unsorted".to_owned(),
    }
}
