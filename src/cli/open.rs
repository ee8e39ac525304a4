//! Opening the window from the command line: `salamander`, `salamander PATH…`, `salamander open`.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};

use crate::app::{WindowOptions, config_dir};
use crate::media::start_decoders;
use crate::ui::run_window;

use super::{Usage, shown};

/// Open the window with a project, or with files to import
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A project folder, or videos, photos and folders to import [default: the start screen]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    window(&args.paths)
}

/// Opens the window and returns when it is closed.
pub fn window(paths: &[PathBuf]) -> anyhow::Result<()> {
    let options = WindowOptions {
        config_dir: config_dir(),
        open: paths
            .iter()
            .map(|path| opened(path))
            .collect::<Result<_, _>>()?,
        system_dialogs: true,
    };
    start_decoders(1);
    run_window(options).map_err(|error| {
        anyhow!("the window cannot be opened: {error}; is there a display, and OpenGL on it?")
    })
}

/// The full path of what is to be opened; for a `project.json`, the project's folder.
fn opened(path: &Path) -> anyhow::Result<PathBuf> {
    if let Err(error) = path.metadata() {
        let is_word = path.components().count() == 1 && path.extension().is_none();
        if is_word && error.kind() == std::io::ErrorKind::NotFound {
            return Err(Usage(format!(
                "“{}” is neither a command nor a file or folder here",
                shown(path)
            ))
            .into());
        }
        bail!("“{}” cannot be opened: {error}", shown(path));
    }
    let path = std::path::absolute(path)?;
    let is_document = path.file_name().is_some_and(|name| name == "project.json");
    match path.parent() {
        Some(folder) if is_document => Ok(folder.to_owned()),
        _ => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_is_not_there_is_said_in_one_sentence() {
        let word = opened(Path::new("trian")).unwrap_err();
        assert!(word.is::<Usage>());
        assert_eq!(
            word.to_string(),
            "“trian” is neither a command nor a file or folder here"
        );
        let film = opened(Path::new("no/such.mp4")).unwrap_err();
        assert!(!film.is::<Usage>() && film.to_string().contains("such.mp4"));
    }

    #[test]
    fn a_project_is_opened_by_its_folder_or_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("project.json");
        std::fs::write(&file, "{}").unwrap();
        assert_eq!(opened(&file).unwrap(), dir.path());
        assert_eq!(opened(dir.path()).unwrap(), dir.path());
    }
}
