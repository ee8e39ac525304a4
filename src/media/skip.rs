//! Finds images that need not be decoded at a low sampling rate, without changing which frames are taken.
//!
//! At each of its ticks the `fps` filter outputs the last image whose rounded time is not after the tick. An image
//! whose successor is rounded to the same tick is therefore never output; if no other image refers to it either (the
//! decoder knows), it can be skipped. Times are known before decoding, from the packets. These are read ahead, because
//! they are not in order of time.

use std::collections::BTreeSet;

use ffmpeg_next::{Rational, Rescale, Rounding, codec, ffi};

/// How many packets are read ahead of the decoder. H.264 reorders by at most 16 images; if a successor is not seen
/// yet, an image is merely decoded in vain.
pub(super) const LOOK_AHEAD: usize = 20;
/// The number of times that are kept.
const REMEMBERED: usize = 4 * LOOK_AHEAD;

/// Keeps the times of the packets around the decoder.
pub(super) struct Skipper {
    time_base: Rational,
    tick: Rational,
    /// Times of recent and upcoming packets, in the stream's time base.
    times: BTreeSet<i64>,
    /// Whether earlier times were forgotten.
    forgot: bool,
}

impl Skipper {
    /// For a sampling at `fps` of a stream in `time_base`.
    pub fn new(fps: Rational, time_base: Rational) -> Self {
        Self {
            time_base,
            tick: fps.invert(),
            times: BTreeSet::new(),
            forgot: false,
        }
    }

    /// Records the time of a packet.
    pub fn note(&mut self, pts: i64) {
        self.times.insert(pts);
        if self.times.len() > REMEMBERED {
            self.times.pop_first();
            self.forgot = true;
        }
    }

    /// Whether the image of the packet with this time may be output.
    pub fn is_needed(&self, pts: i64) -> bool {
        let Some(next) = self.times.range(pts + 1..).next() else {
            return true;
        };
        // The first image of the range determines its beginning.
        let first = pts >= 0 && !self.forgot && self.times.range(0..pts).next().is_none();
        first || self.tick_of(*next) > self.tick_of(pts)
    }

    fn tick_of(&self, pts: i64) -> i64 {
        pts.rescale_with(self.time_base, self.tick, Rounding::NearInfinity)
    }
}

/// A sampling rate as FFmpeg's `fps` filter reads it.
pub(super) fn rate(fps: f64) -> Rational {
    // SAFETY: plain arithmetic. The bound is that of `av_parse_video_rate`.
    unsafe { ffi::av_d2q(fps, 1_001_000) }.into()
}

/// Whether the decoder of this codec can skip images that no other refers to, and each image has its own packet.
pub(super) fn can_skip(stream: &ffmpeg_next::Stream) -> bool {
    use ffi::AVFieldOrder::{AV_FIELD_PROGRESSIVE, AV_FIELD_UNKNOWN};
    let parameters = stream.parameters();
    // SAFETY: the parameters belong to the stream, which is borrowed.
    let order = unsafe { (*parameters.as_ptr()).field_order };
    matches!(parameters.id(), codec::Id::H264)
        && (order == AV_FIELD_PROGRESSIVE || order == AV_FIELD_UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_image_of_a_tick_is_needed() {
        // 10 images a second, 2 ticks a second; read in decoding order.
        let mut skipper = Skipper::new(Rational(2, 1), Rational(1, 10));
        for pts in [0, 3, 1, 2, 6, 4, 5, 9, 7, 8] {
            skipper.note(pts);
        }
        let needed: Vec<i64> = (0..10).filter(|pts| skipper.is_needed(*pts)).collect();
        // The times 0..=9 round to the ticks 0 0 0 1 1 1 1 1 2 2; the first and the last are always needed.
        assert_eq!(needed, [0, 2, 7, 9]);
    }

    #[test]
    fn rates_are_read_as_ffmpeg_reads_them() {
        assert_eq!(rate(2.0), Rational(2, 1));
        assert_eq!(rate(29.97), Rational(2997, 100));
        assert_eq!(rate(30000.0 / 1001.0), Rational(30000, 1001));
        assert_eq!(rate(0.1), Rational(1, 10));
    }
}
