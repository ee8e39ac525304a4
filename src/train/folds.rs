//! Folds of a cross-validation: parts of about equal size, none of which divides a group.

use std::collections::BTreeMap;

/// Divides frames, given by class (less than `classes`) and group, into up to `most` folds with about the same number
/// of frames of each class. A fold is a list of ascending indices of frames. `None` if a class with frames has only
/// one group.
#[must_use]
pub fn folds(
    frames: &[(usize, &str)],
    classes: usize,
    most: usize,
    seed: u64,
) -> Option<Vec<Vec<usize>>> {
    let mut by_class: Vec<BTreeMap<&str, usize>> = vec![BTreeMap::new(); classes];
    for (class, group) in frames {
        if let Some(groups) = by_class.get_mut(*class) {
            *groups.entry(*group).or_default() += 1;
        }
    }
    let fewest = by_class
        .iter()
        .map(BTreeMap::len)
        .filter(|groups| *groups > 0)
        .min()?;
    let count = fewest.min(most);
    if count < 2 {
        return None;
    }
    // A group with frames of several classes is assigned with the first of them.
    let mut fold_of: BTreeMap<&str, usize> = BTreeMap::new();
    for (class, groups) in by_class.into_iter().enumerate() {
        let mut filled = vec![0_usize; count];
        let mut groups: Vec<(&str, usize)> = groups.into_iter().collect();
        shuffle(&mut groups, seed, &format!("folds {class}"));
        groups.sort_by_key(|(_, frames)| std::cmp::Reverse(*frames));
        for (name, frames) in groups {
            let emptiest = (0..count).min_by_key(|fold| filled.get(*fold).copied());
            let fold = *fold_of.entry(name).or_insert(emptiest.unwrap_or(0));
            if let Some(filled) = filled.get_mut(fold) {
                *filled += frames;
            }
        }
    }
    let mut folds = vec![Vec::new(); count];
    for (at, (_, group)) in frames.iter().enumerate() {
        if let Some(fold) = fold_of.get(group)
            && let Some(fold) = folds.get_mut(*fold)
        {
            fold.push(at);
        }
    }
    folds.retain(|fold| !fold.is_empty());
    (folds.len() > 1).then_some(folds)
}

/// The indices in all folds except one, fold by fold.
#[must_use]
pub fn other_folds(folds: &[Vec<usize>], but: usize) -> Vec<usize> {
    let others = folds.iter().enumerate().filter(|(other, _)| *other != but);
    others.flat_map(|(_, fold)| fold).copied().collect()
}

/// A shuffle that depends only on the seed and on its purpose.
pub fn shuffle<T>(values: &mut [T], seed: u64, what: &str) {
    use rand_chacha::rand_core::{Rng, SeedableRng};
    let key = blake3::hash(format!("{what} {seed}").as_bytes());
    let mut generator = rand_chacha::ChaCha8Rng::from_seed(*key.as_bytes());
    for at in (1..values.len()).rev() {
        let other = (u128::from(generator.next_u64()) * (at as u128 + 1)) >> 64;
        values.swap(at, other as usize);
    }
}
