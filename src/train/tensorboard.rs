//! `TensorBoard` event files of a run's curves, `train/` and `validation/` as `retrain.py` wrote them.
//!
//! The file is a sequence of records: length (u64), its masked CRC-32C, an `Event` message (protobuf), its masked
//! CRC-32C, all little-endian (`tensorflow/core/lib/io/record_writer.h`,
//! `tensorflow/core/util/event.proto`).

use std::fs;
use std::path::Path;

use prost::Message;

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

/// Writes the event files of a run in place of those that were there. `created` is the run's time stamp.
pub(super) fn write(dir: &Path, curves: &[CurvePoint], created: &str) -> Result<(), TrainError> {
    let start = created
        .parse::<jiff::Timestamp>()
        .map_or(0.0, |time| time.as_millisecond() as f64 / 1000.0);
    let train: Vec<_> = curves
        .iter()
        .map(|point| (point, point.train_accuracy, point.train_cross_entropy))
        .collect();
    let validation: Vec<_> = curves
        .iter()
        .filter_map(|point| {
            Some((
                point,
                point.validation_accuracy?,
                point.validation_cross_entropy?,
            ))
        })
        .collect();
    for (name, points) in [("train", train), ("validation", validation)] {
        if points.is_empty() {
            continue;
        }
        let folder = dir.join(name);
        fs::create_dir_all(&folder).map_err(TrainError::io("create", &folder))?;
        // TensorBoard knows event files by this part of their names.
        let path = folder.join(format!("events.out.tfevents.{}.salamander", start as u64));
        let mut bytes = Vec::new();
        let version = Event {
            wall_time: start,
            step: 0,
            file_version: Some("brain.Event:2".into()),
            summary: None,
        };
        record(&mut bytes, &version);
        for (point, accuracy, cross_entropy) in points {
            let scalar = |tag: &str, value: f32| SummaryValue {
                tag: tag.into(),
                simple_value: Some(value),
            };
            let event = Event {
                wall_time: start + point.secs,
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
        files::write(&path, &bytes)?;
    }
    Ok(())
}

fn record(bytes: &mut Vec<u8>, event: &Event) {
    let message = event.encode_to_vec();
    let length = (message.len() as u64).to_le_bytes();
    bytes.extend(length);
    bytes.extend(masked(crc32c(&length)).to_le_bytes());
    bytes.extend(&message);
    bytes.extend(masked(crc32c(&message)).to_le_bytes());
}

/// The rotation and offset that keep a checksum of checksums from being trivial.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: a few kilobytes once a run.
fn crc32c(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 * (crc & 1))
        })
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_the_standard_text() {
        // RFC 3720, B.4 and the check value of the algorithm.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }
}
