//! Measurements of a run on request, each a job of its own: calibration, leak meter, cross-validation, learning curve,
//! held-out classes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::app::tasks::TaskId;
use crate::app::{App, Lane, RunEntry, Tone};
use crate::evaluate::{
    Comparison, CrossValidation, EvaluateError, Evaluation, LeakMeter, LearningCurve, QualityParts,
    Reliability, TestUses, UnknownCurve, cross_validate, evaluate, hold_out_classes, leak_meter,
    learning_curve, quality_parts, reliability, test_uses, write_report,
};
use crate::jobs::{JobError, Work};
use crate::project::{Project, Split};
use crate::train::{Calibration, Run, RunId};

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measurement {
    /// How reliable the probabilities are.
    Reliability,
    /// False accepts and rejects for images of unknown classes.
    HeldOut,
    /// A split by source compared with a random one.
    Leak,
    /// Cross-validation by source.
    Folds,
    /// The learning curve over the number of sources.
    Learning,
    /// The number of runs that were tested on the same frames.
    TestUses,
    /// Dark and blurred frames.
    Quality,
    /// A comparison with another run on the same frames.
    Compare,
}

impl Measurement {
    /// Its name in the bar at the bottom.
    fn title(self) -> &'static str {
        match self {
            Self::Reliability => "Reading the calibration",
            Self::HeldOut => "Holding out classes",
            Self::Leak => "Leak meter",
            Self::Folds => "Cross-validation",
            Self::Learning => "Learning curve",
            Self::TestUses => "Counting runs",
            Self::Quality => "Measuring the images",
            Self::Compare => "Comparing runs",
        }
    }

    fn measure(
        self,
        project: &Project,
        (run, other): (&Run, Option<&RunEntry>),
        split: Split,
        work: &Work,
    ) -> Result<Found, EvaluateError> {
        Ok(match self {
            Self::Reliability => Found::Reliability(
                reliability(project, run, split, work)?,
                run.calibration()?.map(Box::new),
            ),
            Self::HeldOut => Found::HeldOut(hold_out_classes(project, run, work)?),
            Self::Leak => Found::Leak(leak_meter(project, run, work)?),
            Self::Folds => Found::Folds(cross_validate(project, run, work)?),
            Self::Learning => Found::Learning(learning_curve(project, run, work)?),
            Self::TestUses => Found::TestUses(test_uses(project, run, work)?),
            Self::Quality => {
                let evaluation = evaluate(project, run, split, work)?;
                Found::Quality(quality_parts(project, &evaluation, work)?)
            }
            Self::Compare => {
                let Some(other) = other else {
                    return Ok(Found::Compared(None));
                };
                let first = evaluate(project, &other.run, split, work)?;
                let second = evaluate(project, run, split, work)?;
                let compared = Comparison::of(&first, &second).map(|comparison| Compared {
                    other: other.title(),
                    comparison,
                    first,
                });
                Found::Compared(compared.map(Box::new))
            }
        })
    }
}

/// The result of a measurement; `None` if there are too few frames for it.
#[derive(Debug, Clone)]
pub enum Found {
    /// Without and with the run's temperature, and the calibration.
    Reliability(Option<[Reliability; 2]>, Option<Box<Calibration>>),
    /// The curves.
    HeldOut(Option<UnknownCurve>),
    /// Both accuracies.
    Leak(Option<LeakMeter>),
    /// All folds.
    Folds(Option<CrossValidation>),
    /// The curve and its forecast.
    Learning(Option<LearningCurve>),
    /// The number of runs.
    TestUses(TestUses),
    /// Quarters of the frames.
    Quality(QualityParts),
    /// The other run and this one.
    Compared(Option<Box<Compared>>),
}

/// A comparison with another run; its figures come first.
#[derive(Debug, Clone)]
pub struct Compared {
    /// The title of the other run.
    pub other: String,
    /// Both on their common frames.
    pub comparison: Comparison,
    /// The other run's evaluation.
    pub first: Evaluation,
}

/// The measurements of the chosen run.
#[derive(Default)]
pub struct Measurements {
    found: BTreeMap<Measurement, Result<Arc<Found>, String>>,
    tasks: BTreeMap<Measurement, TaskId>,
}

impl Measurements {
    /// The result, or the error, even while it is being measured again; `None` before the first measurement.
    #[must_use]
    pub fn found(&self, what: Measurement) -> Option<Result<&Found, &str>> {
        let found = self.found.get(&what)?;
        Some(found.as_deref().map_err(String::as_str))
    }

    /// The job that measures it.
    #[must_use]
    pub fn task(&self, what: Measurement) -> Option<TaskId> {
        self.tasks.get(&what).copied()
    }

    /// Whether it was never requested.
    #[must_use]
    pub fn is_due(&self, what: Measurement) -> bool {
        !self.found.contains_key(&what) && !self.tasks.contains_key(&what)
    }

    /// Drops results for another side of the split.
    pub(in crate::app) fn forget_side(&mut self) {
        for what in [
            Measurement::Reliability,
            Measurement::Quality,
            Measurement::Compare,
        ] {
            self.forget_one(what);
        }
    }

    fn forget_one(&mut self, what: Measurement) {
        self.found.remove(&what);
        self.tasks.remove(&what);
    }

    /// Drops everything; the results of running jobs will be ignored.
    pub(in crate::app) fn forget(&mut self) {
        self.found.clear();
        self.tasks.clear();
    }
}

impl App {
    /// Starts a measurement of the chosen run.
    pub(in crate::app) fn measure(&mut self, what: Measurement) {
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.evaluate;
        let Some(run) = state.run.as_ref().and_then(|id| session.train.run(id)) else {
            return;
        };
        if state.measured.tasks.contains_key(&what) {
            return;
        }
        let (run, split) = (run.run.clone(), state.split);
        let other = state.other.as_ref().and_then(|id| session.train.run(id));
        let other = other.cloned();
        let project = Arc::clone(&session.project);
        // Measurements without training are fast.
        let quiet = matches!(what, Measurement::Reliability | Measurement::TestUses);
        let lane = if quiet { Lane::Free } else { Lane::Learn };
        let task = self.tasks.start_as(
            lane,
            what.title(),
            quiet,
            move |work| what.measure(&project, (&run, other.as_ref()), split, work),
            move |app, task, result| app.measured(what, task, result),
        );
        if let Some(session) = &mut self.session {
            session.evaluate.measured.tasks.insert(what, task);
        }
    }

    fn measured(&mut self, what: Measurement, task: TaskId, result: Result<Found, JobError>) {
        let Some(session) = &mut self.session else {
            return;
        };
        let measured = &mut session.evaluate.measured;
        // The run, or the side of its split, may have changed in the meantime.
        if measured.tasks.get(&what) != Some(&task) {
            return;
        }
        measured.tasks.remove(&what);
        match result {
            Ok(found) => {
                measured.found.insert(what, Ok(Arc::new(found)));
            }
            Err(JobError::Cancelled) => {}
            Err(error) => {
                measured.found.insert(what, Err(error.to_string()));
            }
        }
    }

    /// Compares the chosen run with another one.
    pub(in crate::app) fn compare(&mut self, other: RunId) {
        if let Some(session) = &mut self.session {
            session.evaluate.other = Some(other);
            session.evaluate.measured.forget_one(Measurement::Compare);
        }
        self.measure(Measurement::Compare);
    }

    /// Cancels a measurement.
    pub(in crate::app) fn cancel_measurement(&mut self, what: Measurement) {
        let session = self.session.as_ref();
        if let Some(task) = session.and_then(|session| session.evaluate.measured.task(what)) {
            self.tasks.cancel(task);
        }
    }

    /// Writes the report of the chosen run into its folder, and opens it in the browser.
    pub(in crate::app) fn write_report(&mut self) {
        let Some(session) = &self.session else { return };
        let state = &session.evaluate;
        let Some(entry) = state.run.as_ref().and_then(|id| session.train.run(id)) else {
            return;
        };
        if state.reporting.is_some() {
            return;
        }
        let run = entry.run.clone();
        let project = Arc::clone(&session.project);
        let opens = self.options.system_dialogs;
        let task = self.tasks.start_as(
            Lane::Learn,
            "Writing the report",
            false,
            move |work| {
                project.check_writable()?;
                let out = run.dir.join("report.html");
                write_report(&project, &run, true, &out, work)?;
                Ok::<_, EvaluateError>(out)
            },
            move |app, task, result| {
                if let Some(session) = &mut app.session
                    && session.evaluate.reporting == Some(task)
                {
                    session.evaluate.reporting = None;
                }
                match result {
                    Ok(out) => app.reported(out, opens),
                    Err(JobError::Cancelled) => {}
                    Err(error) => {
                        app.fail(error.to_string());
                    }
                }
            },
        );
        if let Some(session) = &mut self.session {
            session.evaluate.reporting = Some(task);
        }
    }

    /// Reports the place of the report, and opens it.
    fn reported(&mut self, out: PathBuf, opens: bool) {
        let words = format!("Report saved: “{}”", out.display());
        self.notes.add(Tone::Done, words);
        if opens {
            self.tasks.start_for_window(
                Lane::Free,
                "Opening the report",
                true,
                move |_| open::that_detached(out),
                |app, result| {
                    if let Err(error) = result {
                        app.fail(format!("The browser could not be opened: {error}"));
                    }
                },
            );
        }
    }

    /// Stores with the run the probability below which an image counts as unknown, chosen so that this part of the
    /// images of its classes is; `None` removes it.
    pub(in crate::app) fn keep_unknown(&mut self, rate: Option<f64>) {
        let Some(session) = &self.session else { return };
        let state = &session.evaluate;
        let Some(entry) = state.run.as_ref().and_then(|id| session.train.run(id)) else {
            return;
        };
        let curve = match state.measured.found(Measurement::HeldOut) {
            Some(Ok(Found::HeldOut(Some(curve)))) => Some(curve),
            _ => None,
        };
        let threshold = rate.and_then(|rate| Some(curve?.at_reject_rate(rate)));
        if rate.is_some() && threshold.is_none() {
            return;
        }
        let run = entry.run.clone();
        let project = Arc::clone(&session.project);
        self.tasks.start(
            Lane::Edit,
            "Saving the threshold",
            true,
            move |_| {
                project.check_writable()?;
                if let Some(mut calibration) = run.calibration()? {
                    calibration.unknown = threshold;
                    run.set_calibration(&calibration)?;
                }
                Ok::<_, EvaluateError>(())
            },
            |app, result| match result {
                Ok(()) => app.measure(Measurement::Reliability),
                Err(error) => {
                    app.fail(error.to_string());
                }
            },
        );
    }
}
