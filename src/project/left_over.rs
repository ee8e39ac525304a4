//! Recognises by name what a killed process left behind in a project.

use std::path::Path;

use crate::files::{is_temporary, remove_left_over};

use super::FrameName;

/// Whether a name in the project's root or in a folder for frames is that of an unfinished file of this program. Files
/// that other programs are writing there (`film.mp4.part`) are not.
pub(super) fn is_left_over(name: &str) -> bool {
    // The names of earlier versions.
    let earlier = name
        .strip_suffix(".part")
        .is_some_and(|name| name.starts_with(".project-") || FrameName::parse(name).is_some());
    is_temporary(name) || earlier
}

/// The same in folders that only Salamander writes to.
fn is_left_over_of_ours(name: &str) -> bool {
    let random = name.strip_prefix(".tmp").unwrap_or_default();
    let earlier = random.strip_suffix(".part").unwrap_or(random);
    is_left_over(name) || (earlier.len() == 6 && earlier.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// Removes all of them. To be called with the lock on the project, so that no process is writing them.
pub(super) fn remove(root: &Path) {
    remove_left_over(root, 0, &is_left_over);
    for folder in ["classes", "unsorted", "trash"] {
        remove_left_over(&root.join(folder), 8, &is_left_over);
    }
    for folder in ["cache", "runs", "sweeps", "exports", "architectures"] {
        remove_left_over(&root.join(folder), 3, &is_left_over_of_ours);
    }
}
