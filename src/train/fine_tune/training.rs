//! The fine-tuning of a run, from prepared data and the trained head to the finished run.

use std::path::PathBuf;
use std::sync::Arc;

use crate::backbone::{ActivationSource, Activations, Blocks, FineTunedWeights, bottlenecks};
use crate::jobs::Work;
use crate::onnx::Tensor;
use crate::project::{Project, Split};
use crate::train::batches::LabelledFrames;
use crate::train::checkpoint::Store;
use crate::train::data::Prepared;
use crate::train::head::{Examples, correct, tested};
use crate::train::tensorboard::Tested;
use crate::train::training::Training;
use crate::train::{CurvePoint, Head, KeepBy, LiveCurves, Run, StageResult, TrainError};

use super::graph::{HEAD_WEIGHTS, Network};
use super::network::{cut_of, network};
use super::rows::RowBatches;
use super::verdict;

/// Trains the blocks for the run's depth together with the head, from the last checkpoint, and keeps them.
pub(in crate::train) fn fine_tune(
    project: &Project,
    run: &mut Run,
    mut prepared: Prepared,
    head: &Head,
    curves: &LiveCurves,
    work: &Work,
) -> Result<(), TrainError> {
    let fine_tune = run.settings.fine_tune.clone();
    let head_best = run.head_only().and_then(StageResult::best);
    // The fine-tuning reads activations; only the bottlenecks of the test frames are needed again.
    prepared.data.train.forget_x();
    prepared.data.validation.forget_x();
    let prepared = &prepared;
    let data = &prepared.data;

    let blocks = Arc::new(Blocks::of_for(&run.settings.architecture, work)?);
    let plan = blocks.plan(fine_tune.depth);
    let cut = cut_of(&plan)?;
    let (network, initial) = network(&blocks, &plan, &fine_tune, head, work)?;
    let paths: Vec<PathBuf> = prepared
        .frames
        .iter()
        .map(|frame| project.abs(&frame.path))
        .collect();
    let mut rows = Activations::open(
        &ActivationSource {
            frames: &paths,
            architecture: &run.settings.architecture,
            preprocessing: &run.preprocessing,
            cut,
            views: fine_tune.all_views(run.settings.seed),
        },
        Some(&project.cache_dir()),
        fine_tune.cache_budget_bytes,
        work,
    )?;
    let side = |split: Split, examples: &Examples| LabelledFrames {
        frames: prepared
            .frames
            .iter()
            .enumerate()
            .filter(|(_, frame)| frame.split == split)
            .map(|(at, _)| at)
            .collect(),
        y: examples.y.clone(),
    };
    let steps = run.settings.steps();
    let title = format!("Training: {}", fine_tune.depth.title().to_lowercase());
    let batch = fine_tune.learn.batch_size.max(1);
    let training = Training {
        title: &title,
        steps,
        problem: network.clone(),
        recipe: &run.last_stage().recipe(data.validation.len()),
        initial: &initial,
        classes: &run.classes,
        sides: [
            &side(Split::Train, &data.train),
            &side(Split::Validation, &data.validation),
        ],
        batches: &mut RowBatches::new(&mut rows, network.row_len(), batch),
        store: Store::of(run.last_stage()),
    };
    // The figures of its best weights are those on the current frames.
    let depth = fine_tune.depth;
    let show =
        |points: &[CurvePoint]| curves.begin_fine_tuning(depth, steps, points, None, head_best);
    let mut trained = training.run(curves, show, work)?;
    let chosen = fine_tune.learn.keep_by != KeepBy::Last;
    let mut kept_head = (chosen && trained.best_step == 0 && trained.steps > 0).then_some(
        "No fine-tuned weights were better on the validation images than the head alone, so the head alone is kept.",
    );
    if !chosen
        && let (Some(head), Some(last)) = (head_best, trained.best)
        && verdict::is_worse(head, last, data.validation.len())
    {
        trained.weights = initial;
        trained.best_step = 0;
        trained.best = Some(head);
        kept_head = Some(
            "The fine-tuned weights were significantly worse on the validation images than the head alone, so the head alone is kept.",
        );
    }

    let mut result = trained.result(run.last_stage().part());
    let (new_head, weights) = split_weights(&network, trained.weights)?;
    run.save_fine_tuned(&weights)?;
    let (verdict, tested) = test(project, run, prepared, [head, &new_head], &weights, work)?;
    result.notes.extend(kept_head.map(str::to_owned));
    result.test_accuracy = verdict.as_ref().map(|verdict| verdict.fine_tuned as f32);
    result.verdict = verdict;
    run.keep(&new_head, result, tested.as_ref())
}

/// Separates the weights of the head from the others.
fn split_weights(
    network: &Network,
    kept: Vec<Tensor>,
) -> Result<(Head, FineTunedWeights), TrainError> {
    let (mut head, mut fine_tuned) = (Vec::new(), Vec::new());
    for (weight, tensor) in network.weights.iter().zip(kept) {
        if HEAD_WEIGHTS.contains(&&*weight.name) {
            head.push(tensor);
            continue;
        }
        // Back to the shape in the network.
        let original = network.back.find(&weight.name);
        let original = original.and_then(|weight| network.back.lens(weight));
        let shape = original.unwrap_or_else(|| tensor.shape.clone());
        fine_tuned.push((weight.name.clone(), Tensor::new(shape, tensor.data)));
    }
    Ok((Head::of_tensors(&head)?, FineTunedWeights::new(fine_tuned)?))
}

/// Evaluates both classifiers on the test frames, with the whole network as the app and exports run it.
fn test(
    project: &Project,
    run: &Run,
    prepared: &Prepared,
    [head_only, new_head]: [&Head; 2],
    fine_tuned: &FineTunedWeights,
    work: &Work,
) -> Result<(Option<verdict::FineTuningVerdict>, Option<Tested>), TrainError> {
    let data = &prepared.data;
    let frames: Vec<_> = prepared
        .frames
        .iter()
        .filter(|frame| frame.split == Split::Test)
        .collect();
    if frames.is_empty() {
        return Ok((None, None));
    }
    let paths: Vec<PathBuf> = frames
        .iter()
        .map(|frame| project.abs(&frame.path))
        .collect();
    let table = bottlenecks(
        &paths,
        &run.settings.architecture,
        &run.preprocessing,
        Some(fine_tuned),
        Some(&run.cache_dir()),
        work,
    )?;
    // A frame that is missing now counts as wrong for neither.
    let mut rows = [Vec::new(), Vec::new()];
    let mut labels = Vec::new();
    let mut groups = Vec::new();
    let dim = data.sizes.dim;
    let with_head_only = data.test.x()?;
    for (at, frame) in frames.iter().enumerate() {
        let (Some(before), Some(after), Some(y)) = (
            with_head_only.get(at * dim..(at + 1) * dim),
            table.row(at),
            data.test.y.get(at),
        ) else {
            continue;
        };
        if table.failed.iter().any(|(failed, _)| *failed == at) {
            continue;
        }
        for (rows, row) in rows.iter_mut().zip([before, after]) {
            rows.extend_from_slice(row);
        }
        labels.push(*y);
        groups.push(frame.group.as_str());
    }
    let [before, after] = rows;
    let before = Examples::new(data.sizes, before, labels.clone())?;
    let after = Examples::new(data.sizes, after, labels)?;
    let verdict = verdict::verdict(
        &correct(data.sizes, &before, head_only)?,
        &correct(data.sizes, &after, new_head)?,
        &groups,
    );
    let tested = tested(data.sizes, [("test", &after)], new_head)?;
    Ok((verdict, tested))
}
