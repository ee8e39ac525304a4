//! Names of files that are being written, and clearing away those that a killed process left behind.

use std::io::ErrorKind;
use std::path::Path;

use super::access::{read_dir, remove_dir_all, remove_file};

/// Temporary names begin with this: hidden, and recognised in a folder of the user's own.
pub(super) const PREFIX: &str = ".salamander-";

/// Temporary names end with this.
pub(super) const SUFFIX: &str = ".part";

/// Whether a name is that of a file or folder that is still being written.
#[must_use]
pub fn is_temporary(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .is_some_and(|rest| rest.len() > SUFFIX.len() && rest.ends_with(SUFFIX))
}

/// Removes files, and folders with what is in them, whose names are `left_over`, in `folder` and down to `depth` folders
/// below. Only for folders in which nobody else can be writing. What cannot be removed stays, with a line
/// in the log.
pub fn remove_left_over(folder: &Path, depth: usize, left_over: &dyn Fn(&str) -> bool) {
    let Ok(entries) = read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let path = entry.path();
        let matches = entry.file_name().to_str().is_some_and(left_over);
        let removed = match (matches, kind.is_dir()) {
            (true, true) => remove_dir_all(&path),
            (true, false) => remove_file(&path),
            (false, true) if depth > 0 => {
                remove_left_over(&path, depth - 1, left_over);
                Ok(())
            }
            (false, _) => Ok(()),
        };
        if let Err(error) = removed
            && error.kind() != ErrorKind::NotFound
        {
            log::warn!("“{}” stays behind: {error}", path.display());
        }
    }
}
