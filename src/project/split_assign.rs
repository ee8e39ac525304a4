//! Decides the sides: whole groups by hash, blocks of time if a class has too few groups. Pure functions: earlier
//! decisions are passed as [`SplitMemory`], which is only added to.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::split_given::Given;
use super::split_memory::SplitMemory;
use super::time_cut::TimeCut;
use super::{Assignment, ClassName, Cut, Frame, Split, SplitSettings};

/// The fewest groups with which a class has one on each side.
const ENOUGH_GROUPS: usize = 3;

/// The frames of a class by group, as indices.
struct ClassFrames<'a> {
    name: &'a ClassName,
    groups: BTreeMap<&'a str, Vec<usize>>,
}

/// How the frames of a group and a class get their side.
enum Rule {
    /// All get the side of the group.
    Whole,
    /// By block of time.
    Blocks(TimeCut),
    /// As they were given.
    Given,
    /// Too few to be split: training, and not recorded, so that they can be split when there are more.
    TrainOnly,
}

/// See [`super::Project::assign_splits`].
pub(super) fn assign(
    memory: &mut SplitMemory,
    frames: &[Frame],
    groups: &[String],
    given: &Given,
    settings: SplitSettings,
) -> Assignment {
    let classes = by_class(frames, groups);
    let mut result = Assignment {
        splits: vec![None; frames.len()],
        cuts: Vec::new(),
        notes: Vec::new(),
    };
    if settings.testing_percentage == 0 && settings.validation_percentage == 0 {
        for class in &classes {
            for (group, indices) in &class.groups {
                for index in indices {
                    let side = given.side(*index, group).unwrap_or(Split::Train);
                    set(&mut result.splits, *index, Some(side));
                }
            }
            result.cuts.push((class.name.clone(), Cut::BySource));
        }
        result.notes.extend(given.notes(frames));
        return result;
    }
    if memory.settings != settings {
        *memory = SplitMemory {
            settings,
            ..SplitMemory::default()
        };
    }

    // Blocks of time first, so that a group divided for one class is not in the test frames of another.
    let mut rules: Vec<BTreeMap<&str, Rule>> = Vec::new();
    for class in &classes {
        rules.push(rules_of(class, frames, given, memory));
    }
    let cut_groups: HashSet<&str> = rules
        .iter()
        .flat_map(|rules| rules.iter())
        .filter(|(_, rule)| matches!(rule, Rule::Blocks(_) | Rule::TrainOnly))
        .map(|(group, _)| *group)
        .collect();

    for (class, rules) in classes.iter().zip(&rules) {
        for (group, indices) in &class.groups {
            match rules.get(group) {
                Some(Rule::Blocks(cut)) => {
                    for index in indices {
                        let time = frames.get(*index).and_then(|f| f.time_secs);
                        let side = time.map_or(Some(Split::Train), |time| cut.side(time));
                        set(&mut result.splits, *index, side);
                    }
                }
                Some(Rule::TrainOnly) => {
                    for index in indices {
                        set(&mut result.splits, *index, Some(Split::Train));
                    }
                }
                Some(Rule::Given) => {
                    for index in indices {
                        set(&mut result.splits, *index, given.side(*index, group));
                    }
                }
                Some(Rule::Whole) | None => {}
            }
        }
    }

    // Then whole groups, beginning with the class that has the fewest groups to choose from.
    let mut order: Vec<usize> = (0..classes.len()).collect();
    order.sort_by_key(|i| {
        classes
            .get(*i)
            .map(|class| (class.groups.len(), class.name))
    });
    for i in order {
        if let (Some(class), Some(rules)) = (classes.get(i), rules.get(i)) {
            let sides = Sides {
                cut_groups: &cut_groups,
                given,
                splits: &result.splits,
            };
            decide_groups(class, rules, &sides, memory);
        }
    }
    for (class, rules) in classes.iter().zip(&rules) {
        for (group, indices) in &class.groups {
            if matches!(rules.get(group), Some(Rule::Whole)) {
                let side = memory.groups.get(*group).copied().unwrap_or(Split::Train);
                for index in indices {
                    set(&mut result.splits, *index, Some(side));
                }
            }
        }
    }
    result.notes.extend(given.notes(frames));
    report(&classes, &rules, settings, &mut result);
    result
}

/// The decisions made before those on whole groups.
struct Sides<'a> {
    /// Groups that are divided into blocks of time for some class.
    cut_groups: &'a HashSet<&'a str>,
    given: &'a Given,
    /// The sides of frames so far.
    splits: &'a [Option<Split>],
}

/// A group without a side. Sorted in the order in which groups are chosen.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Free<'a> {
    /// Whether it is divided into blocks of time for another class; such groups come last.
    cut: bool,
    hash: [u8; 32],
    group: &'a str,
    size: usize,
    /// Whether it was given for training, so that it must not be used for the test.
    for_training: bool,
}

fn set(splits: &mut [Option<Split>], index: usize, side: Option<Split>) {
    if let Some(slot) = splits.get_mut(index) {
        *slot = side;
    }
}

/// Classes in the order of their first frame. A frame without a group is a group of its own.
fn by_class<'a>(frames: &'a [Frame], groups: &'a [String]) -> Vec<ClassFrames<'a>> {
    let mut classes: Vec<ClassFrames<'a>> = Vec::new();
    let mut places: HashMap<&ClassName, usize> = HashMap::new();
    for (index, frame) in frames.iter().enumerate() {
        let Some(name) = frame.label.class() else {
            continue;
        };
        let place = *places.entry(name).or_insert_with(|| {
            classes.push(ClassFrames {
                name,
                groups: BTreeMap::new(),
            });
            classes.len() - 1
        });
        if let Some(class) = classes.get_mut(place) {
            let group = groups.get(index).unwrap_or(&frame.path);
            class.groups.entry(group).or_default().push(index);
        }
    }
    classes
}

/// Decides how each group of a class gets its side, and records it.
fn rules_of<'a>(
    class: &ClassFrames<'a>,
    frames: &[Frame],
    given: &Given,
    memory: &mut SplitMemory,
) -> BTreeMap<&'a str, Rule> {
    // If the class has a given split, its other groups are not divided.
    let has_given = class.groups.keys().any(|group| given.is_given(group));
    let enough = class.groups.len() >= ENOUGH_GROUPS || has_given;
    if enough {
        memory
            .modes
            .entry(class.name.clone())
            .or_insert(Cut::BySource);
    }
    let by_source = memory.modes.get(class.name) == Some(&Cut::BySource);
    let mut rules = BTreeMap::new();
    for (group, indices) in &class.groups {
        let known = memory
            .cuts
            .get(class.name)
            .and_then(|cuts| cuts.get(*group));
        let rule = if given.is_given(group) && !given.is_for_training(group) {
            Rule::Given
        } else if let Some(cut) = known {
            // Even if the class is split by source: the group is from a class that was merged into it.
            Rule::Blocks(cut.clone())
        } else if by_source || given.is_for_training(group) {
            Rule::Whole
        } else if enough {
            // Divided into blocks when it had fewer groups; new ones are not divided.
            Rule::Whole
        } else {
            let mut times: Vec<f64> = indices
                .iter()
                .filter_map(|i| frames.get(*i)?.time_secs)
                .collect();
            times.sort_by(f64::total_cmp);
            match TimeCut::new(&times, class.name, group, memory.settings) {
                Some(cut) => {
                    memory.modes.insert(class.name.clone(), Cut::ByTimeBlock);
                    memory
                        .cuts
                        .entry(class.name.clone())
                        .or_default()
                        .insert((*group).to_owned(), cut.clone());
                    Rule::Blocks(cut)
                }
                None => Rule::TrainOnly,
            }
        };
        rules.insert(*group, rule);
    }
    rules
}

/// A hash that determines the order of groups.
fn group_hash(group: &str, seed: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(group.as_bytes());
    if seed != 0 {
        hasher.update(&seed.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// Decides the sides of a class's whole groups that have none yet: at least one group each for test and validation if
/// there are enough, in the order of their hashes, then more until the percentage of frames is met as closely as
/// possible with whole groups.
fn decide_groups(
    class: &ClassFrames,
    rules: &BTreeMap<&str, Rule>,
    sides: &Sides,
    memory: &mut SplitMemory,
) {
    let mut counts: HashMap<Split, usize> = HashMap::new();
    let mut train_groups = 0;
    let mut free: Vec<Free> = Vec::new();
    let mut sizes: Vec<usize> = Vec::new();
    let mut total = 0;
    for (group, indices) in &class.groups {
        total += indices.len();
        sizes.push(indices.len());
        if !matches!(rules.get(group), Some(Rule::Whole)) {
            let mut trains = false;
            for side in indices.iter().filter_map(|i| *sides.splits.get(*i)?) {
                *counts.entry(side).or_default() += 1;
                trains |= side == Split::Train;
            }
            train_groups += usize::from(trains);
        } else if let Some(side) = memory.groups.get(*group) {
            *counts.entry(*side).or_default() += indices.len();
            train_groups += usize::from(*side == Split::Train);
        } else {
            free.push(Free {
                cut: sides.cut_groups.contains(group),
                hash: group_hash(group, memory.settings.split_seed),
                group,
                size: indices.len(),
                for_training: sides.given.is_for_training(group),
            });
        }
    }
    free.sort_unstable();
    sizes.sort_unstable();
    let median = sizes.get(sizes.len() / 2).copied().unwrap_or(0);

    let settings = memory.settings;
    let wanted: Vec<(Split, usize)> = [
        (Split::Test, settings.testing_percentage),
        (Split::Validation, settings.validation_percentage),
    ]
    .into_iter()
    .filter(|(_, percentage)| *percentage > 0)
    .map(|(side, percentage)| (side, (total * usize::from(percentage)).div_ceil(100)))
    .collect();

    // At least one group each, but not one of the largest, which would leave little for training.
    for (i, (side, target)) in wanted.iter().enumerate() {
        let missing_after = wanted
            .iter()
            .skip(i + 1)
            .filter(|(side, _)| !counts.contains_key(side))
            .count();
        let left = (free.len() + train_groups).saturating_sub(1);
        if counts.contains_key(side) || left < missing_after + 1 {
            continue;
        }
        let limit = (2 * target).max(median + median / 2);
        let may = |of: &Free| *side != Split::Test || !of.for_training;
        let pick = free
            .iter()
            .position(|of| !of.cut && of.size <= limit && may(of))
            .or_else(|| free.iter().position(|of| of.size <= limit && may(of)))
            .or_else(|| free.iter().position(may));
        if let Some(pick) = pick {
            let picked = free.remove(pick);
            memory.groups.insert(picked.group.to_owned(), *side);
            *counts.entry(*side).or_default() += picked.size;
        }
    }
    // More, as long as that comes closer to the percentage.
    for (side, target) in &wanted {
        let mut count = counts.get(side).copied().unwrap_or(0);
        let mut kept = Vec::new();
        let mut groups_left = free.len() + train_groups;
        for of in std::mem::take(&mut free) {
            let closer = (count + of.size).abs_diff(*target) < count.abs_diff(*target);
            let may = *side != Split::Test || !of.for_training;
            if closer && !of.cut && may && groups_left > 1 {
                memory.groups.insert(of.group.to_owned(), *side);
                count += of.size;
                groups_left -= 1;
            } else {
                kept.push(of);
            }
        }
        free = kept;
    }
    for of in free {
        memory.groups.insert(of.group.to_owned(), Split::Train);
    }
}

/// Adds remarks on the split.
fn report(
    classes: &[ClassFrames],
    rules: &[BTreeMap<&str, Rule>],
    settings: SplitSettings,
    result: &mut Assignment,
) {
    let mut single = Vec::new();
    let mut few = Vec::new();
    let mut grown = Vec::new();
    let mut train_only = Vec::new();
    let mut no_test = Vec::new();
    let mut no_validation = Vec::new();
    for (class, rules) in classes.iter().zip(rules) {
        let name = class.name.as_str();
        let blocks = rules.values().any(|r| matches!(r, Rule::Blocks(_)));
        let whole = rules
            .values()
            .any(|r| matches!(r, Rule::Whole | Rule::Given));
        let has = |side| {
            let mut indices = class.groups.values().flatten();
            indices.any(|i| result.splits.get(*i) == Some(&Some(side)))
        };
        if blocks {
            match class.groups.len() {
                1 => single.push(name),
                _ if whole => grown.push(name),
                _ => few.push(name),
            }
        } else if !whole {
            train_only.push(name);
        } else {
            if settings.testing_percentage > 0 && !has(Split::Test) {
                no_test.push(name);
            }
            if settings.validation_percentage > 0 && !has(Split::Validation) {
                no_validation.push(name);
            }
        }
        let cut = if whole && !blocks {
            Cut::BySource
        } else {
            Cut::ByTimeBlock
        };
        result.cuts.push((class.name.clone(), cut));
    }
    let mut note = |names: &[&str], one: &str, many: &str| {
        if !names.is_empty() {
            let text = if names.len() == 1 { one } else { many };
            result.notes.push(format!("{} {text}", list(names)));
        }
    };
    note(
        &single,
        "comes from a single video, which was divided into blocks of time: accuracy on new videos was not measured. Add videos of it to measure that.",
        "come from a single video each, which was divided into blocks of time: accuracy on new videos was not measured. Add videos of them to measure that.",
    );
    note(
        &few,
        "comes from too few videos (three are needed), which were divided into blocks of time: accuracy on new videos was not measured.",
        "come from too few videos (three each are needed), which were divided into blocks of time: accuracy on new videos was not measured.",
    );
    note(
        &grown,
        "was divided into blocks of time when it had fewer videos, and its images stay on their sides. To measure on whole videos, use another split seed.",
        "were divided into blocks of time when they had fewer videos, and their images stay on their sides. To measure on whole videos, use another split seed.",
    );
    note(
        &train_only,
        "has too few distinct images: all of them are used for training, so its accuracy was not measured.",
        "have too few distinct images: all of them are used for training, so their accuracy was not measured.",
    );
    note(
        &no_test,
        "has no test images, because all its sources are on other sides of the split. Add sources of it, or use another split seed.",
        "have no test images, because all their sources are on other sides of the split. Add sources of them, or use another split seed.",
    );
    note(
        &no_validation,
        "has no validation images, because all its sources are on other sides of the split. Add sources of it, or use another split seed.",
        "have no validation images, because all their sources are on other sides of the split. Add sources of them, or use another split seed.",
    );
}

/// A list of names: `“a”`, `“a” and “b”`, `“a”, “b” and “c”`; of many, the first few and the number of the others.
fn list(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let mut quoted: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("“{name}”"))
        .collect();
    if let Some(more @ 1..) = names.len().checked_sub(SHOWN) {
        quoted.push(format!("{more} more classes"));
    }
    let last = quoted.pop().unwrap_or_default();
    if quoted.is_empty() {
        last
    } else {
        format!("{} and {last}", quoted.join(", "))
    }
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
