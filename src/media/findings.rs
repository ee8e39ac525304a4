//! Anomalies found while sampling a film, as sentences for users. The findings of stretches can be joined to those of
//! the film.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::project::Sampling;
use crate::text::clock;

use super::MediaError;
use super::decode::Damage;
use super::repeats::KEPT;

/// A part of a film, in seconds from its start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Part {
    pub from_secs: f64,
    pub to_secs: f64,
}

impl Part {
    pub fn length_secs(self) -> f64 {
        self.to_secs - self.from_secs
    }
}

/// Everything that a sampling found out about a film, or a stretch of it, beside the frames.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Findings {
    /// Images decoded without errors.
    pub(super) good_frames: u64,
    /// Packets read, if images that are not needed are not decoded.
    pub(super) packets: Option<u64>,
    /// Packets and images with errors.
    pub(super) errors: u64,
    /// End of the last good image before the first error, in seconds from the film's start.
    pub(super) first_error_secs: Option<f64>,
    /// Where the file ends, if that is well before the duration in its headers, in seconds from the film's start.
    pub(super) cut_off_secs: Option<f64>,
    /// The number of gaps: stretches without an image.
    pub(super) gaps: u64,
    /// The longest of them.
    pub(super) longest_gap: Option<Part>,
    /// The number of frames left out because nothing changed.
    pub(super) left_out: u64,
    /// The longest period without changes among those with frames left out.
    pub(super) longest_still: Option<Part>,
    /// The number of images with an invalid time that was corrected.
    pub(super) wrong_times: u64,
    /// Whether HDR could not be tone-mapped.
    pub(super) pale: bool,
    /// A sentence about the other video streams, to follow the file's name.
    pub(super) other_tracks: Option<String>,
    /// Where reading ended, in seconds from the film's start.
    pub(super) reached_secs: f64,
    /// Duration of the film in its headers, in seconds.
    pub(super) length_secs: Option<f64>,
    /// Whether FFmpeg guessed the time of the last image although it states one: it no longer trusts the times.
    pub(super) guessing: bool,
    /// Whether a stretch was sampled after one that ended that way.
    pub(super) doubtful: bool,
}

impl Findings {
    /// Adds damage; its times count from `zero_secs` of the film.
    pub(super) fn with_damage(mut self, damage: Damage, zero_secs: f64) -> Self {
        self.good_frames = damage.good_frames;
        self.packets = damage.packets;
        self.errors = damage.errors;
        self.first_error_secs = damage.first_at_us.map(|us| zero_secs + us as f64 / 1e6);
        self.guessing = damage.guessing;
        self
    }

    /// Joins the findings of this stretch with those of the next. Joined in order of time, the findings of all
    /// stretches are those of the film.
    #[must_use]
    pub fn join(self, next: Self) -> Self {
        // Of equal ones the first gap and the last period without changes, as within a stretch.
        let longest_gap = match (self.longest_gap, next.longest_gap) {
            (Some(a), Some(b)) if b.length_secs() > a.length_secs() => Some(b),
            (a, b) => a.or(b),
        };
        let longest_still = match (self.longest_still, next.longest_still) {
            (Some(a), Some(b)) if a.length_secs() > b.length_secs() => Some(a),
            (a, b) => b.or(a),
        };
        let packets = match (self.packets, next.packets) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        Self {
            good_frames: self.good_frames.saturating_add(next.good_frames),
            packets,
            errors: self.errors.saturating_add(next.errors),
            first_error_secs: self.first_error_secs.or(next.first_error_secs),
            cut_off_secs: self.cut_off_secs.or(next.cut_off_secs),
            gaps: self.gaps.saturating_add(next.gaps),
            longest_gap,
            left_out: self.left_out.saturating_add(next.left_out),
            longest_still,
            wrong_times: self.wrong_times.saturating_add(next.wrong_times),
            pale: self.pale || next.pale,
            other_tracks: self.other_tracks.or(next.other_tracks),
            reached_secs: self.reached_secs.max(next.reached_secs),
            length_secs: self.length_secs.or(next.length_secs),
            doubtful: self.doubtful || next.doubtful || self.guessing,
            guessing: next.guessing,
        }
    }

    /// Sentences about damage (with its place), gaps, periods without changes, brightness and further streams, each
    /// beginning with the film's `name`.
    #[must_use]
    pub fn warnings(&self, name: &str) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |text: String| warnings.push(format!("“{name}” {text}"));
        if let Some(at) = self.first_error_secs.or(self.cut_off_secs) {
            let place = if at >= 0.5 {
                format!("after {}", place(at))
            } else {
                "from the start".into()
            };
            let frames = self.readable_frames();
            warn(format!("is damaged {place}: {frames} frames could be read"));
        }
        if let Some(gap) = self.longest_gap {
            let (from, to) = (place(gap.from_secs), place(gap.to_secs));
            let count = self.gaps;
            warn(if count == 1 {
                format!("has no image between {from} and {to}, so no frames were extracted there")
            } else {
                format!(
                    "has {count} gaps without an image, the longest between {from} and {to}; no frames were extracted there"
                )
            });
        }
        if let Some(still) = self.longest_still {
            let (from, to) = (place(still.from_secs), place(still.to_secs));
            let left_out = self.left_out;
            warn(format!(
                "shows the same image for a long time, at most from {from} to {to}; its first {KEPT} frames were extracted and {left_out} left out"
            ));
        }
        match self.wrong_times {
            0 => {}
            1 => warn("has one image with a wrong time, which was corrected".into()),
            many => warn(format!(
                "has {many} images with a wrong time, which were corrected"
            )),
        }
        if self.doubtful {
            warn("has wrong times for its images and was sampled in stretches, so some frames may differ from those of the whole film; import it on one machine to be sure".into());
        }
        if self.pale {
            warn("is HDR, and this FFmpeg cannot tone-map it, so its frames look pale".into());
        }
        if let Some(text) = &self.other_tracks {
            warn(text.clone());
        }
        warnings
    }

    /// Checks whether a sampling of the whole film that gave this many `frames` has succeeded.
    ///
    /// # Errors
    /// [`MediaError::Unusable`] if there are no frames, with the reason.
    pub fn check(&self, path: &Path, sampling: &Sampling, frames: u64) -> Result<(), MediaError> {
        if frames > 0 {
            return Ok(());
        }
        let from = sampling.from_secs.filter(|from| *from > 0.0);
        let whole = from.is_none() && sampling.to_secs.is_none();
        let reason = if self.readable_frames() == 0 && (self.errors > 0 || whole) {
            "is damaged or encrypted: none of its frames can be decoded".into()
        } else if whole {
            "is damaged: the times of its frames are invalid, so none could be extracted".into()
        } else {
            self.nothing_between(from.unwrap_or(0.0), sampling.to_secs)
        };
        Err(MediaError::unusable(path, reason))
    }

    /// Images that can be decoded, including those skipped because no frame needs them.
    fn readable_frames(&self) -> u64 {
        let sound = self
            .packets
            .map_or(0, |packets| packets.saturating_sub(self.errors));
        self.good_frames.max(sound)
    }

    /// The reason why there are no frames in the range of a sampling.
    fn nothing_between(&self, from: f64, to: Option<f64>) -> String {
        let read = (self.readable_frames() > 0).then_some(self.reached_secs);
        // What was read is more reliable than the headers.
        let length = read.or(self.length_secs).filter(|length| *length <= from);
        match (length.map(place), to.map(place)) {
            (Some(length), Some(to)) => format!(
                "is {length} long; there is nothing between {} and {to}",
                place(from)
            ),
            (Some(length), None) => {
                format!("is {length} long; there is nothing after {}", place(from))
            }
            (None, Some(to)) => format!("has no image between {} and {to}", place(from)),
            (None, None) => format!("has no image after {}", place(from)),
        }
    }
}

/// A time in a film, to the second before it: nobody has to look earlier than what is said to find it.
fn place(secs: f64) -> String {
    clock(secs.floor())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    fn part(from_secs: f64, to_secs: f64) -> Part {
        Part { from_secs, to_secs }
    }

    #[test]
    fn a_place_is_not_later_than_what_is_found_there() {
        let damaged = Findings {
            first_error_secs: Some(59.6),
            ..Findings::default()
        };
        let message = damaged.warnings("a.mp4").remove(0);
        assert!(message.contains("after 0:59:"), "{message}");
    }

    #[test]
    fn joined_stretches_say_what_the_film_says() {
        let first = Findings {
            good_frames: 100,
            errors: 2,
            first_error_secs: Some(61.0),
            gaps: 1,
            longest_gap: Some(part(10.0, 20.0)),
            left_out: 3,
            longest_still: Some(part(0.0, 50.0)),
            ..Findings::default()
        };
        let second = Findings {
            good_frames: 50,
            errors: 1,
            first_error_secs: Some(200.0),
            gaps: 2,
            longest_gap: Some(part(150.0, 160.0)),
            left_out: 4,
            longest_still: Some(part(100.0, 150.0)),
            wrong_times: 1,
            ..Findings::default()
        };
        assert_eq!(
            first.join(second).warnings("a.mp4"),
            [
                "“a.mp4” is damaged after 1:01: 150 frames could be read",
                "“a.mp4” has 3 gaps without an image, the longest between 0:10 and 0:20; no frames were extracted there",
                "“a.mp4” shows the same image for a long time, at most from 1:40 to 2:30; its first 240 frames were \
                 extracted and 7 left out",
                "“a.mp4” has one image with a wrong time, which was corrected",
            ]
        );
    }

    #[test]
    fn a_film_without_a_frame_says_why_at_its_end() {
        let path = Path::new("a.mp4");
        let nothing = Findings::default().join(Findings::default());
        let whole = Sampling::default();
        let part = Sampling {
            from_secs: Some(70.0),
            to_secs: Some(80.0),
            ..whole
        };
        let read = Findings {
            good_frames: 9,
            reached_secs: 65.0,
            ..Findings::default()
        };
        let sentence =
            |found: &Findings, sampling| found.check(path, sampling, 0).unwrap_err().to_string();
        assert_eq!(
            sentence(&nothing, &whole),
            "“a.mp4” is damaged or encrypted: none of its frames can be decoded"
        );
        assert_eq!(
            sentence(&nothing.clone().join(read), &part),
            "“a.mp4” is 1:05 long; there is nothing between 1:10 and 1:20"
        );
        assert!(nothing.check(path, &whole, 1).is_ok());
    }

    #[test]
    fn a_stretch_behind_guessed_times_is_in_doubt() {
        let guessing = Findings {
            guessing: true,
            ..Findings::default()
        };
        assert!(guessing.warnings("a").is_empty());
        let joined = Findings::default().join(guessing.clone());
        assert!(joined.warnings("a").is_empty());
        let joined = guessing.join(Findings::default());
        assert_eq!(joined.warnings("a").len(), 1);
    }
}
