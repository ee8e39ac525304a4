//! Checkpoints: the state of a training and its files, which are written periodically and resumed from.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use crate::onnx::{ElementType, Tensor};

use super::curves::BestPoint;
use super::early_stopping::Unimproved;
use super::files::{self, Values};
use super::growing::{Beginning, GrowingFile};
use super::metrics::{self, History};
use super::optimizer::{Optimization, Slot, Weight};
use super::tensorboard::Events;
use super::{Curves, Run, Stage, TrainError};

/// The progress of a training.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Place {
    /// Steps done.
    pub step: u32,
    /// The step of the last point of the curve; missing in head checkpoints of earlier versions, which were written at
    /// points only.
    pub pointed: Option<u32>,
    /// The step of the last evaluation.
    pub validated: u32,
    /// Sums over the batches since the last point of the curve: correct images, cross-entropy, images.
    #[serde(deserialize_with = "nan_or_numbers")]
    pub since_point: [f64; 3],
    /// Seconds of training, without pauses.
    pub secs: f64,
    /// The best evaluation so far.
    pub best: Option<BestPoint>,
    /// The counters of early stopping, if it is on.
    #[serde(skip_serializing_if = "Unimproved::is_new")]
    pub unimproved: Unimproved,
    /// The norm of the last step's gradient; `None` if it was not measured or is not finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f32>,
}

/// JSON cannot represent NaN values of a training that has just diverged.
fn nan_or_numbers<'de, D: Deserializer<'de>>(from: D) -> Result<[f64; 3], D::Error> {
    let found = <[Option<f64>; 3]>::deserialize(from)?;
    Ok(found.map(|number| number.unwrap_or(f64::NAN)))
}

/// The state of a training: everything needed to continue it to the same bits.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Checkpoint {
    /// The progress of the training.
    pub place: Place,
    /// Weights and slots, in the order of [`Optimization::state_names`].
    pub state: Vec<Tensor>,
    /// The weights of the best evaluation, in the order of the problem's weights.
    pub best: Option<Vec<Tensor>>,
}

impl Checkpoint {
    /// The checkpoint before the first step.
    pub(super) fn beginning(optimization: &Optimization, weights: &[Tensor]) -> Self {
        let slots = optimization.slots();
        let of_each = weights.iter().flat_map(|weight| {
            let slots = slots.iter().map(|slot| match slot {
                Slot::Average => weight.clone(),
                Slot::First | Slot::Second => Tensor::zeros(ElementType::F32, weight.shape.clone()),
            });
            [weight.clone()].into_iter().chain(slots)
        });
        Self {
            place: Place::default(),
            state: of_each.collect(),
            best: None,
        }
    }
}

/// The contents of a checkpoint file.
struct Contents {
    place: Place,
    /// The tensors by name.
    tensors: HashMap<String, Tensor>,
    /// The lengths of the growing files at this checkpoint; missing in files of earlier versions.
    grown: Option<Grown>,
}

/// The lengths of the growing files at a checkpoint.
#[derive(Serialize, Deserialize)]
struct Grown {
    curves: Beginning,
    metrics: Beginning,
}

/// The data of a [`Checkpoint`] without copying it.
pub(super) struct Snapshot<'a> {
    pub place: Place,
    /// Weights and slots with their names.
    pub state: Vec<(String, Values<'a>)>,
    /// The problem's weights, and their values at the best evaluation.
    pub best: Option<(&'a [Weight], &'a [Tensor])>,
}

/// The metadata keys of a checkpoint's file.
const PLACE: &str = "place";
const GROWN: &str = "grown";

/// The files of a training: its checkpoint, its curves and their event files.
pub(super) struct Store {
    checkpoint: PathBuf,
    curves: GrowingFile,
    metrics: GrowingFile,
    events: Events,
}

impl Store {
    /// The files of a stage.
    pub(super) fn of(stage: Stage<'_>) -> Self {
        Self {
            checkpoint: stage.checkpoint_path(),
            curves: GrowingFile::at(stage.curves_path()),
            metrics: GrowingFile::at(stage.metrics_path()),
            events: stage.events(),
        }
    }

    /// Writes a checkpoint, and the measurements since the previous one. Those are written first, because anything
    /// after the last checkpoint is dropped when the run is resumed.
    pub(super) fn save(
        &mut self,
        snapshot: &Snapshot<'_>,
        new: &History,
    ) -> Result<(), TrainError> {
        let points = files::to_lines(self.curves.path(), &new.points)?;
        self.curves.add(&points)?;
        let measured = metrics::to_lines(self.metrics.path(), &new.measured)?;
        self.metrics.add(&measured)?;
        let path = &self.checkpoint;
        let mut best = Vec::new();
        if let Some((weights, tensors)) = snapshot.best {
            for (weight, tensor) in weights.iter().zip(tensors) {
                best.push((best_name(weight), Values::of(tensor)?));
            }
        }
        let tensors = snapshot.state.iter().chain(&best);
        let tensors = tensors.map(|(name, values)| (name.as_str(), *values));
        let place = serde_json::to_string(&snapshot.place).map_err(files::damaged(path))?;
        let grown = Grown {
            curves: self.curves.written(),
            metrics: self.metrics.written(),
        };
        let grown = serde_json::to_string(&grown).map_err(files::damaged(path))?;
        let texts = HashMap::from([(PLACE.into(), place), (GROWN.into(), grown)]);
        files::write_tensors(path, tensors.collect(), texts)?;
        self.events.append(new)
    }

    /// The last checkpoint with the measurements up to it; no checkpoint if the run was interrupted before the first.
    pub(super) fn load(
        &mut self,
        weights: &[Weight],
        optimization: &Optimization,
    ) -> Result<(Option<Checkpoint>, History), TrainError> {
        let mut grown = None;
        let checkpoint = match self.read()? {
            Some(Contents {
                place,
                mut tensors,
                grown: known,
            }) => {
                grown = known;
                let mut take = |name: &str, shape: &[usize]| {
                    let found = tensors.remove(name);
                    match found.or_else(|| tensors.remove(&earlier_name(name))) {
                        Some(tensor) if tensor.shape == shape => Ok(tensor),
                        Some(_) => Err(format!("“{name}” has the wrong shape")),
                        None => Err(format!("it has no “{name}”")),
                    }
                    .map_err(files::damaged(&self.checkpoint))
                };
                let mut state = Vec::new();
                for weight in weights {
                    for name in optimization.state_names(std::slice::from_ref(weight)) {
                        state.push(take(&name, &weight.shape)?);
                    }
                }
                let best = place.best.map(|_| {
                    let of_each = weights.iter();
                    of_each
                        .map(|weight| take(&best_name(weight), &weight.shape))
                        .collect()
                });
                Some(Checkpoint {
                    place,
                    state,
                    best: best.transpose()?,
                })
            }
            None => None,
        };
        let step = checkpoint.as_ref().map_or(0, |found| found.place.step);
        let kept = match grown {
            Some(grown) => History {
                points: files::whole_lines(&self.curves.cut_to(&grown.curves)?),
                measured: metrics::read(&self.metrics.cut_to(&grown.metrics)?),
            },
            None => self.history_up_to(step)?,
        };
        self.events.settle(&kept)?;
        Ok((checkpoint, kept))
    }

    /// The measurements up to a step, for a version whose checkpoints do not record the lengths of files, or before
    /// the first checkpoint. Later ones are removed from the files.
    fn history_up_to(&mut self, step: u32) -> Result<History, TrainError> {
        let (curves, lines) = (&mut self.curves, &mut self.metrics);
        let mut points: Curves = files::whole_lines(&files::read_if_there(curves.path())?);
        points.retain(|point| point.step <= step);
        curves.replace(&files::to_lines(curves.path(), &points)?)?;
        let mut measured = metrics::read(&files::read_if_there(lines.path())?);
        measured.retain(|measured| measured.step <= step);
        lines.replace(&metrics::to_lines(lines.path(), &measured)?)?;
        Ok(History { points, measured })
    }

    /// The progress at the last checkpoint.
    pub(super) fn standing(&self) -> Result<Standing, TrainError> {
        let Some(Contents { place, tensors, .. }) = self.read()? else {
            return Ok(Standing::default());
        };
        let mut diverged = false;
        for tensor in tensors.values() {
            diverged |= tensor.f32()?.iter().any(|value| !value.is_finite());
        }
        Ok(Standing {
            steps: place.step,
            best: place.best,
            diverged,
        })
    }

    fn read(&self) -> Result<Option<Contents>, TrainError> {
        if !crate::files::exists(&self.checkpoint) {
            return Ok(None);
        }
        let (tensors, texts) = files::read_tensors(&self.checkpoint)?;
        let place = texts.get(PLACE).map_or("", String::as_str);
        let place = serde_json::from_str(place).map_err(files::damaged(&self.checkpoint))?;
        let grown = texts.get(GROWN).map(|grown| serde_json::from_str(grown));
        let grown = grown
            .transpose()
            .map_err(files::damaged(&self.checkpoint))?;
        Ok(Some(Contents {
            place,
            tensors,
            grown,
        }))
    }
}

/// The name of a tensor with the best value of a weight.
fn best_name(weight: &Weight) -> String {
    format!("best.{}", weight.name)
}

/// The name of a tensor in head checkpoints of earlier versions.
fn earlier_name(name: &str) -> String {
    match name.split_once('.') {
        Some(("first", weight)) => format!("m_{weight}"),
        Some(("second", weight)) => format!("v_{weight}"),
        Some((kind, weight)) => format!("{kind}_{weight}"),
        None => name.to_owned(),
    }
}

impl Run {
    /// The progress at its last checkpoint, in the part that [`TrainSettings::steps`](super::TrainSettings::steps)
    /// counts.
    pub(super) fn standing(&self) -> Result<Standing, TrainError> {
        Store::of(self.last_stage()).standing()
    }
}

/// The progress of a run at its last checkpoint.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Steps done.
    pub steps: u32,
    /// The best evaluation so far.
    pub best: Option<BestPoint>,
    /// Whether any weight is NaN or infinite.
    pub diverged: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

    use std::path::Path;

    use super::super::optimizer::{Optimizer, Rate};
    use super::*;

    fn store(dir: &Path) -> Store {
        Store {
            checkpoint: dir.join("checkpoint.safetensors"),
            curves: GrowingFile::at(dir.join("curves.jsonl")),
            metrics: GrowingFile::at(dir.join("metrics.jsonl")),
            events: Events::new(dir.to_owned(), "2026-11-24T10:00:00.000Z"),
        }
    }

    fn adam() -> (Vec<Weight>, Optimization) {
        let weight = |name: &str, shape: &[usize]| Weight {
            name: name.into(),
            shape: shape.to_vec(),
            rate: 1.0,
            decays: false,
        };
        let optimization = Optimization {
            rule: Optimizer::Adam,
            rate: Rate::Constant(0.1),
            weight_decay: 0.0,
            clip_norm: 0.0,
            average_decay: 0.0,
        };
        (vec![weight("w", &[2, 3]), weight("b", &[2])], optimization)
    }

    /// Tensors of a head, each with different numbers.
    fn tensors(names: &[&'static str]) -> Vec<(&'static str, Tensor)> {
        let of_name = |(at, name): (usize, &&'static str)| {
            let shape = if name.ends_with('w') {
                vec![2, 3]
            } else {
                vec![2]
            };
            let values = vec![at as f32; shape.iter().product()];
            (*name, Tensor::new(shape, values))
        };
        names.iter().enumerate().map(of_name).collect()
    }

    /// The head's tensors had other names, and checkpoints were written at points only.
    #[test]
    fn a_heads_checkpoint_of_earlier_versions_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = store(dir.path());
        let written = tensors(&["w", "b", "m_w", "v_w", "m_b", "v_b", "best_w", "best_b"]);
        let values = written.iter();
        let values = values.map(|(name, tensor)| (*name, Values::of(tensor).unwrap()));
        let place = r#"{"step":40,"secs":1.5,"best":{"step":30,"validation_accuracy":0.5,"validation_cross_entropy":0.7}}"#;
        let texts = HashMap::from([("place".into(), place.into())]);
        files::write_tensors(&store.checkpoint, values.collect(), texts).unwrap();

        let (weights, optimization) = adam();
        let (found, _) = store.load(&weights, &optimization).unwrap();
        let found = found.unwrap();
        let of = |names: &[&str]| -> Vec<Tensor> {
            let find = |name| written.iter().find(|(known, _)| *known == name).unwrap();
            names.iter().map(|name| find(*name).1.clone()).collect()
        };
        assert_eq!(found.state, of(&["w", "m_w", "v_w", "b", "m_b", "v_b"]));
        assert_eq!(found.best, Some(of(&["best_w", "best_b"])));
        assert_eq!((found.place.step, found.place.pointed), (40, None));
        assert_eq!(store.standing().unwrap().steps, 40);
    }

    #[test]
    fn what_is_saved_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = store(dir.path());
        let (weights, optimization) = adam();
        let initial = tensors(&["w", "b"]).into_iter().map(|(_, tensor)| tensor);
        let mut kept = Checkpoint::beginning(&optimization, &initial.collect::<Vec<_>>());
        kept.place = Place {
            step: 7,
            pointed: Some(5),
            validated: 5,
            since_point: [3.0, f64::NAN, 4.0],
            secs: 0.25,
            best: Some(BestPoint {
                step: 5,
                validation_accuracy: 0.5,
                validation_cross_entropy: 0.75,
            }),
            unimproved: Unimproved {
                lowest: Some(0.1),
                evaluations: 3,
            },
            gradient_norm: Some(1.5),
        };
        let best: Vec<Tensor> = tensors(&["w", "b"]).into_iter().map(|(_, t)| t).collect();
        let names = optimization.state_names(&weights).into_iter();
        let snapshot = Snapshot {
            place: kept.place,
            state: names
                .zip(kept.state.iter().map(|tensor| Values::of(tensor).unwrap()))
                .collect(),
            best: Some((&weights, &best)),
        };
        store.save(&snapshot, &History::default()).unwrap();
        let (found, _) = store.load(&weights, &optimization).unwrap();
        let found = found.unwrap();
        assert_eq!((&found.state, found.best), (&kept.state, Some(best)));
        // A training that has just diverged.
        assert!(found.place.since_point[1].is_nan());
        assert_eq!(
            Place {
                since_point: [0.0; 3],
                ..found.place
            },
            Place {
                since_point: [0.0; 3],
                ..kept.place
            }
        );
    }
}
