//! One request to the decoding process, and its replies.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::jobs::{Cancelled, Work};
use crate::media::MediaError;
use crate::media::file::MediaFile;

use super::message::{Reply, Request};
use super::pool::{self, Decoder, WAIT};
use super::{aside, program};

/// A process that sends nothing for this long has hung. It reports every second while it works.
const SILENCE: Duration = Duration::from_secs(20);

/// The reason why there is no reply.
pub(super) enum Trouble {
    /// The file is refused, or the work was cancelled.
    Media(MediaError),
    /// The process crashed or hung.
    Died {
        /// What happened, as the end of a sentence that begins with the file's name.
        cause: String,
        /// Whether there may be another cause than the file.
        again: bool,
    },
}

impl From<MediaError> for Trouble {
    fn from(error: MediaError) -> Self {
        Self::Media(error)
    }
}

impl From<Cancelled> for Trouble {
    fn from(error: Cancelled) -> Self {
        Self::Media(error.into())
    }
}

/// A request with its process.
pub(super) struct DecodingSession {
    /// `None` after the last reply.
    decoder: Option<Decoder>,
    path: PathBuf,
}

/// Serves a request about the file `path` in the decoding process. If the process ends suddenly, the request is
/// repeated once in a new one, because it may have been ended from outside; then the file is set aside.
pub(super) fn guarded<T>(
    path: &Path,
    mut ask: impl FnMut() -> Result<T, Trouble>,
) -> Result<T, MediaError> {
    aside::refuse(path)?;
    let mut once_more = true;
    loop {
        match ask() {
            Err(Trouble::Died { again: true, .. }) if std::mem::take(&mut once_more) => {}
            Err(Trouble::Died { cause, .. }) => return Err(aside::put(path, cause)),
            Err(Trouble::Media(error)) => return Err(error),
            Ok(answer) => return Ok(answer),
        }
    }
}

impl DecodingSession {
    /// Starts a request about a file, which is passed open.
    pub fn of_file(request: &Request, file: &MediaFile) -> Result<Self, Trouble> {
        Self::start(request, Some(file), &[], file.path())
    }

    /// Starts a request with an open file or the contents of one; `path` is used in messages.
    pub fn start(
        request: &Request,
        file: Option<&MediaFile>,
        body: &[u8],
        path: &Path,
    ) -> Result<Self, Trouble> {
        let failed = |error: io::Error| {
            MediaError::Ffmpeg(format!("be started in a separate process: {error}"))
        };
        let program = program().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let mut session = Self {
            decoder: Some(pool::take(program).map_err(failed)?),
            path: path.to_owned(),
        };
        let sent = session
            .decoder
            .as_mut()
            .map(|decoder| decoder.send(request, file.map(MediaFile::file), body));
        match sent {
            Some(Err(error)) => Err(session.died(&error)),
            _ => Ok(session),
        }
    }

    /// The file of the request.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The only reply, or the first of several.
    pub fn answer(&mut self) -> Result<(Reply, Vec<u8>), Trouble> {
        self.next(None)
    }

    /// The next reply. `work` is checked while waiting; a pause does not count as silence.
    pub fn next(&mut self, work: Option<&Work>) -> Result<(Reply, Vec<u8>), Trouble> {
        let mut heard = Instant::now();
        loop {
            let Some(decoder) = &mut self.decoder else {
                return Err(self.nonsense());
            };
            match decoder.receive() {
                Ok(Some((Reply::Alive, _))) => heard = Instant::now(),
                Ok(Some((reply, body))) => {
                    if reply.is_last()
                        && let Some(decoder) = self.decoder.take()
                    {
                        pool::put(decoder);
                    }
                    return match reply {
                        Reply::Failed(failure) => Err(failure.of(&self.path).into()),
                        reply => Ok((reply, body)),
                    };
                }
                Ok(None) => {
                    let asked = Instant::now();
                    if let Some(work) = work {
                        work.check()?;
                    }
                    if asked.elapsed() > WAIT {
                        heard = Instant::now();
                    } else if heard.elapsed() > SILENCE {
                        self.decoder = None;
                        return Err(Trouble::Died {
                            cause: format!(
                                "kept its decoder busy for {} seconds without a result",
                                SILENCE.as_secs()
                            ),
                            again: false,
                        });
                    }
                    if let Some(decoder) = &self.decoder {
                        decoder.wait(WAIT);
                    }
                }
                Err(error) => return Err(self.died(&error)),
            }
        }
    }

    /// The process sent an invalid reply.
    pub fn nonsense(&mut self) -> Trouble {
        self.decoder = None;
        Trouble::Died {
            cause: "made its decoder send invalid replies".into(),
            again: true,
        }
    }

    fn died(&mut self, error: &io::Error) -> Trouble {
        if error.kind() == io::ErrorKind::InvalidData {
            return self.nonsense();
        }
        let how = self.decoder.take().map_or_else(String::new, Decoder::end);
        Trouble::Died {
            cause: format!("made its decoder crash ({how})"),
            again: true,
        }
    }
}

impl Drop for DecodingSession {
    fn drop(&mut self) {
        if let Some(decoder) = self.decoder.take() {
            decoder.close();
        }
    }
}
