//! What a client may take of the server.

use std::time::Duration;

/// Longest head of a request, bytes.
pub(super) const HEAD_BYTES: usize = 8 * 1024;
/// Most header lines of a request.
pub(super) const HEADERS: usize = 64;
/// Connections at once.
pub(super) const CONNECTIONS: usize = 32;
/// Connections at once from one address: browsers open six.
pub(super) const CONNECTIONS_OF_ONE: usize = 8;
/// How long the head of a request may take.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a client may take nothing of what is sent to it.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(20);
