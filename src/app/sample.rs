//! The sample: a project made from the videos that come with Salamander.

use std::io;
use std::path::{Path, PathBuf};

use super::App;
use super::Lane;
use crate::files::{self, Durability, FileError};
use crate::jobs::JobError;
use crate::project::ProjectError;

/// The folder of the sample videos: next to the program in packages, or in the source tree.
fn sample_dir() -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent);
    let mut places: Vec<PathBuf> = Vec::new();
    if let Some(beside) = beside {
        places.push(beside.join("assets/sample"));
        places.push(beside.join("../share/salamander/sample"));
        places.push(beside.join("../Resources/sample"));
    }
    places.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sample"));
    places.into_iter().find(|place| place.is_dir())
}

impl App {
    /// Opens the sample project, creating it first if it does not exist.
    pub(super) fn try_sample(&mut self) {
        let projects = self.projects_dir();
        let root = projects.join("Sample");
        let videos = projects.join("Sample videos");
        let (made_root, made_videos) = (root.clone(), videos.clone());
        self.tasks.start_for_window(
            Lane::Edit,
            "Copying the sample videos",
            false,
            move |_| -> Result<bool, ProjectError> {
                if made_root.join("project.json").is_file() {
                    return Ok(false);
                }
                let from = sample_dir().ok_or_else(|| FileError {
                    action: "find",
                    path: PathBuf::from("assets/sample"),
                    error: io::Error::new(
                        io::ErrorKind::NotFound,
                        "the sample videos are not installed",
                    ),
                })?;
                copy_tree(&from, &made_videos)
                    .map_err(FileError::new("copy the sample videos to", &made_videos))?;
                Ok(true)
            },
            move |app, result| match result {
                Ok(true) => app.create_project(root, "Sample".to_owned(), vec![videos]),
                Ok(false) => app.open_project(root, Vec::new()),
                Err(JobError::Cancelled) => {}
                Err(error) => {
                    app.fail(error.to_string());
                }
            },
        );
    }
}

/// Copies the videos in `from` and its subfolders.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    files::create_dir_all(to)?;
    for entry in files::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_tree(&path, &target)?;
        } else if crate::media::Kind::of_name(&path).is_some_and(crate::media::Kind::is_film) {
            // An existing file may be the user's own.
            if !target.exists() {
                let copied = files::copy(&path, &target, Durability::Renamed);
                copied.map_err(|failed| failed.error)?;
            }
        }
    }
    Ok(())
}
