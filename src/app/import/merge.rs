//! Merging parts from other computers: a thin layer over [`crate::shards::merge_into`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ImportAction;
use super::add::{Added, new_files, remembered};
use crate::app::notes::Tone;
use crate::app::{Action, App, Lane, Workspace, words};
use crate::jobs::JobError;
use crate::media::Totals;
use crate::project::{ImportRecord, ProjectError};
use crate::shards::{self, Merged, ShardError};

/// The result of merging; what was added before an error stays and can be undone.
struct Done {
    added: Added,
    merged: Merged,
    end: Result<(), ShardError>,
    cancelled: bool,
}

impl App {
    /// Merges the paths that are parts into the open project; returns the others.
    pub(in crate::app) fn take_parts(&mut self, paths: Vec<PathBuf>) -> Vec<PathBuf> {
        if self.session.is_none() {
            return paths;
        }
        let mut dirs: Vec<PathBuf> = Vec::new();
        let mut others = Vec::new();
        for path in paths {
            match shards::parts_at(&path).map(Path::to_owned) {
                Some(dir) if dirs.contains(&dir) => {}
                Some(dir) => dirs.push(dir),
                None => others.push(path),
            }
        }
        if !dirs.is_empty() {
            self.merge_parts(dirs, false);
        }
        others
    }

    /// Merges folders of parts into the open project.
    pub(super) fn merge_parts(&mut self, dirs: Vec<PathBuf>, force: bool) {
        if !self.may_change() {
            return;
        }
        let Some(session) = &self.session else {
            return;
        };
        let project = Arc::clone(&session.project);
        let history = session.edits.history();
        let again = dirs.clone();
        self.workspace = if dirs.iter().any(|dir| shards::holds_trainings(dir)) {
            Workspace::Train
        } else {
            Workspace::Import
        };
        self.tasks.start(
            Lane::Extract,
            "Merging parts",
            false,
            move |work| {
                let mut merged = Merged::default();
                let end = shards::merge_into(&project, &dirs, force, work, &mut merged);
                // The result includes the warnings about parts and files.
                drop(work.take_warnings());
                let outcome = std::mem::take(&mut merged.outcome);
                let added = remembered(&project, outcome, &history, work)?;
                Ok::<_, ProjectError>(Done {
                    added,
                    merged,
                    end,
                    cancelled: work.is_cancelled(),
                })
            },
            move |app, result| {
                match result {
                    Ok(done) => app.merged(done, again),
                    Err(JobError::Cancelled) => {}
                    Err(error) => {
                        app.fail(error.to_string());
                    }
                }
                app.refresh();
            },
        );
    }

    fn merged(&mut self, done: Done, dirs: Vec<PathBuf>) {
        let Done {
            added,
            merged,
            end,
            cancelled,
        } = done;
        // Frames of a film that was being merged exist, although nothing was reported about it.
        let came_in = added.outcome.record != ImportRecord::default() || !merged.runs.is_empty();
        if !merged.runs.is_empty() {
            self.load_runs();
        }
        if cancelled {
            if came_in {
                let text = "Merging was cancelled. Merged parts are kept; merge again for the rest";
                self.report_merged(added, merged, Tone::Info, text.to_owned());
            }
            return;
        }
        if let Err(error) = end {
            let lacks_room = matches!(error, ShardError::Room { .. });
            let note = self.fail(error.to_string());
            if lacks_room {
                let again = Action::Import(ImportAction::Merge(dirs, true));
                note.remedy = Some(("Merge anyway".to_owned(), again));
            }
            if !came_in {
                return;
            }
        }
        let (tone, text) = message(&merged, &added.outcome.totals());
        self.report_merged(added, merged, tone, text);
    }

    /// Reports what was merged. Merging trainings is not an import, so the report of the last import stays.
    fn report_merged(&mut self, added: Added, merged: Merged, tone: Tone, text: String) {
        if merged.sweep.is_some() {
            self.notes.add(tone, text).details = [merged.failed, merged.damaged].concat();
        } else {
            self.added_and_said(added, tone, text, merged.damaged);
        }
    }
}

/// What was added: `12 videos, 219 frames`.
fn added_words(totals: &Totals) -> String {
    let mut new = new_files(totals);
    let frames = totals.frames - totals.images.min(totals.frames);
    if frames > 0 {
        new.push(words::frames(frames as usize));
    }
    if new.is_empty() {
        "nothing new".to_owned()
    } else {
        new.join(", ")
    }
}

/// What was merged, and which parts are missing.
fn message(merged: &Merged, totals: &Totals) -> (Tone, String) {
    let number = words::number(merged.parts as u64);
    let mut text = if let Some(sweep) = &merged.sweep {
        let trainings = words::count(merged.of as u64, "training");
        let runs = words::count(merged.runs.len() as u64, "new run");
        let failed = match merged.failed.len() as u64 {
            0 => String::new(),
            failed => {
                let failed = words::count(failed, "training");
                format!(", {failed} failed")
            }
        };
        format!("Merged {number} of {trainings} into the sweep {sweep}: {runs}{failed}")
    } else {
        let parts = words::count(merged.of as u64, "part");
        format!("Merged {number} of {parts}: {}", added_words(totals))
    };
    if totals.failed > 0 {
        let files = words::count(totals.failed, "file");
        text = format!("{text}; {files} could not be used");
    }
    let missing = merged.sentence();
    let tone = if totals.failed > 0 {
        Tone::Error
    } else if missing.is_some() || !merged.failed.is_empty() {
        Tone::Warning
    } else {
        Tone::Done
    };
    if let Some(sentence) = missing {
        text = format!("{text}. {sentence}");
    }
    (tone, text)
}
