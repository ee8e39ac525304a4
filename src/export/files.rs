//! Files of an export: written under temporary names, put in place together. A folder that is new appears whole,
//! by one rename; in a folder that was there the old model goes first and the new one comes last, so that a model
//! never stands beside the labels of another.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::ExportError;

/// The file without which the others are no export.
const MODEL: &str = "model.onnx";

/// Files that are written but not in place. Dropping it removes them.
pub(super) struct Pending {
    out: PathBuf,
    /// A folder beside `out`, of which `out` is made.
    new_folder: Option<PathBuf>,
    files: Vec<(PathBuf, PathBuf)>,
}

impl Pending {
    /// Makes the folder `out` if need be.
    pub(super) fn new(out: &Path) -> Result<Self, ExportError> {
        let new_folder = match (out.exists(), out.file_name()) {
            (false, Some(name)) => {
                let name = format!(".{}.{}.partial", name.to_string_lossy(), std::process::id());
                Some(out.with_file_name(name))
            }
            _ => None,
        };
        std::fs::create_dir_all(new_folder.as_deref().unwrap_or(out))
            .map_err(ExportError::io("make the folder", out))?;
        Ok(Self {
            out: out.to_owned(),
            new_folder,
            files: Vec::new(),
        })
    }

    /// Writes one file under a temporary name, which it returns.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> Result<PathBuf, ExportError> {
        let place = self.out.join(name);
        let temporary = match &self.new_folder {
            Some(folder) => folder.join(name),
            // The process id keeps two exports into one folder apart.
            None => self
                .out
                .join(format!(".{name}.{}.partial", std::process::id())),
        };
        self.files.push((temporary.clone(), place.clone()));
        File::create(&temporary)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .map_err(ExportError::io("write", place))?;
        Ok(temporary)
    }

    /// Puts the files in place, over those of an earlier export.
    pub(super) fn commit(mut self) -> Result<(), ExportError> {
        if let Some(folder) = &self.new_folder {
            std::fs::rename(folder, &self.out).map_err(ExportError::io("write", &self.out))?;
            self.new_folder = None;
            self.files.clear();
            return Ok(());
        }
        let model = self.out.join(MODEL);
        if let Err(error) = std::fs::remove_file(&model)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(ExportError::io("replace", model)(error));
        }
        self.files.sort_by_key(|(_, place)| *place == model);
        while let Some((temporary, place)) = self.files.first().cloned() {
            std::fs::rename(&temporary, &place).map_err(ExportError::io("write", &place))?;
            self.files.remove(0);
        }
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        for (temporary, _) in &self.files {
            if let Err(error) = std::fs::remove_file(temporary)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                log::warn!("“{}” stays behind: {error}", temporary.display());
            }
        }
        if let Some(folder) = &self.new_folder
            && let Err(error) = std::fs::remove_dir(folder)
        {
            log::warn!("“{}” stays behind: {error}", folder.display());
        }
    }
}

/// Removes what an export that was killed left in the folder, or beside where it was to be.
pub(super) fn clear_leftovers(out: &Path) {
    let beside = out.file_name().zip(out.parent());
    if let Some((name, parent)) = beside
        && let Ok(entries) = std::fs::read_dir(parent)
    {
        let start = format!(".{}.", name.to_string_lossy());
        let own = format!("{start}{}.partial", std::process::id());
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let killed = name.starts_with(&start) && name.ends_with(".partial") && name != own;
            if killed && let Err(error) = std::fs::remove_dir_all(entry.path()) {
                log::warn!("“{}” stays behind: {error}", entry.path().display());
            }
        }
    }
    let Ok(entries) = std::fs::read_dir(out) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = [
            MODEL,
            "labels.txt",
            "preprocess.json",
            "README.txt",
            "LICENSE.txt",
        ]
        .iter()
        .any(|file| name.starts_with(&format!(".{file}.")) && name.ends_with(".partial"));
        if ours && let Err(error) = std::fs::remove_file(entry.path()) {
            log::warn!("“{}” stays behind: {error}", entry.path().display());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn nothing_is_left_when_it_is_not_committed() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let mut pending = Pending::new(&out).unwrap();
        pending.write("model.onnx", b"half").unwrap();
        assert!(!out.exists());
        drop(pending);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_new_folder_appears_whole() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let killed = dir.path().join(".out.4711.partial");
        std::fs::create_dir(&killed).unwrap();
        std::fs::write(killed.join("model.onnx"), b"half").unwrap();
        let mut pending = Pending::new(&out).unwrap();
        clear_leftovers(&out);
        pending.write("model.onnx", b"new").unwrap();
        pending.write("labels.txt", b"cat").unwrap();
        assert!(!out.exists());
        pending.commit().unwrap();
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_earlier_export_stays_until_the_new_one_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("model.onnx");
        std::fs::write(&file, b"old").unwrap();
        let mut pending = Pending::new(dir.path()).unwrap();
        pending.write("model.onnx", b"new").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
        pending.commit().unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn leftovers_of_a_killed_export_go_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".model.onnx.4711.partial", "model.onnx", ".hidden.partial"] {
            std::fs::write(dir.path().join(name), b"x").unwrap();
        }
        clear_leftovers(dir.path());
        let mut left: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, [".hidden.partial", "model.onnx"]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_one_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let error = Pending::new(&file.join("out")).err().unwrap().to_string();
        assert!(error.starts_with("cannot make the folder"), "{error}");
    }
}
