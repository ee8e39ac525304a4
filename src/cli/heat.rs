//! `salamander heat`: paints the evidence for a class over images.

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::bail;
use crossbeam_channel::bounded;
use serde::Serialize;

use crate::evaluate::{EvaluateError, HeatFile, HeatMapper, write_heat_maps};
use crate::jobs::Cancelled;
use crate::media::start_decoders;
use crate::text::count;

use super::console::Console;
use super::import::SamplingArgs;
use super::which::RunArg;
use super::{ProjectArg, shown};

/// Paint heat maps over photos and video frames: what speaks for a class (yellow) and what against it (blue)
///
/// The maps are exact for networks that average their last feature map, as all built-in ones do: the mean of a map plus
/// the class's bias is the logit. For other architectures, maps are weighted by gradients (Grad-CAM).
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    #[command(flatten)]
    run: RunArg,
    /// Photos, videos, and folders of them
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The folder for the PNG images; existing files are not replaced
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The class to explain [default: the predicted class of each image]
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Show plain class activation maps: everything that speaks for a class, not only what distinguishes the image from
    /// the average training image
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    sampling: SamplingArgs,
}

#[derive(Serialize)]
struct Shown {
    path: String,
    time_secs: Option<f64>,
    out: String,
    class: String,
    probability: f32,
    predicted: String,
    unknown: Option<bool>,
    exact: bool,
    rows: usize,
    columns: usize,
    values: Vec<f32>,
    bias: f32,
    logit: f32,
}

#[derive(Serialize)]
struct Result {
    images: u64,
    skipped: u64,
}

pub fn run(console: &Console, args: Args) -> anyhow::Result<()> {
    let sampling = args.sampling.sampling()?;
    start_decoders(1);
    let project = args.project.open_for_reading(console)?;
    let run = args.run.find(&project)?;
    let (sender, maps) = bounded(64);
    let (files, out, class) = (args.files, args.out, args.class);
    let outcome = console.run_watched(
        "heat maps",
        |watch| watch.drain("heat", &maps, text),
        move |work| {
            let mut mapper = if args.plain {
                HeatMapper::plain(&project, &run)?
            } else {
                HeatMapper::of_run(&project, &run, work)?
            };
            let (labels, exact) = (mapper.classes().to_vec(), mapper.is_exact());
            let class = class.as_deref();
            let outcome =
                write_heat_maps(&mut mapper, &files, &sampling, class, &out, work, |found| {
                    if sender.send(Shown::of(found, &labels, exact)).is_err() {
                        return ControlFlow::Break(());
                    }
                    work.wake();
                    ControlFlow::Continue(())
                })?;
            if outcome.ended {
                return Err(Cancelled.into());
            }
            Ok::<_, EvaluateError>(outcome)
        },
    )?;
    let result = Result {
        images: outcome.predictions,
        skipped: outcome.skipped,
    };
    if result.images == 0 {
        bail!("no heat map was written: none of the given files is a readable photo or video");
    }
    if console.json() {
        return console.event("result", &result);
    }
    if result.skipped > 0 {
        console.say(&format!("skipped {}", count(result.skipped, "file")));
    }
    Ok(())
}

impl Shown {
    fn of(found: HeatFile<'_>, labels: &[String], exact: bool) -> Self {
        let map = found.map;
        let predicted = found.prediction.top.into_iter().next();
        Self {
            path: shown(found.path),
            time_secs: found.time_secs,
            out: shown(&found.out),
            class: labels.get(map.label).cloned().unwrap_or_default(),
            probability: found.probability,
            predicted: predicted.map(|class| class.class).unwrap_or_default(),
            unknown: found.prediction.unknown,
            exact,
            rows: map.rows,
            columns: map.columns,
            bias: map.bias,
            logit: map.logit,
            values: map.values,
        }
    }
}

fn text(map: &Shown) -> String {
    let time = map
        .time_secs
        .map(|secs| format!(" at {secs:.2} s"))
        .unwrap_or_default();
    let lowest = map.values.iter().copied().fold(f32::INFINITY, f32::min);
    let highest = map.values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    format!(
        "{}{time}: {} {:.1} %, from {lowest:+.1} to {highest:+.1}: {}",
        map.path,
        map.class,
        map.probability * 100.0,
        map.out
    )
}
