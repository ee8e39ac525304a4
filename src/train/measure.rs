//! Measures the speed of this machine at training a head.

use std::sync::Arc;
use std::time::Instant;

use crate::jobs::Work;

use super::batches::{Draw, Purpose};
use super::checkpoint::Checkpoint;
use super::curves::LiveCurves;
use super::head::{Examples, HeadLayer, Sizes, Table};
use super::learner::{Learner, Report};
use super::settings::{EvalSpacing, TrainSettings};
use super::{Part, TrainError};

/// The steps per second, including evaluations, of a head with these sizes and settings on this machine, measured for
/// about `secs` seconds on made-up bottlenecks.
///
/// # Errors
/// Errors of the training; cancelled, if `work` is.
pub fn measure_steps_per_second(
    settings: &TrainSettings,
    dim: usize,
    classes: usize,
    examples: usize,
    secs: f64,
    work: &Work,
) -> Result<f64, TrainError> {
    let sizes = Sizes { dim, classes };
    let made_up = |seed: u64, rows: usize| {
        let mut draw = Draw::new(seed, Purpose::Weights, 0);
        let mut x = Vec::with_capacity(rows * dim);
        for _ in 0..rows {
            work.check()?;
            x.extend((0..dim).map(|_| draw.truncated_normal() as f32));
        }
        let y = (0..rows).map(|row| (row % classes.max(1)) as i64).collect();
        Ok::<_, TrainError>(Examples::new(sizes, x, y)?)
    };
    let (train, validation) = (made_up(1, examples)?, made_up(2, examples / 10)?);
    let mut settings = settings.clone();
    settings.head.learn.learning_rate = 1e-3;
    settings.eval_spacing = EvalSpacing::ByFrames;
    settings.head.learn.early_stopping = 0;
    let batch = settings.head.learn.batch_size.max(1);
    let recipe = settings.recipe(Part::Head, validation.len());
    let mut table = Table {
        train: &train,
        validation: &validation,
        batch,
    };
    let layer = HeadLayer::new(sizes, settings.head.hidden_units as usize, &table);
    let begin = Checkpoint::beginning(&recipe.optimization, &layer.initial(settings.seed));
    let sides = [&train.side(), &validation.side()];
    let mut learner = Learner::new(Arc::new(layer), &recipe, sides, &mut table, begin, work)?;
    let curves = LiveCurves::default();
    // Its reports are not progress of the caller's work.
    let measuring = Work::new();
    let began = Instant::now();
    let mut target = 0;
    let measured = work.stopped_by(
        || measuring.cancel(),
        || {
            while began.elapsed().as_secs_f64() < secs {
                target += 100;
                learner.run(
                    target,
                    &mut Report {
                        curves: &curves,
                        work: &measuring,
                        save: &mut |_, _| Ok(()),
                        classes: &[],
                    },
                )?;
            }
            Ok::<_, TrainError>(())
        },
    );
    measured?;
    Ok(f64::from(learner.place().step) / began.elapsed().as_secs_f64())
}
