//! Bottlenecks: the pooled output of the backbone for each frame, computed in parallel and cached by content.

pub(super) mod extractor;
pub(super) mod features;
pub(super) mod store;
pub(super) mod workers;

use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::files;
use crate::jobs::{Work, cores_and_one, in_parallel};
use crate::media::{MediaError, load_image_from_bytes, start_decoders};
use crate::project::ContentId;

use crate::backbone::cache::Key;
use crate::backbone::{
    ActivationSource, Architecture, BackboneError, FineTunedWeights, Preprocessing,
};
use store::{Store, cache_name};
use workers::{Also, Model, Tools};

/// The most warnings about single images; the others are counted in one more.
const MAX_WARNINGS: usize = 20;

/// Bottlenecks of a list of frames.
#[derive(Debug, Clone, Default)]
pub struct BottleneckTable {
    /// Length of a row, D.
    pub dim: usize,
    /// Row-major `f32[N, D]`; the rows of failed frames are zero.
    pub values: Vec<f32>,
    /// Frames without a bottleneck: the index, and the reason in a sentence.
    pub failed: Vec<(usize, String)>,
    /// How many bottlenecks came from the cache.
    pub from_cache: usize,
    /// The content identity of each file; `None` if it cannot be read.
    pub contents: Vec<Option<ContentId>>,
}

impl BottleneckTable {
    /// The row of frame `index`.
    #[must_use]
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        self.values.get(index * self.dim..(index + 1) * self.dim)
    }
}

/// Computes the bottlenecks of the image files `frames`, or reads them from the cache. Each worker decodes,
/// preprocesses and runs its own single-threaded session. `cache_dir` contains the cache (keyed by the hash of the
/// file's bytes, backbone, fine-tuned weights, preprocessing and view) and may be deleted at any time; with `None`
/// nothing is cached. Bottlenecks of fine-tuned weights are useful to one run only: their cache should be deleted with
/// that run. An unusable image is skipped: it is in `failed`, and a warning of `work` names it. After a cancellation
/// the computed bottlenecks stay in the cache.
pub fn bottlenecks(
    frames: &[PathBuf],
    architecture: &Architecture,
    preprocessing: &Preprocessing,
    fine_tuned: Option<&FineTunedWeights>,
    cache_dir: Option<&Path>,
    work: &Work,
) -> Result<BottleneckTable, BackboneError> {
    let model = Model {
        architecture,
        preprocessing,
        fine_tuned,
        bytes: Mutex::new(None),
    };
    compute(frames, &model, cache_dir, None, work)
}

/// How many of the image files `frames` have cached bottlenecks. Reads no images; a file that changed seconds ago
/// counts as not cached.
///
/// # Errors
/// Cancelled; a cache that exists but cannot be read.
pub fn cached_bottlenecks(
    frames: &[PathBuf],
    architecture: &Architecture,
    preprocessing: &Preprocessing,
    cache_dir: &Path,
    work: &Work,
) -> Result<usize, BackboneError> {
    let entry = architecture.entry()?;
    let model = Model::plain(architecture, preprocessing);
    let name = cache_name(&model, &entry.blake3);
    // Opening it would create it.
    if !Store::is_at(cache_dir, &name) {
        return Ok(0);
    }
    let Some(mut store) = Store::open(cache_dir, &name, entry.bottleneck_dim, work)? else {
        return Ok(0);
    };
    let mut row = vec![0.0; entry.bottleneck_dim];
    let mut cached = 0;
    for frame in frames {
        work.check()?;
        cached += usize::from(store.known_row(frame, &mut row).is_some());
    }
    Ok(cached)
}

/// Like [`bottlenecks`], but also caches the activations of the plain views at a cut, within `budget_bytes` (see
/// [`crate::backbone::Activations`]): one pass of the network gives both. If only one of them is missing for a frame,
/// only that is computed.
pub fn bottlenecks_and_activations(
    source: &ActivationSource,
    cache_dir: &Path,
    budget_bytes: u64,
    work: &Work,
) -> Result<BottleneckTable, BackboneError> {
    let also = Also::open(source, cache_dir, budget_bytes, work);
    work.check()?;
    if let Err(error) = &also {
        // The user is warned when the activations are opened next.
        log::warn!("activations are not cached: {error}");
    }
    let model = Model::plain(source.architecture, source.preprocessing);
    compute(
        source.frames,
        &model,
        Some(cache_dir),
        also.ok().as_ref(),
        work,
    )
}

fn compute(
    frames: &[PathBuf],
    model: &Model,
    cache_dir: Option<&Path>,
    also: Option<&Also>,
    work: &Work,
) -> Result<BottleneckTable, BackboneError> {
    let entry = model.architecture.entry()?;
    let dim = entry.bottleneck_dim;
    work.stage("Computing bottlenecks", Some(frames.len() as u64));
    let mut table = BottleneckTable {
        dim,
        values: vec![0.0; frames.len() * dim],
        contents: vec![None; frames.len()],
        ..BottleneckTable::default()
    };
    let store = match cache_dir {
        Some(dir) => Store::open(dir, &cache_name(model, &entry.blake3), dim, work)?,
        None => None,
    };
    let store = store.map(Mutex::new);

    // First the frames for which no image must be read, which are almost all of them from the second time on.
    let mut missing = Vec::new();
    if let Some(store) = &store {
        let mut store = store.lock();
        let rows = table.values.chunks_exact_mut(dim);
        for (index, ((frame, row), of_file)) in
            frames.iter().zip(rows).zip(&mut table.contents).enumerate()
        {
            work.check()?;
            match store.known_row(frame, row) {
                Some(content) if !Also::lacks(also, &content) => {
                    table.from_cache += 1;
                    *of_file = Some(ContentId::of_hash(&content));
                }
                _ => missing.push((index, frame)),
            }
            // Thousands of these take a second: not every one is reported.
            if index % 256 == 0 {
                work.set_done(table.from_cache as u64);
            }
        }
        work.set_done(table.from_cache as u64);
    } else {
        missing.extend(frames.iter().enumerate());
    }

    start_decoders(cores_and_one().min(missing.len()));
    in_parallel(
        cores_and_one(),
        &missing,
        work,
        || Ok(Tools::new(model)),
        |tools, (_, frame)| frame_bottleneck(tools, frame, store.as_ref(), also, work),
        |number, outcome| {
            let Some(&(index, frame)) = missing.get(number) else {
                return Ok(());
            };
            match outcome {
                Ok(found) => {
                    if found.from_cache {
                        table.from_cache += 1;
                    }
                    if let Some(row) = table.values.chunks_exact_mut(dim).nth(index) {
                        row.copy_from_slice(&found.bottleneck);
                    }
                    if let Some(of_file) = table.contents.get_mut(index) {
                        *of_file = Some(found.content);
                    }
                }
                Err(reason) => table.failed.push((index, reason)),
            }
            if let Some(name) = frame.file_name() {
                work.detail(name.to_string_lossy());
            }
            work.advance(1);
            Ok(())
        },
    )?;
    if let Some(dir) = cache_dir
        && store.is_some()
        && !table.failed.is_empty()
        && let Err(gone) = files::metadata(dir)
    {
        // The frames are not at fault: the drive with the project was disconnected.
        return Err(BackboneError::io("read", dir)(gone));
    }
    table.failed.sort();
    warn_of_failures(&table.failed, work);
    Ok(table)
}

fn warn_of_failures(failed: &[(usize, String)], work: &Work) {
    for (_, reason) in failed.iter().take(MAX_WARNINGS) {
        work.warn(format!("Skipped: {reason}"));
    }
    if let Some(more) = failed.len().checked_sub(MAX_WARNINGS).filter(|n| *n > 0) {
        work.warn(format!("Skipped {more} more images that cannot be read"));
    }
}

struct Found {
    content: ContentId,
    bottleneck: Vec<f32>,
    from_cache: bool,
}

/// The bottleneck of one file; the inner error is an unusable image, the outer one ends everything.
fn frame_bottleneck(
    tools: &mut Tools<'_>,
    frame: &Path,
    store: Option<&Mutex<Store>>,
    also: Option<&Also>,
    work: &Work,
) -> Result<Result<Found, String>, BackboneError> {
    // Size and times before the content: if the file changes meanwhile, the stamp is outdated, not wrong.
    let stamp = store.and_then(|store| {
        let metadata = files::metadata(frame).ok()?;
        store.lock().contents.stamp(frame, &metadata)
    });
    let bytes = match files::read(frame) {
        Ok(bytes) => bytes,
        Err(error) => {
            let path = frame.to_owned();
            return Ok(Err(MediaError::Io { path, error }.to_string()));
        }
    };
    let key = Key {
        content: *blake3::hash(&bytes).as_bytes(),
        view: 0,
    };
    let mut known = None;
    if let Some(store) = store {
        let mut store = store.lock();
        let mut bottleneck = vec![0.0; store.dim];
        known = store
            .cached_row(&key, stamp, &mut bottleneck)
            .then_some(bottleneck);
    }
    let activation_too = also.filter(|_| Also::lacks(also, &key.content));
    if activation_too.is_none()
        && let Some(bottleneck) = known
    {
        return Ok(Ok(Found {
            content: ContentId::of_hash(&key.content),
            bottleneck,
            from_cache: true,
        }));
    }
    // Before the first image: meanwhile the decoding process starts.
    tools.load(activation_too, known.is_some())?;
    let image = match load_image_from_bytes(&bytes, frame) {
        Ok(image) => image,
        Err(error) => return Ok(Err(error.to_string())),
    };
    drop(bytes);
    work.check()?;
    let from_cache = known.is_some();
    let mut bottleneck = known;
    if let Some(also) = activation_too {
        bottleneck = tools
            .activation(also, &key, &image, from_cache)?
            .or(bottleneck);
    }
    let bottleneck = match bottleneck {
        Some(bottleneck) => bottleneck,
        None => tools.bottleneck(&image)?,
    };
    if let Some(store) = store.filter(|_| !from_cache) {
        store.lock().keep(&key, stamp, &bottleneck, work);
    }
    Ok(Ok(Found {
        content: ContentId::of_hash(&key.content),
        bottleneck,
        from_cache,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use crate::backbone::Fit;
    use crate::backbone::test_images::{image, images};
    use crate::onnx::Tensor;

    use super::*;

    struct Place {
        dir: tempfile::TempDir,
        frames: Vec<PathBuf>,
        architecture: Architecture,
        preprocessing: Preprocessing,
        fine_tuned: Option<FineTunedWeights>,
    }

    impl Place {
        fn new(count: u8) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let frames = images(dir.path(), count);
            let architecture: Architecture = "efficientnet-lite0@96".parse().unwrap();
            let preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
            Self {
                dir,
                frames,
                architecture,
                preprocessing,
                fine_tuned: None,
            }
        }

        fn run(&self, cached: bool, work: &Work) -> Result<BottleneckTable, BackboneError> {
            let cache = self.dir.path().join("cache");
            bottlenecks(
                &self.frames,
                &self.architecture,
                &self.preprocessing,
                self.fine_tuned.as_ref(),
                cached.then_some(cache.as_path()),
                work,
            )
        }
    }

    #[test]
    fn the_cache_gives_the_same_bits_and_follows_the_content() {
        let mut place = Place::new(8);
        let plain = place.run(false, &Work::new()).unwrap();
        let first = place.run(true, &Work::new()).unwrap();
        assert_eq!((first.from_cache, first.values.len()), (0, 8 * first.dim));
        assert_eq!(first.values, plain.values);
        let again = place.run(true, &Work::new()).unwrap();
        assert_eq!(again.from_cache, 8);
        assert_eq!(again.values, first.values);
        let cached = |preprocessing: &Preprocessing| {
            let cache = place.dir.path().join("cache");
            let of = &place.architecture;
            cached_bottlenecks(&place.frames, of, preprocessing, &cache, &Work::new()).unwrap()
        };
        // Files that were created just now may still be incomplete.
        assert!(cached(&place.preprocessing) <= 8);
        let stretched = place.architecture.preprocessing(Fit::Stretch).unwrap();
        assert_eq!(cached(&stretched), 0);

        // One file is renamed, another gets different pixels under the same name.
        let renamed = place.dir.path().join("another name.png");
        std::fs::rename(&place.frames[2], &renamed).unwrap();
        place.frames[2] = renamed;
        image(200).save(&place.frames[5]).unwrap();
        let changed = place.run(true, &Work::new()).unwrap();
        assert_eq!(changed.from_cache, 7);
        assert_eq!(changed.row(2), first.row(2));
        assert_ne!(changed.row(5), first.row(5));

        place.preprocessing.fit = Fit::Stretch;
        let stretched = place.run(true, &Work::new()).unwrap();
        assert_eq!(stretched.from_cache, 0);
        assert_ne!(stretched.values, changed.values);

        let bias = Tensor::new(
            [place.architecture.entry().unwrap().bottleneck_dim],
            vec![1.0_f32; 1280],
        );
        place.fine_tuned = Some(FineTunedWeights::new([("head.bias".to_owned(), bias)]).unwrap());
        let fine_tuned = place.run(true, &Work::new()).unwrap();
        assert_eq!(fine_tuned.from_cache, 0);
        assert_ne!(fine_tuned.values, stretched.values);
        let again = place.run(true, &Work::new()).unwrap();
        assert_eq!((again.from_cache, again.values), (8, fine_tuned.values));
    }

    #[test]
    fn a_bad_image_is_reported_and_skipped() {
        let mut place = Place::new(4);
        std::fs::write(&place.frames[1], b"no picture at all").unwrap();
        place.frames.push(place.dir.path().join("gone.png"));
        let work = Work::new();
        let table = place.run(true, &work).unwrap();
        let failed: Vec<_> = table.failed.iter().map(|(index, _)| *index).collect();
        assert_eq!(failed, [1, 4]);
        assert!(table.row(1).unwrap().iter().all(|value| *value == 0.0));
        assert!(table.row(3).unwrap().iter().any(|value| *value != 0.0));
        let warnings = work.take_warnings();
        assert_eq!(warnings.len(), 2);
        assert!(warnings[0].contains("ü 1.png"), "{warnings:?}");
        assert!(warnings[1].contains("gone.png"), "{warnings:?}");
    }

    #[test]
    fn cancelling_keeps_what_is_computed() {
        let place = Place::new(40);
        let slot = std::sync::Arc::new(std::sync::OnceLock::<Work>::new());
        let inner = std::sync::Arc::clone(&slot);
        let work = Work::with_wake(move || {
            if let Some(work) = inner.get()
                && work.progress().done >= 10
            {
                work.cancel();
            }
        });
        assert!(slot.set(work.clone()).is_ok());
        let cancelled = place.run(true, &work);
        assert!(matches!(cancelled, Err(BackboneError::Cancelled(_))));
        let resumed = place.run(true, &Work::new()).unwrap();
        assert!(
            (10..40).contains(&resumed.from_cache),
            "{}",
            resumed.from_cache
        );
        assert!(resumed.failed.is_empty());
    }
}
