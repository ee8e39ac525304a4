//! Opens and runs an exported ONNX model.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::evaluate::{EvaluateError, Recipe, Runner};
use crate::jobs::Work;
use crate::onnx::{Element, OnnxError, Session, Stopper, Tensor};

use super::RECIPE_KEY;

/// The time limit for one image, some hundred times what a large network needs: a model file may contain an endless
/// loop.
const MOST_TIME: Duration = Duration::from_mins(3);

/// An exported ONNX model, opened in ONNX Runtime, with its recipe.
pub struct OnnxRunner {
    session: Session,
    recipe: Recipe,
    path: PathBuf,
    most_time: Duration,
}

impl OnnxRunner {
    /// Opens the bytes of a model file to run on `threads` threads; `path` is used in messages.
    ///
    /// # Errors
    /// [`EvaluateError::NoExport`] if it is no model, or has no valid recipe.
    pub fn from_bytes(bytes: &[u8], path: &Path, threads: usize) -> Result<Self, EvaluateError> {
        Self::opened(path, || Session::from_bytes(bytes, threads))
    }

    /// Opens a graph that was read from a file of another format. Quantized operators are computed in single
    /// precision, so that results are the same on every processor.
    ///
    /// # Errors
    /// As for [`OnnxRunner::from_bytes`].
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
                no_export(
                    "the model does not describe its preprocessing; Salamander did not export it"
                        .into(),
                )
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
            most_time: MOST_TIME,
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
        let begun = Instant::now();
        let found = work.stopped_by_or_after(
            self.most_time,
            || stopper.stop(),
            || {
                let inputs = [(names[0], input)];
                self.session
                    .run_until_stopped(&inputs, &[names[1]], &stopper)
            },
        );
        if found.is_err() {
            // A run that was stopped by the user returns an error, too.
            work.check()?;
            if begun.elapsed() >= self.most_time {
                let secs = self.most_time.as_secs();
                return Err(EvaluateError::NoExport {
                    path: self.path.clone(),
                    reason: format!("it takes longer than {secs} s per image"),
                });
            }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use prost::Message as _;

    use crate::backbone::{Architecture, Fit};
    use crate::evaluate::InputKind;
    use crate::onnx::endless;
    use crate::onnx::proto::{ModelProto, StringStringEntryProto};

    use super::*;

    #[test]
    fn a_loop_without_an_end_is_refused() {
        let architecture: Architecture = "efficientnet-lite0@96".parse().unwrap();
        let preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
        let labels = ["a", "b"].map(str::to_owned);
        let kind = InputKind::Float32Nchw;
        let mut recipe = Recipe::new(kind, &preprocessing, &architecture, &labels);
        recipe.input.name = "x".into();
        recipe.output.name = "y".into();
        let mut model = ModelProto::decode(endless().as_slice()).unwrap();
        model.metadata_props.push(StringStringEntryProto {
            key: Some(RECIPE_KEY.into()),
            value: Some(serde_json::to_string(&recipe).unwrap()),
        });
        let path = Path::new("there/endless.onnx");
        let mut runner = OnnxRunner::from_bytes(&model.encode_to_vec(), path, 1).unwrap();
        runner.most_time = Duration::from_millis(50);
        let x = Tensor::new([1, 2], vec![0.5_f32, 0.5]);
        let message = runner.run_until_cancelled(&x, &Work::new()).unwrap_err();
        let message = message.to_string();
        assert!(
            message.contains("there/endless.onnx") && message.contains("longer than"),
            "{message}"
        );
        let work = Work::new();
        work.cancel();
        runner.most_time = MOST_TIME;
        let ended = runner.run_until_cancelled(&x, &work);
        assert!(
            matches!(ended, Err(EvaluateError::Cancelled(_))),
            "{ended:?}"
        );
    }
}
