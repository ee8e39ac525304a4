//! An open folder, with operations on its entries.
//!
//! In a [confined](super::confine) folder it is reached by opening one folder after the other without following links.
//! On Unix it is then held by a handle, so that operations cannot be redirected elsewhere. For Windows the standard
//! library has no such functions: there the folders on the path are checked just before.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::confined::{Confined, Purpose, confined, link_in_the_way};

/// The mode of opening a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// For reading.
    Read,
    /// For reading and writing in place; created if necessary.
    ReadWrite,
    /// For locking; created if necessary, and never written.
    Lock,
    /// For appending; created if necessary.
    Append,
    /// A new file for reading and writing; an error if it exists.
    New,
}

impl Open {
    fn purpose(self) -> Purpose {
        match self {
            Self::Read => Purpose::Read,
            _ => Purpose::Change,
        }
    }

    fn options(self) -> std::fs::OpenOptions {
        let mut options = File::options();
        match self {
            Self::Read => options.read(true),
            Self::ReadWrite | Self::Lock => {
                options.read(true).write(true).create(true).truncate(false)
            }
            Self::Append => options.append(true).create(true),
            Self::New => options.read(true).write(true).create_new(true),
        };
        options
    }
}

/// A folder for opening and changing entries.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// `None` outside confined folders, where links are followed as usual.
    #[cfg(unix)]
    handle: Option<std::os::fd::OwnedFd>,
    #[cfg(not(unix))]
    is_confined: bool,
}

impl Folder {
    /// Opens the folder `path`.
    pub(super) fn open(path: &Path, purpose: Purpose) -> io::Result<Self> {
        match confined(path, purpose)? {
            None => Ok(Self::free(path)),
            Some(place) => Self::walk(&place),
        }
    }

    /// Opens the folder that contains `path`; returns it with the name in it.
    pub(super) fn of(path: &Path, purpose: Purpose) -> io::Result<(Self, OsString)> {
        let nameless = || io::Error::from(io::ErrorKind::InvalidInput);
        if let Some(Confined { root, below }) = confined(path, purpose)?
            && let (Some(parent), Some(name)) = (below.parent(), below.file_name())
        {
            let place = Confined {
                root,
                below: parent.to_owned(),
            };
            return Ok((Self::walk(&place)?, name.to_owned()));
        }
        let name = path.file_name().ok_or_else(nameless)?;
        Ok((Self::free(super::write::folder_of(path)), name.to_owned()))
    }

    /// Whether no links are followed here.
    pub(super) fn is_confined(&self) -> bool {
        #[cfg(unix)]
        return self.handle.is_some();
        #[cfg(not(unix))]
        return self.is_confined;
    }

    /// The path of an entry.
    pub(super) fn join(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file in a folder reached by [`Folder::of`].
    pub(super) fn open_file(path: &Path, how: Open) -> io::Result<File> {
        if confined(path, how.purpose())?.is_none() {
            return match how {
                Open::Read => open_free(path),
                _ => how.options().open(path),
            };
        }
        let (folder, name) = Self::of(path, how.purpose())?;
        folder.file(&name, how)
    }
}

/// Opens a file outside confined folders for reading; links are followed.
fn open_free(path: &Path) -> io::Result<File> {
    let mut options = Open::Read.options();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // If a pipe takes its place after the check, opening does not block.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    check_kind(&std::fs::metadata(path)?)?;
    let file = options.open(path)?;
    check_kind(&file.metadata()?)?;
    Ok(file)
}

/// Accepts only files and folders; reading a folder as a file then gives the system's error.
fn check_kind(found: &std::fs::Metadata) -> io::Result<()> {
    if found.is_file() || found.is_dir() {
        return Ok(());
    }
    let text = "it is a pipe, a device or a socket; only files can be read";
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

#[cfg(unix)]
mod unix {
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::os::unix::fs::MetadataExt as _;

    use rustix::fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, linkat, mkdirat, openat, renameat, statat,
        unlinkat,
    };
    use rustix::io::Errno;

    use super::super::write::{Durability, copy};
    use super::{
        Confined, File, Folder, Open, OsStr, Path, PathBuf, check_kind, io, link_in_the_way,
    };

    /// Folders on the path need not be readable.
    #[cfg(target_os = "linux")]
    const PASSED: OFlags = OFlags::PATH;
    #[cfg(not(target_os = "linux"))]
    const PASSED: OFlags = OFlags::RDONLY;

    fn folder_flags(access: OFlags) -> OFlags {
        access | OFlags::DIRECTORY | OFlags::CLOEXEC
    }

    impl Open {
        fn flags(self) -> OFlags {
            // A pipe in place of a file must not block the program.
            let common = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            common
                | match self {
                    Self::Read => OFlags::RDONLY,
                    Self::ReadWrite | Self::Lock => OFlags::RDWR | OFlags::CREATE,
                    Self::Append => OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE,
                    Self::New => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
                }
        }
    }

    impl Folder {
        pub(super) fn free(path: &Path) -> Self {
            Self {
                path: path.to_owned(),
                handle: None,
            }
        }

        pub(super) fn walk(place: &Confined) -> io::Result<Self> {
            let mut path = place.root.clone();
            let mut at = openat(CWD, &path, folder_flags(PASSED), Mode::empty())?;
            for part in &place.below {
                path.push(part);
                let flags = folder_flags(PASSED) | OFlags::NOFOLLOW;
                at = openat(&at, part, flags, Mode::empty())
                    .map_err(|error| explained(error, &at, part, &path))?;
            }
            Ok(Self {
                path,
                handle: Some(at),
            })
        }

        /// The handle and the path to use for an entry.
        fn at(&self, name: &OsStr) -> (BorrowedFd<'_>, PathBuf) {
            match &self.handle {
                Some(handle) => (handle.as_fd(), PathBuf::from(name)),
                None => (CWD, self.path.join(name)),
            }
        }

        fn is_link(&self, name: &OsStr) -> bool {
            let (fd, name) = self.at(name);
            is_link(fd, name.as_os_str())
        }

        /// Opens a file. A file with several names (hard links) is replaced by a copy before it is written in place.
        pub(in super::super) fn file(&self, name: &OsStr, how: Open) -> io::Result<File> {
            let path = self.join(name);
            let Some(handle) = &self.handle else {
                return how.options().open(path);
            };
            let open = || {
                let opened = openat(handle, name, how.flags(), Mode::from_raw_mode(0o666));
                let file = opened.map_err(|error| explained(error, handle, name, &path))?;
                let file = File::from(file);
                let found = file.metadata()?;
                check_kind(&found)?;
                Ok::<_, io::Error>((file, found.nlink()))
            };
            let (file, names) = open()?;
            if names < 2 || !matches!(how, Open::ReadWrite | Open::Append) {
                return Ok(file);
            }
            // Another name of the file may be outside the project, so a copy is written instead.
            drop(file);
            copy(&path, &path, Durability::Renamed).map_err(|error| error.error)?;
            match open()? {
                (file, 0 | 1) => Ok(file),
                _ => Err(io::Error::other(
                    "it has several names (hard links), which would all be changed; replace it with a copy",
                )),
            }
        }

        /// Creates a folder.
        pub(in super::super) fn create_dir(&self, name: &OsStr) -> io::Result<()> {
            let (fd, at) = self.at(name);
            match mkdirat(fd, at, Mode::from_raw_mode(0o777)) {
                Err(Errno::EXIST) if self.is_confined() && self.is_link(name) => {
                    Err(link_in_the_way(&self.join(name)))
                }
                done => Ok(done?),
            }
        }

        /// Renames an entry, possibly into another folder.
        pub(in super::super) fn rename(
            &self,
            name: &OsStr,
            to: &Self,
            new: &OsStr,
        ) -> io::Result<()> {
            let ((from, name), (to, new)) = (self.at(name), to.at(new));
            Ok(renameat(from, name, to, new)?)
        }

        /// Gives a file a second name.
        pub(in super::super) fn hard_link(
            &self,
            name: &OsStr,
            to: &Self,
            new: &OsStr,
        ) -> io::Result<()> {
            let ((from, name), (to, new)) = (self.at(name), to.at(new));
            Ok(linkat(from, name, to, new, AtFlags::empty())?)
        }

        /// Removes a file or a link.
        pub(in super::super) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
            let (fd, name) = self.at(name);
            Ok(unlinkat(fd, name, AtFlags::empty())?)
        }

        /// Removes an empty folder.
        pub(in super::super) fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
            let (fd, name) = self.at(name);
            Ok(unlinkat(fd, name, AtFlags::REMOVEDIR)?)
        }

        /// Removes a folder with its contents; links in it are not followed.
        pub(in super::super) fn remove_dir_all(&self, name: &OsStr) -> io::Result<()> {
            match &self.handle {
                None => std::fs::remove_dir_all(self.join(name)),
                Some(handle) => remove_below(handle.as_fd(), name),
            }
        }

        /// Syncs renames, so that they survive a power failure.
        pub(in super::super) fn sync(&self) -> io::Result<()> {
            File::from(self.opened()?).sync_all()
        }

        /// Syncs everything written to the disk of the folder.
        #[cfg(target_os = "linux")]
        pub(in super::super) fn sync_disk(&self) -> io::Result<()> {
            Ok(rustix::fs::syncfs(self.opened()?)?)
        }

        /// The folder, open for reading.
        fn opened(&self) -> io::Result<OwnedFd> {
            let (fd, path) = match &self.handle {
                Some(handle) => (handle.as_fd(), Path::new(".")),
                None => (CWD, self.path.as_path()),
            };
            Ok(openat(
                fd,
                path,
                folder_flags(OFlags::RDONLY),
                Mode::empty(),
            )?)
        }
    }

    fn is_link(fd: BorrowedFd, name: &OsStr) -> bool {
        statat(fd, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink)
    }

    /// Reports a link as the reason; systems return one of several errors for it.
    fn explained(error: Errno, folder: &OwnedFd, name: &OsStr, path: &Path) -> io::Error {
        if matches!(error, Errno::LOOP | Errno::NOTDIR | Errno::MLINK)
            && is_link(folder.as_fd(), name)
        {
            return link_in_the_way(path);
        }
        error.into()
    }

    fn remove_below(fd: BorrowedFd, name: &OsStr) -> io::Result<()> {
        let flags = folder_flags(OFlags::RDONLY) | OFlags::NOFOLLOW;
        let folder = openat(fd, name, flags, Mode::empty())?;
        for entry in Dir::read_from(&folder)? {
            use std::os::unix::ffi::OsStrExt;
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let found = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
                remove_below(folder.as_fd(), name)?;
            } else {
                unlinkat(&folder, name, AtFlags::empty())?;
            }
        }
        Ok(unlinkat(fd, name, AtFlags::REMOVEDIR)?)
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::fs;

    use super::{Confined, File, Folder, Open, OsStr, Path, PathBuf, io, link_in_the_way};

    impl Folder {
        pub(super) fn free(path: &Path) -> Self {
            Self {
                path: path.to_owned(),
                is_confined: false,
            }
        }

        /// The standard library treats both links and junctions as links.
        pub(super) fn walk(place: &Confined) -> io::Result<Self> {
            let mut path = place.root.clone();
            for part in &place.below {
                path.push(part);
                if fs::symlink_metadata(&path)?.is_symlink() {
                    return Err(link_in_the_way(&path));
                }
            }
            Ok(Self {
                path,
                is_confined: true,
            })
        }

        /// The path of an entry to be opened, which must not be a link.
        fn followed(&self, name: &OsStr) -> io::Result<PathBuf> {
            let path = self.join(name);
            if self.is_confined && fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink())
            {
                return Err(link_in_the_way(&path));
            }
            Ok(path)
        }

        /// Opens a file.
        pub(in super::super) fn file(&self, name: &OsStr, how: Open) -> io::Result<File> {
            how.options().open(self.followed(name)?)
        }

        /// Creates a folder.
        pub(in super::super) fn create_dir(&self, name: &OsStr) -> io::Result<()> {
            fs::create_dir(self.followed(name)?)
        }

        /// Renames an entry, possibly into another folder.
        pub(in super::super) fn rename(
            &self,
            name: &OsStr,
            to: &Self,
            new: &OsStr,
        ) -> io::Result<()> {
            fs::rename(self.join(name), to.join(new))
        }

        /// Gives a file a second name.
        pub(in super::super) fn hard_link(
            &self,
            name: &OsStr,
            to: &Self,
            new: &OsStr,
        ) -> io::Result<()> {
            fs::hard_link(self.followed(name)?, to.join(new))
        }

        /// Removes a file or a link.
        pub(in super::super) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
            fs::remove_file(self.join(name))
        }

        /// Removes an empty folder.
        pub(in super::super) fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
            fs::remove_dir(self.followed(name)?)
        }

        /// Removes a folder with its contents; links in it are not followed.
        pub(in super::super) fn remove_dir_all(&self, name: &OsStr) -> io::Result<()> {
            fs::remove_dir_all(self.followed(name)?)
        }

        /// Does nothing: here renames cannot be synced.
        #[allow(clippy::unused_self, reason = "the same signature as on Unix")]
        pub(in super::super) fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }
}
