//! Probing, decoding, sampling, orientation, still images, and bringing them into a project.
//!
//! The only layer that knows FFmpeg.

mod error;
mod import;
mod probe;
mod sample;
mod still;

pub use error::MediaError;
pub use import::{ClassFrom, ImportOptions, ImportOutcome, add_video, extract, gather, import};
pub use probe::{VideoInfo, probe};
pub use sample::{SampledFrame, Sampler, poster};
pub use still::{is_image_name, is_video_name, load_image, load_image_from_bytes};

/// FFmpeg's libraries in use: name and version each, and the licence, for `doctor`.
#[must_use]
pub fn versions() -> Vec<(String, String)> {
    todo!()
}
