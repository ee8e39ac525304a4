//! Reading and writing files: each is there whole or not at all, with the permissions that an ordinary file has, and
//! in a project none is reached through a link.
//!
//! Every file that counts is written under a temporary name in the folder where it is to be, and renamed. Four
//! things are stated here, once for the whole program:
//!
//! * **Durability.** See [`Durability`], and [`sync_files`] for many files at once. A process killed at any moment leaves the file as it was, or the new one, and
//!   at most a temporary file.
//! * **Permissions.** A new file has what the system gives any new file: `0666` less the umask (or what the folder's
//!   default access list says), and the folder's group where the folder passes its group on (setgid). A file that is
//!   replaced keeps its mode, and its owner and group as far as this user may give them.
//! * **Temporary names.** All begin and end as [`is_temporary`] knows them, so that scanning passes over them
//!   and opening a project clears them away. Nobody can guess them.
//! * **Links.** Below a folder that is [confined](confine), as a project's is, none is followed. Elsewhere a link in
//!   the place of a file is followed: the file that it leads to is replaced, the link stays.

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
