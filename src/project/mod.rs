//! Projects: folders of the user with classes, frames, sources, runs and exports.
//!
//! The folder is authoritative: the label of a frame is its class folder. [`Project`] is a handle that can be shared
//! between threads; it has the contents of `project.json` and the lock on the folder. Scanning the folders gives a
//! [`Frames`] snapshot, which everything else uses.

mod access;
mod cache;
mod change;
mod class;
mod class_frames;
mod class_list;
mod classes;
mod content;
mod costs;
mod document;
mod error;
mod frame;
mod frame_name;
mod handle;
mod history;
mod id128;
mod import_record;
mod left_over;
mod links;
mod lock;
mod moves;
mod neighbours;
mod noun;
pub(crate) mod path_text;
mod reconcile;
mod recorded;
mod remembered;
mod scan;
mod settings;
mod source;
mod split;
mod split_assign;
mod split_given;
mod split_memory;
mod time_cut;
mod trash;

#[cfg(test)]
mod tests;

pub use access::Access;
pub use change::{Change, ChangeText, Outcome};
pub use class::{Class, ClassId, ClassName};
pub use class_list::{ClassList, ClassNow};
pub use content::ContentId;
pub use costs::Costs;
pub use error::ProjectError;
pub use frame::{Frame, Frames, Label};
pub use frame_name::FrameName;
pub use handle::{Project, is_there, make_dir};
pub use history::{History, UndoStep};
pub(crate) use id128::Id128;
pub use import_record::{ImportRecord, Undone, WrittenSource};
pub use links::{follow_link, linked_classes};
pub use neighbours::{Neighbour, Neighbours, like_neighbours};
pub use noun::Noun;
pub use recorded::Recorded;
pub use scan::natural_cmp;
pub use settings::{Fps, Sampling};
pub use source::{
    LONGEST_SECS, Source, SourceId, SourceKind, other_project_source, sample_of_file,
};
pub use split::{Assignment, Cut, Split, SplitSettings};
pub use trash::Trash;
