//! Importing files and folders: a thin layer over [`crate::media::import_planned`].

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::FateFilter;
use super::ask::asks;
use super::names::distinct_names;
use crate::app::notes::Tone;
use crate::app::{Action, App, Dialog, Lane, Workspace, words};
use crate::jobs::{JobError, Work};
use crate::media::{
    self, ClassFrom, Fate, ImportOptions, ImportOutcome, ImportPlan, MediaError, Totals, Videos,
};
use crate::project::{
    Change, ChangeText, History, Label, Project, ProjectError, SourceId, UndoStep,
};

/// The result of adding files, and what can be undone now.
pub(super) struct Added {
    pub outcome: ImportOutcome,
    /// A name for each file.
    names: Vec<String>,
    /// Why it ended early.
    error: Option<MediaError>,
    undo_text: Option<UndoStep>,
    redo_text: Option<ChangeText>,
}

/// The result of planning an import.
enum Planned {
    /// The user must answer a question.
    Asks(ImportPlan, ImportOptions),
    /// It is done.
    Added(Box<Added>),
}

impl App {
    /// Imports files and folders: videos become sources, images are copied.
    pub(in crate::app) fn add_paths(&mut self, paths: Vec<PathBuf>) {
        let Some(session) = &self.session else {
            // The folder of a project is opened; anything else needs an open project.
            if let [path] = paths.as_slice()
                && path.is_dir()
                && path.join("project.json").is_file()
            {
                self.open_project(path.clone(), Vec::new());
            } else {
                self.ask_new_project(paths);
            }
            return;
        };
        let class_from = session.import.class_rule.class_from();
        let paths = self.take_parts(paths);
        if !paths.is_empty() {
            self.add_with(paths, class_from);
        }
    }

    /// Imports files and folders that all get this label.
    pub(in crate::app) fn add_paths_to(&mut self, paths: Vec<PathBuf>, label: Label) {
        let paths = self.take_parts(paths);
        let class_from = match label {
            Label::Class(class) => ClassFrom::Chosen(class),
            Label::Unsorted => ClassFrom::Nothing,
        };
        if !paths.is_empty() {
            self.add_with(paths, class_from);
        }
    }

    fn add_with(&mut self, paths: Vec<PathBuf>, class_from: ClassFrom) {
        let Some(session) = &self.session else {
            return;
        };
        if !session.can_change() {
            self.may_change();
            return;
        }
        let project = Arc::clone(&session.project);
        let history = session.edits.history();
        let options = ImportOptions {
            class_from,
            sampling: session.import.sampling,
            videos: Videos::AddOnly,
            ..ImportOptions::default()
        };
        self.workspace = Workspace::Import;
        self.tasks.start(
            Lane::Free,
            "Adding files",
            false,
            move |work| {
                let plan = media::plan(&project, &paths, &options, work)?;
                if asks(&plan) {
                    return Ok(Planned::Asks(plan, options));
                }
                let added = add(&project, plan, &options, &history, work)?;
                Ok::<_, MediaError>(Planned::Added(Box::new(added)))
            },
            |app, result| {
                match result {
                    Ok(Planned::Asks(plan, options)) => app.ask_about_plan(plan, options),
                    Ok(Planned::Added(added)) => app.added(*added),
                    Err(JobError::Cancelled) => {}
                    Err(error) => {
                        app.fail(error.to_string());
                    }
                }
                app.refresh();
            },
        );
    }

    /// Executes a plan.
    pub(super) fn import_planned(&mut self, plan: ImportPlan, options: ImportOptions) {
        let Some(session) = &self.session else {
            return;
        };
        let project = Arc::clone(&session.project);
        let history = session.edits.history();
        self.tasks.start(
            Lane::Free,
            "Adding files",
            false,
            move |work| add(&project, plan, &options, &history, work),
            |app, result| {
                match result {
                    Ok(added) => app.added(added),
                    Err(JobError::Cancelled) => {}
                    Err(error) => {
                        app.fail(error.to_string());
                    }
                }
                app.refresh();
            },
        );
    }

    /// Shows the report of the last import.
    pub(in crate::app) fn show_last_import(&mut self) {
        let session = self.session.as_ref();
        let outcome = session.and_then(|session| session.import.outcome.as_ref());
        if let Some(totals) = outcome.map(|outcome| outcome.totals()) {
            self.dialog = Some(report(&totals));
        }
    }

    /// Applies the result of an import, and reports it.
    fn added(&mut self, added: Added) {
        let (tone, text) = message(&added.outcome.totals());
        self.added_and_said(added, tone, text, Vec::new());
    }

    /// Applies the result of an import, and reports it in these words, with these lines before the details.
    pub(super) fn added_and_said(
        &mut self,
        added: Added,
        tone: Tone,
        text: String,
        mut lines: Vec<String>,
    ) {
        let totals = added.outcome.totals();
        let first = first_new(&added.outcome);
        let outcome = Arc::new(added.outcome);
        if let Some(session) = &mut self.session {
            if let Some(first) = first {
                session.import.added = (session.import.added.0 + 1, Some(first));
            }
            session.import.outcome = Some(Arc::clone(&outcome));
            session.import.names = Arc::new(added.names);
            session.edits.set_texts(added.undo_text, added.redo_text);
        }
        match added.error {
            None | Some(MediaError::Cancelled(_)) => {}
            Some(error) => {
                self.fail(error.to_string());
            }
        }
        lines.extend(details(&outcome));
        let note = self.notes.add(tone, text);
        note.details = lines;
        if totals.files > 0 {
            note.remedy = Some(("Details…".to_owned(), Action::Open(report(&totals))));
        }
    }
}

/// The report of an import, with the filter for the most important results.
fn report(totals: &Totals) -> Dialog {
    Dialog::ImportReport {
        filter: if totals.failed > 0 {
            Some(FateFilter::Failed)
        } else if totals.conflicts > 0 {
            Some(FateFilter::Known)
        } else {
            None
        },
        text: String::new(),
    }
}

/// The first new source of an import.
fn first_new(outcome: &ImportOutcome) -> Option<SourceId> {
    let new = &outcome.record.sources;
    outcome.files.iter().find_map(|file| match &file.fate {
        Fate::Imported {
            source,
            place: None,
            ..
        } if new.contains(source) => Some(source.clone()),
        _ => None,
    })
}

/// The number of new files: `12 videos`, `3 photos`.
pub(super) fn new_files(totals: &Totals) -> Vec<String> {
    let mut new = Vec::new();
    if totals.videos > 0 {
        new.push(words::count(totals.videos, "video"));
    }
    if totals.images > 0 {
        new.push(words::count(totals.images, "photo"));
    }
    new
}

/// One sentence about an import.
fn message(totals: &Totals) -> (Tone, String) {
    let new = new_files(totals);
    let mut rest = Vec::new();
    if totals.known > 0 {
        rest.push(format!("{} already there", totals.known));
    }
    if totals.conflicts > 0 {
        rest.push(format!("{} of them in another class", totals.conflicts));
    }
    if totals.moved > 0 {
        rest.push(format!("{} of them moved", totals.moved));
    }
    if totals.trashed > 0 {
        rest.push(format!("{} of them in the trash", totals.trashed));
    }
    if totals.passed_over > 0 {
        rest.push(format!("{} skipped", totals.passed_over));
    }
    if totals.failed > 0 {
        rest.push(format!("{} could not be used", totals.failed));
    }
    let tone = if totals.failed > 0 {
        Tone::Error
    } else if totals.conflicts > 0 || (new.is_empty() && totals.known == 0) {
        Tone::Warning
    } else if new.is_empty() {
        Tone::Info
    } else {
        Tone::Done
    };
    let text = match (new.is_empty(), rest.is_empty()) {
        (false, true) => format!("Added {}", new.join(" and ")),
        (false, false) => format!("Added {}; {}", new.join(" and "), rest.join(", ")),
        (true, false) => format!("Nothing new: {}", rest.join(", ")),
        (true, true) => "Nothing to import: no videos or photos were found".to_owned(),
    };
    (tone, text)
}

/// The details of the notification about an import.
fn details(outcome: &ImportOutcome) -> Vec<String> {
    const SHOWN: usize = 200;
    let mut details = outcome.notes.clone();
    for (reason, count) in outcome.passed_over() {
        details.push(format!("Skipped: {count} {}", reason.text()));
    }
    let sentences = outcome.files.iter().filter_map(|file| match &file.fate {
        Fate::Failed(sentence) => Some(sentence.clone()),
        Fate::Known(known) if known.asked.is_some() || known.note.is_some() => {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            Some(format!(
                "“{name}” is already in the project: {}",
                known.text()
            ))
        }
        _ => None,
    });
    details.extend(sentences.take(SHOWN));
    details
}

fn add(
    project: &Project,
    plan: ImportPlan,
    options: &ImportOptions,
    history: &Mutex<History>,
    work: &Work,
) -> Result<Added, MediaError> {
    let mut outcome = ImportOutcome::default();
    let end = media::import_planned(project, plan, options, &media::Decoded, work, &mut outcome);
    // The outcome includes the warnings.
    drop(work.take_warnings());
    let mut added = remembered(project, outcome, history, work)?;
    added.error = end.err();
    Ok(added)
}

/// Makes an import undoable.
pub(super) fn remembered(
    project: &Project,
    outcome: ImportOutcome,
    history: &Mutex<History>,
    work: &Work,
) -> Result<Added, ProjectError> {
    let (undo_text, redo_text) = remember(project, &outcome, 0, history, work)?;
    let names = distinct_names(outcome.files.iter().map(|file| file.path.as_path()));
    Ok(Added {
        outcome,
        names,
        error: None,
        undo_text,
        redo_text,
    })
}

/// Makes an import undoable, or the adoption of this many `predictions`; returns what can be undone and redone now.
pub(super) fn remember(
    project: &Project,
    outcome: &ImportOutcome,
    predictions: usize,
    history: &Mutex<History>,
    work: &Work,
) -> Result<(Option<UndoStep>, Option<ChangeText>), ProjectError> {
    let mut history = history.lock();
    let change = Change::Import {
        record: Box::new(outcome.record.clone()),
        files: outcome.totals().imported,
        predictions,
        undone: None,
    };
    history.apply(project, change, work)?;
    Ok((history.undo_step(), history.redo_text()))
}
