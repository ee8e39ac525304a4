//! Extracting a video again, and telling the frames that are new from those that were there.

use std::collections::HashSet;

use crate::jobs::Work;
use crate::project::{Frame, Project, SourceId};

use super::{MediaError, extract};

/// The frames of a source after it was extracted, as paths relative to the project's root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Again {
    /// Frames that this extraction wrote.
    pub new: Vec<String>,
    /// Frames that were there before, where they are now.
    pub before: Vec<String>,
}

/// [`extract()`], telling which frames it wrote. Frames are known by their file names, so that those that are
/// labelled meanwhile are not taken for new ones.
pub fn extract_again(
    project: &Project,
    source: &SourceId,
    work: &Work,
) -> Result<Again, MediaError> {
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
    Ok(Again {
        new: paths(new),
        before: paths(before),
    })
}
