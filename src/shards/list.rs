//! A list of shards: all work to be done, with its settings, one JSON object a line.
//!
//! The first line is the [`Header`], line 1 + N the [`Shard`] N, counted from 1. A list is identified by the BLAKE3
//! hash of its bytes ([`ListId`]), which is recorded in every part.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::backbone::{Architecture, Fit};
use crate::files::{self, Durability};
use crate::media::{Stretch, versions};
use crate::onnx::runtime_info;
use crate::project::{ClassName, Sampling, Split, path_text};

use super::ShardError;
use super::activations::WantedActivations;

/// The only version of the format so far.
const FORMAT: u32 = 1;

/// A list of shards.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardList {
    /// Settings common to all shards.
    pub header: Header,
    /// The shards, in the order of their numbers.
    pub shards: Vec<Shard>,
}

/// The identity of a list: the BLAKE3 hash of its bytes, 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ListId(String);

/// The settings common to all shards of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    pub salamander_shards: u32,
    /// Versions used for the list; parts must be made with the same.
    #[serde(flatten)]
    pub versions: Versions,
    /// Which frames are taken from films.
    pub sampling: Sampling,
    /// The architectures to compute bottlenecks for.
    pub architectures: Vec<ModelPin>,
    /// The activations to compute for each of these architectures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activations: Option<WantedActivations>,
    /// Classes and sides of files.
    pub groups: Vec<FolderLabels>,
    /// Classes of empty folders, to be created, too.
    pub empty_classes: Vec<ClassName>,
    /// The number of shards that follow.
    pub shards: usize,
}

/// Versions of the programs and libraries that affect the bits of frames and bottlenecks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The version of this program.
    pub version: String,
    /// The versions of FFmpeg's libraries.
    pub ffmpeg: String,
    /// The version of ONNX Runtime, if bottlenecks are computed.
    pub onnxruntime: Option<String>,
}

/// An architecture with the hash of its model file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPin {
    /// Name and resolution: `efficientnet-lite0@224`.
    pub architecture: String,
    /// How images are made square.
    pub fit: Fit,
    /// BLAKE3 hash of the model file, hexadecimal digits.
    pub blake3: String,
}

/// The common properties of the files in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderLabels {
    /// The folder that the class is named after, or that contains the files.
    #[serde(with = "path_text")]
    pub folder: PathBuf,
    /// The class; `None` for unsorted files.
    pub class: Option<ClassName>,
    /// The side of the split that the files were given with.
    pub side: Option<Split>,
}

/// The work of one process: films, a stretch of a film, or photos.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Shard {
    /// Its number, from 1.
    pub shard: usize,
    /// Minutes of film; for photos, of film that takes about as long.
    pub minutes: f64,
    /// Bytes of the files; for a stretch, of its part of the file.
    pub bytes: u64,
    /// Films and stretches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub films: Vec<FilmPiece>,
    /// Photos.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub photos: Vec<ListedPhoto>,
}

/// A film, or one piece of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FilmPiece {
    /// The path of the film.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// The index of its group.
    pub group: usize,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Its hash by [`crate::project::sample_of_file`].
    pub sample: String,
    /// The index of the piece, from 0.
    pub piece: usize,
    /// The number of pieces of the film, at least 1.
    pub pieces: usize,
    /// The stretch of time; `None` for all of the film.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stretch: Option<Stretch>,
}

/// A photo in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedPhoto {
    /// The path of the photo.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// The index of its group.
    pub group: usize,
    /// Size of the file in bytes.
    pub bytes: u64,
}

impl ListId {
    /// The identity of the list in a file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn of_file(path: &Path) -> Result<Self, ShardError> {
        let bytes = files::read_document(path).map_err(ShardError::io("read", path))?;
        Ok(Self::of(&bytes))
    }

    fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).to_hex().to_string())
    }
}

impl fmt::Display for ListId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Versions {
    /// The versions of this process; ONNX Runtime's only if it is `used`.
    ///
    /// # Errors
    /// ONNX Runtime cannot be loaded.
    pub fn here(used: bool) -> Result<Self, ShardError> {
        let ffmpeg: Vec<String> = versions()
            .into_iter()
            .filter(|(name, _)| name != "licence")
            .map(|(name, version)| match name.as_str() {
                "FFmpeg" => version,
                _ => format!("{name} {version}"),
            })
            .collect();
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ffmpeg: ffmpeg.join(", "),
            onnxruntime: if used {
                Some(runtime_info()?.version.clone())
            } else {
                None
            },
        })
    }

    /// Checks that the versions `here` compute the same bits as these, which `path` was made with.
    ///
    /// # Errors
    /// [`ShardError::OtherVersion`] if they do not.
    pub fn check(&self, here: &Self, path: &Path) -> Result<(), ShardError> {
        let none = || "none".to_owned();
        let onnxruntime = |versions: &Self| versions.onnxruntime.clone().unwrap_or_else(none);
        let pairs = [
            ("Salamander", self.version.clone(), here.version.clone()),
            ("FFmpeg", self.ffmpeg.clone(), here.ffmpeg.clone()),
            ("ONNX Runtime", onnxruntime(self), onnxruntime(here)),
        ];
        for (what, wanted, found) in pairs {
            if wanted != found {
                return Err(ShardError::OtherVersion {
                    path: path.to_owned(),
                    what: what.to_owned(),
                    wanted,
                    found,
                });
            }
        }
        Ok(())
    }
}

impl ModelPin {
    /// The pin of an architecture of this program or of an open project.
    ///
    /// # Errors
    /// The architecture does not exist.
    pub fn of(architecture: &Architecture, fit: Fit) -> Result<Self, ShardError> {
        Ok(Self {
            architecture: architecture.to_string(),
            fit,
            blake3: architecture.entry()?.blake3.clone(),
        })
    }

    /// The architecture, if this program has it with the same weights.
    ///
    /// # Errors
    /// The architecture does not exist here, or has other weights.
    pub fn architecture(&self, list: &Path) -> Result<Architecture, ShardError> {
        let architecture = Architecture::named(&self.architecture)?;
        let found = &architecture.entry()?.blake3;
        if *found != self.blake3 {
            let short = |hash: &str| format!("weights {}", hash.get(..12).unwrap_or(hash));
            return Err(ShardError::OtherVersion {
                path: list.to_owned(),
                what: self.architecture.clone(),
                wanted: short(&self.blake3),
                found: short(found),
            });
        }
        Ok(architecture)
    }
}

impl ShardList {
    /// Writes the list to the file `path`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<ListId, ShardError> {
        write_lines(path, &self.header, &self.shards)
    }

    /// Reads a list from a file.
    ///
    /// # Errors
    /// The file cannot be read, or is no list of shards.
    pub fn read(path: &Path) -> Result<(Self, ListId), ShardError> {
        let text = Lines::read(path)?;
        let header = header_of(&text, path)?;
        let mut shards = Vec::new();
        for number in 1..=header.shards {
            shards.push(shard_of(&text, &header, number, path)?);
        }
        Ok((Self { header, shards }, text.id()))
    }

    /// Reads the header and one shard of a list.
    ///
    /// # Errors
    /// The file cannot be read, is no list of shards, or has no such shard.
    pub fn read_one(path: &Path, shard: usize) -> Result<(Header, Shard, ListId), ShardError> {
        let text = Lines::read(path)?;
        let header = header_of(&text, path)?;
        check_number(path, shard, header.shards)?;
        let found = shard_of(&text, &header, shard, path)?;
        Ok((header, found, text.id()))
    }
}

/// Checks that a list of so many shards has one of this number.
pub(super) fn check_number(path: &Path, shard: usize, shards: usize) -> Result<(), ShardError> {
    if (1..=shards).contains(&shard) {
        return Ok(());
    }
    Err(ShardError::NoShard {
        path: path.to_owned(),
        shards,
        shard,
    })
}

/// A list split into lines.
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// The offset of each line, and of the end.
    starts: Vec<usize>,
}

impl Lines {
    pub fn read(path: &Path) -> Result<Self, ShardError> {
        let bytes = files::read_document(path).map_err(ShardError::io("read", path))?;
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1));
        Ok(Self {
            starts: starts.collect(),
            bytes,
        })
    }

    /// The identity of the list.
    pub fn id(&self) -> ListId {
        ListId::of(&self.bytes)
    }

    /// The number of lines; anything after the last line break is not counted.
    pub fn lines(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn line(&self, number: usize) -> Option<&[u8]> {
        let (from, to) = (self.starts.get(number)?, self.starts.get(number + 1)?);
        self.bytes.get(*from..*to)
    }
}

/// Writes a list: the header, then a line for each item.
pub(super) fn write_lines(
    path: &Path,
    header: &impl Serialize,
    lines: &[impl Serialize],
) -> Result<ListId, ShardError> {
    let failed = |error: serde_json::Error| ShardError::io("write", path)(error.into());
    let mut text = serde_json::to_vec(header).map_err(failed)?;
    text.push(b'\n');
    for line in lines {
        serde_json::to_writer(&mut text, line).map_err(failed)?;
        text.push(b'\n');
    }
    files::write(path, &text, Durability::Synced)?;
    Ok(ListId::of(&text))
}

fn header_of(text: &Lines, path: &Path) -> Result<Header, ShardError> {
    let no_list = || {
        ShardError::bad(
            path,
            "is not a list of shards; `salamander shards` makes one",
        )
    };
    let line = text.line(0).ok_or_else(no_list)?;
    let header: Header = serde_json::from_slice(line).map_err(|error| {
        log::debug!("{}: {error}", path.display());
        no_list()
    })?;
    if header.salamander_shards != FORMAT {
        return Err(ShardError::bad(
            path,
            "is a list of shards from another version of Salamander; make it again with this one",
        ));
    }
    if let Some(fault) = header.sampling.fault() {
        return Err(ShardError::bad(
            path,
            format!("is damaged: a film {fault}; make the list again"),
        ));
    }
    if text.lines() != header.shards + 1 {
        return Err(ShardError::bad(
            path,
            format!(
                "is damaged: it should hold {} shards, but holds {}; copy it again",
                header.shards,
                text.lines().saturating_sub(1)
            ),
        ));
    }
    Ok(header)
}

fn shard_of(
    text: &Lines,
    header: &Header,
    number: usize,
    path: &Path,
) -> Result<Shard, ShardError> {
    let damaged = |what: &str| {
        ShardError::bad(
            path,
            format!("is damaged: shard {number} {what}; copy it again"),
        )
    };
    let line = text.line(number).unwrap_or_default();
    let shard: Shard = serde_json::from_slice(line).map_err(|error| damaged(&error.to_string()))?;
    let groups = header.groups.len();
    let films = shard.films.iter().map(|film| film.group);
    let photos = shard.photos.iter().map(|photo| photo.group);
    let sound = shard.shard == number
        && films.chain(photos).all(|group| group < groups)
        && shard.films.iter().all(|film| film.piece < film.pieces);
    if sound {
        Ok(shard)
    } else {
        Err(damaged("is inconsistent"))
    }
}

/// The header of a new list.
pub(super) fn new_header(
    sampling: Sampling,
    architectures: Vec<ModelPin>,
    activations: Option<WantedActivations>,
    groups: Vec<FolderLabels>,
    empty_classes: Vec<ClassName>,
) -> Result<Header, ShardError> {
    Ok(Header {
        salamander_shards: FORMAT,
        versions: Versions::here(!architectures.is_empty())?,
        sampling,
        architectures,
        activations,
        groups,
        empty_classes,
        shards: 0,
    })
}
