//! The loop of every training: steps, evaluations, the best weights, checkpoints. It only uses a [`Problem`],
//! [`Batches`] and a [`Recipe`], and is independent of projects and images.

mod state;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::jobs::{Cancelled, Work, drop_elsewhere};
use crate::onnx::{Bindings, ElementType, Loop, OnnxError, Stopper, Tensor};

use super::TrainError;
use super::batches::{Batches, ByClass, Draw, LabelledFrames, Part, Purpose, ViewOfFrame};
use super::checkpoint::{Checkpoint, Place, Snapshot};
use super::curves::{BestPoint, CurvePoint, LiveCurves};
use super::draws::{Drawn, Draws, StepMask};
use super::early_stopping::Unimproved;
use super::evaluation::{Evaluator, FIGURES, ImageFigures, Watch};
use super::gauges::Gauges;
use super::metrics::{GRADIENT_NORM, History, Measured};
use super::mixup;
use super::optimizer::next;
use super::problem::{Problem, Sessions, sessions};
use super::recipe::{Recipe, TrainFigures};

/// The least time between two checkpoints while training.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// A checkpoint can be tens of megabytes, so writing them takes at most one part in this many of the time. Steps lost
/// in a crash are computed again, with the same bits.
const CHECKPOINT_SHARE: u32 = 20;

/// Interval between progress updates.
const PROGRESS_EVERY: Duration = Duration::from_millis(20);

/// The number of batches whose rows are requested together, so that missing ones are computed on all cores.
const BATCHES_AHEAD: u32 = 4;

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All steps are done.
    Complete,
    /// The user requested to stop with the best weights so far.
    Stopped,
    /// Cross-entropy on the validation images has not improved for the recipe's number of evaluations.
    Early,
    /// The training diverged at this step: a figure became NaN or infinite.
    Diverged(u32),
}

/// Stores a checkpoint and the measurements since the previous one.
type Save<'a> = dyn FnMut(&Snapshot<'_>, &History) -> Result<(), TrainError> + 'a;

/// The destinations of the loop's reports.
pub(super) struct Report<'a> {
    pub curves: &'a LiveCurves,
    pub work: &'a Work,
    /// Called with a checkpoint and the measurements since the last one, periodically and at the end.
    pub save: &'a mut Save<'a>,
    /// Names of the classes; if empty, single classes are not measured.
    pub classes: &'a [String],
}

/// A training in progress.
pub(super) struct Learner<'a> {
    problem: Arc<dyn Problem>,
    recipe: &'a Recipe,
    train: Draws<'a>,
    validation: &'a LabelledFrames,
    validation_by_class: ByClass,
    batches: &'a mut dyn Batches,
    /// The total number of steps.
    steps: u32,
    /// The progress, except for the best evaluation, which is stored below with its weights.
    place: Place,
    best: Option<(BestPoint, Vec<Tensor>)>,
    /// The batches of the next steps, drawn in advance.
    drawn: VecDeque<Drawn>,
    step_loop: Loop,
    /// The masks of dropout.
    masks: Vec<StepMask>,
    /// Evaluates training batches, if the curves need it.
    of_batch: Option<Evaluator>,
    /// Evaluates the validation frames; `None` without any.
    of_validation: Option<Evaluator>,
}

impl<'a> Learner<'a> {
    /// A training that continues from a checkpoint with the same problem and recipe, or from [its
    /// beginning](Checkpoint::beginning).
    pub(super) fn new(
        problem: Arc<dyn Problem>,
        recipe: &'a Recipe,
        [train, validation]: [&'a LabelledFrames; 2],
        batches: &'a mut dyn Batches,
        from: Checkpoint,
        work: &Work,
    ) -> Result<Self, TrainError> {
        let feed = batches.feed(Part::Training)?;
        let batch = feed.images;
        let mut feeds = Vec::new();
        if recipe.train_figures == TrainFigures::LastBatch {
            feeds.push((Part::Training, batches.feed(Part::Training)?));
        }
        if !validation.y.is_empty() {
            feeds.push((Part::Validation, batches.feed(Part::Validation)?));
        }
        let parts = feeds.iter().map(|(part, feed)| (*part, feed.images));
        let objective = recipe.objective(&train.y, problem.classes());
        let Sessions {
            step: session,
            masks,
            evaluations,
        } = sessions(&problem, recipe, objective, batch, parts.collect(), work)?;
        let masks = masks.into_iter().map(StepMask::of);
        let masks = masks.collect::<Result<Vec<_>, _>>()?;
        let [mut of_batch, mut of_validation] = [None, None];
        for ((part, feed), session) in feeds.into_iter().zip(evaluations) {
            let evaluation = Evaluator::new(problem.as_ref(), part, session, &feed)?;
            match part {
                Part::Training => of_batch = Some(evaluation),
                Part::Validation => of_validation = Some(evaluation),
            }
        }
        let names = recipe.optimization.state_names(problem.weights());
        if names.len() != from.state.len() {
            return Err(OnnxError::Model(
                "a checkpoint does not fit the settings of its run".into(),
            )
            .into());
        }
        let nexts: Vec<String> = names.iter().map(|name| next(name)).collect();
        let mut inputs = feed.inputs();
        for (scalar, _) in recipe.optimization.scalars(1, 1) {
            inputs.push((scalar, ElementType::F32, &[]));
        }
        inputs.extend(masks.iter().map(StepMask::input));
        let batch_shape = [batch];
        let mut outputs: Vec<(&str, ElementType, &[usize])> = match recipe.train_figures {
            TrainFigures::LastBatch => Vec::new(),
            TrainFigures::AllBatches => FIGURES
                .map(|name| (name, ElementType::F32, &batch_shape[..]))
                .into(),
        };
        if recipe.mixup > 0.0 {
            inputs.push((mixup::SHARES, ElementType::F32, &batch_shape));
        }
        if recipe.outputs_gradient_norm() {
            outputs.push((GRADIENT_NORM, ElementType::F32, &[]));
        }
        let state = names.iter().zip(&nexts).zip(&from.state);
        let state = state.map(|((input, output), tensor)| (&**input, &**output, tensor));
        let step_loop = Loop::new(
            session,
            Bindings {
                constants: feed.constants.clone(),
                state: state.collect(),
                inputs,
                outputs,
            },
        )?;
        let mut place = from.place;
        place.pointed.get_or_insert(place.step);
        let classes = problem.classes();
        Ok(Self {
            problem,
            recipe,
            train: Draws {
                recipe,
                side: train,
                by_class: ByClass::new(&train.y, classes),
                batch,
            },
            validation,
            validation_by_class: ByClass::new(&validation.y, classes),
            batches,
            steps: 0,
            place,
            best: place.best.zip(from.best),
            drawn: VecDeque::new(),
            step_loop,
            masks,
            of_batch,
            of_validation,
        })
    }

    /// Trains until a total of `steps` is done, or until it is stopped.
    ///
    /// # Errors
    /// [`TrainError::Cancelled`], immediately, even during a step. If [the recipe](Recipe::saves_when_cancelled) does
    /// not request a checkpoint then, there is a [recent one](CHECKPOINT_SHARE).
    pub(super) fn run(&mut self, steps: u32, report: &mut Report<'_>) -> Result<End, TrainError> {
        self.steps = steps;
        let mut unsaved = History::default();
        let mut gauges = Gauges::new(self.recipe, report.classes, steps);
        // A step of a whole network takes longer than users want to wait after a cancellation.
        let stopper = Stopper::new()?;
        let work = report.work;
        let outcome = work.stopped_by(
            || stopper.stop(),
            || {
                let watch = Watch {
                    work,
                    stopper: &stopper,
                };
                self.steps(steps, &mut gauges, report, &mut unsaved, watch)
            },
        );
        let end = match outcome {
            _ if work.is_cancelled() => Err(Cancelled.into()),
            other => Ok(other?),
        };
        if end.is_ok() || self.recipe.saves_when_cancelled {
            (report.save)(&self.snapshot()?, &unsaved)?;
        }
        end
    }

    fn steps(
        &mut self,
        steps: u32,
        gauges: &mut Gauges,
        report: &mut Report<'_>,
        unsaved: &mut History,
        watch: Watch<'_>,
    ) -> Result<End, TrainError> {
        let work = watch.work;
        let mut saved = Instant::now();
        let mut saving = Duration::ZERO;
        let mut told: Option<Instant> = None;
        if let Some((best, weights)) = self.best.take() {
            // Labels may have changed since, and only figures on the same frames can be compared.
            let now = self.evaluated(&weights, watch)?;
            let now = now.map(|figures| figures.at(best.step));
            if now != Some(best) {
                // The counters refer to other images.
                self.place.unimproved = Unimproved::default();
            }
            self.best = now
                .filter(|now| now.validation_cross_entropy.is_finite())
                .map(|now| (now, weights));
            report.curves.set_best(self.best());
        } else if self.place.step == 0 && self.recipe.begins_trained {
            let weights = self.weights()?;
            self.validate(weights, watch)?;
        }
        if let Some(early) = self.recipe.early_stopping
            && early.from > 0
            && early.from == self.place.step
        {
            self.place.unimproved.evaluations = 0;
        }
        loop {
            let is_last = self.place.step >= steps;
            if self.is_due(self.recipe.point_every, steps) && !self.is_pointed() {
                let validates = self.is_due(self.recipe.validate_every, steps);
                if !self.point(validates, gauges, report, unsaved, watch)? {
                    return Ok(End::Diverged(self.place.step));
                }
            }
            if is_last || told.is_none_or(|told| told.elapsed() >= PROGRESS_EVERY) {
                work.set_done(u64::from(self.place.step));
                told = Some(Instant::now());
            }
            if is_last {
                return Ok(End::Complete);
            }
            let early = self.recipe.early_stopping;
            if early.is_some_and(|early| early.ends(self.place.unimproved)) {
                work.set_done(u64::from(self.place.step));
                return Ok(End::Early);
            }
            // A pause happens here and does not count.
            work.check()?;
            if work.is_stopping() {
                return self.last_look(gauges, report, unsaved, watch);
            }
            if saved.elapsed() >= CHECKPOINT_EVERY.max(CHECKPOINT_SHARE * saving) {
                let began = Instant::now();
                (report.save)(&self.snapshot()?, unsaved)?;
                *unsaved = History::default();
                saved = Instant::now();
                saving = began.elapsed();
            }
            let began = Instant::now();
            self.update(steps, watch)?;
            self.place.secs += began.elapsed().as_secs_f64();
        }
    }

    fn is_due(&self, every: u32, steps: u32) -> bool {
        self.place.step.is_multiple_of(every.max(1)) || self.place.step >= steps
    }

    fn is_pointed(&self) -> bool {
        self.place.pointed == Some(self.place.step)
    }

    /// Stopped between two evaluations: the current weights are evaluated, too.
    fn last_look(
        &mut self,
        gauges: &mut Gauges,
        report: &Report<'_>,
        unsaved: &mut History,
        watch: Watch<'_>,
    ) -> Result<End, TrainError> {
        let sound = match self.recipe.train_figures {
            TrainFigures::LastBatch => {
                self.is_pointed() || self.point(true, gauges, report, unsaved, watch)?
            }
            TrainFigures::AllBatches => {
                if self.place.validated != self.place.step {
                    let weights = self.weights()?;
                    self.validate(weights, watch)?;
                }
                true
            }
        };
        let step = self.place.step;
        watch.work.set_done(u64::from(step));
        Ok(if sound {
            End::Stopped
        } else {
            End::Diverged(step)
        })
    }

    /// Evaluates and reports a point of the curves. Returns whether its figures are finite; otherwise it is not
    /// stored.
    fn point(
        &mut self,
        validates: bool,
        gauges: &mut Gauges,
        report: &Report<'_>,
        unsaved: &mut History,
        watch: Watch<'_>,
    ) -> Result<bool, TrainError> {
        let began = Instant::now();
        let weights = self.weights()?;
        let step = self.place.step;
        let (train_accuracy, train_cross_entropy) = if let Some(of_batch) = &mut self.of_batch {
            let Drawn { rows, y, .. } = self.train.of_step(step);
            of_batch
                .figures(&weights, (&rows, &y), self.batches, watch)?
                .mean()
        } else {
            let [right, cross_entropy, images] = self.place.since_point;
            ((right / images) as f32, (cross_entropy / images) as f32)
        };
        let mut histograms = Vec::new();
        let makes_histograms = gauges.makes_histograms(step);
        if makes_histograms {
            histograms = Gauges::of_weights(self.problem.weights(), &weights)?;
        }
        if let Some(evaluation) = &mut self.of_validation {
            evaluation.collects_activations = makes_histograms;
        }
        let validation = if validates {
            self.validate(weights, watch)?
        } else {
            None
        };
        if let Some(evaluation) = &mut self.of_validation {
            evaluation.collects_activations = false;
        }
        if let Some(figures) = &validation {
            histograms.extend(gauges.of_activations(figures, self.batches)?);
        }
        self.place.gradient_norm = self.gradient_norm()?;
        let measured = gauges.read(&self.place, self.validation, validation.as_ref());
        let shown = validation.map(|figures| self.shown(figures).mean());
        self.place.secs += began.elapsed().as_secs_f64();
        let point = CurvePoint {
            step,
            secs: self.place.secs,
            train_accuracy,
            train_cross_entropy,
            validation_accuracy: shown.map(|(accuracy, _)| accuracy),
            validation_cross_entropy: shown.map(|(_, cross_entropy)| cross_entropy),
        };
        let sound = train_cross_entropy.is_finite()
            && point.validation_cross_entropy.is_none_or(f32::is_finite);
        if sound {
            self.place.pointed = Some(step);
            self.place.since_point = [0.0; 3];
            let measured = Arc::new(Measured {
                secs: point.secs,
                histograms,
                ..measured
            });
            unsaved.points.push(point);
            unsaved.measured.push(Arc::clone(&measured));
            report.curves.push(point, Some(measured), self.best());
        }
        Ok(sound)
    }

    /// The validation figures that the curves show.
    fn shown(&self, figures: ImageFigures) -> ImageFigures {
        let Some(count) = self.recipe.shown else {
            return figures;
        };
        let mut draw = Draw::new(self.recipe.seed, Purpose::Validation, self.place.step);
        let mut rows = vec![0; count];
        self.validation_by_class.draw(&mut draw, &mut rows);
        figures.of(&rows)
    }

    /// Runs one step.
    fn update(&mut self, steps: u32, watch: Watch<'_>) -> Result<(), TrainError> {
        let step = self.place.step + 1;
        if self.drawn.is_empty() {
            let ahead = (step + BATCHES_AHEAD).min(steps + 1);
            let drawn: VecDeque<Drawn> =
                (step..ahead).map(|step| self.train.of_step(step)).collect();
            let wanted: Vec<ViewOfFrame> = drawn
                .iter()
                .flat_map(|drawn| &drawn.rows)
                .copied()
                .collect();
            self.batches.ensure(&wanted, watch.work)?;
            self.drawn = drawn;
        }
        let Some(Drawn { rows, y, shares }) = self.drawn.front() else {
            return Ok(());
        };
        self.batches
            .write(Part::Training, rows, y, &mut self.step_loop, watch.work)?;
        if !shares.is_empty() {
            self.step_loop.set_f32(mixup::SHARES, shares)?;
        }
        for (scalar, value) in self.recipe.optimization.scalars(step, steps) {
            self.step_loop.set_f32(scalar, &[value as f32])?;
        }
        for mask in &mut self.masks {
            mask.write(self.recipe.seed, step, &mut self.step_loop)?;
        }
        self.step_loop.step(watch.stopper)?;
        if self.recipe.train_figures == TrainFigures::AllBatches {
            let sum = |values: &[f32]| values.iter().map(|value| f64::from(*value)).sum::<f64>();
            let [right, cross_entropy, images] = &mut self.place.since_point;
            *right += sum(self.step_loop.output_f32("correct")?);
            *cross_entropy += sum(self.step_loop.output_f32("cross_entropy")?);
            *images += rows.len() as f64;
        }
        self.drawn.pop_front();
        self.place.step = step;
        Ok(())
    }

    /// Evaluates the current weights on the validation frames and keeps them if they are the best so far.
    fn validate(
        &mut self,
        weights: Vec<Tensor>,
        watch: Watch<'_>,
    ) -> Result<Option<ImageFigures>, TrainError> {
        let Some(figures) = self.evaluated(&weights, watch)? else {
            return Ok(None);
        };
        self.place.validated = self.place.step;
        let now = figures.at(self.place.step);
        // An uninterrupted training does not evaluate at the step where the user stopped.
        let every = self.recipe.validate_every.max(1);
        if self.recipe.early_stopping.is_some()
            && self.place.step > 0
            && self.place.step.is_multiple_of(every)
        {
            self.place.unimproved.count(now.validation_cross_entropy);
        }
        let keep_by = self.recipe.keep_by;
        if now.validation_cross_entropy.is_finite()
            && self.best().is_none_or(|best| now.beats(&best, keep_by))
        {
            self.best = Some((now, weights));
        }
        Ok(Some(figures))
    }

    /// Evaluates weights on the validation frames; `None` without any.
    fn evaluated(
        &mut self,
        weights: &[Tensor],
        watch: Watch<'_>,
    ) -> Result<Option<ImageFigures>, TrainError> {
        let Some(evaluation) = &mut self.of_validation else {
            return Ok(None);
        };
        let rows: Vec<ViewOfFrame> = self.validation.rows().collect();
        let y = &self.validation.y;
        evaluation
            .figures(weights, (&rows, y), self.batches, watch)
            .map(Some)
    }

    /// The best evaluation so far.
    fn best(&self) -> Option<BestPoint> {
        self.best.as_ref().map(|(best, _)| *best)
    }

    /// Drops the training without waiting for its memory to be freed.
    pub(super) fn discard(self) {
        drop_elsewhere((self.step_loop, self.of_batch, self.of_validation));
    }

    /// The progress of the training.
    pub(super) fn place(&self) -> Place {
        self.place
    }
}
