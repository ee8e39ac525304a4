//! Heads trained on bottlenecks in memory, without a run: for measurements that train again on other frames.

use std::sync::Arc;

use crate::jobs::Work;

use super::batches::LabelledFrames;
use super::checkpoint::Checkpoint;
use super::curves::LiveCurves;
use super::head::{Examples, HeadLayer, Sizes, Table};
use super::learner::{End, Learner, Report};
use super::{Head, Part, TrainError, TrainSettings};

/// Bottlenecks of frames with their classes, on which any number of heads are trained, each on a selection of frames.
/// They are in memory once and read in place.
pub struct HeadTable {
    sizes: Sizes,
    all: Examples,
}

impl HeadTable {
    /// From row-major bottlenecks `f32[N, dim]` and the class of each row, less than `classes`.
    ///
    /// # Errors
    /// [`TrainError::Onnx`] if ONNX Runtime rejects them.
    pub fn new(dim: usize, classes: usize, x: Vec<f32>, y: &[usize]) -> Result<Self, TrainError> {
        let sizes = Sizes { dim, classes };
        let y = y.iter().map(|class| *class as i64).collect();
        Ok(Self {
            sizes,
            all: Examples::new(sizes, x, y)?,
        })
    }

    /// The bottleneck of a row.
    #[must_use]
    pub fn row(&self, row: usize) -> Option<&[f32]> {
        let dim = self.sizes.dim;
        self.all.x().ok()?.get(row * dim..(row + 1) * dim)
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.all.len()
    }

    /// Trains a head on the rows `train` and keeps the weights that are best on the rows `validation` (without any,
    /// the last), like a run of the head alone with these settings. A class without rows in `train` is never drawn,
    /// and its output is meaningless.
    ///
    /// # Errors
    /// [`TrainError::NoFrames`] without training rows, [`TrainError::Diverged`], cancelled.
    pub fn learn(
        &self,
        settings: &TrainSettings,
        train: &[usize],
        validation: &[usize],
        work: &Work,
    ) -> Result<Head, TrainError> {
        let side = |rows: &[usize]| {
            let known = rows.iter().filter(|row| **row < self.rows());
            let frames: Vec<usize> = known.copied().collect();
            let y = frames.iter().filter_map(|row| self.all.y.get(*row));
            LabelledFrames {
                y: y.copied().collect(),
                frames,
            }
        };
        let (train, chosen) = (side(train), side(validation));
        if train.frames.is_empty() {
            return Err(TrainError::NoFrames);
        }
        let mut x = Vec::with_capacity(chosen.frames.len() * self.sizes.dim);
        for row in &chosen.frames {
            x.extend_from_slice(self.row(*row).unwrap_or_default());
        }
        // All validation frames are evaluated at once, so they are in a table of their own.
        let validation = Examples::new(self.sizes, x, chosen.y)?;
        let mut table = Table {
            train: &self.all,
            validation: &validation,
            batch: settings.head.learn.batch_size.max(1),
        };
        let mut recipe = settings.recipe(Part::Head, validation.len());
        // It would not be shown.
        recipe.measures.gradient_norm = false;
        recipe.measures.histograms = false;
        let layer = HeadLayer::new(self.sizes, settings.head.hidden_units as usize, &table);
        let begin = Checkpoint::beginning(&recipe.optimization, &layer.initial(settings.seed));
        let sides = [&train, &validation.side()];
        let mut learner = Learner::new(Arc::new(layer), &recipe, sides, &mut table, begin, work)?;
        let curves = LiveCurves::default();
        // Its steps are not progress of the caller's work.
        let steps = Work::new();
        let end = work.stopped_by(
            || steps.cancel(),
            || {
                learner.run(
                    settings.how_many_training_steps,
                    &mut Report {
                        curves: &curves,
                        work: &steps,
                        save: &mut |_, _| Ok(()),
                        classes: &[],
                    },
                )
            },
        );
        work.check()?;
        let (_, best, weights) = learner.kept()?;
        learner.discard();
        match end? {
            End::Diverged(step) if best.is_none() => Err(TrainError::Diverged(step)),
            _ => Ok(Head::of_tensors(&weights)?),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    /// Three classes at the corners of a triangle, and rows of a fourth that is not trained.
    fn table() -> HeadTable {
        let corners = [[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0], [9.0, 9.0]];
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for at in 0..80_usize {
            let class = at % 4;
            let off = ((at * 7919) % 100) as f32 / 500.0;
            x.extend(corners[class].map(|value| value + off));
            y.push(class);
        }
        HeadTable::new(2, 4, x, &y).unwrap()
    }

    fn settings() -> TrainSettings {
        let mut settings = TrainSettings {
            how_many_training_steps: 300,
            ..TrainSettings::default()
        };
        settings.head.learn.batch_size = 20;
        settings.head.learn.learning_rate = 0.5;
        settings
    }

    fn called(head: &Head, row: &[f32]) -> usize {
        let logits = head.logits(row);
        (0..logits.len())
            .max_by(|a, b| logits[*a].total_cmp(&logits[*b]))
            .unwrap()
    }

    #[test]
    fn a_head_learns_its_rows_only_and_always_the_same() {
        let table = table();
        let known: Vec<usize> = (0..80).filter(|row| row % 4 != 3).collect();
        let (train, rest) = known.split_at(40);
        let learn = || table.learn(&settings(), train, rest, &Work::new()).unwrap();
        let head = learn();
        for row in &known {
            assert_eq!(called(&head, table.row(*row).unwrap()), row % 4);
        }
        assert_eq!(head, learn());
        // Far away in the direction of the class that was never drawn.
        assert_ne!(called(&head, table.row(3).unwrap()), 3);
        // Two classes of the same table.
        let two: Vec<usize> = (0..80).filter(|row| row % 4 < 2).collect();
        let head = table.learn(&settings(), &two, &[], &Work::new()).unwrap();
        assert_eq!(called(&head, table.row(5).unwrap()), 1);
    }

    #[test]
    fn nothing_to_learn_from_and_cancelling_are_errors() {
        let table = table();
        let none = table.learn(&settings(), &[999], &[], &Work::new());
        assert!(matches!(none, Err(TrainError::NoFrames)));
        let work = Work::new();
        work.cancel();
        let cancelled = table.learn(&settings(), &[0, 1, 2], &[], &work);
        assert!(matches!(cancelled, Err(TrainError::Cancelled(_))));
    }
}
