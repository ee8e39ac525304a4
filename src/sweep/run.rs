//! Runs the trainings of a sweep, from where it stopped.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::backbone::Architecture;
use crate::evaluate::{Figures as Evaluated, calibrate_or_warn, evaluate};
use crate::export::computer;
use crate::jobs::{Cancelled, Work};
use crate::project::{Project, Split};
use crate::train::{
    LiveCurves, Parent, Run, RunState, TrainError, TrainSettings, find_runs, remember_split,
    resume, train_child,
};

use super::latency::latencies;
use super::{Sweep, SweepError, SweepId, Table, TrainedFigures, TrainingOutcome};

/// The state of a running sweep, for display: the latest state, without blocking the training.
#[derive(Clone, Default)]
pub struct LiveSweep(Arc<Mutex<SweepNow>>);

/// The state of a running sweep.
#[derive(Clone, Default)]
pub struct SweepNow {
    /// Grows with every change.
    pub revision: u64,
    /// The sweep as last written; `None` before it is read.
    pub sweep: Option<Arc<Sweep>>,
    /// Its table.
    pub table: Arc<Table>,
    /// The number of the current training, from 1.
    pub training: Option<u32>,
}

impl LiveSweep {
    fn state(&self) -> MutexGuard<'_, SweepNow> {
        self.0.lock()
    }

    /// The state, if it has changed since that revision.
    #[must_use]
    pub fn since(&self, revision: u64) -> Option<SweepNow> {
        let state = self.state();
        (state.revision != revision).then(|| state.clone())
    }

    fn set(&self, sweep: &Sweep, training: Option<u32>) {
        let table = Arc::new(Table::of(sweep));
        let sweep = Some(Arc::new(sweep.clone()));
        let mut state = self.state();
        *state = SweepNow {
            revision: state.revision + 1,
            sweep,
            table,
            training,
        };
    }
}

/// Runs the remaining trainings of a sweep: an unfinished run continues where it was interrupted, with the same bits;
/// ended trainings are not repeated. A training that fails becomes a row with the reason. It can be cancelled and
/// called again at any moment.
///
/// # Errors
/// Errors that would end every training: the project cannot be written or is gone, the disk is full, nothing is
/// labelled.
pub fn run(
    project: &Project,
    id: &SweepId,
    live: &LiveSweep,
    work: &Work,
) -> Result<Sweep, SweepError> {
    project.check_writable()?;
    let mut sweep = Sweep::open(project, id)?;
    live.set(&sweep, None);
    time(&mut sweep, work)?;
    let mut children = runs_of(project, &sweep.created, work)?;
    let count = sweep.trainings.len();
    for index in 0..count {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let waiting = sweep
            .trainings
            .get(index)
            .filter(|one| one.outcome.is_none());
        let Some(settings) = waiting.map(|one| one.settings.clone()) else {
            continue;
        };
        work.check()?;
        live.set(&sweep, Some(number));
        let parent = sweep.parent(number);
        let begun = children.remove(&number);
        let outcome = train_one(
            project,
            &settings,
            parent,
            begun,
            &LiveCurves::default(),
            work,
        )?;
        if let TrainingOutcome::Failed(reason) = &outcome {
            work.warn(format!("Training {number} of {count}: {reason}"));
        }
        if let Some(training) = sweep.trainings.get_mut(index) {
            training.outcome = Some(outcome);
        }
        sweep.save()?;
        live.set(&sweep, None);
        if work.is_stopping() {
            // The best weights of the current training are kept; the others can follow later.
            break;
        }
    }
    Ok(sweep)
}

/// Runs one training of a sweep; `begun` is its existing run, if there is one. A training that fails gives
/// [`TrainingOutcome::Failed`].
///
/// # Errors
/// Errors that would end every training: the project cannot be written or is gone, the disk is full, nothing is
/// labelled; cancelled.
pub fn train_one(
    project: &Project,
    settings: &TrainSettings,
    parent: Parent,
    begun: Option<Run>,
    curves: &LiveCurves,
    work: &Work,
) -> Result<TrainingOutcome, SweepError> {
    let trained = match begun {
        // The program was killed after its end and before recording it.
        Some(run) if run.state == RunState::Finished => Ok(run),
        Some(run) => resume(project, &run.id, None, curves, work),
        None => train_child(project, settings, Some(parent), curves, work),
    };
    match trained {
        Ok(run) => {
            let figures = figures(project, &run, work)?;
            Ok(TrainingOutcome::Finished {
                run: run.id,
                figures,
            })
        }
        Err(_) if work.is_cancelled() => Err(Cancelled.into()),
        Err(error) if ends_all(&error) => Err(error.into()),
        Err(error) => {
            project.check_there()?;
            Ok(TrainingOutcome::Failed(error.to_string()))
        }
    }
}

/// Prepares a sweep for trainings on other machines: the project remembers the sides of the first training (it can
/// remember only one split; sides in others are derived from the images), and latencies are measured here.
///
/// # Errors
/// The project cannot be read or written, or nothing in it is labelled; cancelled.
pub fn prepare(project: &Project, id: &SweepId, work: &Work) -> Result<Sweep, SweepError> {
    project.check_writable()?;
    let mut sweep = Sweep::open(project, id)?;
    if let Some(first) = sweep.trainings.first() {
        remember_split(project, &first.settings, work)?;
    }
    time(&mut sweep, work)?;
    Ok(sweep)
}

/// Records the results of trainings elsewhere, by their numbers; a training that had succeeded keeps its result.
///
/// # Errors
/// The project cannot be written.
pub fn settle(
    project: &Project,
    id: &SweepId,
    outcome: impl IntoIterator<Item = (u32, TrainingOutcome)>,
) -> Result<Sweep, SweepError> {
    project.check_writable()?;
    let mut sweep = Sweep::open(project, id)?;
    for (number, outcome) in outcome {
        let index = number.checked_sub(1).map(|index| index as usize);
        let training = index.and_then(|index| sweep.trainings.get_mut(index));
        if let Some(training) = training
            && !matches!(training.outcome, Some(TrainingOutcome::Finished { .. }))
        {
            training.outcome = Some(outcome);
        }
    }
    sweep.save()?;
    Ok(sweep)
}

/// Measures the latencies of the networks, if that was not done before.
fn time(sweep: &mut Sweep, work: &Work) -> Result<(), SweepError> {
    if !sweep.computer.is_empty() {
        return Ok(());
    }
    let mut architectures: Vec<Architecture> = Vec::new();
    for training in &sweep.trainings {
        let architecture = &training.settings.architecture;
        if !architectures.contains(architecture) {
            architectures.push(architecture.clone());
        }
    }
    sweep.latency_ms = latencies(&architectures, work)?;
    sweep.computer = computer().map_err(|error| SweepError::Plan(error.to_string()))?;
    sweep.save()
}

/// The runs in a folder that belong to the sweep begun at that time, by the number of their training.
///
/// # Errors
/// The folder cannot be read.
pub fn runs_of(
    project: &Project,
    begun: &str,
    work: &Work,
) -> Result<BTreeMap<u32, Run>, TrainError> {
    let mut found = BTreeMap::new();
    for run in find_runs(project)?.or_warn(work) {
        if let Some(parent) = &run.parent
            && parent.begun == begun
        {
            // The newest run comes first.
            found.entry(parent.training).or_insert(run);
        }
    }
    Ok(found)
}

/// Whether the error would affect the next training, too, and so ends the sweep.
fn ends_all(error: &TrainError) -> bool {
    match error {
        TrainError::Backbone(error) => error.is_of_a_file(),
        TrainError::File(_)
        | TrainError::Project(_)
        | TrainError::NoFrames
        | TrainError::Cancelled(_) => true,
        _ => false,
    }
}

fn figures(project: &Project, run: &Run, work: &Work) -> Result<TrainedFigures, SweepError> {
    calibrate_or_warn(project, run, work);
    let result = run.result();
    let frames = run.frames()?;
    let mut images = [0; 3];
    let mut data = blake3::Hasher::new();
    for frame in &frames {
        let side = match frame.split {
            Split::Train => &mut images[0],
            Split::Validation => &mut images[1],
            Split::Test => &mut images[2],
        };
        *side += 1;
        let content = frame.content.map(|content| content.to_string());
        let what = content.as_deref().unwrap_or(&frame.path);
        data.update(format!("{what} {} {:?}\n", frame.class, frame.split).as_bytes());
    }
    let test_accuracy = result.and_then(|result| result.test_accuracy);
    let test_95 = match test_accuracy {
        Some(_) => interval(project, run, work),
        None => None,
    };
    work.check()?;
    let entry = run.settings.architecture.entry()?;
    let head = (entry.bottleneck_dim as u64 + 1) * run.classes.len() as u64;
    Ok(TrainedFigures {
        validation_accuracy: result
            .and_then(|result| result.validation_accuracy)
            .map(f64::from),
        validation_cross_entropy: result
            .and_then(|result| result.validation_cross_entropy)
            .map(f64::from),
        test_accuracy: test_accuracy.map(f64::from),
        test_95,
        bytes: entry.bytes + 4 * head,
        seconds: run.secs(),
        images,
        data: data.finalize().to_hex().as_str().to_owned(),
    })
}

/// The 95 % interval of the test accuracy over sources. An error is only a warning: the training has succeeded.
fn interval(project: &Project, run: &Run, work: &Work) -> Option<[f64; 2]> {
    let found = evaluate(project, run, Split::Test, work)
        .map_err(|error| error.to_string())
        .and_then(|found| Evaluated::of(&found, work).map_err(|error| error.to_string()));
    match found {
        Ok(figures) => figures.accuracy.interval_95,
        Err(error) => {
            if !work.is_cancelled() {
                work.warn(format!("“{}” has no interval: {error}", run.id));
            }
            None
        }
    }
}
