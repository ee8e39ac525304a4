//! The files of an export: written under temporary names, then moved into place together. A new folder appears whole,
//! by a single rename. In an existing folder the old model is removed first and the new one comes last, so that a
//! model is never beside the labels of another. Only files of an earlier export are replaced ([`super::manifest`]).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

use crate::files::{self, Durability, NewFile, NewFolder};
use crate::project::{self, Project};

use super::manifest::{self, Manifest};
use super::{Bundle, ExportError, Format, archive};

/// The files of exports by versions without a manifest.
const EARLIER: [&str; 5] = [
    "model.onnx",
    "labels.txt",
    "preprocess.json",
    "README.txt",
    "LICENSE.txt",
];

/// The names that an export may write, relative to its folder, separated by `/`.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// Model files, and folders that are models.
    pub models: Vec<&'static str>,
    /// All other files.
    pub others: Vec<String>,
}

impl Names {
    fn all(&self) -> impl Iterator<Item = &str> {
        let others = self.others.iter().map(String::as_str);
        self.models.iter().copied().chain(others)
    }
}

/// Files that are written but not yet in place. Dropping it removes them.
pub(super) struct Pending {
    out: PathBuf,
    names: Names,
    force: bool,
    target: Target,
    hashes: BTreeMap<String, String>,
    /// Dropped after the files in them.
    made: MadeDirs,
}

enum Target {
    /// A folder that is to become `out`.
    New(NewFolder),
    /// Files to be moved into the folder `out`, by name.
    There(Vec<(String, NewFile)>),
    /// A folder to be packed into the file `out`.
    Zip(NewFolder),
}

/// Folders made for an export, removed when dropped if they are empty.
struct MadeDirs(Vec<PathBuf>);

impl Drop for MadeDirs {
    fn drop(&mut self) {
        for dir in self.0.iter().rev() {
            remove_if_empty(dir);
        }
    }
}

/// The archive while it is being written, in the folder that is packed into it.
const PACKED: &str = "packed.zip";

/// The result of moving an export into place.
#[derive(Debug)]
pub(super) struct Committed {
    /// The size of the manifest in bytes.
    pub manifest_bytes: u64,
    /// The size of the archive in bytes, if the export is one.
    pub zip_bytes: Option<u64>,
    /// Models of an earlier export that were removed because this one does not have them.
    pub removed: Vec<String>,
}

impl Pending {
    /// Begins an export to the folder `out`, which need not exist, or to the ZIP file `out`. With `force`, files of an
    /// earlier export are replaced even if they were changed.
    ///
    /// # Errors
    /// [`ExportError::NotOurs`] if it would replace files that are not from an export, [`ExportError::InProject`]
    /// within the project's own folders, [`ExportError::NotAFolder`].
    pub(super) fn new(
        project: &Project,
        out: &Path,
        bundle: Bundle,
        names: Names,
        force: bool,
    ) -> Result<Self, ExportError> {
        let parent = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut made = MadeDirs(Vec::new());
        let mut beside = |out: &Path| {
            if out.starts_with(project.root()) {
                project::make_dir(project.root(), parent)?;
            } else {
                make_dirs(parent, &mut made)?;
            }
            clear_left_over_beside(out, parent);
            Ok::<_, ExportError>(NewFolder::beside(out)?)
        };
        let target = match bundle {
            Bundle::Zip => {
                check_place(project, parent)?;
                check_zip(out, force)?;
                Target::Zip(beside(out)?)
            }
            Bundle::Folder => {
                check_place(project, out)?;
                if files::exists(out) {
                    manifest::replaceable(out, names.all(), force)?;
                    clear_left_over(out, &names);
                    Target::There(Vec::new())
                } else {
                    Target::New(beside(out)?)
                }
            }
        };
        Ok(Self {
            out: out.to_owned(),
            names,
            force,
            target,
            hashes: BTreeMap::new(),
            made,
        })
    }

    /// The final path of a file.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// Writes a file under a temporary name, and returns that path.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> Result<PathBuf, ExportError> {
        self.hashes.insert(name.to_owned(), manifest::hash(bytes));
        let place = self.place(name);
        match &mut self.target {
            Target::New(folder) | Target::Zip(folder) => {
                let temporary = folder.temporary_path().join(name);
                if let Some(dir) = temporary.parent() {
                    files::create_dir_all(dir)
                        .map_err(ExportError::io("make the folder of", &place))?;
                }
                files::write(&temporary, bytes, Durability::Synced)
                    .map_err(|failed| ExportError::io("write", place)(failed.error))?;
                Ok(temporary)
            }
            Target::There(files) => {
                make_parents(&self.out, name, &mut self.made)?;
                let mut file = NewFile::beside(&place)?;
                file.write_all(bytes)
                    .map_err(ExportError::io("write", place))?;
                let temporary = file.temporary_path();
                files.push((name.to_owned(), file));
                Ok(temporary)
            }
        }
    }

    /// Moves the files into place over those of an earlier export, and removes its other files. An archive is first
    /// verified by `prove`, which gets its temporary path.
    pub(super) fn commit(
        mut self,
        prove: impl FnOnce(&Path) -> Result<(), ExportError>,
    ) -> Result<Committed, ExportError> {
        let mut manifest = Manifest::new(std::mem::take(&mut self.hashes));
        let place = self.out.join(manifest::FILE);
        let bytes = |manifest: &Manifest| {
            let text = manifest.to_bytes();
            text.map_err(|error| ExportError::io("write", &place)(error.into()))
        };
        let mut files = match self.target {
            Target::New(folder) => {
                let temporary = folder.temporary_path().join(manifest::FILE);
                let text = bytes(&manifest)?;
                files::write(&temporary, &text, Durability::Synced)?;
                folder.commit()?;
                return Ok(Committed {
                    manifest_bytes: text.len() as u64,
                    zip_bytes: None,
                    removed: Vec::new(),
                });
            }
            Target::Zip(folder) => {
                let inside = folder.temporary_path();
                let text = bytes(&manifest)?;
                files::write(&inside.join(manifest::FILE), &text, Durability::Synced)?;
                let mut names: Vec<String> = manifest.blake3.keys().cloned().collect();
                names.push(manifest::FILE.to_owned());
                let stem = self.out.file_stem().unwrap_or_default().to_string_lossy();
                let packed = inside.join(PACKED);
                let write = |action| ExportError::io(action, &self.out);
                let file = files::create_new(&packed).map_err(write("write"))?;
                let file = archive::pack(&inside, &names, &stem, file)?;
                let zip_bytes = file.metadata().map_err(write("read"))?.len();
                drop(file);
                prove(&packed)?;
                // Checked again, because time has passed since the first check.
                check_zip(&self.out, self.force)?;
                folder.commit_file(PACKED)?;
                return Ok(Committed {
                    manifest_bytes: text.len() as u64,
                    zip_bytes: Some(zip_bytes),
                    removed: Vec::new(),
                });
            }
            Target::There(files) => files,
        };
        // Checked again, because time has passed. The manifest lists both old and new files, in case the program is
        // killed during the moves.
        let written: Vec<String> = manifest.blake3.keys().cloned().collect();
        let mut names: Vec<&str> = self.names.all().collect();
        names.extend(written.iter().map(String::as_str));
        let found = manifest::replaceable(&self.out, names.into_iter(), self.force)?;
        manifest.replaces = found.all();
        let Manifest {
            blake3, replaces, ..
        } = &mut manifest;
        replaces.retain(|name, hash| blake3.get(name) != Some(hash));
        files::write(&place, &bytes(&manifest)?, Durability::Synced)?;
        // A model is never left beside the files of another.
        for name in found.all().into_keys().filter(|name| is_model(name)) {
            remove(&self.out.join(name))?;
        }
        files.sort_by_key(|(name, _)| is_model(name));
        for (_, file) in files {
            file.commit(Durability::Synced)?;
        }
        let written: BTreeSet<String> = written.into_iter().collect();
        let mut removed = Vec::new();
        for name in found
            .all()
            .into_keys()
            .filter(|name| !written.contains(name))
        {
            let path = self.out.join(&name);
            remove(&path)?;
            for dir in path.ancestors().skip(1).take_while(|dir| *dir != self.out) {
                remove_if_empty(dir);
            }
            if is_model(&name) {
                removed.push(name);
            }
        }
        let is_final = manifest.replaces.is_empty();
        manifest.replaces.clear();
        let text = bytes(&manifest)?;
        if !is_final {
            files::write(&place, &text, Durability::Synced)?;
        }
        Ok(Committed {
            manifest_bytes: text.len() as u64,
            zip_bytes: None,
            removed,
        })
    }
}

/// Whether a file is a model of some format, or part of one.
fn is_model(name: &str) -> bool {
    Format::all().iter().any(|format| {
        let below = name.strip_prefix(format.file());
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    })
}

fn remove(path: &Path) -> Result<(), ExportError> {
    match files::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(ExportError::io("replace", path)(error))
        }
        _ => Ok(()),
    }
}

fn remove_if_empty(dir: &Path) {
    // Folders with files of the user stay; folders may already be gone.
    if let Err(error) = files::remove_dir(dir) {
        log::debug!("“{}” stays: {error}", dir.display());
    }
}

/// Creates the folders between `out` and its file `name`.
fn make_parents(out: &Path, name: &str, made: &mut MadeDirs) -> Result<(), ExportError> {
    match out.join(name).parent() {
        Some(parent) => make_dirs(parent, made),
        None => Ok(()),
    }
}

/// Creates a folder and its missing parents, and records which ones it created.
fn make_dirs(dir: &Path, made: &mut MadeDirs) -> Result<(), ExportError> {
    let missing: Vec<&Path> = dir
        .ancestors()
        .take_while(|dir| !dir.as_os_str().is_empty() && !files::is_dir(dir))
        .collect();
    for dir in missing.into_iter().rev() {
        match files::create_dir(dir) {
            Ok(()) => made.0.push(dir.to_owned()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && files::is_dir(dir) => {}
            Err(error) => return Err(ExportError::io("make the folder", dir)(error)),
        }
    }
    Ok(())
}

/// Whether a ZIP file may be written there: nothing is there, or an earlier archive.
fn check_zip(out: &Path, force: bool) -> Result<(), ExportError> {
    if out.symlink_metadata().is_err() || archive::is_ours(out, force) {
        return Ok(());
    }
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    Err(ExportError::NotOurs {
        folder: out.parent().unwrap_or(Path::new("")).to_owned(),
        names: vec![name.into_owned()],
    })
}

/// Whether an export may be written there: outside the project, or in its `exports/`.
fn check_place(project: &Project, out: &Path) -> Result<(), ExportError> {
    if files::exists(out) && !files::is_dir(out) {
        return Err(ExportError::NotAFolder {
            path: out.to_owned(),
        });
    }
    let (place, root) = (followed(out)?, followed(project.root())?);
    let Ok(inside) = place.strip_prefix(&root) else {
        return Ok(());
    };
    let mut names = inside.components();
    let is_ours = names.next() == Some(Component::Normal("exports".as_ref()));
    if is_ours && names.next().is_some() {
        return Ok(());
    }
    Err(ExportError::InProject {
        folder: out.to_owned(),
        exports: project.exports_dir(),
    })
}

/// The absolute path without links and `..`, for a path that need not exist.
fn followed(path: &Path) -> Result<PathBuf, ExportError> {
    let absolute = std::path::absolute(path).map_err(ExportError::io("find", path))?;
    let mut found = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => {
                found.pop();
            }
            part => found.push(part),
        }
        if let Ok(real) = found.canonicalize() {
            found = real;
        }
    }
    Ok(found)
}

/// Removes temporary files of a killed export from the folder.
fn clear_left_over(out: &Path, names: &Names) {
    files::remove_left_over(out, 0, &|name| {
        files::is_temporary(name)
            // The temporary names of earlier versions.
            || EARLIER.iter().any(|file| name.starts_with(&format!(".{file}.")) && name.ends_with(".partial"))
    });
    let below = names.all().filter_map(|name| name.rsplit_once('/'));
    let folders: BTreeSet<&str> = below.map(|(folder, _)| folder).collect();
    for folder in folders {
        files::remove_left_over(&out.join(folder), 0, &files::is_temporary);
    }
    for folder in &names.models {
        files::remove_left_over(&out.join(folder), 4, &files::is_temporary);
    }
}

/// Removes temporary files of a killed export beside the folder.
fn clear_left_over_beside(out: &Path, parent: &Path) {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let earlier = format!(".{name}.");
    files::remove_left_over(parent, 0, &|name| {
        NewFolder::was_to_become(name, out)
            || (name.starts_with(&earlier) && name.ends_with(".partial"))
    });
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
