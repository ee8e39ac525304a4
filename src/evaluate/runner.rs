//! Runs an exported model of any format, from an image to probabilities.

use image::RgbImage;

use crate::jobs::Work;
use crate::onnx::Tensor;

use super::{EvaluateError, Recipe};

/// An opened exported model. Each format has its own runner; `export::open` detects the format from the file.
pub trait Runner: Send {
    /// How its input is made, and the labels of its outputs.
    fn recipe(&self) -> &Recipe;

    /// The probabilities, in the order of the labels, for one example made by [`Recipe::tensor`].
    ///
    /// # Errors
    /// Errors of the runtime, and an output that is not one probability for each label.
    fn run(&mut self, input: &Tensor) -> Result<Vec<f32>, EvaluateError>;

    /// The same, stopped immediately if `work` is cancelled: a model file from anywhere may contain an endless loop.
    ///
    /// # Errors
    /// As for [`Runner::run`]; cancelled.
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
    /// As for [`Runner::run`].
    fn probabilities(&mut self, image: &RgbImage) -> Result<Vec<f32>, EvaluateError> {
        let input = self.recipe().tensor(image);
        self.run(&input)
    }
}
