//! Decoding in a process of its own.
//!
//! Videos and images are decoded by large libraries, FFmpeg's in C, and files come from anywhere: a defect there must
//! end neither the window nor a long import, and must reach neither files nor a network. So the program starts
//! itself a second time ([`serve()`]), opens each file and hands it over *open*, and gets back facts, pixels and JPEG
//! files over a socket (`message`). That process has no right to open, write or rename anything, to reach a network or to start
//! a program, and a bounded memory (`confine`). Those that are idle are kept for the next file (`pool`). One that
//! crashes, hangs or answers nonsense is ended; its file is set aside with the reason (`aside`) and not decoded again before
//! somebody asks for it ([`try_again`]).
//!
//! A program that has not said how to start that process ([`decode_with`]) decodes in its own: unit tests and
//! benchmarks. So does Windows, where an open file cannot be handed over in this way.

mod aside;
#[cfg(unix)]
mod confine;
mod frames;
mod message;
#[cfg(unix)]
mod pool;
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod session;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use image::RgbImage;

use crate::jobs::Work;
use crate::kind::Kind;

use super::file::MediaFile;
use super::still::load_still_here;
use super::{MediaError, Still, VideoInfo};

pub use aside::{SetAside, set_aside, try_again};
pub(super) use frames::Frames;
pub use message::Confinement;

#[cfg(unix)]
use message::{Found, Reply, Request, rgb_image};
#[cfg(unix)]
use session::{Session, Trouble, guarded};

/// The argument with which the program is started to decode.
pub const DECODER: &str = "--decoder";

/// The program that decodes, when it is a process of its own.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// From now on files are decoded by processes that are started as `PROGRAM --decoder`, which must call [`serve()`].
/// Only the first call counts.
pub fn decode_with(program: PathBuf) {
    PROGRAM.get_or_init(|| program);
}

/// The program to start, if decoding has a process of its own.
#[cfg(unix)]
fn program() -> Option<&'static Path> {
    PROGRAM.get().map(PathBuf::as_path)
}

/// Starts processes that decode until `count` are idle: they are ready when the first files come. Does nothing where files are
/// decoded in this process.
pub fn start_decoders(count: usize) {
    #[cfg(unix)]
    if let Some(program) = program() {
        pool::start(program, count);
    }
}

/// Decodes what is asked for over standard input until that is closed.
#[must_use]
pub fn serve() -> ExitCode {
    #[cfg(unix)]
    return serve::serve();
    #[cfg(not(unix))]
    ExitCode::FAILURE
}

/// How the process that decodes is confined; `None` if it has none of its own.
///
/// # Errors
/// If it cannot be started.
pub fn confinement() -> Result<Option<Confinement>, MediaError> {
    #[cfg(unix)]
    if program().is_some() {
        let it = Path::new("the decoder");
        return guarded(it, || {
            let mut session = Session::start(&Request::Confinement, None, &[], it)?;
            match session.answer()? {
                (Reply::Confinement(confinement), _) => Ok(Some(confinement)),
                _ => Err(session.nonsense()),
            }
        });
    }
    Ok(None)
}

/// The name of a file, for demuxers and decoders that go by its extension.
#[cfg(unix)]
fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The facts of a video.
pub(super) fn probe(film: &MediaFile) -> Result<VideoInfo, MediaError> {
    #[cfg(unix)]
    if program().is_some() {
        let name = name_of(film.path());
        let request = Request::Probe { name };
        return guarded(film.path(), || {
            let mut session = Session::of_file(&request, film)?;
            match session.answer()? {
                (Reply::Facts(facts), _) => Ok(*facts),
                _ => Err(session.nonsense()),
            }
        });
    }
    super::probe::probe_here(film)
}

/// Where a video can be cut into stretches.
pub(super) fn cut_points(
    film: &MediaFile,
    least_secs: f64,
    work: &Work,
) -> Result<Vec<f64>, MediaError> {
    #[cfg(unix)]
    if program().is_some() {
        let name = name_of(film.path());
        let request = Request::CutPoints { name, least_secs };
        return guarded(film.path(), || {
            let mut session = Session::of_file(&request, film)?;
            match session.next(Some(work))? {
                (Reply::CutPoints(cuts), _) if are_cuts(&cuts) => Ok(cuts),
                _ => Err(session.nonsense()),
            }
        });
    }
    super::cuts::cut_points_here(film, least_secs, work)
}

/// Whether these can be times at which a video is cut.
#[cfg(unix)]
fn are_cuts(cuts: &[f64]) -> bool {
    cuts.iter().all(|at| at.is_finite() && *at > 0.0) && cuts.is_sorted()
}

/// A picture that stands for a video.
pub(super) fn poster(film: &MediaFile, width_px: u32) -> Result<RgbImage, MediaError> {
    #[cfg(unix)]
    if program().is_some() {
        let name = name_of(film.path());
        let request = Request::Poster { name, width_px };
        return guarded(film.path(), || {
            let mut session = Session::of_file(&request, film)?;
            session.image().map(|(image, _)| image)
        });
    }
    super::preview::poster_here(film, width_px)
}

/// What a file of no known signature is.
pub(super) fn kind(file: &MediaFile) -> Result<Kind, MediaError> {
    #[cfg(unix)]
    if program().is_some() {
        use crate::kind::ImageKind;
        let name = name_of(file.path());
        let request = Request::Kind { name };
        return guarded(file.path(), || {
            let mut session = Session::of_file(&request, file)?;
            let (Reply::Kind(found), _) = session.answer()? else {
                return Err(session.nonsense());
            };
            let rare = |name| Kind::Image(ImageKind::Rare(name));
            match &found {
                Found::Film(name) => aside::interned(name).map(Kind::Film),
                Found::Image(name) => aside::interned(name).map(rare),
                Found::Sound => Some(Kind::Sound),
                Found::Nothing => Some(Kind::Unknown),
            }
            .ok_or_else(|| session.nonsense())
        });
    }
    super::kind::ask_ffmpeg(file)
}

/// A still image, from the content of its file.
pub(super) fn still(bytes: &[u8], path: &Path) -> Result<Still, MediaError> {
    #[cfg(unix)]
    if program().is_some() {
        let name = name_of(path);
        let request = Request::Still { name };
        return guarded(path, || {
            let mut session = Session::start(&request, None, bytes, path)?;
            session
                .image()
                .map(|(image, remarks)| Still { image, remarks })
        });
    }
    load_still_here(bytes, path)
}

#[cfg(unix)]
impl Session {
    /// The picture that is the whole answer, and what is to be said about it.
    fn image(&mut self) -> Result<(RgbImage, Vec<String>), Trouble> {
        if let (
            Reply::Image {
                width_px,
                height_px,
                remarks,
            },
            body,
        ) = self.answer()?
            && let Some(image) = rgb_image(width_px, height_px, body)
        {
            return Ok((image, remarks));
        }
        Err(self.nonsense())
    }
}
