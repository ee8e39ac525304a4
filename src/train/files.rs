//! The files of a run: written whole or not at all, with a checksum where they can hold one, read back with errors that
//! name them.

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

/// Writes a file so that it survives a power cut.
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
/// [`TrainError::Damaged`] for one with a wrong checksum. One without, of an earlier version, is not checked.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, TrainError> {
    let text = files::read_document(path).map_err(TrainError::io("read", path))?;
    if !files::is_as_written(&text) {
        return Err(damaged(path)(ALTERED));
    }
    serde_json::from_slice(&text).map_err(damaged(path))
}

/// Values as one line of JSON each.
pub(super) fn to_lines<T: Serialize>(path: &Path, values: &[T]) -> Result<Vec<u8>, TrainError> {
    let mut text = Vec::new();
    for value in values {
        serde_json::to_writer(&mut text, value).map_err(damaged(path))?;
        text.push(b'\n');
    }
    Ok(text)
}

/// The values of a text of one a line.
///
/// # Errors
/// [`TrainError::Damaged`] for a text that is empty, ends within a line, or holds a line that cannot be read.
pub(super) fn lines<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<Vec<T>, TrainError> {
    let Some(text) = text.strip_suffix(b"\n") else {
        let reason = if text.is_empty() {
            "it is empty"
        } else {
            "it ends in the middle of a line"
        };
        return Err(damaged(path)(reason));
    };
    text.split(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).map_err(damaged(path)))
        .collect()
}

/// The values of a text of one a line, up to the first line that cannot be read: the last line of a file that was being
/// added to when the program was killed may be cut.
pub(super) fn whole_lines<T: DeserializeOwned>(text: &[u8]) -> Vec<T> {
    text.split(|byte| *byte == b'\n')
        .map_while(|line| serde_json::from_slice(line).ok())
        .collect()
}

/// Reads a file; nothing where there is none.
pub(super) fn read_if_there(path: &Path) -> Result<Vec<u8>, TrainError> {
    match files::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(TrainError::io("read", path)),
    }
}

/// The text of a file of tensors that holds its [checksum](contents_hash).
const TENSORS_CHECKSUM: &str = "blake3";

/// Writes named `f32` tensors and texts as safetensors, with a checksum among the texts. Returns what it wrote.
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

/// The BLAKE3 hash, hexadecimal, of tensors by name and of texts. Lengths stand before what they count, so that no two lists
/// of them are the same bytes.
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

/// A tensor that is somewhere else.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub shape: &'a [usize],
    pub values: &'a [f32],
}

impl<'a> Values<'a> {
    /// Those of a tensor of `f32`.
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

/// Named tensors and texts.
pub(super) type Contents = (HashMap<String, Tensor>, HashMap<String, String>);

/// Reads what [`write_tensors`] wrote.
pub(super) fn read_tensors(path: &Path) -> Result<Contents, TrainError> {
    let contents = files::read(path).map_err(TrainError::io("read", path))?;
    tensors(path, &contents)
}

/// The tensors and texts in what was read from a file.
///
/// # Errors
/// [`TrainError::Damaged`] for a file with a wrong checksum. One without, of an earlier version, is not checked.
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

/// For `map_err`: a file that cannot be understood, and why.
pub(super) fn damaged<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> TrainError {
    let path = path.to_owned();
    move |reason| TrainError::Damaged {
        path: path.clone(),
        reason: reason.to_string(),
    }
}
