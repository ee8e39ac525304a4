//! The whole workflow in the real window on a real X server: videos dropped by another program, frames previewed,
//! extracted, labelled, a run trained with live curves, evaluated and exported.
//!
//! `SALAMANDER_SCREENSHOTS=<folder>` stores screenshots of every screen, `SALAMANDER_SCALE=2` as on a high-resolution
//! screen.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::desktop::Desktop;

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sample")
}

fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn images(dir: &Path) -> usize {
    std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "jpg"))
        .count()
}

/// Waits for thumbnails, posters and fades.
fn settle() {
    std::thread::sleep(Duration::from_millis(1500));
}

/// Picks a command in the palette by typing its name.
fn command(desktop: &Desktop, name: &str) {
    desktop.press("ctrl+k");
    settle();
    desktop.type_text(name);
    settle();
    desktop.press("return");
    settle();
}

/// A screenshot in the dark theme and one in the light.
fn show(desktop: &Desktop, name: &str) {
    settle();
    desktop.screenshot(&format!("{name}-dark"));
    if std::env::var_os("SALAMANDER_SCREENSHOTS").is_some() {
        command(desktop, "switch between dark");
        desktop.screenshot(&format!("{name}-light"));
        command(desktop, "switch between dark");
    }
}

#[test]
fn from_dropped_videos_to_an_exported_model() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("Café project");
    let project = salamander::project::Project::create(&root, "Three things").unwrap();
    drop(project);
    let scale: f32 = std::env::var("SALAMANDER_SCALE")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1.0);
    let pixels = |points: f32| (points * scale) as u16;
    let mut desktop = Desktop::start(
        (pixels(1440.0), pixels(900.0)),
        scale,
        home.path(),
        &["open".as_ref(), root.as_os_str()],
    );
    desktop.wait_for("the project's title", |desktop| {
        desktop.title().filter(|title| title.contains("Salamander"))
    });

    // Import.
    show(&desktop, "import-empty");
    let classes: Vec<PathBuf> = ["cat", "coffee", "rocket"]
        .iter()
        .map(|class| sample().join(class))
        .collect();
    desktop.drop_files(&classes);
    let json_path = root.join("project.json");
    let sources = |path: &Path| json(path).and_then(|j| j["sources"].as_array().map(Vec::len));
    desktop.wait_for("fifteen sources", |_| {
        (sources(&json_path)? == 15).then_some(())
    });
    settle();
    show(&desktop, "import");

    // Extract.
    desktop.press("ctrl+e");
    desktop.wait_for("every source extracted", |_| {
        let project = json(&json_path)?;
        let sources = project["sources"].as_array()?;
        sources
            .iter()
            .all(|s| s["extracted"].is_u64())
            .then_some(())
    });
    let cats = root.join("classes/cat");
    let before = images(&cats);
    assert!(before > 20, "{before} frames of the cat");

    // Label: the first frame gets another class, and the old one again.
    desktop.press("ctrl+2");
    show(&desktop, "label");
    desktop.press("ctrl+a");
    desktop.press("2");
    desktop.wait_for("all frames in the second class", |_| {
        (images(&cats) == 0).then_some(())
    });
    desktop.press("ctrl+z");
    desktop.wait_for("the labels back", |_| {
        (images(&cats) == before).then_some(())
    });
    show(&desktop, "label-again");

    // Train, and see the curves move.
    desktop.press("ctrl+3");
    show(&desktop, "train-before");
    command(&desktop, "start training");
    let runs = root.join("runs");
    let run = desktop.wait_for("a run", |_| {
        let mut found = std::fs::read_dir(&runs).ok()?.flatten();
        found.find(|run| run.path().join("run.json").is_file())
    });
    let curves = run.path().join("curves.jsonl");
    desktop.wait_for("the first evaluations", |_| {
        std::fs::metadata(&curves)
            .ok()
            .filter(|file| file.len() > 0)
    });
    let early = desktop.pixels();
    desktop.screenshot("train-running");
    desktop.wait_for("the end of the run", |_| {
        (json(&run.path().join("run.json"))?["state"] == "finished").then_some(())
    });
    settle();
    let late = desktop.pixels();
    let changed = early
        .pixels()
        .zip(late.pixels())
        .filter(|(a, b)| a != b)
        .count();
    assert!(
        changed > 1000,
        "the curves did not move: {changed} pixels changed"
    );
    show(&desktop, "train");
    let accuracy =
        json(&run.path().join("run.json")).unwrap()["stages"][0]["test_accuracy"].clone();
    assert!(accuracy.as_f64().unwrap() > 0.8, "test accuracy {accuracy}");

    // Evaluate.
    desktop.press("ctrl+4");
    show(&desktop, "evaluate");

    // Export.
    desktop.press("ctrl+5");
    command(&desktop, "export the model");
    let exports = root.join("exports");
    desktop.wait_for("the exported model", |_| {
        let mut found = std::fs::read_dir(&exports).ok()?.flatten();
        found.find(|export| export.path().join("model.onnx").is_file())
    });
    show(&desktop, "export");

    let status = desktop.close();
    assert!(status.success(), "{status}");
}

#[test]
fn the_start_screen_opens_and_closes() {
    let home = tempfile::tempdir().unwrap();
    let mut desktop = Desktop::start((1440, 900), 1.0, home.path(), &[]);
    desktop.wait_for("a title", |desktop| {
        desktop.title().filter(|title| title.contains("Salamander"))
    });
    show(&desktop, "start");
    assert!(desktop.close().success());
}

/// Without a portal and without zenity the system shows no file dialog, and the path is typed instead.
#[test]
fn a_path_is_typed_when_the_system_shows_no_dialog() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("Typed");
    let path = root.to_str().unwrap().to_owned();
    drop(salamander::project::Project::create(&root, "Typed").unwrap());
    let mut desktop = Desktop::start((1440, 900), 1.0, home.path(), &[]);
    settle();
    let settings = home.path().join("config/salamander/settings.json");
    let opened = || {
        let recent = json(&settings).map(|settings| settings["recent"].clone());
        recent.is_some_and(|recent| recent.to_string().contains(&path))
    };
    // On a busy computer the answer may be so late that it looks like a user's.
    for _ in 0..5 {
        desktop.press("ctrl+o");
        settle();
        desktop.screenshot("typed-path");
        desktop.type_text(&path);
        settle();
        desktop.press("return");
        settle();
        if opened() {
            break;
        }
    }
    assert!(opened(), "the project was not opened by its typed path");
    desktop.wait_for("the window", Desktop::title);
    assert!(desktop.close().success());
}
