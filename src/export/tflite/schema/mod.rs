//! Code generated from the schemas beside it by `packaging/schemas.sh`.

#[rustfmt::skip]
mod metadata_generated;
#[rustfmt::skip]
mod tflite_generated;

pub(super) use metadata_generated::tflite::metadata;
pub(super) use tflite_generated::tflite;
