//! The origin of batches, and which frames are drawn for a batch: first a class, then a frame of that class, as in
//! `retrain.py`, so that small classes are seen as often as large ones.
//!
//! Each step has its own stream of a `ChaCha8` generator, so that draws depend only on the seed and the number of the
//! step: a resumed run draws the same as an uninterrupted one. Random bits are converted to numbers here, because a
//! library may change its conversion in another version.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::jobs::Work;
use crate::onnx::{Constant, ElementType, Loop, OnnxError};

use super::TrainError;

/// One image: the index of a frame in the source of batches, and a view of it (0 is the plain one).
pub(super) type ViewOfFrame = (usize, u32);

/// Frames with their classes.
#[derive(Debug, Clone, Default)]
pub(super) struct LabelledFrames {
    /// Their indices in the source of batches.
    pub frames: Vec<usize>,
    /// The class of each frame.
    pub y: Vec<i64>,
}

impl LabelledFrames {
    /// The plain view of each frame.
    pub(super) fn rows(&self) -> impl Iterator<Item = ViewOfFrame> {
        self.frames.iter().map(|frame| (*frame, 0))
    }
}

/// The images that a session reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Batches for training.
    Training,
    /// The validation frames.
    Validation,
}

/// The inputs from which a session reads images. Its graph [declares](super::problem::Problem::declare) the same.
pub(super) struct Feed {
    /// The number of images that the session reads at once.
    pub images: usize,
    /// Constant inputs.
    pub constants: Vec<(&'static str, Constant)>,
    /// Inputs written by [`Batches::write`].
    pub inputs: Vec<(&'static str, ElementType, Vec<usize>)>,
}

impl Feed {
    /// The written inputs, in the form for binding.
    pub(super) fn inputs(&self) -> Vec<(&str, ElementType, &[usize])> {
        let inputs = self.inputs.iter();
        inputs
            .map(|(name, element, shape)| (*name, *element, shape.as_slice()))
            .collect()
    }
}

/// A source of batches.
pub(super) trait Batches {
    /// The inputs of a session that reads a part.
    fn feed(&self, part: Part) -> Result<Feed, OnnxError>;
    /// Computes those of `rows` that are not in memory yet, on all cores.
    fn ensure(&mut self, _rows: &[ViewOfFrame], _work: &Work) -> Result<(), TrainError> {
        Ok(())
    }
    /// The head's inputs for the validation images, `f32[N, D]`, if these batches contain them.
    fn features(&self) -> Result<Option<&[f32]>, OnnxError> {
        Ok(None)
    }
    /// Writes images of a part and their classes to a session; the last ones of a part may be fewer than the session
    /// reads.
    fn write(
        &mut self,
        part: Part,
        rows: &[ViewOfFrame],
        y: &[i64],
        to: &mut Loop,
        work: &Work,
    ) -> Result<(), TrainError>;
}

/// The purpose of a draw; draws for different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The initial weights.
    Weights,
    /// A training batch of the head.
    Batch,
    /// The validation frames shown in the curves.
    Validation,
    /// A training batch of the fine-tuning.
    FineTuneBatch,
}

/// Random numbers for one purpose in one step.
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    pub(super) fn new(seed: u64, purpose: Purpose, step: u32) -> Self {
        let mut key = [0; 32];
        let (number, rest) = key.split_at_mut(8);
        number.copy_from_slice(&seed.to_le_bytes());
        let label: &[u8; 8] = match purpose {
            Purpose::Weights => b"weights\0",
            Purpose::Batch => b"batch\0\0\0",
            Purpose::Validation => b"validate",
            Purpose::FineTuneBatch => b"finetune",
        };
        rest.split_at_mut(8).0.copy_from_slice(label);
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(u64::from(step));
        Self(generator)
    }

    /// A uniformly distributed integer in `0..end` (with a bias of at most 2⁻⁽⁶⁴⁻ᵇ⁾ for an end of b bits).
    pub(super) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.0.next_u64()) * end as u128) >> 64) as usize
    }

    /// A number in `0..1` in steps of 2⁻⁵³.
    pub(super) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A normally distributed number with standard deviation 1, by the Box-Muller method.
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// A normally distributed number with standard deviation 1, redrawn if its magnitude exceeds 2 (TensorFlow's
    /// `truncated_normal`).
    pub(super) fn truncated_normal(&mut self) -> f64 {
        loop {
            let value = self.normal();
            if value.abs() <= 2.0 {
                return value;
            }
        }
    }
}

/// The rows of each class that has any.
#[derive(Debug, Clone)]
pub(super) struct ByClass(Vec<Vec<i64>>);

impl ByClass {
    pub(super) fn new(labels: &[i64], classes: usize) -> Self {
        let mut rows = vec![Vec::new(); classes];
        for (row, label) in labels.iter().enumerate() {
            if let Some(rows) = usize::try_from(*label)
                .ok()
                .and_then(|label| rows.get_mut(label))
            {
                rows.push(row as i64);
            }
        }
        rows.retain(|rows| !rows.is_empty());
        Self(rows)
    }

    /// Fills `batch` with rows: first a class is drawn, then a row of it.
    pub(super) fn draw(&self, draw: &mut Draw, batch: &mut [i64]) {
        for slot in batch {
            let class = draw.below(self.0.len());
            if let Some(rows) = self.0.get(class)
                && let Some(row) = rows.get(draw.below(rows.len()))
            {
                *slot = *row;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_draws_the_same_whenever_it_is_asked() {
        let rows = ByClass::new(&[0, 1, 1, 1, 3], 4);
        let mut first = [0; 50];
        let mut again = [0; 50];
        rows.draw(&mut Draw::new(7, Purpose::Batch, 3), &mut first);
        rows.draw(&mut Draw::new(7, Purpose::Batch, 3), &mut again);
        assert_eq!(first, again);
        rows.draw(&mut Draw::new(7, Purpose::Batch, 4), &mut again);
        assert_ne!(first, again);
        rows.draw(&mut Draw::new(8, Purpose::Batch, 3), &mut again);
        assert_ne!(first, again);
    }

    /// Expected numbers, so that a change by an update of a library is noticed.
    #[test]
    fn the_sequence_is_for_ever() {
        let mut draw = Draw::new(42, Purpose::Batch, 1);
        let numbers: Vec<usize> = (0..8).map(|_| draw.below(1000)).collect();
        assert_eq!(numbers, SEQUENCE);
    }

    const SEQUENCE: [usize; 8] = [104, 363, 290, 362, 272, 133, 958, 934];

    #[test]
    fn small_classes_are_drawn_as_often_as_large_ones() {
        let labels: Vec<i64> = (0..1000).map(|row| i64::from(row < 10)).collect();
        let rows = ByClass::new(&labels, 2);
        let mut batch = vec![0; 20_000];
        rows.draw(&mut Draw::new(1, Purpose::Batch, 0), &mut batch);
        let small = batch.iter().filter(|row| **row < 10).count();
        assert!((9_500..10_500).contains(&small), "{small}");
        for row in 0..10 {
            let count = batch.iter().filter(|drawn| **drawn == row).count();
            assert!((800..1_200).contains(&count), "row {row}: {count}");
        }
    }

    #[test]
    fn initial_weights_are_normal_and_cut_at_two_deviations() {
        let mut draw = Draw::new(1, Purpose::Weights, 0);
        let values: Vec<f64> = (0..20_000).map(|_| draw.truncated_normal()).collect();
        let mean = values.iter().sum::<f64>() / 20_000.0;
        let variance = values.iter().map(|value| value * value).sum::<f64>() / 20_000.0;
        assert!(values.iter().all(|value| value.abs() <= 2.0));
        assert!(mean.abs() < 0.02, "{mean}");
        // The variance of a normal distribution truncated at two standard deviations is 0.774.
        assert!((variance - 0.774).abs() < 0.02, "{variance}");
    }
}
