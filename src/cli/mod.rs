//! The command line: one file per subcommand, each a thin shell over the library.
//!
//! # JSON lines
//!
//! With `--json` every command writes one JSON object a line to standard output, and nothing else
//! there. Each has an `event`; new fields may be added, the ones below stay.
//!
//! | event | fields |
//! | --- | --- |
//! | `progress` | `stage` s, `detail` s, `done` n, `total` n or null, `seconds_left` f or null; at most ten a second |
//! | `step` | `depth` s (`head` while the head is trained alone), `step` n, `seconds` f, `train_accuracy` f, `train_cross_entropy` f, `validation_accuracy` f or null, `validation_cross_entropy` f or null; one for every evaluation while training |
//! | `stage` | of `make`, as each of its steps begins: `step` s (`Import`, `Train`, `Evaluate`, `Export and prove`), `number` n, `of` n |
//! | `foreseen` | of a new `sweep`, before it is written down: as its `--estimate` |
//! | `training` | of `sweep`, as each of its trainings ends: `number` n, `of` n, `run` s or null, `validation_accuracy` f or null, `test_accuracy` f or null, `seconds` f or null, `error` s or null |
//! | `exported` | of `export` with several runs of which one failed, before the `error`: `runs` and `failed` as in its result |
//! | `warning` | `message` s: something was skipped or is odd, the command goes on |
//! | `file` | of `import`, one for each file below the paths: `path` s, `fate` s (`imported`, `known`, `passed_over`, `failed`), `text` s; where it applies `kind` s, `class` s, `asked_class` s (another than it has), `moved` b, `trashed` b, `place` s (in the project; of a video where it was imported from), `source` s, `frames` n, `replaced` n (frames of an earlier sampling that went to the trash), `reason` s (`not_media`, `hidden`, `system_file`, `drive_thumbnail`, `deleted`, `archive_leftover`, `this_project`, `other_project`, `folder_twice`, `special`) |
//! | `heat` | of `heat`, one for each image: `path` s, `time_secs` f or null (photo), `out` s (the PNG image), `class` s (that the map is of), `probability` f, `predicted` s, `unknown` b or null, `exact` b (mean of `values` and `bias` are `logit`; else weighted by the gradient), `rows` n, `columns` n, `values` [f] (row by row), `bias` f, `logit` f |
//! | `prediction` | `path` s, `time_secs` f or null (photo), `unknown` b or null (no threshold), `top` [{`class` s, `probability` f}] |
//! | `film` | of `predict`, one for each video, after all predictions: `path` s, `frames` n, `class` s (with the highest mean probability), `probability` f (that mean), `unknown` b or null, `truth` s or null (the nearest folder named as a class) |
//! | `serving` | of `serve`: `run` s, `url` s (of the page), `address` s (what is open) |
//! | `result` | the last line of a command that succeeded, see below |
//! | `error` | `message` s: the last line of a command that failed; the same sentence is on standard error |
//!
//! The `result` of each command:
//!
//! | command | fields |
//! | --- | --- |
//! | `make` | `project` s, `run` s, `place` s (the export's folder or ZIP file), `accuracy` {`split` s, `correct` n, `images` n, `part` f or null, `interval_95` [f, f] or null}, `images` n (in all), `files` [{`path` s, `format` s, `bytes` n}], `card` as `model_card.json` has it, `advice` [s] |
//! | `new` | `project` s, `name` s |
//! | `import` | `files` n (below the paths) = `imported` n + `known` n + `passed_over` n + `failed` n; `conflicts` n (files left under another class), `moved` n (files moved from another class), `trashed` n (of the known, those in the trash), `videos` n, `images` n, `frames` n, `replaced` n (frames that went to the trash for those), `sources` n, `skipped` n (as `failed`), `classes` [s] (made now), `passed_over_for` [{`reason` s, `text` s, `files` n}], `notes` [s]. Fails when nothing came in and nothing was there already |
//! | `classes` | `classes` [{`name` s, `frames` n}], `unsorted` n; after `add`, `rename`, `merge` and `remove` the state after it |
//! | `label` | `frames` n, `paths` [s] (where the frames are now, relative to the project) |
//! | `sources` | `sources` [{`id` s, `name` s, `kind` s (`video` or `photos`), `path` s, `class` s or null, `frames` n}], `moved` n (frames that went along with a changed class) |
//! | `trash` | `frames` n, `runs` n, `files` n, `bytes` n (what lay in it), `deleted` n (files; 0 without `--empty`), `restored` n (frames; 0 without `--restore`) |
//! | `train` | `run` s, `steps` n, `best_step` n, `stopped_early` b, `classes` [s], `validation_accuracy` f or null, `test_accuracy` f or null, `depth` s, `depth_decision` {`head-suffices`: {`images` n, `groups` n}}, `recommended` or `stopped` (where the depth was left to the program), `trained_weights` n, `head_only_test_accuracy` f or null, `verdict` {`head_only` f, `deeper` f, `interval` [f, f] or null, `frames` n, `groups` n, `outcome` s} (for runs deeper than the head), `seconds` f, `notes` [s] |
//! | `retrain` | `run` s, `classes` [s], `test_accuracy` f or null, `test_images` n, `misclassified` [{`path` s, `predicted` s}] (with `--print_misclassified_test_images`), `files` [s]; a `step` for every evaluation before it |
//! | `train --estimate` | `recommended` s, `train_frames` n, `depths` [{`depth` s, `trained_weights` n, `steps` n, `cache_bytes` n, `seconds` f}] |
//! | `runs` | `runs` [{`run` s, `name` s and `note` s (empty where none was given), `created` s, `state` s, `depth` s, `classes` [s], `steps` n or null, `stopped_early` b or null, `validation_accuracy` f or null, `test_accuracy` f or null}], `removed` s after `--remove` (its name in the trash), `restored` s after `--restore`, after `--curves` also `curves` {`path` s, `tag` s, `runs` [s], `bytes` n} |
//! | `sweep` | `sweep` s, `trainings` n, `done` n, `rank_by` s (`accuracy`, `cross-entropy`), `computer` s (that latencies were measured on), `rows` [{`rank` n or null, `state` s (`waiting`, `partly`, `finished`, `failed`), `trainings` [n], `runs` [s], `settings` {key: s} (those that differ), `validation_accuracy` f or null, `validation_95` [f, f] or null, `validation_cross_entropy` f or null, `test_accuracy` f or null, `test_95` [f, f] or null, `multiply_accumulates` n or null, `bytes` n or null, `latency_ms` f or null, `seconds` f or null, `pareto` [s] (`MACs`, `size`, `latency`), `error` s or null}] by rank, `notes` [s]; before it a `foreseen` and a `training` for each that ends. Fails when no training could be done |
//! | `sweep --estimate` | `trainings` n, `left_out` n, `seconds` f or null |
//! | `sweeps` | `sweeps` [{`sweep` s, `created` s, `trainings` n, `done` n, `over` [s], `first` s or null}], `removed` s after `--remove` (its name in the trash), `restored` s after `--restore`; with `--show` as `sweep` |
//! | `evaluate` | as `train`, of the evaluated run, and `split` s, `frames` n, `relabelled` n (judged by their present class), `changed` n (another image since, judged by that), `missing` n, `classes` and `notes` by the present names, `confusion` [[n]] (row: truth, column: predicted), `sources` n, `effective_sources` f (as many equally large ones tell as much), `accuracy`, `macro_recall`, `macro_precision` and `macro_f1` {`value` f or null, `interval_95` [f, f] or null (fewer than two sources)}, `macro_average_precision` and `macro_auc` f or null, `per_class` [{`class` s, `frames` n, `sources` n, `precision`, `recall` and `f1` f or null, `precision_95`, `recall_95` and `f1_95` [f, f] or null, `average_precision` and `auc` f or null, with `--curves` `precision_recall` and `roc` [[f, f]] or null}], `per_source` [{`source` s, `frames` n, `accuracy` f}], `calibration` {`temperature` f, `frames` n, `sources` n, `nll` [f, f] and `expected_error` [f, f] (without and with it), `unknown` {`threshold` f, `false_reject` f, `false_accept` f}, `weights` s} or null, `test_looks` {`runs` n}, `findings` [s] (a sentence each); with `--mistakes` `mistakes` [{`path` s, `class` s, `predicted` s, `probability` f, `source` s, `nearest` [{`path` s, `class` s, `similarity` f (cosine of bottlenecks), `source` s}] (training images, the nearest first), `finding` s or null}]; with `--quality` `quality` {`brightness` and `sharpness` [{`range` [f, f], `frames` n, `accuracy` as `macro_f1`}], `time_of_day` [{`part` s (`night`, `morning`, `afternoon`, `evening` or `unknown`), `hours` [n, n] or null, `frames` n, `accuracy` as `macro_f1`}] (empty when no image tells)}; with `--compare` `comparison` {`with` s, `counts` {`both`, `first_only`, `second_only` and `neither` n}, `accuracies` [f, f], `p_value` f, `sources` {`first`, `second` and `equal` n, `p_value` f}, `left_out` n, `sentence` s}; with `--calibration` `reliability` [without, with: {`bins` [{`range` [f, f], `frames` n, `confidence` f, `accuracy` f}], `expected_error` f, `adaptive_error` f, `nll` f, `brier` f}], with `--leak` `leak` {`by_source` {`value` f, `interval_95` [f, f] or null}, `by_frame` f, `frames` n, `sources` n}, with `--folds` `cross_validation` {`accuracy` and `macro_f1` as `by_source`, `folds` [f], `frames` n, `sources` n}, with `--learning-curve` `learning_curve` {`points` [{`sources_per_class` f, `frames` f, `accuracies` [f]}], `law` [[f, f]], `forecast` {`more_sources_per_class` f, `gain` f, `range_90` [f, f]} or null, `test_sources` n}, with `--held-out` `unknown` {`held_out` [{`class` s, `frames` n, `false_accept` [f]}], `false_accept` [f] and `false_reject` [f] (at thresholds from 0 to 1 in steps of 1/200), `known_frames` n, `known` s, `chosen` as `calibration`'s `unknown`} |
//! | `report` | `run` s, `path` s, `bytes` n |
//! | `heat` | `images` n, `skipped` n |
//! | `embedding` | `run` s, `path` s, `images` n, `of` n |
//! | `predict` | `predictions` n, `skipped` n, `films` n, `accuracy` {`photos` and `films` {`correct` n, `files` n}} or null (no folder is named as a class) |
//! | `export` | of one run `run` s, `place` s (the folder or the ZIP file), `files` [{`path` s, `format` s, `bytes` n, `top1_agreement` f or null, `max_probability_difference` f or null}], `certificate` as `certificate.json` has it: `split` s, `frames` n, `fp32_bytes` n, `models` [{`file` s, `format` s, `bytes` n, `size_ratio` f, `run_top1` f, `top1` f, `top1_difference` f, `top1_difference_95` [f, f], `top1_agreement` f, `max_probability_difference` f, `flips` [{`path` s, `truth` s, `run` {`class` s, `probability` f}, `model` {`class` s, `probability` f}}], `latency` {`median_ms` f, `ratio_to_fp32` f} or null, `accepted_loss` s or null, `search` (int8 only) {`fitted_on` n, `compared_on` n, `run_top1` f, `candidates` [{`name` s, `bytes` n, `top1` f, `agreement` f, `divergence` f, `real_values` n, `latency_ratio` f or null, `taken` b}]}}] |
//! | `export` of several runs | `runs` [the same for each], `failed` [{`run` s, `place` s, `error` s}] (none; with any it fails, after an `exported` event) |
//! | `verify` | `files` n (as they were exported), `images` n, `models` [{`file` s, `format` s, `same_top1` n, `max_probability_difference` f, `tolerance` f, `ok` b}], `problems` [s] (none; with any it fails, after a `warning` for each) |
//! | `serve` | after Ctrl-C: `devices` [s] (addresses that opened the page), `files` n (given out), `refused` n (requests for anything else) |
//! | `features` | `path` s, `architecture` s, `frames` n, `dim` n, `skipped` n, `from_cache` n, `seconds` f |
//! | `shards` | `path` s, `id` s (BLAKE3 hash of the list), `shards` n, `films` n, `stretches` n (of films that are cut), `photos` n, `minutes` f (of film), `bytes` n, `architectures` [s], `left_out` n (files that are neither), `failed` [s] (a `warning` for each), `notes` [s] |
//! | `work` | `shard` n, `part` s, `frames` n (and photos), `bottlenecks` n (computed now), `already` b (it was there), `seconds` f, `failed` [{`path` s, `error` s}] (a `warning` for each) |
//! | `merge` | as `import`, with `parts` n (that are whole), `of` n (shards), `missing` [n] (numbers of shards), `damaged` [s], `rows` n (new in the caches); with anything missing it fails |
//! | `architectures` | `architectures` [{`architecture` s, `bytes` n, `parameters` n, `multiply_accumulates` n, `imagenet_top1` f or null (not published for this resolution), `licence` s, `default` b, `own` b (added to the project)}] |
//! | `architectures` (`add`) | `architecture` s or null (of a dry run), `bytes` n, `parameters` n, `bottleneck_dim` n, `resolutions` [{`resolution` n, `multiply_accumulates` n}], `image_seconds` f (one thread), `difference` f (from the file's bottlenecks, of the largest number), `depths` [{`depth` s, `weights` n}], `hindrance` s or null, `found` [{`what` s, `value` s, `whence` s (`found`, `given`, `assumed`, `missing`), `note` s}] |
//! | `architectures` (`remove`) | `removed` s, `place` s |
//! | `doctor` | `ok` b, `version` s, `ffmpeg` [{`name` s, `version` s}], `decoders` {`no_files` b, `no_calls` b, `memory_bytes` n or null} (what the process that decodes cannot do) or null (none of its own), `onnxruntime` {`path` s, `version` s, `providers` [s]} or null, `models` [{`name` s, `ok` b}], `onnxruntime_web` s or null, `config_dir` s or null, `free_bytes` n or null, `problems` [s] |
//!
//! Accuracies and probabilities are parts of one. Exit codes: 0 done, 1 failed (one sentence on
//! standard error), 2 usage. Ctrl-C stops cleanly and ends with 1; a second one kills (130).

mod architectures;
mod classes;
mod console;
mod depth;
mod doctor;
mod embedding;
mod evaluate;
mod evaluate_more;
mod export;
mod features;
mod heat;
mod import;
mod interrupt;
mod label;
mod make;
mod memory;
mod merge;
mod mistakes;
mod new;
mod open;
mod predict;
mod report;
mod retrain;
mod run_curves;
mod runs;
mod serve;
mod settings;
mod shards;
mod sources;
mod sweep;
mod sweep_table;
mod sweeps;
mod table;
mod train;
mod trash;
mod verify;
mod which;
mod work;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use console::{Console, ReaderGone};

use crate::backbone::open_own;
use crate::jobs::wait_for_abandoned;
use crate::media;
use crate::project::{Project, ProjectError, follow_link, linked_classes};
use crate::text::{is_visible, visible, visible_lines};

/// Videos in, mobile-ready image classifier out.
///
/// Without a command the window opens: with a path on the project in that folder, or with an offer to bring the files in.
/// Everything the window does can also be done from here.
#[derive(Debug, Parser)]
#[command(
    name = "salamander",
    version,
    max_term_width = 100,
    override_usage = "salamander [PATH]...\n       salamander <COMMAND>",
    after_help = "A first model from a folder of videos, one subfolder per class, in one go:\n  \
        salamander make videos/ --out pets\n\n\
        The same step by step:\n  \
        salamander new Pets\n  \
        salamander import Pets videos/ --class-from folder --fps 2\n  \
        salamander train Pets\n  \
        salamander export Pets --out pets-model\n  \
        salamander predict pets-model new-video.mp4"
)]
struct Cli {
    /// Write one JSON object a line to standard output instead of text and progress bars
    #[arg(long, global = true)]
    json: bool,
    /// Opens the window on a project's folder, or on videos, photos and folders to bring in
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Make(make::Args),
    New(new::Args),
    Open(open::Args),
    Import(import::Args),
    Classes(classes::Args),
    Label(label::Args),
    Sources(sources::Args),
    Trash(trash::Args),
    Train(train::Args),
    Retrain(Box<retrain::Args>),
    Runs(runs::Args),
    Sweep(Box<sweep::Args>),
    Sweeps(sweeps::Args),
    Evaluate(evaluate::Args),
    Report(report::Args),
    Heat(heat::Args),
    Embedding(embedding::Args),
    Predict(predict::Args),
    Export(export::Args),
    Verify(verify::Args),
    Serve(serve::Args),
    Shards(Box<shards::Args>),
    Work(work::Args),
    Merge(merge::Args),
    Features(features::Args),
    Architectures(architectures::Args),
    Doctor(doctor::Args),
}

/// Arguments that clap accepts but that do not go together; ends the program with code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// What keeps ONNX Runtime from reaching a network (`telemetry_1ds.cc`).
const NO_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// This very program, as it can be started again.
fn this_program() -> Option<PathBuf> {
    // Where it lies may hold a newer one by now.
    let same = Path::new("/proc/self/exe");
    if same.exists() {
        return Some(same.to_owned());
    }
    std::env::current_exe().ok()
}

/// Reads the arguments and runs; without a command opens the window.
#[must_use]
pub fn main() -> ExitCode {
    // From version 1.32 on, ONNX Runtime's Linux library reports each session to Microsoft, whatever is asked of it later.
    // SAFETY: this is the only thread so far.
    unsafe { std::env::set_var(NO_TELEMETRY, "1") };
    // What this program starts to decode in: no command for people, and nothing is read or said before it is confined.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == media::DECODER)
    {
        return media::serve();
    }
    // Messages for people are printed by the commands; the log is for finding defects.
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("off"))
        .format(|out, record| {
            writeln!(
                out,
                "{:.3} {:5} {}: {}",
                jiff::Timestamp::now(),
                record.level(),
                record.target(),
                visible(&record.args().to_string())
            )
        })
        .init();
    if let Some(program) = this_program() {
        media::decode_with(program);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage_exit(&error),
    };
    let console = Console::new(cli.json);
    let outcome = match cli.command {
        None => open::window(&cli.paths),
        Some(_) if !cli.paths.is_empty() => Err(Usage(format!(
            "a path before a command: “{}”",
            shown(cli.paths.first().map_or(Path::new(""), PathBuf::as_path))
        ))
        .into()),
        Some(Command::Make(args)) => make::run(&console, args),
        Some(Command::New(args)) => new::run(&console, &args),
        Some(Command::Open(args)) => open::run(&args),
        Some(Command::Import(args)) => import::run(&console, args),
        Some(Command::Classes(args)) => classes::run(&console, args),
        Some(Command::Label(args)) => label::run(&console, &args),
        Some(Command::Sources(args)) => sources::run(&console, args),
        Some(Command::Trash(args)) => trash::run(&console, &args),
        Some(Command::Train(args)) => train::run(&console, &args),
        Some(Command::Retrain(args)) => retrain::run(&console, *args),
        Some(Command::Runs(args)) => runs::run(&console, &args),
        Some(Command::Sweep(args)) => sweep::run(&console, &args),
        Some(Command::Sweeps(args)) => sweeps::run(&console, &args),
        Some(Command::Evaluate(args)) => evaluate::run(&console, &args),
        Some(Command::Report(args)) => report::run(&console, &args),
        Some(Command::Heat(args)) => heat::run(&console, args),
        Some(Command::Embedding(args)) => embedding::run(&console, &args),
        Some(Command::Predict(args)) => predict::run(&console, args),
        Some(Command::Export(args)) => export::run(&console, args),
        Some(Command::Verify(args)) => verify::run(&console, args),
        Some(Command::Serve(args)) => serve::run(&console, &args),
        Some(Command::Shards(args)) => shards::run(&console, *args),
        Some(Command::Work(args)) => work::run(&console, args),
        Some(Command::Merge(args)) => merge::run(&console, args),
        Some(Command::Features(args)) => features::run(&console, &args),
        Some(Command::Architectures(args)) => architectures::run(&console, &args),
        Some(Command::Doctor(_)) => doctor::run(&console),
    };
    let code = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure_exit(&console, &error),
    };
    wait_for_abandoned();
    code
}

/// Prints help, version or a usage error where each belongs.
fn usage_exit(error: &clap::Error) -> ExitCode {
    // An argument may be a file name from anywhere. Such a message is printed without colours.
    let plain = error.render().to_string();
    let printed = if is_visible(&plain) {
        error.print()
    } else {
        std::io::stderr().write_all(visible_lines(&plain).as_bytes())
    };
    if let Err(unprinted) = printed {
        log::debug!("cannot print a usage message: {unprinted}");
    }
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    }
}

fn failure_exit(console: &Console, error: &anyhow::Error) -> ExitCode {
    if let Some(usage) = error.downcast_ref::<Usage>() {
        return usage_exit(&Cli::command().error(ErrorKind::ValueValidation, &usage.0));
    }
    if error.is::<ReaderGone>() {
        // As for `… | head`: whoever read the output has seen enough.
        return ExitCode::SUCCESS;
    }
    let mut sentence = crate::jobs::sentence(error.as_ref());
    if let Some(ProjectError::LinkedClass { .. }) = error.downcast_ref() {
        sentence += " with `--follow-links`";
    }
    console.error(&sentence);
    ExitCode::FAILURE
}

/// A path for JSON, and for people through [`Console`]; what is not Unicode is replaced.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The project folder that most commands take first.
#[derive(Debug, Clone, clap::Args)]
struct ProjectArg {
    /// The project's folder
    #[arg(value_name = "PROJECT")]
    project: PathBuf,
    /// Read class folders that are links where they lead; nothing there is written, moved or deleted
    #[arg(long)]
    follow_links: bool,
}

impl ProjectArg {
    /// Has the links followed that the user agreed to.
    fn agree(&self) -> anyhow::Result<()> {
        if self.follow_links {
            for link in linked_classes(&self.project) {
                follow_link(&self.project, &link)?;
            }
        }
        Ok(())
    }

    /// Opens the project and takes the lock on it.
    fn open(&self, console: &Console) -> anyhow::Result<Arc<Project>> {
        self.agree()?;
        told(console, Project::open(&self.project)?)
    }

    /// Opens the project; for looking if another process has it.
    fn open_or_read(&self, console: &Console) -> anyhow::Result<Arc<Project>> {
        self.agree()?;
        told(console, Project::open_or_read(&self.project)?)
    }

    /// Opens the project for looking, so that it does not matter whether another process has it.
    fn open_for_reading(&self, console: &Console) -> anyhow::Result<Arc<Project>> {
        self.agree()?;
        told(console, Project::open_for_reading(&self.project)?)
    }
}

/// Says what is to be known of how the project opened.
fn told(console: &Console, project: Project) -> anyhow::Result<Arc<Project>> {
    for notice in project.take_notices() {
        console.warning(&notice)?;
    }
    for problem in open_own(project.root()) {
        console.warning(&problem.reason)?;
    }
    Ok(Arc::new(project))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_no_command_is_a_path() {
        let cli = Cli::try_parse_from(["salamander", "Pets"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.paths, [PathBuf::from("Pets")]);
        let cli = Cli::try_parse_from(["salamander", "doctor"]).unwrap();
        assert!(cli.command.is_some() && cli.paths.is_empty());
    }

    #[test]
    fn the_manual_page_names_every_command() {
        let page = include_str!("../../packaging/linux/salamander.1");
        for command in Cli::command().get_subcommands() {
            let line = format!("\n.B {}\n", command.get_name());
            assert!(page.contains(&line), "{}", command.get_name());
        }
    }

    #[test]
    fn json_may_stand_anywhere() {
        for line in ["salamander --json doctor", "salamander doctor --json"] {
            assert!(Cli::try_parse_from(line.split(' ')).unwrap().json);
        }
    }
}
