//! The backbones that ship with Salamander: `models/catalogue.json` and the files beside it.
//!
//! The catalogue is built into the program; the model files lie in a folder beside it (see
//! [`model_dirs`]) and are checked against the catalogue's hashes once per process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::Deserialize;

use super::BackboneError;

const CATALOGUE: &str = include_str!("../../models/catalogue.json");

/// The schema of the catalogue that this code reads.
const SCHEMA: u32 = 1;

/// A pretrained network up to its pooled layer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "Entry")]
pub struct Backbone {
    /// `efficientnet-lite0`.
    pub name: String,
    /// The resolution it is meant for, pixels.
    pub default_resolution: u32,
    /// Resolutions on offer, multiples of 32.
    pub resolutions: Vec<u32>,
    /// Length of a bottleneck.
    pub bottleneck_dim: usize,
    /// Trainable parameters.
    pub parameters: u64,
    /// Multiply-accumulates of one image at the default resolution.
    pub multiply_accumulates: u64,
    /// `ImageNet` top-1 in percent, as published.
    pub imagenet_top1_percent: f32,
    /// SPDX licence.
    pub licence: String,
    /// Name of the model file.
    pub file: String,
    /// BLAKE3 hash of the model file, hexadecimal.
    pub blake3: String,
    /// Name of the graph's input, `f32[N, 3, H, W]` RGB.
    pub input: String,
    /// Name of the graph's pooled output, `f32[N, D]`.
    pub bottleneck: String,
    /// Subtracted from each channel value (0..=255), R, G, B.
    pub mean: [f32; 3],
    /// Divides each channel value after that.
    pub std: [f32; 3],
}

/// The catalogue's own layout.
#[derive(Deserialize)]
struct Entry {
    name: String,
    file: String,
    blake3: String,
    input: Named,
    normalisation: Normalisation,
    default_resolution: u32,
    resolutions: Vec<u32>,
    bottleneck: Output,
    parameters: u64,
    multiply_accumulates: u64,
    imagenet_top1_percent: f32,
    licence: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    dim: usize,
}

#[derive(Deserialize)]
struct Normalisation {
    mean: [f32; 3],
    std: [f32; 3],
}

#[derive(Deserialize)]
struct Catalogue {
    schema: u32,
    backbones: Vec<Backbone>,
}

impl From<Entry> for Backbone {
    fn from(entry: Entry) -> Self {
        Self {
            name: entry.name,
            default_resolution: entry.default_resolution,
            resolutions: entry.resolutions,
            bottleneck_dim: entry.bottleneck.dim,
            parameters: entry.parameters,
            multiply_accumulates: entry.multiply_accumulates,
            imagenet_top1_percent: entry.imagenet_top1_percent,
            licence: entry.licence,
            file: entry.file,
            blake3: entry.blake3,
            input: entry.input.name,
            bottleneck: entry.bottleneck.name,
            mean: entry.normalisation.mean,
            std: entry.normalisation.std,
        }
    }
}

/// The shipped backbones, smallest first.
pub fn catalogue() -> Result<Vec<Backbone>, BackboneError> {
    static PARSED: OnceLock<Result<Vec<Backbone>, String>> = OnceLock::new();
    PARSED
        .get_or_init(|| {
            let catalogue: Catalogue =
                serde_json::from_str(CATALOGUE).map_err(|error| error.to_string())?;
            if catalogue.schema != SCHEMA {
                return Err(format!("its schema is {}, not {SCHEMA}", catalogue.schema));
            }
            Ok(catalogue.backbones)
        })
        .clone()
        .map_err(BackboneError::Catalogue)
}

/// A shipped model as `doctor` shows it.
#[derive(Debug)]
pub struct ModelStatus {
    /// The backbone.
    pub backbone: Backbone,
    /// Where its file is, or what is wrong with it, in one sentence.
    pub file: Result<PathBuf, BackboneError>,
}

/// Looks at every shipped model file and checks its hash.
pub fn model_status() -> Result<Vec<ModelStatus>, BackboneError> {
    Ok(catalogue()?
        .into_iter()
        .map(|backbone| {
            let file = backbone
                .path()
                .and_then(|path| backbone.model().map(|_| path));
            ModelStatus { backbone, file }
        })
        .collect())
}

/// The folders in which model files are looked for: `SALAMANDER_MODELS` alone if it is set, else in this
/// order `models/` beside the executable, `Resources/models` of a macOS bundle,
/// `../share/salamander/models`, the source folder.
#[must_use]
pub fn model_dirs() -> Vec<PathBuf> {
    // Whoever names a folder means that one: another model from elsewhere would be a surprise.
    if let Some(dir) = std::env::var_os("SALAMANDER_MODELS").filter(|dir| !dir.is_empty()) {
        return vec![PathBuf::from(dir)];
    }
    let mut dirs = Vec::new();
    if let Ok(executable) = std::env::current_exe()
        && let Some(beside) = executable.parent()
    {
        dirs.push(beside.join("models"));
        if let Some(prefix) = beside.parent() {
            if cfg!(target_os = "macos") {
                dirs.push(prefix.join("Resources").join("models"));
            }
            dirs.push(prefix.join("share").join("salamander").join("models"));
        }
    }
    dirs.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("models"));
    dirs
}

impl Backbone {
    /// The backbone called `name`.
    pub fn named(name: &str) -> Result<Self, BackboneError> {
        let all = catalogue()?;
        let known = all
            .iter()
            .map(|backbone| backbone.name.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        all.into_iter()
            .find(|backbone| backbone.name == name)
            .ok_or_else(|| BackboneError::UnknownArchitecture {
                name: name.to_owned(),
                known,
            })
    }

    /// Where the model file is.
    pub fn path(&self) -> Result<PathBuf, BackboneError> {
        self.path_in(&model_dirs())
    }

    fn path_in(&self, dirs: &[PathBuf]) -> Result<PathBuf, BackboneError> {
        dirs.iter()
            .map(|dir| dir.join(&self.file))
            .find(|path| path.is_file())
            .ok_or_else(|| BackboneError::MissingModel {
                file: self.file.clone(),
                looked_in: dirs
                    .iter()
                    .map(|dir| format!("“{}”", dir.display()))
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    /// The model file's bytes, its hash checked. Read once per process and kept (some megabytes each).
    pub fn model(&self) -> Result<Arc<[u8]>, BackboneError> {
        static LOADED: Mutex<BTreeMap<String, Arc<[u8]>>> = Mutex::new(BTreeMap::new());
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = loaded.get(&self.blake3) {
            return Ok(Arc::clone(bytes));
        }
        let bytes = self.read_checked(&self.path()?)?;
        loaded.insert(self.blake3.clone(), Arc::clone(&bytes));
        Ok(bytes)
    }

    fn read_checked(&self, path: &Path) -> Result<Arc<[u8]>, BackboneError> {
        let bytes = std::fs::read(path).map_err(BackboneError::io("read", path))?;
        if blake3::hash(&bytes).to_hex().as_str() != self.blake3 {
            return Err(BackboneError::AlteredModel { path: path.into() });
        }
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn every_shipped_model_is_there_and_unaltered() {
        let status = model_status().unwrap();
        assert!(status.len() >= 3);
        for model in status {
            assert!(
                model.file.is_ok(),
                "{}: {:?}",
                model.backbone.name,
                model.file
            );
        }
    }

    #[test]
    fn an_altered_or_missing_model_is_one_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let backbone = Backbone::named("efficientnet-lite0").unwrap();
        let missing = backbone.path_in(&[dir.path().into()]).unwrap_err();
        assert!(missing.to_string().contains("is missing"), "{missing}");
        assert!(missing.to_string().contains("SALAMANDER_MODELS"));

        let path = dir.path().join(&backbone.file);
        let mut bytes = backbone.model().unwrap().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let found = backbone.path_in(&[dir.path().into()]).unwrap();
        let altered = backbone.read_checked(&found).unwrap_err();
        assert!(matches!(altered, BackboneError::AlteredModel { .. }));
    }

    #[test]
    fn an_unknown_backbone_names_the_known_ones() {
        let error = Backbone::named("resnet").unwrap_err().to_string();
        assert!(error.contains("resnet") && error.contains("efficientnet-lite2"));
    }
}
