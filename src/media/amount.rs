//! Estimates how many frames an extraction writes, and whether the user should confirm that.

use std::fmt;
use std::path::Path;

use crate::project::Sampling;
use crate::text::{bytes, count, rounded_bytes};

/// More frames than this are written only after confirmation: at two a second, nearly three hours of film.
const MUCH_FRAMES: u64 = 20_000;
/// Assumed bytes of a JPEG frame per pixel, at `-q:v 2`: a little more than most films give.
const BYTES_PER_PIXEL: f64 = 0.3;
/// Assumed pixels of a frame in its film's own size, if that is unknown: 1080p.
const OWN_SIZE_PIXELS: f64 = 1920.0 * 1080.0;
/// Fewer frames than this need no confirmation: if the disk fills up, the written ones stay and the rest can follow.
const FEW_FRAMES: u64 = 1_000;

/// An estimate of what an extraction writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// The number of frames.
    pub frames: u64,
    /// The bytes of their files.
    pub bytes: u64,
    /// The free bytes on the project's disk, if known.
    pub room: Option<u64>,
}

impl Amount {
    /// The estimate for this number of frames of a sampling into the folder `root`.
    #[must_use]
    pub fn of(frames: u64, sampling: &Sampling, root: &Path) -> Self {
        let pixels = sampling.width_px.map_or(OWN_SIZE_PIXELS, |width| {
            f64::from(width) * f64::from(width) * 9.0 / 16.0
        });
        Self {
            frames,
            bytes: (frames as f64 * pixels * BYTES_PER_PIXEL) as u64,
            room: fs4::available_space(root)
                .inspect_err(|error| log::warn!("cannot determine the free disk space: {error}"))
                .ok(),
        }
    }

    /// Whether the user should confirm it: very many frames, or more than the disk has room for.
    #[must_use]
    pub fn is_much(&self) -> bool {
        let fits = self.room.is_none_or(|room| self.bytes <= room);
        self.frames > MUCH_FRAMES || self.frames > FEW_FRAMES && !fits
    }
}

impl fmt::Display for Amount {
    /// A part of a sentence: "about 40,000 frames, roughly 1.9 GB, with 40.1 GB free on the disk".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frames = count(self.frames, "frame");
        write!(f, "about {frames}, roughly {}", rounded_bytes(self.bytes))?;
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
            "about 1,234,567 frames, roughly 52 GB, with 40.1 GB free on the disk"
        );
    }
}
