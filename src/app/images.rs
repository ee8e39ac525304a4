//! Images of frames as textures: decoded in the background, kept while they are shown.
//!
//! Thumbnails are also stored as small JPEG files in the project's cache, keyed by the content of the frame, so that
//! opening a large project again does not decode the frames again.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use egui::{ColorImage, Context, TextureHandle, TextureOptions};
use image::RgbImage;

use super::pool::Pool;
use crate::export;
use crate::files::{self, Durability};
use crate::media;
use crate::project::{self, Project, ProjectError};

/// Longest side of a thumbnail, pixels.
pub const THUMB_PX: u32 = 288;
/// Longest side of a large image, pixels.
const LARGE_PX: u32 = 1920;
/// Longest side of an image that is shown pixel by pixel, pixels: few graphics cards support more.
const FULL_PX: u32 = 6144;
/// The most memory for textures, bytes.
const BUDGET: usize = 192 << 20;
/// The most textures that are uploaded to the graphics card per frame.
const UPLOADS: usize = 12;
/// An image that was not shown for this many frames is not uploaded.
const STALE: u64 = 3;

/// A version of a frame's image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ImageKey {
    /// Small, for the grid.
    Thumb(PathBuf),
    /// As large as the screen needs.
    Large(PathBuf),
    /// With all its pixels.
    Full(PathBuf),
    /// A golden image of an export, in a folder or in an archive, as large as the screen needs.
    Golden(PathBuf),
}

impl ImageKey {
    fn path(&self) -> &Path {
        match self {
            Self::Thumb(path) | Self::Large(path) | Self::Full(path) | Self::Golden(path) => path,
        }
    }
}

/// The state of an image.
pub enum ImageState {
    /// Not yet loaded.
    Loading,
    /// Ready to be painted.
    Ready(TextureHandle),
    /// Failed, with a sentence that says why.
    Failed(String),
}

struct Entry {
    texture: Result<TextureHandle, String>,
    bytes: usize,
    used: u64,
}

type Loaded = Result<ColorImage, String>;

#[derive(Default)]
struct Store {
    entries: HashMap<ImageKey, Entry>,
    bytes: usize,
    frame: u64,
    /// The number of missing images that were requested in this frame.
    asked: usize,
    /// When each missing image was last requested: the frame, and the order within it.
    wanted: HashMap<ImageKey, (u64, usize)>,
    /// Loaded, but not yet uploaded to the graphics card.
    loaded: HashMap<ImageKey, Loaded>,
}

/// The images of a project.
pub struct Images {
    ctx: Context,
    pool: Pool<ImageKey, Loaded>,
    store: RefCell<Store>,
}

impl Images {
    /// Images whose thumbnails are cached in `thumbs` of the project's cache.
    pub(super) fn new(ctx: &Context, project: &Project) -> Self {
        let cache = Cache::of(project, "thumbs");
        let wake = ctx.clone();
        Self {
            ctx: ctx.clone(),
            pool: Pool::new(
                "images",
                2,
                move || wake.request_repaint(),
                move |key: &ImageKey, _work, answers| {
                    answers.send(load(key, &cache));
                },
            ),
            store: RefCell::default(),
        }
    }

    /// Begins a frame: uploads loaded images, the ones that are shown now first. Images that were scrolled past are
    /// dropped; their thumbnails are in the cache on disk by then.
    pub(super) fn begin_frame(&self) {
        self.pool.begin_frame();
        let mut store = self.store.borrow_mut();
        store.frame += 1;
        store.asked = 0;
        while let Some((key, loaded)) = self.pool.next_answer() {
            store.loaded.insert(key, loaded);
        }
        for (key, loaded) in store.next_uploads() {
            let bytes = loaded
                .as_ref()
                .map_or(0, |image| image.pixels.len() * size_of::<egui::Color32>());
            let texture = loaded.map(|image| {
                let options = TextureOptions::LINEAR;
                self.ctx
                    .load_texture(key.path().to_string_lossy(), image, options)
            });
            let entry = Entry {
                texture,
                bytes,
                used: store.frame,
            };
            store.bytes += bytes;
            if let Some(old) = store.entries.insert(key, entry) {
                store.bytes -= old.bytes;
            }
        }
        store.shrink();
        if !store.loaded.is_empty() {
            // Perhaps nothing else causes another frame.
            self.ctx.request_repaint();
        }
    }

    /// The image if it is loaded; does not request it.
    #[must_use]
    pub fn known(&self, key: &ImageKey) -> Option<TextureHandle> {
        let mut store = self.store.borrow_mut();
        let frame = store.frame;
        let entry = store.entries.get_mut(key)?;
        entry.used = frame;
        entry.texture.as_ref().ok().cloned()
    }

    /// The image, if it is loaded; otherwise it is requested.
    pub fn get(&self, key: &ImageKey) -> ImageState {
        let mut store = self.store.borrow_mut();
        let frame = store.frame;
        if let Some(entry) = store.entries.get_mut(key) {
            entry.used = frame;
            return match &entry.texture {
                Ok(texture) => ImageState::Ready(texture.clone()),
                Err(error) => ImageState::Failed(error.clone()),
            };
        }
        let place = store.asked;
        store.asked += 1;
        store.wanted.insert(key.clone(), (frame, place));
        let loaded = store.loaded.contains_key(key);
        drop(store);
        if !loaded {
            self.pool.want(key);
        }
        ImageState::Loading
    }

    /// An image as large as the screen needs, or with `all_pixels` in full size as soon as it is loaded. Also returns
    /// whether it has full size.
    pub fn large(&self, path: &Path, all_pixels: bool) -> (ImageState, bool) {
        let large = self.get(&ImageKey::Large(path.to_owned()));
        let whole = match &large {
            ImageState::Ready(texture) => texture.size().iter().all(|px| *px < LARGE_PX as usize),
            ImageState::Loading | ImageState::Failed(_) => false,
        };
        if whole || !all_pixels {
            return (large, whole);
        }
        match self.get(&ImageKey::Full(path.to_owned())) {
            ImageState::Ready(texture) => (ImageState::Ready(texture), true),
            ImageState::Loading | ImageState::Failed(_) => (large, false),
        }
    }

    /// Frames of the project in `root` were moved (old and new relative path): updates the keys of their images.
    pub(super) fn renamed(&self, root: &Path, paths: &HashMap<String, String>) {
        if paths.is_empty() {
            return;
        }
        let mut store = self.store.borrow_mut();
        let entries = std::mem::take(&mut store.entries);
        store.entries.reserve(entries.len());
        for (key, entry) in entries {
            let to = key
                .path()
                .strip_prefix(root)
                .ok()
                .and_then(|path| paths.get(path.to_string_lossy().replace('\\', "/").as_str()))
                .map(|to| root.join(to));
            let key = match (key, to) {
                (ImageKey::Thumb(_), Some(to)) => ImageKey::Thumb(to),
                (ImageKey::Large(_), Some(to)) => ImageKey::Large(to),
                (ImageKey::Full(_), Some(to)) => ImageKey::Full(to),
                (ImageKey::Golden(_), Some(to)) => ImageKey::Golden(to),
                (key, None) => key,
            };
            let bytes = entry.bytes;
            if store.entries.insert(key, entry).is_some() {
                store.bytes = store.bytes.saturating_sub(bytes);
            }
        }
    }

    /// Forgets the images of files whose contents have changed.
    pub(super) fn forget(&self, paths: &BTreeSet<PathBuf>) {
        let mut store = self.store.borrow_mut();
        let Store { entries, bytes, .. } = &mut *store;
        entries.retain(|key, entry| {
            let stays = !paths.contains(key.path());
            if !stays {
                *bytes = bytes.saturating_sub(entry.bytes);
            }
            stays
        });
    }

    /// Drops failures, so that those images are tried again.
    pub(super) fn retry_failed(&self) {
        let mut store = self.store.borrow_mut();
        store.entries.retain(|_, entry| entry.texture.is_ok());
    }

    /// Whether all requested images are loaded.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pool.is_idle() && self.store.borrow().loaded.is_empty()
    }
}

impl Store {
    /// The images to upload in this frame: of those that are still shown, the most recently requested first.
    fn next_uploads(&mut self) -> Vec<(ImageKey, Loaded)> {
        let frame = self.frame;
        self.wanted
            .retain(|_, (wanted, _)| *wanted + STALE >= frame);
        let wanted = &self.wanted;
        // Failures are kept: they take no memory, and retrying is useless.
        self.loaded
            .retain(|key, loaded| loaded.is_err() || wanted.contains_key(key));
        let mut order: Vec<_> = self
            .loaded
            .keys()
            .map(|key| {
                let (frame, place) = wanted.get(key).copied().unwrap_or_default();
                (std::cmp::Reverse(frame), place, key.clone())
            })
            .collect();
        order.sort_by_key(|(frame, place, _)| (*frame, *place));
        order.truncate(UPLOADS);
        order
            .into_iter()
            .filter_map(|(_, _, key)| {
                self.wanted.remove(&key);
                self.loaded.remove_entry(&key)
            })
            .collect()
    }

    /// Drops the least recently used textures until the budget is met; never those of this frame.
    fn shrink(&mut self) {
        if self.bytes <= BUDGET {
            return;
        }
        let mut by_age: Vec<(u64, ImageKey)> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.used + 1 < self.frame)
            .map(|(key, entry)| (entry.used, key.clone()))
            .collect();
        by_age.sort_unstable_by_key(|(used, _)| *used);
        for (_, key) in by_age {
            if self.bytes <= BUDGET - BUDGET / 8 {
                break;
            }
            if let Some(entry) = self.entries.remove(&key) {
                self.bytes -= entry.bytes;
            }
        }
    }
}

fn load(key: &ImageKey, cache: &Cache) -> Result<ColorImage, String> {
    match key {
        ImageKey::Thumb(path) => load_thumb(path, cache),
        ImageKey::Large(path) => load_large(path, LARGE_PX),
        ImageKey::Full(path) => load_large(path, FULL_PX),
        ImageKey::Golden(path) => export::example_image(path)
            .map(|image| color_image(&fit(image, LARGE_PX)))
            .map_err(|error| error.to_string()),
    }
}

fn load_large(path: &Path, longest_px: u32) -> Result<ColorImage, String> {
    media::load_image(path)
        .map(|image| color_image(&fit(image, longest_px)))
        .map_err(|error| error.to_string())
}

fn load_thumb(path: &Path, cache: &Cache) -> Result<ColorImage, String> {
    let bytes =
        files::read(path).map_err(|error| format!("cannot read “{}”: {error}", path.display()))?;
    let hash = blake3::hash(&bytes).to_hex();
    let name = format!(
        "{}/{}.jpg",
        hash.get(..2).unwrap_or_default(),
        hash.get(2..34).unwrap_or_default()
    );
    if let Some(image) = cache.read(&name) {
        return Ok(color_image(&image));
    }
    let image = media::load_image(path).map_err(|error| error.to_string())?;
    let image = fit(image, THUMB_PX);
    cache.write(&name, &image);
    Ok(color_image(&image))
}

/// Small JPEG files in a folder of the project's cache.
pub(super) struct Cache {
    root: PathBuf,
    dir: PathBuf,
}

impl Cache {
    pub(super) fn of(project: &Project, name: &str) -> Self {
        Self {
            root: project.root().to_owned(),
            dir: project.cache_dir().join(name),
        }
    }

    /// Reads an image; `None` if it does not exist or is incomplete.
    pub(super) fn read(&self, name: &str) -> Option<RgbImage> {
        let path = self.dir.join(name);
        let bytes = files::read(&path).ok()?;
        media::load_image_from_bytes(&bytes, &path).ok()
    }

    /// The content of a file of the cache, if it exists.
    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        files::read(self.dir.join(name)).ok()
    }

    /// Writes an image. Failing to write the cache is no error.
    pub(super) fn write(&self, name: &str, image: &RgbImage) {
        let mut jpeg = Vec::new();
        let encoded = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 85)
            .encode_image(image)
            .inspect_err(|error| log::debug!("{name}: {error}"));
        if encoded.is_ok() {
            self.keep(name, &jpeg);
        }
    }

    /// Writes a file. Failing to write the cache is no error.
    pub(super) fn keep(&self, name: &str, bytes: &[u8]) {
        let path = self.dir.join(name);
        let write = || -> Result<(), ProjectError> {
            project::make_dir(&self.root, path.parent().unwrap_or(&self.dir))?;
            Ok(files::write(&path, bytes, Durability::Renamed)?)
        };
        if let Err(error) = write() {
            log::debug!("{error}");
        }
    }
}

/// The image with its longest side at most `longest_px`, antialiased.
pub(super) fn fit(image: RgbImage, longest_px: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let longest = width.max(height);
    if longest <= longest_px || longest == 0 {
        return image;
    }
    let scale = f64::from(longest_px) / f64::from(longest);
    let side = |px: u32| ((f64::from(px) * scale).round() as u32).max(1);
    let (to_width, to_height) = (side(width), side(height));
    match resize(&image, to_width, to_height) {
        Ok(small) => small,
        Err(error) => {
            log::debug!("resizing in the plain way: {error}");
            image::imageops::thumbnail(&image, to_width, to_height)
        }
    }
}

fn resize(
    image: &RgbImage,
    width: u32,
    height: u32,
) -> Result<RgbImage, Box<dyn std::error::Error>> {
    use fast_image_resize::images::{Image, ImageRef};
    use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
    let source = ImageRef::new(
        image.width(),
        image.height(),
        image.as_raw(),
        PixelType::U8x3,
    )?;
    let mut target = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    Resizer::new().resize(&source, &mut target, &options)?;
    RgbImage::from_raw(width, height, target.into_vec())
        .ok_or_else(|| "the resized image has the wrong size".into())
}

/// Converted for egui.
pub(super) fn color_image(image: &RgbImage) -> ColorImage {
    ColorImage::from_rgb(
        [image.width() as usize, image.height() as usize],
        image.as_raw(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]
    use super::*;

    fn loaded(store: &mut Store, name: usize, wanted: Option<u64>) {
        let key = ImageKey::Thumb(PathBuf::from(name.to_string()));
        if let Some(wanted) = wanted {
            store.wanted.insert(key.clone(), (wanted, name));
        }
        let image = ColorImage::filled([1, 1], egui::Color32::WHITE);
        store.loaded.insert(key, Ok(image));
    }

    fn names(uploads: &[(ImageKey, Loaded)]) -> Vec<usize> {
        let name = |key: &ImageKey| key.path().to_str().unwrap().parse().unwrap();
        uploads.iter().map(|(key, _)| name(key)).collect()
    }

    #[test]
    fn what_is_looked_at_comes_before_what_was_scrolled_past() {
        let mut store = Store {
            frame: 10,
            ..Store::default()
        };
        // Scrolled past long ago, scrolled past just now, and visible now; loaded in this order.
        for name in 0..30 {
            loaded(&mut store, name, Some(2));
        }
        for name in 30..40 {
            loaded(&mut store, name, Some(8));
        }
        for name in 40..60 {
            loaded(&mut store, name, Some(10));
        }
        assert_eq!(names(&store.next_uploads()), (40..52).collect::<Vec<_>>());
        let rest: Vec<_> = (52..60).chain(30..34).collect();
        assert_eq!(names(&store.next_uploads()), rest);
        assert_eq!(names(&store.next_uploads()), (34..40).collect::<Vec<_>>());
        assert!(store.loaded.is_empty());
    }

    #[test]
    fn a_frame_follows_until_all_that_is_loaded_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = Context::default();
        let project = Project::create(&dir.path().join("p"), "p").unwrap();
        let images = Images::new(&ctx, &project);
        let key = |index: usize| {
            let path = dir.path().join(format!("{index}.png"));
            if !path.exists() {
                let level = index as u8;
                RgbImage::from_pixel(8, 6, image::Rgb([level, 0, 0]))
                    .save(&path)
                    .unwrap();
            }
            ImageKey::Thumb(path)
        };
        let keys: Vec<_> = (0..3 * UPLOADS).map(key).collect();
        images.begin_frame();
        let ready = |keys: &[ImageKey]| {
            let shown = keys
                .iter()
                .filter(|key| matches!(images.get(key), ImageState::Ready(_)));
            shown.count()
        };
        assert_eq!(ready(&keys), 0);
        while !images.pool.is_idle() {
            // Receives answers without a frame in between, so that all of them wait.
            if let Some((key, loaded)) = images.pool.next_answer() {
                images.store.borrow_mut().loaded.insert(key, loaded);
            }
            std::thread::yield_now();
        }
        for frame in 1..=3 {
            images.begin_frame();
            assert_eq!(ready(&keys), frame * UPLOADS);
            let more = !images.store.borrow().loaded.is_empty();
            assert_eq!(more, frame < 3);
            assert!(!more || ctx.has_requested_repaint());
        }
        assert!(images.is_idle());
    }

    #[test]
    fn a_picture_fits_and_keeps_its_shape() {
        let image = RgbImage::from_pixel(640, 360, image::Rgb([10, 200, 30]));
        let small = fit(image, 288);
        assert_eq!(small.dimensions(), (288, 162));
        assert_eq!(small.get_pixel(100, 100).0, [10, 200, 30]);
        let tiny = fit(RgbImage::new(3, 900), 288);
        assert_eq!(tiny.dimensions(), (1, 288));
    }

    #[test]
    fn the_cache_gives_back_what_it_got_and_makes_no_project_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("p");
        let cache = Cache::of(&Project::create(&root, "p").unwrap(), "thumbs");
        let image = RgbImage::from_pixel(20, 10, image::Rgb([200, 100, 50]));
        assert!(cache.read("ab/cd.jpg").is_none());
        cache.write("ab/cd.jpg", &image);
        assert_eq!(cache.read("ab/cd.jpg").unwrap().dimensions(), (20, 10));
        std::fs::rename(&root, dir.path().join("away")).unwrap();
        cache.write("ab/ce.jpg", &image);
        assert!(!root.exists());
        // Unplugging a drive may leave its mount folder.
        std::fs::create_dir(&root).unwrap();
        cache.write("ab/ce.jpg", &image);
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
    }
}
