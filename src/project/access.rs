//! How an open project may be used: fully, or for reading only.

use std::path::{Path, PathBuf};

use crate::files::{self, FileError};

use super::document::{self, Document, Loaded};
use super::lock::ProjectLock;
use super::{Project, ProjectError};

/// How an open project may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Without restrictions: this process holds the lock.
    Full,
    /// For viewing, evaluating, and exporting elsewhere: the disk or the folder is read-only.
    ReadOnly,
    /// For viewing, evaluating and exporting: another process may hold the lock and change things meanwhile.
    Shared,
}

/// The reason why a project opened for reading is not changed, with the remedy.
pub(super) fn refusal(access: Access) -> &'static str {
    match access {
        Access::Full => "it was opened read-only",
        Access::ReadOnly => {
            "its disk or folder is read-only; make it writable and open it again, or work on a copy"
        }
        Access::Shared => {
            "another Salamander process may have it open; close it there and open it again"
        }
    }
}

/// How a project's folder was opened.
pub(super) enum Taken {
    /// With the lock.
    Full(ProjectLock),
    /// Without the lock, because it is read-only.
    ReadOnly,
}

/// Takes the lock on the folder `root`, unless it is read-only.
pub(super) fn take(root: &Path) -> Result<Taken, ProjectError> {
    let lock = match ProjectLock::take(root) {
        Err(ProjectError::File(FileError { error, .. })) if files::is_refusal(&error) => {
            log::info!("“{}” is opened for reading: {error}", root.display());
            return Ok(Taken::ReadOnly);
        }
        // A copy without a lock file, on a disk where none can be created.
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
    /// Opens the project in the folder `root` for reading: without the lock, so that another process may have it, and
    /// without writing anything. Changes of the project fail with [`ProjectError::ReadOnly`]; evaluating, exporting
    /// and computing bottlenecks are possible. It has the state in which the project was last saved; each scan reads
    /// it again.
    pub fn open_for_reading(root: &Path) -> Result<Self, ProjectError> {
        Self::read(super::links::confined(root)?, Access::Shared)
    }

    /// The same, for training: runs are created in the folder `runs`, which exists and is outside the project. Other
    /// processes may train on the project at the same time.
    pub fn open_to_train(root: &Path, runs: &Path) -> Result<Self, ProjectError> {
        let mut project = Self::open_for_reading(root)?;
        project.runs = Some(runs.to_owned());
        Ok(project)
    }

    /// Opens the project in the folder `root`; for reading if another process has it.
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

    /// How the project may be used.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// An error if the project may not be changed or does not exist. To be called before anything is written in it.
    pub fn check_writable(&self) -> Result<(), ProjectError> {
        match self.access {
            Access::Full => self.check_there(),
            access => Err(ProjectError::ReadOnly {
                path: self.root().to_owned(),
                access,
            }),
        }
    }

    /// An error if no run can be created or changed. To be called before anything is written in [`Project::runs_dir`].
    pub fn check_runs_writable(&self) -> Result<(), ProjectError> {
        match &self.runs {
            Some(_) => self.check_there(),
            None => self.check_writable(),
        }
    }

    /// Whether runs are created outside the project, by [`Project::open_to_train`].
    #[must_use]
    pub fn trains_elsewhere(&self) -> bool {
        self.runs.is_some()
    }

    /// Creates [`Project::runs_dir`], unless it exists.
    pub fn make_runs_dir(&self) -> Result<(), ProjectError> {
        match &self.runs {
            Some(_) => self.check_there(),
            None => self.make_dir(&self.runs_dir()),
        }
    }

    /// Whether the folder is still the one that was opened. Another may have taken its place, or the same on a drive
    /// that was reconnected, for which this process holds no lock.
    #[must_use]
    pub fn is_the_one_opened(&self) -> bool {
        self.lock().is_none_or(|lock| lock.is_of(self.root()))
    }

    /// Updates the state of the project to match its folders. If that cannot be saved, it is valid for this process
    /// only: the folders are authoritative, and the next process reads them again. Returns the error that prevented
    /// saving.
    pub(super) fn follow<R>(
        &self,
        change: impl FnOnce(&mut Document) -> R,
    ) -> Result<(R, Option<ProjectError>), ProjectError> {
        let _saving = self.begin_saving();
        let before = if self.access == Access::Full {
            self.document().clone()
        } else {
            // The process that has it may have changed it.
            document::load(self.root())?.document
        };
        let mut next = before.clone();
        let result = change(&mut next);
        let mut unsaved = None;
        if self.waits_for_room() {
            // A pending change is completed with the list of classes with which it began.
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
