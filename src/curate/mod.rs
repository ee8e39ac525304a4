//! Groups of frames that belong together for the split, and near-duplicates.

mod groups;
mod hashes;
mod near_duplicates;

pub use groups::groups;
