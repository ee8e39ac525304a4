//! Folds of a cross-validation: frames in parts of about the same size, none of which cuts a group apart.

use std::collections::BTreeMap;

/// Puts frames, each given by its class (below `classes`) and its group, into up to `most` folds, of each class about as
/// many frames; a fold lists the places of its frames, ascending. `None` where a class that has frames has only one group.
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
    // A group with frames of several classes goes where the first of them puts it.
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

/// The places in all folds but one, fold after fold.
#[must_use]
pub fn other_folds(folds: &[Vec<usize>], but: usize) -> Vec<usize> {
    let others = folds.iter().enumerate().filter(|(other, _)| *other != but);
    others.flat_map(|(_, fold)| fold).copied().collect()
}

/// A shuffle that depends on the seed and on what is shuffled for alone.
pub fn shuffle<T>(values: &mut [T], seed: u64, what: &str) {
    use rand_chacha::rand_core::{Rng, SeedableRng};
    let key = blake3::hash(format!("{what} {seed}").as_bytes());
    let mut generator = rand_chacha::ChaCha8Rng::from_seed(*key.as_bytes());
    for at in (1..values.len()).rev() {
        let other = (u128::from(generator.next_u64()) * (at as u128 + 1)) >> 64;
        values.swap(at, other as usize);
    }
}
