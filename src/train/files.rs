//! Reads and writes the files of a run: written atomically, with a checksum if the format allows one, and read with
//! errors that name them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backbone::tensor_file;
use crate::files::{self, Durability};
use crate::onnx::{OnnxError, Tensor};

use super::TrainError;

pub(super) use crate::files::ALTERED;

/// Writes a file so that it survives a power failure.
pub(super) fn write(path: &Path, contents: &[u8]) -> Result<(), TrainError> {
    Ok(files::write(path, contents, Durability::Synced)?)
}

/// The BLAKE3 hash of bytes, 64 lower-case hexadecimal digits.
pub(super) fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Writes an object as [JSON with a checksum](files::json_with_checksum).
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), TrainError> {
    write(
        path,
        &files::json_with_checksum(value).map_err(damaged(path))?,
    )
}

/// Reads an object from JSON.
///
/// # Errors
/// [`TrainError::Damaged`] for a file with a wrong checksum. Files without one, of earlier versions, are not checked.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, TrainError> {
    let text = files::read_document(path).map_err(TrainError::io("read", path))?;
    if !files::is_as_written(&text) {
        return Err(damaged(path)(ALTERED));
    }
    serde_json::from_slice(&text).map_err(damaged(path))
}

/// Values as JSON lines.
pub(super) fn to_lines<T: Serialize>(path: &Path, values: &[T]) -> Result<Vec<u8>, TrainError> {
    let mut text = Vec::new();
    for value in values {
        serde_json::to_writer(&mut text, value).map_err(damaged(path))?;
        text.push(b'\n');
    }
    Ok(text)
}

/// The values in JSON lines.
///
/// # Errors
/// [`TrainError::Damaged`] for a text that is empty, ends within a line, or has an invalid line.
pub(super) fn lines<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<Vec<T>, TrainError> {
    let Some(text) = text.strip_suffix(b"\n") else {
        let reason = if text.is_empty() {
            "it is empty"
        } else {
            "its last line is incomplete"
        };
        return Err(damaged(path)(reason));
    };
    text.split(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).map_err(damaged(path)))
        .collect()
}

/// The values in JSON lines, up to the first invalid line: if the program was killed while writing, the last line may
/// be incomplete.
pub(super) fn whole_lines<T: DeserializeOwned>(text: &[u8]) -> Vec<T> {
    text.split(|byte| *byte == b'\n')
        .map_while(|line| serde_json::from_slice(line).ok())
        .collect()
}

/// The contents of a file; empty if it does not exist.
pub(super) fn read_if_there(path: &Path) -> Result<Vec<u8>, TrainError> {
    match files::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(TrainError::io("read", path)),
    }
}

/// The metadata key of a tensor file's [checksum](contents_hash).
const TENSORS_CHECKSUM: &str = "blake3";

/// Writes named `f32` tensors and metadata as safetensors, with a checksum in the metadata. Returns the bytes.
pub(super) fn write_tensors(
    path: &Path,
    tensors: Vec<(&str, Values<'_>)>,
    mut texts: HashMap<String, String>,
) -> Result<Vec<u8>, TrainError> {
    let checksum = contents_hash(tensors.iter().copied(), &texts);
    texts.insert(TENSORS_CHECKSUM.to_owned(), checksum);
    let bytes = tensor_file(tensors, texts).map_err(damaged(path))?;
    write(path, &bytes)?;
    Ok(bytes)
}

/// The BLAKE3 hash, hexadecimal, of named tensors and metadata. Lengths precede the data, so that different contents
/// never give the same bytes.
fn contents_hash<'a>(
    tensors: impl Iterator<Item = (&'a str, Values<'a>)>,
    texts: &HashMap<String, String>,
) -> String {
    let tensors: BTreeMap<&str, Values<'_>> = tensors.collect();
    let texts: BTreeMap<&String, &String> = texts.iter().collect();
    let mut hasher = blake3::Hasher::new();
    let count = |hasher: &mut blake3::Hasher, number: usize| {
        hasher.update(&(number as u64).to_le_bytes());
    };
    for (name, tensor) in tensors {
        count(&mut hasher, name.len());
        hasher.update(name.as_bytes());
        count(&mut hasher, tensor.shape.len());
        for length in tensor.shape {
            count(&mut hasher, *length);
        }
        hasher.update(&tensor.data());
    }
    for text in texts.into_iter().flat_map(|(name, text)| [name, text]) {
        count(&mut hasher, text.len());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// A borrowed tensor.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub shape: &'a [usize],
    pub values: &'a [f32],
}

impl<'a> Values<'a> {
    /// The values of an `f32` tensor.
    pub fn of(tensor: &'a Tensor) -> Result<Self, OnnxError> {
        Ok(Self {
            shape: &tensor.shape,
            values: tensor.f32()?,
        })
    }
}

impl View for Values<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        if cfg!(target_endian = "little") {
            return Cow::Borrowed(bytemuck::cast_slice(self.values));
        }
        let bytes = self.values.iter().flat_map(|value| value.to_le_bytes());
        Cow::Owned(bytes.collect())
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

/// Named tensors and metadata.
pub(super) type Contents = (HashMap<String, Tensor>, HashMap<String, String>);

/// Reads a file written by [`write_tensors`].
pub(super) fn read_tensors(path: &Path) -> Result<Contents, TrainError> {
    let contents = files::read(path).map_err(TrainError::io("read", path))?;
    tensors(path, &contents)
}

/// The tensors and metadata in the contents of a file.
///
/// # Errors
/// [`TrainError::Damaged`] for a file with a wrong checksum. Files without one, of earlier versions, are not checked.
pub(super) fn tensors(path: &Path, contents: &[u8]) -> Result<Contents, TrainError> {
    let (_, metadata) = SafeTensors::read_metadata(contents).map_err(damaged(path))?;
    let mut texts = metadata.metadata().clone().unwrap_or_default();
    let file = SafeTensors::deserialize(contents).map_err(damaged(path))?;
    let mut tensors = HashMap::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(damaged(path)(format!("“{name}” has the wrong type")));
        }
        let (values, _) = view.data().as_chunks();
        let values: Vec<f32> = values
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        tensors.insert(name.to_owned(), Tensor::new(view.shape(), values));
    }
    if let Some(checksum) = texts.remove(TENSORS_CHECKSUM) {
        let mut named = Vec::new();
        for (name, tensor) in &tensors {
            named.push((name.as_str(), Values::of(tensor)?));
        }
        if contents_hash(named.into_iter(), &texts) != checksum {
            return Err(damaged(path)(ALTERED));
        }
    }
    Ok((tensors, texts))
}

/// For `map_err`: an invalid file, with the reason.
pub(super) fn damaged<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> TrainError {
    let path = path.to_owned();
    move |reason| TrainError::Damaged {
        path: path.clone(),
        reason: reason.to_string(),
    }
}
