//! Which frames are in the project already: under any label, or in the trash.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::jobs::Work;
use crate::project::{ContentId, Frame, FrameName, Label, Project, SourceId};

use super::MediaError;

/// A frame of the project.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// Relative to the project's root.
    pub(super) path: String,
    /// The label that it has, or had before it was put into the trash.
    pub(super) label: Label,
    pub(super) source: Option<SourceId>,
    pub(super) trashed: bool,
}

/// The frames of a project by what tells them apart.
pub(super) struct Known {
    root: PathBuf,
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    /// Frames of videos by source, id and time in microseconds.
    frames: HashMap<(SourceId, String, i64), Place>,
    /// How many frames each source has.
    counts: HashMap<SourceId, u64>,
    /// Photos by the id in their names.
    photos: HashMap<String, Vec<Place>>,
    /// Files that were put in by hand, by length: their names tell nothing.
    others: HashMap<u64, Vec<Place>>,
}

impl Known {
    /// Looks through the project.
    pub(super) fn of(project: &Project, work: &Work) -> Result<Self, MediaError> {
        let mut index = Index::default();
        for (frames, trashed) in [
            (project.scan(work)?, false),
            (project.scan_trash(work)?, true),
        ] {
            project.count_files(frames.list.len() as u64);
            for frame in frames.list {
                // After a power cut a file may be there by name only; it is written again.
                let Ok(facts) = fs::metadata(frame.abs(project)) else {
                    continue;
                };
                if facts.len() > 0 {
                    index.add(frame, facts.len(), trashed);
                }
            }
        }
        Ok(Self {
            root: project.root().to_owned(),
            index: Mutex::new(index),
        })
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a video's frame is, or notes that it will be at `place`.
    pub(super) fn frame(&self, name: &FrameName, place: impl FnOnce() -> Place) -> Option<Place> {
        let key = key(name);
        let mut index = self.index();
        if let Some(found) = index.frames.get(&key) {
            return Some(found.clone());
        }
        *index.counts.entry(name.source.clone()).or_default() += 1;
        index.frames.insert(key, place());
        None
    }

    /// Where a video's frame is, if it is there.
    pub(super) fn find_frame(&self, name: &FrameName) -> Option<Place> {
        self.index().frames.get(&key(name)).cloned()
    }

    /// How many frames of a source there are.
    pub(super) fn count(&self, source: &SourceId) -> u64 {
        self.index().counts.get(source).copied().unwrap_or(0)
    }

    /// Where an image with these bytes is. An id of 128 bits is believed; for one of 32 bits (an earlier
    /// version's) and for files put in by hand the bytes are compared.
    pub(super) fn photo(&self, content: &ContentId, bytes: &[u8]) -> Option<Place> {
        let (sure, mut doubtful) = {
            let index = self.index();
            let listed = |id: &str| index.photos.get(id).cloned().unwrap_or_default();
            let id = content.to_string();
            let mut doubtful = listed(id.get(..8).unwrap_or_default());
            let length = bytes.len() as u64;
            doubtful.extend(index.others.get(&length).cloned().unwrap_or_default());
            (listed(&id), doubtful)
        };
        doubtful.retain(|place| same_bytes(&self.root.join(&place.path), bytes));
        let mut found: Vec<Place> = sure.into_iter().chain(doubtful).collect();
        // Rather one that is in use.
        found.sort_by_key(|place| place.trashed);
        found.into_iter().next()
    }

    /// Notes a photo that is at `place` now.
    pub(super) fn add_photo(&self, content: &ContentId, place: Place) {
        let id = content.to_string();
        self.index().photos.entry(id).or_default().push(place);
    }

    /// A photo has another path and label now.
    pub(super) fn moved(&self, old: &str, path: &str, label: &Label) {
        let mut index = self.index();
        let Index {
            frames,
            photos,
            others,
            ..
        } = &mut *index;
        let photos = photos.values_mut().chain(others.values_mut()).flatten();
        for place in photos.chain(frames.values_mut()) {
            if place.path == old {
                path.clone_into(&mut place.path);
                place.label = label.clone();
            }
        }
    }
}

impl Index {
    fn add(&mut self, frame: Frame, length: u64, trashed: bool) {
        let name = FrameName::parse(frame.file_name());
        let place = Place {
            path: frame.path,
            label: frame.label,
            source: frame.source,
            trashed,
        };
        match name {
            Some(name) if name.time_secs.is_some() => {
                *self.counts.entry(name.source.clone()).or_default() += 1;
                self.frames.entry(key(&name)).or_insert(place);
            }
            Some(name) => self.photos.entry(name.id).or_default().push(place),
            None => self.others.entry(length).or_default().push(place),
        }
    }
}

fn key(name: &FrameName) -> (SourceId, String, i64) {
    let micros = (name.time_secs.unwrap_or(-1.0) * 1e6).round() as i64;
    (name.source.clone(), name.id.clone(), micros)
}

/// Whether a file holds exactly these bytes; one that cannot be read does not.
fn same_bytes(path: &Path, bytes: &[u8]) -> bool {
    fs::metadata(path).is_ok_and(|facts| facts.len() == bytes.len() as u64)
        && fs::read(path).is_ok_and(|found| found == bytes)
}
