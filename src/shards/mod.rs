//! Sampling and bottlenecks on many machines: a list of shards, a part for each of them, and parts merged into a project.
//!
//! ```text
//! divide      paths ▶ shards.jsonl                 an import's plan, cut into pieces of about the same work
//! make_part   shards.jsonl, N ▶ part-00000N/       on any machine, without a project, any number of times
//! merge       part-…/ ▶ project                    an ordinary import whose frames come from the parts, and rows for the caches
//! ```
//!
//! A list can also be one of the [trainings] of a sweep: then a part holds a run, and merging puts the runs into the project.
//!
//! Everything is keyed by content: parts can be made and merged in any order, again, and by nobody's leave. Which machine makes
//! which part is decided elsewhere ([docs/cluster.md](../../docs/cluster.md)).

mod activations;
mod divide;
mod error;
mod list;
mod merge;
mod part;
mod trainings;
mod work;

pub use activations::WantedActivations;
pub use divide::{DivideOrder, Divided, divide};
pub use error::ShardError;
pub use list::{
    FilmPiece, FolderLabels, Header, ListId, ListedPhoto, ModelPin, Shard, ShardList, Versions,
};
pub use merge::{Merged, merge, merge_into, parts_at};
pub use trainings::{ListedTrainings, list_trainings};
pub use work::{MadePart, WorkOrder, make_part};
