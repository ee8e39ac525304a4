//! The project that accesses a folder of images through a link.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::{self, FollowedLink};
use crate::project::{Project, follow_link};

use super::RetrainError;

/// The link, in place of a project's class folders.
const LINK: &str = "classes";

/// Opens or creates the project in `root` whose class folders are those in `images`.
pub(super) fn open(root: &Path, images: &Path) -> Result<Project, RetrainError> {
    let images = check_images(images)?;
    let link = root.join(LINK);
    // The user named both folders, which is the consent to follow this link.
    let agreed = FollowedLink {
        link: LINK.into(),
        target: images.clone(),
    };
    follow_link(root, &agreed)?;
    if Project::is_at(root) {
        let of = fs::canonicalize(&link).unwrap_or_else(|_| link.clone());
        if of != images {
            return Err(RetrainError::OtherImages {
                path: root.to_owned(),
                images: of,
            });
        }
        return Ok(Project::open(root)?);
    }
    Project::check_new(root)?;
    files::create_dir_all(root).map_err(RetrainError::io("make", root))?;
    let canonical = fs::canonicalize(root).map_err(RetrainError::io("read", root))?;
    if canonical.starts_with(&images) || images.starts_with(&canonical) {
        return Err(RetrainError::Nested {
            path: root.to_owned(),
        });
    }
    match link_folder(&images, &link) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(RetrainError::io("link the images in", &link)(error));
        }
        // The link of an earlier, incomplete attempt.
        _ if fs::canonicalize(&link).ok().as_ref() == Some(&images) => {}
        _ => {
            return Err(RetrainError::OtherImages {
                path: root.to_owned(),
                images: fs::canonicalize(&link).unwrap_or(link),
            });
        }
    }
    let name = images.file_name().unwrap_or_default().to_string_lossy();
    Ok(Project::create(root, &name)?)
}

/// The absolute path of the folder of images, which must be suitable.
fn check_images(images: &Path) -> Result<PathBuf, RetrainError> {
    let no_folder = || RetrainError::NoFolder {
        path: images.to_owned(),
    };
    let full = fs::canonicalize(images).map_err(|_| no_folder())?;
    let entries = files::read_dir(&full).map_err(|_| no_folder())?;
    let is_class = |entry: &fs::DirEntry| {
        entry.path().is_dir() && !entry.file_name().to_string_lossy().starts_with('.')
    };
    let found = entries.filter_map(Result::ok).filter(is_class).count();
    if found < 2 {
        return Err(RetrainError::FewFolders {
            path: images.to_owned(),
            found,
        });
    }
    Ok(full)
}

#[cfg(unix)]
fn link_folder(to: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, link)
}

#[cfg(windows)]
fn link_folder(to: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_dir(to, link)
}
