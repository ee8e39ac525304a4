//! What is known of a project's frames at one moment: the frames, their order on screen, their counts.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use super::words::Noun;
use crate::project::{Frame, Frames, Label, Source, SourceId};

/// Counts of frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames with each label.
    pub by_label: HashMap<Label, usize>,
    /// Frames of each source.
    pub by_source: HashMap<SourceId, usize>,
    /// Frames that have a class.
    pub labelled: usize,
    /// Frames that have none.
    pub unsorted: usize,
    /// Frames that were taken from a video; the others are photos.
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

    fn add(&mut self, frame: &Frame) {
        // Names are copied once each, not for every frame.
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

    /// What they are called: frames, photos, or images where there are both.
    #[must_use]
    pub fn noun(&self) -> Noun {
        match self.of_videos {
            0 if self.total() > 0 => Noun::Photo,
            of_videos if of_videos < self.total() => Noun::Image,
            _ => Noun::Frame,
        }
    }
}

/// The frames at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The frames.
    pub frames: Arc<Frames>,
    /// Indices into the frames in the order of the screen: by source (oldest first), then by time.
    /// It does not depend on labels, so that nothing jumps when a frame is labelled.
    pub order: Arc<Vec<u32>>,
    /// Their counts.
    pub counts: Counts,
}

impl Snapshot {
    /// Orders and counts `frames`.
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
        Self {
            counts: Counts::of(&frames),
            frames: Arc::new(frames),
            order: Arc::new(order),
        }
    }

    /// Changes frames in place and counts again.
    pub fn change(&mut self, change: impl FnOnce(&mut Vec<Frame>)) {
        change(&mut Arc::make_mut(&mut self.frames).list);
        self.counts = Counts::of(&self.frames);
    }

    /// Takes the frames for which `gone` holds out, keeping the order of the others.
    pub fn remove(&mut self, gone: impl Fn(&Frame) -> bool) {
        let list = &mut Arc::make_mut(&mut self.frames).list;
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
        self.order = Arc::new(order);
        self.counts = Counts::of(&self.frames);
    }
}

/// A snapshot that is looked at from a thread. It does not hold the frames, so that they can still be changed in place.
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

    /// Whether it is this one, unchanged.
    pub(super) fn is(&self, snapshot: &Snapshot) -> bool {
        std::ptr::eq(self.frames.as_ptr(), Arc::as_ptr(&snapshot.frames))
    }

    /// Whether it has the same frames in the same order of the screen.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(path: &str, time: f64) -> Frame {
        Frame {
            path: path.to_owned(),
            label: Label::Unsorted,
            source: None,
            time_secs: Some(time),
        }
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
