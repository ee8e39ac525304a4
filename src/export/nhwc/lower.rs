//! Converts a graph to a program, node by node.

use crate::graph::ops::{Elementwise, Norm, Reshaping};
use crate::graph::{Dim, Graph, GraphError, Node, Op};

use super::place::Lowering;
use super::{Kind, Program, TensorId, Unwritable, fuse, integers};

/// Converts a network to TensorFlow's terms, for one image at a time: batch normalisation is folded, channels are
/// last, padding is SAME where that is equal, activations are fused. Inputs and outputs keep their order, names and
/// dimensions. A quantized network (with a `QuantizeLinear`) computes in integers throughout, except pixels and
/// probabilities.
///
/// # Errors
/// [`Unwritable`] names the first node that cannot be converted, and why.
pub(crate) fn lower(graph: &Graph) -> Result<Program, Unwritable> {
    let mut graph = prepared(graph).map_err(|error| Unwritable {
        node: graph.name.clone(),
        operator: "graph".into(),
        reason: format!("cannot be simplified: {error}"),
    })?;
    let mut nodes = graph.nodes().iter();
    if !nodes.any(|node| matches!(node.op, Op::Quantization(_))) {
        graph.write_out_norms_and_erf();
    }
    let mut lowering = Lowering::new(&graph);
    for input in graph.inputs() {
        let placeholder_node = placeholder_node("input");
        let id = lowering.new_plain(&placeholder_node, *input)?;
        lowering.program.inputs.push(id);
    }
    for node in graph.nodes() {
        lowering.node(node)?;
    }
    let mut outputs = Vec::new();
    for output in graph.outputs() {
        let id = lowering.plain(&placeholder_node("output"), *output)?;
        outputs.push(lowering.own(id, lowering.name(*output)));
    }
    lowering.program.outputs = outputs;
    let mut program = lowering.program;
    fuse::fuse(&mut program);
    if program
        .operators
        .iter()
        .any(|operator| operator.kind == Kind::Quantize)
    {
        program = integers::integers(program)?;
        fuse::fuse_integers(&mut program);
    }
    Ok(program)
}

/// A node for errors about an input or output.
fn placeholder_node(name: &str) -> Node {
    Node {
        name: name.to_owned(),
        op: Reshaping::Identity.into(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    }
}

/// The graph for one image, simplified by passes.
pub(crate) fn prepared(graph: &Graph) -> Result<Graph, GraphError> {
    let mut graph = graph.clone();
    for input in graph.inputs().to_vec() {
        let Some(mut shape) = graph.fact(input).shape.clone() else {
            continue;
        };
        if let Some(batch) = shape.first_mut() {
            *batch = Dim::Fixed(1);
        }
        graph.set_input_shape(input, &shape);
    }
    graph.fold_constants()?;
    graph.infer_again();
    graph.fold_integers()?;
    graph.merge_pads();
    graph.fold_batch_norm()?;
    graph.infer_again();
    Ok(graph)
}

impl Lowering<'_> {
    fn node(&mut self, node: &Node) -> Result<(), Unwritable> {
        match &node.op {
            Op::Conv(conv) => self.conv(node, conv),
            Op::Linear(linear) => self.linear(node, *linear),
            Op::Pool(pool) => self.pool(node, pool),
            Op::GlobalPool(pool) => self.global_pool(node, *pool),
            Op::Elementwise(Elementwise::Cast(_)) => self.cast(node),
            Op::Elementwise(op) => self.elementwise(node, *op),
            Op::Activation(activation) => self.activation(node, *activation),
            Op::Softmax(softmax) => self.softmax(node, *softmax),
            Op::Reduce(reduce) => self.reduce(node, reduce),
            Op::Reshaping(op) => self.reshaping(node, op),
            Op::Moves(op) => self.moves(node, op),
            Op::Quantization(op) => self.quantization(node, *op),
            // Layer normalisations that no format has are written as arithmetic.
            Op::Norm(Norm::Layer { .. }) => {
                self.refuse(node, "is an operator that cannot be computed with integers")
            }
            Op::ConvTranspose(_) | Op::Norm(_) | Op::Blocked(_) | Op::Other(_) => {
                self.refuse(node, "is an unsupported operator")
            }
        }
    }

    /// The tensor itself, or a copy if it is already an input, a constant or an output.
    fn own(&mut self, tensor: TensorId, name: &str) -> TensorId {
        let computed = self
            .program
            .operators
            .iter()
            .any(|operator| operator.output == tensor);
        if computed {
            return tensor;
        }
        let (shape, element) = (
            self.program.shape(tensor).to_vec(),
            self.program.info(tensor).element,
        );
        let copy = self.program.add(name, &shape, element);
        self.program.push(Kind::Reshape, &[tensor], copy)
    }
}
