//! The training images that are most similar to an evaluated one: found in the background, kept while the run is
//! shown.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use egui::Context;
use parking_lot::Mutex;

use crate::app::EvaluateState;
use crate::app::pool::Pool;
use crate::evaluate::{EvaluateError, NearImage, TrainingImages, near_finding};
use crate::jobs::Work;
use crate::project::{Noun, Project};
use crate::train::{Run, RunId};

/// The number of training images for each image.
pub const NEAREST: usize = 6;

/// The state of the search for similar images.
#[derive(Debug, Clone)]
pub enum Nearest {
    /// Not yet found.
    Loading,
    /// Found.
    Ready(Arc<Near>),
    /// Failed, with a sentence that says why.
    Failed(String),
}

/// The training images that are most similar to an image.
#[derive(Debug)]
pub struct Near {
    /// The most similar first.
    pub images: Vec<NearImage>,
    /// The classes that the indices in `images` refer to.
    pub classes: Vec<String>,
}

impl Near {
    /// What they indicate about the current label of the image, in a sentence.
    #[must_use]
    pub fn finding(&self, label: &str, noun: Noun) -> Option<String> {
        near_finding(label, &self.images, &self.classes, noun)
    }
}

/// The key of a search.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    run: RunId,
    /// Increased when the run's weights or classes may have changed.
    generation: u64,
    /// The image's path when it was evaluated, relative to the project's root.
    path: String,
}

/// A request: the key, and the image's current path.
type Request = (Key, String);

/// The run whose similar images were requested last.
struct Loaded {
    of: (RunId, u64),
    images: TrainingImages,
}

/// The similar images of a project's images.
pub struct NearestImages {
    pool: Pool<Request, Result<Near, String>>,
    found: RefCell<HashMap<Key, Result<Arc<Near>, String>>>,
}

impl NearestImages {
    pub(in crate::app) fn new(ctx: &Context, project: &Arc<Project>) -> Self {
        let project = Arc::clone(project);
        let wake = ctx.clone();
        let loaded: Mutex<Option<Loaded>> = Mutex::default();
        Self {
            pool: Pool::new(
                "nearest images",
                1,
                move || wake.request_repaint(),
                move |request: &Request, work, answers| {
                    let mut loaded = loaded.lock();
                    let near = find(&project, request, &mut loaded, work);
                    answers.send(near.map_err(|error| error.to_string()).and_then(|near| {
                        near.ok_or_else(|| "it is no longer in any of the run’s classes".to_owned())
                    }));
                },
            ),
            found: RefCell::default(),
        }
    }

    /// Begins a frame: receives finished results.
    pub(in crate::app) fn begin_frame(&self) {
        self.pool.begin_frame();
        let mut found = self.found.borrow_mut();
        while let Some(((key, _), near)) = self.pool.next_answer() {
            // Results of a run that is no longer shown are dropped.
            found.retain(|known, _| known.run == key.run && known.generation == key.generation);
            found.insert(key, near.map(Arc::new));
        }
    }

    /// Those of an evaluated image (its path then and now) for the chosen run, if they are found; otherwise they are
    /// requested.
    pub fn get(&self, state: &EvaluateState, path: &str, now: &str) -> Nearest {
        let Some(run) = state.run.clone() else {
            return Nearest::Loading;
        };
        let key = Key {
            run,
            generation: state.generation,
            path: path.to_owned(),
        };
        if let Some(near) = self.found.borrow().get(&key) {
            return match near {
                Ok(near) => Nearest::Ready(Arc::clone(near)),
                Err(why) => Nearest::Failed(why.clone()),
            };
        }
        self.pool.want(&(key, now.to_owned()));
        Nearest::Loading
    }
}

fn find(
    project: &Project,
    (key, now): &Request,
    loaded: &mut Option<Loaded>,
    work: &Work,
) -> Result<Option<Near>, EvaluateError> {
    let of = (key.run.clone(), key.generation);
    // Training images that were read before a label was corrected have the image's former path.
    let nearest = |images: &TrainingImages| {
        let near = images.nearest(&key.path, NEAREST);
        near.or_else(|| images.nearest(now, NEAREST))
    };
    let known = loaded.take().filter(|loaded| loaded.of == of);
    let known = known.filter(|loaded| nearest(&loaded.images).is_some());
    let loaded = if let Some(known) = known {
        loaded.insert(known)
    } else {
        let run = Run::open(&project.runs_dir().join(&key.run.0))?;
        let images = TrainingImages::of(project, &run, work)?;
        loaded.insert(Loaded { of, images })
    };
    let near = nearest(&loaded.images);
    Ok(near.map(|images| Near {
        images,
        classes: loaded.images.classes().to_vec(),
    }))
}
