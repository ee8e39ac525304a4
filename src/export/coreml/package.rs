//! `Manifest.json` and the layout of a package.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::ser::{PrettyFormatter, Serializer};

use crate::export::ModelFile;

/// The folder of everything but the manifest.
const DATA: &str = "Data";
const MANIFEST: &str = "Manifest.json";
const MODEL: &str = "com.apple.CoreML/model.mlmodel";
const WEIGHTS: &str = "com.apple.CoreML/weights";
const WEIGHT_FILE: &str = "weight.bin";
/// The files, relative to the package's folder.
pub(super) const FILES: [&str; 3] = [
    MANIFEST,
    "Data/com.apple.CoreML/model.mlmodel",
    "Data/com.apple.CoreML/weights/weight.bin",
];
const VERSION: &str = "1.0.0";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    file_format_version: String,
    item_info_entries: BTreeMap<String, Item>,
    root_model_identifier: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Item {
    author: String,
    description: String,
    name: String,
    path: String,
}

/// The contents of a package.
#[derive(Debug, Clone, Copy)]
pub(super) struct Package<'a> {
    /// The protobuf message.
    pub model: &'a [u8],
    /// The file of weights.
    pub weights: &'a [u8],
}

/// The files of a package in the folder `name`. The identifiers, which the format expects to be random, are derived
/// from the contents, so that equal models give equal bytes.
pub(super) fn files(name: &str, model: Vec<u8>, weights: Vec<u8>) -> Vec<ModelFile> {
    let item = |description: &str, name: &str, path: &str| Item {
        author: "com.apple.CoreML".into(),
        description: description.into(),
        name: name.into(),
        path: path.into(),
    };
    let root = identifier(&model);
    let entries = [
        (
            root.clone(),
            item("CoreML Model Specification", "model.mlmodel", MODEL),
        ),
        (
            identifier(&weights),
            item("CoreML Model Weights", "weights", WEIGHTS),
        ),
    ];
    let manifest = Manifest {
        file_format_version: VERSION.into(),
        item_info_entries: entries.into_iter().collect(),
        root_model_identifier: root,
    };
    // Formatted exactly as Apple's library does whenever it opens a package, so that opening does not change it.
    let mut json = Vec::new();
    let indented = PrettyFormatter::with_indent(b"    ");
    let written = manifest.serialize(&mut Serializer::with_formatter(&mut json, indented));
    // Writing strings to memory cannot fail.
    debug_assert!(written.is_ok());
    json.push(b'\n');
    let file = |below: &str, bytes| ModelFile {
        name: format!("{name}/{below}"),
        bytes,
    };
    vec![
        file(&format!("{DATA}/{MODEL}"), model),
        file(&format!("{DATA}/{WEIGHTS}/{WEIGHT_FILE}"), weights),
        // Written last: without it the folder is no package.
        file(MANIFEST, json),
    ]
}

/// Finds model and weights among the files of a package by its manifest. The error is the end of a sentence.
pub(super) fn open(files: &[ModelFile]) -> Result<Package<'_>, String> {
    let find = |below: &str| {
        let below: Vec<&str> = below.split('/').collect();
        let mut all = files.iter();
        all.find(|file| {
            let name = file.name.replace('\\', "/");
            let mut parts = name.rsplit('/');
            below.iter().rev().all(|part| parts.next() == Some(part))
        })
    };
    let manifest = find(MANIFEST).ok_or("its Manifest.json is missing")?;
    let manifest: Manifest = serde_json::from_slice(&manifest.bytes)
        .map_err(|error| format!("its Manifest.json cannot be read ({error})"))?;
    let root = manifest
        .item_info_entries
        .get(&manifest.root_model_identifier)
        .ok_or("its Manifest.json lists no model")?;
    let model = find(&format!("{DATA}/{}", root.path)).ok_or("its model is missing")?;
    let items = manifest.item_info_entries.values();
    let mut weights = items.filter(|item| item.name == "weights");
    let weights = match weights.next() {
        Some(item) => {
            let path = format!("{DATA}/{}/{WEIGHT_FILE}", item.path);
            &find(&path).ok_or("its weights are missing")?.bytes[..]
        }
        None => &[],
    };
    Ok(Package {
        model: &model.bytes,
        weights,
    })
}

/// A UUID of version 8, whose bits applications can choose.
fn identifier(contents: &[u8]) -> String {
    let mut bytes = [0_u8; 16];
    let hash = blake3::hash(contents);
    for (byte, of_hash) in bytes.iter_mut().zip(hash.as_bytes()) {
        *byte = *of_hash;
    }
    let number = u128::from_be_bytes(bytes);
    let version = 0x8_u128 << 76;
    let variant = 0x8_u128 << 60;
    let number = number & !(0xF_u128 << 76) & !(0xC_u128 << 60) | version | variant;
    let hex = format!("{number:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    let parts = parts.map(|range| hex.get(range).unwrap_or_default());
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_uuids_of_the_contents() {
        let (a, b) = (identifier(b"a"), identifier(b"b"));
        assert_ne!(a, b);
        assert_eq!(a, identifier(b"a"));
        let lens: Vec<usize> = a.split('-').map(str::len).collect();
        assert_eq!(lens, [8, 4, 4, 4, 12]);
        assert!(a.get(14..15) == Some("8") && "89ab".contains(a.get(19..20).unwrap_or("x")));
    }
}
