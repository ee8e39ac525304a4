//! The weights of a run: its head, and the fine-tuned weights of the backbone.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::backbone::FineTunedWeights;
use crate::train::files::{self, Values};
use crate::train::{Head, TrainError};

use super::{FINE_TUNED_FILE, HEAD_ALONE, HEAD_FILE, Run, RunState};

impl Run {
    /// The kept weights of the head.
    pub fn head(&self) -> Result<Head, TrainError> {
        if self.state != RunState::Finished {
            return Err(TrainError::Unfinished(self.id.0.clone()));
        }
        self.read_head(&self.dir.join(HEAD_FILE))
    }

    /// The head before the fine-tuning.
    pub(in crate::train) fn head_alone(&self) -> Result<Head, TrainError> {
        self.read_head(&self.dir.join(HEAD_ALONE))
    }

    fn read_head(&self, path: &Path) -> Result<Head, TrainError> {
        if !crate::files::exists(path) {
            return Err(files::damaged(path)("the file is missing"));
        }
        let (tensors, _) = files::tensors(path, &self.read(path)?)?;
        let head = Head::of_named(tensors, self.classes.len()).map_err(files::damaged(path))?;
        if head.values().flatten().any(|value| !value.is_finite()) {
            return Err(files::damaged(path)("it holds values that are not finite"));
        }
        Ok(head)
    }

    /// The fine-tuned weights of its backbone; `None` if only the head was trained. They must match `run.json`, so a
    /// missing, changed or foreign file is an error.
    pub fn fine_tuned(&self) -> Result<Option<FineTunedWeights>, TrainError> {
        if self.state != RunState::Finished {
            return Err(TrainError::Unfinished(self.id.0.clone()));
        }
        let path = self.dir.join(FINE_TUNED_FILE);
        let Some(hash) = &self.fine_tuned_hash else {
            return if crate::files::exists(&path) {
                Err(files::damaged(&path)("“run.json” does not list it"))
            } else {
                Ok(None)
            };
        };
        if !crate::files::exists(&path) {
            return Err(files::damaged(&path)("the file is missing"));
        }
        let (tensors, _) = files::read_tensors(&path)?;
        let fine_tuned = FineTunedWeights::of_file(&path, tensors)?;
        if fine_tuned.hash() != hash {
            return Err(files::damaged(&path)(
                "it is not the file that this run wrote",
            ));
        }
        Ok(Some(fine_tuned))
    }

    /// Stores the fine-tuned weights of the backbone. To be called before the run is marked as finished, so that a
    /// finished run always has the file.
    pub fn save_fine_tuned(&mut self, fine_tuned: &FineTunedWeights) -> Result<(), TrainError> {
        let mut tensors = Vec::new();
        for (name, tensor) in fine_tuned.iter() {
            tensors.push((name, Values::of(tensor)?));
        }
        files::write_tensors(&self.dir.join(FINE_TUNED_FILE), tensors, HashMap::new())?;
        self.fine_tuned_hash = Some(fine_tuned.hash().to_owned());
        self.save()?;
        // Bottlenecks of the previous weights are useless; if they cannot be removed, they only take space.
        let cache = self.cache_dir();
        if let Err(error) = crate::files::remove_dir_all(&cache)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            log::warn!("“{}” cannot be deleted: {error}", cache.display());
        }
        Ok(())
    }

    /// The cache for bottlenecks of its fine-tuned backbone: in its folder, so that it is deleted with the run.
    #[must_use]
    pub fn cache_dir(&self) -> PathBuf {
        self.dir.join("cache")
    }
}

/// Writes the weights of a head, and returns the bytes.
pub(super) fn write_head(path: &Path, head: &Head) -> Result<Vec<u8>, TrainError> {
    let named = head.named();
    let tensors = named.iter().map(|(name, shape, values)| {
        let values = Values { shape, values };
        (*name, values)
    });
    files::write_tensors(path, tensors.collect(), HashMap::new())
}
