//! Files of an export: written under temporary names, put in place together. A folder that is new appears whole,
//! by one rename; in a folder that was there the old model goes first and the new one comes last, so that a model
//! never stands beside the labels of another. Only files of an earlier export are replaced ([`super::manifest`]).

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

use crate::files::{self, Durability, NewFile, NewFolder};
use crate::project::{self, Project};

use super::manifest::{self, Manifest};
use super::{ExportError, FILES, MODEL};

/// Files that are written but not in place. Dropping it removes them.
pub(super) struct Pending {
    out: PathBuf,
    target: Target,
    hashes: BTreeMap<String, String>,
}

enum Target {
    /// A folder that is to become `out`.
    New(NewFolder),
    /// Files that are to be put into `out`, by name.
    There(Vec<(String, NewFile)>),
}

impl Pending {
    /// Begins an export into the folder `out`, which need not be there.
    ///
    /// # Errors
    /// [`ExportError::NotOurs`] when it would replace what is not from an export, [`ExportError::InProject`] among the
    /// project's own files, [`ExportError::NotAFolder`].
    pub(super) fn new(project: &Project, out: &Path) -> Result<Self, ExportError> {
        check_place(project, out)?;
        let target = if out.exists() {
            manifest::replaceable(out, &FILES)?;
            clear_left_over(out);
            Target::There(Vec::new())
        } else {
            let parent = match out.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            if out.starts_with(project.root()) {
                project::make_dir(project.root(), parent)?;
            } else {
                std::fs::create_dir_all(parent).map_err(ExportError::io("make the folder", out))?;
            }
            clear_left_over_beside(out, parent);
            Target::New(NewFolder::beside(out)?)
        };
        Ok(Self {
            out: out.to_owned(),
            target,
            hashes: BTreeMap::new(),
        })
    }

    /// Writes one file under a temporary name, which it returns.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> Result<PathBuf, ExportError> {
        self.hashes.insert(name.to_owned(), manifest::hash(bytes));
        let place = self.out.join(name);
        match &mut self.target {
            Target::New(folder) => {
                let temporary = folder.temporary_path().join(name);
                files::write(&temporary, bytes, Durability::Synced)
                    .map_err(|failed| ExportError::io("write", place)(failed.error))?;
                Ok(temporary)
            }
            Target::There(files) => {
                let mut file = NewFile::beside(&place)?;
                file.write_all(bytes)
                    .map_err(ExportError::io("write", place))?;
                let temporary = file.temporary_path().to_owned();
                files.push((name.to_owned(), file));
                Ok(temporary)
            }
        }
    }

    /// Puts the files in place, over those of an earlier export. Returns the size of the manifest.
    pub(super) fn commit(mut self) -> Result<u64, ExportError> {
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
                return Ok(text.len() as u64);
            }
            Target::There(files) => files,
        };
        // Again: it took a while since the first look. Killed half-way, old and new files are known as ours.
        manifest.replaces = manifest::replaceable(&self.out, &FILES)?;
        let Manifest {
            blake3, replaces, ..
        } = &mut manifest;
        replaces.retain(|name, hash| blake3.get(name) != Some(hash));
        files::write(&place, &bytes(&manifest)?, Durability::Synced)?;
        let model = self.out.join(MODEL);
        if let Err(error) = std::fs::remove_file(&model)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(ExportError::io("replace", model)(error));
        }
        files.sort_by_key(|(name, _)| name == MODEL);
        for (_, file) in files {
            file.commit(Durability::Synced)?;
        }
        let is_final = manifest.replaces.is_empty();
        manifest.replaces.clear();
        let text = bytes(&manifest)?;
        if !is_final {
            files::write(&place, &text, Durability::Synced)?;
        }
        Ok(text.len() as u64)
    }
}

/// Whether an export may be put there: outside of the project, or below its `exports/`.
fn check_place(project: &Project, out: &Path) -> Result<(), ExportError> {
    if out.exists() && !out.is_dir() {
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

/// Where a path leads that need not be there: absolute, without links and `..`.
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

/// Removes what an export that was killed left in the folder.
fn clear_left_over(out: &Path) {
    files::remove_left_over(out, 0, &|name| {
        files::is_temporary(name)
            // As earlier versions called them.
            || FILES.iter().any(|file| name.starts_with(&format!(".{file}.")) && name.ends_with(".partial"))
    });
}

/// Removes what an export that was killed left beside where it was to be.
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
