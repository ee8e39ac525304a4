//! Undo and redo of changes by the user.

use std::collections::HashSet;

use crate::jobs::Work;

use super::change::{Change, ChangeText, Done, Outcome, perform, take_back};
use super::{Project, ProjectError, SourceId};

/// The most changes that can be undone.
const MAX_CHANGES: usize = 500;

#[derive(Debug, Clone)]
struct Entry {
    change: Change,
    done: Done,
}

/// The change that would be undone next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoStep {
    /// Its description, to follow the word "Undo".
    pub text: ChangeText,
    /// For an import, the sources that it created: all their frames are removed with it, including those extracted
    /// later.
    pub sources: HashSet<SourceId>,
}

/// The changes that can be undone and redone. It exists in memory only; their effects are on disk.
#[derive(Debug, Default)]
pub struct History {
    undo: Vec<Entry>,
    redo: Vec<Entry>,
}

impl History {
    /// Does a change and records how to undo it. Undone changes can no longer be redone.
    ///
    /// After an error (a full disk, a cancellation) the part that was done is recorded, too.
    pub fn apply(
        &mut self,
        project: &Project,
        change: Change,
        work: &Work,
    ) -> Result<Outcome, ProjectError> {
        let (done, outcome, end) = perform(project, &change, work)?;
        let nothing = match (&done, &change) {
            (Done::Moved(moved), _) => moved.is_empty(),
            (Done::Imported, Change::Import { record, .. }) => record.is_empty(),
            _ => false,
        };
        if !nothing {
            self.redo.clear();
            self.undo.push(Entry { change, done });
            if self.undo.len() > MAX_CHANGES {
                self.undo.remove(0);
            }
        }
        end.map(|()| outcome)
    }

    /// Undoes the last change; `None` if there is none. Frames that no longer exist are listed in a warning, the
    /// others are restored.
    pub fn undo(
        &mut self,
        project: &Project,
        work: &Work,
    ) -> Result<Option<Outcome>, ProjectError> {
        let Some(entry) = self.undo.pop() else {
            return Ok(None);
        };
        match take_back(project, &entry.change, &entry.done, work) {
            Ok(back) => {
                self.follow(&back.misplaced);
                let Entry { mut change, .. } = entry;
                // Redo finds the frames where undo has moved them.
                if let Change::Relabel { frames, .. }
                | Change::Trash { frames }
                | Change::Restore { frames } = &mut change
                {
                    *frames = back.frames;
                } else if let Change::Import { undone, .. } = &mut change {
                    *undone = back.undone.map(Box::new);
                }
                self.redo.push(Entry {
                    change,
                    done: Done::Moved(Vec::new()),
                });
                Ok(Some(Outcome { moved: back.moved }))
            }
            Err(error) => {
                // Trying again does no harm: frames already restored are skipped.
                self.undo.push(entry);
                Err(error)
            }
        }
    }

    /// Redoes the change undone last; `None` if there is none.
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
                let mut change = entry.change;
                if let Change::Import { undone, .. } = &mut change {
                    *undone = None;
                }
                self.undo.push(Entry { change, done });
                end.map(|()| Some(outcome))
            }
            Err(error) => {
                self.redo.push(entry);
                Err(error)
            }
        }
    }

    /// Removes removals of frames from the history, which cannot be undone after the trash was emptied.
    pub fn forget_removals(&mut self) {
        self.undo
            .retain(|entry| !matches!(entry.change, Change::Trash { .. }));
    }

    /// Removes frames that were deleted from the trash (paths relative to `trash/`) from the history.
    pub fn forget_deleted(&mut self, frames: &[String]) {
        let deleted: HashSet<&str> = frames.iter().map(String::as_str).collect();
        self.undo.retain_mut(|entry| match &mut entry.done {
            Done::Moved(moved) => {
                moved.retain(|(_, new)| !deleted.contains(new.as_str()));
                !moved.is_empty()
            }
            _ => true,
        });
    }

    /// The change that [`History::undo`] would undo, with the sources that would be removed.
    #[must_use]
    pub fn undo_step(&self) -> Option<UndoStep> {
        let change = &self.undo.last()?.change;
        let sources = match change {
            // Images added one by one were complete from the beginning.
            Change::Import {
                record,
                predictions: 0,
                ..
            } => record.sources.iter().cloned().collect(),
            _ => HashSet::new(),
        };
        Some(UndoStep {
            text: change.text(),
            sources,
        })
    }

    /// The description of the change that [`History::redo`] would redo, to follow the word "Redo".
    #[must_use]
    pub fn redo_text(&self) -> Option<ChangeText> {
        self.redo.last().map(|entry| entry.change.text())
    }

    /// Updates older changes for misplaced frames, so that they find them at their actual paths.
    fn follow(&mut self, misplaced: &[(String, String)]) {
        for (wanted, actual) in misplaced {
            for entry in &mut self.undo {
                let (Done::Moved(moved)
                | Done::Deleted { moved, .. }
                | Done::Merged { moved, .. }
                | Done::SourceClass { moved, .. }) = &mut entry.done
                else {
                    continue;
                };
                for (_, new) in moved.iter_mut().filter(|(_, new)| new == wanted) {
                    new.clone_from(actual);
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test
mod tests {
    use std::fs;

    use super::*;
    use crate::project::{ClassId, ClassName, Label, Noun};

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

        /// Classes with colours and identities, and all frames.
        fn state(&self) -> (Vec<(String, usize, ClassId)>, Vec<String>) {
            let frames = self.project.scan(&self.work).unwrap();
            let classes = self.project.classes().into_iter();
            (
                classes
                    .map(|c| (c.name.to_string(), c.color, c.id))
                    .collect(),
                frames.list.into_iter().map(|f| f.path).collect(),
            )
        }
    }

    #[test]
    fn the_class_of_a_source_goes_and_comes_back_with_its_frames() {
        let own = [
            "classes/cat/hall-0123abcd_1.000000_00000001.jpg",
            "classes/cat/hall-0123abcd_2.000000_00000002.jpg",
        ];
        let others = [
            "classes/cat/yard-89abcdef_1.000000_00000003.jpg",
            // Labelled by hand.
            "classes/fox/hall-0123abcd_3.000000_00000004.jpg",
            "unsorted/hall-0123abcd_4.000000_00000005.jpg",
        ];
        let mut desk = Desk::new(&[&own[..], &others[..]].concat());
        let id = SourceId::from_hex("0123abcd").unwrap();
        let source = crate::project::Source {
            class: Some(class("cat")),
            ..crate::project::Source::new(
                id.clone(),
                crate::project::SourceKind::Video,
                "hall.mp4",
                "/films/hall.mp4",
            )
        };
        desk.project.put_source(source).unwrap();
        let of_source = |desk: &Desk| desk.project.source(&id).unwrap().class;
        let before = desk.state();
        for to in [Some("fox"), None] {
            let to = to.map(class);
            let change = Change::SetSourceClass {
                sources: vec![id.clone()],
                class: to.clone(),
            };
            let outcome = desk.apply(change);
            let folder = to
                .as_ref()
                .map_or("unsorted".into(), |c| format!("classes/{c}"));
            let mut moved = outcome.moved;
            moved.sort();
            let expected = own.map(|path| (path.to_owned(), path.replace("classes/cat", &folder)));
            assert_eq!(moved, expected);
            assert_eq!(of_source(&desk), to);
            let after = desk.state();
            assert!(others.iter().all(|path| after.1.iter().any(|p| p == path)));
            desk.undo();
            assert_eq!(desk.state(), before, "one undo takes back both");
            assert_eq!(of_source(&desk), Some(class("cat")));
            desk.redo();
            assert_eq!(desk.state(), after);
            assert_eq!(of_source(&desk), to);
            desk.undo();
        }
        // An unchanged class is no change; a missing one is an error.
        desk.apply(Change::SetSourceClass {
            sources: vec![id.clone()],
            class: Some(class("cat")),
        });
        assert_eq!(desk.history.undo_step(), None);
        for (source, to) in [("0123abcd", "cow"), ("ffffffff", "fox")] {
            let change = Change::SetSourceClass {
                sources: vec![SourceId::from_hex(source).unwrap()],
                class: Some(class(to)),
            };
            let failed = desk.history.apply(&desk.project, change, &desk.work);
            assert!(failed.is_err());
            assert_eq!(desk.state(), before);
        }
    }

    #[test]
    fn the_class_of_several_sources_is_one_step() {
        let mut desk = Desk::new(&[
            "classes/cat/hall-0123abcd_1.000000_00000001.jpg",
            "classes/fox/yard-89abcdef_1.000000_00000002.jpg",
            "classes/fox/yard-89abcdef_2.000000_00000003.jpg",
        ]);
        let ids = ["0123abcd", "89abcdef"].map(|id| SourceId::from_hex(id).unwrap());
        for (id, of) in ids.iter().zip(["cat", "fox"]) {
            let name = format!("{of}.mp4");
            let source = crate::project::Source {
                class: Some(class(of)),
                ..crate::project::Source::new(
                    id.clone(),
                    crate::project::SourceKind::Video,
                    name.clone(),
                    format!("/films/{name}"),
                )
            };
            desk.project.put_source(source).unwrap();
        }
        let classes = |desk: &Desk| {
            let sources = desk.project.sources().into_iter();
            sources.map(|source| source.class).collect::<Vec<_>>()
        };
        let (before, before_classes) = (desk.state(), classes(&desk));
        let change = Change::SetSourceClass {
            sources: ids.to_vec(),
            class: None,
        };
        assert_eq!(desk.apply(change).moved.len(), 3);
        let text = desk.history.undo_step().unwrap().text.with(Noun::Frame);
        assert_eq!(text, "remove the class of 2 sources");
        assert_eq!(classes(&desk), [None, None]);
        let after = desk.state();
        assert!(after.1.iter().all(|path| path.starts_with("unsorted/")));
        desk.undo();
        assert_eq!((desk.state(), classes(&desk)), (before, before_classes));
        assert_eq!(desk.history.undo_step(), None);
        desk.redo();
        assert_eq!((desk.state(), classes(&desk)), (after, vec![None, None]));

        // A missing source prevents the whole change.
        let change = Change::SetSourceClass {
            sources: vec![ids[0].clone(), SourceId::from_hex("ffffffff").unwrap()],
            class: Some(class("cat")),
        };
        let failed = desk.history.apply(&desk.project, change, &desk.work);
        assert!(failed.is_err());
        assert_eq!(classes(&desk), [None, None]);
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
            Change::MergeClass {
                from: class("fox"),
                into: class("cow"),
            },
        ];
        let mut states = vec![desk.state()];
        for change in changes {
            let text = change.text();
            desk.apply(change);
            assert_eq!(desk.history.undo_step().map(|step| step.text), Some(text));
            let state = desk.state();
            assert_ne!(Some(&state), states.last());
            states.push(state);
        }
        for _ in 0..2 {
            for before in states.iter().rev().skip(1) {
                desk.undo();
                assert_eq!(&desk.state(), before);
            }
            assert_eq!(desk.history.undo_step(), None);
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
            .with(Noun::Frame)
        };
        assert_eq!(
            relabel(24, Label::Class(class("猫"))),
            "label 24 frames “猫”"
        );
        assert_eq!(relabel(1, Label::Unsorted), "unlabel 1 frame");
        let trash = Change::Trash {
            frames: vec![String::new(); 2],
        };
        assert_eq!(trash.text().with(Noun::Photo), "remove 2 photos");
        assert_eq!(trash.text().with(Noun::Image), "remove 2 images");
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
        // The previous change finds the frame under the name that undo had to give it.
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
            class: Some(class("a")),
            ..crate::project::Source::new(
                SourceId::of_batch("x"),
                crate::project::SourceKind::Photos,
                "x",
                "x",
            )
        };
        desk.project.put_source(source.clone()).unwrap();
        desk.apply(Change::DeleteClass { name: class("a") });
        assert_eq!(desk.project.sources()[0].class, None);
        desk.undo();
        assert_eq!(desk.project.sources(), [source]);
    }
}
