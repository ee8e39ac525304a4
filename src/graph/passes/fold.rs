//! Constant folding.
//!
//! Exporters write pads, axes and shapes as chains of nodes, and store fp16 weights followed by a cast. These must be
//! folded before the shapes of a network can be known without running it, and before its weights can be trained.

use std::collections::HashSet;
use std::sync::Arc;

use crate::graph::ops::{Elementwise, Reshaping};
use crate::graph::structure::Node;
use crate::graph::value::{Fact, ValueId};
use crate::graph::{Graph, GraphError, Op};
use crate::onnx::{Element, ElementType, Session, Tensor};

impl Graph {
    /// Folds nodes that only read a constant: `Cast` between fp16 and fp32, and `Identity`. Names are kept, so that a
    /// weight stored as fp16 becomes an f32 constant under the name by which its readers know it. Chains of integers
    /// are folded, too ([`Graph::fold_integers`]).
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
        // Removes constants that only the folded nodes read.
        self.prune();
        Ok(())
    }

    /// The result of a node that only reads a constant; `None` for a node that computes something.
    fn reading(&self, node: &Node) -> Option<Arc<Tensor>> {
        let constant = self.constant_of(node.input(0)?)?;
        match &node.op {
            Op::Reshaping(Reshaping::Identity) => Some(Arc::clone(constant)),
            Op::Elementwise(Elementwise::Cast(to)) => cast(constant, *to),
            _ => None,
        }
    }

    /// Replaces the contents of the `f32` constant called `name`; the shape stays. The value may also be one that
    /// [`Graph::fold_constants`] would fold, such as the `Cast` of a weight stored as fp16: the node is then replaced
    /// by an f32 constant, so that nothing is rounded.
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

    /// Replaces nodes that depend only on constant integers and known shapes by their results, which ONNX Runtime
    /// computes. Weights, and values computed from them, stay as they are.
    pub fn fold_integers(&mut self) -> Result<(), GraphError> {
        // Folding can make further shapes known.
        while self.fold_once(is_integer)? {}
        Ok(())
    }

    /// Replaces all nodes that depend only on constants, including weights, by their results: a transposed matrix, for
    /// example, becomes a weight itself.
    pub fn fold_everything(&mut self) -> Result<(), GraphError> {
        while self.fold_once(|_| true)? {}
        self.prune();
        Ok(())
    }

    /// Folds once, from constants of the element types for which `counts` is true.
    fn fold_once(&mut self, counts: impl Fn(ElementType) -> bool) -> Result<bool, GraphError> {
        let mut known: HashSet<ValueId> = self
            .constants()
            .filter(|value| self.element(*value).is_some_and(&counts))
            .collect();
        // Known shapes, results that ONNX Runtime computes, and the nodes of both.
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

    /// The output and the result of a `Shape` node, if it is known.
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
            // Outputs need no type or shape.
            chains.value_mut(*value).fact = Fact::default();
        }
        chains.retain_nodes(|_, node| !node.makes().any(|value| self.constant_of(value).is_some()));
        chains.prune();
        let mut session = Session::from_bytes(&chains.to_onnx(), 1)?;
        let names: Vec<&str> = wanted.iter().map(|value| self.name_of(*value)).collect();
        let tensors = session.run(&[], &names)?;
        Ok(wanted.into_iter().zip(tensors).collect())
    }

    /// Infers types and shapes that newly known constants determine.
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

/// A constant of floats cast to the float type `to`; `None` for other casts.
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
