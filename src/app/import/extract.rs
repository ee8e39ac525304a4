//! Writing the frames of videos.

use std::sync::Arc;
use std::time::Instant;

use super::ImportState;
use crate::app::notes::Tone;
use crate::app::{Action, App, Command, Lane, Session, expected_frames, words};
use crate::jobs::{JobError, Work};
use crate::media::{self, MediaError};
use crate::project::{Project, Sampling, Source, SourceId, SourceKind};

/// Extractions that were asked for while others were under way; counted as one.
#[derive(Debug, Clone)]
pub struct Batch {
    /// When the first of them began.
    pub since: Instant,
    /// All sources.
    pub sources: usize,
    /// Sources that are through.
    pub sources_done: usize,
    /// Frames expected from all of them.
    pub frames: u64,
    /// Frames expected from those that are through.
    pub frames_done: u64,
}

impl ImportState {
    /// Ends the batch when nothing of it is left.
    pub(in crate::app) fn settle_batch(&mut self) {
        if self.extracting.is_empty() {
            self.batch = None;
        }
    }
}

impl Session {
    /// Whether there are videos whose frames have not been written.
    #[must_use]
    pub fn has_unextracted(&self) -> bool {
        self.sources
            .iter()
            .any(|source| self.is_unextracted(source))
    }

    /// Whether the frames of `source` have not been written and are not being written.
    #[must_use]
    pub fn is_unextracted(&self, source: &Source) -> bool {
        source.kind == SourceKind::Video
            && source.extracted.is_none()
            && !self.import.extracting.contains_key(&source.id)
    }
}

impl App {
    pub(super) fn extract(&mut self, id: SourceId) {
        self.save_import_settings(true);
        let Some(session) = &mut self.session else {
            return;
        };
        let Some(source) = session.source(&id).cloned() else {
            return;
        };
        if source.kind != SourceKind::Video || session.import.extracting.contains_key(&id) {
            return;
        }
        let project = Arc::clone(&session.project);
        let sampling = session.import.sampling;
        let of = id.clone();
        let expected = expected_frames(source.duration_secs, &sampling).unwrap_or(0);
        let batch = session.import.batch.get_or_insert_with(|| Batch {
            since: Instant::now(),
            sources: 0,
            sources_done: 0,
            frames: 0,
            frames_done: 0,
        });
        batch.sources += 1;
        batch.frames += expected;
        let task = self.tasks.start(
            Lane::Extract,
            "Extracting frames",
            false,
            move |work| extract(&project, source, sampling, work),
            move |app, result| app.extracted(&of, expected, result),
        );
        if let Some(session) = &mut self.session {
            session.import.extracting.insert(id, task);
        }
    }

    fn extracted(&mut self, id: &SourceId, expected: u64, result: Result<u64, JobError>) {
        let Some(session) = &mut self.session else {
            return;
        };
        session.import.extracting.remove(id);
        let left = session.import.extracting.len();
        // Known at once; the project is read again below.
        let sampling = session.import.sampling;
        let before = session.snapshot.counts.source(id) as u64;
        if let Ok(written) = &result
            && let Some(source) = session.sources.iter_mut().find(|source| source.id == *id)
        {
            source.extracted = Some(before + written);
            source.sampling = sampling;
        }
        let mut through = 0;
        if let Some(batch) = &mut session.import.batch {
            batch.sources_done += 1;
            batch.frames_done += expected;
            through = batch.sources_done;
        }
        session.import.settle_batch();
        match result {
            Ok(_) if left == 0 => {
                let videos = words::count(through as u64, "video", "videos");
                let text = format!("Frames extracted from {videos}");
                let note = self.notes.add(Tone::Done, text);
                note.remedy = Some(("Label them".to_owned(), Action::Command(Command::GoLabel)));
            }
            Ok(_) | Err(JobError::Cancelled) => {}
            Err(error) => {
                self.fail(error.to_string());
            }
        }
        self.refresh();
    }
}

fn extract(
    project: &Project,
    mut source: Source,
    sampling: Sampling,
    work: &Work,
) -> Result<u64, MediaError> {
    let id = source.id.clone();
    if source.sampling != sampling {
        source.sampling = sampling;
        source.extracted = None;
        project.put_source(source)?;
    }
    media::extract(project, &id, work)
}
