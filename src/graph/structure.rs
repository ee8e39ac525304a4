//! The graph itself: values and nodes, and how they are connected.

use std::collections::HashMap;
use std::sync::Arc;

use crate::onnx::{ElementType, Tensor};

use super::op::{Inputs, Other};
use super::ops::Moves;
use super::value::{Dim, Fact, Foreign, Value, ValueId};
use super::{GraphError, Op, WeightKind};

/// The version of the standard operators in new graphs, old enough for every runtime of recent years.
pub const OPSET: i64 = 17;

/// A node: an operator with its inputs and outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name, which may be empty and has no meaning.
    pub name: String,
    /// Its operator.
    pub op: Op,
    /// Its inputs; `None` for an omitted one.
    pub inputs: Vec<Option<ValueId>>,
    /// Its outputs; `None` for an omitted one.
    pub outputs: Vec<Option<ValueId>>,
}

impl Node {
    /// The input at an index, if it is present.
    #[must_use]
    pub fn input(&self, at: usize) -> Option<ValueId> {
        self.inputs.get(at).copied().flatten()
    }

    /// The first output, if it is present.
    #[must_use]
    pub fn output(&self) -> Option<ValueId> {
        self.outputs.first().copied().flatten()
    }

    /// All values that it reads, including those that subgraphs in its attributes read.
    pub fn reads(&self) -> impl Iterator<Item = ValueId> {
        let captures: &[_] = match &self.op {
            Op::Other(Other { captures, .. }) => captures,
            _ => &[],
        };
        let captured = captures.iter().map(|(_, value)| *value);
        self.inputs.iter().copied().flatten().chain(captured)
    }

    /// All values that it computes.
    pub fn makes(&self) -> impl Iterator<Item = ValueId> {
        self.outputs.iter().copied().flatten()
    }

    /// Replaces the values that it reads.
    pub(super) fn map_reads(&mut self, new: impl Fn(ValueId) -> ValueId) {
        for input in self.inputs.iter_mut().flatten() {
            *input = new(*input);
        }
        if let Op::Other(Other { captures, .. }) = &mut self.op {
            for (_, value) in captures {
                *value = new(*value);
            }
        }
    }
}

/// A network: operators, the values between them, and the metadata of a model file.
///
/// Tensors are shared, so that cloning a graph does not copy its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// Its name.
    pub name: String,
    /// Version of the standard operators (opset).
    pub opset: i64,
    /// Other operator domains in use, with their versions.
    pub other_opsets: Vec<(String, i64)>,
    /// Custom metadata of the model, in the order in which it was added.
    pub metadata: Vec<(String, String)>,
    /// All values, including those that no node or output uses any more.
    pub(super) values: Vec<Value>,
    /// In topological order.
    pub(super) nodes: Vec<Node>,
    pub(super) inputs: Vec<ValueId>,
    pub(super) outputs: Vec<ValueId>,
    pub(super) names: HashMap<Arc<str>, ValueId>,
    pub(super) next_name: usize,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            opset: OPSET,
            other_opsets: Vec::new(),
            metadata: Vec::new(),
            values: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            names: HashMap::new(),
            next_name: 0,
        }
    }

    /// The nodes in topological order: each after those that it reads from.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The inputs, in order.
    #[must_use]
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// The outputs, in order.
    #[must_use]
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// The constants, in the order in which they were added.
    pub fn constants(&self) -> impl Iterator<Item = ValueId> {
        let all = self.values.iter().enumerate();
        all.filter(|(_, value)| value.fact.constant.is_some())
            .map(|(index, _)| ValueId::at(index))
    }

    /// A value with its name and facts.
    ///
    /// # Panics
    /// If it is a value of another graph.
    #[must_use]
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    pub(super) fn value_mut(&mut self, id: ValueId) -> &mut Value {
        &mut self.values[id.index()]
    }

    /// The value of that name, if there is one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ValueId> {
        self.names.get(name).copied()
    }

    /// The value of that name; an error if there is none.
    pub fn named(&self, name: &str) -> Result<ValueId, GraphError> {
        self.find(name)
            .ok_or_else(|| GraphError::Model(format!("it has no value “{name}”")))
    }

    /// A value's name.
    #[must_use]
    pub fn name_of(&self, id: ValueId) -> &str {
        &self.value(id).name
    }

    /// The facts about a value.
    #[must_use]
    pub fn fact(&self, id: ValueId) -> &Fact {
        &self.value(id).fact
    }

    /// The type of a value's elements, if it is known.
    #[must_use]
    pub fn element(&self, id: ValueId) -> Option<ElementType> {
        self.fact(id).element
    }

    /// A value's shape, if each dimension has a length or a name.
    #[must_use]
    pub fn shape(&self, id: ValueId) -> Option<&[Dim]> {
        self.fact(id).known_shape()
    }

    /// The lengths of a value's dimensions, if all are known.
    #[must_use]
    pub fn lens(&self, id: ValueId) -> Option<Vec<usize>> {
        self.fact(id).lens()
    }

    /// The contents of a constant; `None` for other values.
    #[must_use]
    pub fn constant_of(&self, id: ValueId) -> Option<&Arc<Tensor>> {
        self.fact(id).constant.as_ref()
    }

    /// The contents of a constant of 64-bit integers; `None` for other values.
    #[must_use]
    pub fn ints_of(&self, id: ValueId) -> Option<&[i64]> {
        self.fact(id).ints()
    }

    /// The node that computes a value; `None` for inputs and constants.
    #[must_use]
    pub fn producer(&self, id: ValueId) -> Option<&Node> {
        self.nodes.get(self.value(id).producer?)
    }

    /// The nodes that read a value.
    pub fn consumers(&self, id: ValueId) -> impl Iterator<Item = &Node> {
        self.nodes
            .iter()
            .filter(move |node| node.reads().any(|read| read == id))
    }

    /// A node's name, or that of its first output if it has none.
    #[must_use]
    pub fn name_of_node<'a>(&'a self, node: &'a Node) -> &'a str {
        match node.output() {
            Some(output) if node.name.is_empty() => self.name_of(output),
            _ => &node.name,
        }
    }

    /// The facts about a node's inputs.
    pub(super) fn inputs_of(&self, node: &Node) -> Inputs<'_> {
        let fact = |input: &Option<ValueId>| input.map(|id| self.fact(id));
        Inputs(node.inputs.iter().map(fact).collect())
    }

    /// Multiply-accumulates of a node for one example of a batch.
    #[must_use]
    pub fn macs(&self, node: &Node) -> u64 {
        let macs = || {
            let each = node.op.macs_per_output(&self.inputs_of(node))?;
            let lens = self.shape(node.output()?)?.get(1..)?.iter();
            Some(each * lens.map(Dim::fixed).product::<Option<usize>>()?)
        };
        macs().unwrap_or(0) as u64
    }

    /// The inputs of a node that are weights if they are constants, and their kinds.
    #[must_use]
    pub fn weights_of(&self, node: &Node) -> Vec<(ValueId, WeightKind)> {
        let weights = node.op.weights(&self.inputs_of(node)).into_iter();
        weights
            .filter_map(|(at, kind)| Some((node.input(at)?, kind)))
            .collect()
    }

    /// The dimensions that a reduction reduces, if they are known.
    #[must_use]
    pub fn reduced_axes(&self, node: &Node) -> Option<Vec<usize>> {
        match &node.op {
            Op::Reduce(reduce) => reduce.axes(&self.inputs_of(node)),
            _ => None,
        }
    }

    /// The bounds of a slice, if they are known: for each dimension that it slices, its index, the first index in it,
    /// the number of indices, and the step between them.
    #[must_use]
    pub fn cuts(&self, node: &Node) -> Option<Vec<(usize, i64, usize, i64)>> {
        match &node.op {
            Op::Moves(Moves::Slice(cut)) => cut.cuts(&self.inputs_of(node)),
            _ => None,
        }
    }

    /// An unused name that begins with `hint`.
    pub(super) fn unique(&mut self, hint: &str) -> Arc<str> {
        loop {
            let name = format!("{hint}_{}", self.next_name);
            self.next_name += 1;
            if !self.names.contains_key(name.as_str()) {
                return name.into();
            }
        }
    }

    /// A new value called `name`, or similarly if that is taken.
    pub(super) fn add_value(&mut self, name: &str, fact: Fact) -> ValueId {
        let name = if name.is_empty() || self.names.contains_key(name) {
            self.unique(name)
        } else {
            name.into()
        };
        let id = ValueId::at(self.values.len());
        self.names.insert(Arc::clone(&name), id);
        self.values.push(Value {
            name,
            fact,
            producer: None,
            foreign: None,
        });
        id
    }

    /// Adds a node whose outputs are already values of this graph.
    pub(super) fn push_node(&mut self, node: Node) {
        let index = self.nodes.len();
        for output in node.makes() {
            self.value_mut(output).producer = Some(index);
        }
        let domain = node.op.domain();
        if !domain.is_empty() && self.other_opsets.iter().all(|(known, _)| known != domain) {
            self.other_opsets.push((domain.to_owned(), 1));
        }
        self.nodes.push(node);
        self.infer(index);
    }

    /// Infers types and shapes of the outputs of a node that are not known yet.
    pub(super) fn infer(&mut self, index: usize) {
        let Some(node) = self.nodes.get(index) else {
            return;
        };
        let found = node.op.facts(&self.inputs_of(node), node.outputs.len());
        let outputs: Vec<_> = node.outputs.iter().copied().zip(found).collect();
        for (output, found) in outputs {
            let Some(output) = output else { continue };
            let fact = &mut self.value_mut(output).fact;
            fact.element = fact.element.or(found.element);
            if fact.known_shape().is_none() && found.shape.is_some() {
                fact.shape = found.shape;
            }
        }
    }

    /// Infers types and shapes of all computed values again, and forgets what was declared for them.
    pub fn infer_again(&mut self) {
        for index in 0..self.nodes.len() {
            let outputs: Vec<_> = self
                .nodes
                .get(index)
                .into_iter()
                .flat_map(Node::makes)
                .collect();
            for output in outputs {
                self.value_mut(output).fact = Fact::default();
            }
            self.infer(index);
        }
    }

    /// Sets the shape of a value, whatever it was before.
    pub fn set_shape(&mut self, id: ValueId, shape: &[Dim]) {
        self.value_mut(id).fact.shape = Some(shape.to_vec());
    }

    /// Changes the shape of an input, and infers the shapes of all computed values again.
    pub fn set_input_shape(&mut self, input: ValueId, shape: &[Dim]) {
        self.set_shape(input, shape);
        self.infer_again();
    }

    /// Changes the input at index `at` of the node that computes `value` to a value that is computed earlier.
    pub fn set_input_of(&mut self, value: ValueId, at: usize, input: ValueId) {
        let node = self.value(value).producer;
        let node = node.and_then(|index| self.nodes.get_mut(index));
        if let Some(slot) = node.and_then(|node| node.inputs.get_mut(at)) {
            *slot = Some(input);
        }
    }

    /// Keeps the nodes for which `keep`, called with their index, is true.
    pub(super) fn retain_nodes(&mut self, mut keep: impl FnMut(usize, &Node) -> bool) {
        let mut index = 0;
        self.nodes.retain(|node| {
            index += 1;
            keep(index - 1, node)
        });
        for value in &mut self.values {
            value.producer = None;
        }
        for (index, node) in self.nodes.iter().enumerate() {
            for output in node.makes() {
                self.values[output.index()].producer = Some(index);
            }
        }
    }

    /// Turns a value into a constant, whatever computed it. Its node stays until [`Graph::prune`] unless the caller
    /// removes it.
    pub(super) fn make_constant(&mut self, id: ValueId, tensor: Arc<Tensor>) {
        let value = self.value_mut(id);
        value.fact = Fact::of_constant(tensor);
        value.producer = None;
    }

    pub(super) fn foreign(&self, id: ValueId) -> Option<&Foreign> {
        self.value(id).foreign.as_deref()
    }

    /// Sets a custom metadata entry.
    pub fn set_metadata(&mut self, key: &str, value: &str) {
        match self.metadata.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => value.clone_into(known),
            None => self.metadata.push((key.to_owned(), value.to_owned())),
        }
    }
}
