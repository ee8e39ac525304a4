//! Bringing files and folders in.

use std::path::PathBuf;
use std::sync::Arc;

use crate::app::notes::Tone;
use crate::app::{App, Lane, Workspace, words};
use crate::jobs::{JobError, Work};
use crate::media::{self, ClassFrom, ImportOptions, MediaError};
use crate::project::{Label, Project, SourceId};

/// What adding files brought.
#[derive(Default)]
struct Added {
    videos: usize,
    photos: u64,
    known: usize,
    bad: Vec<String>,
    first: Option<SourceId>,
}

impl App {
    /// Brings files and folders in: videos become sources, photos are copied.
    pub(in crate::app) fn add_paths(&mut self, paths: Vec<PathBuf>) {
        let Some(session) = &self.session else {
            // A project's folder is opened; anything else needs a project first.
            if let [path] = paths.as_slice()
                && path.is_dir()
                && path.join("project.json").is_file()
            {
                self.open_project(path.clone(), Vec::new());
            } else {
                self.ask_new_project(paths);
            }
            return;
        };
        let class_from = session.import.class_rule.class_from();
        self.add_with(paths, class_from);
    }

    /// Brings files and folders in that all get this label.
    pub(in crate::app) fn add_paths_to(&mut self, paths: Vec<PathBuf>, label: Label) {
        self.add_with(
            paths,
            match label {
                Label::Class(class) => ClassFrom::Chosen(class),
                Label::Unsorted => ClassFrom::Nothing,
            },
        );
    }

    fn add_with(&mut self, paths: Vec<PathBuf>, class_from: ClassFrom) {
        let Some(session) = &self.session else {
            return;
        };
        if !session.can_change() {
            self.may_change();
            return;
        }
        let project = Arc::clone(&session.project);
        let options = ImportOptions {
            class_from,
            sampling: session.import.sampling,
        };
        self.workspace = Workspace::Import;
        self.tasks.start(
            Lane::Free,
            "Adding files",
            false,
            move |work| add(&project, &paths, &options, work),
            |app, result| {
                match result {
                    Ok(added) => app.say_added(added),
                    Err(JobError::Cancelled) => {}
                    Err(error) => {
                        app.fail(error.to_string());
                    }
                }
                app.refresh();
            },
        );
    }

    fn say_added(&mut self, added: Added) {
        if let (Some(session), Some(first)) = (&mut self.session, added.first) {
            session.import.added = (session.import.added.0 + 1, Some(first));
        }
        let mut parts = Vec::new();
        if added.videos > 0 {
            parts.push(words::count(added.videos as u64, "video", "videos"));
        }
        if added.photos > 0 {
            parts.push(words::count(added.photos, "photo", "photos"));
        }
        if !parts.is_empty() {
            self.notes
                .add(Tone::Done, format!("Added {}", parts.join(" and ")));
        } else if added.known > 0 {
            let text = if added.known == 1 {
                "That video is in the project already".to_owned()
            } else {
                format!("All {} videos are in the project already", added.known)
            };
            self.notes.add(Tone::Info, text);
        } else if added.bad.is_empty() {
            self.notes.add(
                Tone::Warning,
                "There are no videos or photos in what was added",
            );
        }
        match added.bad.len() {
            0 => {}
            1 => {
                for text in added.bad {
                    self.notes.add(Tone::Error, text);
                }
            }
            many => {
                self.notes
                    .add(Tone::Error, format!("{many} files could not be added"))
                    .details = added.bad;
            }
        }
    }
}

fn add(
    project: &Project,
    paths: &[PathBuf],
    options: &ImportOptions,
    work: &Work,
) -> Result<Added, MediaError> {
    work.stage("Looking for videos and photos", None);
    let files = media::gather(paths, work)?;
    let (photos, videos): (Vec<PathBuf>, Vec<PathBuf>) = files
        .into_iter()
        .partition(|path| media::Kind::of(path).is_ok_and(media::Kind::is_image));
    let mut added = Added::default();
    let mut known: Vec<SourceId> = project.sources().into_iter().map(|s| s.id).collect();
    work.stage("Adding videos", Some(videos.len() as u64));
    for path in videos {
        work.check()?;
        work.detail(
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
        );
        match SourceId::of_file(&path) {
            Ok(id) if known.contains(&id) => added.known += 1,
            Ok(_) => match media::add_video(project, &path, options) {
                Ok(source) => {
                    added.first.get_or_insert_with(|| source.id.clone());
                    known.push(source.id);
                    added.videos += 1;
                }
                Err(MediaError::Cancelled(cancelled)) => return Err(cancelled.into()),
                Err(error) => added.bad.push(error.to_string()),
            },
            Err(error) => added.bad.push(error.to_string()),
        }
        work.advance(1);
    }
    if !photos.is_empty() {
        let outcome = media::import(project, &photos, options, work)?;
        added.photos = outcome.frames;
        added.bad.extend(work.take_warnings());
    }
    Ok(added)
}
