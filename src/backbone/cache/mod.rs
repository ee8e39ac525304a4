//! A cache of rows of numbers on disk: two append-only files for each kind of row.
//!
//! `<cache>/<kind>/<name>.keys` contains entries of 48 bytes, `<name>.rows` the vectors; entry *i* belongs to row *i*.
//! All numbers are little-endian:
//!
//! | bytes | |
//! | --- | --- |
//! | 0..32 | BLAKE3 hash of the image file's bytes |
//! | 32..36 | view |
//! | 36..40 | length of a row |
//! | 40..48 | first bytes of the BLAKE3 hash of bytes 0..40 and the row |
//!
//! A row is written before its entry, so that a killed process leaves complete entries with complete rows, and at most
//! an incomplete end, which the next writer cuts off. A power failure may leave anything: the checksum of each row is
//! checked when it is first read, and a damaged row is computed again. Fifty thousand frames are two files, and the
//! index is read at once, 2.4 MB. Rows are not kept in memory: the system's file cache does that.

pub(super) mod content;
pub(super) mod join;

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::files;

use crate::backbone::BackboneError;

const ENTRY_BYTES: usize = 48;

/// The key of a row: the image file's content, and the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::backbone) struct Key {
    /// BLAKE3 hash of the file's bytes.
    pub content: [u8; 32],
    /// The number of the view; 0 is the plain one.
    pub view: u32,
}

/// Where a row is stored.
struct Entry {
    row: u64,
    sum: [u8; 8],
    /// Whether its checksum was verified since the cache was opened; batches read the same rows repeatedly.
    whole: bool,
}

/// Rows of one length, for example the bottlenecks for one backbone and preprocessing.
pub(in crate::backbone) struct Cache {
    /// Length of a row.
    elements: usize,
    index: HashMap<Key, Entry>,
    rows: File,
    keys: File,
    /// The writer lock, held while open; without it another job or process is writing, and nothing is added.
    _lock: Option<File>,
    writable: bool,
    /// Number of rows written.
    len: u64,
    buffer: Vec<u8>,
}

impl Cache {
    /// Opens or creates the cache `name` in the folder `dir`, with rows of `elements` numbers of `element_bytes` bytes
    /// each. Damaged files are no error.
    pub(in crate::backbone) fn open(
        dir: &Path,
        name: &str,
        elements: usize,
        element_bytes: usize,
    ) -> Result<Self, BackboneError> {
        make_dir(dir)?;
        let open = |extension: &str| {
            let path = dir.join(format!("{name}.{extension}"));
            open_or_make(&path).map_err(BackboneError::io("open", path))
        };
        let (keys, keys_writable) = open("keys")?;
        let (rows, rows_writable) = open("rows")?;
        let lock = writer_lock(dir, name).filter(|_| keys_writable && rows_writable);
        let path = dir.join(format!("{name}.keys"));
        Self::loaded([keys, rows], lock, elements * element_bytes, elements)
            .map_err(BackboneError::io("read", path))
    }

    /// Opens a cache of another place for reading only: creates no files, takes no lock, cuts nothing off.
    pub(in crate::backbone) fn open_elsewhere(
        dir: &Path,
        name: &str,
        elements: usize,
        element_bytes: usize,
    ) -> Result<Self, BackboneError> {
        let open = |extension: &str| {
            let path = dir.join(format!("{name}.{extension}"));
            files::open(&path).map_err(BackboneError::io("open", path))
        };
        let path = dir.join(format!("{name}.keys"));
        let files = [open("keys")?, open("rows")?];
        Self::loaded(files, None, elements * element_bytes, elements)
            .map_err(BackboneError::io("read", path))
    }

    fn loaded(
        [keys, rows]: [File; 2],
        lock: Option<File>,
        row_bytes: usize,
        elements: usize,
    ) -> std::io::Result<Self> {
        let mut cache = Self {
            elements,
            index: HashMap::new(),
            rows,
            keys,
            writable: lock.is_some(),
            _lock: lock,
            len: 0,
            buffer: vec![0; row_bytes],
        };
        cache.load()?;
        Ok(cache)
    }

    /// The keys of all rows, sorted by hash.
    pub(in crate::backbone) fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.index.keys().copied().collect();
        keys.sort_unstable_by_key(|key| (key.content, key.view));
        keys
    }

    fn load(&mut self) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        self.keys.read_to_end(&mut bytes)?;
        let row_bytes = self.buffer.len() as u64;
        let rows = self.rows.metadata()?.len() / row_bytes.max(1);
        let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
        self.len = rows.min(entries.len() as u64);
        if self.writable {
            self.keys.set_len(self.len * ENTRY_BYTES as u64)?;
            self.rows.set_len(self.len * row_bytes)?;
        }
        self.index.reserve(entries.len());
        for (row, entry) in (0..self.len).zip(entries) {
            let (content, rest) = entry.split_at(32);
            let (view, rest) = rest.split_at(4);
            let (elements, sum) = rest.split_at(4);
            let (Ok(content), Ok(view), Ok(elements), Ok(sum)) = (
                content.try_into(),
                view.try_into(),
                elements.try_into(),
                sum.try_into(),
            ) else {
                continue;
            };
            if u32::from_le_bytes(elements) as usize == self.elements {
                let view = u32::from_le_bytes(view);
                self.index.insert(
                    Key { content, view },
                    Entry {
                        row,
                        sum,
                        whole: false,
                    },
                );
            }
        }
        Ok(())
    }

    /// The bytes of a row, little-endian; `None` if it is missing or damaged.
    pub(in crate::backbone) fn get(&mut self, key: &Key) -> Option<&[u8]> {
        let entry = self.index.get_mut(key)?;
        let offset = entry.row * self.buffer.len() as u64;
        let read = self
            .rows
            .seek(SeekFrom::Start(offset))
            .and_then(|_| self.rows.read_exact(&mut self.buffer));
        entry.whole = read.is_ok()
            && (entry.whole || check_sum(key, self.elements, &self.buffer) == entry.sum);
        if !entry.whole {
            self.index.remove(key);
            return None;
        }
        Some(&self.buffer)
    }

    /// Whether a row exists, damaged or not.
    pub(in crate::backbone) fn contains(&self, key: &Key) -> bool {
        self.index.contains_key(key)
    }

    /// Adds a row of little-endian bytes. When this returns, the operating system has it.
    pub(in crate::backbone) fn put(&mut self, key: &Key, row: &[u8]) -> std::io::Result<()> {
        if !self.writable || row.len() != self.buffer.len() || self.index.contains_key(key) {
            return Ok(());
        }
        let sum = check_sum(key, self.elements, row);
        let mut entry = Vec::with_capacity(ENTRY_BYTES);
        entry.extend_from_slice(&header(key, self.elements));
        entry.extend_from_slice(&sum);
        let at = self.len;
        self.rows.seek(SeekFrom::Start(at * row.len() as u64))?;
        self.rows.write_all(row)?;
        self.keys.seek(SeekFrom::Start(at * ENTRY_BYTES as u64))?;
        self.keys.write_all(&entry)?;
        self.len += 1;
        self.index.insert(
            *key,
            Entry {
                row: at,
                sum,
                whole: false,
            },
        );
        Ok(())
    }

    /// Whether rows can be added: no other process is writing.
    pub(in crate::backbone) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Bytes of a row on disk, with its entry.
    pub(in crate::backbone) fn row_bytes(elements: usize, element_bytes: usize) -> u64 {
        (elements * element_bytes + ENTRY_BYTES) as u64
    }

    /// The size of its files in bytes.
    pub(in crate::backbone) fn bytes(&self) -> u64 {
        self.len * (self.buffer.len() + ENTRY_BYTES) as u64
    }
}

/// Creates a folder of the cache, `<cache>/<kind>`, but not the parent of the cache: a project on a disconnected drive
/// is not created again in its place.
pub(in crate::backbone) fn make_dir(dir: &Path) -> Result<(), BackboneError> {
    let owner = dir.ancestors().nth(2).unwrap_or(dir);
    Ok(files::make_dirs(owner, dir)?)
}

/// Opens a file of the cache, and creates it if necessary; returns whether it can be written. In a project on a
/// read-only disk, existing files can still be read.
pub(in crate::backbone) fn open_or_make(path: &Path) -> std::io::Result<(File, bool)> {
    match files::open_or_create(path) {
        Ok(file) => Ok((file, true)),
        Err(error) if files::is_refusal(&error) => files::open(path)
            .map(|file| (file, false))
            .map_err(|_| error),
        Err(error) => Err(error),
    }
}

/// Locks the files `name` in `dir` for writing: two writers would overwrite each other's rows. The lock is a separate
/// file, because a lock on Windows also prevents reading. It is released when the process ends.
pub(in crate::backbone) fn writer_lock(dir: &Path, name: &str) -> Option<File> {
    let file = files::open_lock(dir.join(format!("{name}.lock")));
    match file.map(|file| (file.try_lock(), file)) {
        Ok((Ok(()), file)) => Some(file),
        Ok((Err(TryLockError::WouldBlock), _)) => None,
        Ok((Err(TryLockError::Error(error)), _)) | Err(error) => {
            log::warn!(
                "“{name}” in “{}” cannot be locked and is only read: {error}",
                dir.display()
            );
            None
        }
    }
}

fn header(key: &Key, elements: usize) -> [u8; 40] {
    let mut header = [0; 40];
    let (content, rest) = header.split_at_mut(32);
    let (view, length) = rest.split_at_mut(4);
    content.copy_from_slice(&key.content);
    view.copy_from_slice(&key.view.to_le_bytes());
    length.copy_from_slice(&(elements as u32).to_le_bytes());
    header
}

fn check_sum(key: &Key, elements: usize, row: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&header(key, elements));
    hasher.update(row);
    let mut sum = [0; 8];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn key(number: u8) -> Key {
        Key {
            content: [number; 32],
            view: u32::from(number % 2),
        }
    }

    fn row(number: u8) -> Vec<u8> {
        (0..5u8)
            .map(|at| f32::from(number) / 3.0 + f32::from(at))
            .flat_map(f32::to_le_bytes)
            .collect()
    }

    fn filled(dir: &Path, count: u8) {
        let mut cache = Cache::open(dir, "net", 5, 4).unwrap();
        for number in 0..count {
            cache.put(&key(number), &row(number)).unwrap();
        }
    }

    fn found(dir: &Path, count: u8) -> Vec<u8> {
        let mut cache = Cache::open(dir, "net", 5, 4).unwrap();
        (0..count)
            .filter(|number| {
                let found = cache.get(&key(*number));
                assert!(found.is_none_or(|found| found == row(*number)));
                found.is_some()
            })
            .collect()
    }

    #[test]
    fn gives_back_the_same_bits() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), 9);
        assert_eq!(found(dir.path(), 12), (0..9).collect::<Vec<_>>());
        let mut other_view = key(4);
        other_view.view = 7;
        let mut cache = Cache::open(dir.path(), "net", 5, 4).unwrap();
        assert!(cache.get(&other_view).is_none());
    }

    #[test]
    fn the_files_are_as_they_always_were() {
        let dir = tempfile::tempdir().unwrap();
        let values = [1.0_f32, -2.5, 3.0].map(f32::to_le_bytes).concat();
        let mut cache = Cache::open(dir.path(), "net", 3, 4).unwrap();
        cache.put(&key(3), &values).unwrap();
        assert_eq!(std::fs::read(dir.path().join("net.rows")).unwrap(), values);
        let keys = std::fs::read(dir.path().join("net.keys")).unwrap();
        let mut expected = [vec![3; 32], vec![1, 0, 0, 0], vec![3, 0, 0, 0]].concat();
        let sum = blake3::hash(&[expected.as_slice(), &values].concat());
        expected.extend_from_slice(&sum.as_bytes()[..8]);
        assert_eq!(keys, expected);
        assert_eq!(cache.bytes(), 12 + 48);
        // The same bytes read as another type are different rows.
        drop(cache);
        assert!(
            Cache::open(dir.path(), "net", 6, 2)
                .unwrap()
                .get(&key(3))
                .is_none()
        );
    }

    #[test]
    fn survives_any_truncation_and_goes_on() {
        for (extension, whole) in [("keys", 9 * 48), ("rows", 9 * 20)] {
            for cut in (0..=whole).step_by(7) {
                let dir = tempfile::tempdir().unwrap();
                filled(dir.path(), 9);
                let path = dir.path().join(format!("net.{extension}"));
                let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
                file.set_len(cut).unwrap();
                let left = (cut * 9 / whole) as u8;
                assert_eq!(found(dir.path(), 9), (0..left).collect::<Vec<_>>());
                filled(dir.path(), 9);
                assert_eq!(found(dir.path(), 9).len(), 9, "{extension} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_damaged_row_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), 9);
        let path = dir.path().join("net.rows");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[3 * 20 + 7] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(found(dir.path(), 9), [0, 1, 2, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn a_second_writer_only_reads() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Cache::open(dir.path(), "net", 5, 4).unwrap();
        first.put(&key(1), &row(1)).unwrap();
        let mut second = Cache::open(dir.path(), "net", 5, 4).unwrap();
        assert!(second.get(&key(1)).is_some());
        assert!(first.is_writable() && !second.is_writable());
        second.put(&key(2), &row(2)).unwrap();
        first.put(&key(3), &row(3)).unwrap();
        drop((first, second));
        assert_eq!(found(dir.path(), 9), [1, 3]);
    }
}
