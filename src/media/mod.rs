//! Probing, decoding, sampling, orientation, still images, and importing them into a project.
//!
//! This is the only layer that uses FFmpeg. A sampled frame passes through `ffmpeg` (opens the file), `decode` (images
//! and their times), `graph` (FFmpeg's filters), `sample` (selects frames), `stretch` (of a part of the film) and
//! `jpeg`. All of these, and the decoders of still images, run in a separate process (`helper`), whose replies arrive
//! in `sampler`.

mod adopt;
mod again;
mod amount;
mod cut;
mod cuts;
mod decode;
mod depth;
mod error;
mod extract;
mod ffmpeg;
mod file;
mod findings;
mod gaps;
mod graph;
mod helper;
mod import;
mod jpeg;
mod jpeg_blocks;
mod kind;
mod known;
mod lead_in;
mod odd_still;
mod pace;
mod poster;
mod probe;
mod recorded;
mod repeats;
mod sample;
mod sampler;
mod skip;
mod still;
mod stretch;
mod whole;

pub use adopt::{Adopted, Wanted, adopt};
pub use again::{AgainFrames, extract_again};
pub use amount::Amount;
pub use cuts::cut_points;
pub use error::MediaError;
pub use extract::extract;
pub use ffmpeg::versions;
pub use findings::Findings;
pub use helper::{
    Confinement, DECODER, SetAside, confinement, decode_with, serve, set_aside, start_decoders,
    try_again,
};
pub use import::{
    ClassFrom, Decoded, Fate, FileReport, FilmFacts, FrameReader, ImportOptions, ImportOutcome,
    ImportPlan, Known, MediaOrigin, OnConflict, Photo, PlanGroup, PlannedFile, Reason, Totals,
    Videos, gather, import, import_planned, passed_over, plan,
};
pub use pace::{ExtractionPace, film_megapixels};
pub use poster::poster;
pub use probe::{VideoInfo, probe};
pub use recorded::photo_time;
pub use sampler::{JpegFrame, JpegSampler, SampledFrame, Sampler};
pub use still::{Still, load_image, load_image_from_bytes, load_still};
pub use stretch::Stretch;

pub use crate::kind::{ImageKind, Kind};
