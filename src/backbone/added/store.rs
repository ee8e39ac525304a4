//! Stores a project's own architectures in `architectures/<name>/`: the network, and a file with its description.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::backbone::catalogue::{Backbone, Own, register, unregister};
use crate::backbone::{Architecture, BackboneError};
use crate::files::{self, Durability, NewFolder};
use crate::project::Project;

use super::input::{FEWEST_PX, MOST_PX};
use super::measure::Candidate;

const FOLDER: &str = "architectures";
const DESCRIPTION: &str = "architecture.json";
const NETWORK: &str = "network.onnx";
/// Version of the description's format.
const SCHEMA: u32 = 1;
/// The most bytes of a description, which normally has a few hundred.
const MOST_BYTES: u64 = 1 << 20;

/// The contents of `architecture.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    schema: u32,
    title: String,
    bytes: u64,
    blake3: String,
    input: String,
    bottleneck: String,
    bottleneck_dim: usize,
    mean: [f32; 3],
    std: [f32; 3],
    default_resolution: u32,
    /// Multiply-accumulates for one image, by resolution.
    resolutions: BTreeMap<u32, u64>,
    parameters: u64,
    licence: String,
    /// The name of the original file.
    from: String,
    notes: Vec<String>,
}

impl Description {
    /// Its unique name: the title, and a hash of everything that affects its results.
    fn name(&self) -> String {
        let all = format!(
            "{} {} {} {:?} {:?}",
            self.blake3, self.input, self.bottleneck, self.mean, self.std
        );
        let hash = blake3::hash(all.as_bytes()).to_hex();
        format!("{}-{}", self.title, hash.get(..8).unwrap_or_default())
    }

    /// Why this program cannot have written it, if so.
    fn fault(&self) -> Option<&'static str> {
        let is_plain =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if self.schema != SCHEMA {
            return Some("it was written by another version of Salamander");
        }
        let sizes = self
            .resolutions
            .keys()
            .all(|px| (FEWEST_PX..=MOST_PX).contains(px));
        let numbers = self
            .mean
            .iter()
            .chain(&self.std)
            .all(|value| value.is_finite())
            && self.std.iter().all(|value| *value != 0.0);
        let named = !self.title.is_empty() && self.title.chars().all(is_plain);
        let known = self.resolutions.contains_key(&self.default_resolution);
        (!(sizes && numbers && named && known && (1..=1 << 20).contains(&self.bottleneck_dim)))
            .then_some("a value in it is out of range")
    }

    fn backbone(self, dir: PathBuf) -> Backbone {
        let macs = self.resolutions.get(&self.default_resolution);
        Backbone::own(
            self.name(),
            Own {
                title: self.title,
                dir,
                multiply_accumulates: self.resolutions.clone(),
            },
            crate::backbone::catalogue::OwnFacts {
                default_resolution: self.default_resolution,
                bottleneck_dim: self.bottleneck_dim,
                parameters: self.parameters,
                multiply_accumulates: macs.copied().unwrap_or_default(),
                licence: self.licence,
                file: NETWORK.into(),
                bytes: self.bytes,
                blake3: self.blake3,
                input: self.input,
                bottleneck: self.bottleneck,
                mean: self.mean,
                std: self.std,
            },
        )
    }
}

/// Registers the architectures of the project in the folder `root` by their names. Returns a sentence for each unusable
/// one. Cheap: it reads one small file each; networks are read when they are used.
#[must_use]
pub fn open_own(root: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    for dir in folders(root) {
        let fault = match described(&dir) {
            Ok(description) => {
                register(description.backbone(dir.clone()));
                continue;
            }
            Err(reason) => reason,
        };
        problems.push(format!(
            "the architecture in “{}” cannot be used: {fault}; restore the folder from a copy, or delete it",
            dir.display()
        ));
    }
    problems
}

/// The architectures of the project in the folder `root`, by name.
#[must_use]
pub fn own_of(root: &Path) -> Vec<&'static Backbone> {
    let described = folders(root).into_iter().filter_map(|dir| {
        let description = described(&dir).ok()?;
        Some(register(description.backbone(dir)))
    });
    described.collect()
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = files::read_dir(root.join(FOLDER)) else {
        return Vec::new();
    };
    let entries = entries.flatten().map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = entries
        .filter(|path| files::is_dir(path))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            !name.starts_with('.')
        })
        .collect();
    folders.sort();
    folders
}

fn described(dir: &Path) -> Result<Description, String> {
    let path = dir.join(DESCRIPTION);
    let facts = files::metadata(&path)
        .map_err(|error| format!("{DESCRIPTION} cannot be read ({error})"))?;
    if facts.len() > MOST_BYTES {
        return Err(format!("{DESCRIPTION} is too large to be one"));
    }
    let bytes = files::read_document(&path)
        .map_err(|error| format!("{DESCRIPTION} cannot be read ({error})"))?;
    let description: Description = serde_json::from_slice(&bytes)
        .map_err(|error| format!("{DESCRIPTION} is damaged ({error})"))?;
    if let Some(fault) = description.fault() {
        return Err(fault.into());
    }
    if dir
        .file_name()
        .is_none_or(|name| name != description.name().as_str())
    {
        return Err("the name of its folder does not match its content".into());
    }
    Ok(description)
}

impl Candidate {
    /// Copies it into a project, atomically. An existing one with the same content is kept.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&self, project: &Project) -> Result<Architecture, BackboneError> {
        let description = Description {
            schema: SCHEMA,
            title: self.title.clone(),
            bytes: self.file_bytes(),
            blake3: blake3::hash(&self.bytes).to_hex().to_string(),
            input: self.input.clone(),
            bottleneck: self.output.clone(),
            bottleneck_dim: self.bottleneck_dim,
            mean: self.mean,
            std: self.std,
            default_resolution: self.default_resolution,
            resolutions: self.multiply_accumulates.clone(),
            parameters: self.parameters,
            licence: self.licence.clone().unwrap_or_else(|| "not stated".into()),
            from: self.from.clone(),
            notes: self.notes.clone(),
        };
        let all = project.root().join(FOLDER);
        let dir = all.join(description.name());
        let architecture = Architecture {
            backbone: description.name(),
            resolution_px: self.default_resolution,
        };
        if described(&dir).is_err() {
            files::make_dirs(project.root(), &all)?;
            let new = NewFolder::beside(&dir)?;
            let inside = |name: &str| new.temporary_path().join(name);
            let text = serde_json::to_vec_pretty(&description)
                .map_err(|error| BackboneError::Catalogue(error.to_string()))?;
            files::write(&inside(NETWORK), &self.bytes, Durability::Synced)?;
            files::write(&inside(DESCRIPTION), &text, Durability::Synced)?;
            new.commit()?;
        }
        register(description.backbone(dir));
        Ok(architecture)
    }
}

/// Moves an architecture of a project to its trash. The caller must check whether runs need it.
///
/// # Errors
/// If it is not one that was added to the project, or cannot be moved.
pub fn remove_own(project: &Project, backbone: &Backbone) -> Result<PathBuf, BackboneError> {
    let here = project.root().join(FOLDER);
    let Some(own) = backbone
        .own
        .as_ref()
        .filter(|own| own.dir.starts_with(&here))
    else {
        return Err(BackboneError::NotOwn {
            name: backbone.name.clone(),
        });
    };
    let trash = project.root().join("trash").join(FOLDER);
    files::make_dirs(project.root(), &trash)?;
    let names = std::iter::once(backbone.name.clone())
        .chain((2..1000).map(|number| format!("{}~{number}", backbone.name)));
    for name in names {
        let to = trash.join(name);
        if files::metadata(&to).is_err() {
            files::rename(&own.dir, &to).map_err(BackboneError::io("move", &own.dir))?;
            unregister(&backbone.name, &own.dir);
            return Ok(to);
        }
    }
    Err(BackboneError::io("move", &own.dir)(std::io::Error::from(
        std::io::ErrorKind::AlreadyExists,
    )))
}
