//! Random trees: every file below the given paths is reported exactly once, and the project holds what the
//! reports say.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const TREES: u64 = 1_000;
/// Trees that are brought into one project, so that later ones meet what earlier ones have left.
const TREES_PER_PROJECT: u64 = 8;

#[test]
fn a_trailing_number_is_no_part_of_the_class() {
    assert_eq!(without_number("cat-3"), "cat");
    assert_eq!(without_number("cat (12)"), "cat");
    assert_eq!(without_number("Fire salamander_007"), "Fire salamander");
    assert_eq!(without_number("cat"), "cat");
    assert_eq!(without_number("dog (big)"), "dog (big)");
    assert_eq!(without_number("2024"), "2024");
}

/// In memory where there is such a file system: thousands of small files and their syncs.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn encoded(color: u8, format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_pixel(2, 2, Rgb([color, 128, 255 - color]));
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A tree of folders and files on disk, and what is known about it.
struct Grown {
    root: PathBuf,
    /// Another folder, which links may lead to.
    outside: PathBuf,
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
    outside_links: Vec<PathBuf>,
    images: Vec<Vec<u8>>,
}

impl Grown {
    fn new(dir: &Path, random: &mut ChaCha8Rng) -> Self {
        let root = dir.join("given");
        let outside = dir.join("outside");
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(&outside).unwrap();
        let mut images: Vec<Vec<u8>> = (0..6)
            .map(|_| encoded(random.random(), ImageFormat::Png))
            .collect();
        images.push(encoded(random.random(), ImageFormat::Jpeg));
        for name in ["far1.png", "far2.txt"] {
            fs::write(outside.join(name), &images[0]).unwrap();
        }
        let mut grown = Self {
            folders: vec![root.clone()],
            root,
            outside,
            files: Vec::new(),
            outside_links: Vec::new(),
            images,
        };
        for _ in 0..random.random_range(0..7) {
            grown.folder(random);
        }
        for _ in 0..random.random_range(0..14) {
            grown.file(random);
        }
        for _ in 0..random.random_range(0..4) {
            grown.link(random);
        }
        grown
    }

    fn free(&self, random: &mut ChaCha8Rng, names: &[&str]) -> Option<PathBuf> {
        let folder = self.folders.choose(random)?;
        let name: OsString = match names.choose(random)? {
            #[cfg(unix)]
            &"not unicode" => {
                use std::os::unix::ffi::OsStringExt;
                OsString::from_vec(vec![
                    b'x',
                    0xFF,
                    random.random_range(1..40) | 0x80,
                    b'.',
                    b'p',
                ])
            }
            name => (*name).into(),
        };
        let path = folder.join(name);
        (!path.exists() && !path.is_symlink()).then_some(path)
    }

    fn folder(&mut self, random: &mut ChaCha8Rng) {
        let names = [
            "cat",
            "dog",
            "Cat",
            "day1",
            "day2",
            "train",
            "val",
            "test",
            "@eaDir",
            "__MACOSX",
            ".hidden",
            ".Trash-1000",
            "$RECYCLE.BIN",
            "images",
            "a.b",
            "CON",
            "not unicode",
            "猫",
        ];
        if let Some(path) = self.free(random, &names) {
            fs::create_dir(&path).unwrap();
            self.folders.push(path);
        }
    }

    fn file(&mut self, random: &mut ChaCha8Rng) {
        let names = [
            "1.png",
            "2.png",
            "3.jpg",
            "img",
            ".hidden.png",
            ".DS_Store",
            "Thumbs.db",
            "._1.png",
            "notes.txt",
            "empty.png",
            "broken.jpg",
            "film.mp4",
            "labels.json",
            "not unicode",
            "hall-3fa9c1d2_12.500000_09ab34cd.jpg",
            "hall-3fa9c1d2_photo_09ab34cd.jpg",
            "a~2.PNG",
        ];
        let Some(path) = self.free(random, &names) else {
            return;
        };
        let image = self.images.choose(random).unwrap().clone();
        let bytes = match random.random_range(0..8) {
            0 => Vec::new(),
            1 => b"just some text\n".to_vec(),
            2 => image[..image.len() / 2].to_vec(),
            _ => image,
        };
        fs::write(&path, bytes).unwrap();
        self.files.push(path);
    }

    #[cfg(not(unix))]
    fn link(&mut self, _random: &mut ChaCha8Rng) {}

    #[cfg(unix)]
    fn link(&mut self, random: &mut ChaCha8Rng) {
        let Some(path) = self.free(random, &["link", "link.png", ".link", "other"]) else {
            return;
        };
        let target = match random.random_range(0..4) {
            0 => "nowhere".into(),
            1 => self.folders.choose(random).unwrap().clone(),
            2 => {
                self.outside_links.push(path.clone());
                self.outside.clone()
            }
            _ => match self.files.choose(random) {
                Some(file) => file.clone(),
                None => "nowhere".into(),
            },
        };
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    /// The paths that are given: the root, perhaps parts of it again.
    fn given(&self, random: &mut ChaCha8Rng) -> Vec<PathBuf> {
        let mut paths = vec![self.root.clone()];
        if random.random_bool(0.2) {
            paths.insert(0, self.folders.choose(random).unwrap().clone());
        }
        if random.random_bool(0.2)
            && let Some(file) = self.files.choose(random)
        {
            paths.insert(random.random_range(0..=paths.len()), file.clone());
        }
        paths
    }

    /// Everything below the root that is no folder, links not followed.
    fn entries(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    found.insert(entry.path());
                }
            }
        }
        found
    }

    /// Each file has one report, and there is no report of anything else.
    fn check(&self, reports: &[FileReport]) {
        let mut expected = self.entries();
        let mut reported = BTreeMap::new();
        for report in reports {
            let before = reported.insert(report.path.clone(), report);
            assert!(before.is_none(), "twice: {report:?}");
        }
        // Of several links to the folder outside, one is followed.
        let followed: Vec<_> = self
            .outside_links
            .iter()
            .filter(|link| reported.contains_key(&link.join("far1.png")))
            .collect();
        assert_eq!(followed.len(), self.outside_links.len().min(1));
        for link in followed {
            assert!(expected.remove(link));
            expected.insert(link.join("far1.png"));
            expected.insert(link.join("far2.txt"));
        }
        let reported: BTreeSet<PathBuf> = reported.into_keys().collect();
        assert_eq!(reported, expected);
    }
}

/// What the reports say is so on disk.
fn check_project(project: &Project, outcome: &ImportOutcome, frames_before: usize) {
    let totals = outcome.totals();
    assert_eq!(
        totals.imported + totals.known + totals.passed_over + totals.failed,
        totals.files
    );
    for report in &outcome.files {
        match &report.fate {
            Fate::Imported { place, class, .. } => {
                let place = place.as_ref().expect("images only");
                let kept = fs::read(project.abs(place)).unwrap();
                // A later file of another class may be the same, but never this place.
                assert_eq!(kept, fs::read(&report.path).unwrap(), "{report:?}");
                let folder = match class {
                    Some(class) => format!("classes/{class}/"),
                    None => "unsorted/".to_owned(),
                };
                assert!(place.starts_with(&folder), "{report:?}");
            }
            Fate::Known(known) => assert!(project.abs(&known.place).exists(), "{report:?}"),
            Fate::PassedOver(_) => {}
            Fate::Failed(sentence) => assert!(!sentence.is_empty()),
        }
    }
    let work = Work::new();
    let frames = project.scan(&work).unwrap();
    assert_eq!(
        frames.list.len(),
        frames_before + totals.imported as usize,
        "{:#?}",
        outcome.files
    );
    // No class without reason, no source without frames.
    for class in &outcome.record.classes {
        let folder = project.label_dir(&Label::Class(class.clone()));
        assert!(folder.is_dir());
    }
    for source in project.sources() {
        let has = frames
            .list
            .iter()
            .any(|f| f.source.as_ref() == Some(&source.id));
        assert!(has, "{source:?}");
    }
}

#[test]
fn every_file_of_a_random_tree_is_reported_exactly_once() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let home = folder();
    let mut fates: BTreeMap<String, u64> = BTreeMap::new();
    let mut project = None;
    for tree in 0..TREES {
        if tree % TREES_PER_PROJECT == 0 {
            let root = home.path().join(format!("p{tree}"));
            project = Some(Project::create(&root, "p").unwrap());
        }
        let project = project.as_ref().unwrap();
        let dir = folder();
        let grown = Grown::new(dir.path(), &mut random);
        let options = ImportOptions {
            class_from: match random.random_range(0..5) {
                0 => ClassFrom::Nothing,
                1 => ClassFrom::File,
                2 => ClassFrom::Chosen(ClassName::new("all").unwrap()),
                _ => ClassFrom::Folder,
            },
            ..ImportOptions::default()
        };
        let work = Work::new();
        let before = project.scan(&work).unwrap().list.len();
        let given = grown.given(&mut random);
        let outcome = import(project, &given, &options, &work)
            .unwrap_or_else(|error| panic!("tree {tree}: {error}"));
        grown.check(&outcome.files);
        check_project(project, &outcome, before);
        for report in &outcome.files {
            let fate = match &report.fate {
                Fate::PassedOver(reason) => reason.code(),
                fate => fate.code(),
            };
            *fates.entry(fate.to_owned()).or_default() += 1;
        }
        // Again: nothing new, and each file that came in is there.
        if tree % 4 == 0 {
            let again = import(project, &given, &options, &work).unwrap();
            grown.check(&again.files);
            let (first, second) = (outcome.totals(), again.totals());
            assert_eq!(second.imported, 0, "{:#?}", again.files);
            assert_eq!(second.known, first.imported + first.known);
            assert!(again.record.is_empty(), "{:?}", again.record);
        }
    }
    // The trees were of every kind.
    for fate in [
        "imported",
        "known",
        "failed",
        "hidden",
        "system_file",
        "drive_thumbnail",
        "deleted",
        "archive_leftover",
        "not_media",
    ] {
        assert!(
            fates.get(fate).is_some_and(|count| *count > 50),
            "{fate}: {fates:?}"
        );
    }
    if cfg!(unix) {
        assert!(fates["folder_twice"] > 50, "{fates:?}");
    }
}
