//! The same image over and over: a film of one slide, a camera that froze.
//!
//! The first [`KEPT`] frames that look the same are taken, the others left out until something changes. Compared is
//! each sampled frame with the first of its run, so that a slow change adds up.
//!
//! Where a sampling begins within a film, the run that is under way there has begun with a frame that is not known. Every
//! run that may be under way is then followed at once. What is known of an unknown first frame: it differs from each later
//! frame of its run by no more than [`MOST_DIFFERENCE`], so that two frames which differ by more than twice that
//! (a sum of absolute differences is a metric) are not both of its run.

use ffmpeg_next::util::frame::Video;

use super::findings::Part;
use super::sample::reference;
use super::stretch::Span;

/// So many frames that look the same are taken, one after the other: two minutes at two a second, more than most clips of
/// a camera that waits for something to move.
pub(super) const KEPT: u64 = 240;
/// Squares of so many pixels are compared by their mean difference,
const SQUARE: usize = 8;
/// which coding the same image again does not bring above this, of 255. Something that moves and is two pixels wide does.
const MOST_DIFFERENCE: u32 = 3;
/// So many runs are followed at once; each holds an image.
const MOST_RUNS: usize = 16;

/// What is to be done with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Take,
    LeaveOut,
    /// That depends on frames before those that were seen.
    Unknown,
}

/// Watches the frames of a sampling.
pub(super) struct Repeats {
    span: Span,
    /// The first frame is not the first of the sampling.
    within: bool,
    /// The runs that may be under way: one where the sampling was seen from its start.
    runs: Vec<Run>,
    /// A run may be under way whose first frame is not known.
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

/// Two frames of the run whose first frame is not known.
struct Unknown {
    some: Video,
    last: Video,
}

impl Repeats {
    /// For a sampling whose frames within `span` count; `within` a film its first frame may be in the midst of a run.
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

    /// Whether the frame is to be taken.
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

    /// How many frames were left out, and the longest stretch without a change.
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

    /// Whether the run has surely ended before this frame; else takes it into the run.
    fn ends_before(&mut self, image: &Video) -> bool {
        let near = |other| differ_by_at_most(2 * MOST_DIFFERENCE, other, image);
        let ends = !near(&self.some) || !near(&self.last);
        if let Ok(last) = reference(image) {
            self.last = last;
        }
        ends
    }
}

/// Whether no square of any plane of two frames differs by more than `most` in the mean: by [`MOST_DIFFERENCE`], they show
/// the same to the eye.
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
