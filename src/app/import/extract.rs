//! Extracting the frames of videos.

use std::sync::Arc;
use std::time::Instant;

use super::{ImportAction, ImportState};
use crate::app::notes::Tone;
use crate::app::tasks::TaskId;
use crate::app::{Action, App, Command, Dialog, Lane, Session, expected_frames, words};
use crate::jobs::{JobError, Work};
use crate::media::{self, Amount, MediaError};
use crate::project::{Change, Project, Sampling, Source, SourceId, SourceKind, like_neighbours};

/// Extractions that were started while others were running; their progress is shown as one.
#[derive(Debug, Clone)]
pub struct Batch {
    /// When the first of them began.
    pub since: Instant,
    /// All sources.
    pub sources: usize,
    /// Sources that are finished.
    pub sources_done: usize,
    /// Those of them without an error.
    extracted: usize,
    /// Frames expected from all of them.
    pub frames: u64,
    /// Frames expected from the finished ones.
    pub frames_done: u64,
    /// What happens to the frames of videos that already had some.
    again: Option<AgainOptions>,
    /// New frames in videos that already had some.
    new: Vec<String>,
    /// Frames of another width that are replaced by new ones.
    replaced: Vec<String>,
    /// The number of new frames whose neighbours have another class.
    between: usize,
    /// The number of videos with warnings, which their cards show.
    odd: usize,
}

/// What happens to labels when a video is extracted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgainOptions {
    /// New frames between frames of the same label get this label.
    pub like_neighbours: bool,
    /// Frames of another width pass their labels to the new ones and are moved to the trash.
    pub replace: bool,
}

/// The result of extracting a video.
struct Extracted {
    /// Frames written.
    written: u64,
    /// For a video that had frames: the new frames and the previous ones.
    again: media::AgainFrames,
    /// The number of new frames whose neighbours have another class.
    between: usize,
    /// Whether the video has warnings.
    odd: bool,
    /// The duration of the extraction, seconds.
    secs: f64,
}

impl ImportState {
    /// Ends the batch if nothing of it is left.
    pub(in crate::app) fn settle_batch(&mut self) {
        if self.extracting.is_empty() {
            self.batch = None;
        }
    }
}

impl Session {
    /// Whether there are videos without extracted frames.
    #[must_use]
    pub fn has_unextracted(&self) -> bool {
        self.sources
            .iter()
            .any(|source| self.is_unextracted(source))
    }

    /// Whether the frames of `source` have not been extracted and are not being extracted.
    #[must_use]
    pub fn is_unextracted(&self, source: &Source) -> bool {
        source.kind == SourceKind::Video
            && source.extracted.is_none()
            && !self.import.extracting.contains_key(&source.id)
    }

    /// Whether the frames of `source` were extracted with other settings than the current ones.
    #[must_use]
    pub fn is_outdated(&self, source: &Source) -> bool {
        source.kind == SourceKind::Video
            && source.extracted.is_some()
            && source.sampling != self.import.sampling
            && !self.import.extracting.contains_key(&source.id)
    }

    /// Whether there are videos whose frames were extracted with other settings.
    #[must_use]
    pub fn has_outdated(&self) -> bool {
        self.sources.iter().any(|source| self.is_outdated(source))
    }

    /// The videos whose frames were extracted with other settings.
    #[must_use]
    pub fn outdated(&self) -> Vec<SourceId> {
        let outdated = self
            .sources
            .iter()
            .filter(|source| self.is_outdated(source));
        outdated.map(|source| source.id.clone()).collect()
    }
}

impl App {
    /// Asks what happens to existing frames if videos have some; extracts the others at once.
    pub(super) fn extract_asking(&mut self, ids: Vec<SourceId>) {
        let Some(session) = &self.session else {
            return;
        };
        let (again, new): (Vec<SourceId>, Vec<SourceId>) = ids.into_iter().partition(|id| {
            let source = session.source(id);
            source.is_some_and(|source| source.extracted.is_some())
                && session.snapshot.counts.source(id) > 0
        });
        self.extract_or_ask(new, None);
        if !again.is_empty() && self.dialog.is_none() {
            self.dialog = Some(Dialog::ExtractAgain {
                ids: again,
                how: AgainOptions {
                    like_neighbours: true,
                    replace: true,
                },
            });
        }
    }

    /// Extracts, or asks first if there are very many frames.
    pub(super) fn extract_or_ask(&mut self, ids: Vec<SourceId>, again: Option<AgainOptions>) {
        let Some(session) = &self.session else {
            return;
        };
        let sampling = &session.import.sampling;
        let frames = ids.iter().filter_map(|id| {
            let source = session.source(id)?;
            expected_frames(source.duration_secs, sampling)
        });
        let amount = Amount::of(frames.sum(), sampling, &session.root);
        if amount.is_much() {
            self.dialog = Some(Dialog::ExtractMuch { ids, again, amount });
            return;
        }
        for id in ids {
            self.extract(id, again);
        }
    }

    pub(super) fn extract(&mut self, id: SourceId, again: Option<AgainOptions>) {
        if !self.may_change() {
            return;
        }
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
        let of = source.clone();
        let expected = expected_frames(source.duration_secs, &sampling).unwrap_or(0);
        let other_width = source.sampling.width_px != sampling.width_px;
        let batch = session.import.batch.get_or_insert_with(|| Batch {
            since: Instant::now(),
            sources: 0,
            sources_done: 0,
            extracted: 0,
            frames: 0,
            frames_done: 0,
            again: None,
            new: Vec::new(),
            replaced: Vec::new(),
            between: 0,
            odd: 0,
        });
        batch.sources += 1;
        batch.frames += expected;
        batch.again = again.or(batch.again);
        let task = self.tasks.start_as(
            Lane::Extract,
            "Extracting frames",
            false,
            move |work| extract(&project, &source, sampling, work),
            move |app, task, result| {
                let other_width = other_width && again.is_some();
                app.extracted(&of, task, (expected, other_width), result);
            },
        );
        if let Some(session) = &mut self.session {
            session.import.extracting.insert(id, task);
        }
    }

    fn extracted(
        &mut self,
        source: &Source,
        task: TaskId,
        (expected, other_width): (u64, bool),
        result: Result<Extracted, JobError>,
    ) {
        let id = &source.id;
        let current = |session: &&mut Session| session.import.extracting.get(id) == Some(&task);
        let Some(session) = self.session.as_mut().filter(current) else {
            return;
        };
        session.import.extracting.remove(id);
        let left = session.import.extracting.len();
        // Applied at once; the project is read again below.
        let sampling = session.import.sampling;
        let before = session.snapshot.counts.source(id) as u64;
        if let Ok(done) = &result
            && let Some(source) = session.sources.iter_mut().find(|source| source.id == *id)
        {
            source.extracted = Some(before + done.written);
            source.sampling = sampling;
        }
        let took = result.as_ref().ok().map(|done| done.secs);
        let failed = match result {
            Ok(done) => {
                if let Some(batch) = &mut session.import.batch {
                    batch.between += done.between;
                    batch.odd += usize::from(done.odd);
                    batch.new.extend(done.again.new);
                    if other_width && batch.again.is_some_and(|again| again.replace) {
                        batch.replaced.extend(done.again.before);
                    }
                }
                None
            }
            Err(error) => Some(error),
        };
        if let Some(batch) = &mut session.import.batch {
            batch.sources_done += 1;
            batch.extracted += usize::from(failed.is_none());
            batch.frames_done += expected;
        }
        let batch = session.import.batch.take_if(|_| left == 0);
        if let Some(secs) = took {
            self.saw_pace(source, secs);
        }
        match failed {
            Some(JobError::Cancelled) | None => {}
            Some(error) => {
                self.fail(error.to_string());
            }
        }
        if let Some(batch) = batch.filter(|batch| batch.extracted > 0) {
            self.all_extracted(batch);
        }
        self.refresh();
    }

    /// Everything is extracted: labels new frames between others, and reports the result.
    fn all_extracted(&mut self, batch: Batch) {
        let videos = words::count(batch.extracted as u64, "video");
        let mut text = format!("Frames extracted from {videos}");
        if batch.odd > 0 {
            let odd = words::counted(batch.odd as u64, "warning", "warnings");
            let cards = if batch.odd == 1 { "card" } else { "cards" };
            text = format!("{text}; {odd} on the {cards}");
        }
        let change = Change::LikeNeighbours {
            frames: batch.new,
            replaced: batch.replaced.clone(),
        };
        let between = words::frames(batch.between);
        let asked = batch.again.is_some_and(|again| again.like_neighbours);
        let mut remedy = Some(("Label them".to_owned(), Action::Command(Command::GoLabel)));
        if !batch.replaced.is_empty() {
            let replaced = words::frames(batch.replaced.len());
            text = format!("{text}; {replaced} of another width moved to the trash");
            self.edit(change);
        } else if batch.between > 0 && asked {
            let verb = if batch.between == 1 { "has" } else { "have" };
            text = format!("{text}; {between} between labelled ones now {verb} their class");
            self.edit(change);
        } else if batch.between > 0 {
            let verb = if batch.between == 1 { "lies" } else { "lie" };
            text = format!("{text}. {between} {verb} between labelled ones");
            remedy = Some((
                "Give them the class of their neighbours".to_owned(),
                Action::Import(ImportAction::LikeNeighbours(change)),
            ));
        }
        let note = self.notes.add(Tone::Done, text);
        note.remedy = remedy;
        if batch.between > 0 && !asked {
            // A question does not disappear while it is read.
            note.until = None;
        }
    }
}

fn extract(
    project: &Project,
    source: &Source,
    sampling: Sampling,
    work: &Work,
) -> Result<Extracted, MediaError> {
    if source.sampling != sampling {
        project.change_source(&source.id, |source| {
            source.sampling = sampling;
            source.extracted = None;
        })?;
    }
    let again = media::extract_again(project, &source.id, work)?;
    // Without pauses.
    let secs = work.progress().started.elapsed().as_secs_f64();
    let written = again.new.len() as u64;
    // Warnings that are stored with the source are shown on its card; only the others are reported.
    let standing = project
        .source(&source.id)
        .map_or_else(Vec::new, |source| source.warnings);
    for warning in work.take_warnings() {
        if !standing.contains(&warning) {
            work.warn(warning);
        }
    }
    let odd = !standing.is_empty();
    if again.before.is_empty() {
        return Ok(Extracted {
            written,
            again: media::AgainFrames::default(),
            between: 0,
            odd,
            secs,
        });
    }
    let frames = project.scan(work)?;
    let between = like_neighbours(&frames, &again.new).len();
    Ok(Extracted {
        written,
        again,
        between,
        odd,
        secs,
    })
}
