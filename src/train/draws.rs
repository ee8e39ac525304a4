//! The random draws of a step: its batch, the shares for mixing its images, the masks of dropout. All are determined
//! by the seed and the number of the step.

use crate::graph::{Dim, Mask};
use crate::onnx::{ElementType, Loop, OnnxError};

use super::ClassSampling;
use super::batches::{ByClass, Draw, LabelledFrames, ViewOfFrame};
use super::recipe::Recipe;

/// The mask of a dropout layer in a step.
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

    /// The input of a step for it, with its shape.
    pub(super) fn input(&self) -> (&str, ElementType, &[usize]) {
        (&self.of.input, ElementType::F32, &self.shape)
    }

    /// Writes the mask of a step to its session.
    pub(super) fn write(&mut self, seed: u64, step: u32, to: &mut Loop) -> Result<(), OnnxError> {
        self.of.fill(seed, u64::from(step), &mut self.values);
        to.set_f32(&self.of.input, &self.values)
    }
}

/// A batch.
pub(super) struct Drawn {
    pub rows: Vec<ViewOfFrame>,
    /// The class of each image.
    pub y: Vec<i64>,
    /// The share that each image keeps when images are [mixed](super::mixup).
    pub shares: Vec<f32>,
}

/// The source of a training's draws.
pub(super) struct Draws<'a> {
    pub recipe: &'a Recipe,
    pub side: &'a LabelledFrames,
    pub by_class: ByClass,
    /// The number of images in a step.
    pub batch: usize,
}

impl Draws<'_> {
    /// The batch of a step.
    pub(super) fn of_step(&self, step: u32) -> Drawn {
        let mut draw = Draw::new(self.recipe.seed, self.recipe.purpose, step);
        let mut places = vec![0; self.batch];
        match self.recipe.sampling {
            ClassSampling::Balanced => self.by_class.draw(&mut draw, &mut places),
            ClassSampling::Natural => {
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
