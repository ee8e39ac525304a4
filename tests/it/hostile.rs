//! Projects from strangers: whatever links they have, no command and no window changes anything outside the project,
//! or reads there without asking.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use salamander::app::Action;
use serde_json::{Value, json};

use crate::cli_program::{Place, copy_dir};
use crate::window::Desk;

/// The commands for every hostile project; each may fail, with a sentence.
const LINES: [&str; 11] = [
    "classes p add bird",
    "classes p remove fractal",
    "label p unsorted p/classes/bars",
    "import p more --class-from folder --fps 1 --width 64",
    "train p --depth head --how-many-training-steps 5 --architecture efficientnet-lite0@96 --testing-percentage 25",
    "evaluate p --leak",
    "report p --out report.html",
    "embedding p",
    "export p --format onnx",
    "trash p --empty",
    "classes p --follow-links",
];

/// The commands for fewer of them, because they take longer.
const MORE_LINES: [&str; 8] = [
    "sweep p --depths head --architectures efficientnet-lite0@96 --set how-many-training-steps=2,3 --testing-percentage 25",
    "sweeps p --remove latest",
    "heat p more --fps 1 --out new/heat",
    "features p --architecture efficientnet-lite0@96 --out new/features.npy",
    "architectures add p network.onnx --name network",
    "architectures remove p network",
    "retrain --image_dir p/classes --bottleneck_dir new/work --architecture efficientnet-lite0@96 --how_many_training_steps 3 --output_graph new/graph.pb --output_labels new/labels.txt --summaries_dir new/logs",
    "train p --resume latest --how-many-training-steps 22",
];

/// The command that continues making a model.
const MAKE: &str =
    "make videos --out made --architecture efficientnet-lite0@96 --depth head --format onnx";

#[test]
fn without_links_every_command_does_its_work() {
    let place = Place::new();
    whole_project(&place);
    for line in LINES {
        place.line(line).ended_with(&[0], line);
    }
}

/// A project with something of everything that Salamander makes.
pub fn whole_project(place: &Place) {
    place.project();
    place.video(
        "more/bars/more.mp4",
        "smptebars=size=160x120:rate=10,hue=h=90,trim=duration=2",
    );
    for line in [
        "train p --depth head --how-many-training-steps 20 --architecture efficientnet-lite0@96 --testing-percentage 25",
        "evaluate p",
        "embedding p",
        "export p --format onnx",
    ] {
        place.line(line).ended_with(&[0], line);
    }
    for (name, text) in [
        ("trash/classes/bars/gone.jpg", "trashed"),
        ("unsorted/some.jpg", "unsorted"),
    ] {
        let path = place.path("p").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Everything below a folder: contents, and the modification times of folders too.
fn state(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, i64, i64)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let facts = std::fs::symlink_metadata(&path).unwrap();
        if facts.is_dir() {
            found.extend(state(&path));
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        found.insert(path, (bytes, facts.mtime(), facts.mtime_nsec()));
    }
    found
}

/// All folders of a project, relative to it, its own first; for classes only one.
fn folders(root: &Path) -> Vec<PathBuf> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<PathBuf>) {
        found.push(dir.strip_prefix(root).unwrap().to_owned());
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let is_another = ["fractal", "moving"]
                .iter()
                .any(|name| entry.file_name() == *name);
            if entry.file_type().unwrap().is_dir() && !is_another {
                walk(&entry.path(), root, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(root, root, &mut found);
    found.sort();
    found
}

/// A hostile project at `p`, made from `good`, and what must not change at `outside`.
pub struct Hostile<'a> {
    place: &'a Place,
    name: String,
    before: BTreeMap<PathBuf, (Vec<u8>, i64, i64)>,
}

impl<'a> Hostile<'a> {
    pub fn make(place: &'a Place, name: &str, plant: impl FnOnce(&Path, &Path)) -> Self {
        let (root, outside) = (place.path("p"), place.path("outside"));
        for old in [&root, &outside] {
            if old.exists() {
                std::fs::remove_dir_all(old).unwrap();
            }
        }
        copy_dir(&place.path("good"), &root);
        std::fs::create_dir(&outside).unwrap();
        plant(&root, &outside);
        Self {
            place,
            name: name.to_owned(),
            before: state(&outside),
        }
    }

    pub fn nothing_changed(&self, after: &str) {
        let now = state(&self.place.path("outside"));
        let changed: Vec<&PathBuf> = self
            .before
            .keys()
            .chain(now.keys())
            .filter(|path| self.before.get(*path) != now.get(*path))
            .collect();
        assert!(changed.is_empty(), "{}, {after}: {changed:?}", self.name);
    }

    /// Runs a line, which must end with one of `codes` and change nothing outside.
    pub fn does(&self, line: &str, codes: &[i32]) {
        let what = format!("{}, {line}", self.name);
        self.place.line(line).ended_with(codes, what);
        self.nothing_changed(line);
    }

    fn every_command(&self) {
        for line in LINES {
            self.does(line, &[0, 1]);
        }
    }

    /// The commands that take longer, each of which may end with one of `codes`.
    fn more_commands(&self, codes: &[i32]) {
        let new = self.place.path("new");
        for line in MORE_LINES {
            if new.exists() {
                std::fs::remove_dir_all(&new).unwrap();
            }
            std::fs::create_dir(&new).unwrap();
            self.does(line, codes);
        }
        self.serve(codes);
        self.made(codes);
    }

    /// Serves its last run until there is an address, or a failure.
    fn serve(&self, codes: &[i32]) {
        let line = ["serve", "p", "--interface", "127.0.0.1"];
        let mut command = self.place.command(&line);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut message = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut message).unwrap();
        child.kill().unwrap();
        let status = child.wait().unwrap();
        let is_served = message.starts_with("http://127.0.0.1:");
        assert!(
            is_served || status.code().is_some_and(|code| codes.contains(&code)),
            "{}: {status}: {message}",
            self.name
        );
        self.nothing_changed("serve");
    }

    /// Continues making a model with it.
    fn made(&self, codes: &[i32]) {
        let made = self.place.path("made");
        std::fs::create_dir_all(&made).unwrap();
        std::fs::write(made.join("make.json"), "{}").unwrap();
        std::fs::rename(self.place.path("p"), made.join("project")).unwrap();
        self.does(MAKE, codes);
        std::fs::rename(made.join("project"), self.place.path("p")).unwrap();
        std::fs::remove_dir_all(made).unwrap();
    }

    /// Opens it in a window, and lets the window do what it does by itself.
    fn in_the_window(&self) {
        let mut desk = Desk::new(&self.place.path("config"), [1000.0, 700.0]);
        desk.act(Action::OpenProject(self.place.path("p")));
        desk.rest();
        self.nothing_changed("the window");
    }
}

/// Replaces something by a link to a copy of it outside.
pub fn move_out(root: &Path, outside: &Path, name: &Path) {
    let (own, theirs) = (
        root.join(name),
        outside.join(name.to_str().unwrap().replace('/', "_")),
    );
    if own.is_dir() {
        copy_dir(&own, &theirs);
        // A file that opening a project deletes in its own folders.
        std::fs::write(theirs.join(".salamander-0123456789ab.part"), "theirs").unwrap();
        std::fs::write(theirs.join(".tmpAbCd12.part"), "theirs").unwrap();
        std::fs::remove_dir_all(&own).unwrap();
    } else if own.exists() {
        std::fs::rename(&own, &theirs).unwrap();
    } else {
        std::fs::write(&theirs, "theirs").unwrap();
        std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    }
    symlink(theirs, own).unwrap();
}

#[test]
fn with_a_link_in_the_place_of_any_folder_or_of_all_files_in_it() {
    let place = Place::new();
    whole_project(&place);
    std::fs::rename(place.path("p"), place.path("good")).unwrap();
    let all = folders(&place.path("good"));
    for name in [
        "cache",
        "runs",
        "exports",
        "classes/bars",
        "trash/classes",
        "unsorted",
    ] {
        assert!(
            all.iter().any(|folder| folder == Path::new(name)),
            "{name}: {all:?}"
        );
    }
    for folder in &all {
        if folder.as_os_str().is_empty() {
            continue;
        }
        let name = format!("“{}” is a link", folder.display());
        let hostile = Hostile::make(&place, &name, |root, outside| {
            move_out(root, outside, folder);
        });
        hostile.every_command();
        hostile.in_the_window();
    }
    for folder in &all {
        let name = format!("the files of “{}” are links", folder.display());
        let hostile = Hostile::make(&place, &name, |root, outside| {
            let entries: Vec<_> = std::fs::read_dir(root.join(folder))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            for entry in entries {
                // Without this file there is no project.
                if entry.file_type().unwrap().is_file() && entry.file_name() != "project.json" {
                    move_out(root, outside, &folder.join(entry.file_name()));
                }
            }
        });
        hostile.every_command();
        hostile.in_the_window();
    }
}

/// The only run of a project, relative to it.
fn run_of(root: &Path) -> PathBuf {
    let mut runs = std::fs::read_dir(root.join("runs")).unwrap();
    let run = runs.next().unwrap().unwrap().file_name();
    Path::new("runs").join(run)
}

/// A whole project, and the network of its run as a file beside it.
fn project_and_network(place: &Place) {
    whole_project(place);
    place
        .line("export p --format onnx --out e")
        .ended_with(&[0], "export");
    std::fs::rename(place.path("e/model.onnx"), place.path("network.onnx")).unwrap();
}

#[test]
fn with_links_and_commands_that_take_longer() {
    let place = Place::new();
    project_and_network(&place);
    for folder in ["sweeps", "architectures"] {
        std::fs::create_dir_all(place.path("p").join(folder)).unwrap();
    }
    std::fs::rename(place.path("p"), place.path("good")).unwrap();
    let run = run_of(&place.path("good"));
    let folders = [
        Path::new("sweeps"),
        Path::new("architectures"),
        Path::new("classes/bars"),
        Path::new("cache/bottlenecks"),
        &run,
    ];
    for folder in folders {
        let name = format!("“{}” is a link", folder.display());
        let hostile = Hostile::make(&place, &name, |root, outside| {
            move_out(root, outside, folder);
        });
        hostile.more_commands(&[0, 1]);
    }
    let hostile = Hostile::make(
        &place,
        "files of the cache and the run are links",
        |root, outside| {
            for folder in [Path::new("cache/bottlenecks"), &run] {
                for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                    let entry = entry.unwrap();
                    if entry.file_type().unwrap().is_file() {
                        move_out(root, outside, &folder.join(entry.file_name()));
                    }
                }
            }
        },
    );
    hostile.more_commands(&[0, 1]);
}

/// Gives each file of a project a hard link outside.
fn link_all(own: &Path, theirs: &Path) {
    std::fs::create_dir_all(theirs).unwrap();
    for entry in std::fs::read_dir(own).unwrap() {
        let entry = entry.unwrap();
        let theirs = theirs.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            link_all(&entry.path(), &theirs);
        } else {
            std::fs::hard_link(entry.path(), theirs).unwrap();
        }
    }
}

/// Like a copy by `cp -al`, or an archive that was unpacked among other files.
#[test]
fn with_files_that_have_a_second_name_outside() {
    let place = Place::new();
    project_and_network(&place);
    std::fs::rename(place.path("p"), place.path("good")).unwrap();
    let hostile = Hostile::make(&place, "hard links", |root, outside| {
        // A file that is written in place is longer than its known content: the next writer truncates it.
        for kind in ["keys", "rows"] {
            for entry in std::fs::read_dir(root.join("cache/bottlenecks")).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == kind) {
                    let mut bytes = std::fs::read(&path).unwrap();
                    bytes.extend([7; 30]);
                    std::fs::write(path, bytes).unwrap();
                }
            }
        }
        link_all(root, &outside.join("theirs"));
    });
    for line in LINES {
        hostile.does(line, &[0]);
    }
    hostile.in_the_window();
    let hostile = Hostile::make(&place, "hard links", |root, outside| {
        link_all(root, &outside.join("theirs"));
    });
    hostile.more_commands(&[0]);
}

#[test]
fn with_names_that_some_systems_take_for_the_same() {
    let place = Place::new();
    whole_project(&place);
    let root = place.path("p");
    // In another case: on a case-sensitive disk, these folders do not belong to the project.
    let strangers = ["Classes", "CACHE", "Runs", "Unsorted", "TRASH"];
    if root.join("Classes").exists() {
        eprintln!("SKIPPED: this disk knows no cases");
        return;
    }
    for name in strangers {
        copy_dir(&root.join("classes/bars"), &root.join(name).join("theirs"));
    }
    // Two spellings of é, and a class in another case.
    let left_out = ["classes/Bars", "classes/cafe\u{301}"];
    for name in ["classes/caf\u{e9}", left_out[0], left_out[1]] {
        copy_dir(&root.join("classes/moving"), &root.join(name));
    }
    let others: Vec<PathBuf> = strangers
        .iter()
        .chain(&left_out)
        .map(|name| root.join(name))
        .collect();
    let before: Vec<_> = others.iter().map(|path| state(path)).collect();
    let ran = place.line("classes p");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let message: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| line.contains("was left out"))
        .collect();
    assert_eq!(message.len(), 2, "{}", ran.stderr);
    for name in ["classes/Bars", "classes/bars", "Rename it"] {
        assert!(
            message.iter().any(|line| line.contains(name)),
            "{message:?}"
        );
    }
    let listed = place.result("classes p");
    let classes = listed["classes"].as_array().unwrap();
    let names: Vec<&str> = classes
        .iter()
        .map(|class| class["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(
        names.contains(&"bars") && !names.contains(&"Bars"),
        "{names:?}"
    );
    for line in LINES {
        place.line(line).ended_with(&[0], line);
        let now: Vec<_> = others.iter().map(|path| state(path)).collect();
        assert!(now == before, "{line}");
    }
}

#[test]
fn with_a_link_under_a_predictable_name() {
    let place = Place::new();
    whole_project(&place);
    std::fs::rename(place.path("p"), place.path("good")).unwrap();
    let frame = std::fs::read_dir(place.path("good/classes/bars"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .min()
        .unwrap();
    for name in [
        ".lock".to_owned(),
        "project.json".to_owned(),
        "project.json.bak".to_owned(),
        "project.json.damaged".to_owned(),
        ".project-123.part".to_owned(),
        format!("classes/bars/{frame}.part"),
        "classes/bird".to_owned(),
        "sweeps".to_owned(),
        "architectures".to_owned(),
        "trash/removed".to_owned(),
        "cache/thumbs".to_owned(),
        "cache/activations".to_owned(),
        "runs/.salamander-0123456789ab.part".to_owned(),
    ] {
        let label = format!("“{name}” is a link");
        let hostile = Hostile::make(&place, &label, |root, outside| {
            move_out(root, outside, Path::new(&name));
        });
        hostile.every_command();
        hostile.in_the_window();
    }
}

/// Changes `project.json`.
fn document(root: &Path, change: impl FnOnce(&mut Value)) {
    let path = root.join("project.json");
    let mut value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

#[test]
fn with_a_change_that_has_begun() {
    let place = Place::new();
    whole_project(&place);
    std::fs::rename(place.path("p"), place.path("good")).unwrap();
    let out = place.path("outside/theirs");
    let names = ["bars", "../outside/theirs", "/", out.to_str().unwrap()];
    let mut pending = Vec::new();
    for name in names {
        pending.push(json!({"remove_class": name}));
        pending.push(json!({"rename_class": {"from": name, "to": "x"}}));
        pending.push(json!({"rename_class": {"from": "moving", "to": name}}));
        pending.push(json!({"merge_class": {"from": name, "into": "moving"}}));
        pending.push(json!({"merge_class": {"from": "moving", "into": name}}));
        let path = format!("{name}/some.jpg");
        pending.push(json!({"take_back_import": {
            "written": [path], "frames": [path], "moved": [[path, "unsorted/x.jpg"]],
            "sources": [], "classes": [name],
        }}));
    }
    for change in pending {
        // Alone, and together with a link for the class.
        for linked in [false, true] {
            let name = format!("{change}, linked: {linked}");
            let hostile = Hostile::make(&place, &name, |root, outside| {
                let theirs = outside.join("theirs");
                copy_dir(&root.join("classes/bars"), &theirs);
                std::fs::write(theirs.join("some.jpg"), "theirs").unwrap();
                if linked {
                    std::fs::remove_dir_all(root.join("classes/bars")).unwrap();
                    symlink(&theirs, root.join("classes/bars")).unwrap();
                }
                document(root, |value| value["pending"] = change.clone());
            });
            for line in ["classes p", "classes p --follow-links"] {
                hostile.does(line, &[0, 1]);
            }
            if linked {
                hostile.in_the_window();
            }
        }
    }
}
