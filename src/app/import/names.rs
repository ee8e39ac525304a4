//! Display names of the files in an import's report: the file name, and for files of the same name their relative path.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Component, Path};

/// The most folders before a name.
const FOLDERS: usize = 4;

/// A name for each of these files: its file name, or if several have the same, as many of the folders above it as are
/// needed to distinguish them (`train/cat/a.png`).
pub(super) fn distinct_names<'a>(paths: impl Iterator<Item = &'a Path> + Clone) -> Vec<String> {
    let mut of_name: HashMap<&OsStr, Vec<&Path>> = HashMap::new();
    for path in paths.clone() {
        let name = path.file_name().unwrap_or_default();
        of_name.entry(name).or_default().push(path);
    }
    let mut folders: HashMap<&OsStr, usize> = HashMap::new();
    for (name, paths) in &of_name {
        if paths.len() > 1 {
            folders.insert(name, folders_that_differ(paths));
        }
    }
    paths
        .map(|path| {
            let name = path.file_name().unwrap_or_default();
            end_of(path, folders.get(name).copied().unwrap_or_default())
        })
        .collect()
}

/// The number of folders above files of one name that distinguishes all of them.
fn folders_that_differ(paths: &[&Path]) -> usize {
    (1..FOLDERS)
        .find(|folders| {
            let mut ends: Vec<String> = paths.iter().map(|path| end_of(path, *folders)).collect();
            ends.sort_unstable();
            ends.windows(2).all(|pair| pair.first() != pair.last())
        })
        .unwrap_or(FOLDERS)
}

/// The name of a file with this many folders above it.
fn end_of(path: &Path, folders: usize) -> String {
    let mut parts: Vec<_> = path
        .components()
        .rev()
        .take(folders + 1)
        .filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_string_lossy()),
            _ => None,
        })
        .collect();
    parts.reverse();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_name_are_told_apart_by_their_folders() {
        let names = |paths: &[&str]| distinct_names(paths.iter().map(Path::new));
        assert_eq!(
            names(&["/in/cat/a.png", "/in/dog/a.png", "/in/dog/b.png"]),
            ["cat/a.png", "dog/a.png", "b.png"]
        );
        assert_eq!(
            names(&["/in/train/cat/a.png", "/in/val/cat/a.png"]),
            ["train/cat/a.png", "val/cat/a.png"]
        );
        // The same file twice has the same name; a name is at most the whole path.
        assert_eq!(
            names(&["/x/a.png", "/x/a.png", "/a.png"]),
            ["x/a.png", "x/a.png", "a.png"]
        );
        assert_eq!(names(&[]), [""; 0]);
    }
}
