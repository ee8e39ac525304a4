//! Bringing single pictures of files in that a model was tried on, each with its class.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::jobs::Work;
use crate::project::{ClassName, Project, Sampling, SourceId};

use super::import::{
    Decoded, Fate, ImportOptions, ImportOutcome, ImportPlan, OnConflict, PlanGroup, PlannedFile,
    Videos, import_planned,
};
use super::{Kind, MediaError};

/// An image, or a frame of a video, and the class that it gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The file.
    pub path: PathBuf,
    /// Seconds from the start of the video; `None` for an image.
    pub time_secs: Option<f64>,
    /// Its class, which exists or is made.
    pub class: ClassName,
}

/// What came in.
#[derive(Debug, Default)]
pub struct Adopted {
    /// What became of each file.
    pub outcome: ImportOutcome,
    /// Frames of videos that got a class.
    pub labelled: usize,
    /// Wanted frames that the project does not have: its video was there before, with other settings.
    pub missing: usize,
}

/// Brings pictures in. An image is copied into its class; one that is there under another class is moved. Of a video the
/// whole becomes a source without a class, its frames are taken as `sampling` says, and the wanted ones get their classes.
/// All of it is in the outcome's record, so that it is one change to take back, also after an error.
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
        // They were looked at one by one.
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

/// Each file once: images by their class, videos without one.
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
