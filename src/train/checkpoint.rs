//! Where a training of the head stands, in its run's folder: kept now and then, and gone on from.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::append;
use crate::onnx::Tensor;

use super::curves::{BestPoint, CurvePoint};
use super::files::{self, Values};
use super::graph::state_names;
use super::learner::Checkpoint;
use super::{Curves, Run, TrainError, finetune};

/// The place of a checkpoint within the training, in the metadata of its tensors.
#[derive(Serialize, Deserialize)]
struct Place {
    step: u32,
    secs: f64,
    best: Option<BestPoint>,
}

impl Run {
    /// Keeps a checkpoint, and the curve points since the one before. The points come first: points beyond the
    /// last checkpoint are dropped when the run is resumed.
    pub(super) fn save_checkpoint(
        &self,
        checkpoint: &Checkpoint,
        points: &[CurvePoint],
    ) -> Result<(), TrainError> {
        let curves = self.head_curves_path();
        append(&curves, &files::to_lines(&curves, points)?)?;
        let path = self.dir.join("checkpoint.safetensors");
        let mut tensors = Vec::new();
        let names = state_names(self.settings.optimizer);
        for ((name, _), tensor) in names.iter().zip(&checkpoint.state) {
            tensors.push((*name, Values::of(tensor)?));
        }
        let mut place = Place {
            step: checkpoint.step,
            secs: checkpoint.secs,
            best: None,
        };
        if let Some((best, [w, b])) = &checkpoint.best {
            place.best = Some(*best);
            tensors.push(("best_w", Values::of(w)?));
            tensors.push(("best_b", Values::of(b)?));
        }
        let place = serde_json::to_string(&place).map_err(files::damaged(&path))?;
        files::write_tensors(&path, tensors, HashMap::from([("place".into(), place)]))?;
        self.head_events().append(points)
    }

    /// The last checkpoint and the curve up to it; nothing when the run was interrupted before the first.
    pub(super) fn load_checkpoint(&self) -> Result<(Option<Checkpoint>, Curves), TrainError> {
        let path = self.dir.join("checkpoint.safetensors");
        let curves_path = self.head_curves_path();
        let (checkpoint, step) = if path.exists() {
            let (mut tensors, texts) = files::read_tensors(&path)?;
            let place = texts.get("place").map_or("", String::as_str);
            let place: Place = serde_json::from_str(place).map_err(files::damaged(&path))?;
            let mut take = |name: &str| {
                tensors
                    .remove(name)
                    .ok_or_else(|| files::damaged(&path)(format!("it has no “{name}”")))
            };
            let state = state_names(self.settings.optimizer)
                .iter()
                .map(|(name, _)| take(name))
                .collect::<Result<_, _>>()?;
            let best = match place.best {
                Some(best) => Some((best, [take("best_w")?, take("best_b")?])),
                None => None,
            };
            let checkpoint = Checkpoint {
                step: place.step,
                secs: place.secs,
                state,
                best,
            };
            (Some(checkpoint), place.step)
        } else {
            (None, 0)
        };
        let points = curves_up_to(&curves_path, step)?;
        self.head_events().settle(&points)?;
        Ok((checkpoint, points))
    }

    /// Where its last checkpoint stands, in the part that [`TrainSettings::steps`] counts.
    pub(super) fn standing(&self) -> Result<Standing, TrainError> {
        if self.settings.fine_tune.is_on() {
            return finetune::standing(&self.dir);
        }
        let (checkpoint, _) = self.load_checkpoint()?;
        let Some(checkpoint) = checkpoint else {
            return Ok(Standing::default());
        };
        Ok(Standing {
            steps: checkpoint.step,
            best: checkpoint.best.map(|(best, _)| best),
            astray: astray(&checkpoint.state)?,
        })
    }
}

/// Where the last checkpoint of a run stands.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Steps done.
    pub steps: u32,
    /// The best evaluation so far.
    pub best: Option<BestPoint>,
    /// Whether its numbers are no numbers any more.
    pub astray: bool,
}

/// Whether a number among these is none.
pub(super) fn astray<'a>(
    tensors: impl IntoIterator<Item = &'a Tensor>,
) -> Result<bool, TrainError> {
    for tensor in tensors {
        if tensor.f32()?.iter().any(|value| !value.is_finite()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The points of a file of curves up to a step. The file goes back to it as well, so that going on appends at the
/// right place.
pub(super) fn curves_up_to(path: &Path, step: u32) -> Result<Curves, TrainError> {
    let mut points: Curves = files::read_whole_lines(path)?;
    points.retain(|point| point.step <= step);
    files::write(path, &files::to_lines(path, &points)?)?;
    Ok(points)
}
