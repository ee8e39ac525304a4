//! Interprets the folders of a tree: classes, a given split, sessions within a class.
//!
//! The whole tree is read before classes are assigned. Level 0 are the folders directly in the root, level 1 those in
//! them. One level names the classes: the first whose names are not sides of a split (`train`, `val`, `test`), not
//! sessions (`day1`, `2024-05-01`, `100ANDRO`), and not a wrapper around a more specific level.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use crate::project::Split;

/// Deeper folders name no classes.
const LEVELS: usize = 5;

/// A folder with its contents.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The number of images and videos directly in it.
    pub(super) media: usize,
    /// Its folders that contain images or videos at any depth.
    pub(super) folders: Vec<(OsString, Tree)>,
}

/// The meaning of the levels of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// The level whose folders name the classes.
    pub(super) class: Option<usize>,
    /// Whether everything in the root belongs to a class named after the root.
    pub(super) own_name: bool,
    /// The level whose folders are the sides of a split.
    pub(super) side: Option<usize>,
    /// A sentence about what was recognised, unless it is obvious.
    pub(super) note: Option<String>,
}

impl Tree {
    /// Adds a file in `folders`.
    pub(super) fn add(&mut self, folders: &[OsString]) {
        let Some((first, rest)) = folders.split_first() else {
            self.media += 1;
            return;
        };
        let place = self.folders.iter().position(|(name, _)| name == first);
        let place = place.unwrap_or_else(|| {
            self.folders.push((first.clone(), Self::default()));
            self.folders.len() - 1
        });
        if let Some((_, folder)) = self.folders.get_mut(place) {
            folder.add(rest);
        }
    }

    fn all_media(&self) -> usize {
        let below = self.folders.iter().map(|(_, tree)| tree.all_media());
        self.media + below.sum::<usize>()
    }
}

/// The folders of one level of a tree.
struct Level<'a> {
    folders: Vec<(&'a OsStr, &'a Tree)>,
    names: BTreeSet<String>,
}

impl<'a> Level<'a> {
    fn of(folders: Vec<(&'a OsStr, &'a Tree)>) -> Self {
        let names = folders
            .iter()
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect();
        Self { folders, names }
    }

    fn first(tree: &'a Tree) -> Self {
        let folders = tree.folders.iter();
        Self::of(
            folders
                .map(|(name, tree)| (name.as_os_str(), tree))
                .collect(),
        )
    }

    fn next(&self) -> Self {
        let below = self.folders.iter().flat_map(|(_, tree)| &tree.folders);
        Self::of(below.map(|(name, tree)| (name.as_os_str(), tree)).collect())
    }

    /// The number of images and videos directly in these folders.
    fn media(&self) -> usize {
        self.folders.iter().map(|(_, tree)| tree.media).sum()
    }

    fn all(&self, is: impl Fn(&str) -> bool) -> bool {
        !self.names.is_empty() && self.names.iter().all(|name| is(name))
    }

    /// Whether these are the sides of a split, at least two of them.
    fn is_split(&self) -> bool {
        let sides: Vec<Option<Split>> = self.names.iter().map(|name| side_of(name)).collect();
        let distinct = |side| sides.contains(&Some(side));
        let count = [Split::Train, Split::Validation, Split::Test]
            .into_iter()
            .filter(|side| distinct(*side))
            .count();
        count >= 2 && sides.iter().all(Option::is_some)
    }

    /// Whether the names differ only in a number: `x1`, `x2`.
    fn is_series(&self) -> bool {
        let mut stems = self.names.iter().map(|name| split_number(name));
        let Some((first, _)) = stems.next() else {
            return false;
        };
        self.names.len() >= 2 && !first.is_empty() && stems.all(|(stem, _)| stem == first)
    }

    /// Whether a name occurs in two folders of the level above.
    fn repeats(&self) -> bool {
        self.folders.len() > self.names.len()
    }
}

/// The meaning of the levels in a root. `own_name` is the name of the root if it could name a class (a single given
/// folder, not one of several).
pub(super) fn layout(tree: &Tree, own_name: Option<&str>) -> Layout {
    let own_name = own_name.filter(|name| !is_session(name) && !is_general(name));
    let mut found = Layout::default();
    let mut level = Level::first(tree);
    for depth in 0..LEVELS {
        if level.names.is_empty() {
            break;
        }
        let next = level.next();
        let says_more = next.names.len() >= 2 && !next.all(is_session);
        if found.side.is_none() && level.is_split() {
            found.side = Some(depth);
        } else if level.all(is_session) {
            // Sessions of a class that a level above or below names.
        } else if level.names.len() == 1 && level.media() == 0 && says_more && tree.media == 0 {
            // A wrapper.
        } else if level.all(is_general) {
            // General folders such as “images” within one that has a name.
        } else if depth == 0
            && level.names.len() == 1
            && own_name.is_some()
            && tree.media >= tree.all_media() - tree.media
            && tree.media > 0
        {
            // A class folder with some of its files in subfolders.
            break;
        } else if level.is_series()
            && level.media() == 0
            && says_more
            && !next.is_series()
            && next.repeats()
        {
            // `x1/cat`, `x1/dog`, `x2/cat`: sessions with an unknown name.
        } else {
            found.class = Some(depth);
            if found.side.is_none() && next.is_split() {
                found.side = Some(depth + 1);
            }
            found.note = note(&level, &next, depth, found.side);
            break;
        }
        level = next;
    }
    found.own_name = found.class.is_none() && found.side.is_none() && own_name.is_some();
    found
}

/// A sentence about which folders were taken for classes, if others are possible.
fn note(level: &Level, next: &Level, depth: usize, side: Option<usize>) -> Option<String> {
    let classes = quoted(&level.names);
    let mut parts = Vec::new();
    if !next.names.is_empty() && side != Some(depth + 1) {
        parts.push(format!(
            "Classes were named by the upper folders ({classes}), not by those within them ({})",
            quoted(&next.names)
        ));
    } else if depth > usize::from(side.is_some()) {
        parts.push(format!(
            "Classes were named by the folders {classes}, not by those that hold them"
        ));
    }
    (!parts.is_empty()).then(|| parts.join(". ") + ".")
}

/// The first names, and the number of the others.
pub(super) fn quoted(names: &BTreeSet<String>) -> String {
    const SHOWN: usize = 4;
    let mut names_shown: Vec<&str> = names.iter().map(String::as_str).collect();
    names_shown.sort_by(|a, b| crate::project::natural_cmp(a, b));
    let shown = names_shown.iter().take(SHOWN);
    let text = shown
        .map(|name| format!("“{name}”"))
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!("{text} and {more} more"),
        _ => text,
    }
}

/// The side of a split that a folder's name denotes.
pub(super) fn side_of(name: &str) -> Option<Split> {
    match name.to_lowercase().as_str() {
        "train" | "training" | "train_set" | "trainset" | "training_set" => Some(Split::Train),
        "val" | "valid" | "validation" | "validate" | "dev" | "val_set" | "valset"
        | "validation_set" => Some(Split::Validation),
        "test" | "testing" | "test_set" | "testset" => Some(Split::Test),
        _ => None,
    }
}

/// A name without its number, and the number.
fn split_number(name: &str) -> (&str, &str) {
    let open = name.trim_end_matches([')', ']']);
    let stem = open.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = open.get(stem.len()..).unwrap_or_default();
    let stem = stem.trim_end_matches(|c: char| c.is_whitespace() || "-_.#([".contains(c));
    (stem, number)
}

/// Whether a folder of this name is one of several recordings instead of a class: `day1`, `take 3`, `2024-05-01`,
/// `100ANDRO`.
fn is_session(name: &str) -> bool {
    let lower = name.to_lowercase();
    let (stem, number) = split_number(&lower);
    let word = matches!(
        stem,
        "day"
            | "session"
            | "take"
            | "clip"
            | "part"
            | "batch"
            | "cam"
            | "camera"
            | "shoot"
            | "shooting"
            | "set"
            | "run"
            | "seq"
            | "sequence"
            | "scene"
            | "round"
            | "week"
            | "recording"
            | "video"
            | "visit"
            | "trial"
            | "tag"
            | "sitzung"
            | "aufnahme"
    );
    (word && !number.is_empty()) || is_date(&lower) || is_camera_folder(name)
}

/// Whether a name begins with a date: `2024-05-01`, `20240501`, `2024_05_01 garden`.
fn is_date(name: &str) -> bool {
    let name = name.split_whitespace().next().unwrap_or_default();
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    let plain = name
        .chars()
        .all(|c| c.is_ascii_digit() || "-_.".contains(c));
    let year = digits.get(..4).and_then(|year| year.parse::<u32>().ok());
    plain && digits.len() == 8 && year.is_some_and(|year| (1900..2200).contains(&year))
}

/// Whether a name is that of a camera's folder (DCF standard): `100ANDRO`, `101CANON`, `100_PANA`.
fn is_camera_folder(name: &str) -> bool {
    let (number, rest) = name.split_at_checked(3).unwrap_or(("", ""));
    number.len() == 3
        && number.bytes().all(|b| b.is_ascii_digit())
        && (4..=6).contains(&rest.len())
        && rest
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && rest.bytes().any(|b| b.is_ascii_uppercase())
}

/// Whether an empty folder of this name is no class. Its contents give no evidence, so this is stricter than for
/// folders with images.
pub(super) fn is_no_class(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "new", "neu", "nuevo", "nouveau", "old", "alt", "misc", "todo", "backup", "archive",
        "copy", "output", "outputs", "results", "export", "exports",
    ];
    let lower = name.to_lowercase();
    let (stem, _) = split_number(&lower);
    let plain = |name: &str| NAMES.contains(&name) || is_general(name);
    let is_day = lower.starts_with("19") || lower.starts_with("20");
    let digits = lower.bytes().filter(u8::is_ascii_digit).count();
    let is_year_or_month = is_day
        && (digits == 4 || digits == 6)
        && lower
            .chars()
            .all(|c| c.is_ascii_digit() || "-_.".contains(c));
    is_session(name)
        || is_year_or_month
        || plain(&lower)
        || !stem.is_empty() && plain(stem)
        || side_of(name).is_some()
}

/// Whether a folder of this name describes the origin or type of its files, but not what they show.
fn is_general(name: &str) -> bool {
    const NAMES: [&str; 66] = [
        "videos",
        "video",
        "movies",
        "films",
        "clips",
        "downloads",
        "download",
        "dcim",
        "camera",
        "camera roll",
        "pictures",
        "images",
        "image",
        "photos",
        "photo",
        "pics",
        "img",
        "imgs",
        "desktop",
        "documents",
        "tmp",
        "temp",
        "data",
        "dataset",
        "datasets",
        "media",
        "files",
        "home",
        "screenshots",
        "whatsapp images",
        "whatsapp video",
        "new folder",
        "untitled folder",
        "unsorted",
        "jpg",
        "jpeg",
        "png",
        "mp4",
        "raw",
        "import",
        "imports",
        "upload",
        "uploads",
        "frames",
        "train",
        "training",
        "val",
        "valid",
        "validation",
        "test",
        "testing",
        "classes",
        "bilder",
        "fotos",
        "filme",
        "dokumente",
        "schreibtisch",
        "neuer ordner",
        "vídeos",
        "vidéos",
        "imágenes",
        "téléchargements",
        "descargas",
        "immagini",
        "scaricati",
        "imagens",
    ];
    let lower = name.to_lowercase();
    NAMES.contains(&lower.as_str()) || lower.trim().is_empty()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test
mod tests {
    use super::*;

    /// The layout of files with these paths in a root of this name, as `class side`.
    fn classes(root: &str, files: &[&str]) -> Vec<String> {
        let folders_of = |file: &str| -> Vec<OsString> {
            let mut parts: Vec<OsString> = file.split('/').map(OsString::from).collect();
            parts.pop();
            parts
        };
        let mut tree = Tree::default();
        for file in files {
            tree.add(&folders_of(file));
        }
        let layout = layout(&tree, Some(root));
        files
            .iter()
            .map(|file| {
                let folders = folders_of(file);
                let at = |level: Option<usize>| {
                    let folder = folders.get(level?)?;
                    Some(folder.to_str().unwrap().to_owned())
                };
                let class = at(layout.class).or(layout.own_name.then(|| root.to_owned()));
                let class = class.unwrap_or_else(|| "-".to_owned());
                match at(layout.side).and_then(|name| side_of(&name)) {
                    Some(side) => format!("{class} {side:?}"),
                    None => class,
                }
            })
            .collect()
    }

    #[test]
    fn classes_are_named_by_the_level_that_says_what_is_shown() {
        for (root, files, expected) in [
            ("pets", &["cat/1.jpg", "dog/1.jpg"][..], &["cat", "dog"][..]),
            (
                "pets",
                &[
                    "cat/day1/1.jpg",
                    "cat/day2/1.jpg",
                    "dog/day1/1.jpg",
                    "dog/day2/1.jpg",
                ],
                &["cat", "cat", "dog", "dog"],
            ),
            (
                "pets",
                &["day1/cat/1.jpg", "day1/dog/1.jpg", "day2/cat/1.jpg"],
                &["cat", "dog", "cat"],
            ),
            (
                "pets",
                &["x1/cat/1.jpg", "x1/dog/1.jpg", "x2/cat/1.jpg"],
                &["cat", "dog", "cat"],
            ),
            (
                "pets",
                &["cat/indoor/1.jpg", "cat/outdoor/1.jpg", "dog/indoor/1.jpg"],
                &["cat", "cat", "dog"],
            ),
            (
                "archive",
                &["PetImages/Cat/1.jpg", "PetImages/Dog/1.jpg"],
                &["Cat", "Dog"],
            ),
            ("cat", &["day1/1.jpg", "day2/1.jpg"], &["cat", "cat"]),
            ("cat", &["1.jpg", "2.jpg"], &["cat", "cat"]),
            (
                "cat",
                &["1.jpg", "2.jpg", "edited/3.jpg"],
                &["cat", "cat", "cat"],
            ),
            ("Videos", &["1.mp4"], &["-"]),
            (
                "card",
                &["DCIM/100ANDRO/1.mp4", "DCIM/101ANDRO/1.mp4"],
                &["card", "card"],
            ),
            ("DCIM", &["100ANDRO/1.mp4"], &["-"]),
            (
                "pets",
                &["cat/1.jpg", "dog/1.jpg", "2.jpg"],
                &["cat", "dog", "-"],
            ),
            (
                "mnist",
                &["0/1.jpg", "1/1.jpg", "2/1.jpg"],
                &["0", "1", "2"],
            ),
            (
                "cups",
                &["Class 1/1.jpg", "Class 2/1.jpg"],
                &["Class 1", "Class 2"],
            ),
            ("cat", &["images/1.jpg"], &["cat"]),
        ] {
            assert_eq!(classes(root, files), expected, "{root} {files:?}");
        }
    }

    #[test]
    fn a_given_split_is_recognised_on_either_level_and_under_a_wrapper() {
        let expected = ["cat Train", "dog Train", "cat Validation", "dog Test"];
        for files in [
            ["train/cat/1", "train/dog/1", "val/cat/1", "test/dog/1"],
            [
                "Training/cat/1",
                "Training/dog/1",
                "valid/cat/1",
                "Testing/dog/1",
            ],
            [
                "cat/train/1",
                "dog/train/1",
                "cat/validation/1",
                "dog/test/1",
            ],
            [
                "d/train/cat/1",
                "d/train/dog/1",
                "d/val/cat/1",
                "d/test/dog/1",
            ],
            [
                "train/cat/day1/1",
                "train/dog/day1/1",
                "val/cat/day1/1",
                "test/dog/day2/1",
            ],
        ] {
            assert_eq!(classes("pets", &files), expected, "{files:?}");
        }
        // A single side is not a split: a class may have that name.
        assert_eq!(
            classes("p", &["train/1", "car/1", "bus/1"]),
            ["train", "car", "bus"]
        );
        // Sides that contain no classes.
        assert_eq!(
            classes("p", &["train/cat/1", "train/dog/1", "test/1"]),
            ["cat Train", "dog Train", "- Test"]
        );
        assert_eq!(classes("p", &["train/1", "test/1"]), ["- Train", "- Test"]);
    }

    #[test]
    fn sessions_and_general_names() {
        for name in [
            "day1",
            "Day 12",
            "take_3",
            "2024-05-01",
            "20240501",
            "100ANDRO",
            "101CANON",
        ] {
            assert!(is_session(name), "{name}");
        }
        for name in [
            "cat", "day", "1", "12345678", "Class 1", "100", "cat-3", "abcd",
        ] {
            assert!(!is_session(name), "{name}");
        }
        assert!(is_general("Downloads") && is_general("DCIM") && !is_general("cat"));
    }
}
