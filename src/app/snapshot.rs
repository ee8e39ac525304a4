//! The frames of a project at one moment: the frames, their screen order, their counts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Weak};

use super::words::Noun;
use crate::project::{Frame, FrameName, Frames, Label, Source, SourceId};

/// Counts of frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of frames with each label.
    pub by_label: HashMap<Label, usize>,
    /// The number of frames of each source.
    pub by_source: HashMap<SourceId, usize>,
    /// The number of frames with a class.
    pub labelled: usize,
    /// The number of frames without a class.
    pub unsorted: usize,
    /// The number of frames of videos; the others are photos.
    pub of_videos: usize,
}

impl Counts {
    fn of(frames: &Frames) -> Self {
        let mut counts = Self::default();
        for frame in &frames.list {
            counts.add(frame);
        }
        counts
    }

    fn remove(&mut self, frame: &Frame) {
        one_less(&mut self.by_label, &frame.label);
        let of_video = usize::from(frame.time_secs.is_some());
        self.of_videos = self.of_videos.saturating_sub(of_video);
        if let Some(source) = &frame.source {
            one_less(&mut self.by_source, source);
        }
        match frame.label {
            Label::Class(_) => self.labelled = self.labelled.saturating_sub(1),
            Label::Unsorted => self.unsorted = self.unsorted.saturating_sub(1),
        }
    }

    fn add(&mut self, frame: &Frame) {
        // Each name is copied once, not for every frame.
        match self.by_label.get_mut(&frame.label) {
            Some(count) => *count += 1,
            None => drop(self.by_label.insert(frame.label.clone(), 1)),
        }
        if let Some(source) = &frame.source {
            match self.by_source.get_mut(source) {
                Some(count) => *count += 1,
                None => drop(self.by_source.insert(source.clone(), 1)),
            }
        }
        self.of_videos += usize::from(frame.time_secs.is_some());
        match frame.label {
            Label::Class(_) => self.labelled += 1,
            Label::Unsorted => self.unsorted += 1,
        }
    }

    /// Frames with this label.
    #[must_use]
    pub fn label(&self, label: &Label) -> usize {
        self.by_label.get(label).copied().unwrap_or(0)
    }

    /// Frames of this source.
    #[must_use]
    pub fn source(&self, id: &SourceId) -> usize {
        self.by_source.get(id).copied().unwrap_or(0)
    }

    /// All frames.
    #[must_use]
    pub fn total(&self) -> usize {
        self.labelled + self.unsorted
    }

    /// Their noun: frames, photos, or images if there are both.
    #[must_use]
    pub fn noun(&self) -> Noun {
        match self.of_videos {
            0 if self.total() > 0 => Noun::Photo,
            of_videos if of_videos < self.total() => Noun::Image,
            _ => Noun::Frame,
        }
    }
}

/// Counts of zero are removed.
fn one_less<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The frames at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The frames.
    pub frames: Arc<Frames>,
    /// Indices into the frames in screen order: by source (oldest first), then by time. It does not depend on labels,
    /// so that nothing jumps when a frame is labelled.
    pub order: Arc<Vec<u32>>,
    /// Their counts.
    pub counts: Counts,
    /// The index of each frame in `order`.
    ranks: Arc<Vec<u32>>,
    by_path: Arc<ByPath>,
}

/// Finds a frame by its path without visiting the others. It holds hashes, so that no path is in memory twice.
#[derive(Debug, Clone, Default)]
struct ByPath(HashMap<u64, Found>);

#[derive(Debug, Clone, Copy)]
enum Found {
    /// Index of the only frame whose path has this hash.
    One(u32),
    /// Several frames have this hash; that practically never happens.
    Several,
}

impl ByPath {
    fn of(frames: &Frames) -> Self {
        let mut by_path = Self(HashMap::with_capacity(frames.list.len()));
        for (index, frame) in frames.list.iter().enumerate() {
            by_path.insert(&frame.path, index as u32);
        }
        by_path
    }

    fn hash(path: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        hasher.finish()
    }

    fn insert(&mut self, path: &str, index: u32) {
        match self.0.entry(Self::hash(path)) {
            Entry::Vacant(entry) => {
                entry.insert(Found::One(index));
            }
            Entry::Occupied(mut entry) => {
                entry.insert(Found::Several);
            }
        }
    }

    fn remove(&mut self, path: &str) {
        if let Entry::Occupied(entry) = self.0.entry(Self::hash(path))
            && matches!(entry.get(), Found::One(_))
        {
            entry.remove();
        }
    }

    fn find(&self, path: &str, list: &[Frame]) -> Option<u32> {
        let is_it = |index: u32| list.get(index as usize).is_some_and(|f| f.path == path);
        match self.0.get(&Self::hash(path))? {
            Found::One(index) => is_it(*index).then_some(*index),
            Found::Several => (0..list.len() as u32).find(|index| is_it(*index)),
        }
    }
}

impl Snapshot {
    /// Sorts and counts `frames`.
    #[must_use]
    pub fn of(frames: Frames, sources: &[Source]) -> Self {
        let place: HashMap<&SourceId, usize> = sources
            .iter()
            .enumerate()
            .map(|(place, source)| (&source.id, place))
            .collect();
        let key = |frame: &Frame| {
            let place = frame.source.as_ref().map_or(usize::MAX, |id| {
                place.get(id).copied().unwrap_or(usize::MAX - 1)
            });
            (place, frame.time_secs.unwrap_or(0.0))
        };
        let mut keyed: Vec<(usize, f64, u32)> = frames
            .list
            .iter()
            .enumerate()
            .map(|(index, frame)| {
                let (place, time) = key(frame);
                (place, time, index as u32)
            })
            .collect();
        keyed.sort_by(|a, b| {
            let frame = |index: u32| frames.list.get(index as usize);
            a.0.cmp(&b.0)
                .then_with(|| {
                    frame(a.2)
                        .map(|f| &f.source)
                        .cmp(&frame(b.2).map(|f| &f.source))
                })
                .then(a.1.total_cmp(&b.1))
                .then_with(|| frame(a.2).map(file_name).cmp(&frame(b.2).map(file_name)))
        });
        let order = keyed.into_iter().map(|(_, _, index)| index).collect();
        Self::with_order(frames, order)
    }

    fn with_order(frames: Frames, order: Vec<u32>) -> Self {
        let mut ranks = vec![0; frames.list.len()];
        for (rank, index) in order.iter().enumerate() {
            if let Some(slot) = ranks.get_mut(*index as usize) {
                *slot = rank as u32;
            }
        }
        Self {
            counts: Counts::of(&frames),
            by_path: Arc::new(ByPath::of(&frames)),
            frames: Arc::new(frames),
            order: Arc::new(order),
            ranks: Arc::new(ranks),
        }
    }

    /// The index of the frame with this path.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<u32> {
        self.by_path.find(path, &self.frames.list)
    }

    /// The index in `order` of the frame with this index.
    #[must_use]
    pub fn rank(&self, index: u32) -> Option<u32> {
        self.ranks.get(index as usize).copied()
    }

    /// Gives frames new paths and a label. Visits no other frames.
    pub fn relabel(&mut self, renames: &HashMap<String, String>, to: &Label) {
        let found: Vec<(u32, &String)> = renames
            .iter()
            .filter_map(|(path, new)| Some((self.find(path)?, new)))
            .collect();
        let list = &mut Arc::make_mut(&mut self.frames).list;
        let by_path = Arc::make_mut(&mut self.by_path);
        for (index, path) in found {
            let Some(frame) = list.get_mut(index as usize) else {
                continue;
            };
            self.counts.remove(frame);
            by_path.remove(&frame.path);
            frame.path.clone_from(path);
            frame.label = to.clone();
            by_path.insert(path, index);
            self.counts.add(frame);
        }
    }

    /// Removes the frames for which `gone` holds, keeping the order of the others.
    pub fn remove(&mut self, gone: impl Fn(&Frame) -> bool) {
        let mut frames = std::mem::take(&mut self.frames);
        let list = &mut Arc::make_mut(&mut frames).list;
        let mut moved: Vec<Option<u32>> = Vec::with_capacity(list.len());
        let mut next = 0;
        for frame in list.iter() {
            if gone(frame) {
                moved.push(None);
            } else {
                moved.push(Some(next));
                next += 1;
            }
        }
        list.retain(|frame| !gone(frame));
        let order = self
            .order
            .iter()
            .filter_map(|index| moved.get(*index as usize).copied().flatten())
            .collect();
        let frames = Arc::unwrap_or_clone(frames);
        *self = Self::with_order(frames, order);
    }
}

/// A snapshot for a thread. It does not hold the frames, so that they can still be changed in place.
pub(super) struct Known {
    frames: Weak<Frames>,
    order: Arc<Vec<u32>>,
}

impl Known {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        Self {
            frames: Arc::downgrade(&snapshot.frames),
            order: Arc::clone(&snapshot.order),
        }
    }

    /// Whether it is the same one, unchanged.
    pub(super) fn is(&self, snapshot: &Snapshot) -> bool {
        std::ptr::eq(self.frames.as_ptr(), Arc::as_ptr(&snapshot.frames))
    }

    /// Whether it has the same frames in the same screen order.
    pub(super) fn looks_like(&self, other: &Snapshot) -> bool {
        let Some(frames) = self.frames.upgrade() else {
            return false;
        };
        self.order.len() == other.order.len()
            && frames.list.len() == other.frames.list.len()
            && self
                .order
                .iter()
                .zip(other.order.iter())
                .all(|(mine, theirs)| {
                    frames.list.get(*mine as usize) == other.frames.list.get(*theirs as usize)
                })
    }
}

/// The last part of a frame's path.
#[must_use]
pub fn file_name(frame: &Frame) -> &str {
    frame.path.rsplit('/').next().unwrap_or(&frame.path)
}

/// The name of an image in a file of the project, for users: the stem of its file name, which is its name before the
/// import. `cat.365-7e7e…_photo_fc53….jpg` is `cat.365`; a file that was copied into the project by hand keeps its
/// name.
#[must_use]
pub fn image_name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    FrameName::parse(name)
        .map(|parsed| parsed.stem)
        .filter(|stem| !stem.is_empty())
        .unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn frame(path: &str, time: f64) -> Frame {
        Frame {
            path: path.to_owned(),
            label: Label::Unsorted,
            source: None,
            time_secs: Some(time),
        }
    }

    /// The index and counts after relabelling are those of a new snapshot.
    #[test]
    fn relabelled_frames_are_found_and_counted() {
        let list = (0..9).map(|i| frame(&format!("unsorted/{i}.jpg"), f64::from(i)));
        let mut snapshot = Snapshot::of(
            Frames {
                list: list.collect(),
            },
            &[],
        );
        let cat = Label::Class(crate::project::ClassName::new("cat").unwrap());
        for (renames, label) in [
            (
                vec![
                    ("unsorted/3.jpg", "classes/cat/3.jpg"),
                    ("unsorted/4.jpg", "classes/cat/4.jpg"),
                    ("unsorted/44.jpg", "classes/cat/44.jpg"),
                ],
                &cat,
            ),
            (
                vec![("classes/cat/3.jpg", "unsorted/3.jpg")],
                &Label::Unsorted,
            ),
            (
                vec![("classes/cat/4.jpg", "unsorted/4.jpg")],
                &Label::Unsorted,
            ),
        ] {
            let owned = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
            let renames: HashMap<String, String> = renames.iter().map(owned).collect();
            snapshot.relabel(&renames, label);
            assert_eq!(snapshot.counts, Counts::of(&snapshot.frames));
            for (index, frame) in snapshot.frames.list.iter().enumerate() {
                assert_eq!(snapshot.find(&frame.path), Some(index as u32));
            }
            assert_eq!(snapshot.frames.list.len(), 9);
        }
        assert_eq!(snapshot.find("classes/cat/3.jpg"), None);
    }

    #[test]
    fn paths_with_one_hash_are_told_apart() {
        let mut by_path = ByPath::default();
        let list = [frame("a.jpg", 0.0), frame("b.jpg", 1.0)];
        for path in ["a.jpg", "b.jpg"] {
            by_path.0.insert(ByPath::hash(path), Found::Several);
        }
        by_path.remove("a.jpg");
        assert_eq!(by_path.find("a.jpg", &list), Some(0));
        assert_eq!(by_path.find("b.jpg", &list), Some(1));
        assert_eq!(by_path.find("c.jpg", &list), None);
    }

    fn names(snapshot: &Snapshot) -> Vec<&str> {
        snapshot
            .order
            .iter()
            .filter_map(|index| snapshot.frames.list.get(*index as usize))
            .map(file_name)
            .collect()
    }

    #[test]
    fn images_are_called_what_they_are() {
        let photo = |path: &str| Frame {
            time_secs: None,
            ..frame(path, 0.0)
        };
        let noun = |list: Vec<Frame>| Snapshot::of(Frames { list }, &[]).counts.noun();
        assert_eq!(noun(Vec::new()), Noun::Frame);
        assert_eq!(noun(vec![frame("unsorted/a.jpg", 1.0)]), Noun::Frame);
        assert_eq!(noun(vec![photo("unsorted/a.jpg")]), Noun::Photo);
        let both = vec![photo("unsorted/a.jpg"), frame("unsorted/b.jpg", 0.0)];
        assert_eq!(noun(both), Noun::Image);
    }

    #[test]
    fn frames_are_in_the_order_of_time_and_stay_so() {
        let frames = Frames {
            list: vec![
                frame("unsorted/c.jpg", 3.0),
                frame("unsorted/a.jpg", 1.0),
                frame("unsorted/b.jpg", 2.0),
            ],
        };
        let mut snapshot = Snapshot::of(frames, &[]);
        assert_eq!(names(&snapshot), ["a.jpg", "b.jpg", "c.jpg"]);
        snapshot.remove(|frame| frame.path.ends_with("/b.jpg"));
        assert_eq!(names(&snapshot), ["a.jpg", "c.jpg"]);
        assert_eq!(snapshot.counts.unsorted, 2);
    }
}
