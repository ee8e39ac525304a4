//! Adds images and video frames that a model was tried on to the project, each with its class.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::jobs::Work;
use crate::project::{ClassName, Project, Sampling, SourceId};

use super::import::{
    Decoded, Fate, ImportOptions, ImportOutcome, ImportPlan, OnConflict, PlanGroup, PlannedFile,
    Videos, import_planned,
};
use super::{Kind, MediaError};

/// An image, or a frame of a video, and its class.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The file.
    pub path: PathBuf,
    /// Seconds from the start of the video; `None` for an image.
    pub time_secs: Option<f64>,
    /// Its class, which is created if it does not exist.
    pub class: ClassName,
}

/// The result of adding images and frames.
#[derive(Debug, Default)]
pub struct Adopted {
    /// The result for each file.
    pub outcome: ImportOutcome,
    /// How many video frames got a class.
    pub labelled: usize,
    /// How many wanted frames the project does not have, because it had sampled the video before with other settings.
    pub missing: usize,
}

/// Adds images and frames. An image is copied to its class; one that exists under another class is moved. A video
/// becomes a source without a class, its frames are extracted with `sampling`, and the wanted ones get their classes.
/// Everything is in the outcome's record, so that it can be undone as one change, also after an error.
pub fn adopt(
    project: &Project,
    wanted: &[Wanted],
    sampling: &Sampling,
    work: &Work,
    adopted: &mut Adopted,
) -> Result<(), MediaError> {
    let options = ImportOptions {
        sampling: *sampling,
        videos: Videos::Extract,
        on_conflict: OnConflict::Move,
        // The user has already inspected each of them.
        force: true,
        ..ImportOptions::default()
    };
    import_planned(
        project,
        plan(wanted)?,
        &options,
        &Decoded,
        work,
        &mut adopted.outcome,
    )?;
    let sources: HashMap<&PathBuf, &SourceId> = adopted
        .outcome
        .files
        .iter()
        .filter_map(|file| match &file.fate {
            Fate::Imported { source, .. } => Some((&file.path, source)),
            Fate::Known(known) => Some((&file.path, known.source.as_ref()?)),
            Fate::PassedOver(_) | Fate::Failed(_) => None,
        })
        .collect();
    let micros = |secs: f64| (secs * 1e6).round() as i64;
    let frames = project.scan(work)?;
    let places: HashMap<(&SourceId, i64), &str> = frames
        .list
        .iter()
        .filter_map(|frame| {
            let moment = (frame.source.as_ref()?, micros(frame.time_secs?));
            Some((moment, frame.path.as_str()))
        })
        .collect();
    let mut labels: Vec<(&ClassName, Vec<String>)> = Vec::new();
    for frame in wanted {
        let Some(secs) = frame.time_secs else {
            continue;
        };
        let source = sources.get(&frame.path);
        let place = source.and_then(|source| places.get(&(*source, micros(secs))));
        let Some(place) = place else {
            adopted.missing += 1;
            continue;
        };
        let place = (*place).to_owned();
        match labels.iter_mut().find(|(class, _)| **class == frame.class) {
            Some((_, places)) => places.push(place),
            None => labels.push((&frame.class, vec![place])),
        }
    }
    for (class, frames) in labels {
        let record = &mut adopted.outcome.record;
        project.label_imported(&frames, class, record, work)?;
        adopted.labelled += frames.len();
    }
    Ok(())
}

/// The plan of the import, with each file once: images with their class, videos without one.
fn plan(wanted: &[Wanted]) -> Result<ImportPlan, MediaError> {
    let mut groups: Vec<PlanGroup> = Vec::new();
    for image in wanted {
        let class = image.time_secs.is_none().then(|| image.class.clone());
        let file = PlannedFile {
            path: image.path.clone(),
            kind: Kind::of(&image.path)?,
        };
        let known = groups.iter().position(|group| group.class == class);
        let index = known.unwrap_or(groups.len());
        if known.is_none() {
            groups.push(PlanGroup {
                folder: image.path.parent().map(PathBuf::from).unwrap_or_default(),
                class,
                refused: None,
                by_themselves: false,
                side: None,
                files: Vec::new(),
                more_to_come: false,
            });
        }
        let group = groups.get_mut(index);
        if let Some(group) = group
            && group.files.iter().all(|known| known.path != file.path)
        {
            group.files.push(file);
        }
    }
    Ok(ImportPlan {
        groups,
        ..ImportPlan::default()
    })
}
