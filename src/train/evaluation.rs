//! What weights make of a set of images: accuracy and cross-entropy.

use crate::jobs::Work;
use crate::onnx::{Bindings, ElementType, Loop, OnnxError, Session, Stopper, Tensor};

use super::TrainError;
use super::batches::{Batches, Feed, Part, Row};
use super::curves::BestPoint;
use super::problem::Problem;

/// The outputs of a step or an evaluation that say how well each image is classified.
pub(super) const FIGURES: [&str; 2] = ["cross_entropy", "correct"];

/// How what is being computed is ended.
#[derive(Clone, Copy)]
pub(super) struct Watch<'a> {
    pub work: &'a Work,
    /// Ends a session in its midst.
    pub stopper: &'a Stopper,
}

/// For each image whether it was right (1) or wrong (0), and its cross-entropy, nats.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub correct: Vec<f32>,
    pub cross_entropy: Vec<f32>,
}

impl Figures {
    /// Accuracy and mean cross-entropy.
    pub(super) fn mean(&self) -> (f32, f32) {
        (mean(&self.correct), mean(&self.cross_entropy))
    }

    /// What they say of the weights of a step, as figures of all validation frames.
    pub(super) fn at(&self, step: u32) -> BestPoint {
        let (validation_accuracy, validation_cross_entropy) = self.mean();
        BestPoint {
            step,
            validation_accuracy,
            validation_cross_entropy,
        }
    }

    /// Those of some of the images.
    pub(super) fn of(&self, rows: &[i64]) -> Self {
        let picked = |values: &[f32]| {
            let of_row = |row: &i64| values.get(usize::try_from(*row).ok()?).copied();
            rows.iter().filter_map(of_row).collect()
        };
        Self {
            correct: picked(&self.correct),
            cross_entropy: picked(&self.cross_entropy),
        }
    }
}

/// The mean, summed in double precision.
fn mean(values: &[f32]) -> f32 {
    (values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64) as f32
}

/// The evaluation of images of a part.
pub(super) struct Evaluation {
    inner: Loop,
    names: Vec<String>,
    part: Part,
    images: usize,
}

impl Evaluation {
    /// With a session of [`evaluation_graph`](super::problem::evaluation_graph).
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
        let inner = Loop::new(
            session,
            Bindings {
                constants: feed.constants.clone(),
                inputs,
                outputs: FIGURES
                    .map(|name| (name, ElementType::F32, &batch[..]))
                    .into(),
                ..Bindings::default()
            },
        )?;
        Ok(Self {
            inner,
            names: weights.iter().map(|weight| weight.name.clone()).collect(),
            part,
            images: feed.images,
        })
    }

    /// The figures of images with these classes, with the given weights.
    pub(super) fn figures(
        &mut self,
        weights: &[Tensor],
        (rows, y): (&[Row], &[i64]),
        batches: &mut dyn Batches,
        watch: Watch<'_>,
    ) -> Result<Figures, TrainError> {
        for (name, weight) in self.names.iter().zip(weights) {
            self.inner.set_f32(name, weight.f32()?)?;
        }
        batches.ensure(rows, watch.work)?;
        let mut figures = Figures::default();
        for (rows, y) in rows.chunks(self.images).zip(y.chunks(self.images)) {
            watch.work.check()?;
            batches.write(self.part, rows, y, &mut self.inner, watch.work)?;
            self.inner.step_unless(watch.stopper)?;
            // The last images may be fewer than fit; what is said of the rest means nothing.
            let of_rows =
                |values: &[f32]| values.iter().take(rows.len()).copied().collect::<Vec<_>>();
            let (correct, cross_entropy) = (
                of_rows(self.inner.output_f32("correct")?),
                of_rows(self.inner.output_f32("cross_entropy")?),
            );
            figures.correct.extend(correct);
            figures.cross_entropy.extend(cross_entropy);
        }
        Ok(figures)
    }
}
