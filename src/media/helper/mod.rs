//! Decoding in a separate process.
//!
//! Videos and images are decoded by large libraries, such as FFmpeg in C, and files come from anywhere. A defect there
//! must not end the window or a long import, and must not reach files or a network. So the program starts itself a
//! second time ([`serve()`]), opens each file and passes it *open*, and receives properties, pixels and JPEG files
//! over a socket (`message`). That process has no permission to open, write or rename anything, to use a network or to
//! start a program, and its memory is limited (`confine`). Idle processes are kept for the next file (`pool`). A
//! process that crashes, hangs or sends invalid replies is ended; its file is set aside with the reason (`aside`) and
//! not decoded again until the user requests it ([`try_again`]).
//!
//! Without a call of [`decode_with`] the program decodes in its own process: unit tests and benchmarks do. So does
//! Windows, where an open file cannot be passed in this way.

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
use session::{DecodingSession, Trouble, guarded};

/// The argument that starts the program as a decoding process.
pub const DECODER: &str = "--decoder";

/// The program to start for decoding, if that happens in a separate process.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// From now on files are decoded by processes started as `PROGRAM --decoder`, which must call [`serve()`]. Only the
/// first call has an effect.
pub fn decode_with(program: PathBuf) {
    PROGRAM.get_or_init(|| program);
}

/// The program to start, if decoding happens in a separate process.
#[cfg(unix)]
fn program() -> Option<&'static Path> {
    PROGRAM.get().map(PathBuf::as_path)
}

/// Starts decoding processes until `count` are idle, so that they are ready for the first files. Does nothing if files
/// are decoded in this process.
pub fn start_decoders(count: usize) {
    #[cfg(unix)]
    if let Some(program) = program() {
        pool::start(program, count);
    }
}

/// Serves requests from standard input until it is closed.
#[must_use]
pub fn serve() -> ExitCode {
    #[cfg(unix)]
    return serve::serve();
    #[cfg(not(unix))]
    ExitCode::FAILURE
}

/// How the decoding process is confined; `None` if there is no separate one.
///
/// # Errors
/// If it cannot be started.
pub fn confinement() -> Result<Option<Confinement>, MediaError> {
    #[cfg(unix)]
    if program().is_some() {
        let it = Path::new("the decoder");
        return guarded(it, || {
            let mut session = DecodingSession::start(&Request::Confinement, None, &[], it)?;
            match session.answer()? {
                (Reply::Confinement(confinement), _) => Ok(Some(confinement)),
                _ => Err(session.nonsense()),
            }
        });
    }
    Ok(None)
}

/// A file's name, for demuxers and decoders that use its extension.
#[cfg(unix)]
fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The properties of a video.
pub(super) fn probe(film: &MediaFile) -> Result<VideoInfo, MediaError> {
    #[cfg(unix)]
    if program().is_some() {
        let name = name_of(film.path());
        let request = Request::Probe { name };
        return guarded(film.path(), || {
            let mut session = DecodingSession::of_file(&request, film)?;
            match session.answer()? {
                (Reply::Facts(facts), _) => Ok(*facts),
                _ => Err(session.nonsense()),
            }
        });
    }
    super::probe::probe_here(film)
}

/// The times at which a video can be cut into stretches.
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
            let mut session = DecodingSession::of_file(&request, film)?;
            match session.next(Some(work))? {
                (Reply::CutPoints(cuts), _) if are_cuts(&cuts) => Ok(cuts),
                _ => Err(session.nonsense()),
            }
        });
    }
    super::cuts::cut_points_here(film, least_secs, work)
}

/// Whether these are valid times for cuts.
#[cfg(unix)]
fn are_cuts(cuts: &[f64]) -> bool {
    cuts.iter().all(|at| at.is_finite() && *at > 0.0) && cuts.is_sorted()
}

/// A poster image of a video.
pub(super) fn poster(film: &MediaFile, width_px: u32) -> Result<RgbImage, MediaError> {
    #[cfg(unix)]
    if program().is_some() {
        let name = name_of(film.path());
        let request = Request::Poster { name, width_px };
        return guarded(film.path(), || {
            let mut session = DecodingSession::of_file(&request, film)?;
            session.image().map(|(image, _)| image)
        });
    }
    super::poster::poster_here(film, width_px)
}

/// The kind of a file without a known signature.
pub(super) fn kind(file: &MediaFile) -> Result<Kind, MediaError> {
    #[cfg(unix)]
    if program().is_some() {
        use crate::kind::ImageKind;
        let name = name_of(file.path());
        let request = Request::Kind { name };
        return guarded(file.path(), || {
            let mut session = DecodingSession::of_file(&request, file)?;
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

/// A still image, from the contents of its file.
pub(super) fn still(bytes: &[u8], path: &Path) -> Result<Still, MediaError> {
    #[cfg(unix)]
    if program().is_some() {
        let name = name_of(path);
        let request = Request::Still { name };
        return guarded(path, || {
            let mut session = DecodingSession::start(&request, None, bytes, path)?;
            session
                .image()
                .map(|(image, remarks)| Still { image, remarks })
        });
    }
    load_still_here(bytes, path)
}

#[cfg(unix)]
impl DecodingSession {
    /// The image that is the whole reply, with remarks.
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
