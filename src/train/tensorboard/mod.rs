//! `TensorBoard` event files of a run's measurements, in `train/` and `validation/` as in `retrain.py`.

mod confusion;
mod outcome;
mod pr_curve;
mod proto;
mod text;

use std::path::PathBuf;

use crate::files::{Durability, append, make_dirs};

use super::metrics::{
    ACCURACY, CROSS_ENTROPY, Histogram, History, LOGITS, Measured, MetricSide, PROBABILITIES,
};
use super::{TrainError, files};

pub(super) use outcome::Tested;
use proto::{Event, Summary, SummaryValue, record};

/// The event files of one part of a run. They grow with its checkpoints, so that `TensorBoard` shows a training in
/// progress; it waits for the rest of an incomplete record.
pub(super) struct Events {
    dir: PathBuf,
    /// Seconds since 1970 when the run was begun.
    start: f64,
}

impl Events {
    /// The event files in `dir`, of a run that was begun at `created` (RFC 3339).
    pub(super) fn new(dir: PathBuf, created: &str) -> Self {
        let start = created
            .parse::<jiff::Timestamp>()
            .map_or(0.0, |time| time.as_millisecond() as f64 / 1000.0);
        Self { dir, start }
    }

    /// Adds measurements.
    pub(super) fn append(&self, new: &History) -> Result<(), TrainError> {
        for file in EventFile::BOTH {
            let mut bytes = self.records(file, new);
            if bytes.is_empty() {
                continue;
            }
            let path = self.path(file)?;
            if !crate::files::exists(&path) {
                bytes = [self.version(), bytes].concat();
            }
            append(&path, &bytes, Durability::Renamed)?;
        }
        Ok(())
    }

    /// Makes the files contain exactly these measurements. Never rewrites a correct prefix: `TensorBoard` tails the
    /// file.
    pub(super) fn settle(&self, all: &History) -> Result<(), TrainError> {
        for file in EventFile::BOTH {
            let records = self.records(file, all);
            if records.is_empty() && !crate::files::exists(self.folder(file)) {
                continue;
            }
            let path = self.path(file)?;
            let right = [self.version(), records].concat();
            let found = match crate::files::read(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
                other => other.map_err(TrainError::io("read", &path))?,
            };
            if found == right {
                continue;
            }
            if found.starts_with(&right) {
                crate::files::open_or_create(&path)
                    .and_then(|file| file.set_len(right.len() as u64))
                    .map_err(TrainError::io("write", &path))?;
            } else {
                files::write(&path, &right)?;
            }
        }
        Ok(())
    }

    fn folder(&self, file: EventFile) -> PathBuf {
        self.dir.join(match file {
            EventFile::Train => "train",
            EventFile::Validation => "validation",
        })
    }

    /// The path of an event file, whose folder is created.
    fn path(&self, file: EventFile) -> Result<PathBuf, TrainError> {
        let folder = self.folder(file);
        make_dirs(self.dir.parent().unwrap_or(&self.dir), &folder)?;
        Ok(folder.join(self.name()))
    }

    /// The name of an event file.
    fn name(&self) -> String {
        // TensorBoard recognises event files by this part of their names.
        format!("events.out.tfevents.{}.salamander", self.start as u64)
    }

    /// The first record of a file.
    fn version(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let event = Event {
            wall_time: self.start,
            file_version: Some("brain.Event:2".into()),
            ..Event::default()
        };
        record(&mut bytes, &event);
        bytes
    }

    /// The records of a file: for each step the accuracy and cross-entropy of its images, then the other measurements.
    fn records(&self, file: EventFile, of: &History) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut add = |step: u32, secs: f64, value: Vec<SummaryValue>| {
            if !value.is_empty() {
                let event = Event {
                    wall_time: self.start + secs,
                    step: i64::from(step),
                    file_version: None,
                    summary: Some(Summary { value }),
                };
                record(&mut bytes, &event);
            }
        };
        let mut measured = of.measured.iter().peekable();
        for point in &of.points {
            if let Some((accuracy, cross_entropy)) = point.figures(file.images()) {
                let figures = vec![
                    SummaryValue::scalar(ACCURACY, accuracy),
                    SummaryValue::scalar(CROSS_ENTROPY, cross_entropy),
                ];
                add(point.step, point.secs, figures);
            }
            while let Some(measured) = measured.next_if(|measured| measured.step <= point.step) {
                add(measured.step, measured.secs, file.values(measured));
            }
        }
        bytes
    }
}

/// The two files.
#[derive(Clone, Copy)]
enum EventFile {
    /// Measurements on training images, and of the training itself.
    Train,
    /// Measurements on validation images.
    Validation,
}

impl EventFile {
    const BOTH: [Self; 2] = [Self::Train, Self::Validation];

    /// The side whose accuracy and cross-entropy are in it.
    fn images(self) -> MetricSide {
        match self {
            Self::Train => MetricSide::Train,
            Self::Validation => MetricSide::Validation,
        }
    }

    /// Whether measurements on a side are in it.
    fn has(self, side: MetricSide) -> bool {
        matches!(
            (self, side),
            (Self::Train, MetricSide::Train | MetricSide::Run)
                | (Self::Validation, MetricSide::Validation)
        )
    }

    /// The measurements of a step that are in it.
    fn values(self, measured: &Measured) -> Vec<SummaryValue> {
        let scalars = measured.scalars();
        let scalars = scalars
            .filter(|(series, _)| self.has(series.side))
            .map(|(series, value)| SummaryValue::scalar(&series.tag, value));
        let histograms = measured.histograms.iter();
        let histograms = histograms
            .filter(|(series, _)| self.has(series.side))
            .flat_map(|(series, value)| histogram(&series.tag, value));
        scalars.chain(histograms).collect()
    }
}

/// A histogram; those of the head have the tags and summaries of `retrain.py`.
fn histogram(tag: &str, of: &Histogram) -> Vec<SummaryValue> {
    let variable = match tag {
        "weights/logits.weight" => "weights",
        "weights/logits.bias" => "biases",
        LOGITS => {
            let tag = "final_training_ops/Wx_plus_b/pre_activations";
            return vec![SummaryValue::histogram(tag, of)];
        }
        PROBABILITIES => return vec![SummaryValue::histogram("activations", of)],
        _ => return vec![SummaryValue::histogram(tag, of)],
    };
    let tag = |name: &str| format!("final_training_ops/{variable}/summaries/{name}");
    vec![
        SummaryValue::scalar(&tag("mean"), of.mean() as f32),
        // TensorFlow's name for the second value with that name.
        SummaryValue::scalar(&tag("stddev_1"), of.deviation() as f32),
        SummaryValue::scalar(&tag("max"), of.max),
        SummaryValue::scalar(&tag("min"), of.min),
        SummaryValue::histogram(&tag("histogram"), of),
    ]
}
