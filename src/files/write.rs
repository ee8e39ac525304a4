//! Writes one file: to a temporary file beside it, which is then renamed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::confined::Purpose;
use super::folder::{Folder, Open};
use super::temporary::{PREFIX, SUFFIX, is_temporary};
use super::{FileError, access};

/// What a written file survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A power failure: the contents are synced before the rename and the folder after it. For everything that exists
    /// nowhere else: the project, runs, exports.
    Synced,
    /// The end of the process. After a power failure the file may be empty or unchanged. For numerous files that can
    /// be made again (thumbnails, hashes), and for frames until [`sync_files`](super::sync_files).
    Renamed,
}

/// Writes a file atomically, replacing an existing one.
pub fn write(path: &Path, bytes: &[u8], durability: Durability) -> Result<(), FileError> {
    let mut file = NewFile::beside(path)?;
    file.write_all(bytes)
        .map_err(FileError::new("write", path))?;
    file.commit(durability)
}

/// Copies a file atomically. The copy has the same mode and time of the last change.
pub fn copy(from: &Path, to: &Path, durability: Durability) -> Result<(), FileError> {
    let mut source = access::open(from).map_err(FileError::new("read", from))?;
    let mut file = NewFile::beside(to)?;
    let fail = || FileError::new("write", to);
    io::copy(&mut source, &mut file).map_err(fail())?;
    let facts = source.metadata().map_err(FileError::new("read", from))?;
    file.like = Some(facts.permissions());
    if let Ok(modified) = facts.modified() {
        file.temporary.file.set_modified(modified).map_err(fail())?;
    }
    file.commit(durability)
}

/// Appends to a file, which is created if necessary. A process killed meanwhile may leave a part of `bytes`. The name
/// of a created file is not synced; writing another file beside it does that.
pub fn append(path: &Path, bytes: &[u8], durability: Durability) -> Result<(), FileError> {
    let add = || {
        let mut file = Folder::open_file(path, Open::Append)?;
        file.write_all(bytes)?;
        match durability {
            Durability::Synced => file.sync_data(),
            Durability::Renamed => Ok(()),
        }
    };
    add().map_err(FileError::new("write", path))
}

/// A file that is being written and not in its place yet. Dropping it removes it.
#[derive(Debug)]
pub struct NewFile {
    temporary: Temporary,
    place: PathBuf,
    /// The final name, in the same folder.
    name: OsString,
    /// Its mode, if it replaces no file; `None` for that of any new file.
    like: Option<fs::Permissions>,
}

impl NewFile {
    /// Begins writing the file `path`, under a temporary name in the same folder.
    pub fn beside(path: &Path) -> Result<Self, FileError> {
        Self::begin(path).map_err(FileError::new("write", path))
    }

    fn begin(path: &Path) -> io::Result<Self> {
        let (mut folder, mut name) = Folder::of(path, Purpose::Change)?;
        let mut place = path.to_owned();
        if !folder.is_confined()
            && let Some(target) = target_of(path)
        {
            (folder, name) = Folder::of(&target, Purpose::Change)?;
            place = target;
        }
        check_ordinary(&place)?;
        Ok(Self {
            temporary: Temporary::new(folder)?,
            place,
            name,
            like: None,
        })
    }

    /// The temporary path.
    #[must_use]
    pub fn temporary_path(&self) -> PathBuf {
        self.temporary.folder.join(&self.temporary.name)
    }

    /// Moves the file to its place, replacing an existing one.
    pub fn commit(mut self, durability: Durability) -> Result<(), FileError> {
        self.settle(durability)?;
        self.temporary
            .persist(&self.name)
            .map_err(FileError::new("write", &self.place))?;
        if durability == Durability::Synced {
            self.temporary.sync_folder();
        }
        Ok(())
    }

    /// Assigns the permissions of the file that it replaces, and syncs its contents.
    fn settle(&self, durability: Durability) -> Result<(), FileError> {
        let fail = || FileError::new("write", &self.place);
        let file = &self.temporary.file;
        match access::metadata(&self.place) {
            Ok(replaced) if !replaced.is_symlink() => take_after(file, &replaced),
            _ => {
                if let Some(permissions) = &self.like {
                    file.set_permissions(permissions.clone()).map_err(fail())?;
                }
            }
        }
        if durability == Durability::Synced {
            file.sync_all().map_err(fail())?;
        }
        Ok(())
    }
}

/// Refuses to replace a device or a pipe, which others use.
fn check_ordinary(place: &Path) -> io::Result<()> {
    match access::metadata(place) {
        Ok(found) if !(found.is_file() || found.is_dir() || found.is_symlink()) => Err(
            io::Error::other("it is a device or a pipe; give the name of a file"),
        ),
        _ => Ok(()),
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.file.flush()
    }
}

/// A folder that is being filled and not in its place yet. Dropping it removes it with its contents.
#[derive(Debug)]
pub struct NewFolder {
    parent: Folder,
    temporary: OsString,
    place: PathBuf,
    name: OsString,
    is_placed: bool,
}

impl NewFolder {
    /// Begins the folder `path`, under a temporary name beside it.
    pub fn beside(path: &Path) -> Result<Self, FileError> {
        let begin = || {
            let (parent, name) = Folder::of(path, Purpose::Change)?;
            let make = |name: &OsStr| parent.create_dir(name);
            let (temporary, ()) = with_new_name(&folder_prefix(path), make)?;
            Ok(Self {
                parent,
                temporary,
                place: path.to_owned(),
                name,
                is_placed: false,
            })
        };
        begin().map_err(FileError::new("make the folder", path))
    }

    /// Whether a name is the temporary name of the folder `path`.
    #[must_use]
    pub fn was_to_become(name: &str, path: &Path) -> bool {
        is_temporary(name) && name.starts_with(&folder_prefix(path))
    }

    /// The temporary path.
    #[must_use]
    pub fn temporary_path(&self) -> PathBuf {
        self.parent.join(&self.temporary)
    }

    /// Moves one of the files in it to the folder's intended path, replacing an existing file; the rest is removed.
    pub fn commit_file(self, name: &str) -> Result<(), FileError> {
        let fail = || FileError::new("write", &self.place);
        check_ordinary(&self.place).map_err(fail())?;
        let from = self.temporary_path().join(name);
        let file = access::open(&from).map_err(fail())?;
        if let Ok(replaced) = access::metadata(&self.place)
            && !replaced.is_symlink()
        {
            take_after(&file, &replaced);
        }
        file.sync_all().map_err(fail())?;
        drop(file);
        access::rename(&from, &self.place).map_err(fail())?;
        self.sync_parent();
        Ok(())
    }

    /// Moves the folder to its place, where at most an empty folder may exist.
    pub fn commit(mut self) -> Result<(), FileError> {
        self.parent
            .rename(&self.temporary, &self.parent, &self.name)
            .map_err(FileError::new("write", &self.place))?;
        self.is_placed = true;
        self.sync_parent();
        Ok(())
    }

    fn sync_parent(&self) {
        if let Err(error) = self.parent.sync() {
            log::debug!(
                "cannot sync the folder of {}: {error}",
                self.place.display()
            );
        }
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if !self.is_placed
            && let Err(error) = self.parent.remove_dir_all(&self.temporary)
            && error.kind() != ErrorKind::NotFound
        {
            log::debug!(
                "“{}” could not be removed: {error}",
                self.temporary_path().display()
            );
        }
    }
}

/// Temporary folders contain their final name, so that those of others are not removed.
fn folder_prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let short: String = name.chars().take(32).collect();
    format!("{PREFIX}{short}-")
}

/// A new file with a unique name and the mode of any new file. Removed when dropped, unless it was renamed.
#[derive(Debug)]
struct Temporary {
    folder: Folder,
    name: OsString,
    file: File,
    is_placed: bool,
}

impl Temporary {
    fn new(folder: Folder) -> io::Result<Self> {
        let (name, file) = with_new_name(PREFIX, |name| folder.file(name, Open::New))?;
        Ok(Self {
            folder,
            name,
            file,
            is_placed: false,
        })
    }

    fn persist(&mut self, name: &OsStr) -> io::Result<()> {
        self.folder.rename(&self.name, &self.folder, name)?;
        self.is_placed = true;
        Ok(())
    }

    fn sync_folder(&self) {
        if let Err(error) = self.folder.sync() {
            log::debug!("a folder cannot be synced: {error}");
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_placed
            && let Err(error) = self.folder.remove_file(&self.name)
        {
            log::debug!(
                "“{}” could not be removed: {error}",
                self.folder.join(&self.name).display()
            );
        }
    }
}

/// Creates and removes a file in a folder, to find out whether that is possible.
pub(super) fn try_file(folder: &Path) -> io::Result<()> {
    Temporary::new(Folder::open(folder, Purpose::Change)?).map(drop)
}

/// Creates something under a unique temporary name that cannot be guessed.
fn with_new_name<T>(
    prefix: &str,
    make: impl Fn(&OsStr) -> io::Result<T>,
) -> io::Result<(OsString, T)> {
    for _ in 0..16 {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let number = u64::from_le_bytes(random);
        let name = OsString::from(format!("{prefix}{number:016x}{SUFFIX}"));
        match make(&name) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|made| (name, made)),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// The target of a link, which is written instead; `None` if there is no link.
fn target_of(path: &Path) -> Option<PathBuf> {
    let link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    link.then(|| fs::canonicalize(path).ok())?
}

/// The folder of a file.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Assigns to a new file the owner, group and mode of the one it replaces. Without permission to change the owner it
/// is kept, and then so is the group.
#[cfg(unix)]
fn take_after(new: &File, replaced: &fs::Metadata) {
    use std::os::unix::fs::{MetadataExt, fchown};
    let Ok(own) = new.metadata() else { return };
    if (own.uid(), own.gid()) != (replaced.uid(), replaced.gid()) {
        let given = fchown(new, Some(replaced.uid()), Some(replaced.gid()))
            .or_else(|_| fchown(new, None, Some(replaced.gid())));
        if let Err(error) = given {
            log::debug!("a replaced file lost its group: {error}");
        }
    }
    // After the owner, because changing the owner clears some bits of the mode.
    if own.permissions() != replaced.permissions()
        && let Err(error) = new.set_permissions(replaced.permissions())
    {
        // Some network drives refuse it; the contents are more important.
        log::debug!("a replaced file lost its permissions: {error}");
    }
}

#[cfg(not(unix))]
fn take_after(_new: &File, _replaced: &fs::Metadata) {}
