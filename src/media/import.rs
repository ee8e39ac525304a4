//! Bringing videos and photos into a project.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::jobs::Work;
use crate::kind::Kind;
use crate::project::{ClassName, Project, ProjectError, Sampling, Source, SourceId, SourceKind};

use super::extract::{Known, expected_frames, extract_source};
use super::sample::decoder_threads;
use super::{MediaError, gather, photos, probe, still};

/// Videos that are decoded at the same time, with half the threads each. For short clips that is a good tenth
/// faster than one after the other with all threads, since opening one overlaps with decoding another; for
/// long films it makes no difference.
const VIDEOS_AT_ONCE: usize = 2;

/// Where the class of a new source comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClassFrom {
    /// Frames stay unsorted.
    #[default]
    Nothing,
    /// The name of the folder the file lies in.
    Folder,
    /// The file's name without extension and trailing number (`cat-3.mp4` is `cat`).
    File,
    /// Always this class.
    Chosen(ClassName),
}

impl ClassFrom {
    /// The class for the file `path`; `None` is unsorted.
    pub fn class_of(&self, path: &Path) -> Result<Option<ClassName>, ProjectError> {
        let name = match self {
            Self::Nothing => return Ok(None),
            Self::Chosen(class) => return Ok(Some(class.clone())),
            Self::Folder => std::path::absolute(path)
                .unwrap_or_else(|_| path.to_owned())
                .parent()
                .and_then(Path::file_name)
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            Self::File => without_number(&still::stem(path)),
        };
        ClassName::new(&name).map(Some)
    }
}

/// `cat-3` and `cat (12)` become `cat`; what is a number throughout stays.
fn without_number(stem: &str) -> String {
    let open = stem.trim_end_matches([')', ']']);
    let bare = open.trim_end_matches(|c: char| c.is_ascii_digit());
    let bare = if bare.len() < open.len() {
        bare.trim_end_matches(|c: char| c.is_whitespace() || "-_.#([".contains(c))
    } else {
        stem
    };
    if bare.is_empty() { stem } else { bare }.to_owned()
}

/// How to import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Where classes come from.
    pub class_from: ClassFrom,
    /// How videos are sampled.
    pub sampling: Sampling,
}

/// What an import brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOutcome {
    /// Sources added or extracted.
    pub sources: u64,
    /// Frames written now.
    pub frames: u64,
    /// Files that were no media or could not be read; each also gave a warning.
    pub skipped: u64,
}

/// Adds a file as a source without extracting anything (the window's drop). Photos are added with [`import`].
/// The same video again is the same source: it takes the new sampling, and keeps its class unless `options`
/// tells one.
pub fn add_video(
    project: &Project,
    path: &Path,
    options: &ImportOptions,
) -> Result<Source, MediaError> {
    let facts = probe(path)?;
    let id = SourceId::of_file(path)?;
    let before = project.source(&id);
    let class = match options.class_from.class_of(path)? {
        Some(class) => {
            ensure_class(project, &class)?;
            Some(class)
        }
        None => before.as_ref().and_then(|source| source.class.clone()),
    };
    let unchanged = before
        .as_ref()
        .filter(|source| source.sampling == options.sampling && source.class == class);
    let source = Source {
        id,
        kind: SourceKind::Video,
        name: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        class,
        sampling: options.sampling,
        duration_secs: facts.duration_secs,
        extracted: unchanged.and_then(|source| source.extracted),
        warnings: unchanged
            .map(|source| source.warnings.clone())
            .unwrap_or_default(),
    };
    project.put_source(source.clone())?;
    Ok(source)
}

/// Makes the class unless it is there.
pub(super) fn ensure_class(project: &Project, class: &ClassName) -> Result<(), MediaError> {
    if project.classes().iter().all(|known| known.name != *class) {
        project.add_class(class)?;
    }
    Ok(())
}

/// Adds and extracts everything in `paths`: [`gather`], [`add_video`], then the frames of the videos and the
/// photos. A file that cannot be used is skipped with a warning; a full disk or a project that refuses ends
/// the import with an error, and what was written stays.
pub fn import(
    project: &Project,
    paths: &[PathBuf],
    options: &ImportOptions,
    work: &Work,
) -> Result<ImportOutcome, MediaError> {
    project.check_writable()?;
    work.stage("Looking through files", None);
    if let ClassFrom::Chosen(class) = &options.class_from {
        ensure_class(project, class)?;
    }
    let files = gather(paths, work)?;
    let (photos, videos): (Vec<PathBuf>, Vec<PathBuf>) =
        files.into_iter().partition(|path| is_photo(path));

    let mut outcome = ImportOutcome::default();
    let mut sources: Vec<Source> = Vec::new();
    work.stage("Reading videos", Some(videos.len() as u64));
    for path in &videos {
        work.check()?;
        work.detail(path.file_name().unwrap_or_default().to_string_lossy());
        match add_video(project, path, options) {
            // The same film twice, under two names.
            Ok(source) if sources.iter().any(|known| known.id == source.id) => {}
            Ok(source) => sources.push(source),
            Err(error) => skip(error, path, work, &mut outcome)?,
        }
        work.advance(1);
    }
    let known = Known::of(project, work)?;
    if !sources.is_empty() {
        project.blame(extract_all(project, &sources, &known, work, &mut outcome))?;
    }
    if !photos.is_empty() {
        project.blame(photos::import(
            project,
            &photos,
            options,
            &known,
            work,
            &mut outcome,
        ))?;
    }
    Ok(outcome)
}

/// Whether to take a file for a photo; one that cannot be looked at, by its name.
fn is_photo(path: &Path) -> bool {
    Kind::of(path).map_or_else(
        |_| Kind::of_name(path).is_some_and(Kind::is_image),
        Kind::is_image,
    )
}

/// Counts a file that cannot be used, or hands the error on when it is not the file's fault.
pub(super) fn skip(
    error: MediaError,
    path: &Path,
    work: &Work,
    outcome: &mut ImportOutcome,
) -> Result<(), MediaError> {
    match error {
        MediaError::Io { .. } | MediaError::Unusable { .. } | MediaError::Ffmpeg(_) => {
            work.warn(error.to_string());
        }
        MediaError::Project(
            error @ (ProjectError::BadClassName { .. } | ProjectError::ClassClash { .. }),
        ) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            work.warn(format!("“{name}” was left out: {error}"));
        }
        other => return Err(other),
    }
    outcome.skipped += 1;
    Ok(())
}

/// Extracts the sources, some at a time.
fn extract_all(
    project: &Project,
    sources: &[Source],
    known: &Known,
    work: &Work,
    outcome: &mut ImportOutcome,
) -> Result<(), MediaError> {
    let total: u64 = sources.iter().filter_map(expected_frames).sum();
    work.stage("Extracting frames", Some(total));
    let workers = VIDEOS_AT_ONCE.min(sources.len());
    let threads = (decoder_threads() / workers).max(2);
    let next = AtomicUsize::new(0);
    let failed = std::sync::atomic::AtomicBool::new(false);
    let run = || {
        let mut results = Vec::new();
        while !failed.load(Ordering::Relaxed)
            && let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let result = extract_source(project, source, known, work, threads);
            if matches!(&result, Err(error) if is_fatal(error)) {
                failed.store(true, Ordering::Relaxed);
            }
            results.push((source, result));
        }
        results
    };
    let results = std::thread::scope(|scope| {
        let others: Vec<_> = (1..workers)
            .filter_map(|index| {
                std::thread::Builder::new()
                    .name(format!("extract-{index}"))
                    .spawn_scoped(scope, run)
                    .inspect_err(|error| log::warn!("cannot start a thread: {error}"))
                    .ok()
            })
            .collect();
        let mut results = run();
        for other in others {
            match other.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    for (source, result) in results {
        match result {
            Ok(frames) => {
                outcome.sources += 1;
                outcome.frames += frames;
            }
            Err(error) => skip(error, &source.path, work, outcome)?,
        }
    }
    Ok(())
}

/// Whether an error ends the whole import.
fn is_fatal(error: &MediaError) -> bool {
    matches!(
        error,
        MediaError::Write { .. } | MediaError::Project(_) | MediaError::Cancelled(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_number_is_no_part_of_the_class() {
        assert_eq!(without_number("cat-3"), "cat");
        assert_eq!(without_number("cat (12)"), "cat");
        assert_eq!(without_number("Fire salamander_007"), "Fire salamander");
        assert_eq!(without_number("cat"), "cat");
        assert_eq!(without_number("dog (big)"), "dog (big)");
        assert_eq!(without_number("2024"), "2024");
    }
}
