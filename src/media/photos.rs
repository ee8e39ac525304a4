//! Photos: copied into the project byte for byte, as a batch.

use std::path::{Path, PathBuf};

use crate::files::{self, Durability};
use crate::jobs::Work;
use crate::kind::Kind;
use crate::project::{ClassName, FrameName, Label, Project, Source, SourceId, SourceKind};

use super::extract::{Known, hex8};
use super::import::{ImportOptions, ImportOutcome, ensure_class, skip};
use super::{MediaError, still};

/// Photos of one folder that get one class.
struct Batch {
    folder: PathBuf,
    class: Option<ClassName>,
    photos: Vec<PathBuf>,
}

/// Copies `photos` into the project, each folder's as one source. Photos whose bytes are in the project
/// already are passed over; those that cannot be read are skipped with a warning.
pub(super) fn import(
    project: &Project,
    photos: &[PathBuf],
    options: &ImportOptions,
    known: &Known,
    work: &Work,
    outcome: &mut ImportOutcome,
) -> Result<(), MediaError> {
    work.stage("Importing photos", Some(photos.len() as u64));
    let mut batches: Vec<Batch> = Vec::new();
    for path in photos {
        let class = match options.class_from.class_of(path) {
            Ok(class) => class,
            Err(error) => {
                skip(error.into(), path, work, outcome)?;
                work.advance(1);
                continue;
            }
        };
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        match batches
            .iter_mut()
            .find(|batch| batch.folder == folder && batch.class == class)
        {
            Some(batch) => batch.photos.push(path),
            None => batches.push(Batch {
                folder,
                class,
                photos: vec![path],
            }),
        }
    }
    for batch in batches {
        import_batch(project, &batch, options, known, work, outcome)?;
    }
    Ok(())
}

fn import_batch(
    project: &Project,
    batch: &Batch,
    options: &ImportOptions,
    known: &Known,
    work: &Work,
    outcome: &mut ImportOutcome,
) -> Result<(), MediaError> {
    if let Some(class) = &batch.class
        && let Err(error) = ensure_class(project, class)
    {
        // The class cannot be made: one sentence for the whole folder.
        skip(error, &batch.folder, work, outcome)?;
        outcome.skipped += batch.photos.len() as u64 - 1;
        work.advance(batch.photos.len() as u64);
        return Ok(());
    }
    let label = batch.class.clone().map_or(Label::Unsorted, Label::Class);
    let folder = project.label_dir(&label);
    project.make_dir(&folder)?;
    let mut source: Option<Source> = None;
    let mut written = 0;
    for path in &batch.photos {
        work.check()?;
        work.detail(path.file_name().unwrap_or_default().to_string_lossy());
        let (bytes, remarks) = match read_photo(path) {
            Ok(photo) => photo,
            Err(error) => {
                skip(error, path, work, outcome)?;
                work.advance(1);
                continue;
            }
        };
        let source = match &mut source {
            Some(source) => source,
            // Only when there is a photo that can be read.
            none => none.insert(begin(project, batch, options)),
        };
        let name = FrameName {
            stem: still::stem(path),
            source: source.id.clone(),
            time_secs: None,
            id: hex8(&blake3::hash(&bytes)),
            extension: extension(&bytes, path),
        };
        if known.insert(&name) {
            if written == 0 {
                project.put_source(source.clone())?;
            }
            let place = folder.join(name.to_file_name());
            files::write(&place, &bytes, Durability::Renamed)?;
            for remark in remarks {
                work.warn(remark);
            }
            written += 1;
            outcome.frames += 1;
        }
        work.advance(1);
    }
    // A batch that brought nothing new leaves no trace.
    if let Some(mut source) = source
        && written > 0
    {
        source.extracted = Some(source.extracted.unwrap_or(0) + written);
        project.put_source(source)?;
        outcome.sources += 1;
    }
    Ok(())
}

/// The source of a batch: the one that an import of the same folder left unfinished, else a new one.
fn begin(project: &Project, batch: &Batch, options: &ImportOptions) -> Source {
    let unfinished = project.sources().into_iter().find(|source| {
        source.kind == SourceKind::Photos
            && source.extracted.is_none()
            && source.path == batch.folder
            && source.class == batch.class
    });
    unfinished.unwrap_or_else(|| {
        let class = batch.class.as_ref().map_or("", ClassName::as_str);
        let unique = format!(
            "{}\0{class}\0{}",
            batch.folder.display(),
            jiff::Timestamp::now()
        );
        let name = batch.folder.file_name().unwrap_or_default();
        Source {
            id: SourceId::of_batch(&unique),
            kind: SourceKind::Photos,
            name: name.to_string_lossy().into_owned(),
            path: batch.folder.clone(),
            class: batch.class.clone(),
            sampling: options.sampling,
            duration_secs: None,
            extracted: None,
            warnings: Vec::new(),
        }
    })
}

/// The bytes of a photo that can be read as one, and what is to be said about it.
fn read_photo(path: &Path) -> Result<(Vec<u8>, Vec<String>), MediaError> {
    let bytes = still::read_file(path)?;
    let remarks = still::load_still(&bytes, path)?.remarks;
    Ok((bytes, remarks))
}

/// The extension by content, since others go by the name.
fn extension(bytes: &[u8], path: &Path) -> String {
    let by_content = Kind::of_head(bytes)
        .first_image()
        .and_then(|image| image.extension());
    by_content.map_or_else(
        || {
            path.extension()
                .unwrap_or_default()
                .to_string_lossy()
                .to_lowercase()
        },
        str::to_owned,
    )
}
