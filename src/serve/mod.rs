//! Trying a model on a phone: serves the page of a web export from memory to the local network, as long as the user
//! wants.
//!
//! This is the only place in the program that listens to a network. A [`Server`] is bound to one address of this
//! computer. It serves the files of one [`Site`] under a path of 128 random bits, and nothing else, until it is
//! dropped.

mod addresses;
mod error;
mod limits;
mod qr;
mod request;
mod response;
mod server;
mod site;

pub use addresses::{Interface, check_address, interfaces};
pub use error::ServeError;
pub use qr::Qr;
pub use server::{Server, ServerStats};
pub use site::Site;
