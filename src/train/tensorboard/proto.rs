//! The messages of event files, as far as they are used, and the records that they are in.
//!
//! A file is a sequence of records: length (u64), its masked CRC-32C, an `Event` message (protobuf), its masked
//! CRC-32C, all little-endian (`tensorflow/core/lib/io/record_writer.h`, `tensorflow/core/util/event.proto`,
//! `tensorflow/core/framework/summary.proto`).

use prost::Message;

use super::super::Histogram;

/// `tensorflow.Event`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// In the first record only.
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    pub summary: Option<Summary>,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<SummaryValue>,
}

/// `tensorflow.Summary.Value`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SummaryValue {
    #[prost(string, tag = "1")]
    pub tag: String,
    #[prost(float, optional, tag = "2")]
    pub simple_value: Option<f32>,
    #[prost(message, optional, tag = "5")]
    pub histo: Option<HistogramProto>,
}

impl SummaryValue {
    /// A scalar.
    pub(super) fn scalar(tag: &str, value: f32) -> Self {
        Self {
            tag: tag.into(),
            simple_value: Some(value),
            ..Self::default()
        }
    }

    /// A histogram.
    pub(super) fn histogram(tag: &str, of: &Histogram) -> Self {
        Self {
            tag: tag.into(),
            histo: Some(HistogramProto {
                min: f64::from(of.min),
                max: f64::from(of.max),
                num: of.count() as f64,
                sum: of.sum,
                sum_squares: of.sum_squares,
                bucket_limit: of.buckets().map(|bucket| bucket.right).collect(),
                bucket: of.buckets().map(|bucket| f64::from(bucket.count)).collect(),
            }),
            ..Self::default()
        }
    }
}

/// `tensorflow.HistogramProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HistogramProto {
    #[prost(double, tag = "1")]
    pub min: f64,
    #[prost(double, tag = "2")]
    pub max: f64,
    #[prost(double, tag = "3")]
    pub num: f64,
    #[prost(double, tag = "4")]
    pub sum: f64,
    #[prost(double, tag = "5")]
    pub sum_squares: f64,
    /// Upper ends of the buckets.
    #[prost(double, repeated, tag = "6")]
    pub bucket_limit: Vec<f64>,
    #[prost(double, repeated, tag = "7")]
    pub bucket: Vec<f64>,
}

/// Appends an event as a record.
pub(super) fn record(bytes: &mut Vec<u8>, event: &Event) {
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
