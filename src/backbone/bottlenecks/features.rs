//! Exports bottlenecks as a safetensors file, for use outside Salamander.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use crate::files::{self, Durability};

use crate::backbone::tensor_file::tensor_file;
use crate::backbone::{Architecture, BackboneError, BottleneckTable};

/// Writes `features` f32`[N, D]` with the metadata `paths` (a JSON list of N strings, in the order of the rows) and
/// `architecture`. Rows of failed frames are left out; returns N. `names` are the names to write for the frames, as
/// many as the table has rows. Written atomically.
pub fn write_features(
    out: &Path,
    table: &BottleneckTable,
    names: &[String],
    architecture: &Architecture,
) -> Result<usize, BackboneError> {
    let mut data = Vec::with_capacity(table.values.len() * 4);
    let mut paths = Vec::with_capacity(names.len());
    let mut failed = table.failed.iter().map(|(index, _)| *index).peekable();
    for (index, name) in names.iter().enumerate() {
        if failed.next_if_eq(&index).is_some() {
            continue;
        }
        let Some(row) = table.row(index) else { break };
        data.extend(row.iter().flat_map(|value| value.to_le_bytes()));
        paths.push(name.as_str());
    }
    let io = |error| BackboneError::io("write", out)(error);
    let other = |error: String| io(std::io::Error::other(error));
    let shape = vec![paths.len(), table.dim];
    let features =
        TensorView::new(Dtype::F32, shape, &data).map_err(|error| other(error.to_string()))?;
    let metadata = HashMap::from([
        (
            "paths".to_owned(),
            serde_json::to_string(&paths).map_err(|error| other(error.to_string()))?,
        ),
        ("architecture".to_owned(), architecture.to_string()),
    ]);
    let bytes = tensor_file(vec![("features", features)], metadata)
        .map_err(|error| other(error.to_string()))?;
    drop(data);
    files::write(out, &bytes, Durability::Synced)?;
    Ok(paths.len())
}
