//! Merges parts into a project: an ordinary import whose films and photos come from the parts, and rows for the
//! project's caches.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::backbone::{join_activations, join_bottlenecks};
use crate::files::{self, FileError};
use crate::jobs::Work;
use crate::kind::{ImageKind, Kind};
use crate::media::{
    FilmFacts, Findings, FrameReader, ImportOptions, ImportOutcome, ImportPlan, JpegFrame,
    MediaError, MediaOrigin, Photo, PlanGroup, PlannedFile, import_planned,
};
use crate::project::{ContentId, Project, Source, SourceId};
use crate::sweep::SweepId;
use crate::text::rounded_bytes;
use crate::train::{RunId, TrainSettings};

use super::ShardError;
use super::list::{Header, ListId, Shard, ShardList};
use super::part::{CACHE, FilmMade, MANIFEST, PackReader, Part, PartManifest as _, is_part};
use super::partial::LIST;
use super::trainings;

/// The result of merging.
#[derive(Debug, Default)]
pub struct Merged {
    /// How many parts are complete.
    pub parts: usize,
    /// How many shards the list has.
    pub of: usize,
    /// Numbers of the shards whose part is missing or damaged.
    pub missing: Vec<usize>,
    /// Faults of damaged parts, a sentence each.
    pub damaged: Vec<String>,
    /// How many rows were added to the caches.
    pub rows: u64,
    /// The results of the import.
    pub outcome: ImportOutcome,
    /// The sweep that trainings were merged into, if the list is one of trainings.
    pub sweep: Option<SweepId>,
    /// Runs that were added to the project.
    pub runs: Vec<RunId>,
    /// Why trainings failed, a sentence each.
    pub failed: Vec<String>,
}

impl Merged {
    /// A sentence about what is missing; `None` if nothing is.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let (first, rest) = self.missing.split_first()?;
        let mut shown = vec![first.to_string()];
        shown.extend(rest.iter().take(11).map(ToString::to_string));
        let more = self.missing.len() - shown.len();
        let numbers = match more {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        };
        let shards = if rest.is_empty() { "shard" } else { "shards" };
        let damaged = match self.damaged.first() {
            Some(sentence) => format!("; {sentence}"),
            None => String::new(),
        };
        Some(format!(
            "{} of {} parts are missing ({shards} {numbers}){damaged}; the others are merged; make the missing ones with `salamander work` and merge again",
            self.missing.len(),
            self.of
        ))
    }
}

/// Merges all parts in the folders `dirs` (each contains parts, or is one) into the project. Films are merged if all
/// of their stretches exist; photos and rows of caches always. Merging again adds parts that were completed since.
///
/// # Errors
/// There are no parts, or parts of several lists; the disk has not enough room, unless `force` is set; errors of the
/// project; cancelled.
pub fn merge(
    project: &Project,
    dirs: &[PathBuf],
    force: bool,
    work: &Work,
) -> Result<Merged, ShardError> {
    let mut merged = Merged::default();
    merge_into(project, dirs, force, work, &mut merged)?;
    Ok(merged)
}

/// Like [`merge`], for callers that need to know what was merged before an error or a cancellation: `merged` is
/// updated continuously.
///
/// # Errors
/// As for [`merge`].
pub fn merge_into(
    project: &Project,
    dirs: &[PathBuf],
    force: bool,
    work: &Work,
    merged: &mut Merged,
) -> Result<(), ShardError> {
    project.check_writable()?;
    let found = find(dirs)?;
    if trainings::is_list(&found.list)? {
        return trainings::merge_into(project, &found, work, merged);
    }
    let (list, id) = ShardList::read(&found.list)?;
    merged.of = list.shards.len();
    let parts = open_parts(&found, &list, &id, merged, work)?;
    let supply = Supply::of(&list, &parts);
    if !force {
        check_room(project, &supply)?;
    }
    let plan = plan_of(&list, &supply);
    let options = ImportOptions {
        sampling: list.header.sampling,
        force: true,
        ..ImportOptions::default()
    };
    import_planned(project, plan, &options, &supply, work, &mut merged.outcome)?;
    merged.rows = join_caches(project, &list.header, &found.list, &parts, work)?;
    Ok(())
}

/// The folder to merge for a path that the user gave: a folder with a list of shards, a part in such a folder, or the
/// list itself. `None` for anything else.
#[must_use]
pub fn parts_at(path: &Path) -> Option<&Path> {
    let holds_list = |dir: &Path| files::exists(dir.join(LIST));
    let name = path.file_name().unwrap_or_default();
    if name == LIST {
        return path.parent().filter(|dir| holds_list(dir));
    }
    let in_list = || path.parent().is_some_and(holds_list);
    let is_part =
        || is_part(&name.to_string_lossy()) && (files::exists(path.join(MANIFEST)) || in_list());
    (holds_list(path) || is_part()).then_some(path)
}

/// Whether a folder of [`parts_at`] holds trainings of a sweep rather than films and photos.
#[must_use]
pub fn holds_trainings(dir: &Path) -> bool {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let folder = if is_part(&name) {
        dir.parent()
    } else {
        Some(dir)
    };
    folder.is_some_and(|folder| trainings::is_list(&folder.join(LIST)).unwrap_or(false))
}

/// The folders of parts, and their list.
pub(super) struct Found {
    pub list: PathBuf,
    pub parts: Vec<PathBuf>,
}

fn find(dirs: &[PathBuf]) -> Result<Found, ShardError> {
    let mut list: Option<(PathBuf, ListId)> = None;
    let mut parts = Vec::new();
    let mut see = |folder: &Path| -> Result<(), ShardError> {
        let path = folder.join(LIST);
        if !files::exists(&path) {
            return Ok(());
        }
        let id = ListId::of_file(&path)?;
        match &list {
            Some((_, first)) if *first != id => Err(ShardError::bad(
                folder,
                "holds parts of a different list than the first folder; merge the folders one after the other",
            )),
            Some(_) => Ok(()),
            None => {
                list = Some((path, id));
                Ok(())
            }
        }
    };
    for dir in dirs {
        files::confine(dir).map_err(ShardError::io("open", dir))?;
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        if is_part(&name) {
            see(dir.parent().unwrap_or(dir))?;
            parts.push(dir.clone());
            continue;
        }
        see(dir)?;
        for entry in files::read_dir(dir).map_err(ShardError::io("read", dir))? {
            let entry = entry.map_err(ShardError::io("read", dir))?;
            if is_part(&entry.file_name().to_string_lossy()) {
                parts.push(entry.path());
            }
        }
    }
    match list {
        Some((list, _)) => Ok(Found { list, parts }),
        None => Err(ShardError::bad(
            dirs.first().map_or(Path::new(""), PathBuf::as_path),
            "holds no parts; give the folder that `salamander work --out` wrote, with its shards.jsonl",
        )),
    }
}

/// Opens the complete parts, by shard; of several copies the first.
fn open_parts(
    found: &Found,
    list: &ShardList,
    id: &ListId,
    merged: &mut Merged,
    work: &Work,
) -> Result<BTreeMap<usize, Part>, ShardError> {
    work.stage("Checking parts", Some(found.parts.len() as u64));
    let mut parts: BTreeMap<usize, Part> = BTreeMap::new();
    let mut damaged = Vec::new();
    for dir in &found.parts {
        work.check()?;
        match open_part(dir, list, id, &list.header) {
            Ok(part) => {
                parts.entry(part.manifest.shard).or_insert(part);
            }
            Err(error) => damaged.push(error.to_string()),
        }
        work.advance(1);
    }
    for sentence in &damaged {
        work.warn(sentence.clone());
    }
    merged.parts = parts.len();
    merged.damaged = damaged;
    merged.missing = (1..=list.shards.len())
        .filter(|shard| !parts.contains_key(shard))
        .collect();
    Ok(parts)
}

fn open_part(
    dir: &Path,
    list: &ShardList,
    id: &ListId,
    header: &Header,
) -> Result<Part, ShardError> {
    let part = Part::open(dir)?;
    let manifest = &part.manifest;
    manifest.check_list(dir, id, &header.versions)?;
    let shard = manifest
        .shard
        .checked_sub(1)
        .and_then(|at| list.shards.get(at));
    let fits = |shard: &Shard| {
        shard.films.len() == manifest.films.len() && shard.photos.len() == manifest.photos.len()
    };
    match shard {
        Some(shard) if fits(shard) => Ok(part),
        _ => Err(ShardError::bad(
            dir,
            "is damaged: its contents do not match its shard; make the part again",
        )),
    }
}

/// Checks that the disk has room for all photos, and for the films that the project does not have.
fn check_room(project: &Project, supply: &Supply<'_>) -> Result<(), ShardError> {
    let is_there = |film: &SuppliedFilm<'_>| {
        let content = film.first().and_then(|made| made.content);
        let source = content.and_then(|content| project.source(&content.into()));
        source.is_some_and(|source| source.extracted.is_some())
    };
    let films = supply.films.values().filter(|film| !is_there(film));
    let parts = films
        .flat_map(|film| &film.pieces)
        .chain(supply.photos.values());
    let sizes: BTreeMap<usize, u64> = parts
        .map(|(part, _)| (part.manifest.shard, part.manifest.pack_bytes))
        .collect();
    let bytes: u64 = sizes.values().sum();
    match fs4::available_space(project.root()) {
        Ok(room) if bytes > room => Err(ShardError::Room {
            project: project.root().to_owned(),
            bytes,
            room,
        }),
        Ok(_) => Ok(()),
        Err(error) => {
            log::warn!("cannot determine the free disk space: {error}");
            Ok(())
        }
    }
}

/// Adds the rows of all parts to the project's caches.
fn join_caches(
    project: &Project,
    header: &Header,
    list: &Path,
    parts: &BTreeMap<usize, Part>,
    work: &Work,
) -> Result<u64, ShardError> {
    let caches: Vec<PathBuf> = parts
        .values()
        .filter(|part| part.manifest.frames > 0)
        .map(|part| part.dir.join(CACHE))
        .collect();
    let mut rows = 0;
    for pin in &header.architectures {
        work.stage("Joining caches", Some(caches.len() as u64));
        let architecture = pin.architecture(list)?;
        let preprocessing = architecture.preprocessing(pin.fit)?;
        let into = project.cache_dir();
        let mut joined = join_bottlenecks(&caches, &architecture, &preprocessing, &into, work)?;
        if let Some(wanted) = &header.activations {
            work.stage("Joining activations", None);
            let cut = wanted.cut(&architecture, work)?;
            let source = wanted.source(&[], &architecture, &preprocessing, &cut);
            let budget = TrainSettings::default().fine_tune.cache_budget_bytes;
            joined += join_activations(&caches, &source, &into, budget, work)?;
        }
        rows += joined.added;
        if joined.damaged > 0 {
            work.warn(format!(
                "{} rows of the parts' caches are damaged; they will be recomputed when needed",
                joined.damaged
            ));
        }
        if joined.left_out > 0 {
            work.warn(format!(
                "{} activations were left out, because all of them would take more than {}; they will be computed when needed",
                joined.left_out,
                rounded_bytes(TrainSettings::default().fine_tune.cache_budget_bytes)
            ));
        }
    }
    Ok(rows)
}

/// The plan of the import: the available files of each group, in the order of the list.
fn plan_of(list: &ShardList, supply: &Supply<'_>) -> ImportPlan {
    let mut groups: Vec<PlanGroup> = list
        .header
        .groups
        .iter()
        .map(|group| PlanGroup {
            folder: group.folder.clone(),
            class: group.class.clone(),
            refused: None,
            by_themselves: false,
            side: group.side,
            files: Vec::new(),
            more_to_come: false,
        })
        .collect();
    let mut seen = HashSet::new();
    for shard in &list.shards {
        for film in &shard.films {
            let is_there = supply.films.contains_key(&film.path) && seen.insert(&film.path);
            if let Some(group) = groups.get_mut(film.group).filter(|_| is_there) {
                group.files.push(PlannedFile {
                    path: film.path.clone(),
                    kind: Kind::of_name(&film.path)
                        .filter(|kind| kind.is_film())
                        .unwrap_or(Kind::Film("video")),
                });
            }
        }
        for photo in &shard.photos {
            let Some(group) = groups.get_mut(photo.group) else {
                continue;
            };
            if supply.photos.contains_key(&photo.path) {
                group.files.push(PlannedFile {
                    path: photo.path.clone(),
                    kind: Kind::of_name(&photo.path)
                        .filter(|kind| kind.is_image())
                        .unwrap_or(Kind::Image(ImageKind::Jpeg)),
                });
            } else {
                group.more_to_come = true;
            }
        }
    }
    groups.retain(|group| !group.files.is_empty());
    ImportPlan {
        groups,
        empty_classes: list.header.empty_classes.clone(),
        ..ImportPlan::default()
    }
}

/// Supplies an import with films and photos from parts.
struct Supply<'a> {
    header: &'a Header,
    /// Films whose pieces are all available.
    films: HashMap<PathBuf, SuppliedFilm<'a>>,
    /// Photos: their part, and the index in it.
    photos: HashMap<PathBuf, (&'a Part, usize)>,
    /// The film that each source of this import belongs to.
    of_source: Mutex<HashMap<SourceId, PathBuf>>,
}

struct SuppliedFilm<'a> {
    /// For each piece, its part and the index in it.
    pieces: Vec<(&'a Part, usize)>,
}

impl<'a> Supply<'a> {
    fn of(list: &'a ShardList, parts: &'a BTreeMap<usize, Part>) -> Self {
        let mut films: HashMap<PathBuf, Vec<Option<(&Part, usize)>>> = HashMap::new();
        let mut photos = HashMap::new();
        for shard in &list.shards {
            let part = parts.get(&shard.shard);
            for (index, film) in shard.films.iter().enumerate() {
                let pieces = films.entry(film.path.clone()).or_default();
                if pieces.len() < film.pieces {
                    pieces.resize(film.pieces.min(list.shards.len()), None);
                }
                if let Some(slot) = pieces.get_mut(film.piece) {
                    *slot = part.map(|part| (part, index));
                }
            }
            for (index, photo) in shard.photos.iter().enumerate() {
                if let Some(part) = part {
                    photos.insert(photo.path.clone(), (part, index));
                }
            }
        }
        let films = films.into_iter().filter_map(|(path, pieces)| {
            let pieces = pieces.into_iter().collect::<Option<Vec<_>>>()?;
            Some((path, SuppliedFilm { pieces }))
        });
        Self {
            header: &list.header,
            films: films.collect(),
            photos,
            of_source: Mutex::default(),
        }
    }

    fn film(&self, path: &Path) -> Result<&SuppliedFilm<'a>, MediaError> {
        self.films.get(path).ok_or_else(|| {
            let error = std::io::Error::other("no part holds it");
            MediaError::Io {
                path: path.to_owned(),
                error,
            }
        })
    }
}

impl SuppliedFilm<'_> {
    /// The record of its first piece, which has the properties of the film.
    fn first(&self) -> Option<&FilmMade> {
        let (part, film) = self.pieces.first()?;
        part.manifest.films.get(*film)
    }

    /// The findings in all of its stretches.
    fn findings(&self) -> Findings {
        let of = |(part, film): &(&Part, usize)| {
            part.manifest
                .films
                .get(*film)
                .map(|film| film.findings.clone())
        };
        let mut findings = self.pieces.iter().filter_map(of);
        let first = findings.next().unwrap_or_default();
        findings.fold(first, Findings::join)
    }
}

impl MediaOrigin for Supply<'_> {
    fn film(&self, path: &Path, _: &Work) -> Result<FilmFacts, MediaError> {
        let unusable = |reason: &str| MediaError::Unusable {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let film = Supply::film(self, path)?;
        let mut frames = 0;
        for (part, index) in &film.pieces {
            let Some(made) = part.manifest.films.get(*index) else {
                continue;
            };
            if let Some(reason) = &made.failed {
                return Err(unusable(reason));
            }
            frames += made.frames;
        }
        film.findings().check(path, &self.header.sampling, frames)?;
        let facts = film
            .first()
            .and_then(|made| Some((made.info.clone()?, made.content?)));
        let (info, content) = facts.ok_or_else(|| {
            unusable("is in a part without a description of it; make the part again")
        })?;
        let mut of_source = self.of_source.lock();
        of_source.insert(content.into(), path.to_owned());
        Ok(FilmFacts { info, content })
    }

    fn frames(&self, source: &Source, _: usize) -> Result<Box<dyn FrameReader>, MediaError> {
        let id = source
            .content
            .map_or_else(|| source.id.clone(), SourceId::from);
        let of_source = self.of_source.lock();
        let path = of_source.get(&id).cloned().unwrap_or_default();
        drop(of_source);
        let film = Supply::film(self, &path)?;
        if source.sampling != self.header.sampling {
            return Err(MediaError::Unusable {
                path,
                reason: "is in the project with another quality or size, and frames of both cannot be mixed; remove it there, or make the parts again".to_owned(),
            });
        }
        let readers = film.pieces.iter().map(|(part, film)| part.frames(*film));
        let readers: Vec<PackReader> = readers.collect::<Result<_, _>>().map_err(media_error)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Box::new(PartFrames {
            readers: readers.into_iter(),
            current: None,
            warnings: film.findings().warnings(&name),
        }))
    }

    fn photo(&self, path: &Path) -> Result<Photo, MediaError> {
        let Some((part, index)) = self.photos.get(path) else {
            let error = std::io::Error::other("no part holds it");
            return Err(MediaError::Io {
                path: path.to_owned(),
                error,
            });
        };
        let made = part.manifest.photos.get(*index).cloned();
        let reason = made.as_ref().and_then(|made| made.failed.clone());
        if let Some(reason) = reason {
            return Err(MediaError::Unusable {
                path: path.to_owned(),
                reason,
            });
        }
        let read = part.photo(*index).and_then(|mut reader| reader.next());
        let (_, bytes) = read
            .map_err(media_error)?
            .ok_or_else(|| MediaError::Unusable {
                path: part.dir.clone(),
                reason: "is damaged: a photo is missing; make the part again".to_owned(),
            })?;
        let made = made.map(|made| (made.extension, made.remarks));
        let (extension, remarks) = made.unwrap_or_default();
        Ok(Photo {
            content: ContentId::of_bytes(&bytes),
            bytes,
            extension,
            remarks,
        })
    }
}

/// Reads the frames of a film from several parts, in order.
struct PartFrames {
    readers: std::vec::IntoIter<PackReader>,
    current: Option<PackReader>,
    warnings: Vec<String>,
}

impl FrameReader for PartFrames {
    fn next_frame(&mut self, work: &Work) -> Result<Option<JpegFrame>, MediaError> {
        work.check()?;
        loop {
            if let Some(reader) = &mut self.current
                && let Some((line, jpeg)) = reader.next().map_err(media_error)?
            {
                return Ok(Some(JpegFrame {
                    time_secs: line.time_secs,
                    width_px: line.width_px,
                    height_px: line.height_px,
                    jpeg,
                }));
            }
            self.current = self.readers.next();
            if self.current.is_none() {
                return Ok(None);
            }
        }
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}

/// A part that turns out to be damaged while its frames are read only makes that film fail.
fn media_error(error: ShardError) -> MediaError {
    match error {
        ShardError::Bad { path, reason } => MediaError::Unusable { path, reason },
        ShardError::File(FileError { path, error, .. }) => MediaError::Io { path, error },
        other => MediaError::Ffmpeg(other.to_string()),
    }
}
