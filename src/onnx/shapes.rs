//! Shapes of the values in a graph, as far as they follow from its inputs, constants and descriptions.
//!
//! Not a full inference: it knows the operators that gradients need to know the shapes of. A value it says
//! nothing of has a shape that is known only when the graph runs.

use std::collections::HashMap;

use super::proto::NodeProto;
use super::{Dim, Graph, attribute_float, attribute_int, attribute_ints};

/// Shapes by the name of the value.
pub type Shapes = HashMap<String, Vec<Dim>>;

impl Graph {
    /// The shapes that can be known before the graph runs.
    #[must_use]
    pub fn shapes(&self) -> Shapes {
        let mut shapes = Shapes::new();
        let named = self
            .inputs
            .iter()
            .chain(&self.value_infos)
            .chain(&self.outputs)
            .map(super::proto::ValueInfoProto::name)
            .chain(
                self.initializers
                    .iter()
                    .map(super::proto::TensorProto::name),
            );
        for name in named {
            // A free dimension without a name says nothing about equality with another one.
            if let Some(shape) = self.shape(name)
                && !shape.contains(&Dim::Free(String::new()))
            {
                shapes.insert(name.to_owned(), shape);
            }
        }
        for node in &self.nodes {
            self.infer(node, &mut shapes);
        }
        shapes
    }

    /// Adds the shape of a node's first output, when it follows from what is known.
    pub fn infer(&self, node: &NodeProto, shapes: &mut Shapes) {
        let Some(output) = node.output.first().filter(|name| !name.is_empty()) else {
            return;
        };
        if shapes.contains_key(output) {
            return;
        }
        if let Some(shape) = self.output_shape(node, shapes) {
            shapes.insert(output.clone(), shape);
        }
    }

    fn output_shape(&self, node: &NodeProto, shapes: &Shapes) -> Option<Vec<Dim>> {
        let input = |index: usize| node.input.get(index).and_then(|name| shapes.get(name));
        match node.op_type() {
            "Identity" | "Cast" | "Relu" | "LeakyRelu" | "Clip" | "Sigmoid" | "Tanh" | "Exp"
            | "Log" | "Neg" | "Abs" | "Sqrt" | "Erf" | "Softmax" | "LogSoftmax" | "HardSigmoid"
            | "HardSwish" | "Not" => input(0).cloned(),
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Equal" | "Less" | "Greater"
            | "LessOrEqual" | "GreaterOrEqual" | "And" | "Or" => broadcast(input(0)?, input(1)?),
            "Where" => broadcast(&broadcast(input(0)?, input(1)?)?, input(2)?),
            "MatMul" => matmul(input(0)?, input(1)?),
            "Gemm" => {
                let [a0, a1] = input(0)?.as_slice() else {
                    return None;
                };
                let [b0, b1] = input(1)?.as_slice() else {
                    return None;
                };
                let flag = |name| attribute_int(node, name).unwrap_or(0) != 0;
                let rows = if flag("transA") { a1 } else { a0 };
                let columns = if flag("transB") { b0 } else { b1 };
                Some(vec![rows.clone(), columns.clone()])
            }
            "Gather" => {
                let data = input(0)?;
                let axis = wrap(attribute_int(node, "axis").unwrap_or(0), data.len())?;
                let mut shape = data.get(..axis)?.to_vec();
                shape.extend(input(1)?.iter().cloned());
                shape.extend(data.get(axis + 1..)?.iter().cloned());
                Some(shape)
            }
            "OneHot" => {
                let indices = input(0)?;
                let depth = self.known_ints(node.input.get(1)?)?;
                let axis = attribute_int(node, "axis").unwrap_or(-1);
                let mut shape = indices.clone();
                let at = wrap(axis, indices.len() + 1)?;
                shape.insert(at, Dim::Fixed(usize::try_from(*depth.first()?).ok()?));
                Some(shape)
            }
            "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" => {
                let shape = input(0)?;
                let axes = self.reduced_axes(node, shape.len())?;
                let keep = attribute_int(node, "keepdims").unwrap_or(1) != 0;
                Some(
                    shape
                        .iter()
                        .enumerate()
                        .filter(|(at, _)| keep || !axes.contains(at))
                        .map(|(at, dim)| {
                            if axes.contains(&at) {
                                Dim::Fixed(1)
                            } else {
                                dim.clone()
                            }
                        })
                        .collect(),
                )
            }
            "Reshape" => reshape(input(0), &self.known_ints(node.input.get(1)?)?),
            "Unsqueeze" => {
                let old = input(0)?;
                let axes = self.axes(node)?;
                let rank = old.len() + axes.len();
                let axes = wrap_all(&axes, rank)?;
                let mut rest = old.iter();
                (0..rank)
                    .map(|at| {
                        if axes.contains(&at) {
                            Some(Dim::Fixed(1))
                        } else {
                            rest.next().cloned()
                        }
                    })
                    .collect()
            }
            "Squeeze" => {
                let old = input(0)?;
                let axes = wrap_all(&self.axes(node)?, old.len())?;
                let kept = old.iter().enumerate();
                Some(
                    kept.filter(|(at, _)| !axes.contains(at))
                        .map(|(_, dim)| dim.clone())
                        .collect(),
                )
            }
            "Flatten" => {
                let shape = input(0)?;
                let axis = attribute_int(node, "axis").unwrap_or(1);
                let axis = if axis == shape.len() as i64 {
                    shape.len()
                } else {
                    wrap(axis, shape.len())?
                };
                Some(vec![
                    product(shape.get(..axis)?)?,
                    product(shape.get(axis..)?)?,
                ])
            }
            "Transpose" => {
                let shape = input(0)?;
                let reversed: Vec<i64> = (0..shape.len() as i64).rev().collect();
                attribute_ints(node, "perm")
                    .unwrap_or(&reversed)
                    .iter()
                    .map(|axis| shape.get(wrap(*axis, shape.len())?).cloned())
                    .collect()
            }
            "GlobalAveragePool" => {
                let shape = input(0)?;
                Some(
                    shape
                        .iter()
                        .enumerate()
                        .map(|(at, dim)| if at < 2 { dim.clone() } else { Dim::Fixed(1) })
                        .collect(),
                )
            }
            "Constant" => attribute_float(node, "value_float").map(|_| Vec::new()),
            _ => None,
        }
    }

    /// The axes over which a `Reduce…` node goes, whether they are its attribute (older operators) or input.
    #[must_use]
    pub fn reduced_axes(&self, node: &NodeProto, rank: usize) -> Option<Vec<usize>> {
        let axes = self.axes(node)?;
        if axes.is_empty() {
            let nothing = attribute_int(node, "noop_with_empty_axes").unwrap_or(0) != 0;
            return Some(if nothing {
                Vec::new()
            } else {
                (0..rank).collect()
            });
        }
        wrap_all(&axes, rank)
    }

    /// The axes of a node, its attribute (older operators) or second input; empty when it has none.
    fn axes(&self, node: &NodeProto) -> Option<Vec<i64>> {
        match (attribute_ints(node, "axes"), node.input.get(1)) {
            (Some(axes), _) => Some(axes.to_vec()),
            (None, Some(name)) if !name.is_empty() => self.known_ints(name),
            (None, _) => Some(Vec::new()),
        }
    }

    /// The contents of a constant of integers.
    #[must_use]
    pub fn known_ints(&self, name: &str) -> Option<Vec<i64>> {
        let tensor = self.initializer_value(name).ok()??;
        tensor.i64().ok().map(<[i64]>::to_vec)
    }
}

/// An axis that may count from the end, as an index.
#[must_use]
pub fn wrap(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(axis)
        .ok()
        .filter(|axis| *axis < rank.max(1))
}

fn wrap_all(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    axes.iter().map(|axis| wrap(*axis, rank)).collect()
}

/// The shape of an elementwise operation on two shapes (ONNX's multidirectional broadcasting); `None` when
/// they do not fit.
#[must_use]
pub fn broadcast(a: &[Dim], b: &[Dim]) -> Option<Vec<Dim>> {
    let rank = a.len().max(b.len());
    let one = Dim::Fixed(1);
    let at = |shape: &[Dim], index: usize| -> Option<Dim> {
        let missing = rank - shape.len();
        if index < missing {
            Some(one.clone())
        } else {
            shape.get(index - missing).cloned()
        }
    };
    (0..rank)
        .map(|index| match (at(a, index)?, at(b, index)?) {
            (x, y) if x == y => Some(x),
            (Dim::Fixed(1), y) => Some(y),
            (x, Dim::Fixed(1)) => Some(x),
            // A known length over 1 wins: the free one must be the same or 1.
            (Dim::Fixed(len), Dim::Free(_)) | (Dim::Free(_), Dim::Fixed(len)) => {
                Some(Dim::Fixed(len))
            }
            // One of them, or both are equal: a length of its own, by the name of the pair.
            (Dim::Free(x), Dim::Free(y)) => {
                let (first, second) = if x < y { (x, y) } else { (y, x) };
                Some(Dim::Free(format!("{first}|{second}")))
            }
            (Dim::Fixed(_), Dim::Fixed(_)) => None,
        })
        .collect()
}

fn matmul(a: &[Dim], b: &[Dim]) -> Option<Vec<Dim>> {
    let [a_batch @ .., rows, _] = a else {
        return None;
    };
    let [b_batch @ .., _, columns] = b else {
        return None;
    };
    let mut shape = broadcast(a_batch, b_batch)?;
    shape.push(rows.clone());
    shape.push(columns.clone());
    Some(shape)
}

fn reshape(input: Option<&Vec<Dim>>, target: &[i64]) -> Option<Vec<Dim>> {
    let mut shape = Vec::new();
    for (at, len) in target.iter().enumerate() {
        shape.push(match *len {
            0 => input?.get(at)?.clone(),
            -1 => {
                let Dim::Fixed(total) = product(input?)? else {
                    return None;
                };
                let rest: i64 = target.iter().filter(|len| **len > 0).product();
                if target.contains(&0) {
                    return None;
                }
                Dim::Fixed(total.checked_div(usize::try_from(rest).ok()?)?)
            }
            len => Dim::Fixed(usize::try_from(len).ok()?),
        });
    }
    Some(shape)
}

/// The product of dimensions: known when all are, or when one free dimension has only ones beside it.
fn product(dims: &[Dim]) -> Option<Dim> {
    let free: Vec<&Dim> = dims.iter().filter(|dim| dim.fixed().is_none()).collect();
    let fixed: usize = dims.iter().filter_map(Dim::fixed).product();
    match (free.as_slice(), fixed) {
        ([], fixed) => Some(Dim::Fixed(fixed)),
        ([one], 1) => Some((*one).clone()),
        _ => None,
    }
}
