//! The functions of `std::fs`, without following links in [confined](super::confine) folders. All access to a project
//! uses these functions; `tests/layering/` checks that.

use std::fs::{self, File, Metadata, ReadDir};
use std::io::{self, Read};
use std::path::Path;

use super::confined::{Purpose, confined};
use super::folder::{Folder, Open};

/// The most bytes that [`read`] reads from a file: more than any model or checkpoint has.
const MOST_BYTES: u64 = 8 << 30;
/// The most bytes of a text file or JSON document that are read: some million lines.
const MOST_TEXT_BYTES: u64 = 1 << 30;

/// Opens a file for reading. Pipes, devices and sockets, which could block the program or never end, are refused
/// before they are opened.
pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
    let path = path.as_ref();
    Folder::open_file(path, Open::Read)
}

/// Opens a file for reading and writing in place, and creates it if necessary. In a project on Unix, a file with
/// several names (hard links) is first replaced by a copy.
pub fn open_or_create(path: impl AsRef<Path>) -> io::Result<File> {
    let path = path.as_ref();
    Folder::open_file(path, Open::ReadWrite)
}

/// Opens a file that is only used for locking, and creates it if necessary.
pub fn open_lock(path: impl AsRef<Path>) -> io::Result<File> {
    let path = path.as_ref();
    Folder::open_file(path, Open::Lock)
}

/// Creates a file, which must not exist, for reading and writing.
pub fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
    let path = path.as_ref();
    Folder::open_file(path, Open::New)
}

/// The contents of a file of at most 8 GiB.
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    read_at_most(path.as_ref(), MOST_BYTES)
}

/// The contents of a JSON document or another text file of at most 1 GiB.
pub fn read_document(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    read_at_most(path.as_ref(), MOST_TEXT_BYTES)
}

/// The same, as text.
pub fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let bytes = read_document(path)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The contents of a file; an error if they are more than `most` bytes.
pub(super) fn read_at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let too_large = || {
        let text = format!("it is larger than {} MB", most >> 20);
        io::Error::new(io::ErrorKind::FileTooLarge, text)
    };
    let length = file.metadata()?.len();
    if length > most {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let room = usize::try_from(length).unwrap_or(usize::MAX);
    bytes.try_reserve_exact(room)?;
    // The file may grow meanwhile.
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(too_large());
    }
    Ok(bytes)
}

/// The metadata of a file or folder. In a confined folder a link is not followed; elsewhere it is.
pub fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref();
    match confined(path, Purpose::Read)? {
        Some(place) if place.below.file_name().is_some() => {
            let (folder, name) = Folder::of(path, Purpose::Read)?;
            fs::symlink_metadata(folder.join(&name))
        }
        _ => fs::metadata(path),
    }
}

/// Whether a file, folder or link exists.
#[must_use]
pub fn exists(path: impl AsRef<Path>) -> bool {
    let path = path.as_ref();
    metadata(path).is_ok()
}

/// Whether a folder exists and can be opened.
#[must_use]
pub fn is_dir(path: impl AsRef<Path>) -> bool {
    let path = path.as_ref();
    metadata(path).is_ok_and(|found| found.is_dir())
}

/// Whether a file exists and can be opened.
#[must_use]
pub fn is_file(path: impl AsRef<Path>) -> bool {
    let path = path.as_ref();
    metadata(path).is_ok_and(|found| found.is_file())
}

/// The entries of a folder. The type of a link is that of the link, not of its target.
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref();
    Folder::open(path, Purpose::Read)?;
    fs::read_dir(path)
}

/// Creates a folder in an existing one.
pub fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    if confined(path, Purpose::Change)?.is_none() {
        return fs::create_dir(path);
    }
    let (folder, name) = Folder::of(path, Purpose::Change)?;
    folder.create_dir(&name)
}

/// Creates a folder and its missing parents.
pub fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    if confined(path, Purpose::Change)?.is_none() {
        return fs::create_dir_all(path);
    }
    if path.as_os_str().is_empty() || is_dir(path) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_dir_all(parent)?;
    }
    match create_dir(path) {
        Err(_) if is_dir(path) => Ok(()),
        done => done,
    }
}

/// Renames a file, folder or link; an existing file is replaced.
pub fn rename(old: impl AsRef<Path>, new: impl AsRef<Path>) -> io::Result<()> {
    let (old, new) = (old.as_ref(), new.as_ref());
    let (from, name) = Folder::of(old, Purpose::Change)?;
    let (to, new) = Folder::of(new, Purpose::Change)?;
    from.rename(&name, &to, &new)
}

/// Gives a file a second name, which must be unused.
pub fn hard_link(old: impl AsRef<Path>, new: impl AsRef<Path>) -> io::Result<()> {
    let (old, new) = (old.as_ref(), new.as_ref());
    let (from, name) = Folder::of(old, Purpose::Change)?;
    let (to, new) = Folder::of(new, Purpose::Change)?;
    from.hard_link(&name, &to, &new)
}

/// Removes a file or a link.
pub fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    let (folder, name) = Folder::of(path, Purpose::Change)?;
    folder.remove_file(&name)
}

/// Removes an empty folder.
pub fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    let (folder, name) = Folder::of(path, Purpose::Change)?;
    folder.remove_dir(&name)
}

/// Removes a folder with its contents; links in it are not followed.
pub fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    let (folder, name) = Folder::of(path, Purpose::Change)?;
    folder.remove_dir_all(&name)
}
