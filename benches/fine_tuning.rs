//! Milliseconds per picture of a training step deeper than the head.
//!
//! `cargo bench --bench fine_tuning [-- BATCH]`

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark may stop at the first surprise"
)]

use salamander::backbone::{Architecture, Depth};
use salamander::train::{FineTuneOptimizer, TrainSettings, measure_fine_tuning_step};

fn main() {
    let batch = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(32);
    let architecture = Architecture::default();
    for optimizer in [FineTuneOptimizer::Momentum, FineTuneOptimizer::AdamW] {
        for depth in Depth::ALL.into_iter().skip(1) {
            let mut settings = TrainSettings::default();
            settings.fine_tune.depth = depth;
            settings.fine_tune.batch_size = batch;
            settings.fine_tune.optimizer = optimizer;
            let secs = measure_fine_tuning_step(&architecture, &settings, 10, 8).unwrap();
            println!(
                "{optimizer:?} {depth}: {:.2} ms per picture (batch {batch})",
                1e3 * secs / batch as f64
            );
        }
    }
}
