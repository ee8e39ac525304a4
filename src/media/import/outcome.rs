//! The results of an import for each file: the only list from which the window's summary, the command line's table and
//! its JSON lines are made.

use std::path::PathBuf;

use crate::kind::Kind;
use crate::project::{ClassName, ImportRecord, Label, SourceId};

/// The result of an import: each file in the given paths is in `files` exactly once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportOutcome {
    /// One report per file, in the order of their paths.
    pub files: Vec<FileReport>,
    /// Classes that were created, including those of empty class folders.
    pub classes: Vec<ClassName>,
    /// Remarks on the folders and on anything else that users should know, a sentence each.
    pub notes: Vec<String>,
    /// Everything needed to undo the import ([`crate::project::Change::Import`]).
    pub record: ImportRecord,
}

/// A file with its result.
#[derive(Debug, Clone, PartialEq)]
pub struct FileReport {
    /// The file, with a path that begins as given.
    pub path: PathBuf,
    /// Its kind; `None` if its contents were not inspected.
    pub kind: Option<Kind>,
    /// Its result.
    pub fate: Fate,
}

/// The result of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It was imported.
    Imported {
        /// The class of its frames; `None` if unsorted.
        class: Option<ClassName>,
        /// The source that it belongs to.
        source: SourceId,
        /// Frames that were written: 1 for an image, 0 for a video that was added without extracting its frames.
        frames: u64,
        /// For an image: its path in the project.
        place: Option<String>,
        /// For a video that existed before: the class that this import would have assigned, if that differs.
        asked: Option<ClassName>,
        /// Whether it was moved to that class.
        moved: bool,
        /// For a video: the number of frames of an earlier sampling that were moved to the trash.
        replaced: u64,
        /// A remark: damage, a gap.
        note: Option<String>,
    },
    /// The project already had it, or another file of this import is equal.
    Known(Known),
    /// It was ignored on purpose.
    PassedOver(Reason),
    /// It is unusable; a sentence with the reason.
    Failed(String),
}

/// A file that the project already had.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Its label.
    pub label: Label,
    /// Its source, if it has one.
    pub source: Option<SourceId>,
    /// For an image, its path in the project; for a video, the file that it was imported from.
    pub place: String,
    /// Whether it is in the trash.
    pub trashed: bool,
    /// The class that this import would have assigned, if that differs.
    pub asked: Option<ClassName>,
    /// Whether it was moved to that class.
    pub moved: bool,
    /// A remark: its frames have another width, the same bytes are on another side.
    pub note: Option<String>,
}

/// Why a file was ignored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is neither image nor video, but of this kind.
    NotMedia(Kind),
    /// Its name, or that of its folder, begins with a dot.
    Hidden,
    /// A system file: `Thumbs.db`, `.DS_Store`, `desktop.ini`, `._*`.
    SystemFile,
    /// In a folder for thumbnails of a network drive: `@eaDir`, `.@__thumb`.
    DriveThumbnail,
    /// In a folder of deleted files: `#recycle`, `.Trash-1000`, `$RECYCLE.BIN`.
    Deleted,
    /// In `__MACOSX`, which macOS adds to archives.
    ArchiveLeftover,
    /// In this project's own folder.
    ThisProject,
    /// In another Salamander project, and not one of its frames.
    OtherProject,
    /// A link to a folder that was already searched.
    FolderTwice,
    /// A pipe, a socket, a device.
    Special,
}

impl Reason {
    /// A word for programs: `not_media`, `hidden`.
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

    /// A description in the plural, to follow a number: "12 thumbnails of a network drive".
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::NotMedia(kind) => format!("neither image nor video: {kind}"),
            Self::Hidden => "hidden (the name begins with a dot)".to_owned(),
            Self::SystemFile => "system files, such as Thumbs.db".to_owned(),
            Self::DriveThumbnail => "thumbnails made by a network drive".to_owned(),
            Self::Deleted => "in a trash folder".to_owned(),
            Self::ArchiveLeftover => "leftovers of an archive (__MACOSX)".to_owned(),
            Self::ThisProject => "this project's own files".to_owned(),
            Self::OtherProject => "other files of a Salamander project".to_owned(),
            Self::FolderTwice => "links to folders that were already searched".to_owned(),
            Self::Special => "pipes, sockets or devices".to_owned(),
        }
    }
}

/// The number of files with each result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// All files.
    pub files: u64,
    /// Files that the project has now and had not before.
    pub imported: u64,
    /// Files that the project already had.
    pub known: u64,
    /// Files under another class than this import would have assigned: known ones that are not in the trash, and
    /// videos with new frames.
    pub conflicts: u64,
    /// Files that were moved from another class to the requested one.
    pub moved: u64,
    /// Known files that are in the trash.
    pub trashed: u64,
    /// Files ignored on purpose.
    pub passed_over: u64,
    /// Unusable files.
    pub failed: u64,
    /// Videos among the imported files.
    pub videos: u64,
    /// Images among the imported files.
    pub images: u64,
    /// Frames written: those of videos, and one for each image.
    pub frames: u64,
    /// Frames of an earlier sampling that were moved to the trash.
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

    /// The number of files ignored for each reason, the most frequent first.
    #[must_use]
    pub fn passed_over(&self) -> Vec<(Reason, u64)> {
        passed_over(&self.files)
    }

    /// Whether nothing was imported, now or before: the paths contain nothing usable.
    #[must_use]
    pub fn is_empty_handed(&self) -> bool {
        self.files
            .iter()
            .all(|file| matches!(file.fate, Fate::PassedOver(_) | Fate::Failed(_)))
            && self.classes.is_empty()
    }
}

/// How many of the files were ignored for each reason, the most frequent reason first.
#[must_use]
pub fn passed_over(files: &[FileReport]) -> Vec<(Reason, u64)> {
    let mut counts: Vec<(Reason, u64)> = Vec::new();
    for file in files {
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

impl Fate {
    /// A word for programs: `imported`, `known`, `passed_over`, `failed`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Imported { .. } => "imported",
            Self::Known(_) => "known",
            Self::PassedOver(_) => "passed_over",
            Self::Failed(_) => "failed",
        }
    }

    /// A description of the result, without the file's name.
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
    /// Whether it is under another class than requested. A file in the trash is under none.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.asked.is_some() && !self.moved && !self.trashed
    }

    /// A description of where it is, and of the consequence of a conflict.
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
