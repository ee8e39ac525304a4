//! JSON documents with a checksum: their last field, `checksum`, is the BLAKE3 hash of all bytes before that field, as
//! 64 lower-case hexadecimal digits.

use serde::Serialize;

/// The text before and after the checksum.
const CHECKSUM: [&str; 2] = [",\n  \"checksum\": \"", "\"\n}\n"];

/// The reason for refusing a file with a wrong checksum.
pub const ALTERED: &str = "its checksum does not match";

/// Serialises an object as JSON with its checksum.
///
/// # Errors
/// If it cannot be serialised.
pub fn json_with_checksum(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = serde_json::to_vec_pretty(value)?;
    if text.ends_with(b"\n}") {
        text.truncate(text.len() - 2);
        let [before, after] = CHECKSUM;
        let checksum = blake3::hash(&text).to_hex();
        text.extend([before, &checksum, after].concat().into_bytes());
    }
    Ok(text)
}

/// Whether a document is unchanged since [`json_with_checksum`] wrote it. Documents without a checksum, of earlier
/// versions, are accepted.
#[must_use]
pub fn is_as_written(text: &[u8]) -> bool {
    if let Some((object, checksum)) = split(text) {
        return blake3::hash(object).to_hex().as_bytes() == checksum;
    }
    // A document rewritten by another program still contains the field.
    let value = serde_json::from_slice::<serde_json::Value>(text);
    !value.is_ok_and(|value| value.get("checksum").is_some())
}

/// The bytes that the checksum covers, and the checksum.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let [before, after] = CHECKSUM;
    let text = text.strip_suffix(after.as_bytes())?;
    let digits = text.len().checked_sub(2 * blake3::OUT_LEN)?;
    let (object, checksum) = text.split_at_checked(digits)?;
    Some((object.strip_suffix(before.as_bytes())?, checksum))
}
