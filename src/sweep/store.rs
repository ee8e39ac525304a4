//! Sweeps on disk: `sweeps/<date>_<n>/sweep.json`.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{self, Durability};
use crate::project::Project;
use crate::train::{Parent, RunId, TrainSettings, to_trash};

use super::{RankBy, SweepAxis, SweepError, SweepPlan, Trainings};

/// The version of the format.
const FORMAT: u32 = 1;

/// The file in a sweep's folder.
const FILE: &str = "sweep.json";

/// The name of a sweep's folder, `2026-11-27_1`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SweepId(pub String);

impl std::fmt::Display for SweepId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A sweep as last written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    format: u32,
    /// Its name.
    #[serde(skip)]
    pub id: SweepId,
    /// Its folder.
    #[serde(skip)]
    pub dir: PathBuf,
    /// When it was begun, RFC 3339 with milliseconds, UTC.
    pub created: String,
    /// The metric for ranking.
    pub rank: RankBy,
    /// The number of trainings for each configuration.
    pub repeats: u32,
    /// The settings that vary.
    pub axes: Vec<SweepAxis>,
    /// The trainings, in order; the first is number 1.
    pub trainings: Vec<Training>,
    /// The computer on which the latencies were measured; empty before.
    #[serde(default)]
    pub computer: String,
    /// The latency for one image on one thread of that computer, in milliseconds, by architecture.
    #[serde(default)]
    pub latency_ms: BTreeMap<String, f64>,
}

/// A training of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Its configuration, from 0; repeats of a configuration differ only in the split seed.
    pub configuration: u32,
    /// The settings of the training.
    pub settings: TrainSettings,
    /// The estimated duration in seconds; `None` if there is no estimate.
    pub expected_secs: Option<f64>,
    /// Its result; `None` before its end.
    #[serde(rename = "came")]
    pub outcome: Option<TrainingOutcome>,
}

/// The result of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainingOutcome {
    /// It succeeded.
    Finished {
        /// Its run, which may have been removed since.
        run: RunId,
        /// Its figures.
        figures: TrainedFigures,
    },
    /// It failed, with the reason.
    Failed(String),
}

/// The figures of a finished training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainedFigures {
    /// Accuracy on the validation images, 0..=1; `None` without any.
    pub validation_accuracy: Option<f64>,
    /// Mean cross-entropy on the validation images, nats.
    pub validation_cross_entropy: Option<f64>,
    /// Accuracy on the test images, 0..=1; `None` without any.
    pub test_accuracy: Option<f64>,
    /// The 95 % interval of the test accuracy over sources; `None` with fewer than two.
    pub test_95: Option<[f64; 2]>,
    /// The size in bytes of the fp32 model: its backbone's file and its head.
    pub bytes: u64,
    /// The duration of the training in seconds.
    pub seconds: f64,
    /// The numbers of training, validation and test images.
    pub images: [u64; 3],
    /// A hash of these images with their labels and sides.
    pub data: String,
}

impl Sweep {
    /// Reads the sweep of that name.
    ///
    /// # Errors
    /// There is no such sweep, or it cannot be read.
    pub fn open(project: &Project, id: &SweepId) -> Result<Self, SweepError> {
        let dir = folder(&sweeps_dir(project), id)?;
        Self::read(&dir)
    }

    fn read(dir: &Path) -> Result<Self, SweepError> {
        let path = dir.join(FILE);
        let text = files::read_document(&path).map_err(SweepError::io("read", &path))?;
        if !files::is_as_written(&text) {
            return Err(SweepError::damaged(&path)(files::ALTERED));
        }
        let value: serde_json::Value =
            serde_json::from_slice(&text).map_err(SweepError::damaged(&path))?;
        let format = value.get("format").and_then(serde_json::Value::as_u64);
        if format.is_some_and(|format| format > u64::from(FORMAT)) {
            return Err(SweepError::Newer { path });
        }
        let mut sweep: Self = serde_json::from_value(value).map_err(SweepError::damaged(&path))?;
        for training in &sweep.trainings {
            training
                .settings
                .check()
                .map_err(SweepError::damaged(&path))?;
        }
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        sweep.id = SweepId(name.into_owned());
        dir.clone_into(&mut sweep.dir);
        Ok(sweep)
    }

    pub(super) fn save(&self) -> Result<(), SweepError> {
        let path = self.dir.join(FILE);
        let text = files::json_with_checksum(self).map_err(SweepError::damaged(&path))?;
        Ok(files::write(&path, &text, Durability::Synced)?)
    }

    /// The sweep and the number, from 1, that a training's run belongs to.
    #[must_use]
    pub fn parent(&self, training: u32) -> Parent {
        Parent {
            sweep: self.id.0.clone(),
            begun: self.created.clone(),
            training,
        }
    }

    /// The number of trainings that have ended, successfully or not.
    #[must_use]
    pub fn done(&self) -> usize {
        let done = self.trainings.iter().filter(|one| one.outcome.is_some());
        done.count()
    }

    /// Whether all trainings have ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done() == self.trainings.len()
    }

    /// The number of trainings that failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        let outcome = self.trainings.iter().map(|one| &one.outcome);
        outcome
            .filter(|outcome| matches!(outcome, Some(TrainingOutcome::Failed(_))))
            .count()
    }

    /// The estimated seconds for the remaining trainings; `None` without estimates.
    #[must_use]
    pub fn expected_secs_left(&self) -> Option<f64> {
        let left = self.trainings.iter().filter(|one| one.outcome.is_none());
        left.map(|one| one.expected_secs).sum()
    }
}

/// Writes a new sweep; nothing is trained yet.
///
/// # Errors
/// There is nothing to train, or the project cannot be written.
pub fn begin(
    project: &Project,
    plan: &SweepPlan,
    trainings: Trainings,
) -> Result<Sweep, SweepError> {
    project.check_writable()?;
    if trainings.list.is_empty() {
        return Err(SweepError::Plan("there is nothing to train".into()));
    }
    let sweeps = sweeps_dir(project);
    project.make_dir(&sweeps)?;
    let now = jiff::ZonedDateTime::now();
    let mut number = 1;
    let (id, dir) = loop {
        let id = format!("{}_{number}", now.strftime("%Y-%m-%d"));
        let dir = sweeps.join(&id);
        match files::create_dir(&dir) {
            Ok(()) => break (SweepId(id), dir),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(SweepError::io("create", &dir)(error)),
        }
    };
    let sweep = Sweep {
        format: FORMAT,
        id,
        dir,
        created: format!("{:.3}", now.timestamp()),
        rank: plan.rank,
        repeats: plan.repeats.max(1),
        axes: plan.axes.clone(),
        trainings: trainings.list,
        computer: String::new(),
        latency_ms: BTreeMap::new(),
    };
    // The folder becomes a sweep with this write.
    sweep.save()?;
    Ok(sweep)
}

/// Clears the failures of a sweep, so that [`run()`](super::run()) tries those trainings again. Returns how many there
/// are.
///
/// # Errors
/// There is no sweep of that name, or the project cannot be written.
pub fn try_again(project: &Project, id: &SweepId) -> Result<usize, SweepError> {
    project.check_writable()?;
    let mut sweep = Sweep::open(project, id)?;
    let failed = sweep.failed();
    if failed > 0 {
        for training in &mut sweep.trainings {
            training
                .outcome
                .take_if(|outcome| matches!(outcome, TrainingOutcome::Failed(_)));
        }
        sweep.save()?;
    }
    Ok(failed)
}

/// The sweeps of a project.
#[derive(Debug, Default)]
pub struct FoundSweeps {
    /// The sweeps, newest first.
    pub sweeps: Vec<Sweep>,
    /// Errors of those that cannot be read, with the file and the remedy.
    pub unreadable: Vec<SweepError>,
}

/// Lists the sweeps of a project.
///
/// # Errors
/// The project is gone, or the folder cannot be read.
pub fn find_sweeps(project: &Project) -> Result<FoundSweeps, SweepError> {
    project.check_there()?;
    let dir = sweeps_dir(project);
    let mut found = FoundSweeps::default();
    let entries = match files::read_dir(&dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        other => other.map_err(SweepError::io("read", &dir))?,
    };
    for entry in entries {
        let path = entry.map_err(SweepError::io("read", &dir))?.path();
        if !files::is_file(path.join(FILE)) {
            continue;
        }
        match Sweep::read(&path) {
            Ok(sweep) => found.sweeps.push(sweep),
            Err(error) => found.unreadable.push(error),
        }
    }
    let sweeps = &mut found.sweeps;
    sweeps.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.id.cmp(&a.id)));
    Ok(found)
}

/// Moves a sweep to `trash/sweeps/` and returns its name there. Its runs stay: they are ordinary runs.
///
/// # Errors
/// There is no sweep of that name, or it cannot be moved.
pub fn remove(project: &Project, id: &SweepId) -> Result<SweepId, SweepError> {
    project.check_writable()?;
    let from = folder(&sweeps_dir(project), id)?;
    let name = to_trash(project, &from, &trash_dir(project), &id.0)?;
    name.map(SweepId)
        .ok_or_else(|| SweepError::NoSuchSweep(id.0.clone()))
}

/// Moves a sweep back that [`remove`] moved; `trashed` is its name in the trash.
///
/// # Errors
/// There is no sweep of that name, or another is in its place.
pub fn restore(project: &Project, trashed: &SweepId) -> Result<SweepId, SweepError> {
    project.check_writable()?;
    let from = folder(&trash_dir(project), trashed)?;
    let cut = trashed.0.rsplit_once('~').map(|(name, _)| name);
    let name = cut.unwrap_or(&trashed.0);
    let to = sweeps_dir(project).join(name);
    if files::metadata(&to).is_ok() {
        return Err(SweepError::InTheWay(name.to_owned()));
    }
    project.make_dir(&sweeps_dir(project))?;
    files::rename(&from, &to).map_err(SweepError::io("move", &from))?;
    Ok(SweepId(name.to_owned()))
}

fn sweeps_dir(project: &Project) -> PathBuf {
    project.root().join("sweeps")
}

fn trash_dir(project: &Project) -> PathBuf {
    project.root().join("trash").join("sweeps")
}

/// The folder of a sweep. Its name comes from users or files and must not lead elsewhere.
fn folder(dir: &Path, id: &SweepId) -> Result<PathBuf, SweepError> {
    let mut parts = Path::new(&id.0).components();
    let plain = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    );
    let folder = dir.join(&id.0);
    if plain && files::is_file(folder.join(FILE)) {
        Ok(folder)
    } else {
        Err(SweepError::NoSuchSweep(id.0.clone()))
    }
}
