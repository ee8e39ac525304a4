//! Actions of the train workspace: starting and ending trainings, reading curves, saving settings.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::SETTINGS;
use super::depth;
use super::plots::RunFilter;
use crate::app::notes::Tone;
use crate::app::tasks::TaskId;
use crate::app::{Action, App, EvaluateAction, Lane, Live, RunEntry, Session, TrainAction, words};
use crate::backbone::Depth;
use crate::jobs::{JobError, Work};
use crate::train::{
    Curves, Decision, EvalSpacing, LiveCurves, Metrics, Part, Run, RunId, resume, train,
};

/// Settings are saved after this time without a change.
const SETTLE: Duration = Duration::from_millis(600);

impl App {
    pub(in crate::app) fn apply_train(&mut self, action: TrainAction) {
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.train;
        match action {
            TrainAction::Set(settings) => {
                state.settings = settings;
                state.unsaved = Some(Instant::now());
                self.ctx.request_repaint_after(SETTLE);
            }
            TrainAction::SetDepth(depth) => {
                state.depth.chosen = depth;
                state.unsaved = Some(Instant::now());
                self.ctx.request_repaint_after(SETTLE);
            }
            TrainAction::Measured(found) => {
                let basis = session.basis();
                session.train.depth.take(basis, found);
            }
            TrainAction::View(view) => state.view = view,
            TrainAction::Filter(text) => state.filter = RunFilter::new(text),
            TrainAction::Focus(id) => {
                state.overlays.remove(&id);
                state.focus = Some(id);
            }
            TrainAction::Overlay(id, true) => {
                state.overlays.insert(id);
            }
            TrainAction::Overlay(id, false) => {
                state.overlays.remove(&id);
            }
            TrainAction::UseSettings(id) => {
                if let Some(mut settings) = state.run(&id).map(|entry| entry.run.settings.clone()) {
                    // The extensions of that run do not apply to another.
                    settings.forget_extensions();
                    // Nor does its number of steps between evaluations, which depended on its frames.
                    if matches!(settings.eval_spacing, EvalSpacing::Steps(_)) {
                        settings.eval_spacing = EvalSpacing::ByFrames;
                    }
                    let automatic = std::mem::take(&mut settings.fine_tune.automatic);
                    let depth = (!automatic).then_some(settings.fine_tune.depth);
                    self.apply_train(TrainAction::SetDepth(depth));
                    self.apply_train(TrainAction::Set(settings));
                }
            }
            TrainAction::Start => self.start_training(None),
            TrainAction::Resume(id) => self.start_training(Some((id, None))),
            TrainAction::AskExtend(id) => self.ask_extend(&id),
            TrainAction::Extend(id, steps) => self.start_training(Some((id, Some(steps)))),
            TrainAction::StopAndKeep => {
                if let Some(work) = self.training_work() {
                    work.stop();
                }
            }
            TrainAction::Pause(paused) => {
                if let Some(work) = self.training_work() {
                    work.set_paused(paused);
                }
            }
            TrainAction::Cancel => {
                if let Some(task) = state.live.as_ref().and_then(|live| live.task) {
                    self.tasks.cancel(task);
                }
            }
            TrainAction::SaveFigure(metric, format, path, replace) => {
                self.save_figure(&metric, format, path, replace);
            }
            TrainAction::SetNote(id, note) => self.set_note(&id, note),
            TrainAction::SaveEmbedding(id) => self.save_embedding(&id),
            TrainAction::Remove(id) => self.remove_run(id),
            TrainAction::Restore(id) => self.restore_run(id),
        }
    }

    /// The progress of the training; `None` while it waits for other tasks.
    #[must_use]
    pub fn training_work(&self) -> Option<&Work> {
        let task = self.session.as_ref()?.train.live.as_ref()?.task?;
        self.tasks
            .running()
            .iter()
            .find(|running| running.id == task)
            .map(|running| &running.work)
    }

    /// Starts a training: a new one, or a run that is resumed or extended to this total number of steps.
    fn start_training(&mut self, resumed: Option<(RunId, Option<u32>)>) {
        if !self.may_change() {
            return;
        }
        self.save_train_settings(true);
        let Some(session) = &mut self.session else {
            return;
        };
        if session.train.live.is_some() || session.sweep.live.is_some() {
            return;
        }
        let of = resumed.as_ref().map(|(id, _)| session.train.run(id));
        let begun = of.flatten().map_or_else(
            || jiff::Timestamp::now().as_millisecond() as f64 / 1000.0,
            RunEntry::begun,
        );
        let (mut settings, depth) = match of {
            None => (session.train.settings.clone(), session.depth()),
            Some(Some(entry)) => {
                let settings = entry.run.settings.clone();
                let depth = settings.fine_tune.depth;
                (settings, (!entry.run.is_undecided()).then_some(depth))
            }
            Some(None) => return,
        };
        settings.fine_tune.depth = depth.unwrap_or_default();
        let chosen = session.train.depth.chosen.is_some() || depth == Some(Depth::Head);
        settings.fine_tune.automatic = !chosen;
        if let Some((id, _)) = &resumed {
            session.train.begin_again(id);
        }
        let curves = LiveCurves::default();
        let mut live = Live {
            task: None,
            architecture: settings.architecture.clone(),
            depth,
            fine_tuning_secs: match (resumed.is_none(), session.estimate(), depth) {
                (true, Some(found), Some(depth)) => depth::fine_tuning_secs(found, depth),
                _ => None,
            },
            may_end: !chosen,
            // The current part of a resumed run is not yet known.
            steps: match &resumed {
                Some(_) => 0,
                None => settings.how_many_training_steps,
            },
            begun,
            resumed: resumed.as_ref().map(|(id, _)| id.clone()),
            points: Curves::new(),
            head: Curves::new(),
            metrics: Metrics::default(),
            head_metrics: Metrics::default(),
            measured_at: 0,
            best: None,
            part: Part::Head,
            baseline: None,
            steps_per_second: None,
            curves: curves.clone(),
        };
        let project = Arc::clone(&session.project);
        let title = format!("Training {}", words::architecture(&settings.architecture));
        live.task = Some(self.tasks.start_as(
            Lane::Learn,
            &title,
            false,
            move |work| {
                if let Some((id, steps)) = resumed {
                    return resume(&project, &id, steps, &curves, work);
                }
                train(&project, &settings, &curves, work)
            },
            Self::trained,
        ));
        session.train.live = Some(live);
    }

    fn trained(&mut self, task: TaskId, result: Result<Run, JobError>) {
        let is_live = |session: &&mut Session| {
            let live = session.train.live.as_ref();
            live.is_some_and(|live| live.task == Some(task))
        };
        if let Some(session) = self.session.as_mut().filter(is_live) {
            session.train.live = None;
            if let Ok(run) = &result {
                session.train.focus = Some(run.id.clone());
                session.train.overlays.remove(&run.id);
            }
        }
        match result {
            Ok(run) => {
                let figure = run
                    .result()
                    .and_then(|result| result.test_accuracy.or(result.validation_accuracy));
                let mut text = match figure {
                    Some(part) => format!("Trained: {} correct", words::percent(part)),
                    None => "Trained".to_owned(),
                };
                if let Some(Decision::HeadSuffices { .. }) = run.decision {
                    text.push_str(" with the head alone, so no fine-tuning was needed");
                }
                if let Some(result) = run.result().filter(|of| of.stopped_early) {
                    let step = words::number(u64::from(result.steps));
                    text = format!("{text}; stopped early at step {step}");
                }
                self.notes.add(Tone::Done, text).remedy = Some((
                    "Evaluate".to_owned(),
                    Action::Evaluate(EvaluateAction::Open(run.id)),
                ));
            }
            // The window already reports that the project is missing.
            Err(_) if self.session.as_ref().is_some_and(|session| session.missing) => {}
            Err(JobError::Cancelled) => {
                self.notes.add(
                    Tone::Info,
                    "Training was cancelled. Resume it from the list of runs",
                );
            }
            Err(error) => {
                self.fail(error.to_string());
            }
        }
        self.load_runs();
    }

    /// Reads the measurements of the trainer since the last frame.
    pub(in crate::app) fn take_curves(&mut self) {
        if let Some(session) = &mut self.session
            && let Some(live) = &mut session.train.live
        {
            let known = live.points.len();
            let (part, new) = live.curves.since(match live.part {
                Part::Head => [known, 0],
                Part::FineTuning => [0, known],
            });
            let steps = live.curves.steps();
            if steps > 0 {
                live.steps = steps;
            }
            if part != live.part {
                live.part = part;
                live.depth = Some(live.curves.depth());
                live.points.clear();
                live.metrics = Metrics::default();
                live.measured_at = 0;
                let head = live.curves.head_measured();
                live.head_metrics = Metrics::of(&[], head.iter().map(AsRef::as_ref));
                live.baseline = live.curves.baseline();
                live.head = live.curves.head();
                let earlier = live.resumed.as_ref().and_then(|id| {
                    let entries = &session.train.runs;
                    entries.iter().find(|entry| entry.run.id == *id)
                });
                if let (true, Some(entry)) = (live.head.is_empty(), earlier) {
                    live.head = entry.head.to_vec();
                }
            }
            let known = live.measured_at;
            let (part, measured) = live.curves.measured_since(match live.part {
                Part::Head => [known, 0],
                Part::FineTuning => [0, known],
            });
            // If the next part has begun in the meantime, its measurements are read in the next frame.
            for measured in measured.iter().filter(|_| part == live.part) {
                live.metrics.push(measured);
                live.measured_at += 1;
            }
            if !new.is_empty() {
                live.points.extend(new);
                live.best = live.curves.best();
                live.steps_per_second = live.curves.steps_per_second();
            }
        }
    }

    /// Saves the settings after a pause, or at once.
    pub(in crate::app) fn save_train_settings(&mut self, at_once: bool) {
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.train;
        let Some(since) = state.unsaved else { return };
        if !at_once && since.elapsed() < SETTLE {
            return;
        }
        state.unsaved = None;
        if !session.can_change() {
            return;
        }
        let state = &session.train;
        let project = Arc::clone(&session.project);
        let (settings, depth) = (state.settings.clone(), state.depth.chosen);
        self.tasks.start(
            Lane::Edit,
            "Saving the settings",
            true,
            move |_| {
                project.set_setting(SETTINGS, &settings)?;
                depth::save(&project, depth)
            },
            |app, result| {
                if let Err(error) = result {
                    app.fail(error.to_string());
                }
            },
        );
    }
}
