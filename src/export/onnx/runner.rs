//! An ONNX model read back: session and recipe.

use std::path::{Path, PathBuf};

use crate::evaluate::{EvaluateError, Recipe, Runner};
use crate::jobs::Work;
use crate::onnx::{Element, OnnxError, Session, Stopper, Tensor};

use super::RECIPE_KEY;

/// An exported ONNX model ready to run in ONNX Runtime.
pub struct OnnxRunner {
    session: Session,
    recipe: Recipe,
    path: PathBuf,
}

impl OnnxRunner {
    /// From the bytes of a model file, to run on `threads` threads; `path` names it in messages.
    ///
    /// # Errors
    /// [`EvaluateError::NoExport`] when it is no model or carries no recipe that an export has.
    pub fn from_bytes(bytes: &[u8], path: &Path, threads: usize) -> Result<Self, EvaluateError> {
        Self::opened(path, || Session::from_bytes(bytes, threads))
    }

    /// From a graph that was read from a file of another format; what is quantized is computed in single precision, to
    /// be the same on every processor.
    ///
    /// # Errors
    /// As [`OnnxRunner::from_bytes`].
    pub fn of_read_back(bytes: &[u8], path: &Path, threads: usize) -> Result<Self, EvaluateError> {
        Self::opened(path, || Session::simulating_integers(bytes, threads))
    }

    fn opened(
        path: &Path,
        session: impl FnOnce() -> Result<Session, OnnxError>,
    ) -> Result<Self, EvaluateError> {
        let no_export = |reason: String| EvaluateError::NoExport {
            path: PathBuf::from(path),
            reason,
        };
        let session = session().map_err(|error| no_export(error.to_string()))?;
        let recipe = session
            .metadata()?
            .into_iter()
            .find(|(key, _)| key == RECIPE_KEY)
            .map(|(_, value)| value)
            .ok_or_else(|| {
                no_export("the model carries no preprocessing; Salamander did not export it".into())
            })?;
        let recipe: Recipe = serde_json::from_str(&recipe)
            .map_err(|error| no_export(format!("its preprocessing cannot be read ({error})")))?;
        if let Some(fault) = recipe.fault() {
            return Err(no_export(fault));
        }
        Ok(Self {
            session,
            recipe,
            path: path.to_owned(),
        })
    }
}

impl Runner for OnnxRunner {
    fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    fn run(&mut self, input: &Tensor) -> Result<Vec<f32>, EvaluateError> {
        let names = [self.recipe.input.name.as_str(), &self.recipe.output.name];
        let outputs = self.session.run(&[(names[0], input)], &[names[1]])?;
        self.probabilities_of(outputs)
    }

    fn run_until_cancelled(
        &mut self,
        input: &Tensor,
        work: &Work,
    ) -> Result<Vec<f32>, EvaluateError> {
        let names = [self.recipe.input.name.as_str(), &self.recipe.output.name];
        let stopper = Stopper::new()?;
        let found = work.stopped_by(
            || stopper.stop(),
            || {
                let inputs = [(names[0], input)];
                self.session
                    .run_until_stopped(&inputs, &[names[1]], &stopper)
            },
        );
        if found.is_err() {
            // Stopped, and an error for that reason.
            work.check()?;
        }
        self.probabilities_of(found?)
    }
}

impl OnnxRunner {
    fn probabilities_of(&self, outputs: Vec<Tensor>) -> Result<Vec<f32>, EvaluateError> {
        match outputs.into_iter().next().map(|output| output.data) {
            Some(Element::F32(values)) if values.len() == self.recipe.labels.len() => Ok(values),
            _ => Err(EvaluateError::NoExport {
                path: self.path.clone(),
                reason: "its output is not one probability per label".into(),
            }),
        }
    }
}
