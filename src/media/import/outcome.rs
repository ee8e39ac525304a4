//! What an import made of each file: the one list that the window's summary, the command line's table and
//! its JSON lines are made from.

use std::path::PathBuf;

use crate::kind::Kind;
use crate::project::{ClassName, ImportRecord, Label, SourceId};

/// What became of everything below the given paths: each file is in `files` exactly once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportOutcome {
    /// One report per file, in the order of their paths.
    pub files: Vec<FileReport>,
    /// Classes that were made, also those of empty class folders.
    pub classes: Vec<ClassName>,
    /// What was recognised in the folders, and what else the user should know, a sentence each.
    pub notes: Vec<String>,
    /// What it takes to take the import back ([`crate::project::Change::Import`]).
    pub record: ImportRecord,
}

/// One file, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct FileReport {
    /// The file, below the path that was given.
    pub path: PathBuf,
    /// What it is; `None` when it was not looked into.
    pub kind: Option<Kind>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It is in the project now.
    Imported {
        /// The class of its frames; `None` is unsorted.
        class: Option<ClassName>,
        /// The source that it belongs to.
        source: SourceId,
        /// Frames written now: 1 for an image, 0 for a video that was added without extracting its frames.
        frames: u64,
        /// Of an image, its path in the project.
        place: Option<String>,
        /// Of a video that was there before, the class that this import would have given it, where that is another.
        asked: Option<ClassName>,
        /// Whether it was moved to that class.
        moved: bool,
        /// Of a video, frames of an earlier sampling that went to the trash.
        replaced: u64,
        /// What else is to be said: damage, a gap.
        note: Option<String>,
    },
    /// It was in the project before, or another file of this import is the same.
    Known(Known),
    /// It was left out on purpose.
    PassedOver(Reason),
    /// It could not be used; one sentence that says why.
    Failed(String),
}

/// Where a file is that was in the project already.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The label that it has.
    pub label: Label,
    /// Its source, if it has one.
    pub source: Option<SourceId>,
    /// Of an image its path in the project, of a video the file that it was imported from.
    pub place: String,
    /// Whether it lies in the trash.
    pub trashed: bool,
    /// The class that this import would have given it, where that is another.
    pub asked: Option<ClassName>,
    /// Whether it was moved to that class.
    pub moved: bool,
    /// What else is to be said: the frames are of another width, the same bytes are on another side.
    pub note: Option<String>,
}

/// Why a file was left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Neither image nor video; what it is instead.
    NotMedia(Kind),
    /// Its name or its folder's begins with a dot.
    Hidden,
    /// Written by a system for itself: `Thumbs.db`, `.DS_Store`, `desktop.ini`, `._*`.
    SystemFile,
    /// In a folder of thumbnails that a network drive made: `@eaDir`, `.@__thumb`.
    DriveThumbnail,
    /// In a folder of deleted files: `#recycle`, `.Trash-1000`, `$RECYCLE.BIN`.
    Deleted,
    /// In `__MACOSX`, which macOS puts into archives.
    ArchiveLeftover,
    /// In this project's own folder.
    ThisProject,
    /// In another Salamander project, but not one of its frames.
    OtherProject,
    /// A link to a folder that was looked through already.
    FolderTwice,
    /// A pipe, a socket, a device.
    Special,
}

impl Reason {
    /// One word for programs: `not_media`, `hidden`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotMedia(_) => "not_media",
            Self::Hidden => "hidden",
            Self::SystemFile => "system_file",
            Self::DriveThumbnail => "drive_thumbnail",
            Self::Deleted => "deleted",
            Self::ArchiveLeftover => "archive_leftover",
            Self::ThisProject => "this_project",
            Self::OtherProject => "other_project",
            Self::FolderTwice => "folder_twice",
            Self::Special => "special",
        }
    }

    /// What such files are, in the plural, to follow a number: "12 thumbnails of a network drive".
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::NotMedia(kind) => format!("neither image nor video: {kind}"),
            Self::Hidden => "hidden (the name begins with a dot)".to_owned(),
            Self::SystemFile => "files of the system, like Thumbs.db".to_owned(),
            Self::DriveThumbnail => "thumbnails made by a network drive".to_owned(),
            Self::Deleted => "in a trash folder".to_owned(),
            Self::ArchiveLeftover => "leftovers of an archive (__MACOSX)".to_owned(),
            Self::ThisProject => "this project's own files".to_owned(),
            Self::OtherProject => "of another Salamander project, but no frames".to_owned(),
            Self::FolderTwice => "links to folders that were looked through already".to_owned(),
            Self::Special => "pipes, sockets or devices".to_owned(),
        }
    }
}

/// How many files met each fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// All files.
    pub files: u64,
    /// Files that are in the project now and were not before.
    pub imported: u64,
    /// Files that were in the project already.
    pub known: u64,
    /// Files that are under another class than this import would have given them: known ones that are not in the trash,
    /// and videos that got further frames.
    pub conflicts: u64,
    /// Files that were under another class and were moved to the one that this import asked for.
    pub moved: u64,
    /// Of the known files, those that lie in the trash.
    pub trashed: u64,
    /// Files left out on purpose.
    pub passed_over: u64,
    /// Files that could not be used.
    pub failed: u64,
    /// Videos among the imported files.
    pub videos: u64,
    /// Images among the imported files.
    pub images: u64,
    /// Frames written: those of videos, and one for each image.
    pub frames: u64,
    /// Frames of an earlier sampling that went to the trash.
    pub replaced: u64,
}

impl ImportOutcome {
    /// The sums.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for file in &self.files {
            totals.files += 1;
            match &file.fate {
                Fate::Imported {
                    frames,
                    place,
                    asked,
                    moved,
                    replaced,
                    ..
                } => {
                    totals.imported += 1;
                    totals.frames += frames;
                    totals.replaced += replaced;
                    totals.moved += u64::from(*moved);
                    totals.conflicts += u64::from(asked.is_some() && !moved);
                    match place {
                        Some(_) => totals.images += 1,
                        None => totals.videos += 1,
                    }
                }
                Fate::Known(known) => {
                    totals.known += 1;
                    totals.trashed += u64::from(known.trashed);
                    totals.moved += u64::from(known.moved);
                    totals.conflicts += u64::from(known.is_conflict());
                }
                Fate::PassedOver(_) => totals.passed_over += 1,
                Fate::Failed(_) => totals.failed += 1,
            }
        }
        totals
    }

    /// How many files were passed over for each reason, the most frequent first.
    #[must_use]
    pub fn passed_over(&self) -> Vec<(Reason, u64)> {
        let mut counts: Vec<(Reason, u64)> = Vec::new();
        for file in &self.files {
            if let Fate::PassedOver(reason) = &file.fate {
                match counts.iter_mut().find(|(known, _)| known == reason) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((reason.clone(), 1)),
                }
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }

    /// Whether nothing came in and nothing had come in before: the paths hold nothing that can be used.
    #[must_use]
    pub fn is_empty_handed(&self) -> bool {
        self.files
            .iter()
            .all(|file| matches!(file.fate, Fate::PassedOver(_) | Fate::Failed(_)))
            && self.classes.is_empty()
    }
}

impl Fate {
    /// One word for programs: `imported`, `known`, `passed_over`, `failed`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Imported { .. } => "imported",
            Self::Known(_) => "known",
            Self::PassedOver(_) => "passed_over",
            Self::Failed(_) => "failed",
        }
    }

    /// What became of the file in words, without its name.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Imported {
                class,
                frames,
                place,
                asked,
                moved,
                note,
                ..
            } => {
                let mut class = label_text(class.as_ref());
                match asked {
                    Some(_) if *moved => class = format!("moved to {class}"),
                    Some(asked) => class = format!("{class}, not “{asked}”; left there"),
                    None => {}
                }
                let text = match (place, frames) {
                    (Some(_), _) => class,
                    (None, 0) => format!("{class}; no frames were extracted yet"),
                    (None, 1) => format!("{class}, 1 frame"),
                    (None, frames) => format!("{class}, {frames} frames"),
                };
                with_note(text, note.as_deref())
            }
            Self::Known(known) => known.text(),
            Self::PassedOver(reason) => reason.text(),
            Self::Failed(sentence) => sentence.clone(),
        }
    }
}

impl Known {
    /// Whether it is under another class than was asked for. What lies in the trash is under none.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.asked.is_some() && !self.moved && !self.trashed
    }

    /// Where it is, and what follows from a conflict.
    #[must_use]
    pub fn text(&self) -> String {
        let place = &self.place;
        let mut text = if self.trashed {
            format!("in the trash as “{place}”")
        } else {
            format!("{} as “{place}”", label_text(self.label.class()))
        };
        match &self.asked {
            Some(class) if self.moved => {
                text = format!("moved to class “{class}”, as “{place}”");
            }
            Some(class) if !self.trashed => {
                text = format!("{text}, not “{class}”; left there");
            }
            _ => {}
        }
        with_note(text, self.note.as_deref())
    }
}

fn label_text(class: Option<&ClassName>) -> String {
    class.map_or_else(|| "unsorted".to_owned(), |class| format!("class “{class}”"))
}

fn with_note(text: String, note: Option<&str>) -> String {
    match note {
        Some(note) => format!("{text}; {note}"),
        None => text,
    }
}
