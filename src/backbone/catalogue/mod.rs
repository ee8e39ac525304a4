//! The known backbones: those in the catalogue, and those added to projects.
//!
//! The catalogue, `models/catalogue.json`, is built into the program; the model files are in a folder beside the
//! program (see [`model_dirs`]). Backbones of a project are in its folder, and are registered when it is opened. Their
//! names contain a hash of their content, so that a name denotes one network whatever projects are open. Every file's
//! hash is checked once per process.

mod architecture;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use serde::Deserialize;

use crate::backbone::BackboneError;
use crate::jobs::bound_memory;

pub use architecture::Architecture;

const CATALOGUE: &str = include_str!("../../../models/catalogue.json");

/// The version of the catalogue's schema.
const SCHEMA: u32 = 2;

/// The texts of the licences named in the catalogue: they must be included with the weights.
const LICENCES: [(&str, &str); 2] = [
    ("LICENSE", include_str!("../../../models/LICENSE")),
    (
        "LICENSE-mobilenet-v2",
        include_str!("../../../models/LICENSE-mobilenet-v2"),
    ),
];

/// The published accuracy of a whole network with its 1000-class layer, in fp32.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PublishedTop1 {
    /// Top-1 accuracy on the validation images of `ImageNet`, percent.
    pub percent: f32,
    /// The resolution for which it was published, in pixels; may not be offered here.
    #[serde(rename = "resolution")]
    pub resolution_px: u32,
    /// Multiply-accumulates for one image at that resolution, without the 1000-class layer.
    pub multiply_accumulates: u64,
    /// The publication.
    pub source: String,
}

/// A pretrained network up to its pooled layer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "Entry")]
pub struct Backbone {
    /// Its name: `efficientnet-lite0`.
    pub name: String,
    /// The resolution that it was designed for, in pixels.
    pub default_resolution: u32,
    /// Resolutions offered, multiples of 32.
    pub resolutions: Vec<u32>,
    /// Length of a bottleneck.
    pub bottleneck_dim: usize,
    /// Number of trainable parameters.
    pub parameters: u64,
    /// Multiply-accumulates for one image at the default resolution.
    pub multiply_accumulates: u64,
    /// The published accuracy, for backbones in the catalogue.
    pub imagenet_top1: Option<PublishedTop1>,
    /// SPDX identifier of the licence; for a project's own backbone, as stated by the user.
    pub licence: String,
    /// Name of the file with the licence's text.
    licence_file: String,
    /// Its title and folder, if it was added to a project.
    pub own: Option<Own>,
    /// Name of the model file.
    pub file: String,
    /// Size of the model file in bytes.
    pub bytes: u64,
    /// BLAKE3 hash of the model file, hexadecimal.
    pub blake3: String,
    /// Name of the graph's input, `f32[N, 3, H, W]` RGB.
    pub input: String,
    /// Name of the graph's pooled output, `f32[N, D]`.
    pub bottleneck: String,
    /// Subtracted from each channel value (0..=255); R, G, B.
    pub mean: [f32; 3],
    /// Divisor of each channel value after that; R, G, B.
    pub std: [f32; 3],
}

/// Additional facts about a backbone that was added to a project.
#[derive(Debug, Clone, PartialEq)]
pub struct Own {
    /// Its name without the hash, for users.
    pub title: String,
    /// The folder with its files, in the project.
    pub dir: PathBuf,
    /// Multiply-accumulates for one image at each resolution offered.
    pub multiply_accumulates: BTreeMap<u32, u64>,
}

/// An entry in the catalogue file.
#[derive(Deserialize)]
struct Entry {
    name: String,
    file: String,
    bytes: u64,
    blake3: String,
    input: Named,
    normalisation: Normalisation,
    default_resolution: u32,
    resolutions: Vec<u32>,
    bottleneck: Output,
    parameters: u64,
    multiply_accumulates: u64,
    imagenet_top1: PublishedTop1,
    licence: String,
    licence_file: String,
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
            imagenet_top1: Some(entry.imagenet_top1),
            licence: entry.licence,
            licence_file: entry.licence_file,
            own: None,
            file: entry.file,
            bytes: entry.bytes,
            blake3: entry.blake3,
            input: entry.input.name,
            bottleneck: entry.bottleneck.name,
            mean: entry.normalisation.mean,
            std: entry.normalisation.std,
        }
    }
}

/// The backbones in the catalogue, in the order in which they are offered.
pub fn catalogue() -> Result<&'static [Backbone], BackboneError> {
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
        .as_deref()
        .map_err(|error| BackboneError::Catalogue(error.clone()))
}

/// The backbones of projects that were opened in this process, by name.
fn added() -> &'static RwLock<BTreeMap<String, &'static Backbone>> {
    static ADDED: RwLock<BTreeMap<String, &'static Backbone>> = RwLock::new(BTreeMap::new());
    &ADDED
}

/// Registers a project's own backbone by its name. It is kept until the process ends, some hundred bytes each.
pub(in crate::backbone) fn register(backbone: Backbone) -> &'static Backbone {
    let mut all = added().write();
    if let Some(known) = all.get(&backbone.name)
        && **known == backbone
    {
        return known;
    }
    let kept: &'static Backbone = Box::leak(Box::new(backbone));
    all.insert(kept.name.clone(), kept);
    kept
}

/// Removes a backbone that was in this folder of a project.
pub(in crate::backbone) fn unregister(name: &str, dir: &Path) {
    let mut all = added().write();
    let is_there = |known: &&Backbone| known.own.as_ref().is_some_and(|own| own.dir == dir);
    if all.get(name).is_some_and(is_there) {
        all.remove(name);
    }
}

/// All known backbones, those in the catalogue first.
pub(in crate::backbone) fn known_backbones() -> Result<Vec<&'static Backbone>, BackboneError> {
    let added = added().read();
    Ok(catalogue()?.iter().chain(added.values().copied()).collect())
}

/// The state of a backbone's model file, for `doctor`.
#[derive(Debug)]
pub struct ModelStatus {
    /// The backbone.
    pub backbone: &'static Backbone,
    /// The path of its file, or what is wrong with it, in one sentence.
    pub file: Result<PathBuf, BackboneError>,
}

/// Reads the model file of every backbone in the catalogue and checks its hash.
pub fn model_status() -> Result<Vec<ModelStatus>, BackboneError> {
    Ok(catalogue()?
        .iter()
        .map(|backbone| {
            let file = backbone
                .path()
                .and_then(|path| backbone.model().map(|_| path));
            ModelStatus { backbone, file }
        })
        .collect())
}

/// The folders that are searched for model files: the one in `SALAMANDER_MODELS` if that is set; otherwise in this
/// order `models/` beside the executable, `Resources/models` of a macOS bundle, `../share/salamander/models`, the
/// source folder.
#[must_use]
pub fn model_dirs() -> Vec<PathBuf> {
    // Only the folder that the user set: a model from elsewhere would be a surprise.
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

/// The properties of a backbone that was added to a project, as in [`Backbone`].
pub(in crate::backbone) struct OwnFacts {
    pub default_resolution: u32,
    pub bottleneck_dim: usize,
    pub parameters: u64,
    pub multiply_accumulates: u64,
    pub licence: String,
    pub file: String,
    pub bytes: u64,
    pub blake3: String,
    pub input: String,
    pub bottleneck: String,
    pub mean: [f32; 3],
    pub std: [f32; 3],
}

impl Backbone {
    /// A backbone that was added to a project.
    pub(in crate::backbone) fn own(name: String, own: Own, facts: OwnFacts) -> Self {
        Self {
            name,
            default_resolution: facts.default_resolution,
            resolutions: own.multiply_accumulates.keys().copied().collect(),
            bottleneck_dim: facts.bottleneck_dim,
            parameters: facts.parameters,
            multiply_accumulates: facts.multiply_accumulates,
            imagenet_top1: None,
            licence: facts.licence,
            licence_file: String::new(),
            own: Some(own),
            file: facts.file,
            bytes: facts.bytes,
            blake3: facts.blake3,
            input: facts.input,
            bottleneck: facts.bottleneck,
            mean: facts.mean,
            std: facts.std,
        }
    }

    /// The backbone called `name`, from the catalogue or an opened project.
    pub fn named(name: &str) -> Result<&'static Self, BackboneError> {
        let shipped = catalogue()?.iter().find(|backbone| backbone.name == name);
        let of_project = || {
            let added = added().read();
            added.get(name).copied()
        };
        match shipped.or_else(of_project) {
            Some(backbone) => Ok(backbone),
            None => Err(BackboneError::UnknownArchitecture {
                name: name.to_owned(),
                known: known_backbones()?
                    .iter()
                    .map(|backbone| backbone.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// The same, also by the title alone for one of an opened project.
    pub fn called(name: &str) -> Result<&'static Self, BackboneError> {
        Self::named(name).or_else(|unknown| {
            let added = added().read();
            let mut of_title = added.values().filter(|backbone| {
                let title = backbone.own.as_ref().map(|own| own.title.as_str());
                title == Some(name)
            });
            match (of_title.next(), of_title.next()) {
                (Some(one), None) => Ok(*one),
                _ => Err(unknown),
            }
        })
    }

    /// The backbone at each of its resolutions.
    pub fn offered(&self) -> impl Iterator<Item = Architecture> {
        let resolutions = self.resolutions.iter();
        resolutions.map(|resolution_px| Architecture {
            backbone: self.name.clone(),
            resolution_px: *resolution_px,
        })
    }

    /// Multiply-accumulates for one image at a resolution offered.
    #[must_use]
    pub fn multiply_accumulates_at(&self, resolution_px: u32) -> u64 {
        if let Some(own) = &self.own {
            let known = own.multiply_accumulates.get(&resolution_px);
            return known.copied().unwrap_or(self.multiply_accumulates);
        }
        // The strides of every backbone in the catalogue multiply to 32, and the resolution is a multiple of 32, so
        // the cost is exactly proportional to the number of pixels.
        let cells = |resolution_px: u32| u64::from(resolution_px / 32).pow(2);
        self.multiply_accumulates / cells(self.default_resolution) * cells(resolution_px)
    }

    /// The accuracy published for this resolution, percent; `None` if there is none.
    #[must_use]
    pub fn top1_percent_at(&self, resolution_px: u32) -> Option<f32> {
        let published = self.imagenet_top1.as_ref()?;
        (published.resolution_px == resolution_px).then_some(published.percent)
    }

    /// The full text of the licence of the weights, which must be included with them.
    #[must_use]
    pub fn licence_text(&self) -> &'static str {
        LICENCES
            .iter()
            .find(|(file, _)| *file == self.licence_file)
            .map_or("", |(_, text)| text)
    }

    /// The path of the model file.
    pub fn path(&self) -> Result<PathBuf, BackboneError> {
        let Some(own) = &self.own else {
            return self.path_in(&model_dirs());
        };
        let path = own.dir.join(&self.file);
        if path.is_file() {
            Ok(path)
        } else {
            Err(BackboneError::MissingOwn { path })
        }
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

    /// The model file's bytes, after checking their hash. Read once per process and kept (some megabytes each).
    pub fn model(&self) -> Result<Arc<[u8]>, BackboneError> {
        static LOADED: Mutex<BTreeMap<String, Arc<[u8]>>> = Mutex::new(BTreeMap::new());
        let mut loaded = LOADED.lock();
        if let Some(bytes) = loaded.get(&self.blake3) {
            return Ok(Arc::clone(bytes));
        }
        if self.own.is_some() {
            bound_memory();
        }
        let bytes = self.read_checked(&self.path()?)?;
        loaded.insert(self.blake3.clone(), Arc::clone(&bytes));
        Ok(bytes)
    }

    fn read_checked(&self, path: &Path) -> Result<Arc<[u8]>, BackboneError> {
        let bytes = crate::files::read(path).map_err(BackboneError::io("read", path))?;
        if blake3::hash(&bytes).to_hex().as_str() != self.blake3 {
            return Err(BackboneError::AlteredModel {
                path: path.into(),
                shipped: self.own.is_none(),
            });
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
        assert!(status.len() >= 4);
        for model in status {
            let file = model.file.as_ref().unwrap();
            assert_eq!(std::fs::metadata(file).unwrap().len(), model.backbone.bytes);
            assert!(
                model.file.is_ok(),
                "{}: {:?}",
                model.backbone.name,
                model.file
            );
        }
    }

    #[test]
    fn every_backbone_has_its_licence_in_full() {
        for (name, words) in [
            ("efficientnet-lite0", "Apache License"),
            ("efficientnet-lite2", "Apache License"),
            ("mobilenet-v2", "Soumith Chintala"),
        ] {
            let text = Backbone::named(name).unwrap().licence_text();
            assert!(text.contains(words), "{name}");
        }
        assert!(
            catalogue()
                .unwrap()
                .iter()
                .all(|b| !b.licence_text().is_empty())
        );
    }

    #[test]
    fn accuracy_is_told_where_it_was_published_only() {
        let top1 = |name: &str, resolution_px| {
            let backbone = Backbone::named(name).unwrap();
            backbone.top1_percent_at(resolution_px)
        };
        assert_eq!(top1("efficientnet-lite0", 224), Some(75.1));
        assert_eq!(top1("mobilenet-v2", 224), Some(71.88));
        // Published for 240 pixels, which is not offered.
        assert_eq!(top1("efficientnet-lite1", 256), None);
        assert_eq!(top1("mobilenet-v2", 96), None);
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
