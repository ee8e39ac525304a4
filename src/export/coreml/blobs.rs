//! The file `weight.bin`: a header, and for each tensor a record followed by its data, all aligned to 64 bytes,
//! little-endian.
//!
//! | at | in the header | in a record |
//! | --- | --- | --- |
//! | 0 | u32 number of blobs | u32 `0xDEADBEEF` |
//! | 4 | u32 version, 2 | u32 type: 1 for 16-bit, 2 for 32-bit floats |
//! | 8 | | u64 bytes of data |
//! | 16 | | u64 where the data begins in the file |

use half::f16;

use crate::onnx::Element;

const ALIGNMENT: usize = 64;
const VERSION: u32 = 2;
const SENTINEL: u32 = 0xDEAD_BEEF;
const HALVES: u32 = 1;
const FLOATS: u32 = 2;

/// A file under construction.
pub(super) struct Blobs {
    count: u32,
    bytes: Vec<u8>,
}

impl Blobs {
    pub fn new() -> Self {
        Self {
            count: 0,
            bytes: vec![0; ALIGNMENT],
        }
    }

    /// Adds floats, and returns the offset of their record; `None` for other element types.
    pub fn add(&mut self, data: &Element) -> Option<u64> {
        let (kind, data): (u32, Vec<u8>) = match data {
            Element::F16(values) => (
                HALVES,
                values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ),
            Element::F32(values) => (
                FLOATS,
                values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ),
            _ => return None,
        };
        let at = self.bytes.len();
        let start = at + ALIGNMENT;
        self.bytes.extend(SENTINEL.to_le_bytes());
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((data.len() as u64).to_le_bytes());
        self.bytes.extend((start as u64).to_le_bytes());
        self.bytes.resize(start, 0);
        self.bytes.extend(data);
        let end = self.bytes.len().next_multiple_of(ALIGNMENT);
        self.bytes.resize(end, 0);
        self.count += 1;
        Some(at as u64)
    }

    /// The whole file.
    pub fn finish(mut self) -> Vec<u8> {
        let header = [self.count, VERSION];
        let places = self.bytes.as_chunks_mut::<4>().0.iter_mut();
        for (place, number) in places.zip(header) {
            *place = number.to_le_bytes();
        }
        self.bytes
    }
}

/// The floats whose record is at that offset of a file. The error is the end of a sentence.
pub(super) fn find(file: &[u8], offset: u64) -> Result<Element, String> {
    if number(file, 4) != Some(VERSION) {
        return Err("its weights file has another version".into());
    }
    let missing = || format!("its weights at {offset} are missing or damaged");
    let at = usize::try_from(offset).map_err(|_| missing())?;
    let record = file
        .get(at..)
        .and_then(|rest| rest.get(..24))
        .ok_or_else(missing)?;
    let long = |at: usize| -> Option<usize> {
        let bytes = record.get(at..at + 8)?.first_chunk::<8>()?;
        usize::try_from(u64::from_le_bytes(*bytes)).ok()
    };
    let (Some(len), Some(start)) = (long(8), long(16)) else {
        return Err(missing());
    };
    if number(record, 0) != Some(SENTINEL) || start % ALIGNMENT != 0 {
        return Err(missing());
    }
    let end = start.checked_add(len).ok_or_else(missing)?;
    let data = file.get(start..end).ok_or_else(missing)?;
    match number(record, 4) {
        Some(HALVES) => {
            let (chunks, _) = data.as_chunks::<2>();
            let values: Vec<f16> = chunks
                .iter()
                .map(|bytes| f16::from_le_bytes(*bytes))
                .collect();
            Ok(values.into())
        }
        Some(FLOATS) => {
            let (chunks, _) = data.as_chunks::<4>();
            let values: Vec<f32> = chunks
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect();
            Ok(values.into())
        }
        _ => Err(format!("its weights at {offset} have an unknown type")),
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}
