//! Detects repetitions of the same image: a film of one slide, a frozen camera.
//!
//! The first [`KEPT`] of frames that look the same are taken, the others left out until something changes. Each
//! sampled frame is compared with the first of its run, so that slow changes add up.
//!
//! If sampling starts within a film, the current run may have begun with an unknown frame. Every run that is possible
//! is then tracked. An unknown first frame differs from each later frame of its run by no more than
//! [`MOST_DIFFERENCE`]; therefore two frames that differ by more than twice that cannot both belong to its run (a sum
//! of absolute differences is a metric).

use ffmpeg_next::util::frame::Video;

use super::findings::Part;
use super::sample::reference;
use super::stretch::Span;

/// How many frames in a row that look the same are taken: two minutes at two a second, longer than most clips of a
/// camera that waits for motion.
pub(super) const KEPT: u64 = 240;
/// Squares of this many pixels are compared by their mean difference,
const SQUARE: usize = 8;
/// which must not exceed this, of 255. Recompression of the same image stays below it; a moving object two pixels wide
/// does not.
const MOST_DIFFERENCE: u32 = 3;
/// How many runs are tracked at once; each keeps an image.
const MOST_RUNS: usize = 16;

/// The decision about a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Take,
    LeaveOut,
    /// It depends on frames before those that were seen.
    Unknown,
}

/// Tracks the frames of a sampling.
pub(super) struct Repeats {
    span: Span,
    /// Whether the first frame is not the first of the sampling.
    within: bool,
    /// The runs that may be current: one if the sampling was seen from its start.
    runs: Vec<Run>,
    /// A run that may be current and whose first frame is unknown.
    unknown: Option<Unknown>,
    left_out: u64,
    longest: Option<Part>,
}

struct Run {
    first: Video,
    frames: u64,
    /// Times of the first and the last frame so far.
    part: Part,
}

/// Two frames of a run whose first frame is unknown.
struct Unknown {
    some: Video,
    last: Video,
}

impl Repeats {
    /// For a sampling whose frames within `span` count. With `within`, its first frame may be in the middle of a run.
    pub fn new(span: Span, within: bool) -> Self {
        Self {
            span,
            within,
            runs: Vec::new(),
            unknown: None,
            left_out: 0,
            longest: None,
        }
    }

    /// Whether to take the frame.
    pub fn keep(&mut self, image: &Video, time_secs: f64) -> Keep {
        let mut begins = self.runs.is_empty() || self.unknown.is_some();
        if std::mem::take(&mut self.within) {
            self.unknown = Unknown::of(image);
        } else if self
            .unknown
            .as_mut()
            .is_some_and(|unknown| unknown.ends_before(image))
        {
            self.unknown = None;
        }
        self.runs.retain_mut(|run| {
            let same = differ_by_at_most(MOST_DIFFERENCE, &run.first, image);
            if same {
                run.frames += 1;
                run.part.to_secs = time_secs;
            }
            begins |= !same;
            same
        });
        if begins && let Ok(first) = reference(image) {
            self.runs.push(Run {
                first,
                frames: 1,
                part: Part {
                    from_secs: time_secs,
                    to_secs: time_secs,
                },
            });
        }
        if self.runs.len() > MOST_RUNS {
            self.runs.clear();
            self.unknown = Unknown::of(image);
        }
        self.decide(time_secs)
    }

    fn decide(&mut self, time_secs: f64) -> Keep {
        let long = self.runs.iter().filter(|run| run.frames > KEPT).count();
        let still = match self.runs.as_slice() {
            _ if self.unknown.is_some() => return Keep::Unknown,
            _ if long == 0 => return Keep::Take,
            [run] => run.part,
            _ => return Keep::Unknown,
        };
        if self.span.contains(time_secs) {
            self.left_out += 1;
            if self
                .longest
                .is_none_or(|longest| still.length_secs() >= longest.length_secs())
            {
                self.longest = Some(still);
            }
        }
        Keep::LeaveOut
    }

    /// The number of frames left out, and the longest period without a change.
    pub fn found(&self) -> (u64, Option<Part>) {
        (self.left_out, self.longest)
    }
}

impl Unknown {
    fn of(image: &Video) -> Option<Self> {
        let some = reference(image).ok()?;
        let last = reference(image).ok()?;
        Some(Self { some, last })
    }

    /// Whether the run has certainly ended before this frame; otherwise adds the frame to it.
    fn ends_before(&mut self, image: &Video) -> bool {
        let near = |other| differ_by_at_most(2 * MOST_DIFFERENCE, other, image);
        let ends = !near(&self.some) || !near(&self.last);
        if let Ok(last) = reference(image) {
            self.last = last;
        }
        ends
    }
}

/// Whether no square in any plane of two frames differs by more than `most` in the mean. Up to [`MOST_DIFFERENCE`]
/// they look the same.
fn differ_by_at_most(most: u32, a: &Video, b: &Video) -> bool {
    if a.format() != b.format() || a.width() != b.width() || a.height() != b.height() {
        return false;
    }
    (0..a.planes()).all(|plane| {
        let (width, height) = (
            a.plane_width(plane) as usize,
            a.plane_height(plane) as usize,
        );
        let (stride_a, stride_b) = (a.stride(plane), b.stride(plane));
        if stride_a == 0 || stride_b == 0 {
            return true;
        }
        let rows = a
            .data(plane)
            .chunks(stride_a)
            .zip(b.data(plane).chunks(stride_b))
            .take(height);
        let mut sums = vec![0_u32; width.div_ceil(SQUARE)];
        let limit = most * (SQUARE * SQUARE) as u32;
        for (number, (row_a, row_b)) in rows.enumerate() {
            let (Some(row_a), Some(row_b)) = (row_a.get(..width), row_b.get(..width)) else {
                return false;
            };
            let squares = row_a.chunks(SQUARE).zip(row_b.chunks(SQUARE));
            for (sum, (a, b)) in sums.iter_mut().zip(squares) {
                *sum += a
                    .iter()
                    .zip(b)
                    .map(|(a, b)| u32::from(a.abs_diff(*b)))
                    .sum::<u32>();
            }
            if number % SQUARE == SQUARE - 1 {
                if sums.iter().any(|sum| *sum > limit) {
                    return false;
                }
                sums.fill(0);
            }
        }
        sums.iter().all(|sum| *sum <= limit)
    })
}
