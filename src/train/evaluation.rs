//! What a head makes of a set of frames: accuracy and cross-entropy while it trains, and afterwards.

use crate::onnx::{Bindings, Constant, ElementType, Loop, OnnxError, Session};

use super::batches::{ByClass, Draw, Purpose};
use super::curves::BestPoint;
use super::graph::{Sizes, evaluation_graph, state_shape};
use super::learner::{Data, Examples, THREADS, transpose};
use super::{Head, TrainError, TrainSettings};

/// Accuracy of a head on a set; `None` for an empty one.
pub(super) fn accuracy(
    sizes: Sizes,
    examples: &Examples,
    head: &Head,
) -> Result<Option<f32>, TrainError> {
    let right = correct(sizes, examples, head)?;
    let count = right.iter().filter(|right| **right).count();
    Ok((!right.is_empty()).then(|| (count as f64 / right.len() as f64) as f32))
}

/// What a head of a step makes of the validation frames; `None` without any.
pub(super) fn point(data: &Data, head: &Head, step: u32) -> Result<Option<BestPoint>, TrainError> {
    let examples = &data.validation;
    if examples.len() == 0 {
        return Ok(None);
    }
    let mut all = Evaluation::new(examples.tensors()?, examples.len(), data.sizes, None)?;
    let (accuracy, cross_entropy) = all.mean(&transpose(&head.w, data.sizes.dim), &head.b)?;
    Ok(Some(BestPoint {
        step,
        validation_accuracy: accuracy,
        validation_cross_entropy: cross_entropy,
    }))
}

/// Whether a head classifies each frame of a set rightly.
pub(super) fn correct(
    sizes: Sizes,
    examples: &Examples,
    head: &Head,
) -> Result<Vec<bool>, TrainError> {
    if examples.len() == 0 {
        return Ok(Vec::new());
    }
    let mut evaluation = Evaluation::new(examples.tensors()?, examples.len(), sizes, None)?;
    let w = transpose(&head.w, sizes.dim);
    evaluation.mean(&w, &head.b)?;
    let correct = evaluation.0.output_f32("correct")?;
    Ok(correct.iter().map(|value| *value > 0.5).collect())
}

/// The evaluation of a fixed set, or of changing rows of it.
pub(super) struct Evaluation(Loop);

impl Evaluation {
    /// Of `examples` rows, or of `batch` of them at a time.
    pub(super) fn new(
        [x, y]: [Constant; 2],
        examples: usize,
        sizes: Sizes,
        batch: Option<usize>,
    ) -> Result<Self, OnnxError> {
        let graph = evaluation_graph(sizes, examples, batch);
        let session = Session::from_bytes(&graph.to_onnx(), THREADS)?;
        let rows = [batch.unwrap_or(examples)];
        let (w, b) = (state_shape("w", sizes), state_shape("b", sizes));
        let mut inputs: Vec<(&str, ElementType, &[usize])> =
            vec![("w", ElementType::F32, &w), ("b", ElementType::F32, &b)];
        if batch.is_some() {
            inputs.push(("rows", ElementType::I64, &rows));
        }
        Ok(Self(Loop::new(
            session,
            Bindings {
                constants: vec![("x", x), ("y", y)],
                state: Vec::new(),
                inputs,
                outputs: vec![
                    ("cross_entropy", ElementType::F32, &rows),
                    ("correct", ElementType::F32, &rows),
                ],
            },
        )?))
    }

    /// Chooses the rows to look at.
    pub(super) fn rows(&mut self, rows: &[i64]) -> Result<(), OnnxError> {
        self.0.set_i64("rows", rows)
    }

    /// Accuracy and mean cross-entropy with the given weights.
    pub(super) fn mean(&mut self, w: &[f32], b: &[f32]) -> Result<(f32, f32), OnnxError> {
        self.0.set_f32("w", w)?;
        self.0.set_f32("b", b)?;
        self.0.step()?;
        Ok((
            mean(self.0.output_f32("correct")?.iter()),
            mean(self.0.output_f32("cross_entropy")?.iter()),
        ))
    }
}

/// The mean, summed in double precision.
pub(super) fn mean<'a>(values: impl ExactSizeIterator<Item = &'a f32>) -> f32 {
    let count = values.len();
    (values.map(|value| f64::from(*value)).sum::<f64>() / count as f64) as f32
}

/// The validation frames. All of them choose the best weights (with cached bottlenecks that is cheap); the
/// curves show a random batch of `validation_batch_size`, as `retrain.py` does, or all.
pub(super) struct Validation {
    /// All of them.
    pub all: Evaluation,
    rows: ByClass,
    batch: Option<Vec<i64>>,
    seed: u64,
}

impl Validation {
    /// Nothing without validation frames.
    pub(super) fn new(data: &Data, settings: &TrainSettings) -> Result<Option<Self>, OnnxError> {
        let examples = &data.validation;
        if examples.len() == 0 {
            return Ok(None);
        }
        Ok(Some(Self {
            all: Evaluation::new(examples.tensors()?, examples.len(), data.sizes, None)?,
            rows: ByClass::new(&examples.y, data.sizes.classes),
            batch: usize::try_from(settings.validation_batch_size)
                .ok()
                .filter(|size| *size > 0)
                .map(|size| vec![0; size]),
            seed: settings.seed,
        }))
    }

    /// What the curves show after a step, given the figures of all frames, which were computed just now.
    pub(super) fn shown(&mut self, step: u32, all: (f32, f32)) -> Result<(f32, f32), OnnxError> {
        let Some(batch) = &mut self.batch else {
            return Ok(all);
        };
        let mut draw = Draw::new(self.seed, Purpose::Validation, step);
        self.rows.draw(&mut draw, batch);
        let of_batch = |values: &[f32]| {
            let picked: Vec<f32> = batch
                .iter()
                .filter_map(|row| values.get(usize::try_from(*row).ok()?).copied())
                .collect();
            mean(picked.iter())
        };
        Ok((
            of_batch(self.all.0.output_f32("correct")?),
            of_batch(self.all.0.output_f32("cross_entropy")?),
        ))
    }
}
