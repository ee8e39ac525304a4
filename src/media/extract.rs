//! Writing the frames of a video into its class folder, so that it can be broken off and taken up again.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::bounded;

use crate::files::{self, Durability};
use crate::jobs::Work;
use crate::project::{FrameName, Frames, Label, Project, Source, SourceId};

use super::sample::{SampledFrame, Sampler, decoder_threads};
use super::{MediaError, still};

/// Frames that may wait between the decoder and the JPEG encoder.
const WAITING_FRAMES: usize = 4;

/// Writes the frames of a source that are not in the project yet. Returns how many were written.
///
/// Frames that lie under another label by now, or in the trash, count as there. What was written before an
/// error or a cancellation stays, and the next extraction goes on from it.
pub fn extract(project: &Project, source: &SourceId, work: &Work) -> Result<u64, MediaError> {
    let Some(source) = project.source(source) else {
        return Err(MediaError::Ffmpeg(format!(
            "extract source {source}: it is not in the project any more"
        )));
    };
    project.check_writable()?;
    work.stage("Extracting frames", expected_frames(&source));
    let known = Known::of(project, work)?;
    project.blame(extract_source(
        project,
        &source,
        &known,
        work,
        decoder_threads(),
    ))
}

/// About how many frames the source will give.
pub(super) fn expected_frames(source: &Source) -> Option<u64> {
    let sampling = &source.sampling;
    let start = sampling.from_secs.unwrap_or(0.0);
    let end = match (sampling.to_secs, source.duration_secs) {
        (Some(to), Some(length)) => to.min(length),
        (Some(end), None) | (None, Some(end)) => end,
        (None, None) => return None,
    };
    Some(((end - start).max(0.0) * sampling.fps.0).round().max(1.0) as u64)
}

/// Which frames are in the project already: under any label, or in the trash.
pub(super) struct Known(Mutex<HashSet<(String, String)>>);

impl Known {
    /// Looks through the project.
    pub fn of(project: &Project, work: &Work) -> Result<Self, MediaError> {
        let mut known = HashSet::new();
        let lists: [Frames; 2] = [project.scan(work)?, project.scan_trash(work)?];
        for frame in lists.iter().flat_map(|frames| &frames.list) {
            // After a power cut a file may be there by name only; it is written again.
            let empty = fs::metadata(frame.abs(project)).is_ok_and(|facts| facts.len() == 0);
            if !empty && let Some(name) = FrameName::parse(frame.file_name()) {
                known.insert(key(&name));
            }
        }
        Ok(Self(Mutex::new(known)))
    }

    /// Notes the frame; `false` when it was known.
    pub fn insert(&self, name: &FrameName) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key(name))
    }
}

/// A video's frame is told by source and id, a photo by its bytes alone, whichever batch brought it.
fn key(name: &FrameName) -> (String, String) {
    let source = match name.time_secs {
        Some(_) => name.source.as_str(),
        None => "photo",
    };
    (source.to_owned(), name.id.clone())
}

/// [`extract`] within a running stage.
pub(super) fn extract_source(
    project: &Project,
    source: &Source,
    known: &Known,
    work: &Work,
    threads: usize,
) -> Result<u64, MediaError> {
    work.detail(source.name.clone());
    let mut sampler = Sampler::open_with_threads(&source.path, &source.sampling, threads)?;
    let label = source.class.clone().map_or(Label::Unsorted, Label::Class);
    let folder = project.label_dir(&label);
    project.make_dir(&folder)?;

    // Decoding goes on while this thread encodes and writes.
    let (sender, receiver) = bounded::<SampledFrame>(WAITING_FRAMES);
    let (taken, written, warnings) = std::thread::scope(|scope| {
        let decoder = std::thread::Builder::new()
            .name("decode".into())
            .spawn_scoped(scope, move || -> Result<Sampler, MediaError> {
                while let Some(frame) = sampler.next_frame(work)? {
                    // Nobody listens any more when writing has failed.
                    if sender.send(frame).is_err() {
                        break;
                    }
                }
                Ok(sampler)
            })
            .map_err(|error| MediaError::Ffmpeg(format!("start a thread: {error}")))?;
        let mut taken = 0;
        let mut written = 0;
        let mut outcome = Ok(());
        for frame in receiver {
            taken += 1;
            match write_frame(source, &frame, known, &folder) {
                Ok(new) => written += u64::from(new),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
            work.advance(1);
        }
        let sampler = match decoder.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        outcome?;
        Ok::<_, MediaError>((taken, written, sampler?.warnings()))
    })?;

    let mut done = project.source(&source.id).unwrap_or_else(|| source.clone());
    done.extracted = Some(taken);
    for warning in &warnings {
        work.warn(warning.clone());
    }
    done.warnings = warnings;
    project.put_source(done)?;
    Ok(written)
}

/// Writes one frame unless it is there; tells whether it was new.
fn write_frame(
    source: &Source,
    frame: &SampledFrame,
    known: &Known,
    folder: &Path,
) -> Result<bool, MediaError> {
    let name = frame_name(source, frame);
    if !known.insert(&name) {
        return Ok(false);
    }
    let place = folder.join(name.to_file_name());
    files::write(&place, &frame.to_jpeg()?, Durability::Renamed)?;
    Ok(true)
}

/// The name of a frame; its id comes from source, time in microseconds and width.
fn frame_name(source: &Source, frame: &SampledFrame) -> FrameName {
    let micros = (frame.time_secs * 1e6).round() as i64;
    let mut hasher = blake3::Hasher::new();
    hasher.update(source.id.as_str().as_bytes());
    hasher.update(&micros.to_le_bytes());
    hasher.update(&frame.size().0.to_le_bytes());
    FrameName {
        stem: still::stem(Path::new(&source.name)),
        source: source.id.clone(),
        time_secs: Some(frame.time_secs),
        id: hex8(&hasher.finalize()),
        extension: "jpg".into(),
    }
}

/// The first 8 hexadecimal digits.
pub(super) fn hex8(hash: &blake3::Hash) -> String {
    hash.to_hex().chars().take(8).collect()
}
