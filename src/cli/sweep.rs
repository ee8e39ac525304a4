//! `salamander sweep`: a training for each combination of settings, with accuracy and cost.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::app::words;
use crate::backbone::Depth;
use crate::files::{self, Durability};
use crate::project::Project;
use crate::shards::list_trainings;
use crate::sweep::{
    FoundSweeps, LiveSweep, Paces, RankBy, State, Sweep, SweepAxis, SweepError, SweepId, SweepPlan,
    Table, Training, TrainingOutcome, Trainings, begin, csv, estimate, find_sweeps, try_again,
};
use crate::text::{count, percent_or_dash, visible};
use crate::train::schema::SETTINGS;

use super::console::{Console, Interrupted, Watch};
use super::settings::{BaseArgs, EXTENDING};
use super::sweep_table::{SweepFigures, text};
use super::train::quoted;
use super::{ProjectArg, Usage, shown};

/// Train once for each combination of architectures, depths and other settings, and compare accuracy and cost
///
/// Shows first how many trainings there are and roughly how long they take. Each is an ordinary run. Trainings with the
/// same network are grouped, so that bottlenecks are computed once. Combinations are ranked on validation images, never
/// on test images. After Ctrl-C or a power cut, --resume continues the sweep.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    /// Architectures or backbones, separated by commas
    #[arg(
        long,
        value_name = "A,B",
        value_delimiter = ',',
        conflicts_with = "resume"
    )]
    architectures: Vec<String>,
    /// Input sizes in pixels for architectures that are named without one
    #[arg(
        long,
        value_name = "PX,PX",
        value_delimiter = ',',
        requires = "architectures"
    )]
    resolutions: Vec<u32>,
    /// Depths: `head`, `last-1`, `last-3`, `stage`, `two-stages`, `all`
    #[arg(long, value_name = "D,D", value_delimiter = ',', value_parser = depth, conflicts_with = "resume")]
    depths: Vec<Depth>,
    /// Values of a setting: `learning_rate=0.01,0.03`, or a range such as `"learning_rate=0.001..0.1 log 5"` or
    /// `"views=0..8 linear 3"`; can be given several times
    #[arg(long = "set", value_name = "KEY=VALUES", value_parser = axis, conflicts_with = "resume")]
    set: Vec<SweepAxis>,
    /// Trainings per combination, each with a different split; figures are their mean, with an interval
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100), conflicts_with = "resume")]
    repeats: u32,
    /// Measure on validation images by which combinations are ranked
    #[arg(
        long,
        value_name = "W",
        default_value = "accuracy",
        conflicts_with = "resume"
    )]
    rank: Rank,
    /// Show how many trainings there are and how long they take, without training
    #[arg(long, conflicts_with = "resume")]
    estimate: bool,
    /// Continue this sweep (`latest` or its name); finished trainings are not repeated
    #[arg(long, value_name = "SWEEP")]
    resume: Option<String>,
    /// With --resume: retry failed trainings
    #[arg(long, requires = "resume")]
    try_again: bool,
    /// Do not train here: write the list of trainings to this file, for `salamander work` on any machine
    #[arg(long, value_name = "FILE", conflicts_with_all = ["estimate", "csv"])]
    out: Option<PathBuf>,
    /// Also write the table to this file, as CSV; an existing file is replaced
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    base: BaseArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Rank {
    /// Accuracy
    Accuracy,
    /// Cross-entropy
    CrossEntropy,
}

fn depth(text: &str) -> Result<Depth, String> {
    text.parse()
        .map_err(|error: crate::backbone::BackboneError| error.to_string())
}

fn axis(text: &str) -> Result<SweepAxis, String> {
    let (key, values) = text
        .split_once('=')
        .ok_or("give a setting and its values, such as learning_rate=0.01,0.03")?;
    SweepAxis::parse(key, values).map_err(|error| error.to_string())
}

/// The estimate, before anything is trained.
#[derive(Serialize)]
struct Estimate {
    trainings: usize,
    left_out: usize,
    seconds: Option<f64>,
}

/// A finished training, as a JSON line.
#[derive(Serialize)]
struct Ended {
    number: usize,
    of: usize,
    run: Option<String>,
    validation_accuracy: Option<f64>,
    test_accuracy: Option<f64>,
    seconds: Option<f64>,
    error: Option<String>,
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    let project = args.project.open(console)?;
    let sweep = match &args.resume {
        Some(name) => {
            if let Some(key) = EXTENDING
                .iter()
                .find(|key| args.base.settings.get(key).is_some())
            {
                return Err(Usage(format!(
                    "--{} cannot be changed once a sweep has begun",
                    key.replace('_', "-")
                ))
                .into());
            }
            project.check_writable()?;
            let sweep = found(&project, name)?;
            if args.try_again {
                try_again(&project, &sweep.id)?;
            }
            sweep
        }
        None => match begun(console, &project, args)? {
            Some(sweep) => sweep,
            None => return Ok(()),
        },
    };
    if let Some(path) = &args.out {
        return listed(console, &project, &sweep, path);
    }
    let sweep = trained(console, &project, &sweep, args)?;
    let table = Table::of(&sweep);
    if let Some(path) = &args.csv {
        write_csv(path, &table)?;
    }
    let failed = table.rows.iter().find_map(|row| match &row.state {
        State::Failed(reason) => Some(reason),
        _ => None,
    });
    if let Some(reason) = failed
        && table.rows.iter().all(|row| row.runs.is_empty())
    {
        anyhow::bail!("every training of this sweep failed: {reason}");
    }
    let figures = SweepFigures::of(&sweep, &table);
    console.result(&figures, || text(&sweep, &table))
}

/// The list of trainings for other computers.
#[derive(Serialize)]
struct Listed {
    path: String,
    id: String,
    sweep: String,
    trainings: usize,
}

/// Lists the rest of a sweep for other computers.
fn listed(
    console: &Console,
    project: &Arc<Project>,
    sweep: &Sweep,
    path: &Path,
) -> anyhow::Result<()> {
    let (on_thread, id, file) = (Arc::clone(project), sweep.id.clone(), path.to_owned());
    let listed = console.run("list", move |work| {
        list_trainings(&on_thread, &id, &file, work)
    })?;
    let result = Listed {
        path: shown(path),
        id: listed.id.to_string(),
        sweep: listed.sweep.id.0,
        trainings: listed.trainings,
    };
    console.result(&result, || {
        let trainings = count(result.trainings as u64, "training");
        let Listed { path, sweep, .. } = &result;
        format!(
            "wrote {trainings} of the sweep {sweep} to {path}\n\
             next: salamander work --shard {path}:N --out DIR for each N, then salamander merge PROJECT DIR",
            path = visible(path)
        )
    })
}

/// The sweep of this name.
pub fn found(project: &Project, name: &str) -> anyhow::Result<Sweep> {
    if name != "latest" {
        return Ok(Sweep::open(project, &SweepId(name.to_owned()))?);
    }
    let FoundSweeps { sweeps, unreadable } = find_sweeps(project)?;
    if let Some(error) = unreadable.into_iter().next() {
        anyhow::bail!("cannot tell which sweep is the latest ({error}); give its name");
    }
    let latest = sweeps.into_iter().next();
    Ok(latest.ok_or_else(|| SweepError::NoSuchSweep(name.to_owned()))?)
}

/// Writes a table as CSV.
pub fn write_csv(path: &Path, table: &Table) -> anyhow::Result<()> {
    Ok(files::write(
        path,
        csv(table).as_bytes(),
        Durability::Renamed,
    )?)
}

/// A new sweep, printed and stored; `None` if only an estimate was requested.
fn begun(console: &Console, project: &Arc<Project>, args: &Args) -> anyhow::Result<Option<Sweep>> {
    let plan = plan(args)?;
    let mut trainings = plan.trainings()?;
    if !args.estimate {
        project.check_writable()?;
    }
    let on_thread = Arc::clone(project);
    let (trainings, seconds) = console.run("estimate", move |work| {
        let seconds = estimate(&on_thread, &mut trainings, &mut Paces::default(), work)?;
        Ok::<(Trainings, Option<f64>), SweepError>((trainings, seconds))
    })?;
    let estimate = Estimate {
        trainings: trainings.list.len(),
        left_out: trainings.alike,
        seconds,
    };
    if args.estimate {
        console.result(&estimate, || summary(&estimate))?;
        return Ok(None);
    }
    console.event("foreseen", &estimate)?;
    if !console.json() {
        console.say(&summary(&estimate));
    }
    Ok(Some(begin(project, &plan, trainings)?))
}

fn plan(args: &Args) -> anyhow::Result<SweepPlan> {
    let mut base = args.base.preset.settings();
    args.base.settings.apply(&mut base)?;
    let mut axes = args.set.clone();
    if !args.architectures.is_empty() {
        axes.push(SweepAxis::architectures(
            &args.architectures,
            &args.resolutions,
        )?);
    }
    if !args.depths.is_empty() {
        axes.push(SweepAxis::depths(&args.depths));
    }
    if axes.is_empty() && args.repeats == 1 {
        let keys: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
        return Err(Usage(format!(
            "give something to vary: --architectures, --depths or --set with one of {}",
            keys.join(", ")
        ))
        .into());
    }
    Ok(SweepPlan {
        base,
        axes,
        repeats: args.repeats,
        rank: match args.rank {
            Rank::Accuracy => RankBy::Accuracy,
            Rank::CrossEntropy => RankBy::CrossEntropy,
        },
    })
}

fn summary(estimate: &Estimate) -> String {
    let time = estimate.seconds.map_or_else(
        || "; their duration could not be estimated".to_owned(),
        |secs| format!(", {} at most", words::about(secs)),
    );
    let left_out = match estimate.left_out {
        0 => String::new(),
        left_out => format!(
            "; {} left out as a duplicate",
            count(left_out as u64, "combination")
        ),
    };
    format!(
        "{}{time}{left_out}",
        count(estimate.trainings as u64, "training")
    )
}

fn trained(
    console: &Console,
    project: &Arc<Project>,
    sweep: &Sweep,
    args: &Args,
) -> anyhow::Result<Sweep> {
    let live = LiveSweep::default();
    let of = sweep.trainings.len();
    let mut reporter = Reporter {
        live: live.clone(),
        revision: 0,
        reported: (0..of)
            .filter(|index| {
                let training = sweep.trainings.get(*index);
                training.is_some_and(|one| one.outcome.is_some())
            })
            .collect(),
    };
    let (on_thread, id) = (Arc::clone(project), sweep.id.clone());
    let name = id.clone();
    let outcome = console.run_watched(
        "sweep",
        |watch| reporter.report(watch),
        move |work| crate::sweep::run(&on_thread, &id, &live, work),
    );
    outcome.map_err(|error| {
        if error.is::<Interrupted>() {
            cancelled(&name, args)
        } else {
            error
        }
    })
}

fn cancelled(name: &SweepId, args: &Args) -> anyhow::Error {
    anyhow::anyhow!(
        "cancelled; continue with `salamander sweep {} --resume {name}`",
        quoted(&shown(&args.project.project))
    )
}

/// Reports the result of each training as it ends.
struct Reporter {
    live: LiveSweep,
    revision: u64,
    reported: HashSet<usize>,
}

impl Reporter {
    fn report(&mut self, watch: &mut Watch) -> anyhow::Result<()> {
        let Some(now) = self.live.since(self.revision) else {
            return Ok(());
        };
        self.revision = now.revision;
        let Some(sweep) = now.sweep else {
            return Ok(());
        };
        let table = now.table;
        let of = sweep.trainings.len();
        for (index, training) in sweep.trainings.iter().enumerate() {
            if training.outcome.is_none() || !self.reported.insert(index) {
                continue;
            }
            let ended = ended(index + 1, of, training);
            watch.event("training", &ended)?;
            let name = name(&table, training);
            watch.out(&ended_text(&ended, &name))?;
        }
        if let Some(number) = now.training {
            watch.note(&format!("training {number} of {of}"));
        }
        Ok(())
    }
}

fn name(table: &Table, training: &Training) -> String {
    let row = table.rows.get(training.configuration as usize);
    row.map(|row| table.words(row)).unwrap_or_default()
}

fn ended(number: usize, of: usize, training: &Training) -> Ended {
    let mut ended = Ended {
        number,
        of,
        run: None,
        validation_accuracy: None,
        test_accuracy: None,
        seconds: None,
        error: None,
    };
    match &training.outcome {
        Some(TrainingOutcome::Finished { run, figures }) => {
            ended.run = Some(run.0.clone());
            ended.validation_accuracy = figures.validation_accuracy;
            ended.test_accuracy = figures.test_accuracy;
            ended.seconds = Some(figures.seconds);
        }
        Some(TrainingOutcome::Failed(reason)) => ended.error = Some(reason.clone()),
        None => {}
    }
    ended
}

fn ended_text(ended: &Ended, name: &str) -> String {
    let Ended { number, of, .. } = ended;
    match &ended.error {
        Some(error) => format!("{number} of {of}: {name}: {error}"),
        None => format!(
            "{number} of {of}: {name}: validation {}, test {}, {:.1} s",
            percent_or_dash(ended.validation_accuracy),
            percent_or_dash(ended.test_accuracy),
            ended.seconds.unwrap_or_default()
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(words: &[&str]) -> Result<SweepPlan, String> {
        let args = Only::try_parse_from([&["sweep", "p"], words].concat());
        let args = args.map_err(|error| error.to_string())?;
        plan(&args.args).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_typed_becomes_a_plan() {
        let found = parsed(&[
            "--architectures",
            "mobilenet-v2,efficientnet-lite0",
            "--resolutions",
            "96,224",
            "--depths",
            "last-1,head",
            "--set",
            "learning_rate=0.001..0.1 log 3",
            "--set",
            "seed=1,2",
            "--how-many-training-steps",
            "50",
            "--rank",
            "cross-entropy",
            "--repeats",
            "2",
        ])
        .unwrap();
        assert_eq!(found.base.how_many_training_steps, 50);
        assert_eq!((found.repeats, found.rank), (2, RankBy::CrossEntropy));
        assert_eq!(found.trainings().unwrap().list.len(), 4 * 2 * 3 * 2 * 2);
        for (words, part) in [
            (&[][..], "give something to vary"),
            (&["--set", "learning_rate"], "its values"),
            (&["--set", "speed=1"], "no setting “speed”"),
            (&["--depths", "deep"], "unknown depth"),
            (&["--architectures", "none-such"], "unknown architecture"),
            (
                &["--resume", "x", "--depths", "head"],
                "cannot be used with",
            ),
        ] {
            let message = parsed(words).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }
}
