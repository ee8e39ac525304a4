//! The frames that a sampling takes from a video, decoded in this process or another.

use crate::jobs::Work;
use crate::media::file::MediaFile;
use crate::media::sampler::{FrameForm, RawFrame};
use crate::media::stretch::FrameSampler;
use crate::media::{Findings, MediaError, Stretch, sample, stretch};
use crate::project::Sampling;

#[cfg(unix)]
use super::{
    aside,
    message::{Reply, Request},
    name_of, program,
    session::{DecodingSession, Trouble, guarded},
};

/// The frames of a video, as they arrive.
pub(in crate::media) struct Frames(Origin);

enum Origin {
    /// Decoded by another process.
    #[cfg(unix)]
    There {
        session: DecodingSession,
        form: FrameForm,
        /// The findings, after the end.
        findings: Option<Box<Findings>>,
    },
    /// Decoded in this process.
    Here {
        sampler: Box<FrameSampler>,
        form: FrameForm,
    },
}

impl Frames {
    /// Opens a video to sample all of it or a stretch, with this many decoder threads.
    pub fn open(
        film: &MediaFile,
        sampling: &Sampling,
        stretch: Option<Stretch>,
        threads: usize,
        form: FrameForm,
    ) -> Result<Self, MediaError> {
        sample::check(film.path(), sampling)?;
        stretch::check(film.path(), stretch)?;
        #[cfg(unix)]
        if program().is_some() {
            let request = Request::Sample {
                name: name_of(film.path()),
                sampling: *sampling,
                stretch,
                threads,
                form,
            };
            return guarded(film.path(), || {
                let mut session = DecodingSession::of_file(&request, film)?;
                let (Reply::Opened, _) = session.answer()? else {
                    return Err(session.nonsense());
                };
                Ok(Self(Origin::There {
                    session,
                    form,
                    findings: None,
                }))
            });
        }
        let sampler = Box::new(FrameSampler::open(film, sampling, stretch, threads)?);
        Ok(Self(Origin::Here { sampler, form }))
    }

    /// The next frame; `None` at the end.
    pub fn next(&mut self, work: &Work) -> Result<Option<RawFrame>, MediaError> {
        match &mut self.0 {
            #[cfg(unix)]
            Origin::There {
                session,
                form,
                findings,
                ..
            } => {
                if findings.is_some() {
                    return Ok(None);
                }
                let trouble = match session.next(Some(work)) {
                    Ok((Reply::End(found), _)) => {
                        *findings = Some(found);
                        return Ok(None);
                    }
                    Ok((
                        Reply::Frame {
                            time_secs,
                            width_px,
                            height_px,
                        },
                        bytes,
                    )) if time_secs.is_finite() && is_frame(*form, width_px, height_px, &bytes) => {
                        return Ok(Some(RawFrame {
                            time_secs,
                            width_px,
                            height_px,
                            bytes,
                        }));
                    }
                    Ok(_) => session.nonsense(),
                    Err(trouble) => trouble,
                };
                Err(match trouble {
                    Trouble::Media(error) => error,
                    Trouble::Died { cause, .. } => aside::put(session.path(), cause),
                })
            }
            Origin::Here { sampler, form } => {
                let image = sampler.next_frame(work)?;
                image.map(|image| image.into_raw(*form)).transpose()
            }
        }
    }

    /// The findings, after the end.
    pub fn findings(&self) -> Findings {
        match &self.0 {
            #[cfg(unix)]
            Origin::There { findings, .. } => findings.as_deref().cloned().unwrap_or_default(),
            Origin::Here { sampler, .. } => sampler.findings(),
        }
    }
}

/// Whether a message body can be the frame that its head describes.
#[cfg(unix)]
fn is_frame(form: FrameForm, width_px: u32, height_px: u32, bytes: &[u8]) -> bool {
    match form {
        FrameForm::Rgb => {
            let expected = u64::from(width_px) * u64::from(height_px) * 3;
            expected > 0 && expected == bytes.len() as u64
        }
        FrameForm::Jpeg => {
            width_px > 0 && height_px > 0 && bytes.starts_with(&crate::kind::jpeg::SOI)
        }
    }
}
