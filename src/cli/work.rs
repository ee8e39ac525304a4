//! `salamander work`: makes the part of one shard, or of one training of a sweep.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use crate::jobs::limit_cores;
use crate::shards::{WorkOrder, make_part};
use crate::sweep::TrainingOutcome;
use crate::text::{count, percent_or_dash, visible};

use super::console::Console;
use super::shown;

/// Process one shard: make its frames and bottlenecks without a project, or do one training of a sweep
///
/// Works from a list of shards, or of trainings, which read the project named in the list without changing it. Can be
/// repeated, on any machine: a finished part is kept, an interrupted one is resumed. A damaged film is recorded in the
/// part with the reason. A failure that a retry may cure (an unreadable file, a full disk) leaves no part; the exit
/// code is then 1.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A list written by `salamander shards` or `salamander sweep --out`, and the number of a shard in it, from 1
    #[arg(long, value_name = "FILE:N", value_parser = shard)]
    shard: (PathBuf, usize),
    /// The folder to write parts to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Read files listed below the folder OLD from NEW; can be given several times
    #[arg(long, value_name = "OLD=NEW", value_parser = moved)]
    moved: Vec<(PathBuf, PathBuf)>,
    /// Use at most this many cores
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

#[derive(Serialize)]
struct Result {
    shard: usize,
    part: String,
    frames: u64,
    bottlenecks: u64,
    already: bool,
    seconds: f64,
    failed: Vec<Failed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    training: Option<Training>,
}

/// The result of a training.
#[derive(Serialize)]
struct Training {
    run: Option<String>,
    validation_accuracy: Option<f64>,
    test_accuracy: Option<f64>,
    error: Option<String>,
}

impl Training {
    fn of(outcome: &TrainingOutcome) -> Self {
        let (run, figures) = match outcome {
            TrainingOutcome::Finished { run, figures } => (Some(run.0.clone()), Some(figures)),
            TrainingOutcome::Failed(_) => (None, None),
        };
        Self {
            run,
            validation_accuracy: figures.and_then(|figures| figures.validation_accuracy),
            test_accuracy: figures.and_then(|figures| figures.test_accuracy),
            error: match outcome {
                TrainingOutcome::Finished { .. } => None,
                TrainingOutcome::Failed(reason) => Some(reason.clone()),
            },
        }
    }

    fn text(&self) -> String {
        match &self.error {
            Some(error) => error.clone(),
            None => format!(
                "validation {}, test {}",
                percent_or_dash(self.validation_accuracy),
                percent_or_dash(self.test_accuracy)
            ),
        }
    }
}

#[derive(Serialize)]
struct Failed {
    path: String,
    error: String,
}

pub fn run(console: &Console, args: Args) -> anyhow::Result<()> {
    let started = Instant::now();
    if let Some(threads) = args.threads {
        limit_cores(usize::from(threads));
    }
    let (list, shard) = args.shard;
    let order = WorkOrder {
        list,
        shard,
        out: args.out,
        moved: args.moved,
    };
    let made = console.run("work", move |work| make_part(&order, work))?;
    for (_, sentence) in &made.failed {
        console.warning(sentence)?;
    }
    let result = Result {
        shard,
        part: shown(&made.part),
        frames: made.frames,
        bottlenecks: made.computed,
        already: made.already,
        seconds: started.elapsed().as_secs_f64(),
        failed: made
            .failed
            .iter()
            .map(|(path, error)| Failed {
                path: shown(path),
                error: error.clone(),
            })
            .collect(),
        training: made.training.as_ref().map(Training::of),
    };
    console.result(&result, || {
        let made = match &result.training {
            Some(training) => training.text(),
            None => count(result.frames, "frame"),
        };
        let part = visible(&result.part);
        if result.already {
            format!("{part} exists already: {made}")
        } else {
            format!("{part}: {made}, {:.1} s", result.seconds)
        }
    })
}

fn shard(text: &str) -> std::result::Result<(PathBuf, usize), String> {
    let parts = text.rsplit_once(':');
    parts
        .and_then(|(path, number)| Some((PathBuf::from(path), number.parse().ok()?)))
        .filter(|(path, number)| !path.as_os_str().is_empty() && *number > 0)
        .ok_or_else(|| "give a list and a number from 1, such as shards.jsonl:12".to_owned())
}

fn moved(text: &str) -> std::result::Result<(PathBuf, PathBuf), String> {
    text.split_once('=')
        .filter(|(old, new)| !old.is_empty() && !new.is_empty())
        .map(|(old, new)| (old.into(), new.into()))
        .ok_or_else(|| "give moved folders as OLD=NEW".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_shard_is_a_list_and_a_number() {
        assert_eq!(shard("a:b.jsonl:3"), Ok(("a:b.jsonl".into(), 3)));
        for bad in ["", "a", "a:", ":1", "a:0", "a:x", "a:-1"] {
            assert!(shard(bad).is_err(), "{bad}");
        }
        assert_eq!(moved("/a=/b=c"), Ok(("/a".into(), "/b=c".into())));
        assert!(moved("/a").is_err() && moved("=/b").is_err());
    }
}
