//! The trainings of a sweep on several computers: merged, they are the same as on one computer, and the project is not
//! changed by those who train on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{ModifyKind, RenameMode};
use notify::{Event, EventKind, RecursiveMode, Watcher as _};
use serde_json::Value;

use crate::cli_program::Place;
use crate::kill::{contents, kill_so_many};

const SWEEP: &str = "--architectures efficientnet-lite0@96 --depths head,last-1 --set split_seed=0,1 \
                     --how-many-training-steps 20 --fine-tune-steps 6";

/// Files of a run that contain neither times nor names.
const KEPT: [&str; 3] = [
    "weights.safetensors",
    "backbone.safetensors",
    "frames.jsonl",
];

/// A project with images in classes, and a copy of it.
fn projects(place: &Place) {
    place.videos();
    place.result("new p");
    place.result("import p videos --class-from folder --fps 5 --width 160");
    for (name, bytes) in contents(&place.path("p")) {
        let path = place.path("q").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Lists the trainings of a new sweep of `q`; returns their number.
fn list(place: &Place) -> usize {
    let listed = place.result(&format!("sweep q {SWEEP} --out t.jsonl"));
    listed["trainings"].as_u64().unwrap() as usize
}

/// The weights of the runs of a project's sweep, by training.
fn weights(place: &Place, project: &str) -> BTreeMap<u64, BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(place.path(project).join("runs"))
        .into_iter()
        .flatten()
    {
        let run = entry.unwrap().path();
        let text = fs::read(run.join("run.json")).unwrap();
        let document: Value = serde_json::from_slice(&text).unwrap();
        let mut files = contents(&run);
        files.retain(|name, _| KEPT.contains(&name.as_str()));
        let training = document["parent"]["training"].as_u64().unwrap();
        assert!(
            found.insert(training, files).is_none(),
            "training {training} is there twice"
        );
    }
    found
}

/// The rows of a sweep, without times and names of runs.
fn rows(place: &Place, project: &str) -> Vec<Value> {
    let mut shown = place.result(&format!("sweeps {project} --show latest"));
    let mut rows = shown["rows"].take().as_array().unwrap().clone();
    for row in &mut rows {
        let row = row.as_object_mut().unwrap();
        row.retain(|key, _| {
            !["runs", "seconds", "latency_ms", "pareto_latency"].contains(&key.as_str())
        });
    }
    rows
}

/// The folder of the only sweep of `q`.
fn sweep_dir(place: &Place) -> PathBuf {
    let mut sweeps = fs::read_dir(place.path("q/sweeps")).unwrap();
    sweeps.next().unwrap().unwrap().path()
}

/// How often a file of the folder is put into place while `during` runs.
fn times_written(dir: &Path, name: &str, during: impl FnOnce()) -> usize {
    let (sender, events) = std::sync::mpsc::channel();
    let heard = move |event: notify::Result<Event>| drop(sender.send(event.unwrap()));
    let mut watcher = notify::recommended_watcher(heard).unwrap();
    watcher.watch(dir, RecursiveMode::NonRecursive).unwrap();
    during();
    // Events arrive in order: that of this file is the last one.
    let end = dir.join("end");
    fs::write(&end, "").unwrap();
    let mut times = 0;
    loop {
        let event = events.recv_timeout(Duration::from_mins(1)).unwrap();
        let is_of = |path: &Path| event.paths.iter().any(|of| of == path);
        if is_of(&end) {
            break;
        }
        let moved_in = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        times += usize::from(event.kind == moved_in && is_of(&dir.join(name)));
    }
    fs::remove_file(end).unwrap();
    times
}

/// Everything in the project except its caches.
fn without_caches(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let mut found = contents(&place.path("q"));
    found.retain(|name, _| !name.starts_with("cache/"));
    found
}

#[test]
fn runs_that_were_trained_elsewhere_are_those_that_would_be_trained_here() {
    let place = Place::new();
    projects(&place);
    place.result(&format!("sweep p {SWEEP}"));
    let expected = weights(&place, "p");
    assert_eq!(expected.len(), 4);
    assert_eq!(list(&place), 4);
    // The project may have another path for those who train.
    fs::rename(place.path("q"), place.path("mounted 猫")).unwrap();
    let moved = format!(
        "{}={}",
        place.path("q").display(),
        place.path("mounted 猫").display()
    );
    let work = |shard: usize, threads: &str| {
        let shard = format!("t.jsonl:{shard}");
        let options = [
            "--out",
            "parts",
            "--moved",
            &moved,
            "--threads",
            threads,
            "--json",
        ];
        let ran = place.run(&[&["work", "--shard", &shard], &options[..]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.json().pop().unwrap()
    };
    let before: BTreeMap<_, _> = contents(&place.path("mounted 猫"))
        .into_iter()
        .filter(|(name, _)| !name.starts_with("cache/"))
        .collect();
    for shard in 1..=4 {
        let made = work(shard, if shard % 2 == 0 { "1" } else { "2" });
        assert_eq!(made["already"], false);
        assert!(made["training"]["test_accuracy"].is_f64(), "{made}");
    }
    assert_eq!(work(3, "1")["already"], true);
    fs::rename(place.path("mounted 猫"), place.path("q")).unwrap();
    assert!(
        without_caches(&place) == before,
        "training changed the project"
    );

    // First with one missing, then with all, then once more.
    fs::rename(place.path("parts/part-000002"), place.path("elsewhere")).unwrap();
    let written = times_written(&sweep_dir(&place), "sweep.json", || {
        let sentence = place.line("merge q parts --json").failure("merge");
        assert!(
            sentence.contains("1 of 4 parts are missing (shard 2)"),
            "{sentence}"
        );
    });
    assert_eq!(written, 1, "all results are recorded at once");
    assert_eq!(weights(&place, "q").len(), 3);
    fs::rename(place.path("elsewhere"), place.path("parts/part-000002")).unwrap();
    let merged = place.result("merge q parts");
    assert_eq!(merged["runs"].as_array().unwrap().len(), 1, "{merged}");
    let written = times_written(&sweep_dir(&place), "sweep.json", || {
        let again = place.result("merge q parts");
        assert_eq!(
            (&again["parts"], &again["runs"]),
            (&Value::from(4), &Value::Null)
        );
    });
    assert_eq!(written, 0, "nothing is new");
    assert!(weights(&place, "q") == expected, "the weights differ");
    assert_eq!(rows(&place, "q"), rows(&place, "p"));
    // They are ordinary runs.
    place.result("evaluate q");
    let nothing = place.failure("sweep q --resume latest --out t2.jsonl");
    assert!(nothing.contains("has nothing left to train"), "{nothing}");
}

#[test]
fn a_killed_training_is_resumed_to_the_same_bits() {
    let place = Place::new();
    projects(&place);
    let shard = list(&place);
    let line = format!("work --shard t.jsonl:{shard} --out parts");
    let start = std::time::Instant::now();
    place.result(&line);
    let length = start.elapsed();
    let part = place.path("parts").join(format!("part-{shard:06}"));
    let kept = |part: &Path| {
        let mut files = contents(&part.join("run"));
        files.retain(|name, _| KEPT.contains(&name.as_str()));
        assert_eq!(files.len(), KEPT.len());
        files
    };
    let whole = kept(&part);
    fs::remove_dir_all(&part).unwrap();
    let mut kills = 0;
    let hits = kill_so_many(10, &place, &line, length, |_| {
        place.result(&line);
        assert!(kept(&part) == whole, "other weights");
        let left: Vec<_> = fs::read_dir(place.path("parts")).unwrap().collect();
        assert_eq!(left.len(), 2, "something is left over: {left:?}");
        fs::remove_dir_all(&part).unwrap();
        kills += 1;
    });
    assert!(hits * 4 >= kills, "only {hits} of {kills} kills hit");
}

#[test]
fn a_changed_part_of_a_training_is_named_and_nothing_of_it_is_taken() {
    let place = Place::new();
    projects(&place);
    list(&place);
    place.result("work --shard t.jsonl:1 --out parts");
    let part = place.path("parts/part-000001");
    let files = contents(&part);
    assert!(files.len() > 5);
    for (name, bytes) in &files {
        if name.starts_with("run/cache/") || bytes.is_empty() {
            continue;
        }
        let mut changed = bytes.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 4;
        fs::write(part.join(name), &changed).unwrap();
        let sentence = place.line("merge q parts --json").failure("merge");
        let named = name.rsplit('/').next().unwrap();
        assert!(
            sentence.contains("4 of 4 parts are missing"),
            "{name}: {sentence}"
        );
        assert!(sentence.contains(named), "{name}: {sentence}");
        fs::remove_file(part.join(name)).unwrap();
        let sentence = place.line("merge q parts --json").failure("merge");
        assert!(sentence.contains(named), "{name}: {sentence}");
        fs::write(part.join(name), bytes).unwrap();
    }
    assert_eq!(
        contents(&place.path("q/runs")).len(),
        0,
        "something was taken"
    );
    // Of another project, another sweep, another list.
    let other = place.line("merge p parts --json").failure("merge");
    assert!(
        other.contains("which “") && other.contains("does not have"),
        "{other}"
    );
    let listed = place.result("sweep q --resume latest --out other.jsonl");
    assert_eq!(listed["trainings"], 4);
    place.result(&format!("sweep q {SWEEP} --out another.jsonl"));
    let other = place.failure("work --shard another.jsonl:1 --out parts");
    assert!(other.contains("a different list"), "{other}");
    // Unfinished work for another list is not touched.
    let begun = place.path("parts/part-000002.partial/runs/kept");
    fs::create_dir_all(&begun).unwrap();
    let other = place.failure("work --shard another.jsonl:2 --out parts");
    assert!(
        other.contains("a different list") && begun.exists(),
        "{other}"
    );
    // A training that is impossible is a row with its reason.
    let classes = place.path("q/classes");
    let mut folders: Vec<_> = fs::read_dir(&classes).unwrap().collect();
    drop(folders.pop());
    for folder in folders {
        fs::remove_dir_all(folder.unwrap().path()).unwrap();
    }
    let made = place.result("work --shard another.jsonl:1 --out failed");
    let error = made["training"]["error"].as_str().unwrap();
    assert!(error.contains("class"), "{error}");
    let sentence = place.line("merge q failed --json").failure("merge");
    assert!(sentence.contains("3 of 4 parts are missing"), "{sentence}");
    let shown = place.result("sweeps q --show latest");
    assert!(shown["rows"].to_string().contains(&error[..20]), "{shown}");
    let warned = place.line("merge q failed");
    assert!(warned.stderr.contains(error), "{}", warned.stderr);
    // Of two copies the intact one is used.
    for (name, bytes) in contents(&place.path("parts")) {
        let copy = place.path("copies").join(name);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::write(copy, bytes).unwrap();
    }
    fs::remove_file(part.join("run/weights.safetensors")).unwrap();
    place.line("merge q parts copies --json").failure("merge");
    assert_eq!(weights(&place, "q").len(), 1);
}
