//! `packaging/cluster/salamander_ray.py` with Ray on this computer: it merges to the same as an import, even if one of
//! its workers is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::cli_program::{Place, Ran};
use crate::export::interpreter;
use crate::shards::{ARCHITECTURE, TAKING, classes, features, list};

const ARCHITECTURES: &str = " --architectures efficientnet-lite0@96";

/// The Python with Ray. If it could not be installed, the test is skipped with a message.
fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/ray/bin/python");
    let found = interpreter(&python)
        .args(["-c", "import ray, fsspec"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("SKIPPED: no Python with Ray in target/ray (packaging/setup.sh --tests)");
    }
    found.then_some(python)
}

/// The script on a cluster on this computer with a core for each shard of a list.
fn script(python: &Path, place: &Place, list: &str, out: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/cluster/salamander_ray.py");
    let mut command = interpreter(python);
    command
        .arg(script)
        .args([list, "--out", out, "--project", "q", "--json"])
        .args(["--address", "local", "--cpus", "1"])
        .arg("--scratch")
        .arg(place.path("scratch"))
        .args(["--program", env!("CARGO_BIN_EXE_salamander")])
        .current_dir(place.path(""))
        .env("HOME", place.path(""))
        .env("RAY_TMPDIR", place.path("ray"))
        .env_remove("RAY_ADDRESS");
    command
}

fn events(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    ran.json()
}

fn count(events: &[Value], name: &str) -> usize {
    events.iter().filter(|line| line["event"] == name).count()
}

/// The processes that make parts in this place, each with its parent.
fn workers(place: &Place) -> Vec<(u32, u32)> {
    let scratch = place.path("scratch");
    let mark = format!("{}/", scratch.display());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter_map(|number: u32| {
            let line = fs::read_to_string(format!("/proc/{number}/cmdline")).ok()?;
            let program = line.split('\0').next()?;
            if !program.ends_with("/salamander") || !line.contains(&mark) {
                return None;
            }
            // "pid (name) state parent …"
            let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split(' ').nth(2)?.parse().ok()?;
            Some((number, parent))
        })
        .collect()
}

/// Waits until `check` finds something; fails if the child ends.
fn wait_for<T>(child: &mut Child, mut check: impl FnMut() -> Option<T>) -> Option<T> {
    while child.try_wait().unwrap().is_none() {
        if let Some(found) = check() {
            return Some(found);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

#[test]
fn parts_made_by_ray_are_merged_to_what_an_import_makes() {
    let Some(python) = python() else {
        return;
    };
    let place = Place::new();
    place.videos();
    place.result("new p");
    place.result(&format!("import p videos {TAKING}"));
    let shards = list(&place, ARCHITECTURE);
    assert!(shards > 2);

    // Parts in a folder. A worker is killed: its child dies too, and the shard is made again.
    let mut child = script(&python, &place, "l.jsonl", "parts")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (work, worker) =
        wait_for(&mut child, || workers(&place).first().copied()).expect("no part was made");
    let kill = Command::new("kill")
        .args(["-9", &worker.to_string()])
        .status();
    assert!(kill.unwrap().success(), "the worker was gone already");
    wait_for(&mut child, || {
        workers(&place)
            .iter()
            .all(|(number, _)| *number != work)
            .then_some(())
    })
    .expect("the program outlived its worker");
    let lines = events(&Ran::of(&child.wait_with_output().unwrap()));
    assert_eq!(count(&lines, "shard"), shards);
    assert_eq!(count(&lines, "retry"), 1);
    let result = lines.last().unwrap();
    assert_eq!(result["event"], "result");
    assert_eq!(result["parts"], shards);

    assert!(classes(&place, "q") == classes(&place, "p"));
    assert!(features(&place, "q", true) == features(&place, "p", false));
    let left: Vec<_> = fs::read_dir(place.path("scratch")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");

    // A second run makes nothing; then a missing part is made.
    fs::remove_dir_all(place.path("parts/part-000002")).unwrap();
    let again = events(&Ran::of(
        &script(&python, &place, "l.jsonl", "parts")
            .output()
            .unwrap(),
    ));
    assert_eq!(count(&again, "shard"), 1);
    assert_eq!(again.last().unwrap()["frames"], 0);

    // A sweep's trainings are tasks in the same way.
    place.result(&format!(
        "sweep q{ARCHITECTURES} --set seed=0,1 --depths head --how-many-training-steps 10 --out t.jsonl"
    ));
    let trained = events(&Ran::of(
        &script(&python, &place, "t.jsonl", "runs").output().unwrap(),
    ));
    assert_eq!(count(&trained, "shard"), 2);
    assert_eq!(trained.last().unwrap()["runs"].as_array().unwrap().len(), 2);
    let runs = fs::read_dir(place.path("q/runs")).unwrap();
    assert_eq!(runs.count(), 2);
}

#[test]
fn films_and_parts_may_lie_in_a_store() {
    let Some(python) = python() else {
        return;
    };
    let place = Place::new();
    place.videos();
    place.result("new p");
    place.result(&format!("import p videos {TAKING}"));
    let shards = list(&place, ARCHITECTURE);
    // The films are at another place than in the list.
    let films = place.path("videos");
    fs::rename(&films, place.path("bucket")).unwrap();
    let media = format!(
        "{}=file://{}",
        films.display(),
        place.path("bucket").display()
    );
    let store = format!("file://{}", place.path("store").display());
    let mut command = script(&python, &place, "l.jsonl", &store);
    let lines = events(&Ran::of(
        &command.args(["--media", &media]).output().unwrap(),
    ));
    assert_eq!(count(&lines, "shard"), shards);
    assert!(classes(&place, "q") == classes(&place, "p"));
    let left: Vec<_> = fs::read_dir(place.path("scratch")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");

    // A file is missing from the store: one sentence with its name.
    fs::remove_dir_all(place.path("store")).unwrap();
    fs::remove_file(place.path("bucket/bars/bars-1.mp4")).unwrap();
    let mut command = script(&python, &place, "l.jsonl", &store);
    let ran = Ran::of(
        &command
            .args(["--media", &media, "--retries", "0"])
            .output()
            .unwrap(),
    );
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("bars-1.mp4 is not at file://"),
        "{}",
        ran.stdout
    );
    let last = ran.stderr.lines().last().unwrap();
    assert!(
        last.starts_with("error: ") && last.contains("1 of "),
        "{last}"
    );
}
