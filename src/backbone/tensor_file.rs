//! Writes safetensors files whose bytes depend only on their contents.

use std::collections::HashMap;

use safetensors::SafeTensorError;
use safetensors::tensor::View;

/// Named tensors and metadata as safetensors. The library writes the metadata in the order of a hash map, which
/// differs between processes; here the header is sorted by name.
pub(crate) fn tensor_file<V: View>(
    tensors: Vec<(&str, V)>,
    texts: HashMap<String, String>,
) -> Result<Vec<u8>, SafeTensorError> {
    let mut bytes = safetensors::serialize(tensors, Some(texts))?;
    sort_header(&mut bytes).ok_or(SafeTensorError::InvalidHeaderLength)?;
    Ok(bytes)
}

/// Sorts the names in the header: eight bytes of length, then JSON, padded with spaces.
fn sort_header(bytes: &mut [u8]) -> Option<()> {
    let length = u64::from_le_bytes(*bytes.first_chunk()?);
    let header = bytes
        .get_mut(8..)?
        .get_mut(..usize::try_from(length).ok()?)?;
    // Objects of this type are sorted by name; the length stays the same.
    let names: serde_json::Value = serde_json::from_slice(header).ok()?;
    let sorted = serde_json::to_vec(&names).ok()?;
    header.get_mut(..sorted.len())?.copy_from_slice(&sorted);
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use safetensors::SafeTensors;
    use safetensors::tensor::{Dtype, TensorView};

    use super::*;

    #[test]
    fn the_same_contents_are_the_same_bytes_and_are_read_back() {
        let names = ["w", "b", "ä\"", "long name"];
        let make = |data: &[u8]| {
            let tensors = names.map(|name| {
                let shape = vec![data.len() / 4];
                (name, TensorView::new(Dtype::F32, shape, data).unwrap())
            });
            let texts = names.map(|name| (name.to_owned(), format!("text of {name}")));
            tensor_file(tensors.to_vec(), HashMap::from(texts)).unwrap()
        };
        let first = make(&[7; 12]);
        // Each hash map has a random order.
        for _ in 0..20 {
            assert!(make(&[7; 12]) == first);
        }
        assert!(make(&[8; 12]) != first);
        let read = SafeTensors::deserialize(&first).unwrap();
        for name in names {
            assert_eq!(read.tensor(name).unwrap().data(), [7; 12]);
        }
        let (_, header) = SafeTensors::read_metadata(&first).unwrap();
        let texts = header.metadata().clone().unwrap();
        assert_eq!(texts["ä\""], "text of ä\"");
    }
}
