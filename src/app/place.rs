//! Checks the folder for a new project in the background while its name is being typed.

use std::path::{Path, PathBuf};

use super::{Action, App, Lane};
use crate::jobs::Cancelled;
use crate::project::{Project, ProjectError};

/// Whether a project can be created in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectSite {
    /// It can.
    Free,
    /// It already has a project.
    Project,
    /// It cannot, with a sentence that says why.
    Refused(String),
}

/// The last folder, and the result of its check.
#[derive(Debug, Default)]
pub struct Place {
    asked: Option<PathBuf>,
    found: Option<ProjectSite>,
}

impl Place {
    /// The result for `root`; `None` while it is unknown.
    #[must_use]
    pub fn site(&self, root: &Path) -> Option<&ProjectSite> {
        (self.asked.as_deref() == Some(root))
            .then_some(self.found.as_ref())
            .flatten()
    }

    /// The action that checks `root`; `None` if that was already requested.
    #[must_use]
    pub fn ask(&self, root: &Path) -> Option<Action> {
        (self.asked.as_deref() != Some(root)).then(|| Action::CheckPlace(root.to_owned()))
    }

    /// Drops the result: it may be outdated.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl App {
    /// Checks `root`.
    pub(super) fn check_place(&mut self, root: PathBuf) {
        self.place = Place {
            asked: Some(root.clone()),
            found: None,
        };
        self.tasks.start_for_window(
            Lane::Free,
            "Checking the folder",
            true,
            {
                let root = root.clone();
                move |_| Ok::<_, Cancelled>(site(&root))
            },
            move |app, result| {
                if let Ok(site) = result
                    && app.place.asked.as_ref() == Some(&root)
                {
                    app.place.found = Some(site);
                }
            },
        );
    }
}

fn site(root: &Path) -> ProjectSite {
    match Project::check_new(root) {
        Ok(()) => ProjectSite::Free,
        Err(ProjectError::AlreadyAProject { .. }) => ProjectSite::Project,
        Err(error) => ProjectSite::Refused(error.to_string()),
    }
}
