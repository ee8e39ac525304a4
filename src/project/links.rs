//! Links in a project. It may come from somebody else, and a link leads anywhere: so none is followed, but for a class
//! folder of which the user agreed that it is read, and that agreement is never kept in the project.

use std::path::{Path, PathBuf};

use crate::files::{self, FollowedLink};

use super::handle::absolute;
use super::{ProjectError, document, lock};

/// What a project consists of, in its own folder.
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

/// The class folders of the project in `root` that are links to folders, or the link in the place of all of them. None
/// is followed unless the user agrees ([`follow_link`]).
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

/// Has a link of [`linked_classes`] followed for reading, until the program ends: what is in the folder that it leads
/// to is used, and never written, moved or deleted.
pub fn follow_link(root: &Path, link: &FollowedLink) -> Result<(), ProjectError> {
    files::confine(root).map_err(ProjectError::io("find", root))?;
    files::follow(root, link).map_err(ProjectError::io("find", root))
}

/// The folder as an absolute path, in which from now on no link is followed unless the user agreed to that. Refuses a
/// project that has one in the place of something of its own; changes nothing.
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

/// Each link and what it leads to, the first ones by name.
pub(super) fn named(links: &[FollowedLink]) -> String {
    const MOST: usize = 3;
    let mut names: Vec<String> = links
        .iter()
        .take(MOST)
        .map(|link| {
            format!(
                "“{}” leads to “{}”",
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
