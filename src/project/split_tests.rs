//! The split: whole groups, permanent, of about the right size, with a remark if that is impossible.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test

use super::*;
use crate::project::{Label, SourceId};

/// Classes with their groups and the groups' numbers of frames.
type Plan<'a> = &'a [(&'a str, &'a [(&'a str, usize)])];

/// Frames at 2 per second; a group that begins with `photo` has no times.
fn frames(plan: Plan) -> (Vec<Frame>, Vec<String>) {
    let (mut frames, mut groups) = (Vec::new(), Vec::new());
    for (class, parts) in plan {
        for (group, count) in *parts {
            for i in 0..*count {
                frames.push(Frame {
                    path: format!("classes/{class}/{group}_{i}.jpg"),
                    label: Label::Class(ClassName::new(class).unwrap()),
                    source: None,
                    time_secs: (!group.starts_with("photo")).then_some(i as f64 / 2.0),
                });
                groups.push((*group).to_owned());
            }
        }
    }
    (frames, groups)
}

/// The side of each frame by path.
fn sides(memory: &mut SplitMemory, plan: Plan) -> BTreeMap<String, Option<Split>> {
    let (frames, groups) = frames(plan);
    let result = assign(
        memory,
        &frames,
        &groups,
        &Given::default(),
        SplitSettings::default(),
    );
    let paths = frames.into_iter().map(|f| f.path);
    paths.zip(result.splits).collect()
}

fn run(plan: Plan, settings: SplitSettings) -> (Assignment, Vec<Frame>, Vec<String>) {
    let (frames, groups) = frames(plan);
    let result = assign(
        &mut SplitMemory::default(),
        &frames,
        &groups,
        &Given::default(),
        settings,
    );
    (result, frames, groups)
}

fn count(result: &Assignment, side: Option<Split>) -> usize {
    result.splits.iter().filter(|s| **s == side).count()
}

const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

#[test]
fn groups_are_never_cut_apart_and_each_class_has_each_side() {
    let names: Vec<String> = (0..40).map(|i| format!("g{i}")).collect();
    for groups_per_class in 3..10 {
        let parts: Vec<Vec<(&str, usize)>> = (0..4)
            .map(|class| {
                (0..groups_per_class)
                    .map(|i| (names[class * 10 + i].as_str(), 10 + (i * 7) % 13))
                    .collect()
            })
            .collect();
        let plan: Vec<(&str, &[(&str, usize)])> = ["a", "b", "c", "d"]
            .into_iter()
            .zip(parts.iter().map(Vec::as_slice))
            .collect();
        let (result, frames, groups) = run(&plan, SplitSettings::default());
        assert!(result.notes.is_empty(), "{:?}", result.notes);
        assert!(result.cuts.iter().all(|(_, cut)| *cut == Cut::BySource));
        let mut of_group: HashMap<&String, Option<Split>> = HashMap::new();
        for (group, side) in groups.iter().zip(&result.splits) {
            assert_eq!(of_group.entry(group).or_insert(*side), side);
        }
        for class in ["a", "b", "c", "d"] {
            for side in ALL {
                let found = frames.iter().zip(&result.splits).any(|(frame, s)| {
                    *s == Some(side) && frame.label.class().unwrap().as_str() == class
                });
                assert!(found, "{class} has no {side:?}");
            }
        }
    }
}

#[test]
fn many_groups_meet_the_percentages() {
    let names: Vec<String> = (0..200).map(|i| format!("group {i}")).collect();
    let parts: Vec<(&str, usize)> = names
        .iter()
        .enumerate()
        .map(|(i, name)| (name.as_str(), 1 + (i * 37) % 50))
        .collect();
    for (validation, testing) in [(10, 10), (20, 5), (0, 30), (40, 40), (1, 1)] {
        let settings = SplitSettings {
            validation_percentage: validation,
            testing_percentage: testing,
            ..SplitSettings::default()
        };
        let (result, frames, _) = run(&[("a", &parts)], settings);
        for (side, percentage) in [(Split::Validation, validation), (Split::Test, testing)] {
            let part = count(&result, Some(side)) as f64 * 100.0 / frames.len() as f64;
            let off = (part - f64::from(percentage)).abs();
            assert!(off < 1.0, "{side:?}: {part} % instead of {percentage} %");
            assert_eq!(count(&result, Some(side)) == 0, percentage == 0);
        }
    }
}

#[test]
fn nothing_moves_when_sources_and_classes_are_added_renamed_or_removed() {
    let first: Plan = &[
        ("a", &[("g1", 20), ("g2", 20), ("g3", 20), ("g4", 9)]),
        ("b", &[("h1", 30), ("h2", 30), ("h3", 30)]),
        ("c", &[("i1", 80)]),
    ];
    let more: Plan = &[
        ("new", &[("k1", 20), ("k2", 20), ("k3", 20)]),
        (
            "a",
            &[
                ("g0", 90),
                ("g1", 25),
                ("g2", 20),
                ("g3", 20),
                ("g4", 9),
                ("g5", 5),
            ],
        ),
        ("b", &[("h1", 30), ("h3", 30)]),
        ("c", &[("i1", 90), ("i2", 60), ("i3", 60), ("i4", 60)]),
    ];
    let mut memory = SplitMemory::default();
    let before = sides(&mut memory, first);
    let after = sides(&mut memory, more);
    let mut compared = 0;
    for (path, side) in &before {
        if let Some(now) = after.get(path) {
            assert_eq!(now, side, "{path}");
            compared += 1;
        }
    }
    assert!(compared > 200);
    assert_eq!(sides(&mut memory, first), before, "and back");

    // Also after saving and loading, and with a class renamed.
    let text = serde_json::to_string(&memory).unwrap();
    let mut memory: SplitMemory = serde_json::from_str(&text).unwrap();
    let (c, d) = (ClassName::new("c").unwrap(), ClassName::new("d").unwrap());
    memory.rename_class(&c, &d);
    let renamed = sides(&mut memory, &[("d", &[("i1", 80)])]);
    for (path, side) in renamed {
        assert_eq!(Some(&side), before.get(&path.replace("/d/", "/c/")));
    }
}

#[test]
fn the_same_groups_get_the_same_sides_in_any_order_and_elsewhere() {
    let one = sides(
        &mut SplitMemory::default(),
        &[
            ("a", &[("g1", 20), ("g2", 20), ("g3", 20), ("g4", 20)]),
            ("b", &[("h", 50)]),
        ],
    );
    let other = sides(
        &mut SplitMemory::default(),
        &[
            ("b", &[("h", 50)]),
            ("a", &[("g4", 20), ("g2", 20), ("g1", 20), ("g3", 20)]),
        ],
    );
    assert_eq!(one, other);
}

#[test]
fn other_percentages_decide_anew() {
    let plan: Plan = &[(
        "a",
        &[("g1", 10), ("g2", 10), ("g3", 10), ("g4", 10), ("g5", 10)],
    )];
    let (frames, groups) = frames(plan);
    let mut memory = SplitMemory::default();
    assign(
        &mut memory,
        &frames,
        &groups,
        &Given::default(),
        SplitSettings::default(),
    );
    let settings = SplitSettings {
        validation_percentage: 0,
        testing_percentage: 60,
        ..SplitSettings::default()
    };
    let result = assign(&mut memory, &frames, &groups, &Given::default(), settings);
    assert_eq!(count(&result, Some(Split::Test)), 30);
    assert_eq!(count(&result, Some(Split::Validation)), 0);
    let nothing = SplitSettings {
        validation_percentage: 0,
        testing_percentage: 0,
        ..SplitSettings::default()
    };
    let result = assign(&mut memory, &frames, &groups, &Given::default(), nothing);
    assert_eq!(count(&result, Some(Split::Train)), 50);
}

#[test]
fn one_video_is_cut_into_blocks_and_the_user_is_told() {
    let (result, _, _) = run(&[("empty", &[("g", 120)])], SplitSettings::default());
    assert_eq!(result.cuts[0].1, Cut::ByTimeBlock);
    assert_eq!(result.notes.len(), 1);
    assert!(result.notes[0].starts_with("“empty” comes from a single video"));
    assert!(result.notes[0].contains("accuracy on new videos was not measured"));
    for side in ALL {
        assert!(count(&result, Some(side)) >= 10);
    }
    assert!(count(&result, None) > 0, "there is a gap");
}

#[test]
fn classes_with_the_same_trouble_share_a_sentence() {
    let (result, _, _) = run(
        &[
            ("a", &[("g", 60)]),
            ("b", &[("g", 60)]),
            ("c", &[("h", 60)]),
            ("d", &[("i", 1)]),
        ],
        SplitSettings::default(),
    );
    assert!(result.notes[0].starts_with("“a”, “b” and “c” come from a single video each"));
    assert!(result.notes[1].starts_with("“d” has too few distinct images"));
    assert_eq!(result.notes.len(), 2);
}

#[test]
fn too_little_is_for_training_only_and_can_grow() {
    let mut memory = SplitMemory::default();
    for plan in [
        &[("a", &[("g", 1)][..])][..],
        &[("a", &[("photo1", 400), ("photo2", 1)])],
        &[("a", &[("g", 3), ("h", 2)])],
    ] {
        let sides = sides(&mut memory, plan);
        assert!(sides.values().all(|side| *side == Some(Split::Train)));
    }
    let grown = sides(&mut memory, &[("a", &[("g", 40)])]);
    assert!(grown.values().any(|side| *side == Some(Split::Test)));
}

#[test]
fn a_group_of_two_classes_is_on_one_side() {
    let plan: Plan = &[
        ("a", &[("g1", 10), ("g2", 10), ("g3", 10), ("g4", 10)]),
        ("b", &[("g1", 10), ("g2", 10), ("g3", 10), ("g5", 10)]),
    ];
    let (result, _, groups) = run(plan, SplitSettings::default());
    let mut of_group: HashMap<&String, Option<Split>> = HashMap::new();
    for (group, side) in groups.iter().zip(&result.splits) {
        assert_eq!(of_group.entry(group).or_insert(*side), side);
    }
}

#[test]
fn a_video_that_is_cut_for_one_class_is_no_test_video_of_another() {
    for shared in ["g1", "g2", "g3", "g4", "g5"] {
        let plan: Plan = &[
            (
                "a",
                &[("g1", 10), ("g2", 10), ("g3", 10), ("g4", 10), ("g5", 10)],
            ),
            ("b", &[(shared, 60)]),
        ];
        let sides = sides(&mut SplitMemory::default(), plan);
        let path = format!("classes/a/{shared}_0.jpg");
        assert_eq!(sides[&path], Some(Split::Train));
    }
}

#[test]
fn the_largest_video_is_not_given_away() {
    for names in [
        ["x", "y", "z", "w"],
        ["p", "q", "r", "s"],
        ["1", "2", "3", "4"],
    ] {
        let parts = [
            (names[0], 1000),
            (names[1], 40),
            (names[2], 40),
            (names[3], 40),
        ];
        let (result, _, _) = run(&[("a", &parts)], SplitSettings::default());
        assert!(count(&result, Some(Split::Train)) >= 1000);
    }
}

#[test]
fn unsorted_frames_take_no_part() {
    let (mut frames, groups) = frames(&[("a", &[("g1", 5), ("g2", 5), ("g3", 5)])]);
    frames[0].label = Label::Unsorted;
    let result = assign(
        &mut SplitMemory::default(),
        &frames,
        &groups,
        &Given::default(),
        SplitSettings::default(),
    );
    assert_eq!(result.splits[0], None);
    assert_eq!(count(&result, None), 1);
    let none = assign(
        &mut SplitMemory::default(),
        &[],
        &[],
        &Given::default(),
        SplitSettings::default(),
    );
    assert!(none.splits.is_empty() && none.notes.is_empty());
}

#[test]
fn another_seed_is_another_split_of_the_same_size() {
    let names: Vec<String> = (0..60).map(|number| format!("g{number}")).collect();
    let groups: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let (frames, groups) = frames(&[("a", &groups)]);
    let split = |seed: u64| {
        let settings = SplitSettings {
            testing_percentage: 20,
            split_seed: seed,
            ..SplitSettings::default()
        };
        let result = assign(
            &mut SplitMemory::default(),
            &frames,
            &groups,
            &Given::default(),
            settings,
        );
        assert_eq!(count(&result, Some(Split::Test)), 12);
        result.splits
    };
    assert_eq!(split(3), split(3));
    assert_ne!(split(0), split(3));
    assert_ne!(split(3), split(4));
}

/// The decisions on two classes before a merger: frames keep their sides, and undoing restores them exactly.
#[test]
fn a_merger_moves_no_frame_to_another_side() {
    let many: &[(&str, usize)] = &[("g1", 20), ("g2", 20), ("g3", 20), ("g4", 20)];
    let one: &[(&str, usize)] = &[("film", 60)];
    for (from, into) in [(one, many), (many, one)] {
        let name = |text: &str| ClassName::new(text).unwrap();
        let mut memory = SplitMemory::default();
        let apart = sides(&mut memory, &[("from", from), ("into", into)]);
        let before = memory.clone();
        let merged = memory.merge_class(&name("from"), &name("into"));
        let both: Vec<(&str, usize)> = [from, into].concat();
        let together = sides(&mut memory, &[("into", both.as_slice())]);
        for (path, side) in &apart {
            let path = path.replace("/from/", "/into/");
            assert_eq!(together.get(&path), Some(side), "{path}");
        }
        memory.part_classes(&name("from"), &name("into"), &merged);
        assert_eq!(memory, before);
    }
}

#[test]
fn a_film_that_was_cut_for_both_classes_keeps_the_blocks_of_the_one_that_stays() {
    let name = |text: &str| ClassName::new(text).unwrap();
    let film: &[(&str, usize)] = &[("film", 60)];
    let mut memory = SplitMemory::default();
    let apart = sides(&mut memory, &[("from", film), ("into", film)]);
    let before = memory.clone();
    let merged = memory.merge_class(&name("from"), &name("into"));
    let together = sides(&mut memory, &[("into", film)]);
    for (path, side) in &together {
        assert_eq!(apart.get(path), Some(side), "{path}");
    }
    memory.part_classes(&name("from"), &name("into"), &merged);
    assert_eq!(memory, before);
}

/// Frames of one class by source, with the side that the source was given with, and their number; photos are groups of
/// their own.
fn given_frames(
    plan: &[(&str, &str, Option<Split>, usize)],
) -> (Vec<Frame>, Vec<String>, HashMap<SourceId, Split>) {
    let (mut frames, mut groups, mut sides) = (Vec::new(), Vec::new(), HashMap::new());
    for (class, name, side, count) in plan {
        let source = SourceId::of_batch(name);
        if let Some(side) = side {
            sides.insert(source.clone(), *side);
        }
        for i in 0..*count {
            let path = format!("classes/{class}/{name}_{i}.jpg");
            groups.push(path.clone());
            frames.push(Frame {
                path,
                label: Label::Class(ClassName::new(class).unwrap()),
                source: Some(source.clone()),
                time_secs: None,
            });
        }
    }
    (frames, groups, sides)
}

#[test]
fn a_given_split_is_kept_whatever_the_percentages() {
    use Split::{Test, Train, Validation};
    let (frames, groups, sides) = given_frames(&[
        ("cat", "train cats", Some(Train), 30),
        ("cat", "val cats", Some(Validation), 7),
        ("cat", "test cats", Some(Test), 40),
        ("dog", "train dogs", Some(Train), 5),
        ("dog", "test dogs", Some(Test), 3),
    ]);
    for (validation_percentage, testing_percentage) in [(10, 10), (0, 0), (40, 10), (0, 30)] {
        let settings = SplitSettings {
            validation_percentage,
            testing_percentage,
            ..SplitSettings::default()
        };
        let given = Given::of(&frames, &groups, &sides, settings);
        let mut memory = SplitMemory::default();
        let result = assign(&mut memory, &frames, &groups, &given, settings);
        for (frame, side) in frames.iter().zip(&result.splits) {
            let wanted = sides[frame.source.as_ref().unwrap()];
            assert_eq!(*side, Some(wanted), "{} {settings:?}", frame.path);
        }
        assert!(
            result.notes[0].starts_with("85 images stay"),
            "{:?}",
            result.notes
        );
    }
}

#[test]
fn without_given_validation_some_training_is_taken_and_the_test_stays_whole() {
    use Split::{Test, Train, Validation};
    let (frames, groups, sides) = given_frames(&[
        ("cat", "train cats", Some(Train), 40),
        ("cat", "test cats", Some(Test), 2),
        ("cat", "later cats", None, 10),
    ]);
    let settings = SplitSettings::default();
    let given = Given::of(&frames, &groups, &sides, settings);
    let mut memory = SplitMemory::default();
    let result = assign(&mut memory, &frames, &groups, &given, settings);
    let mut validation = 0;
    for (frame, side) in frames.iter().zip(&result.splits) {
        let source = frame.source.as_ref().unwrap();
        match sides.get(source) {
            Some(Test) => assert_eq!(*side, Some(Test), "{}", frame.path),
            Some(_) => assert_ne!(*side, Some(Test), "{}", frame.path),
            None => {}
        }
        validation += usize::from(*side == Some(Validation));
    }
    assert!((4..=7).contains(&validation), "{validation}");
    assert!(
        result
            .notes
            .iter()
            .any(|note| note.contains("define no validation images"))
    );
    // Decided once, the result stays the same.
    let again = assign(&mut memory, &frames, &groups, &given, settings);
    assert_eq!(again.splits, result.splits);
}

#[test]
fn copies_on_two_sides_of_a_given_split_are_said() {
    use Split::{Test, Train, Validation};
    let (mut frames, mut groups, sides) = given_frames(&[
        ("cat", "train cats", Some(Train), 10),
        ("cat", "val cats", Some(Validation), 4),
        ("cat", "test cats", Some(Test), 4),
        ("cat", "later cats", None, 1),
    ]);
    // A test image, a training image and a later one are equal.
    for index in [14, 18] {
        groups[index] = groups[0].clone();
    }
    let settings = SplitSettings::default();
    let run = |frames: &[Frame], groups: &[String]| {
        let given = Given::of(frames, groups, &sides, settings);
        assign(
            &mut SplitMemory::default(),
            frames,
            groups,
            &given,
            settings,
        )
    };
    let result = run(&frames, &groups);
    assert_eq!(result.splits[0], Some(Train));
    assert_eq!(result.splits[14], Some(Test));
    assert_eq!(result.splits[18], Some(Train), "it follows the group");
    let message = result.notes.iter().find(|note| note.contains("two sides"));
    assert!(
        message.unwrap().contains("test cats_0.jpg"),
        "{:?}",
        result.notes
    );
    frames.remove(14);
    groups.remove(14);
    let result = run(&frames, &groups);
    assert!(result.notes.iter().all(|note| !note.contains("two sides")));
}
