//! Makes the part of one shard: its frames and rows of caches. It needs the list, the media and this program, but no
//! project.
//!
//! In an incomplete part ([`super::partial`]) frames are sampled again unless all exist, and rows of caches are kept. The
//! complete part appears by a rename.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::backbone::{
    ActivationSource, Activations, Views, bottlenecks, bottlenecks_and_activations,
};
use crate::files::{self, Durability};
use crate::jobs::{Work, cores};
use crate::media::{
    Decoded, Findings, JpegSampler, MediaError, MediaOrigin, Stretch, probe, start_decoders,
    try_again,
};
use crate::project::{ContentId, sample_of_file};
use crate::sweep::TrainingOutcome;

use super::ShardError;
use super::divide::path_here;
use super::list::{FilmPiece, Header, ListedPhoto, Shard, ShardList, Versions};
use super::part::{
    FilmMade, FrameLine, MANIFEST, Manifest, PartManifest as _, PhotoMade, part_dir,
};
use super::partial::{begin_partial, remove};
use super::trainings;

/// The folder of rows in an incomplete part, in the order in which they were computed.
pub(super) const COMPUTED: &str = "computed";
/// The folder of frames in an incomplete part.
pub(super) const LOOSE: &str = "frames";
/// The record of the sampling, written once all frames exist.
pub(super) const SAMPLED: &str = "sampled.json";

/// The settings for making a part.
#[derive(Debug, Clone)]
pub struct WorkOrder {
    /// The list of shards.
    pub list: PathBuf,
    /// The number of the shard, from 1.
    pub shard: usize,
    /// The folder for the parts.
    pub out: PathBuf,
    /// Folders with other paths on this machine: pairs of the path in the list and the path here.
    pub moved: Vec<(PathBuf, PathBuf)>,
}

/// A completed part.
#[derive(Debug, Clone)]
pub struct MadePart {
    /// Its folder.
    pub part: PathBuf,
    /// Whether it existed before.
    pub already: bool,
    /// The number of frames and photos in it.
    pub frames: u64,
    /// The number of bottlenecks that this call computed.
    pub computed: u64,
    /// Unusable files: their paths in the list, and a sentence.
    pub failed: Vec<(PathBuf, String)>,
    /// The result of the training, if the list is one of trainings.
    pub training: Option<TrainingOutcome>,
}

/// The result of sampling, before it is packed.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Sampled {
    pub films: Vec<FilmMade>,
    pub photos: Vec<PhotoMade>,
    pub lines: Vec<FrameLine>,
    /// Names of the loose files, one for each line.
    pub names: Vec<String>,
}

/// Makes the part of a shard, unless it exists.
///
/// # Errors
/// Errors that another attempt may not have: a file that cannot be read or differs from the list, a full disk, another
/// version of a program or library, another process at the same shard; cancelled. A damaged film or photo is no error:
/// it is recorded in the part.
pub fn make_part(order: &WorkOrder, work: &Work) -> Result<MadePart, ShardError> {
    if trainings::is_list(&order.list)? {
        return trainings::make_part(order, work);
    }
    let (header, shard, id) = ShardList::read_one(&order.list, order.shard)?;
    let dir = part_dir(&order.out, order.shard);
    if let Some(manifest) = Manifest::existing(&dir, &id, order.shard)? {
        return Ok(made(&dir, &manifest, &shard, true, 0));
    }
    let here = Versions::here(!header.architectures.is_empty())?;
    header.versions.check(&here, &order.list)?;
    let begun = begin_partial(order, &id, &[LOOSE, COMPUTED, SAMPLED])?;
    // Another process may have finished it before the lock was released.
    if let Some(manifest) = Manifest::existing(&dir, &id, order.shard)? {
        return Ok(made(&dir, &manifest, &shard, true, 0));
    }
    let partial = &begun.partial;
    let making = Making {
        header: &header,
        shard: &shard,
        order,
        dir: partial,
        work,
    };
    let sampled = making.sample()?;
    let computed = making.compute(&sampled)?;
    let manifest = making.pack(sampled, &id, here)?;
    let partial = begun.unlock()?;
    files::sync_files(&partial, std::iter::once(partial.join(MANIFEST).as_path()));
    match files::rename(&partial, &dir) {
        Ok(()) => files::sync_dir(&order.out),
        Err(error) => match Manifest::existing(&dir, &id, order.shard)? {
            // Another machine was faster.
            Some(_) => remove(&partial)?,
            None => return Err(ShardError::io("write", &dir)(error)),
        },
    }
    Ok(made(&dir, &manifest, &shard, false, computed))
}

fn made(dir: &Path, manifest: &Manifest, shard: &Shard, already: bool, computed: u64) -> MadePart {
    let films = manifest.films.iter().map(|film| &film.failed);
    let films = films.zip(shard.films.iter().map(|film| &film.path));
    let photos = manifest.photos.iter().map(|photo| &photo.failed);
    let photos = photos.zip(shard.photos.iter().map(|photo| &photo.path));
    let failed = films.chain(photos).filter_map(|(failed, path)| {
        let reason = failed.clone()?;
        let path = path.clone();
        let sentence = MediaError::Unusable {
            path: path.clone(),
            reason,
        };
        Some((path, sentence.to_string()))
    });
    MadePart {
        part: dir.to_owned(),
        already,
        frames: manifest.frames,
        computed,
        failed: failed.collect(),
        training: None,
    }
}

/// The making of a part.
pub(super) struct Making<'a> {
    pub header: &'a Header,
    pub shard: &'a Shard,
    pub order: &'a WorkOrder,
    /// The folder of the incomplete part.
    pub dir: &'a Path,
    pub work: &'a Work,
}

impl Making<'_> {
    /// Writes the frames as loose files, unless that was done before.
    fn sample(&self) -> Result<Sampled, ShardError> {
        let record = self.dir.join(SAMPLED);
        let loose = self.dir.join(LOOSE);
        if let Ok(text) = files::read_document(&record)
            && let Ok(sampled) = serde_json::from_slice::<Sampled>(&text)
            && sampled
                .names
                .iter()
                .zip(&sampled.lines)
                .all(|(name, line)| {
                    files::metadata(loose.join(name)).is_ok_and(|facts| facts.len() == line.bytes)
                })
        {
            return Ok(sampled);
        }
        files::create_dir_all(&loose).map_err(ShardError::io("make the folder", &loose))?;
        let mut sampled = Sampled {
            films: Vec::new(),
            photos: Vec::new(),
            lines: Vec::new(),
            names: Vec::new(),
        };
        start_decoders(1);
        if !self.shard.films.is_empty() {
            self.work.stage("Extracting frames", None);
        }
        for (index, piece) in self.shard.films.iter().enumerate() {
            let made = self.film(index, piece, &mut sampled)?;
            sampled.films.push(made);
        }
        if !self.shard.photos.is_empty() {
            let photos = self.shard.photos.len() as u64;
            self.work.stage("Reading images", Some(photos));
        }
        for (index, photo) in self.shard.photos.iter().enumerate() {
            self.work.check()?;
            let made = self.photo(index, photo, &mut sampled)?;
            sampled.photos.push(made);
            self.work.advance(1);
        }
        let text = serde_json::to_vec(&sampled)
            .map_err(|error| ShardError::io("write", &record)(error.into()))?;
        files::write(&record, &text, Durability::Renamed)?;
        Ok(sampled)
    }

    fn film(
        &self,
        index: usize,
        piece: &FilmPiece,
        sampled: &mut Sampled,
    ) -> Result<FilmMade, ShardError> {
        let path = path_here(&piece.path, &self.order.moved);
        self.is_listed(&path, piece.bytes, Some(&piece.sample))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.work.detail(name);
        try_again(Some(&path));
        let first = sampled.lines.len();
        let mut made = FilmMade {
            info: None,
            content: None,
            frames: 0,
            findings: Findings::default(),
            failed: None,
        };
        match self.frames_of(&path, piece, index, sampled, &mut made) {
            Ok(()) => made.frames = (sampled.lines.len() - first) as u64,
            Err(error) => {
                made.failed = Some(reason_of(error)?);
                sampled.lines.truncate(first);
                sampled.names.truncate(first);
            }
        }
        Ok(made)
    }

    fn frames_of(
        &self,
        path: &Path,
        piece: &FilmPiece,
        film: usize,
        sampled: &mut Sampled,
        made: &mut FilmMade,
    ) -> Result<(), ShardError> {
        made.info = Some(probe(path)?);
        if piece.piece == 0 {
            made.content = Some(ContentId::of_file(path, self.work)?);
        }
        let stretch = piece.stretch.unwrap_or(Stretch {
            from_secs: 0.0,
            to_secs: None,
        });
        let sampling = &self.header.sampling;
        let mut sampler = match piece.stretch {
            Some(_) => JpegSampler::open_stretch(path, sampling, stretch, 2 * cores())?,
            None => JpegSampler::open(path, sampling)?,
        };
        while let Some(frame) = sampler.next_frame(self.work)? {
            let line = FrameLine {
                film: Some(film),
                photo: None,
                time_secs: frame.time_secs,
                width_px: frame.width_px,
                height_px: frame.height_px,
                bytes: 0,
                blake3: String::new(),
            };
            self.keep(line, "jpg", &frame.jpeg, sampled)?;
            self.work.advance(1);
        }
        made.findings = sampler.findings();
        Ok(())
    }

    fn photo(
        &self,
        index: usize,
        photo: &ListedPhoto,
        sampled: &mut Sampled,
    ) -> Result<PhotoMade, ShardError> {
        let path = path_here(&photo.path, &self.order.moved);
        self.is_listed(&path, photo.bytes, None)?;
        try_again(Some(&path));
        match Decoded.photo(&path) {
            Ok(read) => {
                let line = FrameLine {
                    film: None,
                    photo: Some(index),
                    time_secs: 0.0,
                    width_px: 0,
                    height_px: 0,
                    bytes: 0,
                    blake3: String::new(),
                };
                self.keep(line, &read.extension, &read.bytes, sampled)?;
                Ok(PhotoMade {
                    extension: read.extension,
                    remarks: read.remarks,
                    failed: None,
                })
            }
            Err(error) => Ok(PhotoMade {
                extension: String::new(),
                remarks: Vec::new(),
                failed: Some(reason_of(error.into())?),
            }),
        }
    }

    /// Writes a frame as a loose file.
    fn keep(
        &self,
        mut line: FrameLine,
        extension: &str,
        bytes: &[u8],
        sampled: &mut Sampled,
    ) -> Result<(), ShardError> {
        let name = format!("{:08}.{extension}", sampled.lines.len());
        line.bytes = bytes.len() as u64;
        line.blake3 = blake3::hash(bytes).to_hex().to_string();
        files::write(
            &self.dir.join(LOOSE).join(&name),
            bytes,
            Durability::Renamed,
        )?;
        sampled.lines.push(line);
        sampled.names.push(name);
        Ok(())
    }

    /// Checks that a file is the one in the list.
    fn is_listed(&self, path: &Path, bytes: u64, sample: Option<&str>) -> Result<(), ShardError> {
        let facts = files::metadata(path).map_err(ShardError::io("read", path))?;
        let same = facts.len() == bytes
            && match sample {
                Some(sample) => sample_of_file(path)? == sample,
                None => true,
            };
        if same {
            return Ok(());
        }
        Err(ShardError::bad(
            path,
            format!(
                "is not the file that “{}” was made from; make the list again",
                self.order.list.display()
            ),
        ))
    }

    /// Computes the bottlenecks of all frames; returns how many were missing.
    fn compute(&self, sampled: &Sampled) -> Result<u64, ShardError> {
        let loose = self.dir.join(LOOSE);
        let frames: Vec<PathBuf> = sampled.names.iter().map(|name| loose.join(name)).collect();
        let mut computed = 0;
        for pin in &self.header.architectures {
            let architecture = pin.architecture(&self.order.list)?;
            let preprocessing = architecture.preprocessing(pin.fit)?;
            let cache = self.dir.join(COMPUTED);
            if let Some(wanted) = &self.header.activations {
                let cut = wanted.cut(&architecture, self.work)?;
                let source = wanted.source(&frames, &architecture, &preprocessing, &cut);
                compute_activations(&source, &cache, self.work)?;
            }
            let table = bottlenecks(
                &frames,
                &architecture,
                &preprocessing,
                None,
                Some(&cache),
                self.work,
            )?;
            computed += frames.len() - table.from_cache - table.failed.len();
        }
        Ok(computed as u64)
    }
}

/// Computes all views of all frames, the plain ones together with the bottlenecks.
fn compute_activations(
    source: &ActivationSource,
    cache: &Path,
    work: &Work,
) -> Result<(), ShardError> {
    let plain = ActivationSource {
        views: Views::PLAIN,
        ..*source
    };
    let table = bottlenecks_and_activations(&plain, cache, u64::MAX, work)?;
    // An unreadable image is in the part's list of frames, but has no rows.
    let unreadable: HashSet<usize> = table.failed.iter().map(|(index, _)| *index).collect();
    let readable = source.frames.iter().enumerate();
    let frames: Vec<PathBuf> = readable
        .filter(|(index, _)| !unreadable.contains(index))
        .map(|(_, frame)| frame.clone())
        .collect();
    let source = ActivationSource {
        frames: &frames,
        ..*source
    };
    let views = frames.len() as u64 * u64::from(source.views.distinct());
    work.stage("Computing activations", Some(views));
    Ok(Activations::open(&source, Some(cache), u64::MAX, work)?.ensure_all(work)?)
}

/// The reason why a file is unusable, to follow its name; errors that another attempt may not have stay errors.
fn reason_of(error: ShardError) -> Result<String, ShardError> {
    match error {
        ShardError::Media(
            MediaError::Unusable { reason, .. } | MediaError::SetAside { reason, .. },
        ) => Ok(reason),
        ShardError::Media(MediaError::Ffmpeg(what)) => {
            Ok(format!("cannot be read: FFmpeg cannot {what}"))
        }
        other => Err(other),
    }
}
