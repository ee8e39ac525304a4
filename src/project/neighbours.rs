//! The label of a frame derived from frames of its video that are near in time.

use std::collections::{HashMap, HashSet};

use crate::jobs::Work;

use super::handle::label_path;
use super::moves::{Moved, Target};
use super::{Frame, Frames, Label, Project, ProjectError, SourceId};

/// Which neighbours determine a label. A frame at the same time with another width always does so alone, even if it is
/// unsorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbour {
    /// The nearest labelled frames before and after, if both exist and agree: for frames that are added to others.
    Agreeing,
    /// The nearest frame, labelled or not (of two at the same distance, the earlier): for frames that replace others,
    /// whose labels would otherwise be lost.
    Nearest,
}

/// The labels of a video's frames by time.
#[derive(Debug)]
pub struct Neighbours<'a> {
    /// Time in microseconds (the precision of frame names) and label, sorted by time.
    moments: Vec<(i64, &'a Label)>,
    deciding: Neighbour,
}

impl<'a> Neighbours<'a> {
    /// The labels of those `frames` that have a time; all should be from one video.
    pub fn of(frames: impl IntoIterator<Item = &'a Frame>, deciding: Neighbour) -> Self {
        let timed = frames
            .into_iter()
            .filter_map(|frame| Some((micros(frame.time_secs?), &frame.label)));
        let mut moments: Vec<_> = timed.collect();
        moments.sort_by_key(|(at, _)| *at);
        Self { moments, deciding }
    }

    /// The label of a frame at `time_secs`; `None` if the neighbours do not determine it.
    #[must_use]
    pub fn label(&self, time_secs: f64) -> Option<&'a Label> {
        let time = micros(time_secs);
        let start = self.moments.partition_point(|(at, _)| *at < time);
        let (before, after) = self.moments.split_at_checked(start)?;
        if let Some((at, label)) = after.first()
            && *at == time
        {
            return Some(*label);
        }
        match self.deciding {
            Neighbour::Agreeing => {
                let labelled = |(_, label): &&(i64, &Label)| label.class().is_some();
                let (_, before) = before.iter().rfind(labelled)?;
                let (_, after) = after.iter().find(labelled)?;
                (before == after).then_some(*before)
            }
            Neighbour::Nearest => {
                let nearest = before.last().into_iter().chain(after.first());
                let (_, label) = nearest.min_by_key(|(at, _)| at.abs_diff(time))?;
                Some(*label)
            }
        }
    }
}

fn micros(time_secs: f64) -> i64 {
    (time_secs * 1e6).round() as i64
}

/// The labels that the frames `new` (paths relative to the root) should have according to the other frames of their
/// videos ([`Neighbour::Agreeing`]), except those that already have them. Photos have no neighbours.
#[must_use]
pub fn like_neighbours(frames: &Frames, new: &[String]) -> Vec<(String, Label)> {
    let new: HashSet<&str> = new.iter().map(String::as_str).collect();
    let is_new = |frame: &&Frame| new.contains(frame.path.as_str());
    let of_new = frames.list.iter().filter(is_new);
    let mut others: HashMap<&SourceId, Vec<&Frame>> = of_new
        .filter_map(|frame| Some((frame.source.as_ref()?, Vec::new())))
        .collect();
    for frame in frames.list.iter().filter(|frame| !is_new(frame)) {
        if let Some(others) = frame.source.as_ref().and_then(|s| others.get_mut(s)) {
            others.push(frame);
        }
    }
    let neighbours: HashMap<&SourceId, Neighbours> = others
        .into_iter()
        .map(|(source, frames)| (source, Neighbours::of(frames, Neighbour::Agreeing)))
        .collect();
    frames
        .list
        .iter()
        .filter(is_new)
        .filter_map(|frame| {
            let neighbours = neighbours.get(frame.source.as_ref()?)?;
            let label = neighbours.label(frame.time_secs?)?;
            (*label != frame.label).then(|| (frame.path.clone(), label.clone()))
        })
        .collect()
}

impl Project {
    /// Assigns to frames the label of their neighbours in time ([`like_neighbours`]), then moves the frames
    /// `replaced`, whose labels count as well, to `trash/replaced/`. There an extraction does not find them, so it
    /// would write them again. Returns old and new path of each moved frame.
    pub(super) fn label_like_neighbours(
        &self,
        frames: &[String],
        replaced: &[String],
        work: &Work,
    ) -> Result<Moved, ProjectError> {
        let all = self.scan(work)?;
        let new: HashSet<&str> = frames.iter().map(String::as_str).collect();
        let mut targets: Vec<(String, Target)> = like_neighbours(&all, frames)
            .into_iter()
            .map(|(path, label)| (path, Target::Folder(label_path(&label))))
            .collect();
        let there: HashSet<&str> = all.list.iter().map(|frame| frame.path.as_str()).collect();
        targets.extend(
            replaced
                .iter()
                .filter(|path| there.contains(path.as_str()) && !new.contains(path.as_str()))
                .map(|path| (path.clone(), Target::Path(format!("trash/replaced/{path}")))),
        );
        let _change = self.begin_change()?;
        Ok(self.move_frames(targets, work))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test
mod tests {
    use super::*;
    use crate::project::ClassName;

    fn frame(name: &str, time_secs: Option<f64>, class: &str) -> Frame {
        Frame {
            path: format!("{class}/{name}"),
            label: if class == "unsorted" {
                Label::Unsorted
            } else {
                Label::Class(ClassName::new(class).unwrap())
            },
            source: SourceId::from_hex("3fa9c1d2"),
            time_secs,
        }
    }

    fn labels(list: Vec<Frame>, new: &[&str]) -> Vec<(String, String)> {
        let new: Vec<String> = new.iter().map(|path| (*path).to_owned()).collect();
        like_neighbours(&Frames { list }, &new)
            .into_iter()
            .map(|(path, label)| {
                (
                    path,
                    label.class().map_or("unsorted", |c| c.as_str()).to_owned(),
                )
            })
            .collect()
    }

    #[test]
    fn what_lies_between_two_frames_of_a_class_is_of_that_class() {
        let list = vec![
            frame("a", Some(1.0), "cat"),
            frame("b", Some(2.0), "cat"),
            frame("c", Some(3.0), "dog"),
            frame("x", Some(0.5), "unsorted"),
            frame("y", Some(1.5), "unsorted"),
            frame("z", Some(2.5), "unsorted"),
        ];
        let new = ["unsorted/x", "unsorted/y", "unsorted/z"];
        // There is no label before the first and between two classes.
        assert_eq!(
            labels(list, &new),
            [("unsorted/y".to_owned(), "cat".to_owned())]
        );
    }

    #[test]
    fn new_frames_are_no_neighbours_and_unsorted_ones_are_passed_over() {
        let list = vec![
            frame("a", Some(1.0), "dog"),
            frame("u", Some(1.1), "unsorted"),
            frame("x", Some(1.2), "cat"),
            frame("y", Some(1.4), "cat"),
            frame("b", Some(2.0), "dog"),
        ];
        let dog = |path: &str| (path.to_owned(), "dog".to_owned());
        assert_eq!(
            labels(list, &["cat/x", "cat/y"]),
            [dog("cat/x"), dog("cat/y")]
        );
    }

    #[test]
    fn the_same_moment_decides_alone() {
        let list = vec![
            frame("a", Some(1.0), "cat"),
            frame("b", Some(2.0), "unsorted"),
            frame("c", Some(3.0), "cat"),
            frame("x", Some(2.0), "cat"),
            frame("p", None, "cat"),
        ];
        let expected = [("cat/x".to_owned(), "unsorted".to_owned())];
        assert_eq!(labels(list, &["cat/x", "cat/p"]), expected);
    }

    #[test]
    fn the_nearest_decides_for_what_takes_the_place_of_others() {
        let list = [
            frame("a", Some(1.0), "cat"),
            frame("b", Some(2.0), "unsorted"),
            frame("c", Some(3.0), "dog"),
            frame("p", None, "dog"),
        ];
        let near = Neighbours::of(&list, Neighbour::Nearest);
        let class = |secs| near.label(secs).map(|l| l.class().map(ClassName::as_str));
        let expected = [
            (0.0, Some("cat")),
            (1.5, Some("cat")),
            (1.6, None),
            (2.0, None),
            (2.6, Some("dog")),
            (9.0, Some("dog")),
        ];
        for (secs, label) in expected {
            assert_eq!(class(secs), Some(label), "{secs}");
        }
        assert!(Neighbours::of([], Neighbour::Nearest).label(1.0).is_none());
    }
}
