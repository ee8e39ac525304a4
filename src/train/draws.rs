//! What is drawn for a step: its batch, the shares by which its images are mixed, the masks of dropout. All of it follows from the
//! seed and the number of the step.

use crate::graph::{Dim, Mask};
use crate::onnx::{ElementType, Loop, OnnxError};

use super::Sampling;
use super::batches::{ByClass, Draw, LabelledFrames, ViewOfFrame};
use super::recipe::Recipe;

/// What dropout leaves out in a step: what it is multiplied with.
pub(super) struct StepMask {
    of: Mask,
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl StepMask {
    pub(super) fn of(mask: Mask) -> Result<Self, OnnxError> {
        let lens = mask.shape.iter().map(|dim| match dim {
            Dim::Fixed(len) => Some(*len),
            Dim::Free(_) => None,
        });
        let shape: Option<Vec<usize>> = lens.collect();
        let shape = shape.ok_or_else(|| OnnxError::Model("a mask has no fixed shape".into()))?;
        Ok(Self {
            values: vec![0.0; shape.iter().product()],
            of: mask,
            shape,
        })
    }

    /// The input of a step that takes it, with its shape.
    pub(super) fn input(&self) -> (&str, ElementType, &[usize]) {
        (&self.of.input, ElementType::F32, &self.shape)
    }

    /// Writes that of a step into its session.
    pub(super) fn write(&mut self, seed: u64, step: u32, to: &mut Loop) -> Result<(), OnnxError> {
        self.of.fill(seed, u64::from(step), &mut self.values);
        to.set_f32(&self.of.input, &self.values)
    }
}

/// A batch.
pub(super) struct Drawn {
    pub rows: Vec<ViewOfFrame>,
    /// The class of each.
    pub y: Vec<i64>,
    /// The share that each keeps where images are [mixed](super::mixup).
    pub shares: Vec<f32>,
}

/// What the batches of a training are drawn from.
pub(super) struct Draws<'a> {
    pub recipe: &'a Recipe,
    pub side: &'a LabelledFrames,
    pub by_class: ByClass,
    /// Images of a step.
    pub batch: usize,
}

impl Draws<'_> {
    /// The batch of a step.
    pub(super) fn of_step(&self, step: u32) -> Drawn {
        let mut draw = Draw::new(self.recipe.seed, self.recipe.purpose, step);
        let mut places = vec![0; self.batch];
        match self.recipe.sampling {
            Sampling::Balanced => self.by_class.draw(&mut draw, &mut places),
            Sampling::Natural => {
                places.fill_with(|| draw.below(self.side.frames.len()) as i64);
            }
        }
        let (rows, y): (Vec<ViewOfFrame>, Vec<i64>) = places
            .iter()
            .filter_map(|place| {
                let place = usize::try_from(*place).ok()?;
                let frame = *self.side.frames.get(place)?;
                let view = u32::try_from(draw.below(self.recipe.views)).unwrap_or_default();
                Some(((frame, view), *self.side.y.get(place)?))
            })
            .unzip();
        let shares = draw.shares(self.recipe.mixup, self.batch);
        Drawn { rows, y, shares }
    }
}
