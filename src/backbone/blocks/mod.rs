//! A network's graph seen as a row of blocks, and where it can be cut in two.
//!
//! A *point* is a tensor through which every path from the input to the pooled output leads. What lies between
//! two neighbouring points (a residual or inception block, or a single node) cannot be cut. A *block* is
//! as little of the network as has a spatial convolution (a kernel larger than 1); between two of them the cut
//! lies where the tensor is smallest, because it is stored for each frame, and of equal ones at the latest. In a transformer
//! a product of two computed matrices, which mixes what is seen in different places, counts as one.
//! The first convolution only extracts features from pixels: such a stem belongs to the block after it.

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
    /// The tensor that goes from the front to the back.
    pub tensor: String,
    /// Its shape without the batch at the resolution that was asked for: `[C, H, W]`, or `[T, C]` of T tokens.
    pub shape: Vec<usize>,
}

impl CutAt {
    /// How many numbers one view has here.
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

/// A stretch of the network with at least one spatial convolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What flows in.
    pub cut: CutAt,
    /// What flows out; for the last block the last feature map.
    pub output: CutAt,
}

/// What training at one depth means for a network at a resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How much is trained.
    pub depth: Depth,
    /// Where the network is cut; `None` for [`Depth::Head`], which trains on bottlenecks.
    pub cut: Option<CutAt>,
    /// The weights of the back (all layers after the cut), in the order of their use.
    pub weights: Vec<Weight>,
    /// Multiply-accumulates of one image in front of the cut: once per view.
    pub macs_front: u64,
    /// Multiply-accumulates of one image through the back, forward pass only, in every step.
    pub macs_back: u64,
    /// Bytes of one view in the cache: fp16, for the head the f32 bottleneck.
    pub bytes_per_view: u64,
}

impl Plan {
    /// How many numbers are trained, the softmax layer not counted; `depthwise` says whether depthwise kernels
    /// are among them.
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

    /// The same, with tuned weights in place of the shipped ones of the same names.
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

    /// The same, which a cancellation does not wait for.
    pub fn of_for(architecture: &Architecture, work: &Work) -> Result<Self, BackboneError> {
        let architecture = architecture.clone();
        abandonable(work, move || Self::of(&architecture))?
    }

    /// The blocks of any network with an input `f32[N, 3, H, W]` and a pooled output of which the name and the
    /// length D are given. Fails when there is no way from one to the other, or it has no spatial
    /// convolution.
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
        // At this resolution alone: what is written in the file may leave height and width free.
        graph.infer_anew();
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

    /// The cut behind which nothing is left: the pooled output, of `dim` numbers.
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

    /// What training at each depth means that the network can be trained at, from the shallowest; depths that come to
    /// the same are there once.
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

    /// The same as [`Blocks::plan`], of a depth at which the network can be trained.
    ///
    /// # Errors
    /// [`BackboneError::NotTrainable`] names the node that no gradient goes through.
    pub fn plan_to_train(&self, depth: Depth) -> Result<Plan, BackboneError> {
        let plan = self.plan(depth);
        match plan.cut.as_ref().and_then(|cut| self.in_the_way(cut)) {
            None => Ok(plan),
            Some(reason) => Err(BackboneError::NotTrainable { depth, reason }),
        }
    }

    /// Why the network cannot be trained as a whole, in a sentence that names the last node in the way; `None` when it
    /// can.
    #[must_use]
    pub fn hindrance(&self) -> Option<String> {
        self.in_the_way(&self.cut(Depth::All)?)
    }

    /// Why the network behind a cut cannot be trained.
    fn in_the_way(&self, cut: &CutAt) -> Option<String> {
        let without = |node: &WithoutRule| {
            format!(
                "no gradient goes through its node “{}”, the operator {}",
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

    /// What training at `depth` means; a network with fewer blocks is trained as a whole.
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

    /// Blocks in the last stages, each as many blocks in a row as give one resolution.
    fn blocks_of_last(&self, stages: usize) -> usize {
        let of_stages = self.row.chunk_by(|a, b| a.output.area() == b.output.area());
        of_stages.rev().take(stages).map(<[_]>::len).sum()
    }

    /// The front of the network up to the cut, with its tensor as the only output. Fails when the cut is the
    /// input: nothing lies in front of it.
    pub fn front(&self, cut: &CutAt) -> Result<Graph, BackboneError> {
        let outputs = [self.graph.named(&cut.tensor)?];
        Ok(self.graph.part(self.graph.inputs(), &outputs)?)
    }

    /// The whole network with two outputs: the tensor at the cut, and the pooled output. Fails when the cut
    /// is the input.
    pub fn front_and_pooled(&self, cut: &CutAt) -> Result<Graph, BackboneError> {
        let mut outputs = vec![self.graph.named(&cut.tensor)?];
        outputs.extend(self.graph.outputs());
        Ok(self.graph.part(self.graph.inputs(), &outputs)?)
    }

    /// The back of the network: from the tensor at the cut, `f32[N, …]`, to the pooled output
    /// `f32[N, D]`. Its weights are f32 constants under the names in [`Plan::weights`].
    pub fn back(&self, cut: &CutAt) -> Result<Graph, BackboneError> {
        let input = self.graph.named(&cut.tensor)?;
        let mut back = self.graph.part(&[input], self.graph.outputs())?;
        back.declare(input, ElementType::F32, &batch_of(cut));
        back.fold_constants()?;
        let others = |node: &Node| matches!(node.op, Op::Other(_));
        if back.opset != OPSET && !back.nodes().iter().any(others) {
            // The step of a training is a graph of this version.
            back = back.to_opset(OPSET)?;
        }
        Ok(back)
    }
}

/// The shape of a batch of what flows through a cut, `[N, C, H, W]`.
fn batch_of(cut: &CutAt) -> Vec<Dim> {
    let mut shape = vec![Dim::Free("N".into())];
    shape.extend(cut.shape.iter().copied().map(Dim::Fixed));
    shape
}

/// Says that the output is `f32[N, D]`, which may be known only when the network runs.
fn declare_pooled(graph: &mut Graph, dim: usize) {
    if let [pooled] = *graph.outputs() {
        graph.declare(pooled, ElementType::F32, &["N".into(), Dim::Fixed(dim)]);
    }
}
