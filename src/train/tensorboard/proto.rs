//! The messages of event files that are used here, and the records that contain them.
//!
//! A file is a sequence of records: length (u64), its masked CRC-32C, an `Event` message (protobuf), its masked
//! CRC-32C, all little-endian (`tensorflow/core/lib/io/record_writer.h`, `tensorflow/core/util/event.proto`,
//! `tensorflow/core/framework/summary.proto`).

use std::collections::BTreeMap;

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
    /// Only in the first record.
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
    #[prost(message, optional, tag = "4")]
    pub image: Option<ImageProto>,
    #[prost(message, optional, tag = "5")]
    pub histo: Option<HistogramProto>,
    #[prost(message, optional, tag = "8")]
    pub tensor: Option<TensorProto>,
    #[prost(message, optional, tag = "9")]
    pub metadata: Option<Metadata>,
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

    /// An image.
    pub(super) fn image(tag: &str, png: Vec<u8>, [width, height]: [u32; 2]) -> Self {
        Self {
            tag: tag.into(),
            image: Some(ImageProto {
                height: i32::try_from(height).unwrap_or_default(),
                width: i32::try_from(width).unwrap_or_default(),
                colorspace: 3,
                encoded_image_string: png,
            }),
            ..Self::default()
        }
    }

    /// A tensor shown by a plug-in of `TensorBoard`, with the plug-in's metadata.
    pub(super) fn of_plugin(
        plugin: &str,
        content: Vec<u8>,
        [tag, title, description]: [&str; 3],
        (shape, values): (&[usize], &[f32]),
    ) -> Self {
        let dims = shape.iter().map(|len| TensorDim { size: *len as i64 });
        Self {
            tag: tag.into(),
            tensor: Some(TensorProto {
                // DT_FLOAT
                dtype: 1,
                shape: Some(TensorShape {
                    dim: dims.collect(),
                }),
                content: values
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect(),
            }),
            metadata: Some(Metadata {
                plugin_data: Some(PluginData {
                    plugin_name: plugin.into(),
                    content,
                }),
                display_name: title.into(),
                description: description.into(),
                // DATA_CLASS_TENSOR
                data_class: 2,
            }),
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

/// `tensorflow.Summary.Image`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ImageProto {
    #[prost(int32, tag = "1")]
    pub height: i32,
    #[prost(int32, tag = "2")]
    pub width: i32,
    /// 3 is RGB.
    #[prost(int32, tag = "3")]
    pub colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    pub encoded_image_string: Vec<u8>,
}

/// `tensorflow.TensorProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorProto {
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShape>,
    /// Little-endian.
    #[prost(bytes = "vec", tag = "4")]
    pub content: Vec<u8>,
}

/// `tensorflow.TensorShapeProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorShape {
    #[prost(message, repeated, tag = "2")]
    pub dim: Vec<TensorDim>,
}

/// `tensorflow.TensorShapeProto.Dim`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorDim {
    #[prost(int64, tag = "1")]
    pub size: i64,
}

/// `tensorflow.SummaryMetadata`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Metadata {
    #[prost(message, optional, tag = "1")]
    pub plugin_data: Option<PluginData>,
    #[prost(string, tag = "2")]
    pub display_name: String,
    #[prost(string, tag = "3")]
    pub description: String,
    #[prost(int32, tag = "4")]
    pub data_class: i32,
}

/// `tensorflow.SummaryMetadata.PluginData`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PluginData {
    #[prost(string, tag = "1")]
    pub plugin_name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub content: Vec<u8>,
}

/// `tensorboard.PrCurvePluginData` (`tensorboard/plugins/pr_curve/plugin_data.proto`).
#[derive(Clone, PartialEq, Message)]
pub(super) struct PrCurveData {
    #[prost(int32, tag = "1")]
    pub version: i32,
    #[prost(uint32, tag = "2")]
    pub num_thresholds: u32,
}

/// `tensorboard.hparams.HParamsPluginData` (`tensorboard/plugins/hparams/plugin_data.proto`).
#[derive(Clone, PartialEq, Message)]
pub(super) struct HParamsData {
    #[prost(int32, tag = "1")]
    pub version: i32,
    #[prost(message, optional, tag = "3")]
    pub session_start_info: Option<SessionStart>,
    #[prost(message, optional, tag = "4")]
    pub session_end_info: Option<SessionEnd>,
}

/// `tensorboard.hparams.SessionStartInfo`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionStart {
    #[prost(btree_map = "string, message", tag = "1")]
    pub hparams: BTreeMap<String, HParam>,
    #[prost(double, tag = "5")]
    pub start_time_secs: f64,
}

/// `google.protobuf.Value`: one of these.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HParam {
    #[prost(double, optional, tag = "2")]
    pub number: Option<f64>,
    #[prost(string, optional, tag = "3")]
    pub text: Option<String>,
    #[prost(bool, optional, tag = "4")]
    pub switch: Option<bool>,
}

/// `tensorboard.hparams.SessionEndInfo`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionEnd {
    /// 1 is success.
    #[prost(int32, tag = "1")]
    pub status: i32,
    #[prost(double, tag = "2")]
    pub end_time_secs: f64,
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

/// Masks a checksum by rotation and an offset, so that checksums of checksums are not trivial.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}
