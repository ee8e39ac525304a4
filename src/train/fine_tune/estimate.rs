//! Estimates the duration of a training to each depth, from measurements on this machine before it starts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use half::f16;

use crate::backbone::{ActivationSource, Activations, Architecture, Blocks, Depth, Plan, Views};
use crate::jobs::Work;
use crate::project::{Project, Split};
use crate::train::batches::{LabelledFrames, ViewOfFrame};
use crate::train::checkpoint::Checkpoint;
use crate::train::data::{Splitting, select};
use crate::train::head::Sizes;
use crate::train::learner::{Learner, Report};
use crate::train::{
    Head, Hidden, LiveCurves, Part, TrainError, TrainSettings, measure_steps_per_second,
};

use super::FineTuneSettings;
use super::network::{cut_of, network};
use super::rows::{RowBatches, Rows};

/// The longest estimated duration in seconds for which fine-tuning is recommended.
const PATIENCE_SECS: f64 = 300.0;

/// With fewer training frames than this, fine-tuning is not recommended.
pub(in crate::train) const MIN_FRAMES: usize = 40;

/// The time for evaluating a validation frame, as a fraction of that for training on a frame.
const EVALUATION_SHARE: f64 = 0.35;

/// The estimated costs of a training to one depth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DepthEstimate {
    /// The depth.
    pub depth: Depth,
    /// The number of trained weights, including the head's.
    pub trained_weights: u64,
    /// Steps of the fine-tuning.
    pub steps: u32,
    /// Bytes of the activations of all views on disk, at most the budget.
    pub cache_bytes: u64,
    /// Whether they exceed the budget, so that some are computed again in each step.
    pub over_budget: bool,
    /// Seconds for everything, from images to the trained model, if nothing is cached.
    pub secs: f64,
}

/// The estimated costs of each depth, and the recommended one.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// From the shallowest.
    pub depths: Vec<DepthEstimate>,
    /// The deepest that takes at most five minutes; with fewer than 40 training frames the head.
    pub recommended: Depth,
    /// The number of training frames.
    pub train_frames: usize,
}

impl Estimate {
    /// The estimate for a depth; of equivalent depths only the shallowest has one.
    #[must_use]
    pub fn of(&self, depth: Depth) -> Option<&DepthEstimate> {
        self.depths.iter().rev().find(|found| found.depth <= depth)
    }
}

/// Estimates the costs of training a project to each depth, by measuring some steps at each depth, and passing some
/// frames through the network. Takes a few seconds; nothing is trained, and nothing in the project changes. The
/// numbers of steps and the batch size are those of `settings`.
pub fn estimate(
    project: &Project,
    settings: &TrainSettings,
    work: &Work,
) -> Result<Estimate, TrainError> {
    let pace = Pace::measure(project, settings, &Depth::ALL, work)?;
    let depths: Vec<DepthEstimate> = pace
        .plans
        .iter()
        .map(|plan| pace.of_plan(plan, settings))
        .collect();
    Ok(Estimate {
        recommended: recommended(&depths, pace.train),
        depths,
        train_frames: pace.train,
    })
}

/// The deepest that takes an acceptable time.
fn recommended(depths: &[DepthEstimate], train_frames: usize) -> Depth {
    let deepest = depths
        .iter()
        .rev()
        .find(|found| found.secs <= PATIENCE_SECS);
    match deepest {
        Some(found) if train_frames >= MIN_FRAMES => found.depth,
        _ => Depth::Head,
    }
}

/// The speed of this machine at training a project with one architecture. It is measured once; the duration of any
/// training with that architecture is then computed from it.
#[derive(Debug)]
pub struct Pace {
    /// Seconds for a step of the head, per frame of its batch.
    head_secs: f64,
    /// Seconds for a frame from its file through the whole network, using all cores.
    through_whole: f64,
    whole_macs: f64,
    /// The requested depths, from the shallowest; equivalent ones only once.
    plans: Vec<PlanPace>,
    /// The numbers of training frames, validation frames and all frames.
    train: usize,
    validation: usize,
    all: usize,
    sizes: Sizes,
    /// The number of weights of the measured head.
    head_weights: u64,
}

#[derive(Debug)]
struct PlanPace {
    plan: Plan,
    /// Seconds for a step per image of its batch; 0 for the head.
    per_image: f64,
}

impl Pace {
    /// Measures the depths `wanted`, each with the batch size in `settings`. Takes a few seconds; nothing in the
    /// project changes.
    ///
    /// # Errors
    /// Errors of preparing a training; cancelled, if `work` is.
    pub fn measure(
        project: &Project,
        settings: &TrainSettings,
        wanted: &[Depth],
        work: &Work,
    ) -> Result<Self, TrainError> {
        let selection = select(project, settings, Splitting::Tried, work)?;
        let count = |split: Split| {
            let of_split = selection.frames.iter().filter(|frame| frame.split == split);
            of_split.count()
        };
        let (train, validation) = (count(Split::Train), count(Split::Validation));
        let all = selection.frames.len();
        let classes = selection.classes.len().max(2);
        let blocks = Arc::new(Blocks::of_for(&settings.architecture, work)?);
        let dim = settings.architecture.entry()?.bottleneck_dim;
        let sizes = Sizes { dim, classes };

        // A few frames, evenly distributed over the project.
        let apart = (all / SAMPLE_FRAMES).max(1);
        let sample: Vec<PathBuf> = selection
            .frames
            .iter()
            .step_by(apart)
            .take(SAMPLE_FRAMES)
            .map(|frame| project.abs(&frame.path))
            .collect();
        let plans = blocks.plans();
        work.stage(
            "Measuring the speed of this machine",
            Some(plans.len() as u64),
        );
        let batch = settings.head.learn.batch_size.max(1);
        let head_rate =
            measure_steps_per_second(settings, dim, classes, train.clamp(1, 2_000), 0.3, work)?;
        let whole_macs = plans
            .first()
            .map_or(1, |plan| plan.macs_front + plan.macs_back)
            .max(1) as f64;
        // A single measurement of images through the front is scaled to all depths by multiply-accumulates.
        let through_whole = match plans.get(1) {
            Some(plan) => {
                let secs = view_secs(settings, plan, &sample, work)?;
                secs * whole_macs / (plan.macs_front as f64).max(0.2 * whole_macs)
            }
            None => 0.0,
        };
        let mut paces = Vec::new();
        let asked = |plan: &Plan, next: Option<&Plan>| {
            let below = |depth: Depth| next.is_none_or(|next| depth < next.depth);
            let mut wanted = wanted.iter();
            wanted.any(|depth| *depth >= plan.depth && below(*depth))
        };
        for (index, plan) in plans.iter().enumerate() {
            work.check()?;
            if asked(plan, plans.get(index + 1)) {
                let per_image = match plan.cut {
                    Some(_) => image_secs(&blocks, plan, settings, sizes, work)?,
                    None => 0.0,
                };
                paces.push(PlanPace {
                    plan: plan.clone(),
                    per_image,
                });
            }
            work.advance(1);
        }
        Ok(Self {
            head_secs: 1.0 / (head_rate.max(1.0) * batch as f64),
            through_whole,
            whole_macs,
            plans: paces,
            train,
            validation,
            all,
            sizes,
            head_weights: head_weights(sizes, settings),
        })
    }

    /// Seconds for the bottlenecks of all frames, which trainings with the same architecture share.
    #[must_use]
    pub fn first_pass_secs(&self) -> f64 {
        self.through_whole * self.all as f64
    }

    /// Seconds for the activations of all frames at the cut of a depth, if their bottlenecks are cached; `None` for a
    /// depth that was not measured.
    #[must_use]
    pub fn front_secs(&self, depth: Depth) -> Option<f64> {
        let plan = &self.plan(depth)?.plan;
        Some(match plan.cut {
            Some(_) => self.front(plan) * self.all as f64,
            None => 0.0,
        })
    }

    /// The estimate for a training with these settings if nothing is cached; `None` for a depth that was not measured.
    #[must_use]
    pub fn of(&self, settings: &TrainSettings) -> Option<DepthEstimate> {
        let plan = self.plan(settings.fine_tune.depth)?;
        Some(self.of_plan(plan, settings))
    }

    fn plan(&self, depth: Depth) -> Option<&PlanPace> {
        let mut plans = self.plans.iter().rev();
        plans.find(|found| found.plan.depth <= depth)
    }

    /// Seconds for a frame through the front of a plan.
    fn front(&self, plan: &Plan) -> f64 {
        self.through_whole * plan.macs_front as f64 / self.whole_macs
    }

    fn of_plan(
        &self,
        PlanPace { plan, per_image }: &PlanPace,
        settings: &TrainSettings,
    ) -> DepthEstimate {
        // The number of views is that for the depth of the plan, whichever is chosen.
        let fine_tune = FineTuneSettings {
            depth: plan.depth,
            ..settings.fine_tune.clone()
        };
        let images_of_head =
            f64::from(settings.how_many_training_steps) * settings.head.learn.batch_size as f64;
        let views = self.train as u64 * u64::from(fine_tune.views_for(self.train));
        // The time of a step is proportional to the number of weights.
        let larger = head_weights(self.sizes, settings) as f64 / self.head_weights.max(1) as f64;
        let mut found = DepthEstimate {
            depth: plan.depth,
            trained_weights: head_weights(self.sizes, settings),
            steps: 0,
            cache_bytes: 0,
            over_budget: false,
            secs: self.first_pass_secs() + images_of_head * self.head_secs * larger,
        };
        if plan.cut.is_none() {
            found.secs += views as f64 * self.through_whole;
            return found;
        }
        let steps = fine_tune.steps_for(self.train);
        let images = f64::from(steps) * fine_tune.learn.batch_size as f64;
        // Validation frames evaluated are half as many as the training frames seen.
        let evaluated = if self.validation == 0 {
            0.0
        } else {
            images / 2.0
        } + self.validation as f64;
        let rows = self.all as u64 + views;
        let bytes = rows * plan.bytes_per_view;
        let kept = bytes.min(fine_tune.cache_budget_bytes);
        let front = self.front(plan);
        let again = if bytes > kept {
            (images + evaluated) * front * (1.0 - kept as f64 / bytes as f64)
        } else {
            0.0
        };
        found.trained_weights += plan.weights_trained(fine_tune.train_depthwise);
        found.steps = steps;
        found.cache_bytes = kept;
        found.over_budget = bytes > kept;
        found.secs += images * per_image
            + evaluated * per_image * EVALUATION_SHARE
            + views as f64 * front
            + again;
        found
    }
}

/// The number of weights of a head with these settings.
fn head_weights(Sizes { dim, classes }: Sizes, settings: &TrainSettings) -> u64 {
    Head::count(dim, settings.head.hidden_units as usize, classes)
}

/// Seconds for a step at the depth of a plan, per image of its batch.
fn image_secs(
    blocks: &Arc<Blocks>,
    plan: &Plan,
    settings: &TrainSettings,
    sizes: Sizes,
    work: &Work,
) -> Result<f64, TrainError> {
    let mut quick = settings.clone();
    quick.fine_tune.depth = plan.depth;
    // A step of the whole network takes long; half of its batch is sufficient.
    let parts = if plan.depth >= Depth::Stage { 2 } else { 1 };
    quick.fine_tune.learn.batch_size = (settings.fine_tune.learn.batch_size / parts).max(1);
    let secs = step_secs(blocks, plan, &quick, sizes, 2, work)?;
    Ok(secs / quick.fine_tune.learn.batch_size as f64)
}

/// The number of frames passed through the network for a measurement.
const SAMPLE_FRAMES: usize = 12;

/// Seconds for one image from its file through the front of a plan, using all cores.
fn view_secs(
    settings: &TrainSettings,
    plan: &Plan,
    sample: &[PathBuf],
    work: &Work,
) -> Result<f64, TrainError> {
    let mut rows = Activations::open(
        &ActivationSource {
            frames: sample,
            architecture: &settings.architecture,
            preprocessing: &settings.architecture.preprocessing(settings.fit)?,
            cut: cut_of(plan)?,
            views: Views {
                count: 3,
                augmentation: settings.fine_tune.augmentation,
                seed: 0,
            },
        },
        None,
        0,
        work,
    )?;
    let wanted =
        |view: u32| -> Vec<ViewOfFrame> { (0..sample.len()).map(|frame| (frame, view)).collect() };
    // The first round also loads the sessions.
    rows.ensure(&wanted(0), work)?;
    let began = Instant::now();
    rows.ensure(&wanted(1), work)?;
    Ok(began.elapsed().as_secs_f64() / sample.len().max(1) as f64)
}

/// Rows of zeros: the values do not affect the time.
struct Nothing;

impl Rows for Nothing {
    fn fill(&mut self, _: &[ViewOfFrame], out: &mut [f16], _: &Work) -> Result<(), TrainError> {
        out.fill(f16::ONE);
        Ok(())
    }

    fn ensure(&mut self, _: &[ViewOfFrame], _: &Work) -> Result<(), TrainError> {
        Ok(())
    }
}

/// Seconds for one step at the depth of a plan, the shortest of `rounds`.
pub(super) fn step_secs(
    blocks: &Arc<Blocks>,
    plan: &Plan,
    settings: &TrainSettings,
    sizes: Sizes,
    rounds: u32,
    work: &Work,
) -> Result<f64, TrainError> {
    let layer = |from: usize, to: usize| (vec![0.0; from * to], vec![0.0; to]);
    let hidden = match settings.head.hidden_units as usize {
        0 => None,
        units => Some(layer(sizes.dim, units)),
    };
    let width = hidden.as_ref().map_or(sizes.dim, |(_, b)| b.len());
    let (w, b) = layer(width, sizes.classes);
    let hidden = hidden.map(|(w, b)| Hidden { w, b });
    let head = Head { hidden, w, b };
    let (network, initial) = network(blocks, plan, &settings.fine_tune, &head, work)?;
    let train = LabelledFrames {
        frames: (0..sizes.classes).collect(),
        y: (0..sizes.classes as i64).collect(),
    };
    let nobody = LabelledFrames::default();
    let recipe = settings.recipe(Part::FineTuning, 0);
    let begin = Checkpoint::beginning(&recipe.optimization, &initial);
    let batch = settings.fine_tune.learn.batch_size.max(1);
    let mut rows = Nothing;
    let mut batches = RowBatches::new(&mut rows, network.row_len(), batch);
    let sides = [&train, &nobody];
    let mut learner = Learner::new(network, &recipe, sides, &mut batches, begin, work)?;
    let found = shortest_step(&mut learner, rounds, work);
    learner.discard();
    found
}

fn shortest_step(learner: &mut Learner, rounds: u32, work: &Work) -> Result<f64, TrainError> {
    let curves = LiveCurves::default();
    let mut best = f64::INFINITY;
    // The first step also allocates memory and does not count.
    for step in 1..=rounds + 1 {
        let began = Instant::now();
        learner.run(
            step,
            &mut Report {
                curves: &curves,
                work,
                save: &mut |_, _| Ok(()),
                classes: &[],
            },
        )?;
        if step > 1 {
            best = best.min(began.elapsed().as_secs_f64());
        }
    }
    Ok(best)
}

/// Seconds for one step of a network in the catalogue at the depth of the settings; for benchmarks.
pub fn measure_fine_tuning_step(
    architecture: &Architecture,
    settings: &TrainSettings,
    classes: usize,
    rounds: u32,
) -> Result<f64, TrainError> {
    let blocks = Arc::new(Blocks::of(architecture)?);
    let plan = blocks.plan(settings.fine_tune.depth);
    let dim = architecture.entry()?.bottleneck_dim;
    let sizes = Sizes { dim, classes };
    step_secs(&blocks, &plan, settings, sizes, rounds, &Work::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_count_at_each_depth_whichever_is_chosen() {
        let mut settings = TrainSettings::default();
        let blocks = Blocks::of(&settings.architecture);
        let plans = blocks.map(|blocks| blocks.plans()).unwrap_or_default();
        let paces = plans.iter().map(|plan| PlanPace {
            plan: plan.clone(),
            per_image: 0.01,
        });
        let pace = Pace {
            head_secs: 1e-6,
            through_whole: 0.01,
            whole_macs: 1e6,
            plans: paces.collect(),
            train: 100,
            validation: 20,
            all: 140,
            sizes: Sizes { dim: 4, classes: 2 },
            head_weights: 10,
        };
        assert_eq!(pace.plans.len(), Depth::ALL.len());
        let bytes = |settings: &TrainSettings| -> Vec<u64> {
            let of = pace.plans.iter().map(|plan| pace.of_plan(plan, settings));
            of.map(|found| found.cache_bytes).collect()
        };
        let of_head = bytes(&settings);
        settings.fine_tune.depth = Depth::All;
        assert_eq!(bytes(&settings), of_head);
        let views = u64::from(settings.fine_tune.views_for(100));
        assert!(views > 0);
        let rows = 140 + 100 * views;
        for (found, plan) in of_head.iter().zip(&plans).skip(1) {
            let all = rows * plan.bytes_per_view;
            assert_eq!(*found, all.min(settings.fine_tune.cache_budget_bytes));
        }
    }

    #[test]
    fn the_deepest_is_recommended_that_takes_five_minutes() {
        let depths = |all: f64| {
            let secs = [
                (Depth::Head, 10.0),
                (Depth::Last3, 60.0),
                (Depth::TwoStages, 299.0),
                (Depth::All, all),
            ];
            secs.map(|(depth, secs)| DepthEstimate {
                depth,
                trained_weights: 1,
                steps: 200,
                cache_bytes: 0,
                over_budget: false,
                secs,
            })
        };
        assert_eq!(recommended(&depths(300.0), 40), Depth::All);
        assert_eq!(recommended(&depths(301.0), 40), Depth::TwoStages);
        assert_eq!(recommended(&depths(10.0), 39), Depth::Head);
        assert_eq!(recommended(&[], 1_000), Depth::Head);
    }
}
