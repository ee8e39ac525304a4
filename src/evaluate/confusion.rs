//! The confusion matrix and what follows from it.

/// `counts[truth][predicted]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confusion {
    /// Row: true class; column: predicted class.
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// Part that was right, 0..=1; `None` without frames.
    #[must_use]
    pub fn accuracy(&self) -> Option<f32> {
        todo!()
    }

    /// Part of the frames of class `index` that were found.
    #[must_use]
    pub fn recall(&self, index: usize) -> Option<f32> {
        todo!("{index}")
    }

    /// Part of the frames called `index` that were right.
    #[must_use]
    pub fn precision(&self, index: usize) -> Option<f32> {
        todo!("{index}")
    }
}
