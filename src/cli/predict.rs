//! `salamander predict`: what a run or an export says of new photos and videos.

use std::path::{Path, PathBuf};

use anyhow::bail;
use crossbeam_channel::{Receiver, Sender, bounded};
use image::RgbImage;
use serde::Serialize;

use crate::evaluate::{EvaluateError, Predictor};
use crate::jobs::{Cancelled, Work};
use crate::media::{MediaError, Sampler, gather, is_video_name, load_image};
use crate::project::Sampling;
use crate::train::{Run, RunClasses};

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
}

#[derive(Serialize)]
struct Shown {
    path: String,
    time_secs: Option<f64>,
    top: Vec<Class>,
}

#[derive(Serialize)]
struct Class {
    class: String,
    probability: f32,
}

#[derive(Serialize, Default)]
struct Result {
    predictions: u64,
    skipped: u64,
}

pub fn run(console: &Console, args: Args) -> anyhow::Result<()> {
    let sampling = args.sampling.sampling()?;
    let (sender, predictions) = bounded(64);
    let mut task = Task {
        sampling,
        top: if args.top == 0 { usize::MAX } else { args.top },
        sender,
        result: Result::default(),
    };
    let (model, files) = (args.model, args.files);
    let result = console.run_watched(
        "predict",
        |watch| write_all(watch, &predictions),
        move |work| {
            let mut predictor = open(&model)?;
            task.all(&mut predictor, &files, work)?;
            Ok::<_, EvaluateError>(task.result)
        },
    )?;
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

/// A run's folder has a `run.json`; everything else is an export.
fn open(model: &Path) -> std::result::Result<Predictor, EvaluateError> {
    if model.join("run.json").is_file() {
        let run = Run::open(model)?;
        let classes = RunClasses::beside(&run);
        Predictor::from_run(&run, classes)
    } else {
        Predictor::from_export(model)
    }
}

struct Task {
    sampling: Sampling,
    top: usize,
    sender: Sender<Shown>,
    result: Result,
}

impl Task {
    fn all(
        &mut self,
        predictor: &mut Predictor,
        files: &[PathBuf],
        work: &Work,
    ) -> std::result::Result<(), EvaluateError> {
        let files = gather(files, work)?;
        work.stage("Predicting", Some(files.len() as u64));
        for file in &files {
            work.check()?;
            work.detail(shown(file));
            match self.file(predictor, file, work) {
                Ok(()) => {}
                Err(EvaluateError::Media(MediaError::Cancelled(cancelled))) => {
                    return Err(cancelled.into());
                }
                Err(EvaluateError::Media(error)) => {
                    self.result.skipped += 1;
                    work.warn(crate::jobs::sentence(&error));
                }
                Err(error) => return Err(error),
            }
            work.advance(1);
        }
        Ok(())
    }

    fn file(
        &mut self,
        predictor: &mut Predictor,
        file: &Path,
        work: &Work,
    ) -> std::result::Result<(), EvaluateError> {
        if !is_video_name(file) {
            match load_image(file) {
                Ok(picture) => return self.one(predictor, file, None, &picture, work),
                // A file with a name of its own may still be a video; what that says counts then.
                Err(error) if crate::media::is_image_name(file) => return Err(error.into()),
                Err(_) => {}
            }
        }
        let mut sampler = Sampler::open(file, &self.sampling)?;
        while let Some(frame) = sampler.next_frame(work)? {
            let picture = frame.to_rgb()?;
            self.one(predictor, file, Some(frame.time_secs), &picture, work)?;
        }
        if let Some(warning) = sampler.warning() {
            work.warn(warning);
        }
        Ok(())
    }

    fn one(
        &mut self,
        predictor: &mut Predictor,
        file: &Path,
        time_secs: Option<f64>,
        picture: &RgbImage,
        work: &Work,
    ) -> std::result::Result<(), EvaluateError> {
        let prediction = predictor.predict(picture)?;
        let top = prediction
            .top
            .into_iter()
            .take(self.top)
            .map(|class| Class {
                class: class.class,
                probability: class.probability,
            })
            .collect();
        let shown = Shown {
            path: shown(file),
            time_secs,
            top,
        };
        self.result.predictions += 1;
        if self.sender.send(shown).is_err() {
            return Err(Cancelled.into());
        }
        work.wake();
        Ok(())
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
    format!("{}{time}: {}", prediction.path, classes.join(", "))
}
