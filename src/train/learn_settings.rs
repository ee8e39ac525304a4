//! The settings of an optimisation: one set for the head, one for the fine-tuning.

use serde::{Deserialize, Serialize};

use super::optimizer::Optimizer;
use super::{KeepBy, Schedule};

/// The settings of an optimisation. In files those of the fine-tuning are among its other settings, and some of those
/// of the head are at the top level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default = "LearnSettings::of_fine_tuning")]
pub struct LearnSettings {
    /// The optimiser.
    pub optimizer: Optimizer,
    /// The learning rate, over 0; the peak if it changes.
    pub learning_rate: f32,
    /// The schedule of the learning rate. That of the fine-tuning is always [`Schedule::Cosine`].
    #[serde(skip)]
    pub schedule: Schedule,
    /// Steps after which the run was extended, ascending: from each of them on the learning rate rises and falls again
    /// (warm restarts, Loshchilov and Hutter 2017). Empty in a new run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<u32>,
    /// Images per batch.
    pub batch_size: usize,
    /// The number of evaluations without a lower validation cross-entropy after which it ends early; 0 for never.
    pub early_stopping: u32,
    /// The step at which it stopped early and was extended, from which evaluations are counted. 0 in a new run.
    #[serde(skip_serializing_if = "is_zero")]
    pub early_stopping_from: u32,
    /// Which evaluation's weights are kept; in a fine-tuning without this setting, those of the most accurate.
    #[serde(default)]
    pub keep_by: KeepBy,
    /// Weight decay of kernels and dense layers (not biases).
    pub weight_decay: f32,
    /// Largest norm of the gradient over all weights; 0 for no limit.
    pub clip_norm: f32,
    /// The fraction of the inputs of each layer of the head that is dropped in a step, 0..1 (Srivastava et al. 2014).
    pub dropout: f32,
    /// The part of the target that label smoothing spreads over all classes, 0..1 (Szegedy et al. 2016).
    pub label_smoothing: f32,
    /// The α of mixup on bottlenecks or activations (Zhang et al. 2018), 0..=10; 0 for no mixup.
    pub mixup: f32,
    /// Decay of the moving average of the weights, 0..1; the average is evaluated and kept. 0 for no average.
    pub average_decay: f32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(step: &u32) -> bool {
    *step == 0
}

impl LearnSettings {
    /// The defaults of the head: those of `retrain.py`.
    #[must_use]
    pub fn of_head() -> Self {
        Self {
            optimizer: Optimizer::Sgd,
            learning_rate: Optimizer::Sgd.default_rate(),
            schedule: Schedule::Constant,
            restarts: Vec::new(),
            batch_size: 100,
            early_stopping: 0,
            early_stopping_from: 0,
            keep_by: KeepBy::Accuracy,
            weight_decay: 0.0,
            clip_norm: 0.0,
            dropout: 0.0,
            label_smoothing: 0.0,
            mixup: 0.0,
            average_decay: 0.0,
        }
    }

    /// The defaults of the fine-tuning.
    #[must_use]
    pub fn of_fine_tuning() -> Self {
        Self {
            optimizer: Optimizer::AdamW,
            learning_rate: Optimizer::AdamW.default_rate(),
            schedule: Schedule::Cosine,
            batch_size: 32,
            keep_by: KeepBy::Last,
            weight_decay: 0.01,
            clip_norm: 1.0,
            label_smoothing: 0.1,
            average_decay: 0.99,
            ..Self::of_head()
        }
    }
}

/// Settings of the head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "HeadInFiles", into = "HeadInFiles")]
pub struct HeadSettings {
    /// The settings of its optimisation.
    pub learn: LearnSettings,
    /// Units of a hidden layer between bottleneck and last layer, each `max(0, x·v + c)`; 0 for none.
    pub hidden_units: u32,
}

impl Default for HeadSettings {
    fn default() -> Self {
        Self {
            learn: LearnSettings::of_head(),
            hidden_units: 0,
        }
    }
}

/// [`HeadSettings`] in files: the oldest are at the top level, with the names of `retrain.py`.
#[derive(Serialize, Deserialize)]
#[serde(default)]
struct HeadInFiles {
    learning_rate: f32,
    train_batch_size: usize,
    optimizer: Optimizer,
    head: Others,
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct Others {
    #[serde(flatten, with = "OfHead")]
    learn: LearnSettings,
    hidden_units: u32,
}

/// [`LearnSettings`] of the head in files.
#[derive(Serialize, Deserialize)]
#[serde(remote = "LearnSettings", default = "LearnSettings::of_head")]
struct OfHead {
    #[serde(skip)]
    optimizer: Optimizer,
    #[serde(skip)]
    learning_rate: f32,
    schedule: Schedule,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    restarts: Vec<u32>,
    #[serde(skip)]
    batch_size: usize,
    early_stopping: u32,
    #[serde(skip_serializing_if = "is_zero")]
    early_stopping_from: u32,
    keep_by: KeepBy,
    weight_decay: f32,
    clip_norm: f32,
    dropout: f32,
    label_smoothing: f32,
    mixup: f32,
    average_decay: f32,
}

impl Default for HeadInFiles {
    fn default() -> Self {
        HeadSettings::default().into()
    }
}

impl Default for Others {
    fn default() -> Self {
        HeadInFiles::default().head
    }
}

impl From<HeadInFiles> for HeadSettings {
    fn from(file: HeadInFiles) -> Self {
        Self {
            learn: LearnSettings {
                optimizer: file.optimizer,
                learning_rate: file.learning_rate,
                batch_size: file.train_batch_size,
                ..file.head.learn
            },
            hidden_units: file.head.hidden_units,
        }
    }
}

impl From<HeadSettings> for HeadInFiles {
    fn from(settings: HeadSettings) -> Self {
        Self {
            learning_rate: settings.learn.learning_rate,
            train_batch_size: settings.learn.batch_size,
            optimizer: settings.learn.optimizer,
            head: Others {
                learn: settings.learn,
                hidden_units: settings.hidden_units,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use serde_json::{Value, json};

    use crate::train::{KeepBy, LearnSettings, Optimizer, Schedule, TrainSettings};

    #[test]
    fn files_have_the_settings_of_the_head_where_they_always_were() {
        let mut settings = TrainSettings::default();
        settings.head.learn = LearnSettings {
            optimizer: Optimizer::Momentum,
            learning_rate: 0.3,
            schedule: Schedule::Cosine,
            restarts: vec![7],
            batch_size: 21,
            keep_by: KeepBy::Last,
            dropout: 0.1,
            ..LearnSettings::of_head()
        };
        settings.head.hidden_units = 5;
        settings.fine_tune.learn.batch_size = 3;
        let file = serde_json::to_value(&settings).unwrap();
        let read: TrainSettings = serde_json::from_value(file.clone()).unwrap();
        assert_eq!(read, settings);
        assert_eq!(file["train_batch_size"], 21);
        assert_eq!(file["optimizer"], "momentum");
        assert_eq!(file["fine_tune"]["batch_size"], 3);
        assert_eq!(file["fine_tune"]["optimizer"], "adam-w");
        assert_eq!(file["head"]["hidden_units"], 5);
        assert_eq!(file["head"]["restarts"], json!([7]));
        let head = file["head"].as_object().unwrap();
        let elsewhere = ["optimizer", "learning_rate", "batch_size"];
        assert!(elsewhere.iter().all(|key| !head.contains_key(*key)));
        assert_eq!(file["fine_tune"].get("schedule"), None);
    }

    #[test]
    fn what_a_file_does_not_say_is_the_default_of_its_part() {
        let of = |file: Value| serde_json::from_value::<TrainSettings>(file).unwrap();
        assert_eq!(of(json!({})), TrainSettings::default());
        let file = json!({
            "learning_rate": 0.5, "head": { "mixup": 0.25 }, "fine_tune": { "keep_by": "last", "clip_norm": 2.0, "layer_decay": 0.8, "views": null }
        });
        let mut expected = TrainSettings::default();
        expected.head.learn.learning_rate = 0.5;
        expected.head.learn.mixup = 0.25;
        expected.fine_tune.learn.clip_norm = 2.0;
        assert_eq!(of(file), expected);
    }
}
