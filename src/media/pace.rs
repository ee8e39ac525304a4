//! Estimates how long sampling films takes on a machine, from earlier ones or else conservatively.

use serde::{Deserialize, Serialize};

use crate::jobs::cores;

/// The assumed speed of one core in millions of pixels a second: about 40 % of what was measured for 1920 × 1080 H.264
/// on an ordinary core.
const GUESS_PER_CORE: f64 = 60.0;
/// With more cores a film is not decoded faster.
const MOST_CORES: usize = 8;
/// Measurements count from this many seconds on.
const LEAST_SECS: f64 = 5.0;
/// The half-life of measurements, in seconds.
const HALF_SECS: f64 = 1800.0;
/// The assumed millions of pixels a second of an unknown film: 1920 × 1080 at 30 frames a second.
const UNKNOWN: f64 = 1920.0 * 1080.0 * 30.0 / 1e6;

/// The measured speed of sampling on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExtractionPace {
    /// Pixels of film in millions: duration × frame rate × width × height.
    megapixels: f64,
    /// The time that they took, in seconds.
    secs: f64,
}

impl ExtractionPace {
    /// Records that a film with this many million pixels was sampled in this many seconds.
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

    /// The estimated seconds for this many million pixels of film.
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

/// The pixels in a film of this many seconds, in millions; `per_sec` is [`super::VideoInfo::megapixels_per_sec`] if
/// that is known.
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
        let mut pace = ExtractionPace::default();
        let guess = pace.secs_of(hour);
        assert!((60.0..7200.0).contains(&guess), "{guess}");
        // Too short to count.
        pace.saw(1.0, 4.0);
        assert!((pace.secs_of(hour) - guess).abs() < 1e-9);
        // Ten times faster than real time.
        let mut pace = ExtractionPace::default();
        pace.saw(hour, 360.0);
        assert!((pace.secs_of(2.0 * hour) - 720.0).abs() < 1e-6);
        // A film with small and few frames takes less.
        let small = film_megapixels(3600.0, Some(640.0 * 360.0 * 10.0 / 1e6));
        assert!(pace.secs_of(small) < 14.0);
        // A machine that became slower is recognised after a while.
        for _ in 0..40 {
            pace.saw(hour, 3600.0);
        }
        assert!(pace.secs_of(hour) > 3500.0);
        // Invalid measurements are ignored.
        let before = pace;
        pace.saw(f64::NAN, 1.0);
        pace.saw(1.0, 0.0);
        assert_eq!(pace, before);
    }
}
