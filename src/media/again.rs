//! Extracts a video again, and separates new frames from those that existed.

use std::collections::HashSet;

use crate::jobs::Work;
use crate::project::{Frame, Project, SourceId};

use super::{MediaError, extract};

/// The frames of a source after an extraction, as paths relative to the project's root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgainFrames {
    /// Frames that this extraction wrote.
    pub new: Vec<String>,
    /// Frames that existed before, at their current paths.
    pub before: Vec<String>,
}

/// Like [`extract()`], but returns which frames it wrote. Frames are identified by file names, so that existing ones
/// that are labelled meanwhile do not count as new.
pub fn extract_again(
    project: &Project,
    source: &SourceId,
    work: &Work,
) -> Result<AgainFrames, MediaError> {
    let frames = |work: &Work| -> Result<Vec<Frame>, MediaError> {
        let mut list = project.scan(work)?.list;
        list.retain(|frame| frame.source.as_ref() == Some(source));
        Ok(list)
    };
    let known: HashSet<String> = frames(work)?
        .iter()
        .map(|frame| frame.file_name().to_owned())
        .collect();
    extract(project, source, work)?;
    let (before, new): (Vec<Frame>, Vec<Frame>) = frames(work)?
        .into_iter()
        .partition(|frame| known.contains(frame.file_name()));
    let paths = |frames: Vec<Frame>| frames.into_iter().map(|frame| frame.path).collect();
    Ok(AgainFrames {
        new: paths(new),
        before: paths(before),
    })
}
