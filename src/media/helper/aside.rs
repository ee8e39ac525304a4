//! Files on which the decoding process crashed or hung.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::media::MediaError;

/// The most names of formats that are stored, and their most bytes: FFmpeg has some 300.
const MOST_NAMES: usize = 2000;
const MOST_NAME_BYTES: usize = 200;

/// A file that is not decoded again until the user requests it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Which file.
    pub path: PathBuf,
    /// Its size in bytes and the time of its last change, in nanoseconds since 1970: another file in its place is
    /// decoded.
    version: (u64, u64),
    /// What happened, as the end of a sentence.
    pub cause: String,
}

/// The remedy for a file that is set aside, as the end of a sentence.
const REMEDY: &str = "so it was skipped; convert it with another program and use the copy";

static LIST: Mutex<Vec<SetAside>> = Mutex::new(Vec::new());
static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

fn list() -> MutexGuard<'static, Vec<SetAside>> {
    LIST.lock()
}

fn version(path: &Path) -> Option<(u64, u64)> {
    let facts = files::metadata(path).ok()?;
    let changed = facts.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((facts.len(), changed.as_nanos() as u64))
}

/// All files that are set aside, the latest last.
#[must_use]
pub fn set_aside() -> Vec<SetAside> {
    list().clone()
}

/// Allows a file to be decoded again; without a path, all of them.
pub fn try_again(path: Option<&Path>) {
    list().retain(|aside| path.is_some_and(|path| aside.path != path));
}

impl SetAside {
    /// Sets a file aside again, unless it was changed since.
    pub fn renew(self) {
        if version(&self.path) == Some(self.version) {
            let mut list = list();
            list.retain(|aside| aside.path != self.path);
            list.push(self);
        }
    }

    fn error(&self) -> MediaError {
        MediaError::SetAside {
            path: self.path.clone(),
            reason: format!("{}, {REMEDY}", self.cause),
        }
    }
}

/// Sets a file aside, and returns the error that reports it.
pub(super) fn put(path: &Path, cause: String) -> MediaError {
    let known = version(path);
    let aside = SetAside {
        path: path.to_owned(),
        version: known.unwrap_or_default(),
        cause,
    };
    let error = aside.error();
    if known.is_some() {
        aside.renew();
    }
    error
}

/// Returns an error if a file is set aside.
pub(super) fn refuse(path: &Path) -> Result<(), MediaError> {
    let mut list = list();
    let Some(at) = list.iter().position(|aside| aside.path == path) else {
        return Ok(());
    };
    match list.get(at) {
        Some(aside) if version(path) == Some(aside.version) => Err(aside.error()),
        _ => {
            list.remove(at);
            Ok(())
        }
    }
}

/// A format name with the lifetime of the program, like those in FFmpeg's own tables. `None` if it cannot be such a
/// name.
pub(super) fn interned(name: &str) -> Option<&'static str> {
    let is_name =
        !name.is_empty() && name.len() <= MOST_NAME_BYTES && !name.chars().any(char::is_control);
    if !is_name {
        return None;
    }
    let mut names = NAMES.lock();
    if let Some(known) = names.get(name) {
        return Some(*known);
    }
    if names.len() >= MOST_NAMES {
        return None;
    }
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(name);
    Some(name)
}
