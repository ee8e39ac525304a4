//! The trainer: from a project and settings to a run.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use crate::backbone::{Preprocessing, bottlenecks};
use crate::curate;
use crate::jobs::Work;
use crate::project::{Label, Project, Split};

use super::graph::Sizes;
use super::learner::{Checkpoint, Data, End, Examples, Report, Trainer, accuracy};
use super::{
    CurvePoint, LiveCurves, Run, RunFrame, RunId, RunResult, RunState, TrainError, TrainSettings,
};

/// Trains a head on the project's labelled frames and keeps it as a new run.
///
/// Bottlenecks first (cached), then the steps. `curves` receives each evaluation. Cancelling leaves an
/// unfinished run that [`resume`] continues; [`Work::stop`] ends it early with the best weights.
pub fn train(
    project: &Project,
    settings: &TrainSettings,
    curves: &LiveCurves,
    work: &Work,
) -> Result<Run, TrainError> {
    let began = Instant::now();
    check_settings(settings)?;
    // Before minutes of work: can the graph be run at all?
    crate::onnx::runtime_info()?;
    curves.replace(&[], None);
    let Selection {
        classes,
        frames,
        mut notes,
    } = select(project, settings, work)?;
    let preprocessing = settings.architecture.preprocessing(settings.fit)?;
    let prepared = prepare(project, settings, &preprocessing, &classes, frames, work)?;
    notes.extend(prepared.notes);
    let mut run = Run::create(
        project,
        settings,
        &preprocessing,
        prepared.classes,
        &prepared.frames,
        notes,
    )?;
    run.preparation_secs = began.elapsed().as_secs_f64();
    run.save()?;
    continue_run(run, &prepared.data, None, &[], curves, work)
}

/// Continues an unfinished run, or extends a finished one to `steps` in all. On the same frames it ends with the
/// same weights, bit for bit, as if it had never been interrupted.
pub fn resume(
    project: &Project,
    run: &RunId,
    steps: Option<u32>,
    curves: &LiveCurves,
    work: &Work,
) -> Result<Run, TrainError> {
    let began = Instant::now();
    let dir = project.runs_dir().join(&run.0);
    // The name comes from outside; it must not lead out of the folder of runs.
    if PathBuf::from(&run.0).components().count() != 1 || !dir.join("run.json").is_file() {
        return Err(TrainError::NoSuchRun(run.0.clone()));
    }
    let mut run = Run::open(&dir)?;
    let (checkpoint, points) = run.load_checkpoint()?;
    let steps = steps.unwrap_or(run.settings.how_many_training_steps);
    let done = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.step);
    if run.state == RunState::Finished && steps <= done {
        return Ok(run);
    }
    if steps < done {
        return Err(TrainError::Setting(format!(
            "the run “{}” has {done} steps already; give a larger number to extend it",
            run.id
        )));
    }
    run.settings.how_many_training_steps = steps;
    check_settings(&run.settings)?;
    let frames = run.frames()?;
    let all = frames.len();
    let prepared = prepare(
        project,
        &run.settings,
        &run.preprocessing,
        &run.classes,
        frames,
        work,
    )?;
    if prepared.classes != run.classes {
        return Err(TrainError::FramesGone(run.id.0.clone()));
    }
    let gone = all - prepared.frames.len();
    if gone > 0 {
        let note = format!(
            "{gone} of {all} frames are gone or cannot be read any more since the run began, so its continuation learned from fewer."
        );
        work.warn(&note);
        run.notes.push(note);
    }
    // While it goes on it has no result; a crash leaves it to be resumed again.
    run.state = RunState::Unfinished;
    run.result = None;
    run.preparation_secs += began.elapsed().as_secs_f64();
    run.save()?;
    continue_run(run, &prepared.data, checkpoint, &points, curves, work)
}

fn continue_run(
    mut run: Run,
    data: &Data,
    checkpoint: Option<Checkpoint>,
    points: &[CurvePoint],
    curves: &LiveCurves,
    work: &Work,
) -> Result<Run, TrainError> {
    let steps = run.settings.how_many_training_steps;
    work.stage("Training", Some(u64::from(steps)));
    let best = checkpoint
        .as_ref()
        .and_then(|checkpoint| checkpoint.best.as_ref());
    curves.replace(points, best.map(|(best, _)| *best));
    let mut trainer = Trainer::new(data, &run.settings, checkpoint)?;
    work.set_done(u64::from(trainer.step()));
    let end = trainer.run(
        steps,
        &mut Report {
            curves,
            work,
            save: &mut |checkpoint: &Checkpoint, points: &[CurvePoint]| {
                run.save_checkpoint(checkpoint, points)
            },
        },
    )?;
    let (best_step, best, head) = trainer.kept()?;
    let mut notes = run.notes.clone();
    match end {
        End::Complete => {}
        End::Stopped => notes.push(format!(
            "The training was stopped after {} of {steps} steps.",
            trainer.step()
        )),
        End::Diverged(step) => {
            if best.is_none() {
                return Err(TrainError::Diverged(step));
            }
            notes.push(format!(
                "The training diverged at step {step}; the best weights before are kept. Lower the learning rate."
            ));
        }
    }
    let result = RunResult {
        steps: trainer.step(),
        best_step,
        validation_accuracy: best.map(|best| best.validation_accuracy),
        test_accuracy: accuracy(data.sizes, &data.test, &head)?,
        seconds: run.preparation_secs + trainer.checkpoint()?.secs,
        notes,
    };
    run.finish(&head, result)?;
    Ok(run)
}

fn check_settings(settings: &TrainSettings) -> Result<(), TrainError> {
    let wrong = |text: &str| Err(TrainError::Setting(text.to_owned()));
    if settings.how_many_training_steps == 0 {
        return wrong("the number of training steps must be at least 1");
    }
    if !(settings.learning_rate.is_finite() && settings.learning_rate > 0.0) {
        return wrong("the learning rate must be over 0");
    }
    if settings.train_batch_size == 0 {
        return wrong("the training batch must have at least 1 frame");
    }
    if settings.eval_step_interval == 0 {
        return wrong("there must be at least 1 step between evaluations");
    }
    if settings.validation_batch_size == 0 || settings.validation_batch_size < -1 {
        return wrong("the validation batch must have at least 1 frame, or -1 for all");
    }
    Ok(())
}

/// The frames that take part, before anybody looked into them.
struct Selection {
    classes: Vec<String>,
    frames: Vec<RunFrame>,
    notes: Vec<String>,
}

/// Scans the project and splits it.
fn select(
    project: &Project,
    settings: &TrainSettings,
    work: &Work,
) -> Result<Selection, TrainError> {
    work.stage("Reading the frames", None);
    let found = project.scan(work)?;
    if !found
        .list
        .iter()
        .any(|frame| matches!(frame.label, Label::Class(_)))
    {
        return Err(TrainError::NoFrames);
    }
    work.stage("Grouping the frames", None);
    let groups = curate::groups(project, &found, work)?;
    let assignment = project.assign_splits(&found, &groups, &settings.split)?;
    let classes: Vec<String> = project
        .classes()
        .iter()
        .map(|class| class.name.as_str().to_owned())
        .collect();
    let index: HashMap<&str, usize> = classes
        .iter()
        .enumerate()
        .map(|(index, name)| (name.as_str(), index))
        .collect();
    let mut frames = Vec::new();
    for ((frame, group), split) in found.list.iter().zip(&groups).zip(&assignment.splits) {
        if let (Label::Class(name), Some(split)) = (&frame.label, split)
            && let Some(class) = index.get(name.as_str())
        {
            frames.push(RunFrame {
                path: frame.path.clone(),
                class: *class,
                group: group.clone(),
                split: *split,
            });
        }
    }
    Ok(Selection {
        classes,
        frames,
        notes: assignment.notes,
    })
}

/// What the loop needs, and what took part in the end.
struct Prepared {
    classes: Vec<String>,
    frames: Vec<RunFrame>,
    data: Data,
    notes: Vec<String>,
}

/// Computes bottlenecks, leaves out what cannot be used, and says so.
fn prepare(
    project: &Project,
    settings: &TrainSettings,
    preprocessing: &Preprocessing,
    classes: &[String],
    frames: Vec<RunFrame>,
    work: &Work,
) -> Result<Prepared, TrainError> {
    let paths: Vec<PathBuf> = frames
        .iter()
        .map(|frame| project.abs(&frame.path))
        .collect();
    let table = bottlenecks(
        &paths,
        &settings.architecture,
        preprocessing,
        None,
        Some(&project.cache_dir()),
        work,
    )?;
    let mut notes = Vec::new();
    if !table.failed.is_empty() {
        notes.push(format!(
            "{} of {} frames could not be read and were left out.",
            table.failed.len(),
            frames.len()
        ));
    }
    let mut usable = vec![true; frames.len()];
    for (index, _) in &table.failed {
        if let Some(usable) = usable.get_mut(*index) {
            *usable = false;
        }
    }
    // A batch draws the class first, so a class needs a frame to learn from.
    let mut counts = vec![[0_usize; 2]; classes.len()];
    for (frame, _) in frames.iter().zip(&usable).filter(|(_, usable)| **usable) {
        if let Some([train, all]) = counts.get_mut(frame.class) {
            *all += 1;
            *train += usize::from(frame.split == Split::Train);
        }
    }
    let mut new_index = vec![None; classes.len()];
    let mut kept = Vec::new();
    for ((name, [train, all]), index) in classes.iter().zip(&counts).zip(&mut new_index) {
        match (train, all) {
            (0, 0) => {}
            (0, _) => notes.push(format!(
                "“{name}” takes no part: none of its frames is in the training set."
            )),
            _ => {
                if *all == 1 {
                    notes.push(format!(
                        "“{name}” has a single frame; what is learned of it will not hold for others."
                    ));
                }
                *index = Some(kept.len());
                kept.push(name.clone());
            }
        }
    }
    match kept.as_slice() {
        [] => return Err(TrainError::NoFrames),
        [one] => return Err(TrainError::OneClass(one.clone())),
        _ => {}
    }
    let sizes = Sizes {
        dim: table.dim,
        classes: kept.len(),
    };
    let mut data = Data {
        sizes,
        train: Examples::default(),
        validation: Examples::default(),
        test: Examples::default(),
    };
    let mut taken = Vec::new();
    for (at, (mut frame, usable)) in frames.into_iter().zip(usable).enumerate() {
        let (Some(class), true) = (new_index.get(frame.class).copied().flatten(), usable) else {
            continue;
        };
        let Some(row) = table.row(at) else { continue };
        let side = match frame.split {
            Split::Train => &mut data.train,
            Split::Validation => &mut data.validation,
            Split::Test => &mut data.test,
        };
        side.x.extend_from_slice(row);
        side.y.push(class as i64);
        frame.class = class;
        taken.push(frame);
    }
    if data.validation.len() == 0 {
        notes.push(
            "There are no validation frames, so the weights of the last step are kept.".into(),
        );
    }
    if data.test.len() == 0 {
        notes.push(
            "There are no test frames, so the accuracy on new frames was not measured.".into(),
        );
    }
    Ok(Prepared {
        classes: kept,
        frames: taken,
        data,
        notes,
    })
}
