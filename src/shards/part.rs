//! A part: the result of one shard, a folder that either is complete or does not exist.
//!
//! ```text
//! part-000012/manifest.json   the shard, properties of the files, hashes of the rest; with its own checksum
//!             frames.jsonl    one line for each frame: its file, time, size and BLAKE3 hash
//!             frames.pack     the files of the frames, one after the other, in that order
//!             cache/          rows of the caches, in the files of a project's cache
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::files;
use crate::media::{Findings, VideoInfo};
use crate::project::ContentId;

use super::ShardError;
use super::list::{ListId, Versions};

/// The only version of the format so far.
pub(super) const FORMAT: u32 = 1;
/// File names in a part.
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const FRAMES: &str = "frames.jsonl";
pub(super) const PACK: &str = "frames.pack";
pub(super) const CACHE: &str = "cache";

/// The most bytes of a frame or photo.
const MOST_BYTES: u64 = 1 << 30;

/// The manifest of a part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version of the format.
    pub salamander_part: u32,
    /// The list of shards.
    pub list: ListId,
    /// The number of its shard.
    pub shard: usize,
    /// Versions used for it.
    #[serde(flatten)]
    pub versions: Versions,
    /// The films of the shard, in the same order.
    pub films: Vec<FilmMade>,
    /// The photos of the shard, in the same order.
    pub photos: Vec<PhotoMade>,
    /// The number of lines of `frames.jsonl`.
    pub frames: u64,
    /// The size of `frames.pack` in bytes; the hash of each frame is in `frames.jsonl`.
    pub pack_bytes: u64,
    /// BLAKE3 hashes of the other files, except for rows of caches, which have checksums.
    pub blake3: BTreeMap<String, String>,
}

/// The result of a film or a stretch of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FilmMade {
    /// Properties from its headers; `None` if it cannot be opened.
    pub info: Option<VideoInfo>,
    /// The identity of the whole file, in the part with its first stretch.
    pub content: Option<ContentId>,
    /// How many frames were taken.
    pub frames: u64,
    /// Anomalies that were found.
    pub findings: Findings,
    /// The reason if it is unusable, to follow its name in a sentence.
    pub failed: Option<String>,
}

/// The result of a photo.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PhotoMade {
    /// The file extension of its format.
    pub extension: String,
    /// Remarks, a sentence each.
    pub remarks: Vec<String>,
    /// The reason if it is unusable, to follow its name in a sentence.
    pub failed: Option<String>,
}

/// A line of `frames.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FrameLine {
    /// The index of its film in the manifest; `None` for a photo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub film: Option<usize>,
    /// The index of its photo in the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photo: Option<usize>,
    /// Seconds from the start of the film; 0 for a photo.
    #[serde(default)]
    pub time_secs: f64,
    /// Width in pixels; 0 for a photo.
    #[serde(default)]
    pub width_px: u32,
    /// Height in pixels; 0 for a photo.
    #[serde(default)]
    pub height_px: u32,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// BLAKE3 hash of the file, hexadecimal digits.
    pub blake3: String,
}

/// The folder of a part.
pub(super) fn part_dir(out: &Path, shard: usize) -> PathBuf {
    out.join(format!("part-{shard:06}"))
}

/// Whether a folder has the name of a part.
pub(super) fn is_part(name: &str) -> bool {
    name.strip_prefix("part-")
        .is_some_and(|digits| digits.len() >= 6 && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// A part that is complete according to its manifest and its list of frames.
#[derive(Debug)]
pub(super) struct Part {
    pub dir: PathBuf,
    pub manifest: Manifest,
    /// For each film, where its frames begin.
    pub films: Vec<Start>,
    /// For each photo, where it is stored.
    pub photos: Vec<Start>,
}

/// Offsets in `frames.jsonl` and `frames.pack`, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Start {
    line: u64,
    pack: u64,
}

/// The manifest of a part, whatever its list consists of.
pub(super) trait PartManifest: Sized {
    /// Reads and checks the manifest in a part's folder.
    fn read(dir: &Path) -> Result<Self, ShardError>;

    /// The list that the part was made from, and the number of its shard.
    fn origin(&self) -> (&ListId, usize);

    /// The versions used for it.
    fn versions(&self) -> &Versions;

    /// The manifest of an existing part; an error if it belongs to another list or is damaged.
    fn existing(dir: &Path, id: &ListId, shard: usize) -> Result<Option<Self>, ShardError> {
        if !files::exists(dir) {
            return Ok(None);
        }
        let manifest = Self::read(dir)?;
        if manifest.origin() != (id, shard) {
            return Err(ShardError::bad(
                dir,
                "is a part of a different list; choose another folder for the parts, or remove it",
            ));
        }
        Ok(Some(manifest))
    }

    /// Checks that the part was made from this list, with the same versions.
    fn check_list(&self, dir: &Path, id: &ListId, versions: &Versions) -> Result<(), ShardError> {
        if self.origin().0 != id {
            return Err(ShardError::bad(
                dir,
                "is a part of a different list, with other files or settings; make the part again",
            ));
        }
        versions.check(self.versions(), dir)
    }
}

impl PartManifest for Manifest {
    fn origin(&self) -> (&ListId, usize) {
        (&self.list, self.shard)
    }

    fn versions(&self) -> &Versions {
        &self.versions
    }

    fn read(dir: &Path) -> Result<Self, ShardError> {
        let path = dir.join(MANIFEST);
        let manifest: Self = read_manifest(&path)?;
        if manifest.salamander_part != FORMAT {
            return Err(ShardError::bad(
                &path,
                "is from another version of Salamander; make the part again with this one",
            ));
        }
        Ok(manifest)
    }
}

/// Reads a file with a checksum, which must exist and match.
pub(super) fn read_manifest<T: DeserializeOwned>(path: &Path) -> Result<T, ShardError> {
    let text = files::read_document(path).map_err(ShardError::io("read", path))?;
    if !files::is_as_written(&text) || !text.ends_with(b"\"\n}\n") {
        return Err(altered(path));
    }
    serde_json::from_slice(&text).map_err(|error| {
        log::debug!("{}: {error}", path.display());
        altered(path)
    })
}

pub(super) fn altered(path: &Path) -> ShardError {
    ShardError::bad(
        path,
        format!("is damaged: {}; make the part again", files::ALTERED),
    )
}

impl Part {
    /// Opens a part and checks its manifest, the hashes of its small files and the size of the large one. Frames are
    /// checked when they are read.
    pub fn open(dir: &Path) -> Result<Self, ShardError> {
        let manifest = Manifest::read(dir)?;
        for (name, hash) in &manifest.blake3 {
            let path = dir.join(name);
            let is_below = Path::new(name)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
            if !is_below {
                return Err(altered(&dir.join(MANIFEST)));
            }
            let bytes = files::read(&path).map_err(ShardError::io("read", &path))?;
            if blake3::hash(&bytes).to_hex().as_str() != hash {
                return Err(altered(&path));
            }
        }
        let pack = dir.join(PACK);
        let facts = files::metadata(&pack).map_err(ShardError::io("read", &pack))?;
        if facts.len() != manifest.pack_bytes || !manifest.blake3.contains_key(FRAMES) {
            return Err(altered(&pack));
        }
        let mut part = Self {
            dir: dir.to_owned(),
            films: vec![Start::default(); manifest.films.len()],
            photos: vec![Start::default(); manifest.photos.len()],
            manifest,
        };
        part.find_starts()?;
        Ok(part)
    }

    /// Finds where each film and photo begins, by reading the list of frames.
    fn find_starts(&mut self) -> Result<(), ShardError> {
        let path = self.dir.join(FRAMES);
        let mut frames = FrameLines::open(&path, 0)?;
        let mut at = Start::default();
        let mut count = 0;
        let mut seen = vec![0; self.films.len()];
        let (mut last_film, mut seen_photos) = (None, 0);
        while let Some(line) = frames.next()? {
            let start = at;
            at.line = frames.read;
            at.pack += line.bytes;
            count += 1;
            match (line.film, line.photo) {
                (Some(film), None) => {
                    let (Some(slot), Some(frames)) = (self.films.get_mut(film), seen.get_mut(film))
                    else {
                        return Err(altered(&path));
                    };
                    if last_film != Some(film) {
                        // The frames of a film are contiguous.
                        if *frames > 0 {
                            return Err(altered(&path));
                        }
                        *slot = start;
                        last_film = Some(film);
                    }
                    *frames += 1;
                }
                (None, Some(photo)) => {
                    match self.photos.get_mut(photo) {
                        Some(slot) => *slot = start,
                        None => return Err(altered(&path)),
                    }
                    seen_photos += 1;
                }
                _ => return Err(altered(&path)),
            }
        }
        let manifest = &self.manifest;
        let films = manifest
            .films
            .iter()
            .zip(&seen)
            .all(|(film, seen)| film.frames == *seen);
        let photos = manifest
            .photos
            .iter()
            .filter(|photo| photo.failed.is_none())
            .count();
        if !films
            || photos != seen_photos
            || count != manifest.frames
            || at.pack != manifest.pack_bytes
        {
            return Err(altered(&path));
        }
        Ok(())
    }

    /// Reads the frames of a film, from the first.
    pub fn frames(&self, film: usize) -> Result<PackReader, ShardError> {
        let start = self.films.get(film).copied().unwrap_or_default();
        let frames = self.manifest.films.get(film).map_or(0, |film| film.frames);
        self.reader(start, frames)
    }

    /// Reads a photo.
    pub fn photo(&self, photo: usize) -> Result<PackReader, ShardError> {
        let start = self.photos.get(photo).copied().unwrap_or_default();
        self.reader(start, 1)
    }

    fn reader(&self, start: Start, frames: u64) -> Result<PackReader, ShardError> {
        let path = self.dir.join(PACK);
        let open = || {
            let mut pack = files::open(&path)?;
            pack.seek(SeekFrom::Start(start.pack))?;
            Ok(BufReader::with_capacity(1 << 18, pack))
        };
        Ok(PackReader {
            lines: FrameLines::open(&self.dir.join(FRAMES), start.line)?,
            pack: open().map_err(ShardError::io("read", &path))?,
            path: path.clone(),
            left: frames,
        })
    }
}

/// Reads frames of a part, in order.
pub(super) struct PackReader {
    lines: FrameLines,
    pack: BufReader<File>,
    path: PathBuf,
    left: u64,
}

impl PackReader {
    /// The next frame and its bytes, after checking their hash.
    pub fn next(&mut self) -> Result<Option<(FrameLine, Vec<u8>)>, ShardError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let line = self.lines.next()?.ok_or_else(|| altered(&self.path))?;
        let mut bytes = vec![0; line.bytes as usize];
        self.pack
            .read_exact(&mut bytes)
            .map_err(ShardError::io("read", &self.path))?;
        if blake3::hash(&bytes).to_hex().as_str() != line.blake3 {
            return Err(altered(&self.path));
        }
        Ok(Some((line, bytes)))
    }
}

/// Reads `frames.jsonl`.
struct FrameLines {
    file: BufReader<File>,
    path: PathBuf,
    line: Vec<u8>,
    /// The offset in the file, in bytes.
    read: u64,
}

impl FrameLines {
    fn open(path: &Path, from: u64) -> Result<Self, ShardError> {
        let open = || {
            let mut file = files::open(path)?;
            file.seek(SeekFrom::Start(from))?;
            Ok(BufReader::new(file))
        };
        Ok(Self {
            file: open().map_err(ShardError::io("read", path))?,
            path: path.to_owned(),
            line: Vec::new(),
            read: from,
        })
    }

    fn next(&mut self) -> Result<Option<FrameLine>, ShardError> {
        self.line.clear();
        let read = (&mut self.file)
            .take(1 << 16)
            .read_until(b'\n', &mut self.line);
        let read = read.map_err(ShardError::io("read", &self.path))?;
        if read == 0 {
            return Ok(None);
        }
        self.read += read as u64;
        let line: FrameLine =
            serde_json::from_slice(&self.line).map_err(|_| altered(&self.path))?;
        let sound = line.time_secs.is_finite() && line.bytes > 0 && line.bytes <= MOST_BYTES;
        if sound {
            Ok(Some(line))
        } else {
            Err(altered(&self.path))
        }
    }
}
