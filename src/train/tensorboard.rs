//! `TensorBoard` event files of a run's curves, `train/` and `validation/` as `retrain.py` wrote them.
//!
//! The file is a sequence of records: length (u64), its masked CRC-32C, an `Event` message (protobuf), its masked
//! CRC-32C, all little-endian (`tensorflow/core/lib/io/record_writer.h`,
//! `tensorflow/core/util/event.proto`).

use std::fs;
use std::path::PathBuf;

use prost::Message;

use crate::files::{append, make_dirs};

use super::{CurvePoint, TrainError, files};

/// `tensorflow.Event`, as far as it is used.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    /// In the first record only.
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<SummaryValue>,
}

/// `tensorflow.Summary.Value` with a scalar.
#[derive(Clone, PartialEq, Message)]
struct SummaryValue {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// The event files of one part of a run. They grow with its checkpoints, so that `TensorBoard` shows a training that is
/// under way; it waits for the rest of a record that is cut.
pub(super) struct Events {
    dir: PathBuf,
    /// Seconds since 1970 when the run was begun.
    start: f64,
}

impl Events {
    /// Those in `dir`, of a run that was begun at `created` (RFC 3339).
    pub(super) fn new(dir: PathBuf, created: &str) -> Self {
        let start = created
            .parse::<jiff::Timestamp>()
            .map_or(0.0, |time| time.as_millisecond() as f64 / 1000.0);
        Self { dir, start }
    }

    /// Adds the points since the last time.
    pub(super) fn append(&self, points: &[CurvePoint]) -> Result<(), TrainError> {
        for side in Side::BOTH {
            let mut bytes = self.records(side, points);
            if bytes.is_empty() {
                continue;
            }
            let path = self.path(side)?;
            if !path.exists() {
                bytes = [self.version(), bytes].concat();
            }
            append(&path, &bytes)?;
        }
        Ok(())
    }

    /// Makes them hold these points and no others. What is right already stays where it is in the file, because
    /// somebody may be reading on behind it.
    pub(super) fn settle(&self, points: &[CurvePoint]) -> Result<(), TrainError> {
        for side in Side::BOTH {
            let records = self.records(side, points);
            if records.is_empty() && !self.folder(side).exists() {
                continue;
            }
            let path = self.path(side)?;
            let right = [self.version(), records].concat();
            let found = match fs::read(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
                other => other.map_err(TrainError::io("read", &path))?,
            };
            if found == right {
                continue;
            }
            if found.starts_with(&right) {
                fs::OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .and_then(|file| file.set_len(right.len() as u64))
                    .map_err(TrainError::io("write", &path))?;
            } else {
                files::write(&path, &right)?;
            }
        }
        Ok(())
    }

    fn folder(&self, side: Side) -> PathBuf {
        self.dir.join(match side {
            Side::Train => "train",
            Side::Validation => "validation",
        })
    }

    /// The file of a side; its folder is made.
    fn path(&self, side: Side) -> Result<PathBuf, TrainError> {
        let folder = self.folder(side);
        make_dirs(self.dir.parent().unwrap_or(&self.dir), &folder)?;
        // TensorBoard knows event files by this part of their names.
        Ok(folder.join(format!(
            "events.out.tfevents.{}.salamander",
            self.start as u64
        )))
    }

    /// The first record of a file.
    fn version(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let event = Event {
            wall_time: self.start,
            step: 0,
            file_version: Some("brain.Event:2".into()),
            summary: None,
        };
        record(&mut bytes, &event);
        bytes
    }

    /// The records of those points that have figures of a side.
    fn records(&self, side: Side, points: &[CurvePoint]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for point in points {
            let Some((accuracy, cross_entropy)) = side.figures(point) else {
                continue;
            };
            let scalar = |tag: &str, value: f32| SummaryValue {
                tag: tag.into(),
                simple_value: Some(value),
            };
            let event = Event {
                wall_time: self.start + point.secs,
                step: i64::from(point.step),
                file_version: None,
                summary: Some(Summary {
                    value: vec![
                        scalar("accuracy", accuracy),
                        scalar("cross_entropy", cross_entropy),
                    ],
                }),
            };
            record(&mut bytes, &event);
        }
        bytes
    }
}

/// On which frames figures were measured: each has a file of its own.
#[derive(Clone, Copy)]
enum Side {
    Train,
    Validation,
}

impl Side {
    const BOTH: [Self; 2] = [Self::Train, Self::Validation];

    /// Accuracy and cross-entropy.
    fn figures(self, point: &CurvePoint) -> Option<(f32, f32)> {
        match self {
            Self::Train => Some((point.train_accuracy, point.train_cross_entropy)),
            Self::Validation => Some((point.validation_accuracy?, point.validation_cross_entropy?)),
        }
    }
}

fn record(bytes: &mut Vec<u8>, event: &Event) {
    let message = event.encode_to_vec();
    let length = (message.len() as u64).to_le_bytes();
    bytes.extend(length);
    bytes.extend(masked(crc32c::crc32c(&length)).to_le_bytes());
    bytes.extend(&message);
    bytes.extend(masked(crc32c::crc32c(&message)).to_le_bytes());
}

/// The rotation and offset that keep a checksum of checksums from being trivial.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}
