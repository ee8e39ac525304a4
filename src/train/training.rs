//! A training from its last checkpoint to its end, the same for every problem.

use std::sync::Arc;

use crate::jobs::{Cancelled, Work};
use crate::onnx::Tensor;

use super::batches::{Batches, LabelledFrames};
use super::checkpoint::{Checkpoint, Place, Store};
use super::curves::{BestPoint, CurvePoint, LiveCurves};
use super::learner::{End, Learner, Report};
use super::problem::Problem;
use super::recipe::Recipe;
use super::{Part, StageResult, TrainError};

/// The inputs of a training.
pub(super) struct Training<'a> {
    /// The title shown to users.
    pub title: &'a str,
    /// The total number of steps.
    pub steps: u32,
    pub problem: Arc<dyn Problem>,
    pub recipe: &'a Recipe,
    /// The weights before the first step.
    pub initial: &'a [Tensor],
    /// Names of the classes, for tags of measurements.
    pub classes: &'a [String],
    /// Training and validation frames.
    pub sides: [&'a LabelledFrames; 2],
    pub batches: &'a mut dyn Batches,
    pub store: Store,
}

/// The result of a training.
pub(super) struct Trained {
    /// The weights to keep.
    pub weights: Vec<Tensor>,
    /// The step of these weights.
    pub best_step: u32,
    pub best: Option<BestPoint>,
    /// Steps done.
    pub steps: u32,
    /// Seconds of training.
    pub secs: f64,
    /// Whether [early stopping](super::early_stopping) ended it.
    pub stopped_early: bool,
    /// A remark on its end.
    pub note: Option<String>,
}

impl Trained {
    /// The result of the stage, without figures on test frames.
    pub(super) fn result(&self, part: Part) -> StageResult {
        let best = self.best;
        let weights = self.weights.iter();
        let numbers = weights.map(|weight| weight.shape.iter().product::<usize>() as u64);
        StageResult {
            part,
            steps: self.steps,
            best_step: self.best_step,
            validation_accuracy: best.map(|best| best.validation_accuracy),
            validation_cross_entropy: best.map(|best| best.validation_cross_entropy),
            test_accuracy: None,
            secs: self.secs,
            trained_weights: numbers.sum(),
            stopped_early: self.stopped_early,
            notes: self.note.iter().cloned().collect(),
            verdict: None,
        }
    }
}

impl Training<'_> {
    /// Trains from the last checkpoint. `show` receives the points up to there before the first step.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] if no weights could be kept.
    pub(super) fn run(
        self,
        curves: &LiveCurves,
        show: impl FnOnce(&[CurvePoint]),
        work: &Work,
    ) -> Result<Trained, TrainError> {
        let (problem, recipe, mut store) = (self.problem, self.recipe, self.store);
        let (checkpoint, kept) = store.load(problem.weights(), &recipe.optimization)?;
        work.stage(self.title, Some(u64::from(self.steps)));
        show(&kept.points);
        curves.begin_measured(kept.measured);
        let checkpoint =
            checkpoint.unwrap_or_else(|| Checkpoint::beginning(&recipe.optimization, self.initial));
        let mut learner =
            Learner::new(problem, recipe, self.sides, self.batches, checkpoint, work)?;
        work.set_done(u64::from(learner.place().step));
        let mut report = Report {
            curves,
            work,
            save: &mut |snapshot, new| store.save(snapshot, new),
            classes: self.classes,
        };
        let end = learner.run(self.steps, &mut report);
        if work.is_cancelled() {
            learner.discard();
            return Err(end.err().unwrap_or(TrainError::Cancelled(Cancelled)));
        }
        let end = end?;
        let (best_step, best, weights) = learner.kept()?;
        let Place { step, secs, .. } = learner.place();
        learner.discard();
        Ok(Trained {
            stopped_early: end == End::Early,
            note: ending_note(end, recipe, [step, self.steps], best.is_some())?,
            weights,
            best_step,
            best,
            steps: step,
            secs,
        })
    }
}

/// A remark on a training that did not reach its last step.
fn ending_note(
    end: End,
    recipe: &Recipe,
    [done, steps]: [u32; 2],
    kept: bool,
) -> Result<Option<String>, TrainError> {
    match end {
        End::Complete => Ok(None),
        End::Stopped => Ok(Some(format!(
            "The training was stopped after {done} of {steps} steps."
        ))),
        End::Early => {
            let waited = recipe.early_stopping.map_or(0, |early| early.evaluations);
            let evaluations = match waited {
                1 => "evaluation".to_owned(),
                more => format!("{more} evaluations"),
            };
            Ok(Some(format!(
                "The training stopped early at step {done} of {steps}: cross-entropy on the validation images had not improved for the last {evaluations}."
            )))
        }
        End::Diverged(step) if kept => Ok(Some(format!(
            "The training diverged at step {step}; the best weights before that are kept. Lower the learning rate."
        ))),
        End::Diverged(step) => Err(TrainError::Diverged(step)),
    }
}
