//! The cache of activations on disk: the tensor at a cut for each view of each image, in fp16.
//!
//! `<cache>/activations/` contains the files of [`crate::backbone::cache`], one pair for plain views and one for
//! augmented ones, whose name includes their parameters and seed. All files of the folder have a total budget: to make
//! room for new rows, those to which nothing was added for the longest time are deleted.

use std::path::Path;
use std::time::SystemTime;

use half::f16;

use crate::files;

use crate::backbone::cache::{Cache, Key, writer_lock};
use crate::backbone::{ActivationSource, BackboneError};

/// The rows for one backbone, preprocessing and cut.
pub(in crate::backbone) struct ActivationStore {
    plain: Cache,
    /// The rows of augmented views.
    augmented: Option<Cache>,
    /// Bytes of a row with its entry.
    row_bytes: u64,
    /// Total bytes of all files in the folder.
    used_bytes: u64,
    budget_bytes: u64,
    full: bool,
}

/// The folder in the cache.
pub(in crate::backbone) const FOLDER: &str = "activations";

/// The names of the files for one backbone, preprocessing and cut.
pub(in crate::backbone) struct Names {
    pub plain: String,
    /// The name for augmented views, if there are any.
    pub augmented: Option<String>,
}

impl Names {
    pub fn of(source: &ActivationSource, model_hash: &str) -> Self {
        let hash = |text: String| -> String {
            let hash = blake3::hash(text.as_bytes()).to_hex();
            hash.chars().take(16).collect()
        };
        let kind = hash(format!(
            "1 {model_hash} {} {} {:?}",
            source.preprocessing.fingerprint(),
            source.cut.tensor,
            source.cut.shape
        ));
        let plain = format!("{}-{kind}", source.architecture);
        let views = &source.views;
        let augmented = (views.distinct() > 1).then(|| {
            let views = hash(views.augmentation.fingerprint(views.seed));
            format!("{plain}-{views}")
        });
        Self { plain, augmented }
    }
}

/// Why a row is not stored.
#[derive(Debug)]
pub(in crate::backbone) enum NotKept {
    /// The budget is exhausted.
    Budget,
    /// Another job or process is writing.
    Locked,
    /// An I/O error.
    Io(std::io::Error),
}

impl ActivationStore {
    /// Opens or creates the files in the folder `cache_dir`, and makes room for the rows of this number of `frames`.
    pub fn open(
        source: &ActivationSource,
        model_hash: &str,
        frames: u64,
        cache_dir: &Path,
        budget_bytes: u64,
    ) -> Result<Self, BackboneError> {
        let dir = cache_dir.join(FOLDER);
        let elements = source.cut.elements();
        let Names {
            plain: plain_name,
            augmented: augmented_name,
        } = Names::of(source, model_hash);
        let views = &source.views;
        let open = |name: &str| Cache::open(&dir, name, elements, size_of::<f16>());
        let mut store = Self {
            plain: open(&plain_name)?,
            augmented: augmented_name.as_deref().map(open).transpose()?,
            row_bytes: 0,
            used_bytes: 0,
            budget_bytes,
            full: false,
        };
        store.row_bytes = Cache::row_bytes(elements, size_of::<f16>());
        let own = store.plain.bytes() + store.augmented.as_ref().map_or(0, Cache::bytes);
        let rows = frames * u64::from(views.distinct());
        let wanted = rows.saturating_mul(store.row_bytes).min(budget_bytes);
        let mine = |name: &str| name == plain_name || Some(name) == augmented_name.as_deref();
        let others = make_room(&dir, budget_bytes.saturating_sub(wanted.max(own)), mine);
        store.used_bytes = own + others;
        Ok(store)
    }

    fn cache(&mut self, key: &Key) -> Option<&mut Cache> {
        match key.view {
            0 => Some(&mut self.plain),
            _ => self.augmented.as_mut(),
        }
    }

    /// Reads a row into `out`; `false` if it is missing or damaged.
    pub fn get(&mut self, key: &Key, out: &mut [f16]) -> bool {
        let Some(bytes) = self.cache(key).and_then(|cache| cache.get(key)) else {
            return false;
        };
        let (values, _) = bytes.as_chunks::<2>();
        for (out, value) in out.iter_mut().zip(values) {
            *out = f16::from_le_bytes(*value);
        }
        true
    }

    /// Whether a row exists.
    pub fn contains(&self, key: &Key) -> bool {
        match key.view {
            0 => self.plain.contains(key),
            _ => self
                .augmented
                .as_ref()
                .is_some_and(|cache| cache.contains(key)),
        }
    }

    /// An estimate of how many more rows can be stored.
    pub fn rows_left(&self) -> u64 {
        if self.full || !self.is_writable() {
            return 0;
        }
        self.budget_bytes.saturating_sub(self.used_bytes) / self.row_bytes
    }

    fn is_writable(&self) -> bool {
        self.plain.is_writable() && self.augmented.as_ref().is_none_or(Cache::is_writable)
    }

    /// Adds a row. After a row that could not be stored, no further ones are.
    pub fn keep(&mut self, key: &Key, row: &[f16]) -> Result<(), NotKept> {
        let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.keep_bytes(key, &bytes)
    }

    /// Adds a row of little-endian bytes.
    pub fn keep_bytes(&mut self, key: &Key, bytes: &[u8]) -> Result<(), NotKept> {
        if self.contains(key) {
            return Ok(());
        }
        if !self.is_writable() {
            return Err(NotKept::Locked);
        }
        if self.rows_left() == 0 {
            self.full = true;
            return Err(NotKept::Budget);
        }
        let Some(cache) = self.cache(key) else {
            return Ok(());
        };
        let kept = cache.put(key, bytes).map_err(NotKept::Io);
        match kept {
            Ok(()) => self.used_bytes += self.row_bytes,
            Err(_) => self.full = true,
        }
        kept
    }
}

/// Deletes unused files of other rows, oldest first, until the others have at most `allowed` bytes. Returns their
/// total bytes.
fn make_room(dir: &Path, allowed: u64, mine: impl Fn(&str) -> bool) -> u64 {
    let mut others: Vec<(SystemTime, String, u64)> = Vec::new();
    let Ok(entries) = files::read_dir(dir) else {
        return 0;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".rows")) else {
            continue;
        };
        let length = |extension: &str| {
            let metadata = files::metadata(dir.join(format!("{name}.{extension}")));
            metadata.map_or(0, |metadata| metadata.len())
        };
        if !mine(name) {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            others.push((
                modified.unwrap_or(SystemTime::UNIX_EPOCH),
                name.to_owned(),
                length("rows") + length("keys"),
            ));
        }
    }
    others.sort();
    let mut held: u64 = others.iter().map(|(_, _, bytes)| bytes).sum();
    for (_, name, bytes) in others {
        if held <= allowed {
            break;
        }
        // A reader holds the lock, too, unless another process is writing.
        if let Some(_lock) = writer_lock(dir, &name) {
            let remove =
                |extension: &str| files::remove_file(dir.join(format!("{name}.{extension}")));
            // The entries first: rows without entries are ignored.
            match remove("keys").and_then(|()| remove("rows")) {
                Ok(()) => held -= bytes,
                Err(error) => log::warn!("old activations “{name}” cannot be deleted: {error}"),
            }
        }
    }
    held
}
