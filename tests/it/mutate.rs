//! Files changed at random: whatever the documents, weights, caches and models contain that the program reads, it ends
//! by itself, with a message if it fails, and never by a panic, a signal or a timeout. If a hash is stored, changes
//! are refused.
//!
//! The changes come from seeds, so that a failure can be repeated. `SALAMANDER_MUTATIONS` is the number of changes for
//! each kind of file (3 by default), `SALAMANDER_MUTATION_SEED` the first seed (0).
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::changes::{Random, changed};
use crate::cli_program::{Place, copy_dir};

/// Address space for the program, KiB: a model of a few MB does not need it.
const MOST_KIB: u64 = 12 << 20;
/// The timeout of a command, in a build without optimisation on a busy computer.
const MOST_TIME: Duration = Duration::from_mins(3);

pub fn from_env(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Runs a line with limits; returns its code and its output. `what` describes the change.
fn ended(place: &Place, line: &str, what: &str) -> (i32, String) {
    let program = env!("CARGO_BIN_EXE_salamander");
    let script = format!("ulimit -v {MOST_KIB}; exec '{program}' \"$@\"");
    let mut command = place.command::<&str>(&[]);
    let environment: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    command = std::process::Command::new("/bin/sh");
    let out = std::fs::File::create(place.path("said")).unwrap();
    let mut child = command
        .args(["-c", &script, "sh"])
        .args(line.split(' '))
        .current_dir(place.path(""))
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(out)
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > MOST_TIME {
            child.kill().unwrap();
            panic!("{what}: {line} hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let message = std::fs::read(place.path("said")).unwrap();
    let message = String::from_utf8_lossy(&message).into_owned();
    let code = status.code();
    assert!(
        matches!(code, Some(0 | 1))
            && !message.contains("panicked")
            && !message.contains("an internal error of"),
        "{what}: {line}: {status}: {message}"
    );
    (code.unwrap_or_default(), message)
}

/// Files to change, and the commands that read them.
struct Case<'a> {
    /// The folder that is restored before each change.
    folder: &'a str,
    /// Files of it, relative to the temporary folder.
    files: Vec<PathBuf>,
    /// Commands that read it; two of them for each change, or all if it must be refused.
    lines: &'a [&'a str],
    /// Whether each change must be refused by one of the commands.
    hashed: bool,
}

/// Files below a folder with this ending, sorted.
pub fn all_files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, &mut found);
    // Empty files, such as a lock, cannot be changed.
    found.retain(|path| {
        let is_named = path.to_str().is_some_and(|name| name.ends_with(ending));
        is_named && std::fs::metadata(path).is_ok_and(|found| found.len() > 0)
    });
    found.sort();
    assert!(!found.is_empty(), "{}: {ending}", folder.display());
    found
}

fn mutate(place: &Place, case: &Case<'_>) {
    let (count, first) = (
        from_env("SALAMANDER_MUTATIONS", 3),
        from_env("SALAMANDER_MUTATION_SEED", 0),
    );
    let kept = place.path("kept");
    copy_dir(&place.path(case.folder), &kept);
    for seed in first..first + count {
        let mut random = Random(seed);
        random.next();
        let path = random.one(&case.files).clone();
        let new = changed(&path, &mut random);
        std::fs::write(&path, &new).unwrap();
        let what = format!("seed {seed}, {}", path.display());
        let mut refused = false;
        let mut lines = case.lines.to_vec();
        if !case.hashed {
            // Two of them, others with another seed.
            let first = random.below(lines.len());
            lines.rotate_left(first);
            lines.truncate(2);
        }
        for line in lines {
            refused |= ended(place, line, &what).0 == 1;
        }
        assert!(refused || !case.hashed, "{what}: the change was accepted");
        std::fs::remove_dir_all(place.path(case.folder)).unwrap();
        copy_dir(&kept, &place.path(case.folder));
    }
    std::fs::remove_dir_all(kept).unwrap();
}

/// A project with a run, a sweep and an image.
fn project(place: &Place) {
    place.project();
    for line in [
        "train p --depth head --how-many-training-steps 20 --architecture efficientnet-lite0@96 --testing-percentage 25",
        "sweep p --depths head --architectures efficientnet-lite0@96 --set how-many-training-steps=2,3 --testing-percentage 25",
    ] {
        let done = place.line(line);
        assert_eq!(done.code, Some(0), "{line}: {}", done.stderr);
    }
    let frames = all_files(&place.path("p/classes"), ".jpg");
    std::fs::copy(&frames[0], place.path("x.jpg")).unwrap();
    let run = all_files(&place.path("p/runs"), "_1/run.json").remove(0);
    std::fs::rename(run.parent().unwrap(), place.path("p/runs/run")).unwrap();
    // As written by an earlier version, without checksums, so that changes are not detected by these.
    let path = place.path("p/runs/run/run.json");
    let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let fields = value.as_object_mut().unwrap();
    fields.remove("checksum");
    fields.remove("blake3");
    std::fs::write(path, value.to_string()).unwrap();
}

#[test]
fn a_changed_project_is_refused_or_read() {
    let place = Place::new();
    project(&place);
    let run = |name: &str| place.path("p/runs/run").join(name);
    let documents = ["run.json", "frames.jsonl", "curves.jsonl", "metrics.jsonl"];
    let weights = ["weights.safetensors", "checkpoint.safetensors"];
    let mut weights = weights.map(run).to_vec();
    weights.retain(|path| path.exists());
    let mut documents = documents.map(run).to_vec();
    documents.retain(|path| std::fs::metadata(path).is_ok_and(|found| found.len() > 0));
    let sweeps = all_files(&place.path("p/sweeps"), "sweep.json");
    let on_project = [
        "classes p",
        "sources p",
        "import p videos/bars --fps 1",
        "evaluate p --run run",
    ];
    let on_run = [
        "runs p",
        "evaluate p --run run",
        "predict p/runs/run x.jpg",
        "train p --resume run --how-many-training-steps 22",
        "export p --run run --format onnx --out o --force",
    ];
    let on_cache = [
        "evaluate p --run run",
        "train p --depth head --how-many-training-steps 2 --architecture efficientnet-lite0@96",
    ];
    let on_sweep = [
        "sweeps p",
        "sweeps p --show latest",
        "sweep p --resume latest",
    ];
    for (files, lines) in [
        (vec![place.path("p/project.json")], on_project.as_slice()),
        (documents, &on_run),
        (weights, &on_run),
        (all_files(&place.path("p/cache"), ""), &on_cache),
        (sweeps, &on_sweep),
    ] {
        let case = Case {
            folder: "p",
            files,
            lines,
            hashed: false,
        };
        mutate(&place, &case);
    }
}

#[test]
fn a_changed_export_is_refused_or_read() {
    let place = Place::new();
    project(&place);
    let exported =
        place.line("export p --run run --format onnx,tflite,coreml,frozen-graph --out e");
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    // Whatever is changed in it, the verification fails.
    let files = all_files(&place.path("e"), "");
    let lines = ["verify e", "predict e x.jpg"];
    let case = Case {
        folder: "e",
        files,
        lines: &lines,
        hashed: true,
    };
    mutate(&place, &case);
    // Models alone, without any hashes.
    std::fs::remove_file(place.path("e/export.json")).unwrap();
    for (ending, line) in [
        (".onnx", "predict e/model.onnx x.jpg"),
        (".tflite", "predict e/model.tflite x.jpg"),
        (".mlmodel", "predict e/Model.mlpackage x.jpg"),
        (".pb", "predict e/frozen-graph/output_graph.pb x.jpg"),
        (".onnx", "architectures add p e/model.onnx"),
    ] {
        let case = Case {
            folder: "e",
            files: all_files(&place.path("e"), ending),
            lines: &[line],
            hashed: false,
        };
        mutate(&place, &case);
    }
}

#[test]
fn changed_shards_and_parts_are_refused_or_merged() {
    let place = Place::new();
    place.videos();
    std::fs::create_dir(place.path("w")).unwrap();
    let taking = "--class-from folder --fps 5 --width 160 --architecture efficientnet-lite0@96";
    for line in [
        "new w/q",
        &format!("shards w/q videos/bars --out w/l.jsonl --size 0.06 {taking}"),
        "work --shard w/l.jsonl:1 --out w/parts",
        "work --shard w/l.jsonl:2 --out w/parts",
    ] {
        let done = place.line(line);
        assert_eq!(done.code, Some(0), "{line}: {}", done.stderr);
    }
    let manifest = place.path("w/parts/part-000002/manifest.json");
    for (files, line) in [
        (all_files(&place.path("w/parts"), ""), "merge w/q w/parts"),
        (
            vec![place.path("w/l.jsonl")],
            "work --shard w/l.jsonl:1 --out w/fresh",
        ),
        (
            vec![place.path("w/parts/shards.jsonl")],
            "merge w/q w/parts",
        ),
        (vec![manifest], "work --shard w/l.jsonl:2 --out w/parts"),
    ] {
        let case = Case {
            folder: "w",
            files,
            lines: &[line],
            hashed: false,
        };
        mutate(&place, &case);
    }
}
