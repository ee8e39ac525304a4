//! Heat maps over the shown images: computed in the background, kept as textures.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{ColorImage, Context, TextureHandle, TextureOptions};
use image::{RgbImage, RgbaImage};
use parking_lot::Mutex;

use crate::app::EvaluateState;
use crate::app::pool::Pool;
use crate::evaluate::{EvaluateError, ForwardPass, HeatMap, HeatMapper, arg_max};
use crate::jobs::Work;
use crate::media;
use crate::project::Project;
use crate::train::{Run, RunId};

/// Longest side of the texture over an image: the values between cells are interpolated, so no detail is lost.
const LAYER_PX: u32 = 384;
/// The number of maps that are kept.
const MOST: usize = 48;

/// The class that a map explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HeatClass {
    /// The predicted class.
    #[default]
    Predicted,
    /// The label of the image.
    Labelled,
    /// The class with this index.
    Of(usize),
}

/// The key of a map.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    run: RunId,
    /// Increased when the run's weights or classes may have changed.
    generation: u64,
    path: PathBuf,
    /// The index of the class; `None` is the predicted one.
    class: Option<usize>,
}

/// A map that is ready to be painted over its image.
#[derive(Clone)]
pub struct HeatLayer {
    /// The texture, which covers the whole image.
    pub texture: TextureHandle,
    /// The lowest and the highest value.
    pub range: (f32, f32),
    /// The absolute value of the strongest colour.
    pub limit: f32,
    /// Whether the mean of the map and the bias add up to the logit.
    pub exact: bool,
}

/// The state of a map.
pub enum Heat {
    /// Not yet computed.
    Loading,
    /// Ready.
    Ready(HeatLayer),
    /// Failed, with a sentence that says why.
    Failed(String),
}

/// A map as computed by its thread.
pub(in crate::app) struct Made {
    pub layer: ColorImage,
    pub range: (f32, f32),
    pub limit: f32,
    pub exact: bool,
}

impl Made {
    /// For a map over an image of this size.
    pub fn of(map: &HeatMap, (width, height): (u32, u32), exact: bool) -> Self {
        let scale = f64::from(LAYER_PX) / f64::from(width.max(height).max(1));
        let length = |px: u32| ((f64::from(px) * scale.min(1.0)).round() as u32).max(1);
        Self {
            layer: rgba_image(&map.layer(length(width), length(height))),
            range: map.range(),
            limit: map.limit(),
            exact,
        }
    }

    /// Loads it as a texture.
    pub fn texture(self, ctx: &Context) -> HeatLayer {
        HeatLayer {
            texture: ctx.load_texture("heat map", self.layer, TextureOptions::LINEAR),
            range: self.range,
            limit: self.limit,
            exact: self.exact,
        }
    }
}

fn rgba_image(image: &RgbaImage) -> ColorImage {
    let size = [image.width() as usize, image.height() as usize];
    ColorImage::from_rgba_unmultiplied(size, image.as_raw())
}

/// The run whose maps were requested last, and the image that was shown last.
struct Loaded {
    of: (RunId, u64),
    mapper: HeatMapper,
    seen: Option<(PathBuf, (u32, u32), ForwardPass)>,
}

#[derive(Default)]
struct Store {
    layers: HashMap<Key, (u64, Result<HeatLayer, String>)>,
    frame: u64,
}

/// The heat maps of a project's images.
pub struct HeatMaps {
    ctx: Context,
    pool: Pool<Key, Result<Made, String>>,
    store: RefCell<Store>,
}

impl HeatMaps {
    pub(in crate::app) fn new(ctx: &Context, project: &Arc<Project>) -> Self {
        let project = Arc::clone(project);
        let wake = ctx.clone();
        let loaded: Mutex<Option<Loaded>> = Mutex::default();
        Self {
            ctx: ctx.clone(),
            // One thread: a map uses all cores.
            pool: Pool::new(
                "heat maps",
                1,
                move || wake.request_repaint(),
                move |key: &Key, work, answers| {
                    let mut loaded = loaded.lock();
                    let made = make(&project, key, &mut loaded, work);
                    if made.is_err() {
                        *loaded = None;
                    }
                    answers.send(made.map_err(|error| error.to_string()));
                },
            ),
            store: RefCell::default(),
        }
    }

    /// Begins a frame: receives finished maps.
    pub(in crate::app) fn begin_frame(&self) {
        self.pool.begin_frame();
        let mut store = self.store.borrow_mut();
        store.frame += 1;
        let frame = store.frame;
        for _ in 0..4 {
            let Some((key, made)) = self.pool.next_answer() else {
                break;
            };
            let layer = made.map(|made| made.texture(&self.ctx));
            store.layers.insert(key, (frame, layer));
        }
        while store.layers.len() > MOST {
            let oldest = store.layers.iter().min_by_key(|(_, (used, _))| *used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            store.layers.remove(&oldest);
        }
    }

    /// The map of an image for the chosen run, if it is ready; otherwise it is requested. `class` is the index of its
    /// class; `None` is the predicted one.
    pub fn get(&self, state: &EvaluateState, path: &Path, class: Option<usize>) -> Heat {
        let Some(run) = state.run.clone() else {
            return Heat::Loading;
        };
        let key = Key {
            run,
            generation: state.generation,
            path: path.to_owned(),
            class,
        };
        let mut store = self.store.borrow_mut();
        let frame = store.frame;
        if let Some((used, layer)) = store.layers.get_mut(&key) {
            *used = frame;
            return match layer {
                Ok(layer) => Heat::Ready(layer.clone()),
                Err(why) => Heat::Failed(why.clone()),
            };
        }
        drop(store);
        self.pool.want(&key);
        Heat::Loading
    }
}

fn make(
    project: &Project,
    key: &Key,
    loaded: &mut Option<Loaded>,
    work: &Work,
) -> Result<Made, EvaluateError> {
    let of = (key.run.clone(), key.generation);
    let loaded = match loaded {
        Some(loaded) if loaded.of == of => loaded,
        other => {
            let run = Run::open(&project.runs_dir().join(&key.run.0))?;
            let mapper = HeatMapper::of_run(project, &run, work)?;
            other.insert(Loaded {
                of,
                mapper,
                seen: None,
            })
        }
    };
    let known = loaded.seen.take().filter(|(path, ..)| *path == key.path);
    let (path, size, seen) = if let Some(known) = known {
        known
    } else {
        let image: RgbImage = media::load_image(&key.path)?;
        let seen = loaded.mapper.forward(&image)?;
        (key.path.clone(), image.dimensions(), seen)
    };
    let class = key.class.unwrap_or_else(|| arg_max(&seen.probabilities));
    let map = loaded.mapper.map(&seen, class)?;
    let made = Made::of(&map, size, loaded.mapper.is_exact());
    loaded.seen = Some((path, size, seen));
    Ok(made)
}
