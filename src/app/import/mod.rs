//! The import workspace's state, and the actions of the user there.

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
pub use extract::{AgainOptions, Batch};
pub use hours::Hours;
pub use previews::{Previews, STRIP_FRAMES, Strip, expected_frames};
pub use select::Bulk;

/// Where the class of a new video comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassRule {
    /// The name of its folder.
    #[default]
    Folder,
    /// Its file name.
    File,
    /// This class.
    Chosen(ClassName),
    /// None; its frames are labelled by hand.
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
    /// The sources that are being extracted or are waiting for it.
    pub extracting: HashMap<SourceId, TaskId>,
    /// The number of additions of sources, and the first source of the last one.
    pub added: (u64, Option<SourceId>),
    /// The extractions in progress, as a whole.
    pub batch: Option<Batch>,
    /// The selected sources, and the start of a range selection.
    pub selected: HashSet<SourceId>,
    anchor: Option<SourceId>,
    /// The result of the last import for each file.
    pub outcome: Option<Arc<ImportOutcome>>,
    /// A distinct name for each of these files.
    pub names: Arc<Vec<String>>,
    /// The options of the planned import that the dialog asks about.
    planned: Option<ImportOptions>,
    /// When the settings were changed, if they are not saved yet.
    unsaved: Option<Instant>,
}

const SAMPLING: &str = "sampling";
const CLASS_RULE: &str = "class_of_new_sources";
/// Settings are saved after this time without a change.
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

/// The chosen sampling; until one is chosen, that of the newest video, so that a project that was begun on the command
/// line continues with its settings.
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

/// An action of the user in the import workspace.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportAction {
    /// Imports files and folders.
    Add(Vec<PathBuf>),
    /// Merges folders of parts from other computers; with `true` even if the disk seems to have too little space.
    Merge(Vec<PathBuf>, bool),
    /// Imports as planned, with the user's answers.
    Planned {
        /// The plan.
        plan: Box<ImportPlan>,
        /// Whether a split in the files' folders is kept.
        keep_split: bool,
    },
    /// Moves files that the last import found under another class to the requested class.
    MoveConflicts,
    /// Shows the folder of a file in the file manager.
    ShowFile(PathBuf),
    /// Sets the sampling.
    SetSampling(Sampling),
    /// Sets where the class of new videos comes from.
    SetClassRule(ClassRule),
    /// Gives sources a class; their frames are moved.
    SetClasses(Vec<SourceId>, Option<ClassName>),
    /// Creates a class and gives it to sources.
    SetNewClass(Vec<SourceId>, String),
    /// Selects cards.
    Select(Bulk),
    /// Opens the video of a source again after it crashed its decoder.
    TryAgain(SourceId),
    /// Extracts the frames of these sources; asks first about those that have some.
    Extract(Vec<SourceId>),
    /// Extracts sources that have frames again; asks first if there are very many.
    ExtractAgain(Vec<SourceId>, AgainOptions),
    /// Extracts sources, however many frames they have.
    ExtractMuch(Vec<SourceId>, Option<AgainOptions>),
    /// Gives new frames the label of their neighbours.
    LikeNeighbours(Change),
    /// Cancels the extraction of a source.
    CancelExtract(SourceId),
    /// Removes sources; with `true` their frames are moved to the trash.
    Remove(Vec<SourceId>, bool),
    /// Sets the new place of a source's file.
    Locate(SourceId, PathBuf),
    /// Shows the frames of a source in the label workspace.
    ShowFrames(SourceId),
    /// Opens the workspace and shows the card of a source.
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
                    // A cancelled task that was only waiting never ends by itself.
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

    /// Saves changed settings after a pause, or at once.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use serde_json::json;

    use super::*;
    use crate::project::Fps;

    #[test]
    fn a_setting_of_an_import_that_cannot_be_used_is_left_out_alone_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(&dir.path().join("p"), "p").unwrap();
        let stored = json!({ "fps": -1.0, "width_px": 320, "jpeg_quality": "good" });
        project.set_setting(SAMPLING, &stored).unwrap();
        let found = sampling(&project);
        let expected = Sampling {
            width_px: Some(320),
            ..Sampling::default()
        };
        assert_eq!(found, expected);
        let notices = project.take_notices();
        assert_eq!(notices.len(), 1);
        for name in ["“sampling.fps”", "“sampling.jpeg_quality”"] {
            assert!(notices[0].contains(name), "{notices:?}");
        }
        assert!(!notices[0].contains("width_px"), "{notices:?}");

        // Each number is possible, and both together are not.
        let stored = json!({ "fps": 5.0, "from_secs": 9.0, "to_secs": 3.0 });
        project.set_setting(SAMPLING, &stored).unwrap();
        let found = sampling(&project);
        assert_eq!((found.fps, found.from_secs), (Fps(5.0), Some(9.0)));
        assert_eq!(found.to_secs, None);
        assert_eq!(project.take_notices().len(), 1);
    }
}
