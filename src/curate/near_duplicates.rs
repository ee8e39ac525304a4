//! Clusters of nearly equal images, without comparing all pairs.
//!
//! Multi-index hashing (Norouzi, Punjani, Fleet: "Fast search in Hamming space with multi-index hashing", 2012):
//! 256-bit hashes that differ in at most 36 bits differ in at most 2 bits of at least one of 16 bands of 16 bits. Each
//! band has a table of its 65,536 values, and only hashes within 2 bits in a band are compared.

use crate::jobs::{Cancelled, Work};

use super::hashes::ImageHash;

/// Images whose hashes differ in at most this many of 256 bits are near-duplicates. Of 2,062 photos of hand signs with
/// plain backgrounds, the two most similar differ in 40 bits; a crop or shift of 2–3 %, or other brightness, contrast,
/// size or compression, almost always changes fewer than 36.
const MAX_DISTANCE: u32 = 36;

const BANDS: usize = 16;

/// Bits that may differ in the most similar band: `MAX_DISTANCE / BANDS`.
const BAND_RADIUS: u32 = MAX_DISTANCE / BANDS as u32;

/// The cluster of each image, as the smallest index in it. Near-duplicates of near-duplicates are in the same cluster.
pub(super) fn clusters(images: &[ImageHash], work: &Work) -> Result<Vec<usize>, Cancelled> {
    let masks: Vec<u16> = (0..=u16::MAX)
        .filter(|mask| mask.count_ones() <= BAND_RADIUS)
        .collect();
    let mut sets = DisjointSets::new(images.len());
    for band in 0..BANDS {
        let table = BandTable::new(images, band);
        for (i, image) in images.iter().enumerate() {
            if i % 256 == 0 {
                work.check()?;
            }
            let value = band_of(image, band);
            for mask in &masks {
                for j in table.with_value(value ^ mask) {
                    let j = *j as usize;
                    // Compare each pair once.
                    if j >= i {
                        break;
                    }
                    if let Some(other) = images.get(j)
                        && distance(image, other) <= MAX_DISTANCE
                    {
                        sets.join(i, j);
                    }
                }
            }
        }
    }
    Ok((0..images.len()).map(|i| sets.root(i)).collect())
}

fn distance(a: &ImageHash, b: &ImageHash) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

fn band_of(image: &ImageHash, band: usize) -> u16 {
    let word = image.get(band / 4).copied().unwrap_or_default();
    (word >> (16 * (band % 4))) as u16
}

/// The images sorted by the value of one band (counting sort).
struct BandTable {
    /// For each value, the index in `images` of its first image; has one more element than there are values.
    starts: Vec<u32>,
    /// Indices, ascending within a value.
    images: Vec<u32>,
}

impl BandTable {
    fn new(hashes: &[ImageHash], band: usize) -> Self {
        let mut keyed: Vec<(u16, u32)> = hashes
            .iter()
            .enumerate()
            .map(|(i, hash)| (band_of(hash, band), i as u32))
            .collect();
        keyed.sort_unstable();
        let mut starts = Vec::with_capacity(usize::from(u16::MAX) + 2);
        let mut at = 0;
        for value in 0..=u16::MAX {
            starts.push(at as u32);
            while keyed.get(at).is_some_and(|(key, _)| *key == value) {
                at += 1;
            }
        }
        starts.push(at as u32);
        Self {
            starts,
            images: keyed.into_iter().map(|(_, i)| i).collect(),
        }
    }

    fn with_value(&self, value: u16) -> &[u32] {
        let at = usize::from(value);
        match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(start), Some(end)) => self
                .images
                .get(*start as usize..*end as usize)
                .unwrap_or_default(),
            _ => &[],
        }
    }
}

/// Union-find; the root of a set is its smallest element.
struct DisjointSets {
    parents: Vec<usize>,
}

impl DisjointSets {
    fn new(count: usize) -> Self {
        Self {
            parents: (0..count).collect(),
        }
    }

    fn parent(&self, i: usize) -> usize {
        self.parents.get(i).copied().unwrap_or(i)
    }

    fn root(&mut self, mut i: usize) -> usize {
        while self.parent(i) != i {
            let above = self.parent(self.parent(i));
            if let Some(slot) = self.parents.get_mut(i) {
                *slot = above;
            }
            i = above;
        }
        i
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if let Some(slot) = self.parents.get_mut(a.max(b)) {
            *slot = a.min(b);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn finds_exactly_what_comparing_each_with_each_finds() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let mut images: Vec<ImageHash> = Vec::new();
        for _ in 0..600 {
            let mut image: ImageHash = match images.len() {
                // Variants of an earlier image, on both sides of the limit.
                n if n > 0 && random.random_bool(0.6) => images[random.random_range(0..n)],
                _ => random.random(),
            };
            for _ in 0..random.random_range(0..60) {
                let bit: usize = random.random_range(0..256);
                image[bit / 64] ^= 1 << (bit % 64);
            }
            images.push(image);
        }
        let mut sets = DisjointSets::new(images.len());
        for i in 0..images.len() {
            for j in 0..i {
                if distance(&images[i], &images[j]) <= MAX_DISTANCE {
                    sets.join(i, j);
                }
            }
        }
        let expected: Vec<usize> = (0..images.len()).map(|i| sets.root(i)).collect();
        let found = clusters(&images, &Work::new()).unwrap();
        assert_eq!(found, expected);
        let mut distinct = found;
        distinct.sort_unstable();
        distinct.dedup();
        assert!((100..500).contains(&distinct.len()), "both kinds occur");
    }

    #[test]
    fn nothing_has_no_clusters() {
        assert!(clusters(&[], &Work::new()).unwrap().is_empty());
        assert_eq!(clusters(&[[0; 4]; 3], &Work::new()).unwrap(), [0, 0, 0]);
    }
}
