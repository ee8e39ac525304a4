//! The loop of a training deeper than the head: steps, evaluations, the best weights, checkpoints. Knows rows of
//! numbers only, neither projects nor images.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use half::f16;

use crate::backbone::worker_count;
use crate::graph::{Graph, GraphError};
use crate::jobs::{Cancelled, Work, abandonable, drop_elsewhere};
use crate::onnx::{Bindings, ElementType, Loop, OnnxError, Session, Stopper, Tensor};
use crate::train::batches::{ByClass, Draw, Purpose};
use crate::train::curves::{BestPoint, CurvePoint, LiveCurves};
use crate::train::evaluation::mean;
use crate::train::files::Values;
use crate::train::learner::{End, better};
use crate::train::{TrainError, TrainSettings};

use super::checkpoint::{Checkpoint, Place, Snapshot, state_names};
use super::evaluation::{Batch, Evaluation, stopped_by};
use super::graph::{Network, scalars};
use super::optimizer::{BETA_1, BETA_2, Slot, next};
use super::settings::FineTuneSettings;

/// The least time between two checkpoints while training.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// A checkpoint is tens of megabytes: at most this part of the time goes into them. What a crash or a cancellation
/// loses is computed again, to the same bits.
const CHECKPOINT_SHARE: u32 = 20;

/// Batches whose rows are asked for together, so that missing ones are computed on all cores.
const BATCHES_AHEAD: u32 = 4;

/// One cached activation: a frame, by its number in the source of rows, and a view of it (0 is the plain one).
pub(super) type Row = (usize, u32);

/// Where activations come from.
pub(super) trait Rows {
    /// Writes the activations of `wanted` into `out`, one after the other.
    fn fill(&mut self, wanted: &[Row], out: &mut [f16], work: &Work) -> Result<(), TrainError>;
    /// Computes what of `wanted` is not at hand yet.
    fn ensure(&mut self, wanted: &[Row], work: &Work) -> Result<(), TrainError>;
}

/// Frames with their classes.
#[derive(Debug, Clone, Default)]
pub(super) struct Side {
    /// Their numbers in the source of rows.
    pub frames: Vec<usize>,
    /// Class of each.
    pub y: Vec<i64>,
}

/// Keeps a checkpoint and the curve points since the one before.
type Save<'a> = dyn FnMut(&Snapshot<'_>, &[CurvePoint]) -> Result<(), TrainError> + 'a;

/// Where the loop tells what happens.
pub(super) struct Report<'a> {
    pub curves: &'a LiveCurves,
    pub work: &'a Work,
    /// Gets a checkpoint and the points since the last one, now and then and at the end.
    pub save: &'a mut Save<'a>,
}

/// The step and the evaluation, ready to run. Takes seconds for a whole network, which a cancellation does not
/// wait for.
fn sessions(
    network: &Arc<Network>,
    settings: &FineTuneSettings,
    batch: usize,
    work: &Work,
) -> Result<[Session; 2], TrainError> {
    let (network, settings) = (Arc::clone(network), settings.clone());
    let made = abandonable(work, move || {
        let session = |graph: Result<Graph, GraphError>| {
            Ok::<_, GraphError>(Session::from_bytes(&graph?.to_onnx(), worker_count())?)
        };
        let step = || session(network.step_graph(&settings, batch));
        let evaluation = || session(network.evaluation_graph(batch));
        std::thread::scope(|scope| {
            let step = scope.spawn(step);
            let evaluation = evaluation();
            let step = step.join().unwrap_or_else(|panic| resume_unwind(panic));
            Ok::<_, GraphError>([step?, evaluation?])
        })
    })?;
    Ok(made?)
}

/// A training in progress.
pub(super) struct FineTrainer<'a> {
    settings: &'a TrainSettings,
    network: &'a Network,
    train: &'a Side,
    validation: &'a Side,
    by_class: ByClass,
    step: u32,
    pointed: u32,
    validated: u32,
    since_point: [f64; 3],
    secs: f64,
    best: Option<(BestPoint, Vec<Tensor>)>,
    /// The step up to which rows were asked for.
    ensured: u32,
    step_loop: Loop,
    evaluation: Evaluation,
    batch: Batch,
}

impl<'a> FineTrainer<'a> {
    /// A training from a checkpoint of one with the same data and settings, or from [the beginning](super::checkpoint::beginning).
    pub(super) fn new(
        network: &'a Arc<Network>,
        settings: &'a TrainSettings,
        [train, validation]: [&'a Side; 2],
        from: Checkpoint,
        work: &Work,
    ) -> Result<Self, TrainError> {
        let fine_tune = &settings.fine_tune;
        let batch = fine_tune.batch_size.max(1);
        let [session, evaluation] = sessions(network, fine_tune, batch, work)?;
        let names = state_names(network, fine_tune);
        if names.len() != from.state.len() {
            return Err(OnnxError::Model(
                "a checkpoint does not fit the settings of its run".into(),
            )
            .into());
        }
        let place = from.place;
        let outputs: Vec<String> = names.iter().map(|name| next(name)).collect();
        let row_len = network.row_len();
        let (x_shape, y_shape) = ([batch, row_len], [batch]);
        let mut inputs: Vec<(&str, ElementType, &[usize])> = vec![
            ("x", ElementType::F16, &x_shape),
            ("y", ElementType::I64, &y_shape),
        ];
        for scalar in scalars(fine_tune) {
            inputs.push((scalar, ElementType::F32, &[]));
        }
        let step_loop = Loop::new(
            session,
            Bindings {
                constants: Vec::new(),
                state: names
                    .iter()
                    .zip(&outputs)
                    .zip(&from.state)
                    .map(|((input, output), tensor)| (input.as_str(), output.as_str(), tensor))
                    .collect(),
                inputs,
                outputs: vec![
                    ("cross_entropy", ElementType::F32, &y_shape),
                    ("correct", ElementType::F32, &y_shape),
                ],
            },
        )?;
        Ok(Self {
            settings,
            network,
            train,
            validation,
            by_class: ByClass::new(&train.y, network.classes),
            step: place.step,
            pointed: place.pointed,
            validated: place.validated,
            since_point: place.since_point,
            secs: place.secs,
            best: place.best.zip(from.best),
            ensured: place.step,
            step_loop,
            evaluation: Evaluation::new(network, evaluation, batch)?,
            batch: Batch::new(batch, row_len),
        })
    }

    /// Trains until `steps` steps are done in all, or until it is told to stop.
    ///
    /// # Errors
    /// [`TrainError::Cancelled`], at once: no checkpoint is made then, as there was one [not long before](CHECKPOINT_SHARE).
    pub(super) fn run(
        &mut self,
        steps: u32,
        rows: &mut dyn Rows,
        report: &mut Report<'_>,
    ) -> Result<End, TrainError> {
        let work = report.work;
        let mut unsaved = Vec::new();
        // A step of the whole network takes longer than anybody wants to wait after pressing Cancel.
        let outcome = stopped_by(work, |stopper| {
            self.steps(steps, rows, report, &mut unsaved, stopper)
        });
        if work.is_cancelled() {
            return Err(Cancelled.into());
        }
        let end = outcome?;
        (report.save)(&self.snapshot()?, &unsaved)?;
        Ok(end)
    }

    fn steps(
        &mut self,
        steps: u32,
        rows: &mut dyn Rows,
        report: &mut Report<'_>,
        unsaved: &mut Vec<CurvePoint>,
        stopper: &Stopper,
    ) -> Result<End, TrainError> {
        let work = report.work;
        let mut saved = Instant::now();
        let mut saving = Duration::ZERO;
        if let Some((best, weights)) = self.best.take() {
            // Labels may be other ones since, and only equal frames can be compared by.
            let now = self.figures(best.step, &weights, rows, work, stopper)?;
            self.best = now.map(|now| (now, weights));
            report.curves.set_best(self.best());
        } else if self.step == 0 {
            // Where the head alone got to: training deeper has to beat it.
            self.validate(rows, work, stopper)?;
        }
        loop {
            if self.point_is_due(steps) {
                let began = Instant::now();
                let mut point = self.train_point();
                if self.validation_is_due(steps) {
                    let validated = self.validate(rows, work, stopper)?;
                    point.validation_accuracy = validated.map(|v| v.validation_accuracy);
                    point.validation_cross_entropy = validated.map(|v| v.validation_cross_entropy);
                }
                self.secs += began.elapsed().as_secs_f64();
                point.secs = self.secs;
                if !point.train_cross_entropy.is_finite() {
                    return Ok(End::Diverged(self.step));
                }
                self.pointed = self.step;
                self.since_point = [0.0; 3];
                unsaved.push(point);
                report.curves.push(point, self.best());
            }
            work.set_done(u64::from(self.step));
            if self.step >= steps {
                return Ok(End::Complete);
            }
            // A pause happens in here and does not count.
            work.check()?;
            if work.is_stopping() {
                if self.validated != self.step {
                    // What was learned since the last evaluation counts as well.
                    self.validate(rows, work, stopper)?;
                }
                return Ok(End::Stopped);
            }
            if saved.elapsed() >= CHECKPOINT_EVERY.max(CHECKPOINT_SHARE * saving) {
                let began = Instant::now();
                (report.save)(&self.snapshot()?, unsaved)?;
                unsaved.clear();
                saved = Instant::now();
                saving = began.elapsed();
            }
            let began = Instant::now();
            self.update(steps, rows, work, stopper)?;
            self.secs += began.elapsed().as_secs_f64();
        }
    }

    fn point_is_due(&self, steps: u32) -> bool {
        let interval = self.settings.eval_step_interval.max(1);
        self.step != self.pointed && (self.step.is_multiple_of(interval) || self.step >= steps)
    }

    /// The validation frames are looked at when about twice as many training frames have been: looking at one
    /// costs a third of learning from one.
    fn validation_is_due(&self, steps: u32) -> bool {
        let interval = self.settings.eval_step_interval.max(1);
        let batch = self.batch.len();
        let apart = (2 * self.validation.y.len()).div_ceil(batch.max(1));
        let apart = u32::try_from(apart).unwrap_or(u32::MAX);
        let every = apart.max(1).div_ceil(interval).saturating_mul(interval);
        self.step.is_multiple_of(every) || self.step >= steps
    }

    /// One step.
    fn update(
        &mut self,
        steps: u32,
        rows: &mut dyn Rows,
        work: &Work,
        stopper: &Stopper,
    ) -> Result<(), TrainError> {
        let fine_tune = &self.settings.fine_tune;
        let step = self.step + 1;
        if self.step >= self.ensured {
            let ahead = (step + BATCHES_AHEAD).min(steps + 1);
            let mut wanted = Vec::new();
            for step in step..ahead {
                wanted.extend(self.drawn(step).0);
            }
            rows.ensure(&wanted, work)?;
            self.ensured = ahead - 1;
        }
        let (wanted, y) = self.drawn(step);
        rows.fill(&wanted, &mut self.batch.x, work)?;
        self.batch.y.copy_from_slice(&y);
        self.step_loop.set_f16("x", &self.batch.x)?;
        self.step_loop.set_i64("y", &self.batch.y)?;
        let t = f64::from(step);
        for scalar in scalars(fine_tune) {
            let value = match scalar {
                "rate" => fine_tune.rate(step, steps),
                "average_rate" => fine_tune.average_rate(step),
                "first_scale" => 1.0 / (1.0 - BETA_1.powf(t)),
                _ => 1.0 / (1.0 - BETA_2.powf(t)),
            };
            self.step_loop.set_f32(scalar, &[value as f32])?;
        }
        self.step_loop.step_unless(stopper)?;
        let sum = |values: &[f32]| values.iter().map(|value| f64::from(*value)).sum::<f64>();
        let [right, cross_entropy, pictures] = &mut self.since_point;
        *right += sum(self.step_loop.output_f32("correct")?);
        *cross_entropy += sum(self.step_loop.output_f32("cross_entropy")?);
        *pictures += wanted.len() as f64;
        self.step = step;
        Ok(())
    }

    /// The rows of a step's batch and their classes.
    fn drawn(&self, step: u32) -> (Vec<Row>, Vec<i64>) {
        let mut draw = Draw::new(self.settings.seed, Purpose::FineTuneBatch, step);
        let mut places = vec![0; self.batch.len()];
        self.by_class.draw(&mut draw, &mut places);
        let views = self.settings.fine_tune.views as usize + 1;
        places
            .iter()
            .filter_map(|place| {
                let place = usize::try_from(*place).ok()?;
                let frame = *self.train.frames.get(place)?;
                let view = u32::try_from(draw.below(views)).unwrap_or_default();
                Some(((frame, view), *self.train.y.get(place)?))
            })
            .unzip()
    }

    /// The figures of the batches since the last point.
    fn train_point(&self) -> CurvePoint {
        let [right, cross_entropy, pictures] = self.since_point;
        CurvePoint {
            step: self.step,
            secs: self.secs,
            train_accuracy: (right / pictures) as f32,
            train_cross_entropy: (cross_entropy / pictures) as f32,
            validation_accuracy: None,
            validation_cross_entropy: None,
        }
    }

    /// Looks at the validation frames with the averaged weights and keeps those when they are the best so far.
    fn validate(
        &mut self,
        rows: &mut dyn Rows,
        work: &Work,
        stopper: &Stopper,
    ) -> Result<Option<BestPoint>, TrainError> {
        let weights = self.averages()?;
        let Some(now) = self.figures(self.step, &weights, rows, work, stopper)? else {
            return Ok(None);
        };
        self.validated = self.step;
        if now.validation_cross_entropy.is_finite()
            && self
                .best
                .as_ref()
                .is_none_or(|(best, _)| better(&now, best))
        {
            self.best = Some((now, weights));
        }
        Ok(Some(now))
    }

    /// What the weights of a step make of the validation frames; nothing without any.
    fn figures(
        &mut self,
        step: u32,
        weights: &[Tensor],
        rows: &mut dyn Rows,
        work: &Work,
        stopper: &Stopper,
    ) -> Result<Option<BestPoint>, TrainError> {
        if self.validation.y.is_empty() {
            return Ok(None);
        }
        let (correct, cross_entropy) =
            self.evaluation
                .figures(weights, self.validation, rows, work, stopper)?;
        Ok(Some(BestPoint {
            step,
            validation_accuracy: mean(correct.iter()),
            validation_cross_entropy: mean(cross_entropy.iter()),
        }))
    }

    /// The best evaluation so far.
    fn best(&self) -> Option<BestPoint> {
        self.best.as_ref().map(|(best, _)| *best)
    }

    /// The weights to evaluate and keep: their moving averages, where there are any.
    fn averages(&self) -> Result<Vec<Tensor>, OnnxError> {
        let averaged = Slot::all(&self.settings.fine_tune).contains(&Slot::Average);
        self.network
            .weights
            .iter()
            .map(|weight| {
                if averaged {
                    self.step_loop.state(&Slot::Average.name(&weight.name))
                } else {
                    self.step_loop.state(&weight.name)
                }
            })
            .collect()
    }

    /// Where the training stands.
    pub(super) fn snapshot(&self) -> Result<Snapshot<'_>, OnnxError> {
        let names = state_names(self.network, &self.settings.fine_tune);
        let of_each = names.len() / self.network.weights.len().max(1);
        let mut state = Vec::with_capacity(names.len());
        for (names, weight) in names.chunks(of_each.max(1)).zip(&self.network.weights) {
            for name in names {
                state.push(Values {
                    shape: &weight.shape,
                    values: self.step_loop.state_f32(name)?,
                });
            }
        }
        Ok(Snapshot {
            place: Place {
                step: self.step,
                pointed: self.pointed,
                validated: self.validated,
                since_point: self.since_point,
                secs: self.secs,
                best: self.best(),
            },
            state,
            best: self.best.as_ref().map(|(_, weights)| weights.as_slice()),
        })
    }

    /// The weights to keep and the step they are from: the best on the validation frames, or the last.
    pub(super) fn kept(&self) -> Result<(u32, Option<BestPoint>, Vec<Tensor>), TrainError> {
        if let Some((best, weights)) = &self.best {
            return Ok((best.step, Some(*best), weights.clone()));
        }
        Ok((self.step, None, self.averages()?))
    }

    /// Ends it without waiting for its memory to be freed.
    pub(super) fn discard(self) {
        drop_elsewhere((self.step_loop, self.evaluation));
    }

    /// Steps done.
    pub(super) fn step(&self) -> u32 {
        self.step
    }

    /// Seconds trained.
    pub(super) fn secs(&self) -> f64 {
        self.secs
    }
}
