//! A training deeper than the head, from prepared data to a finished run: the head first, then the blocks.

use std::path::PathBuf;
use std::sync::Arc;

use crate::backbone::{ActivationSource, Activations, Blocks, TunedWeights, bottlenecks};
use crate::jobs::Work;
use crate::onnx::Tensor;
use crate::project::{Project, Split};
use crate::train::batches::Side;
use crate::train::checkpoint::Store;
use crate::train::data::Prepared;
use crate::train::head::{Examples, accuracy, correct, point, tested, train_head};
use crate::train::tensorboard::Tested;
use crate::train::training::Training;
use crate::train::{CurvePoint, Head, HeadOnly, KeepBy, LiveCurves, Run, RunResult, TrainError};

use super::graph::{HEAD_WEIGHTS, Network};
use super::network::{cut_of, network};
use super::rows::RowBatches;
use super::verdict;

/// Trains the head, then the blocks that the run's settings name, each from where the run stands.
pub(in crate::train) fn train_deeper(
    project: &Project,
    mut run: Run,
    mut prepared: Prepared,
    curves: &LiveCurves,
    work: &Work,
) -> Result<Run, TrainError> {
    let fine_tune = run.settings.fine_tune.clone();
    let (head, head_only) = match run.head_only.clone() {
        Some(found) => {
            let head = run.head_alone()?;
            let found = measured_anew(&mut run, &prepared, &head, found)?;
            (head, found)
        }
        None => head_first(&mut run, &prepared, curves, work)?,
    };
    // What follows learns from activations; of the bottlenecks only those of the test frames are asked for again.
    prepared.data.train.forget_x();
    prepared.data.validation.forget_x();
    let prepared = &prepared;
    let data = &prepared.data;

    let blocks = Arc::new(Blocks::of_for(&run.settings.architecture, work)?);
    let plan = blocks.plan(fine_tune.depth);
    let cut = cut_of(&plan)?;
    let (network, initial) = network(&blocks, &plan, &fine_tune, &head, work)?;
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
    let side = |split: Split, examples: &Examples| Side {
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
    // Its best weights have their figures once they are measured on the frames of today.
    let show = |points: &[CurvePoint]| curves.go_deeper(steps, points, None, head_only.best);
    let mut trained = training.run(curves, show, work)?;
    if fine_tune.learn.keep_by == KeepBy::Last
        && let (Some(head), Some(last)) = (head_only.best, trained.best)
        && verdict::is_worse(head, last, data.validation.len())
    {
        trained.weights = initial;
        trained.best_step = 0;
        trained.best = Some(head);
    }

    let (deeper, tuned) = split_weights(&network, trained.weights)?;
    run.save_tuned(&tuned)?;
    let (verdict, tested) = test(project, &run, prepared, [&head, &deeper], &tuned, work)?;
    let mut notes = run.notes.clone();
    notes.extend(trained.note);
    if trained.best_step == 0 && trained.steps > 0 {
        notes.push(
            "No deeper weights did better on the validation images than the head alone, so that is kept.".into(),
        );
    }
    let result = RunResult {
        steps: trained.steps,
        best_step: trained.best_step,
        validation_accuracy: trained.best.map(|best| best.validation_accuracy),
        test_accuracy: verdict.as_ref().map(|verdict| verdict.deeper as f32),
        seconds: run.preparation_secs + head_only.secs + trained.secs,
        notes,
        trained_weights: network
            .weights
            .iter()
            .map(|weight| weight.shape.iter().product::<usize>() as u64)
            .sum(),
        verdict,
        stopped_early: trained.stopped_early,
    };
    run.finish(&deeper, result, tested.as_ref())?;
    Ok(run)
}

/// Trains the head alone and keeps what it came to: the beginning of the deeper training, and its measure.
fn head_first(
    run: &mut Run,
    prepared: &Prepared,
    curves: &LiveCurves,
    work: &Work,
) -> Result<(Head, HeadOnly), TrainError> {
    let data = &prepared.data;
    let (head, trained) = train_head(run, data, "Training the head", curves, work)?;
    let found = HeadOnly {
        steps: trained.steps,
        best: trained.best,
        test_accuracy: accuracy(data.sizes, &data.test, &head)?,
        secs: trained.secs,
    };
    run.notes
        .extend(trained.note.map(|note| format!("The head alone: {note}")));
    run.save_head_only(&head, found.clone())?;
    Ok((head, found))
}

/// What the head alone comes to on the frames and labels of today, by which what goes deeper is judged too.
fn measured_anew(
    run: &mut Run,
    prepared: &Prepared,
    head: &Head,
    mut found: HeadOnly,
) -> Result<HeadOnly, TrainError> {
    let data = &prepared.data;
    found.best = match found.best {
        Some(best) => point(data, head, best.step)?,
        None => None,
    };
    found.test_accuracy = accuracy(data.sizes, &data.test, head)?;
    if run.head_only.as_ref() != Some(&found) {
        run.head_only = Some(found.clone());
        run.save()?;
    }
    Ok(found)
}

/// The head, and the rest.
fn split_weights(network: &Network, kept: Vec<Tensor>) -> Result<(Head, TunedWeights), TrainError> {
    let (mut head, mut tuned) = (Vec::new(), Vec::new());
    for (weight, tensor) in network.weights.iter().zip(kept) {
        if HEAD_WEIGHTS.contains(&&*weight.name) {
            head.push(tensor);
            continue;
        }
        // Back to the shape that the network has it in.
        let original = network.back.find(&weight.name);
        let original = original.and_then(|weight| network.back.lens(weight));
        let shape = original.unwrap_or_else(|| tensor.shape.clone());
        tuned.push((weight.name.clone(), Tensor::new(shape, tensor.data)));
    }
    Ok((Head::of_tensors(&head)?, TunedWeights::new(tuned)?))
}

/// Both classifiers on the test frames, with the whole network as the app and an export run it.
fn test(
    project: &Project,
    run: &Run,
    prepared: &Prepared,
    [head_only, deeper]: [&Head; 2],
    tuned: &TunedWeights,
    work: &Work,
) -> Result<(Option<verdict::Verdict>, Option<Tested>), TrainError> {
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
        Some(tuned),
        Some(&run.cache_dir()),
        work,
    )?;
    // A frame that has gone since the bottlenecks were computed counts as wrong for neither.
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
        &correct(data.sizes, &after, deeper)?,
        &groups,
    );
    let tested = tested(data.sizes, [("test", &after)], deeper)?;
    Ok((verdict, tested))
}
