//! The open project as shown by the window.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::edit::Edits;
use super::evaluate::EvaluateState;
use super::export::ExportState;
use super::export::PhoneTrial;
use super::import::ImportState;
use super::label::LabelState;
use super::notes::Tone;
use super::snapshot::Known;
use super::train::SweepState;
use super::train::TrainState;
use super::watch::Watch;
use super::{
    Action, App, HeatMaps, Images, Lane, NearestImages, Previews, Show, Snapshot, Workspace,
    presence,
};
use crate::backbone::{Backbone, open_own, own_of};
use crate::jobs::JobError;
use crate::media::MediaError;
use crate::project::{
    Access, Class, ClassName, Noun, Project, ProjectError, Source, SourceId, SourceKind,
    follow_link, linked_classes,
};
use crate::text::visible;

/// The open project.
pub struct Session {
    /// The project itself; shared with jobs.
    pub project: Arc<Project>,
    /// Its folder.
    pub root: PathBuf,
    /// Its name.
    pub name: String,
    /// Its classes, in the user's order.
    pub classes: Vec<Class>,
    /// Its sources, oldest first.
    pub sources: Vec<Source>,
    /// Its frames.
    pub snapshot: Snapshot,
    /// The frames in its trash.
    pub trash: Snapshot,
    /// Images of its frames.
    pub images: Images,
    /// Previews of its videos.
    pub previews: Previews,
    /// Heat maps of its images.
    pub heat: HeatMaps,
    /// The training images that are most similar to evaluated ones.
    pub nearest: NearestImages,
    /// The import workspace.
    pub import: ImportState,
    /// The label workspace.
    pub label: LabelState,
    /// The train workspace.
    pub train: TrainState,
    /// Sweeps.
    pub sweep: SweepState,
    /// The evaluate workspace.
    pub evaluate: EvaluateState,
    /// The export workspace.
    pub export: ExportState,
    /// The architectures that were added to it.
    pub architectures: Vec<&'static Backbone>,
    /// The model that is being tried on a phone.
    pub phone: Option<PhoneTrial>,
    /// Whether the project's folder is missing; the project comes back with it.
    pub missing: bool,
    pub(super) edits: Edits,
    pub(super) watch: Watch,
    /// Its folders have changed since they were read.
    pub(super) rescan_due: bool,
}

/// The result of opening a project, from its thread.
struct Opened {
    project: Project,
    snapshot: Snapshot,
    trash: Snapshot,
    architectures: Vec<&'static Backbone>,
}

impl Session {
    fn new(ctx: &egui::Context, opened: Opened) -> Self {
        let Opened {
            project,
            snapshot,
            trash,
            architectures,
        } = opened;
        let project = Arc::new(project);
        let mut session = Self {
            root: project.root().to_owned(),
            name: visible(&project.name()).into_owned(),
            classes: project.classes(),
            sources: sources_of(&project),
            snapshot,
            trash,
            images: Images::new(ctx, &project),
            previews: Previews::new(ctx, &project),
            heat: HeatMaps::new(ctx, &project),
            nearest: NearestImages::new(ctx, &project),
            import: ImportState::load(&project),
            label: LabelState::default(),
            train: TrainState::load(&project),
            sweep: SweepState::default(),
            evaluate: EvaluateState::default(),
            export: ExportState::default(),
            architectures,
            phone: None,
            missing: false,
            edits: Edits::default(),
            watch: presence::watch(ctx, project.root()),
            rescan_due: false,
            project,
        };
        session.rebuild_shown();
        session
    }

    /// A class by its name.
    #[must_use]
    pub fn class(&self, name: &ClassName) -> Option<&Class> {
        self.classes.iter().find(|class| class.name == *name)
    }

    /// A source by its id.
    #[must_use]
    pub fn source(&self, id: &SourceId) -> Option<&Source> {
        self.sources.iter().find(|source| source.id == *id)
    }

    /// The noun for the project's images: those in use, or those in the trash, or those that its sources will give.
    #[must_use]
    pub fn noun(&self) -> Noun {
        let photos = |source: &&Source| source.kind == SourceKind::Photos;
        if self.snapshot.counts.total() > 0 {
            self.snapshot.counts.noun()
        } else if self.trash.counts.total() > 0 {
            self.trash.counts.noun()
        } else {
            match self.sources.iter().filter(photos).count() {
                0 if self.sources.is_empty() => Noun::Image,
                0 => Noun::Frame,
                count if count == self.sources.len() => Noun::Photo,
                _ => Noun::Image,
            }
        }
    }

    /// Updates the classes. An evaluation with a class that no longer exists (renamed, merged, deleted) is repeated.
    fn take_classes(&mut self, classes: Vec<Class>) {
        let has = |list: &[Class], name: &str| list.iter().any(|c| c.name.as_str() == name);
        let gone = self.evaluate.evaluation.as_ref().is_some_and(|evaluation| {
            let mut names = evaluation.classes.iter();
            names.any(|name| has(&self.classes, name) && !has(&classes, name))
        });
        self.classes = classes;
        if gone {
            self.evaluate.reset();
        }
    }

    /// Updates the content of the trash. Returns the previous one.
    fn replace_trash(&mut self, trash: Snapshot) -> Snapshot {
        let old = std::mem::replace(&mut self.trash, trash);
        if self.label.show == Show::Trash {
            self.rebuild_shown();
        }
        old
    }

    /// The workspace in which the next thing is to be done.
    #[must_use]
    pub fn next_step(&self) -> Workspace {
        if self.snapshot.counts.total() == 0 {
            Workspace::Import
        } else {
            Workspace::Label
        }
    }
}

/// Whether two paths are the same folder.
fn is_same(a: &Path, b: &Path) -> bool {
    a == b || std::fs::canonicalize(a).is_ok_and(|a| std::fs::canonicalize(b).is_ok_and(|b| a == b))
}

/// The sources, with their names (which come from files) made visible in one line.
fn sources_of(project: &Project) -> Vec<Source> {
    let mut sources = project.sources();
    for source in &mut sources {
        source.name = visible(&source.name).into_owned();
    }
    sources
}

fn read(project: Project, work: &crate::jobs::Work) -> Result<Opened, ProjectError> {
    let sources = project.sources();
    let snapshot = Snapshot::of(project.scan(work)?, &sources);
    let trash = Snapshot::of(project.scan_trash(work)?, &sources);
    for problem in open_own(project.root()) {
        work.warn(problem);
    }
    Ok(Opened {
        architectures: own_of(project.root()),
        project,
        snapshot,
        trash,
    })
}

/// Opens the project; if this window has just closed it, a cancelled job may still hold it for a moment.
fn open_when_free(root: &Path, work: &crate::jobs::Work) -> Result<Project, ProjectError> {
    const TRIES: u32 = 20;
    for _ in 0..TRIES {
        match Project::open(root) {
            Err(ProjectError::Locked { .. }) => {
                work.check()?;
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            opened => return opened,
        }
    }
    Project::open(root)
}

impl App {
    /// Opens a project, then adds `files` to it.
    pub(super) fn open_project(&mut self, root: PathBuf, files: Vec<PathBuf>) {
        // A project that is missing or read-only may be opened once more.
        let shown = self
            .session
            .as_ref()
            .filter(|session| !session.missing && session.project.access() == Access::Full)
            .map(|session| session.root.clone());
        self.start_opening(root.clone(), files, move |work| {
            // Its own lock would prevent opening it a second time.
            if shown.is_some_and(|shown| is_same(&shown, &root)) {
                return Ok(None);
            }
            read(open_when_free(&root, work)?, work).map(Some)
        });
    }

    /// Opens a project that is open in another process.
    pub(super) fn open_read_only(&mut self, root: PathBuf) {
        self.start_opening(root.clone(), Vec::new(), move |work| {
            read(Project::open_for_reading(&root)?, work).map(Some)
        });
    }

    /// Opens a project and follows its class folders that are links, now and in future.
    pub(super) fn follow_links(&mut self, root: PathBuf) {
        self.prefs.follow(&root, linked_classes(&root));
        self.save_prefs();
        self.open_project(root, Vec::new());
    }

    /// Allows the videos of the project to be opened, now and in future.
    pub(super) fn open_videos(&mut self) {
        if let Some(session) = &self.session {
            session.previews.allow();
            self.prefs.learn(&session.root);
            self.save_prefs();
        }
    }

    /// Creates a project and opens it, then adds `files` to it.
    pub(super) fn create_project(&mut self, root: PathBuf, name: String, files: Vec<PathBuf>) {
        self.prefs.learn(&root);
        self.start_opening(root.clone(), files, move |work| {
            let project = Project::create(&root, &name)?;
            // Existing class folders are adopted with their frames.
            let frames = project.scan(work)?;
            let snapshot = Snapshot::of(frames, &project.sources());
            Ok(Some(Opened {
                project,
                snapshot,
                trash: Snapshot::default(),
                architectures: Vec::new(),
            }))
        });
    }

    /// Runs `f` and shows the project that it opens. The current project stays open until then, so that one that
    /// cannot be opened closes nothing; `None` means the project is the current one.
    fn start_opening(
        &mut self,
        root: PathBuf,
        files: Vec<PathBuf>,
        f: impl FnOnce(&crate::jobs::Work) -> Result<Option<Opened>, ProjectError> + Send + 'static,
    ) {
        if self.opening {
            return;
        }
        self.opening = true;
        for link in self.prefs.followed_in(&root) {
            if let Err(error) = follow_link(&root, link) {
                log::warn!("{error}");
            }
        }
        self.return_to = None;
        self.tasks.start_for_window(
            Lane::Edit,
            "Opening the project",
            false,
            move |work| match f(work) {
                Err(error @ (ProjectError::Locked { .. } | ProjectError::LinkedClass { .. })) => {
                    Ok(Err(error))
                }
                other => other.map(Ok),
            },
            move |app, result| {
                app.opening = false;
                match result {
                    Ok(Ok(Some(opened))) => {
                        app.close_project();
                        app.opened(opened, files);
                    }
                    Ok(Ok(None)) if files.is_empty() => {
                        app.notes.add(Tone::Info, "This project is already open");
                    }
                    Ok(Ok(None)) => app.add_paths(files),
                    Ok(Err(error)) => {
                        let remedy = if matches!(error, ProjectError::LinkedClass { .. }) {
                            ("Read linked folders".to_owned(), Action::FollowLinks(root))
                        } else {
                            ("Open read-only".to_owned(), Action::OpenReadOnly(root))
                        };
                        app.fail(error.to_string()).remedy = Some(remedy);
                    }
                    Err(JobError::Cancelled) => {}
                    Err(error) => {
                        let text = error.to_string();
                        app.fail(text);
                        if !root.exists() {
                            log::info!("“{}” no longer exists", root.display());
                        }
                    }
                }
            },
        );
    }

    fn opened(&mut self, opened: Opened, files: Vec<PathBuf>) {
        let session = Session::new(&self.ctx, opened);
        for notice in session.project.take_notices() {
            self.notes.add(Tone::Warning, notice);
        }
        let step = session.next_step();
        self.workspace = self.return_to.take().unwrap_or(step);
        // Before it is added to the recent ones. What is added to a project without sources is the user's own.
        if session.sources.is_empty() {
            self.prefs.learn(&session.root);
        }
        if self.prefs.knows(&session.root) {
            session.previews.allow();
        }
        self.prefs.remember(&session.root);
        self.recent_present.insert(session.root.clone());
        self.session = Some(session);
        self.tasks.project_opened();
        self.save_prefs();
        self.check_recent();
        self.load_runs();
        if !files.is_empty() {
            self.add_paths(files);
        }
    }

    /// Closes the project and cancels its tasks.
    pub(super) fn close_project(&mut self) {
        if self.session.take().is_some() {
            self.tasks.project_closed();
            self.refreshing = false;
            self.refresh_again = false;
            self.adding = None;
            self.workspace = Workspace::Import;
            self.dialog = None;
            self.check_recent();
        }
    }

    /// Reads classes, sources and folders again, in the background.
    pub(super) fn refresh(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        if session.missing {
            return;
        }
        session.rescan_due = false;
        if self.refreshing {
            self.refresh_again = true;
            return;
        }
        self.refreshing = true;
        self.scans += 1;
        let started = Instant::now();
        let project = Arc::clone(&session.project);
        let known = Known::of(&session.snapshot);
        let known_trash = Known::of(&session.trash);
        self.tasks.start(
            Lane::Free,
            "Reading the folders",
            true,
            move |work| {
                let frames = project.scan(work)?;
                let sources = sources_of(&project);
                let snapshot = Snapshot::of(frames, &sources);
                let found = if known.looks_like(&snapshot) {
                    Err(known)
                } else {
                    Ok(snapshot)
                };
                let trash = Snapshot::of(project.scan_trash(work)?, &sources);
                let trash = (!known_trash.looks_like(&trash)).then_some(trash);
                Ok::<_, ProjectError>((project.classes(), sources, found, trash))
            },
            move |app, result| {
                app.refreshing = false;
                app.rest_after(started.elapsed());
                let mut again = std::mem::take(&mut app.refresh_again);
                match result {
                    Ok((classes, sources, found, trash)) => {
                        // While changes are being made, the scan may be from before them.
                        let stale = again || app.tasks.is_busy(Lane::Edit);
                        if let Some(session) = &mut app.session {
                            let names = |of: &[Class]| -> Vec<_> {
                                of.iter()
                                    .map(|class| (class.id, class.name.clone()))
                                    .collect()
                            };
                            if names(&session.classes) != names(&classes) {
                                // Runs follow their classes: the measurements have the old names.
                                session.evaluate.reset();
                            }
                            session.take_classes(classes);
                            session.sources = sources;
                            let trash = trash.filter(|_| !stale);
                            let old = trash.map(|trash| session.replace_trash(trash));
                            match found {
                                _ if stale => {}
                                Err(known) if known.is(&session.snapshot) => {}
                                // The check was made for an earlier state.
                                Err(_) => again = true,
                                Ok(snapshot) => {
                                    let old = std::mem::replace(&mut session.snapshot, snapshot);
                                    session.rebuild_shown();
                                    app.tidy(old);
                                }
                            }
                            app.tidy(old);
                        }
                    }
                    Err(JobError::Cancelled) => {}
                    Err(error) => {
                        app.fail(error.to_string());
                    }
                }
                if again {
                    app.refresh();
                }
            },
        );
    }

    /// Checks which recent projects still exist, in the background.
    pub(super) fn check_recent(&mut self) {
        let recent = self.prefs.recent.clone();
        let task = self.tasks.start_as(
            Lane::Free,
            "Looking for recent projects",
            true,
            move |_| {
                Ok::<_, MediaError>(
                    recent
                        .into_iter()
                        .filter(|root| root.join("project.json").is_file())
                        .collect(),
                )
            },
            |app, task, result| {
                if let Ok(present) = result
                    && app.recent_check == Some(task)
                {
                    app.recent_present = present;
                }
            },
        );
        self.recent_check = Some(task);
    }
}
