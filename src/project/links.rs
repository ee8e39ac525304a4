//! Links in a project. A project may come from anyone, and a link may lead anywhere. So no link is followed, except
//! for class folders that the user has agreed to read; that agreement is never stored in the project.

use std::path::{Path, PathBuf};

use crate::files::{self, FollowedLink};

use super::handle::absolute;
use super::{ProjectError, document, lock};

/// The entries of a project's folder.
const FOLDERS: [&str; 8] = [
    "classes",
    "unsorted",
    "trash",
    "cache",
    "runs",
    "sweeps",
    "exports",
    "architectures",
];

/// The class folders of the project in `root` that are links to folders, or the link in place of all of them. None is
/// followed without the user's agreement ([`follow_link`]).
#[must_use]
pub fn linked_classes(root: &Path) -> Vec<FollowedLink> {
    let classes = Path::new("classes");
    let mut found: Vec<FollowedLink> = FollowedLink::at(root, classes).into_iter().collect();
    if let Ok(entries) = files::read_dir(root.join(classes)) {
        let links = entries.filter_map(|entry| {
            let entry = entry.ok()?;
            let is_link = entry.file_type().ok()?.is_symlink();
            is_link.then(|| FollowedLink::at(root, &classes.join(entry.file_name())))?
        });
        if found.is_empty() {
            found.extend(links);
        }
    }
    found.sort_by(|a, b| a.link.cmp(&b.link));
    found
}

/// Allows following a link of [`linked_classes`] for reading, until the program ends: the contents of its target are
/// used, but never written, moved or deleted.
pub fn follow_link(root: &Path, link: &FollowedLink) -> Result<(), ProjectError> {
    files::confine(root).map_err(ProjectError::io("find", root))?;
    files::follow(root, link).map_err(ProjectError::io("find", root))
}

/// The folder as an absolute path, in which from now on no link is followed without the user's agreement. Refuses a
/// project in which one of its own entries is a link; changes nothing.
pub(super) fn confined(root: &Path) -> Result<PathBuf, ProjectError> {
    let root = absolute(root)?;
    files::confine(&root).map_err(ProjectError::io("find", &root))?;
    let own = FOLDERS.iter().copied().chain(document::FILES);
    for name in own.chain([lock::FILE]) {
        let path = root.join(name);
        let is_link = std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
        if is_link && name != "classes" {
            return Err(ProjectError::Linked {
                target: std::fs::read_link(&path).unwrap_or_default(),
                link: path,
            });
        }
    }
    let mut links = linked_classes(&root);
    links.retain(|link| !files::is_followed(&root, link));
    if links.is_empty() {
        Ok(root)
    } else {
        Err(ProjectError::LinkedClass { root, links })
    }
}

/// Each link with its target; only the first ones by name.
pub(super) fn named(links: &[FollowedLink]) -> String {
    const MOST: usize = 3;
    let mut names: Vec<String> = links
        .iter()
        .take(MOST)
        .map(|link| {
            format!(
                "“{}” points to “{}”",
                link.link.display(),
                link.target.display()
            )
        })
        .collect();
    if let Some(more) = links.len().checked_sub(MOST).filter(|more| *more > 0) {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}
