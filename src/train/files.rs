//! The files of a run: written whole or not at all, read back with errors that name them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::{self, Durability};
use crate::onnx::{OnnxError, Tensor};

use super::TrainError;

/// Writes a file so that it survives a power cut.
pub(super) fn write(path: &Path, contents: &[u8]) -> Result<(), TrainError> {
    Ok(files::write(path, contents, Durability::Synced)?)
}

/// Writes a value as JSON.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), TrainError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(damaged(path))?;
    text.push(b'\n');
    write(path, &text)
}

/// Reads a value from JSON.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, TrainError> {
    let text = files::read(path).map_err(TrainError::io("read", path))?;
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

/// Reads one value a line.
pub(super) fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, TrainError> {
    let text = files::read_to_string(path).map_err(TrainError::io("read", path))?;
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(damaged(path)))
        .collect()
}

/// Reads one value a line up to the first line that cannot be read: the last line of a file that was being
/// added to when the program was killed may be cut.
pub(super) fn read_whole_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, TrainError> {
    let text = match files::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(TrainError::io("read", path))?,
    };
    Ok(text
        .split(|byte| *byte == b'\n')
        .map_while(|line| serde_json::from_slice(line).ok())
        .collect())
}

/// Writes named `f32` tensors and texts as safetensors.
pub(super) fn write_tensors(
    path: &Path,
    tensors: Vec<(&str, Values<'_>)>,
    texts: HashMap<String, String>,
) -> Result<(), TrainError> {
    let bytes = safetensors::serialize(tensors, Some(texts)).map_err(damaged(path))?;
    write(path, &bytes)
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
    let (_, metadata) = SafeTensors::read_metadata(&contents).map_err(damaged(path))?;
    let texts = metadata.metadata().clone().unwrap_or_default();
    let file = SafeTensors::deserialize(&contents).map_err(damaged(path))?;
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
