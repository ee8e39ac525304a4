//! The frames that a project already has: under any label, or in the trash.

use std::collections::HashMap;

use parking_lot::{Mutex, MutexGuard};

use crate::files;
use crate::jobs::Work;
use crate::project::{ContentId, Frame, FrameName, Label, Project, SourceId};

use super::MediaError;

/// The place of a frame in the project.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// Relative to the project's root.
    pub(super) path: String,
    /// Its label, or the label that it had before it was moved to the trash.
    pub(super) label: Label,
    pub(super) source: Option<SourceId>,
    pub(super) trashed: bool,
}

/// The frames of a project by identity. It is built from a listing of file names; a file is accessed only when an
/// imported file has the same name.
pub(super) struct Known<'a> {
    project: &'a Project,
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    /// Frames of videos by source, identity and time in microseconds.
    frames: HashMap<SourceId, HashMap<(String, i64), Vec<Entry>>>,
    /// Photos by the identity in their names.
    photos: HashMap<String, Vec<Entry>>,
    /// Files added by hand, whose names contain no identity.
    others: Vec<Place>,
    /// `others` by length in bytes; made when an image is first searched that no name matches.
    others_by_length: Option<HashMap<u64, Vec<Place>>>,
}

/// A listed file.
struct Entry {
    place: Place,
    /// Whether it was checked, and is not empty. After a power failure a file may exist with its name only.
    is_sure: bool,
}

impl<'a> Known<'a> {
    /// Lists the project.
    pub(super) fn of(project: &'a Project, work: &Work) -> Result<Self, MediaError> {
        let mut index = Index::default();
        for (frames, trashed) in [
            (project.scan(work)?, false),
            (project.scan_trash(work)?, true),
        ] {
            for frame in frames.list {
                index.add(frame, trashed);
            }
        }
        Ok(Self {
            project,
            index: Mutex::new(index),
        })
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock()
    }

    /// The place of a video's frame if it exists; otherwise records that it will be at `place`.
    pub(super) fn frame(&self, name: &FrameName, place: impl FnOnce() -> Place) -> Option<Place> {
        let mut index = self.index();
        let of_source = index.frames.entry(name.source.clone()).or_default();
        let entries = of_source.entry(key(name)).or_default();
        if let Some(found) = self.first(entries) {
            return Some(found);
        }
        entries.push(Entry {
            place: place(),
            is_sure: true,
        });
        None
    }

    /// The place of a video's frame, if it exists.
    pub(super) fn find_frame(&self, name: &FrameName) -> Option<Place> {
        let mut index = self.index();
        let of_source = index.frames.get_mut(&name.source)?;
        self.first(of_source.get_mut(&key(name))?)
    }

    /// The number of frames of a source. Checks each of them once.
    pub(super) fn count(&self, source: &SourceId) -> u64 {
        let mut index = self.index();
        let of_source = index.frames.get_mut(source).into_iter();
        let entries = of_source.flat_map(HashMap::values_mut);
        let mut count = 0;
        for entries in entries {
            entries.retain_mut(|entry| self.is_there(entry));
            count += entries.len() as u64;
        }
        count
    }

    /// The place of an image with these bytes. An identity of 128 bits is sufficient; for those of 32 bits (of earlier
    /// versions) and for files added by hand the bytes are compared.
    pub(super) fn photo(&self, content: &ContentId, bytes: &[u8]) -> Option<Place> {
        let id = content.to_string();
        let (sure, mut doubtful) = {
            let mut index = self.index();
            let sure = index.photos.get_mut(&id);
            let sure = sure.and_then(|entries| self.first(entries));
            if sure.as_ref().is_some_and(|place| !place.trashed) {
                return sure;
            }
            let short = index.photos.get(id.get(..8).unwrap_or_default());
            let short = short.into_iter().flatten();
            let doubtful: Vec<Place> = short.map(|entry| entry.place.clone()).collect();
            (sure, doubtful)
        };
        doubtful.extend(self.others_of(bytes.len() as u64));
        doubtful.retain(|place| self.has_bytes(place, bytes));
        let mut found: Vec<Place> = sure.into_iter().chain(doubtful).collect();
        // Prefer one that is not in the trash.
        found.sort_by_key(|place| place.trashed);
        found.into_iter().next()
    }

    /// Records a photo that is now at `place`.
    pub(super) fn add_photo(&self, content: &ContentId, place: Place) {
        let mut index = self.index();
        let entries = index.photos.entry(content.to_string()).or_default();
        entries.push(Entry {
            place,
            is_sure: true,
        });
    }

    /// Records the new path and label of a photo.
    pub(super) fn moved(&self, old: &str, path: &str, label: &Label) {
        let mut index = self.index();
        let Index {
            frames,
            photos,
            others,
            others_by_length,
        } = &mut *index;
        let frames = frames.values_mut().flat_map(HashMap::values_mut);
        let entries = photos.values_mut().chain(frames).flatten();
        let by_length = others_by_length.iter_mut().flat_map(HashMap::values_mut);
        let others = others.iter_mut().chain(by_length.flatten());
        for place in entries.map(|entry| &mut entry.place).chain(others) {
            if place.path == old {
                path.clone_into(&mut place.path);
                place.label = label.clone();
            }
        }
    }

    /// The first entry whose file is not empty; the others are removed.
    fn first(&self, entries: &mut Vec<Entry>) -> Option<Place> {
        while let Some(first) = entries.first_mut() {
            if self.is_there(first) {
                return Some(first.place.clone());
            }
            entries.remove(0);
        }
        None
    }

    /// Whether a file is not empty; it is checked once.
    fn is_there(&self, entry: &mut Entry) -> bool {
        entry.is_sure = entry.is_sure || self.length(&entry.place).is_some_and(|bytes| bytes > 0);
        entry.is_sure
    }

    /// The length of a file in bytes.
    fn length(&self, place: &Place) -> Option<u64> {
        self.project.count_files(1);
        let facts = files::metadata(self.project.abs(&place.path));
        facts.ok().map(|facts| facts.len())
    }

    /// The files of this length that were added by hand.
    fn others_of(&self, bytes: u64) -> Vec<Place> {
        let mut index = self.index();
        let Index {
            others,
            others_by_length,
            ..
        } = &mut *index;
        let by_length = others_by_length.get_or_insert_with(|| {
            let mut by_length: HashMap<u64, Vec<Place>> = HashMap::new();
            for place in std::mem::take(others) {
                if let Some(bytes) = self.length(&place) {
                    by_length.entry(bytes).or_default().push(place);
                }
            }
            by_length
        });
        by_length.get(&bytes).cloned().unwrap_or_default()
    }

    /// Whether a file has exactly these bytes; `false` if it cannot be read.
    fn has_bytes(&self, place: &Place, bytes: &[u8]) -> bool {
        self.length(place) == Some(bytes.len() as u64)
            && files::read(self.project.abs(&place.path)).is_ok_and(|found| found == bytes)
    }
}

impl Index {
    fn add(&mut self, frame: Frame, trashed: bool) {
        let name = FrameName::parse(frame.file_name());
        let place = Place {
            path: frame.path,
            label: frame.label,
            source: frame.source,
            trashed,
        };
        let entries = match name {
            Some(name) if name.time_secs.is_some() => {
                let key = key(&name);
                let of_source = self.frames.entry(name.source).or_default();
                of_source.entry(key).or_default()
            }
            Some(name) => self.photos.entry(name.id).or_default(),
            None => return self.others.push(place),
        };
        entries.push(Entry {
            place,
            is_sure: false,
        });
    }
}

/// Identity and time in microseconds.
fn key(name: &FrameName) -> (String, i64) {
    let micros = (name.time_secs.unwrap_or(-1.0) * 1e6).round() as i64;
    (name.id.clone(), micros)
}
