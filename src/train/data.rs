//! From a project to what a training learns from: frames, their split, their bottlenecks.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::backbone::{
    ActivationSource, Blocks, Preprocessing, Views, bottlenecks, bottlenecks_and_activations,
};
use crate::curate;
use crate::jobs::Work;
use crate::project::{Label, Project, Split};

use super::finetune::cut_of;
use super::graph::Sizes;
use super::learner::{Data, Examples};
use super::{RunFrame, TrainError, TrainSettings};

/// The frames that take part, before anybody looked into them.
pub(super) struct Selection {
    pub classes: Vec<String>,
    pub frames: Vec<RunFrame>,
    pub notes: Vec<String>,
}

/// Whether the project remembers which side its groups are put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Splitting {
    /// For a training.
    Remembered,
    /// For a look ahead, which must leave no trace.
    Tried,
}

/// Scans the project and splits it.
pub(super) fn select(
    project: &Project,
    settings: &TrainSettings,
    splitting: Splitting,
    work: &Work,
) -> Result<Selection, TrainError> {
    work.stage("Reading the frames", None);
    let found = project.scan(work)?;
    if !found
        .list
        .iter()
        .any(|frame| matches!(frame.label, Label::Class(_)))
    {
        return Err(TrainError::NoFrames);
    }
    work.stage("Grouping the frames", None);
    let groups = curate::groups(project, &found, work)?;
    let assignment = match splitting {
        Splitting::Remembered => project.assign_splits(&found, &groups, &settings.split)?,
        Splitting::Tried => project.preview_splits(&found, &groups, &settings.split)?,
    };
    let classes: Vec<String> = project
        .classes()
        .iter()
        .map(|class| class.name.as_str().to_owned())
        .collect();
    let index: HashMap<&str, usize> = classes
        .iter()
        .enumerate()
        .map(|(index, name)| (name.as_str(), index))
        .collect();
    let mut frames = Vec::new();
    for ((frame, group), split) in found.list.iter().zip(&groups).zip(&assignment.splits) {
        if let (Label::Class(name), Some(split)) = (&frame.label, split)
            && let Some(class) = index.get(name.as_str())
        {
            frames.push(RunFrame {
                path: frame.path.clone(),
                class: *class,
                group: group.clone(),
                split: *split,
            });
        }
    }
    Ok(Selection {
        classes,
        frames,
        notes: assignment.notes,
    })
}

/// What the loop needs, and what took part in the end.
pub(super) struct Prepared {
    pub classes: Vec<String>,
    pub frames: Vec<RunFrame>,
    pub data: Data,
    pub notes: Vec<String>,
}

/// Computes bottlenecks, leaves out what cannot be used, and says so.
pub(super) fn prepare(
    project: &Project,
    settings: &TrainSettings,
    preprocessing: &Preprocessing,
    classes: &[String],
    frames: Vec<RunFrame>,
    work: &Work,
) -> Result<Prepared, TrainError> {
    let paths: Vec<PathBuf> = frames
        .iter()
        .map(|frame| project.abs(&frame.path))
        .collect();
    let table = if settings.fine_tune.is_on() {
        let plan = Blocks::of_for(&settings.architecture, work)?.plan(settings.fine_tune.depth);
        bottlenecks_and_activations(
            &ActivationSource {
                frames: &paths,
                architecture: &settings.architecture,
                preprocessing,
                cut: cut_of(&plan)?,
                views: Views::PLAIN,
            },
            &project.cache_dir(),
            settings.fine_tune.cache_budget_bytes,
            work,
        )?
    } else {
        bottlenecks(
            &paths,
            &settings.architecture,
            preprocessing,
            None,
            Some(&project.cache_dir()),
            work,
        )?
    };
    let mut notes = Vec::new();
    if !table.failed.is_empty() {
        notes.push(format!(
            "{} of {} frames could not be read and were left out.",
            table.failed.len(),
            frames.len()
        ));
    }
    let mut usable = vec![true; frames.len()];
    for (index, _) in &table.failed {
        if let Some(usable) = usable.get_mut(*index) {
            *usable = false;
        }
    }
    // A batch draws the class first, so a class needs a frame to learn from.
    let mut counts = vec![[0_usize; 2]; classes.len()];
    for (frame, _) in frames.iter().zip(&usable).filter(|(_, usable)| **usable) {
        if let Some([train, all]) = counts.get_mut(frame.class) {
            *all += 1;
            *train += usize::from(frame.split == Split::Train);
        }
    }
    let mut new_index = vec![None; classes.len()];
    let mut kept = Vec::new();
    for ((name, [train, all]), index) in classes.iter().zip(&counts).zip(&mut new_index) {
        match (train, all) {
            (0, 0) => {}
            (0, _) => notes.push(format!(
                "“{name}” takes no part: none of its frames is in the training set."
            )),
            _ => {
                if *all == 1 {
                    notes.push(format!(
                        "“{name}” has a single frame; what is learned of it will not hold for others."
                    ));
                }
                *index = Some(kept.len());
                kept.push(name.clone());
            }
        }
    }
    match kept.as_slice() {
        [] => return Err(TrainError::NoFrames),
        [one] => return Err(TrainError::OneClass(one.clone())),
        _ => {}
    }
    let sizes = Sizes {
        dim: table.dim,
        classes: kept.len(),
    };
    let mut data = Data {
        sizes,
        train: Examples::default(),
        validation: Examples::default(),
        test: Examples::default(),
    };
    let mut taken = Vec::new();
    for (at, (mut frame, usable)) in frames.into_iter().zip(usable).enumerate() {
        let (Some(class), true) = (new_index.get(frame.class).copied().flatten(), usable) else {
            continue;
        };
        let Some(row) = table.row(at) else { continue };
        let side = match frame.split {
            Split::Train => &mut data.train,
            Split::Validation => &mut data.validation,
            Split::Test => &mut data.test,
        };
        side.x.extend_from_slice(row);
        side.y.push(class as i64);
        frame.class = class;
        taken.push(frame);
    }
    if data.validation.len() == 0 {
        notes.push(
            "There are no validation frames, so the weights of the last step are kept.".into(),
        );
    }
    if data.test.len() == 0 {
        notes.push(
            "There are no test frames, so the accuracy on new frames was not measured.".into(),
        );
    }
    Ok(Prepared {
        classes: kept,
        frames: taken,
        data,
        notes,
    })
}
