//! The order of dimensions of a graph's values in a program: as in the graph, channels last, or both.

use std::collections::HashMap;

use crate::graph::{Graph, Node, ValueId};
use crate::onnx::{Element, ElementType, Tensor};

use super::quantized::Constant;
use super::{Kind, Program, TensorId, Unwritable};

/// The permutation from `[N, C, H, W]` to `[N, H, W, C]`.
pub(super) const TO_LAST: [usize; 4] = [0, 2, 3, 1];
/// The inverse of the above.
pub(super) const TO_FIRST: [usize; 4] = [0, 3, 1, 2];

/// The tensors for one value.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Placed {
    /// In the graph's order.
    pub plain: Option<TensorId>,
    /// With channels last, for a value of four dimensions.
    pub last: Option<TensorId>,
}

/// The state of converting a graph to a program.
pub(super) struct Lowering<'a> {
    pub graph: &'a Graph,
    pub program: Program,
    pub placed: HashMap<ValueId, Placed>,
    /// Converted kernels and other constants, by purpose and original.
    pub made: HashMap<(&'static str, ValueId), TensorId>,
}

impl<'a> Lowering<'a> {
    pub fn new(graph: &'a Graph) -> Self {
        Self {
            graph,
            program: Program::default(),
            placed: HashMap::new(),
            made: HashMap::new(),
        }
    }

    /// The error that `node` cannot be written, and why.
    pub fn refuse<T>(&self, node: &Node, reason: impl Into<String>) -> Result<T, Unwritable> {
        Err(Unwritable {
            node: self.graph.name_of_node(node).to_owned(),
            operator: node.op.op_type().to_owned(),
            reason: reason.into(),
        })
    }

    /// An input of a node that must be present.
    pub fn input(&self, node: &Node, at: usize) -> Result<ValueId, Unwritable> {
        match node.input(at) {
            Some(value) => Ok(value),
            None => self.refuse(node, format!("has no input {at}")),
        }
    }

    /// The only output of a node.
    pub fn output(&self, node: &Node) -> Result<ValueId, Unwritable> {
        let others = node.outputs.iter().skip(1).flatten();
        for other in others {
            if self.graph.consumers(*other).next().is_some() || self.graph.outputs().contains(other)
            {
                return self.refuse(node, "has a second output that is used");
            }
        }
        match node.output() {
            Some(value) => Ok(value),
            None => self.refuse(node, "has no output"),
        }
    }

    /// The lengths of a value's dimensions.
    pub fn lens(&self, node: &Node, value: ValueId) -> Result<Vec<usize>, Unwritable> {
        match self.graph.lens(value) {
            Some(lens) => Ok(lens),
            None => self.refuse(
                node,
                format!(
                    "works on “{}”, whose size depends on more than the size of the image",
                    self.graph.name_of(value)
                ),
            ),
        }
    }

    /// The contents of an input that must be a constant of 32-bit floats.
    pub fn floats(&self, node: &Node, at: usize) -> Result<(Vec<usize>, &'a [f32]), Unwritable> {
        let value = self.input(node, at)?;
        if let Some(tensor) = self.graph.constant_of(value)
            && let Element::F32(values) = &tensor.data
        {
            return Ok((tensor.shape.clone(), values));
        }
        self.refuse(
            node,
            format!("takes input {at} from another node; only constants of 32-bit floats can be written there"),
        )
    }

    /// The name of a value's tensor.
    pub fn name(&self, value: ValueId) -> &'a str {
        self.graph.name_of(value)
    }

    /// A new tensor for a node's result, with channels last.
    pub fn new_last(&mut self, node: &Node, value: ValueId) -> Result<TensorId, Unwritable> {
        let lens = self.lens(node, value)?;
        let [n, c, h, w] = *lens.as_slice() else {
            return self.refuse(
                node,
                format!("gives {} dimensions instead of 4", lens.len()),
            );
        };
        let id = self.new_tensor(node, value, &[n, h, w, c])?;
        self.placed.entry(value).or_default().last = Some(id);
        Ok(id)
    }

    /// A new tensor for a node's result, in the graph's order.
    pub fn new_plain(&mut self, node: &Node, value: ValueId) -> Result<TensorId, Unwritable> {
        let lens = self.lens(node, value)?;
        let id = self.new_tensor(node, value, &lens)?;
        self.placed.entry(value).or_default().plain = Some(id);
        Ok(id)
    }

    fn new_tensor(
        &mut self,
        node: &Node,
        value: ValueId,
        shape: &[usize],
    ) -> Result<TensorId, Unwritable> {
        let Some(element) = self.graph.element(value) else {
            return self.refuse(node, "gives values of an unknown type");
        };
        if !matches!(
            element,
            ElementType::F32 | ElementType::U8 | ElementType::I32
        ) {
            return self.refuse(node, format!("gives values of the type {element:?}"));
        }
        Ok(self.program.add(self.name(value), shape, element))
    }

    /// The tensors of a value so far.
    pub fn place(&self, value: ValueId) -> Placed {
        self.placed.get(&value).copied().unwrap_or_default()
    }

    /// A value with channels last, transposed if necessary.
    pub fn last(&mut self, node: &Node, value: ValueId) -> Result<TensorId, Unwritable> {
        if let Some(id) = self.place(value).last {
            return Ok(id);
        }
        let lens = self.lens(node, value)?;
        let [n, c, h, w] = *lens.as_slice() else {
            return self.refuse(
                node,
                format!("works on {} dimensions, but an image has 4", lens.len()),
            );
        };
        let plain = self.plain(node, value)?;
        let id = self.transposed(plain, &TO_LAST, [n, h, w, c], "last");
        self.placed.entry(value).or_default().last = Some(id);
        Ok(id)
    }

    /// A value in the graph's order, transposed if necessary.
    pub fn plain(&mut self, node: &Node, value: ValueId) -> Result<TensorId, Unwritable> {
        if let Some(id) = self.place(value).plain {
            return Ok(id);
        }
        if let Some(constant) = self.graph.constant_of(value) {
            let tensor = match &constant.data {
                Element::F32(_) | Element::I32(_) | Element::U8(_) => constant.as_ref().clone(),
                other => {
                    return self.refuse(
                        node,
                        format!("reads constants of the type {:?}", other.element_type()),
                    );
                }
            };
            let id = self.program.constant(self.name(value), tensor);
            self.placed.entry(value).or_default().plain = Some(id);
            return Ok(id);
        }
        if let Some(constant) = self.quantized_constant(node, value)? {
            let id = self.constant(self.name(value), constant);
            self.placed.entry(value).or_default().plain = Some(id);
            return Ok(id);
        }
        let Some(last) = self.place(value).last else {
            return self.refuse(
                node,
                format!("reads “{}”, which nothing computes", self.name(value)),
            );
        };
        let [n, h, w, c] = *self.program.shape(last) else {
            return self.refuse(node, "works on an image without 4 dimensions");
        };
        let id = self.transposed(last, &TO_FIRST, [n, c, h, w], "first");
        self.placed.entry(value).or_default().plain = Some(id);
        Ok(id)
    }

    /// A tensor with permuted dimensions: only reshaped if no value moves.
    fn transposed(
        &mut self,
        from: TensorId,
        perm: &[usize; 4],
        shape: [usize; 4],
        order: &str,
    ) -> TensorId {
        let info = self.program.info(from);
        let (name, element) = (format!("{}/{order}", info.name), info.element);
        if let Some(contents) = &info.contents {
            let constant = Constant {
                tensor: contents.as_ref().clone(),
                quantization: info.quantization.as_deref().cloned(),
            };
            return self.constant(&name, constant.reordered(perm));
        }
        let to = self.program.add(&name, &shape, element);
        let kind = if keeps_order(&info_shape(&self.program, from), perm) {
            Kind::Reshape
        } else {
            Kind::Transpose {
                perm: perm.to_vec(),
            }
        };
        self.program.push(kind, &[from], to)
    }

    /// A constant that is converted only once for each value and purpose.
    pub fn made_once(
        &mut self,
        purpose: &'static str,
        value: ValueId,
        make: impl FnOnce() -> Constant,
    ) -> TensorId {
        if let Some(id) = self.made.get(&(purpose, value)) {
            return *id;
        }
        let name = format!("{}/{purpose}", self.name(value));
        let id = self.constant(&name, make());
        self.made.insert((purpose, value), id);
        id
    }
}

fn info_shape(program: &Program, tensor: TensorId) -> Vec<usize> {
    program.shape(tensor).to_vec()
}

/// Whether a permutation moves no values: dimensions longer than 1 keep their order.
pub(super) fn keeps_order(shape: &[usize], perm: &[usize]) -> bool {
    let long: Vec<usize> = perm
        .iter()
        .copied()
        .filter(|dim| shape.get(*dim).is_some_and(|len| *len > 1))
        .collect();
    long.is_sorted()
}

/// Values with their dimensions permuted.
pub(crate) fn transposed<T: Copy + Default>(shape: &[usize], values: &[T], perm: &[usize]) -> Tensor
where
    Vec<T>: Into<Element>,
{
    let mut strides = vec![1; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at] * shape[at];
    }
    let to: Vec<usize> = perm.iter().map(|dim| shape[*dim]).collect();
    let steps: Vec<usize> = perm.iter().map(|dim| strides[*dim]).collect();
    let mut index = vec![0; to.len()];
    let mut out = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        let from: usize = index.iter().zip(&steps).map(|(at, step)| at * step).sum();
        out.push(values.get(from).copied().unwrap_or_default());
        for at in (0..to.len()).rev() {
            index[at] += 1;
            if index[at] < to[at] {
                break;
            }
            index[at] = 0;
        }
    }
    Tensor::new(to, out)
}
