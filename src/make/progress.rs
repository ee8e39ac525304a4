//! The progress of making a model.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::train::LiveCurves;

/// A phase of making a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MakePhase {
    /// Images are extracted from the files.
    Import,
    /// The model is trained.
    Train,
    /// The model is evaluated on test images.
    Evaluate,
    /// The model is exported and verified.
    Export,
}

impl MakePhase {
    /// All phases, in order.
    pub const ALL: [Self; 4] = [Self::Import, Self::Train, Self::Evaluate, Self::Export];

    /// A description of the phase.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Import => "Import",
            Self::Train => "Train",
            Self::Evaluate => "Evaluate",
            Self::Export => "Export and verify",
        }
    }

    /// Its number, from 1.
    #[must_use]
    pub fn number(self) -> usize {
        1 + self as usize
    }
}

/// The current phase, for display. Its progress is in the [`crate::jobs::Work`].
#[derive(Clone, Default)]
pub struct LiveMake {
    phase: Arc<Mutex<Option<MakePhase>>>,
    curves: LiveCurves,
}

impl LiveMake {
    /// The current phase; `None` before the first.
    #[must_use]
    pub fn phase(&self) -> Option<MakePhase> {
        *self.phase.lock()
    }

    /// The curves of the training.
    #[must_use]
    pub fn curves(&self) -> &LiveCurves {
        &self.curves
    }

    pub(super) fn enter(&self, phase: MakePhase) {
        *self.phase.lock() = Some(phase);
    }
}
