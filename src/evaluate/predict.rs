//! Prediction on new images and videos, with a run or an export.

use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;

use crate::backbone::{Extractor, worker_count};
use crate::jobs::Work;
use crate::media::{Kind, Sampler, load_image};
use crate::project::{Project, Sampling};
use crate::train::{Run, RunClasses, RunState};

use super::EvaluateError;
use super::classifier::Classifier;
use super::exported::{ExportedModel, MODEL_FILE};

/// In the folder of a run.
const RUN_FILE: &str = "run.json";

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
    /// All classes, most probable first; equals stay in the order of the classes.
    pub top: Vec<ClassProbability>,
}

/// A prediction with its place in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct FilePrediction {
    /// Seconds from the start of the video; `None` for an image.
    pub time_secs: Option<f64>,
    /// What the model says.
    pub prediction: Prediction,
}

enum Model {
    Run(Box<Extractor>, Classifier, RunClasses),
    Export(Box<ExportedModel>),
}

/// A model ready to predict: backbone and head, or an exported model.
pub struct Predictor {
    model: Model,
    classes: Vec<String>,
}

impl Predictor {
    /// From the folder of a run, an export's folder or the model file in one.
    ///
    /// # Errors
    /// If it is none of these; for a project the error names the newest export or finished run in it.
    pub fn open(path: &Path) -> Result<Self, EvaluateError> {
        if path.join(RUN_FILE).is_file() {
            let run = Run::open(path)?;
            let classes = RunClasses::beside(&run);
            return Self::from_run(&run, classes);
        }
        if !path.join(MODEL_FILE).is_file() && Project::is_at(path) {
            return Err(EvaluateError::IsProject {
                path: path.to_owned(),
                newest: newest_model(path),
            });
        }
        Self::from_export(path)
    }

    /// From a run, whose classes are called what they are now. One picture uses all cores.
    pub fn from_run(run: &Run, classes: RunClasses) -> Result<Self, EvaluateError> {
        let extractor = Extractor::with_threads(
            &run.settings.architecture,
            &run.preprocessing,
            run.tuned()?.as_ref(),
            worker_count(),
        )?;
        let classifier = Classifier::of_run(run, extractor.dim())?;
        Ok(Self {
            classes: classes.labels.clone(),
            model: Model::Run(Box::new(extractor), classifier, classes),
        })
    }

    /// From an exported folder (`model.onnx` with its labels) or the model file in it.
    pub fn from_export(path: &Path) -> Result<Self, EvaluateError> {
        let model = ExportedModel::open(path, worker_count())?;
        let classes = model.recipe().labels.clone();
        Ok(Self {
            model: Model::Export(Box::new(model)),
            classes,
        })
    }

    /// Class names in the order of the model's output.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Probabilities of one picture, in the order of [`Predictor::classes`].
    pub fn probabilities(&mut self, picture: &RgbImage) -> Result<Vec<f32>, EvaluateError> {
        match &mut self.model {
            Model::Run(extractor, classifier, classes) => {
                Ok(classes.fold(classifier.probabilities(&extractor.extract(picture)?)))
            }
            Model::Export(model) => model.probabilities(picture),
        }
    }

    /// Predicts one picture.
    pub fn predict(&mut self, picture: &RgbImage) -> Result<Prediction, EvaluateError> {
        let probabilities = self.probabilities(picture)?;
        let mut top: Vec<_> = self
            .classes
            .iter()
            .zip(probabilities)
            .map(|(class, probability)| ClassProbability {
                class: class.clone(),
                probability,
            })
            .collect();
        top.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        Ok(Prediction { top })
    }

    /// Predicts an image, or the frames of a video that `sampling` asks for, and hands over each prediction as
    /// it is made. Damage in a video becomes a warning of `work`.
    pub fn predict_file(
        &mut self,
        path: &Path,
        sampling: &Sampling,
        work: &Work,
        mut each: impl FnMut(FilePrediction),
    ) -> Result<(), EvaluateError> {
        work.check()?;
        // What is neither image nor film is opened as a film, which says what it is.
        if Kind::of(path)?.is_image() {
            each(FilePrediction {
                time_secs: None,
                prediction: self.predict(&load_image(path)?)?,
            });
            return Ok(());
        }
        let mut sampler = Sampler::open(path, sampling)?;
        let name = path
            .file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy();
        work.stage(format!("Predicting {name}"), sampler.expected_frames());
        while let Some(frame) = sampler.next_frame(work)? {
            let prediction = self.predict(&frame.to_rgb()?)?;
            each(FilePrediction {
                time_secs: Some(frame.time_secs),
                prediction,
            });
            work.advance(1);
        }
        for warning in sampler.warnings() {
            work.warn(warning);
        }
        Ok(())
    }
}

/// The export or finished run in a project's folder that was written last.
fn newest_model(project: &Path) -> Option<PathBuf> {
    let written = |folder: &Path, file: &str| {
        let facts = fs::metadata(folder.join(file)).ok()?;
        Some((facts.modified().ok()?, folder.to_owned()))
    };
    let below = |name: &str| fs::read_dir(project.join(name)).into_iter().flatten();
    let exports = below("exports").filter_map(|entry| written(&entry.ok()?.path(), MODEL_FILE));
    let runs = below("runs").filter_map(|entry| {
        let folder = entry.ok()?.path();
        let run = Run::open(&folder).ok()?;
        (run.state == RunState::Finished).then(|| written(&folder, RUN_FILE))?
    });
    let (_, newest) = exports.chain(runs).max()?;
    Some(newest)
}
