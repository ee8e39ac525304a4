//! Imports videos and images into a project, for the window and the command line.
//!
//! `walk` finds every file in the given paths, [`crate::kind::Kind`] detects what each is, and `layout` interprets
//! their folders; together they make the [`ImportPlan`] (`plan`), which writes nothing. [`import_planned`] then
//! imports the videos (`films`) and the images (`photos`). The [`ImportOutcome`] has one report for each file.

mod at_once;
mod films;
mod gather;
mod layout;
mod origin;
mod outcome;
mod photos;
mod plan;
mod sides;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::files::FileError;
use crate::jobs::Work;
use crate::project::{
    ClassName, ImportRecord, Label, Project, ProjectError, Sampling, Source, SourceId,
    WrittenSource,
};

use super::known::{self, Place};
use super::{MediaError, try_again};

pub use gather::gather;
pub use origin::{Decoded, FilmFacts, FrameReader, MediaOrigin, Photo};
pub use outcome::{Fate, FileReport, ImportOutcome, Known, Reason, Totals, passed_over};
pub use plan::{ImportPlan, PlanGroup, PlannedFile, plan};

use sides::{Sides, forget_sides};

/// The most warnings about single files; further ones are counted, and are in the outcome.
const MAX_WARNINGS: usize = 40;

/// The most frames of new sources that are recorded by name; the record is written to `project.json` during an undo.
const MAX_RECORDED: usize = 2000;

/// The reason why a file is not moved to its class.
const COPY_CAME_FIRST: &str =
    "it is a copy of an earlier file of this import, which determines the class";

/// How the class of a new source is determined.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClassFrom {
    /// Frames stay unsorted.
    #[default]
    Nothing,
    /// By the folders, considered as a whole; see [`ImportPlan`].
    Folder,
    /// The file's name without extension and trailing number (`cat-3.mp4` is `cat`).
    File,
    /// This class.
    Chosen(ClassName),
}

/// Whether videos are extracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Videos {
    /// Extract them.
    #[default]
    Extract,
    /// Only add them as sources; [`super::extract()`] writes their frames later.
    AddOnly,
}

/// The action for a file that the project has under another class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// Keep its class.
    #[default]
    Leave,
    /// Move it to the new class.
    Move,
}

/// The settings of an import.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option")]
pub struct ImportOptions {
    /// How classes are determined.
    pub class_from: ClassFrom,
    /// How videos are sampled.
    pub sampling: Sampling,
    /// Whether videos are extracted.
    pub videos: Videos,
    /// The action for files that exist under another class.
    pub on_conflict: OnConflict,
    /// Whether the frames of an existing video with another rate or width are replaced; otherwise it is left
    /// unchanged.
    pub replace: bool,
    /// Whether frames that are added to those of a video, also with another rate or width, get the class on which
    /// their neighbours in time agree ([`crate::project::Neighbour::Agreeing`]).
    pub like_neighbours: bool,
    /// Whether a given split (folders `train`, `val`, `test`) is ignored, so that files are split like all others.
    /// Sources that already have a side keep it.
    pub ignore_split: bool,
    /// Whether any number of frames is written. Otherwise an import that would write very many, or more than the disk
    /// has room for, ends before it writes any ([`crate::media::Amount::is_much`]).
    pub force: bool,
}

/// Removes a trailing number: `cat-3` and `cat (12)` become `cat`; a name that is only a number stays.
fn without_number(stem: &str) -> String {
    let open = stem.trim_end_matches([')', ']']);
    let bare = open.trim_end_matches(|c: char| c.is_ascii_digit());
    let bare = if bare.len() < open.len() {
        bare.trim_end_matches(|c: char| c.is_whitespace() || "-_.#([".contains(c))
    } else {
        stem
    };
    if bare.is_empty() { stem } else { bare }.to_owned()
}

/// Imports everything in `paths`: [`plan()`], then [`import_planned`].
pub fn import(
    project: &Project,
    paths: &[PathBuf],
    options: &ImportOptions,
    work: &Work,
) -> Result<ImportOutcome, MediaError> {
    let plan = plan(project, paths, options, work)?;
    let mut outcome = ImportOutcome::default();
    import_planned(project, plan, options, &Decoded, work, &mut outcome)?;
    Ok(outcome)
}

/// Executes a plan with the files from `origin`, and adds a report for each file to `outcome`. An unusable file is
/// reported and does not stop the others; a full disk, an error of the project or a cancellation ends the import with
/// an error. Files written before that stay and are in `outcome`, so that they can be undone.
pub fn import_planned(
    project: &Project,
    plan: ImportPlan,
    options: &ImportOptions,
    origin: &dyn MediaOrigin,
    work: &Work,
    outcome: &mut ImportOutcome,
) -> Result<(), MediaError> {
    let ImportPlan {
        mut groups,
        empty_classes,
        notes,
        reports,
    } = plan;
    project.check_writable()?;
    for file in groups.iter().flat_map(|group| &group.files) {
        // The user may have repaired the file, or updated the decoder.
        try_again(Some(&file.path));
    }
    outcome.notes.extend(notes);
    if options.ignore_split && forget_sides(&mut groups) {
        outcome.notes.push(
            "The split into train, validation and test folders is ignored: new files are split like all others."
                .to_owned(),
        );
    }
    let known = known::Known::of(project, work)?;
    let mut import = Importing {
        project,
        options,
        origin,
        work,
        known,
        sides: Sides::of(project.sources().into_iter()),
        placed_films: HashSet::new(),
        placed_images: HashSet::new(),
        written: HashMap::new(),
        refused: HashMap::new(),
        warnings: 0,
        outcome,
    };
    for report in reports {
        import.report(report);
    }
    let end = import.everything(&groups, &empty_classes);
    if end.is_ok() {
        import.say_sides(&groups);
    }
    import.end();
    project.blame(end)
}

/// The state of an import.
struct Importing<'a> {
    project: &'a Project,
    options: &'a ImportOptions,
    /// The origin of films and photos.
    origin: &'a dyn MediaOrigin,
    work: &'a Work,
    known: known::Known<'a>,
    /// The sides of a split that files and sources were given with.
    sides: Sides,
    /// Films that this import puts into a class: copies of them are conflicts.
    placed_films: HashSet<SourceId>,
    /// The same for images, by their paths in the project.
    placed_images: HashSet<String>,
    /// Frames that this import has written for new sources.
    written: HashMap<SourceId, Vec<String>>,
    /// Classes that cannot be created, with the reason.
    refused: HashMap<ClassName, String>,
    /// The number of warnings so far.
    warnings: usize,
    outcome: &'a mut ImportOutcome,
}

impl Importing<'_> {
    fn everything(
        &mut self,
        groups: &[PlanGroup],
        empty_classes: &[ClassName],
    ) -> Result<(), MediaError> {
        for group in groups {
            if let Some(refused) = &group.refused {
                self.refuse_group(group, refused);
            }
        }
        let usable = || groups.iter().filter(|group| group.refused.is_none());
        self.films(usable())?;
        self.photos(usable())?;
        self.give_sides()?;
        for class in empty_classes {
            if let Some(refused) = self.make_class(class)? {
                self.outcome.notes.push(refused);
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        let recorded: usize = self.written.values().map(Vec::len).sum();
        if recorded <= MAX_RECORDED {
            let written = std::mem::take(&mut self.written).into_iter();
            let written = written.filter_map(|(id, frames)| {
                let source = self.project.source(&id)?;
                Some(WrittenSource { source, frames })
            });
            self.outcome.record.written.extend(written);
        }
        self.outcome.files.sort_by(|a, b| a.path.cmp(&b.path));
        if let Some(more @ 1..) = self.warnings.checked_sub(MAX_WARNINGS) {
            self.work.warn(format!(
                "{more} more files were left out or are already in the project."
            ));
        }
    }

    /// Records the result of a file, and warns of what the user should know at once.
    fn report(&mut self, report: FileReport) {
        let name = report.path.display();
        let warning = match &report.fate {
            Fate::Failed(sentence) => Some(sentence.clone()),
            Fate::Known(known) if known.asked.is_some() || known.note.is_some() => Some(format!(
                "“{name}” is already in the project: {}",
                known.text()
            )),
            Fate::Imported { asked: Some(_), .. } => Some(format!(
                "“{name}” was already in the project: {}",
                report.fate.text()
            )),
            _ => None,
        };
        if let Some(warning) = warning {
            self.warn(warning);
        }
        self.outcome.files.push(report);
    }

    fn warn(&mut self, warning: String) {
        self.warnings += 1;
        if self.warnings <= MAX_WARNINGS {
            self.work.warn(warning);
        }
    }

    /// Adds notes to the reports of files that already existed, and warns of them.
    fn add_notes(&mut self, mut notes: HashMap<PathBuf, String>) {
        let mut warnings = Vec::new();
        for report in &mut self.outcome.files {
            let Fate::Known(known) = &mut report.fate else {
                continue;
            };
            let Some(note) = notes.remove(&report.path) else {
                continue;
            };
            known.note = Some(match known.note.take() {
                Some(before) => format!("{before}; {note}"),
                None => note,
            });
            // A conflict was already warned of.
            if known.asked.is_none() {
                let name = report.path.display();
                warnings.push(format!(
                    "“{name}” is already in the project: {}",
                    known.text()
                ));
            }
        }
        for warning in warnings {
            self.warn(warning);
        }
    }

    fn fail(&mut self, file: &PlannedFile, sentence: String) {
        self.report(FileReport {
            path: file.path.clone(),
            kind: Some(file.kind),
            fate: Fate::Failed(sentence),
        });
    }

    /// Reports an unusable file; returns errors that are not the file's fault.
    fn fail_with(&mut self, file: &PlannedFile, error: MediaError) -> Result<(), MediaError> {
        let error = match error {
            MediaError::Project(ProjectError::File(FileError { path, error, .. }))
                if path == file.path =>
            {
                MediaError::read(&path, error)
            }
            other => other,
        };
        match error {
            MediaError::Io { .. }
            | MediaError::Unusable { .. }
            | MediaError::SetAside { .. }
            | MediaError::Ffmpeg(_) => {
                self.fail(file, error.to_string());
                Ok(())
            }
            other => Err(other),
        }
    }

    /// No class can have the folder's name: one warning, and a report for each of its files.
    fn refuse_group(&mut self, group: &PlanGroup, refused: &str) {
        let name = group
            .folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let sentence = format!("“{name}” was left out: {refused}");
        self.work.warn(sentence.clone());
        for file in &group.files {
            self.outcome.files.push(FileReport {
                path: file.path.clone(),
                kind: Some(file.kind),
                fate: Fate::Failed(sentence.clone()),
            });
        }
    }

    /// Creates the class unless it exists; returns the reason if that is impossible.
    fn make_class(&mut self, class: &ClassName) -> Result<Option<String>, MediaError> {
        if self
            .project
            .classes()
            .iter()
            .any(|known| known.name == *class)
        {
            return Ok(None);
        }
        if let Some(refused) = self.refused.get(class) {
            return Ok(Some(refused.clone()));
        }
        match self.project.add_class(class) {
            Ok(()) => {
                self.outcome.classes.push(class.clone());
                self.outcome.record.classes.push(class.clone());
                Ok(None)
            }
            Err(error @ (ProjectError::BadClassName { .. } | ProjectError::ClassClash { .. })) => {
                let refused = format!("the class “{class}” could not be created: {error}");
                self.work.warn(refused.clone());
                self.refused.insert(class.clone(), refused.clone());
                Ok(Some(refused))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Creates the class of a file; if that is impossible, reports the file as failed and returns `false`.
    fn has_class(
        &mut self,
        class: Option<&ClassName>,
        file: &PlannedFile,
    ) -> Result<bool, MediaError> {
        let Some(class) = class else {
            return Ok(true);
        };
        let Some(refused) = self.make_class(class)? else {
            return Ok(true);
        };
        // The warning was given once for the class.
        self.outcome.files.push(FileReport {
            path: file.path.clone(),
            kind: Some(file.kind),
            fate: Fate::Failed(refused),
        });
        Ok(false)
    }

    /// The class that was requested for a file, if it has another.
    fn other_class(asked: Option<&ClassName>, label: &Label) -> Option<ClassName> {
        asked.filter(|class| label.class() != Some(class)).cloned()
    }

    /// Records the state of a source before this import changes it.
    fn remember(&mut self, before: &Source) {
        let record = &mut self.outcome.record;
        let is_new = record.sources.contains(&before.id);
        if !is_new && record.changed.iter().all(|source| source.id != before.id) {
            record.changed.push(before.clone());
        }
    }

    /// Removes a class that this import has created and that turned out not to be needed.
    fn drop_class(&mut self, class: &ClassName) -> Result<(), MediaError> {
        let record: &mut ImportRecord = &mut self.outcome.record;
        if record.classes.contains(class) && self.project.remove_empty_class(class)? {
            record.classes.retain(|made| made != class);
            self.outcome.classes.retain(|made| made != class);
        }
        Ok(())
    }
}

/// The report of an image or frame that exists at `place`.
fn known_at(place: Place, asked: Option<ClassName>) -> Known {
    Known {
        label: place.label,
        source: place.source,
        place: place.path,
        trashed: place.trashed,
        asked,
        moved: false,
        note: None,
    }
}

/// A file's name for messages.
fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
