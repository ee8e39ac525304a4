//! Half precision: weights stored and operators computed in fp16, probabilities in fp32.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use half::f16;

use crate::graph::ops::{Elementwise, Softmax};
use crate::graph::structure::Node;
use crate::graph::value::{Fact, ValueId};
use crate::graph::{Graph, GraphError, Op};
use crate::onnx::{Element, ElementType, Tensor};

impl Graph {
    /// Converts weights and operators to fp16. Inputs and outputs keep their types. The last softmax, and everything
    /// computed from its result, stay in fp32, because in 0..=1 the steps of fp16 are widest near 1. Other softmaxes,
    /// those of attention, are computed in fp32, and their results are rounded.
    ///
    /// # Errors
    /// [`GraphError::Model`] names an operator that is not supported, or a weight that is out of the range of fp16.
    pub fn to_half(&self) -> Result<Self, GraphError> {
        let mut from = self.clone();
        // Weights already stored as fp16 are followed by a `Cast`.
        from.fold_constants()?;
        from.round_kernels_to_half(0);
        let mut half = Self::new(&from.name);
        half.opset = from.opset;
        half.other_opsets.clone_from(&from.other_opsets);
        half.metadata.clone_from(&from.metadata);
        let mut pass = Half {
            from: &from,
            made: half,
            computed: HashMap::new(),
            read: HashMap::new(),
            single: HashSet::new(),
        };
        for input in &from.inputs {
            let fact = from.fact(*input).clone();
            let new = pass.made.add_value(from.name_of(*input), fact);
            pass.made.inputs.push(new);
            pass.computed.insert(*input, new);
        }
        let is_softmax = |node: &Node| matches!(node.op, Op::Softmax(_));
        let last = from.nodes.iter().rposition(is_softmax);
        for (at, node) in from.nodes.iter().enumerate() {
            pass.node(node, is_softmax(node) && last != Some(at))?;
        }
        for output in &from.outputs {
            let name = from.name_of(*output);
            let new = pass.computed.get(output).copied();
            let mut new =
                new.ok_or_else(|| unusable(&format!("nothing computes its output “{name}”")))?;
            if pass.made.element(new) == Some(ElementType::F16) {
                new = pass
                    .made
                    .op_named(Elementwise::Cast(ElementType::F32), &[new], name);
            }
            pass.made.output(new);
            if let Some(shape) = from.shape(*output) {
                pass.made.set_shape(new, shape);
            }
        }
        Ok(pass.made)
    }
}

struct Half<'a> {
    from: &'a Graph,
    made: Graph,
    /// The new values of inputs and results.
    computed: HashMap<ValueId, ValueId>,
    /// Constants and casts, by the type in which they are read.
    read: HashMap<(ValueId, ElementType), ValueId>,
    /// Values of `from` that are computed in fp32.
    single: HashSet<ValueId>,
}

impl Half<'_> {
    /// `is_rounded`: whether its results are rounded to fp16, whatever type they are computed in.
    fn node(&mut self, node: &Node, is_rounded: bool) -> Result<(), GraphError> {
        if let Op::Other(other) = &node.op {
            return Err(unusable(&format!(
                "“{}” is the operator {}, which is not known to work in fp16",
                self.from.name_of_node(node),
                other.op_type
            )));
        }
        let weights: Vec<ValueId> = self
            .from
            .weights_of(node)
            .iter()
            .map(|(id, _)| *id)
            .collect();
        let is_single = matches!(node.op, Op::Softmax(Softmax { .. }))
            || node.reads().any(|value| self.single.contains(&value));
        let element = if is_single {
            ElementType::F32
        } else {
            ElementType::F16
        };
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            inputs.push(match input {
                Some(input) => Some(self.input(*input, element, weights.contains(input))?),
                None => None,
            });
        }
        let op = match &node.op {
            Op::Elementwise(Elementwise::Cast(ElementType::F32)) => {
                Op::from(Elementwise::Cast(element))
            }
            op => op.clone(),
        };
        let mut outputs = Vec::with_capacity(node.outputs.len());
        for output in &node.outputs {
            let Some(output) = output else {
                outputs.push(None);
                continue;
            };
            if is_single && !is_rounded {
                self.single.insert(*output);
            }
            let mut fact = Fact::of(
                self.from.element(*output),
                self.from.fact(*output).shape.clone(),
            );
            if fact.element == Some(ElementType::F32) {
                fact.element = Some(element);
            }
            let mut name = self.from.name_of(*output).to_owned();
            // An output keeps its name.
            if self.from.outputs.contains(output) && fact.element == Some(ElementType::F16) {
                name += ".half";
            }
            let new = self.made.add_value(&name, fact);
            self.computed.insert(*output, new);
            outputs.push(Some(new));
        }
        self.made.push_node(Node {
            name: node.name.clone(),
            op,
            inputs,
            outputs,
        });
        Ok(())
    }

    /// A value as read by an operator that computes in `element`; values that are no floats are left alone.
    fn input(
        &mut self,
        id: ValueId,
        element: ElementType,
        is_weight: bool,
    ) -> Result<ValueId, GraphError> {
        if let Some(known) = self.read.get(&(id, element)) {
            return Ok(*known);
        }
        let name = self.from.name_of(id);
        let new = if let Some(tensor) = self.from.constant_of(id) {
            let tensor = if element == ElementType::F16 {
                halved(name, tensor, is_weight)?
            } else {
                Arc::clone(tensor)
            };
            self.made.constant_named(name, tensor)
        } else {
            let computed = self.computed.get(&id).copied();
            let computed =
                computed.ok_or_else(|| unusable(&format!("nothing computes “{name}”")))?;
            match self.made.element(computed) {
                Some(ElementType::F16 | ElementType::F32)
                    if self.made.element(computed) != Some(element) =>
                {
                    // Without a number in its name, because the graph will be joined with others.
                    let of = if element == ElementType::F16 {
                        "half"
                    } else {
                        "single"
                    };
                    let name = format!("{name}.as_{of}");
                    self.made
                        .op_named(Elementwise::Cast(element), &[computed], &name)
                }
                _ => return Ok(computed),
            }
        };
        self.read.insert((id, element), new);
        Ok(new)
    }
}

/// Floats converted to fp16; a clip bound that is out of range becomes infinite, which has the same effect.
fn halved(name: &str, tensor: &Arc<Tensor>, is_weight: bool) -> Result<Arc<Tensor>, GraphError> {
    let Element::F32(values) = &tensor.data else {
        return Ok(Arc::clone(tensor));
    };
    let halves: Vec<f16> = values.iter().map(|value| f16::from_f32(*value)).collect();
    let lost = halves
        .iter()
        .zip(values)
        .find(|(half, value)| half.is_infinite() && value.is_finite());
    if let (Some((_, value)), true) = (lost, is_weight) {
        return Err(unusable(&format!(
            "the weight “{name}” holds {value}, and fp16 ends at 65504"
        )));
    }
    Ok(Arc::new(Tensor::new(tensor.shape.clone(), halves)))
}

fn unusable(reason: &str) -> GraphError {
    GraphError::Model(format!("it has no form in half precision: {reason}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use crate::graph::Dim;
    use crate::graph::ops::{Activation, Linear};
    use crate::onnx::Session;

    use super::*;

    /// `clip(x · w)` followed by a softmax as output, with a bound that is out of the range of fp16.
    fn graph(weight: f32) -> Graph {
        let mut graph = Graph::new("test");
        let x = graph.input("x", ElementType::F32, &[Dim::from("N"), 2.into()]);
        let w = graph.constant_named("w", Tensor::new([2, 2], vec![weight, -0.5, 0.25, 1.0]));
        let product = graph.op(Linear::MatMul, &[x, w]);
        let [low, high] = [-3.0e38_f32, 6.0].map(|bound| graph.constant(Tensor::scalar(bound)));
        let clipped = graph.op(Activation::CLIP, &[product, low, high]);
        graph.output_as(clipped, "clipped");
        let softmax = graph.op_named(Softmax::LAST, &[clipped], "softmax");
        graph.output(softmax);
        graph
    }

    #[test]
    fn outputs_keep_names_and_types_and_a_bound_may_be_infinite() {
        let full = graph(0.1);
        let half = full.to_half().unwrap();
        let x = Tensor::new([1, 2], vec![3.0_f32, -2.0]);
        let run = |graph: &Graph| {
            let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
            let found = session.run(&[("x", &x)], &["clipped", "softmax"]).unwrap();
            let values = found.iter().map(|tensor| tensor.f32().unwrap().to_vec());
            values.collect::<Vec<_>>()
        };
        for (a, b) in run(&half).concat().iter().zip(run(&full).concat()) {
            assert!((a - b).abs() < 4e-3, "{a} {b}");
        }
        let w = half.find("w").unwrap();
        assert_eq!(half.element(w), Some(ElementType::F16));
        // The softmax reads a cast value and computes in fp32.
        let softmax = half.find("softmax").unwrap();
        assert_eq!(half.element(softmax), Some(ElementType::F32));
    }

    #[test]
    fn behind_the_softmax_of_an_attention_it_is_fp16_again() {
        let mut graph = Graph::new("test");
        let x = graph.input("x", ElementType::F32, &[Dim::from("N"), 2.into()]);
        let inner = graph.op_named(Softmax::LAST, &[x], "inner");
        let w = graph.constant_named("w", Tensor::new([2, 2], vec![1.5_f32, -0.5, 0.25, 1.0]));
        let logits = graph.op_named(Linear::MatMul, &[inner, w], "logits");
        let last = graph.op_named(Softmax::LAST, &[logits], "last");
        let again =
            graph.constant_named("again", Tensor::new([2, 2], vec![1.0_f32, 0.0, 0.0, 1.0]));
        let merged = graph.op_named(Linear::MatMul, &[last, again], "merged");
        graph.output(merged);
        let half = graph.to_half().unwrap();
        let of = |name: &str| half.element(half.find(name).unwrap()).unwrap();
        let (f16, f32) = (ElementType::F16, ElementType::F32);
        assert_eq!(["inner", "w", "logits"].map(of), [f32, f16, f16]);
        assert_eq!(["last", "again", "merged"].map(of), [f32; 3]);
        let x = Tensor::new([1, 2], vec![0.5_f32, -2.0]);
        let run = |graph: &Graph| {
            let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
            let found = session.run(&[("x", &x)], &["merged"]).unwrap();
            found[0].f32().unwrap().to_vec()
        };
        for (a, b) in run(&half).iter().zip(run(&graph)) {
            assert!((a - b).abs() < 2e-3, "{a} {b}");
        }
    }

    #[test]
    fn a_weight_out_of_range_is_named() {
        let error = graph(70_000.0).to_half().unwrap_err().to_string();
        assert!(error.contains("“w” holds 70000"), "{error}");
    }
}
