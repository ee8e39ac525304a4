//! `salamander train`: trains a head on a project's labelled frames.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::backbone::{Architecture, Depth, Fit};
use crate::evaluate::Evaluation;
use crate::project::Project;
use crate::train::{
    CurvePoint, Estimate, EvalSpacing, LiveCurves, Optimizer, Part, Run, RunClasses, RunState,
    TrainSettings, Verdict, estimate, resume, runs, train,
};

use super::console::{Console, Interrupted, Watch};
use super::fine_tune::{self, DepthArg, FineTuneArgs};
use super::table::{count, percent};
use super::{ProjectArg, Usage, shown, which};

/// Without a terminal a line of figures comes this often.
const PLAIN_STEP_INTERVAL: Duration = Duration::from_secs(2);

/// Train on the labelled frames of a project
///
/// The options have the names and defaults of retrain.py. The weights with the best validation
/// accuracy are kept, as a new run in the project's folder. Ctrl-C leaves a run that --resume
/// continues.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    /// Continue this unfinished run (`latest`, its name or its folder), or extend a finished one to
    /// --how-many-training-steps in all; one that went deeper than the head, to --fine-tune-steps, with
    /// a learning rate that rises and falls anew over the steps that are added
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = ["architecture", "fit", "learning_rate", "train_batch_size",
            "validation_batch_size", "eval_step_interval", "testing_percentage",
            "validation_percentage", "split_seed", "optimizer", "seed", "FineTuneArgs"]
    )]
    resume: Option<String>,
    /// The backbone and its input size in pixels, as `salamander architectures` lists them [default: efficientnet-lite0@224]
    #[arg(long, value_name = "A", value_parser = architecture)]
    architecture: Option<Architecture>,
    /// Steps, one batch each [default: 4000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    how_many_training_steps: Option<u32>,
    /// How far each step follows the gradient [default: 0.01]
    #[arg(long, value_name = "F", value_parser = learning_rate)]
    learning_rate: Option<f32>,
    /// Frames per batch [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    train_batch_size: Option<u32>,
    /// Validation frames per evaluation, -1 for all of them [default: 100]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = validation_batch_size)]
    validation_batch_size: Option<i64>,
    /// Steps between evaluations, exactly [default: 10, or as many more that no more frames are evaluated than
    /// learned from]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    eval_step_interval: Option<u32>,
    /// Percentage of frames kept for the test at the end [default: 10]
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u8).range(0..=80))]
    testing_percentage: Option<u8>,
    /// Percentage of frames that choose the best weights [default: 10]
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u8).range(0..=80))]
    validation_percentage: Option<u8>,
    /// Another number makes another split by the same rules, to measure how much depends on the draw
    /// [default: 0]
    #[arg(long, value_name = "N")]
    split_seed: Option<u64>,
    /// How weights follow the gradient; retrain.py has `sgd` [default: sgd]
    #[arg(long, value_name = "O")]
    optimizer: Option<OptimizerArg>,
    /// How frames are made square [default: center-crop]
    #[arg(long, value_name = "F")]
    fit: Option<FitArg>,
    /// Seed of everything random: the same seed gives the same weights [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Measure what each depth would take on this machine, print it, and train nothing
    #[arg(long, conflicts_with = "resume")]
    estimate: bool,
    /// Steps of what is trained after the head [default: as many as see each frame 2.5 times, 100 to 2000]
    // Not among the others, because it goes with --resume and they do not.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = fine_tune::HEADING
    )]
    fine_tune_steps: Option<u32>,
    #[command(flatten)]
    fine_tune: FineTuneArgs,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum OptimizerArg {
    /// Plain stochastic gradient descent
    Sgd,
    /// Adam; a learning rate of 0.001 suits it
    Adam,
}

/// How frames are made square.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum FitArg {
    /// The largest square in the middle
    CenterCrop,
    /// Width and height are scaled separately
    Stretch,
    /// The whole picture with grey bars
    Pad,
}

impl From<FitArg> for Fit {
    fn from(fit: FitArg) -> Self {
        match fit {
            FitArg::CenterCrop => Fit::CenterCrop,
            FitArg::Stretch => Fit::Stretch,
            FitArg::Pad => Fit::Pad,
        }
    }
}

/// What a finished run says of itself; `evaluate` begins with the same.
#[derive(Serialize)]
pub struct RunFigures {
    run: String,
    steps: u32,
    best_step: u32,
    classes: Vec<String>,
    pub validation_accuracy: Option<f32>,
    pub test_accuracy: Option<f32>,
    depth: Depth,
    trained_weights: u64,
    head_only_test_accuracy: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    seconds: f64,
    notes: Vec<String>,
}

impl RunFigures {
    /// The figures of a finished run.
    pub fn of(run: &Run) -> anyhow::Result<Self> {
        let result = run
            .result
            .as_ref()
            .ok_or_else(|| anyhow::anyhow!("the run “{}” has no result", run.id.0))?;
        Ok(Self {
            run: run.id.0.clone(),
            steps: result.steps,
            best_step: result.best_step,
            classes: run.classes.clone(),
            validation_accuracy: result.validation_accuracy,
            test_accuracy: result.test_accuracy,
            depth: run.settings.fine_tune.depth,
            trained_weights: result.trained_weights,
            head_only_test_accuracy: match &run.head_only {
                Some(found) => found.test_accuracy,
                None => result.test_accuracy,
            },
            verdict: result.verdict,
            seconds: result.seconds,
            notes: result.notes.clone(),
        })
    }

    /// Calls the classes what they are now, and says what became of them.
    pub fn follow(&mut self, evaluation: &Evaluation) {
        self.classes.clone_from(&evaluation.classes);
        self.notes.extend(evaluation.notes.iter().cloned());
    }
}

#[derive(Serialize)]
#[allow(clippy::struct_field_names, reason = "they are names in the JSON")]
struct Step {
    depth: Depth,
    step: u32,
    seconds: f64,
    train_accuracy: f32,
    train_cross_entropy: f32,
    validation_accuracy: Option<f32>,
    validation_cross_entropy: Option<f32>,
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    let mut settings = settings(args)?;
    let project = args.project.open(console)?;
    if !args.estimate {
        project.check_writable()?;
    }
    if args.estimate {
        let found = measured(console, &project, &settings)?;
        return fine_tune::print(console, &found);
    }
    let resumed = match &args.resume {
        // The latest run to resume is one that is unfinished, unless it is to be extended.
        Some(name) if name == "latest" && !args.asks_for_steps() => Some(
            runs(&project)?
                .into_iter()
                .find(|run| run.state == RunState::Unfinished)
                .ok_or_else(|| anyhow::anyhow!("no run of this project is unfinished"))?,
        ),
        Some(name) => Some(which::find(&project, name, false)?),
        None => None,
    };
    if resumed.is_none() && matches!(args.fine_tune.depth, None | Some(DepthArg::Auto)) {
        settings.fine_tune.depth = measured(console, &project, &settings)?.recommended;
    }
    let curves = LiveCurves::default();
    // What an earlier part of the run measured has been told already.
    let known = match &resumed {
        Some(run) => [run.head_curves()?.len(), run.curves()?.len()],
        None => [0, 0],
    };
    let mut reporter = StepReporter {
        curves: curves.clone(),
        known,
        depth: match &resumed {
            Some(run) => run.settings.fine_tune.depth,
            None => settings.fine_tune.depth,
        },
        printed: Instant::now(),
        interactive: console.interactive(),
    };
    let on_thread = project.clone();
    let steps = match &resumed {
        Some(run) => steps_in_all(run, args)?,
        None => None,
    };
    let outcome = console.run_watched(
        "train",
        |watch| reporter.report(watch),
        move |work| match resumed {
            Some(run) => resume(&on_thread, &run.id, steps, &curves, work),
            None => train(&on_thread, &settings, &curves, work),
        },
    );
    let run = match outcome {
        Err(error) if error.is::<Interrupted>() => {
            return Err(match unfinished(&project) {
                Some(id) => anyhow::anyhow!(
                    "cancelled; continue with `salamander train {} --resume {id}`",
                    quoted(&shown(&args.project.project))
                ),
                None => error,
            });
        }
        outcome => outcome?,
    };
    let mut figures = RunFigures::of(&run)?;
    figures.classes = RunClasses::of(&project, &run).labels;
    console.result(&figures, || text(&figures))
}

impl Args {
    fn asks_for_steps(&self) -> bool {
        self.how_many_training_steps.is_some() || self.fine_tune_steps.is_some()
    }
}

/// To how many steps a run is to be extended, by the option that counts them.
fn steps_in_all(run: &Run, args: &Args) -> Result<Option<u32>, Usage> {
    let (head, deeper) = (args.how_many_training_steps, args.fine_tune_steps);
    let depth = run.settings.fine_tune.depth;
    match (depth == Depth::Head, head, deeper) {
        (true, _, Some(_)) => Err(Usage(format!(
            "the run “{}” trained the head alone; give --how-many-training-steps to extend it",
            run.id
        ))),
        (false, Some(_), _) => Err(Usage(format!(
            "the run “{}” went deeper than the head ({depth}); give --fine-tune-steps to extend it",
            run.id
        ))),
        (true, steps, None) | (false, None, steps) => Ok(steps),
    }
}

/// What each depth would take.
fn measured(
    console: &Console,
    project: &Arc<Project>,
    settings: &TrainSettings,
) -> anyhow::Result<Estimate> {
    let (project, settings) = (Arc::clone(project), settings.clone());
    console.run("estimate", move |work| estimate(&project, &settings, work))
}

fn settings(args: &Args) -> anyhow::Result<TrainSettings> {
    let mut settings = TrainSettings::default();
    if let Some(architecture) = &args.architecture {
        settings.architecture = architecture.clone();
    }
    if let Some(steps) = args.how_many_training_steps {
        settings.how_many_training_steps = steps;
    }
    if let Some(rate) = args.learning_rate {
        settings.learning_rate = rate;
    }
    if let Some(size) = args.train_batch_size {
        settings.train_batch_size = size as usize;
    }
    if let Some(size) = args.validation_batch_size {
        settings.validation_batch_size = size;
    }
    if let Some(interval) = args.eval_step_interval {
        settings.eval_step_interval = interval;
        settings.eval_spacing = EvalSpacing::Exact;
    }
    if let Some(percentage) = args.testing_percentage {
        settings.split.testing_percentage = percentage;
    }
    if let Some(percentage) = args.validation_percentage {
        settings.split.validation_percentage = percentage;
    }
    if let Some(seed) = args.split_seed {
        settings.split.split_seed = seed;
    }
    if let Some(optimizer) = args.optimizer {
        settings.optimizer = match optimizer {
            OptimizerArg::Sgd => Optimizer::Sgd,
            OptimizerArg::Adam => Optimizer::Adam,
        };
    }
    if let Some(fit) = args.fit {
        settings.fit = fit.into();
    }
    if let Some(seed) = args.seed {
        settings.seed = seed;
    }
    settings.fine_tune.steps = args.fine_tune_steps;
    args.fine_tune.apply(&mut settings.fine_tune);
    let held_out = u32::from(settings.split.validation_percentage)
        + u32::from(settings.split.testing_percentage);
    if held_out > 90 {
        return Err(Usage(format!(
            "--validation-percentage and --testing-percentage are {held_out} % together; at least 10 % must be left to learn from"
        ))
        .into());
    }
    Ok(settings)
}

/// The newest unfinished run, which is the one that was just cancelled.
fn unfinished(project: &Project) -> Option<String> {
    runs(project)
        .inspect_err(|error| log::warn!("cannot list the runs: {error}"))
        .ok()?
        .into_iter()
        .find(|run| run.state == RunState::Unfinished)
        .map(|run| run.id.0)
}

/// Writes each evaluation as it comes.
struct StepReporter {
    curves: LiveCurves,
    /// Points that were told, of the head and of what comes after it.
    known: [usize; 2],
    depth: Depth,
    printed: Instant,
    interactive: bool,
}

impl StepReporter {
    fn report(&mut self, watch: &mut Watch) -> anyhow::Result<()> {
        let (part, points) = self.curves.since(self.known);
        let [of_head, deeper] = &mut self.known;
        let depth = match part {
            Part::Head => {
                *of_head += points.len();
                Depth::Head
            }
            Part::Deeper => {
                *deeper += points.len();
                self.depth
            }
        };
        for point in &points {
            watch.event(
                "step",
                &Step {
                    depth,
                    step: point.step,
                    seconds: point.secs,
                    train_accuracy: point.train_accuracy,
                    train_cross_entropy: point.train_cross_entropy,
                    validation_accuracy: point.validation_accuracy,
                    validation_cross_entropy: point.validation_cross_entropy,
                },
            )?;
        }
        if let Some(last) = points.last() {
            watch.note(&step_text(last));
            if !self.interactive && self.printed.elapsed() >= PLAIN_STEP_INTERVAL {
                self.printed = Instant::now();
                watch.out(&format!("step {}: {}", last.step, step_text(last)))?;
            }
        }
        Ok(())
    }
}

fn step_text(point: &CurvePoint) -> String {
    let train = format!(
        "train {}, cross-entropy {:.3}",
        percent(Some(point.train_accuracy)),
        point.train_cross_entropy
    );
    match (point.validation_accuracy, point.validation_cross_entropy) {
        (Some(accuracy), Some(cross_entropy)) => format!(
            "{train} · validation {}, cross-entropy {cross_entropy:.3}",
            percent(Some(accuracy))
        ),
        _ => train,
    }
}

fn text(figures: &RunFigures) -> String {
    let mut text = format!(
        "trained {} for {} in {:.1} s\n  run                  {}\n  validation accuracy  {}  (best at step {})\n  test accuracy        {}",
        count(figures.classes.len() as u64, "class"),
        count(u64::from(figures.steps), "step"),
        figures.seconds,
        figures.run,
        percent(figures.validation_accuracy),
        figures.best_step,
        percent(figures.test_accuracy),
    );
    if let Some(verdict) = &figures.verdict {
        text.push('\n');
        text.push_str(&verdict.sentence());
    }
    for note in &figures.notes {
        text.push_str("\nnote: ");
        text.push_str(note);
    }
    text
}

/// An argument as it can be pasted into a shell.
pub fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./@:~".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// An architecture on the command line.
pub fn architecture(text: &str) -> Result<Architecture, String> {
    text.parse::<Architecture>()
        .map_err(|error| error.to_string())
}

pub fn learning_rate(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|rate: &f32| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| "the learning rate is a number over 0".to_owned())
}

fn validation_batch_size(text: &str) -> Result<i64, String> {
    text.parse()
        .ok()
        .filter(|size| *size == -1 || *size >= 1)
        .ok_or_else(|| "the size is 1 or more, or -1 for all".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn without_options_the_defaults_are_the_librarys() {
        let args = Only::parse_from(["train", "p"]).args;
        assert_eq!(settings(&args).unwrap(), TrainSettings::default());
    }

    #[test]
    fn the_help_names_the_real_defaults() {
        let help = Only::command().render_long_help().to_string();
        let defaults = TrainSettings::default();
        for default in [
            defaults.architecture.to_string(),
            defaults.how_many_training_steps.to_string(),
            defaults.learning_rate.to_string(),
            defaults.train_batch_size.to_string(),
            defaults.validation_batch_size.to_string(),
            defaults.split.testing_percentage.to_string(),
            defaults.split.validation_percentage.to_string(),
            defaults.seed.to_string(),
        ] {
            assert!(help.contains(&format!("[default: {default}]")), "{default}");
        }
        let interval = format!("[default: {},", defaults.eval_step_interval);
        assert!(help.contains(&interval));
        assert_eq!(defaults.optimizer, Optimizer::Sgd);
        assert_eq!(defaults.fit, Fit::CenterCrop);
    }

    #[test]
    fn something_must_be_left_to_learn_from() {
        let line = "train p --testing-percentage 50 --validation-percentage 50";
        let args = Only::parse_from(line.split(' ')).args;
        assert!(settings(&args).unwrap_err().is::<Usage>());
    }

    #[test]
    fn a_hint_can_be_pasted() {
        assert_eq!(quoted("my/project"), "my/project");
        assert_eq!(quoted("it's mine"), r"'it'\''s mine'");
    }
}
