//! Screenshots of the workspaces, dark and light, compared with those in `tests/snapshots`. They are made from the
//! sample videos, so that they are the same on every computer. `UPDATE_SNAPSHOTS=1` makes them again.

use std::path::Path;

use egui::{Key, Modifiers};
use egui_kittest::SnapshotOptions;
use salamander::app::{Action, Command, ImportAction, ThemeChoice, TrainAction, Workspace};
use salamander::backbone::Depth;
use salamander::train::{DepthEstimate, Estimate};

use crate::cli_program::Place;
use crate::projects::without_hashes;
use crate::window::Desk;

/// Decoders and rasterizers differ slightly between computers; a moved button is detected.
const MAX_DIFFERING_PIXELS: usize = 1500;

fn snapshot(desk: &mut Desk, name: &str) {
    desk.harness.remove_cursor();
    let notes: Vec<u64> = desk
        .harness
        .state()
        .app()
        .notes
        .list()
        .iter()
        .map(|note| note.id)
        .collect();
    for id in notes {
        desk.harness.state_mut().apply(Action::Dismiss(id));
    }
    for (theme, suffix) in [(ThemeChoice::Dark, "dark"), (ThemeChoice::Light, "light")] {
        desk.harness.state_mut().apply(Action::SetTheme(theme));
        desk.until("a quiet window", |harness| {
            let app = harness.state().app();
            let quiet = app
                .session
                .as_ref()
                .is_none_or(|session| session.previews.is_idle() && session.images.is_idle());
            quiet && app.tasks.is_idle()
        });
        desk.harness.run_steps(20);
        let options = SnapshotOptions::new()
            .threshold(1.6)
            .max_failed_pixels(MAX_DIFFERING_PIXELS);
        desk.harness
            .snapshot_options(format!("{name}_{suffix}"), &options);
    }
}

#[test]
fn the_first_workspaces_look_as_they_did() {
    let place = Place::new();
    let mut desk = Desk::new(&place.path("config"), [1440.0, 900.0]);
    snapshot(&mut desk, "start");

    desk.harness.state_mut().apply(Action::CreateProject {
        root: place.path("Sample"),
        name: "Sample".to_owned(),
        files: Vec::new(),
    });
    desk.see("Drop videos here");
    snapshot(&mut desk, "import_empty");

    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sample");
    desk.harness
        .state_mut()
        .apply(Action::Import(ImportAction::Add(vec![sample])));
    desk.see_part("15 videos");
    desk.until("previews", |harness| {
        harness
            .state()
            .app()
            .session
            .as_ref()
            .unwrap()
            .previews
            .is_idle()
    });
    snapshot(&mut desk, "import");

    desk.harness
        .state_mut()
        .apply(Action::Command(Command::ExtractAll));
    desk.see("Frames extracted from 15 videos");
    desk.harness.state_mut().apply(Action::Go(Workspace::Label));
    desk.see_part("cat, ");
    // The frames of all videos are in the grid before one is chosen by its index.
    desk.rest();
    desk.key(Modifiers::NONE, Key::ArrowRight);
    desk.key(Modifiers::SHIFT, Key::ArrowRight);
    desk.key(Modifiers::SHIFT, Key::ArrowRight);
    desk.see("3 selected");
    snapshot(&mut desk, "label");

    desk.key(Modifiers::COMMAND, Key::K);
    desk.see("Search commands");
    snapshot(&mut desk, "palette");
}

/// The run's date is shown in local time; this is the displayed time in every time zone.
const BEGUN: &str = "2024-05-04T14:02";
const RUN: &str = "2024-05-04_efficientnet-lite0@224_1";

/// Gives the only run of the project a fixed date and duration.
fn date_run(project: &Path) {
    let runs = project.join("runs");
    let made = std::fs::read_dir(&runs).unwrap().next().unwrap().unwrap();
    let dir = runs.join(RUN);
    std::fs::rename(made.path(), &dir).unwrap();
    without_hashes(&dir);
    let path = dir.join("run.json");
    let mut run: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let begun: jiff::civil::DateTime = BEGUN.parse().unwrap();
    let begun = jiff::tz::TimeZone::system().to_timestamp(begun).unwrap();
    run["created"] = format!("{begun:.3}").into();
    run["preparation_secs"] = 4.0.into();
    run["stages"][0]["secs"] = 2.0.into();
    std::fs::write(&path, serde_json::to_vec(&run).unwrap()).unwrap();
}

#[test]
fn the_last_workspaces_look_as_they_did() {
    let place = Place::new();
    assert_eq!(place.line("new Sample").code, Some(0));
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sample");
    for line in [
        format!("import Sample {} --class-from folder", sample.display()),
        "train Sample --depth head --how-many-training-steps 400".to_owned(),
    ] {
        let ran = place.line(&line);
        assert_eq!(ran.code, Some(0), "{line}: {}", ran.stderr);
    }
    date_run(&place.path("Sample"));

    let mut desk = Desk::new(&place.path("config"), [1440.0, 900.0]);
    desk.harness
        .state_mut()
        .apply(Action::OpenProject(place.path("Sample")));
    desk.until("the run is read", |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| session.train.runs.len() == 1)
    });
    desk.harness
        .state_mut()
        .apply(Action::Train(TrainAction::Measured(measured())));
    desk.harness.state_mut().apply(Action::Go(Workspace::Train));
    desk.see("of the test frames correct");
    snapshot(&mut desk, "train");

    desk.harness
        .state_mut()
        .apply(Action::Go(Workspace::Evaluate));
    desk.see("Confusion matrix");
    snapshot(&mut desk, "evaluate");

    desk.harness
        .state_mut()
        .apply(Action::Command(Command::ExportModel));
    desk.see("Show in folder");
    snapshot(&mut desk, "export");

    fine_tune_run(&place.path("Sample"));
    desk.harness
        .state_mut()
        .apply(Action::Command(Command::Rescan));
    desk.harness.state_mut().apply(Action::Go(Workspace::Train));
    desk.see("head alone 91.7 %");
    snapshot(&mut desk, "train_deeper");
}

/// The measurement of another computer: the numbers of this one would be in the screenshots.
fn measured() -> Estimate {
    let depths = [
        (Depth::Head, 3_843, 0, 12.0),
        (Depth::Last1, 1_028_000, 1_600_000, 24.0),
        (Depth::Last3, 1_965_000, 1_600_000, 38.0),
        (Depth::Stage, 2_400_000, 6_600_000, 64.0),
        (Depth::TwoStages, 3_100_000, 31_000_000, 190.0),
        (Depth::All, 3_400_000, 50_600_000, 540.0),
    ];
    Estimate {
        depths: depths
            .into_iter()
            .map(
                |(depth, trained_weights, cache_bytes, secs)| DepthEstimate {
                    depth,
                    trained_weights,
                    steps: if depth == Depth::Head { 0 } else { 100 },
                    cache_bytes,
                    over_budget: false,
                    secs,
                },
            )
            .collect(),
        recommended: Depth::TwoStages,
        train_frames: 68,
    }
}

/// Turns a run of the head into a fine-tuned one, with curves that are the same on every computer: evaluated on the
/// validation frames at every fourth point only.
fn fine_tune_run(project: &Path) {
    let dir = project.join("runs").join(RUN);
    let path = dir.join("run.json");
    let mut run: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    run["settings"]["fine_tune"]["depth"] = "last-3".into();
    run["settings"]["fine_tune"]["steps"] = 200.into();
    let stages = run["stages"].as_array_mut().unwrap();
    stages.push(stages[0].clone());
    let head = &mut stages[0];
    head["steps"] = 400.into();
    head["best_step"] = 400.into();
    head["test_accuracy"] = 0.9.into();
    head["validation_accuracy"] = 0.9167.into();
    head["validation_cross_entropy"] = 0.31.into();
    let result = &mut stages[1];
    result["part"] = "fine-tuning".into();
    result["secs"] = 0.0.into();
    result["steps"] = 200.into();
    result["best_step"] = 160.into();
    result["test_accuracy"] = 0.975.into();
    result["validation_accuracy"] = 0.9833.into();
    result["trained_weights"] = 1_965_000.into();
    result["verdict"] = serde_json::json!({
        "head_only": 0.9, "deeper": 0.975, "interval": [0.021, 0.126],
        "frames": 240, "groups": 24, "outcome": "better",
    });
    std::fs::write(&path, serde_json::to_vec(&run).unwrap()).unwrap();
    let mut lines = String::new();
    for at in 1..=20 {
        let t = f64::from(at) / 20.0;
        let wave = 0.01 * f64::from(at % 3);
        let mut point = serde_json::json!({
            "step": at * 10, "secs": t * 20.0,
            "train_accuracy": 0.8 + 0.2 * t.sqrt() - wave,
            "train_cross_entropy": 0.6 * (1.0 - t.sqrt()) + 0.1 + wave,
            "validation_accuracy": null, "validation_cross_entropy": null,
        });
        if at % 4 == 0 {
            point["validation_accuracy"] = (0.9 + 0.08 * t + wave).into();
            point["validation_cross_entropy"] = (0.4 - 0.25 * t).into();
        }
        lines.push_str(&point.to_string());
        lines.push('\n');
    }
    std::fs::write(dir.join("curves.jsonl"), lines).unwrap();
}
