//! Sources: imported videos and batches of photos.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files;
use crate::jobs::Work;

use super::frame_name::{LEGACY_DIGITS, is_hex};
use super::{ClassName, ContentId, Project, ProjectError, Recorded, Sampling, Split};

/// The bytes at the start, in the middle and at the end of a file that determined its identity in earlier versions.
const SAMPLE_BYTES: u64 = 1 << 20;

/// The longest duration of a film, in seconds: 31 years. A longer one is damage.
pub const LONGEST_SECS: f64 = 1e9;

/// The most frames of a source.
const MOST_FRAMES: u64 = u32::MAX as u64;

/// The latest [edition](Source::edition), in microseconds since 1970: the year 9999.
const LATEST_EDITION: u64 = 253_402_300_800_000_000;

/// The identity of a source, derived from its content: lower-case hexadecimal digits, the same on every machine. There
/// are 32 (see [`ContentId`]), or 8 in sources made by an earlier version of the program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceId(String);

impl SourceId {
    /// The identity of a batch of photos, from a name that is unique in the project (time and folder).
    #[must_use]
    pub fn of_batch(name: &str) -> Self {
        ContentId::of_bytes(name.as_bytes()).into()
    }

    /// The identity of a video file in earlier versions: 32 bits of a hash of its length and of its first, middle and
    /// last MiB. Films that differ elsewhere share it.
    pub fn legacy_of_file(path: &Path) -> Result<Self, ProjectError> {
        let hash = sampled_hash(path).map_err(ProjectError::io("read", path))?;
        Ok(Self(digits_of(&hash, LEGACY_DIGITS)))
    }

    /// Parses an identity of 32 or 8 lower-case hexadecimal digits, as in a frame's name.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        is_hex(digits).then(|| Self(digits.to_owned()))
    }

    /// Whether it is from an earlier version, with only 32 bits.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.0.len() == LEGACY_DIGITS
    }

    /// The hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A hash of a file's length and of samples of its content (the first, middle and last MiB), as 32 lower-case
/// hexadecimal digits: fast for any file, and different if the file was replaced, cut off or copied in part.
///
/// # Errors
/// The file cannot be read.
pub fn sample_of_file(path: &Path) -> Result<String, ProjectError> {
    let hash = sampled_hash(path).map_err(ProjectError::io("read", path))?;
    Ok(digits_of(&hash, 32))
}

/// Hashes length, then the first, middle and last MiB; a file of up to 3 MiB is hashed completely.
fn sampled_hash(path: &Path) -> std::io::Result<blake3::Hash> {
    let mut file = files::open(path)?;
    let length = file.metadata()?.len();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&length.to_le_bytes());
    if length <= 3 * SAMPLE_BYTES {
        hasher.update_reader(&mut file)?;
    } else {
        for start in [0, (length - SAMPLE_BYTES) / 2, length - SAMPLE_BYTES] {
            file.seek(SeekFrom::Start(start))?;
            hasher.update_reader((&mut file).take(SAMPLE_BYTES))?;
        }
    }
    Ok(hasher.finalize())
}

/// The first hexadecimal digits of a hash.
fn digits_of(hash: &blake3::Hash, digits: usize) -> String {
    hash.to_hex().chars().take(digits).collect()
}

impl From<ContentId> for SourceId {
    fn from(content: ContentId) -> Self {
        Self(content.to_string())
    }
}

impl TryFrom<String> for SourceId {
    type Error = String;

    fn try_from(digits: String) -> Result<Self, String> {
        Self::from_hex(&digits).ok_or(format!("“{digits}” is not a source id"))
    }
}

impl From<SourceId> for String {
    fn from(id: SourceId) -> Self {
        id.0
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kind of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// One video file.
    Video,
    /// Photos imported together.
    Photos,
}

/// An imported video, or a batch of imported photos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its identity.
    pub id: SourceId,
    /// Video or photos.
    pub kind: SourceKind,
    /// The name of the file (or folder), for users.
    pub name: String,
    /// Its path at import; it may have been moved since. Paths that are not valid Unicode are possible.
    #[serde(with = "super::path_text")]
    pub path: PathBuf,
    /// The class for its frames; `None` for unsorted.
    pub class: Option<ClassName>,
    /// How it was sampled.
    pub sampling: Sampling,
    /// Duration in seconds, if known.
    pub duration_secs: Option<f64>,
    /// When its recording began, for a film whose file stated that at import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Recorded>,
    /// Number of frames written by the last extraction; `None` if there was none, or if it did not finish.
    pub extracted: Option<u64>,
    /// Anomalies, such as damage or HDR.
    pub warnings: Vec<String>,
    /// The identity of the complete file, for a video with an identity from an earlier version whose file has been
    /// read since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentId>,
    /// The side of the split that its frames were given with (by a folder `train`, `val` or `test`); `None` if
    /// Salamander decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_split: Option<Split>,
    /// Whether its frames are being replaced by those of its sampling, or were when that was interrupted: frames of an
    /// earlier sampling may still exist.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replacing: bool,
    /// When its frames were last replaced by those of another sampling, in microseconds since 1970; 0 if never. It is
    /// part of the frames' identities, so that former frames, in use or in the trash, are not confused with current
    /// ones: at another rate, the frame at the same time is another image.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub edition: u64,
}

impl Source {
    /// A source without frames and without a class, with the default sampling.
    #[must_use]
    pub fn new(
        id: SourceId,
        kind: SourceKind,
        name: impl Into<String>,
        path: impl Into<PathBuf>,
    ) -> Self {
        Self {
            id,
            kind,
            name: name.into(),
            path: path.into(),
            class: None,
            sampling: Sampling::default(),
            duration_secs: None,
            recorded: None,
            extracted: None,
            warnings: Vec::new(),
            content: None,
            given_split: None,
            replacing: false,
            edition: 0,
        }
    }
}

impl Source {
    /// The reason why this program cannot have written it, as the end of a sentence that begins with its name.
    pub(super) fn fault(&self) -> Option<String> {
        if let Some(fault) = self.sampling.fault() {
            return Some(fault);
        }
        if let Some(secs) = self.duration_secs
            && !(0.0..=LONGEST_SECS).contains(&secs)
        {
            return Some(format!("cannot be {secs} s long"));
        }
        if let Some(frames) = self.extracted
            && frames > MOST_FRAMES
        {
            return Some(format!("cannot have {frames} frames"));
        }
        (self.edition > LATEST_EDITION)
            .then(|| format!("cannot have been replaced at {} µs", self.edition))
    }
}

impl Project {
    /// The source of the video file `path`, whose content is `content`, if there is one.
    pub fn source_of_file(
        &self,
        path: &Path,
        content: &ContentId,
        work: &Work,
    ) -> Result<Option<Source>, ProjectError> {
        let sources = self.sources();
        let of_content = SourceId::from(*content);
        if let Some(found) = sources.iter().find(|s| s.id == of_content) {
            return Ok(Some(found.clone()));
        }
        if !sources.iter().any(|source| source.id.is_legacy()) {
            return Ok(None);
        }
        // Earlier versions gave one identity to all films with the same sample.
        let legacy = SourceId::legacy_of_file(path)?;
        match sources.into_iter().find(|source| source.id == legacy) {
            Some(source) if source.is_of(path, content, work)? => Ok(Some(source)),
            _ => Ok(None),
        }
    }
}

impl Source {
    /// The identity of the frame at `time_secs` that is `width_px` wide: with as many digits as the source's, so that
    /// extracting a source of an earlier version again finds the existing frames.
    #[must_use]
    pub fn frame_id(&self, time_secs: f64, width_px: u32) -> String {
        let id = self.id.as_str();
        let micros = (time_secs * 1e6).round() as i64;
        let mut hasher = blake3::Hasher::new();
        hasher.update(id.as_bytes());
        hasher.update(&micros.to_le_bytes());
        hasher.update(&width_px.to_le_bytes());
        if self.edition > 0 {
            hasher.update(&self.edition.to_le_bytes());
        }
        digits_of(&hasher.finalize(), id.len())
    }

    /// Starts a new edition: frames written from now on get identities that none had before.
    pub fn begin_edition(&mut self) {
        let now = jiff::Timestamp::now().as_microsecond().unsigned_abs();
        self.edition = now.max(self.edition + 1);
    }

    /// Whether this source was made from the video file `path`, whose content is `content`.
    ///
    /// For a source of an earlier version only a sample of its file is known: if its own file is still in place, the
    /// two files are compared, otherwise the sample decides.
    pub fn is_of(
        &self,
        path: &Path,
        content: &ContentId,
        work: &Work,
    ) -> Result<bool, ProjectError> {
        if !self.id.is_legacy() {
            return Ok(self.id == SourceId::from(*content));
        }
        if self.kind != SourceKind::Video {
            return Ok(false);
        }
        if let Some(known) = &self.content {
            return Ok(known == content);
        }
        if SourceId::legacy_of_file(path)? != self.id {
            return Ok(false);
        }
        let own = self.path.canonicalize();
        if own.is_err() || own.ok() == path.canonicalize().ok() {
            return Ok(true);
        }
        // Another file may have taken its place since.
        if !SourceId::legacy_of_file(&self.path).is_ok_and(|id| id == self.id) {
            return Ok(true);
        }
        match ContentId::of_file(&self.path, work) {
            Ok(own) => Ok(own == *content),
            Err(ProjectError::Cancelled(cancelled)) => Err(cancelled.into()),
            Err(_) => Ok(true),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The source of a frame at `path` in another project, if the frame is in one that can be read.
#[must_use]
pub fn other_project_source(path: &Path, id: &SourceId) -> Option<Source> {
    let root = path
        .ancestors()
        .skip(1)
        .find(|folder| files::is_file(super::document::path(folder)))?;
    let loaded = super::document::load(root).ok()?;
    let mut sources = loaded.document.sources.into_iter();
    sources.find(|s| s.item.id == *id).map(|s| s.item)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test
mod tests {
    use super::*;

    fn film(path: &Path, id: SourceId) -> Source {
        Source::new(id, SourceKind::Video, "a.mp4", path.to_owned())
    }

    #[test]
    fn films_that_differ_between_the_samples_are_two() {
        let dir = tempfile::tempdir().unwrap();
        let work = Work::new();
        let mut bytes: Vec<u8> = (0..4_200_000u32).map(|i| (i / 7) as u8).collect();
        let (a, b) = (dir.path().join("a.mp4"), dir.path().join("猫 b.mov"));
        std::fs::write(&a, &bytes).unwrap();
        std::fs::write(&b, &bytes).unwrap();
        let legacy = SourceId::legacy_of_file(&a).unwrap();
        assert!(legacy.is_legacy());
        let content = |path: &Path| ContentId::of_file(path, &work).unwrap();
        let of = |source: &Source, path: &Path| source.is_of(path, &content(path), &work).unwrap();

        let old = film(&a, legacy.clone());
        let new = film(&a, content(&a).into());
        assert!(of(&old, &a) && of(&old, &b) && of(&new, &a) && of(&new, &b));
        // In neither the first, nor the middle, nor the last MiB.
        bytes[1_300_000] ^= 1;
        std::fs::write(&b, &bytes).unwrap();
        assert_eq!(SourceId::legacy_of_file(&b).unwrap(), legacy);
        assert!(!of(&old, &b) && !of(&new, &b) && of(&old, &a));
        let read = Source {
            content: Some(content(&a)),
            ..old.clone()
        };
        std::fs::remove_file(&a).unwrap();
        assert!(!of(&read, &b), "its content was noted");
        assert!(of(&old, &b), "nothing is left to compare with");
        // A change within the samples is always detected.
        bytes[0] ^= 1;
        std::fs::write(&b, &bytes).unwrap();
        assert!(!of(&old, &b));
    }

    #[cfg(unix)]
    #[test]
    fn every_path_survives_project_json() {
        use std::os::unix::ffi::OsStringExt;
        let odd = std::ffi::OsString::from_vec(b"/films/caf\xe9/\xff.mp4".to_vec());
        for path in [PathBuf::from(odd), "/films/café.mp4".into()] {
            let source = film(&path, SourceId::of_batch("x"));
            let json = serde_json::to_string(&source).unwrap();
            assert!(!json.contains("content") && !json.contains("edition"));
            let back: Source = serde_json::from_str(&json).unwrap();
            assert_eq!(back, source);
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let message = SourceId::legacy_of_file(Path::new("/nowhere/film.mp4"))
            .unwrap_err()
            .to_string();
        assert!(message.contains("/nowhere/film.mp4"), "{message}");
    }

    #[test]
    fn the_ids_of_frames_are_as_long_as_their_source_s() {
        let of = |id: SourceId| film(Path::new("a.mp4"), id);
        let old = of(SourceId::from_hex("3fa9c1d2").unwrap());
        let mut new = of(SourceId::of_batch("x"));
        assert_eq!(old.frame_id(1.5, 500).len(), 8);
        assert_eq!(new.frame_id(1.5, 500).len(), 32);
        assert_ne!(new.frame_id(1.5, 500), new.frame_id(1.5, 320));
        assert_ne!(new.frame_id(1.5, 500), new.frame_id(2.0, 500));
        // The same as in earlier versions, and different after each replacement.
        assert_eq!(old.frame_id(1.5, 500), "f869eed6");
        let mut seen = vec![new.frame_id(1.5, 500)];
        for _ in 0..3 {
            new.begin_edition();
            let id = new.frame_id(1.5, 500);
            assert!(!seen.contains(&id));
            seen.push(id);
        }
    }

    #[test]
    fn batches_with_different_names_differ() {
        assert_ne!(SourceId::of_batch("a"), SourceId::of_batch("b"));
        assert_eq!(SourceId::of_batch("a"), SourceId::of_batch("a"));
    }

    #[test]
    fn an_id_is_lower_case_hexadecimal_digits_eight_or_thirty_two() {
        for bad in ["", "3FA9C1D2", "3fa9c1d", "3fa9c1d22", "../../../"] {
            assert_eq!(SourceId::from_hex(bad), None);
        }
        for good in ["3fa9c1d2", "0123456789abcdef0123456789abcdef"] {
            assert_eq!(SourceId::from_hex(good).unwrap().as_str(), good);
        }
    }
}
