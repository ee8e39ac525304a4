//! Undo and redo of what the user does to frames and classes.

use crate::jobs::Work;

use super::moves::{Moved, Target};
use super::{Class, ClassName, Label, Project, ProjectError, SourceId};

/// Changes that are kept; older ones can no longer be undone.
const MAX_CHANGES: usize = 500;

/// One thing that the user does and may want to take back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Gives frames (paths relative to the root) another label.
    Relabel {
        /// The frames.
        frames: Vec<String>,
        /// Their new label.
        to: Label,
    },
    /// Moves frames to the trash.
    Trash {
        /// The frames.
        frames: Vec<String>,
    },
    /// Makes a class.
    CreateClass {
        /// Its name.
        name: ClassName,
    },
    /// Renames a class.
    RenameClass {
        /// Old name.
        from: ClassName,
        /// New name.
        to: ClassName,
    },
    /// Deletes a class; its frames become unsorted.
    DeleteClass {
        /// Its name.
        name: ClassName,
    },
    /// Moves a class within the user's order.
    MoveClass {
        /// Its name.
        name: ClassName,
        /// Its new position, 0 is first.
        position: usize,
    },
}

impl Change {
    /// What it does, to follow "Undo" and "Redo": "label 24 frames “cat”".
    #[must_use]
    pub fn text(&self) -> String {
        let frames = |count: usize| match count {
            1 => "1 frame".to_owned(),
            count => format!("{count} frames"),
        };
        match self {
            Self::Relabel { frames: list, to } => match to {
                Label::Class(name) => format!("label {} “{name}”", frames(list.len())),
                Label::Unsorted => format!("unlabel {}", frames(list.len())),
            },
            Self::Trash { frames: list } => format!("remove {}", frames(list.len())),
            Self::CreateClass { name } => format!("create class “{name}”"),
            Self::RenameClass { from, to } => format!("rename class “{from}” to “{to}”"),
            Self::DeleteClass { name } => format!("delete class “{name}”"),
            Self::MoveClass { name, .. } => format!("move class “{name}”"),
        }
    }
}

/// What a change, an undo or a redo did to frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Old and new path of each frame that was moved (also of those that a renamed class took along).
    pub moved: Vec<(String, String)>,
}

/// What it takes to undo a change.
#[derive(Debug, Clone)]
enum Done {
    /// Frames went from one path to another.
    Moved(Vec<(String, String)>),
    Created,
    Renamed,
    Deleted {
        class: Class,
        position: usize,
        moved: Vec<(String, String)>,
        /// Sources whose frames were to go into the class.
        sources: Vec<SourceId>,
    },
    Reordered {
        from: usize,
    },
}

#[derive(Debug, Clone)]
struct Entry {
    change: Change,
    done: Done,
}

/// The changes made so far and those taken back. It lives as long as the window; what it did is on disk.
#[derive(Debug, Default)]
pub struct History {
    undo: Vec<Entry>,
    redo: Vec<Entry>,
}

impl History {
    /// Does something and remembers how to take it back. What was taken back before can no longer be redone.
    ///
    /// Also after an error (a full disk, cancelling) what was done until then is remembered.
    pub fn apply(
        &mut self,
        project: &Project,
        change: Change,
        work: &Work,
    ) -> Result<Outcome, ProjectError> {
        let (done, outcome, end) = perform(project, &change, work)?;
        if !matches!(&done, Done::Moved(moved) if moved.is_empty()) {
            self.redo.clear();
            self.undo.push(Entry { change, done });
            if self.undo.len() > MAX_CHANGES {
                self.undo.remove(0);
            }
        }
        end.map(|()| outcome)
    }

    /// Takes the last change back; `None` when there is none. Frames that are gone meanwhile are named in a
    /// warning, the others go back.
    pub fn undo(
        &mut self,
        project: &Project,
        work: &Work,
    ) -> Result<Option<Outcome>, ProjectError> {
        let Some(entry) = self.undo.pop() else {
            return Ok(None);
        };
        match take_back(project, &entry, work) {
            Ok(back) => {
                self.follow(&back.astray);
                let Entry { mut change, .. } = entry;
                // Redo finds the frames where undo has put them.
                if let Change::Relabel { frames, .. } | Change::Trash { frames } = &mut change {
                    *frames = back.frames;
                }
                self.redo.push(Entry {
                    change,
                    done: Done::Moved(Vec::new()),
                });
                Ok(Some(Outcome { moved: back.moved }))
            }
            Err(error) => {
                // Nothing is lost by trying again: what went back already is then passed over.
                self.undo.push(entry);
                Err(error)
            }
        }
    }

    /// Does again what was taken back last; `None` when there is nothing.
    pub fn redo(
        &mut self,
        project: &Project,
        work: &Work,
    ) -> Result<Option<Outcome>, ProjectError> {
        let Some(entry) = self.redo.pop() else {
            return Ok(None);
        };
        match perform(project, &entry.change, work) {
            Ok((done, outcome, end)) => {
                let change = entry.change;
                self.undo.push(Entry { change, done });
                end.map(|()| Some(outcome))
            }
            Err(error) => {
                self.redo.push(entry);
                Err(error)
            }
        }
    }

    /// What [`History::undo`] would take back, to follow the word "Undo".
    #[must_use]
    pub fn undo_text(&self) -> Option<String> {
        self.undo.last().map(|entry| entry.change.text())
    }

    /// What [`History::redo`] would do again, to follow the word "Redo".
    #[must_use]
    pub fn redo_text(&self) -> Option<String> {
        self.redo.last().map(|entry| entry.change.text())
    }

    /// Frames that could not go back to exactly where they were: older changes look for them where they are.
    fn follow(&mut self, astray: &[(String, String)]) {
        for (wanted, actual) in astray {
            for entry in &mut self.undo {
                let (Done::Moved(moved) | Done::Deleted { moved, .. }) = &mut entry.done else {
                    continue;
                };
                for (_, new) in moved.iter_mut().filter(|(_, new)| new == wanted) {
                    new.clone_from(actual);
                }
            }
        }
    }
}

/// What undo did.
struct Back {
    /// Where the frames of the change are now.
    frames: Vec<String>,
    moved: Vec<(String, String)>,
    /// Where a frame should have gone and where it went.
    astray: Vec<(String, String)>,
}

type Performed = (Done, Outcome, Result<(), ProjectError>);

/// The inner result is how it ended after something had been done.
fn perform(project: &Project, change: &Change, work: &Work) -> Result<Performed, ProjectError> {
    let whole = |done| Ok((done, Outcome::default(), Ok(())));
    match change {
        Change::Relabel { frames, to } => {
            let _change = project.begin_change();
            Ok(moved(project.relabel_frames(frames, to, work)?))
        }
        Change::Trash { frames } => {
            let _change = project.begin_change();
            Ok(moved(project.trash_frames(frames, work)))
        }
        Change::CreateClass { name } => {
            project.add_class(name)?;
            whole(Done::Created)
        }
        Change::RenameClass { from, to } => {
            let moved = rename(project, from, to, work)?;
            Ok((Done::Renamed, Outcome { moved }, Ok(())))
        }
        Change::MoveClass { name, position } => {
            let (_, from) = place_of(project, name)?;
            project.move_class(name, *position)?;
            whole(Done::Reordered { from })
        }
        Change::DeleteClass { name } => {
            let _change = project.begin_change();
            let (class, position) = place_of(project, name)?;
            let sources = project
                .sources()
                .into_iter()
                .filter(|source| source.class.as_ref() == Some(name))
                .map(|source| source.id)
                .collect();
            let result = project.unmake_class(name, work)?;
            let outcome = Outcome {
                moved: result.pairs.clone(),
            };
            let done = if result.end.is_ok() {
                Done::Deleted {
                    class,
                    position,
                    moved: result.pairs,
                    sources,
                }
            } else {
                // The class is still there; only frames were moved.
                Done::Moved(result.pairs)
            };
            Ok((done, outcome, result.end))
        }
    }
}

fn moved(result: Moved) -> Performed {
    let outcome = Outcome {
        moved: result.pairs.clone(),
    };
    (Done::Moved(result.pairs), outcome, result.end)
}

fn take_back(project: &Project, entry: &Entry, work: &Work) -> Result<Back, ProjectError> {
    let mut back = Back {
        frames: Vec::new(),
        moved: Vec::new(),
        astray: Vec::new(),
    };
    match (&entry.done, &entry.change) {
        (Done::Moved(moved), _) => {
            let _change = project.begin_change();
            move_back(project, moved, &mut back, work)?;
        }
        (Done::Created, Change::CreateClass { name }) => {
            let _change = project.begin_change();
            let result = project.unmake_class(name, work)?;
            result.end?;
            back.moved = result.pairs;
        }
        (Done::Renamed, Change::RenameClass { from, to }) => {
            back.moved = rename(project, to, from, work)?;
        }
        (Done::Reordered { from }, Change::MoveClass { name, .. }) => {
            project.move_class(name, *from)?;
        }
        (
            Done::Deleted {
                class,
                position,
                moved,
                sources,
            },
            _,
        ) => {
            let _change = project.begin_change();
            if place_of(project, &class.name).is_err() {
                project.remake_class(class, *position)?;
            }
            project.update(|document| {
                for source in &mut document.sources {
                    if source.item.class.is_none() && sources.contains(&source.item.id) {
                        source.item.class = Some(class.name.clone());
                    }
                }
                Ok(())
            })?;
            move_back(project, moved, &mut back, work)?;
        }
        // Each kind of change has its own way back, above.
        (Done::Created | Done::Renamed | Done::Reordered { .. }, _) => {}
    }
    Ok(back)
}

fn move_back(
    project: &Project,
    moved: &[(String, String)],
    back: &mut Back,
    work: &Work,
) -> Result<(), ProjectError> {
    // The last first, so that of two frames of one name each gets its own back. A frame that an interrupted
    // attempt has put back already stays there.
    let targets = moved
        .iter()
        .rev()
        .map(|(old, new)| {
            let is_back = !project.abs(new).exists() && project.abs(old).exists();
            let from = if is_back { old } else { new };
            (from.clone(), Target::Path(old.clone()))
        })
        .collect();
    let result = project.move_frames(targets, work);
    for ((old, new), now) in moved.iter().rev().zip(&result.paths) {
        if now != old && now != new {
            back.astray.push((old.clone(), now.clone()));
        }
    }
    back.frames = result.paths.into_iter().rev().collect();
    back.moved = result.pairs;
    result.end
}

/// Renames a class and tells which paths changed with it.
fn rename(
    project: &Project,
    from: &ClassName,
    to: &ClassName,
    work: &Work,
) -> Result<Vec<(String, String)>, ProjectError> {
    project.rename_class(from, to)?;
    let (old, new) = (format!("classes/{from}/"), format!("classes/{to}/"));
    let frames = project.scan(work)?;
    let moved = frames.list.into_iter().filter_map(|frame| {
        let rest = frame.path.strip_prefix(&new)?;
        Some((format!("{old}{rest}"), frame.path.clone()))
    });
    Ok(moved.collect())
}

fn place_of(project: &Project, name: &ClassName) -> Result<(Class, usize), ProjectError> {
    let classes = project.classes();
    let found = classes
        .into_iter()
        .enumerate()
        .find(|(_, class)| class.name == *name);
    match found {
        Some((position, class)) => Ok((class, position)),
        None => Err(ProjectError::NoSuchClass { name: name.clone() }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test
mod tests {
    use std::fs;

    use super::*;

    struct Desk {
        project: Project,
        history: History,
        work: Work,
        _dir: tempfile::TempDir,
    }

    fn class(name: &str) -> ClassName {
        ClassName::new(name).unwrap()
    }

    impl Desk {
        fn new(files: &[&str]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let project = Project::create(&dir.path().join("p"), "p").unwrap();
            for file in files {
                let path = project.abs(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, file).unwrap();
            }
            let desk = Self {
                project,
                history: History::default(),
                work: Work::new(),
                _dir: dir,
            };
            desk.state();
            desk
        }

        fn apply(&mut self, change: Change) -> Outcome {
            self.history
                .apply(&self.project, change, &self.work)
                .unwrap()
        }

        fn undo(&mut self) {
            let outcome = self.history.undo(&self.project, &self.work).unwrap();
            outcome.expect("something to undo");
        }

        fn redo(&mut self) {
            let outcome = self.history.redo(&self.project, &self.work).unwrap();
            outcome.expect("something to redo");
        }

        /// Classes with colours, and all frames.
        fn state(&self) -> (Vec<(String, usize)>, Vec<String>) {
            let frames = self.project.scan(&self.work).unwrap();
            let classes = self.project.classes().into_iter();
            (
                classes.map(|c| (c.name.to_string(), c.color)).collect(),
                frames.list.into_iter().map(|f| f.path).collect(),
            )
        }
    }

    #[test]
    fn every_kind_of_change_can_be_taken_back_and_done_again() {
        let files = [
            "classes/cat/1.jpg",
            "classes/cat/2.jpg",
            "classes/dog/deep/1.jpg",
            "classes/fox/3.jpg",
            "unsorted/1.jpg",
        ];
        let mut desk = Desk::new(&files);
        let unsorted = vec!["unsorted/2.jpg".to_owned()];
        let changes = [
            Change::Relabel {
                frames: vec!["unsorted/1.jpg".into(), "classes/dog/deep/1.jpg".into()],
                to: Label::Class(class("cat")),
            },
            Change::CreateClass { name: class("cow") },
            Change::MoveClass {
                name: class("cow"),
                position: 0,
            },
            Change::RenameClass {
                from: class("cat"),
                to: class("Katze"),
            },
            Change::Trash {
                frames: vec!["classes/Katze/1.jpg".into()],
            },
            Change::DeleteClass {
                name: class("Katze"),
            },
            Change::Relabel {
                frames: unsorted,
                to: Label::Class(class("cow")),
            },
        ];
        let mut states = vec![desk.state()];
        for change in changes {
            let text = change.text();
            desk.apply(change);
            assert_eq!(desk.history.undo_text(), Some(text));
            let state = desk.state();
            assert_ne!(Some(&state), states.last());
            states.push(state);
        }
        for _ in 0..2 {
            for before in states.iter().rev().skip(1) {
                desk.undo();
                assert_eq!(&desk.state(), before);
            }
            assert_eq!(desk.history.undo_text(), None);
            for after in states.iter().skip(1) {
                desk.redo();
                assert_eq!(&desk.state(), after);
            }
            assert_eq!(desk.history.redo_text(), None);
        }
        assert!(desk.work.take_warnings().is_empty());
        let none = desk.history.redo(&desk.project, &desk.work).unwrap();
        assert_eq!(none, None);
    }

    #[test]
    fn the_texts_count_and_name() {
        let relabel = |count, to| {
            Change::Relabel {
                frames: vec![String::new(); count],
                to,
            }
            .text()
        };
        assert_eq!(
            relabel(24, Label::Class(class("猫"))),
            "label 24 frames “猫”"
        );
        assert_eq!(relabel(1, Label::Unsorted), "unlabel 1 frame");
    }

    #[test]
    fn frames_that_are_gone_or_in_the_way_do_not_stop_undo() {
        let mut desk = Desk::new(&[
            "unsorted/1.jpg",
            "unsorted/2.jpg",
            "unsorted/3.jpg",
            "classes/a/0.jpg",
        ]);
        let frames: Vec<String> = (1..=3).map(|n| format!("unsorted/{n}.jpg")).collect();
        desk.apply(Change::CreateClass { name: class("b") });
        desk.apply(Change::Relabel {
            frames,
            to: Label::Class(class("a")),
        });
        let frames: Vec<String> = (1..=3).map(|n| format!("classes/a/{n}.jpg")).collect();
        desk.apply(Change::Relabel {
            frames,
            to: Label::Class(class("b")),
        });
        fs::remove_file(desk.project.abs("classes/b/2.jpg")).unwrap();
        fs::write(desk.project.abs("classes/a/3.jpg"), "newcomer").unwrap();
        desk.undo();
        assert_eq!(desk.work.take_warnings().len(), 1);
        let a = desk.project.abs("classes/a/3~2.jpg");
        assert_eq!(fs::read_to_string(a).unwrap(), "unsorted/3.jpg");
        // The change before finds the frame under the name that undo had to give it.
        desk.undo();
        let back = fs::read_to_string(desk.project.abs("unsorted/3.jpg")).unwrap();
        assert_eq!(back, "unsorted/3.jpg");
        let newcomer = fs::read_to_string(desk.project.abs("classes/a/3.jpg")).unwrap();
        assert_eq!(newcomer, "newcomer");
        desk.redo();
        assert_eq!(desk.state().1.len(), 4);
    }

    #[test]
    fn a_new_change_ends_what_could_be_redone() {
        let mut desk = Desk::new(&["classes/a/1.jpg"]);
        desk.apply(Change::CreateClass { name: class("b") });
        desk.undo();
        assert!(desk.history.redo_text().is_some());
        desk.apply(Change::CreateClass { name: class("c") });
        assert_eq!(desk.history.redo_text(), None);
    }

    #[test]
    fn what_was_done_before_an_error_can_be_taken_back() {
        let mut desk = Desk::new(&["unsorted/1.jpg", "classes/a/0.jpg"]);
        let change = Change::Relabel {
            frames: vec!["unsorted/1.jpg".into(), "../2.jpg".into()],
            to: Label::Class(class("a")),
        };
        let before = desk.state();
        assert!(
            desk.history
                .apply(&desk.project, change, &desk.work)
                .is_err()
        );
        assert_ne!(desk.state(), before);
        desk.undo();
        assert_eq!(desk.state(), before);
    }

    #[test]
    fn an_undone_deletion_gives_its_sources_their_class_back() {
        let mut desk = Desk::new(&["classes/a/1.jpg"]);
        let source = crate::project::Source {
            id: SourceId::of_batch("x"),
            kind: crate::project::SourceKind::Photos,
            name: "x".into(),
            path: "x".into(),
            class: Some(class("a")),
            sampling: crate::project::Sampling::default(),
            duration_secs: None,
            extracted: None,
            warnings: Vec::new(),
        };
        desk.project.put_source(source.clone()).unwrap();
        desk.apply(Change::DeleteClass { name: class("a") });
        assert_eq!(desk.project.sources()[0].class, None);
        desk.undo();
        assert_eq!(desk.project.sources(), [source]);
    }
}
