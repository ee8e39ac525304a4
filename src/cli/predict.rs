//! `salamander predict`: what a run or an export says of new photos and videos.

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::bail;
use crossbeam_channel::{Receiver, bounded};
use serde::Serialize;

use crate::evaluate::{EvaluateError, FilePicture, Predictor};
use crate::jobs::Cancelled;

use super::console::{Console, Watch};
use super::import::SamplingArgs;
use super::shown;
use super::table::count;

/// Say what new photos and videos show, with a run or an exported model
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run's folder, an exported folder, or a model file in one
    #[arg(value_name = "RUN-OR-EXPORT")]
    model: PathBuf,
    /// Photos, videos, and folders of them
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// How many classes to give, most probable first; 0 for all
    #[arg(long, value_name = "N", default_value_t = 5)]
    top: usize,
    /// Say “unknown” of an image whose most probable class is below so many per cent, instead of below what was kept with
    /// the run or the export (`evaluate --unknown-at`)
    #[arg(long, value_name = "PERCENT", value_parser = per_cent)]
    unknown: Option<f32>,
}

/// A number of 0 to 100.
fn per_cent(text: &str) -> std::result::Result<f32, String> {
    let number: f32 = text.parse().map_err(|_| "is no number".to_owned())?;
    if (0.0..=100.0).contains(&number) {
        Ok(number)
    } else {
        Err("is not between 0 and 100".to_owned())
    }
}

#[derive(Serialize)]
struct Shown {
    path: String,
    time_secs: Option<f64>,
    /// Nothing where the model has no threshold.
    unknown: Option<bool>,
    top: Vec<Class>,
}

#[derive(Serialize)]
struct Class {
    class: String,
    probability: f32,
}

#[derive(Serialize)]
struct Result {
    predictions: u64,
    skipped: u64,
}

pub fn run(console: &Console, args: Args) -> anyhow::Result<()> {
    let sampling = args.sampling.sampling()?;
    let (sender, predictions) = bounded(64);
    let top = if args.top == 0 { usize::MAX } else { args.top };
    let (model, files) = (args.model, args.files);
    let outcome = console.run_watched(
        "predict",
        |watch| write_all(watch, &predictions),
        move |work| {
            let mut predictor = Predictor::open(&model)?;
            if let Some(percent) = args.unknown {
                predictor.unknown_below = Some(percent / 100.0);
            }
            let outcome = predictor.predict_files(&files, &sampling, work, |found| {
                if sender.send(Shown::of(found, top)).is_err() {
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
        predictions: outcome.predictions,
        skipped: outcome.skipped,
    };
    if result.predictions == 0 {
        bail!("nothing could be predicted: no file given is a photo or video that can be read");
    }
    if console.json() {
        console.event("result", &result)
    } else {
        if result.skipped > 0 {
            console.say(&format!("skipped {}", count(result.skipped, "file")));
        }
        Ok(())
    }
}

impl Shown {
    /// The `top` most probable classes of a picture.
    fn of(found: FilePicture<'_>, top: usize) -> Self {
        let classes = found.prediction.top.into_iter().take(top);
        Self {
            path: shown(found.path),
            time_secs: found.time_secs,
            unknown: found.prediction.unknown,
            top: classes
                .map(|class| Class {
                    class: class.class,
                    probability: class.probability,
                })
                .collect(),
        }
    }
}

/// Writes what has come in; after a failure takes in the rest, so that the sender never hangs.
fn write_all(watch: &mut Watch, predictions: &Receiver<Shown>) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    for prediction in predictions.try_iter() {
        if outcome.is_ok() {
            outcome = watch
                .event("prediction", &prediction)
                .and_then(|()| watch.out(&text(&prediction)));
        }
    }
    outcome
}

fn text(prediction: &Shown) -> String {
    let classes: Vec<String> = prediction
        .top
        .iter()
        .map(|class| format!("{} {:.1} %", class.class, class.probability * 100.0))
        .collect();
    let time = prediction
        .time_secs
        .map(|secs| format!(" at {secs:.2} s"))
        .unwrap_or_default();
    let unknown = match prediction.unknown {
        Some(true) => "unknown; ",
        _ => "",
    };
    format!("{}{time}: {unknown}{}", prediction.path, classes.join(", "))
}
