//! The trainer: from a project and settings to a run.

use std::path::PathBuf;
use std::time::Instant;

use crate::backbone::Depth;
use crate::files;
use crate::jobs::Work;
use crate::project::{Project, Split};

use super::checkpoint::Standing;
use super::data::{Prepared, Selection, Splitting, prepare, select};
use super::fine_tune::MIN_FRAMES;
use super::head::{head_again, train_head};
use super::present::present;
use super::run::{NewRun, RunClass};
use super::{
    EvalSpacing, LiveCurves, Parent, Run, RunClasses, RunId, RunState, TrainError, TrainSettings,
    fine_tune,
};

/// Trains on the project's labelled frames and stores the result as a new run.
///
/// First bottlenecks (cached), then the head, then, if the settings include it, the fine-tuning. If the depth is
/// [recommended by the program](super::FineTuneSettings::automatic), it is decided after the head. `curves` receives
/// each evaluation. A cancellation leaves an unfinished run that [`resume`] continues; [`Work::stop`] ends it early
/// and keeps the best weights.
pub fn train(
    project: &Project,
    settings: &TrainSettings,
    curves: &LiveCurves,
    work: &Work,
) -> Result<Run, TrainError> {
    train_child(project, settings, None, curves, work)
}

/// [`train`] as a part of a sweep: the run records its parent.
pub fn train_child(
    project: &Project,
    settings: &TrainSettings,
    parent: Option<Parent>,
    curves: &LiveCurves,
    work: &Work,
) -> Result<Run, TrainError> {
    project.check_runs_writable()?;
    let began = Instant::now();
    settings.check()?;
    // Before minutes of work: can graphs be run at all?
    crate::onnx::runtime_info()?;
    curves.replace(0, &[], None);
    let Selection {
        classes,
        frames,
        mut notes,
    } = select(project, settings, splitting(project), work)?;
    let mut settings = settings.clone();
    settings.forget_extensions();
    let of_training = frames.iter().filter(|frame| frame.split == Split::Train);
    if settings.fine_tune.automatic && of_training.count() < MIN_FRAMES {
        // There is nothing to decide.
        settings.fine_tune.automatic = false;
        settings.fine_tune.depth = Depth::Head;
    }
    let preprocessing = settings.architecture.preprocessing(settings.fit)?;
    let prepared = prepare(project, &settings, &preprocessing, &classes, frames, work);
    let prepared = project.blame(prepared)?;
    notes.extend(prepared.notes.iter().cloned());
    if prepared.data.validation.len() == 0 {
        notes.extend(settings.without_validation());
    }
    if settings.eval_spacing != EvalSpacing::Exact {
        // Stored, so that a resumed run evaluates at the same steps.
        settings.eval_spacing = EvalSpacing::ByFrames;
        let steps = settings.steps_between_evaluations(prepared.data.validation.len());
        settings.eval_spacing = EvalSpacing::Steps(steps);
    }
    if !settings.fine_tune.automatic {
        settings.fine_tune.settle(prepared.data.train.len());
    }
    let mut run = Run::create(
        project,
        NewRun {
            settings: &settings,
            preprocessing: &preprocessing,
            classes: &prepared.classes,
            frames: &prepared.frames,
            notes,
            parent,
        },
    )?;
    run.preparation_secs = began.elapsed().as_secs_f64();
    run.save()?;
    continue_training(project, run, prepared, curves, work)
}

/// Assigns the groups of the project to sides like a training with these settings, and has the project record them, so
/// that trainings elsewhere use the same sides.
///
/// # Errors
/// The project cannot be read or written, or nothing in it is labelled; cancelled.
pub fn remember_split(
    project: &Project,
    settings: &TrainSettings,
    work: &Work,
) -> Result<(), TrainError> {
    project.check_writable()?;
    select(project, settings, Splitting::Remembered, work).map(drop)
}

/// If the project cannot be written, the same sides are derived again from the same images.
fn splitting(project: &Project) -> Splitting {
    if project.check_writable().is_ok() {
        Splitting::Remembered
    } else {
        Splitting::Tried
    }
}

/// Continues a run that was interrupted or stopped, or extends any run to a total of `steps`, as counted by
/// [`TrainSettings::steps`]. On the same frames an interrupted run ends with the same weights, bit for bit, as an
/// uninterrupted one, and an extended head as if it had been trained for that many steps from the beginning. The
/// learning rate of a fine-tuning restarts with the added steps
/// ([`LearnSettings::restarts`](super::LearnSettings::restarts)), from the last weights; the best weights stay until
/// others are better on the current validation frames and labels.
///
/// # Errors
/// [`TrainError::Setting`] for fewer steps than are done, [`TrainError::DivergedRun`] for a run that diverged.
pub fn resume(
    project: &Project,
    run: &RunId,
    steps: Option<u32>,
    curves: &LiveCurves,
    work: &Work,
) -> Result<Run, TrainError> {
    project.check_runs_writable()?;
    let began = Instant::now();
    let dir = project.runs_dir().join(&run.0);
    // The name comes from outside and must not lead out of the folder of runs.
    if PathBuf::from(&run.0).components().count() != 1 || !files::is_file(dir.join("run.json")) {
        return Err(TrainError::NoSuchRun(run.0.clone()));
    }
    let mut run = Run::open(&dir)?;
    let standing = run.standing()?;
    let done = standing.steps;
    let stopped_early = run.result().is_some_and(|of| of.stopped_early);
    let steps = match steps {
        // It is done, although more steps were planned.
        None if stopped_early => done,
        steps => steps.unwrap_or_else(|| run.settings.steps()),
    };
    if run.state == RunState::Finished && steps == done {
        return Ok(run);
    }
    if run.state == RunState::Finished && standing.diverged {
        return Err(TrainError::DivergedRun(run.id.0));
    }
    if steps < done {
        return Err(TrainError::Setting(format!(
            "the run “{}” already has {done} steps; give a larger number to extend it",
            run.id
        )));
    }
    // Before it counts as unfinished: a run that cannot be continued stays as it is.
    run.check_files()?;
    run.settings.extend(done, steps);
    if stopped_early {
        let part = run.settings.last_part();
        run.settings.learn_mut(part).early_stopping_from = done;
    }
    run.settings.check()?;
    show_earlier(&run, &standing, curves)?;
    let found = present(project, &run, None, work)?;
    let all = found.frames.len() + found.missing as usize;
    let classes = classes_now(&run, &found.classes);
    let prepared = prepare(
        project,
        &run.settings,
        &run.preprocessing,
        &classes,
        found.frames,
        work,
    );
    let prepared = project.blame(prepared)?;
    if let Some(lost) = classes
        .into_iter()
        .find(|class| !prepared.classes.contains(class))
    {
        return Err(TrainError::FramesGone {
            run: run.id.0.clone(),
            class: lost.name,
        });
    }
    let gone = all - prepared.frames.len();
    run.other_frames |= gone > 0 || found.relabelled > 0 || found.changed > 0;
    let mut notes = found.classes.notes;
    if gone > 0 {
        notes.push(format!(
            "{gone} of {all} images have been removed or become unreadable since the run began, so it continued on fewer."
        ));
    }
    if found.relabelled > 0 {
        notes.push(format!(
            "{} of {all} images were relabelled since the run began; it continued with their new labels.",
            found.relabelled
        ));
    }
    if found.changed > 0 {
        notes.push(format!(
            "{} of {all} images were changed since the run began; it continued with them as they are now.",
            found.changed
        ));
    }
    for note in notes {
        work.warn(&note);
        if !run.notes.contains(&note) {
            run.notes.push(note);
        }
    }
    // After a crash it can be resumed again.
    run.begin_again();
    run.preparation_secs += began.elapsed().as_secs_f64();
    run.save()?;
    continue_training(project, run, prepared, curves, work)
}

/// The classes of a run with their current names, for reports.
fn classes_now(run: &Run, now: &RunClasses) -> Vec<RunClass> {
    let mut classes = run.run_classes();
    for (class, label) in classes.iter_mut().zip(&now.label_of) {
        if let Some(name) = now.labels.get(*label) {
            class.name.clone_from(name);
        }
    }
    classes
}

/// Shows the result of a run before it continues, while its frames are being read; it does not count as in progress
/// yet.
fn show_earlier(run: &Run, standing: &Standing, curves: &LiveCurves) -> Result<(), TrainError> {
    let is_fine_tuned = run.settings.fine_tune.is_on();
    let head = run.head_only();
    if is_fine_tuned && head.is_none() {
        return Ok(());
    }
    let mut points = run.curves()?;
    points.retain(|point| point.step <= standing.steps);
    match head {
        Some(head) => {
            let depth = run.settings.fine_tune.depth;
            curves.begin_fine_tuning(depth, 0, &points, standing.best, head.best());
        }
        None => curves.replace(0, &points, standing.best),
    }
    Ok(())
}

/// Trains from the run's last checkpoint to its end.
fn continue_training(
    project: &Project,
    run: Run,
    prepared: Prepared,
    curves: &LiveCurves,
    work: &Work,
) -> Result<Run, TrainError> {
    project.blame(train_to_the_end(project, run, prepared, curves, work))
}

fn train_to_the_end(
    project: &Project,
    mut run: Run,
    prepared: Prepared,
    curves: &LiveCurves,
    work: &Work,
) -> Result<Run, TrainError> {
    let head = match run.head_only() {
        Some(_) => head_again(&mut run, &prepared.data)?,
        None => train_head(project, &mut run, &prepared, curves, work)?,
    };
    if run.settings.fine_tune.is_on() {
        fine_tune::fine_tune(project, &mut run, prepared, &head, curves, work)?;
    }
    Ok(run)
}
