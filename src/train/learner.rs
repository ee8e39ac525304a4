//! The loop of a training: steps, evaluations, the best weights, checkpoints. Knows tables of numbers only,
//! neither projects nor images.

use std::time::{Duration, Instant};

use crate::jobs::Work;
use crate::onnx::{Bindings, Constant, ElementType, Loop, OnnxError, Session, Tensor};

use super::batches::{ByClass, Draw, Purpose};
use super::curves::{BestPoint, CurvePoint, LiveCurves};
use super::evaluation::{Evaluation, Validation};
use super::graph::{BETA_1, BETA_2, Sizes, state_names, state_shape, step_graph};
use super::{Head, Optimizer, TrainError, TrainSettings};

/// Deviation of the normal distribution that initial weights are drawn from, as in `retrain.py`.
const INITIAL_DEVIATION: f64 = 0.001;

/// How often a checkpoint is handed out while training.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// Threads of the sessions. One: the products of a head are too small for two, and the window needs the other.
pub(super) const THREADS: usize = 1;

/// Bottlenecks with their classes. The bottlenecks are in ONNX Runtime's hands from the beginning: sessions read them
/// where they are, and copies of this share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Examples {
    /// `f32[N, D]` and `i64[N]`; nothing without rows.
    tensors: Option<[Constant; 2]>,
    /// Class of each row.
    pub y: Vec<i64>,
}

impl Examples {
    /// From row-major bottlenecks, which are not copied, and the class of each row.
    pub(super) fn new(sizes: Sizes, x: Vec<f32>, y: Vec<i64>) -> Result<Self, OnnxError> {
        let rows = y.len();
        let tensors = match rows {
            0 => None,
            _ => Some([
                Constant::new(Tensor::new([rows, sizes.dim], x))?,
                Constant::new(Tensor::new([rows], y.clone()))?,
            ]),
        };
        Ok(Self { tensors, y })
    }

    /// Bottlenecks and classes for a session.
    pub(super) fn tensors(&self) -> Result<[Constant; 2], OnnxError> {
        self.tensors
            .clone()
            .ok_or_else(|| OnnxError::Model("there are no examples".into()))
    }

    /// Lets go of the bottlenecks.
    pub(super) fn forget_x(&mut self) {
        self.tensors = None;
    }

    /// Row-major `f32[N, D]`.
    pub(super) fn x(&self) -> Result<&[f32], OnnxError> {
        match &self.tensors {
            Some([x, _]) => x.f32(),
            None => Ok(&[]),
        }
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.y.len()
    }
}

/// Everything a training learns from and is measured by.
#[derive(Debug, Clone)]
pub(super) struct Data {
    pub sizes: Sizes,
    pub train: Examples,
    pub validation: Examples,
    pub test: Examples,
}

/// Where a training stands: enough to go on as if it had never stopped.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Checkpoint {
    /// Steps done.
    pub step: u32,
    /// Seconds trained, pauses left out.
    pub secs: f64,
    /// The optimiser's tensors by the name of their input, in the order of `state_names`.
    pub state: Vec<Tensor>,
    /// Weights and bias, `[C, D]` and `[C]`, that did best on the validation frames.
    pub best: Option<(BestPoint, [Tensor; 2])>,
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All steps are done.
    Complete,
    /// The user wants the best weights so far.
    Stopped,
    /// The numbers ran away at this step.
    Diverged(u32),
}

/// A training in progress.
pub(super) struct Trainer {
    settings: TrainSettings,
    sizes: Sizes,
    /// Steps between evaluations.
    interval: u32,
    step: u32,
    secs: f64,
    step_loop: Loop,
    batch: Vec<i64>,
    batch_evaluation: Evaluation,
    validation: Option<Validation>,
    rows: ByClass,
    best: Option<(BestPoint, [Tensor; 2])>,
}

/// Keeps a checkpoint and the curve points since the one before.
pub(super) type Save<'a> = dyn FnMut(&Checkpoint, &[CurvePoint]) -> Result<(), TrainError> + 'a;

/// Where the loop tells what happens.
pub(super) struct Report<'a> {
    pub curves: &'a LiveCurves,
    pub work: &'a Work,
    /// Gets a checkpoint and the points since the last one, about once a second and when the loop ends.
    pub save: &'a mut Save<'a>,
}

impl Trainer {
    /// A training from its beginning, or from a checkpoint of one with the same settings. The best weights of the
    /// checkpoint get the figures that they have on these data, whose labels may be other ones since: only so can later
    /// weights be compared with them.
    pub(super) fn new(
        data: &Data,
        settings: &TrainSettings,
        from: Option<Checkpoint>,
    ) -> Result<Self, TrainError> {
        let sizes = data.sizes;
        let from = match from {
            Some(checkpoint) => checkpoint,
            None => beginning(settings, sizes),
        };
        let batch = settings.train_batch_size.max(1);
        let graph = step_graph(settings.optimizer, sizes, data.train.len(), batch)?;
        let session = Session::from_bytes(&graph.to_onnx(), THREADS)?;
        let [x, y] = data.train.tensors()?;
        let mut inputs: Vec<(&str, ElementType, &[usize])> = vec![("rate", ElementType::F32, &[])];
        if settings.optimizer == Optimizer::Adam {
            inputs.push(("v_scale", ElementType::F32, &[]));
        }
        let batch_shape = [batch];
        inputs.push(("rows", ElementType::I64, &batch_shape));
        let names = state_names(settings.optimizer);
        if names.len() != from.state.len() {
            return Err(OnnxError::Model(format!(
                "a checkpoint has {} tensors where {} were expected",
                from.state.len(),
                names.len()
            ))
            .into());
        }
        let step_loop = Loop::new(
            session,
            Bindings {
                constants: vec![("x", x.clone()), ("y", y.clone())],
                state: names
                    .iter()
                    .zip(&from.state)
                    .map(|((input, output), tensor)| (*input, *output, tensor))
                    .collect(),
                inputs,
                outputs: Vec::new(),
            },
        )?;
        let batch_evaluation = Evaluation::new([x, y], data.train.len(), sizes, Some(batch))?;
        let mut validation = Validation::new(data, settings)?;
        let best = measured(from.best, validation.as_mut())?;
        Ok(Self {
            settings: settings.clone(),
            sizes,
            interval: settings.steps_between_evaluations(data.validation.len()),
            step: from.step,
            secs: from.secs,
            step_loop,
            batch: vec![0; batch],
            batch_evaluation,
            validation,
            rows: ByClass::new(&data.train.y, sizes.classes),
            best,
        })
    }

    /// Trains until `steps` steps are done in all, or until it is told to stop.
    ///
    /// # Errors
    /// [`TrainError::Cancelled`] after a last checkpoint was handed out.
    pub(super) fn run(&mut self, steps: u32, report: &mut Report<'_>) -> Result<End, TrainError> {
        let mut unsaved = Vec::new();
        let mut saved = Instant::now();
        let mut evaluated = self.step;
        let mut end = End::Complete;
        while self.step < steps {
            // A pause happens in here and does not count.
            if let Err(cancelled) = report.work.check() {
                (report.save)(&self.checkpoint()?, &unsaved)?;
                return Err(cancelled.into());
            }
            if report.work.is_stopping() {
                end = End::Stopped;
                break;
            }
            let began = Instant::now();
            self.update()?;
            self.secs += began.elapsed().as_secs_f64();
            let interval = self.settings.eval_step_interval.max(1);
            if !(self.step.is_multiple_of(interval) || self.step == steps) {
                continue;
            }
            report.work.set_done(u64::from(self.step));
            if self.step.is_multiple_of(self.interval) || self.step == steps {
                evaluated = self.step;
                if !self.evaluate(report, &mut unsaved)? {
                    end = End::Diverged(self.step);
                    break;
                }
            }
            if saved.elapsed() >= CHECKPOINT_EVERY {
                (report.save)(&self.checkpoint()?, &unsaved)?;
                unsaved.clear();
                saved = Instant::now();
            }
        }
        // Stopped between two evaluations: what was learned since the last one counts as well.
        if evaluated != self.step && !self.evaluate(report, &mut unsaved)? {
            end = End::Diverged(self.step);
        }
        (report.save)(&self.checkpoint()?, &unsaved)?;
        Ok(end)
    }

    /// Evaluates, reports and keeps the point. Returns whether its numbers are numbers; if not, nothing is kept.
    fn evaluate(
        &mut self,
        report: &Report<'_>,
        unsaved: &mut Vec<CurvePoint>,
    ) -> Result<bool, TrainError> {
        let point = self.look(Instant::now())?;
        report.work.set_done(u64::from(self.step));
        let sound = point.train_cross_entropy.is_finite()
            && point.validation_cross_entropy.is_none_or(f32::is_finite);
        if sound {
            unsaved.push(point);
            let best = self.best.as_ref().map(|(best, _)| *best);
            report.curves.push(point, best);
        }
        Ok(sound)
    }

    /// One step.
    fn update(&mut self) -> Result<(), TrainError> {
        let step = self.step + 1;
        let mut draw = Draw::new(self.settings.seed, Purpose::Batch, step);
        self.rows.draw(&mut draw, &mut self.batch);
        self.step_loop.set_i64("rows", &self.batch)?;
        let rate = f64::from(self.settings.learning_rate);
        match self.settings.optimizer {
            Optimizer::Sgd => self.step_loop.set_f32("rate", &[rate as f32])?,
            Optimizer::Adam => {
                let t = f64::from(step);
                let scaled = rate / (1.0 - BETA_1.powf(t));
                let v_scale = 1.0 / (1.0 - BETA_2.powf(t));
                self.step_loop.set_f32("rate", &[scaled as f32])?;
                self.step_loop.set_f32("v_scale", &[v_scale as f32])?;
            }
        }
        self.step_loop.step()?;
        self.step = step;
        Ok(())
    }

    /// Looks at the last batch and at the validation frames with the present weights; keeps the weights when
    /// they are the best so far.
    fn look(&mut self, began: Instant) -> Result<CurvePoint, TrainError> {
        let w = self.step_loop.state_f32("w")?;
        let b = self.step_loop.state_f32("b")?;
        self.batch_evaluation.rows(&self.batch)?;
        let (train_accuracy, train_cross_entropy) = self.batch_evaluation.mean(w, b)?;
        let mut point = CurvePoint {
            step: self.step,
            secs: self.secs,
            train_accuracy,
            train_cross_entropy,
            validation_accuracy: None,
            validation_cross_entropy: None,
        };
        if let Some(validation) = &mut self.validation {
            let (accuracy, cross_entropy) = validation.all.mean(w, b)?;
            let shown = validation.shown(self.step, (accuracy, cross_entropy))?;
            point.validation_accuracy = Some(shown.0);
            point.validation_cross_entropy = Some(shown.1);
            let now = BestPoint {
                step: self.step,
                validation_accuracy: accuracy,
                validation_cross_entropy: cross_entropy,
            };
            if cross_entropy.is_finite()
                && self
                    .best
                    .as_ref()
                    .is_none_or(|(best, _)| better(&now, best))
            {
                self.best = Some((now, self.present()?));
            }
        }
        self.secs += began.elapsed().as_secs_f64();
        Ok(point)
    }

    /// The present weights and bias.
    fn present(&self) -> Result<[Tensor; 2], OnnxError> {
        Ok([self.step_loop.state("w")?, self.step_loop.state("b")?])
    }

    /// Where the training stands.
    pub(super) fn checkpoint(&self) -> Result<Checkpoint, TrainError> {
        Ok(Checkpoint {
            step: self.step,
            secs: self.secs,
            state: state_names(self.settings.optimizer)
                .iter()
                .map(|(input, _)| self.step_loop.state(input))
                .collect::<Result<_, _>>()?,
            best: self.best.clone(),
        })
    }

    /// The weights to keep and the step they are from: the best on the validation frames, or the last.
    pub(super) fn kept(&self) -> Result<(u32, Option<BestPoint>, Head), TrainError> {
        if let Some((best, [w, b])) = &self.best {
            return Ok((best.step, Some(*best), self.head(w, b)?));
        }
        let [w, b] = self.present()?;
        Ok((self.step, None, self.head(&w, &b)?))
    }

    /// The best evaluation so far.
    pub(super) fn best(&self) -> Option<BestPoint> {
        self.best.as_ref().map(|(best, _)| *best)
    }

    /// Steps done.
    pub(super) fn step(&self) -> u32 {
        self.step
    }

    fn head(&self, w: &Tensor, b: &Tensor) -> Result<Head, OnnxError> {
        Ok(Head {
            w: transpose(w.f32()?, self.sizes.classes),
            b: b.f32()?.to_vec(),
        })
    }
}

/// The best weights with their figures on the validation frames of today, the same bits on the same frames; nothing when
/// there are none to compare by.
fn measured(
    best: Option<(BestPoint, [Tensor; 2])>,
    validation: Option<&mut Validation>,
) -> Result<Option<(BestPoint, [Tensor; 2])>, TrainError> {
    let (Some((best, [w, b])), Some(validation)) = (best, validation) else {
        return Ok(None);
    };
    let (validation_accuracy, validation_cross_entropy) =
        validation.all.mean(w.f32()?, b.f32()?)?;
    let now = BestPoint {
        step: best.step,
        validation_accuracy,
        validation_cross_entropy,
    };
    Ok(validation_cross_entropy
        .is_finite()
        .then_some((now, [w, b])))
}

/// Whether `now` beats `best`: by accuracy; when that is equal, by cross-entropy.
pub(super) fn better(now: &BestPoint, best: &BestPoint) -> bool {
    now.validation_accuracy
        .total_cmp(&best.validation_accuracy)
        .then(
            best.validation_cross_entropy
                .total_cmp(&now.validation_cross_entropy),
        )
        .is_gt()
}

/// The initial state: weights from a narrow normal distribution, everything else zero.
fn beginning(settings: &TrainSettings, sizes: Sizes) -> Checkpoint {
    let mut draw = Draw::new(settings.seed, Purpose::Weights, 0);
    let state = state_names(settings.optimizer)
        .iter()
        .map(|(name, _)| {
            let shape = state_shape(name, sizes);
            if *name == "w" {
                let len = shape.iter().product();
                let values: Vec<f32> = (0..len)
                    .map(|_| (INITIAL_DEVIATION * draw.truncated_normal()) as f32)
                    .collect();
                Tensor::new(shape, values)
            } else {
                Tensor::zeros(ElementType::F32, shape)
            }
        })
        .collect();
    Checkpoint {
        step: 0,
        secs: 0.0,
        state,
        best: None,
    }
}

/// The transpose of a row-major matrix with `rows` rows.
pub(super) fn transpose(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows.max(1);
    (0..columns)
        .flat_map(|column| values.iter().skip(column).step_by(columns.max(1)).copied())
        .collect()
}
