//! `salamander predict`: predictions of a run or an export for new photos and videos.

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::bail;
use crossbeam_channel::bounded;
use serde::Serialize;

use crate::evaluate::{
    EvaluateError, FileImage, FolderAccuracy, Predictor, Right, Timeline, Timelines, check_csv,
};
use crate::jobs::Cancelled;
use crate::media::start_decoders;
use crate::text::{count, percent};

use super::console::Console;
use super::import::SamplingArgs;
use super::shown;

/// Classify new photos and videos with a run or an exported model
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run's folder, an export's folder, or a model file in one
    #[arg(value_name = "RUN-OR-EXPORT")]
    model: PathBuf,
    /// Photos, videos, and folders of them
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// How many classes to list, most probable first; 0 for all
    #[arg(long, value_name = "N", default_value_t = 5)]
    top: usize,
    /// Answer “unknown” if the most probable class is below PERCENT [default: the threshold stored with the run or
    /// export by `evaluate --unknown-at`]
    #[arg(long, value_name = "PERCENT", value_parser = per_cent)]
    unknown: Option<f32>,
    /// Also write the probabilities of all images to a CSV file: file, time, one column per class
    #[arg(long, value_name = "FILE.csv")]
    timeline: Option<PathBuf>,
    /// Smooth the probabilities in that file over SECONDS of a video
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds, requires = "timeline")]
    smooth: f64,
}

/// A number of seconds, 0 or more.
fn seconds(text: &str) -> std::result::Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "is not a number".to_owned())?;
    if (0.0..=86_400.0).contains(&number) {
        Ok(number)
    } else {
        Err("is not a number of seconds between 0 and 86400".to_owned())
    }
}

/// A number of 0 to 100.
fn per_cent(text: &str) -> std::result::Result<f32, String> {
    let number: f32 = text.parse().map_err(|_| "is not a number".to_owned())?;
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
    /// None if the model has no threshold.
    unknown: Option<bool>,
    top: Vec<Class>,
}

#[derive(Serialize)]
struct Class {
    class: String,
    probability: f32,
}

/// The prediction for a whole video.
#[derive(Serialize)]
struct Film {
    path: String,
    frames: u64,
    class: String,
    probability: f32,
    /// None if the model has no threshold.
    unknown: Option<bool>,
    /// The name of the nearest folder that is a class.
    truth: Option<String>,
}

#[derive(Serialize)]
struct Result {
    predictions: u64,
    skipped: u64,
    films: u64,
    /// None if no folder has the name of a class.
    accuracy: Option<FolderAccuracy>,
}

pub fn run(console: &Console, args: Args) -> anyhow::Result<()> {
    let sampling = args.sampling.sampling()?;
    start_decoders(1);
    let (sender, predictions) = bounded(64);
    let top = if args.top == 0 { usize::MAX } else { args.top };
    let (model, files) = (args.model, args.files);
    let (timeline, smooth) = (args.timeline, args.smooth);
    let (outcome, timelines, unknown_below) = console.run_watched(
        "predict",
        |watch| watch.drain("prediction", &predictions, text),
        move |work| {
            if let Some(path) = &timeline {
                check_csv(path)?;
            }
            let mut predictor = Predictor::open(&model)?;
            if let Some(percent) = args.unknown {
                predictor.unknown_below = Some(percent / 100.0);
            }
            let mut timelines = Timelines::new(predictor.classes());
            let outcome = predictor.predict_files(&files, &sampling, work, |found| {
                timelines.push(&found);
                if sender.send(Shown::of(found, top)).is_err() {
                    return ControlFlow::Break(());
                }
                work.wake();
                ControlFlow::Continue(())
            })?;
            if outcome.ended {
                return Err(Cancelled.into());
            }
            if let Some(path) = &timeline {
                timelines.write_csv(path, smooth)?;
            }
            Ok::<_, EvaluateError>((outcome, timelines, predictor.unknown_below))
        },
    )?;
    let films = films(&timelines, unknown_below);
    let result = Result {
        predictions: outcome.predictions,
        skipped: outcome.skipped,
        films: films.len() as u64,
        accuracy: timelines.accuracy(unknown_below),
    };
    if result.predictions == 0 {
        bail!("nothing was predicted: none of the given files is a readable photo or video");
    }
    for film in &films {
        console.event("film", film)?;
    }
    if console.json() {
        console.event("result", &result)
    } else {
        for film in &films {
            console.out(&film_text(film))?;
        }
        for line in accuracy_text(result.accuracy) {
            console.out(&line)?;
        }
        if result.skipped > 0 {
            console.say(&format!("skipped {}", count(result.skipped, "file")));
        }
        Ok(())
    }
}

/// The predictions for whole videos.
fn films(timelines: &Timelines, unknown_below: Option<f32>) -> Vec<Film> {
    let class = |index: usize| timelines.classes.get(index).cloned().unwrap_or_default();
    let films = timelines.files.iter().filter(|file| file.is_film());
    let film = |file: &Timeline| {
        let verdict = file.verdict(unknown_below)?;
        Some(Film {
            path: shown(&file.path),
            frames: file.frames.len() as u64,
            class: class(verdict.class),
            probability: verdict.probability,
            unknown: verdict.unknown,
            truth: file.truth(&timelines.classes).map(class),
        })
    };
    films.filter_map(film).collect()
}

fn film_text(film: &Film) -> String {
    let unknown = match film.unknown {
        Some(true) => "unknown; ",
        _ => "",
    };
    let percent = film.probability * 100.0;
    let frames = count(film.frames, "frame");
    format!(
        "{} as a whole: {unknown}{} {percent:.1} %, the mean of {frames}",
        film.path, film.class
    )
}

fn accuracy_text(accuracy: Option<FolderAccuracy>) -> Vec<String> {
    let line = |right: Right, what: &str| {
        let part = 100.0 * right.correct as f64 / right.files.max(1) as f64;
        let files = count(right.files, what);
        format!(
            "{} of {files} match the folder’s name: {part:.1} %",
            right.correct
        )
    };
    let Some(found) = accuracy else {
        return Vec::new();
    };
    let sides = [(found.photos, "photo"), (found.films, "video")];
    let some = sides.into_iter().filter(|(right, _)| right.files > 0);
    some.map(|(right, what)| line(right, what)).collect()
}

impl Shown {
    /// The `top` most probable classes of an image.
    fn of(found: FileImage<'_>, top: usize) -> Self {
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

fn text(prediction: &Shown) -> String {
    let classes: Vec<String> = prediction
        .top
        .iter()
        .map(|class| format!("{} {}", class.class, percent(class.probability)))
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
