//! Classes: the labels, each a folder on disk, with their identities and valid names.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::ProjectError;
use super::id128::Id128;

/// Longest name in bytes of UTF-8: the limit of ext4, APFS and NTFS for a folder.
const MAX_BYTES: usize = 255;

/// The folder of frames without a label, which is not a class.
pub(super) const UNSORTED: &str = "unsorted";

/// The name of a class, exactly as typed, that is a valid folder name on Linux, macOS and Windows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClassName(String);

impl ClassName {
    /// Checks that the name is valid for a folder on every system. Any script and case is allowed.
    pub fn new(name: &str) -> Result<Self, ProjectError> {
        match fault(name) {
            None => Ok(Self(name.to_owned())),
            Some(reason) => Err(ProjectError::BadClassName {
                name: name.to_owned(),
                reason,
            }),
        }
    }

    /// Whether a folder of this name is for frames without a class.
    #[must_use]
    pub fn is_unsorted(name: &str) -> bool {
        clash_key(name) == UNSORTED
    }

    /// The name as typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Equal for two names that some file system treats as the same.
    #[must_use]
    pub(super) fn clash_key(&self) -> String {
        clash_key(&self.0)
    }
}

impl TryFrom<String> for ClassName {
    type Error = ProjectError;

    fn try_from(name: String) -> Result<Self, ProjectError> {
        Self::new(&name)
    }
}

impl From<ClassName> for String {
    fn from(name: ClassName) -> Self {
        name.0
    }
}

impl AsRef<str> for ClassName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identity of a class, which a new name does not change. Written as 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClassId(Id128);

impl ClassId {
    /// The identity of a class that was recorded only by its name: the first 128 bits of the BLAKE3 hash of
    /// `"class\0"` and the name. Projects and runs from before classes had identities thus agree on it.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"class\0").update(name.as_bytes());
        Self(Id128::of_hasher(&hasher))
    }

    /// A random identity: for a class whose name once belonged to another one.
    pub(super) fn random() -> Self {
        // The standard library seeds each of these from the system's random numbers.
        let random = || RandomState::new().build_hasher().finish().to_le_bytes();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&random()).update(&random());
        hasher.update(jiff::Timestamp::now().to_string().as_bytes());
        hasher.update(&std::process::id().to_le_bytes());
        Self(Id128::of_hasher(&hasher))
    }
}

impl fmt::Display for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A class of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ClassEntry")]
pub struct Class {
    /// Its identity, which a new name does not change.
    pub id: ClassId,
    /// Its name and folder.
    pub name: ClassName,
    /// Index in the palette of class colours, which never changes.
    pub color: usize,
}

/// A class in `project.json`, where earlier versions wrote no identity.
#[derive(Deserialize)]
struct ClassEntry {
    id: Option<ClassId>,
    name: ClassName,
    color: usize,
}

impl From<ClassEntry> for Class {
    fn from(entry: ClassEntry) -> Self {
        Self {
            id: entry
                .id
                .unwrap_or_else(|| ClassId::of_name(entry.name.as_str())),
            name: entry.name,
            color: entry.color,
        }
    }
}

/// The fault of a name, as the end of the sentence "… cannot be the name of a class: …".
fn fault(name: &str) -> Option<String> {
    if name.trim().is_empty() {
        return Some("it is empty".into());
    }
    if let Some(bad) = name.chars().find(|c| "<>:\"/\\|?*".contains(*c)) {
        return Some(format!(
            "the character {bad} is not allowed in folder names"
        ));
    }
    // Line and paragraph separators would break the lines of a label file.
    if name
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
    {
        return Some("it contains a line break or another control character".into());
    }
    if name.starts_with('.') {
        return Some("a name that begins with a dot would make a hidden folder".into());
    }
    if name.starts_with(char::is_whitespace) || name.ends_with(char::is_whitespace) {
        return Some("it begins or ends with a space".into());
    }
    if name.ends_with('.') {
        return Some("Windows does not allow a dot at the end".into());
    }
    if name.len() > MAX_BYTES {
        return Some(format!(
            "it is too long ({} bytes; the limit is {MAX_BYTES})",
            name.len()
        ));
    }
    if is_reserved_on_windows(name) {
        return Some("Windows reserves this name for a device".into());
    }
    if ClassName::is_unsorted(name) {
        return Some("this is the folder of frames without a class".into());
    }
    None
}

/// Whether a name is reserved: `CON`, `nul.txt`, `COM1`, `LPT²` and similar
/// (<https://learn.microsoft.com/windows/win32/fileio/naming-a-file>).
fn is_reserved_on_windows(name: &str) -> bool {
    let base = name.split('.').next().unwrap_or(name).trim_end();
    let upper = base.to_uppercase();
    if matches!(
        upper.as_str(),
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$"
    ) {
        return true;
    }
    let Some(port) = upper
        .strip_prefix("COM")
        .or_else(|| upper.strip_prefix("LPT"))
    else {
        return false;
    };
    let mut digits = port.chars();
    matches!(
        (digits.next(), digits.next()),
        (Some('0'..='9' | '¹' | '²' | '³'), None)
    )
}

/// Approximately Unicode's canonical caseless matching: decomposed, case-folded, composed. Converting to upper case
/// first also equates letters that lower case alone does not (`ß` and `ss`, the two small sigmas).
pub(super) fn clash_key(name: &str) -> String {
    name.nfd()
        .flat_map(|c| {
            // The dotless i is a separate letter, which upper case would equate with i.
            let keep = (c == 'ı').then_some(c);
            let fold = (c != 'ı').then(|| c.to_uppercase().flat_map(char::to_lowercase));
            keep.into_iter().chain(fold.into_iter().flatten())
        })
        .nfc()
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test
mod tests {
    use super::*;

    #[test]
    fn any_script_and_case_is_kept_as_typed() {
        for name in [
            "猫",
            "Ärger",
            "A\u{308}rger",
            "fire salamander",
            "Кошка №1",
            "قطة",
            "a.b-c_d",
            "🦎",
            "👩‍👧",
            "0",
            "Unsorted frogs",
            "console",
            "COM10",
        ] {
            assert_eq!(ClassName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_that_cannot_be_folders_are_refused_with_a_reason() {
        let long = "é".repeat(128);
        for (name, part) in [
            ("", "empty"),
            ("  ", "empty"),
            (".", "hidden"),
            ("..", "hidden"),
            (".git", "hidden"),
            ("a/b", "character /"),
            ("a\\b", "character \\"),
            ("what?", "character ?"),
            ("a:b", "character :"),
            ("a\nb", "control"),
            ("a\0b", "control"),
            ("a\u{2028}b", "control"),
            ("cat ", "space"),
            (" cat", "space"),
            ("cat.", "dot at the end"),
            ("con", "Windows"),
            ("NUL.txt", "Windows"),
            ("Com1", "Windows"),
            ("lpt²", "Windows"),
            ("unsorted", "without a class"),
            ("Unsorted", "without a class"),
            (long.as_str(), "256 bytes"),
        ] {
            let message = ClassName::new(name).unwrap_err().to_string();
            assert!(message.contains(part), "{name:?}: {message}");
        }
        assert!(ClassName::new(&"é".repeat(127)).is_ok());
    }

    #[test]
    fn names_that_file_systems_confuse_have_one_key() {
        for (a, b) in [
            ("cat", "Cat"),
            ("Ärger", "A\u{308}RGER"),
            ("STRASSE", "straße"),
            ("ΟΔΟΣ", "οδος"),
            ("Å", "\u{212B}"),
        ] {
            assert_eq!(clash_key(a), clash_key(b), "{a} {b}");
        }
        for (a, b) in [("cat", "cats"), ("ılık", "ilik"), ("Ä", "A"), ("猫", "犬")] {
            assert_ne!(clash_key(a), clash_key(b), "{a} {b}");
        }
    }

    /// Stored in every project and run of the previous version: must never change.
    #[test]
    fn the_identity_of_a_name_is_for_ever() {
        let id = ClassId::of_name("cat");
        assert_eq!(id.to_string(), "c1a841a6bd9771ff6067a3a6f2c4ea89");
        assert_ne!(id, ClassId::of_name("Cat"));
        assert_ne!(ClassId::random(), ClassId::random());
    }

    #[test]
    fn a_class_without_an_id_has_that_of_its_name() {
        let class: Class = serde_json::from_str(r#"{"name": "cat", "color": 2}"#).unwrap();
        assert_eq!(class.id, ClassId::of_name("cat"));
        let mut renamed = class.clone();
        renamed.name = ClassName::new("dog").unwrap();
        let json = serde_json::to_string(&renamed).unwrap();
        assert_eq!(serde_json::from_str::<Class>(&json).unwrap(), renamed);
    }

    #[test]
    fn a_bad_name_is_no_json_class() {
        assert!(serde_json::from_str::<ClassName>("\"../up\"").is_err());
        assert!(serde_json::from_str::<ClassName>("\"up\"").is_ok());
    }
}
