//! The back of a network, rewritten for training in a layout that combines the pixels of all images.
//!
//! Within it, a value is *in rows*: the pixels of all images side by side, channel by channel. In this layout a
//! pointwise convolution is a single product over the whole batch, and so are both its gradients. There are two kinds
//! of rows:
//!
//! * *Blocked* (`blocked.rs`), if ONNX Runtime has a blocked layout of b channels: a row holds b channels of all
//!   pixels, in the layout of its fast convolutions.
//! * *Batch last* (`batch_last.rs`), otherwise: a row is a channel, and its columns are ordered by pixel, then image.
//!   Pointwise convolutions are matrix products, and so are depthwise ones on small images.
//!
//! Every other operator works on *planes*, the usual `[B, C, H, W]`. A value that is needed in the other layout is
//! converted once.

mod batch_last;
mod blocked;
mod toeplitz;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::graph::ops::{Conv, GlobalPool, Reduce, ReduceKind, Reshaping};
use crate::graph::value::as_ints;
use crate::graph::{Dim, Graph, GraphError, Node, Op, ValueId, WindowGeometry};
use crate::onnx::Tensor;

/// With the batch last, pointwise convolutions of larger images, in pixels, stay in planes.
const MAX_PIXELS: usize = 256;

/// A value of the back in the new graph, in one or both layouts.
#[derive(Debug, Clone)]
struct Placed {
    channels: usize,
    height: usize,
    width: usize,
    /// Blocked: `[1, C', B·H, W]`, with C padded to whole blocks. Batch last: `[C, H·W·B]`.
    rows: Option<ValueId>,
    /// `[B, C, H, W]`, or `[B, C]` if the network has it in that shape.
    planes: Option<ValueId>,
}

impl Placed {
    /// A value in rows, with its channels, height and width.
    fn in_rows([channels, height, width]: [usize; 3], rows: ValueId) -> Self {
        Self {
            channels,
            height,
            width,
            rows: Some(rows),
            planes: None,
        }
    }

    /// A value in planes, with its channels, height and width.
    fn in_planes([channels, height, width]: [usize; 3], planes: ValueId) -> Self {
        Self {
            channels,
            height,
            width,
            rows: None,
            planes: Some(planes),
        }
    }

    fn size(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    fn pixels(&self) -> usize {
        self.height * self.width
    }
}

/// Appends the back of a network to `graph` for a batch of fixed size and returns its output as `[B, D]`.
///
/// `back` has one input, the cut, `f32[N, C, H, W]` or tokens `f32[N, T, C]`, and one output `f32[N, D]`. Its
/// constants are copied, except those in `trained`, which maps them to values of `graph` that take their places, in
/// any shape with as many elements. `cut` replaces the input for B images; its shape is given without the batch.
/// `block` is the number of channels in a block of the [blocked layout](crate::graph::ops::block_size), if there is
/// one.
///
/// # Errors
/// [`GraphError::Model`] names a value whose shape is unknown.
pub fn append_in_rows(
    graph: &mut Graph,
    back: &Graph,
    cut: ValueId,
    shape: &[usize],
    batch: usize,
    trained: &BTreeMap<ValueId, ValueId>,
    block: Option<usize>,
) -> Result<ValueId, GraphError> {
    let wrong = |text: &str| GraphError::Model(format!("the network cannot be trained: {text}"));
    let [input] = *back.inputs() else {
        return Err(wrong("it has more than one input after the cut"));
    };
    let [output] = *back.outputs() else {
        return Err(wrong("it has more than one output"));
    };
    // A fixed batch, so that all shapes are known.
    let mut fixed = back.clone();
    let lens = std::iter::once(batch).chain(shape.iter().copied());
    fixed.set_input_shape(input, &lens.map(Dim::Fixed).collect::<Vec<_>>());
    let mut layout = Layout {
        graph,
        back: &fixed,
        batch,
        block: None,
        trained,
        copies: HashMap::new(),
        values: HashMap::new(),
    };
    layout
        .values
        .insert(input, Placed::in_planes(size_of_inner(shape), cut));
    // Only depthwise convolutions are faster in the blocked layout.
    layout.block = block.filter(|_| {
        let mut nodes = fixed.nodes().iter();
        nodes.any(|node| layout.depthwise(node).is_some())
    });
    for node in fixed.nodes() {
        layout.node(node)?;
    }
    let value = layout.value(output)?.clone();
    if value.pixels() != 1 {
        return Err(wrong("its output is not pooled"));
    }
    let planes = layout.planes(output)?;
    Ok(layout.reshape(planes, &[batch, value.channels]))
}

struct Layout<'a> {
    graph: &'a mut Graph,
    back: &'a Graph,
    batch: usize,
    /// Channels in a block, if rows are blocked.
    block: Option<usize>,
    trained: &'a BTreeMap<ValueId, ValueId>,
    /// Values that do not depend on the cut, in the new graph.
    copies: HashMap<ValueId, ValueId>,
    /// Values that depend on it.
    values: HashMap<ValueId, Placed>,
}

impl Layout<'_> {
    fn node(&mut self, node: &Node) -> Result<(), GraphError> {
        if node
            .output()
            .is_some_and(|output| self.values.contains_key(&output))
        {
            // An activation already fused into the preceding convolution.
            return Ok(());
        }
        let value = node.input(0).and_then(|value| self.values.get(&value));
        let Some(input) = value.cloned() else {
            return self.in_planes(node);
        };
        match &node.op {
            Op::Reshaping(Reshaping::Identity | Reshaping::Dropout { .. }) => {
                self.insert(node, input);
                Ok(())
            }
            Op::Reshaping(Reshaping::Flatten { axis: 1 }) if input.pixels() == 1 => {
                let shape = self.output_shape(node)?;
                let planes = input.planes.map(|planes| self.reshape(planes, &shape));
                self.insert(node, Placed { planes, ..input });
                Ok(())
            }
            Op::Conv(conv) if conv.is_pointwise(&self.kernel_shape(node)) => {
                if self.block.is_some() {
                    self.blocked_pointwise(node, &input)
                } else if input.pixels() <= MAX_PIXELS {
                    self.pointwise(node, &input)
                } else {
                    self.in_planes(node)
                }
            }
            Op::Conv(_) => match self.depthwise(node) {
                Some(window) if self.block.is_some() => {
                    self.blocked_depthwise(node, &input, &window)
                }
                Some(window) if toeplitz::is_small(&window) => self.toeplitz(node, &input, &window),
                _ if self.block.is_some() && self.is_thin(node) => self.unfolded(node, &input),
                _ => self.in_planes(node),
            },
            // The zero channels that pad a block must not become infinite or NaN, nor their derivatives.
            op if op.per_element()
                && (op.finite_at_zero() || self.padded(input.channels) == input.channels)
                && self.all_in_rows(node, &input) =>
            {
                self.elementwise(node, &input)
            }
            Op::GlobalPool(GlobalPool::Average) if input.rows.is_some() => self.pool(node, &input),
            Op::Reduce(reduce)
                if input.rows.is_some() && self.over_pixels(reduce, node, &input) =>
            {
                self.pool(node, &input)
            }
            _ => self.in_planes(node),
        }
    }

    fn value(&self, id: ValueId) -> Result<&Placed, GraphError> {
        self.values.get(&id).ok_or_else(|| {
            GraphError::Model(format!(
                "the network cannot be trained: its value “{}” does not come from the cut",
                self.back.name_of(id)
            ))
        })
    }

    fn insert(&mut self, node: &Node, value: Placed) {
        if let Some(output) = node.output() {
            self.values.insert(output, value);
        }
    }

    /// The value in rows.
    fn rows(&mut self, id: ValueId) -> Result<ValueId, GraphError> {
        let value = self.value(id)?.clone();
        if let Some(rows) = value.rows {
            return Ok(rows);
        }
        let planes = self.planes(id)?;
        let rows = if self.block.is_some() {
            let shape = [self.batch, value.channels, value.height, value.width];
            let planes = self.reshape(planes, &shape);
            self.rows_of_planes(planes, &value)
        } else {
            let rank = self.shape(id)?.len() as i64;
            let perm: Vec<i64> = (1..rank).chain([0]).collect();
            let transposed = self.graph.transpose(planes, &perm);
            self.reshape(transposed, &[value.channels, value.pixels() * self.batch])
        };
        if let Some(value) = self.values.get_mut(&id) {
            value.rows = Some(rows);
        }
        Ok(rows)
    }

    /// The value in planes.
    fn planes(&mut self, id: ValueId) -> Result<ValueId, GraphError> {
        let value = self.value(id)?.clone();
        if let Some(planes) = value.planes {
            return Ok(planes);
        }
        let rows = value.rows.ok_or_else(|| {
            let name = self.back.name_of(id);
            GraphError::Model(format!("the value “{name}” was lost in a conversion"))
        })?;
        let shape = self.shape(id)?;
        let planes = if self.block.is_some() {
            let planes = self.planes_of_rows(rows, &value);
            self.reshape(planes, &shape)
        } else {
            let rank = shape.len() as i64;
            let mut inner: Vec<usize> = shape.iter().skip(1).copied().collect();
            inner.push(self.batch);
            let split = self.reshape(rows, &inner);
            let perm: Vec<i64> = [rank - 1].into_iter().chain(0..rank - 1).collect();
            self.graph.transpose(split, &perm)
        };
        if let Some(value) = self.values.get_mut(&id) {
            value.planes = Some(planes);
        }
        Ok(planes)
    }

    /// The shape of a value of the back.
    fn shape(&self, id: ValueId) -> Result<Vec<usize>, GraphError> {
        self.back.lens(id).ok_or_else(|| {
            GraphError::Model(format!(
                "the network cannot be trained: the shape of its value “{}” is unknown",
                self.back.name_of(id)
            ))
        })
    }

    fn output_shape(&self, node: &Node) -> Result<Vec<usize>, GraphError> {
        self.shape(node.output().ok_or_else(|| lacks(node, "output"))?)
    }

    /// A value in another shape. An input or constant that has it already is left alone: it would be copied.
    fn reshape(&mut self, value: ValueId, shape: &[usize]) -> ValueId {
        if self.graph.value(value).producer().is_none()
            && self.graph.lens(value).is_some_and(|has| has == shape)
        {
            return value;
        }
        self.graph.reshape(value, &as_ints(shape))
    }

    /// A value that does not depend on the cut, copied to the new graph when it is first needed; a trained weight in
    /// its original shape.
    fn constant(&mut self, id: ValueId) -> Result<ValueId, GraphError> {
        if let Some(weight) = self.trained.get(&id) {
            let shape = self.shape(id)?;
            return Ok(self.reshape(*weight, &shape));
        }
        if let Some(copy) = self.copies.get(&id) {
            return Ok(*copy);
        }
        let tensor = self.constant_value(id)?;
        let name = self.back.name_of(id);
        // A graph can contain the network several times.
        let known = self.graph.find(name).filter(|known| {
            let known = self.graph.constant_of(*known);
            known.is_some_and(|known| Arc::ptr_eq(known, &tensor))
        });
        let copy = known.unwrap_or_else(|| self.graph.constant_named(name, tensor));
        self.copies.insert(id, copy);
        Ok(copy)
    }

    fn constant_value(&self, id: ValueId) -> Result<Arc<Tensor>, GraphError> {
        self.back.constant_of(id).cloned().ok_or_else(|| {
            let name = self.back.name_of(id);
            GraphError::Model(format!("it has no constant “{name}”"))
        })
    }

    /// A weight in another shape: a new constant, or a node for a trained weight.
    fn shaped(&mut self, id: ValueId, shape: &[usize]) -> Result<ValueId, GraphError> {
        if let Some(weight) = self.trained.get(&id) {
            return Ok(self.reshape(*weight, shape));
        }
        let tensor = self.constant_value(id)?;
        let reshaped = Tensor::new(shape, tensor.data.clone());
        Ok(self.graph.constant(reshaped))
    }

    fn kernel_shape(&self, node: &Node) -> Vec<usize> {
        node.input(1)
            .and_then(|kernel| self.back.lens(kernel))
            .unwrap_or_default()
    }

    /// The window of a depthwise convolution that can be computed in rows.
    fn depthwise(&self, node: &Node) -> Option<WindowGeometry> {
        let Op::Conv(Conv { sliding, group }) = &node.op else {
            return None;
        };
        let input = self.back.lens(node.input(0)?)?;
        let kernel = self.kernel_shape(node);
        let ([_, channels, pixels @ ..], [kernels, 1, taps @ ..]) =
            (input.as_slice(), kernel.as_slice())
        else {
            return None;
        };
        if pixels.len() != 2 || channels != kernels || *group != *channels as i64 {
            return None;
        }
        let window = sliding.window(pixels, taps, false);
        window.filter(|window| window.backward_padding().is_some())
    }

    /// Whether all inputs of an operator on elements are in rows of one size, or scalars.
    fn all_in_rows(&self, node: &Node, input: &Placed) -> bool {
        let mut inputs = node.inputs.iter().flatten();
        inputs.all(|id| match self.values.get(id) {
            Some(value) => value.rows.is_some() && value.size() == input.size(),
            None => matches!(node.op, Op::Activation(_)),
        })
    }

    /// Computes an operator on elements in rows.
    fn elementwise(&mut self, node: &Node, input: &Placed) -> Result<(), GraphError> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for id in &node.inputs {
            inputs.push(match id {
                Some(id) if self.values.contains_key(id) => Some(self.rows(*id)?),
                Some(id) => Some(self.constant(*id)?),
                None => None,
            });
        }
        let rows = self.graph.op(node.op.clone(), &inputs);
        self.insert(node, Placed::in_rows(input.size(), rows));
        Ok(())
    }

    fn over_pixels(&self, reduce: &Reduce, node: &Node, input: &Placed) -> bool {
        let output = node.output().and_then(|output| self.back.lens(output));
        reduce.kind == ReduceKind::Mean
            && reduce.axes(&self.back.inputs_of(node)) == Some(vec![2, 3])
            && output.is_some_and(|shape| shape.get(1) == Some(&input.channels))
    }

    /// The mean over the pixels of a value in rows; the result is in planes.
    fn pool(&mut self, node: &Node, input: &Placed) -> Result<(), GraphError> {
        let x = node.input(0).ok_or_else(|| lacks(node, "input"))?;
        let (batch, channels) = (self.batch, self.padded(input.channels));
        // Ordered by block, image, channel in the block; or by channel, image.
        let (groups, [first, second, last]) = match self.block {
            Some(block) => (channels / block * batch, [channels / block, batch, block]),
            None => (channels, [channels, batch, 1]),
        };
        let x = self.rows(x)?;
        let x = self.reshape(x, &[groups, input.pixels(), batch * channels / groups]);
        let mean = Reduce::along(ReduceKind::Mean, &[1], false);
        let means = self.graph.op(mean, &[x]);
        let means = self.reshape(means, &[first, second, last]);
        let means = self.graph.transpose(means, &[1, 0, 2]);
        let means = self.reshape(means, &[batch, channels]);
        let means = self.first_channels(means, input.channels);
        let shape = self.output_shape(node)?;
        let planes = self.reshape(means, &shape);
        self.insert(node, Placed::in_planes([input.channels, 1, 1], planes));
        Ok(())
    }

    /// Computes any other operator on planes, unchanged. A node that does not depend on the cut is copied.
    fn in_planes(&mut self, node: &Node) -> Result<(), GraphError> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        let mut from_cut = false;
        for id in &node.inputs {
            inputs.push(match id {
                Some(id) if self.values.contains_key(id) => {
                    from_cut = true;
                    Some(self.planes(*id)?)
                }
                Some(id) => Some(self.constant(*id)?),
                None => None,
            });
        }
        let made = self
            .graph
            .op_many(node.op.clone(), &inputs, node.outputs.len());
        for (id, made) in node.outputs.iter().zip(made) {
            let Some(id) = *id else { continue };
            if !from_cut {
                self.copies.insert(id, made);
                continue;
            }
            let shape = self.shape(id)?;
            let size = size_of_inner(shape.get(1..).unwrap_or_default());
            self.values.insert(id, Placed::in_planes(size, made));
        }
        Ok(())
    }
}

/// Channels, height and width of a shape without the batch. A shape that is no feature map counts as channels.
fn size_of_inner(shape: &[usize]) -> [usize; 3] {
    match shape {
        [channels, height, width] => [*channels, *height, *width],
        other => [other.iter().product(), 1, 1],
    }
}

/// The error for a node without a required input or output.
fn lacks(node: &Node, what: &str) -> GraphError {
    GraphError::Model(format!("a node “{}” has no {what}", node.op.op_type()))
}
