//! Files of an export: written under temporary names in the folder they belong to, put in place together.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::ExportError;

/// Files that are written but not in place. Dropping it removes them.
pub(super) struct Pending {
    out: PathBuf,
    /// The folder is removed again when it was made here and nothing came of it.
    made_folder: bool,
    files: Vec<(PathBuf, PathBuf)>,
}

impl Pending {
    /// Makes the folder `out` if need be.
    pub(super) fn new(out: &Path) -> Result<Self, ExportError> {
        let made_folder = !out.exists();
        std::fs::create_dir_all(out).map_err(ExportError::io("make the folder", out))?;
        Ok(Self {
            out: out.to_owned(),
            made_folder,
            files: Vec::new(),
        })
    }

    /// Writes one file under a temporary name, which it returns.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> Result<PathBuf, ExportError> {
        // The process id keeps two exports into one folder apart.
        let temporary = self
            .out
            .join(format!(".{name}.{}.partial", std::process::id()));
        let place = self.out.join(name);
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
    pub(super) fn commit(mut self) -> Result<Vec<PathBuf>, ExportError> {
        let mut places = Vec::new();
        while let Some((temporary, place)) = self.files.first().cloned() {
            std::fs::rename(&temporary, &place).map_err(ExportError::io("write", &place))?;
            self.files.remove(0);
            self.made_folder = false;
            places.push(place);
        }
        Ok(places)
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
        // Fails, as it should, when somebody else put something there meanwhile.
        if self.made_folder
            && let Err(error) = std::fs::remove_dir(&self.out)
        {
            log::debug!("“{}” stays behind: {error}", self.out.display());
        }
    }
}

/// Removes what an export that was killed left in the folder.
pub(super) fn clear_leftovers(out: &Path) {
    let Ok(entries) = std::fs::read_dir(out) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = ["model.onnx", "labels.txt", "preprocess.json", "README.txt"]
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
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
        drop(pending);
        assert!(!out.exists());
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
