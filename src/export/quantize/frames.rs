//! Which frames an int8 model is calibrated on, and on which other frames candidates are compared.

use std::collections::{BTreeMap, HashSet};

use crate::evaluate::{Evaluation, FramePrediction, InputKind, evaluate};
use crate::jobs::{Work, cores_and_one, in_parallel};
use crate::media::load_image;
use crate::onnx::Element;
use crate::project::{Project, Split};
use crate::train::Run;

use super::super::{ExportError, Model};

/// Training frames used for calibration and fitting.
const FITTED_ON: usize = 200;
/// Other frames, used to compare candidates. Each costs a few milliseconds per candidate.
const COMPARED_ON: usize = 128;

/// A frame in the form that a model takes.
pub(super) struct Frame {
    /// Path relative to the project's root.
    pub path: String,
    /// RGB pixels, `[H, W, 3]`.
    pub pixels: Vec<u8>,
    /// Index of its label.
    pub truth: usize,
    /// Probabilities that the run predicts, one for each label.
    pub probabilities: Vec<f32>,
}

pub(super) struct Frames {
    /// Width and height of the images, in pixels.
    pub side: usize,
    pub fit: Vec<Frame>,
    pub compare: Vec<Frame>,
}

impl Frames {
    /// Hashes everything that the result depends on.
    pub fn hash(&self, key: &mut blake3::Hasher) {
        for (name, frames) in [("fit", &self.fit), ("compare", &self.compare)] {
            key.update(name.as_bytes());
            for frame in frames {
                key.update(&frame.pixels);
                key.update(&(frame.truth as u64).to_le_bytes());
                for probability in &frame.probabilities {
                    key.update(&probability.to_le_bytes());
                }
            }
        }
    }
}

/// Chooses frames and loads them.
pub(super) fn load(
    project: &Project,
    run: &Run,
    model: &Model,
    work: &Work,
) -> Result<Frames, ExportError> {
    let train = evaluate(project, run, Split::Train, work)?;
    let validation = evaluate(project, run, Split::Validation, work)?;
    let (fit, compare) = choose(&train, &validation);
    if fit.is_empty() {
        return Err(ExportError::Uncalibrated {
            run: run.id.0.clone(),
        });
    }
    let all: Vec<&FramePrediction> = fit.iter().chain(&compare).copied().collect();
    work.stage("Loading calibration images", Some(all.len() as u64));
    let recipe = model.recipe(InputKind::Uint8Nhwc);
    let mut loaded: Vec<Option<Frame>> = all.iter().map(|_| None).collect();
    in_parallel(
        cores_and_one(),
        &all,
        work,
        || Ok(()),
        |(), frame| {
            let image = load_image(&project.root().join(&frame.path))?;
            let Element::U8(pixels) = recipe.tensor(&image).data else {
                return Ok(None);
            };
            Ok::<_, ExportError>(Some(Frame {
                path: frame.path.clone(),
                pixels,
                truth: frame.truth,
                probabilities: frame.probabilities.clone(),
            }))
        },
        |at, frame| {
            if let Some(place) = loaded.get_mut(at) {
                *place = frame;
            }
            work.advance(1);
            Ok(())
        },
    )?;
    let compare = loaded.split_off(fit.len()).into_iter().flatten().collect();
    Ok(Frames {
        side: model.preprocessing.resolution_px as usize,
        fit: loaded.into_iter().flatten().collect(),
        compare,
    })
}

/// Frames to fit on, and frames to compare on: validation frames, then training frames of groups without a fitted
/// frame, then other training frames. A project with very few frames is compared on the frames that it is fitted on.
fn choose<'a>(
    train: &'a Evaluation,
    validation: &'a Evaluation,
) -> (Vec<&'a FramePrediction>, Vec<&'a FramePrediction>) {
    let mut order = balanced(&train.predictions);
    // Keep some frames for the comparison.
    let most = if validation.predictions.is_empty() {
        order.len().div_ceil(2)
    } else {
        order.len()
    };
    let rest = order.split_off(FITTED_ON.min(most));
    let groups: HashSet<&str> = order.iter().map(|frame| frame.group.as_str()).collect();
    let (others, same): (Vec<_>, Vec<_>) = rest
        .into_iter()
        .partition(|frame| !groups.contains(frame.group.as_str()));
    let mut compare = balanced(&validation.predictions);
    compare.extend(others);
    compare.extend(same);
    compare.truncate(COMPARED_ON);
    if compare.is_empty() {
        compare.clone_from(&order);
    }
    (order, compare)
}

/// All frames, ordered so that any prefix is balanced: classes alternate, within a class sources alternate, within a
/// source the order is by a hash. The order on disk does not matter.
fn balanced(frames: &[FramePrediction]) -> Vec<&FramePrediction> {
    let mut classes: BTreeMap<usize, BTreeMap<&str, Vec<&FramePrediction>>> = BTreeMap::new();
    for frame in frames {
        let sources = classes.entry(frame.truth).or_default();
        sources.entry(frame.source()).or_default().push(frame);
    }
    let hash = |text: &str| *blake3::hash(text.as_bytes()).as_bytes();
    let by_class = classes.into_values().map(|sources| {
        let mut sources: Vec<_> = sources.into_iter().collect();
        sources.sort_by_key(|(source, _)| hash(source));
        in_turn(sources.into_iter().map(|(_, mut frames)| {
            frames.sort_by_key(|frame| hash(&frame.path));
            frames
        }))
    });
    in_turn(by_class)
}

/// Interleaves lists: the first of each list, the second of each, and so on.
fn in_turn<T>(lists: impl Iterator<Item = Vec<T>>) -> Vec<T> {
    let mut lists: Vec<_> = lists.map(Vec::into_iter).collect();
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(lists.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return all;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Confusion;

    fn frame(class: usize, source: &str, at: usize) -> FramePrediction {
        FramePrediction {
            path: format!("{class}/{source}/{at}.jpg"),
            group: source.to_owned(),
            truth: class,
            predicted: class,
            probabilities: vec![1.0],
        }
    }

    fn evaluation(predictions: Vec<FramePrediction>) -> Evaluation {
        Evaluation {
            classes: Vec::new(),
            split: Split::Train,
            predictions,
            confusion: Confusion::default(),
            relabelled: 0,
            changed: 0,
            missing: 0,
            notes: Vec::new(),
        }
    }

    /// A class with one long film and a short one, and a small class.
    #[test]
    fn classes_and_sources_come_in_turn_in_any_order_on_disk() {
        let mut frames: Vec<_> = (0..50).map(|at| frame(0, "long", at)).collect();
        frames.extend((0..4).map(|at| frame(0, "short", at)));
        frames.extend((0..6).map(|at| frame(1, "small", at)));
        let order: Vec<String> = balanced(&frames)
            .iter()
            .map(|frame| frame.path.clone())
            .collect();
        let first = &order[..12];
        let count = |of: &str| first.iter().filter(|path| path.contains(of)).count();
        assert_eq!((count("small"), count("short"), count("long")), (6, 3, 3));
        frames.reverse();
        let again: Vec<String> = balanced(&frames)
            .iter()
            .map(|frame| frame.path.clone())
            .collect();
        assert_eq!(order, again);
    }

    #[test]
    fn nothing_is_compared_on_what_it_was_fitted_on() {
        let train = (0..700).map(|at| frame(at % 3, &format!("s{}", at % 40), at));
        let train = evaluation(train.collect());
        let validation = evaluation((0..20).map(|at| frame(at % 3, "v", at)).collect());
        let (fit, compare) = choose(&train, &validation);
        assert_eq!((fit.len(), compare.len()), (FITTED_ON, COMPARED_ON));
        let fitted: HashSet<_> = fit.iter().map(|frame| &frame.path).collect();
        assert!(compare.iter().all(|frame| !fitted.contains(&frame.path)));
        assert!(compare[..20].iter().all(|frame| frame.group == "v"));
        // Without validation frames, half of a small training set is reserved for the comparison.
        let few = evaluation((0..5).map(|at| frame(0, "s", at)).collect());
        let none = evaluation(Vec::new());
        let (fit, compare) = choose(&few, &none);
        assert_eq!((fit.len(), compare.len()), (3, 2));
    }
}
