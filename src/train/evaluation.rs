//! Evaluates weights on a set of images: accuracy and cross-entropy.

use crate::jobs::Work;
use crate::onnx::{Bindings, ElementType, Loop, OnnxError, Session, Stopper, Tensor};

use super::TrainError;
use super::batches::{Batches, Feed, Part, ViewOfFrame};
use super::curves::BestPoint;
use super::problem::{FEATURES, LOGITS, Problem};

/// The outputs of a step or an evaluation: the cross-entropy and correctness of each image.
pub(super) const FIGURES: [&str; 2] = ["cross_entropy", "correct"];

/// The outputs of an evaluation for histograms.
pub(super) const ACTIVATIONS: [&str; 2] = [FEATURES, LOGITS];

/// The handles that stop a running computation.
#[derive(Clone, Copy)]
pub(super) struct Watch<'a> {
    pub work: &'a Work,
    /// Stops a session while it runs.
    pub stopper: &'a Stopper,
}

/// For each image, whether it was classified correctly (1 or 0), and its cross-entropy, nats.
#[derive(Debug, Default)]
pub(super) struct ImageFigures {
    pub correct: Vec<f32>,
    pub cross_entropy: Vec<f32>,
    /// The [`ACTIVATIONS`] of all images, one image after the other; empty unless they were requested.
    pub activations: [Vec<f32>; 2],
}

impl ImageFigures {
    /// Accuracy and mean cross-entropy.
    pub(super) fn mean(&self) -> (f32, f32) {
        (mean(&self.correct), mean(&self.cross_entropy))
    }

    /// The evaluation of a step's weights, if these are the figures of all validation frames.
    pub(super) fn at(&self, step: u32) -> BestPoint {
        let (validation_accuracy, validation_cross_entropy) = self.mean();
        BestPoint {
            step,
            validation_accuracy,
            validation_cross_entropy,
        }
    }

    /// The figures of some of the images.
    pub(super) fn of(&self, rows: &[i64]) -> Self {
        let picked = |values: &[f32]| {
            let of_row = |row: &i64| values.get(usize::try_from(*row).ok()?).copied();
            rows.iter().filter_map(of_row).collect()
        };
        Self {
            correct: picked(&self.correct),
            cross_entropy: picked(&self.cross_entropy),
            activations: Default::default(),
        }
    }
}

/// The mean, with the sum in double precision.
fn mean(values: &[f32]) -> f32 {
    (values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64) as f32
}

/// Evaluates weights on images of a part.
pub(super) struct Evaluator {
    inner: Loop,
    names: Vec<String>,
    part: Part,
    images: usize,
    /// Which of the [`ACTIVATIONS`] it has, with the number of elements for an image.
    activations: [Option<usize>; 2],
    /// Whether activations are collected.
    pub collects_activations: bool,
}

impl Evaluator {
    /// An evaluation with a session of [`evaluation_graph`](super::problem::evaluation_graph).
    pub(super) fn new(
        problem: &dyn Problem,
        part: Part,
        session: Session,
        feed: &Feed,
    ) -> Result<Self, OnnxError> {
        let weights = problem.weights();
        let batch = [feed.images];
        let mut inputs = feed.inputs();
        for weight in weights {
            inputs.push((&weight.name, ElementType::F32, &weight.shape));
        }
        let found = session.outputs();
        let activations = ACTIVATIONS.map(|name| {
            let output = found.iter().find(|output| output.name == name)?;
            output.shape.last().copied().flatten()
        });
        let shapes = activations.map(|width| [feed.images, width.unwrap_or_default()]);
        let mut outputs: Vec<(&str, ElementType, &[usize])> = FIGURES
            .map(|name| (name, ElementType::F32, &batch[..]))
            .into();
        for ((name, width), shape) in ACTIVATIONS.into_iter().zip(activations).zip(&shapes) {
            if width.is_some() {
                outputs.push((name, ElementType::F32, shape));
            }
        }
        let inner = Loop::new(
            session,
            Bindings {
                constants: feed.constants.clone(),
                inputs,
                outputs,
                ..Bindings::default()
            },
        )?;
        Ok(Self {
            inner,
            names: weights.iter().map(|weight| weight.name.clone()).collect(),
            part,
            images: feed.images,
            activations,
            collects_activations: false,
        })
    }

    /// The figures of images with these classes for the given weights.
    pub(super) fn figures(
        &mut self,
        weights: &[Tensor],
        (rows, y): (&[ViewOfFrame], &[i64]),
        batches: &mut dyn Batches,
        watch: Watch<'_>,
    ) -> Result<ImageFigures, TrainError> {
        for (name, weight) in self.names.iter().zip(weights) {
            self.inner.set_f32(name, weight.f32()?)?;
        }
        batches.ensure(rows, watch.work)?;
        let mut figures = ImageFigures::default();
        for (rows, y) in rows.chunks(self.images).zip(y.chunks(self.images)) {
            watch.work.check()?;
            batches.write(self.part, rows, y, &mut self.inner, watch.work)?;
            self.inner.step(watch.stopper)?;
            // The last batch may have fewer images; the outputs for the rest are meaningless.
            let of_rows =
                |values: &[f32]| values.iter().take(rows.len()).copied().collect::<Vec<_>>();
            let (correct, cross_entropy) = (
                of_rows(self.inner.output_f32("correct")?),
                of_rows(self.inner.output_f32("cross_entropy")?),
            );
            figures.correct.extend(correct);
            figures.cross_entropy.extend(cross_entropy);
            let outputs = ACTIVATIONS.into_iter().zip(self.activations);
            for ((name, width), all) in outputs.zip(&mut figures.activations) {
                if let Some(width) = width.filter(|_| self.collects_activations) {
                    let of_rows = self.inner.output_f32(name)?.iter();
                    all.extend(of_rows.take(rows.len() * width));
                }
            }
        }
        Ok(figures)
    }
}
