//! Where the making of a model is.

use std::sync::{Arc, Mutex, PoisonError};

use crate::train::LiveCurves;

/// A part of the way from files to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MakePhase {
    /// Images are taken out of the files.
    Import,
    /// The model learns.
    Train,
    /// It is tried on images that it has not seen.
    Evaluate,
    /// Files are written and proved.
    Export,
}

impl MakePhase {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Import, Self::Train, Self::Evaluate, Self::Export];

    /// What is done in it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Import => "Import",
            Self::Train => "Train",
            Self::Evaluate => "Evaluate",
            Self::Export => "Export and prove",
        }
    }

    /// Its number, from 1.
    #[must_use]
    pub fn number(self) -> usize {
        1 + self as usize
    }
}

/// The phase that is under way, for those who watch. How far it is stands in the [`crate::jobs::Work`].
#[derive(Clone, Default)]
pub struct LiveMake {
    phase: Arc<Mutex<Option<MakePhase>>>,
    curves: LiveCurves,
}

impl LiveMake {
    /// The phase that is under way; `None` before the first.
    #[must_use]
    pub fn phase(&self) -> Option<MakePhase> {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The curves of the training.
    #[must_use]
    pub fn curves(&self) -> &LiveCurves {
        &self.curves
    }

    pub(super) fn enter(&self, phase: MakePhase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = Some(phase);
    }
}
