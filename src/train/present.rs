//! Finds the frames of a run in the project now: users move, rename and change files after a training.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::backbone::content_ids;
use crate::jobs::Work;
use crate::project::{ContentId, Frame, FrameName, Label, Project, SourceId, Split};

use super::{Run, RunClasses, RunFrame, TrainError};

/// The frames of a run in the project now.
#[derive(Debug)]
pub struct Present {
    /// The current state of its classes.
    pub classes: RunClasses,
    /// The frames that exist, in the order of the run, with their current path and class (an index into the run's).
    pub frames: Vec<RunFrame>,
    /// How many of them have another class than in the run.
    pub relabelled: u64,
    /// How many of them have other contents.
    pub changed: u64,
    /// How many are missing, or in a class unknown to the run.
    pub missing: u64,
}

/// Finds the frames of one side of a run's split, or of all. A frame has the class of its current folder: the model is
/// judged by the user's corrections. A frame is recognised, in this order,
///
/// 1. at its place (in the current folder of its class) with the same contents,
/// 2. by its contents anywhere, moved or renamed by the program or by hand: of equal copies the one whose name has its
///    source, time and identity, and any other only after each frame has been assigned its own,
/// 3. by source and identity in its name: moved and changed, or in a run that recorded no contents,
/// 4. at its place with other contents: an image that was changed.
///
/// No file is assigned to two frames. A frame with copies in several classes, none of them at its place or under its
/// name, counts as missing.
pub fn present(
    project: &Project,
    run: &Run,
    split: Option<Split>,
    work: &Work,
) -> Result<Present, TrainError> {
    let all = run.frames()?;
    let labelled = project.scan(work)?.list;
    // After the scan, which detects class folders that were renamed by hand.
    let classes = RunClasses::of(project, run);
    let wanted: Vec<usize> = (0..all.len())
        .filter(|at| {
            let frame = all.get(*at);
            frame.is_some_and(|frame| split.is_none_or(|split| frame.split == split))
        })
        .collect();
    let search = Search::new(labelled, run, &classes, &all);
    let found = match search.at_their_places(project, &wanted, work)? {
        Some(found) => found,
        None => search.everywhere(project, work)?,
    };
    let mut present = Present {
        classes,
        frames: Vec::new(),
        relabelled: 0,
        changed: 0,
        missing: 0,
    };
    for (at, mut frame) in all.iter().cloned().enumerate() {
        if split.is_some_and(|split| frame.split != split) {
            continue;
        }
        let place = found.get(at).copied().flatten();
        let there = place.and_then(|place| search.labelled.get(place.at).map(|f| (f, place)));
        let known = there.and_then(|(there, place)| {
            let name = there.label.class()?;
            let classes = &present.classes;
            Some((there, place, classes.label(name)?, classes.class(name)?))
        });
        let Some((there, place, label, class)) = known else {
            present.missing += 1;
            continue;
        };
        if present.classes.label_of.get(frame.class) != Some(&label) {
            present.relabelled += 1;
            frame.class = class;
        }
        present.changed += u64::from(place.changed);
        frame.path.clone_from(&there.path);
        present.frames.push(frame);
    }
    Ok(present)
}

/// The place of a frame of the run.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Index of a labelled frame.
    at: usize,
    /// Whether its contents have changed.
    changed: bool,
}

struct Search<'a> {
    of_run: &'a [RunFrame],
    /// The labelled frames of the project.
    labelled: Vec<Frame>,
    /// For each frame of the run, the labelled frame at its place.
    expected: Vec<Option<usize>>,
}

impl<'a> Search<'a> {
    fn new(
        mut labelled: Vec<Frame>,
        run: &Run,
        classes: &RunClasses,
        of_run: &'a [RunFrame],
    ) -> Self {
        labelled.retain(|frame| frame.label.class().is_some());
        let mut folders = HashMap::new();
        for frame in &labelled {
            if let (Some(class), Some((folder, _))) = (frame.label.class(), in_class(&frame.path)) {
                folders.entry(class).or_insert(folder);
            }
        }
        // The current folder of each class of the run, and whether its frames were moved there one by one.
        let homes: Vec<Option<&str>> = (0..run.classes.len())
            .map(|class| Some(*folders.get(classes.now(class).name()?)?))
            .collect();
        let by_path: HashMap<&str, usize> = labelled
            .iter()
            .enumerate()
            .map(|(at, frame)| (frame.path.as_str(), at))
            .collect();
        let expected = of_run
            .iter()
            .map(|frame| {
                let (_, rest) = in_class(&frame.path)?;
                let home = homes.get(frame.class).copied().flatten()?;
                let there = |rest: &str| by_path.get(format!("classes/{home}/{rest}").as_str());
                // A merger may leave folders within the class.
                there(rest).or_else(|| there(file_name(rest))).copied()
            })
            .collect();
        Self {
            of_run,
            labelled,
            expected,
        }
    }

    /// The places of the wanted frames if all are where they are expected, unchanged: then nothing else needs to be
    /// searched.
    fn at_their_places(
        &self,
        project: &Project,
        wanted: &[usize],
        work: &Work,
    ) -> Result<Option<Vec<Option<Place>>>, TrainError> {
        let mut places = vec![None; self.of_run.len()];
        let mut files = Vec::new();
        let mut contents = Vec::new();
        for at in wanted {
            let Some(place) = self.expected.get(*at).copied().flatten() else {
                return Ok(None);
            };
            let content = self.of_run.get(*at).and_then(|frame| frame.content);
            if let (Some(content), Some(frame)) = (content, self.labelled.get(place)) {
                files.push(frame.abs(project));
                contents.push(Some(content));
            }
            if let Some(slot) = places.get_mut(*at) {
                *slot = Some(Place {
                    at: place,
                    changed: false,
                });
            }
        }
        let found = content_ids(&files, Some(&project.cache_dir()), work)?;
        Ok((found == contents).then_some(places))
    }

    /// The places of all frames of the run.
    fn everywhere(&self, project: &Project, work: &Work) -> Result<Vec<Option<Place>>, TrainError> {
        work.stage("Looking up the images", None);
        let has_contents = self.of_run.iter().any(|frame| frame.content.is_some());
        let contents: Vec<Option<ContentId>> = if has_contents {
            let files: Vec<_> = self.labelled.iter().map(|f| f.abs(project)).collect();
            content_ids(&files, Some(&project.cache_dir()), work)?
        } else {
            Vec::new()
        };
        let mut places: Vec<Option<Place>> = vec![None; self.of_run.len()];
        let mut taken = vec![false; self.labelled.len()];
        let of_run = || self.of_run.iter().zip(&self.expected).enumerate();
        let mut take = |places: &mut Vec<Option<Place>>, frame: usize, at: usize, changed: bool| {
            if let (Some(slot), Some(taken)) = (places.get_mut(frame), taken.get_mut(at))
                && slot.is_none()
                && !*taken
            {
                *slot = Some(Place { at, changed });
                *taken = true;
            }
        };

        for (index, (frame, expected)) in of_run() {
            if let Some(at) = *expected
                && (frame.content.is_none() || contents.get(at).copied().flatten() == frame.content)
            {
                take(&mut places, index, at, false);
            }
        }
        let free: Vec<usize> = {
            let mut free = vec![true; self.labelled.len()];
            for place in places.iter().flatten() {
                if let Some(free) = free.get_mut(place.at) {
                    *free = false;
                }
            }
            let all = 0..free.len();
            all.filter(|at| free.get(*at) == Some(&true)).collect()
        };

        // Equal frames (a film of a still scene) are distinguished by their names: no frame gets the copy that belongs
        // to another.
        let mut uncertain = vec![false; self.of_run.len()];
        for told_by in [by_file_name as fn(&str) -> ToldBy, by_moment, by_content] {
            let given: HashSet<usize> = places.iter().flatten().map(|place| place.at).collect();
            let mut copies: HashMap<(ContentId, ToldBy), Copies> = HashMap::new();
            for at in free.iter().filter(|at| !given.contains(at)) {
                if let Some(content) = contents.get(*at).copied().flatten()
                    && let Some(there) = self.labelled.get(*at)
                {
                    let key = (content, told_by(there.file_name()));
                    copies.entry(key).or_default().add(*at, &there.label);
                }
            }
            for (index, (frame, _)) in of_run() {
                let is_lost = places.get(index).is_some_and(Option::is_none);
                if let (true, Some(content)) = (is_lost, frame.content)
                    && let Some(uncertain) = uncertain.get_mut(index).filter(|known| !**known)
                    && let Some(copies) =
                        copies.get_mut(&(content, told_by(file_name(&frame.path))))
                {
                    *uncertain = copies.in_several_classes;
                    if !*uncertain && let Some(at) = copies.free.pop_front() {
                        take(&mut places, index, at, false);
                    }
                }
            }
        }
        let mut by_name: HashMap<(SourceId, String), Vec<usize>> = HashMap::new();
        for at in free {
            if let Some(id) = self.labelled.get(at).and_then(|f| identity(&f.path)) {
                by_name.entry(id).or_default().push(at);
            }
        }
        for (index, (frame, expected)) in of_run() {
            let is_lost = places.get(index).is_some_and(Option::is_none);
            if !is_lost || uncertain.get(index) == Some(&true) {
                continue;
            }
            let changed = frame.content.is_some();
            let named = identity(&frame.path).and_then(|id| by_name.get(&id));
            match (named.map(Vec::as_slice), *expected) {
                (Some([at]), _) => take(&mut places, index, *at, changed),
                (_, Some(at)) => take(&mut places, index, at, changed),
                _ => {}
            }
        }
        Ok(places)
    }
}

/// Equal labelled frames that are not assigned to a frame of the run yet.
#[derive(Default)]
struct Copies {
    free: VecDeque<usize>,
    label: Option<Label>,
    in_several_classes: bool,
}

impl Copies {
    fn add(&mut self, at: usize, label: &Label) {
        self.free.push_back(at);
        let first = self.label.get_or_insert_with(|| label.clone());
        self.in_several_classes |= first != label;
    }
}

/// The class folder of a path, and the rest.
fn in_class(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("classes/")?.split_once('/')
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What distinguishes a frame from others with the same contents.
#[derive(PartialEq, Eq, Hash)]
enum ToldBy {
    FileName(String),
    /// Source, time in microseconds and identity, even if the stem has changed.
    Moment(SourceId, Option<i64>, String),
    /// Nothing: any copy is suitable.
    Content,
}

fn by_file_name(name: &str) -> ToldBy {
    ToldBy::FileName(name.to_owned())
}

fn by_moment(name: &str) -> ToldBy {
    FrameName::parse(name).map_or_else(
        || by_file_name(name),
        |name| {
            let micros = name.time_secs.map(|secs| (secs * 1e6).round() as i64);
            ToldBy::Moment(name.source, micros, name.id)
        },
    )
}

fn by_content(_: &str) -> ToldBy {
    ToldBy::Content
}

fn identity(path: &str) -> Option<(SourceId, String)> {
    let name = FrameName::parse(file_name(path))?;
    Some((name.source, name.id))
}
