//! Adds runs that were trained on another machine to a project.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use crate::files::{self as on_disk, Durability, NewFolder};
use crate::jobs::Work;
use crate::project::Project;

use super::files;
use super::{Run, RunId, RunState, TrainError, find_runs};

/// Copies the finished run in the folder `from` to the project, under an unused name, as the newest. `hashes` has the
/// BLAKE3 hash (64 hexadecimal digits) of each of its files by path relative to `from`, with `/`; nothing else is
/// copied. The copy is atomic.
///
/// # Errors
/// [`TrainError::Damaged`] for a file with another hash, or if it is no finished run; the project cannot be written;
/// cancelled.
pub fn take_run(
    project: &Project,
    from: &Path,
    hashes: &BTreeMap<String, String>,
    work: &Work,
) -> Result<RunId, TrainError> {
    project.check_writable()?;
    let run = Run::open(from).map_err(missing)?;
    if run.state != RunState::Finished {
        return Err(files::damaged(&from.join("run.json"))(
            "the training has not finished",
        ));
    }
    project.make_runs_dir()?;
    let last = find_runs(project)?.runs.iter().map(|run| run.number).max();
    let place = free_place(project, &run);
    let folder = NewFolder::beside(&place)?;
    let to = folder.temporary_path();
    let mut copied = Vec::new();
    for (name, hash) in hashes {
        work.check()?;
        let path = from.join(name);
        let mut parts = Path::new(name).components();
        if !parts.all(|part| matches!(part, Component::Normal(_))) {
            return Err(files::damaged(from)(
                "one of its files is outside its folder",
            ));
        }
        let read = on_disk::read(&path).map_err(TrainError::io("read", &path));
        let bytes = read.map_err(missing)?;
        if files::hash(&bytes) != *hash {
            return Err(files::damaged(&path)(files::ALTERED));
        }
        let copy = to.join(name);
        on_disk::make_dirs(&to, copy.parent().unwrap_or(&to))?;
        on_disk::write(&copy, &bytes, Durability::Renamed)?;
        copied.push(copy);
    }
    let document = to.join("run.json");
    let mut value: serde_json::Value = files::read_json(&document)?;
    if let Some(fields) = value.as_object_mut() {
        // The checksum of the original document.
        fields.remove("checksum");
        fields.insert("number".into(), (last.unwrap_or(0) + 1).into());
    }
    files::write_json(&document, &value)?;
    let taken = Run::open(&to)?;
    taken.check_files()?;
    taken.frames()?;
    on_disk::sync_files(&to, copied.iter().map(PathBuf::as_path));
    folder.commit()?;
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    Ok(RunId(name.into_owned()))
}

/// A missing file is a fault of the run, not of the disk.
fn missing(error: TrainError) -> TrainError {
    match error {
        TrainError::File(file) if file.error.kind() == ErrorKind::NotFound => {
            files::damaged(&file.path)("the file is missing")
        }
        other => other,
    }
}

/// The folder of the next run with the same day and architecture.
fn free_place(project: &Project, run: &Run) -> PathBuf {
    let is_date = |day: &&str| day.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let day = run.created.get(..10).filter(is_date).unwrap_or("run");
    let stem = format!("{day}_{}", run.settings.architecture);
    let runs = project.runs_dir();
    let mut number = 1;
    loop {
        let place = runs.join(format!("{stem}_{number}"));
        if on_disk::metadata(&place).is_err() {
            return place;
        }
        number += 1;
    }
}
