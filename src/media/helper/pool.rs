//! The pool of decoding processes: starts them, communicates with them, keeps idle ones.

use std::fs::File;
use std::io::{self, IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::jobs::cores;

use super::DECODER;
use super::message::{PREFIX_BYTES, Reply, Request, begin, lengths};

/// The longest single wait for the socket, which bounds the delay of a cancellation.
pub(super) const WAIT: Duration = Duration::from_millis(50);
/// A process that does not accept its request within this time has hung.
const SEND_TIME: Duration = Duration::from_secs(20);
/// How long the next file waits for a process whose last request was cancelled; a new process takes as long to start.
const CLOSING_TIME: Duration = Duration::from_millis(100);
/// A process that has not stopped a cancelled request within this time is ended.
const MOST_CLOSING_TIME: Duration = Duration::from_secs(2);
/// The least number of idle processes to keep. Each has some 60 MB, most of it shared libraries.
const LEAST_IDLE: usize = 6;
/// The size of socket buffers in bytes, as far as the system allows it: large ones reduce context switches.
const SOCKET_BYTES: usize = 1 << 20;

/// A process that decodes one file at a time.
pub(super) struct Decoder {
    child: Child,
    socket: UnixStream,
    incoming: Incoming,
    /// Since when it should have stopped its last request.
    closing_since: Option<Instant>,
}

/// A message that is being received.
#[derive(Default)]
struct Incoming {
    /// Prefix and head.
    begin: Part,
    body: Part,
}

/// A part of a message.
#[derive(Default)]
struct Part {
    bytes: Vec<u8>,
    /// How many bytes have arrived.
    there: usize,
}

impl Part {
    /// Reads until there are `wanted` bytes; `false` if not all have arrived. Memory is allocated only as bytes
    /// arrive, so a false length does no harm.
    fn fill(&mut self, mut socket: &UnixStream, wanted: usize) -> io::Result<bool> {
        if self.bytes.is_empty() {
            self.bytes = vec![0; wanted];
        } else {
            self.bytes.resize(wanted, 0);
        }
        while let Some(missing) = self.bytes.get_mut(self.there..)
            && !missing.is_empty()
        {
            match socket.read(missing) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.there += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

static IDLE: Mutex<Vec<Decoder>> = Mutex::new(Vec::new());

fn idle() -> MutexGuard<'static, Vec<Decoder>> {
    IDLE.lock()
}

/// The number of idle processes to keep: on many cores as many as process photos in parallel (`jobs::cores_and_one`).
/// Most are idle at any moment, and restarting one takes longer than decoding a photo.
fn most_idle() -> usize {
    LEAST_IDLE.max(cores() + 2)
}

/// An idle process, or a new one.
pub(super) fn take(program: &Path) -> io::Result<Decoder> {
    let kept = {
        let mut idle = idle();
        idle.retain(|decoder| {
            decoder
                .closing_since
                .is_none_or(|since| since.elapsed() < MOST_CLOSING_TIME)
        });
        let free = idle.iter().rposition(|one| one.closing_since.is_none());
        match free {
            Some(at) => Some(idle.swap_remove(at)),
            None => idle.pop(),
        }
    };
    if let Some(mut decoder) = kept
        && decoder.is_free()
    {
        return Ok(decoder);
    }
    Decoder::start(program)
}

/// Starts processes until `count` are idle. If none can be started, the first file that needs one reports it.
pub(super) fn start(program: &Path, count: usize) {
    let missing = count.min(most_idle()).saturating_sub(idle().len());
    for decoder in (0..missing).map_while(|_| Decoder::start(program).ok()) {
        put(decoder);
    }
}

/// Returns a process to the pool.
pub(super) fn put(decoder: Decoder) {
    let mut idle = idle();
    if idle.len() < most_idle() {
        idle.push(decoder);
    }
}

impl Decoder {
    fn start(program: &Path) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        for end in [&socket, &theirs] {
            // Without it images take more context switches.
            set_socket_send_buffer_size(end, SOCKET_BYTES).ok();
        }
        let child = Command::new(program)
            .arg(DECODER)
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            // It may lead to a file, and this process must not grow files.
            .stderr(Stdio::null())
            // Ctrl-C is handled by this program, which then ends that process.
            .process_group(0)
            .spawn()?;
        Ok(Self {
            child,
            socket,
            incoming: Incoming::default(),
            closing_since: None,
        })
    }

    /// Whether it can take a request: it is alive, and has stopped any cancelled one.
    fn is_free(&mut self) -> bool {
        while let Some(since) = self.closing_since {
            match self.receive() {
                Ok(Some((reply, _))) if reply.is_last() => self.closing_since = None,
                Ok(Some(_)) => {}
                Ok(None) if since.elapsed() < CLOSING_TIME => self.wait(Duration::from_millis(5)),
                Ok(None) | Err(_) => return false,
            }
        }
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a request with an open file beside it and a body after it.
    pub fn send(&mut self, request: &Request, file: Option<&File>, body: &[u8]) -> io::Result<()> {
        let begun = Instant::now();
        let begin = begin(request, body)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut file = file;
        // In one write, so that the other side wakes up once.
        let mut parts = [IoSlice::new(&begin), IoSlice::new(body)];
        let mut rest: &mut [IoSlice<'_>] = &mut parts;
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let mut beside = SendAncillaryBuffer::new(&mut space);
            let open = file.map(|file| [file.as_fd()]);
            if let Some(open) = &open {
                beside.push(SendAncillaryMessage::ScmRights(open));
            }
            match sendmsg(&self.socket, rest, &mut beside, SendFlags::empty()) {
                Ok(count) => {
                    file = None;
                    IoSlice::advance_slices(&mut rest, count);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if begun.elapsed() < SEND_TIME => {
                    let mut wanted = [PollFd::new(&self.socket, PollFlags::OUT)];
                    poll(&mut wanted, Some(&timespec(WAIT))).ok();
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The next message, if it has arrived completely.
    ///
    /// # Errors
    /// `UnexpectedEof` if the process has ended, `InvalidData` for an invalid message.
    pub fn receive(&mut self) -> io::Result<Option<(Reply, Vec<u8>)>> {
        let Incoming { begin, body } = &mut self.incoming;
        if begin.there < PREFIX_BYTES && !begin.fill(&self.socket, PREFIX_BYTES)? {
            return Ok(None);
        }
        let (prefix, _) = begin.bytes.split_at(PREFIX_BYTES);
        let (head_length, body_length) = lengths(prefix)?;
        if !begin.fill(&self.socket, PREFIX_BYTES + head_length)?
            || !body.fill(&self.socket, body_length)?
        {
            return Ok(None);
        }
        let head = begin.bytes.get(PREFIX_BYTES..).unwrap_or_default();
        let reply = serde_json::from_slice(head)?;
        let body = std::mem::take(body).bytes;
        self.incoming = Incoming::default();
        Ok(Some((reply, body)))
    }

    /// Waits for more data, at most this long.
    pub fn wait(&self, time: Duration) {
        let mut wanted = [PollFd::new(&self.socket, PollFlags::IN)];
        // An interrupted wait is just shorter.
        poll(&mut wanted, Some(&timespec(time))).ok();
    }

    /// Stops the current request and keeps the process for the next one.
    pub fn close(mut self) {
        if self.send(&Request::Close, None, &[]).is_ok() {
            self.closing_since = Some(Instant::now());
            put(self);
        }
    }

    /// Ends the process; returns how it had ended, or that it was alive.
    pub fn end(mut self) -> String {
        // A crashed process closes its socket slightly before its exit status is available.
        let until = Instant::now() + Duration::from_secs(1);
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    return match (status.signal(), status.code()) {
                        (Some(signal), _) => format!("signal {signal}"),
                        (None, Some(code)) => format!("exit code {code}"),
                        (None, None) => "unknown reason".into(),
                    };
                }
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) | Err(_) => return "it closed its connection".into(),
            }
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // Fails if the process has already ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: time.as_secs() as i64,
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}
