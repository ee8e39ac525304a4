//! The graph itself: values, nodes, and how one leads to the other.

use std::collections::HashMap;
use std::sync::Arc;

use crate::onnx::{ElementType, Tensor};

use super::op::{Inputs, Other};
use super::ops::Moves;
use super::value::{Dim, Fact, Foreign, Value, ValueId};
use super::{GraphError, Op, WeightKind};

/// The version of the standard operators that new graphs use. Old enough for every runtime of the last years.
pub const OPSET: i64 = 17;

/// An operator at work: what it reads, and what it computes.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name, which may be empty and says nothing.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// What it reads; `None` for an input that is left out.
    pub inputs: Vec<Option<ValueId>>,
    /// What it computes; `None` for an output that is left out.
    pub outputs: Vec<Option<ValueId>>,
}

impl Node {
    /// The input at a place, if it is given.
    #[must_use]
    pub fn input(&self, at: usize) -> Option<ValueId> {
        self.inputs.get(at).copied().flatten()
    }

    /// The first output.
    #[must_use]
    pub fn output(&self) -> Option<ValueId> {
        self.outputs.first().copied().flatten()
    }

    /// All values that it reads, those that graphs in its attributes read among them.
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

    /// Replaces what it reads.
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

/// Operators and the values between them, and what belongs to them in a model file.
///
/// Tensors are shared: a clone costs as much as there are nodes, however large the weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// Its name.
    pub name: String,
    /// Version of the standard operators.
    pub opset: i64,
    /// Other operator domains in use, with their versions.
    pub other_opsets: Vec<(String, i64)>,
    /// Custom metadata of the model, in the order of their addition.
    pub metadata: Vec<(String, String)>,
    /// Including those that no node or output uses any more.
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

    /// The constants, in the order of their addition.
    pub fn constants(&self) -> impl Iterator<Item = ValueId> {
        let all = self.values.iter().enumerate();
        all.filter(|(_, value)| value.fact.constant.is_some())
            .map(|(index, _)| ValueId::at(index))
    }

    /// What the graph knows about one of its values.
    ///
    /// # Panics
    /// When it is a value of another graph.
    #[must_use]
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    pub(super) fn value_mut(&mut self, id: ValueId) -> &mut Value {
        &mut self.values[id.index()]
    }

    /// The value of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ValueId> {
        self.names.get(name).copied()
    }

    /// The value of that name, or a message that there is none.
    pub fn named(&self, name: &str) -> Result<ValueId, GraphError> {
        self.find(name)
            .ok_or_else(|| GraphError::Model(format!("it has no value “{name}”")))
    }

    /// A value's name.
    #[must_use]
    pub fn name_of(&self, id: ValueId) -> &str {
        &self.value(id).name
    }

    /// What is known of a value.
    #[must_use]
    pub fn fact(&self, id: ValueId) -> &Fact {
        &self.value(id).fact
    }

    /// The type of a value's elements, when it is known.
    #[must_use]
    pub fn element(&self, id: ValueId) -> Option<ElementType> {
        self.fact(id).element
    }

    /// A value's shape, when each dimension has a length or a name.
    #[must_use]
    pub fn shape(&self, id: ValueId) -> Option<&[Dim]> {
        self.fact(id).known_shape()
    }

    /// The lengths of a value's dimensions, when all are known.
    #[must_use]
    pub fn lens(&self, id: ValueId) -> Option<Vec<usize>> {
        self.fact(id).lens()
    }

    /// The contents of a constant.
    #[must_use]
    pub fn constant_of(&self, id: ValueId) -> Option<&Arc<Tensor>> {
        self.fact(id).constant.as_ref()
    }

    /// The contents of a constant of 64-bit integers.
    #[must_use]
    pub fn ints_of(&self, id: ValueId) -> Option<&[i64]> {
        self.fact(id).ints()
    }

    /// The node that computes a value.
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

    /// What a node is called, by its first output where it has no name.
    #[must_use]
    pub fn name_of_node<'a>(&'a self, node: &'a Node) -> &'a str {
        match node.output() {
            Some(output) if node.name.is_empty() => self.name_of(output),
            _ => &node.name,
        }
    }

    /// What is known of a node's inputs.
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

    /// The inputs of a node that are weights when they are constants, and what they are.
    #[must_use]
    pub fn weights_of(&self, node: &Node) -> Vec<(ValueId, WeightKind)> {
        let weights = node.op.weights(&self.inputs_of(node)).into_iter();
        weights
            .filter_map(|(at, kind)| Some((node.input(at)?, kind)))
            .collect()
    }

    /// The dimensions that a reduction goes over, where they are known.
    #[must_use]
    pub fn reduced_axes(&self, node: &Node) -> Option<Vec<usize>> {
        match &node.op {
            Op::Reduce(reduce) => reduce.axes(&self.inputs_of(node)),
            _ => None,
        }
    }

    /// What a slice takes, where it is known: for each dimension that it cuts which one, the first index, the number of
    /// indices, and the step between them.
    #[must_use]
    pub fn cuts(&self, node: &Node) -> Option<Vec<(usize, i64, usize, i64)>> {
        match &node.op {
            Op::Moves(Moves::Slice(cut)) => cut.cuts(&self.inputs_of(node)),
            _ => None,
        }
    }

    /// A name that no value has yet, beginning with `hint`.
    pub(super) fn unique(&mut self, hint: &str) -> Arc<str> {
        loop {
            let name = format!("{hint}_{}", self.next_name);
            self.next_name += 1;
            if !self.names.contains_key(name.as_str()) {
                return name.into();
            }
        }
    }

    /// A new value of a chosen name; of one like it when that is taken.
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

    /// Adds a node whose outputs are values of this graph already.
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

    /// Notes what follows for the outputs of a node and was not known.
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

    /// Works out again what is known of all computed values, and forgets what was said of them otherwise.
    pub fn infer_anew(&mut self) {
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

    /// Says which shape a value has, whatever was known of it.
    pub fn set_shape(&mut self, id: ValueId, shape: &[Dim]) {
        self.value_mut(id).fact.shape = Some(shape.to_vec());
    }

    /// Gives an input another shape, and all values the shapes that follow from it.
    pub fn set_input_shape(&mut self, input: ValueId, shape: &[Dim]) {
        self.set_shape(input, shape);
        self.infer_anew();
    }

    /// Lets the node that computes `value` read another value at the place `at`, which comes about earlier.
    pub fn set_input_of(&mut self, value: ValueId, at: usize, input: ValueId) {
        let node = self.value(value).producer;
        let node = node.and_then(|index| self.nodes.get_mut(index));
        if let Some(slot) = node.and_then(|node| node.inputs.get_mut(at)) {
            *slot = Some(input);
        }
    }

    /// Keeps the nodes that `keep` says, by their index.
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

    /// Makes a constant of a value, whatever computed it. Its node stays until [`Graph::prune`] unless the caller
    /// drops it.
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
