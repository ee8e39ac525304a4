//! Decodes a file to images with trustworthy times, like `ffmpeg.c` between demuxer and filters.
//!
//! Times follow FFmpeg's program step by step (version 5.1, `process_input` and `process_input_packet`), because they
//! alone determine which frames a sampling takes: the container's start is zero, missing decoding times are continued
//! from durations, and jumps in a transport stream are closed.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use ffmpeg_next::codec::{Context, decoder};
use ffmpeg_next::util::frame::Video;
use ffmpeg_next::{Discard, Error, Packet, Rational, Rescale, ffi, rescale};

use crate::jobs::Work;

use super::MediaError;
use super::ffmpeg::{self, Interrupter, OpenVideo};
use super::lead_in::{Doubt, LeadIn};
use super::skip::{self, LOOK_AHEAD, Skipper};
use super::stretch::Span;

/// FFmpeg's clock: microseconds.
const US: i64 = 1_000_000;
/// A larger jump between packets of a transport stream is a discontinuity, not a pause.
const JUMP_US: i64 = 10 * US;
/// A larger jump in any other container is an invalid timestamp.
const BROKEN_US: i64 = 30 * 3600 * US;
/// In a container that seeks by decoding time, the longest delay between decoding and showing an image.
const DELAY_US: i64 = 3 * US / 23;
/// This many successive failed reads count as the end of the file.
const MAX_FAILED_READS: u32 = 1000;

/// The output of the decoder.
pub(super) enum Decoded {
    /// An image; its `pts` is in the stream's time base, and zero is the start of the range.
    Frame(Video),
    /// The end, at this time in the stream's time base.
    End(i64),
}

/// Errors during decoding.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Damage {
    /// Images decoded without errors.
    pub good_frames: u64,
    /// Packets read, if not all of them are decoded.
    pub packets: Option<u64>,
    /// Packets and images with errors.
    pub errors: u64,
    /// End of the last good image before the first error, in microseconds from the start of the range.
    pub first_at_us: Option<i64>,
    /// Whether FFmpeg guessed the time of the last image although the image states one.
    pub guessing: bool,
}

/// The stage of reading a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// There is more to read.
    Reading,
    /// At the end of the file, with packets left to decode.
    Queued,
    /// The decoder is returning its last images.
    Draining,
    /// Nothing is left.
    Ended,
}

/// A seek; all times in microseconds of the file's own time.
#[derive(Debug, Clone, Copy)]
struct Seek {
    /// Seek to the key frame before this time.
    target_us: i64,
    /// A time safely before the beginning of the file.
    floor_us: i64,
    /// How much further back to seek if no key frame was found.
    step_us: i64,
    /// Whether the seek is still to be done.
    due: bool,
    /// Whether no image has been decoded since the seek.
    fresh: bool,
}

/// A video that is being decoded.
pub(super) struct Decoding {
    input: ffmpeg_next::format::context::Input,
    stream: usize,
    interrupter: Interrupter,
    decoder: decoder::Video,
    path: PathBuf,
    time_base: Rational,
    /// Whether times in the container may jump (transport streams).
    may_jump: bool,
    /// Offset added to each timestamp of the file.
    offset_us: i64,
    /// Start of the file, and of the range, in the file's own time.
    start_us: i64,
    begin_us: i64,
    /// Whether the container seeks by decoding time.
    by_dts: bool,
    seek: Option<Seek>,
    /// Packets that were read ahead, in order; at most one without a skipper.
    queue: VecDeque<Packet>,
    skipper: Option<Skipper>,
    lead_in: Option<LeadIn>,
    /// The time span in which damage is counted.
    span: Span,
    packets: u64,
    clock: Clock,
    stage: Stage,
    damage: Damage,
}

/// The running estimate of times, in microseconds.
#[derive(Debug, Default)]
struct Clock {
    started: bool,
    dts: Option<i64>,
    next_dts: Option<i64>,
    pts: i64,
    next_pts: i64,
    /// The duration of the last packet.
    duration: i64,
}

impl Decoding {
    /// Sets up the decoder of an opened video. `from_secs` is where decoding starts, from the start of the file;
    /// `threads` is the number of decoder threads. With `fps`, images that a sampling at that rate does not need may
    /// be skipped.
    pub fn new(
        video: OpenVideo,
        path: &Path,
        from_secs: Option<f64>,
        threads: usize,
        fps: Option<Rational>,
    ) -> Result<Self, MediaError> {
        let OpenVideo {
            input,
            stream: index,
            interrupter,
        } = video;
        let Some(stream) = input.stream(index) else {
            return Err(MediaError::unusable(path, "holds no video"));
        };
        let parameters = stream.parameters();
        let codec_name = ffmpeg::codec_name(&stream);
        let time_base = stream.time_base();
        let mut context = Context::from_parameters(parameters)
            .map_err(|error| MediaError::Ffmpeg(format!("set up a decoder: {error}")))?;
        context.set_frame_rate(ffmpeg::positive(stream.avg_frame_rate()));
        // SAFETY: the context is ours and not open yet, which is when the number of threads may be set.
        // The kind of threading stays FFmpeg's default (frames, else slices).
        unsafe { (*context.as_mut_ptr()).thread_count = threads as i32 };
        let mut unopened = context.decoder();
        unopened.set_packet_time_base(time_base);
        let decoder = unopened.video().map_err(|error| {
            let reason = if error == Error::DecoderNotFound {
                format!("is coded as {codec_name}, which this FFmpeg cannot decode; convert it to H.264 first")
            } else {
                format!("is damaged: its {codec_name} header cannot be decoded")
            };
            MediaError::unusable(path, reason)
        })?;

        let flags = ffmpeg::format_flags(&input);
        let may_jump = flags & ffi::AVFMT_TS_DISCONT != 0;
        let mut start_us = ffmpeg::start_time_us(&input).unwrap_or(0);
        if may_jump
            && from_secs.is_none()
            && let Some(own) = ffmpeg::known(stream.start_time())
        {
            start_us = start_us.max(own.rescale(time_base, rescale::TIME_BASE));
        }
        let from_us = from_secs.map(|secs| (secs * US as f64).round() as i64);
        let begin_us = start_us + from_us.unwrap_or(0);
        // As in the `ffmpeg` program: if the container seeks by decoding time, images shown from here on may be stored
        // slightly before.
        let by_dts = flags & ffi::AVFMT_SEEK_TO_PTS == 0 && has_delay(&stream);
        let seek = from_us.map(|_| Seek {
            target_us: begin_us - if by_dts { DELAY_US } else { 0 },
            floor_us: start_us - JUMP_US,
            step_us: JUMP_US,
            due: true,
            fresh: true,
        });
        let rate = ffmpeg::positive(stream.avg_frame_rate()).map_or(0.0, f64::from);
        let skipper = fps
            .filter(|fps| f64::from(*fps) < rate * 0.8 && skip::can_skip(&stream))
            .map(|fps| Skipper::new(fps, time_base));
        Ok(Self {
            interrupter,
            decoder,
            path: path.to_owned(),
            time_base,
            may_jump,
            offset_us: -begin_us,
            start_us,
            begin_us,
            by_dts,
            seek,
            queue: VecDeque::new(),
            skipper,
            lead_in: None,
            span: Span::default(),
            packets: 0,
            clock: Clock::default(),
            stage: Stage::Reading,
            damage: Damage::default(),
            stream: index,
            input,
        })
    }

    /// Counts damage only within `span`.
    pub fn counted_in(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    /// Starts at the key frame before `at_secs` of the film; times are the same as from the start of the range.
    pub fn led_in(mut self, at_secs: f64) -> Self {
        let at_us = self.start_us + (at_secs * US as f64).round() as i64;
        self.seek = Some(Seek {
            target_us: at_us - if self.by_dts { DELAY_US } else { 0 },
            floor_us: at_us,
            step_us: 0,
            due: true,
            fresh: false,
        });
        self.lead_in = Some(LeadIn::new(self.to_stream(at_us - self.begin_us)));
        self
    }

    /// The stream's time base, in which images are timed.
    pub fn time_base(&self) -> Rational {
        self.time_base
    }

    /// The errors so far.
    pub fn damage(&self) -> Damage {
        Damage {
            // Skipped packets count as readable.
            packets: self.skipper.is_some().then_some(self.packets),
            ..self.damage
        }
    }

    /// From here on, anomalies are those of the film itself. Returns whether earlier ones may be caused by starting
    /// within the film.
    pub fn settle(&mut self) -> Doubt {
        self.lead_in.as_mut().map_or(Doubt::Nothing, LeadIn::settle)
    }

    /// Whether anomalies may be caused by starting within the film.
    pub fn doubt(&self) -> Doubt {
        self.lead_in.as_ref().map_or(Doubt::Nothing, LeadIn::doubt)
    }

    /// The next image; at the end always `End`. `work` is checked for every packet and image.
    pub fn next(&mut self, work: &Work) -> Result<Decoded, MediaError> {
        self.interrupter.watch(work);
        work.check()?;
        let mut frame = Video::empty();
        loop {
            self.seek_if_due(work)?;
            if self.stage == Stage::Ended {
                if self.must_seek_further_back(None) {
                    continue;
                }
                return Ok(Decoded::End(self.to_stream(self.clock.next_pts)));
            }
            work.check()?;
            match self.decoder.receive_frame(&mut frame) {
                Ok(()) => {
                    let delay = reorder_delay(&self.decoder);
                    let lead_in = self.lead_in.as_mut();
                    if lead_in.is_some_and(|lead_in| !lead_in.is_usable(&frame, delay)) {
                        continue;
                    }
                    self.time(&mut frame);
                    if self.must_seek_further_back(frame.pts()) {
                        continue;
                    }
                    return Ok(Decoded::Frame(frame));
                }
                Err(Error::Other { errno }) if errno == ffmpeg_next::error::EAGAIN => {
                    self.feed(work)?;
                }
                Err(Error::Eof) => self.stage = Stage::Ended,
                // The decoder has skipped the broken image; the next call continues after it.
                Err(_) => self.count_error(),
            }
        }
    }

    fn seek_if_due(&mut self, work: &Work) -> Result<(), MediaError> {
        if let Some(seek) = &mut self.seek
            && std::mem::take(&mut seek.due)
        {
            let target = seek.target_us;
            if self.input.seek(target, ..target).is_err() {
                work.check()?;
                log::debug!("{}: cannot seek to {target} µs", self.path.display());
            }
        }
        Ok(())
    }

    /// Transport streams have no index, so a seek may end after the required key frame and lose the first images. Then
    /// reading starts again from further back. `first` is the time of the first image, if there was one.
    fn must_seek_further_back(&mut self, first: Option<i64>) -> bool {
        let Some(seek) = &mut self.seek else {
            return false;
        };
        let late = first.is_none_or(|pts| {
            pts.rescale(self.time_base, rescale::TIME_BASE) > self.clock.duration
        });
        if !std::mem::take(&mut seek.fresh) || !late || seek.target_us <= seek.floor_us {
            return false;
        }
        seek.target_us = (seek.target_us - seek.step_us).max(seek.floor_us);
        seek.step_us *= 4;
        seek.due = true;
        seek.fresh = true;
        self.decoder.flush();
        self.queue.clear();
        self.stage = Stage::Reading;
        self.offset_us = -self.begin_us;
        self.clock = Clock::default();
        self.damage = Damage::default();
        self.packets = 0;
        true
    }

    /// Sends one packet, or the end of the file, to the decoder.
    fn feed(&mut self, work: &Work) -> Result<(), MediaError> {
        if self.stage >= Stage::Draining {
            // The decoder requested more after the end was signalled.
            self.stage = Stage::Ended;
            return Ok(());
        }
        let ahead = self.skipper.as_ref().map_or(1, |_| LOOK_AHEAD);
        while self.queue.len() < ahead && self.stage == Stage::Reading {
            self.read(work)?;
        }
        let Some(packet) = self.queue.pop_front() else {
            self.stage = match self.decoder.send_eof() {
                Ok(()) => Stage::Draining,
                Err(_) => Stage::Ended,
            };
            return Ok(());
        };
        let at = packet.pts().unwrap_or_else(|| self.position());
        if self.counts(at) {
            self.packets += 1;
        }
        if let Some(skipper) = &self.skipper {
            let needed = packet.pts().is_none_or(|pts| skipper.is_needed(pts));
            self.decoder.skip_frame(if needed {
                Discard::Default
            } else {
                Discard::NonReference
            });
        }
        if self.decoder.send_packet(&packet).is_err() {
            self.count_error();
        }
        Ok(())
    }

    /// Reads the next packet of the video stream into the queue.
    fn read(&mut self, work: &Work) -> Result<(), MediaError> {
        let mut failed_reads = 0;
        loop {
            work.check()?;
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) if packet.stream() != self.stream => {}
                Ok(()) => {
                    if packet.is_corrupt() {
                        self.count_error();
                    }
                    self.stamp(&mut packet);
                    if let Some(lead_in) = &mut self.lead_in {
                        lead_in.packet(&packet);
                    }
                    if let (Some(skipper), Some(pts)) = (&mut self.skipper, packet.pts()) {
                        skipper.note(pts);
                    }
                    self.queue.push_back(packet);
                    return Ok(());
                }
                Err(Error::Other { errno }) if errno == ffmpeg_next::error::EAGAIN => {}
                Err(Error::InvalidData) if failed_reads < MAX_FAILED_READS => {
                    failed_reads += 1;
                    if failed_reads == 1 {
                        self.count_error();
                    }
                }
                Err(error) => {
                    work.check()?;
                    if error != Error::Eof && error != Error::InvalidData {
                        self.count_error();
                    }
                    self.stage = Stage::Queued;
                    return Ok(());
                }
            }
        }
    }

    /// Shifts a packet's times to start at zero and computes a missing decoding time.
    fn stamp(&mut self, packet: &mut Packet) {
        let offset = self.to_stream(self.offset_us);
        packet.set_pts(packet.pts().map(|pts| pts.saturating_add(offset)));
        packet.set_dts(packet.dts().map(|dts| dts.saturating_add(offset)));
        self.close_jump(packet);

        let rate = self.decoder.frame_rate().and_then(ffmpeg::positive);
        let clock = &mut self.clock;
        if !clock.started {
            clock.started = true;
            let delay = f64::from(reorder_delay(&self.decoder));
            clock.dts = Some(rate.map_or(0, |rate| (-delay * US as f64 / f64::from(rate)) as i64));
            clock.next_dts = clock.dts;
        }
        if clock.next_dts.is_none() {
            clock.next_dts = clock.dts;
        }
        if let Some(dts) = packet.dts() {
            clock.next_dts = Some(dts.rescale(self.time_base, rescale::TIME_BASE));
        }
        clock.pts = clock.next_pts;
        clock.dts = clock.next_dts;
        packet.set_dts(
            clock
                .dts
                .map(|dts| dts.rescale(rescale::TIME_BASE, self.time_base)),
        );

        if packet.duration() > 0 {
            clock.duration = packet
                .duration()
                .rescale(self.time_base, rescale::TIME_BASE);
        } else if let Some(rate) = rate {
            clock.duration = (US as f64 / f64::from(rate)) as i64;
        }
        clock.next_dts = match clock.dts {
            Some(dts) if clock.duration > 0 => Some(dts + clock.duration),
            _ => None,
        };
    }

    /// Closes discontinuities in a transport stream, and removes impossible times.
    fn close_jump(&mut self, packet: &mut Packet) {
        let (Some(dts), Some(expected)) = (packet.dts(), self.clock.next_dts) else {
            return;
        };
        if !self.clock.started {
            return;
        }
        let dts_us = dts.rescale(self.time_base, rescale::TIME_BASE);
        let delta = dts_us - expected;
        if self.may_jump {
            let last = self.clock.pts.max(self.clock.dts.unwrap_or(i64::MIN));
            if delta.abs() > JUMP_US || dts_us + US / 10 < last {
                self.offset_us -= delta;
                let shift = delta.rescale(rescale::TIME_BASE, self.time_base);
                packet.set_dts(Some(dts - shift));
                packet.set_pts(packet.pts().map(|pts| pts - shift));
            }
        } else {
            if delta.abs() > BROKEN_US {
                packet.set_dts(None);
            }
            let pts_us = packet
                .pts()
                .map(|pts| pts.rescale(self.time_base, rescale::TIME_BASE));
            if pts_us.is_some_and(|pts| (pts - expected).abs() > BROKEN_US) {
                packet.set_pts(None);
            }
        }
    }

    /// Assigns a time to a decoded image and advances the clock.
    fn time(&mut self, frame: &mut Video) {
        let pts = frame
            .timestamp()
            .unwrap_or_else(|| self.to_stream(self.clock.next_pts));
        self.damage.guessing = frame.pts().is_some_and(|stated| stated != pts);
        frame.set_pts(Some(pts));
        let pts_us = pts.rescale(self.time_base, rescale::TIME_BASE);
        let duration = frame.packet().duration;
        let duration_us = if duration > 0 {
            duration.rescale(self.time_base, rescale::TIME_BASE)
        } else {
            self.clock.duration
        };
        if frame.is_corrupt() || frame.has_decode_errors() {
            self.count_error();
        } else if self.counts(pts) {
            self.damage.good_frames += 1;
        }
        self.clock.pts = pts_us;
        self.clock.next_pts = pts_us + duration_us;
    }

    fn count_error(&mut self) {
        if let Some(lead_in) = &mut self.lead_in {
            lead_in.error();
        }
        if self.counts(self.position()) {
            self.damage.errors += 1;
            self.damage.first_at_us.get_or_insert(self.clock.next_pts);
        }
    }

    /// Whether errors at this time, in the stream's time base, are counted.
    fn counts(&self, at: i64) -> bool {
        let us = at.rescale(self.time_base, rescale::TIME_BASE);
        self.span.contains_in_range(us as f64 / US as f64)
    }

    /// Whether the file was read to its end.
    pub fn reached_end(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// End of the last image, in microseconds from the start of the range.
    pub fn position_us(&self) -> i64 {
        self.clock.next_pts
    }

    /// End of the last image, in the stream's time base.
    pub fn position(&self) -> i64 {
        self.to_stream(self.clock.next_pts)
    }

    fn to_stream(&self, us: i64) -> i64 {
        us.rescale(rescale::TIME_BASE, self.time_base)
    }
}

/// Whether the decoder delays images.
fn has_delay(stream: &ffmpeg_next::Stream) -> bool {
    let parameters = stream.parameters();
    // SAFETY: the parameters belong to the stream, which is borrowed.
    unsafe { (*parameters.as_ptr()).video_delay != 0 }
}

/// The number of images that the decoder buffers for reordering.
fn reorder_delay(decoder: &decoder::Video) -> i32 {
    // SAFETY: plain field of the open decoder, which is borrowed.
    unsafe { (*decoder.as_ptr()).has_b_frames }
}
