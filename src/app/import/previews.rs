//! Previews of a video in the import workspace: properties, a poster, and the frames that would be extracted. All of
//! it is computed in the background while its card is on screen.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Once;

use egui::{ColorImage, Context, TextureHandle, TextureOptions};
use parking_lot::Mutex;

use crate::app::images::{Cache, color_image, fit};
use crate::app::pool::{Answers, Pool};
use crate::jobs::Work;
use crate::media::{self, Sampler, SetAside, VideoInfo};
use crate::project::{Fps, Project, Sampling, Source};

/// Longest side of a poster, pixels.
const POSTER_PX: u32 = 352;
/// Width of a previewed frame, pixels.
const STRIP_PX: u32 = 200;
/// The number of frames in a preview.
pub const STRIP_FRAMES: usize = 10;

/// The part of a sampling that determines the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(
    clippy::struct_field_names,
    reason = "floating-point numbers as bits, so that they can be compared and hashed"
)]
struct Taken {
    fps_bits: u64,
    from_bits: Option<u64>,
    to_bits: Option<u64>,
}

impl Taken {
    fn of(sampling: &Sampling) -> Self {
        Self {
            fps_bits: sampling.fps.0.to_bits(),
            from_bits: sampling.from_secs.map(f64::to_bits),
            to_bits: sampling.to_secs.map(f64::to_bits),
        }
    }

    fn sampling(self) -> Sampling {
        Sampling {
            fps: Fps(f64::from_bits(self.fps_bits)),
            from_secs: self.from_bits.map(f64::from_bits),
            to_secs: self.to_bits.map(f64::from_bits),
            width_px: Some(STRIP_PX),
            ..Sampling::default()
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Facts(PathBuf),
    /// The video, and the name of its poster in the cache.
    Poster(PathBuf, String),
    Strip(PathBuf, Taken),
}

impl Key {
    fn path(&self) -> &Path {
        match self {
            Self::Facts(path) | Self::Poster(path, _) | Self::Strip(path, _) => path,
        }
    }
}

/// The videos of a project that are set aside, stored in its cache for the next time it is opened.
struct Aside {
    cache: Cache,
    recalled: Once,
    kept: Mutex<Vec<SetAside>>,
}

impl Aside {
    const FILE: &str = "set-aside.json";

    fn of(project: &Project) -> Self {
        Self {
            cache: Cache::of(project, ""),
            recalled: Once::new(),
            kept: Mutex::default(),
        }
    }

    /// Before the first video is opened: reads which were set aside when the project was last open.
    fn recall(&self) {
        self.recalled.call_once(|| {
            let kept = self.cache.bytes(Self::FILE);
            let kept = kept.and_then(|json| serde_json::from_slice::<Vec<SetAside>>(&json).ok());
            for aside in kept.iter().flatten() {
                aside.clone().renew();
            }
            *self.kept.lock() = kept.unwrap_or_default();
        });
    }

    /// Stores whether a video is set aside now.
    fn keep(&self, path: &Path) {
        let mut kept = self.kept.lock();
        let mut now = kept.clone();
        now.retain(|aside| aside.path != path);
        let found = media::set_aside();
        now.extend(found.into_iter().filter(|aside| aside.path == path));
        if now != *kept {
            if let Ok(json) = serde_json::to_vec_pretty(&now) {
                self.cache.keep(Self::FILE, &json);
            }
            *kept = now;
        }
    }
}

enum PreviewAnswer {
    Facts(Result<Box<VideoInfo>, String>),
    Poster(Option<ColorImage>),
    Frame(f64, ColorImage),
    /// All previewed frames have arrived; with a warning if the file is damaged.
    StripEnd(Option<String>),
}

/// The frames that would be extracted, as far as they are decoded.
#[derive(Clone, Default)]
pub struct Strip {
    /// Timestamp in seconds and image of each.
    pub frames: Vec<(f64, TextureHandle)>,
    /// Whether it is complete.
    pub complete: bool,
    /// A warning about the video.
    pub warning: Option<String>,
}

#[derive(Default)]
struct Store {
    facts: HashMap<PathBuf, Result<Box<VideoInfo>, String>>,
    posters: HashMap<PathBuf, Option<TextureHandle>>,
    strips: HashMap<PathBuf, (Taken, Strip)>,
    /// The videos that crashed their decoders.
    aside: Vec<SetAside>,
}

/// The previews of a project's videos.
pub struct Previews {
    ctx: Context,
    pool: Pool<Key, PreviewAnswer>,
    store: RefCell<Store>,
    /// Whether videos may be opened without asking. Their paths are stored in the project, which may come from
    /// somebody else and name a device or another computer.
    may_open: Cell<bool>,
}

impl Previews {
    /// Previews whose posters are cached in `posters` of the project's cache.
    pub(in crate::app) fn new(ctx: &Context, project: &Project) -> Self {
        let cache = Cache::of(project, "posters");
        let aside = Aside::of(project);
        let wake = ctx.clone();
        Self {
            ctx: ctx.clone(),
            pool: Pool::new(
                "previews",
                2,
                move || wake.request_repaint(),
                move |key: &Key, work, answers| {
                    aside.recall();
                    answer(key, &cache, work, answers);
                    aside.keep(key.path());
                },
            ),
            store: RefCell::default(),
            may_open: Cell::new(false),
        }
    }

    /// Allows videos to be opened.
    pub(in crate::app) fn allow(&self) {
        self.may_open.set(true);
    }

    /// Whether videos may be opened.
    #[must_use]
    pub fn may_open(&self) -> bool {
        self.may_open.get()
    }

    /// Begins a frame: receives finished previews.
    pub(in crate::app) fn begin_frame(&self) {
        self.pool.begin_frame();
        let mut store = self.store.borrow_mut();
        for number in 0..16 {
            let Some((key, answer)) = self.pool.next_answer() else {
                break;
            };
            if number == 0 {
                store.aside = media::set_aside();
            }
            self.take_in(&mut store, key, answer);
        }
    }

    fn take_in(&self, store: &mut Store, key: Key, answer: PreviewAnswer) {
        let texture = |name: &Path, image| {
            self.ctx
                .load_texture(name.to_string_lossy(), image, TextureOptions::LINEAR)
        };
        match (key, answer) {
            (Key::Facts(path), PreviewAnswer::Facts(facts)) => {
                store.facts.insert(path, facts);
            }
            (Key::Poster(path, _), PreviewAnswer::Poster(image)) => {
                let poster = image.map(|image| texture(&path, image));
                store.posters.insert(path, poster);
            }
            (Key::Strip(path, taken), answer) => {
                let Some((wanted, strip)) = store.strips.get_mut(&path) else {
                    return;
                };
                if *wanted != taken || strip.complete {
                    return;
                }
                match answer {
                    PreviewAnswer::Frame(time, image) => {
                        strip.frames.push((time, texture(&path, image)));
                    }
                    PreviewAnswer::StripEnd(warning) => {
                        strip.complete = true;
                        strip.warning = warning;
                    }
                    PreviewAnswer::Facts(_) | PreviewAnswer::Poster(_) => {}
                }
            }
            _ => {}
        }
    }

    /// The properties of a video; `None` while they are being read, and if it may not be opened.
    pub fn facts(&self, path: &Path) -> Option<Result<Box<VideoInfo>, String>> {
        if !self.may_open() {
            return None;
        }
        let known = self.store.borrow().facts.get(path).cloned();
        if known.is_none() {
            self.pool.want(&Key::Facts(path.to_owned()));
        }
        known
    }

    /// The properties of a video if they are known; does not request them.
    pub fn known_facts(&self, path: &Path) -> Option<Box<VideoInfo>> {
        self.store.borrow().facts.get(path)?.clone().ok()
    }

    /// [`VideoInfo::megapixels_per_sec`] of a video whose properties are known.
    pub fn known_megapixels_per_sec(&self, path: &Path) -> Option<f64> {
        let store = self.store.borrow();
        let facts = store.facts.get(path)?.as_ref().ok()?;
        facts.megapixels_per_sec()
    }

    /// The poster of a video: `None` while it is being made, `Some(None)` if there is none.
    #[allow(
        clippy::option_option,
        reason = "not there yet and not there at all are two things"
    )]
    pub fn poster(&self, source: &Source) -> Option<Option<TextureHandle>> {
        let known = self.store.borrow().posters.get(&source.path).cloned();
        if known.is_none() && self.may_open() {
            let name = format!("{}.jpg", source.id);
            self.pool.want(&Key::Poster(source.path.clone(), name));
        }
        known
    }

    /// The frames that `sampling` would extract from a video, as far as they are decoded.
    pub fn strip(&self, path: &Path, sampling: &Sampling) -> Strip {
        let taken = Taken::of(sampling);
        let mut store = self.store.borrow_mut();
        let known = store
            .strips
            .entry(path.to_owned())
            .or_insert_with(|| (taken, Strip::default()));
        if known.0 != taken {
            let old = known.0;
            *known = (taken, Strip::default());
            self.pool
                .give_up(|key| matches!(key, Key::Strip(p, t) if *t == old && p == path));
        }
        let strip = known.1.clone();
        drop(store);
        if !strip.complete && self.may_open() {
            self.pool.want(&Key::Strip(path.to_owned(), taken));
        }
        strip
    }

    /// Why a video is set aside, if it is: what happened to its decoder, as the rest of a sentence.
    #[must_use]
    pub fn set_aside(&self, path: &Path) -> Option<String> {
        let store = self.store.borrow();
        let mut aside = store.aside.iter();
        aside
            .find(|aside| aside.path == path)
            .map(|aside| aside.cause.clone())
    }

    /// Opens a video again that was set aside.
    pub(in crate::app) fn try_again(&self, path: &Path) {
        media::try_again(Some(path));
        self.store
            .borrow_mut()
            .aside
            .retain(|aside| aside.path != path);
        self.forget(path);
    }

    /// Drops all data about a video, for instance because its file has another place now.
    pub(in crate::app) fn forget(&self, path: &Path) {
        let mut store = self.store.borrow_mut();
        store.facts.remove(path);
        store.posters.remove(path);
        store.strips.remove(path);
    }

    /// Whether all requests are answered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pool.is_idle()
    }
}

fn answer(key: &Key, cache: &Cache, work: &Work, answers: &Answers<'_, Key, PreviewAnswer>) {
    match key {
        Key::Facts(path) => {
            let facts = media::probe(path)
                .map(Box::new)
                .map_err(|error| error.to_string());
            answers.send(PreviewAnswer::Facts(facts));
        }
        Key::Poster(path, name) => {
            answers.send(PreviewAnswer::Poster(poster(path, cache, name)));
        }
        Key::Strip(path, taken) => {
            if let Some(end) = strip(path, *taken, work, answers) {
                answers.send(PreviewAnswer::StripEnd(end));
            }
        }
    }
}

fn poster(path: &Path, cache: &Cache, name: &str) -> Option<ColorImage> {
    if let Some(image) = cache.read(name) {
        return Some(color_image(&image));
    }
    let image = media::poster(path, POSTER_PX)
        .map_err(|error| log::info!("no poster: {error}"))
        .ok()?;
    let image = fit(image, POSTER_PX);
    cache.write(name, &image);
    Some(color_image(&image))
}

/// Decodes the first frames that would be extracted. `None` if cancelled.
#[allow(
    clippy::option_option,
    reason = "cancelled, ended well, ended with a warning"
)]
fn strip(
    path: &Path,
    taken: Taken,
    work: &Work,
    answers: &Answers<'_, Key, PreviewAnswer>,
) -> Option<Option<String>> {
    let mut sampler = match Sampler::open(path, &taken.sampling()) {
        Ok(sampler) => sampler,
        Err(error) => return Some(Some(error.to_string())),
    };
    for _ in 0..STRIP_FRAMES {
        let frame = match sampler.next_frame(work) {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                let warnings = sampler.warnings();
                return Some((!warnings.is_empty()).then(|| warnings.join(". ")));
            }
            Err(_) if work.is_cancelled() => return None,
            Err(error) => return Some(Some(error.to_string())),
        };
        if !answers.send(PreviewAnswer::Frame(
            frame.time_secs,
            color_image(&frame.image),
        )) {
            return None;
        }
    }
    Some(None)
}

/// The approximate number of frames that `sampling` extracts from a video of this duration.
#[must_use]
pub fn expected_frames(duration_secs: Option<f64>, sampling: &Sampling) -> Option<u64> {
    let duration = duration_secs?;
    let from = sampling.from_secs.unwrap_or(0.0).clamp(0.0, duration);
    let to = sampling.to_secs.unwrap_or(duration).clamp(from, duration);
    let frames = ((to - from) * sampling.fps.0).round();
    Some(if to > from { frames.max(1.0) as u64 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expected_count_follows_length_rate_and_range() {
        let mut sampling = Sampling::default();
        assert_eq!(expected_frames(Some(42.0), &sampling), Some(84));
        assert_eq!(expected_frames(None, &sampling), None);
        sampling.from_secs = Some(40.0);
        assert_eq!(expected_frames(Some(42.0), &sampling), Some(4));
        sampling.to_secs = Some(10.0);
        assert_eq!(expected_frames(Some(42.0), &sampling), Some(0));
        sampling.from_secs = None;
        sampling.fps = Fps(0.01);
        assert_eq!(expected_frames(Some(42.0), &sampling), Some(1));
    }
}
