//! Sampling: FFmpeg's `fps=F,scale=W:-1` by timestamp, upright, in one pass over a film or a part of it.

mod filters;

use std::path::{Path, PathBuf};

use ffmpeg_next::Rational;
use ffmpeg_next::util::frame::Video;

use crate::jobs::{Work, cores};
use crate::project::Sampling;

use super::MediaError;
use super::cuts;
use super::decode::{Decoded, Decoding};
use super::ffmpeg::{self, Turn};
use super::file::MediaFile;
use super::findings::Findings;
use super::gaps::Gaps;
use super::graph::{FilterGraph, Pixels, Plan, can_tone_map};
use super::jpeg::{JpegEncoder, to_rgb};
use super::lead_in::{Doubt, FrameFormat};
use super::repeats::{Keep, Repeats};
use super::sampler::{FrameForm, RawFrame};
use super::skip;
use super::stretch::{Span, Stretch};

pub(super) use filters::reference;

/// A sampled frame in FFmpeg's memory.
pub(super) struct SampledFrame {
    /// Seconds from the start of the video.
    pub time_secs: f64,
    image: Video,
    encoder: JpegEncoder,
}

impl SampledFrame {
    /// Converts the frame to pixels or a JPEG file.
    pub fn into_raw(self, form: FrameForm) -> Result<RawFrame, MediaError> {
        let (width_px, height_px) = (self.image.width(), self.image.height());
        let bytes = match form {
            FrameForm::Rgb => to_rgb(&self.image)
                .map_err(|error| MediaError::Ffmpeg(format!("convert a frame: {error}")))?
                .into_raw(),
            FrameForm::Jpeg => self
                .encoder
                .encode(&self.image)
                .map_err(|error| MediaError::Ffmpeg(format!("write a JPEG: {error}")))?,
        };
        Ok(RawFrame {
            time_secs: self.time_secs,
            width_px,
            height_px,
            bytes,
        })
    }
}

/// Why a pass ends early.
pub(super) enum Halt {
    Failed(MediaError),
    /// What follows may depend on images before the place where the pass started.
    Unsettled {
        /// Whether the next pass must start at the beginning of the film; otherwise further back than this one.
        from_start: bool,
    },
}

impl From<MediaError> for Halt {
    fn from(error: MediaError) -> Self {
        Self::Failed(error)
    }
}

/// The beginning of a range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begin {
    /// Time of the first image in the range, in the stream's time base.
    first: i64,
    frame_format: FrameFormat,
}

/// Decodes a video, or a part of it, and returns the frames that [`Sampling`] takes there.
#[allow(clippy::struct_excessive_bools, reason = "each is a state of its own")]
pub(super) struct Pass {
    path: PathBuf,
    decoding: Decoding,
    plan: Plan,
    graph: Option<FilterGraph>,
    encoder: JpegEncoder,
    from_secs: f64,
    /// Duration of the whole video in its headers, in seconds.
    length_secs: Option<f64>,
    /// Duration of the range according to the headers, in seconds.
    promised_secs: Option<f64>,
    span: Span,
    /// The properties of the film's images, for a pass that started within it, until it is settled.
    lead_in: Option<FrameFormat>,
    began_within: bool,
    can_begin_within: bool,
    /// The properties of the first image.
    frame_format: Option<FrameFormat>,
    taken: u64,
    gaps: Gaps,
    repeats: Repeats,
    /// Whether the filters are closed before a gap and are returning their last frames.
    cutting: bool,
    /// Frames of the closed filters from this time on are discarded, in seconds.
    until_secs: Option<f64>,
    /// Time of the first image passed to the filters, in the stream's time base.
    begun: Option<i64>,
    /// A sentence about the other video streams of the file.
    other_tracks: Option<String>,
    /// The first image, kept until a frame is taken.
    first: Option<Video>,
    late: Option<Late>,
    /// Whether the filters have returned everything.
    ended: bool,
    /// Whether the pass has ended.
    finished: bool,
    hdr: Hdr,
}

/// A first image after the start of the range.
struct Late {
    image: Video,
    time_base: Rational,
    /// The next tick at which it is repeated.
    next: i64,
}

/// How HDR is treated, for a remark.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hdr {
    No,
    ToneMapped,
    LeftAsIs,
}

impl Pass {
    /// Opens the video with this many decoder threads, to sample a stretch of it. With `lead_in`, decoding starts at
    /// the key frame before that time of the film, in seconds; otherwise at the beginning.
    pub fn open(
        film: &MediaFile,
        sampling: &Sampling,
        stretch: Option<Stretch>,
        lead_in: Option<(Begin, f64)>,
        threads: usize,
    ) -> Result<Self, MediaError> {
        let path = film.path();
        let fps = sampling.fps.0;
        let start = sampling.start_secs();
        let from_secs = (start > 0.0).then_some(start);
        let span = Span::of(stretch, start);
        let mut video = ffmpeg::open(film)?;
        let index = video.stream;
        let aspect = ffmpeg::pixel_aspect(&mut video.input, index);
        let rate = ffmpeg::guessed_rate(&mut video.input, index);
        let Some(stream) = video.input.stream(index) else {
            return Err(MediaError::unusable(path, "holds no video"));
        };
        let turn = Turn::of(&stream);
        let hdr = match (ffmpeg::is_hdr(&stream), can_tone_map()) {
            (false, _) => Hdr::No,
            (true, true) => Hdr::ToneMapped,
            (true, false) => Hdr::LeftAsIs,
        };
        // The part of a duration that is in the range.
        let within =
            |length: f64| (sampling.to_secs.unwrap_or(length).min(length) - start).max(0.0);
        let promised_secs = super::probe::promised_secs(&video, index).map(within);
        let length_secs = super::probe::length_secs(&video, index);
        let own_rate = ffmpeg::positive(stream.avg_frame_rate()).map(f64::from);
        let other_tracks = ffmpeg::other_tracks(&video.input, index);
        let can_begin_within = cuts::has_index(&video.input);
        let mut decoding =
            Decoding::new(video, path, from_secs, threads, Some(skip::rate(fps)))?.counted_in(span);
        if let Some((_, at_secs)) = lead_in {
            decoding = decoding.led_in(at_secs);
        }
        let plan = Plan {
            from_zero: from_secs.is_some(),
            duration_us: sampling
                .to_secs
                .map(|to| ((to - start) * 1e6).round() as i64),
            end: None,
            fps: Some(skip::rate(fps)),
            turn,
            aspect,
            width_px: sampling.width_px,
            tone_map: hdr == Hdr::ToneMapped,
            pixels: Pixels::Jpeg,
            time_base: decoding.time_base(),
            rate,
        };
        Ok(Self {
            path: path.to_owned(),
            gaps: Gaps::new(decoding.time_base(), own_rate, fps, span),
            repeats: Repeats::new(span, lead_in.is_some()),
            cutting: false,
            until_secs: None,
            begun: lead_in.map(|(begin, _)| begin.first),
            other_tracks,
            decoding,
            plan,
            graph: None,
            encoder: JpegEncoder::new(sampling.jpeg_quality),
            from_secs: start,
            length_secs,
            promised_secs,
            span,
            lead_in: lead_in.map(|(begin, _)| begin.frame_format),
            began_within: lead_in.is_some(),
            can_begin_within,
            frame_format: None,
            // Frames before the lead-in count as taken.
            taken: u64::from(lead_in.is_some()),
            first: None,
            late: None,
            ended: false,
            finished: false,
            hdr,
        })
    }

    /// Whether a pass may start within this film.
    pub fn can_begin_within(&self) -> bool {
        self.can_begin_within
    }

    /// The beginning of the range; `None` if the range has no image. Does not consume frames.
    pub fn begin(&mut self, work: &Work) -> Result<Option<Begin>, MediaError> {
        loop {
            if let (Some(first), Some(frame_format)) = (self.begun, self.frame_format) {
                return Ok(Some(Begin {
                    first,
                    frame_format,
                }));
            }
            if self.ended {
                return Ok(None);
            }
            match self.advance(work) {
                Ok(()) => {}
                Err(Halt::Failed(error)) => return Err(error),
                Err(Halt::Unsettled { .. }) => return Ok(None),
            }
        }
    }

    /// The next frame; `None` at the end. Checks `work` for every decoded image. A video too short for one frame at
    /// this rate returns its first.
    pub fn next_frame(&mut self, work: &Work) -> Result<Option<SampledFrame>, Halt> {
        loop {
            if self.finished {
                return Ok(None);
            }
            match self.pull() {
                Ok(Some(frame)) => {
                    let keep = self.repeats.keep(&frame.image, frame.time_secs);
                    if keep != Keep::LeaveOut {
                        self.taken += 1;
                        self.first = None;
                    }
                    if self.span.is_before(frame.time_secs) {
                        work.check().map_err(MediaError::from)?;
                        continue;
                    }
                    self.settle()?;
                    if self.span.is_behind(frame.time_secs) {
                        self.finished = true;
                        continue;
                    }
                    match keep {
                        Keep::Take => return Ok(Some(frame)),
                        Keep::LeaveOut => work.check().map_err(MediaError::from)?,
                        Keep::Unknown => return Err(Halt::Unsettled { from_start: false }),
                    }
                }
                Ok(None) => {
                    if self.ended {
                        if self.begin_again_for_the_first()? {
                            continue;
                        }
                        self.settle()?;
                        self.finished = true;
                    } else {
                        self.advance(work)?;
                    }
                }
                Err(error) => self.fall_back(error)?,
            }
        }
    }

    /// Does the next step towards a frame from the filters.
    fn advance(&mut self, work: &Work) -> Result<(), Halt> {
        if let Some(step) = self.gaps.next_step() {
            return self.take(step);
        }
        match self.decoding.next(work)? {
            Decoded::Frame(frame) => {
                let limit = match self.lead_in {
                    Some(_) => Doubt::Further,
                    None => Doubt::Start,
                };
                Self::check_doubt(self.decoding.doubt(), limit)?;
                let frame_format = FrameFormat::of(&frame);
                if self
                    .lead_in
                    .is_some_and(|expected| expected != frame_format)
                {
                    return Err(Halt::Unsettled { from_start: true });
                }
                self.frame_format.get_or_insert(frame_format);
                let end = self.decoding.position();
                self.gaps.image(frame, end);
            }
            Decoded::End(pts) => self.gaps.end(pts),
        }
        Ok(())
    }

    /// Makes sure that everything from here on is independent of images before the place where this pass started.
    fn settle(&mut self) -> Result<(), Halt> {
        if self.lead_in.take().is_none() {
            return Ok(());
        }
        let doubt = self.decoding.settle();
        Self::check_doubt(doubt, Doubt::Further)?;
        if self.gaps.is_settled() {
            Ok(())
        } else {
            Err(Halt::Unsettled { from_start: false })
        }
    }

    /// Ends the pass if the doubt is at least `limit`.
    fn check_doubt(doubt: Doubt, limit: Doubt) -> Result<(), Halt> {
        if doubt >= limit {
            return Err(Halt::Unsettled {
                from_start: doubt == Doubt::Start,
            });
        }
        Ok(())
    }

    /// The findings, after the end.
    pub fn findings(&self) -> Findings {
        let in_film = |us: i64| self.from_secs + us as f64 / 1e6;
        let (gaps, longest_gap) = self.gaps.found();
        let (left_out, longest_still) = self.repeats.found();
        Findings {
            cut_off_secs: self.cut_off_at_us().map(in_film),
            gaps,
            longest_gap,
            left_out,
            longest_still,
            wrong_times: self.gaps.wrong_times(),
            pale: self.hdr == Hdr::LeftAsIs,
            other_tracks: self.other_tracks.clone(),
            reached_secs: in_film(self.decoding.position_us()),
            length_secs: self.length_secs,
            ..Findings::default()
        }
        .with_damage(self.decoding.damage(), self.from_secs)
    }

    /// Where the file was cut off, if it ended well before the duration in its headers, in microseconds of the range.
    fn cut_off_at_us(&self) -> Option<i64> {
        if !self.decoding.reached_end() {
            return None;
        }
        let promised = self.promised_secs?;
        let reached = self.decoding.position_us();
        let missing = promised - reached as f64 / 1e6;
        // Headers round, and sound may be a little longer than the video.
        (missing > 1.0 && missing > promised * 0.1).then_some(reached)
    }
}

/// Rejects an invalid rate or range.
pub(super) fn check(path: &Path, sampling: &Sampling) -> Result<(), MediaError> {
    match sampling.fault() {
        Some(fault) => Err(MediaError::unusable(path, fault)),
        None => Ok(()),
    }
}

/// The number of decoder threads for one video at a time, two for each core and at most 16: with frame threading the
/// decoder then continues while the filters and the JPEG encoder work on another thread.
pub(super) fn decoder_threads() -> usize {
    (cores() * 2).min(16)
}
