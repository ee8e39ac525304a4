//! The content hashes of image files, cached by path, size and times, so that an unchanged file is not read again.
//!
//! `<cache>/bottlenecks/files` is append-only, with entries of 64 bytes: 24 bytes of the BLAKE3 hash of the file's
//! stamp (path relative to the folder that contains the cache, size, times), the 32 bytes of the content's hash, 8
//! bytes of checksum. Damaged entries are ignored.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::jobs::{Work, cores_and_one, in_parallel};
use crate::media::MediaError;
use crate::project::ContentId;

use crate::backbone::BackboneError;
use crate::backbone::cache::{make_dir, open_or_make, writer_lock};

const ENTRY_BYTES: usize = 64;

/// A file changed this recently may change again within one tick of the file system's clock, which size and times do
/// not show.
const TOO_YOUNG: Duration = Duration::from_secs(2);

/// The content identities of files; `None` if a file cannot be read. Only files that are not in the cache in the
/// folder `cache_dir` are read, and then added to it.
pub fn content_ids(
    files: &[PathBuf],
    cache_dir: Option<&Path>,
    work: &Work,
) -> Result<Vec<Option<ContentId>>, BackboneError> {
    let found = hashes(files, cache_dir, work)?.into_iter();
    Ok(found
        .map(|hash| Some(ContentId::of_hash(&hash.ok()?)))
        .collect())
}

/// Identifies a version of a file.
pub(in crate::backbone) type Stamp = [u8; 24];

/// Known content hashes.
pub(in crate::backbone) struct Contents {
    /// Paths within this folder are relative to it, so that the cache remains valid when the project is moved.
    base: PathBuf,
    known: HashMap<Stamp, [u8; 32]>,
    file: File,
    /// The writer lock, held while open; without it nothing is added.
    lock: Option<File>,
}

impl Contents {
    /// Opens or creates the table in the folder `dir`; `base` is the folder that is moved with it.
    pub(in crate::backbone) fn open(dir: &Path, base: &Path) -> Result<Self, BackboneError> {
        let path = dir.join("files");
        let io = |error| BackboneError::io("read", &path)(error);
        let (mut file, writable) = open_or_make(&path).map_err(io)?;
        let lock = writer_lock(dir, "files").filter(|_| writable);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let (entries, tail) = bytes.as_chunks::<ENTRY_BYTES>();
        if lock.is_some() && !tail.is_empty() {
            file.set_len((entries.len() * ENTRY_BYTES) as u64)
                .map_err(io)?;
        }
        let mut known = HashMap::with_capacity(entries.len());
        for entry in entries {
            let (body, sum) = entry.split_at(56);
            let (stamp, content) = body.split_at(24);
            if let (Ok(stamp), Ok(content)) = (stamp.try_into(), content.try_into())
                && sum == check_sum(body)
            {
                known.insert(stamp, content);
            }
        }
        Ok(Self {
            base: base.to_owned(),
            known,
            file,
            lock,
        })
    }

    /// The stamp of a file; `None` if it was changed too recently.
    pub(in crate::backbone) fn stamp(&self, path: &Path, metadata: &Metadata) -> Option<Stamp> {
        let modified = metadata.modified().ok()?;
        let (changed, identity) = changed(metadata).unwrap_or((modified, 0));
        let age = SystemTime::now()
            .duration_since(modified.max(changed))
            .ok()?;
        if age < TOO_YOUNG {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        let path = path.strip_prefix(&self.base).unwrap_or(path);
        hasher.update(path.as_os_str().as_encoded_bytes());
        hasher.update(&[0]);
        hasher.update(&metadata.len().to_le_bytes());
        hasher.update(&identity.to_le_bytes());
        for time in [modified, changed] {
            let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            hasher.update(&since_epoch.as_nanos().to_le_bytes());
        }
        let mut stamp = [0; 24];
        hasher.finalize_xof().fill(&mut stamp);
        Some(stamp)
    }

    /// The content hash of the file with this stamp, if it is known.
    pub(in crate::backbone) fn get(&self, stamp: &Stamp) -> Option<[u8; 32]> {
        self.known.get(stamp).copied()
    }

    /// Records the content hash of a file.
    pub(in crate::backbone) fn put(
        &mut self,
        stamp: Stamp,
        content: [u8; 32],
    ) -> std::io::Result<()> {
        if self.lock.is_none() || self.known.get(&stamp) == Some(&content) {
            return Ok(());
        }
        let mut entry = [0; ENTRY_BYTES];
        let (body, sum) = entry.split_at_mut(56);
        let (stamp_bytes, content_bytes) = body.split_at_mut(24);
        stamp_bytes.copy_from_slice(&stamp);
        content_bytes.copy_from_slice(&content);
        sum.copy_from_slice(&check_sum(body));
        self.file.seek(SeekFrom::End(0))?;
        self.file.write_all(&entry)?;
        self.known.insert(stamp, content);
        Ok(())
    }
}

/// The content hashes of files. Those unknown in the folder `cache_dir` are read, on all cores; an unreadable file is
/// an error.
pub(in crate::backbone) fn content_hashes(
    files: &[PathBuf],
    cache_dir: Option<&Path>,
    work: &Work,
) -> Result<Vec<[u8; 32]>, BackboneError> {
    let found = hashes(files, cache_dir, work)?.into_iter();
    Ok(found.collect::<Result<_, _>>()?)
}

/// The hash of each file, or why it cannot be read.
fn hashes(
    files: &[PathBuf],
    cache_dir: Option<&Path>,
    work: &Work,
) -> Result<Vec<Result<[u8; 32], MediaError>>, BackboneError> {
    let mut contents = cache_dir.and_then(|dir| {
        let base = dir.parent().unwrap_or(dir);
        let dir = dir.join("bottlenecks");
        make_dir(&dir)
            .and_then(|()| Contents::open(&dir, base))
            .inspect_err(|error| log::warn!("the hashes of files are not cached: {error}"))
            .ok()
    });
    let stamp = |file: &Path| {
        let metadata = crate::files::metadata(file).ok()?;
        contents.as_ref()?.stamp(file, &metadata)
    };
    let stamps: Vec<Option<Stamp>> = files.iter().map(|file| stamp(file)).collect();
    let mut hashes: Vec<Result<[u8; 32], MediaError>> = Vec::with_capacity(files.len());
    let mut unknown = Vec::new();
    for (index, (file, stamp)) in files.iter().zip(&stamps).enumerate() {
        let known = contents.as_ref().zip(stamp.as_ref());
        let known = known.and_then(|(contents, stamp)| contents.get(stamp));
        if known.is_none() {
            unknown.push((index, file));
        }
        hashes.push(Ok(known.unwrap_or_default()));
    }
    in_parallel(
        cores_and_one(),
        &unknown,
        work,
        || Ok(()),
        |(), (_, path)| {
            Ok::<_, BackboneError>(match crate::files::read(path) {
                Ok(bytes) => Ok(*blake3::hash(&bytes).as_bytes()),
                Err(error) => Err(MediaError::Io {
                    path: PathBuf::clone(path),
                    error,
                }),
            })
        },
        |number, found| {
            let Some(&(index, _)) = unknown.get(number) else {
                return Ok(());
            };
            if let (Some(contents), Some(Some(stamp)), Ok(hash)) =
                (&mut contents, stamps.get(index), &found)
                && let Err(error) = contents.put(*stamp, *hash)
            {
                log::warn!("the hash of a file cannot be cached: {error}");
            }
            if let Some(hash) = hashes.get_mut(index) {
                *hash = found;
            }
            Ok(())
        },
    )?;
    Ok(hashes)
}

/// The file's time of the last change of status, and its inode: `cp -p` and similar commands cannot set these.
#[cfg(unix)]
fn changed(metadata: &Metadata) -> Option<(SystemTime, u64)> {
    use std::os::unix::fs::MetadataExt;
    let secs = u64::try_from(metadata.ctime()).ok()?;
    let nanos = u32::try_from(metadata.ctime_nsec()).ok()?;
    let changed = SystemTime::UNIX_EPOCH.checked_add(Duration::new(secs, nanos))?;
    Some((changed, metadata.ino()))
}

#[cfg(not(unix))]
fn changed(_: &Metadata) -> Option<(SystemTime, u64)> {
    None
}

fn check_sum(body: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    blake3::Hasher::new()
        .update(body)
        .finalize_xof()
        .fill(&mut sum);
    sum
}
