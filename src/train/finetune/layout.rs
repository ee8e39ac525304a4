//! The back of a network, rewritten for training: pixels and pictures are laid out together.
//!
//! Inside, a value is *in rows*: the pixels of all pictures side by side, channel by channel. In that layout a pointwise
//! convolution is one product over the whole batch, forward and in both its gradients. There are two kinds of rows:
//!
//! * *Blocked* (`blocked.rs`), where ONNX Runtime has a blocked layout of b channels: a row holds b channels, pixel by pixel, as
//!   its fast convolutions have it.
//! * *Batch last* (`batch_last.rs`), elsewhere: a row is a channel, and its columns go by pixel, picture. Pointwise convolutions
//!   are products of matrices, depthwise ones on small pictures too.
//!
//! Every other operator works on *planes*, the usual `[B, C, H, W]`; a value that is needed in the other layout is
//! turned once.

use std::collections::{HashMap, HashSet};

use crate::onnx::proto::NodeProto;
use crate::onnx::{
    Attribute, Dim, ElementType, Graph, OnnxError, Shapes, Tensor, Window, attribute_int,
    attribute_ints,
};

use super::toeplitz;

/// With the batch last, pictures with more pixels keep their pointwise convolutions in planes.
const MAX_PIXELS: usize = 256;

/// A value in the new graph, in one layout or both.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    /// Blocked: `[1, C', B·H, W]` with C filled up to whole blocks; batch last: `[C, H·W·B]`.
    pub rows: Option<String>,
    /// `[B, C, H, W]`, or `[B, C]` where the network has it so.
    pub planes: Option<String>,
}

impl Value {
    /// Channels, height, width; in rows.
    pub(super) fn in_rows([channels, height, width]: [usize; 3], rows: String) -> Self {
        let (rows, planes) = (Some(rows), None);
        Self {
            channels,
            height,
            width,
            rows,
            planes,
        }
    }

    /// Channels, height, width; in planes.
    pub(super) fn in_planes([channels, height, width]: [usize; 3], planes: String) -> Self {
        let (rows, planes) = (None, Some(planes));
        Self {
            channels,
            height,
            width,
            rows,
            planes,
        }
    }

    pub(super) fn pixels(&self) -> usize {
        self.height * self.width
    }
}

/// Appends the back of a network to `graph` for a batch of fixed size and returns its output as `[B, D]`.
///
/// `back` has one input, the cut, `f32[N, C, H, W]`, and one output `f32[N, D]`. Its constants are copied except
/// for those of `trained`, which must be values of `graph` already, under the same names, in any shape with as
/// many elements.
/// `cut` names the value that takes the input's place, `f32[B, C, H, W]`; its shape is given without the batch.
/// `block` is how many channels make a block of the [blocked layout](crate::onnx::block_size), if there is one.
///
/// # Errors
/// [`OnnxError::Model`] names a value whose shape cannot be known.
pub(super) fn append_in_rows(
    graph: &mut Graph,
    back: &Graph,
    cut: &str,
    [channels, height, width]: [usize; 3],
    batch: usize,
    trained: &HashSet<String>,
    block: Option<usize>,
) -> Result<String, OnnxError> {
    let wrong = |text: &str| OnnxError::Model(format!("the network cannot be trained: {text}"));
    let [input] = back.inputs.as_slice() else {
        return Err(wrong("it has more than one input behind the cut"));
    };
    let [output] = back.outputs.as_slice() else {
        return Err(wrong("it has more than one output"));
    };
    // Shapes for this batch, so that everything is known beforehand.
    let mut fixed = back.clone();
    fixed.inputs.clear();
    let input_shape = [batch, channels, height, width].map(Dim::Fixed);
    fixed.input(input.name(), ElementType::F32, &input_shape);
    fixed.outputs.clear();
    fixed.value_infos.clear();
    graph.reserve(back);
    let constants = back
        .initializers
        .iter()
        .map(|tensor| tensor.name().to_owned())
        .filter(|name| !trained.contains(name))
        .collect();
    // A graph can hold the network several times.
    let copied = graph
        .initializers
        .iter()
        .map(|tensor| tensor.name().to_owned())
        .collect();
    let mut layout = Layout {
        graph,
        back,
        shapes: fixed.shapes(),
        batch,
        block: None,
        trained,
        constants,
        copied,
        values: HashMap::new(),
    };
    layout.values.insert(
        input.name().to_owned(),
        Value::in_planes([channels, height, width], cut.to_owned()),
    );
    // Worth it for depthwise convolutions only: the others are as fast in planes.
    layout.block = block.filter(|_| {
        let mut nodes = back.nodes.iter();
        nodes.any(|node| layout.depthwise(node).is_some())
    });
    for node in &back.nodes {
        layout.node(node)?;
    }
    let value = layout.value(output.name())?.clone();
    if value.pixels() != 1 {
        return Err(wrong("its output is not pooled"));
    }
    let planes = layout.planes(output.name())?;
    Ok(layout.reshape(&planes, &[batch, value.channels]))
}

pub(super) struct Layout<'a> {
    pub graph: &'a mut Graph,
    pub back: &'a Graph,
    shapes: Shapes,
    pub batch: usize,
    /// Channels in a block, when values in rows are blocked.
    pub block: Option<usize>,
    pub trained: &'a HashSet<String>,
    /// Constants of the back that are not trained.
    constants: HashSet<String>,
    /// Those that stand in the new graph already.
    copied: HashSet<String>,
    values: HashMap<String, Value>,
}

impl Layout<'_> {
    fn node(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let made = |name: &String| self.values.contains_key(name);
        if node.output.first().is_some_and(made) {
            // An activation that the convolution before it has taken along.
            return Ok(());
        }
        let name = node.input.first().map(String::as_str).unwrap_or_default();
        let Some(input) = self.values.get(name).cloned() else {
            return self.in_planes(node);
        };
        match node.op_type() {
            "Identity" | "Dropout" => {
                self.insert(node, input);
                Ok(())
            }
            "Flatten" if input.pixels() == 1 && attribute_int(node, "axis").unwrap_or(1) == 1 => {
                let output = node.output.first().map(String::as_str).unwrap_or_default();
                let shape = self.shape(output)?;
                let planes = input.planes.map(|planes| self.reshape(&planes, &shape));
                self.insert(node, Value { planes, ..input });
                Ok(())
            }
            "Conv" if is_pointwise(node, &self.kernel_shape(node)) => {
                if self.block.is_some() {
                    self.blocked_pointwise(node, &input)
                } else if input.pixels() <= MAX_PIXELS {
                    self.pointwise(node, &input)
                } else {
                    self.in_planes(node)
                }
            }
            "Conv" => match self.depthwise(node) {
                Some(window) if self.block.is_some() => {
                    self.blocked_depthwise(node, &input, &window)
                }
                Some(window) if toeplitz::is_small(&window) => self.toeplitz(node, &input, &window),
                _ if self.block.is_some() && self.is_thin(node) => self.unfolded(node, &input),
                _ => self.in_planes(node),
            },
            // Of zeros that fill up a block these, or their derivatives, would make what is not finite.
            "Log" | "Sqrt" | "Div" if self.filled(input.channels) != input.channels => {
                self.in_planes(node)
            }
            "Clip" | "Relu" | "LeakyRelu" | "Sigmoid" | "HardSigmoid" | "HardSwish" | "Tanh"
            | "Exp" | "Log" | "Sqrt" | "Abs" | "Neg" | "Erf"
                if input.rows.is_some() =>
            {
                self.elementwise(node, &input)
            }
            "Add" | "Sub" | "Mul" | "Div" if self.both_in_rows(node) => {
                self.elementwise(node, &input)
            }
            "GlobalAveragePool" if input.rows.is_some() => self.pool(node, &input),
            "ReduceMean" if input.rows.is_some() && self.over_pixels(node, &input) => {
                self.pool(node, &input)
            }
            _ => self.in_planes(node),
        }
    }

    fn value(&self, name: &str) -> Result<&Value, OnnxError> {
        self.values.get(name).ok_or_else(|| {
            OnnxError::Model(format!(
                "the network cannot be trained: its value “{name}” does not come from the cut"
            ))
        })
    }

    pub(super) fn insert(&mut self, node: &NodeProto, value: Value) {
        if let Some(output) = node.output.first() {
            self.values.insert(output.clone(), value);
        }
    }

    /// The value in rows.
    pub(super) fn rows(&mut self, name: &str) -> Result<String, OnnxError> {
        let value = self.value(name)?.clone();
        if let Some(rows) = value.rows {
            return Ok(rows);
        }
        let planes = self.planes(name)?;
        let rows = if self.block.is_some() {
            let shape = [self.batch, value.channels, value.height, value.width];
            let planes = self.reshape(&planes, &shape);
            self.rows_of_planes(&planes, &value)
        } else {
            let rank = self.shape(name)?.len() as i64;
            let turned = self.transpose(&planes, (1..rank).chain([0]).collect());
            self.reshape(&turned, &[value.channels, value.pixels() * self.batch])
        };
        if let Some(value) = self.values.get_mut(name) {
            value.rows = Some(rows.clone());
        }
        Ok(rows)
    }

    /// The value in planes.
    pub(super) fn planes(&mut self, name: &str) -> Result<String, OnnxError> {
        let value = self.value(name)?.clone();
        if let Some(planes) = value.planes {
            return Ok(planes);
        }
        let rows = value
            .rows
            .as_ref()
            .ok_or_else(|| OnnxError::Model(format!("the value “{name}” was lost on the way")))?;
        let shape = self.shape(name)?;
        let planes = if self.block.is_some() {
            let planes = self.planes_of_rows(rows, &value);
            self.reshape(&planes, &shape)
        } else {
            let rank = shape.len() as i64;
            let mut inner: Vec<usize> = shape.iter().skip(1).copied().collect();
            inner.push(self.batch);
            let split = self.reshape(rows, &inner);
            self.transpose(&split, [rank - 1].into_iter().chain(0..rank - 1).collect())
        };
        if let Some(value) = self.values.get_mut(name) {
            value.planes = Some(planes.clone());
        }
        Ok(planes)
    }

    pub(super) fn transpose(&mut self, value: &str, perm: Vec<i64>) -> String {
        let perm = [("perm", Attribute::Ints(perm))];
        self.graph.op_with("Transpose", &[value], &perm)
    }

    /// The shape of a value of the back.
    pub(super) fn shape(&self, name: &str) -> Result<Vec<usize>, OnnxError> {
        self.shapes
            .get(name)
            .and_then(|dims| dims.iter().map(Dim::fixed).collect())
            .ok_or_else(|| {
                OnnxError::Model(format!(
                    "the network cannot be trained: the shape of its value “{name}” is not known"
                ))
            })
    }

    /// A value in another shape. One that is known to have it already is left alone: inputs of the graph would be
    /// copied.
    pub(super) fn reshape(&mut self, value: &str, shape: &[usize]) -> String {
        let fixed: Vec<Dim> = shape.iter().map(|len| Dim::Fixed(*len)).collect();
        if self.graph.shape(value).is_some_and(|has| has == fixed) {
            return value.to_owned();
        }
        let shape: Vec<i64> = shape.iter().map(|len| *len as i64).collect();
        let shape = self.graph.ints(&shape);
        self.graph.op("Reshape", &[value, &shape])
    }

    /// The name of a constant in the new graph, where it is put if it is not there; of a trained weight in the
    /// shape that the network has it in.
    fn constant(&mut self, name: &str) -> Result<String, OnnxError> {
        if self.trained.contains(name) {
            let shape = self.constant_value(name)?.shape;
            return Ok(self.reshape(name, &shape));
        }
        if self.constants.contains(name) && self.copied.insert(name.to_owned()) {
            let tensor = self.constant_value(name)?;
            self.graph.initializer(name, &tensor);
        }
        Ok(name.to_owned())
    }

    pub(super) fn constant_value(&self, name: &str) -> Result<Tensor, OnnxError> {
        self.back
            .initializer_value(name)?
            .ok_or_else(|| OnnxError::Model(format!("it has no constant “{name}”")))
    }

    /// A weight in another shape: folded into a constant, or a node when it is trained.
    pub(super) fn shaped(&mut self, name: &str, shape: &[usize]) -> Result<String, OnnxError> {
        if self.trained.contains(name) {
            return Ok(self.reshape(name, shape));
        }
        let mut tensor = self.constant_value(name)?;
        tensor.shape = shape.to_vec();
        Ok(self.graph.constant(&tensor))
    }

    pub(super) fn kernel_shape(&self, node: &NodeProto) -> Vec<usize> {
        node.input
            .get(1)
            .and_then(|name| self.shape(name).ok())
            .unwrap_or_default()
    }

    /// The window of a depthwise convolution that can be done in rows.
    pub(super) fn depthwise(&self, node: &NodeProto) -> Option<Window> {
        if node.op_type() != "Conv" {
            return None;
        }
        let input = self.shape(node.input.first()?).ok()?;
        let kernel = self.kernel_shape(node);
        let ([_, channels, pixels @ ..], [kernels, 1, taps @ ..]) =
            (input.as_slice(), kernel.as_slice())
        else {
            return None;
        };
        let group = attribute_int(node, "group").unwrap_or(1);
        if pixels.len() != 2 || channels != kernels || group != *channels as i64 {
            return None;
        }
        Window::of(node, pixels, taps).filter(|window| window.pads_backwards().is_some())
    }

    fn both_in_rows(&self, node: &NodeProto) -> bool {
        let values: Vec<_> = node
            .input
            .iter()
            .filter_map(|name| self.values.get(name))
            .collect();
        matches!(values.as_slice(), [a, b]
            if a.rows.is_some() && b.rows.is_some()
                && (a.channels, a.height, a.width) == (b.channels, b.height, b.width))
    }

    /// An operator that works on each element by itself, in rows.
    fn elementwise(&mut self, node: &NodeProto, input: &Value) -> Result<(), OnnxError> {
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            inputs.push(if name.is_empty() {
                String::new()
            } else if self.values.contains_key(name) {
                self.rows(name)?
            } else {
                self.constant(name)?
            });
        }
        let rows = self.graph.unique(node.op_type());
        let mut copy = node.clone();
        copy.name = None;
        copy.input = inputs;
        copy.output = vec![rows.clone()];
        self.graph.nodes.push(copy);
        self.insert(
            node,
            Value::in_rows([input.channels, input.height, input.width], rows),
        );
        Ok(())
    }

    fn over_pixels(&self, node: &NodeProto, input: &Value) -> bool {
        let output = node.output.first().and_then(|name| self.shape(name).ok());
        self.back.reduced_axes(node, 4) == Some(vec![2, 3])
            && output.is_some_and(|shape| shape.get(1) == Some(&input.channels))
    }

    /// The mean over the pixels of a value in rows, in planes.
    fn pool(&mut self, node: &NodeProto, input: &Value) -> Result<(), OnnxError> {
        let [name, output] = [&node.input, &node.output]
            .map(|names| names.first().map(String::as_str).unwrap_or_default());
        let (batch, channels) = (self.batch, self.filled(input.channels));
        // Channels by block of them, picture, channel in the block; or by channel, picture.
        let (groups, [first, second, last]) = match self.block {
            Some(block) => (channels / block * batch, [channels / block, batch, block]),
            None => (channels, [channels, batch, 1]),
        };
        let x = self.rows(name)?;
        let x = self.reshape(&x, &[groups, input.pixels(), batch * channels / groups]);
        let means = self.graph.op_with(
            "ReduceMean",
            &[&x],
            &[
                ("axes", Attribute::Ints(vec![1])),
                ("keepdims", Attribute::Int(0)),
            ],
        );
        let means = self.reshape(&means, &[first, second, last]);
        let means = self.transpose(&means, vec![1, 0, 2]);
        let means = self.reshape(&means, &[batch, channels]);
        let means = self.first_channels(&means, input.channels);
        let planes = self.reshape(&means, &self.shape(output)?);
        self.insert(node, Value::in_planes([input.channels, 1, 1], planes));
        Ok(())
    }

    /// Any other operator: as it is, on planes. One that does not depend on the cut is copied.
    fn in_planes(&mut self, node: &NodeProto) -> Result<(), OnnxError> {
        let mut inputs = Vec::with_capacity(node.input.len());
        let mut from_cut = false;
        for name in &node.input {
            inputs.push(if self.values.contains_key(name) {
                from_cut = true;
                self.planes(name)?
            } else {
                self.constant(name)?
            });
        }
        let mut copy = node.clone();
        copy.input = inputs;
        if !from_cut {
            if !self
                .graph
                .nodes
                .iter()
                .any(|known| known.output == copy.output)
            {
                self.graph.nodes.push(copy);
            }
            return Ok(());
        }
        copy.name = None;
        copy.output = node
            .output
            .iter()
            .map(|name| {
                if name.is_empty() {
                    String::new()
                } else {
                    self.graph.unique(node.op_type())
                }
            })
            .collect();
        for (name, planes) in node.output.iter().zip(&copy.output) {
            if name.is_empty() {
                continue;
            }
            let shape = self.shape(name)?;
            let (channels, height, width) = match shape.as_slice() {
                [_, channels] => (*channels, 1, 1),
                [_, channels, height, width] => (*channels, *height, *width),
                _ => (shape.iter().skip(1).product(), 1, 1),
            };
            self.values.insert(
                name.clone(),
                Value::in_planes([channels, height, width], planes.clone()),
            );
        }
        self.graph.nodes.push(copy);
        Ok(())
    }
}

pub(super) fn lacks_kernel(node: &NodeProto) -> OnnxError {
    OnnxError::Model(format!("a node “{}” has no kernel", node.op_type()))
}

/// A convolution that mixes channels only.
fn is_pointwise(node: &NodeProto, kernel: &[usize]) -> bool {
    let all = |name, value: i64| {
        attribute_ints(node, name).is_none_or(|values| values.iter().all(|v| *v == value))
    };
    matches!(kernel, [_, _, 1, 1])
        && attribute_int(node, "group").unwrap_or(1) == 1
        && all("strides", 1)
        && all("pads", 0)
}
