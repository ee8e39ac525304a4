//! Finds the files of ONNX Runtime Web, which every web export contains. `packaging/setup.sh` downloads them.

use std::path::{Path, PathBuf};

use crate::export::ExportError;
use crate::files;

/// The environment variable for their folder.
const VARIABLE: &str = "SALAMANDER_ORT_WEB";
/// The name of their folder in installed packages.
const WEB_RUNTIME_FOLDER: &str = "onnxruntime-web";

/// The files by their names in the package `onnxruntime-web` and in an export, where they have the ending `.js`, which
/// every server knows as a script.
const FILES: [(&str, &str); 3] = [
    ("ort.wasm.min.mjs", "ort/ort.wasm.min.js"),
    (
        "ort-wasm-simd-threaded.mjs",
        "ort/ort-wasm-simd-threaded.js",
    ),
    (
        "ort-wasm-simd-threaded.wasm",
        "ort/ort-wasm-simd-threaded.wasm",
    ),
];
/// Included if it exists; the package itself has none.
const NOTICES: (&str, &str) = ("ThirdPartyNotices.txt", "ort/ThirdPartyNotices.txt");

/// A folder with the files.
#[derive(Debug)]
pub(super) struct WebRuntime {
    dir: PathBuf,
}

/// The folder of ONNX Runtime Web: the one in `SALAMANDER_ORT_WEB` if that is set; otherwise the first of
/// `onnxruntime-web` beside the program, in `../share/salamander`, in `Resources` of a macOS bundle, or in the build
/// folder.
///
/// # Errors
/// [`ExportError::NoWebRuntime`] with the folders that were searched.
pub fn web_runtime_dir() -> Result<PathBuf, ExportError> {
    find().map(|runtime| runtime.dir)
}

pub(super) fn find() -> Result<WebRuntime, ExportError> {
    find_in(places())
}

fn find_in(places: Vec<PathBuf>) -> Result<WebRuntime, ExportError> {
    let is_whole = |dir: &&PathBuf| FILES.iter().all(|(name, _)| dir.join(name).is_file());
    match places.iter().find(is_whole) {
        Some(dir) => Ok(WebRuntime { dir: dir.clone() }),
        None => Err(ExportError::NoWebRuntime { looked_in: places }),
    }
}

fn places() -> Vec<PathBuf> {
    // Only the folder that the user set.
    if let Some(dir) = std::env::var_os(VARIABLE).filter(|dir| !dir.is_empty()) {
        return vec![PathBuf::from(dir)];
    }
    let mut places = Vec::new();
    let program = std::env::current_exe().ok();
    if let Some(beside) = program.as_deref().and_then(Path::parent) {
        places.push(beside.join(WEB_RUNTIME_FOLDER));
        if let Some(prefix) = beside.parent() {
            if cfg!(target_os = "macos") {
                places.push(prefix.join("Resources").join(WEB_RUNTIME_FOLDER));
            }
            places.push(prefix.join("share/salamander").join(WEB_RUNTIME_FOLDER));
        }
    }
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    places.push(build.join(WEB_RUNTIME_FOLDER));
    places
}

impl WebRuntime {
    /// The files by their names in an export.
    pub fn read(&self) -> Result<Vec<(&'static str, Vec<u8>)>, ExportError> {
        let mut files = Vec::new();
        let notices = Some(NOTICES).filter(|(name, _)| self.dir.join(name).is_file());
        for (name, exported) in FILES.into_iter().chain(notices) {
            let path = self.dir.join(name);
            let bytes = files::read(&path).map_err(ExportError::io("read", path))?;
            files.push((exported, bytes));
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn a_folder_counts_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (half, whole) = (dir.path().join("half"), dir.path().join("whole"));
        for (folder, count) in [(&half, 2), (&whole, 3)] {
            std::fs::create_dir(folder).unwrap();
            for (name, _) in FILES.iter().take(count) {
                std::fs::write(folder.join(name), name).unwrap();
            }
        }
        let places = vec![dir.path().join("nowhere"), half.clone(), whole.clone()];
        let found = find_in(places).unwrap();
        assert_eq!(found.dir, whole);
        assert_eq!(found.read().unwrap().len(), 3);
        std::fs::write(whole.join(NOTICES.0), "notices").unwrap();
        assert_eq!(found.read().unwrap().len(), 4);
        let error = find_in(vec![half.clone()]).unwrap_err().to_string();
        assert!(
            error.contains(VARIABLE) && error.contains(half.to_str().unwrap()),
            "{error}"
        );
    }
}
