//! How long sampling films takes on a machine: as it has shown, else a cautious guess.

use serde::{Deserialize, Serialize};

use crate::jobs::cores;

/// Pixels a second that one core decodes and samples at least, in millions: about 40 % of what was measured for H.264 of
/// 1920 × 1080 on an ordinary one.
const GUESS_PER_CORE: f64 = 60.0;
/// More cores than so many decode a film no faster.
const MOST_CORES: usize = 8;
/// What was measured counts from so many seconds on.
const LEAST_SECS: f64 = 5.0;
/// What was measured so many seconds ago counts half.
const HALF_SECS: f64 = 1800.0;
/// Millions of pixels in a second of a film of which nothing is known: 1920 × 1080 at 30 frames a second.
const UNKNOWN: f64 = 1920.0 * 1080.0 * 30.0 / 1e6;

/// How fast a machine has sampled films.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Pace {
    /// Pixels of film, in millions: length × frame rate × width × height.
    megapixels: f64,
    /// What they took, seconds.
    secs: f64,
}

impl Pace {
    /// Takes in that a film of so many million pixels was sampled in so many seconds.
    pub fn saw(&mut self, megapixels: f64, secs: f64) {
        let sound = megapixels.is_finite() && secs.is_finite() && megapixels > 0.0 && secs > 0.0;
        if !sound {
            return;
        }
        if self.secs > HALF_SECS {
            self.megapixels /= 2.0;
            self.secs /= 2.0;
        }
        self.megapixels += megapixels;
        self.secs += secs;
    }

    /// Seconds that so many million pixels of film will take.
    #[must_use]
    pub fn secs_of(&self, megapixels: f64) -> f64 {
        let rate = if self.secs >= LEAST_SECS && self.megapixels > 0.0 {
            self.megapixels / self.secs
        } else {
            GUESS_PER_CORE * cores().clamp(1, MOST_CORES) as f64
        };
        megapixels / rate
    }
}

/// Pixels in a film of so many seconds, in millions; `per_sec` is [`super::VideoInfo::megapixels_per_sec`] where that is
/// known.
#[must_use]
pub fn film_megapixels(duration_secs: f64, per_sec: Option<f64>) -> f64 {
    duration_secs.max(0.0) * per_sec.filter(|rate| *rate > 0.0).unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_what_was_measured_and_is_cautious_before() {
        let hour = film_megapixels(3600.0, None);
        let mut pace = Pace::default();
        let guess = pace.secs_of(hour);
        assert!((60.0..7200.0).contains(&guess), "{guess}");
        // Too little to go by.
        pace.saw(1.0, 4.0);
        assert!((pace.secs_of(hour) - guess).abs() < 1e-9);
        // Ten times as fast as the film plays.
        let mut pace = Pace::default();
        pace.saw(hour, 360.0);
        assert!((pace.secs_of(2.0 * hour) - 720.0).abs() < 1e-6);
        // A small film of few frames takes less.
        let small = film_megapixels(3600.0, Some(640.0 * 360.0 * 10.0 / 1e6));
        assert!(pace.secs_of(small) < 14.0);
        // A machine that became slower is known to be after a while.
        for _ in 0..40 {
            pace.saw(hour, 3600.0);
        }
        assert!(pace.secs_of(hour) > 3500.0);
        // What makes no sense changes nothing.
        let before = pace;
        pace.saw(f64::NAN, 1.0);
        pace.saw(1.0, 0.0);
        assert_eq!(pace, before);
    }
}
