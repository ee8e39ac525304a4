//! `export.json`: the hashes of the files that an export wrote, so that the next export into the same folder knows its
//! own files from the user's. What differs from what was written belongs to the user and is never replaced.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::evaluate::Recipe;

use super::{ExportError, MODEL, readme};

/// Its name.
pub(super) const FILE: &str = "export.json";

/// What it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Who wrote the files: "Salamander 0.1.0".
    program: String,
    /// BLAKE3 of each file's bytes, 64 hexadecimal digits.
    pub blake3: BTreeMap<String, String>,
    /// The same of files that are being replaced and may still be there; empty once the export is complete.
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

    /// As it stands in the file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }

    fn lists(&self, name: &str, hash: &str) -> bool {
        let is = |map: &BTreeMap<String, String>| map.get(name).is_some_and(|known| known == hash);
        is(&self.blake3) || is(&self.replaces)
    }
}

const PROGRAM: &str = "Salamander";

/// As [`Manifest::blake3`] has it.
pub(super) fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Looks at the files in the folder `out` that an export would replace. Returns the hash of each.
///
/// # Errors
/// [`ExportError::NotOurs`] when some of them were not written by an export, or were changed since.
pub(super) fn replaceable(
    out: &Path,
    names: &[&str],
) -> Result<BTreeMap<String, String>, ExportError> {
    let mut found = BTreeMap::new();
    for name in names {
        if let Some(bytes) = read(&out.join(name))? {
            found.insert((*name).to_owned(), hash(&bytes));
        }
    }
    let file = out.join(FILE);
    let text = read(&file)?;
    let manifest = text
        .as_deref()
        .and_then(|text| serde_json::from_slice::<Manifest>(text).ok())
        .filter(|manifest| manifest.program.starts_with(PROGRAM));
    let ours = |name: &str, hash: &str| match &manifest {
        Some(manifest) => manifest.lists(name, hash),
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
        return Ok(found);
    }
    Err(ExportError::NotOurs {
        folder: out.to_owned(),
        names: foreign,
    })
}

/// The licence in the exports of versions that wrote no manifest: all backbones had the same one then.
const EARLIER_LICENCE: &str = include_str!("../../models/LICENSE");

/// Whether the folder is an export by a version that wrote no manifest: all five files are there and belong together.
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
    let model = read(&out.join(MODEL))?;
    // The model carries the recipe too. It goes first when an export is replaced, so it may be missing.
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

/// `None` when there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, ExportError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ExportError::io("read", path)(error)),
    }
}
