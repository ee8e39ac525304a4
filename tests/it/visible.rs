//! Names with control characters, in every place where a name can come from: printed text has none of these
//! characters, JSON has the exact names, and the window shows them escaped.
#![cfg(unix)]

use std::process::Output;

use egui_kittest::kittest::NodeT as _;
use salamander::app::Action;
use serde_json::Value;

use crate::cli_program::Place;
use crate::window::Desk;
use crate::window_project::go;

/// File names, each with a control or invisible character.
const NAMES: [&str; 6] = [
    "red\u{1b}[31m\u{1b}]0;title\u{7}",
    "csi\u{9b}2J",
    "line\nsalamander: forged",
    "\u{202e}4pm.gpj\u{2066}",
    "tab\ta\rb",
    "zero\u{200b}width\u{feff}\u{2028}",
];
/// A class with one; most of the above cannot be a class.
const CLASS: &str = "tac\u{202e}cat";

/// Whether a character acts on a terminal or is invisible; by the list of the issue, not of the program.
fn acts(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{61c}' | '\u{feff}')
}

fn checked(bytes: &[u8], what: &str) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(!text.contains(acts), "{what}: {text:?}");
    let forged = text.lines().any(|line| line == "salamander: forged");
    assert!(!forged, "{what}: {text:?}");
    text
}

/// Runs it with text and with JSON output; the code must be `code`.
fn both(place: &Place, args: &[&str], code: i32) -> (String, Vec<Value>) {
    let run = |args: &[&str]| -> Output { place.command(args).output().unwrap() };
    let plain = run(args);
    let what = format!("{args:?}");
    let text = checked(&plain.stdout, &what);
    let message = checked(&plain.stderr, &what);
    assert_eq!(plain.status.code(), Some(code), "{what}: {text}{message}");
    if code == 1 {
        let failures = message
            .lines()
            .filter(|line| line.starts_with("salamander: "));
        assert_eq!(failures.count(), 1, "{what}: {message}");
    }
    let mut args = args.to_vec();
    args.push("--json");
    let json = run(&args);
    checked(&json.stderr, &what);
    let lines = checked(&json.stdout, &what);
    let objects = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}")));
    (text, objects.collect())
}

/// A project with such names wherever a name can be.
fn hostile(place: &Place) {
    for (number, name) in NAMES.iter().enumerate() {
        let class = ["other", CLASS][number % 2];
        let hue = number * 20;
        place.video(
            &format!("videos/{class}/{name}.mp4"),
            &format!("testsrc2=size=96x64:rate=5,hue=h={hue},trim=duration=2"),
        );
    }
    place.video(
        "videos/bad\u{1b}[31m/some.mp4",
        "smptebars=size=96x64:rate=5,trim=duration=1",
    );
}

#[test]
fn every_listing_command() {
    let place = Place::new();
    hostile(&place);
    assert_eq!(
        place
            .run(&["new", "p", "--name", "p\u{1b}]0;x\u{7}\nq"])
            .code,
        Some(0)
    );
    let (text, lines) = both(
        &place,
        &[
            "import",
            "p",
            "videos",
            "--class-from",
            "folder",
            "--fps",
            "5",
            "--width",
            "64",
        ],
        0,
    );
    assert!(text.contains("tac\\u{202e}cat"), "{text}");
    let paths: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["path"].as_str())
        .collect();
    for name in NAMES {
        assert!(
            paths.iter().any(|path| path.contains(name)),
            "{name:?}: {paths:?}"
        );
    }

    let (text, lines) = both(&place, &["classes", "p"], 0);
    assert!(text.contains("tac\\u{202e}cat"), "{text}");
    let classes = lines.last().unwrap()["classes"].as_array().unwrap();
    assert!(
        classes.iter().any(|class| class["name"] == CLASS),
        "{classes:?}"
    );

    let (text, lines) = both(&place, &["sources", "p"], 0);
    let sources = lines.last().unwrap()["sources"].as_array().unwrap();
    assert_eq!(text.lines().count(), 1 + sources.len(), "{text}");
    for name in NAMES {
        let file = format!("{name}.mp4");
        assert!(
            sources.iter().any(|source| source["name"] == file.as_str()),
            "{name:?}"
        );
    }

    let train = [
        "train",
        "p",
        "--depth",
        "head",
        "--how-many-training-steps",
        "10",
    ];
    both(&place, &train, 0);
    let run = std::fs::read_dir(place.path("p/runs"))
        .unwrap()
        .next()
        .unwrap();
    let run = run.unwrap().path();
    let note = serde_json::json!({"name": NAMES[0], "note": NAMES[2]});
    std::fs::write(run.join("note.json"), note.to_string()).unwrap();
    let (text, lines) = both(&place, &["runs", "p"], 0);
    let runs = lines.last().unwrap()["runs"].as_array().unwrap();
    assert_eq!(text.lines().count(), 1 + runs.len(), "{text}");
    assert!(runs.iter().any(|run| run["name"] == NAMES[0]), "{runs:?}");

    both(&place, &["evaluate", "p", "--mistakes", "--quality"], 0);
    both(&place, &["trash", "p"], 0);
    both(
        &place,
        &["export", "p", "--format", "onnx", "--out", "out\u{9b}\nput"],
        0,
    );
    both(&place, &["report", "p", "--out", "report.html"], 0);
    let out = place.path("out\u{9b}\nput");
    for file in [
        place.path("report.html"),
        out.join("MODEL_CARD.md"),
        out.join("README.txt"),
    ] {
        let text = checked(&std::fs::read(&file).unwrap(), "what is written for people");
        let is_readme = file.ends_with("README.txt");
        assert!(is_readme || text.contains("tac\\"), "{text}");
    }
    let labels = std::fs::read_to_string(out.join("labels.txt")).unwrap();
    let labels: Vec<&str> = labels.lines().collect();
    assert!(labels.len() == 2 && labels.contains(&CLASS), "{labels:?}");
    let run = run.to_str().unwrap();
    let (text, lines) = both(&place, &["predict", run, "videos", "--fps", "1"], 0);
    assert!(text.contains("tac\\u{202e}cat"), "{text}");
    let shown: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["path"].as_str())
        .collect();
    for name in NAMES {
        assert!(
            shown.iter().any(|path| path.contains(name)),
            "{name:?}: {shown:?}"
        );
    }
}

#[test]
fn every_failure_is_one_line() {
    let place = Place::new();
    let made = place.run(&["new", "p"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    for name in NAMES {
        for args in [
            vec!["classes", "p", "remove", name],
            vec!["classes", name],
            vec!["import", "p", name],
            vec!["label", "p", "unsorted", name],
            vec!["predict", name, "x.jpg"],
            vec!["train", "p", "--resume", name],
            vec!["evaluate", "p", "--run", name],
            vec!["verify", name],
            vec!["features", name, "--out", "x.npy"],
            vec!["architectures", "add", "p", name],
        ] {
            both(&place, &args, 1);
        }
        let added = place
            .command(&["classes", "p", "add", name])
            .output()
            .unwrap();
        checked(&added.stderr, name);
        checked(&added.stdout, name);
        let usage = place
            .command(&["classes", "p", &format!("--{name}")])
            .output()
            .unwrap();
        assert_eq!(usage.status.code(), Some(2));
        checked(&usage.stderr, name);
        let mut logged = place.command(&["import", "p", name]);
        let logged = logged.env("RUST_LOG", "trace").output().unwrap();
        checked(&logged.stderr, name);
    }
}

#[test]
fn the_window_writes_them_out() {
    let place = Place::new();
    hostile(&place);
    assert_eq!(
        place
            .run(&["new", "p", "--name", "p\u{1b}]0;x\u{7}\nq"])
            .code,
        Some(0)
    );
    let imported = place.line("import p videos --class-from folder --fps 1 --width 64");
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    let mut desk = Desk::new(&place.path("config"), [1400.0, 1000.0]);
    desk.act(Action::OpenProject(place.path("p")));
    desk.until("the project", |harness| {
        harness.state().app().session.is_some()
    });
    for workspace in ["Import", "Label", "Train"] {
        go(&mut desk, workspace);
        desk.rest();
        if workspace != "Train" {
            desk.see_part("tac\\u{202e}cat");
        }
        let mut stack = vec![desk.harness.root()];
        while let Some(node) = stack.pop() {
            let access = node.accesskit_node();
            for text in [access.label(), access.value(), access.description()] {
                let text = text.unwrap_or_default();
                assert!(!text.contains(acts), "{workspace}: {text:?}");
                assert!(!text.contains("line\n"), "{workspace}: {text:?}");
            }
            stack.extend(node.children());
        }
    }
}
