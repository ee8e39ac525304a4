//! Videos: adds them as sources, and extracts their frames.

use std::collections::HashMap;

use crate::media::extract::{Extracted, expected_frames, frames_beside};
use crate::media::{Amount, MediaError, VideoInfo};
use crate::project::{ContentId, Frame, Label, Neighbour, Sampling, Source, SourceId, SourceKind};

use super::at_once::extract_parallel;
use super::origin::FilmFacts;
use super::outcome::{Fate, FileReport, Known};
use super::plan::{PlanGroup, PlannedFile};
use super::{COPY_CAME_FIRST, Importing, OnConflict, Videos, name_of};

/// A video that is to be extracted.
pub(super) struct Queued {
    file: PlannedFile,
    pub(super) source: Source,
    /// How to report it if no frame is missing; `None` for a new source.
    known: Option<Known>,
    /// The source before the import, and its number of frames; `None` for a new one.
    before: Option<(Source, u64)>,
    /// Whether its other frames are removed.
    replace: bool,
    /// Which labels its new frames get from neighbours; `None` for the class of the source.
    pub(super) neighbour: Option<Neighbour>,
}

impl Importing<'_> {
    /// Imports the videos of all groups.
    pub(super) fn films<'g>(
        &mut self,
        groups: impl Iterator<Item = &'g PlanGroup>,
    ) -> Result<(), MediaError> {
        let mut films = Vec::new();
        for group in groups {
            films.extend(
                group
                    .files
                    .iter()
                    .filter(|f| f.is_video())
                    .map(|f| (group, f)),
            );
        }
        if films.is_empty() {
            return Ok(());
        }
        let mut queue = Vec::new();
        self.work.stage("Reading videos", Some(films.len() as u64));
        for (group, file) in films {
            self.work.check()?;
            self.work.detail(name_of(&file.path));
            if let Err(error) = self.film(group, file, &mut queue) {
                self.fail_with(file, error)?;
            }
            self.work.advance(1);
        }
        self.extract_all(queue)
    }

    /// Adds a video, or finds it in the project.
    fn film(
        &mut self,
        group: &PlanGroup,
        file: &PlannedFile,
        queue: &mut Vec<Queued>,
    ) -> Result<(), MediaError> {
        let FilmFacts {
            info: facts,
            content,
        } = self.origin.film(&file.path, self.work)?;
        let found = self
            .project
            .source_of_file(&file.path, &content, self.work)?;
        if let Some(first) = found.as_ref().and_then(|found| {
            let mut queued = queue.iter();
            queued.find(|queued| queued.source.id == found.id)
        }) {
            self.same_film(group, file, first);
            return Ok(());
        }
        if let Some(before) = found {
            return self.known_film(group, file, &before, &content, &facts, queue);
        }
        if !self.has_class(group.class.as_ref(), file)? {
            return Ok(());
        }
        let source = Source {
            class: group.class.clone(),
            sampling: self.options.sampling,
            duration_secs: facts.duration_secs,
            recorded: facts.recorded,
            given_split: group.side,
            ..Source::new(
                content.into(),
                SourceKind::Video,
                name_of(&file.path),
                file.path.clone(),
            )
        };
        self.outcome.record.sources.push(source.id.clone());
        if group.class.is_some() {
            self.placed_films.insert(source.id.clone());
        }
        self.project.put_source(source.clone())?;
        match self.options.videos {
            Videos::Extract => queue.push(Queued {
                file: file.clone(),
                source,
                known: None,
                before: None,
                replace: false,
                neighbour: None,
            }),
            Videos::AddOnly => self.report(FileReport {
                path: file.path.clone(),
                kind: Some(file.kind),
                fate: Fate::Imported {
                    class: source.class,
                    source: source.id,
                    frames: 0,
                    place: None,
                    asked: None,
                    moved: false,
                    replaced: 0,
                    note: None,
                },
            }),
        }
        Ok(())
    }

    /// Another file of this import is the same film, and is already queued.
    fn same_film(&mut self, group: &PlanGroup, file: &PlannedFile, first: &Queued) {
        let class = first.source.class.clone();
        let label = class.map_or(Label::Unsorted, Label::Class);
        let asked = Self::other_class(group.class.as_ref(), &label);
        self.sides.put(&first.source.id, first.source.given_split);
        let mut note = self.sides.differs(group.side, &first.source.id);
        if asked.is_some() && self.options.on_conflict == OnConflict::Move {
            note.get_or_insert_with(|| COPY_CAME_FIRST.to_owned());
        }
        self.report(FileReport {
            path: file.path.clone(),
            kind: Some(file.kind),
            fate: Fate::Known(Known {
                asked,
                label,
                source: Some(first.source.id.clone()),
                place: first.file.path.display().to_string(),
                trashed: false,
                moved: false,
                note,
            }),
        });
    }

    /// A video that the project has: differences are reported, or applied if the options request it.
    fn known_film(
        &mut self,
        group: &PlanGroup,
        file: &PlannedFile,
        before: &Source,
        content: &ContentId,
        facts: &VideoInfo,
        queue: &mut Vec<Queued>,
    ) -> Result<(), MediaError> {
        let mut source = before.clone();
        let label = before.class.clone().map_or(Label::Unsorted, Label::Class);
        let asked = Self::other_class(group.class.as_ref(), &label);
        let mut known = Known {
            label,
            source: Some(before.id.clone()),
            place: before.path.display().to_string(),
            trashed: false,
            asked,
            moved: false,
            note: None,
        };
        if before.kind != SourceKind::Video {
            // Its frames came from another project; this is the film itself.
            source.kind = SourceKind::Video;
            source.name = name_of(&file.path);
            source.path.clone_from(&file.path);
            source.duration_secs = facts.duration_secs;
            source.recorded = facts.recorded;
            source.sampling = self.options.sampling;
            source.extracted = None;
        } else if !before.path.exists() {
            // The file was moved and is found again.
            source.path.clone_from(&file.path);
        }
        if before.id.is_legacy() {
            source.content = Some(*content);
        }
        known.note = self.film_side(group.side, &mut source);
        // Of several copies in one import, the first decides.
        let first = group.class.is_none() || self.placed_films.insert(before.id.clone());
        if !first && known.asked.is_some() && self.options.on_conflict == OnConflict::Move {
            known.note.get_or_insert_with(|| COPY_CAME_FIRST.to_owned());
        }
        if let Some(class) = known.asked.clone()
            && self.options.on_conflict == OnConflict::Move
            && first
            && self.has_class(Some(&class), file)?
        {
            self.remember(before);
            let frames = self.frames_of(&before.id, &known.label)?;
            let to = Label::Class(class.clone());
            let now = self.project.relabel(&frames, &to, self.work)?;
            let pairs = frames.into_iter().zip(now);
            let moved = pairs.filter(|(old, new)| old != new);
            self.outcome.record.moved.extend(moved);
            source.class = Some(class);
            known.label = to;
            known.moved = true;
        }

        let wanted = self.options.sampling;
        let another_range = before.sampling.from_secs != wanted.from_secs
            || before.sampling.to_secs != wanted.to_secs;
        let broken_off = before.replacing;
        let other = is_other_sampling(&before.sampling, &wanted, facts.width_px)
            || broken_off && another_range;
        let has_frames = self.known.count(&before.id) > 0;
        let mut replace = false;
        let extract = if before.kind != SourceKind::Video
            || before.extracted.is_none() && !has_frames
        {
            source.sampling = wanted;
            self.options.videos == Videos::Extract
        } else if self.options.videos == Videos::AddOnly || other && !self.adds(before) {
            if broken_off {
                known.note = Some(format!(
                    "replacing its frames by those at {} was interrupted, and the old ones are still there; import it with --replace to finish",
                    sampled(&before.sampling)
                ));
            } else if other && self.options.videos == Videos::Extract {
                known.note = Some(format!(
                    "its frames were extracted at {}; they were kept, and none were added",
                    sampled(&before.sampling)
                ));
            }
            false
        } else if other {
            source.sampling = wanted;
            source.extracted = None;
            replace = self.options.replace;
            if replace {
                source.begin_edition();
            }
            true
        } else {
            source.sampling = Sampling {
                from_secs: wanted.from_secs,
                to_secs: wanted.to_secs,
                ..before.sampling
            };
            let complete = before
                .extracted
                .is_some_and(|count| self.known.count(&before.id) >= count);
            // An interrupted extraction is completed in any case.
            replace =
                broken_off || self.options.replace && before.extracted.is_none() && !another_range;
            replace || another_range || !complete
        };
        source.replacing = replace || broken_off && has_frames;
        if source != *before {
            self.remember(before);
            self.project.put_source(source.clone())?;
        }
        if extract {
            queue.push(Queued {
                file: file.clone(),
                source,
                known: Some(known),
                before: Some((before.clone(), self.known.count(&before.id))),
                replace,
                neighbour: if replace {
                    Some(Neighbour::Nearest)
                } else {
                    self.options.like_neighbours.then_some(Neighbour::Agreeing)
                },
            });
        } else {
            self.report(FileReport {
                path: file.path.clone(),
                kind: Some(file.kind),
                fate: Fate::Known(known),
            });
        }
        Ok(())
    }

    /// Whether frames of another sampling may be added to those of a source, or replace them.
    fn adds(&self, before: &Source) -> bool {
        self.options.replace || self.options.like_neighbours && !before.replacing
    }

    /// The frames of a source with this label.
    fn frames_of(&self, source: &SourceId, label: &Label) -> Result<Vec<String>, MediaError> {
        let frames = self.project.scan(self.work)?.list.into_iter();
        Ok(frames
            .filter(|frame| frame.source.as_ref() == Some(source) && frame.label == *label)
            .map(|frame| frame.path)
            .collect())
    }

    /// Extracts the queued videos, several at a time, and reports them.
    fn extract_all(&mut self, queue: Vec<Queued>) -> Result<(), MediaError> {
        if queue.is_empty() {
            return Ok(());
        }
        let total: u64 = queue
            .iter()
            .filter_map(|queued| expected_frames(&queued.source))
            .sum();
        let amount = Amount::of(total, &self.options.sampling, self.project.root());
        if amount.is_much() && !self.options.force {
            for queued in &queue {
                self.take_off(queued)?;
            }
            return Err(MediaError::Much(amount));
        }
        self.work.stage("Extracting frames", Some(total));
        let mut frames: HashMap<SourceId, Vec<Frame>> = queue
            .iter()
            .filter(|queued| queued.neighbour.is_some())
            .map(|queued| (queued.source.id.clone(), Vec::new()))
            .collect();
        if !frames.is_empty() {
            for frame in self.project.scan(self.work)?.list {
                if let Some(of) = frame.source.as_ref().and_then(|id| frames.get_mut(id)) {
                    of.push(frame);
                }
            }
        }
        let results = extract_parallel(
            self.project,
            &queue,
            &frames,
            &self.known,
            self.origin,
            self.work,
        );
        let mut end = Ok(());
        for (queued, result) in queue.into_iter().zip(results) {
            let done = match result {
                Some(Ok(extracted)) => self.extracted(queued, &extracted),
                Some(Err(error)) => self.not_extracted(&queued, error),
                // The import ended before this video was begun.
                None => Ok(()),
            };
            if let Err(error) = done
                && end.is_ok()
            {
                end = Err(error);
            }
        }
        end
    }

    fn extracted(&mut self, queued: Queued, extracted: &Extracted) -> Result<(), MediaError> {
        let Queued {
            file,
            source,
            known,
            before: _,
            replace,
            neighbour,
        } = queued;
        let frames = extracted.written.len() as u64;
        if known.is_some() {
            let record = &mut self.outcome.record;
            record.frames.extend(extracted.written.iter().cloned());
        } else {
            let written = extracted.written.clone();
            self.written.insert(source.id.clone(), written);
        }
        let mut note = None;
        let mut gone = 0;
        if replace {
            gone = self.replace(&source.id, extracted)?;
            if gone > 0 {
                note = Some(format!(
                    "{gone} frames of the earlier extraction are in the trash"
                ));
            }
            if let Some(note) = note.as_ref().filter(|_| !self.options.replace) {
                self.work.warn(format!(
                    "The interrupted replacement of the frames of “{}” is now finished: {note}.",
                    file.path.display()
                ));
            }
        } else if neighbour.is_some() && extracted.like_neighbours > 0 {
            note = Some(format!(
                "{} of its new frames got the class of their neighbours in time",
                extracted.like_neighbours
            ));
        }
        let now = self.project.source(&source.id);
        let note = note.or_else(|| now.and_then(|source| source.warnings.into_iter().next()));
        let fate = match known {
            Some(known) if frames == 0 && !replace => Fate::Known(known),
            known => {
                let (asked, moved, before) = known
                    .map(|known| (known.asked, known.moved, known.note))
                    .unwrap_or_default();
                let notes: Vec<String> = before.into_iter().chain(note).collect();
                Fate::Imported {
                    class: source.class,
                    source: source.id,
                    frames,
                    place: None,
                    asked,
                    moved,
                    replaced: gone,
                    note: (!notes.is_empty()).then(|| notes.join("; ")),
                }
            }
        };
        self.report(FileReport {
            path: file.path,
            kind: Some(file.kind),
            fate,
        });
        Ok(())
    }

    /// A video without usable frames leaves no source and no class behind; an existing one stays as it was.
    fn not_extracted(&mut self, queued: &Queued, error: MediaError) -> Result<(), MediaError> {
        self.fail_with(&queued.file, error)?;
        self.take_off(queued)
    }

    /// Restores the state before a video: a new source without frames is removed.
    fn take_off(&mut self, queued: &Queued) -> Result<(), MediaError> {
        let id = &queued.source.id;
        if queued.known.is_none() && self.frames_left(id)? == 0 {
            self.project.remove_source(id)?;
            self.outcome.record.sources.retain(|source| source != id);
            if let Some(class) = &queued.source.class {
                self.drop_class(class)?;
            }
        }
        if let Some((before, count)) = &queued.before
            && before.kind == SourceKind::Video
            && self.known.count(id) == *count
        {
            self.project.change_source(id, |source| {
                source.sampling = before.sampling;
                source.extracted = before.extracted;
                source.replacing = before.replacing;
                source.edition = before.edition;
            })?;
        }
        Ok(())
    }

    fn frames_left(&self, id: &SourceId) -> Result<usize, MediaError> {
        let frames = self.project.scan(self.work)?;
        let of = |source: &Option<SourceId>| source.as_ref() == Some(id);
        Ok(frames.list.iter().filter(|f| of(&f.source)).count())
    }

    /// Moves frames that the sampling does not take to the trash; new frames get the labels of those near them.
    /// Returns how many were moved.
    fn replace(&mut self, source: &SourceId, extracted: &Extracted) -> Result<u64, MediaError> {
        let old = frames_beside(self.project, source, &extracted.ids, self.work)?;
        if self.frames_left(source)? == old.len() {
            // All of the new ones are in the trash: nothing would replace the others.
            return Ok(0);
        }
        let trashed = self.project.trash(&old, self.work)?;
        let count = old.len() as u64;
        let pairs = old.into_iter().zip(trashed);
        self.outcome.record.moved.extend(pairs);
        let done = |source: &mut Source| source.replacing = false;
        self.project.change_source(source, done)?;
        Ok(count)
    }
}

/// Whether two samplings give frames that differ in times or size. Another range of the same film is no conflict.
fn is_other_sampling(a: &Sampling, b: &Sampling, film_px: u32) -> bool {
    let width = |sampling: &Sampling| sampling.width_px.unwrap_or(film_px).min(film_px);
    a.fps != b.fps || width(a) != width(b)
}

/// A sampling described in words: "2 a second, 500 pixels wide".
fn sampled(sampling: &Sampling) -> String {
    let width = match sampling.width_px {
        Some(px) => format!("{px} pixels wide"),
        None => "as wide as the video".to_owned(),
    };
    format!("{} per second, {width}", sampling.fps.0)
}
