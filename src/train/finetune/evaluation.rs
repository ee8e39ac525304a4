//! The evaluation of a set of frames, and what its batches have in common with those of a step.

use half::f16;

use crate::jobs::Work;
use crate::onnx::{Bindings, ElementType, Loop, OnnxError, Session, Stopper, Tensor};
use crate::train::TrainError;

use super::graph::Network;
use super::learner::{Row, Rows, Side};

/// Runs `inner`; what it runs with the stopper ends when `work` is cancelled.
pub(super) fn stopped_by<T>(
    work: &Work,
    inner: impl FnOnce(&Stopper) -> Result<T, TrainError>,
) -> Result<T, TrainError> {
    let stopper = Stopper::new()?;
    work.stopped_by(|| stopper.stop(), || inner(&stopper))
}

/// The buffers of one batch.
pub(super) struct Batch {
    /// `f16[B, C·H·W]`.
    pub x: Vec<f16>,
    /// `i64[B]`.
    pub y: Vec<i64>,
}

impl Batch {
    pub(super) fn new(batch: usize, row_len: usize) -> Self {
        Self {
            x: vec![f16::ZERO; batch * row_len],
            y: vec![0; batch],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.y.len()
    }
}

/// The evaluation of sets, batch by batch.
pub(super) struct Evaluation {
    inner: Loop,
    names: Vec<String>,
    batch: Batch,
    row_len: usize,
}

impl Evaluation {
    /// One of a session of [`Network::evaluation_graph`].
    pub(super) fn new(
        network: &Network,
        session: Session,
        batch: usize,
    ) -> Result<Self, OnnxError> {
        let row_len = network.row_len();
        let (x_shape, y_shape) = ([batch, row_len], [batch]);
        let mut inputs: Vec<(&str, ElementType, &[usize])> = vec![
            ("x", ElementType::F16, &x_shape),
            ("y", ElementType::I64, &y_shape),
        ];
        for weight in &network.weights {
            inputs.push((&weight.name, ElementType::F32, &weight.shape));
        }
        Ok(Self {
            inner: Loop::new(
                session,
                Bindings {
                    inputs,
                    outputs: vec![
                        ("cross_entropy", ElementType::F32, &y_shape),
                        ("correct", ElementType::F32, &y_shape),
                    ],
                    ..Bindings::default()
                },
            )?,
            names: network.weights.iter().map(|w| w.name.clone()).collect(),
            batch: Batch::new(batch, row_len),
            row_len,
        })
    }

    /// For each frame of a set 1 or 0 for right or wrong, and its cross-entropy.
    pub(super) fn figures(
        &mut self,
        weights: &[Tensor],
        side: &Side,
        rows: &mut dyn Rows,
        work: &Work,
        stopper: &Stopper,
    ) -> Result<(Vec<f32>, Vec<f32>), TrainError> {
        for (name, weight) in self.names.iter().zip(weights) {
            self.inner.set_f32(name, weight.f32()?)?;
        }
        let wanted: Vec<Row> = side.frames.iter().map(|frame| (*frame, 0)).collect();
        rows.ensure(&wanted, work)?;
        let size = self.batch.len();
        let (mut correct, mut cross_entropy) = (Vec::new(), Vec::new());
        for (wanted, y) in wanted.chunks(size).zip(side.y.chunks(size)) {
            work.check()?;
            // The last batch may be short; what is left in the rest of the buffers is not read.
            let len = wanted.len();
            if let Some(x) = self.batch.x.get_mut(..len * self.row_len) {
                rows.fill(wanted, x, work)?;
            }
            if let Some(to) = self.batch.y.get_mut(..len) {
                to.copy_from_slice(y);
            }
            self.inner.set_f16("x", &self.batch.x)?;
            self.inner.set_i64("y", &self.batch.y)?;
            self.inner.step_unless(stopper)?;
            correct.extend(self.inner.output_f32("correct")?.iter().take(len));
            cross_entropy.extend(self.inner.output_f32("cross_entropy")?.iter().take(len));
        }
        Ok((correct, cross_entropy))
    }
}
