//! Exports as ZIP files, and reading an export from its folder or from such a file.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipArchive, ZipWriter};

use crate::project::Project;
use crate::train::Run;

use super::{ExportError, manifest};

/// Larger than any file of an export: a limit against archives that would exhaust the memory.
const MOST_BYTES: u64 = 4 << 30;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bundle {
    /// A folder.
    #[default]
    Folder,
    /// One ZIP file, which holds that folder.
    Zip,
}

impl Bundle {
    /// Both forms.
    pub const ALL: [Self; 2] = [Self::Folder, Self::Zip];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Zip => "zip",
        }
    }
}

/// The name of the ZIP file of a run's export, made of the names of project and run:
/// `Pets_2026-11-24_efficientnet-lite0@224_1.zip`.
#[must_use]
pub fn zip_name(project: &Project, run: &Run) -> String {
    // No characters that Windows forbids in file names or that a shell needs quoted.
    let plain = |c: char| c.is_alphanumeric() || "-_.@+".contains(c);
    let name = project.name();
    let name: String = name
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .take(60)
        .collect();
    let name = name.trim_matches(['_', '.']);
    if name.is_empty() {
        format!("{}.zip", run.id)
    } else {
        format!("{name}_{}.zip", run.id)
    }
}

/// Packs the files `names` of `folder` into an archive, in which they are in the folder `stem`. Equal files always
/// give equal bytes.
pub(super) fn pack<W: Write + Seek>(
    folder: &Path,
    names: &[String],
    stem: &str,
    out: W,
) -> Result<W, ExportError> {
    let mut names: Vec<&String> = names.iter().collect();
    names.sort();
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(6))
        // The earliest date that ZIP can hold.
        .last_modified_time(DateTime::default())
        .system(System::Unix)
        .unix_permissions(0o644);
    let mut archive = ZipWriter::new(out);
    for name in names {
        let path = folder.join(name);
        let bytes = crate::files::read(&path).map_err(ExportError::io("read", &path))?;
        let options = options.large_file(bytes.len() as u64 > u64::from(u32::MAX) / 2);
        archive
            .start_file(format!("{stem}/{name}"), options)
            .map_err(|error| failed("write", &path, error))?;
        archive
            .write_all(&bytes)
            .map_err(ExportError::io("write", &path))?;
    }
    archive
        .finish()
        .map_err(|error| failed("write", folder, error))
}

fn failed(action: &'static str, path: &Path, error: ZipError) -> ExportError {
    ExportError::io(action, path)(match error {
        ZipError::Io(error) => error,
        other => io::Error::other(other),
    })
}

/// Whether a file ends with the end record of a ZIP archive: in its last 22 bytes, or followed by a comment of at most
/// 65,535 bytes (APPNOTE.TXT 4.3.16). Without this check the library would search the whole file for it, however
/// large.
fn ends_as_archive(file: &mut File) -> io::Result<bool> {
    const MOST: u64 = 22 + 65_535;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(MOST)))?;
    let mut end = Vec::new();
    file.take(MOST).read_to_end(&mut end)?;
    Ok(end.windows(4).any(|four| four == b"PK\x05\x06"))
}

/// An export opened for reading: a folder, or a ZIP file that contains the folder.
pub(super) struct Contents {
    /// The folder or file, for messages.
    place: PathBuf,
    from: From,
}

enum From {
    Folder,
    Zip {
        archive: ZipArchive<File>,
        /// The folder in the archive, ending with `/`; empty if there is none.
        below: String,
    },
}

impl Contents {
    /// Opens the export at `place`.
    ///
    /// # Errors
    /// [`ExportError::NoBundle`] if there is no export.
    pub fn open(place: &Path) -> Result<Self, ExportError> {
        let no_bundle = |reason: &str| ExportError::NoBundle {
            folder: place.to_owned(),
            reason: reason.to_owned(),
        };
        if crate::files::is_dir(place) {
            return Ok(Self {
                place: place.to_owned(),
                from: From::Folder,
            });
        }
        let mut file = match crate::files::open(place) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(no_bundle(
                    "it does not exist; give the folder or the ZIP file of an export",
                ));
            }
            Err(error) => return Err(ExportError::io("read", place)(error)),
        };
        let no_archive = || {
            no_bundle(
                "it is not a complete ZIP archive; give the folder or the ZIP file of an export",
            )
        };
        if !ends_as_archive(&mut file).map_err(ExportError::io("read", place))? {
            return Err(no_archive());
        }
        let archive = ZipArchive::new(file).map_err(|error| match error {
            ZipError::Io(error) if error.kind() != ErrorKind::UnexpectedEof => {
                ExportError::io("read", place)(error)
            }
            _ => no_archive(),
        })?;
        let below = {
            let names = archive.file_names();
            let manifest = names.filter(|name| {
                let folder = name.strip_suffix(manifest::FILE);
                folder.is_some_and(|folder| {
                    folder.is_empty() || folder.find('/') == Some(folder.len() - 1)
                })
            });
            manifest.min_by_key(|name| name.len()).map(|name| {
                let folder = name.strip_suffix(manifest::FILE);
                folder.unwrap_or_default().to_owned()
            })
        };
        let Some(below) = below else {
            return Err(no_bundle(&format!(
                "the archive has no {} of an export",
                manifest::FILE
            )));
        };
        Ok(Self {
            place: place.to_owned(),
            from: From::Zip { archive, below },
        })
    }

    /// The folder or file.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The contents of a file; `None` if there is no file of that name in the export.
    pub fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExportError> {
        let is_below = Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !is_below {
            return Ok(None);
        }
        let path = self.place.join(name);
        match &mut self.from {
            From::Folder => manifest::read(&path),
            From::Zip { archive, below } => {
                let file = match archive.by_name(&format!("{below}{name}")) {
                    Ok(file) => file,
                    Err(ZipError::FileNotFound) => return Ok(None),
                    Err(error) => return Err(failed("read", &path, error)),
                };
                let mut bytes = Vec::new();
                let read = file.take(MOST_BYTES).read_to_end(&mut bytes);
                match read {
                    Ok(_) => Ok(Some(bytes)),
                    // A damaged file is reported by its hash, whatever the error is.
                    Err(error) => {
                        log::debug!("“{}”: {error}", path.display());
                        Ok(Some(Vec::new()))
                    }
                }
            }
        }
    }
}

/// Whether the file at `place` is the archive of an export and unchanged; with `force`, whether it is the archive of
/// an export, changed or not.
pub(super) fn is_ours(place: &Path, force: bool) -> bool {
    let Ok(mut contents) = Contents::open(place) else {
        return false;
    };
    if !matches!(contents.from, From::Zip { .. }) {
        return false;
    }
    match manifest::check(&mut contents) {
        Ok((_, problems)) => force || problems.is_empty(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::io::Cursor;

    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_same_files_are_the_same_archive_in_any_order() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("golden")).unwrap();
        std::fs::write(dir.path().join("b.txt"), "b".repeat(1000)).unwrap();
        std::fs::write(dir.path().join("golden/ä.txt"), "a").unwrap();
        let packed = |list: &[&str]| {
            let out = Cursor::new(Vec::new());
            pack(dir.path(), &names(list), "x", out)
                .unwrap()
                .into_inner()
        };
        let first = packed(&["b.txt", "golden/ä.txt"]);
        assert!(first == packed(&["golden/ä.txt", "b.txt"]));
        // Dates, modes and owners of the files do not matter.
        std::fs::write(dir.path().join("b.txt"), "b".repeat(1000)).unwrap();
        assert!(first == packed(&["b.txt", "golden/ä.txt"]));
        assert!(first.len() < 700, "{}", first.len());
    }

    #[test]
    fn what_is_no_export_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let message = |name: &str| {
            Contents::open(&dir.path().join(name))
                .err()
                .unwrap()
                .to_string()
        };
        assert!(message("none").contains("it does not exist"));
        std::fs::write(dir.path().join("model.onnx"), "no archive").unwrap();
        assert!(message("model.onnx").contains("give the folder"));
        std::fs::write(dir.path().join("b.txt"), "b").unwrap();
        let other = File::create(dir.path().join("other.zip")).unwrap();
        pack(dir.path(), &names(&["b.txt"]), "x", other).unwrap();
        assert!(message("other.zip").contains("export.json"));
        assert!(!is_ours(&dir.path().join("other.zip"), true));
    }
}
