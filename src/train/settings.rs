//! Settings of a training; the names are those of `retrain.py`.

use serde::{Deserialize, Serialize};

use crate::backbone::{Architecture, Fit};
use crate::project::SplitSettings;

use super::FineTuneSettings;

/// How weights follow the gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Plain stochastic gradient descent, as `retrain.py`.
    Sgd,
    /// Adam (Kingma and Ba 2015), beta 0.9 and 0.999, epsilon 1e-8.
    Adam,
}

/// Settings of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainSettings {
    /// The backbone and its resolution.
    pub architecture: Architecture,
    /// How frames are made square.
    pub fit: Fit,
    /// Steps.
    pub how_many_training_steps: u32,
    /// Learning rate.
    pub learning_rate: f32,
    /// Frames per batch.
    pub train_batch_size: usize,
    /// Validation frames per evaluation; -1 is all of them.
    pub validation_batch_size: i64,
    /// Steps between evaluations.
    pub eval_step_interval: u32,
    /// Percentages of validation and test.
    #[serde(flatten)]
    pub split: SplitSettings,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// Seed of everything random.
    pub seed: u64,
    /// Training deeper than the head, afterwards.
    pub fine_tune: FineTuneSettings,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            architecture: Architecture::default(),
            fit: Fit::CenterCrop,
            how_many_training_steps: 4000,
            learning_rate: 0.01,
            train_batch_size: 100,
            validation_batch_size: 100,
            eval_step_interval: 10,
            split: SplitSettings::default(),
            optimizer: Optimizer::Sgd,
            seed: 0,
            fine_tune: FineTuneSettings::default(),
        }
    }
}

impl TrainSettings {
    /// Steps of the part of the training that takes longest: of the deeper training where there is one, else of
    /// the head's.
    #[must_use]
    pub fn steps(&self) -> u32 {
        match self.fine_tune.steps {
            Some(steps) if self.fine_tune.is_on() => steps,
            _ => self.how_many_training_steps,
        }
    }

    /// Makes it `steps` in all, of those that [`TrainSettings::steps`] counts, after `done` of them. A deeper
    /// training that gets another number than it was to have begins its learning rate anew with the steps that
    /// are added: along the old half cosine it would jump up, or stand at zero.
    pub(super) fn extend(&mut self, done: u32, steps: u32) {
        if !self.fine_tune.is_on() {
            self.how_many_training_steps = steps;
            return;
        }
        let fine_tune = &mut self.fine_tune;
        if done > 0 && fine_tune.steps != Some(steps) && fine_tune.restarts.last() != Some(&done) {
            fine_tune.restarts.push(done);
        }
        fine_tune.steps = Some(steps);
    }
}
