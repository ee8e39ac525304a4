//! Killed with SIGKILL at many moments: the project opens, nothing confirmed is lost, the work can be resumed.
//!
//! Each kind of work first runs undisturbed, to measure its duration and record its result. Then it is killed at
//! [`moments`] spread over that time, checked, and run again to the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::cli_program::{Place, copy_dir};
use crate::export_bundles::installed;

/// The number of kills for each kind of work.
fn kills() -> u32 {
    std::env::var("SALAMANDER_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20)
}

/// Moments spread over `length`, each somewhere in its own part of it.
fn moments(length: Duration) -> impl Iterator<Item = Duration> {
    so_many(kills(), length)
}

fn so_many(count: u32, length: Duration) -> impl Iterator<Item = Duration> {
    (0..count).map(move |index| {
        // The golden ratio spreads points within their parts without a pattern.
        let jitter = (f64::from(index) * 0.618_033_988_75).fract();
        length.mul_f64((f64::from(index) + jitter) / f64::from(count))
    })
}

/// The duration of `line` undisturbed; it must succeed.
fn undisturbed(place: &Place, line: &str) -> Duration {
    let start = Instant::now();
    place.result(line);
    start.elapsed()
}

/// Starts `line` and kills it after `moment`. Returns whether it was still running.
fn kill_after(place: &Place, line: &str, moment: Duration) -> bool {
    let mut child = place
        .command(&line.split(' ').collect::<Vec<_>>())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(moment);
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    running
}

/// Kills `line`, which takes `length`, at moments spread over it, and calls `then` after each. Returns how often it
/// was still running.
pub fn kill_moments(
    place: &Place,
    line: &str,
    length: Duration,
    then: impl FnMut(Duration),
) -> u32 {
    kill_so_many(kills(), place, line, length, then)
}

/// [`kill_moments`] with this number of kills: for work that takes long.
pub fn kill_so_many(
    count: u32,
    place: &Place,
    line: &str,
    length: Duration,
    mut then: impl FnMut(Duration),
) -> u32 {
    let mut hits = 0;
    for moment in so_many(count, length) {
        hits += u32::from(kill_after(place, line, moment));
        then(moment);
    }
    hits
}

/// All files below `dir` with their contents, by path relative to it.
pub fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(dir: &Path, root: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(dir, dir, &mut found);
    found
}

fn frames(place: &Place) -> BTreeMap<String, Vec<u8>> {
    contents(&place.path("p/classes"))
}

/// A test that never killed running work proves nothing.
fn enough(hits: u32) {
    assert!(hits * 4 >= kills(), "only {hits} of {} kills hit", kills());
}

#[test]
fn during_import_and_extraction() {
    let place = Place::new();
    place.videos();
    let line = "import p videos --class-from folder --fps 10 --width 160";
    place.result("new p");
    let length = undisturbed(&place, line);
    let whole = frames(&place);
    assert_eq!(whole.len(), 240);

    let mut hits = 0;
    for moment in moments(length) {
        std::fs::remove_dir_all(place.path("p")).unwrap();
        place.result("new p");
        hits += u32::from(kill_after(&place, line, moment));
        // It opens, and files under their final names are complete.
        place.result("classes p");
        for (name, bytes) in frames(&place) {
            if Path::new(&name).extension().is_none_or(|e| e != "part") {
                assert_eq!(Some(&bytes), whole.get(&name), "{name} after {moment:?}");
            }
        }
        place.result(line);
        assert_eq!(frames(&place), whole, "after {moment:?}");
    }
    enough(hits);
}

#[test]
fn during_labelling() {
    const FRAMES: usize = 4000;
    let place = Place::new();
    place.result("new p");
    place.result("classes p add a");
    place.result("classes p add b");
    for index in 0..FRAMES {
        std::fs::write(
            place.path(format!("p/classes/a/photo {index}.jpg")),
            index.to_le_bytes(),
        )
        .unwrap();
    }
    let all: BTreeSet<Vec<u8>> = frames(&place).into_values().collect();
    assert_eq!(all.len(), FRAMES);
    let (mut from, mut to) = ("a", "b");
    let mut length = Duration::ZERO;
    for _ in 0..2 {
        length = undisturbed(&place, &format!("label p {to} p/classes/{from}"));
        std::mem::swap(&mut from, &mut to);
    }

    let mut hits = 0;
    for moment in moments(length) {
        hits += u32::from(kill_after(
            &place,
            &format!("label p {to} p/classes/{from}"),
            moment,
        ));
        let left: Vec<_> = frames(&place).into_values().collect();
        assert_eq!(left.len(), FRAMES, "after {moment:?}");
        assert_eq!(left.into_iter().collect::<BTreeSet<_>>(), all);
        place.result(&format!("label p {to} p/classes/{from}"));
        let names = frames(&place);
        assert!(
            names.keys().all(|name| name.starts_with(to)),
            "after {moment:?}"
        );
        std::mem::swap(&mut from, &mut to);
    }
    enough(hits);
}

const TRAIN: &str = "train p --depth head --how-many-training-steps 2000 --architecture efficientnet-lite0@96 \
                     --validation-percentage 25 --testing-percentage 25";

const FINE_TUNE: &str = "train p --depth last-1 --how-many-training-steps 100 --fine-tune-steps 30 \
                         --fine-tune-batch-size 8 --views 1 --architecture efficientnet-lite0@96 \
                         --validation-percentage 25 --testing-percentage 25";

/// The kept weights of the only run of the project, of the head and of the backbone if it was fine-tuned.
fn weights(place: &Place) -> (PathBuf, [Vec<u8>; 2]) {
    let runs: Vec<PathBuf> = std::fs::read_dir(place.path("p/runs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("run.json").is_file())
        .collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let head = std::fs::read(runs[0].join("weights.safetensors")).unwrap();
    let backbone = runs[0].join("backbone.safetensors");
    let backbone = std::fs::read(backbone).unwrap_or_default();
    (runs[0].clone(), [head, backbone])
}

fn train_through_kills(line: &str, cold: bool) {
    let place = Place::new();
    place.project();
    let labels = frames(&place);
    let length = undisturbed(&place, line);
    let (run, reference) = weights(&place);
    let fresh = |place: &Place| {
        std::fs::remove_dir_all(place.path("p/runs")).unwrap();
        if cold {
            std::fs::remove_dir_all(place.path("p/cache")).unwrap();
        }
    };
    let length = if cold {
        length
    } else {
        std::fs::remove_dir_all(&run).unwrap();
        undisturbed(&place, line)
    };

    let mut hits = 0;
    for moment in moments(length) {
        fresh(&place);
        hits += u32::from(kill_after(&place, line, moment));
        assert_eq!(frames(&place), labels);
        let begun = contents(&place.path("p/runs"))
            .keys()
            .any(|name| name.ends_with("run.json"));
        if begun {
            let resumed = place.line("train p --resume latest --json");
            if resumed.code != Some(0) {
                // Killed after the end: there is nothing to resume, and the run is finished.
                assert!(resumed.stderr.contains("unfinished"), "{}", resumed.stderr);
            }
        } else {
            place.result(line);
        }
        assert!(
            weights(&place).1 == reference,
            "other weights after {moment:?}"
        );
        place.result("evaluate p");
    }
    enough(hits);
}

#[test]
fn during_bottlenecks() {
    train_through_kills(TRAIN, true);
}

#[test]
fn during_training() {
    train_through_kills(TRAIN, false);
}

#[test]
fn during_fine_tuning() {
    train_through_kills(FINE_TUNE, false);
}

#[test]
fn during_activations() {
    train_through_kills(FINE_TUNE, true);
}

/// The state of the fine-tuning of the only run, by name: the last weights, the optimiser's state, and the best
/// weights. The best weights may be old; the others change with every step.
fn state(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(weights(place).0.join("fine_tune.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let named = tensors.iter();
    named
        .map(|(name, tensor)| (name.to_owned(), tensor.data().to_vec()))
        .collect()
}

/// A finished run that is extended: its folder is restored before each kill.
#[test]
fn during_an_extension() {
    let place = Place::new();
    place.project();
    place.result(FINE_TUNE);
    let finished = state(&place);
    copy_dir(&place.path("p/runs"), &place.path("before"));
    let line = "train p --resume latest --fine-tune-steps 60";
    let length = undisturbed(&place, line);
    let (kept, reference) = (weights(&place).1, state(&place));
    assert!(reference != finished, "the extension changed nothing");

    let mut hits = 0;
    for moment in moments(length) {
        std::fs::remove_dir_all(place.path("p/runs")).unwrap();
        copy_dir(&place.path("before"), &place.path("p/runs"));
        hits += u32::from(kill_after(&place, line, moment));
        // Killed before it began, it is the finished run; afterwards the same line continues.
        let resumed = place.line("train p --resume latest --json");
        let none = resumed.stderr.contains("unfinished");
        assert!(resumed.code == Some(0) || none, "{}", resumed.stderr);
        place.result(line);
        assert!(
            state(&place) == reference && weights(&place).1 == kept,
            "other weights after {moment:?}"
        );
    }
    enough(hits);
}

/// Heads and fine-tunings of two networks.
const SWEEP: &str = "--architectures efficientnet-lite0@96,mobilenet-v2@96 --depths head,last-1 --how-many-training-steps 200 \
                     --fine-tune-steps 10 --fine-tune-batch-size 8 --validation-percentage 25 --testing-percentage 25";

/// Kept and last weights of all runs with the optimiser's state, by the number of their training in the sweep.
fn trained(place: &Place) -> BTreeMap<u64, BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(place.path("p/runs")).unwrap() {
        let dir = entry.unwrap().path();
        let Ok(text) = std::fs::read(dir.join("run.json")) else {
            // Killed before the run was created.
            continue;
        };
        let run: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(run["state"], "finished");
        let number = run["parent"]["training"].as_u64().unwrap();
        let mut all = BTreeMap::new();
        for file in ["weights", "checkpoint", "backbone", "fine_tune"] {
            let Ok(bytes) = std::fs::read(dir.join(format!("{file}.safetensors"))) else {
                continue;
            };
            // The rest of the file is times.
            let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            for (name, tensor) in tensors.iter() {
                all.insert(format!("{file} {name}"), tensor.data().to_vec());
            }
        }
        let twice = found.insert(number, all).is_some();
        assert!(!twice, "training {number} was done twice");
    }
    found
}

#[test]
fn during_a_sweep() {
    let place = Place::new();
    place.project();
    let line = format!("sweep p {SWEEP}");
    place.result(&line);
    let reference = trained(&place);
    assert_eq!(reference.len(), 4);
    let fresh = |place: &Place| {
        std::fs::remove_dir_all(place.path("p/runs")).unwrap();
        std::fs::remove_dir_all(place.path("p/sweeps")).unwrap();
    };
    fresh(&place);
    let length = undisturbed(&place, &line);

    let mut hits = 0;
    for moment in so_many(kills().min(10), length) {
        fresh(&place);
        hits += u32::from(kill_after(&place, &line, moment));
        let any = contents(&place.path("p/sweeps"))
            .keys()
            .any(|name| name.ends_with("/sweep.json"));
        if any {
            let resumed = place.result("sweep p --resume latest");
            assert_eq!(resumed["done"], 4);
            assert_eq!(resumed["rows"].as_array().unwrap().len(), 4);
        } else {
            let runs = contents(&place.path("p/runs"));
            assert!(runs.is_empty(), "trained before it was written down");
            std::fs::create_dir_all(place.path("p/runs")).unwrap();
            std::fs::create_dir_all(place.path("p/sweeps")).unwrap();
            continue;
        }
        assert!(
            trained(&place) == reference,
            "other weights after {moment:?}"
        );
    }
    assert!(hits * 4 >= kills().min(10), "only {hits} kills hit");
}

/// All formats in one export, so that it is killed in each of them.
#[test]
fn during_export() {
    let place = Place::new();
    place.project();
    place.result(TRAIN);
    let installed = installed();
    let formats: Vec<&str> = installed.iter().map(|format| format.name()).collect();
    // Whether a model loses too much does not matter for what is left behind.
    let line = format!(
        "export p --format {} --accept-loss --out model",
        formats.join(",")
    );
    // The search for integers is made once and then cached by the project; only the rest is timed and killed.
    place.result(&line);
    std::fs::remove_dir_all(place.path("model")).unwrap();
    let length = undisturbed(&place, &line);
    let whole = contents(&place.path("model"));
    for format in &installed {
        let written = |name: &String| name.starts_with(format.file());
        assert!(whole.keys().any(written), "{}", format.name());
    }
    copy_dir(&place.path("model"), &place.path("earlier"));
    std::fs::write(place.path("earlier/mine.txt"), "mine").unwrap();

    // An export of all takes longer than other work, so it is killed less often.
    let count = (kills() / 3).max(4);
    let mut hits = 0;
    for (index, moment) in so_many(count, length).enumerate() {
        std::fs::remove_dir_all(place.path("model")).unwrap();
        // Every other time there is an earlier export to replace, and a file of the user.
        if index % 2 == 0 {
            copy_dir(&place.path("earlier"), &place.path("model"));
        }
        hits += u32::from(kill_after(&place, &line, moment));
        for (name, bytes) in contents(&place.path("model")) {
            if let Some(reference) = whole.get(&name) {
                assert!(bytes == *reference, "{name} is not whole after {moment:?}");
            }
        }
        place.result(&line);
        let mut found = contents(&place.path("model"));
        if index % 2 == 0 {
            assert_eq!(found.remove("mine.txt").as_deref(), Some(&b"mine"[..]));
        }
        assert!(found == whole, "after {moment:?}");
        // Nothing is left next to it either.
        let beside = std::fs::read_dir(place.path("")).unwrap();
        let names = beside.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let left: Vec<String> = names.filter(|name| name.contains(".part")).collect();
        assert_eq!(left, Vec::<String>::new(), "after {moment:?}");
    }
    assert!(hits * 4 >= count, "only {hits} of {count} kills hit");
}

/// Killed at any moment, the same line makes the model.
#[test]
fn during_make() {
    let place = Place::new();
    place.videos();
    let line = "make videos --out made --format onnx --bundle zip --architecture efficientnet-lite0@96 --depth head";
    let length = undisturbed(&place, line);
    let count = (kills() / 3).max(4);
    let mut hits = 0;
    for moment in so_many(count, length) {
        std::fs::remove_dir_all(place.path("made")).unwrap();
        hits += u32::from(kill_after(&place, line, moment));
        let made = place.result(line);
        assert_eq!(made["images"], 48, "after {moment:?}");
        place.result(&format!("verify {}", made["place"].as_str().unwrap()));
        let runs = place.result("runs made/project");
        assert_eq!(
            runs["runs"].as_array().unwrap().len(),
            1,
            "after {moment:?}"
        );
    }
    assert!(hits * 4 >= count, "only {hits} of {count} kills hit");
}
