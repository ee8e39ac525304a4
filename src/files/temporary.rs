//! Names of files that are being written, and removing those that a killed process left behind.

use std::io::ErrorKind;
use std::path::Path;

use super::access::{read_dir, remove_dir_all, remove_file};

/// The beginning of temporary names: hidden, and recognisable in the user's folders.
pub(super) const PREFIX: &str = ".salamander-";

/// The end of temporary names.
pub(super) const SUFFIX: &str = ".part";

/// Whether a name is that of a file or folder that is being written.
#[must_use]
pub fn is_temporary(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .is_some_and(|rest| rest.len() > SUFFIX.len() && rest.ends_with(SUFFIX))
}

/// Removes files, and folders with their contents, for whose names `left_over` is true, in `folder` and to the given
/// depth of folders in it. Only for folders to which no other process can be writing. Entries that cannot be removed
/// are logged.
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
            log::warn!("“{}” could not be removed: {error}", path.display());
        }
    }
}
