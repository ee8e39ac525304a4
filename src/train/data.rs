//! The training data of a project: frames, their sides, their bottlenecks.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::backbone::{
    ActivationSource, Blocks, Preprocessing, Views, bottlenecks, bottlenecks_and_activations,
};
use crate::curate;
use crate::jobs::Work;
use crate::project::{Label, Project, Split};

use super::fine_tune::cut_of;
use super::head::{Data, Examples, Sizes};
use super::run::RunClass;
use super::views::ViewSource;
use super::{RunFrame, TrainError, TrainSettings};

/// The frames of a training, before their files are read.
pub(super) struct Selection {
    pub classes: Vec<RunClass>,
    pub frames: Vec<RunFrame>,
    pub notes: Vec<String>,
}

/// Whether the project records the sides of its groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Splitting {
    /// Recorded: for a training.
    Remembered,
    /// Not recorded: for an estimate.
    Tried,
}

/// Scans the project and splits it.
pub(super) fn select(
    project: &Project,
    settings: &TrainSettings,
    splitting: Splitting,
    work: &Work,
) -> Result<Selection, TrainError> {
    work.stage("Reading the images", None);
    let found = project.scan(work)?;
    if !found
        .list
        .iter()
        .any(|frame| matches!(frame.label, Label::Class(_)))
    {
        return Err(TrainError::NoFrames);
    }
    work.stage("Grouping the images", None);
    let groups = curate::groups(project, &found, work)?;
    let assignment = match splitting {
        Splitting::Remembered => project.assign_splits(&found, &groups, &settings.split)?,
        Splitting::Tried => project.preview_splits(&found, &groups, &settings.split)?,
    };
    let classes: Vec<RunClass> = project
        .classes()
        .into_iter()
        .map(|class| RunClass {
            id: class.id,
            name: class.name.into(),
        })
        .collect();
    let index: HashMap<&str, usize> = classes
        .iter()
        .enumerate()
        .map(|(index, class)| (class.name.as_str(), index))
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
                content: None,
            });
        }
    }
    Ok(Selection {
        classes,
        frames,
        notes: assignment.notes,
    })
}

/// The input of the training loop, and the frames that are used.
pub(super) struct Prepared {
    pub classes: Vec<RunClass>,
    /// Training, validation and test frames, in this order.
    pub frames: Vec<RunFrame>,
    pub data: Data,
    pub notes: Vec<String>,
}

/// Computes bottlenecks, and leaves out unusable frames with a warning.
pub(super) fn prepare(
    project: &Project,
    settings: &TrainSettings,
    preprocessing: &Preprocessing,
    classes: &[RunClass],
    mut frames: Vec<RunFrame>,
    work: &Work,
) -> Result<Prepared, TrainError> {
    // Frames of one side are contiguous, so that the table is divided into the three sides without copying.
    frames.sort_by_key(|frame| side_of(frame.split));
    let paths: Vec<PathBuf> = frames
        .iter()
        .map(|frame| project.abs(&frame.path))
        .collect();
    // If the depth is recommended by the program, possibly only the head is trained.
    let fine_tuned = settings.fine_tune.is_on() && !settings.fine_tune.automatic;
    let mut table = if fine_tuned {
        let plan = Blocks::of_for(&settings.architecture, work)?
            .plan_to_train(settings.fine_tune.depth)?;
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
    if project.trains_elsewhere() {
        // Another attempt may be able to read them, and nobody would notice that this run has fewer frames.
        let failed = table.failed.iter().filter_map(|(at, _)| paths.get(*at));
        for path in failed {
            crate::files::read(path).map_err(TrainError::io("read", path))?;
        }
    }
    let mut notes = Vec::new();
    if !table.failed.is_empty() {
        notes.push(format!(
            "{} of {} images could not be read and were left out.",
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
    // A batch first draws a class, so each class needs a training frame.
    let mut counts = vec![[0_usize; 2]; classes.len()];
    for (frame, _) in frames.iter().zip(&usable).filter(|(_, usable)| **usable) {
        if let Some([train, all]) = counts.get_mut(frame.class) {
            *all += 1;
            *train += usize::from(frame.split == Split::Train);
        }
    }
    let mut new_index = vec![None; classes.len()];
    let mut kept = Vec::new();
    for ((class, [train, all]), index) in classes.iter().zip(&counts).zip(&mut new_index) {
        let name = &class.name;
        match (train, all) {
            (0, 0) => {}
            (0, _) => notes.push(format!(
                "“{name}” is left out: none of its images is in the training set."
            )),
            _ => {
                if *all == 1 {
                    notes.push(format!(
                        "“{name}” has a single image; the model cannot generalise from it."
                    ));
                }
                *index = Some(kept.len());
                kept.push(class.clone());
            }
        }
    }
    match kept.as_slice() {
        [] => return Err(TrainError::NoFrames),
        [one] => return Err(TrainError::OneClass(one.name.clone())),
        _ => {}
    }
    let sizes = Sizes {
        dim: table.dim,
        classes: kept.len(),
    };
    let mut taken = Vec::new();
    let mut labels: [Vec<i64>; 3] = Default::default();
    let mut kept_rows = Vec::with_capacity(frames.len());
    for (at, (mut frame, usable)) in frames.into_iter().zip(usable).enumerate() {
        let (Some(class), true) = (new_index.get(frame.class).copied().flatten(), usable) else {
            continue;
        };
        if let Some(labels) = labels.get_mut(side_of(frame.split)) {
            labels.push(class as i64);
        }
        kept_rows.push(at);
        frame.class = class;
        frame.content = table.contents.get(at).copied().flatten();
        taken.push(frame);
    }
    let values = std::mem::take(&mut table.values);
    drop(table);
    let [train, validation, test] = labels;
    let sizes_of = [train.len(), validation.len(), test.len()];
    let [mut train_x, validation_x, test_x] = in_sides(values, sizes.dim, &kept_rows, sizes_of);
    let mut views = 1;
    let augmented = settings.fine_tune.views.unwrap_or(0);
    if !settings.fine_tune.is_on() && !settings.fine_tune.automatic && augmented > 0 {
        let paths: Vec<PathBuf> = taken
            .iter()
            .take(train.len())
            .map(|frame| project.abs(&frame.path))
            .collect();
        let source = ViewSource {
            frames: &paths,
            settings,
            preprocessing,
            cache_dir: &project.cache_dir(),
        };
        let asked = augmented as usize + 1;
        views = source.affordable(asked, sizes.dim);
        if views < asked {
            notes.push(format!(
                "The head was trained on {} augmented views of each image instead of {}: more do not fit into memory.",
                views - 1,
                asked - 1
            ));
        }
        train_x = source.with_views(&train_x, sizes.dim, views, work)?;
    }
    let data = Data {
        sizes,
        train: Examples::with_views(sizes, train_x, train, views)?,
        validation: Examples::new(sizes, validation_x, validation)?,
        test: Examples::new(sizes, test_x, test)?,
    };
    if data.validation.len() == 0 {
        notes.push(
            "There are no validation images, so the weights of the last step are kept.".into(),
        );
    }
    if data.test.len() == 0 {
        notes.push("There are no test images, so accuracy on new images was not measured.".into());
    }
    Ok(Prepared {
        classes: kept,
        frames: taken,
        data,
        notes,
    })
}

/// The position of a side in the order of a training's frames.
fn side_of(split: Split) -> usize {
    match split {
        Split::Train => 0,
        Split::Validation => 1,
        Split::Test => 2,
    }
}

/// The kept rows of a table (ascending, of length `dim`), divided into sides of the given numbers of rows. The first
/// side, which is the largest, stays in the table's memory; the others are copied.
fn in_sides(
    mut values: Vec<f32>,
    dim: usize,
    kept: &[usize],
    [first, second, third]: [usize; 3],
) -> [Vec<f32>; 3] {
    for (to, from) in kept.iter().enumerate() {
        if to != *from {
            values.copy_within(from * dim..(from + 1) * dim, to * dim);
        }
    }
    values.truncate((first + second + third) * dim);
    let last = values.split_off((first + second) * dim);
    let middle = values.split_off(first * dim);
    values.shrink_to_fit();
    [values, middle, last]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_falls_into_sides_where_it_lies() {
        let rows: Vec<f32> = (0..10_u8).flat_map(|row| [f32::from(row), 0.5]).collect();
        let kept = [0, 1, 3, 4, 6, 7, 8, 9];
        let [train, validation, test] = in_sides(rows, 2, &kept, [5, 2, 1]);
        assert_eq!(train, [0.0, 0.5, 1.0, 0.5, 3.0, 0.5, 4.0, 0.5, 6.0, 0.5]);
        assert_eq!(validation, [7.0, 0.5, 8.0, 0.5]);
        assert_eq!(test, [9.0, 0.5]);
        let whole = in_sides(vec![1.0; 6], 2, &[0, 1, 2], [3, 0, 0]);
        assert_eq!(whole, [vec![1.0; 6], vec![], vec![]]);
    }
}
