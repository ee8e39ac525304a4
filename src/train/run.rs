//! A run: one training with its settings, curves, weights and results, in a folder of its own, never overwritten.
//!
//! | file | content |
//! | --- | --- |
//! | `run.json` | settings, preprocessing, classes, state, the results of its stages, the versions it was made with, and hashes of the files that no longer change |
//! | `frames.jsonl` | the frames with class, group, split and content, one per line |
//! | `curves.jsonl` | one evaluation per line |
//! | `metrics.jsonl` | other metrics at these steps; missing in runs of earlier versions |
//! | `checkpoint.safetensors` | the state of the training: weights, the optimiser's state, the best weights so far |
//! | `weights.safetensors` | the kept head: `w` `f32[D, C]`, `b` `f32[C]`; with a hidden layer `hidden.w` `f32[D, H]`, `hidden.b` `f32[H]`, and `w` `f32[H, C]` |
//! | `head_curves.jsonl`, `head_metrics.jsonl`, `head_only.safetensors` | in a fine-tuned run: curves, metrics and kept weights of the head alone. The first two also in a run whose depth was decided after its head |
//! | `fine_tune.safetensors` | the state of the fine-tuning |
//! | `backbone.safetensors` | the fine-tuned weights of the backbone, by name; missing if only the head was trained |
//! | `note.json` | name and note by the user |
//! | `calibration.json` | the temperature of its probabilities |
//! | `report.html` | its report, if requested in the window; like the two before, written after the training |
//! | `cache/` | bottlenecks of the fine-tuned backbone; can be deleted |
//! | `train/`, `validation/` | TensorBoard event files, which grow with the checkpoints |
//! | `events.out.tfevents.…` | the event file of the finished run: settings, results, confusion matrix |
//! | `head/train/`, `head/validation/` | event files of the head alone, if its curves are `head_curves.jsonl` |

mod earlier;
mod hashes;
mod result;
mod stage;
mod weights;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::backbone::{Preprocessing, open_own};
use crate::jobs::Work;
use crate::project::{ClassId, ClassName, ContentId, Project, Split};

use super::files;
use super::tensorboard::{Events, Tested};
use super::{Decision, EvalSpacing, Head, TrainError, TrainSettings};

use hashes::Hashes;
pub use result::StageResult;
pub use stage::Stage;
use weights::write_head;

/// The version of the format. Versions 1 to 3 had [a result instead of stages](earlier).
const FORMAT: u32 = 4;

/// The file of the fine-tuned weights of the backbone.
const FINE_TUNED_FILE: &str = "backbone.safetensors";

/// The file of the head before the fine-tuning.
const HEAD_ALONE: &str = "head_only.safetensors";

/// The file of the head.
const HEAD_FILE: &str = "weights.safetensors";

/// The file of the frames.
const FRAMES_FILE: &str = "frames.jsonl";

/// The name of a run's folder, `2026-11-24_efficientnet-lite0@224_1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId(pub String);

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The sweep that a run belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The name of the sweep's folder, for users; after the sweep is removed, another may get it.
    pub sweep: String,
    /// When the sweep was begun, RFC 3339 with milliseconds, which identifies it in the project.
    pub begun: String,
    /// The number of this training in the sweep, from 1.
    pub training: u32,
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Begun. Unless it is being trained, it was interrupted and can be resumed.
    Unfinished,
    /// All steps are done, or it was stopped by the user with the best weights kept.
    Finished,
}

/// A frame at the time of the training: enough to evaluate again and to detect changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFrame {
    /// Path relative to the project's root at that time.
    pub path: String,
    /// Index into `classes`.
    pub class: usize,
    /// Its group in the split.
    pub group: String,
    /// Its side.
    pub split: Split,
    /// The identity of its contents; `None` in a run from before this was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentId>,
}

/// A class of a training.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RunClass {
    pub id: ClassId,
    pub name: String,
}

/// A run on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// Its folder.
    pub dir: PathBuf,
    /// Its settings.
    pub settings: TrainSettings,
    /// How images are converted to the network's input.
    pub preprocessing: Preprocessing,
    /// Class names in the order of the logits, at the time of the training; [`RunClasses`](super::RunClasses) has the
    /// current ones.
    pub classes: Vec<String>,
    /// The identities of these classes.
    pub class_ids: Vec<ClassId>,
    /// When it was begun, RFC 3339 with milliseconds, UTC.
    pub created: String,
    /// Its state.
    pub state: RunState,
    /// The results of its finished stages, in order.
    pub results: Vec<StageResult>,
    /// Remarks on its data that are known before its end: how the split was made, frames left out.
    pub notes: Vec<String>,
    /// The sweep that it belongs to, if any. The sweep may have been removed.
    pub parent: Option<Parent>,
    /// Its number in the order in which the project's runs were begun, from 1; 0 for a run of an earlier version,
    /// which is older.
    pub number: u64,
    /// Whether it was continued on other frames or labels than it was begun with.
    pub other_frames: bool,
    /// How its depth was decided; `None` if the user chose it, or before it is decided.
    pub decision: Option<Decision>,
    /// Seconds for bottlenecks and before a pause, included in the result.
    pub(super) preparation_secs: f64,
    /// The hash of its fine-tuned weights, if there are any.
    pub(super) fine_tuned_hash: Option<String>,
    /// The hashes of its other files.
    hashes: Hashes,
}

/// The contents of `run.json`.
#[derive(Serialize, Deserialize)]
struct RunFile {
    format: u32,
    created: String,
    salamander: String,
    onnx_runtime: String,
    machine: String,
    settings: TrainSettings,
    preprocessing: Preprocessing,
    classes: Vec<String>,
    /// Missing in a run from before classes had identities: then they are derived from the names.
    #[serde(default)]
    class_ids: Vec<ClassId>,
    state: RunState,
    notes: Vec<String>,
    preparation_secs: f64,
    #[serde(default)]
    stages: Vec<StageResult>,
    /// In earlier formats.
    #[serde(default, skip_serializing)]
    head_only: Option<earlier::HeadOnly>,
    #[serde(default, skip_serializing)]
    result: Option<earlier::RunResult>,
    #[serde(
        default,
        rename = "tuned_hash",
        skip_serializing_if = "Option::is_none"
    )]
    fine_tuned_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<Parent>,
    #[serde(default)]
    number: u64,
    #[serde(default)]
    other_frames: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    depth_decision: Option<Decision>,
    #[serde(default, skip_serializing_if = "Hashes::is_empty")]
    blake3: Hashes,
}

impl RunFile {
    /// Why no training can have written it, as a sentence: it may have been edited, or come from anywhere.
    fn fault(&self) -> Option<String> {
        if let Some(fault) = self.preprocessing.fault() {
            return Some(fault);
        }
        if self.classes.is_empty() {
            return Some("it has no classes".into());
        }
        let wrong = |name: &String| ClassName::new(name).err();
        if let Some(error) = self.classes.iter().find_map(wrong) {
            return Some(error.to_string());
        }
        self.settings.check().err().map(|error| error.to_string())
    }
}

/// The properties of a run before its first step.
pub(super) struct NewRun<'a> {
    pub settings: &'a TrainSettings,
    pub preprocessing: &'a Preprocessing,
    pub classes: &'a [RunClass],
    pub frames: &'a [RunFrame],
    pub notes: Vec<String>,
    pub parent: Option<Parent>,
}

impl Run {
    /// Creates the folder of a new run and writes its properties.
    pub(super) fn create(project: &Project, new: NewRun<'_>) -> Result<Self, TrainError> {
        let NewRun {
            settings,
            preprocessing,
            classes,
            frames,
            notes,
            parent,
        } = new;
        let runs = project.runs_dir();
        project.make_runs_dir()?;
        let known = find_runs(project)?.runs;
        let last = known.iter().map(|run| run.number).max();
        let now = jiff::ZonedDateTime::now();
        let stem = format!("{}_{}", now.strftime("%Y-%m-%d"), settings.architecture);
        let mut number = 1;
        let (id, dir) = loop {
            let id = format!("{stem}_{number}");
            let dir = runs.join(&id);
            match crate::files::create_dir(&dir) {
                Ok(()) => break (RunId(id), dir),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(TrainError::io("create", &dir)(error)),
            }
        };
        let mut run = Self {
            id,
            dir,
            settings: settings.clone(),
            preprocessing: preprocessing.clone(),
            classes: classes.iter().map(|class| class.name.clone()).collect(),
            class_ids: classes.iter().map(|class| class.id).collect(),
            created: format!("{:.3}", now.timestamp()),
            state: RunState::Unfinished,
            results: Vec::new(),
            notes,
            parent,
            number: last.unwrap_or(0) + 1,
            other_frames: false,
            decision: None,
            preparation_secs: 0.0,
            fine_tuned_hash: None,
            hashes: Hashes::default(),
        };
        let path = run.dir.join(FRAMES_FILE);
        let lines = files::to_lines(&path, frames)?;
        files::write(&path, &lines)?;
        run.hashes.keep(&path, &lines);
        // Last, because the folder becomes a run with this file.
        run.save()?;
        Ok(run)
    }

    /// Reads the run in the folder `dir`.
    pub fn open(dir: &Path) -> Result<Self, TrainError> {
        let path = dir.join("run.json");
        let value: serde_json::Value = files::read_json(&path)?;
        if value
            .get("format")
            .and_then(serde_json::Value::as_u64)
            .is_some_and(|format| format > u64::from(FORMAT))
        {
            return Err(TrainError::NewerRun { path });
        }
        // Missing settings get their defaults, but this run was made before there was a choice.
        let settings = value.get("settings");
        let always_exact = settings.is_some_and(|of| of.get("eval_spacing").is_none());
        let mut file: RunFile = serde_json::from_value(value).map_err(files::damaged(&path))?;
        if always_exact {
            file.settings.eval_spacing = EvalSpacing::Exact;
        }
        if file.settings.architecture.entry().is_err()
            && let Some(root) = dir.parent().and_then(Path::parent)
        {
            // The architecture may be one that was added to the run's project, which is not open.
            for problem in open_own(root) {
                log::warn!("{problem}");
            }
        }
        if let Some(fault) = file.fault() {
            return Err(files::damaged(&path)(fault));
        }
        let results = if file.format < FORMAT {
            let last = file.settings.last_part();
            let (notes, secs) = (&file.notes, file.preparation_secs);
            earlier::stages(file.head_only, file.result, last, notes, secs)
        } else {
            file.stages
        };
        let of_time = (!result::is_time(file.preparation_secs)).then_some(result::NO_TIME);
        if let Some(fault) = results.iter().find_map(StageResult::fault).or(of_time) {
            return Err(files::damaged(&path)(fault));
        }
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        let class_ids = if file.class_ids.len() == file.classes.len() {
            file.class_ids
        } else {
            let names = file.classes.iter();
            names.map(|name| ClassId::of_name(name)).collect()
        };
        Ok(Self {
            id: RunId(name.into_owned()),
            dir: dir.to_owned(),
            settings: file.settings,
            preprocessing: file.preprocessing,
            classes: file.classes,
            class_ids,
            created: file.created,
            state: file.state,
            results,
            notes: file.notes,
            parent: file.parent,
            number: file.number,
            other_frames: file.other_frames,
            decision: file.depth_decision,
            preparation_secs: file.preparation_secs,
            fine_tuned_hash: file.fine_tuned_hash,
            hashes: file.blake3,
        })
    }

    /// Its classes in the order of the logits.
    pub(super) fn run_classes(&self) -> Vec<RunClass> {
        let classes = self.class_ids.iter().zip(&self.classes);
        classes
            .map(|(id, name)| RunClass {
                id: *id,
                name: name.clone(),
            })
            .collect()
    }

    pub(super) fn save(&self) -> Result<(), TrainError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let file = RunFile {
            format: FORMAT,
            created: self.created.clone(),
            salamander: env!("CARGO_PKG_VERSION").to_owned(),
            onnx_runtime: crate::onnx::runtime_info()?.version.clone(),
            machine: format!(
                "{} {}, {cores} cores",
                std::env::consts::OS,
                std::env::consts::ARCH
            ),
            settings: self.settings.clone(),
            preprocessing: self.preprocessing.clone(),
            classes: self.classes.clone(),
            class_ids: self.class_ids.clone(),
            state: self.state,
            notes: self.notes.clone(),
            preparation_secs: self.preparation_secs,
            stages: self.results.clone(),
            head_only: None,
            result: None,
            fine_tuned_hash: self.fine_tuned_hash.clone(),
            parent: self.parent.clone(),
            number: self.number,
            other_frames: self.other_frames,
            depth_decision: self.decision,
            blake3: self.hashes.clone(),
        };
        files::write_json(&self.dir.join("run.json"), &file)
    }

    /// Whether its depth is [recommended by the program](super::FineTuneSettings::automatic), and not decided yet.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.settings.fine_tune.automatic && self.decision.is_none()
    }

    /// The frames it was trained and tested on.
    pub fn frames(&self) -> Result<Vec<RunFrame>, TrainError> {
        let path = self.dir.join(FRAMES_FILE);
        let frames: Vec<RunFrame> = files::lines(&path, &self.read(&path)?)?;
        let known = self.classes.len();
        match frames.iter().find(|frame| frame.class >= known) {
            Some(frame) => {
                let class = frame.class;
                let reason =
                    format!("a frame has class number {class}, but there are only {known} classes");
                Err(files::damaged(&path)(reason))
            }
            None => Ok(frames),
        }
    }

    /// Writes the head that a stage kept, and its result. After the last stage it also completes the event files, and
    /// marks the run as finished in `run.json`. `tested` are the outputs of its kept weights on the test images.
    pub(super) fn keep(
        &mut self,
        head: &Head,
        result: StageResult,
        tested: Option<&Tested>,
    ) -> Result<(), TrainError> {
        let last = self.last_stage();
        let is_last = result.part == last.part();
        let (stage, file) = if is_last {
            (last, HEAD_FILE)
        } else {
            (self.head_stage(), HEAD_ALONE)
        };
        let mut hashes = self.hashes.clone();
        let path = self.dir.join(file);
        hashes.keep(&path, &write_head(&path, head)?);
        for path in [stage.curves_path(), stage.metrics_path()] {
            hashes.keep(&path, &files::read_if_there(&path)?);
        }
        if is_last {
            last.events().settle(&last.history()?)?;
        }
        self.hashes = hashes;
        self.results.push(result);
        if !is_last {
            return self.save();
        }
        Events::new(self.dir.clone(), &self.created).write_outcome(self, tested)?;
        self.state = RunState::Finished;
        self.save()
    }
}

/// The runs in a project's folder.
#[derive(Debug, Default)]
pub struct FoundRuns {
    /// The runs, the newest first.
    pub runs: Vec<Run>,
    /// Those that cannot be read.
    pub unreadable: Vec<UnreadableRun>,
}

/// A run that cannot be read.
#[derive(Debug)]
pub struct UnreadableRun {
    /// Its name.
    pub id: RunId,
    /// The error, with the file and the remedy.
    pub error: TrainError,
}

impl FoundRuns {
    /// Returns the runs; those that cannot be read become warnings of the work.
    #[must_use]
    pub fn or_warn(self, work: &Work) -> Vec<Run> {
        for run in self.unreadable {
            work.warn(format!("A run was left out: {}", run.error));
        }
        self.runs
    }
}

/// Lists the runs of a project. Folders without `run.json` are ignored.
pub fn find_runs(project: &Project) -> Result<FoundRuns, TrainError> {
    project.check_there()?;
    let dir = project.runs_dir();
    let mut found = FoundRuns::default();
    let entries = match crate::files::read_dir(&dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        other => other.map_err(TrainError::io("read", &dir))?,
    };
    for entry in entries {
        let entry = entry.map_err(TrainError::io("read", &dir))?;
        let path = entry.path();
        if !crate::files::is_file(path.join("run.json")) {
            continue;
        }
        match Run::open(&path) {
            Ok(run) => found.runs.push(run),
            Err(error) => found.unreadable.push(UnreadableRun {
                id: RunId(entry.file_name().to_string_lossy().into_owned()),
                error,
            }),
        }
    }
    // Setting the clock back does not change the order of numbers.
    let age = |run: &Run| (run.number, run.created.clone(), run.id.clone());
    found
        .runs
        .sort_by_cached_key(|run| std::cmp::Reverse(age(run)));
    found.unreadable.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}
