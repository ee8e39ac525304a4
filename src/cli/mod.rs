//! The command line: one file per subcommand, each a thin layer over the library.
//!
//! `docs/json.md` documents the output with `--json`.

// Help texts have defaults in brackets, which rustdoc takes for links: [default: efficientnet-lite0@224].
#![allow(rustdoc::broken_intra_doc_links)]

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
/// Without a command, the window opens; with a path, it opens that project or offers to import those files. Everything
/// the window does can also be done from the command line.
#[derive(Debug, Parser)]
#[command(
    name = "salamander",
    version,
    max_term_width = 100,
    override_usage = "salamander [PATH]...\n       salamander <COMMAND>",
    after_help = "Make a first model from a folder of videos, one subfolder per class, in one go:\n  \
        salamander make videos/ --out pets\n\n\
        The same, step by step:\n  \
        salamander new Pets\n  \
        salamander import Pets videos/ --class-from folder --fps 2\n  \
        salamander train Pets\n  \
        salamander export Pets --out pets-model\n  \
        salamander predict pets-model new-video.mp4"
)]
struct Cli {
    /// Write JSON to standard output, one object per line, instead of text and progress bars
    #[arg(long, global = true)]
    json: bool,
    /// A project folder to open in the window, or videos, photos and folders to import
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

/// Arguments that clap accepts but that cannot be combined; ends the program with code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Disables the telemetry of ONNX Runtime (`telemetry_1ds.cc`).
const NO_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// This program, for starting it again.
fn this_program() -> Option<PathBuf> {
    // The file at its path may be a newer version by now.
    let same = Path::new("/proc/self/exe");
    if same.exists() {
        return Some(same.to_owned());
    }
    std::env::current_exe().ok()
}

/// Reads the arguments and runs; without a command opens the window.
#[must_use]
pub fn main() -> ExitCode {
    // From version 1.32 on, ONNX Runtime's Linux library reports each session to Microsoft, whatever its API is told
    // later.
    // SAFETY: this is the only thread so far.
    unsafe { std::env::set_var(NO_TELEMETRY, "1") };
    // The process for decoding: not a command for users; it reads and writes nothing before its rights are restricted.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == media::DECODER)
    {
        return media::serve();
    }
    // Messages for users are printed by the commands; the log is for debugging.
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

/// Prints help or version to standard output, or a usage error to standard error.
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
        // As for `… | head`: the reader has seen enough.
        return ExitCode::SUCCESS;
    }
    let mut sentence = crate::jobs::sentence(error.as_ref());
    if let Some(ProjectError::LinkedClass { .. }) = error.downcast_ref() {
        sentence += " with `--follow-links`";
    }
    console.error(&sentence);
    ExitCode::FAILURE
}

/// A path for JSON, and for people through [`Console`]; invalid Unicode is replaced.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The project folder that most commands take first.
#[derive(Debug, Clone, clap::Args)]
struct ProjectArg {
    /// The project's folder
    #[arg(value_name = "PROJECT")]
    project: PathBuf,
    /// Follow class folders that are links and read what they point to; nothing there is written, moved or deleted
    #[arg(long)]
    follow_links: bool,
}

impl ProjectArg {
    /// Makes the project follow the links that the user allowed.
    fn agree(&self) -> anyhow::Result<()> {
        if self.follow_links {
            for link in linked_classes(&self.project) {
                follow_link(&self.project, &link)?;
            }
        }
        Ok(())
    }

    /// Opens and locks the project.
    fn open(&self, console: &Console) -> anyhow::Result<Arc<Project>> {
        self.agree()?;
        with_notices(console, Project::open(&self.project)?)
    }

    /// Opens the project; read-only if another process has it.
    fn open_or_read(&self, console: &Console) -> anyhow::Result<Arc<Project>> {
        self.agree()?;
        with_notices(console, Project::open_or_read(&self.project)?)
    }

    /// Opens the project read-only, so that it does not matter whether another process has it.
    fn open_for_reading(&self, console: &Console) -> anyhow::Result<Arc<Project>> {
        self.agree()?;
        with_notices(console, Project::open_for_reading(&self.project)?)
    }
}

/// Prints the remarks from opening the project.
fn with_notices(console: &Console, project: Project) -> anyhow::Result<Arc<Project>> {
    for notice in project.take_notices() {
        console.warning(&notice)?;
    }
    for problem in open_own(project.root()) {
        console.warning(&problem)?;
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
