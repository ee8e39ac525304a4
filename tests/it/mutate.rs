//! Files that were changed at random: whatever is in the documents, weights, caches and models that the program reads, it
//! ends by itself, with a sentence if it fails, and never by a panic, a signal or the clock. Where a hash is kept, what was
//! changed is refused.
//!
//! The changes come from seeds, so that a failure can be repeated. `SALAMANDER_MUTATIONS` says how many there are of each
//! kind of file (3 by default), `SALAMANDER_MUTATION_SEED` which comes first (0).
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli_program::Place;

/// So much address space may the program take, in KiB: a model of a few MB does not need it.
const MOST_KIB: u64 = 12 << 20;
/// So long may a command take, in a build without optimisation on a busy machine.
const MOST_TIME: Duration = Duration::from_mins(3);

fn from_env(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// `SplitMix64` (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// All values within a JSON value, as pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                places(value, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                places(value, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// Values that nobody expects.
fn odd_value(random: &mut Random) -> Value {
    let all = [
        json!(0),
        json!(1),
        json!(-1),
        json!(255),
        json!(65_536),
        json!(u32::MAX),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e-308),
        json!(1e308),
        json!(-1e308),
        json!(0.5),
        json!(null),
        json!(true),
        json!(""),
        json!("\u{202e}\u{1b}[31m\n"),
        json!("../../../etc/passwd"),
        json!("/dev/zero"),
        json!("x".repeat(70_000)),
        json!([]),
        json!({}),
        json!([[[[]]]]),
        json!({"a": {"b": 1}}),
    ];
    random.one(&all).clone()
}

/// A JSON document with one to three values changed or removed.
fn json_changed(value: &mut Value, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let mut all = Vec::new();
        places(value, "", &mut all);
        all.retain(|place| !place.is_empty());
        if all.is_empty() {
            return;
        }
        let place = random.one(&all).clone();
        if random.below(6) == 0 {
            let (above, key) = place.rsplit_once('/').unwrap();
            match value.pointer_mut(above) {
                Some(Value::Object(fields)) => {
                    fields.remove(&key.replace("~1", "/").replace("~0", "~"));
                }
                Some(Value::Array(items)) => {
                    items.remove(key.parse().unwrap());
                }
                _ => {}
            }
        } else if let Some(found) = value.pointer_mut(&place) {
            *found = odd_value(random);
        }
    }
}

/// Bytes with bits flipped, numbers replaced, a piece lost, doubled or put elsewhere.
fn bytes_changed(bytes: &mut Vec<u8>, random: &mut Random) {
    // Headers are worth more than the middle of weights.
    let at = |random: &mut Random, length: usize| match random.below(2) {
        0 => random.below(length.min(512)),
        _ => random.below(length),
    };
    for _ in 0..=random.below(4) {
        let length = bytes.len();
        if length == 0 {
            return;
        }
        let place = at(random, length);
        match random.below(6) {
            0 | 1 => bytes[place] ^= 1 << random.below(8),
            2 => bytes[place] = *random.one(&[0, 1, 0x7f, 0x80, 0xff]),
            3 => {
                let number = random.one(&[0_u64, 1, u64::MAX, 1 << 31, 1 << 40, u64::MAX >> 1]);
                for (byte, new) in bytes.iter_mut().skip(place).zip(number.to_le_bytes()) {
                    *byte = new;
                }
            }
            4 => bytes.truncate(place),
            _ => {
                let end = (place + random.below(64)).min(length);
                let piece = bytes[place..end].to_vec();
                let to = at(random, length);
                bytes.splice(to..to, piece);
            }
        }
    }
}

/// The changed contents of a file, other than they are.
fn changed(path: &Path, random: &mut Random) -> Vec<u8> {
    let old = std::fs::read(path).unwrap();
    let is_json = path.extension().is_some_and(|name| name == "json");
    let is_lines = path.extension().is_some_and(|name| name == "jsonl");
    loop {
        let mut new = old.clone();
        // Of the cache some end with a hash.
        let value = serde_json::from_slice::<Value>(&old);
        if let Ok(mut value) = value
            && is_json
            && random.below(5) > 0
        {
            json_changed(&mut value, random);
            new = serde_json::to_vec(&value).unwrap();
        } else if is_lines && random.below(5) > 0 {
            let text = String::from_utf8(old.clone()).unwrap();
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            if !lines.is_empty() {
                let at = random.below(lines.len());
                let mut value: Value = serde_json::from_str(&lines[at]).unwrap();
                json_changed(&mut value, random);
                lines[at] = value.to_string();
            }
            new = lines.join("\n").into_bytes();
        } else {
            bytes_changed(&mut new, random);
        }
        if new != old {
            return new;
        }
    }
}

/// Runs a line with bounds; its code, and what it said. `what` names the change.
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
    let said = std::fs::read(place.path("said")).unwrap();
    let said = String::from_utf8_lossy(&said).into_owned();
    let code = status.code();
    assert!(
        matches!(code, Some(0 | 1)) && !said.contains("panicked") && !said.contains("a defect in"),
        "{what}: {line}: {status}: {said}"
    );
    (code.unwrap_or_default(), said)
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// What is done with what was changed.
struct Case<'a> {
    /// The folder that is put back before each change.
    folder: &'a str,
    /// Files of it, relative to the temporary folder.
    files: Vec<PathBuf>,
    /// Lines of the command line that read it; two of them for each change, all where it must be refused.
    lines: &'a [&'a str],
    /// Whether each change must be refused by one of the lines.
    hashed: bool,
}

fn all_files(place: &Place, folder: &str, ending: &str) -> Vec<PathBuf> {
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
    walk(&place.path(folder), &mut found);
    // What is empty, as a lock is, cannot be changed.
    found.retain(|path| {
        let is_named = path.to_str().is_some_and(|name| name.ends_with(ending));
        is_named && std::fs::metadata(path).is_ok_and(|found| found.len() > 0)
    });
    found.sort();
    assert!(!found.is_empty(), "{folder}: {ending}");
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
        "train p --depth head --how-many-training-steps 20 --testing-percentage 25",
        "sweep p --depths head --set how-many-training-steps=2,3 --testing-percentage 25",
    ] {
        let done = place.line(line);
        assert_eq!(done.code, Some(0), "{line}: {}", done.stderr);
    }
    let frames = all_files(place, "p/classes", ".jpg");
    std::fs::copy(&frames[0], place.path("x.jpg")).unwrap();
    let run = all_files(place, "p/runs", "_1/run.json").remove(0);
    std::fs::rename(run.parent().unwrap(), place.path("p/runs/run")).unwrap();
    // As an earlier version wrote it: what is changed gets past the checksums.
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
    let sweeps = all_files(&place, "p/sweeps", "sweep.json");
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
        "train p --depth head --how-many-training-steps 2",
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
        (all_files(&place, "p/cache", ""), &on_cache),
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
    // Whatever is changed in it, the proof does not hold any more.
    let files = all_files(&place, "e", "");
    let lines = ["verify e", "predict e x.jpg"];
    let case = Case {
        folder: "e",
        files,
        lines: &lines,
        hashed: true,
    };
    mutate(&place, &case);
    // Models alone, which nothing vouches for.
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
            files: all_files(&place, "e", ending),
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
        (all_files(&place, "w/parts", ""), "merge w/q w/parts"),
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
