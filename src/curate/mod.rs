//! Which frames belong together: groups for the split, near-duplicates.

use crate::jobs::Work;
use crate::project::{Frames, Project, ProjectError};

/// The group of each frame (same order): frames of one group must not be cut apart by the split.
/// The group of a video's frame is its source; photos and files put in by hand are grouped by
/// near-duplicate clusters (perceptual hash, cached by content).
pub fn groups(
    project: &Project,
    frames: &Frames,
    work: &Work,
) -> Result<Vec<String>, ProjectError> {
    let _ = (project, work);
    todo!("{}", frames.list.len())
}
