//! Trainings of a sweep as shards: a list of them, a part with the run of each, and the runs merged into the project.
//!
//! A worker only reads the project: it takes no lock, and writes nothing but rows of the project's caches.

mod list;
mod merge;
mod part;
mod work;

pub use list::{ListedTrainings, list_trainings};

pub(super) use list::is_list;
pub(super) use merge::merge_into;
pub(super) use work::make_part;
