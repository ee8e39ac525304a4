//! Writing one file: a temporary file beside it, then a rename.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use super::temporary::{PREFIX, SUFFIX, is_temporary};
use super::{FileError, sync_dir};

/// What a written file survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: the contents are synced before the rename and the folder after it. For what exists nowhere else:
    /// the project, runs, exports.
    Synced,
    /// The death of the process. After a power cut the file may be empty or as before. For what can be made again
    /// and comes in great numbers: frames of a video, thumbnails, hashes.
    Renamed,
}

/// Writes a file whole, in the place of any that is there.
pub fn write(path: &Path, bytes: &[u8], durability: Durability) -> Result<(), FileError> {
    let mut file = NewFile::beside(path)?;
    file.write_all(bytes)
        .map_err(FileError::new("write", path))?;
    file.commit(durability)
}

/// Copies a file so that the copy appears whole. It keeps the mode and the time of the last change.
pub fn copy(from: &Path, to: &Path, durability: Durability) -> Result<(), FileError> {
    let mut source = File::open(from).map_err(FileError::new("read", from))?;
    let mut file = NewFile::beside(to)?;
    let fail = || FileError::new("write", to);
    io::copy(&mut source, &mut file).map_err(fail())?;
    let facts = source.metadata().map_err(FileError::new("read", from))?;
    file.like = Some(facts.permissions());
    if let Ok(modified) = facts.modified() {
        file.file().set_modified(modified).map_err(fail())?;
    }
    file.commit(durability)
}

/// Adds to the end of a file, which is made if need be. A process killed meanwhile may leave a part of `bytes`.
pub fn append(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(FileError::new("write", path))
}

/// A file that is being written and not in its place yet. Dropping it removes it.
#[derive(Debug)]
pub struct NewFile {
    temporary: NamedTempFile,
    place: PathBuf,
    /// The mode it gets if nothing is replaced; `None` is that of any new file.
    like: Option<fs::Permissions>,
}

impl NewFile {
    /// Begins a file that is to become `path`, under a temporary name in the same folder.
    pub fn beside(path: &Path) -> Result<Self, FileError> {
        let place = place_of(path);
        let temporary = temporary_in(folder_of(&place)).map_err(FileError::new("write", path))?;
        Ok(Self {
            temporary,
            place,
            like: None,
        })
    }

    /// Where it is until it is in its place.
    #[must_use]
    pub fn temporary_path(&self) -> &Path {
        self.temporary.path()
    }

    fn file(&self) -> &File {
        self.temporary.as_file()
    }

    /// Puts it in its place, over any file that is there.
    pub fn commit(self, durability: Durability) -> Result<(), FileError> {
        self.settle(durability)?;
        let Self {
            temporary, place, ..
        } = self;
        temporary
            .persist(&place)
            .map_err(|error| FileError::new("write", &place)(error.error))?;
        if durability == Durability::Synced {
            sync_dir(folder_of(&place));
        }
        Ok(())
    }

    /// Gives it the permissions of the file that it replaces and sees that its contents are on disk.
    fn settle(&self, durability: Durability) -> Result<(), FileError> {
        let fail = || FileError::new("write", &self.place);
        match fs::metadata(&self.place) {
            Ok(replaced) => take_after(self.file(), &replaced),
            Err(_) => {
                if let Some(permissions) = &self.like {
                    self.file()
                        .set_permissions(permissions.clone())
                        .map_err(fail())?;
                }
            }
        }
        if durability == Durability::Synced {
            self.file().sync_all().map_err(fail())?;
        }
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.as_file_mut().flush()
    }
}

/// A folder that is being filled and not in its place yet. Dropping it removes it with what is in it.
#[derive(Debug)]
pub struct NewFolder {
    temporary: TempDir,
    place: PathBuf,
}

impl NewFolder {
    /// Begins a folder that is to become `path`, under a temporary name beside it.
    pub fn beside(path: &Path) -> Result<Self, FileError> {
        let mut builder = tempfile::Builder::new();
        let prefix = folder_prefix(path);
        builder.prefix(&prefix).suffix(SUFFIX).rand_bytes(12);
        let temporary = builder
            .tempdir_in(folder_of(path))
            .map_err(plain)
            .map_err(FileError::new("make the folder", path))?;
        Ok(Self {
            temporary,
            place: path.to_owned(),
        })
    }

    /// Whether a name is that of a folder that was to become `path`.
    #[must_use]
    pub fn was_to_become(name: &str, path: &Path) -> bool {
        is_temporary(name) && name.starts_with(&folder_prefix(path))
    }

    /// Where it is until it is in its place.
    #[must_use]
    pub fn temporary_path(&self) -> &Path {
        self.temporary.path()
    }

    /// Puts one of the files in it to where the folder was to be, over any file that is there; the rest goes.
    pub fn commit_file(self, name: &str) -> Result<(), FileError> {
        let from = self.temporary.path().join(name);
        let fail = || FileError::new("write", &self.place);
        let file = File::open(&from).map_err(fail())?;
        if let Ok(replaced) = fs::metadata(&self.place) {
            take_after(&file, &replaced);
        }
        file.sync_all().map_err(fail())?;
        drop(file);
        fs::rename(&from, &self.place).map_err(fail())?;
        sync_dir(folder_of(&self.place));
        Ok(())
    }

    /// Puts it in its place, where nothing may be but an empty folder.
    pub fn commit(self) -> Result<(), FileError> {
        let Self { temporary, place } = self;
        fs::rename(temporary.path(), &place).map_err(FileError::new("write", &place))?;
        // It is not there any more under its temporary name.
        drop(temporary.keep());
        sync_dir(folder_of(&place));
        Ok(())
    }
}

/// Temporary folders carry the name they are to have, so that those of others are left alone.
fn folder_prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let short: String = name.chars().take(32).collect();
    format!("{PREFIX}{short}-")
}

/// A new file of a name that nobody has, with the mode of any new file. Removed when dropped.
pub(super) fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX).rand_bytes(12);
    // The system takes the umask off; without this the file would be its owner's alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder).map_err(plain)
}

/// The error without the temporary path that `tempfile` adds to it, where its kind says enough.
fn plain(error: io::Error) -> io::Error {
    let plain = io::Error::from(error.kind());
    // Kinds without a name of their own are all called the same.
    if plain.to_string() == io::Error::from(io::ErrorKind::Other).to_string()
        || plain.to_string().contains("uncategorized")
    {
        return error;
    }
    plain
}

/// The file that is written when `path` is: what a link there leads to.
fn place_of(path: &Path) -> PathBuf {
    let link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    match fs::canonicalize(path) {
        Ok(target) if link => target,
        _ => path.to_owned(),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Gives a new file the owner, group and mode of the one it replaces. Who may not give a file away keeps it; then the
/// group that the folder gave it stays.
#[cfg(unix)]
fn take_after(new: &File, replaced: &fs::Metadata) {
    use std::os::unix::fs::{MetadataExt, fchown};
    let Ok(own) = new.metadata() else { return };
    if (own.uid(), own.gid()) != (replaced.uid(), replaced.gid()) {
        let given = fchown(new, Some(replaced.uid()), Some(replaced.gid()))
            .or_else(|_| fchown(new, None, Some(replaced.gid())));
        if let Err(error) = given {
            log::debug!("a file that is replaced does not keep its group: {error}");
        }
    }
    // After the owner: a change of owner clears some bits of the mode.
    if own.permissions() != replaced.permissions()
        && let Err(error) = new.set_permissions(replaced.permissions())
    {
        // Some network drives refuse it; the contents matter more.
        log::debug!("a file that is replaced does not keep its mode: {error}");
    }
}

#[cfg(not(unix))]
fn take_after(_new: &File, _replaced: &fs::Metadata) {}
