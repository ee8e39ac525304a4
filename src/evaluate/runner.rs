//! What runs a model file that was written: of whatever format, from an image to probabilities.

use image::RgbImage;

use crate::jobs::Work;
use crate::onnx::Tensor;

use super::{EvaluateError, Recipe};

/// A written model, opened to be run. Each format has its own; `export::open` finds it by what the file is.
pub trait Runner: Send {
    /// How its input is made, and what its outputs are called.
    fn recipe(&self) -> &Recipe;

    /// The probabilities, in the order of the labels, of one example as [`Recipe::tensor`] makes it.
    ///
    /// # Errors
    /// Whatever the runtime says, and an output that is not one probability per label.
    fn run(&mut self, input: &Tensor) -> Result<Vec<f32>, EvaluateError>;

    /// The same, stopped at once when `work` is cancelled: a model file from anywhere may loop forever.
    ///
    /// # Errors
    /// As [`Runner::run`], and when the work is cancelled.
    fn run_until_cancelled(
        &mut self,
        input: &Tensor,
        work: &Work,
    ) -> Result<Vec<f32>, EvaluateError> {
        work.check()?;
        self.run(input)
    }

    /// The probabilities of one image, in the order of the labels.
    ///
    /// # Errors
    /// As [`Runner::run`].
    fn probabilities(&mut self, image: &RgbImage) -> Result<Vec<f32>, EvaluateError> {
        let input = self.recipe().tensor(image);
        self.run(&input)
    }
}
