//! Trying a model on a phone: the page of a web export, served from memory to the local network while somebody wants it.
//!
//! This is the only place in the program that listens to a network. A [`Server`] is bound to one address of this
//! computer, gives out the files of one [`Site`] below a path of 128 random bits and nothing else, and ends with its value.

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
pub use server::{Seen, Server};
pub use site::Site;
