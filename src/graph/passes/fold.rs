//! Making constants of what is computed from constants.
//!
//! Exporters write pads, axes and targets of reshapes as chains of nodes, and store weights as fp16 behind a cast. Whoever
//! must know the shapes in a network before it runs, or trains its weights, must know those numbers.

use std::collections::HashSet;
use std::sync::Arc;

use crate::graph::ops::{Elementwise, Reshaping};
use crate::graph::structure::Node;
use crate::graph::value::{Fact, ValueId};
use crate::graph::{Graph, GraphError, Op};
use crate::onnx::{Element, ElementType, Session, Tensor};

impl Graph {
    /// Makes plain constants of what is only a reading of constants: `Cast` between fp16 and fp32, and `Identity`.
    /// Names stay, so that a weight that is stored as fp16 becomes an f32 constant under the name by which its users
    /// know it. Also chains of integers ([`Graph::fold_integers`]).
    pub fn fold_constants(&mut self) -> Result<(), GraphError> {
        let mut gone = HashSet::new();
        for index in 0..self.nodes.len() {
            let Some(output) = self.nodes.get(index).and_then(Node::output) else {
                continue;
            };
            if !self.outputs.contains(&output)
                && let Some(value) = self.nodes.get(index).and_then(|node| self.reading(node))
            {
                self.make_constant(output, value);
                gone.insert(index);
            }
        }
        self.retain_nodes(|at, _| !gone.contains(&at));
        self.fold_integers()?;
        // What only the folded nodes read.
        self.prune();
        Ok(())
    }

    /// What a node yields that only reads a constant; `None` when it computes something.
    fn reading(&self, node: &Node) -> Option<Arc<Tensor>> {
        let constant = self.constant_of(node.input(0)?)?;
        match &node.op {
            Op::Reshaping(Reshaping::Identity) => Some(Arc::clone(constant)),
            Op::Elementwise(Elementwise::Cast(to)) => cast(constant, *to),
            _ => None,
        }
    }

    /// Gives the `f32` constant `value` other contents of the same shape. It may be a constant or what
    /// [`Graph::fold_constants`] makes one of, such as the `Cast` of a weight that is stored as fp16: that node is then
    /// dropped and an f32 constant takes its place, so that nothing is rounded.
    pub fn replace_constant(&mut self, name: &str, tensor: &Tensor) -> Result<(), GraphError> {
        tensor.checked()?;
        tensor.f32()?;
        let refuse = |what: String| Err(GraphError::Model(what));
        let value = self.find(name);
        let producer = value.and_then(|value| self.producer(value));
        let present = match producer {
            Some(node) => self.reading(node),
            None => value.and_then(|value| self.constant_of(value).cloned()),
        };
        let (Some(value), Some(present)) = (value, present) else {
            return refuse(format!("there is no weight “{name}”"));
        };
        if present.f32().is_err() {
            return refuse(format!("“{name}” holds no 32-bit floats"));
        }
        if present.shape != tensor.shape {
            return refuse(format!(
                "“{name}” should have the shape {:?}, not {:?}",
                present.shape, tensor.shape
            ));
        }
        if let Some(index) = self.value(value).producer {
            self.retain_nodes(|at, _| at != index);
        }
        self.make_constant(value, Arc::new(tensor.clone()));
        Ok(())
    }

    /// Replaces nodes by their results where these depend on integers and known shapes alone. ONNX Runtime
    /// computes them. Weights, and what is made of them, stay as they are.
    pub fn fold_integers(&mut self) -> Result<(), GraphError> {
        // A shape that has become known makes further ones known.
        while self.fold_once(is_integer)? {}
        Ok(())
    }

    /// Replaces nodes by their results where these depend on constants alone, weights among them: a matrix that is transposed
    /// first becomes a weight of its own.
    pub fn fold_everything(&mut self) -> Result<(), GraphError> {
        while self.fold_once(|_| true)? {}
        self.prune();
        Ok(())
    }

    /// One round, with the constants of the elements that `counts` says.
    fn fold_once(&mut self, counts: impl Fn(ElementType) -> bool) -> Result<bool, GraphError> {
        let mut known: HashSet<ValueId> = self
            .constants()
            .filter(|value| self.element(*value).is_some_and(&counts))
            .collect();
        // Shapes that are known, results that ONNX Runtime computes, and the nodes of both.
        let mut shapes = Vec::new();
        let mut computed = Vec::new();
        let mut gone = HashSet::new();
        for (index, node) in self.nodes.iter().enumerate() {
            if node.makes().any(|value| self.outputs.contains(&value)) {
                continue;
            }
            let mut reads = node.inputs.iter().flatten();
            if let Some((value, lens)) = self.known_lens(node) {
                shapes.push((value, lens));
            } else if node.op.is_pure()
                && node.op.domain().is_empty()
                && !node.inputs.is_empty()
                && reads.all(|value| known.contains(value))
            {
                computed.extend(node.makes());
            } else {
                continue;
            }
            known.extend(node.makes());
            gone.insert(index);
        }
        if gone.is_empty() {
            return Ok(false);
        }
        for (value, lens) in shapes {
            self.make_constant(value, Arc::new(Tensor::new([lens.len()], lens)));
        }
        let results = self.compute(&computed, &gone)?;
        self.retain_nodes(|at, _| !gone.contains(&at));
        for (value, tensor) in results {
            self.make_constant(value, Arc::new(tensor));
        }
        self.infer_unknown();
        Ok(true)
    }

    /// The result of a `Shape`, where it is known.
    fn known_lens(&self, node: &Node) -> Option<(ValueId, Vec<i64>)> {
        if node.op != Op::from(Reshaping::SHAPE) {
            return None;
        }
        let lens = self.lens(node.input(0)?)?;
        Some((node.output()?, lens.iter().map(|len| *len as i64).collect()))
    }

    /// Those of `values` that nodes other than `gone` read, computed by ONNX Runtime.
    fn compute(
        &self,
        values: &[ValueId],
        gone: &HashSet<usize>,
    ) -> Result<Vec<(ValueId, Tensor)>, GraphError> {
        let kept = self.nodes.iter().enumerate();
        let kept = kept.filter(|(index, _)| !gone.contains(index));
        let read: HashSet<ValueId> = kept.flat_map(|(_, node)| node.reads()).collect();
        let wanted: Vec<ValueId> = values
            .iter()
            .copied()
            .filter(|v| read.contains(v))
            .collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut chains = self.clone();
        chains.inputs.clear();
        chains.outputs.clone_from(&wanted);
        for value in &wanted {
            // Neither type nor shape has to be given.
            chains.value_mut(*value).fact = Fact::default();
        }
        chains.retain_nodes(|_, node| !node.makes().any(|value| self.constant_of(value).is_some()));
        chains.prune();
        let mut session = Session::from_bytes(&chains.to_onnx(), 1)?;
        let names: Vec<&str> = wanted.iter().map(|value| self.name_of(*value)).collect();
        let tensors = session.run(&[], &names)?;
        Ok(wanted.into_iter().zip(tensors).collect())
    }

    /// Works out what follows from constants that have become known.
    fn infer_unknown(&mut self) {
        for index in 0..self.nodes.len() {
            self.infer(index);
        }
    }
}

fn is_integer(element: ElementType) -> bool {
    matches!(
        element,
        ElementType::I64 | ElementType::I32 | ElementType::Bool
    )
}

/// A constant as floats of the type `to`; `None` for other casts.
fn cast(tensor: &Arc<Tensor>, to: ElementType) -> Option<Arc<Tensor>> {
    match (&tensor.data, to) {
        (Element::F16(values), ElementType::F32) => {
            let values: Vec<f32> = values.iter().map(|value| value.to_f32()).collect();
            Some(Arc::new(Tensor::new(tensor.shape.clone(), values)))
        }
        (Element::F16(_), ElementType::F16) | (Element::F32(_), ElementType::F32) => {
            Some(Arc::clone(tensor))
        }
        _ => None,
    }
}
