//! Batches of cached activations.

use half::f16;

use crate::backbone::Activations;
use crate::jobs::Work;
use crate::onnx::{ElementType, Loop, OnnxError};
use crate::train::TrainError;
use crate::train::batches::{Batches, Feed, Part, ViewOfFrame};

/// A source of activations.
pub(super) trait Rows {
    /// Writes the activations of `wanted` to `out`, one after the other.
    fn fill(
        &mut self,
        wanted: &[ViewOfFrame],
        out: &mut [f16],
        work: &Work,
    ) -> Result<(), TrainError>;
    /// Computes those of `wanted` that are not in memory yet.
    fn ensure(&mut self, wanted: &[ViewOfFrame], work: &Work) -> Result<(), TrainError>;
}

impl Rows for Activations {
    fn fill(
        &mut self,
        wanted: &[ViewOfFrame],
        out: &mut [f16],
        work: &Work,
    ) -> Result<(), TrainError> {
        Ok(Self::fill(self, wanted, out, work)?)
    }

    fn ensure(&mut self, wanted: &[ViewOfFrame], work: &Work) -> Result<(), TrainError> {
        Ok(Self::ensure(self, wanted, work)?)
    }
}

/// Batches of rows. Steps and evaluations have the same batch size.
pub(super) struct RowBatches<'a> {
    rows: &'a mut dyn Rows,
    row_len: usize,
    /// `f16[B, C·H·W]`.
    x: Vec<f16>,
    /// `i64[B]`.
    y: Vec<i64>,
}

impl<'a> RowBatches<'a> {
    /// Batches of rows with this length.
    pub(super) fn new(rows: &'a mut dyn Rows, row_len: usize, batch: usize) -> Self {
        Self {
            rows,
            row_len,
            x: vec![f16::ZERO; batch * row_len],
            y: vec![0; batch],
        }
    }
}

impl Batches for RowBatches<'_> {
    fn feed(&self, _: Part) -> Result<Feed, OnnxError> {
        let images = self.y.len();
        Ok(Feed {
            images,
            constants: Vec::new(),
            inputs: vec![
                ("x", ElementType::F16, vec![images, self.row_len]),
                ("y", ElementType::I64, vec![images]),
            ],
        })
    }

    fn ensure(&mut self, rows: &[ViewOfFrame], work: &Work) -> Result<(), TrainError> {
        self.rows.ensure(rows, work)
    }

    fn write(
        &mut self,
        _: Part,
        rows: &[ViewOfFrame],
        y: &[i64],
        to: &mut Loop,
        work: &Work,
    ) -> Result<(), TrainError> {
        if let Some(x) = self.x.get_mut(..rows.len() * self.row_len) {
            self.rows.fill(rows, x, work)?;
        }
        if let Some(to) = self.y.get_mut(..y.len()) {
            to.copy_from_slice(y);
        }
        to.set_f16("x", &self.x)?;
        to.set_i64("y", &self.y)?;
        Ok(())
    }
}
