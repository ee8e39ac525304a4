//! The questions before an import, and after it.

use std::path::PathBuf;

use crate::app::{App, Dialog};
use crate::media::{Fate, ImportOptions, ImportPlan, OnConflict, PlanGroup, PlannedFile, Videos};
use crate::project::ClassName;

/// The class of individual files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PlanAnswer {
    /// None.
    #[default]
    Unsorted,
    /// This one.
    Class(ClassName),
    /// A new class of this name, which is being typed.
    New(String),
}

impl PlanAnswer {
    /// The class, if it is one.
    #[must_use]
    pub fn class(&self) -> Option<ClassName> {
        match self {
            Self::Unsorted => None,
            Self::Class(class) => Some(class.clone()),
            Self::New(name) => ClassName::new(name.trim()).ok(),
        }
    }
}

/// A filter for the files of an import's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FateFilter {
    /// Those that were imported.
    Imported,
    /// Those that were already in the project.
    Known,
    /// Those that were skipped.
    PassedOver,
    /// Those that could not be imported.
    Failed,
}

impl FateFilter {
    /// Whether files with this result are shown.
    #[must_use]
    pub fn takes(self, fate: &Fate) -> bool {
        match fate {
            Fate::Imported { .. } => self == Self::Imported,
            Fate::Known(_) => self == Self::Known,
            Fate::PassedOver(_) => self == Self::PassedOver,
            Fate::Failed(_) => self == Self::Failed,
        }
    }
}

/// Whether the user must answer a question: the class of individual files, or whether to keep a split.
pub(super) fn asks(plan: &ImportPlan) -> bool {
    plan.asks_for_class() || plan.gives_split()
}

impl App {
    /// Shows what an import would do, and asks.
    pub(super) fn ask_about_plan(&mut self, plan: ImportPlan, options: ImportOptions) {
        if let Some(session) = &mut self.session {
            session.import.planned = Some(options);
            self.dialog = Some(Dialog::ImportPlan {
                plan: Box::new(plan),
                answer: PlanAnswer::default(),
                keep_split: true,
            });
        }
    }

    /// Moves the files of the last import that were already in the project under another class to the requested class.
    pub(super) fn move_conflicts(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        let Some(outcome) = session.import.outcome.clone() else {
            return;
        };
        let mut groups: Vec<PlanGroup> = Vec::new();
        for file in &outcome.files {
            let asked = match &file.fate {
                Fate::Known(known) if known.is_conflict() => known.asked.clone(),
                Fate::Imported { asked, moved, .. } if !moved => asked.clone(),
                _ => None,
            };
            let Some(class) = asked else {
                continue;
            };
            let Some(kind) = file.kind else {
                continue;
            };
            let planned = PlannedFile {
                path: file.path.clone(),
                kind,
            };
            match groups
                .iter_mut()
                .find(|group| group.class.as_ref() == Some(&class))
            {
                Some(group) => group.files.push(planned),
                None => groups.push(PlanGroup {
                    folder: file.path.parent().map(PathBuf::from).unwrap_or_default(),
                    class: Some(class),
                    refused: None,
                    by_themselves: false,
                    side: None,
                    files: vec![planned],
                    more_to_come: false,
                }),
            }
        }
        let options = ImportOptions {
            sampling: session.import.sampling,
            videos: Videos::AddOnly,
            on_conflict: OnConflict::Move,
            ..ImportOptions::default()
        };
        let plan = ImportPlan {
            groups,
            ..ImportPlan::default()
        };
        self.import_planned(plan, options);
    }
}
