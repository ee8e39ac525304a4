//! The decoding process: reads requests from standard input and replies there.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, unbounded};
use parking_lot::Mutex;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::jobs::Work;
use crate::media::cuts::cut_points_here;
use crate::media::file::MediaFile;
use crate::media::kind::ask_ffmpeg;
use crate::media::poster::poster_here;
use crate::media::probe::probe_here;
use crate::media::sample::SampledFrame;
use crate::media::sampler::FrameForm;
use crate::media::still::load_still_here;
use crate::media::stretch::FrameSampler;
use crate::media::{MediaError, Still, ffmpeg};

use super::confine;
use super::message::{
    Confinement, Failure, PREFIX_BYTES, Reply, Request, begin, lengths, still_reply,
};

/// How often a process reports that it is working.
const PULSE: Duration = Duration::from_secs(1);
/// The most images waiting between the decoder and the JPEG encoder.
const WAITING_IMAGES: usize = 4;
/// The stack size; decoders of still images are recursive.
const STACK_BYTES: usize = 8 << 20;

/// A request to be served.
struct Job {
    request: Request,
    file: Option<File>,
    body: Vec<u8>,
    work: Work,
}

/// Sends replies.
#[derive(Clone)]
struct Answers(Arc<Mutex<(UnixStream, Instant)>>);

impl Answers {
    fn send(&self, reply: &Reply, body: &[u8]) {
        let mut to = self.0.lock();
        let sent = begin(reply, body).and_then(|begin| {
            // In one write, so that the other side wakes up once.
            let mut parts = [IoSlice::new(&begin), IoSlice::new(body)];
            let mut rest: &mut [IoSlice<'_>] = &mut parts;
            IoSlice::advance_slices(&mut rest, 0);
            while !rest.is_empty() {
                match to.0.write_vectored(rest) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => IoSlice::advance_slices(&mut rest, count),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
        if sent.is_err() {
            // The other side is gone.
            end();
        }
        to.1 = Instant::now();
    }

    /// Reports that work is in progress, if nothing was sent for a while.
    fn pulse(&self) {
        let due = self.0.try_lock().is_some_and(|to| to.1.elapsed() > PULSE);
        if due {
            self.send(&Reply::Alive, &[]);
        }
    }
}

/// Ends the process at once, whatever a decoder is doing: it holds nothing that others need.
fn end() -> ! {
    let me = rustix::process::getpid();
    // A process may always signal itself.
    rustix::process::kill_process(me, rustix::process::Signal::KILL).ok();
    std::process::exit(1)
}

/// Serves requests until the other side is gone.
pub(super) fn serve() -> ExitCode {
    let confinement = confine::enter();
    ffmpeg::init();
    let socket = io::stdin().as_fd().try_clone_to_owned();
    let Some((input, output)) = socket.ok().and_then(|socket| {
        let input = UnixStream::from(socket);
        let output = input.try_clone().ok()?;
        Some((input, output))
    }) else {
        return ExitCode::FAILURE;
    };
    let answers = Answers(Arc::new(Mutex::new((output, Instant::now()))));
    let current: Arc<Mutex<Option<Work>>> = Arc::default();
    let (jobs, queue) = unbounded::<Job>();
    let (of_worker, to) = (Arc::clone(&current), answers.clone());
    let worker = std::thread::Builder::new()
        .name("decoder".into())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            for job in queue {
                let (reply, body) = done(job, &confinement, &to);
                *of_worker.lock() = None;
                to.send(&reply, &body);
            }
        });
    if worker.is_err() {
        return ExitCode::FAILURE;
    }
    // This thread always reads, so it notices during any work when the other side is gone.
    while let Ok((request, file, body)) = receive(&input) {
        let mut current = current.lock();
        if matches!(request, Request::Close) {
            if let Some(work) = &*current {
                work.cancel();
            }
            continue;
        }
        let pulse = answers.clone();
        let work = Work::with_pulse(move || pulse.pulse());
        *current = Some(work.clone());
        let job = Job {
            request,
            file,
            body,
            work,
        };
        if jobs.send(job).is_err() {
            break;
        }
    }
    end()
}

fn receive(mut input: &UnixStream) -> io::Result<(Request, Option<File>, Vec<u8>)> {
    let mut prefix = [0; PREFIX_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let read = {
        let mut into = [IoSliceMut::new(&mut prefix)];
        recvmsg(input, &mut into, &mut beside, RecvFlags::empty())?.bytes
    };
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut file = None;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(open) = message {
            file = open.map(File::from).last();
        }
    }
    input.read_exact(prefix.get_mut(read..).unwrap_or_default())?;
    let (head, body) = lengths(&prefix)?;
    let mut head = vec![0; head];
    input.read_exact(&mut head)?;
    let mut bytes = vec![0; body];
    input.read_exact(&mut bytes)?;
    Ok((serde_json::from_slice(&head)?, file, bytes))
}

/// The last reply to a request. A panic of a decoder is reported as a fault of the file.
fn done(job: Job, confinement: &Confinement, answers: &Answers) -> (Reply, Vec<u8>) {
    let answer = catch_unwind(AssertUnwindSafe(|| answer(job, confinement, answers)));
    match answer {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => (Reply::Failed(error.into()), Vec::new()),
        Err(_) => {
            let reason = "is damaged in a way that its decoder cannot handle; convert it with another program and use the copy";
            (Reply::Failed(Failure::Unusable(reason.into())), Vec::new())
        }
    }
}

fn answer(
    job: Job,
    confinement: &Confinement,
    answers: &Answers,
) -> Result<(Reply, Vec<u8>), MediaError> {
    let Job {
        request,
        file,
        body,
        work,
    } = job;
    let media = |name: &str| match file {
        Some(file) => MediaFile::of_open(file, Path::new(name)),
        None => Err(MediaError::Ffmpeg(
            "find the file that was passed on".into(),
        )),
    };
    let plain = |reply| Ok((reply, Vec::new()));
    match request {
        Request::Probe { name } => plain(Reply::Facts(Box::new(probe_here(&media(&name)?)?))),
        Request::CutPoints { name, least_secs } => plain(Reply::CutPoints(cut_points_here(
            &media(&name)?,
            least_secs,
            &work,
        )?)),
        Request::Poster { name, width_px } => Ok(still_reply(Still {
            image: poster_here(&media(&name)?, width_px)?,
            remarks: Vec::new(),
        })),
        Request::Sample {
            name,
            sampling,
            stretch,
            threads,
            form,
        } => {
            let sampler = FrameSampler::open(&media(&name)?, &sampling, stretch, threads)?;
            plain(sample(sampler, form, &work, answers)?)
        }
        Request::Kind { name } => plain(Reply::Kind(ask_ffmpeg(&media(&name)?)?.into())),
        Request::Still { name } => load_still_here(&body, Path::new(&name)).map(still_reply),
        Request::Confinement => plain(Reply::Confinement(confinement.clone())),
        Request::Close => plain(Reply::Failed(Failure::Cancelled)),
    }
}

/// Sends the frames of a video. Decoding continues while this thread encodes and sends; a slow reader slows it down.
fn sample(
    mut sampler: FrameSampler,
    form: FrameForm,
    work: &Work,
    answers: &Answers,
) -> Result<Reply, MediaError> {
    answers.send(&Reply::Opened, &[]);
    let (sender, receiver) = bounded::<SampledFrame>(WAITING_IMAGES);
    std::thread::scope(|scope| {
        let decoder = std::thread::Builder::new()
            .name("decode".into())
            .spawn_scoped(scope, move || -> Result<FrameSampler, MediaError> {
                while let Some(image) = sampler.next_frame(work)? {
                    // The receiver is gone if an image could not be encoded.
                    if sender.send(image).is_err() {
                        break;
                    }
                }
                Ok(sampler)
            })
            .map_err(|error| MediaError::Ffmpeg(format!("start a thread: {error}")))?;
        let mut outcome = Ok(());
        for image in receiver {
            let sent = work.check().map_err(MediaError::from).and_then(|()| {
                let frame = image.into_raw(form)?;
                let reply = Reply::Frame {
                    time_secs: frame.time_secs,
                    width_px: frame.width_px,
                    height_px: frame.height_px,
                };
                answers.send(&reply, &frame.bytes);
                Ok(())
            });
            if sent.is_err() {
                outcome = sent;
                break;
            }
        }
        let sampler = match decoder.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        outcome?;
        Ok(Reply::End(Box::new(sampler?.findings())))
    })
}
