//! Sampling: FFmpeg's `fps=F,scale=W:-1` in-process, by timestamp, upright.

use std::path::{Path, PathBuf};

use ffmpeg_next::util::frame::Video;
use ffmpeg_next::{Error, Rational, Rescale, ffi, rescale};

use crate::jobs::{Work, cores};
use crate::project::Sampling;

use super::MediaError;
use super::decode::{Decoded, Decoding};
use super::ffmpeg::{self, Turn};
use super::file::MediaFile;
use super::gaps::{Gaps, Step};
use super::graph::{FilterGraph, Pixels, Plan, can_tone_map, is_again};
use super::jpeg::{JpegEncoder, to_rgb};
use super::repeats::{KEPT, Repeats};
use super::sampler::{FrameForm, RawFrame};
use super::skip;

/// One sampled frame, as FFmpeg holds it.
pub(super) struct SampledPicture {
    /// Seconds from the start of the video.
    pub time_secs: f64,
    picture: Video,
    encoder: JpegEncoder,
}

impl SampledPicture {
    /// The picture as it is handed over.
    pub fn into_raw(self, form: FrameForm) -> Result<RawFrame, MediaError> {
        let (width_px, height_px) = (self.picture.width(), self.picture.height());
        let bytes = match form {
            FrameForm::Rgb => to_rgb(&self.picture)
                .map_err(|error| MediaError::Ffmpeg(format!("convert a frame: {error}")))?
                .into_raw(),
            FrameForm::Jpeg => self
                .encoder
                .encode(&self.picture)
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

/// Decodes a video in this process and yields the frames that [`Sampling`] asks for.
pub(super) struct PictureSampler {
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
    ended: bool,
    hdr: Hdr,
}

/// A first picture that comes after the start of the range.
struct Late {
    picture: Video,
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

impl PictureSampler {
    /// Opens the video, to be decoded by so many threads. Damage later in the file does not fail; see
    /// [`PictureSampler::warnings`].
    pub fn open(film: &MediaFile, sampling: &Sampling, threads: usize) -> Result<Self, MediaError> {
        let path = film.path();
        let fps = sampling.fps.0;
        let from_secs = sampling.from_secs.filter(|from| *from > 0.0);
        let start = from_secs.unwrap_or(0.0);
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
            .map(within)
            .or(sampling.to_secs.map(|to| to - start))
            .map(|secs| ((secs * fps).round() as u64).max(1));
        let own_rate = ffmpeg::positive(stream.avg_frame_rate()).map(f64::from);
        let other_tracks = ffmpeg::other_tracks(&video.input, index);
        let decoding = Decoding::new(video, path, from_secs, threads, Some(skip::rate(fps)))?;
        let plan = Plan {
            from_zero: from_secs.is_some(),
            duration_us: sampling
                .to_secs
                .map(|to| ((to - start) * 1e6).round() as i64),
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
            gaps: Gaps::new(decoding.time_base(), own_rate, fps),
            repeats: Repeats::default(),
            cutting: false,
            until_secs: None,
            begun: None,
            other_tracks,
            decoding,
            plan,
            graph: None,
            encoder: JpegEncoder::new(sampling.jpeg_quality),
            from_secs: start,
            expected,
            length_secs,
            promised_secs,
            taken: 0,
            first: None,
            late: None,
            ended: false,
            hdr,
        })
    }

    /// The next frame, `None` at the end. Checks `work` for every decoded frame. A video too short for one
    /// frame at this rate yields its first. Fails at the end if not one frame could be decoded.
    pub fn next_frame(&mut self, work: &Work) -> Result<Option<SampledPicture>, MediaError> {
        loop {
            match self.pull() {
                Ok(Some(frame)) => {
                    if !self.repeats.keep(&frame.picture, frame.time_secs) {
                        work.check()?;
                        continue;
                    }
                    self.taken += 1;
                    self.first = None;
                    return Ok(Some(frame));
                }
                Ok(None) => {}
                Err(error) => self.fall_back(error)?,
            }
            if self.ended {
                if self.begin_again_for_the_first()? {
                    continue;
                }
                return self.end().map(|()| None);
            }
            if let Some(step) = self.gaps.next_step() {
                self.take(step)?;
                continue;
            }
            match self.decoding.next(work)? {
                Decoded::Frame(frame) => {
                    let end = self.decoding.position();
                    self.gaps.image(frame, end);
                }
                Decoded::End(pts) => self.gaps.end(pts),
            }
        }
    }

    fn take(&mut self, step: Step) -> Result<(), MediaError> {
        match step {
            Step::Push(frame) => {
                if self.taken == 0 && self.first.is_none() {
                    self.first = Some(reference(&frame).map_err(failed)?);
                }
                match self.push(&frame) {
                    Ok(()) => Ok(()),
                    Err(error) => self.fall_back(error),
                }
            }
            Step::Cut(close) => match self.graph.as_mut().map(|graph| graph.close(close.at)) {
                None => Ok(()),
                Some(Ok(()) | Err(Error::Eof)) => {
                    self.cutting = true;
                    self.until_secs = close.until_secs;
                    Ok(())
                }
                Some(Err(error)) => Err(failed(error)),
            },
            Step::End(close) => {
                self.until_secs = close.until_secs;
                self.close(close.at).map_err(failed)
            }
        }
    }

    /// Where the HDR filters cannot take the pictures after all, goes on without them.
    fn fall_back(&mut self, error: Error) -> Result<(), MediaError> {
        let first = self.first.as_ref().and_then(|first| reference(first).ok());
        match first {
            Some(first) if self.plan.tone_map => {
                log::debug!("{}: no tone mapping: {error}", self.path.display());
                self.plan.tone_map = false;
                self.hdr = Hdr::LeftAsIs;
                self.graph = None;
                self.push(&first).map_err(failed)
            }
            _ => Err(failed(error)),
        }
    }

    /// At the end of a video so short that the rate gives nothing, lets its first picture through.
    fn begin_again_for_the_first(&mut self) -> Result<bool, MediaError> {
        let Some(first) = self.first.take() else {
            return Ok(false);
        };
        self.plan.fps = None;
        self.graph = None;
        let before = self.plan.from_zero && first.pts().is_some_and(|pts| pts < 0);
        if before {
            return Ok(false);
        }
        self.push(&first).map_err(failed)?;
        Ok(true)
    }

    fn push(&mut self, frame: &Video) -> Result<(), Error> {
        let fits = self.graph.as_ref().is_none_or(|graph| graph.fits(frame));
        if !fits {
            // The picture changes its size within the file: what the old filters still hold is dropped, as
            // FFmpeg's program does.
            self.graph = None;
        }
        let pts = frame.pts().unwrap_or(0);
        let graph = match &mut self.graph {
            Some(graph) => graph,
            empty => {
                let mut plan = self.plan.clone();
                if let (Some(length), Some(begun)) = (plan.duration_us, self.begun) {
                    // The filters count the length from the first picture that they get.
                    let passed = (pts - begun).rescale(plan.time_base, rescale::TIME_BASE);
                    if passed >= length {
                        self.ended = true;
                        return Ok(());
                    }
                    plan.duration_us = Some(length - passed);
                }
                empty.insert(FilterGraph::new(&plan, frame)?)
            }
        };
        if pts >= 0 || !self.plan.from_zero {
            self.begun.get_or_insert(pts);
        }
        match graph.push(frame) {
            // Past the end of the range the filters want no more.
            Err(Error::Eof) => self.close(frame.pts().unwrap_or(i64::MAX)),
            other => other,
        }
    }

    /// Says that nothing comes after `pts`, or after the end of the range.
    fn close(&mut self, pts: i64) -> Result<(), Error> {
        self.ended = true;
        let range_end = self
            .plan
            .duration_us
            .map(|us| us.rescale(rescale::TIME_BASE, self.plan.time_base));
        let pts = range_end.map_or(pts, |end| end.min(pts));
        match self.graph.as_mut().map(|graph| graph.close(pts)) {
            None | Some(Ok(()) | Err(Error::Eof)) => Ok(()),
            Some(Err(error)) => Err(error),
        }
    }

    fn pull(&mut self) -> Result<Option<SampledPicture>, Error> {
        if let Some(frame) = self.repeat()? {
            return Ok(Some(frame));
        }
        let Some(graph) = &mut self.graph else {
            return Ok(None);
        };
        let mut picture = Video::empty();
        match graph.pull(&mut picture) {
            Ok(()) => {
                let time_base = graph.time_base();
                let pts = picture.pts().unwrap_or(0);
                if pts < 0 {
                    return self.pull();
                }
                if self
                    .until_secs
                    .is_some_and(|until| secs(pts, time_base) >= until)
                {
                    self.drained();
                    return Ok(None);
                }
                // A picture that comes late stands for the time before it too, as in the `ffmpeg` program,
                // whose output always starts at zero.
                if self.taken == 0 && pts > 0 && self.plan.fps.is_some() {
                    let late_secs = secs(pts, time_base);
                    if late_secs > self.gaps.limit_secs() {
                        self.gaps.note(0.0, late_secs);
                        return Ok(Some(self.frame(picture, late_secs)));
                    }
                    self.late = Some(Late {
                        picture,
                        time_base,
                        next: 0,
                    });
                    return self.repeat();
                }
                Ok(Some(self.frame(picture, secs(pts, time_base))))
            }
            Err(error) if is_again(error) => Ok(None),
            Err(Error::Eof) => {
                self.drained();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The filters have given everything. Behind a gap new ones begin, else the film is at its end.
    fn drained(&mut self) {
        self.ended |= !std::mem::take(&mut self.cutting);
        self.until_secs = None;
        self.graph = None;
    }

    /// The late first picture at the next tick, up to its own.
    fn repeat(&mut self) -> Result<Option<SampledPicture>, Error> {
        let Some(late) = &mut self.late else {
            return Ok(None);
        };
        let offset = secs(late.next, late.time_base);
        let picture = reference(&late.picture)?;
        late.next += 1;
        if picture.pts().is_none_or(|pts| late.next > pts) {
            self.late = None;
        }
        Ok(Some(self.frame(picture, offset)))
    }

    fn frame(&self, picture: Video, offset_secs: f64) -> SampledPicture {
        SampledPicture {
            time_secs: self.from_secs + offset_secs,
            picture,
            encoder: self.encoder.clone(),
        }
    }

    /// A file of which nothing could be decoded is an error, and so is a range with nothing in it.
    fn end(&self) -> Result<(), MediaError> {
        let damage = self.decoding.damage();
        let whole = self.from_secs == 0.0 && self.plan.duration_us.is_none();
        if self.taken == 0 && damage.good_frames == 0 && (damage.errors > 0 || whole) {
            return Err(MediaError::unusable(
                &self.path,
                "is damaged or encrypted: none of its frames can be decoded",
            ));
        }
        if self.taken == 0 && whole {
            return Err(MediaError::unusable(
                &self.path,
                "is damaged: the times of its frames make no sense, so none could be taken",
            ));
        }
        if self.taken == 0 {
            return Err(MediaError::unusable(&self.path, self.nothing_in_range()));
        }
        Ok(())
    }

    /// Why no frame lies in the range.
    fn nothing_in_range(&self) -> String {
        let from = self.from_secs;
        let to = self.plan.duration_us.map(|us| from + us as f64 / 1e6);
        let reached = self.decoding.position_us() as f64 / 1e6;
        let read = (self.decoding.damage().good_frames > 0).then_some(from + reached);
        // What was read counts more than what the headers say.
        let length = read.or(self.length_secs).filter(|length| *length <= from);
        match (length.map(clock), to.map(clock)) {
            (Some(length), Some(to)) => format!(
                "is {length} long; nothing lies between {} and {to}",
                clock(from)
            ),
            (Some(length), None) => {
                format!("is {length} long; nothing lies after {}", clock(from))
            }
            (None, Some(to)) => format!("has no image between {} and {to}", clock(from)),
            (None, None) => format!("has no image after {}", clock(from)),
        }
    }

    /// How many frames will come, about.
    pub fn expected_frames(&self) -> Option<u64> {
        self.expected
    }

    /// After the end: one sentence each on damage (saying where), on stretches without an image or without a change, on
    /// brightness, and on further tracks.
    pub fn warnings(&self) -> Vec<String> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let mut warnings = Vec::new();
        let mut warn = |text: String| warnings.push(format!("“{name}” {text}"));
        let damage = self.decoding.damage();
        let frames = damage.good_frames;
        let cut_off = self.cut_off_at_us();
        if let Some(at) = damage.first_at_us.or(cut_off) {
            let at = self.from_secs + at as f64 / 1e6;
            let place = if at >= 0.5 {
                format!("after {}", clock(at))
            } else {
                "from the start".into()
            };
            warn(format!("is damaged {place}: {frames} frames could be read"));
        }
        if let Some((count, gap)) = self.gaps.found() {
            let from = clock(self.from_secs + gap.from_secs);
            let to = clock(self.from_secs + gap.to_secs);
            warn(if count == 1 {
                format!("has no image between {from} and {to}, so no frames were taken there")
            } else {
                format!(
                    "has {count} gaps without an image, the longest between {from} and {to}; no frames were taken there"
                )
            });
        }
        if let Some((left_out, still)) = self.repeats.found() {
            let (from, to) = (clock(still.from_secs), clock(still.to_secs));
            warn(format!(
                "shows the same image for long, at most from {from} to {to}; the first {KEPT} frames of it were taken and {left_out} left out"
            ));
        }
        match self.gaps.wrong_times() {
            0 => {}
            1 => warn("holds one image with a wrong time, which was put right".into()),
            many => warn(format!(
                "holds {many} images with a wrong time, which were put right"
            )),
        }
        if self.hdr == Hdr::LeftAsIs {
            warn("is HDR and this FFmpeg cannot bring it down to an ordinary screen, so its frames look pale".into());
        }
        if let Some(text) = &self.other_tracks {
            warn(text.clone());
        }
        warnings
    }

    /// The file ended well before its headers said: it was cut off. Where, in microseconds of the range.
    fn cut_off_at_us(&self) -> Option<i64> {
        if !self.decoding.reached_end() {
            return None;
        }
        let promised = self.promised_secs?;
        let reached = self.decoding.position_us();
        let missing = promised - reached as f64 / 1e6;
        // Headers round, and sound may go on a little longer than the picture.
        (missing > 1.0 && missing > promised * 0.1).then_some(reached)
    }
}

/// Refuses a rate or a range that makes no sense.
pub(super) fn check(path: &Path, sampling: &Sampling) -> Result<(), MediaError> {
    let fps = sampling.fps.0;
    if !(fps > 0.0 && fps <= 240.0) {
        return Err(MediaError::unusable(
            path,
            format!("cannot be sampled at {fps} frames per second; choose over 0 and up to 240"),
        ));
    }
    let start = sampling.from_secs.filter(|from| *from > 0.0).unwrap_or(0.0);
    if !start.is_finite()
        || sampling
            .to_secs
            .is_some_and(|to| to <= start || !to.is_finite())
    {
        let to = sampling.to_secs.unwrap_or(f64::INFINITY);
        return Err(MediaError::unusable(
            path,
            format!("cannot be sampled from {start} s to {to} s: the end lies before the start"),
        ));
    }
    Ok(())
}

fn failed(error: Error) -> MediaError {
    MediaError::Ffmpeg(format!("filter a frame: {error}"))
}

/// A second handle on the same picture.
pub(super) fn reference(frame: &Video) -> Result<Video, Error> {
    let mut copy = Video::empty();
    // SAFETY: both frames are valid and `copy` is empty; the pixels are reference-counted.
    let status = unsafe { ffi::av_frame_ref(copy.as_mut_ptr(), frame.as_ptr()) };
    if status < 0 {
        Err(Error::from(status))
    } else {
        Ok(copy)
    }
}

/// Seconds of a timestamp.
fn secs(pts: i64, time_base: Rational) -> f64 {
    pts as f64 * f64::from(time_base.numerator()) / f64::from(time_base.denominator())
}

/// A time for people: 0:58, 1:02:03.
fn clock(secs: f64) -> String {
    let secs = secs.max(0.0) as u64;
    let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{secs:02}")
    } else {
        format!("{minutes}:{secs:02}")
    }
}

/// Decoder threads for one video at a time. More than there are cores: with frame threading the decoder
/// then goes on while the filters and the JPEG encoder are at work on another thread.
pub(super) fn decoder_threads() -> usize {
    (cores() * 2).clamp(4, 16)
}
