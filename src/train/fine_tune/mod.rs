//! Fine-tuning: training the last blocks of the backbone from cached activations.

mod estimate;
mod graph;
mod network;
mod rows;
mod settings;
#[cfg(test)]
mod tests;
mod training;
mod verdict;

pub(super) use estimate::MIN_FRAMES;
pub use estimate::{DepthEstimate, Estimate, Pace, estimate, measure_fine_tuning_step};
pub(super) use network::cut_of;
pub use settings::FineTuneSettings;
pub(super) use training::fine_tune;
pub(super) use verdict::MIN_GROUPS;
pub use verdict::{FineTuningOutcome, FineTuningVerdict};
