//! An exported model read back: session, recipe, labels.

use std::path::{Path, PathBuf};

use image::RgbImage;

use crate::onnx::{Element, Session, Tensor};

use super::EvaluateError;
use super::recipe::{InputKind, Recipe};

/// Metadata key under which a model carries its [`Recipe`] as JSON.
pub const RECIPE_KEY: &str = "preprocessing";

/// The model in an export's folder.
pub(super) const MODEL_FILE: &str = "model.onnx";

/// An exported ONNX model ready to run.
pub struct ExportedModel {
    session: Session,
    recipe: Recipe,
}

impl ExportedModel {
    /// Reads an export's folder or the model file in it, to run on `threads` threads.
    pub fn open(path: &Path, threads: usize) -> Result<Self, EvaluateError> {
        let file = if path.is_dir() {
            path.join(MODEL_FILE)
        } else {
            path.to_owned()
        };
        let no_export = |reason: String| EvaluateError::NoExport {
            path: path.to_owned(),
            reason,
        };
        let bytes = std::fs::read(&file)
            .map_err(|error| no_export(format!("cannot read “{}”: {error}", file.display())))?;
        Self::from_bytes(&bytes, &file, threads)
    }

    /// From the bytes of a model file; `path` names it in messages.
    pub fn from_bytes(bytes: &[u8], path: &Path, threads: usize) -> Result<Self, EvaluateError> {
        let no_export = |reason: String| EvaluateError::NoExport {
            path: PathBuf::from(path),
            reason,
        };
        let session =
            Session::from_bytes(bytes, threads).map_err(|error| no_export(error.to_string()))?;
        let recipe = session
            .metadata()?
            .into_iter()
            .find(|(key, _)| key == RECIPE_KEY)
            .map(|(_, value)| value)
            .ok_or_else(|| {
                no_export("the model carries no preprocessing; Salamander did not export it".into())
            })?;
        let recipe = serde_json::from_str(&recipe)
            .map_err(|error| no_export(format!("its preprocessing cannot be read ({error})")))?;
        Ok(Self { session, recipe })
    }

    /// How its input is made.
    #[must_use]
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Probabilities of one picture, in the order of the labels.
    pub fn probabilities(&mut self, picture: &RgbImage) -> Result<Vec<f32>, EvaluateError> {
        let preprocessing = &self.recipe.preprocessing;
        let side = preprocessing.resolution_px as usize;
        let pixels = preprocessing.resize(picture);
        let input = match self.recipe.input.kind {
            InputKind::Uint8Nhwc => Tensor {
                shape: vec![1, side, side, 3],
                data: Element::U8(pixels.into_raw()),
            },
            InputKind::Float32Nchw => {
                let mut planes = vec![0.0; 3 * side * side];
                preprocessing.normalize_into(&pixels, &mut planes);
                Tensor {
                    shape: vec![1, 3, side, side],
                    data: Element::F32(planes),
                }
            }
        };
        let outputs = self.session.run(
            &[(&self.recipe.input.name, &input)],
            &[&self.recipe.output.name],
        )?;
        match outputs.into_iter().next().map(|output| output.data) {
            Some(Element::F32(values)) if values.len() == self.recipe.labels.len() => Ok(values),
            _ => Err(crate::onnx::OnnxError::Model(
                "its output is not one probability per label".into(),
            )
            .into()),
        }
    }
}
