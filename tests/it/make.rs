//! `salamander make`: from class folders to a verified bundle in one line.

use std::fs;
use std::process::Command;

use salamander::app::{Action, MakeAction};

use super::cli_program::{Place, events};
use super::export::{interpreter, python};
use super::window::Desk;

#[test]
fn one_line_makes_a_verified_bundle_with_one_page_of_result() {
    let place = Place::new();
    place.videos();
    let line =
        "make videos --out made --format onnx --architecture efficientnet-lite0@96 --depth head";
    let lines = place.json(line);
    let steps: Vec<_> = events(&lines, "stage")
        .iter()
        .map(|event| event["step"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(steps, ["Import", "Train", "Evaluate", "Export and verify"]);
    let made = lines.last().unwrap();
    assert_eq!(made["images"], 48);
    assert_eq!(made["card"]["classes"].as_array().unwrap().len(), 3);
    let part = made["accuracy"]["part"].as_f64().unwrap();
    let interval = &made["accuracy"]["interval_95"];
    assert!(interval[0].as_f64().unwrap() <= part && part <= interval[1].as_f64().unwrap());
    place.result("verify made/model");
    place.result("classes made/project");

    // Again, with text output; nothing is trained again.
    let ran = place.line(line);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for part in [
        "1 of 4: Import",
        "are classified correctly (95 %",
        "fractal",
        "made/model",
        "next:",
        "salamander made/project",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let runs = place.result("runs made/project");
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1);

    // Files that cannot become a model are reported at once.
    let one = place.failure("make videos/bars --out other");
    assert!(one.contains("at least two"), "{one}");
    assert!(!place.path("other").exists());

    programs_of(&place);
}

/// Two films, each with as many frames as are written without consent, and a few more.
fn long_films(place: &Place) {
    for (class, hue) in [("black", 0), ("white", 90)] {
        place.video(
            &format!("long/{class}/{class}.mp4"),
            &format!("testsrc2=size=64x64:rate=1,hue=h={hue},trim=duration=5050"),
        );
    }
}

#[test]
fn so_many_frames_are_written_once_it_was_agreed_to() {
    let place = Place::new();
    long_films(&place);
    let line = "make long --out made --format onnx --architecture efficientnet-lite0@96";
    let message = place.failure(line);
    assert!(
        message.contains("20,200 frames") && message.contains("--force"),
        "{message}"
    );
    let frames = |class: &str| {
        let dir = place.path("made/project/classes").join(class);
        fs::read_dir(dir).map_or(0, Iterator::count)
    };
    assert_eq!((frames("black"), frames("white")), (0, 0));
    // With consent, they are written; then it is killed, because the rest of the work is not tested here.
    let forced = format!("{line} --force");
    let mut child = place
        .command(&forced.split(' ').collect::<Vec<_>>())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while frames("black") + frames("white") < 10 {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // In the window.
    let mut desk = Desk::new(&place.path("config"), [1100.0, 760.0]);
    let making = MakeAction::Start(vec![place.path("long")], place.path("other"));
    desk.act(Action::Make(making));
    desk.see_part("about 20,200 frames");
    let frames =
        || fs::read_dir(place.path("other/project/classes/black")).map_or(0, Iterator::count);
    assert_eq!(frames(), 0);
    desk.click("Use all of them");
    desk.until("the first frames", |_| frames() > 0);
    desk.click("Cancel");
    desk.see_part("Cancelled");
}

/// The example programs of an export.
fn programs_of(place: &Place) {
    let export = place.path("made/model");
    let image = fs::read_dir(place.path("made/project/classes/bars")).unwrap();
    let image = image.map(|entry| entry.unwrap().path()).min().unwrap();
    let message = place.json(&format!("predict made/model {}", image.display()));
    let top = &events(&message, "prediction")[0]["top"][0];
    let (class, probability) = (
        top["class"].as_str().unwrap(),
        top["probability"].as_f64().unwrap(),
    );
    if let Some(python) = python() {
        let classified = || {
            let output = interpreter(&python)
                .arg(export.join("verify.py"))
                .arg(&image)
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let text = classified();
        let (_, answer) = text.trim().rsplit_once(": ").unwrap();
        let (found, value) = answer.split_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        assert!(
            found == class && (value - probability).abs() < 0.02,
            "{text} {top}"
        );
        // With a threshold that no probability reaches.
        let recipe = export.join("preprocess.json");
        let whole = fs::read(&recipe).unwrap();
        let mut changed: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        changed["unknown_below"] = 1.5.into();
        fs::write(&recipe, changed.to_string()).unwrap();
        let text = classified();
        assert!(
            text.contains(&format!(": unknown (nearest: {class}) ")),
            "{text}"
        );
        fs::write(&recipe, whole).unwrap();
    }
    kotlin(place);
}

/// Whether there is a compiler. In CI there must be one, where `packaging/setup.sh --tests` can install it.
fn has_kotlin() -> bool {
    if let Ok(found) = Command::new("kotlinc").arg("-version").output() {
        assert!(found.status.success());
        return true;
    }
    let offered = Command::new("apt-cache")
        .args(["madison", "kotlin"])
        .output();
    assert!(
        std::env::var_os("CI").is_none()
            || !offered.is_ok_and(|offered| !offered.stdout.is_empty()),
        "no kotlinc; packaging/setup.sh --tests installs it"
    );
    eprintln!(
        "SKIPPED: no kotlinc (packaging/setup.sh --tests, where the system has a package kotlin)"
    );
    false
}

/// Compiled against stubs of the used parts of the runtimes, and run without them.
fn kotlin(place: &Place) {
    if !has_kotlin() {
        return;
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (stubs, program) = (place.path("stubs.jar"), place.path("classify.jar"));
    let compile = |source: std::path::PathBuf, more: &[&std::ffi::OsStr], to: &std::path::Path| {
        let mut command = Command::new("kotlinc");
        command.arg(source).args(more).arg("-d").arg(to);
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{errors}");
    };
    compile(root.join("tests/fixtures/kotlin"), &[], &stubs);
    let with = [
        "-cp".as_ref(),
        stubs.as_os_str(),
        "-include-runtime".as_ref(),
    ];
    compile(
        place.path("made/model/snippets/Classify.kt"),
        &with,
        &program,
    );
    let run = || {
        let mut command = Command::new("java");
        command
            .arg("-jar")
            .arg(&program)
            .arg(place.path("made/model"));
        command.output().unwrap()
    };
    let output = run();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("as expected"),
        "{text}"
    );
    // Another image is not the golden one.
    let golden = place.path("made/model/golden");
    fs::copy(golden.join("01.png"), golden.join("02.png")).unwrap();
    assert!(!run().status.success());
}
