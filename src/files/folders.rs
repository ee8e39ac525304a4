//! Creating folders, and their properties.

use std::io::{self, ErrorKind};
use std::path::{Component, Path};

use super::access::{create_dir, is_dir, metadata};
use super::confined::Purpose;
use super::folder::Folder;
use super::write::try_file;
use super::{FileError, is_link_in_the_way};

/// Creates `dir` and the missing folders between it and `base`, which must exist: a folder on a disconnected drive is
/// not created again in its place. If `dir` is not in `base`, only `dir` itself is created, in an existing folder.
pub fn make_dirs(base: &Path, dir: &Path) -> Result<(), FileError> {
    let fail = |path: &Path, error| Err(FileError::new("make the folder", path)(error));
    let mut path = if base.as_os_str().is_empty() {
        Path::new(".").to_owned()
    } else {
        base.to_owned()
    };
    let below = match dir.strip_prefix(base) {
        Ok(below)
            if below
                .components()
                .all(|c| matches!(c, Component::Normal(_))) =>
        {
            below
        }
        _ => {
            dir.parent().unwrap_or(base).clone_into(&mut path);
            dir.file_name().map_or(Path::new(""), Path::new)
        }
    };
    if !is_dir(&path) {
        let error = match metadata(&path) {
            Ok(_) => io::Error::from(ErrorKind::NotADirectory),
            Err(error) => error,
        };
        return fail(dir, error);
    }
    for part in below.components() {
        path.push(part);
        match create_dir(&path) {
            Ok(()) => {}
            // This includes a link to a folder, where links are followed.
            Err(error) if !is_link_in_the_way(&error) && is_dir(&path) => {}
            Err(error) => return fail(&path, error),
        }
    }
    Ok(())
}

/// Whether files can be created in a folder; errors other than missing permission (such as a full disk) do not count.
/// Determined by creating one, because permissions are not sufficient: a disk may be mounted read-only.
pub fn is_writable(dir: &Path) -> Result<(), io::Error> {
    match try_file(dir) {
        Err(error) if is_refusal(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Whether an error means that writing is not permitted.
#[must_use]
pub fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

/// Syncs files written to `base`, so that they survive a power failure: on Linux the whole disk at once, elsewhere
/// these files one by one.
pub fn sync_files<'a>(base: &Path, files: impl Iterator<Item = &'a Path>) {
    let synced = {
        #[cfg(target_os = "linux")]
        {
            drop(files);
            Folder::open(base, Purpose::Change).and_then(|folder| folder.sync_disk())
        }
        #[cfg(not(target_os = "linux"))]
        {
            sync_each(files)
        }
    };
    if let Err(error) = synced {
        log::debug!("cannot sync what is in {}: {error}", base.display());
    }
}

#[cfg(not(target_os = "linux"))]
fn sync_each<'a>(files: impl Iterator<Item = &'a Path>) -> io::Result<()> {
    let mut folders = std::collections::BTreeSet::new();
    for file in files {
        super::access::open_or_create(file)?.sync_all()?;
        folders.extend(file.parent());
    }
    for folder in folders {
        Folder::open(folder, Purpose::Change)?.sync()?;
    }
    Ok(())
}

/// Syncs renames in a folder, so that they survive a power failure, if the system supports it.
pub fn sync_dir(dir: &Path) {
    if let Err(error) = Folder::open(dir, Purpose::Change).and_then(|dir| dir.sync()) {
        log::debug!("cannot sync {}: {error}", dir.display());
    }
}
