//! The training of the head as a problem: one or two layers on a table of bottlenecks.

use std::sync::Arc;

use crate::graph::{Dim, Graph, GraphError, ValueId};
use crate::jobs::Work;
use crate::onnx::{Constant, ElementType, Loop, OnnxError, Session, Stopper, Tensor};
use crate::project::Project;

use super::batches::{Batches, Draw, Feed, LabelledFrames, Part, Purpose, ViewOfFrame};
use super::checkpoint::Store;
use super::curves::{BestPoint, LiveCurves};
use super::data::Prepared;
use super::decision::decide;
use super::evaluation::{Evaluator, ImageFigures, Watch};
use super::layers::append_layers;
use super::optimizer::Weight;
use super::problem::{Forward, Problem, evaluation_graph};
use super::tensorboard::Tested;
use super::training::Training;
use super::{Head, Run, TrainError};

/// Standard deviation of the normal distribution of initial weights, as in `retrain.py`.
const INITIAL_DEVIATION: f64 = 0.001;

/// The sizes of a head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Length of a bottleneck, D.
    pub dim: usize,
    /// Number of classes, C.
    pub classes: usize,
}

/// Bottlenecks with their classes. The bottlenecks are an ONNX Runtime value from the start: sessions read them in
/// place, and clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Examples {
    /// `f32[N·V, D]` and `i64[N·V]`, the V views of a frame one after the other; `None` without frames.
    tensors: Option<[Constant; 2]>,
    /// Class of each frame.
    pub y: Vec<i64>,
    /// The number of views of each frame, V.
    views: usize,
}

impl Examples {
    /// From row-major bottlenecks of the plain views, which are not copied, and the class of each.
    pub(super) fn new(sizes: Sizes, x: Vec<f32>, y: Vec<i64>) -> Result<Self, OnnxError> {
        Self::with_views(sizes, x, y, 1)
    }

    /// From row-major bottlenecks, which are not copied, with `views` of each frame one after the other, and the class
    /// of each frame.
    pub(super) fn with_views(
        sizes: Sizes,
        x: Vec<f32>,
        y: Vec<i64>,
        views: usize,
    ) -> Result<Self, OnnxError> {
        let rows = y.len() * views;
        let of_rows = y.iter().flat_map(|y| std::iter::repeat_n(*y, views));
        let of_rows: Vec<i64> = of_rows.collect();
        let tensors = match rows {
            0 => None,
            _ => Some([
                Constant::new(Tensor::new([rows, sizes.dim], x))?,
                Constant::new(Tensor::new([rows], of_rows))?,
            ]),
        };
        Ok(Self { tensors, y, views })
    }

    /// Bottlenecks and classes as constants of a session.
    fn constants(&self) -> Result<Vec<(&'static str, Constant)>, OnnxError> {
        let tensors = self.tensors.clone();
        let [x, y] = tensors.ok_or_else(|| OnnxError::Model("there are no examples".into()))?;
        Ok(vec![("x", x), ("y", y)])
    }

    /// Frees the bottlenecks.
    pub(super) fn forget_x(&mut self) {
        self.tensors = None;
    }

    /// Row-major `f32[N·V, D]`.
    pub(super) fn x(&self) -> Result<&[f32], OnnxError> {
        match &self.tensors {
            Some([x, _]) => x.f32(),
            None => Ok(&[]),
        }
    }

    /// Number of frames.
    pub(super) fn len(&self) -> usize {
        self.y.len()
    }

    /// The number of views of each frame, V.
    pub(super) fn views(&self) -> usize {
        self.views.max(1)
    }

    /// The number of rows: views of frames.
    fn rows(&self) -> usize {
        self.len() * self.views
    }

    /// All frames, as a side of a [`Table`].
    pub(super) fn side(&self) -> LabelledFrames {
        LabelledFrames {
            frames: (0..self.len()).collect(),
            y: self.y.clone(),
        }
    }
}

/// All data of a training: for learning, and for evaluations.
#[derive(Debug, Clone)]
pub(super) struct Data {
    pub sizes: Sizes,
    pub train: Examples,
    pub validation: Examples,
    pub test: Examples,
}

/// The table of bottlenecks, which sessions read in place: a batch consists of row numbers, and the validation frames
/// are evaluated all at once.
pub(super) struct Table<'a> {
    pub train: &'a Examples,
    pub validation: &'a Examples,
    /// The number of images in a step.
    pub batch: usize,
}

impl Batches for Table<'_> {
    fn feed(&self, part: Part) -> Result<Feed, OnnxError> {
        Ok(match part {
            Part::Training => Feed {
                images: self.batch,
                constants: self.train.constants()?,
                inputs: vec![("rows", ElementType::I64, vec![self.batch])],
            },
            Part::Validation => Feed {
                images: self.validation.len(),
                constants: self.validation.constants()?,
                inputs: Vec::new(),
            },
        })
    }

    fn features(&self) -> Result<Option<&[f32]>, OnnxError> {
        self.validation.x().map(Some)
    }

    fn write(
        &mut self,
        part: Part,
        rows: &[ViewOfFrame],
        _: &[i64],
        to: &mut Loop,
        _: &Work,
    ) -> Result<(), TrainError> {
        if part == Part::Training {
            let views = self.train.views();
            let rows = rows
                .iter()
                .map(|(frame, view)| (frame * views + *view as usize) as i64);
            to.set_i64("rows", &rows.collect::<Vec<i64>>())?;
        }
        Ok(())
    }
}

/// The head on a [`Table`].
pub(super) struct HeadLayer {
    sizes: Sizes,
    /// Units of the hidden layer, H; 0 without one.
    hidden: usize,
    weights: Vec<Weight>,
    /// The numbers of rows of the table's two parts.
    rows: [usize; 2],
}

impl HeadLayer {
    pub(super) fn new(sizes: Sizes, hidden: usize, table: &Table<'_>) -> Self {
        let Sizes { dim, classes } = sizes;
        let weight = |name: &str, shape: Vec<usize>| Weight {
            name: name.to_owned(),
            decays: shape.len() > 1,
            shape,
            rate: 1.0,
        };
        let width = if hidden > 0 { hidden } else { dim };
        let mut weights = Vec::new();
        if hidden > 0 {
            weights.push(weight("hidden.w", vec![hidden, dim]));
            weights.push(weight("hidden.b", vec![hidden]));
        }
        weights.push(weight("w", vec![classes, width]));
        weights.push(weight("b", vec![classes]));
        Self {
            sizes,
            hidden,
            weights,
            rows: [table.train.rows(), table.validation.rows()],
        }
    }

    /// The weights before the first step, from normal distributions: with a small variance for the last layer, and one
    /// that preserves the variance of its input for the hidden layer (He et al. 2015). Biases are zero.
    pub(super) fn initial(&self, seed: u64) -> Vec<Tensor> {
        let layer = |stream: u32, deviation: f64, [out, from]: [usize; 2]| {
            let mut draw = Draw::new(seed, Purpose::Weights, stream);
            let values: Vec<f32> = (0..out * from)
                .map(|_| (deviation * draw.truncated_normal()) as f32)
                .collect();
            [
                Tensor::new([out, from], values),
                Tensor::zeros(ElementType::F32, [out]),
            ]
        };
        let Sizes { dim, classes } = self.sizes;
        match self.hidden {
            0 => layer(0, INITIAL_DEVIATION, [classes, dim]).into(),
            hidden => {
                let deviation = (2.0 / dim.max(1) as f64).sqrt();
                let first = layer(1, deviation, [hidden, dim]);
                let last = layer(0, INITIAL_DEVIATION, [classes, hidden]);
                first.into_iter().chain(last).collect()
            }
        }
    }
}

impl Problem for HeadLayer {
    fn weights(&self) -> &[Weight] {
        &self.weights
    }

    fn classes(&self) -> usize {
        self.sizes.classes
    }

    fn declare(&self, graph: &mut Graph, part: Part, images: usize) -> [ValueId; 2] {
        let [train, validation] = self.rows;
        let rows = match part {
            Part::Training => train,
            Part::Validation => validation,
        };
        let shape = [rows, self.sizes.dim].map(Dim::Fixed);
        let x = graph.input("x", ElementType::F32, &shape);
        let y = graph.input("y", ElementType::I64, &[rows.into()]);
        match part {
            Part::Training => {
                let rows = graph.input("rows", ElementType::I64, &[images.into()]);
                [x, y].map(|all| graph.gather(all, rows, 0))
            }
            Part::Validation => [x, y],
        }
    }

    fn forward(
        &self,
        graph: &mut Graph,
        x: ValueId,
        weights: &[ValueId],
        _: usize,
        dropout: f32,
    ) -> Result<Forward, GraphError> {
        Ok(Forward {
            features: None,
            logits: append_layers(graph, x, weights, dropout),
        })
    }

    /// The products of a head are too small for two threads, and the window needs the other core.
    fn threads(&self) -> usize {
        1
    }
}

/// Trains the head from its last checkpoint to the number of steps in the run's settings, [decides](decide) the depth,
/// and keeps the head.
pub(super) fn train_head(
    project: &Project,
    run: &mut Run,
    prepared: &Prepared,
    curves: &LiveCurves,
    work: &Work,
) -> Result<Head, TrainError> {
    let (settings, stage, data) = (&run.settings, run.head_stage(), &prepared.data);
    let steps = settings.how_many_training_steps;
    let mut table = Table {
        train: &data.train,
        validation: &data.validation,
        batch: settings.head.learn.batch_size.max(1),
    };
    let hidden = settings.head.hidden_units as usize;
    let layer = HeadLayer::new(data.sizes, hidden, &table);
    let mut recipe = stage.recipe(data.validation.len());
    recipe.views = data.train.views();
    let training = Training {
        title: if stage.is_alone() {
            "Training"
        } else {
            "Training the head"
        },
        steps,
        initial: &layer.initial(settings.seed),
        problem: Arc::new(layer),
        classes: &run.classes,
        recipe: &recipe,
        sides: [&data.train.side(), &data.validation.side()],
        batches: &mut table,
        store: Store::of(stage),
    };
    let trained = training.run(curves, |points| curves.replace(steps, points, None), work)?;
    let head = Head::of_tensors(&trained.weights)?;
    let mut result = trained.result(stage.part());
    decide(project, run, prepared, result.validation_accuracy, work)?;
    result.test_accuracy = accuracy(data.sizes, &data.test, &head)?;
    let sets = [("test", &data.test), ("validation", &data.validation)];
    let tested = tested(data.sizes, sets, &head)?;
    run.keep(&head, result, tested.as_ref())?;
    Ok(head)
}

/// The head of a run whose first stage is done, evaluated again on the current frames and labels, for the comparison
/// with the fine-tuning.
pub(super) fn head_again(run: &mut Run, data: &Data) -> Result<Head, TrainError> {
    let head = run.head_alone()?;
    let before = run.results.clone();
    if let Some(result) = run.results.first_mut() {
        let best = match result.best() {
            Some(best) => point(data, &head, best.step)?,
            None => None,
        };
        result.set_best(best);
        result.test_accuracy = accuracy(data.sizes, &data.test, &head)?;
    }
    if run.results != before {
        run.save()?;
    }
    Ok(head)
}

/// The figures of a head on each frame of a set, which must not be empty.
fn figures(sizes: Sizes, examples: &Examples, head: &Head) -> Result<ImageFigures, TrainError> {
    let mut table = Table {
        train: &Examples::default(),
        validation: examples,
        batch: 0,
    };
    let hidden = head.hidden.as_ref().map_or(0, |hidden| hidden.b.len());
    let layer = HeadLayer::new(sizes, hidden, &table);
    let feed = table.feed(Part::Validation)?;
    let graph = evaluation_graph(&layer, Part::Validation, feed.images, true)?;
    let session = Session::from_bytes(&graph.to_onnx(), layer.threads())?;
    let mut evaluation = Evaluator::new(&layer, Part::Validation, session, &feed)?;
    evaluation.collects_activations = true;
    let weights = head.tensors();
    let rows: Vec<ViewOfFrame> = examples.side().rows().collect();
    let watch = Watch {
        work: &Work::new(),
        stopper: &Stopper::new()?,
    };
    evaluation.figures(&weights, (&rows, &examples.y), &mut table, watch)
}

/// The outputs of a head on the first of these sets that is not empty.
pub(super) fn tested<const N: usize>(
    sizes: Sizes,
    sets: [(&'static str, &Examples); N],
    head: &Head,
) -> Result<Option<Tested>, TrainError> {
    let Some((images, examples)) = sets.into_iter().find(|(_, set)| set.len() > 0) else {
        return Ok(None);
    };
    let [_, logits] = figures(sizes, examples, head)?.activations;
    let y = examples.y.clone();
    Ok(Some(Tested { images, y, logits }))
}

/// Whether a head classifies each frame of a set correctly.
pub(super) fn correct(
    sizes: Sizes,
    examples: &Examples,
    head: &Head,
) -> Result<Vec<bool>, TrainError> {
    if examples.len() == 0 {
        return Ok(Vec::new());
    }
    let figures = figures(sizes, examples, head)?;
    Ok(figures.correct.iter().map(|value| *value > 0.5).collect())
}

/// Accuracy of a head on a set; `None` if it is empty.
pub(super) fn accuracy(
    sizes: Sizes,
    examples: &Examples,
    head: &Head,
) -> Result<Option<f32>, TrainError> {
    let right = correct(sizes, examples, head)?;
    let count = right.iter().filter(|right| **right).count();
    Ok((!right.is_empty()).then(|| (count as f64 / right.len() as f64) as f32))
}

/// The evaluation of a step's head on the validation frames; `None` without any.
fn point(data: &Data, head: &Head, step: u32) -> Result<Option<BestPoint>, TrainError> {
    if data.validation.len() == 0 {
        return Ok(None);
    }
    let figures = figures(data.sizes, &data.validation, head)?;
    Ok(Some(figures.at(step)))
}
