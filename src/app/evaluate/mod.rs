//! The evaluate workspace's state: the chosen run, its predictions, and its mistakes.

mod heat;
mod measure;
mod nearest;
mod player;
mod relabel;
mod try_it;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::app::label::Pick;
use crate::app::tasks::TaskId;
use crate::app::train::TrainState;
use crate::app::{App, Lane, Workspace};
use crate::evaluate::{EvaluateError, Evaluation, Figures, FramePrediction, evaluate};
use crate::jobs::JobError;
use crate::project::{ClassName, Label, Split};
use crate::train::{RunId, StageResult};
use relabel::CurrentPaths;

pub use heat::{Heat, HeatClass, HeatLayer, HeatMaps};
pub use measure::{Compared, Found, Measurement, Measurements};
pub use nearest::{NEAREST, Near, Nearest, NearestImages};
pub use player::{Player, Playing};
pub use relabel::FrameNow;
pub use try_it::{FilePrediction, FilePredictions};

/// The state of the evaluate workspace.
pub struct EvaluateState {
    /// The chosen run.
    pub run: Option<RunId>,
    /// The side of its split.
    pub split: Split,
    /// Its predictions.
    pub evaluation: Option<Arc<Evaluation>>,
    /// Its figures, present whenever the predictions are.
    pub figures: Option<Arc<Figures>>,
    /// The run that it is compared with.
    pub other: Option<RunId>,
    /// The results of measurements of the run.
    pub measured: Measurements,
    /// Why there are no predictions.
    pub error: Option<String>,
    /// The evaluation in progress.
    pub task: Option<TaskId>,
    /// Only the frames of this cell (truth, predicted) are shown; on the diagonal, the correct ones.
    pub cell: Option<(usize, usize)>,
    /// The frame that is shown large: its index in the list that is shown.
    pub preview: Option<usize>,
    /// Whether the heat map is painted over the frame that is shown large.
    pub heat: bool,
    /// The class of the heat map.
    pub heat_class: HeatClass,
    /// Increased when cached data about the run's weights or classes is dropped.
    pub(super) generation: u64,
    /// The frames that are shown, as indices in the predictions.
    pub shown: Vec<usize>,
    /// The selected frames, as indices in the predictions.
    pub selection: HashSet<usize>,
    /// The start of a range selection, as an index in the list that is shown.
    pub(super) anchor: Option<usize>,
    /// The frames that were moved since.
    pub(super) current_paths: CurrentPaths,
    /// Whether predictions on files are shown instead of the evaluation: keys act on what is shown.
    pub shows_files: bool,
    /// Predictions on files.
    pub files: FilePredictions,
    /// The selected predictions on files, as indices in the list.
    pub files_selected: HashSet<usize>,
    /// The predictions on files that were added to the project, as indices in the list.
    pub files_added: HashSet<usize>,
    /// The shown prediction on a file, as an index in the list.
    pub file: usize,
    /// The opened film.
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
            current_paths: CurrentPaths::default(),
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

/// An action of the user in the evaluate workspace.
#[derive(Debug, Clone, PartialEq)]
pub enum EvaluateAction {
    /// Opens the workspace and chooses a run.
    Open(RunId),
    /// Chooses a run.
    Choose(RunId),
    /// Chooses another side of its split.
    Split(Split),
    /// Evaluates again.
    Again,
    /// Starts a measurement of the run.
    Measure(Measurement),
    /// Cancels a measurement.
    CancelMeasure(Measurement),
    /// Stores the threshold at which this part of the images of the classes counts as unknown, or removes it.
    KeepUnknown(Option<f64>),
    /// Compares the run with another one.
    Compare(RunId),
    /// Writes the report of the run into its folder and opens it.
    Report,
    /// Shows only one cell of the matrix, or all mistakes.
    Cell(Option<(usize, usize)>),
    /// Shows a frame large, or none.
    Preview(Option<usize>),
    /// Shows or hides the heat map over the frame.
    Heat,
    /// Shows the heat map of this class.
    HeatClass(HeatClass),
    /// Selects the frame at an index of the list that is shown.
    Pick(usize, Pick),
    /// Shows the first selected frame large, or closes it.
    Enlarge,
    /// Labels the frame that is shown large, or the selected ones.
    Assign(Label),
    /// Moves them to the trash.
    Trash,
    /// Shows them in the label workspace.
    ShowInLabel,
    /// Shows predictions on files, or the evaluation.
    ShowFiles(bool),
    /// Selects a prediction on a file, or with `true` toggles it in the selection.
    PickFile(usize, bool),
    /// Selects all predictions on files, or none.
    PickFiles(bool),
    /// Shows the file of a prediction; for a film, from the time of that frame.
    ShowFile(usize),
    /// Plays or stops the film.
    Play(bool),
    /// Goes to a time of the film, seconds from its start.
    Seek(f64),
    /// Writes the probabilities of all files into a CSV file.
    SaveTimelines(PathBuf),
    /// Adds the selected predictions on files to the project, with this class or with the predicted ones.
    Adopt(Option<ClassName>),
    /// Predicts on files.
    Predict(Vec<PathBuf>),
}

impl EvaluateState {
    /// The frames that are shown: the mistakes, or those of the chosen cell, the most confident first.
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

    /// Whether an image is shown that can have a heat map.
    #[must_use]
    pub fn can_show_heat(&self) -> bool {
        self.preview.is_some() || self.shows_files
    }

    /// Whether the chosen run must still be evaluated.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.evaluation.is_none() && self.error.is_none() && self.task.is_none()
    }

    /// Drops the results, so that the run is evaluated again when it is shown.
    pub(super) fn reset(&mut self) {
        self.evaluation = None;
        self.figures = None;
        self.error = None;
        self.generation += 1;
        self.heat_class = HeatClass::Predicted;
        self.cell = None;
        self.preview = None;
        self.current_paths = CurrentPaths::default();
        self.rebuild_shown();
    }

    /// The result of the chosen run.
    pub(super) fn result(&self, train: &TrainState) -> Option<StageResult> {
        train.run(self.run.as_ref()?)?.run.result().cloned()
    }

    /// Drops a run that no longer exists, and the results of one whose training result is no longer `before`, because
    /// it was extended.
    pub(super) fn follow(&mut self, train: &TrainState, before: Option<&StageResult>) {
        let Some(id) = &self.run else { return };
        let Some(entry) = train.run(id) else {
            self.run = None;
            self.measured.forget();
            self.reset();
            return;
        };
        if entry.run.result().is_some() && entry.run.result() != before {
            self.measured.forget();
            self.reset();
        }
    }
}

impl App {
    /// Whether dropped files are predicted on instead of imported.
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
                self.show_file(place);
            }
            EvaluateAction::ShowFile(place) => self.show_file(place),
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
        // Another evaluation may have been started in the meantime.
        if state.task != Some(task) {
            return;
        }
        state.task = None;
        match result {
            Ok((evaluation, figures)) => {
                state.evaluation = Some(Arc::new(evaluation));
                state.figures = Some(Arc::new(figures));
                state.current_paths = CurrentPaths::default();
                state.rebuild_shown();
            }
            Err(error) => state.error = Some(error.to_string()),
        }
    }
}
