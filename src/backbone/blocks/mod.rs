//! Divides a network's graph into blocks, and finds where it can be cut in two.
//!
//! A *point* is a tensor that every path from the input to the pooled output passes through. Between two successive
//! points (a residual or inception block, or a single node) the network cannot be cut. A *block* is a smallest part of
//! the network with a spatial convolution (a kernel larger than 1). Between two of them the cut is where the tensor is
//! smallest, because it is stored for each frame; of equally small tensors the last. In a transformer a product of two
//! computed matrices, which mixes places, counts as a spatial convolution. The first convolution only extracts
//! features from pixels: such a stem belongs to the block after it.

mod points;
mod weights;

#[cfg(test)]
mod tests;

use crate::graph::gradient::WithoutRule;
use crate::graph::{Dim, Graph, GraphError, Node, OPSET, Op, ValueId, reach};
use crate::jobs::{Work, abandonable};
use crate::onnx::ElementType;

use super::{Architecture, BackboneError, Depth, FineTunedWeights};
pub use crate::graph::WeightKind;
use points::DataPath;
pub use weights::Weight;

/// A place where the network is cut in two.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CutAt {
    /// The tensor from the front to the back.
    pub tensor: String,
    /// Its shape without the batch at the requested resolution: `[C, H, W]`, or `[T, C]` for T tokens.
    pub shape: Vec<usize>,
}

impl CutAt {
    /// The number of elements for one view.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Height and width, or the number of tokens.
    fn area(&self) -> &[usize] {
        match self.shape.as_slice() {
            [_, area @ ..] if self.shape.len() == 3 => area,
            tokens => tokens.get(..1).unwrap_or_default(),
        }
    }
}

/// A part of the network with at least one spatial convolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its input.
    pub cut: CutAt,
    /// Its output; for the last block the last feature map.
    pub output: CutAt,
}

/// The consequences of training a network to one depth at a resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How much is trained.
    pub depth: Depth,
    /// Where the network is cut; `None` for [`Depth::Head`], which is trained on bottlenecks.
    pub cut: Option<CutAt>,
    /// The weights of the back (all layers after the cut), in the order of their use.
    pub weights: Vec<Weight>,
    /// Multiply-accumulates of the front for one image: once per view.
    pub macs_front: u64,
    /// Multiply-accumulates of the back for one image, forward pass only: in every step.
    pub macs_back: u64,
    /// Bytes of one cached view: fp16, for the head the f32 bottleneck.
    pub bytes_per_view: u64,
}

impl Plan {
    /// The number of trained weights, without the softmax layer; `depthwise` states whether depthwise kernels are
    /// trained.
    #[must_use]
    pub fn weights_trained(&self, depthwise: bool) -> u64 {
        self.weights
            .iter()
            .filter(|weight| depthwise || weight.kind != WeightKind::DepthwiseKernel)
            .map(|weight| weight.elements as u64)
            .sum()
    }
}

/// A network's blocks at a resolution.
pub struct Blocks {
    /// From the input to the pooled output.
    graph: Graph,
    path: DataPath,
    pooled_dim: usize,
    row: Vec<Block>,
}

impl Blocks {
    /// The blocks of a backbone of the catalogue.
    pub fn of(architecture: &Architecture) -> Result<Self, BackboneError> {
        Self::with_weights(architecture, None)
    }

    /// The same, with fine-tuned weights in place of the original ones with these names.
    pub fn with_weights(
        architecture: &Architecture,
        fine_tuned: Option<&FineTunedWeights>,
    ) -> Result<Self, BackboneError> {
        let entry = architecture.entry()?;
        let graph = Graph::from_onnx(&architecture.model_with(fine_tuned)?)?;
        Self::analyse(
            &graph,
            &entry.input,
            (&entry.bottleneck, entry.bottleneck_dim),
            architecture.resolution_px,
        )
    }

    /// The same, without delaying a cancellation of `work`.
    pub fn of_for(architecture: &Architecture, work: &Work) -> Result<Self, BackboneError> {
        let architecture = architecture.clone();
        abandonable(work, move || Self::of(&architecture))?
    }

    /// The blocks of any network with an input `f32[N, 3, H, W]`, and with a pooled output of the given name and
    /// length D. An error if no path connects them, or if there is no spatial convolution.
    pub fn analyse(
        graph: &Graph,
        input: &str,
        (pooled, pooled_dim): (&str, usize),
        resolution_px: u32,
    ) -> Result<Self, BackboneError> {
        let side = resolution_px as usize;
        let input = CutAt {
            tensor: input.to_owned(),
            shape: vec![3, side, side],
        };
        let value = |name: &str| {
            let names = graph.inputs().iter().map(|value| graph.name_of(*value));
            graph.find(name).ok_or_else(|| {
                let names: Vec<&str> = names.collect();
                let names = names.join("”, “");
                GraphError::Model(format!(
                    "it has no value “{name}”; its inputs are “{names}”"
                ))
            })
        };
        let from = value(&input.tensor)?;
        let mut graph = graph.part(&[from], &[value(pooled)?])?;
        graph.declare(from, ElementType::F32, &batch_of(&input));
        // For this resolution only: the file may leave height and width free.
        graph.infer_again();
        declare_pooled(&mut graph, pooled_dim);
        let path = DataPath::find(&graph, &input);
        let row = path.blocks();
        if row.is_empty() {
            return Err(BackboneError::Blocks(format!(
                "there is no convolution between “{}” and “{pooled}”",
                input.tensor
            )));
        }
        Ok(Self {
            graph,
            path,
            pooled_dim,
            row,
        })
    }

    /// The blocks from the image to the pooled output.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.row
    }

    /// Name of the input, `f32[N, 3, H, W]`.
    #[must_use]
    pub fn input(&self) -> &str {
        self.name_of(self.graph.inputs().first())
    }

    /// Name of the pooled output, `f32[N, D]`.
    #[must_use]
    pub fn pooled(&self) -> &str {
        self.name_of(self.graph.outputs().first())
    }

    /// The cut at the very end: the pooled output of `dim` elements.
    #[must_use]
    pub fn at_pooled(&self, dim: usize) -> CutAt {
        CutAt {
            tensor: self.pooled().to_owned(),
            shape: vec![dim, 1, 1],
        }
    }

    fn name_of(&self, value: Option<&ValueId>) -> &str {
        value.map_or("", |value| self.graph.name_of(*value))
    }

    /// The plan of each depth to which the network can be trained, from the shallowest; of equivalent depths only one.
    #[must_use]
    pub fn plans(&self) -> Vec<Plan> {
        let mut plans: Vec<Plan> = Vec::new();
        for depth in Depth::ALL {
            let plan = self.plan(depth);
            let in_the_way = plan.cut.as_ref().and_then(|cut| self.in_the_way(cut));
            if in_the_way.is_none() && plans.iter().all(|known| known.cut != plan.cut) {
                plans.push(plan);
            }
        }
        plans
    }

    /// Like [`Blocks::plan`], for a depth to which the network can be trained.
    ///
    /// # Errors
    /// [`BackboneError::NotTrainable`] names a node without a gradient rule.
    pub fn plan_to_train(&self, depth: Depth) -> Result<Plan, BackboneError> {
        let plan = self.plan(depth);
        match plan.cut.as_ref().and_then(|cut| self.in_the_way(cut)) {
            None => Ok(plan),
            Some(reason) => Err(BackboneError::NotTrainable { depth, reason }),
        }
    }

    /// Why the network cannot be trained as a whole, in a sentence with the last node without a gradient rule; `None`
    /// if it can.
    #[must_use]
    pub fn hindrance(&self) -> Option<String> {
        self.in_the_way(&self.cut(Depth::All)?)
    }

    /// Why the back of a cut cannot be trained.
    fn in_the_way(&self, cut: &CutAt) -> Option<String> {
        let without = |node: &WithoutRule| {
            format!(
                "no gradient passes through its node “{}”, the operator {}",
                node.node, node.operator
            )
        };
        match self.back(cut) {
            Ok(back) => {
                let output = back.outputs().first()?;
                reach(&back, *output).without_rule.last().map(without)
            }
            Err(error) => Some(error.to_string()),
        }
    }

    /// The plan of `depth`; a network with fewer blocks is trained as a whole.
    #[must_use]
    pub fn plan(&self, depth: Depth) -> Plan {
        let cut = self.cut(depth);
        let macs = weights::multiply_accumulates(&self.graph, &self.path);
        let begin = match &cut {
            Some(cut) => self.path.begin(&cut.tensor),
            None => macs.len(),
        };
        let starts: Vec<usize> = self
            .row
            .iter()
            .map(|block| self.path.begin(&block.cut.tensor))
            .collect();
        let (front, back) = macs.split_at(begin.min(macs.len()));
        Plan {
            depth,
            weights: weights::weights(&self.graph, &self.path, begin, &starts),
            macs_front: front.iter().sum(),
            macs_back: back.iter().sum(),
            bytes_per_view: match &cut {
                Some(cut) => 2 * cut.elements() as u64,
                None => 4 * self.pooled_dim as u64,
            },
            cut,
        }
    }

    fn cut(&self, depth: Depth) -> Option<CutAt> {
        let last = |count: usize| {
            let at = self.row.len().saturating_sub(count);
            self.row.get(at).map(|block| block.cut.clone())
        };
        match depth {
            Depth::Head => None,
            Depth::Last1 => last(1),
            Depth::Last3 => last(3),
            Depth::Stage => last(self.blocks_of_last(1)),
            Depth::TwoStages => last(self.blocks_of_last(2)),
            Depth::All => last(self.row.len()),
        }
    }

    /// The number of blocks in the last stages; a stage is a sequence of blocks with one resolution.
    fn blocks_of_last(&self, stages: usize) -> usize {
        let of_stages = self.row.chunk_by(|a, b| a.output.area() == b.output.area());
        of_stages.rev().take(stages).map(<[_]>::len).sum()
    }

    /// The front of the network up to the cut, whose tensor is the only output. An error if the cut is the input,
    /// because then there is no front.
    pub fn front(&self, cut: &CutAt) -> Result<Graph, BackboneError> {
        let outputs = [self.graph.named(&cut.tensor)?];
        Ok(self.graph.part(self.graph.inputs(), &outputs)?)
    }

    /// The whole network with two outputs: the tensor at the cut, and the pooled output. An error if the cut is the
    /// input.
    pub fn front_and_pooled(&self, cut: &CutAt) -> Result<Graph, BackboneError> {
        let mut outputs = vec![self.graph.named(&cut.tensor)?];
        outputs.extend(self.graph.outputs());
        Ok(self.graph.part(self.graph.inputs(), &outputs)?)
    }

    /// The back of the network: from the tensor at the cut, `f32[N, …]`, to the pooled output `f32[N, D]`. Its weights
    /// are f32 constants with the names in [`Plan::weights`].
    pub fn back(&self, cut: &CutAt) -> Result<Graph, BackboneError> {
        let input = self.graph.named(&cut.tensor)?;
        let mut back = self.graph.part(&[input], self.graph.outputs())?;
        back.declare(input, ElementType::F32, &batch_of(cut));
        back.fold_constants()?;
        let others = |node: &Node| matches!(node.op, Op::Other(_));
        if back.opset != OPSET && !back.nodes().iter().any(others) {
            // The graphs of trainings have this version.
            back = back.to_opset(OPSET)?;
        }
        Ok(back)
    }
}

/// The shape of a batch at a cut, `[N, C, H, W]`.
fn batch_of(cut: &CutAt) -> Vec<Dim> {
    let mut shape = vec![Dim::Free("N".into())];
    shape.extend(cut.shape.iter().copied().map(Dim::Fixed));
    shape
}

/// Declares the output as `f32[N, D]`, which might otherwise be known only when the network runs.
fn declare_pooled(graph: &mut Graph, dim: usize) {
    if let [pooled] = *graph.outputs() {
        graph.declare(pooled, ElementType::F32, &["N".into(), Dim::Fixed(dim)]);
    }
}
