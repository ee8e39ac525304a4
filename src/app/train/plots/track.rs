//! A series of values with the lowest and the highest of every block of 4, 8, 16, … of them.

/// Values in the smallest block.
const SMALLEST: usize = 4;

/// A series of values, which grows at its end.
#[derive(Debug, Clone, Default)]
pub(super) struct Track {
    values: Vec<f32>,
    /// For each whole block the places of its lowest and its highest value; blocks of level `k` have `SMALLEST·2ᵏ`
    /// values.
    levels: Vec<Vec<[u32; 2]>>,
    range: Option<[f32; 2]>,
}

/// A part of a series: the places from `from` to `to`, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineStretch {
    /// The first place.
    pub from: usize,
    /// The place after the last.
    pub to: usize,
}

impl Track {
    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn get(&self, place: usize) -> Option<f32> {
        self.values.get(place).copied()
    }

    /// The lowest and the highest value.
    pub fn range(&self) -> Option<[f32; 2]> {
        self.range
    }

    /// Appends a value: on average in constant time.
    pub fn push(&mut self, value: f32) {
        self.values.push(value);
        let [low, high] = self.range.unwrap_or([value; 2]);
        self.range = Some([low.min(value), high.max(value)]);
        let mut level = 0;
        let mut size = SMALLEST;
        while self.values.len().is_multiple_of(size) {
            let block = if level == 0 {
                let first = self.values.len() - SMALLEST;
                self.extremes(first..self.values.len())
            } else {
                let below = self.levels.get(level - 1);
                match below.and_then(|below| below.last_chunk::<2>()) {
                    Some([a, b]) => self.joined(*a, *b),
                    None => return,
                }
            };
            match self.levels.get_mut(level) {
                Some(blocks) => blocks.push(block),
                None => self.levels.push(vec![block]),
            }
            level += 1;
            size *= 2;
        }
    }

    fn extremes(&self, places: std::ops::Range<usize>) -> [u32; 2] {
        let first = places.start as u32;
        places.fold([first, first], |found, place| {
            self.joined(found, [place as u32; 2])
        })
    }

    fn joined(&self, a: [u32; 2], b: [u32; 2]) -> [u32; 2] {
        let value = |place: u32| self.get(place as usize).unwrap_or_default();
        [
            if value(b[0]) < value(a[0]) {
                b[0]
            } else {
                a[0]
            },
            if value(b[1]) > value(a[1]) {
                b[1]
            } else {
                a[1]
            },
        ]
    }

    /// Calls `found` with places that represent a stretch in about `blocks` blocks, ascending: the lowest and the
    /// highest value of each block, or every place if there are fewer values than blocks. Returns how many blocks and
    /// values were visited: at most about four times `blocks`.
    pub fn thinned(
        &self,
        stretch: LineStretch,
        blocks: usize,
        mut found: impl FnMut(usize),
    ) -> usize {
        let to = stretch.to.min(self.len());
        let count = to.saturating_sub(stretch.from);
        // The largest blocks of which there are enough.
        let mut level = None;
        let mut size = SMALLEST;
        for next in 0..self.levels.len() {
            if count / size < blocks.max(1) {
                break;
            }
            level = Some(next);
            size *= 2;
        }
        let mut visited = 0;
        let mut at = match level {
            // Whole blocks, so that the image does not change when the section is moved.
            Some(level) => stretch.from - stretch.from % (SMALLEST << level),
            None => stretch.from,
        };
        while at < to {
            visited += 1;
            // After the last whole block there are smaller ones.
            let fitting = level.and_then(|level| {
                (0..=level).rev().find_map(|level| {
                    let size = SMALLEST << level;
                    let block = self.levels.get(level)?.get(at / size)?;
                    at.is_multiple_of(size).then_some((size, *block))
                })
            });
            if let Some((size, [low, high])) = fitting {
                found(low.min(high) as usize);
                if low != high {
                    found(low.max(high) as usize);
                }
                at += size;
            } else {
                found(at);
                at += 1;
            }
        }
        visited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(values: impl IntoIterator<Item = f32>) -> Track {
        let mut track = Track::default();
        for value in values {
            track.push(value);
        }
        track
    }

    #[test]
    fn thinning_keeps_the_peaks_and_looks_at_few_values() {
        let mut values = vec![0.0; 100_003];
        values[51_234] = 9.0;
        values[51_235] = -9.0;
        values[100_002] = 3.0;
        let track = track(values);
        let mut places = Vec::new();
        let all = LineStretch {
            from: 0,
            to: 100_003,
        };
        let visited = track.thinned(all, 500, |place| places.push(place));
        assert!(visited <= 2_000, "{visited}");
        assert!(places.len() <= 2 * visited);
        assert!(places.is_sorted());
        for place in [51_234, 51_235, 100_002] {
            assert!(places.contains(&place), "{place}");
        }
        // Ten times as many cost the same.
        let more = self::track((0..1_000_000).map(|value| (value % 7) as f32));
        let all = LineStretch {
            from: 0,
            to: 1_000_000,
        };
        assert!(more.thinned(all, 500, |_| ()) <= 2_000);
    }

    #[test]
    fn few_values_are_all_shown_and_a_moved_section_shows_the_same() {
        let track = track((0..1000).map(|value| (value * 7919 % 1000) as f32));
        let of = |from, to, blocks| {
            let mut places = Vec::new();
            track.thinned(LineStretch { from, to }, blocks, |place| places.push(place));
            places
        };
        assert_eq!(of(10, 20, 100), (10..20).collect::<Vec<_>>());
        let [here, there] = [of(100, 900, 50), of(107, 907, 50)];
        let both = |places: &[usize]| -> Vec<usize> {
            let within = places.iter().filter(|place| (160..800).contains(*place));
            within.copied().collect()
        };
        assert_eq!(both(&here), both(&there));
        assert!(of(990, 5000, 50).iter().all(|place| *place < 1000));
    }
}
