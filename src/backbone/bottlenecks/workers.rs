//! The sessions and files for workers that compute bottlenecks, each loaded on first use.

use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::jobs::Work;
use half::f16;
use image::RgbImage;

use crate::backbone::activations::front::{Front, FrontModel};
use crate::backbone::activations::store::ActivationStore;
use crate::backbone::cache::Key;
use crate::backbone::input::view::View;
use crate::backbone::{
    ActivationSource, Architecture, BackboneError, Extractor, FineTunedWeights, Preprocessing,
};

/// The model of all workers.
pub(in crate::backbone) struct Model<'a> {
    pub architecture: &'a Architecture,
    pub preprocessing: &'a Preprocessing,
    pub fine_tuned: Option<&'a FineTunedWeights>,
    /// Loaded once, by the first worker with an image that is not cached.
    pub bytes: Mutex<Option<Arc<[u8]>>>,
}

impl<'a> Model<'a> {
    /// With the original weights of the architecture.
    pub fn plain(architecture: &'a Architecture, preprocessing: &'a Preprocessing) -> Self {
        Self {
            architecture,
            preprocessing,
            fine_tuned: None,
            bytes: Mutex::new(None),
        }
    }

    fn extractor(&self) -> Result<Extractor, BackboneError> {
        let bytes = {
            let mut bytes = self.bytes.lock();
            let made = match bytes.take() {
                Some(made) => made,
                None => self.architecture.model_with(self.fine_tuned)?,
            };
            Arc::clone(bytes.insert(made))
        };
        Extractor::from_model(self.architecture, self.preprocessing, &bytes, 1)
    }
}

/// The activations that are computed together with the bottlenecks.
pub(in crate::backbone) struct Also {
    store: Mutex<ActivationStore>,
    front: Arc<FrontModel>,
    both: Arc<FrontModel>,
}

impl Also {
    pub fn open(
        source: &ActivationSource,
        cache_dir: &Path,
        budget_bytes: u64,
        work: &Work,
    ) -> Result<Self, BackboneError> {
        let entry = source.architecture.entry()?;
        let [front, both] =
            FrontModel::of_source(source, work, |model| Ok([model(false)?, model(true)?]))?;
        let store = ActivationStore::open(
            source,
            &entry.blake3,
            source.frames.len() as u64,
            cache_dir,
            budget_bytes,
        )?;
        Ok(Self {
            store: Mutex::new(store),
            front,
            both,
        })
    }

    fn store(&self) -> MutexGuard<'_, ActivationStore> {
        self.store.lock()
    }

    /// Whether the activation of this content is wanted and not cached.
    pub fn lacks(also: Option<&Self>, content: &[u8; 32]) -> bool {
        let key = Key {
            content: *content,
            view: 0,
        };
        also.is_some_and(|also| {
            let store = also.store();
            store.rows_left() > 0 && !store.contains(&key)
        })
    }

    fn keep(&self, key: &Key, row: &[f16]) {
        if let Err(reason) = self.store().keep(key, row) {
            log::warn!("no more activations are cached: {reason:?}");
        }
    }
}

/// One worker's sessions.
pub(in crate::backbone) struct Tools<'a> {
    extractor: Option<Extractor>,
    front: Option<Front>,
    both: Option<Front>,
    model: &'a Model<'a>,
}

impl<'a> Tools<'a> {
    pub fn new(model: &'a Model<'a>) -> Self {
        Self {
            extractor: None,
            front: None,
            both: None,
            model,
        }
    }

    /// Loads the session for an image: that for bottlenecks, or the one that also computes activations.
    pub fn load(
        &mut self,
        also: Option<&Also>,
        bottleneck_known: bool,
    ) -> Result<(), BackboneError> {
        match also {
            Some(also) => self.front(also, bottleneck_known).map(drop),
            None => made(&mut self.extractor, || self.model.extractor()).map(drop),
        }
    }

    fn front(&mut self, also: &Also, bottleneck_known: bool) -> Result<&mut Front, BackboneError> {
        if bottleneck_known {
            made(&mut self.front, || Front::new(&also.front))
        } else {
            made(&mut self.both, || Front::new(&also.both))
        }
    }

    /// The bottleneck of an image.
    pub fn bottleneck(&mut self, image: &RgbImage) -> Result<Vec<f32>, BackboneError> {
        made(&mut self.extractor, || self.model.extractor())?.extract(image)
    }

    /// Stores the activation of an image; returns the bottleneck computed with it, unless that is already known.
    pub fn activation(
        &mut self,
        also: &Also,
        key: &Key,
        image: &RgbImage,
        bottleneck_known: bool,
    ) -> Result<Option<Vec<f32>>, BackboneError> {
        let front = self.front(also, bottleneck_known)?;
        let activation = front.run(image, &View::PLAIN)?;
        also.keep(key, &activation.row);
        Ok(activation.bottleneck)
    }
}

/// The value in the slot, created if it is empty.
fn made<T>(
    slot: &mut Option<T>,
    make: impl FnOnce() -> Result<T, BackboneError>,
) -> Result<&mut T, BackboneError> {
    let made = match slot.take() {
        Some(made) => made,
        None => make()?,
    };
    Ok(slot.insert(made))
}
