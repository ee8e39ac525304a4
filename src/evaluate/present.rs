//! Where the frames of a run are now, and what they are called now: people move frames after a training.

use std::collections::{HashMap, HashSet};

use crate::jobs::Work;
use crate::project::{FrameName, Label, Project, SourceId, Split};
use crate::train::{Run, RunFrame};

use super::EvaluateError;

/// The frames of one side of a run's split as they are in the project now.
pub(super) struct Present {
    /// Those that are there, with their present path and class.
    pub frames: Vec<RunFrame>,
    /// How many of them have another class than they had in the run.
    pub relabelled: u64,
    /// How many are gone, or no longer in a class that the run knows.
    pub missing: u64,
}

/// Looks the frames up. One that is no longer where it was is known again by source and id in its name, and has
/// the class of the folder it lies in: a correction by the user is the truth that the model is judged by. Names that
/// Salamander did not give (`1.png`) say nothing certain; such a frame counts as missing, and so does one that
/// is now in several classes.
pub(super) fn present(
    project: &Project,
    run: &Run,
    split: Split,
    work: &Work,
) -> Result<Present, EvaluateError> {
    let all = run.frames()?;
    let of_run: HashSet<String> = all.iter().map(|frame| frame.path.clone()).collect();
    let mut found = Present {
        frames: Vec::new(),
        relabelled: 0,
        missing: 0,
    };
    // Looking into the folders is for those who need it.
    let mut moved = None;
    for mut frame in all.into_iter().filter(|frame| frame.split == split) {
        if project.abs(&frame.path).is_file() {
            found.frames.push(frame);
            continue;
        }
        let moved = match &moved {
            Some(moved) => moved,
            None => moved.insert(Moved::find(project, &of_run, work)?),
        };
        let place = moved.place(&frame.path);
        let class = place.and_then(|place| {
            let mut names = run.classes.iter();
            names.position(|name| *name == place.class)
        });
        let (Some(place), Some(class)) = (place, class) else {
            found.missing += 1;
            continue;
        };
        found.relabelled += u64::from(class != frame.class);
        place.path.clone_into(&mut frame.path);
        frame.class = class;
        found.frames.push(frame);
    }
    Ok(found)
}

struct Place {
    path: String,
    class: String,
}

/// Labelled frames at places that the run does not know, by source and id; `None` for one that is at several.
struct Moved(HashMap<(SourceId, String), Option<Place>>);

impl Moved {
    fn find(
        project: &Project,
        of_run: &HashSet<String>,
        work: &Work,
    ) -> Result<Self, EvaluateError> {
        let mut moved = HashMap::new();
        for frame in project.scan(work)?.list {
            if let Label::Class(class) = &frame.label
                && !of_run.contains(&frame.path)
                && let Some(id) = identity(&frame.path)
            {
                let place = Place {
                    class: class.as_str().to_owned(),
                    path: frame.path,
                };
                moved
                    .entry(id)
                    .and_modify(|known| *known = None)
                    .or_insert(Some(place));
            }
        }
        Ok(Self(moved))
    }

    fn place(&self, path: &str) -> Option<&Place> {
        self.0.get(&identity(path)?)?.as_ref()
    }
}

fn identity(path: &str) -> Option<(SourceId, String)> {
    let name = FrameName::parse(path.rsplit('/').next()?)?;
    Some((name.source, name.id))
}
