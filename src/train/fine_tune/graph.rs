//! The fine-tuning as a problem: the back of a network with the head.

use std::collections::BTreeMap;

use crate::graph::ops::block_size;
use crate::graph::passes::layout::append_in_rows;
use crate::graph::{Dim, Graph, GraphError, ValueId};
use crate::jobs::cores;
use crate::onnx::ElementType;
use crate::train::batches::Part;
use crate::train::layers::append_layers;
use crate::train::optimizer::Weight;
use crate::train::parts::images_at_once;
use crate::train::problem::{Forward, Problem};

/// The names of the head's weights, in the order of [`Head::tensors`](crate::train::Head): those of a hidden layer, if
/// there is one, then matrix and bias of the last layer.
pub(super) const HEAD_WEIGHTS: [&str; 4] = [
    "logits.hidden.weight",
    "logits.hidden.bias",
    "logits.weight",
    "logits.bias",
];

/// The trained part of the network: its back from the cut to the bottleneck, and the head.
#[derive(Debug, Clone)]
pub(super) struct Network {
    /// A graph with one input, the cut `f32[N, …]`, and one output, `f32[N, D]`.
    pub back: Graph,
    /// Shape of the cut without the batch: `[C, H, W]`, or `[T, C]` for tokens.
    pub cut: Vec<usize>,
    /// Number of classes, K.
    pub classes: usize,
    /// The trained weights, the [head's](HEAD_WEIGHTS) last.
    pub weights: Vec<Weight>,
}

impl Network {
    /// Elements of one cached row.
    pub(super) fn row_len(&self) -> usize {
        self.cut.iter().product()
    }
}

impl Problem for Network {
    fn weights(&self) -> &[Weight] {
        &self.weights
    }

    fn classes(&self) -> usize {
        self.classes
    }

    /// Declares rows of the activation cache, `f16[B, C·H·W]`.
    fn declare(&self, graph: &mut Graph, _: Part, images: usize) -> [ValueId; 2] {
        let shape = [images, self.row_len()].map(Dim::Fixed);
        [
            graph.input("x", ElementType::F16, &shape),
            graph.input("y", ElementType::I64, &[images.into()]),
        ]
    }

    fn forward(
        &self,
        graph: &mut Graph,
        x: ValueId,
        weights: &[ValueId],
        images: usize,
        dropout: f32,
    ) -> Result<Forward, GraphError> {
        let x = graph.cast(x, ElementType::F32);
        let lens = std::iter::once(images).chain(self.cut.iter().copied());
        let lens: Vec<i64> = lens.map(|len| len as i64).collect();
        let x = graph.reshape(x, &lens);
        // The head's weights are not in the graph of the back.
        let trained: BTreeMap<ValueId, ValueId> = self
            .weights
            .iter()
            .zip(weights)
            .filter_map(|(weight, value)| Some((self.back.find(&weight.name)?, *value)))
            .collect();
        let block = block_size();
        let pooled = append_in_rows(graph, &self.back, x, &self.cut, images, &trained, block)?;
        let of_all = self.weights.iter().zip(weights);
        let of_head = of_all.filter(|(weight, _)| HEAD_WEIGHTS.contains(&&*weight.name));
        let of_head: Vec<ValueId> = of_head.map(|(_, value)| *value).collect();
        Ok(Forward {
            features: Some(pooled),
            logits: append_layers(graph, pooled, &of_head, dropout),
        })
    }

    fn images_at_once(&self, batch: usize) -> usize {
        let mut one = self.back.clone();
        if let [input] = *self.back.inputs() {
            let lens = std::iter::once(1).chain(self.cut.iter().copied());
            one.set_input_shape(input, &lens.map(Dim::Fixed).collect::<Vec<_>>());
        }
        images_at_once(&one, batch)
    }

    fn threads(&self) -> usize {
        cores()
    }
}
