//! How many frames an extraction will write, and whether that is worth a question.

use std::fmt;
use std::path::Path;

use crate::project::Sampling;
use crate::text::{bytes, count};

/// More frames than these are written only after a question: at two a second, nearly three hours of film.
const MUCH_FRAMES: u64 = 20_000;
/// Bytes of a JPEG frame for each of its pixels, at `-q:v 2`: a little more than most films give.
const BYTES_PER_PIXEL: f64 = 0.3;
/// Pixels of a frame that keeps the size of its film, where that is not known: 1080p.
const OWN_SIZE_PIXELS: f64 = 1920.0 * 1080.0;
/// Fewer frames than these are not asked about: if they find no room, what is written stays, and the rest can follow.
const FEW_FRAMES: u64 = 1_000;

/// What an extraction will write, about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// Frames.
    pub frames: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Bytes that are free on the project's disk, if that can be found out.
    pub room: Option<u64>,
}

impl Amount {
    /// What so many frames of a sampling come to in the folder `root`.
    #[must_use]
    pub fn of(frames: u64, sampling: &Sampling, root: &Path) -> Self {
        let pixels = sampling.width_px.map_or(OWN_SIZE_PIXELS, |width| {
            f64::from(width) * f64::from(width) * 9.0 / 16.0
        });
        Self {
            frames,
            bytes: (frames as f64 * pixels * BYTES_PER_PIXEL) as u64,
            room: fs4::available_space(root)
                .inspect_err(|error| log::warn!("cannot tell the free space: {error}"))
                .ok(),
        }
    }

    /// Whether it is to be asked for first: so many frames, or more than the disk has room for.
    #[must_use]
    pub fn is_much(&self) -> bool {
        let fits = self.room.is_none_or(|room| self.bytes <= room);
        self.frames > MUCH_FRAMES || self.frames > FEW_FRAMES && !fits
    }
}

impl fmt::Display for Amount {
    /// As the part of a sentence: "about 40,000 frames, some 1.9 GB, with 40.1 GB free on the disk".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frames = count(self.frames, "frame");
        write!(f, "about {frames}, some {}", bytes(self.bytes))?;
        if let Some(room) = self.room {
            write!(f, ", with {} free on the disk", bytes(room))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_frames_and_a_small_disk_are_worth_a_question() {
        let root = Path::new(".");
        let amount = |frames| Amount {
            room: Some(3_000_000_000),
            ..Amount::of(frames, &Sampling::default(), root)
        };
        assert!(!amount(2_000).is_much());
        let full = |frames| Amount {
            room: Some(0),
            ..amount(frames)
        };
        assert!(!full(1_000).is_much() && full(1_001).is_much());
        assert!(amount(20_001).is_much());
        let large = Sampling {
            width_px: None,
            ..Sampling::default()
        };
        let amount = Amount {
            room: Some(3_000_000_000),
            ..Amount::of(10_000, &large, root)
        };
        assert!(amount.is_much(), "{amount}");
        assert_eq!(
            Amount {
                frames: 1_234_567,
                bytes: 52_000_000_000,
                room: Some(40_100_000_000)
            }
            .to_string(),
            "about 1,234,567 frames, some 52.0 GB, with 40.1 GB free on the disk"
        );
    }
}
