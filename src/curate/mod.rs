//! Which frames belong together: groups for the split, near-duplicates.

mod groups;
mod hashes;
mod near_duplicates;

pub use groups::groups;
