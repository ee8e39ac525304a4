//! Sampling and bottlenecks on many machines: a list of shards, a part made from each, and parts merged into a
//! project.
//!
//! ```text
//! divide      paths ▶ shards.jsonl                 an import's plan, cut into pieces of about the same work
//! make_part   shards.jsonl, N ▶ part-00000N/       on any machine, without a project, any number of times
//! merge       part-…/ ▶ project                    an ordinary import whose frames come from the parts, and rows for the caches
//! ```
//!
//! A list can also consist of [trainings] of a sweep: then a part contains a run, and merging adds the runs to the
//! project.
//!
//! Everything is keyed by content: parts can be made and merged in any order, also repeatedly, without coordination.
//! Which machine makes which part is decided elsewhere ([docs/cluster.md](../../docs/cluster.md)).

mod activations;
mod divide;
mod error;
mod list;
mod merge;
mod pack;
mod part;
mod partial;
mod trainings;
mod work;

pub use activations::WantedActivations;
pub use divide::{DivideOrder, Divided, divide, passed_over_words};
pub use error::ShardError;
pub use list::{
    FilmPiece, FolderLabels, Header, ListId, ListedPhoto, ModelPin, Shard, ShardList, Versions,
};
pub use merge::{Merged, holds_trainings, merge, merge_into, parts_at};
pub use trainings::{ListedTrainings, list_trainings};
pub use work::{MadePart, WorkOrder, make_part};
