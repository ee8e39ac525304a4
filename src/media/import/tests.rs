//! Imports random trees: every file in the given paths is reported exactly once, and the project contains what the
//! reports state.
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
/// Trees imported into one project, so that later ones meet the files of earlier ones.
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

/// In memory, if there is such a file system: thousands of small files are synced.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn encoded(color: u8, format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_pixel(2, 2, Rgb([color, 128, 255 - color]));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A tree of folders and files on disk, with its expected properties.
struct Grown {
    root: PathBuf,
    /// Another folder, the target of links.
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

    /// The paths to import: the root, perhaps parts of it again.
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

    /// Everything in the root that is no folder, without following links.
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

    /// Each file has one report, and there are no other reports.
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

/// The reports match the files on disk.
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
                // An equal file of another class may come later, but never to this place.
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
    // There is no class without a reason, and no source without frames.
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
        // Importing again adds nothing, and each imported file is known.
        if tree % 4 == 0 {
            let again = import(project, &given, &options, &work).unwrap();
            grown.check(&again.files);
            let (first, second) = (outcome.totals(), again.totals());
            assert_eq!(second.imported, 0, "{:#?}", again.files);
            assert_eq!(second.known, first.imported + first.known);
            assert!(again.record.is_empty(), "{:?}", again.record);
        }
    }
    // All kinds of results occurred.
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

/// Classes, sources and frames of a project.
fn state(project: &Project) -> (Vec<String>, Vec<Source>, Vec<String>) {
    let frames = project.scan(&Work::new()).unwrap().list.into_iter();
    let classes = project.classes().into_iter();
    (
        classes.map(|class| class.name.to_string()).collect(),
        project.sources(),
        frames.map(|frame| frame.path).collect(),
    )
}

/// A project with two images of its own, an import over it with conflicts that are moved, and its change.
fn imported(dir: &Path) -> (Project, ImportRecord) {
    let project = Project::create(&dir.join("p"), "p").unwrap();
    let given = dir.join("given");
    for (class, color) in [("cat", 1), ("cat", 2), ("dog", 3), ("bird", 4)] {
        fs::create_dir_all(given.join(class)).unwrap();
        let image = encoded(color, ImageFormat::Png);
        fs::write(given.join(class).join(format!("{color}.png")), image).unwrap();
    }
    fs::create_dir_all(given.join("empty")).unwrap();
    let first = dir.join("first");
    fs::create_dir_all(&first).unwrap();
    fs::write(first.join("1.png"), encoded(1, ImageFormat::Png)).unwrap();
    fs::write(first.join("9.png"), encoded(9, ImageFormat::Png)).unwrap();
    let fox = ClassFrom::Chosen(ClassName::new("fox").unwrap());
    let mut options = ImportOptions {
        class_from: fox,
        ..ImportOptions::default()
    };
    import(&project, &[first], &options, &Work::new()).unwrap();
    options.class_from = ClassFrom::Folder;
    options.on_conflict = OnConflict::Move;
    let outcome = import(&project, &[given], &options, &Work::new()).unwrap();
    assert_eq!(outcome.totals().imported, 3);
    assert_eq!(outcome.record.moved.len(), 1);
    (project, outcome.record)
}

fn before_import(dir: &Path) -> (Vec<String>, usize, usize) {
    let (project, _) = imported(dir);
    let (classes, sources, frames) = state(&project);
    assert_eq!(classes, ["fox", "bird", "cat", "dog", "empty"]);
    assert_eq!((sources.len(), frames.len()), (4, 5));
    (vec!["fox".to_owned()], 1, 2)
}

#[test]
fn an_import_is_taken_back_and_done_again() {
    use crate::project::{Change, History, Noun};
    let dir = folder();
    let (classes, sources, frames) = before_import(&dir.path().join("a"));
    let (project, record) = imported(dir.path());
    let after = state(&project);
    let mut history = History::default();
    let work = Work::new();
    let change = Change::Import {
        record: Box::new(record),
        files: 3,
        predictions: 0,
        undone: None,
    };
    history.apply(&project, change, &work).unwrap();
    let text = history.undo_step().map(|step| step.text.with(Noun::Frame));
    assert_eq!(text.as_deref(), Some("import 3 files"));
    let mut undone = None;
    for _ in 0..2 {
        history.undo(&project, &work).unwrap().unwrap();
        let now = state(&project);
        assert_eq!(
            (now.0.clone(), now.1.len(), now.2.len()),
            (classes.clone(), sources, frames)
        );
        assert!(now.2.iter().all(|path| path.starts_with("classes/fox/")));
        assert_eq!(project.scan_trash(&work).unwrap().list.len(), 3);
        assert_eq!(*undone.get_or_insert_with(|| now.clone()), now);
        history.redo(&project, &work).unwrap().unwrap();
        assert_eq!(state(&project), after);
        assert_eq!(project.scan_trash(&work).unwrap().list, []);
    }
    assert_eq!(work.take_warnings(), Vec::<String>::new());
}

#[test]
fn taking_an_import_back_is_finished_after_a_kill() {
    let dir = folder();
    let (project, record) = imported(dir.path());
    let root = project.root().to_owned();
    // Killed after the first frame was removed.
    let frames = project.scan(&Work::new()).unwrap().list;
    let of_import = frames
        .iter()
        .find(|frame| {
            frame
                .source
                .as_ref()
                .is_some_and(|s| record.sources.contains(s))
        })
        .unwrap();
    project
        .trash(std::slice::from_ref(&of_import.path), &Work::new())
        .unwrap();
    drop(project);
    let path = root.join("project.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json["pending"] = serde_json::json!({ "take_back_import": record });
    fs::write(&path, serde_json::to_vec(&json).unwrap()).unwrap();
    let project = Project::open(&root).unwrap();
    let (classes, sources, frames) = state(&project);
    assert_eq!((sources.len(), frames.len()), (1, 2));
    assert_eq!(classes, ["fox"]);
    assert_eq!(project.scan_trash(&Work::new()).unwrap().list.len(), 3);
    drop(project);
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(json.get("pending"), None);
}

#[test]
fn videos_that_are_only_added_are_forgotten_with_the_frames_they_gave_since() {
    use crate::project::{Change, History};
    let dir = folder();
    let project = Project::create(&dir.path().join("p"), "p").unwrap();
    let film = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sample/cat/cat-1.mp4");
    let mut options = ImportOptions {
        class_from: ClassFrom::Chosen(ClassName::new("cat").unwrap()),
        videos: Videos::AddOnly,
        ..ImportOptions::default()
    };
    options.sampling.width_px = Some(32);
    let work = Work::new();
    let outcome = import(&project, std::slice::from_ref(&film), &options, &work).unwrap();
    let totals = outcome.totals();
    assert_eq!((totals.videos, totals.frames), (1, 0));
    let id = outcome.record.sources[0].clone();
    let mut history = History::default();
    let change = Change::Import {
        record: Box::new(outcome.record),
        files: 1,
        predictions: 0,
        undone: None,
    };
    history.apply(&project, change, &work).unwrap();
    let written = crate::media::extract(&project, &id, &work).unwrap();
    assert!(written > 0);
    let after = state(&project);
    history.undo(&project, &work).unwrap().unwrap();
    assert_eq!(state(&project), (Vec::new(), Vec::new(), Vec::new()));
    // An extraction that was waiting ends without an error.
    let late = crate::media::extract(&project, &id, &work);
    assert!(matches!(late, Err(MediaError::Cancelled(_))), "{late:?}");
    history.redo(&project, &work).unwrap().unwrap();
    assert_eq!(state(&project), after);
}
