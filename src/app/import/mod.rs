//! The import workspace's state and what a person does there.

mod add;
mod adopt;
mod ask;
mod extract;
mod hours;
mod merge;
mod names;
mod previews;
mod select;
mod source;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::tasks::TaskId;
use super::{App, LabelAction, Lane, Show, Workspace};
use crate::jobs::JobError;
use crate::media::{ClassFrom, ImportOptions, ImportOutcome, ImportPlan};
use crate::project::{Change, ClassName, Project, Sampling, SourceId, SourceKind};

pub use ask::{FateFilter, PlanAnswer};
pub use extract::{Again, Batch};
pub use hours::Hours;
pub use previews::{Previews, STRIP_FRAMES, Strip, expected_frames};
pub use select::Bulk;

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
    /// The selected sources, and where a range selection began.
    pub selected: HashSet<SourceId>,
    anchor: Option<SourceId>,
    /// What the last import made of each file.
    pub outcome: Option<Arc<ImportOutcome>>,
    /// A name for each of those files that tells it from the others.
    pub names: Arc<Vec<String>>,
    /// How the plan that is being asked about is to be carried out.
    planned: Option<ImportOptions>,
    /// Settings changed at this moment and are not written yet.
    unsaved: Option<Instant>,
}

const SAMPLING: &str = "sampling";
const CLASS_RULE: &str = "class_of_new_sources";
/// Settings are written when they have been left alone for so long.
const SETTLE: Duration = Duration::from_millis(600);

impl ImportState {
    pub(super) fn load(project: &Project) -> Self {
        Self {
            sampling: sampling(project),
            class_rule: project.setting(CLASS_RULE),
            extracting: HashMap::new(),
            added: (0, None),
            batch: None,
            selected: HashSet::new(),
            anchor: None,
            outcome: None,
            names: Arc::default(),
            planned: None,
            unsaved: None,
        }
    }
}

/// The sampling that was chosen; until one is, that of the newest video, so that a project which was filled on the command
/// line continues as it was begun.
fn sampling(project: &Project) -> Sampling {
    let is_possible = |chosen: &Option<Sampling>| chosen.is_none_or(|of| of.fault().is_none());
    let chosen = project.settings(SAMPLING, is_possible);
    chosen.unwrap_or_else(|| {
        let sources = project.sources();
        let newest = sources
            .iter()
            .rfind(|source| source.kind == SourceKind::Video);
        newest.map_or_else(Sampling::default, |source| Sampling {
            from_secs: None,
            to_secs: None,
            ..source.sampling
        })
    })
}

/// What a person does in the import workspace.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportAction {
    /// Brings files and folders in.
    Add(Vec<PathBuf>),
    /// Merges folders of parts that other machines made; with `true` although the disk seems to have too little room.
    Merge(Vec<PathBuf>, bool),
    /// Imports as planned, with what was answered in it.
    Planned {
        /// The plan.
        plan: Box<ImportPlan>,
        /// Whether a split that the files are given with is kept.
        keep_split: bool,
    },
    /// Moves files that the last import left under another class to the class that it asked for.
    MoveConflicts,
    /// Shows the folder of a file in the file manager.
    ShowFile(PathBuf),
    /// Samples in another way.
    SetSampling(Sampling),
    /// Takes the class of new videos from elsewhere.
    SetClassRule(ClassRule),
    /// Gives sources a class; their frames move along.
    SetClasses(Vec<SourceId>, Option<ClassName>),
    /// Makes a class and gives it to sources.
    SetNewClass(Vec<SourceId>, String),
    /// Selects cards.
    Select(Bulk),
    /// Opens the video of a source again whose decoder did not survive it.
    TryAgain(SourceId),
    /// Writes the frames of these sources; asks first about those that have some.
    Extract(Vec<SourceId>),
    /// Writes the frames of sources that have some; asks first if that gives very many.
    ExtractAgain(Vec<SourceId>, Again),
    /// Writes the frames of sources, however many.
    ExtractMuch(Vec<SourceId>, Option<Again>),
    /// Gives new frames the class of their neighbours.
    LikeNeighbours(Change),
    /// Ends the writing of a source's frames.
    CancelExtract(SourceId),
    /// Forgets sources; with `true` their frames go to the trash.
    Remove(Vec<SourceId>, bool),
    /// A source's file is here now.
    Locate(SourceId, PathBuf),
    /// Shows the frames of a source in the label workspace.
    ShowFrames(SourceId),
    /// Goes to the workspace and to the card of a source.
    ShowCard(SourceId),
}

impl App {
    pub(super) fn apply_import(&mut self, action: ImportAction) {
        match action {
            ImportAction::Add(paths) => self.add_paths(paths),
            ImportAction::Merge(dirs, force) => self.merge_parts(dirs, force),
            ImportAction::Planned { plan, keep_split } => {
                let planned = self.session.as_mut().and_then(|s| s.import.planned.take());
                if let Some(mut options) = planned {
                    options.ignore_split = !keep_split;
                    self.import_planned(*plan, options);
                }
            }
            ImportAction::MoveConflicts => self.move_conflicts(),
            ImportAction::ShowFile(path) => {
                self.reveal(path.parent().map_or_else(|| path.clone(), PathBuf::from));
            }
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
            ImportAction::SetNewClass(ids, name) => match ClassName::new(name.trim()) {
                Ok(name) => {
                    let known = self
                        .session
                        .as_ref()
                        .is_some_and(|session| session.class(&name).is_some());
                    if !known {
                        self.edit(Change::CreateClass { name: name.clone() });
                    }
                    self.set_source_classes(&ids, Some(&name));
                }
                Err(error) => {
                    self.fail(error.to_string());
                }
            },
            ImportAction::TryAgain(id) => self.try_again(&id),
            ImportAction::Extract(ids) => self.extract_asking(ids),
            ImportAction::ExtractAgain(ids, how) => self.extract_or_ask(ids, Some(how)),
            ImportAction::ExtractMuch(ids, again) => {
                for id in ids {
                    self.extract(id, again);
                }
            }
            ImportAction::LikeNeighbours(change) => self.edit(change),
            ImportAction::Select(bulk) => self.select_sources(bulk),
            ImportAction::SetClasses(ids, class) => self.set_source_classes(&ids, class.as_ref()),
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
            ImportAction::Remove(ids, trash) => {
                for id in ids {
                    self.remove_source(id, trash);
                }
            }
            ImportAction::Locate(id, path) => self.locate(&id, path),
            ImportAction::ShowCard(id) => {
                self.workspace = Workspace::Import;
                if let Some(session) = &mut self.session {
                    session.import.selected = HashSet::from([id.clone()]);
                    session.import.added = (session.import.added.0 + 1, Some(id));
                }
            }
            ImportAction::ShowFrames(id) => {
                self.apply_label(LabelAction::Open(Show::All, Some(id)));
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
        if !session.can_change() {
            return;
        }
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
}
