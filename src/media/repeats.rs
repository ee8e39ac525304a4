//! The same image over and over: a film of one slide, a camera that froze.
//!
//! The first [`KEPT`] frames that look the same are taken, the others left out until something changes. Compared is
//! each sampled frame with the first of its run, so that a slow change adds up.

use ffmpeg_next::util::frame::Video;

use super::sample::reference;

/// So many frames that look the same are taken, one after the other: two minutes at two a second, more than most clips of
/// a camera that waits for something to move.
pub(super) const KEPT: u64 = 240;
/// Squares of so many pixels are compared by their mean difference,
const SQUARE: usize = 8;
/// which coding the same image anew does not bring above this, of 255. Something that moves and is two pixels wide does.
const MOST_DIFFERENCE: u32 = 3;

/// Watches the frames of a sampling.
#[derive(Default)]
pub(super) struct Repeats {
    run: Option<Run>,
    left_out: u64,
    longest: Option<Still>,
}

struct Run {
    first: Video,
    frames: u64,
    /// Times of the first and the last frame so far, seconds.
    from_secs: f64,
    to_secs: f64,
}

/// A stretch in which nothing changes, seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Still {
    pub from_secs: f64,
    pub to_secs: f64,
}

impl Repeats {
    /// Whether the frame is to be taken.
    pub fn keep(&mut self, picture: &Video, time_secs: f64) -> bool {
        if let Some(run) = &mut self.run
            && same(&run.first, picture)
        {
            run.frames += 1;
            run.to_secs = time_secs;
            if run.frames <= KEPT {
                return true;
            }
            self.left_out += 1;
            let still = Still {
                from_secs: run.from_secs,
                to_secs: run.to_secs,
            };
            let length = |still: Still| still.to_secs - still.from_secs;
            if self
                .longest
                .is_none_or(|longest| length(still) >= length(longest))
            {
                self.longest = Some(still);
            }
            return false;
        }
        self.run = reference(picture).ok().map(|first| Run {
            first,
            frames: 1,
            from_secs: time_secs,
            to_secs: time_secs,
        });
        true
    }

    /// How many frames were left out, and the longest stretch without a change.
    pub fn found(&self) -> Option<(u64, Still)> {
        self.longest.map(|longest| (self.left_out, longest))
    }
}

/// Whether two frames show the same to the eye: no square of any plane differs by more than coding does.
fn same(a: &Video, b: &Video) -> bool {
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
        let limit = MOST_DIFFERENCE * (SQUARE * SQUARE) as u32;
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
