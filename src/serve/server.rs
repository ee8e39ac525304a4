//! The server: accepts connections within limits, and stops when it is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::limits::{CONNECTIONS, CONNECTIONS_OF_ONE};
use super::request::{self, Refused};
use super::{Qr, ServeError, Site, check_address, response};

/// Called after something was served.
type Wake = Box<dyn Fn() + Send + Sync>;

/// Statistics of a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerStats {
    /// The addresses that have opened the page.
    pub devices: BTreeSet<IpAddr>,
    /// How many files were served.
    pub files: u64,
    /// How many other requests were refused.
    pub refused: u64,
}

/// A running server. Dropping it closes all connections and frees the port.
pub struct Server {
    address: SocketAddr,
    path: String,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

struct Shared {
    site: Arc<Site>,
    /// The beginning of every path: `/…/`.
    prefix: String,
    host: String,
    stopping: AtomicBool,
    state: Mutex<State>,
    wake: Wake,
}

#[derive(Default)]
struct State {
    stats: ServerStats,
    next: u64,
    open: BTreeMap<u64, (IpAddr, TcpStream)>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Server {
    /// Serves a site at an address of this computer, with a free port and a random path. `wake` is called on any
    /// thread when [`Server::stats`] has changed.
    ///
    /// # Errors
    /// [`ServeError::NoSuchAddress`], and [`ServeError::Listen`] if the system does not allow it.
    pub fn start(
        site: Arc<Site>,
        address: IpAddr,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, ServeError> {
        // This also rejects the wildcard address: only one address is ever opened.
        check_address(address)?;
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(|error| ServeError::Random(error.to_string()))?;
        let path = format!("{:032x}", u128::from_be_bytes(bits));
        let failed = |error| ServeError::Listen { address, error };
        let listener = TcpListener::bind((address, 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            site,
            prefix: format!("/{path}/"),
            host: address.to_string(),
            stopping: AtomicBool::new(false),
            state: Mutex::default(),
            wake: Box::new(wake),
        });
        let accepting = Arc::clone(&shared);
        let listening = std::thread::Builder::new()
            .name("serve".into())
            .spawn(move || accept(&listener, &accepting))
            .map_err(failed)?;
        Ok(Self {
            address,
            path,
            shared,
            listening: Some(listening),
        })
    }

    /// The address and port that are served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the page: `http://192.168.178.30:40123/0123…cdef/`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/{}/", self.address, self.path)
    }

    /// The same as a QR code.
    ///
    /// # Errors
    /// [`ServeError::Qr`], though addresses are short enough.
    pub fn qr(&self) -> Result<Qr, ServeError> {
        Qr::new(&self.url())
    }

    /// The statistics so far.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.shared.state().stats.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let woken = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Err(error) = &woken {
            log::warn!("the server at {} could not be woken: {error}", self.address);
        }
        let listening = self.listening.take().filter(|_| woken.is_ok());
        if listening.is_some_and(|thread| thread.join().is_err()) {
            log::error!("the server's thread panicked");
        }
        // No new connections are accepted from here on.
        for (_, stream) in self.shared.state().open.values() {
            close(stream);
        }
    }
}

fn close(stream: &TcpStream) {
    // It may be closed already, which is just as well.
    if let Err(error) = stream.shutdown(Shutdown::Both) {
        log::debug!("a connection was already closed: {error}");
    }
}

/// Accepts connections until the server stops. The port is free again when it returns.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        match accepted {
            Ok((stream, peer)) => connect(stream, peer.ip(), shared),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionAborted
                        | ErrorKind::ConnectionReset
                        | ErrorKind::Interrupted
                ) => {}
            Err(error) => {
                // For example, out of file descriptors; some will be freed.
                log::warn!("a connection could not be accepted: {error}");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Serves a connection on its own thread, unless there are too many.
fn connect(mut stream: TcpStream, peer: IpAddr, shared: &Arc<Shared>) {
    let id = {
        let mut state = shared.state();
        let of_peer = state.open.values().filter(|(address, _)| *address == peer);
        let Ok(clone) = stream.try_clone() else {
            return;
        };
        if of_peer.count() >= CONNECTIONS_OF_ONE || state.open.len() >= CONNECTIONS {
            state.stats.refused += 1;
            None
        } else {
            state.next += 1;
            let id = state.next;
            state.open.insert(id, (peer, clone));
            Some(id)
        }
    };
    let Some(id) = id else {
        // Short enough for the system's send buffer, so this does not block.
        sent(response::refuse(&mut stream, "503 Service Unavailable"));
        return;
    };
    let answering = Arc::clone(shared);
    let spawned = std::thread::Builder::new()
        .name("serve connection".into())
        .spawn(move || {
            answer(&mut stream, peer, &answering);
            finish(&mut stream);
            answering.state().open.remove(&id);
            (answering.wake)();
        });
    if let Err(error) = spawned {
        log::warn!("a connection could not be answered: {error}");
        shared.state().open.remove(&id);
    }
}

fn answer(stream: &mut TcpStream, peer: IpAddr, shared: &Shared) {
    let refused = |stream: &mut TcpStream, status: &str| {
        shared.state().stats.refused += 1;
        sent(response::refuse(stream, status));
    };
    let request = match request::read(stream) {
        Ok(request) => request,
        Err(Refused::Gone) => return,
        Err(Refused::Malformed) => return refused(stream, "400 Bad Request"),
        Err(Refused::TooLong) => return refused(stream, "431 Request Header Fields Too Large"),
        Err(Refused::TooSlow) => return refused(stream, "408 Request Timeout"),
    };
    // A page of another name that resolves to this address (DNS rebinding) is refused.
    if request.host.as_deref() != Some(shared.host.as_str()) {
        return refused(stream, "421 Misdirected Request");
    }
    let with_body = match request.method.as_str() {
        "GET" => true,
        "HEAD" => false,
        _ => return refused(stream, "405 Method Not Allowed"),
    };
    let name = below(&request.path, &shared.prefix);
    let Some((name, (content_type, bytes))) =
        name.and_then(|name| Some((name, shared.site.find(name)?)))
    else {
        return refused(stream, "404 Not Found");
    };
    {
        let mut state = shared.state();
        state.stats.files += 1;
        if Site::is_page(name) {
            state.stats.devices.insert(peer);
        }
    }
    (shared.wake)();
    sent(response::send(
        stream,
        "200 OK",
        content_type,
        bytes,
        with_body,
    ));
}

/// The part of a path after the prefix. It takes the same time for every wrong prefix, so that the prefix cannot be
/// guessed character by character.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = path.split_at_checked(prefix.len())?;
    let pairs = start.bytes().zip(prefix.bytes());
    let differing = pairs.fold(0, |all, (a, b)| all | (a ^ b));
    (differing == 0).then_some(rest)
}

/// Waits until the client has read the response: closing with unread data in the receive buffer would discard the
/// response.
fn finish(stream: &mut TcpStream) {
    const MOST: usize = 256 * 1024;
    if stream.shutdown(Shutdown::Write).is_err()
        || stream
            .set_read_timeout(Some(Duration::from_secs(2)))
            .is_err()
    {
        return;
    }
    let mut rest = [0; 4096];
    let mut read = 0;
    while read < MOST {
        match stream.read(&mut rest) {
            Ok(count) if count > 0 => read += count,
            _ => break,
        }
    }
}

fn sent(result: std::io::Result<()>) {
    if let Err(error) = result {
        log::debug!("a client disconnected: {error}");
    }
}
