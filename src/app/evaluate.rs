//! The evaluate workspace's state: the run that is looked at, its predictions, and predictions on files.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use egui::{TextureHandle, TextureOptions};

use super::label::Pick;
use super::measure::{Measurement, Measurements};
use super::mend::Mended;
use super::pictures::{color_image, fit};
use super::player::WantedHeat;
use super::tasks::TaskId;
use super::train::TrainState;
use super::{App, HeatClass, Lane, Player, Tone, Workspace};
use crate::evaluate::{
    EvaluateError, Evaluation, Figures, FilePicture, FramePrediction, Prediction, Predictor,
    Timelines, evaluate,
};
use crate::jobs::{JobError, Work};
use crate::project::{ClassName, Label, Sampling, Split};
use crate::train::{Run, RunClasses, RunId, RunResult};

/// Predictions kept for one set of files; a long film would fill the memory with thumbnails.
const MOST_PREDICTIONS: usize = 300;
/// Longest side of a prediction's thumbnail, pixels.
const THUMB_PX: u32 = 240;

/// A picture that is not of the project, and what the model says of it.
pub struct FilePrediction {
    /// The file.
    pub path: PathBuf,
    /// The file's name.
    pub name: String,
    /// Seconds from the start of the video; `None` for a photo.
    pub time_secs: Option<f64>,
    /// The classes, most probable first.
    pub prediction: Prediction,
    /// The picture.
    pub texture: TextureHandle,
}

/// Predictions on files, as they come in.
#[derive(Clone, Default)]
pub struct FilePredictions(Arc<Mutex<Came>>);

#[derive(Default)]
struct Came {
    list: Vec<Arc<FilePrediction>>,
    timelines: Arc<Timelines>,
    images: u64,
    unknown_below: Option<f32>,
}

impl FilePredictions {
    fn came(&self) -> MutexGuard<'_, Came> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that are there, the first of very many.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<FilePrediction>> {
        self.came().list.clone()
    }

    /// All of them, file by file.
    #[must_use]
    pub fn timelines(&self) -> Arc<Timelines> {
        Arc::clone(&self.came().timelines)
    }

    /// Another one whenever there are other predictions.
    #[must_use]
    pub fn version(&self) -> (usize, u64) {
        (Arc::as_ptr(&self.0).addr(), self.came().images)
    }

    /// The highest probability below which the run takes an image for none of its classes.
    #[must_use]
    pub fn unknown_below(&self) -> Option<f32> {
        self.came().unknown_below
    }

    fn begin(&self, predictor: &Predictor) {
        let mut came = self.came();
        came.timelines = Arc::new(Timelines::new(predictor.classes()));
        came.unknown_below = predictor.unknown_below;
    }

    /// Takes in a prediction; whether its thumbnail is wanted too.
    fn push(&self, found: &FilePicture<'_>) -> bool {
        let mut came = self.came();
        Arc::make_mut(&mut came.timelines).push(found);
        came.images += 1;
        came.list.len() < MOST_PREDICTIONS
    }

    fn show(&self, prediction: FilePrediction) {
        self.came().list.push(Arc::new(prediction));
    }
}

/// The state of the evaluate workspace.
pub struct EvaluateState {
    /// The run that is looked at.
    pub run: Option<RunId>,
    /// Which side of its split.
    pub split: Split,
    /// Its predictions.
    pub evaluation: Option<Arc<Evaluation>>,
    /// Its figures, there whenever the predictions are.
    pub figures: Option<Arc<Figures>>,
    /// The run that it is compared with.
    pub other: Option<RunId>,
    /// What was measured of the run on request.
    pub measured: Measurements,
    /// Why there are none.
    pub error: Option<String>,
    /// The evaluation in progress.
    pub task: Option<TaskId>,
    /// Only mistakes of this cell (truth, predicted) are shown; on the diagonal, what was right.
    pub cell: Option<(usize, usize)>,
    /// The frame that is shown large: its place in the list that is shown.
    pub preview: Option<usize>,
    /// Whether the heat map lies over the frame that is shown large.
    pub heat: bool,
    /// The class that it is of.
    pub heat_class: HeatClass,
    /// Changes when what is known of the run's weights or classes is let go of.
    pub(super) generation: u64,
    /// The frames that are shown, by their places in the predictions.
    pub shown: Vec<usize>,
    /// The selected frames, by their places in the predictions.
    pub selection: HashSet<usize>,
    /// Where a range selection began: a place in the list that is shown.
    pub(super) anchor: Option<usize>,
    /// The frames that were moved since.
    pub(super) mended: Mended,
    /// Whether predictions on files are shown instead of the evaluation: keys act on what is shown.
    pub shows_files: bool,
    /// Predictions on files.
    pub files: FilePredictions,
    /// The selected ones of them, by their places in the list.
    pub files_selected: HashSet<usize>,
    /// Those that were added to the project, by their places in the list.
    pub files_added: HashSet<usize>,
    /// The prediction on a file that is looked at, by its place in the list.
    pub file: usize,
    /// The film that is looked at.
    pub player: Option<Player>,
    /// The prediction in progress.
    pub predicting: Option<TaskId>,
    /// The report that is being written.
    pub reporting: Option<TaskId>,
}

impl Default for EvaluateState {
    fn default() -> Self {
        Self {
            run: None,
            split: Split::Test,
            evaluation: None,
            figures: None,
            other: None,
            measured: Measurements::default(),
            error: None,
            task: None,
            cell: None,
            preview: None,
            heat: false,
            heat_class: HeatClass::Predicted,
            generation: 0,
            shown: Vec::new(),
            selection: HashSet::new(),
            anchor: None,
            mended: Mended::default(),
            shows_files: false,
            files: FilePredictions::default(),
            files_selected: HashSet::new(),
            files_added: HashSet::new(),
            file: 0,
            player: None,
            predicting: None,
            reporting: None,
        }
    }
}

/// What a person does in the evaluate workspace.
#[derive(Debug, Clone, PartialEq)]
pub enum EvaluateAction {
    /// Goes to the workspace and looks at a run.
    Open(RunId),
    /// Looks at a run.
    Choose(RunId),
    /// Looks at another side of its split.
    Split(Split),
    /// Measures again.
    Again,
    /// Measures something more of the run.
    Measure(Measurement),
    /// Ends that.
    CancelMeasure(Measurement),
    /// Keeps the threshold at which this part of images of the classes is called unknown, or none.
    KeepUnknown(Option<f64>),
    /// Compares the run with another one.
    Compare(RunId),
    /// Writes the report of the run into its folder and opens it.
    Report,
    /// Shows only one cell of the matrix, or all mistakes.
    Cell(Option<(usize, usize)>),
    /// Shows a frame large, or none.
    Preview(Option<usize>),
    /// Shows the heat map over the frame, or no longer.
    Heat,
    /// Shows the heat map of this class.
    HeatClass(HeatClass),
    /// Picks the frame at a place of the list that is shown.
    Pick(usize, Pick),
    /// Shows the first selected frame large, or none again.
    Enlarge,
    /// Gives the frame that is shown large, or the selected ones, a label.
    Assign(Label),
    /// Moves them to the trash.
    Trash,
    /// Goes to them in the label workspace.
    ShowInLabel,
    /// Shows predictions on files, or the evaluation.
    ShowFiles(bool),
    /// Selects a prediction on files, or with `true` adds it to the selection or takes it out.
    PickFile(usize, bool),
    /// Selects all predictions on files, or none.
    PickFiles(bool),
    /// Looks at the file of a prediction; a film is opened at its moment.
    LookAt(usize),
    /// Plays the film that is looked at, or lets it stand still.
    Play(bool),
    /// Goes to a moment of it, seconds from its start.
    Seek(f64),
    /// Writes the probabilities of all files into a file of comma-separated values.
    SaveTimelines(PathBuf),
    /// Adds the selected predictions on files to the project, with this class or with the predicted ones.
    Adopt(Option<ClassName>),
    /// Predicts on files.
    Predict(Vec<PathBuf>),
    /// Ends that.
    CancelPredict,
}

impl EvaluateState {
    /// The frames that are shown: the mistakes, or those of the chosen cell, the surest first.
    #[must_use]
    pub fn shown(&self) -> Vec<&FramePrediction> {
        let Some(evaluation) = &self.evaluation else {
            return Vec::new();
        };
        let shown = self.shown.iter();
        shown
            .filter_map(|index| evaluation.predictions.get(*index))
            .collect()
    }

    /// Whether an image is shown that a heat map can lie over.
    #[must_use]
    pub fn can_show_heat(&self) -> bool {
        self.preview.is_some() || self.shows_files
    }

    /// Whether the chosen run has yet to be measured.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.evaluation.is_none() && self.error.is_none() && self.task.is_none()
    }

    /// Lets go of what was measured, so that it is measured again when it is looked at.
    pub(super) fn reset(&mut self) {
        self.evaluation = None;
        self.figures = None;
        self.error = None;
        self.generation += 1;
        self.heat_class = HeatClass::Predicted;
        self.cell = None;
        self.preview = None;
        self.mended = Mended::default();
        self.rebuild_shown();
    }

    /// The result of the run that is looked at.
    pub(super) fn result(&self, train: &TrainState) -> Option<RunResult> {
        train.run(self.run.as_ref()?)?.run.result.clone()
    }

    /// Lets go of a run that is not there any more, and of what was measured of one that has another result than
    /// `before`: it has been trained further.
    pub(super) fn follow(&mut self, train: &TrainState, before: Option<&RunResult>) {
        let Some(id) = &self.run else { return };
        let Some(entry) = train.run(id) else {
            self.run = None;
            self.measured.forget();
            self.reset();
            return;
        };
        if entry.run.result.is_some() && entry.run.result.as_ref() != before {
            self.measured.forget();
            self.reset();
        }
    }
}

impl App {
    /// Whether files that are dropped now are predicted on rather than brought in.
    #[must_use]
    pub fn predicts_drops(&self) -> bool {
        self.workspace == Workspace::Evaluate
            && self
                .session
                .as_ref()
                .is_some_and(|session| session.evaluate.run.is_some())
    }

    pub(super) fn apply_evaluate(&mut self, action: EvaluateAction) {
        if self.apply_mend(&action) {
            return;
        }
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.evaluate;
        match action {
            EvaluateAction::Open(id) => {
                self.workspace = Workspace::Evaluate;
                self.apply_evaluate(EvaluateAction::Choose(id));
            }
            EvaluateAction::Choose(id) => {
                if state.run.as_ref() != Some(&id) {
                    state.run = Some(id);
                    state.files = FilePredictions::default();
                    state.files_selected.clear();
                    state.files_added.clear();
                    state.file = 0;
                    state.player = None;
                    state.split = Split::Test;
                    state.measured.forget();
                    state.other = None;
                    state.reset();
                }
                self.evaluate_if_due();
            }
            EvaluateAction::Split(split) => {
                if state.split != split {
                    state.split = split;
                    state.measured.forget_side();
                    state.reset();
                }
                self.evaluate_if_due();
            }
            EvaluateAction::Again => {
                state.measured.forget();
                state.reset();
                self.evaluate_if_due();
            }
            EvaluateAction::Cell(cell) => {
                state.cell = cell;
                state.preview = None;
                state.rebuild_shown();
            }
            EvaluateAction::Measure(what) => self.measure(what),
            EvaluateAction::CancelMeasure(what) => self.cancel_measurement(what),
            EvaluateAction::KeepUnknown(rate) => self.keep_unknown(rate),
            EvaluateAction::Compare(other) => self.compare(other),
            EvaluateAction::Report => self.write_report(),
            EvaluateAction::Preview(place) => {
                state.preview = place.filter(|place| *place < state.shown.len());
            }
            EvaluateAction::Heat => state.heat = !state.heat,
            EvaluateAction::HeatClass(class) => {
                state.heat = true;
                state.heat_class = class;
            }
            EvaluateAction::Pick(..)
            | EvaluateAction::Enlarge
            | EvaluateAction::Assign(_)
            | EvaluateAction::Trash
            | EvaluateAction::ShowInLabel => {}
            EvaluateAction::ShowFiles(files) => state.shows_files = files,
            EvaluateAction::PickFile(place, also) => {
                let only = state.files_selected.len() == 1;
                let was = state.files_selected.contains(&place);
                if !also {
                    state.files_selected.clear();
                }
                if was && (also || only) {
                    state.files_selected.remove(&place);
                } else {
                    state.files_selected.insert(place);
                }
                self.look_at_file(place);
            }
            EvaluateAction::LookAt(place) => self.look_at_file(place),
            EvaluateAction::Play(playing) => {
                if let Some(player) = &state.player {
                    player.play(playing);
                }
            }
            EvaluateAction::Seek(secs) => {
                if let Some(player) = &state.player {
                    player.seek(secs);
                }
            }
            EvaluateAction::SaveTimelines(path) => self.save_timelines(path),
            EvaluateAction::PickFiles(all) => {
                let count = if all { state.files.list().len() } else { 0 };
                state.files_selected = (0..count).collect();
            }
            EvaluateAction::Adopt(class) => {
                let mut places: Vec<usize> = state.files_selected.iter().copied().collect();
                places.sort_unstable();
                self.adopt(&places, class.as_ref());
            }
            EvaluateAction::Predict(paths) => self.predict_files(paths),
            EvaluateAction::CancelPredict => {
                if let Some(task) = state.predicting {
                    self.tasks.cancel(task);
                }
            }
        }
    }

    fn evaluate_if_due(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.evaluate;
        let Some(run) = state.run.as_ref().and_then(|id| session.train.run(id)) else {
            return;
        };
        if let Some(task) = state.task.take() {
            self.tasks.cancel(task);
        }
        if !state.is_due() {
            return;
        }
        let run = run.run.clone();
        let project = Arc::clone(&session.project);
        let split = state.split;
        let task = self.tasks.start_as(
            Lane::Learn,
            "Evaluating",
            false,
            move |work| {
                let evaluation = evaluate(&project, &run, split, work)?;
                let figures = Figures::of(&evaluation, work)?;
                Ok::<_, EvaluateError>((evaluation, figures))
            },
            Self::evaluated,
        );
        if let Some(session) = &mut self.session {
            session.evaluate.task = Some(task);
        }
    }

    fn evaluated(&mut self, task: TaskId, result: Result<(Evaluation, Figures), JobError>) {
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.evaluate;
        // Another evaluation may have been begun meanwhile.
        if state.task != Some(task) {
            return;
        }
        state.task = None;
        match result {
            Ok((evaluation, figures)) => {
                state.evaluation = Some(Arc::new(evaluation));
                state.figures = Some(Arc::new(figures));
                state.mended = Mended::default();
                state.rebuild_shown();
            }
            Err(error) => state.error = Some(error.to_string()),
        }
    }

    /// Looks at the file of a prediction.
    fn look_at_file(&mut self, place: usize) {
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

    /// Lets the film follow what is wanted; closes it when its page is left.
    pub(super) fn follow_player(&mut self) {
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

    fn save_timelines(&mut self, path: PathBuf) {
        let Some(session) = &self.session else { return };
        let timelines = session.evaluate.files.timelines();
        self.tasks.start(
            Lane::Free,
            "Writing probabilities",
            true,
            move |_| timelines.write_csv(&path, 0.0).map(|()| path),
            |app, result| match result {
                Ok(path) => {
                    let text = format!("The probabilities are in “{}”", path.display());
                    app.notes.add(Tone::Info, text);
                }
                Err(error) => {
                    app.fail(error.to_string());
                }
            },
        );
    }

    fn predict_files(&mut self, paths: Vec<PathBuf>) {
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
            let thumb = color_image(&fit(found.picture, THUMB_PX));
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
            "Only the first {MOST_PREDICTIONS} images are in the list; verdicts, timelines and their file have all of them"
        ));
    }
    Ok(())
}
