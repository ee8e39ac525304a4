//! Adding files that a model was tried on to the project, with the predicted or a chosen class.

use std::sync::Arc;

use super::add::remember;
use crate::app::notes::Tone;
use crate::app::{Action, App, Command, Lane, words};
use crate::jobs::JobError;
use crate::media::{self, Adopted, MediaError, Wanted};
use crate::project::{ChangeText, ClassName, Sampling, UndoStep};

/// The result, and what can be undone now.
struct Done {
    images: u64,
    videos: u64,
    labelled: usize,
    missing: usize,
    /// How it ended; what was added before an error stays and can be undone.
    end: Result<(), MediaError>,
    undo_text: Option<UndoStep>,
    redo_text: Option<ChangeText>,
}

impl App {
    /// Adds images of predicted files, by their indices in the list; `None` uses the predicted class of each.
    pub(in crate::app) fn adopt(&mut self, places: &[usize], class: Option<&ClassName>) {
        if !self.may_change() {
            return;
        }
        let Some(session) = &mut self.session else {
            return;
        };
        let list = session.evaluate.files.list();
        let wanted: Vec<Wanted> = places
            .iter()
            .filter_map(|place| {
                let found = list.get(*place)?;
                let predicted = || {
                    let top = found.prediction.top.first()?;
                    ClassName::new(&top.class).ok()
                };
                Some(Wanted {
                    path: found.path.clone(),
                    time_secs: found.time_secs,
                    class: class.cloned().or_else(predicted)?,
                })
            })
            .collect();
        if wanted.is_empty() {
            return;
        }
        session.evaluate.files_selected.clear();
        let added = places.to_vec();
        let of = session.evaluate.run.clone();
        // Sampled as for the prediction, so that the frames are the same.
        let sampling = Sampling {
            from_secs: None,
            to_secs: None,
            ..session.import.sampling
        };
        let project = Arc::clone(&session.project);
        let history = session.edits.history();
        self.tasks.start(
            Lane::Extract,
            "Adding to the project",
            false,
            move |work| {
                let mut adopted = Adopted::default();
                let end = media::adopt(&project, &wanted, &sampling, work, &mut adopted);
                let added = wanted.len().saturating_sub(adopted.missing);
                let texts = remember(&project, &adopted.outcome, added, &history, work)?;
                let totals = adopted.outcome.totals();
                Ok::<_, MediaError>(Done {
                    images: totals.images,
                    videos: totals.videos,
                    labelled: adopted.labelled,
                    missing: adopted.missing,
                    end,
                    undo_text: texts.0,
                    redo_text: texts.1,
                })
            },
            move |app, result| {
                match result {
                    Ok(done) => {
                        if let Some(session) = &mut app.session
                            && session.evaluate.run == of
                            && done.missing == 0
                            && done.end.is_ok()
                        {
                            session.evaluate.files_added.extend(added);
                        }
                        app.adopted(done);
                    }
                    Err(JobError::Cancelled) => {}
                    Err(error) => {
                        app.fail(error.to_string());
                    }
                }
                app.refresh();
            },
        );
    }

    fn adopted(&mut self, done: Done) {
        if let Some(session) = &mut self.session {
            session.edits.set_texts(done.undo_text, done.redo_text);
        }
        match done.end {
            Ok(()) => {}
            Err(MediaError::Cancelled(_)) => return,
            Err(error) => {
                self.fail(error.to_string());
                return;
            }
        }
        let mut parts = Vec::new();
        if done.images > 0 {
            parts.push(words::count(done.images, "image"));
        }
        if done.videos > 0 {
            parts.push(words::count(done.videos, "video"));
        }
        let mut text = if parts.is_empty() {
            "Nothing new was added".to_owned()
        } else {
            format!("Added {}", parts.join(" and "))
        };
        if done.labelled > 0 {
            let frames = words::frames(done.labelled);
            text = format!("{text}; {frames} labelled, the other frames of the video are unsorted");
        }
        if done.missing > 0 {
            let frames = words::frames(done.missing);
            text = format!(
                "{text}; {frames} not found, because the video was extracted with other settings"
            );
        }
        let tone = if done.missing > 0 {
            Tone::Warning
        } else {
            Tone::Done
        };
        let note = self.notes.add(tone, text);
        note.remedy = Some((
            "Show in Label".to_owned(),
            Action::Command(Command::GoLabel),
        ));
    }
}
