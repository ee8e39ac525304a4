//! Saving the features of a run's images, for TensorBoard's projector.

use std::sync::Arc;

use super::ExportAction;
use crate::app::notes::Tone;
use crate::app::{Action, App, Lane, words};
use crate::evaluate::{EvaluateError, write_embedding};
use crate::jobs::JobError;
use crate::train::RunId;

impl App {
    /// Writes the embedding of a run into its folder, replacing an existing one.
    pub(in crate::app) fn save_embedding(&mut self, id: &RunId) {
        let Some(session) = &self.session else { return };
        let Some(entry) = session.train.run(id) else {
            return;
        };
        let run = entry.run.clone();
        let project = Arc::clone(&session.project);
        self.tasks.start(
            Lane::Learn,
            "Saving the embedding",
            false,
            move |work| {
                let written = write_embedding(&project, &run, work)?;
                Ok::<_, EvaluateError>((written, run.dir))
            },
            |app, result| match result {
                Ok((written, dir)) => {
                    let count = words::count(written.images as u64, "image");
                    let text = format!(
                        "Saved the embedding of {count}. To view it, run tensorboard --logdir “{}” and open Projector",
                        dir.display()
                    );
                    app.notes.add(Tone::Done, text).remedy = Some((
                        "Show its folder".to_owned(),
                        Action::Export(ExportAction::Reveal(dir)),
                    ));
                }
                Err(JobError::Cancelled) => {}
                Err(error) => {
                    app.fail(error.to_string());
                }
            },
        );
    }
}
