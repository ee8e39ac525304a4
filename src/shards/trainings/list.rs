//! A list of trainings: the first line has the project and the sweep, then one training a line.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files;
use crate::jobs::Work;
use crate::project::{Project, path_text};
use crate::shards::ShardError;
use crate::shards::list::{Lines, ListId, ModelPin, Versions, check_number, write_lines};
use crate::sweep::{Sweep, SweepId, prepare};
use crate::train::{Parent, TrainSettings};

/// The only version of the format so far.
const FORMAT: u32 = 1;
/// The beginning of every such list.
const BEGINNING: &[u8] = b"{\"salamander_trainings\":";
/// The assumed minutes of a training whose duration could not be estimated.
const UNKNOWN_MINUTES: f64 = 1.0;

/// The properties common to all trainings of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The version of the format.
    pub salamander_trainings: u32,
    /// Versions used for the list; parts must be made with the same.
    #[serde(flatten)]
    pub versions: Versions,
    /// The project's folder.
    #[serde(with = "path_text")]
    pub project: PathBuf,
    /// The sweep.
    pub sweep: SweepId,
    /// When the sweep was begun, which identifies it in the project.
    pub begun: String,
    /// The architectures that are trained.
    pub architectures: Vec<ModelPin>,
    /// The number of trainings that follow.
    pub shards: usize,
}

/// A training in the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ListedTraining {
    /// Its number in the list, from 1.
    pub shard: usize,
    /// The estimated duration in minutes, if there is an estimate.
    pub minutes: f64,
    /// Always 0: how much a training reads is not known beforehand.
    pub bytes: u64,
    /// Its number in the sweep, from 1.
    pub training: u32,
    /// The settings of the training.
    pub settings: TrainSettings,
}

/// A list of trainings that was written.
#[derive(Debug, Clone)]
pub struct ListedTrainings {
    /// The identity of the list.
    pub id: ListId,
    /// The current state of the sweep.
    pub sweep: Sweep,
    /// The number of trainings in the list: those of the sweep that have not ended.
    pub trainings: usize,
}

impl Header {
    /// The sweep and the number that a training's run belongs to.
    pub fn parent(&self, training: u32) -> Parent {
        Parent {
            sweep: self.sweep.0.clone(),
            begun: self.begun.clone(),
            training,
        }
    }
}

/// Prepares the trainings of a sweep that have not ended for other machines, and writes them to the list `path`, for
/// [`make_part`](crate::shards::make_part). The project remembers the sides of the first training, and the latencies
/// of the networks are measured on this machine.
///
/// # Errors
/// All trainings have ended; the project or the list cannot be written; cancelled.
pub fn list_trainings(
    project: &Project,
    sweep: &SweepId,
    path: &Path,
    work: &Work,
) -> Result<ListedTrainings, ShardError> {
    let sweep = prepare(project, sweep, work)?;
    let mut architectures: Vec<ModelPin> = Vec::new();
    let mut trainings = Vec::new();
    let left = (1..).zip(&sweep.trainings);
    for (number, training) in left.filter(|(_, training)| training.outcome.is_none()) {
        let settings = &training.settings;
        let pin = ModelPin::of(&settings.architecture, settings.fit)?;
        if !architectures.contains(&pin) {
            architectures.push(pin);
        }
        trainings.push(ListedTraining {
            shard: trainings.len() + 1,
            minutes: training
                .expected_secs
                .map_or(UNKNOWN_MINUTES, |secs| secs / 60.0),
            bytes: 0,
            training: number,
            settings: settings.clone(),
        });
    }
    if trainings.is_empty() {
        return Err(ShardError::NothingLeft { sweep: sweep.id.0 });
    }
    let header = Header {
        salamander_trainings: FORMAT,
        versions: Versions::here(true)?,
        project: project.root().to_owned(),
        sweep: sweep.id.clone(),
        begun: sweep.created.clone(),
        architectures,
        shards: trainings.len(),
    };
    let id = write_lines(path, &header, &trainings)?;
    Ok(ListedTrainings {
        id,
        sweep,
        trainings: trainings.len(),
    })
}

/// Whether a file is a list of trainings, by its beginning.
pub(in crate::shards) fn is_list(path: &Path) -> Result<bool, ShardError> {
    let mut beginning = Vec::new();
    let mut read = || {
        let file = files::open(path)?;
        file.take(BEGINNING.len() as u64)
            .read_to_end(&mut beginning)
    };
    read().map_err(ShardError::io("read", path))?;
    Ok(beginning == BEGINNING)
}

/// Reads the header and all trainings of a list.
pub(super) fn read(path: &Path) -> Result<(Header, Vec<ListedTraining>, ListId), ShardError> {
    let text = Lines::read(path)?;
    let header = header_of(&text, path)?;
    let trainings = (1..=header.shards).map(|number| training_of(&text, number, path));
    Ok((header, trainings.collect::<Result<_, _>>()?, text.id()))
}

/// Reads the header and one training of a list.
pub(super) fn read_one(
    path: &Path,
    shard: usize,
) -> Result<(Header, ListedTraining, ListId), ShardError> {
    let text = Lines::read(path)?;
    let header = header_of(&text, path)?;
    check_number(path, shard, header.shards)?;
    let training = training_of(&text, shard, path)?;
    Ok((header, training, text.id()))
}

fn header_of(text: &Lines, path: &Path) -> Result<Header, ShardError> {
    let header = text.line(0).map(serde_json::from_slice::<Header>);
    let header = match header {
        Some(Ok(header)) => header,
        found => {
            log::debug!("{}: {found:?}", path.display());
            return Err(ShardError::bad(
                path,
                "is not a list of trainings; `salamander sweep --out` makes one",
            ));
        }
    };
    if header.salamander_trainings != FORMAT {
        return Err(ShardError::bad(
            path,
            "is a list of trainings from another version of Salamander; make it again with this one",
        ));
    }
    if text.lines() != header.shards + 1 {
        return Err(ShardError::bad(
            path,
            format!(
                "is damaged: it should hold {} trainings, but holds {}; copy it again",
                header.shards,
                text.lines().saturating_sub(1)
            ),
        ));
    }
    Ok(header)
}

fn training_of(text: &Lines, number: usize, path: &Path) -> Result<ListedTraining, ShardError> {
    let damaged = |what: &str| {
        ShardError::bad(
            path,
            format!("is damaged: training {number} {what}; copy it again"),
        )
    };
    let line = text.line(number).unwrap_or_default();
    let training: ListedTraining =
        serde_json::from_slice(line).map_err(|error| damaged(&error.to_string()))?;
    let settings = training.settings.check();
    settings.map_err(|error| damaged(&format!("has an invalid setting: {error}")))?;
    if training.shard != number || training.training == 0 {
        return Err(damaged("is inconsistent"));
    }
    Ok(training)
}
