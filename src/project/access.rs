//! What may be done with an open project: everything, or looking only.

use std::path::{Path, PathBuf};

use crate::files::{self, FileError};

use super::document::{self, Document, Loaded};
use super::lock::ProjectLock;
use super::{Project, ProjectError};

/// What may be done with an open project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everything: this process holds the lock.
    Full,
    /// Looking, evaluating, exporting elsewhere: the disk or the folder cannot be written.
    ReadOnly,
    /// Looking, evaluating, exporting: another process may hold the lock and change things meanwhile.
    Shared,
}

/// Why a project that may only be looked at is not changed, and what to do.
pub(super) fn refusal(access: Access) -> &'static str {
    match access {
        Access::Full => "it was opened so",
        Access::ReadOnly => {
            "its disk or folder is read-only; change that and open it again, or work on a copy"
        }
        Access::Shared => "another Salamander may have it; close it there and open it again",
    }
}

/// How a project's folder could be taken.
pub(super) enum Taken {
    /// With the lock.
    Full(ProjectLock),
    /// It cannot be written.
    ReadOnly,
}

/// Takes the lock on the folder `root`, unless nothing can be written there.
pub(super) fn take(root: &Path) -> Result<Taken, ProjectError> {
    let lock = match ProjectLock::take(root) {
        Err(ProjectError::File(FileError { error, .. })) if files::is_refusal(&error) => {
            log::info!("“{}” is opened for reading: {error}", root.display());
            return Ok(Taken::ReadOnly);
        }
        // A copy without the file of the lock, on a disk where none can be made.
        Err(error) if error.is_full() => {
            log::warn!("“{}” is opened for reading: {error}", root.display());
            return Ok(Taken::ReadOnly);
        }
        other => other?,
    };
    if let Err(error) = files::is_writable(root) {
        log::info!("“{}” is opened for reading: {error}", root.display());
        return Ok(Taken::ReadOnly);
    }
    Ok(Taken::Full(lock))
}

impl Project {
    /// Opens the project in the folder `root` for looking: without the lock, so that another process may have it,
    /// and without writing anything. What changes the project fails with [`ProjectError::ReadOnly`]; evaluating, exporting
    /// and computing bottlenecks go. It shows the project as it was last saved; each scan reads it again.
    pub fn open_for_reading(root: &Path) -> Result<Self, ProjectError> {
        Self::read(super::links::confined(root)?, Access::Shared)
    }

    /// The same, to train on it: runs are made in the folder `runs`, which is there and lies outside of the project. Other processes may train on the
    /// project meanwhile.
    pub fn open_to_train(root: &Path, runs: &Path) -> Result<Self, ProjectError> {
        let mut project = Self::open_for_reading(root)?;
        project.runs = Some(runs.to_owned());
        Ok(project)
    }

    /// Opens the project in the folder `root`; for looking if another process has it.
    pub fn open_or_read(root: &Path) -> Result<Self, ProjectError> {
        match Self::open(root) {
            Err(ProjectError::Locked { .. }) => Self::open_for_reading(root),
            other => other,
        }
    }

    pub(super) fn read(root: PathBuf, access: Access) -> Result<Self, ProjectError> {
        let Loaded { document, notice } = document::load(&root)?;
        let notice = notice.map(|_| {
            "project.json is missing or damaged; the version before it is shown.".to_owned()
        });
        Ok(Self::with(root, document, access, None, notice))
    }

    /// What may be done with it.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// Says if the project may not be changed, or is not there. To be asked before anything is written in it.
    pub fn check_writable(&self) -> Result<(), ProjectError> {
        match self.access {
            Access::Full => self.check_there(),
            access => Err(ProjectError::ReadOnly {
                path: self.root().to_owned(),
                access,
            }),
        }
    }

    /// Says if no run can be made or changed. To be asked before anything is written in [`Project::runs_dir`].
    pub fn check_runs_writable(&self) -> Result<(), ProjectError> {
        match &self.runs {
            Some(_) => self.check_there(),
            None => self.check_writable(),
        }
    }

    /// Whether runs are made outside of the project, by [`Project::open_to_train`].
    #[must_use]
    pub fn trains_elsewhere(&self) -> bool {
        self.runs.is_some()
    }

    /// Makes [`Project::runs_dir`], unless it is there.
    pub fn make_runs_dir(&self) -> Result<(), ProjectError> {
        match &self.runs {
            Some(_) => self.check_there(),
            None => self.make_dir(&self.runs_dir()),
        }
    }

    /// Whether the folder that is there now is the one that was opened: another may lie in its place, or the same on a
    /// drive that was plugged in again, where this process holds no lock.
    #[must_use]
    pub fn is_the_one_opened(&self) -> bool {
        self.lock().is_none_or(|lock| lock.is_of(self.root()))
    }

    /// Brings what is remembered of the project in line with its folders. Where that cannot be saved it holds for this
    /// process: the folders are the truth, and the next one reads them again. Returns what kept it from being saved.
    pub(super) fn follow<R>(
        &self,
        change: impl FnOnce(&mut Document) -> R,
    ) -> Result<(R, Option<ProjectError>), ProjectError> {
        let _saving = self.begin_saving();
        let before = if self.access == Access::Full {
            self.document().clone()
        } else {
            // Whoever has it may have changed it.
            document::load(self.root())?.document
        };
        let mut next = before.clone();
        let result = change(&mut next);
        let mut unsaved = None;
        if self.waits_for_room() {
            // What had begun is finished with the list of classes that it began with.
            return Ok((result, None));
        }
        if self.access == Access::Full && next != before {
            self.check_there()?;
            unsaved = document::save(self.root(), &next).err();
            self.counters().document_written();
        }
        *self.document() = next;
        Ok((result, unsaved))
    }
}
