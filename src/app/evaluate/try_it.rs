//! *Try it*: predictions on files outside the project, and the film that is played with them.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use egui::{TextureHandle, TextureOptions};
use parking_lot::{Mutex, MutexGuard};

use super::player::WantedHeat;
use crate::app::images::{color_image, fit};
use crate::app::{App, HeatClass, Lane, Player, Tone, Workspace};
use crate::evaluate::{EvaluateError, FileImage, Prediction, Predictor, Timelines};
use crate::jobs::{JobError, Work};
use crate::project::Sampling;
use crate::train::{Run, RunClasses};

/// The most predictions that are kept: the thumbnails of a long film would fill the memory.
const MOST_PREDICTIONS: usize = 300;
/// Longest side of a prediction's thumbnail, pixels.
const THUMB_PX: u32 = 240;

/// An image outside the project, and its prediction.
pub struct FilePrediction {
    /// The file.
    pub path: PathBuf,
    /// The file's name.
    pub name: String,
    /// Seconds from the start of the video; `None` for a photo.
    pub time_secs: Option<f64>,
    /// The classes, most probable first.
    pub prediction: Prediction,
    /// The image.
    pub texture: TextureHandle,
}

/// Predictions on files, as they arrive.
#[derive(Clone, Default)]
pub struct FilePredictions(Arc<Mutex<Predictions>>);

#[derive(Default)]
struct Predictions {
    list: Vec<Arc<FilePrediction>>,
    timelines: Arc<Timelines>,
    images: u64,
    unknown_below: Option<f32>,
}

impl FilePredictions {
    fn predictions(&self) -> MutexGuard<'_, Predictions> {
        self.0.lock()
    }

    /// The first predictions so far, at most [`MOST_PREDICTIONS`].
    #[must_use]
    pub fn list(&self) -> Vec<Arc<FilePrediction>> {
        self.predictions().list.clone()
    }

    /// All of them, by file.
    #[must_use]
    pub fn timelines(&self) -> Arc<Timelines> {
        Arc::clone(&self.predictions().timelines)
    }

    /// Changes with the predictions.
    #[must_use]
    pub fn version(&self) -> (usize, u64) {
        (Arc::as_ptr(&self.0).addr(), self.predictions().images)
    }

    /// The highest probability below which an image counts as unknown.
    #[must_use]
    pub fn unknown_below(&self) -> Option<f32> {
        self.predictions().unknown_below
    }

    fn begin(&self, predictor: &Predictor) {
        let mut predictions = self.predictions();
        predictions.timelines = Arc::new(Timelines::new(predictor.classes()));
        predictions.unknown_below = predictor.unknown_below;
    }

    /// Adds a prediction; returns whether its thumbnail is kept.
    fn push(&self, found: &FileImage<'_>) -> bool {
        let mut predictions = self.predictions();
        Arc::make_mut(&mut predictions.timelines).push(found);
        predictions.images += 1;
        predictions.list.len() < MOST_PREDICTIONS
    }

    fn show(&self, prediction: FilePrediction) {
        self.predictions().list.push(Arc::new(prediction));
    }
}

impl App {
    /// Shows the file of a prediction.
    pub(in crate::app) fn show_file(&mut self, place: usize) {
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.evaluate;
        state.file = place;
        let list = state.files.list();
        let Some(file) = list.get(place) else { return };
        let Some(secs) = file.time_secs else {
            state.player = None;
            return;
        };
        if let Some(player) = state.player.as_ref().filter(|open| open.path == file.path) {
            player.seek(secs);
            return;
        }
        state.player = None;
        let Some(entry) = state.run.as_ref().and_then(|id| session.train.run(id)) else {
            return;
        };
        let of = (&session.project, &entry.run);
        let player = Player::new(&self.ctx, of, &file.path, secs);
        session.evaluate.player = Some(player);
    }

    /// Plays the film as the user asked; closes it when its page is closed.
    pub(in crate::app) fn follow_player(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.evaluate;
        if self.workspace != Workspace::Evaluate || !state.shows_files {
            state.player = None;
        }
        if let Some(player) = &mut state.player {
            player.follow();
            player.want_heat(match (state.heat, state.heat_class) {
                (false, _) => WantedHeat::No,
                (true, HeatClass::Of(class)) => WantedHeat::Of(class),
                (true, HeatClass::Predicted | HeatClass::Labelled) => WantedHeat::Predicted,
            });
        }
    }

    pub(in crate::app) fn save_timelines(&mut self, path: PathBuf) {
        let Some(session) = &self.session else { return };
        let timelines = session.evaluate.files.timelines();
        self.tasks.start(
            Lane::Free,
            "Writing probabilities",
            true,
            move |_| timelines.write_csv(&path, 0.0).map(|()| path),
            |app, result| match result {
                Ok(path) => {
                    let text = format!("Saved the probabilities to “{}”", path.display());
                    app.notes.add(Tone::Info, text);
                }
                Err(error) => {
                    app.fail(error.to_string());
                }
            },
        );
    }

    pub(in crate::app) fn predict_files(&mut self, paths: Vec<PathBuf>) {
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.evaluate;
        let Some(run) = state.run.as_ref().and_then(|id| session.train.run(id)) else {
            return;
        };
        let run = run.run.clone();
        if let Some(task) = state.predicting.take() {
            self.tasks.cancel(task);
        }
        state.shows_files = true;
        state.files = FilePredictions::default();
        state.files_selected.clear();
        state.files_added.clear();
        state.file = 0;
        state.player = None;
        let files = state.files.clone();
        let sampling = Sampling {
            from_secs: None,
            to_secs: None,
            ..session.import.sampling
        };
        let ctx = self.ctx.clone();
        let project = Arc::clone(&session.project);
        let task = self.tasks.start_as(
            Lane::Learn,
            "Predicting",
            false,
            move |work| {
                let classes = RunClasses::of(&project, &run);
                predict(&ctx, (&run, classes), &paths, &sampling, &files, work)
            },
            |app, task, result| {
                if let Some(session) = &mut app.session
                    && session.evaluate.predicting == Some(task)
                {
                    session.evaluate.predicting = None;
                }
                match result {
                    Ok(()) | Err(JobError::Cancelled) => {}
                    Err(error) => {
                        app.fail(error.to_string());
                    }
                }
            },
        );
        if let Some(session) = &mut self.session {
            session.evaluate.predicting = Some(task);
        }
    }
}

fn predict(
    ctx: &egui::Context,
    (run, classes): (&Run, RunClasses),
    paths: &[PathBuf],
    sampling: &Sampling,
    files: &FilePredictions,
    work: &Work,
) -> Result<(), EvaluateError> {
    work.stage("Loading the model", None);
    let mut predictor = Predictor::from_run(run, classes)?;
    files.begin(&predictor);
    let outcome = predictor.predict_files(paths, sampling, work, |found| {
        if files.push(&found) {
            let name = found.path.file_name().unwrap_or_default();
            let name = name.to_string_lossy().into_owned();
            let thumb = color_image(&fit(found.image, THUMB_PX));
            let texture = ctx.load_texture(&name, thumb, TextureOptions::LINEAR);
            files.show(FilePrediction {
                path: found.path.to_owned(),
                name,
                time_secs: found.time_secs,
                prediction: found.prediction,
                texture,
            });
        }
        work.wake();
        ControlFlow::Continue(())
    })?;
    if outcome.predictions > MOST_PREDICTIONS as u64 {
        work.warn(format!(
            "The list shows only the first {MOST_PREDICTIONS} images; predictions of whole videos, timelines and the CSV file cover all of them"
        ));
    }
    Ok(())
}
