//! Adds rows computed by other machines to a cache.

use std::path::{Path, PathBuf};

use crate::files;
use crate::jobs::Work;

use crate::backbone::activations::store::{ActivationStore, FOLDER, Names, NotKept};
use crate::backbone::bottlenecks::store::cache_name;
use crate::backbone::bottlenecks::workers::Model;
use crate::backbone::cache::{Cache, Key};
use crate::backbone::{ActivationSource, Architecture, BackboneError, Preprocessing};

/// The result of joining caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Joined {
    /// How many rows were new.
    pub added: u64,
    /// How many rows existed.
    pub known: u64,
    /// How many rows had a wrong checksum; they will be computed again.
    pub damaged: u64,
    /// How many rows exceeded the budget.
    pub left_out: u64,
}

impl std::ops::AddAssign for Joined {
    fn add_assign(&mut self, other: Self) {
        self.added += other.added;
        self.known += other.known;
        self.damaged += other.damaged;
        self.left_out += other.left_out;
    }
}

/// Adds the bottlenecks in the caches `from` to the one in the folder `into`. Rows are keyed by the content of images,
/// so their order and repetitions do not matter; written to an empty cache, the same rows always give the same bytes.
/// The caches `from` may be read-only.
///
/// # Errors
/// A cache cannot be read, `into` cannot be written, or another process is writing it; cancelled.
pub fn join_bottlenecks(
    from: &[PathBuf],
    architecture: &Architecture,
    preprocessing: &Preprocessing,
    into: &Path,
    work: &Work,
) -> Result<Joined, BackboneError> {
    let entry = architecture.entry()?;
    let name = cache_name(&Model::plain(architecture, preprocessing), &entry.blake3);
    let dir = into.join("bottlenecks");
    let elements = entry.bottleneck_dim;
    let mut cache = Cache::open(&dir, &name, elements, size_of::<f32>())?;
    let path = dir.join(format!("{name}.rows"));
    if !cache.is_writable() {
        return Err(busy(path));
    }
    let rows = RowsOf {
        folder: "bottlenecks",
        name: &name,
        elements,
        element_bytes: size_of::<f32>(),
    };
    rows.each(from, work, |key, other, joined| {
        if cache.contains(key) {
            joined.known += 1;
        } else if let Some(row) = other.get(key) {
            let put = cache.put(key, row);
            put.map_err(BackboneError::io("write", &path))?;
            joined.added += 1;
        } else {
            joined.damaged += 1;
        }
        Ok(())
    })
}

/// The same for activations; the frames of the source are ignored. At most `budget_bytes` are stored, and caches
/// without activations are skipped.
///
/// # Errors
/// As for [`join_bottlenecks`].
pub fn join_activations(
    from: &[PathBuf],
    source: &ActivationSource,
    into: &Path,
    budget_bytes: u64,
    work: &Work,
) -> Result<Joined, BackboneError> {
    let hash = &source.architecture.entry()?.blake3;
    let names = Names::of(source, hash);
    let dir = into.join(FOLDER);
    let file = |dir: &Path, name: &str| dir.join(FOLDER).join(format!("{name}.rows"));
    let mut joined = Joined::default();
    let mut store = None;
    for name in std::iter::once(&names.plain).chain(&names.augmented) {
        let from: Vec<PathBuf> = from
            .iter()
            .filter(|from| files::is_file(file(from, name)))
            .cloned()
            .collect();
        if from.is_empty() {
            continue;
        }
        let rows = RowsOf {
            folder: FOLDER,
            name,
            elements: source.cut.elements(),
            element_bytes: size_of::<half::f16>(),
        };
        let store = if let Some(store) = &mut store {
            store
        } else {
            let frames = rows.count(&from)?;
            let opened = ActivationStore::open(source, hash, frames, into, budget_bytes)?;
            store.insert(opened)
        };
        joined += rows.each(&from, work, |key, other, joined| {
            if store.contains(key) {
                joined.known += 1;
                return Ok(());
            }
            let Some(row) = other.get(key) else {
                joined.damaged += 1;
                return Ok(());
            };
            match store.keep_bytes(key, row) {
                Ok(()) => joined.added += 1,
                Err(NotKept::Budget) => joined.left_out += 1,
                Err(NotKept::Locked) => return Err(busy(dir.join(name))),
                Err(NotKept::Io(error)) => {
                    return Err(BackboneError::io("write", dir.join(name))(error));
                }
            }
            Ok(())
        })?;
    }
    Ok(joined)
}

fn busy(path: PathBuf) -> BackboneError {
    let busy =
        std::io::Error::other("another process is writing it; try again when it has finished");
    BackboneError::io("write", path)(busy)
}

/// Rows of one kind in the caches of several machines.
struct RowsOf<'a> {
    folder: &'a str,
    name: &'a str,
    elements: usize,
    element_bytes: usize,
}

impl RowsOf<'_> {
    fn open(&self, cache: &Path) -> Result<Cache, BackboneError> {
        let dir = cache.join(self.folder);
        Cache::open_elsewhere(&dir, self.name, self.elements, self.element_bytes)
    }

    /// How many there are, counting a row in several caches several times.
    fn count(&self, from: &[PathBuf]) -> Result<u64, BackboneError> {
        let mut count = 0;
        for from in from {
            count += self.open(from)?.keys().len() as u64;
        }
        Ok(count)
    }

    /// Calls `see` for each row, cache by cache, sorted by hash.
    fn each(
        &self,
        from: &[PathBuf],
        work: &Work,
        mut see: impl FnMut(&Key, &mut Cache, &mut Joined) -> Result<(), BackboneError>,
    ) -> Result<Joined, BackboneError> {
        let mut joined = Joined::default();
        for from in from {
            work.check()?;
            let mut other = self.open(from)?;
            for key in other.keys() {
                see(&key, &mut other, &mut joined)?;
            }
            work.advance(1);
        }
        Ok(joined)
    }
}
