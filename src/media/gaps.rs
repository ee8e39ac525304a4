//! Detects gaps in a film, and single images with a wrong time.
//!
//! FFmpeg's `fps` filter fills a gap with the image before it. Up to [`Gaps::limit_secs`] that is correct. In longer
//! gaps (a camera that slept, a clock that was adjusted, sound that begins long before the video, an invalid
//! timestamp) it would write one image thousands of times. There the filters are closed after the image before the
//! gap, and start again with the image after it.

use std::collections::VecDeque;

use ffmpeg_next::Rational;
use ffmpeg_next::util::frame::Video;

use super::findings::Part;
use super::stretch::Span;

/// Gaps up to this many seconds are always filled,
const LEAST_SECS: f64 = 2.0;
/// also gaps up to this many sampling periods,
const PERIODS: f64 = 4.0;
/// and, in films with few images (slides, time lapse), up to this many usual distances between images,
const DISTANCES: f64 = 3.0;
/// if these are no longer than this, in seconds.
const MOST_SECS: f64 = 30.0;

/// The next action on the filters.
pub(super) enum FilterAction {
    /// Pass them this image.
    Push(Video),
    /// Close them at this time; the next image starts new ones.
    Cut(Close),
    /// Close them at this time: the film ends.
    End(Close),
}

/// When the last image passed to the filters ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Close {
    /// In the stream's time base.
    pub at: i64,
    /// Frames from this time on are discarded, in seconds from the start of the range: one tick of the stream may be
    /// long.
    pub until_secs: Option<f64>,
}

/// Checks the times of decoded images, in order; delays at most one image.
pub(super) struct Gaps {
    tick_secs: f64,
    limit_secs: f64,
    /// The assumed duration of an image that states none, in seconds.
    least_secs: f64,
    last: Option<Shown>,
    /// The distance of the last two images, in the stream's time base.
    distance: Option<i64>,
    /// An image that is late by more than the limit, until the next one shows whether its time is right.
    held: Option<(Video, i64)>,
    steps: VecDeque<FilterAction>,
    /// Whether the distance of two images is known.
    measured: bool,
    /// Whether there was a gap before that.
    early: bool,
    span: Span,
    longest: Option<Part>,
    count: u64,
    wrong_times: u64,
}

/// When an image is shown, in the stream's time base.
#[derive(Debug, Clone, Copy)]
struct Shown {
    from: i64,
    to: i64,
}

impl Gaps {
    /// For a stream in `time_base` with `rate` images a second, sampled at `fps`. Gaps that begin within `span` are
    /// counted.
    pub fn new(time_base: Rational, rate: Option<f64>, fps: f64, span: Span) -> Self {
        let slow = rate.map_or(0.0, |rate| (DISTANCES / rate).min(MOST_SECS));
        Self {
            tick_secs: f64::from(time_base),
            least_secs: LEAST_SECS.max(1.0 / fps),
            limit_secs: LEAST_SECS.max(PERIODS / fps).max(slow),
            last: None,
            distance: None,
            held: None,
            steps: VecDeque::new(),
            measured: false,
            early: false,
            span,
            longest: None,
            count: 0,
            wrong_times: 0,
        }
    }

    /// Gaps up to this many seconds are filled.
    pub fn limit_secs(&self) -> f64 {
        self.limit_secs
    }

    /// Adds a decoded image that is shown until `end`; the resulting actions come from [`Gaps::next_step`].
    pub fn image(&mut self, frame: Video, end: i64) {
        let at = frame.pts().unwrap_or(end);
        if let Some((mut held, held_end)) = self.held.take() {
            let late = held.pts().unwrap_or(held_end);
            if at < late {
                // The film continues where it was: the time of the delayed image is wrong.
                if self.span.contains_in_range(self.secs(at)) {
                    self.wrong_times += 1;
                }
                let expected = self.last.map(|last| last.to);
                if let Some(expected) = expected.filter(|expected| *expected < at) {
                    held.set_pts(Some(expected));
                    self.push(held, at);
                }
            } else {
                self.cut_before(held, held_end);
            }
        }
        match self.last {
            Some(last) if self.secs(at.saturating_sub(last.from)) > self.limit_secs => {
                self.held = Some((frame, end));
            }
            _ => self.push(frame, end),
        }
    }

    /// Ends the film at `end`.
    pub fn end(&mut self, end: i64) {
        if let Some((held, held_end)) = self.held.take() {
            self.cut_before(held, held_end);
        }
        let mut close = Close {
            at: end,
            until_secs: None,
        };
        if let Some(last) = self.last
            && self.secs(end.saturating_sub(last.from)) > self.limit_secs
        {
            close = self.close_after(last);
            self.early |= !self.measured;
            self.note(self.end_secs(close), self.secs(end));
        }
        self.steps.push_back(FilterAction::End(close));
    }

    /// The next action, if there is one.
    pub fn next_step(&mut self) -> Option<FilterAction> {
        self.steps.pop_front()
    }

    /// Records a gap, in seconds from the start of the range.
    pub fn note(&mut self, from_secs: f64, to_secs: f64) {
        if !self.span.contains_in_range(from_secs) {
            return;
        }
        self.count += 1;
        let gap = Part {
            from_secs: self.span.in_film(from_secs),
            to_secs: self.span.in_film(to_secs),
        };
        if self
            .longest
            .is_none_or(|longest| gap.length_secs() > longest.length_secs())
        {
            self.longest = Some(gap);
        }
    }

    /// The number of gaps, and the longest.
    pub fn found(&self) -> (u64, Option<Part>) {
        (self.count, self.longest)
    }

    /// Whether further actions are independent of images before the first one that was added.
    pub fn is_settled(&self) -> bool {
        self.measured && !self.early
    }

    /// The number of images with an impossible time.
    pub fn wrong_times(&self) -> u64 {
        self.wrong_times
    }

    fn cut_before(&mut self, frame: Video, end: i64) {
        if let Some(last) = self.last {
            let close = self.close_after(last);
            self.early |= !self.measured;
            let at = frame.pts().unwrap_or(end);
            self.note(self.end_secs(close), self.secs(at));
            self.steps.push_back(FilterAction::Cut(close));
            // A gap does not count as a distance between images.
            self.last = None;
        }
        self.push(frame, end);
    }

    fn push(&mut self, frame: Video, end: i64) {
        let from = frame.pts().unwrap_or(end);
        if let Some(last) = self.last {
            self.measured = true;
            self.distance = Some(from.saturating_sub(last.from)).filter(|distance| *distance > 0);
        }
        self.last = Some(Shown { from, to: end });
        self.steps.push_back(FilterAction::Push(frame));
    }

    /// When the image before a gap ends: after its own duration, unless that is the gap; then after that of the
    /// previous image.
    fn close_after(&self, last: Shown) -> Close {
        let own = last.to.saturating_sub(last.from);
        if own > 0 && self.secs(own) <= self.limit_secs {
            return Close {
                at: last.to,
                until_secs: None,
            };
        }
        let secs = self
            .distance
            .map_or(self.least_secs, |distance| self.secs(distance))
            .min(self.least_secs);
        let ticks = (secs / self.tick_secs).round() as i64;
        Close {
            at: last.from.saturating_add(ticks.max(1)),
            until_secs: Some(self.secs(last.from) + secs),
        }
    }

    fn end_secs(&self, close: Close) -> f64 {
        close.until_secs.unwrap_or_else(|| self.secs(close.at))
    }

    fn secs(&self, ticks: i64) -> f64 {
        ticks as f64 * self.tick_secs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The actions for images at these milliseconds, each with its duration, up to the end of the last.
    fn steps(images: &[(i64, i64)], end: i64) -> (Vec<String>, Gaps) {
        let mut gaps = Gaps::new(Rational(1, 1000), Some(25.0), 2.0, Span::default());
        for (pts, duration) in images {
            let mut frame = Video::empty();
            frame.set_pts(Some(*pts));
            gaps.image(frame, pts + duration);
        }
        gaps.end(end);
        let mut done = Vec::new();
        while let Some(step) = gaps.next_step() {
            done.push(match step {
                FilterAction::Push(frame) => frame.pts().unwrap_or(-1).to_string(),
                FilterAction::Cut(close) => format!("cut {}", close.at),
                FilterAction::End(close) => format!("end {}", close.at),
            });
        }
        (done, gaps)
    }

    #[test]
    fn ordinary_distances_are_left_alone() {
        let (done, gaps) = steps(&[(0, 40), (40, 40), (1500, 40), (3400, 40)], 3440);
        assert_eq!(done, ["0", "40", "1500", "3400", "end 3440"]);
        assert_eq!(gaps.found(), (0, None));
    }

    #[test]
    fn a_gap_is_cut_out_and_told() {
        let (done, gaps) = steps(&[(0, 40), (40, 40), (600_000, 40), (600_040, 40)], 600_080);
        assert_eq!(
            done,
            ["0", "40", "cut 80", "600000", "600040", "end 600080"]
        );
        let gap = Part {
            from_secs: 0.08,
            to_secs: 600.0,
        };
        assert_eq!(gaps.found(), (1, Some(gap)));
    }

    #[test]
    fn an_image_that_claims_to_last_for_the_gap_is_shown_as_long_as_the_others() {
        let (done, _) = steps(&[(0, 40), (40, 3_600_000), (3_600_040, 40)], 3_600_080);
        assert_eq!(done, ["0", "40", "cut 80", "3600040", "end 3600080"]);
        // A single still image.
        let (done, gaps) = steps(&[(0, 3_600_000)], 3_600_000);
        assert_eq!(done, ["0", "end 2000"]);
        assert_eq!(gaps.found().0, 1);
    }

    #[test]
    fn one_wrong_time_is_put_right() {
        let late = 29 * 3_600_000;
        let (done, gaps) = steps(&[(0, 40), (40, 40), (late, 40), (120, 40), (160, 40)], 200);
        assert_eq!(done, ["0", "40", "80", "120", "160", "end 200"]);
        assert_eq!((gaps.found(), gaps.wrong_times()), ((0, None), 1));
    }
}
