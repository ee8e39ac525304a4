//! The results of a run's stages.

use serde::{Deserialize, Serialize};

use crate::train::{BestPoint, Decision, FineTuningVerdict, Part};

use super::{HEAD_FILE, Run, RunState};

/// The result of a stage of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageResult {
    /// The part that was trained.
    pub part: Part,
    /// Steps done.
    pub steps: u32,
    /// The step of the kept weights; 0 in a fine-tuning that kept the original head.
    pub best_step: u32,
    /// Accuracy on all validation frames with the kept weights, 0..=1; `None` without validation frames.
    pub validation_accuracy: Option<f32>,
    /// Mean cross-entropy on all validation frames with the kept weights, nats; also `None` for the last stage of a
    /// run from before this was recorded.
    pub validation_cross_entropy: Option<f32>,
    /// Accuracy on the test frames with the kept weights, 0..=1; `None` without test frames.
    pub test_accuracy: Option<f32>,
    /// Seconds of its training.
    pub secs: f64,
    /// The number of trained weights; 0 if it was not recorded.
    pub trained_weights: u64,
    /// Whether early stopping ended it.
    pub stopped_early: bool,
    /// Remarks on its end, a sentence each.
    pub notes: Vec<String>,
    /// Whether the fine-tuning was worth it; `None` for the head and without test frames.
    pub verdict: Option<FineTuningVerdict>,
}

impl StageResult {
    /// Why no training can have this result, as a part of a sentence.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let is_part = |value: f64| (0.0..=1.0).contains(&value);
        let accuracies = [self.validation_accuracy, self.test_accuracy];
        let of_verdict = self.verdict.map(|made| [made.head_only, made.fine_tuned]);
        let mut parts = accuracies.into_iter().flatten().map(f64::from);
        if !(parts.all(is_part) && of_verdict.into_iter().flatten().all(is_part)) {
            return Some("an accuracy in it is not between 0 and 1");
        }
        let mut interval = self.verdict.and_then(|made| made.interval).into_iter();
        if !interval.all(|ends| ends.iter().all(|end| (-1.0..=1.0).contains(end))) {
            return Some("an interval in it is not between -1 and 1");
        }
        let entropy = self.validation_cross_entropy;
        if !entropy.is_none_or(|entropy| entropy.is_finite() && entropy >= 0.0) {
            return Some("a cross-entropy in it is not finite");
        }
        (!is_time(self.secs)).then_some(NO_TIME)
    }

    /// The evaluation of the kept weights on all validation frames; `None` without any.
    #[must_use]
    pub fn best(&self) -> Option<BestPoint> {
        Some(BestPoint {
            step: self.best_step,
            validation_accuracy: self.validation_accuracy?,
            validation_cross_entropy: self.validation_cross_entropy?,
        })
    }

    /// Sets the figures from an evaluation of the kept weights.
    pub(in crate::train) fn set_best(&mut self, best: Option<BestPoint>) {
        self.validation_accuracy = best.map(|best| best.validation_accuracy);
        self.validation_cross_entropy = best.map(|best| best.validation_cross_entropy);
    }
}

/// The fault of an impossible duration.
pub(super) const NO_TIME: &str = "a time in it is out of range";

/// Whether a duration in seconds is possible: up to 30,000 years.
pub(super) fn is_time(secs: f64) -> bool {
    (0.0..=1e12).contains(&secs)
}

impl Run {
    /// The result of its last stage, once it is finished.
    #[must_use]
    pub fn result(&self) -> Option<&StageResult> {
        self.last_stage().result()
    }

    /// The result of the head alone, once it is known, in a run with fine-tuning.
    #[must_use]
    pub fn head_only(&self) -> Option<&StageResult> {
        let head = self.head_stage();
        head.result().filter(|_| !head.is_last())
    }

    /// Seconds so far: of its finished stages, including bottlenecks.
    #[must_use]
    pub fn secs(&self) -> f64 {
        let stages = self.results.iter().map(|stage| stage.secs);
        stages.fold(self.preparation_secs, |sum, secs| sum + secs)
    }

    /// All remarks, a sentence each: on its data, and on the ends of its stages.
    #[must_use]
    pub fn all_notes(&self) -> Vec<String> {
        let mut notes = self.notes.clone();
        if let Some(head) = self.head_only() {
            let of_head = head.notes.iter();
            notes.extend(of_head.map(|note| format!("The head alone: {note}")));
        }
        notes.extend(self.decision.and_then(Decision::sentence));
        notes.extend(self.result().iter().flat_map(|last| last.notes.clone()));
        notes
    }

    /// Marks it as continued: its last stage has no result until it ends again.
    pub fn begin_again(&mut self) {
        let stage = self.last_stage();
        let (last, curves, metrics) = (stage.part(), stage.curves_path(), stage.metrics_path());
        for path in [curves, metrics, self.dir.join(HEAD_FILE)] {
            self.hashes.forget(&path);
        }
        self.results.retain(|result| result.part != last);
        // The end of the longer training decides.
        self.decision = self.decision.filter(|made| *made != Decision::Stopped);
        self.state = RunState::Unfinished;
    }
}
