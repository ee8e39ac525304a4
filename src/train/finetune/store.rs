//! The checkpoint of a deeper training on disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::files::append;
use crate::train::checkpoint::{Standing, astray, curves_up_to};
use crate::train::curves::CurvePoint;
use crate::train::files::{self, Values};
use crate::train::{Curves, TrainError};

use super::checkpoint::{Checkpoint, Place, Snapshot, state_names};
use super::graph::Network;
use super::settings::FineTuneSettings;

fn path(run: &Path) -> PathBuf {
    run.join("fine_tune.safetensors")
}

fn curves_path(run: &Path) -> PathBuf {
    run.join("curves.jsonl")
}

/// Keeps a checkpoint, and the curve points since the one before. The points come first: points beyond the last
/// checkpoint are dropped when the run is resumed.
pub(super) fn save(
    run: &Path,
    network: &Network,
    settings: &FineTuneSettings,
    snapshot: &Snapshot<'_>,
    points: &[CurvePoint],
) -> Result<(), TrainError> {
    let curves = curves_path(run);
    append(&curves, &files::to_lines(&curves, points)?)?;
    let path = path(run);
    let mut names = state_names(network, settings);
    let mut tensors = snapshot.state.clone();
    for (weight, tensor) in network
        .weights
        .iter()
        .zip(snapshot.best.into_iter().flatten())
    {
        names.push(format!("best.{}", weight.name));
        tensors.push(Values::of(tensor)?);
    }
    let tensors = names.iter().map(String::as_str).zip(tensors).collect();
    let place = serde_json::to_string(&snapshot.place).map_err(files::damaged(&path))?;
    files::write_tensors(&path, tensors, HashMap::from([("place".into(), place)]))
}

/// The last checkpoint and the curve up to it; nothing when the run was interrupted before the first.
pub(super) fn load(
    run: &Path,
    network: &Network,
    settings: &FineTuneSettings,
) -> Result<(Option<Checkpoint>, Curves), TrainError> {
    let path = path(run);
    if !path.exists() {
        return Ok((None, curves_up_to(&curves_path(run), 0)?));
    }
    let (mut tensors, texts) = files::read_tensors(&path)?;
    let place = place(&path, &texts)?;
    let mut take = |name: &str, shape: &[usize]| match tensors.remove(name) {
        Some(tensor) if tensor.shape == shape => Ok(tensor),
        Some(_) => Err(files::damaged(&path)(format!(
            "“{name}” has the wrong shape"
        ))),
        None => Err(files::damaged(&path)(format!("it has no “{name}”"))),
    };
    let names = state_names(network, settings);
    let slots = names.len() / network.weights.len().max(1);
    let mut state = Vec::with_capacity(names.len());
    for (names, weight) in names.chunks(slots.max(1)).zip(&network.weights) {
        for name in names {
            state.push(take(name, &weight.shape)?);
        }
    }
    let best = match place.best {
        Some(_) => Some(
            network
                .weights
                .iter()
                .map(|weight| take(&format!("best.{}", weight.name), &weight.shape))
                .collect::<Result<_, _>>()?,
        ),
        None => None,
    };
    let points = curves_up_to(&curves_path(run), place.step)?;
    Ok((Some(Checkpoint { place, state, best }), points))
}

/// Where the last checkpoint of a run stands.
pub(in crate::train) fn standing(run: &Path) -> Result<Standing, TrainError> {
    let path = path(run);
    if !path.exists() {
        return Ok(Standing::default());
    }
    let (tensors, texts) = files::read_tensors(&path)?;
    let place = place(&path, &texts)?;
    Ok(Standing {
        steps: place.step,
        best: place.best,
        astray: astray(tensors.values())?,
    })
}

fn place(path: &Path, texts: &HashMap<String, String>) -> Result<Place, TrainError> {
    let text = texts.get("place").map_or("", String::as_str);
    serde_json::from_str(text).map_err(files::damaged(path))
}
