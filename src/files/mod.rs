//! Reads and writes files: each is written atomically, with ordinary permissions, and in a project no link is
//! followed.
//!
//! Every important file is written under a temporary name in its folder, and renamed. Four things are specified here,
//! once for the whole program:
//!
//! * **Durability.** See [`Durability`], and [`sync_files`] for many files at once. A process killed at any moment
//!   leaves either the old or the new file, and at most a temporary file.
//! * **Permissions.** A new file has the mode of any new file: `0666` without the bits of the umask (or as in the
//!   folder's default access list), and the folder's group if the folder has the setgid bit. A file that replaces
//!   another gets its mode, and its owner and group if this user may assign them.
//! * **Temporary names.** [`is_temporary`] recognises them by their beginning and end, so that scans ignore them, and
//!   opening a project removes them. They cannot be guessed.
//! * **Links.** In a folder that is [confined](confine), such as a project's, no link is followed. Elsewhere a link in
//!   place of a file is followed: its target is replaced, the link stays.

mod access;
mod checksum;
mod confined;
mod error;
mod folder;
mod folders;
mod temporary;
mod write;

#[cfg(test)]
mod tests;

pub use access::{
    create_dir, create_dir_all, create_new, exists, hard_link, is_dir, is_file, metadata, open,
    open_lock, open_or_create, read, read_dir, read_document, read_to_string, remove_dir,
    remove_dir_all, remove_file, rename,
};
pub use checksum::{ALTERED, is_as_written, json_with_checksum};
pub use confined::{FollowedLink, confine, follow, is_followed, is_link_in_the_way};
pub use error::{FileError, why};
pub use folders::{is_refusal, is_writable, make_dirs, sync_dir, sync_files};
pub use temporary::{is_temporary, remove_left_over};
pub use write::{Durability, NewFile, NewFolder, append, copy, write};
