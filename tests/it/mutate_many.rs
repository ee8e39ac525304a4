//! Files changed at random, many in one process: the library reads a changed project, run, cache, model or export with
//! a value or an error, never with a panic in any thread, a signal or an endless wait. Changes of a file with a stored
//! hash are refused.
//!
//! [`mutate`](super::mutate) runs whole commands on fewer of them. `SALAMANDER_MUTATIONS` is the number of changes for
//! each kind (10 by default), `SALAMANDER_MUTATION_SEED` the first seed (0), `SALAMANDER_MUTATED` the only kind to
//! test.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use egui::accesskit::Role;
use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, expected_frames};
use salamander::backbone::{Asked, inspect, open_own};
use salamander::curate::groups;
use salamander::evaluate::{Predictor, evaluate, test_uses};
use salamander::export::{Format, Order, export, exports_in, verify_bundle};
use salamander::jobs::Work;
use salamander::project::{ClassName, Project, Split, SplitSettings};
use salamander::sweep::find_sweeps;
use salamander::train::{LiveCurves, RunClasses, find_runs, resume, train};

use crate::changes::{Random, changed};
use crate::cli_program::{Place, copy_dir};
use crate::kill::contents;
use crate::mutate::{all_files, from_env};
use crate::projects::{change_tensors, of_images, quick, without_hashes};
use crate::window::Desk;

/// The working folder of a child process.
const HERE: &str = "SALAMANDER_MUTATE_IN";
/// Address space for the process, KiB.
const MOST_KIB: u64 = 12 << 20;
/// After this time work on one input is cancelled; it may be a long training.
const CANCELLED_AFTER: Duration = Duration::from_secs(5);
/// A process that takes longer than this for one input hangs.
const HANGS_AFTER: Duration = Duration::from_mins(2);

/// Files to change, and the code that reads them.
struct Kind {
    name: &'static str,
    /// The folder of its files, below the working folder.
    folder: &'static str,
    /// The ending of the names of its files.
    ending: &'static str,
    read: fn(&Path, &Work) -> Result<(), String>,
    /// Whether each change must be refused.
    hashed: bool,
}

impl Kind {
    /// What is restored after each change: for a project, all of it.
    fn top(&self) -> &str {
        self.folder.split('/').next().unwrap()
    }
}

const KINDS: [Kind; 14] = [
    kind("project", "p", "p/project.json", read_project),
    kind("run", "p", "run/run.json", read_run),
    kind("frames", "p", "run/frames.jsonl", read_run),
    kind("curves", "p", "run/curves.jsonl", read_run),
    kind("metrics", "p", "run/metrics.jsonl", read_run),
    kind("head", "p", "run/weights.safetensors", read_run),
    kind(
        "checkpoint",
        "p",
        "run/checkpoint.safetensors",
        read_resumed,
    ),
    kind("cache", "p/cache", "", read_run),
    kind("onnx", "onnx", "model.onnx", read_onnx),
    kind("tflite", "tflite", "model.tflite", |here, work| {
        predict_with(&here.join("tflite/model.tflite"), work)
    }),
    kind("graph", "graph", "output_graph.pb", |here, work| {
        predict_with(&here.join("graph/frozen-graph"), work)
    }),
    kind("window", "p", "p/project.json", read_window),
    kind("window-run", "p/runs", "", read_window),
    Kind {
        hashed: true,
        ..kind("export", "e", "", read_export)
    },
];

const fn kind(
    name: &'static str,
    folder: &'static str,
    ending: &'static str,
    read: fn(&Path, &Work) -> Result<(), String>,
) -> Kind {
    Kind {
        name,
        folder,
        ending,
        read,
        hashed: false,
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

fn read_project(here: &Path, work: &Work) -> Result<(), String> {
    let root = here.join("p");
    // From the previous change.
    drop(std::fs::remove_dir(root.join("classes/new")));
    let project = Project::open(&root).map_err(text)?;
    for mut source in project.sources() {
        let expected = expected_frames(source.duration_secs, &source.sampling);
        assert!(expected.is_none_or(|frames| frames < u64::MAX / 2));
        drop(source.frame_id(1.0, 100));
        source.begin_edition();
        project.put_source(source).map_err(text)?;
    }
    drop(open_own(&root));
    let frames = project.scan(work).map_err(text)?;
    let groups = groups(&project, &frames, work).map_err(text)?;
    let settings = SplitSettings::default();
    project
        .preview_splits(&frames, &groups, &settings)
        .map_err(text)?;
    project
        .assign_splits(&frames, &groups, &settings)
        .map_err(text)?;
    let name = ClassName::new("new").map_err(text)?;
    project.add_class(&name).map_err(text)?;
    drop(find_sweeps(&project).map_err(text)?);
    drop(exports_in(&project.exports_dir()));
    Ok(())
}

/// Everything that is read of a finished run, and its predictions for the test images.
fn read_run(here: &Path, work: &Work) -> Result<(), String> {
    let project = Project::open(&here.join("p")).map_err(text)?;
    let found = find_runs(&project).map_err(text)?;
    let mut refused = found.unreadable.into_iter().map(|run| text(run.error));
    for run in &found.runs {
        drop(run.all_notes());
        drop(RunClasses::of(&project, run));
        run.frames().map_err(text)?;
        run.calibrated_head().map_err(text)?;
        run.fine_tuned().map_err(text)?;
        run.note().map_err(text)?;
        for stage in run.stages() {
            stage.curves().map_err(text)?;
            stage.metrics().map_err(text)?;
        }
        let measured = evaluate(&project, run, Split::Test, work).map_err(text)?;
        let odd = measured
            .predictions
            .iter()
            .flat_map(|prediction| &prediction.probabilities)
            .any(|value| !(0.0..=1.0).contains(value));
        assert!(!odd, "a probability out of range");
        test_uses(&project, run, work).map_err(text)?;
    }
    refused.next().map_or(Ok(()), Err)
}

fn read_resumed(here: &Path, work: &Work) -> Result<(), String> {
    let project = Project::open(&here.join("p")).map_err(text)?;
    let found = find_runs(&project).map_err(text)?;
    for run in &found.runs {
        let curves = LiveCurves::default();
        resume(&project, &run.id, Some(22), &curves, work).map_err(text)?;
    }
    Ok(())
}

/// All pages of the window.
fn read_window(here: &Path, _: &Work) -> Result<(), String> {
    let mut desk = Desk::new(&here.join("config"), [1000.0, 700.0]);
    desk.act(Action::OpenProject(here.join("p")));
    desk.rest();
    for step in ["Import", "Label", "Evaluate", "Export", "Train"] {
        let tab = desk
            .harness
            .query_all_by_role_and_label(Role::Tab, step)
            .next();
        tab.ok_or("it was not opened")?.click();
        desk.harness.run_steps(10);
        // Measuring the depths of a training takes long.
        if step != "Train" {
            desk.rest();
        }
    }
    Ok(())
}

/// A model alone, without any hashes, for predictions and to be added to a project.
fn read_onnx(here: &Path, work: &Work) -> Result<(), String> {
    let path = here.join("onnx/model.onnx");
    drop(inspect(&path, &Asked::default()));
    predict_with(&path, work)
}

fn predict_with(model: &Path, work: &Work) -> Result<(), String> {
    let mut predictor = Predictor::from_export(model).map_err(text)?;
    let image = image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([x as u8, y as u8, 9]));
    predictor.probabilities(&image, work).map_err(text)?;
    Ok(())
}

fn read_export(here: &Path, work: &Work) -> Result<(), String> {
    let found = verify_bundle(&here.join("e"), work).map_err(text)?;
    found.problems.into_iter().next().map_or(Ok(()), Err)
}

/// A project with a run without checksums, so that changes are not detected by these, and the exports of the run for
/// these kinds.
fn set_up(here: &Path, kinds: &[&Kind]) {
    let work = Work::new();
    let project = of_images(&here.join("p"), &[("cat", 8), ("dog", 8), ("fox", 8)]);
    let settings = quick("efficientnet-lite0@96", 20);
    let run = train(&project, &settings, &LiveCurves::default(), &work).unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sample");
    salamander::media::import(
        &project,
        &[sample],
        &salamander::media::ImportOptions::default(),
        &work,
    )
    .unwrap();
    for (folder, format) in [
        ("e", Format::ONNX),
        ("onnx", Format::ONNX),
        ("tflite", Format::TFLITE),
        ("graph", Format::FROZEN_GRAPH),
    ] {
        if kinds.iter().all(|kind| kind.folder != folder) {
            continue;
        }
        let order = Order::from(format);
        export(&project, &run, &order, &here.join(folder), &work).unwrap();
        if folder != "e" {
            std::fs::remove_file(here.join(folder).join("export.json")).unwrap();
        }
    }
    drop(project);
    std::fs::rename(&run.dir, here.join("p/runs/run")).unwrap();
    let run = here.join("p/runs/run");
    without_hashes(&run);
    for file in ["weights.safetensors", "checkpoint.safetensors"] {
        change_tensors(&run.join(file), |_, _| ());
    }
}

/// Restores a folder.
fn put_back(folder: &Path, before: &BTreeMap<String, Vec<u8>>) {
    let now = contents(folder);
    for name in now.keys().filter(|name| !before.contains_key(*name)) {
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    for (name, bytes) in before {
        if now.get(name) != Some(bytes) {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
}

/// Processes the seeds of one kind in this process, from the one in `at`; records the current one, and failures.
fn work_through(here: &Path, kind: &Kind, end: u64) {
    static PANICS: AtomicU64 = AtomicU64::new(0);
    let note = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        note(info);
    }));
    let files = all_files(&here.join(kind.folder), kind.ending);
    let folder = here.join(kind.top());
    let before = contents(&folder);
    (kind.read)(here, &Work::new()).unwrap();
    put_back(&folder, &before);
    let mut refused = 0;
    let at = here.join("at");
    let first: u64 = std::fs::read_to_string(&at).unwrap().parse().unwrap();
    for seed in first..end {
        std::fs::write(&at, seed.to_string()).unwrap();
        let mut random = Random(seed);
        random.next();
        let path: &PathBuf = random.one(&files);
        std::fs::write(path, changed(path, &mut random)).unwrap();
        let work = Work::new();
        let timer = work.clone();
        let (done, ended) = std::sync::mpsc::channel::<()>();
        let watch = std::thread::spawn(move || {
            if ended.recv_timeout(CANCELLED_AFTER).is_err() {
                timer.cancel();
            }
        });
        let read = std::panic::AssertUnwindSafe(|| (kind.read)(here, &work));
        let read = std::panic::catch_unwind(read);
        done.send(()).ok();
        watch.join().unwrap();
        refused += u64::from(matches!(read, Ok(Err(_))));
        let what = match read {
            _ if PANICS.swap(0, Ordering::Relaxed) > 0 => "panics",
            Ok(Ok(())) if kind.hashed => "is accepted",
            Ok(Err(error)) if error.contains("an internal error of") => "panics",
            _ => "",
        };
        if !what.is_empty() {
            let name = path.strip_prefix(here).unwrap().display();
            let known = std::fs::read_to_string(here.join("wrong")).unwrap_or_default();
            let line = format!("{known}{}, seed {seed}: {name} {what}\n", kind.name);
            std::fs::write(here.join("wrong"), line).unwrap();
        }
        put_back(&folder, &before);
    }
    std::fs::write(&at, end.to_string()).unwrap();
    let counts = format!("{refused} of {} refused", end - first);
    std::fs::write(here.join("counts"), counts).unwrap();
}

/// Processes the seeds of a kind in child processes; one that dies or hangs is reported, and another begins after that
/// seed.
fn all_seeds(here: &Path, kind: &Kind) -> String {
    let first = from_env("SALAMANDER_MUTATION_SEED", 0);
    let end = first + from_env("SALAMANDER_MUTATIONS", 10);
    let mut wrong = String::new();
    let at = here.join("at");
    std::fs::write(&at, first.to_string()).unwrap();
    loop {
        let program = std::env::current_exe().unwrap();
        let script = format!("ulimit -v {MOST_KIB}; exec \"$0\" \"$@\"");
        let message = std::fs::File::create(here.join("said")).unwrap();
        let mut child = Command::new("/bin/sh")
            .arg("-c")
            .arg(script)
            .arg(program)
            .args(["mutate_many::", "--nocapture"])
            .env(HERE, here)
            .env("SALAMANDER_MUTATED", kind.name)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(message)
            .spawn()
            .unwrap();
        let (mut seen, mut since) = (String::new(), Instant::now());
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            let now = std::fs::read_to_string(&at).unwrap();
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() > HANGS_AFTER {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let seed: u64 = std::fs::read_to_string(&at).unwrap().parse().unwrap();
        let end_of_it = status.map_or("hangs".to_owned(), |status| status.to_string());
        if !status.is_some_and(|status| status.success()) {
            let message = std::fs::read(here.join("said")).unwrap();
            let message = String::from_utf8_lossy(&message).into_owned();
            let name = kind.name;
            writeln!(wrong, "{name}, seed {seed}: {end_of_it}: {message}").unwrap();
        }
        if seed >= end {
            break;
        }
        // The folder is as the process left it.
        put_back(
            &here.join(kind.top()),
            &contents(&here.join("kept").join(kind.top())),
        );
        std::fs::write(&at, (seed + 1).to_string()).unwrap();
    }
    wrong
}

#[test]
fn what_was_changed_is_refused_or_read() {
    let only = std::env::var("SALAMANDER_MUTATED").ok();
    let wanted = |kind: &&Kind| only.as_deref().is_none_or(|only| only == kind.name);
    if let Some(here) = std::env::var_os(HERE) {
        let end = from_env("SALAMANDER_MUTATION_SEED", 0) + from_env("SALAMANDER_MUTATIONS", 10);
        for kind in KINDS.iter().filter(wanted) {
            work_through(Path::new(&here), kind, end);
        }
        return;
    }
    let place = Place::new();
    let here = place.path("");
    let kinds: Vec<&Kind> = KINDS.iter().filter(wanted).collect();
    set_up(&here, &kinds);
    let mut wrong = String::new();
    for kind in kinds {
        let kept = here.join("kept").join(kind.top());
        copy_dir(&here.join(kind.top()), &kept);
        let begun = Instant::now();
        wrong += &all_seeds(&here, kind);
        let counts = std::fs::read_to_string(here.join("counts")).unwrap_or_default();
        println!("{}: {counts}, {:.0?}", kind.name, begun.elapsed());
    }
    wrong += &std::fs::read_to_string(here.join("wrong")).unwrap_or_default();
    assert!(wrong.is_empty(), "{wrong}");
}
