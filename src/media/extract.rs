//! Writes the frames of a video to its class folder. It can be interrupted and resumed.

use std::collections::HashSet;
use std::path::Path;

use crossbeam_channel::bounded;

use crate::files::{self, Durability};
use crate::jobs::{Cancelled, Work};
use crate::project::{FrameName, Label, Neighbours, Project, Source, SourceId};

use super::import::{Decoded, FrameReader, MediaOrigin};
use super::known::{Known, Place};
use super::sample::decoder_threads;
use super::{JpegFrame, MediaError, still};

/// The most frames waiting to be written.
const WAITING_FRAMES: usize = 4;

/// Writes the frames of a source that the project does not have yet. Returns how many were written.
///
/// Frames that were moved to another label or to the trash count as existing. After an error or a cancellation, frames
/// written before stay, and the next extraction continues from there. If the source is removed meanwhile, its
/// extraction ends as if cancelled.
pub fn extract(project: &Project, source: &SourceId, work: &Work) -> Result<u64, MediaError> {
    // The source was removed while this was waiting.
    let Some(source) = project.source(source) else {
        return Err(Cancelled.into());
    };
    project.check_writable()?;
    work.stage("Extracting frames", expected_frames(&source));
    let known = Known::of(project, work)?;
    let done = Decoded
        .frames(&source, decoder_threads())
        .and_then(|frames| extract_source(project, &source, frames, None, &known, work));
    let done = project.blame(done)?;
    if source.replacing {
        let left = frames_beside(project, &source.id, &done.ids, work)?.len();
        if left == 0 {
            project.change_source(&source.id, |source| source.replacing = false)?;
        } else {
            work.warn(format!(
                "“{}”: {left} frames of an earlier extraction are still there, because their replacement was interrupted; import the video again to finish it, or delete them",
                source.name
            ));
        }
    }
    Ok(done.written.len() as u64)
}

/// The frames of a source that a sampling would not take.
pub(super) fn frames_beside(
    project: &Project,
    source: &SourceId,
    ids: &HashSet<String>,
    work: &Work,
) -> Result<Vec<String>, MediaError> {
    let mut frames = project.scan(work)?.list;
    frames.retain(|frame| {
        let name = FrameName::parse(frame.file_name());
        frame.source.as_ref() == Some(source) && !name.is_some_and(|name| ids.contains(&name.id))
    });
    Ok(frames.into_iter().map(|frame| frame.path).collect())
}

/// The expected number of frames of the source.
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

/// The result of an extraction.
pub(super) struct Extracted {
    /// Paths of the frames that were written, relative to the project's root.
    pub(super) written: Vec<String>,
    /// Identities of all frames that the sampling takes.
    pub(super) ids: HashSet<String>,
    /// How many of the written frames got the label of their neighbours.
    pub(super) like_neighbours: u64,
}

/// [`extract`] within a running stage. A frame whose `neighbours` determine its label gets that label when it is
/// written, so that an interrupted extraction leaves nothing to be done for it.
pub(super) fn extract_source(
    project: &Project,
    source: &Source,
    mut frames: Box<dyn FrameReader>,
    neighbours: Option<&Neighbours>,
    known: &Known<'_>,
    work: &Work,
) -> Result<Extracted, MediaError> {
    work.detail(source.name.clone());
    let label = source.class.clone().map_or(Label::Unsorted, Label::Class);
    let folder = project.label_dir(&label);
    project.make_dir(&folder)?;

    // Decoding continues while this thread writes.
    let (sender, receiver) = bounded::<JpegFrame>(WAITING_FRAMES);
    let (taken, done, warnings) = std::thread::scope(|scope| {
        let decoder = std::thread::Builder::new()
            .name("decode".into())
            .spawn_scoped(
                scope,
                move || -> Result<Box<dyn FrameReader>, MediaError> {
                    while let Some(frame) = frames.next_frame(work)? {
                        // A short film may have been decoded as a whole before its first frame is written.
                        work.check()?;
                        // The receiver is gone if writing has failed.
                        if sender.send(frame).is_err() {
                            break;
                        }
                    }
                    Ok(frames)
                },
            )
            .map_err(|error| MediaError::Ffmpeg(format!("start a thread: {error}")))?;
        let mut taken = 0;
        let mut done = Extracted {
            written: Vec::new(),
            ids: HashSet::new(),
            like_neighbours: 0,
        };
        let mut outcome = Ok(());
        for frame in receiver {
            taken += 1;
            match write_frame(project, source, neighbours, &frame, known, &mut done) {
                Ok(()) => {}
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
            work.advance(1);
        }
        let frames = match decoder.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        outcome?;
        Ok::<_, MediaError>((taken, done, frames?.warnings()))
    })?;

    for warning in &warnings {
        work.warn(warning.clone());
    }
    // Synced before the project records that they exist.
    if !done.written.is_empty() {
        let written: Vec<_> = done.written.iter().map(|path| project.abs(path)).collect();
        files::sync_files(project.root(), written.iter().map(AsRef::as_ref));
    }
    // A source that was removed meanwhile stays removed.
    project.change_source(&source.id, |source| {
        source.extracted = Some(taken);
        source.warnings = warnings;
    })?;
    Ok(done)
}

/// Writes one frame, unless it exists.
fn write_frame(
    project: &Project,
    source: &Source,
    neighbours: Option<&Neighbours>,
    frame: &JpegFrame,
    known: &Known<'_>,
    done: &mut Extracted,
) -> Result<(), MediaError> {
    let name = FrameName {
        stem: still::stem(Path::new(&source.name)),
        source: source.id.clone(),
        time_secs: Some(frame.time_secs),
        id: source.frame_id(frame.time_secs, frame.width_px),
        extension: "jpg".into(),
    };
    done.ids.insert(name.id.clone());
    // The class may have been deleted meanwhile.
    let near = neighbours
        .and_then(|neighbours| neighbours.label(frame.time_secs))
        .filter(|label| files::is_dir(project.label_dir(label)));
    let given = || source.class.clone().map_or(Label::Unsorted, Label::Class);
    let label = near.cloned().unwrap_or_else(given);
    let path = project.frame_path(&label, &name);
    let place = || Place {
        path: path.clone(),
        label: label.clone(),
        source: Some(source.id.clone()),
        trashed: false,
    };
    if known.frame(&name, place).is_none() {
        // Removed meanwhile: then no further frames are wanted.
        if !project.has_source(&source.id) {
            return Err(Cancelled.into());
        }
        files::write(&project.abs(&path), &frame.jpeg, Durability::Renamed)?;
        done.written.push(path);
        done.like_neighbours += u64::from(near.is_some());
    }
    Ok(())
}
