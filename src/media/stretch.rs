//! Samples a stretch of a film: exactly the frames that a sampling of the whole film takes there.
//!
//! These frames can depend on what is before: on times, on gaps, on how long nothing has changed. So decoding starts
//! at a key frame some time before the stretch, and frames are used once they cannot depend any more on where decoding
//! started ([`Halt::Unsettled`] otherwise). If that is not the case at the beginning of the stretch, decoding starts
//! again from further back, in the end from the beginning of the film: that is always correct, but slower. Decoding
//! also continues beyond the end of the stretch as far as necessary.
//!
//! Stretches within a still image that lasts for hours are slow: which of its frames are left out depends on the first
//! of them. If a film is damaged, FFmpeg with several threads decodes it differently from run to run, even as a whole.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::jobs::Work;
use crate::project::Sampling;

use super::MediaError;
use super::file::MediaFile;
use super::findings::Findings;
use super::sample::{Begin, Halt, Pass, SampledFrame};

/// How many seconds before a stretch decoding starts at first,
const LEAD_IN_SECS: f64 = 2.0;
/// plus this many sampling periods.
const LEAD_IN_PERIODS: f64 = 4.0;
/// The factor by which this grows if it was too short.
const LEAD_IN_GROWS: f64 = 4.0;

/// A part of a film: the frames from one time up to, but excluding, another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    /// Its start, in seconds from the start of the film.
    pub from_secs: f64,
    /// Its exclusive end, in seconds from the start of the film; `None` for the end of the film.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_secs: Option<f64>,
}

/// The part of a film that counts, and where in the film the range of a sampling starts.
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
    /// The span of a stretch, or of the whole film, for a range that starts at `range_secs`.
    pub fn of(stretch: Option<Stretch>, range_secs: f64) -> Self {
        let from_secs = stretch.map_or(0.0, |stretch| stretch.from_secs);
        Self {
            // Times may be before the start of the film.
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

    /// Whether it contains the time `secs` of the film.
    pub fn contains(&self, secs: f64) -> bool {
        !self.is_before(secs) && !self.is_behind(secs)
    }

    /// Whether the time `secs` of the film is before it.
    pub fn is_before(&self, secs: f64) -> bool {
        secs < self.from_secs
    }

    /// Whether the time `secs` of the film is after it.
    pub fn is_behind(&self, secs: f64) -> bool {
        secs >= self.to_secs
    }

    /// Whether it contains a time counted from the start of the range.
    pub fn contains_in_range(&self, secs: f64) -> bool {
        self.contains(self.in_film(secs))
    }

    /// Converts a time counted from the start of the range to one from the start of the film.
    pub fn in_film(&self, secs: f64) -> f64 {
        self.range_secs + secs
    }
}

/// Decodes a video in this process and returns the frames that [`Sampling`] takes, of all of it or of a stretch.
pub(super) struct FrameSampler {
    film: MediaFile,
    sampling: Sampling,
    stretch: Option<Stretch>,
    threads: usize,
    pass: Pass,
    /// Whether decoding has not started yet at the right place.
    due: bool,
    /// The beginning of the film, and how many seconds before the stretch decoding started, unless it started at the
    /// beginning.
    lead_in: Option<(Begin, f64)>,
    /// The number of frames returned.
    yielded: u64,
    /// How many of these will come again.
    again: u64,
}

impl FrameSampler {
    /// Opens the video with this many decoder threads. Damage later in the file is no error here; see
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

    /// The next frame; `None` at the end. Checks `work` for every decoded image. A video too short for one frame at
    /// this rate returns its first. Without a stretch, an error at the end if no frame could be decoded.
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

    /// Starts this many seconds before the stretch, or at the beginning of the film.
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

    /// The findings, after the end.
    pub fn findings(&self) -> Findings {
        self.pass.findings()
    }
}

/// How many seconds before a stretch decoding starts at first.
fn lead_secs(sampling: &Sampling) -> f64 {
    LEAD_IN_SECS + LEAD_IN_PERIODS / sampling.fps.0
}

/// Rejects an invalid stretch.
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
        format!("has no stretch from {from_secs} s to {to} s: the end is before the start"),
    ))
}
