//! The folder of an incomplete part, `part-000012.partial`, beside a copy of the list. The next worker on the same shard
//! resumes it; a lock excludes two at once.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::files::{self, Durability};

use super::ShardError;
use super::list::ListId;
use super::work::WorkOrder;

/// The copy of the list beside the parts.
pub(super) const LIST: &str = "shards.jsonl";
/// The lock that is held while a part is made.
const LOCK: &str = "lock";

/// Copies the list to the folder of the parts.
fn keep_list(order: &WorkOrder, partial: &Path, id: &ListId) -> Result<(), ShardError> {
    let copy = order.out.join(LIST);
    if files::exists(&copy) {
        if ListId::of_file(&copy)? != *id {
            return Err(ShardError::bad(
                &order.out,
                "holds parts of a different list; choose another folder",
            ));
        }
        return Ok(());
    }
    let text = files::read_document(&order.list).map_err(ShardError::io("read", &order.list))?;
    // Written within the part first, so that a killed process leaves nothing outside it.
    let begun = partial.join(LIST);
    files::write(&begun, &text, Durability::Synced)?;
    files::rename(&begun, &copy).map_err(ShardError::io("write", &copy))
}

fn lock(partial: &Path, shard: usize) -> Result<File, ShardError> {
    let path = partial.join(LOCK);
    let file = files::open_lock(&path).map_err(ShardError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ShardError::Busy {
            shard,
            path: partial.to_owned(),
        }),
        // A network drive without locks: then the rename decides.
        Err(TryLockError::Error(error)) => {
            log::warn!("“{}” cannot be locked: {error}", path.display());
            Ok(file)
        }
    }
}

/// The folder of an incomplete part, with its lock.
pub(super) struct Begun {
    pub partial: PathBuf,
    lock: File,
}

impl Begun {
    /// Releases the lock, so that the folder can be moved to its place.
    pub fn unlock(self) -> Result<PathBuf, ShardError> {
        drop(self.lock);
        remove(&self.partial.join(LOCK))?;
        Ok(self.partial)
    }

    /// Removes the folder.
    pub fn remove(self) -> Result<(), ShardError> {
        remove(&self.unlock()?)
    }
}

/// Creates or resumes the folder of an incomplete part, with a copy of the list beside it. Entries called `names` are
/// removed if they belong to another list; so are temporary files of a killed process.
pub(super) fn begin_partial(
    order: &WorkOrder,
    id: &ListId,
    names: &[&str],
) -> Result<Begun, ShardError> {
    let out = &order.out;
    files::create_dir_all(out).map_err(ShardError::io("make the folder", out))?;
    files::confine(out).map_err(ShardError::io("open", out))?;
    let partial = out.join(format!("part-{:06}.partial", order.shard));
    files::create_dir_all(&partial).map_err(ShardError::io("make the folder", &partial))?;
    let lock = lock(&partial, order.shard)?;
    // Before anything is removed that may belong to another list.
    keep_list(order, &partial, id)?;
    files::remove_left_over(&partial, 3, &files::is_temporary);
    let mark = partial.join("list");
    if !files::read_to_string(&mark).is_ok_and(|text| text == id.to_string()) {
        for name in names {
            remove(&partial.join(name))?;
        }
        files::write(&mark, id.to_string().as_bytes(), Durability::Renamed)?;
    }
    Ok(Begun { partial, lock })
}

/// Removes a file or a folder, if it exists.
pub(super) fn remove(path: &Path) -> Result<(), ShardError> {
    let removed = match files::metadata(path) {
        Err(_) => Ok(()),
        Ok(found) if found.is_dir() => files::remove_dir_all(path),
        Ok(_) => files::remove_file(path),
    };
    removed.map_err(ShardError::io("remove", path))
}
