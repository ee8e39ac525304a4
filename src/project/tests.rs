//! Projects on disk, with real folders: opening, following changes, moving, and surviving failures.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test

mod classes;
mod frames;
mod killed;
mod opening;

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::jobs::Work;

fn new_project() -> (TempDir, Project) {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::create(&dir.path().join("My Project"), "Salamanders").unwrap();
    (dir, project)
}

fn class(name: &str) -> ClassName {
    ClassName::new(name).unwrap()
}

fn names(project: &Project) -> Vec<String> {
    project
        .classes()
        .iter()
        .map(|c| c.name.to_string())
        .collect()
}

fn put(project: &Project, path: &str) {
    let path = project.abs(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "x").unwrap();
}

fn paths(project: &Project) -> Vec<String> {
    let frames = project.scan(&Work::new()).unwrap();
    frames.list.into_iter().map(|f| f.path).collect()
}

fn reopen(project: Project) -> Project {
    let root = project.root().to_owned();
    drop(project);
    Project::open(&root).unwrap()
}

fn source(digits: &str) -> Source {
    Source {
        duration_secs: Some(0.1 + 0.2),
        ..Source::new(
            SourceId::from_hex(digits).unwrap(),
            SourceKind::Video,
            "hall.mp4",
            "/films/hall.mp4",
        )
    }
}
