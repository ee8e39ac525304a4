//! Costs of work on a project, counted in operations, which are the same on every machine. Tests compare the counts,
//! to detect costs that grow with the project where they should not, independent of time.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Project;

/// Operations of this process on a project's files since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Costs {
    /// Folders listed to find frames or classes.
    pub folders_listed: u64,
    /// Entries of those folders.
    pub entries_listed: u64,
    /// Single files accessed or moved by their paths.
    pub files_touched: u64,
    /// How often `project.json` was written.
    pub documents_written: u64,
}

impl Costs {
    /// The difference to `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            folders_listed: self.folders_listed - earlier.folders_listed,
            entries_listed: self.entries_listed - earlier.entries_listed,
            files_touched: self.files_touched - earlier.files_touched,
            documents_written: self.documents_written - earlier.documents_written,
        }
    }
}

/// The counters of an open project. They are always active, because an addition costs a nanosecond.
#[derive(Debug, Default)]
pub(super) struct Counters {
    folders_listed: AtomicU64,
    entries_listed: AtomicU64,
    files_touched: AtomicU64,
    documents_written: AtomicU64,
}

impl Counters {
    pub(super) fn listed(&self, entries: u64) {
        self.folders_listed.fetch_add(1, Ordering::Relaxed);
        self.entries_listed.fetch_add(entries, Ordering::Relaxed);
    }

    pub(super) fn touched(&self, files: u64) {
        self.files_touched.fetch_add(files, Ordering::Relaxed);
    }

    pub(super) fn document_written(&self) {
        self.documents_written.fetch_add(1, Ordering::Relaxed);
    }
}

impl Project {
    /// The operations on the project's files since it was opened.
    #[must_use]
    pub fn costs(&self) -> Costs {
        let counters = self.counters();
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Costs {
            folders_listed: value(&counters.folders_listed),
            entries_listed: value(&counters.entries_listed),
            files_touched: value(&counters.files_touched),
            documents_written: value(&counters.documents_written),
        }
    }

    /// Counts files of the project that another layer accesses one by one.
    pub(crate) fn count_files(&self, files: u64) {
        self.counters().touched(files);
    }
}
