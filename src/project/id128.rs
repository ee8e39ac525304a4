//! Identities of 128 bits, written as 32 lower-case hexadecimal digits.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The first 128 bits of a BLAKE3 hash, or of random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Id128(u128);

impl Id128 {
    /// The identity from a hasher's result.
    pub(crate) fn of_hasher(hasher: &blake3::Hasher) -> Self {
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        Self(u128::from_be_bytes(bytes))
    }

    /// The identity from a complete hash.
    pub(crate) fn of_hash(hash: &[u8; 32]) -> Self {
        let (bytes, _) = hash.as_chunks::<16>();
        Self(u128::from_be_bytes(*bytes.first().unwrap_or(&[0; 16])))
    }
}

impl fmt::Display for Id128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<Id128> for String {
    fn from(id: Id128) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for Id128 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u128::from_str_radix(&text, 16) {
            Ok(id) if digits => Ok(Self(id)),
            _ => Err(format!("“{text}” is not an id of 32 hexadecimal digits")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failing unwrap is a failing test
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nothing_else() {
        let hash = blake3::hash(b"x");
        let id = Id128::of_hash(hash.as_bytes());
        assert_eq!(id, Id128::of_hasher(blake3::Hasher::new().update(b"x")));
        assert_eq!(id.to_string(), hash.to_hex()[..32]);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<Id128>(&json).unwrap(), id);
        for bad in ["\"\"", "\"12\"", "\"+1234567890123456789012345678901\""] {
            assert!(serde_json::from_str::<Id128>(bad).is_err(), "{bad}");
        }
    }
}
