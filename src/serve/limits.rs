//! Limits for clients of the server.

use std::time::Duration;

/// The most bytes in the head of a request.
pub(super) const HEAD_BYTES: usize = 8 * 1024;
/// The most header lines in a request.
pub(super) const HEADERS: usize = 64;
/// The most simultaneous connections.
pub(super) const CONNECTIONS: usize = 32;
/// The most simultaneous connections from one address: browsers open six.
pub(super) const CONNECTIONS_OF_ONE: usize = 8;
/// The time within which the head of a request must arrive.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(10);
/// The time after which a client that accepts no data is disconnected.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(20);
