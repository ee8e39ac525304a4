//! The class of a frame that lies between labelled frames of its video: that of these, if they agree.

use std::collections::{HashMap, HashSet};

use crate::jobs::Work;

use super::handle::label_path;
use super::moves::{Moved, Target};
use super::{Frame, Frames, Label, Project, ProjectError, SourceId};

/// The labels that the frames `new` (paths relative to the root) should have by their neighbours in time; frames that
/// have theirs already are left out.
///
/// A frame that is not in `new` and has the same source and timestamp decides alone, also by being unsorted: it is the
/// same moment at another width. Otherwise the nearest labelled frames before and after it decide, if both are
/// there and agree. Photos have no neighbours.
#[must_use]
pub fn like_neighbours(frames: &Frames, new: &[String]) -> Vec<(String, Label)> {
    let new: HashSet<&str> = new.iter().map(String::as_str).collect();
    let sources: HashSet<&SourceId> = frames
        .list
        .iter()
        .filter(|frame| new.contains(frame.path.as_str()))
        .filter_map(|frame| frame.source.as_ref())
        .collect();
    let mut timelines: HashMap<&SourceId, Vec<(i64, &Label)>> = HashMap::new();
    for frame in &frames.list {
        if let Some((source, micros)) = moment(frame)
            && sources.contains(source)
            && !new.contains(frame.path.as_str())
        {
            timelines
                .entry(source)
                .or_default()
                .push((micros, &frame.label));
        }
    }
    for timeline in timelines.values_mut() {
        timeline.sort_by_key(|(micros, _)| *micros);
    }
    frames
        .list
        .iter()
        .filter(|frame| new.contains(frame.path.as_str()))
        .filter_map(|frame| {
            let (source, micros) = moment(frame)?;
            let label = label_at(timelines.get(source)?, micros)?;
            (*label != frame.label).then(|| (frame.path.clone(), label.clone()))
        })
        .collect()
}

/// Source and timestamp in microseconds, the precision of frames' names.
fn moment(frame: &Frame) -> Option<(&SourceId, i64)> {
    let micros = (frame.time_secs? * 1e6).round() as i64;
    Some((frame.source.as_ref()?, micros))
}

/// The label at `micros` of frames in the order of time.
fn label_at<'a>(timeline: &[(i64, &'a Label)], micros: i64) -> Option<&'a Label> {
    let start = timeline.partition_point(|(at, _)| *at < micros);
    let (before, after) = timeline.split_at_checked(start)?;
    if let Some((at, label)) = after.first()
        && *at == micros
    {
        return Some(*label);
    }
    let labelled = |(_, label): &&(i64, &'a Label)| label.class().is_some();
    let (_, before) = before.iter().rfind(labelled)?;
    let (_, after) = after.iter().find(labelled)?;
    (before == after).then_some(*before)
}

impl Project {
    /// Gives frames the label of their neighbours in time ([`like_neighbours`]), then moves the frames `replaced`, whose
    /// labels count as well, to `trash/replaced/`. There they are no longer known to an extraction, which
    /// writes them again when it is asked for them. Returns old and new path of each frame that was moved.
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
        // Before the first and between two classes nobody knows.
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
}
