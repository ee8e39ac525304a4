//! Sampling a stretch of a film: exactly the frames that a sampling of the whole film takes there.
//!
//! Which frames those are can depend on what lies before: on times, on gaps, on how long nothing has changed. So decoding
//! begins at a key frame some way before the stretch, and what it gives is used once it cannot depend any more on where
//! decoding began ([`Halt::Unsettled`] otherwise). If that is not so where the stretch begins, decoding begins again from
//! further back, at last from the start of the film: always right, but slower. Likewise it ends only behind the stretch.
//!
//! Slow are stretches within a still image that lasts for hours: which of its frames are left out depends on the first of them.
//! Where a film is damaged, FFmpeg with several threads decodes differently from time to time, the whole film too.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::jobs::Work;
use crate::project::Sampling;

use super::MediaError;
use super::file::MediaFile;
use super::findings::Findings;
use super::sample::{Begin, Halt, Pass, SampledFrame};

/// So long before a stretch decoding begins at first, seconds,
const LEAD_IN_SECS: f64 = 2.0;
/// and for so many periods of the sampling longer.
const LEAD_IN_PERIODS: f64 = 4.0;
/// So many times further back when that was too short.
const LEAD_IN_GROWS: f64 = 4.0;

/// A part of a film: the frames from one time up to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    /// Time of its first frame or before, seconds from the start of the film.
    pub from_secs: f64,
    /// Frames from this time on are no longer part of it, seconds from the start of the film; `None`: up to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_secs: Option<f64>,
}

/// The part of a film that counts, and where in the film the range of a sampling begins.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_field_names, reason = "the unit is part of the name")]
pub(super) struct Span {
    from_secs: f64,
    to_secs: f64,
    range_secs: f64,
}

impl Default for Span {
    /// The whole film.
    fn default() -> Self {
        Self::of(None, 0.0)
    }
}

impl Span {
    /// Of a stretch or the whole film, with a range that begins at `range_secs`.
    pub fn of(stretch: Option<Stretch>, range_secs: f64) -> Self {
        let from_secs = stretch.map_or(0.0, |stretch| stretch.from_secs);
        Self {
            // Times may lie before the start of the film.
            from_secs: if from_secs > 0.0 {
                from_secs
            } else {
                f64::NEG_INFINITY
            },
            to_secs: stretch
                .and_then(|stretch| stretch.to_secs)
                .unwrap_or(f64::INFINITY),
            range_secs,
        }
    }

    /// Whether the time `secs` of the film lies in it.
    pub fn contains(&self, secs: f64) -> bool {
        !self.is_before(secs) && !self.is_behind(secs)
    }

    /// Whether the time `secs` of the film lies before it.
    pub fn is_before(&self, secs: f64) -> bool {
        secs < self.from_secs
    }

    /// Whether the time `secs` of the film lies behind it.
    pub fn is_behind(&self, secs: f64) -> bool {
        secs >= self.to_secs
    }

    /// Whether a time counted from the start of the range lies in it.
    pub fn contains_in_range(&self, secs: f64) -> bool {
        self.contains(self.in_film(secs))
    }

    /// A time counted from the start of the range, counted from that of the film.
    pub fn in_film(&self, secs: f64) -> f64 {
        self.range_secs + secs
    }

    /// How much of the film between two times lies in it, seconds.
    pub fn overlap_secs(&self, from_secs: f64, to_secs: f64) -> f64 {
        (self.to_secs.min(to_secs) - self.from_secs.max(from_secs)).max(0.0)
    }
}

/// Decodes a video in this process and yields the frames that [`Sampling`] asks for, of all of it or of a stretch.
pub(super) struct FrameSampler {
    film: MediaFile,
    sampling: Sampling,
    stretch: Option<Stretch>,
    threads: usize,
    pass: Pass,
    /// Decoding is still to begin where it should.
    due: bool,
    /// How the film begins, and how long before the stretch decoding began, seconds, unless it began with the film.
    lead_in: Option<(Begin, f64)>,
    /// Frames that were yielded.
    yielded: u64,
    /// Of those, how many are still to come again.
    again: u64,
}

impl FrameSampler {
    /// Opens the video, to be decoded by so many threads. Damage later in the file does not fail; see
    /// [`FrameSampler::findings`].
    pub fn open(
        film: &MediaFile,
        sampling: &Sampling,
        stretch: Option<Stretch>,
        threads: usize,
    ) -> Result<Self, MediaError> {
        let io = |error| MediaError::read(film.path(), error);
        let file = film.file().try_clone().map_err(io)?;
        let film = MediaFile::of_open(file, film.path())?;
        let pass = Pass::open(&film, sampling, stretch, None, threads)?;
        let start = sampling.start_secs();
        Ok(Self {
            due: stretch.is_some_and(|stretch| stretch.from_secs - lead_secs(sampling) > start)
                && pass.can_begin_within(),
            film,
            sampling: *sampling,
            stretch,
            threads,
            pass,
            lead_in: None,
            yielded: 0,
            again: 0,
        })
    }

    /// The next frame, `None` at the end. Checks `work` for every decoded frame. A video too short for one
    /// frame at this rate yields its first. Without a stretch, fails at the end if not one frame could be decoded.
    pub fn next_frame(&mut self, work: &Work) -> Result<Option<SampledFrame>, MediaError> {
        if std::mem::take(&mut self.due)
            && let Some(begin) = self.pass.begin(work)?
        {
            let lead_secs = lead_secs(&self.sampling);
            self.begin_before(begin, lead_secs)?;
        }
        loop {
            match self.pass.next_frame(work) {
                Ok(Some(_)) if self.again > 0 => self.again -= 1,
                Ok(Some(frame)) => {
                    self.yielded += 1;
                    return Ok(Some(frame));
                }
                Ok(None) => {
                    if self.stretch.is_none() {
                        let found = self.pass.findings();
                        found.check(self.film.path(), &self.sampling, self.yielded)?;
                    }
                    return Ok(None);
                }
                Err(Halt::Failed(error)) => return Err(error),
                Err(Halt::Unsettled { from_start }) => {
                    self.again = self.yielded;
                    match self.lead_in.take() {
                        Some((begin, lead_secs)) if !from_start => {
                            self.begin_before(begin, lead_secs * LEAD_IN_GROWS)?;
                        }
                        _ => self.begin_with(None)?,
                    }
                }
            }
        }
    }

    /// Begins so many seconds before the stretch, or with the film.
    fn begin_before(&mut self, begin: Begin, lead_secs: f64) -> Result<(), MediaError> {
        let start = self.sampling.start_secs();
        let from = self.stretch.map_or(0.0, |stretch| stretch.from_secs);
        let at_secs = from - lead_secs;
        if at_secs <= start {
            return self.begin_with(None);
        }
        self.lead_in = Some((begin, lead_secs));
        self.begin_with(Some((begin, at_secs)))
    }

    fn begin_with(&mut self, lead_in: Option<(Begin, f64)>) -> Result<(), MediaError> {
        log::debug!(
            "{}: stretch {:?} decoded from {:?}",
            self.film.path().display(),
            self.stretch,
            lead_in.map(|(_, at_secs)| at_secs)
        );
        self.pass = Pass::open(
            &self.film,
            &self.sampling,
            self.stretch,
            lead_in,
            self.threads,
        )?;
        Ok(())
    }

    /// How many frames will come, about.
    pub fn expected_frames(&self) -> Option<u64> {
        self.pass.expected_frames()
    }

    /// What was found on the way, after the end.
    pub fn findings(&self) -> Findings {
        self.pass.findings()
    }
}

/// So many seconds before a stretch decoding begins at first.
fn lead_secs(sampling: &Sampling) -> f64 {
    LEAD_IN_SECS + LEAD_IN_PERIODS / sampling.fps.0
}

/// Refuses a stretch that makes no sense.
pub(super) fn check(path: &Path, stretch: Option<Stretch>) -> Result<(), MediaError> {
    let Some(Stretch { from_secs, to_secs }) = stretch else {
        return Ok(());
    };
    let to = to_secs.unwrap_or(f64::INFINITY);
    if from_secs.is_finite() && from_secs >= 0.0 && to > from_secs {
        return Ok(());
    }
    Err(MediaError::unusable(
        path,
        format!("has no stretch from {from_secs} s to {to} s: the end lies before the start"),
    ))
}
