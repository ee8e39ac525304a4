//! `export.json`: hashes of the files of an export. They tell the next export into the same folder which files it may
//! replace: a file that was changed belongs to the user and is never replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::evaluate::Recipe;
use crate::files;

use super::archive::Contents;
use super::{ExportError, Format, readme};

/// The name of the manifest.
pub(super) const FILE: &str = "export.json";

/// The contents of a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The program that wrote the files: "Salamander 0.1.0".
    program: String,
    /// BLAKE3 of each file's bytes, 64 hexadecimal digits.
    pub blake3: BTreeMap<String, String>,
    /// Hashes of files that are being replaced and may still exist; empty once the export is complete.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replaces: BTreeMap<String, String>,
}

impl Manifest {
    pub fn new(blake3: BTreeMap<String, String>) -> Self {
        Self {
            program: format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION")),
            blake3,
            replaces: BTreeMap::new(),
        }
    }

    /// The contents of the file, with a checksum.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        files::json_with_checksum(self)
    }

    /// Reads the manifest of an export; `None` for any other file, and for one that was changed.
    fn of_text(text: &[u8]) -> Option<Self> {
        if !files::is_as_written(text) {
            return None;
        }
        let found: Self = serde_json::from_slice(text).ok()?;
        found.program.starts_with(PROGRAM).then_some(found)
    }

    /// Whether a file is listed with another hash.
    fn differs(&self, name: &str, bytes: &[u8]) -> bool {
        self.names(name) && !self.lists(name, &hash(bytes))
    }

    fn lists(&self, name: &str, hash: &str) -> bool {
        let is = |map: &BTreeMap<String, String>| map.get(name).is_some_and(|known| known == hash);
        is(&self.blake3) || is(&self.replaces)
    }

    fn names(&self, name: &str) -> bool {
        self.blake3.contains_key(name) || self.replaces.contains_key(name)
    }
}

const PROGRAM: &str = "Salamander";

/// The hash in the form of [`Manifest::blake3`].
pub(super) fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Files in a folder that an export may replace or remove, by name, with their hashes.
#[derive(Debug, Default)]
pub(super) struct Replaceable {
    /// Files that the export replaces.
    pub replaced: BTreeMap<String, String>,
    /// Files of an earlier export that this one does not have.
    pub stale: BTreeMap<String, String>,
}

impl Replaceable {
    /// All of them.
    pub fn all(&self) -> BTreeMap<String, String> {
        let both = self.replaced.iter().chain(&self.stale);
        both.map(|(name, hash)| (name.clone(), hash.clone()))
            .collect()
    }
}

/// Finds the files in the folder `out` that an export of `names` (files or folders) would replace. With `force`,
/// changed files of an earlier export are included.
///
/// # Errors
/// [`ExportError::NotOurs`] if some of them were not written by an export, or were changed since.
pub(super) fn replaceable<'a>(
    out: &Path,
    names: impl Iterator<Item = &'a str>,
    force: bool,
) -> Result<Replaceable, ExportError> {
    let mut found = BTreeMap::new();
    let mut linked = BTreeSet::new();
    for name in names {
        linked.extend(linked_folder(out, name));
        collect(out, name, &mut found)?;
    }
    if !linked.is_empty() {
        return Err(ExportError::NotOurs {
            folder: out.to_owned(),
            names: linked.into_iter().collect(),
        });
    }
    let file = out.join(FILE);
    let text = read(&file)?;
    let manifest = text.as_deref().and_then(Manifest::of_text);
    let ours = |name: &str, hash: &str| match &manifest {
        Some(manifest) => manifest.lists(name, hash) || (force && manifest.names(name)),
        None => false,
    };
    let mut foreign: Vec<String> = found
        .iter()
        .filter(|(name, hash)| !ours(name, hash))
        .map(|(name, _)| name.clone())
        .collect();
    if manifest.is_none() && text.is_some() {
        foreign.push(FILE.to_owned());
    } else if manifest.is_none() && !foreign.is_empty() && is_earlier_export(out)? {
        foreign.clear();
    }
    if foreign.is_empty() {
        let mut stale = BTreeMap::new();
        let known = manifest
            .iter()
            .flat_map(|manifest| [&manifest.blake3, &manifest.replaces]);
        for name in known.flat_map(BTreeMap::keys) {
            // A forged manifest must not lead out of the folder.
            let is_below = Path::new(name)
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            if found.contains_key(name) || !is_below {
                continue;
            }
            if let Some(bytes) = read(&out.join(name))? {
                let hash = hash(&bytes);
                if ours(name, &hash) {
                    stale.insert(name.clone(), hash);
                }
            }
        }
        return Ok(Replaceable {
            replaced: found,
            stale,
        });
    }
    Err(ExportError::NotOurs {
        folder: out.to_owned(),
        names: foreign,
    })
}

/// The names of the files in the manifest of an export, and a sentence for each that is missing or changed.
pub(super) fn check(export: &mut Contents) -> Result<(Vec<String>, Vec<String>), ExportError> {
    let text = export.read(FILE)?;
    check_written(export, text.as_deref())?;
    let Some(manifest) = text.as_deref().and_then(Manifest::of_text) else {
        return Err(ExportError::NoBundle {
            folder: export.place().to_owned(),
            reason: format!(
                "it has no {FILE} of an export; give the folder or ZIP file that `salamander export` wrote"
            ),
        });
    };
    let mut problems = Vec::new();
    for (name, known) in &manifest.blake3 {
        match export.read(name)? {
            None => problems.push(format!("“{name}” is missing")),
            Some(bytes) if hash(&bytes) != *known => {
                problems.push(format!("“{name}” is not the file that was exported"));
            }
            Some(_) => {}
        }
    }
    Ok((manifest.blake3.into_keys().collect(), problems))
}

/// Checks that the manifest is unchanged: otherwise a file could be missing from it and remain unchecked.
fn check_written(export: &Contents, text: Option<&[u8]>) -> Result<(), ExportError> {
    if text.is_none_or(files::is_as_written) {
        return Ok(());
    }
    Err(ExportError::NoBundle {
        folder: export.place().to_owned(),
        reason: format!("its {FILE} is damaged ({}); export again", files::ALTERED),
    })
}

/// Checks a file of an export against its manifest, which is in a parent folder. A file that no manifest lists is not
/// checked.
///
/// # Errors
/// The name of a file that was changed.
pub(super) fn check_file(file: &Path, bytes: &[u8]) -> Result<(), String> {
    let Some((folder, text)) = file.ancestors().skip(1).take(FOLDERS).find_map(|folder| {
        let text = files::read(folder.join(FILE)).ok()?;
        Some((folder, text))
    }) else {
        return Ok(());
    };
    let parts = file.strip_prefix(folder).into_iter().flatten();
    let parts: Vec<_> = parts.map(|part| part.to_string_lossy()).collect();
    let name = parts.join("/");
    if !files::is_as_written(&text) {
        return Err(FILE.to_owned());
    }
    match Manifest::of_text(&text) {
        Some(manifest) if manifest.differs(&name, bytes) => Err(name),
        _ => Ok(()),
    }
}

/// Reads a file of an export; `None` if it does not exist.
///
/// # Errors
/// [`ExportError::NoBundle`] if the file was changed.
pub(super) fn read_checked(
    export: &mut Contents,
    name: &str,
) -> Result<Option<Vec<u8>>, ExportError> {
    let text = export.read(FILE)?;
    check_written(export, text.as_deref())?;
    let manifest = text.as_deref().and_then(Manifest::of_text);
    let found = export.read(name)?;
    if let (Some(manifest), Some(bytes)) = (manifest, &found)
        && manifest.differs(name, bytes)
    {
        return Err(ExportError::NoBundle {
            folder: export.place().to_owned(),
            reason: format!("“{name}” is not the file that was exported; export again"),
        });
    }
    Ok(found)
}

/// How many parent folders of a file are searched for the manifest: a model may be a folder of folders.
const FOLDERS: usize = 5;

/// The licence in exports of versions without a manifest, the same for all backbones of that time.
const EARLIER_LICENCE: &str = include_str!("../../models/LICENSE");

/// Whether the folder is an export of a version without a manifest: all five files exist and belong together.
fn is_earlier_export(out: &Path) -> Result<bool, ExportError> {
    let text = |name: &str| -> Result<String, ExportError> {
        let bytes = read(&out.join(name))?.unwrap_or_default();
        Ok(String::from_utf8(bytes).unwrap_or_default())
    };
    let description = text("README.txt")?;
    if !description.starts_with(readme::FIRST_WORDS)
        || !description.ends_with(readme::LAST_WORDS)
        || text("LICENSE.txt")? != EARLIER_LICENCE
    {
        return Ok(false);
    }
    let Ok(recipe) = serde_json::from_str::<Recipe>(&text("preprocess.json")?) else {
        return Ok(false);
    };
    let mut labels = recipe.labels.join("\n");
    labels.push('\n');
    let Ok(recipe) = serde_json::to_string(&recipe) else {
        return Ok(false);
    };
    let model = read(&out.join(Format::ONNX.file()))?;
    // The model contains the recipe, too. It is removed first when an export is replaced, so it may be missing.
    let belongs = model.is_none_or(|model| contains(&model, recipe.as_bytes()));
    Ok(belongs && text("labels.txt")? == labels)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first() else {
        return true;
    };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = rest.get(at..).unwrap_or_default();
        if rest.starts_with(part) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

/// A folder between `out` and its file `name` that is a link: its contents are not part of an export.
fn linked_folder(out: &Path, name: &str) -> Option<String> {
    let mut dirs = Path::new(name).ancestors().skip(1);
    let linked = dirs.find(|dir| !dir.as_os_str().is_empty() && out.join(dir).is_symlink())?;
    Some(linked.display().to_string())
}

/// Adds the file `name`, or all files of that folder, with their hashes.
fn collect(
    out: &Path,
    name: &str,
    found: &mut BTreeMap<String, String>,
) -> Result<(), ExportError> {
    let path = out.join(name);
    if !files::is_dir(&path) {
        if let Some(bytes) = read(&path)? {
            found.insert(name.to_owned(), hash(&bytes));
        } else if path.is_symlink() {
            // A link whose target is unavailable, such as a disconnected disk: it still belongs to the user.
            found.insert(name.to_owned(), String::new());
        }
        return Ok(());
    }
    let entries = files::read_dir(&path).map_err(ExportError::io("read", &path))?;
    for entry in entries {
        let entry = entry.map_err(ExportError::io("read", &path))?;
        let inside = entry.file_name().to_string_lossy().into_owned();
        if !files::is_temporary(&inside) {
            collect(out, &format!("{name}/{inside}"), found)?;
        }
    }
    Ok(())
}

/// The contents of a file; `None` if it does not exist.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, ExportError> {
    match files::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ExportError::io("read", path)(error)),
    }
}
