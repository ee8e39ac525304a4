//! Shapes of the values in a graph, as far as they follow from its inputs, constants and descriptions.
//!
//! Not a full inference: it knows the operators that gradients need to know the shapes of. A value it says
//! nothing of has a shape that is known only when the graph runs.

use std::collections::HashMap;

use super::proto::NodeProto;
use super::{Dim, Graph, Tensor, Window, attribute_int, attribute_ints, constant_value};

mod moves;

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

    /// Adds the shapes of a node's outputs, when they follow from what is known.
    pub fn infer(&self, node: &NodeProto, shapes: &mut Shapes) {
        let missing = |name: &String| !name.is_empty() && !shapes.contains_key(name);
        if !node.output.iter().any(missing) {
            return;
        }
        let found = match node.op_type() {
            "Split" => self.split_shapes(node, shapes).unwrap_or_default(),
            _ => self
                .output_shape(node, shapes)
                .map(|shape| match node.op_type() {
                    // Their second output is a mask or indices of the same shape.
                    "Dropout" | "MaxPool" => vec![shape.clone(), shape],
                    _ => vec![shape],
                })
                .unwrap_or_default(),
        };
        for (output, shape) in node.output.iter().zip(found) {
            if !output.is_empty() && !shapes.contains_key(output) {
                shapes.insert(output.clone(), shape);
            }
        }
    }

    fn output_shape(&self, node: &NodeProto, shapes: &Shapes) -> Option<Vec<Dim>> {
        let input = |index: usize| node.input.get(index).and_then(|name| shapes.get(name));
        match node.op_type() {
            "ReorderInput" | "ReorderOutput" => {
                // Channels come last on the plain side where the node says so.
                let last = attribute_int(node, "channels_last").unwrap_or(0) != 0;
                let order = match (last, node.op_type()) {
                    (false, _) => [0, 1, 2, 3],
                    (true, "ReorderInput") => [0, 3, 1, 2],
                    (true, _) => [0, 2, 3, 1],
                };
                let shape = input(0)?;
                order.iter().map(|at| shape.get(*at).cloned()).collect()
            }
            "Identity" | "Cast" | "CastLike" | "Relu" | "LeakyRelu" | "PRelu" | "Clip"
            | "Sigmoid" | "Tanh" | "Exp" | "Log" | "Neg" | "Abs" | "Sign" | "Sqrt"
            | "Reciprocal" | "Floor" | "Ceil" | "Round" | "Erf" | "Gelu" | "Softmax"
            | "LogSoftmax" | "HardSigmoid" | "HardSwish" | "Not" | "Dropout"
            | "BatchNormalization" | "LayerNormalization" | "ScatterElements" => input(0).cloned(),
            "Max" | "Min" | "Sum" => (1..node.input.len())
                .try_fold(input(0)?.clone(), |shape, at| broadcast(&shape, input(at)?)),
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
            "Conv" => {
                let (x, w) = (input(0)?, input(1)?);
                let kernel = all_fixed(w.get(2..)?)?;
                windows(node, x, &w.first()?.clone(), &kernel)
            }
            "AveragePool" | "MaxPool" => {
                let x = input(0)?;
                let kernel: Vec<usize> = attribute_ints(node, "kernel_shape")?
                    .iter()
                    .map(|len| usize::try_from(*len).ok())
                    .collect::<Option<_>>()?;
                windows(node, x, &x.get(1)?.clone(), &kernel)
            }
            "Concat" => concat(node, shapes),
            "Slice" => self.slice_shape(node, input(0)?),
            "Pad" => self.pad_shape(node, input(0)?),
            "Expand" => {
                let target = self.known_ints(node.input.get(1)?)?;
                broadcast(input(0)?, &reshape(None, &target)?)
            }
            "Shape" if node.attribute.is_empty() => Some(vec![Dim::Fixed(input(0)?.len())]),
            "GlobalAveragePool" | "GlobalMaxPool" => {
                let shape = input(0)?;
                Some(
                    shape
                        .iter()
                        .enumerate()
                        .map(|(at, dim)| if at < 2 { dim.clone() } else { Dim::Fixed(1) })
                        .collect(),
                )
            }
            "Constant" => {
                let shape = constant_value(node)?.shape;
                Some(shape.into_iter().map(Dim::Fixed).collect())
            }
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
        let tensor = self.known_value(name)?;
        tensor.i64().ok().map(<[i64]>::to_vec)
    }

    /// The contents of a constant, be it an initializer or a `Constant` node.
    #[must_use]
    pub fn known_value(&self, name: &str) -> Option<Tensor> {
        if let Ok(Some(tensor)) = self.initializer_value(name) {
            return Some(tensor);
        }
        let makes = |node: &&NodeProto| {
            node.op_type() == "Constant" && node.output.first().is_some_and(|output| output == name)
        };
        self.nodes.iter().find(makes).and_then(constant_value)
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

/// The lengths, when all are known.
fn all_fixed(dims: &[Dim]) -> Option<Vec<usize>> {
    dims.iter().map(Dim::fixed).collect()
}

/// What a convolution or pool makes of `[N, C, …]`: `[N, channels, …]`.
fn windows(node: &NodeProto, x: &[Dim], channels: &Dim, kernel: &[usize]) -> Option<Vec<Dim>> {
    let window = Window::of(node, &all_fixed(x.get(2..)?)?, kernel)?;
    let mut shape = vec![x.first()?.clone(), channels.clone()];
    shape.extend(window.output.into_iter().map(Dim::Fixed));
    Some(shape)
}

/// Shapes in a row along the node's axis.
fn concat(node: &NodeProto, shapes: &Shapes) -> Option<Vec<Dim>> {
    let parts: Vec<&Vec<Dim>> = node
        .input
        .iter()
        .map(|name| shapes.get(name))
        .collect::<Option<_>>()?;
    let mut shape = (*parts.first()?).clone();
    let axis = wrap(attribute_int(node, "axis")?, shape.len())?;
    let total = parts
        .iter()
        .map(|part| part.get(axis)?.fixed())
        .sum::<Option<usize>>()?;
    *shape.get_mut(axis)? = Dim::Fixed(total);
    Some(shape)
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
