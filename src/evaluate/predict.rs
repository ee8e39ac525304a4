//! Prediction on new images and videos, with a run or an export.

use std::path::Path;

use image::RgbImage;

use crate::train::Run;

use super::EvaluateError;

/// One class of a prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassProbability {
    /// The class.
    pub class: String,
    /// Softmax output, 0..=1.
    pub probability: f32,
}

/// The classes of one picture, most probable first.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// All classes, most probable first.
    pub top: Vec<ClassProbability>,
}

/// A model ready to predict: backbone and head, or an exported model.
pub struct Predictor {}

impl Predictor {
    /// From a run.
    pub fn from_run(run: &Run) -> Result<Self, EvaluateError> {
        todo!("{run:?}")
    }

    /// From an exported folder (`model.onnx` with its labels) or the model file in it.
    pub fn from_export(path: &Path) -> Result<Self, EvaluateError> {
        todo!("{path:?}")
    }

    /// Predicts one picture.
    pub fn predict(&mut self, picture: &RgbImage) -> Result<Prediction, EvaluateError> {
        let _ = picture;
        todo!()
    }
}
