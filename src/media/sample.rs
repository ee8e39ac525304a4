//! Sampling: FFmpeg's `fps=F,scale=W:-1` in-process, by timestamp, upright, in one pass over a film or a part of it.

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
use super::lead_in::{Doubt, Look};
use super::repeats::{Keep, Repeats};
use super::sampler::{FrameForm, RawFrame};
use super::skip;
use super::stretch::{Span, Stretch};

pub(super) use filters::reference;

/// One sampled frame, as FFmpeg holds it.
pub(super) struct SampledFrame {
    /// Seconds from the start of the video.
    pub time_secs: f64,
    image: Video,
    encoder: JpegEncoder,
}

impl SampledFrame {
    /// The picture as it is handed over.
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

/// Why a pass ends before its end.
pub(super) enum Halt {
    Failed(MediaError),
    /// What comes next depends on what lies before the place where the pass began.
    Unsettled {
        /// The next pass must begin with the film; else further back than this one.
        from_start: bool,
    },
}

impl From<MediaError> for Halt {
    fn from(error: MediaError) -> Self {
        Self::Failed(error)
    }
}

/// How a range begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begin {
    /// Time of the first picture from the start of the range on, in the stream's time base.
    first: i64,
    look: Look,
}

/// Decodes a video, or a part of it, and yields the frames that [`Sampling`] takes there.
#[allow(clippy::struct_excessive_bools, reason = "each is a state of its own")]
pub(super) struct Pass {
    path: PathBuf,
    decoding: Decoding,
    plan: Plan,
    graph: Option<FilterGraph>,
    encoder: JpegEncoder,
    from_secs: f64,
    expected: Option<u64>,
    /// Length of the whole video by its headers, seconds.
    length_secs: Option<f64>,
    /// Length of the range that the headers promise, seconds.
    promised_secs: Option<f64>,
    span: Span,
    /// The pictures of the film look so; of a pass that began within it, until it is settled.
    lead_in: Option<Look>,
    began_within: bool,
    can_begin_within: bool,
    /// Of the first picture that came.
    look: Option<Look>,
    taken: u64,
    gaps: Gaps,
    repeats: Repeats,
    /// The filters are closed before a gap and give what they still hold.
    cutting: bool,
    /// What the closed filters give from this time on is not taken, seconds.
    until_secs: Option<f64>,
    /// Time of the first picture that the filters got, in the stream's time base.
    begun: Option<i64>,
    /// What the file holds beside the pictures that are read.
    other_tracks: Option<String>,
    /// The first picture, as long as nothing was taken.
    first: Option<Video>,
    late: Option<Late>,
    /// The filters have given everything.
    ended: bool,
    /// Nothing more comes.
    finished: bool,
    hdr: Hdr,
}

/// A first picture that comes after the start of the range.
struct Late {
    image: Video,
    time_base: Rational,
    /// The next tick to repeat it at.
    next: i64,
}

/// What is to be said about the brightness range.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hdr {
    No,
    ToneMapped,
    LeftAsIs,
}

impl Pass {
    /// Opens the video, to be decoded by so many threads, for the frames of a stretch of it. With `lead_in`, decoding begins
    /// with the key frame before that time of the film, in seconds, else with the film.
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
        // Of a length, the part that lies in the range.
        let within =
            |length: f64| (sampling.to_secs.unwrap_or(length).min(length) - start).max(0.0);
        let promised_secs = super::probe::promised_secs(&video, index).map(within);
        let length_secs = super::probe::length_secs(&video, index);
        let expected = length_secs
            .map(|length| sampling.to_secs.unwrap_or(length).min(length))
            .or(sampling.to_secs)
            .map(|to| ((span.overlap_secs(start, to) * fps).round() as u64).max(1));
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
            expected,
            length_secs,
            promised_secs,
            span,
            lead_in: lead_in.map(|(begin, _)| begin.look),
            began_within: lead_in.is_some(),
            can_begin_within,
            look: None,
            // Those before the lead-in.
            taken: u64::from(lead_in.is_some()),
            first: None,
            late: None,
            ended: false,
            finished: false,
            hdr,
        })
    }

    /// Whether a pass may begin within this film.
    pub fn can_begin_within(&self) -> bool {
        self.can_begin_within
    }

    /// How the range begins, `None` if nothing comes of it. Leaves the frames to come as they are.
    pub fn begin(&mut self, work: &Work) -> Result<Option<Begin>, MediaError> {
        loop {
            if let (Some(first), Some(look)) = (self.begun, self.look) {
                return Ok(Some(Begin { first, look }));
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

    /// The next frame, `None` at the end. Checks `work` for every decoded frame. A video too short for one
    /// frame at this rate yields its first.
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

    /// Does what is to be done next for the filters to give something.
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
                let look = Look::of(&frame);
                if self.lead_in.is_some_and(|expected| expected != look) {
                    return Err(Halt::Unsettled { from_start: true });
                }
                self.look.get_or_insert(look);
                let end = self.decoding.position();
                self.gaps.image(frame, end);
            }
            Decoded::End(pts) => self.gaps.end(pts),
        }
        Ok(())
    }

    /// Makes sure that what comes from here on does not depend on what lies before the place where this pass began.
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

    /// Halts if there is as much in doubt as `limit`, or more.
    fn check_doubt(doubt: Doubt, limit: Doubt) -> Result<(), Halt> {
        if doubt >= limit {
            return Err(Halt::Unsettled {
                from_start: doubt == Doubt::Start,
            });
        }
        Ok(())
    }

    /// How many frames will come, about.
    pub fn expected_frames(&self) -> Option<u64> {
        self.expected
    }

    /// What was found on the way, after the end.
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

    /// The file ended well before its headers said: it was cut off. Where, in microseconds of the range.
    fn cut_off_at_us(&self) -> Option<i64> {
        if !self.decoding.reached_end() {
            return None;
        }
        let promised = self.promised_secs?;
        let reached = self.decoding.position_us();
        let missing = promised - reached as f64 / 1e6;
        // Headers round, and sound may continue a little longer than the picture.
        (missing > 1.0 && missing > promised * 0.1).then_some(reached)
    }
}

/// Refuses a rate or a range that makes no sense.
pub(super) fn check(path: &Path, sampling: &Sampling) -> Result<(), MediaError> {
    match sampling.fault() {
        Some(fault) => Err(MediaError::unusable(path, fault)),
        None => Ok(()),
    }
}

/// Decoder threads for one video at a time. More than there are cores: with frame threading the decoder
/// then continues while the filters and the JPEG encoder are at work on another thread.
pub(super) fn decoder_threads() -> usize {
    (cores() * 2).clamp(4, 16)
}
