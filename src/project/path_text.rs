//! For serde: a path as text. A path that is not valid Unicode is a NUL, which no path contains, followed by its bytes
//! in hexadecimal digits.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serializer};

pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    match path.to_str() {
        Some(text) => to.serialize_str(text),
        None => to.serialize_str(&encoded(path)),
    }
}

pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    let text = String::deserialize(from)?;
    Ok(text
        .strip_prefix('\0')
        .and_then(decoded)
        .unwrap_or_else(|| text.into()))
}

#[cfg(unix)]
fn encoded(path: &Path) -> String {
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;
    let mut text = String::from('\0');
    for byte in path.as_os_str().as_bytes() {
        if write!(text, "{byte:02x}").is_err() {
            log::error!("text could not be written to memory");
        }
    }
    text
}

#[cfg(not(unix))]
fn encoded(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(unix)]
fn decoded(digits: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let pairs = digits.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    Some(OsString::from_vec(bytes?).into())
}

#[cfg(not(unix))]
fn decoded(_digits: &str) -> Option<PathBuf> {
    None
}
