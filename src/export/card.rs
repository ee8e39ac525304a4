//! The model card: the purpose of a model, what it was trained on, its accuracy and how far that can be trusted. It is
//! written as `MODEL_CARD.md` for people and `model_card.json` for programs.

mod markdown;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::evaluate::{Evaluation, Figures, LeakMeter, Measure};
use crate::project::{FrameName, Project, Split};
use crate::text::count;
use crate::train::{Calibration, Run, RunClasses, RunFrame};

use super::{Certificate, ExportError, Model};

/// The card for people.
pub(super) const FILE: &str = "MODEL_CARD.md";
/// The card for programs.
pub(super) const JSON_FILE: &str = "model_card.json";

/// Version of the JSON layout.
const SCHEMA: u32 = 1;
/// How many confusions are listed.
const CONFUSED: usize = 5;
/// With fewer test images of a class, its figures mean little.
const FEW_IMAGES: u64 = 30;
/// With test images from fewer sources, the accuracy says little about other sources.
const FEW_SOURCES: u64 = 5;

/// The contents of a model card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Version of this layout.
    pub schema: u32,
    /// The program and its version: "Salamander 0.1.0".
    pub program: String,
    /// The name of the project.
    pub project: String,
    /// The run's identifier.
    pub run: String,
    /// The name that the user gave the run; empty if none.
    pub name: String,
    /// The day on which its training began, `2026-11-24`.
    pub date: String,
    /// `efficientnet-lite0@224`.
    pub architecture: String,
    /// The depth: `head`, `last-3`.
    pub depth: String,
    /// How many weights were trained.
    pub trained_weights: u64,
    /// Intended uses, a sentence each.
    pub intended_use: Vec<String>,
    /// Limitations, a sentence each.
    pub limits: Vec<String>,
    /// What it was trained and tested on.
    pub data: CardData,
    /// Its overall accuracy.
    pub accuracy: Measured,
    /// One for each class, in the order of the outputs.
    pub classes: Vec<CardClass>,
    /// The most frequent confusions, most frequent first.
    pub confused: Vec<Confused>,
    /// Remarks on these figures, a sentence each.
    pub notes: Vec<String>,
    /// The models, as summarised from `certificate.json`.
    pub models: Vec<CardModel>,
    /// The accuracy that a random split of images would have shown; `None` without test images.
    #[serde(default)]
    pub leak: Option<LeakMeter>,
    /// The run's calibration; `None` without enough validation images.
    #[serde(default)]
    pub calibration: Option<Calibration>,
    /// Licences, a sentence each.
    pub licences: Vec<String>,
}

/// Numbers of images and of their sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counted {
    /// Images.
    pub images: u64,
    /// Videos, and groups of similar photos.
    pub sources: u64,
}

/// The images that a model was trained and tested on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardData {
    /// Training images.
    pub train: Counted,
    /// Validation images, which selected the best weights.
    pub validation: Counted,
    /// Test images.
    pub test: Counted,
    /// How images were assigned, a sentence each.
    pub split: Vec<String>,
}

/// The fraction of images that a model classifies correctly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The side: `test`; without test images `validation`; without those `train`.
    pub split: String,
    /// Images classified correctly.
    pub correct: u64,
    /// All images.
    pub images: u64,
    /// The fraction, 0..=1; `None` without images.
    pub part: Option<f32>,
    /// Its 95 % interval from a bootstrap over sources; `None` with fewer than two sources.
    pub interval_95: Option<(f32, f32)>,
}

/// A class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardClass {
    /// Its name.
    pub class: String,
    /// Training images.
    pub train: Counted,
    /// Validation images.
    pub validation: Counted,
    /// Test images.
    pub test: Counted,
    /// Its recall: the fraction of its images that are classified as this class.
    pub recall: Measured,
    /// Its precision: the fraction, 0..=1, of the images classified as this class that belong to it; `None` if there
    /// are none.
    pub precision: Option<f32>,
}

/// Images of one class that are classified as another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confused {
    /// Their class.
    pub class: String,
    /// The class that they are classified as.
    pub called: String,
    /// How many.
    pub images: u64,
    /// The number of images of the class.
    pub of: u64,
}

/// A summary of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardModel {
    /// Its file or folder.
    pub file: String,
    /// The name of its format.
    pub format: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its size divided by that of the fp32 model.
    pub size_ratio: f64,
    /// Top-1 accuracy on the images that the certificate names, 0..=1.
    pub top1: f64,
    /// Its accuracy minus that of the run.
    pub top1_difference: f64,
    /// The 95 % interval of that difference.
    pub top1_difference_95: [f64; 2],
    /// Images that it classifies differently from the run.
    pub flips: u64,
    /// Latency in milliseconds for one image, on one thread of this computer.
    pub latency_ms: Option<f64>,
    /// What the model was verified with.
    pub proof: String,
    /// The loss of accuracy beyond the limit of its format, if the user accepted it.
    pub accepted_loss: Option<String>,
}

impl Card {
    /// The card of a run, for the images of `reference`, their `figures` and the leak meter.
    pub(super) fn new(
        project: &Project,
        run: &Run,
        classes: &RunClasses,
        model: &Model,
        (reference, figures, leak): (&Evaluation, &Figures, Option<LeakMeter>),
        certificate: &Certificate,
    ) -> Result<Self, ExportError> {
        let frames = run.frames()?;
        let counted = |split: Split, class: Option<usize>| counted(&frames, classes, split, class);
        let confusion = &reference.confusion;
        let total = |class: usize| confusion.support(class);
        let measured = |correct: u64, images: u64, measure: Measure| Measured {
            split: certificate.split.clone(),
            correct,
            images,
            part: (images > 0).then(|| (correct as f64 / images as f64) as f32),
            interval_95: measure
                .interval_95
                .map(|[low, high]| (low as f32, high as f32)),
        };
        let recall = |class: usize| {
            let of_class = figures.per_class.get(class);
            of_class.map(|class| class.recall).unwrap_or_default()
        };
        let cell = |class: usize, called: usize| {
            let row = confusion.counts.get(class);
            row.and_then(|row| row.get(called).copied()).unwrap_or(0)
        };
        let of_class = |(index, label): (usize, &String)| CardClass {
            class: label.clone(),
            train: counted(Split::Train, Some(index)),
            validation: counted(Split::Validation, Some(index)),
            test: counted(Split::Test, Some(index)),
            recall: measured(cell(index, index), total(index), recall(index)),
            precision: confusion.precision(index),
        };
        let mut confused: Vec<Confused> = Vec::new();
        for (class, label) in model.labels.iter().enumerate() {
            for (called, other) in model.labels.iter().enumerate() {
                if class != called && cell(class, called) > 0 {
                    confused.push(Confused {
                        class: label.clone(),
                        called: other.clone(),
                        images: cell(class, called),
                        of: total(class),
                    });
                }
            }
        }
        confused.sort_by(|a, b| b.images.cmp(&a.images).then_with(|| a.of.cmp(&b.of)));
        confused.truncate(CONFUSED);
        let data = CardData {
            train: counted(Split::Train, None),
            validation: counted(Split::Validation, None),
            test: counted(Split::Test, None),
            split: split_in_words(project, run),
        };
        let mut notes = run.all_notes();
        notes.extend(model.notes.iter().cloned());
        let mut card = Self {
            schema: SCHEMA,
            program: certificate.program.clone(),
            project: project.name(),
            run: run.id.0.clone(),
            name: run.note()?.name,
            date: run.created.chars().take(10).collect(),
            architecture: model.architecture.to_string(),
            depth: run.settings.fine_tune.depth.word().to_owned(),
            trained_weights: run.result().map_or(0, |result| result.trained_weights),
            intended_use: Vec::new(),
            limits: Vec::new(),
            data,
            accuracy: measured(confusion.correct(), confusion.total(), figures.accuracy),
            classes: model.labels.iter().enumerate().map(of_class).collect(),
            confused,
            notes,
            models: certificate.models.iter().map(CardModel::of).collect(),
            leak,
            calibration: run.calibration()?,
            licences: licences(model),
        };
        card.intended_use = card.uses();
        card.limits = card.limits();
        Ok(card)
    }

    /// The classes with the lowest recall, lowest first; without classes that have no image on that side.
    #[must_use]
    pub fn weakest(&self) -> Vec<&CardClass> {
        let mut classes: Vec<&CardClass> = self
            .classes
            .iter()
            .filter(|class| class.recall.part.is_some())
            .collect();
        classes.sort_by(|a, b| {
            let part = |class: &CardClass| class.recall.part.unwrap_or(0.0);
            part(a).total_cmp(&part(b))
        });
        classes
    }

    /// The contents of [`JSON_FILE`].
    pub(super) fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    fn uses(&self) -> Vec<String> {
        vec![
            format!(
                "It classifies images into {} classes, if they look like those it was trained on.",
                self.classes.len()
            ),
            "It runs on the device: images never leave it.".to_owned(),
        ]
    }

    fn limits(&self) -> Vec<String> {
        let unknown = self.calibration.as_ref().and_then(|found| found.unknown);
        let none_of_them = match unknown {
            Some(unknown) => format!(
                "It always predicts one of its classes. Treat an image whose highest probability is below {:.3} (`unknown_below` in preprocess.json) as unknown: {:.1} % of images of known classes are then wrongly rejected, and {:.1} % of those of held-out classes are wrongly accepted.",
                unknown.threshold,
                100.0 * unknown.false_reject,
                100.0 * unknown.false_accept
            ),
            None => "It always predicts one of its classes, even for an image that shows none of them. A low probability hints at this but does not prove it; a class of other images helps more.".to_owned(),
        };
        let mut limits = vec![
            none_of_them,
            "Its figures were measured on the images of its project. With other cameras, light, places or backgrounds it may be less accurate; test it on images from where it will be used.".to_owned(),
        ];
        let few = |class: &&CardClass| class.recall.images < FEW_IMAGES;
        let test = &self.accuracy;
        if test.split == "test" {
            if self.data.test.sources < FEW_SOURCES {
                limits.push(format!(
                    "The test images come from only {}: its accuracy on others is largely unknown.",
                    count(self.data.test.sources, "source")
                ));
            }
            let weak: Vec<&CardClass> = self.classes.iter().filter(few).collect();
            if !weak.is_empty() {
                limits.push(format!(
                    "{} of {} classes have fewer than {FEW_IMAGES} test images; their figures are rough.",
                    weak.len(),
                    self.classes.len()
                ));
            }
        } else {
            limits.push(format!(
                "There were no test images: the accuracy was measured on {} images, which were used in training, and is too high.",
                match test.split.as_str() {
                    "train" => "training",
                    other => other,
                }
            ));
        }
        limits.push(
            "It makes mistakes. Where a mistake could harm somebody, a person must decide."
                .to_owned(),
        );
        limits
    }
}

impl CardModel {
    fn of(model: &super::ModelCertificate) -> Self {
        Self {
            file: model.file.clone(),
            format: model.format.clone(),
            bytes: model.bytes,
            size_ratio: model.size_ratio,
            top1: model.top1,
            top1_difference: model.top1_difference,
            top1_difference_95: model.top1_difference_95,
            flips: model.flips.len() as u64,
            latency_ms: model.latency.as_ref().map(|latency| latency.median_ms),
            proof: model.proof.clone(),
            accepted_loss: model.accepted_loss.clone(),
        }
    }
}

/// Counts the images of one side, of one class or of all.
fn counted(
    frames: &[RunFrame],
    classes: &RunClasses,
    split: Split,
    class: Option<usize>,
) -> Counted {
    let mut images = 0;
    let mut sources = BTreeSet::new();
    for frame in frames.iter().filter(|frame| frame.split == split) {
        let label = classes.label_of.get(frame.class).copied();
        if class.is_none() || label == class {
            images += 1;
            sources.insert(source(frame));
        }
    }
    Counted {
        images,
        sources: sources.len() as u64,
    }
}

/// The source of a frame: its video; for a photo, its group of similar photos.
fn source(frame: &RunFrame) -> String {
    let name = frame.path.rsplit('/').next().unwrap_or(&frame.path);
    match FrameName::parse(name) {
        Some(name) if name.time_secs.is_some() => name.source.to_string(),
        _ => frame.group.clone(),
    }
}

fn split_in_words(project: &Project, run: &Run) -> Vec<String> {
    let split = &run.settings.split;
    let mut words = vec![format!(
        "Images that belong together (frames of one video, or similar photos) are on the same side of the split; {} % were requested as test images and {} % as validation images.",
        split.testing_percentage, split.validation_percentage
    )];
    let sources = project.sources();
    let given = sources.iter().filter(|source| source.given_split.is_some());
    match given.count() as u64 {
        0 => {}
        given => words.push(format!(
            "{} came in train, val and test folders, and this split was kept.",
            count(given, "source")
        )),
    }
    words
}

fn licences(model: &Model) -> Vec<String> {
    let changed = if model.is_fine_tuned {
        " Some of them were changed by fine-tuning."
    } else {
        ""
    };
    vec![
        format!(
            "The weights of the backbone ({}) were published under {}; its text is LICENSE.txt.{changed}",
            model.backbone.name, model.backbone.licence
        ),
        format!(
            "The export was written by Salamander ({}), which claims no rights to its output.",
            env!("CARGO_PKG_LICENSE")
        ),
        "The trained weights belong to whoever trained them, who is responsible for the rights to the images.".to_owned(),
    ]
}
