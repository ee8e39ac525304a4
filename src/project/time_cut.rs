//! Divides a group's frames of one class into blocks of time, for a class with too few sources.

use serde::{Deserialize, Serialize};

use super::{ClassName, Split, SplitSettings};

/// Fewer frames are not divided: a test on one frame means nothing.
const MIN_FRAMES: usize = 6;

/// A video is divided into at most this many blocks of equally many frames, each on one side.
const BLOCKS: usize = 20;

/// Longest gap between training and the other sides, in seconds. In a short video it is at most half the duration of
/// its smaller held-out block.
const MAX_GAP_SECS: f64 = 2.0;

/// Positions of the held-out blocks that are tried before a group counts as too short to be divided.
const TRIES: u8 = 16;

/// A group's frames of one class, divided into blocks of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TimeCut {
    /// The times at which blocks end, in seconds, ascending.
    borders_secs: Vec<f64>,
    /// The side of each block, one more than there are borders; adjacent blocks differ.
    sides: Vec<Split>,
    /// The gap in seconds: training frames closer to a block of another side are not used, nor validation frames
    /// closer to a test block.
    gap_secs: f64,
}

impl TimeCut {
    /// Divides the frames at `times_secs` (ascending): one block of consecutive frames for the test and one for
    /// validation, at positions determined by the hash of class and group; `None` if there are too few frames.
    pub(super) fn new(
        times_secs: &[f64],
        class: &ClassName,
        group: &str,
        settings: SplitSettings,
    ) -> Option<Self> {
        if times_secs.len() < MIN_FRAMES {
            return None;
        }
        (0..TRIES).find_map(|attempt| Self::attempt(times_secs, class, group, settings, attempt))
    }

    fn attempt(
        times_secs: &[f64],
        class: &ClassName,
        group: &str,
        settings: SplitSettings,
        attempt: u8,
    ) -> Option<Self> {
        let blocks = times_secs.len().min(BLOCKS);
        let share = |percentage: u8| match usize::from(percentage) {
            0 => 0,
            percentage => ((percentage * blocks + 50) / 100).max(1),
        };
        let (test, validation) = (
            share(settings.testing_percentage),
            share(settings.validation_percentage),
        );
        let train = blocks.checked_sub(test + validation).filter(|n| *n > 0)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(class.as_str().as_bytes());
        hasher.update(&[0]);
        hasher.update(group.as_bytes());
        hasher.update(&[0, attempt]);
        let hash = hasher.finalize();
        let [first, second, order, ..] = hash.as_bytes();
        let held_out = if order % 2 == 0 {
            [(Split::Test, test), (Split::Validation, validation)]
        } else {
            [(Split::Validation, validation), (Split::Test, test)]
        };
        let before = usize::from(*first) % (train + 1);
        let between = usize::from(*second) % (train - before + 1);
        let runs = [
            (Split::Train, before),
            held_out[0],
            (Split::Train, between),
            held_out[1],
            (Split::Train, train - before - between),
        ];

        let mut cut = Self {
            borders_secs: Vec::new(),
            sides: Vec::new(),
            gap_secs: MAX_GAP_SECS,
        };
        let mut at = 0;
        let mut start_secs = *times_secs.first()?;
        for (side, length) in runs.into_iter().filter(|(_, length)| *length > 0) {
            if cut.sides.last() != Some(&side) {
                if let Some(left) = (at * times_secs.len() / blocks).checked_sub(1) {
                    start_secs = f64::midpoint(*times_secs.get(left)?, *times_secs.get(left + 1)?);
                    cut.borders_secs.push(start_secs);
                }
                cut.sides.push(side);
            }
            at += length;
            if side != Split::Train {
                let last = (at * times_secs.len() / blocks).checked_sub(1)?;
                let end_secs = match times_secs.get(last + 1) {
                    Some(next) => f64::midpoint(*times_secs.get(last)?, *next),
                    None => *times_secs.get(last)?,
                };
                cut.gap_secs = cut.gap_secs.min((end_secs - start_secs) / 2.0);
            }
        }
        cut.leaves_frames_on(times_secs, settings).then_some(cut)
    }

    /// Whether each requested side has frames outside the gaps.
    fn leaves_frames_on(&self, times_secs: &[f64], settings: SplitSettings) -> bool {
        let has = |side| times_secs.iter().any(|t| self.side(*t) == Some(side));
        has(Split::Train)
            && (settings.testing_percentage == 0 || has(Split::Test))
            && (settings.validation_percentage == 0 || has(Split::Validation))
    }

    /// The side of a frame at this time, even if it did not exist when the blocks were made; `None` in a gap.
    pub(super) fn side(&self, time_secs: f64) -> Option<Split> {
        let block = self.borders_secs.partition_point(|b| *b <= time_secs);
        let side = *self.sides.get(block)?;
        let yields_to = |other: Split| {
            side == Split::Train || (side == Split::Validation && other == Split::Test)
        };
        let left = block
            .checked_sub(1)
            .and_then(|left| Some((self.borders_secs.get(left)?, self.sides.get(left)?)));
        let right = self
            .borders_secs
            .get(block)
            .and_then(|border| Some((border, self.sides.get(block + 1)?)));
        let in_gap = [left, right]
            .into_iter()
            .flatten()
            .any(|(border, other)| yields_to(*other) && (time_secs - border).abs() < self.gap_secs);
        (!in_gap).then_some(side)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test
mod tests {
    use super::*;

    fn cut(times: &[f64], group: &str, settings: SplitSettings) -> Option<TimeCut> {
        TimeCut::new(times, &ClassName::new("empty").unwrap(), group, settings)
    }

    fn times(count: usize, fps: f64) -> Vec<f64> {
        (0..count).map(|i| i as f64 / fps).collect()
    }

    #[test]
    fn sides_keep_their_distance_and_about_their_share() {
        let settings = SplitSettings::default();
        for count in [6, 7, 10, 20, 61, 120, 1000] {
            for group in ["a", "b", "c", "d", "e", "f"] {
                let times = times(count, 2.0);
                let cut = cut(&times, group, settings).unwrap();
                let sides: Vec<_> = times.iter().map(|t| cut.side(*t)).collect();
                let on = |side| sides.iter().filter(|s| **s == Some(side)).count();
                let tenth = (count / 10).max(1);
                assert!(on(Split::Test) <= tenth + 2 && on(Split::Test) >= 1);
                assert!(on(Split::Validation) <= tenth + 2 && on(Split::Validation) >= 1);
                assert!(on(Split::Train) * 2 >= count, "{count} {group} {sides:?}");
                let distance = times
                    .iter()
                    .zip(&sides)
                    .filter(|(_, side)| **side == Some(Split::Train))
                    .flat_map(|(a, _)| {
                        times
                            .iter()
                            .zip(&sides)
                            .filter(|(_, side)| **side == Some(Split::Test))
                            .map(move |(b, _)| (a - b).abs())
                    })
                    .fold(f64::MAX, f64::min);
                let least = if count >= 120 { 2.0 } else { 0.5 };
                assert!(distance >= least, "{count} {group}: {distance}");
            }
        }
    }

    #[test]
    fn held_out_frames_are_one_block_each() {
        let times = times(200, 5.0);
        let cut = cut(&times, "a", SplitSettings::default()).unwrap();
        for side in [Split::Test, Split::Validation] {
            let at: Vec<_> = (0..200)
                .filter(|i| cut.side(times[*i]) == Some(side))
                .collect();
            assert_eq!(at.len(), at.last().unwrap() - at.first().unwrap() + 1);
        }
    }

    #[test]
    fn nothing_is_held_out_for_zero_percent() {
        let settings = SplitSettings {
            validation_percentage: 0,
            testing_percentage: 30,
            ..SplitSettings::default()
        };
        let times = times(100, 1.0);
        let cut = cut(&times, "a", settings).unwrap();
        assert!(
            times
                .iter()
                .all(|t| cut.side(*t) != Some(Split::Validation))
        );
        let test = times.iter().filter(|t| cut.side(**t) == Some(Split::Test));
        assert_eq!(test.count(), 30);
    }

    #[test]
    fn too_few_frames_are_not_cut() {
        let settings = SplitSettings::default();
        assert_eq!(cut(&[], "a", settings), None);
        assert_eq!(cut(&times(5, 1.0), "a", settings), None);
        assert_eq!(cut(&[1.0; 50], "a", settings), None, "all at one time");
    }
}
