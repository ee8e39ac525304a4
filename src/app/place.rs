//! What there is where a new project is to be made, found out in the background while its name is being typed.

use std::path::{Path, PathBuf};

use super::{Action, App, Lane};
use crate::jobs::Cancelled;
use crate::project::{Project, ProjectError};

/// Whether a project can be made in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Site {
    /// It can.
    Free,
    /// There is a project already.
    Project,
    /// It cannot, for the reason that the sentence says.
    Refused(String),
}

/// The folder that was asked about last, and what was found there.
#[derive(Debug, Default)]
pub struct Place {
    asked: Option<PathBuf>,
    found: Option<Site>,
}

impl Place {
    /// What there is at `root`; `None` while that is not known.
    #[must_use]
    pub fn site(&self, root: &Path) -> Option<&Site> {
        (self.asked.as_deref() == Some(root))
            .then_some(self.found.as_ref())
            .flatten()
    }

    /// The action that asks about `root`; `None` when it has been asked about already.
    #[must_use]
    pub fn ask(&self, root: &Path) -> Option<Action> {
        (self.asked.as_deref() != Some(root)).then(|| Action::LookAt(root.to_owned()))
    }

    /// Forgets what was found: it may have changed since.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl App {
    /// Finds out what there is at `root`.
    pub(super) fn look_at(&mut self, root: PathBuf) {
        self.place = Place {
            asked: Some(root.clone()),
            found: None,
        };
        self.tasks.start_for_window(
            Lane::Free,
            "Looking at the folder",
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

fn site(root: &Path) -> Site {
    match Project::check_new(root) {
        Ok(()) => Site::Free,
        Err(ProjectError::AlreadyAProject { .. }) => Site::Project,
        Err(error) => Site::Refused(error.to_string()),
    }
}
