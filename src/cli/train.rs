//! `salamander train`: trains on a project's labelled frames.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::backbone::{Architecture, Depth};
use crate::evaluate::{Evaluation, calibrate_or_warn};
use crate::project::Project;
use crate::text::{count, percent, percent_or_dash, visible};
use crate::train::{
    CurvePoint, Decision, Estimate, FineTuningVerdict, LiveCurves, Part, Run, RunClasses, RunState,
    TrainError, TrainSettings, estimate, find_runs, resume, train,
};

use super::console::{Console, Interrupted, Watch};
use super::depth::{self, DepthArg};
use super::settings::{BaseArgs, EXTENDING, Preset};
use super::{ProjectArg, Usage, shown, which};

/// Without a terminal, a line is written at this interval.
const PLAIN_STEP_INTERVAL: Duration = Duration::from_secs(2);

/// Train on the labelled frames of a project
///
/// The result is a new run in the project, with the weights chosen by --head-keep-by and --keep-by. After Ctrl-C,
/// --resume continues the run. Options that retrain.py has too keep its names.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    /// Continue this unfinished run (`latest`, its name or its folder), or extend a finished one to a total of
    /// --how-many-training-steps, or of --fine-tune-steps if it was fine-tuned; the learning rate then rises and falls
    /// again over the added steps
    #[arg(long, value_name = "RUN")]
    resume: Option<String>,
    /// How much of the network is trained: `head`, `last-1` (and the last block), `last-3`, `stage`, `two-stages`,
    /// `all`, or `auto`: the head, and unless that is already accurate, as much as the number of frames and the time on
    /// this machine allow [default: auto]
    #[arg(long, value_name = "D", value_parser = depth::depth, conflicts_with = "resume")]
    depth: Option<DepthArg>,
    /// Estimate what each depth costs on this machine, without training
    #[arg(long, conflicts_with = "resume")]
    estimate: bool,
    #[command(flatten)]
    base: BaseArgs,
}

/// The results of a finished run; the output of `evaluate` begins with the same.
#[derive(Serialize)]
pub struct RunFigures {
    run: String,
    steps: u32,
    best_step: u32,
    stopped_early: bool,
    classes: Vec<String>,
    pub validation_accuracy: Option<f32>,
    pub test_accuracy: Option<f32>,
    depth: Depth,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth_decision: Option<Decision>,
    trained_weights: u64,
    head_only_test_accuracy: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<FineTuningVerdict>,
    seconds: f64,
    notes: Vec<String>,
}

impl RunFigures {
    /// The results of a finished run.
    pub fn of(run: &Run) -> anyhow::Result<Self> {
        let result = run
            .result()
            .ok_or_else(|| anyhow::anyhow!("the run “{}” has no result", run.id.0))?;
        Ok(Self {
            run: run.id.0.clone(),
            steps: result.steps,
            best_step: result.best_step,
            stopped_early: result.stopped_early,
            classes: run.classes.clone(),
            validation_accuracy: result.validation_accuracy,
            test_accuracy: result.test_accuracy,
            depth: run.settings.fine_tune.depth,
            depth_decision: run.decision,
            trained_weights: result.trained_weights,
            head_only_test_accuracy: match run.head_only() {
                Some(found) => found.test_accuracy,
                None => result.test_accuracy,
            },
            verdict: result.verdict,
            seconds: run.secs(),
            notes: run.all_notes(),
        })
    }

    /// Updates the names of the classes, and reports the changes.
    pub fn follow(&mut self, evaluation: &Evaluation) {
        self.classes.clone_from(&evaluation.classes);
        self.notes.extend(evaluation.notes.iter().cloned());
    }
}

/// An evaluation, as a JSON line.
#[derive(Serialize)]
#[allow(clippy::struct_field_names, reason = "they are names in the JSON")]
pub struct PointLine {
    depth: Depth,
    step: u32,
    seconds: f64,
    train_accuracy: f32,
    train_cross_entropy: f32,
    validation_accuracy: Option<f32>,
    validation_cross_entropy: Option<f32>,
}

impl PointLine {
    /// An evaluation of a training at this depth.
    pub fn of(depth: Depth, point: &CurvePoint) -> Self {
        Self {
            depth,
            step: point.step,
            seconds: point.secs,
            train_accuracy: point.train_accuracy,
            train_cross_entropy: point.train_cross_entropy,
            validation_accuracy: point.validation_accuracy,
            validation_cross_entropy: point.validation_cross_entropy,
        }
    }
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    let mut settings = settings(args)?;
    let project = args.project.open(console)?;
    settings.architecture = resolved(&settings.architecture)?;
    if !args.estimate {
        project.check_writable()?;
    }
    if args.estimate {
        let found = measured(console, &project, &settings)?;
        return depth::print(console, &found);
    }
    let resumed = match &args.resume {
        // `latest` is the latest unfinished run, unless a run is to be extended.
        Some(name) if name == "latest" && !args.asks_for_steps() => Some(
            which::latest(&project, |run| run.state == RunState::Unfinished)?
                .ok_or_else(|| anyhow::anyhow!("no run of this project is unfinished"))?,
        ),
        Some(name) => Some(which::find(&project, name, false)?),
        None => None,
    };
    let curves = LiveCurves::default();
    // The evaluations of an earlier part of the run were reported before.
    let known = match &resumed {
        Some(run) => [run.head_stage().curves()?.len(), run.curves()?.len()],
        None => [0, 0],
    };
    let mut reporter = PointReporter {
        curves: curves.clone(),
        known,
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
        move |work| {
            let run = match resumed {
                Some(run) => resume(&on_thread, &run.id, steps, &curves, work)?,
                None => train(&on_thread, &settings, &curves, work)?,
            };
            calibrate_or_warn(&on_thread, &run, work);
            Ok::<_, TrainError>(run)
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
    /// Whether the depth is chosen automatically.
    fn leaves_depth(&self) -> bool {
        match self.depth {
            None => self.base.preset == Preset::Recommended,
            Some(depth) => depth == DepthArg::Auto,
        }
    }

    fn asks_for_steps(&self) -> bool {
        EXTENDING
            .iter()
            .any(|key| self.base.settings.get(key).is_some())
    }
}

/// The total number of steps that a run is to be extended to, from the option of its last part.
fn steps_in_all(run: &Run, args: &Args) -> Result<Option<u32>, Usage> {
    let [head, fine_tuning] = EXTENDING.map(|key| args.base.settings.get(key)?.parse::<u32>().ok());
    let depth = run.settings.fine_tune.depth;
    match (depth == Depth::Head, head, fine_tuning) {
        (true, _, Some(_)) => Err(Usage(format!(
            "the run “{}” trained only the head; extend it with --how-many-training-steps",
            run.id
        ))),
        (false, Some(_), _) => Err(Usage(format!(
            "the run “{}” was fine-tuned ({depth}); extend it with --fine-tune-steps",
            run.id
        ))),
        (true, steps, None) | (false, None, steps) => Ok(steps),
    }
}

/// The estimated cost of each depth.
fn measured(
    console: &Console,
    project: &Arc<Project>,
    settings: &TrainSettings,
) -> anyhow::Result<Estimate> {
    let (project, settings) = (Arc::clone(project), settings.clone());
    console.run("estimate", move |work| estimate(&project, &settings, work))
}

fn settings(args: &Args) -> Result<TrainSettings, Usage> {
    let mut settings = args.base.preset.settings();
    match args.depth {
        Some(DepthArg::Chosen(depth)) => settings.fine_tune.depth = depth,
        _ => settings.fine_tune.automatic = args.leaves_depth(),
    }
    args.base.settings.apply(&mut settings)?;
    Ok(settings)
}

/// The newest unfinished run, which was just cancelled.
fn unfinished(project: &Project) -> Option<String> {
    find_runs(project)
        .inspect_err(|error| log::warn!("cannot list the runs: {error}"))
        .ok()?
        .runs
        .into_iter()
        .find(|run| run.state == RunState::Unfinished)
        .map(|run| run.id.0)
}

/// Writes each evaluation as it arrives.
struct PointReporter {
    curves: LiveCurves,
    /// The numbers of reported points, of the head and of the fine-tuning.
    known: [usize; 2],
    printed: Instant,
    interactive: bool,
}

impl PointReporter {
    fn report(&mut self, watch: &mut Watch) -> anyhow::Result<()> {
        let (part, points) = self.curves.since(self.known);
        let [of_head, of_fine_tuning] = &mut self.known;
        let depth = match part {
            Part::Head => {
                *of_head += points.len();
                Depth::Head
            }
            Part::FineTuning => {
                *of_fine_tuning += points.len();
                self.curves.depth()
            }
        };
        for point in &points {
            watch.event("step", &PointLine::of(depth, point))?;
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
        percent(point.train_accuracy),
        point.train_cross_entropy
    );
    match (point.validation_accuracy, point.validation_cross_entropy) {
        (Some(accuracy), Some(cross_entropy)) => format!(
            "{train} · validation {}, cross-entropy {cross_entropy:.3}",
            percent(accuracy)
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
        visible(&figures.run),
        percent_or_dash(figures.validation_accuracy),
        figures.best_step,
        percent_or_dash(figures.test_accuracy),
    );
    if let Some(verdict) = &figures.verdict {
        text.push('\n');
        text.push_str(&verdict.sentence());
    }
    for note in &figures.notes {
        text.push_str("\nnote: ");
        text.push_str(&visible(note));
    }
    text
}

/// An argument quoted for a shell.
pub fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./@:~".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// An architecture on the command line: one of Salamander, or possibly the name of one that was added to the project,
/// which [`resolved`] looks up when the project is open.
pub fn architecture(text: &str) -> Result<Architecture, String> {
    Architecture::named(text).map_err(|error| error.to_string())
}

/// The architecture of this name in the opened project.
pub fn resolved(named: &Architecture) -> Result<Architecture, Usage> {
    let found = named.resolved();
    found.map_err(|error| Usage(format!("--architecture: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use clap::{CommandFactory, Parser};

    use crate::train::schema::{Kind, SETTINGS};

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn without_options_the_defaults_are_the_librarys() {
        let args = Only::parse_from(["train", "p"]).args;
        let mut expected = TrainSettings::default();
        expected.fine_tune.automatic = true;
        assert_eq!(settings(&args).unwrap(), expected);
        for line in ["--depth last-1", "--preset classic"] {
            let args = Only::parse_from(format!("train p {line}").split(' ')).args;
            assert!(!settings(&args).unwrap().fine_tune.automatic, "{line}");
        }
    }

    #[test]
    fn every_setting_has_an_option_that_changes_it() {
        for setting in SETTINGS {
            let (word, of) = match &setting.kind {
                Kind::Whole { range, .. } | Kind::WholeOr { range, .. } => {
                    (range[1].min(7).to_string(), Depth::All)
                }
                Kind::Real { .. } => ("0.25".to_owned(), Depth::All),
                Kind::Switch { .. } => (String::new(), Depth::All),
                Kind::Choice { options, .. } => (options[1].word.to_owned(), Depth::All),
                Kind::Name { .. } if setting.key == "depth" => ("stage".to_owned(), Depth::Stage),
                Kind::Name { .. } => ("mobilenet-v2@96".to_owned(), Depth::All),
            };
            let option = format!("--{}", setting.option());
            let mut line = vec!["train", "p"];
            if setting.key != "depth" {
                line.extend(["--depth", "all"]);
            }
            line.push(&option);
            if !word.is_empty() {
                line.push(&word);
            }
            let changed = settings(&Only::parse_from(line).args).unwrap();
            let mut expected = TrainSettings::default();
            expected.fine_tune.depth = of;
            let given = if word.is_empty() { "yes" } else { &word };
            let given = [(setting.key, given.to_owned())];
            expected.apply(&given.into()).unwrap();
            assert_eq!(changed, expected, "{}", setting.key);
            assert_ne!(
                setting.get(&changed),
                setting.get(&TrainSettings::default())
            );
        }
    }

    #[test]
    fn only_more_steps_go_with_a_run_that_is_resumed() {
        let parse = |line: &str| Only::try_parse_from(line.split(' ')).is_ok();
        assert!(parse("train p --resume r --how-many-training-steps 7"));
        assert!(parse("train p --resume r --fine-tune-steps 7"));
        for other in [
            "--learning-rate 1",
            "--depth all",
            "--train-depthwise",
            "--seed 1",
        ] {
            assert!(!parse(&format!("train p --resume r {other}")), "{other}");
        }
    }

    #[test]
    fn the_help_names_the_real_defaults() {
        let help = Only::command().render_long_help().to_string();
        for setting in SETTINGS {
            assert!(
                help.contains(&format!("--{}", setting.option())),
                "{}",
                setting.key
            );
        }
        for default in ["4000", "0.01", "100", "0.001", "sgd", "center-crop", "auto"] {
            assert!(help.contains(&format!("[default: {default}]")), "{default}");
        }
    }

    #[test]
    fn something_must_be_left_to_learn_from() {
        let line = "train p --testing-percentage 50 --validation-percentage 50";
        let args = Only::parse_from(line.split(' ')).args;
        assert!(settings(&args).unwrap_err().to_string().contains("100 %"));
    }

    #[test]
    fn a_hint_can_be_pasted() {
        assert_eq!(quoted("my/project"), "my/project");
        assert_eq!(quoted("it's mine"), r"'it'\''s mine'");
    }
}
