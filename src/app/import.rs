//! The import workspace's state, and bringing videos and photos in.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::notes::Tone;
use super::tasks::TaskId;
use super::{Action, App, Command, Lane, Session, Workspace, words};
use crate::jobs::{JobError, Work};
use crate::media::{self, ClassFrom, ImportOptions, MediaError};
use crate::project::{Change, ClassName, Label, Project, Sampling, Source, SourceId, SourceKind};

/// Where the class of a new video comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassRule {
    /// The folder it lies in.
    #[default]
    Folder,
    /// Its file name.
    File,
    /// This class.
    Chosen(ClassName),
    /// None; its frames are sorted by hand.
    Unsorted,
}

impl ClassRule {
    fn class_from(&self) -> ClassFrom {
        match self {
            Self::Folder => ClassFrom::Folder,
            Self::File => ClassFrom::File,
            Self::Chosen(name) => ClassFrom::Chosen(name.clone()),
            Self::Unsorted => ClassFrom::Nothing,
        }
    }
}

/// The state of the import workspace.
#[derive(Debug, Default)]
pub struct ImportState {
    /// How videos are sampled.
    pub sampling: Sampling,
    /// Where the class of a new video comes from.
    pub class_rule: ClassRule,
    /// The sources whose frames are being written or wait for it.
    pub extracting: HashMap<SourceId, TaskId>,
    /// The first of the sources that were added last, and how many times sources were added.
    pub added: (u64, Option<SourceId>),
    /// What is being extracted as a whole.
    pub batch: Option<Batch>,
    /// Settings changed at this moment and are not written yet.
    unsaved: Option<Instant>,
}

/// Extractions that were asked for while others were under way; counted as one.
#[derive(Debug, Clone)]
pub struct Batch {
    /// When the first of them began.
    pub since: Instant,
    /// All sources.
    pub sources: usize,
    /// Sources that are through.
    pub sources_done: usize,
    /// Frames expected from all of them.
    pub frames: u64,
    /// Frames expected from those that are through.
    pub frames_done: u64,
}

const SAMPLING: &str = "sampling";
const CLASS_RULE: &str = "class_of_new_sources";
/// Settings are written when they have been left alone for so long.
const SETTLE: Duration = Duration::from_millis(600);

impl ImportState {
    /// Ends the batch when nothing of it is left.
    pub(super) fn settle_batch(&mut self) {
        if self.extracting.is_empty() {
            self.batch = None;
        }
    }

    pub(super) fn load(project: &Project) -> Self {
        Self {
            sampling: project.setting(SAMPLING),
            class_rule: project.setting(CLASS_RULE),
            extracting: HashMap::new(),
            added: (0, None),
            batch: None,
            unsaved: None,
        }
    }
}

/// What a person does in the import workspace.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportAction {
    /// Brings files and folders in.
    Add(Vec<PathBuf>),
    /// Samples in another way.
    SetSampling(Sampling),
    /// Takes the class of new videos from elsewhere.
    SetClassRule(ClassRule),
    /// Gives a source a class; its frames move along.
    SetClass(SourceId, Option<ClassName>),
    /// Makes a class and gives it to a source.
    SetNewClass(SourceId, String),
    /// Writes the frames of these sources.
    Extract(Vec<SourceId>),
    /// Ends the writing of a source's frames.
    CancelExtract(SourceId),
    /// Forgets a source; with `true` its frames go to the trash.
    Remove(SourceId, bool),
    /// A source's file is here now.
    Locate(SourceId, PathBuf),
    /// Shows the frames of a source in the label workspace.
    ShowFrames(SourceId),
}

/// What adding files brought.
#[derive(Default)]
struct Added {
    videos: usize,
    photos: u64,
    known: usize,
    bad: Vec<String>,
    first: Option<SourceId>,
}

impl Session {
    /// Whether there are videos whose frames have not been written.
    #[must_use]
    pub fn has_unextracted(&self) -> bool {
        self.sources
            .iter()
            .any(|source| self.is_unextracted(source))
    }

    /// Whether the frames of `source` have not been written and are not being written.
    #[must_use]
    pub fn is_unextracted(&self, source: &Source) -> bool {
        source.kind == SourceKind::Video
            && source.extracted.is_none()
            && !self.import.extracting.contains_key(&source.id)
    }
}

impl App {
    pub(super) fn apply_import(&mut self, action: ImportAction) {
        match action {
            ImportAction::Add(paths) => self.add_paths(paths),
            ImportAction::SetSampling(sampling) => {
                if let Some(session) = &mut self.session {
                    session.import.sampling = sampling;
                    session.import.unsaved = Some(Instant::now());
                    self.ctx.request_repaint_after(SETTLE);
                }
            }
            ImportAction::SetClassRule(rule) => {
                if let Some(session) = &mut self.session {
                    session.import.class_rule = rule;
                    session.import.unsaved = Some(Instant::now());
                    self.ctx.request_repaint_after(SETTLE);
                }
            }
            ImportAction::SetClass(id, class) => self.set_source_class(&id, class),
            ImportAction::SetNewClass(id, name) => match ClassName::new(name.trim()) {
                Ok(name) => {
                    let known = self
                        .session
                        .as_ref()
                        .is_some_and(|session| session.class(&name).is_some());
                    if !known {
                        self.edit(Change::CreateClass { name: name.clone() });
                    }
                    self.set_source_class(&id, Some(name));
                }
                Err(error) => {
                    self.fail(error.to_string());
                }
            },
            ImportAction::Extract(ids) => {
                for id in ids {
                    self.extract(id);
                }
            }
            ImportAction::CancelExtract(id) => {
                if let Some(session) = &mut self.session
                    && let Some(task) = session.import.extracting.get(&id).copied()
                {
                    self.tasks.cancel(task);
                    // A task that only waited never ends by itself.
                    if !self.tasks.is_alive(task) {
                        session.import.extracting.remove(&id);
                        session.import.settle_batch();
                    }
                }
            }
            ImportAction::Remove(id, trash) => self.remove_source(id, trash),
            ImportAction::Locate(id, path) => self.locate(id, path),
            ImportAction::ShowFrames(id) => {
                self.workspace = Workspace::Label;
                if let Some(session) = &mut self.session {
                    session.label.show = super::label::Show::All;
                    session.label.source = Some(id);
                    session.rebuild_shown();
                }
            }
        }
    }

    /// Writes changed settings once they have settled.
    pub(super) fn save_import_settings(&mut self, at_once: bool) {
        let Some(session) = &mut self.session else {
            return;
        };
        let Some(since) = session.import.unsaved else {
            return;
        };
        if !at_once && since.elapsed() < SETTLE {
            self.ctx.request_repaint_after(SETTLE);
            return;
        }
        session.import.unsaved = None;
        let project = Arc::clone(&session.project);
        let (sampling, rule) = (session.import.sampling, session.import.class_rule.clone());
        self.tasks.start(
            Lane::Edit,
            "Saving settings",
            true,
            move |_| {
                project.set_setting(SAMPLING, &sampling)?;
                project.set_setting(CLASS_RULE, &rule)
            },
            |app, result| {
                if let Err(error @ (JobError::Failed(_) | JobError::Panicked(_))) = result {
                    app.fail(error.to_string());
                }
            },
        );
    }

    /// Brings files and folders in: videos become sources, photos are copied.
    pub(super) fn add_paths(&mut self, paths: Vec<PathBuf>) {
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
        let project = Arc::clone(&session.project);
        let options = ImportOptions {
            class_from: session.import.class_rule.class_from(),
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

    fn extract(&mut self, id: SourceId) {
        self.save_import_settings(true);
        let Some(session) = &mut self.session else {
            return;
        };
        let Some(source) = session.source(&id).cloned() else {
            return;
        };
        if source.kind != SourceKind::Video || session.import.extracting.contains_key(&id) {
            return;
        }
        let project = Arc::clone(&session.project);
        let sampling = session.import.sampling;
        let of = id.clone();
        let expected = super::expected_frames(source.duration_secs, &sampling).unwrap_or(0);
        let batch = session.import.batch.get_or_insert_with(|| Batch {
            since: Instant::now(),
            sources: 0,
            sources_done: 0,
            frames: 0,
            frames_done: 0,
        });
        batch.sources += 1;
        batch.frames += expected;
        let task = self.tasks.start(
            Lane::Extract,
            "Extracting frames",
            false,
            move |work| extract(&project, source, sampling, work),
            move |app, result| app.extracted(&of, expected, result),
        );
        if let Some(session) = &mut self.session {
            session.import.extracting.insert(id, task);
        }
    }

    fn extracted(&mut self, id: &SourceId, expected: u64, result: Result<u64, JobError>) {
        let Some(session) = &mut self.session else {
            return;
        };
        session.import.extracting.remove(id);
        let left = session.import.extracting.len();
        // Known at once; the project is read again below.
        let sampling = session.import.sampling;
        let before = session.snapshot.counts.source(id) as u64;
        if let Ok(written) = &result
            && let Some(source) = session.sources.iter_mut().find(|source| source.id == *id)
        {
            source.extracted = Some(before + written);
            source.sampling = sampling;
        }
        let mut through = 0;
        if let Some(batch) = &mut session.import.batch {
            batch.sources_done += 1;
            batch.frames_done += expected;
            through = batch.sources_done;
        }
        session.import.settle_batch();
        match result {
            Ok(_) if left == 0 => {
                let videos = words::count(through as u64, "video", "videos");
                let text = format!("Frames extracted from {videos}");
                let note = self.notes.add(Tone::Done, text);
                note.remedy = Some(("Label them".to_owned(), Action::Command(Command::GoLabel)));
            }
            Ok(_) | Err(JobError::Cancelled) => {}
            Err(error) => {
                self.fail(error.to_string());
            }
        }
        self.refresh();
    }

    fn set_source_class(&mut self, id: &SourceId, class: Option<ClassName>) {
        let Some(session) = &mut self.session else {
            return;
        };
        let Some(source) = session.sources.iter_mut().find(|source| source.id == *id) else {
            return;
        };
        if source.class == class {
            return;
        }
        let old = source.class.clone().map_or(Label::Unsorted, Label::Class);
        let new = class.clone().map_or(Label::Unsorted, Label::Class);
        source.class = class;
        let changed = source.clone();
        // The frames that were given the old class go along; those labelled by hand stay.
        let frames: Vec<String> = session
            .snapshot
            .frames
            .list
            .iter()
            .filter(|frame| frame.source.as_ref() == Some(id) && frame.label == old)
            .map(|frame| frame.path.clone())
            .collect();
        let project = Arc::clone(&session.project);
        self.tasks.start(
            Lane::Edit,
            "Changing the class of a video",
            true,
            move |_| project.put_source(changed),
            |app, result| {
                if let Err(error) = result {
                    app.fail(error.to_string());
                }
                app.refresh();
            },
        );
        if !frames.is_empty() {
            self.edit(Change::Relabel { frames, to: new });
        }
    }

    fn remove_source(&mut self, id: SourceId, trash: bool) {
        self.apply_import(ImportAction::CancelExtract(id.clone()));
        let Some(session) = &mut self.session else {
            return;
        };
        session.sources.retain(|source| source.id != id);
        let frames: Vec<String> = session
            .snapshot
            .frames
            .list
            .iter()
            .filter(|frame| frame.source.as_ref() == Some(&id))
            .map(|frame| frame.path.clone())
            .collect();
        let project = Arc::clone(&session.project);
        if trash && !frames.is_empty() {
            self.edit(Change::Trash { frames });
        }
        self.tasks.start(
            Lane::Edit,
            "Removing a source",
            true,
            move |_| project.remove_source(&id),
            |app, result| {
                if let Err(error) = result {
                    app.fail(error.to_string());
                }
                app.refresh();
            },
        );
    }

    /// A source's file was moved and found again.
    fn locate(&mut self, id: SourceId, path: PathBuf) {
        let Some(session) = &self.session else {
            return;
        };
        let Some(mut source) = session.source(&id).cloned() else {
            return;
        };
        session.previews.forget(&source.path);
        session.previews.forget(&path);
        let project = Arc::clone(&session.project);
        self.tasks.start(
            Lane::Edit,
            "Looking at the file",
            false,
            move |_| {
                if SourceId::of_file(&path)? != id {
                    return Ok(false);
                }
                source.path = path;
                project.put_source(source).map(|()| true)
            },
            |app, result| {
                match result {
                    Ok(true) | Err(JobError::Cancelled) => {}
                    Ok(false) => {
                        app.fail("That is another video. Add it as a new one instead");
                    }
                    Err(error) => {
                        app.fail(error.to_string());
                    }
                }
                app.refresh();
            },
        );
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
        .partition(|path| media::is_image_name(path));
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

fn extract(
    project: &Project,
    mut source: Source,
    sampling: Sampling,
    work: &Work,
) -> Result<u64, MediaError> {
    let id = source.id.clone();
    if source.sampling != sampling {
        source.sampling = sampling;
        source.extracted = None;
        project.put_source(source)?;
    }
    media::extract(project, &id, work)
}
