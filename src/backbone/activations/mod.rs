//! Activations: the tensor at a cut for any view of any frame, read from the cache or computed.
//!
//! Rows are rounded to fp16 even if they do not come from the disk, so that a training does not depend on what was
//! cached. Rows that the disk does not accept are kept in memory, up to [`OVERFLOW_BYTES`].

pub(super) mod front;
mod storage;
pub(super) mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use parking_lot::Mutex;

use crate::files;
use crate::jobs::{Work, cores_and_one, in_parallel};
use crate::media::{MediaError, load_image_from_bytes};

use super::cache::Key;
use super::cache::content::content_hashes;
use super::input::view::View;
use super::{Architecture, Augmentation, BackboneError, CutAt, Preprocessing};
use front::{Front, FrontModel};
use storage::{Overflow, RowStorage};
use store::ActivationStore;

/// The most bytes in memory for rows that cannot be stored on disk.
pub const OVERFLOW_BYTES: usize = 64 << 20;

/// The views of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Views {
    /// The number of views of each frame, including the plain one; at least 1.
    pub count: u32,
    /// How the other views are augmented.
    pub augmentation: Augmentation,
    /// The seed which, together with a frame's content, determines its views.
    pub seed: u64,
}

impl Views {
    /// Only the plain view.
    pub const PLAIN: Self = Self {
        count: 1,
        augmentation: Augmentation::OFF,
        seed: 0,
    };

    /// The number of a frame's views that differ.
    #[must_use]
    pub fn distinct(&self) -> u32 {
        if self.augmentation.is_off() {
            1
        } else {
            self.count.max(1)
        }
    }
}

/// The images and the network of activations.
#[derive(Debug, Clone, Copy)]
pub struct ActivationSource<'a> {
    /// Image files.
    pub frames: &'a [PathBuf],
    /// The backbone and its resolution.
    pub architecture: &'a Architecture,
    /// How an image is converted to the network's input.
    pub preprocessing: &'a Preprocessing,
    /// The cut of the network.
    pub cut: &'a CutAt,
    /// The views of each frame.
    pub views: Views,
}

/// Provides the rows `f16[C·H·W]` of views of frames.
pub struct Activations {
    frames: Vec<Frame>,
    views: Views,
    elements: usize,
    model: Arc<FrontModel>,
    /// Idle workers' networks, to be reused by the next call.
    idle: Mutex<Vec<Front>>,
    storage: RowStorage,
    computed: u64,
}

struct Frame {
    path: PathBuf,
    content: [u8; 32],
}

impl Activations {
    /// Prepares to provide rows. `cache_dir` contains the cache (keyed by the hash of the file's bytes, backbone,
    /// preprocessing, cut and view) and may be deleted at any time; its activations take at most `budget_bytes`. With
    /// `None` nothing is stored on disk. Reads each image whose content hash is not known yet; an unreadable image is
    /// an error.
    pub fn open(
        source: &ActivationSource,
        cache_dir: Option<&Path>,
        budget_bytes: u64,
        work: &Work,
    ) -> Result<Self, BackboneError> {
        let entry = source.architecture.entry()?;
        let model = FrontModel::of_source(source, work, |model| model(false))?;
        let contents = content_hashes(source.frames, cache_dir, work)?;
        let store = cache_dir.and_then(|dir| {
            let opened = ActivationStore::open(source, &entry.blake3, source.frames.len() as u64, dir, budget_bytes);
            opened
                .inspect_err(|error| {
                    work.warn(format!(
                        "Activations cannot be cached and are computed in each step, which takes longer: {error}"
                    ));
                })
                .ok()
        });
        Ok(Self {
            frames: source
                .frames
                .iter()
                .zip(contents)
                .map(|(path, content)| Frame {
                    path: path.clone(),
                    content,
                })
                .collect(),
            views: source.views,
            elements: source.cut.elements(),
            model,
            idle: Mutex::default(),
            storage: RowStorage {
                store,
                budget_bytes,
                warned: false,
                overflow: Overflow::default(),
            },
            computed: 0,
        })
    }

    /// Writes the rows of the wanted frames (by index) and views to `out`, `f16[len(wanted), C·H·W]`, in that order;
    /// missing ones are computed on all cores. An image that can no longer be read, or has changed since opening, is
    /// an error.
    pub fn fill(
        &mut self,
        wanted: &[(usize, u32)],
        out: &mut [f16],
        work: &Work,
    ) -> Result<(), BackboneError> {
        work.check()?;
        debug_assert_eq!(out.len(), wanted.len() * self.elements);
        let mut missing = Vec::new();
        for (at, (wanted, row)) in wanted
            .iter()
            .zip(out.chunks_exact_mut(self.elements.max(1)))
            .enumerate()
        {
            let key = self.key(*wanted)?;
            if !self.storage.get(&key, row) {
                missing.push(at);
            }
        }
        let lacking: Vec<(usize, u32)> = missing
            .iter()
            .filter_map(|at| wanted.get(*at).copied())
            .collect();
        let jobs = self.jobs(&lacking, |_| false)?;
        let elements = self.elements;
        self.compute(&jobs, work, |job, row| {
            for place in job.places.iter().filter_map(|place| missing.get(*place)) {
                if let Some(out) = out.get_mut(place * elements..(place + 1) * elements) {
                    out.copy_from_slice(row);
                }
            }
        })
    }

    /// Computes the wanted rows that are neither in memory nor on disk, on all cores, so that filling them in later
    /// only reads them. Rows that fit neither on the disk nor into half of [`OVERFLOW_BYTES`] are left for later.
    pub fn ensure(&mut self, wanted: &[(usize, u32)], work: &Work) -> Result<(), BackboneError> {
        work.check()?;
        let mut jobs = self.jobs(wanted, |key| self.storage.contains(key))?;
        jobs.truncate(self.storage.rows_left(size_of::<f16>() * self.elements));
        self.compute(&jobs, work, |_, _| {})
    }

    /// [`Activations::ensure`] for all views of all frames.
    pub fn ensure_all(&mut self, work: &Work) -> Result<(), BackboneError> {
        let views = self.views.distinct();
        let wanted: Vec<(usize, u32)> = (0..self.frames.len())
            .flat_map(|frame| (0..views).map(move |view| (frame, view)))
            .collect();
        self.ensure(&wanted, work)
    }

    /// The key of a row.
    fn key(&self, (frame, view): (usize, u32)) -> Result<Key, BackboneError> {
        let Some(found) = self.frames.get(frame) else {
            return Err(BackboneError::NoFrame {
                index: frame,
                count: self.frames.len(),
            });
        };
        Ok(Key {
            content: found.content,
            // If all views are equal, they are stored once.
            view: if self.views.distinct() == 1 { 0 } else { view },
        })
    }

    /// The rows to compute, each once, with their places in `wanted`.
    fn jobs(
        &self,
        wanted: &[(usize, u32)],
        at_hand: impl Fn(&Key) -> bool,
    ) -> Result<Vec<Job>, BackboneError> {
        let mut jobs: Vec<Job> = Vec::new();
        let mut known: HashMap<Key, usize> = HashMap::new();
        for (place, &(frame, view)) in wanted.iter().enumerate() {
            let key = self.key((frame, view))?;
            if at_hand(&key) {
                continue;
            }
            let at = *known.entry(key).or_insert(jobs.len());
            match jobs.get_mut(at) {
                Some(job) => job.places.push(place),
                None => jobs.push(Job {
                    key,
                    frame,
                    places: vec![place],
                }),
            }
        }
        Ok(jobs)
    }

    fn compute(
        &mut self,
        jobs: &[Job],
        work: &Work,
        mut done: impl FnMut(&Job, &[f16]),
    ) -> Result<(), BackboneError> {
        let Self {
            frames,
            views,
            model,
            idle,
            storage,
            computed,
            ..
        } = self;
        in_parallel(
            cores_and_one(),
            jobs,
            work,
            || Ok(Lent::new(idle, model)),
            |tools, job| match frames.get(job.frame) {
                Some(frame) => {
                    let view =
                        View::of(&frame.content, job.key.view, views.augmentation, views.seed);
                    tools.activation(frame, &view, work).map(Some)
                }
                None => Ok(None),
            },
            |number, row| {
                if let (Some(job), Some(row)) = (jobs.get(number), row) {
                    *computed += 1;
                    storage.keep(&job.key, &row, work);
                    done(job, &row);
                }
                Ok(())
            },
        )
    }
}

/// A row to compute.
struct Job {
    key: Key,
    frame: usize,
    places: Vec<usize>,
}

/// A worker's network, returned when the worker ends.
struct Lent<'a> {
    front: Option<Front>,
    idle: &'a Mutex<Vec<Front>>,
    model: &'a Arc<FrontModel>,
}

impl<'a> Lent<'a> {
    fn new(idle: &'a Mutex<Vec<Front>>, model: &'a Arc<FrontModel>) -> Self {
        let front = idle.lock().pop();
        Self { front, idle, model }
    }

    fn activation(
        &mut self,
        frame: &Frame,
        view: &View,
        work: &Work,
    ) -> Result<Vec<f16>, BackboneError> {
        let path = &frame.path;
        let bytes = files::read(path).map_err(|error| MediaError::Io {
            path: path.clone(),
            error,
        })?;
        if *blake3::hash(&bytes).as_bytes() != frame.content {
            return Err(BackboneError::ChangedFrame { path: path.clone() });
        }
        let image = load_image_from_bytes(&bytes, path)?;
        drop(bytes);
        work.check()?;
        let front = match self.front.take() {
            Some(front) => front,
            None => Front::new(self.model)?,
        };
        Ok(self.front.insert(front).run(&image, view)?.row)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut idle = self.idle.lock();
        idle.extend(self.front.take());
    }
}
