//! Reads the quantization of a graph: its quantized constants, and which tensors are integers.
//!
//! TensorFlow's integers are int8, ONNX's uint8; values and zero points are lowered by 128.

use std::sync::Arc;

use crate::graph::ops::Quantization as Change;
use crate::graph::{Node, Op, ValueId, wrap};
use crate::onnx::{Element, ElementType, Tensor};

use super::place::{Lowering, transposed};
use super::{Kind, Quantization, TensorId, Unwritable};

/// The difference of uint8 and int8.
const SHIFT: i32 = 128;

/// A constant: floats, or integers with their quantization.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Constant {
    pub tensor: Tensor,
    pub quantization: Option<Quantization>,
}

impl Constant {
    pub fn real(tensor: Tensor) -> Self {
        Self {
            tensor,
            quantization: None,
        }
    }

    /// The same values in another shape, in which scales belong to the dimension `axis`.
    pub fn shaped(&self, shape: &[usize], axis: usize) -> Self {
        let quantization = self
            .quantization
            .clone()
            .map(|known| Quantization { axis, ..known });
        let data = self.tensor.data.clone();
        Self {
            tensor: Tensor::new(shape, data),
            quantization,
        }
    }

    /// The constant with its dimensions permuted.
    pub fn reordered(&self, perm: &[usize]) -> Self {
        let shape = &self.tensor.shape;
        let tensor = match &self.tensor.data {
            Element::F32(values) => transposed(shape, values, perm),
            Element::I8(values) => transposed(shape, values, perm),
            Element::U8(values) => transposed(shape, values, perm),
            Element::I32(values) => transposed(shape, values, perm),
            // Other types are not converted.
            _ => self.tensor.clone(),
        };
        let quantization = self.quantization.clone().map(|known| {
            let axis = perm.iter().position(|dim| *dim == known.axis);
            Quantization {
                axis: axis.unwrap_or(known.axis),
                ..known
            }
        });
        Self {
            tensor,
            quantization,
        }
    }
}

impl Lowering<'_> {
    /// Adds a constant to the program.
    pub fn constant(&mut self, name: &str, constant: Constant) -> TensorId {
        let id = self.program.constant(name, constant.tensor);
        self.program.set_quantization(id, constant.quantization);
        id
    }

    /// An input that must be a constant of 32-bit floats, or of integers followed by a `DequantizeLinear`.
    pub fn weight(&self, node: &Node, at: usize) -> Result<Constant, Unwritable> {
        let value = self.input(node, at)?;
        if let Some(constant) = self.quantized_constant(node, value)? {
            return Ok(constant);
        }
        let (shape, values) = self.floats(node, at)?;
        Ok(Constant::real(Tensor::new(shape, values.to_vec())))
    }

    /// The constant that a `DequantizeLinear` reads, if `value` is its result.
    pub fn quantized_constant(
        &self,
        node: &Node,
        value: ValueId,
    ) -> Result<Option<Constant>, Unwritable> {
        let maker = self.graph.producer(value);
        let Some(maker) =
            maker.filter(|maker| matches!(maker.op, Op::Quantization(Change::Dequantize { .. })))
        else {
            return Ok(None);
        };
        let integers = maker.input(0).and_then(|read| self.graph.constant_of(read));
        let Some(integers) = integers else {
            return Ok(None);
        };
        let mut quantization = self.declared(maker, integers.shape.len())?;
        let tensor = match &integers.data {
            Element::I8(_) | Element::I32(_) => integers.as_ref().clone(),
            Element::U8(values) => {
                quantization.zero -= SHIFT;
                // Flipping the upper bit subtracts 128.
                let values: Vec<i8> = values.iter().map(|v| (v ^ 0x80).cast_signed()).collect();
                Tensor::new(integers.shape.clone(), values)
            }
            other => {
                let element = other.element_type();
                return self.refuse(node, format!("reads integers of the type {element:?}"));
            }
        };
        if quantization.scales.len() > 1 && quantization.zero != 0 {
            return self.refuse(node, "has weights with a zero point other than 0");
        }
        Ok(Some(Constant {
            tensor,
            quantization: Some(quantization),
        }))
    }

    /// The scales and the zero point of a `QuantizeLinear` or `DequantizeLinear`.
    fn declared(&self, node: &Node, rank: usize) -> Result<Quantization, Unwritable> {
        let Op::Quantization(change) = &node.op else {
            return self.refuse(node, "has no scale for its integers");
        };
        let scales = self.floats(node, 1)?.1.to_vec();
        let zeros: Vec<i32> = match node.input(2).map(|zero| self.graph.constant_of(zero)) {
            None => vec![0],
            Some(Some(zero)) => match &zero.data {
                Element::U8(zeros) => zeros.iter().map(|zero| i32::from(*zero)).collect(),
                Element::I8(zeros) => zeros.iter().map(|zero| i32::from(*zero)).collect(),
                Element::I32(zeros) => zeros.clone(),
                _ => Vec::new(),
            },
            Some(None) => Vec::new(),
        };
        let is_scale = |scale: &f32| scale.is_finite() && *scale > 0.0;
        let Some(zero) = zeros.first().copied() else {
            return self.refuse(node, "has a zero point that is unknown before it runs");
        };
        if zeros.iter().any(|other| *other != zero) {
            return self.refuse(node, "has several zero points");
        }
        if scales.is_empty() || !scales.iter().all(is_scale) {
            return self.refuse(node, "has a scale that is not above zero");
        }
        let axis = wrap(change.axis(), rank).filter(|_| scales.len() > 1);
        Ok(Quantization {
            scales,
            zero,
            axis: axis.unwrap_or(0),
        })
    }

    /// The quantization of a tensor that a node reads or computes as `value`.
    fn declared_for(
        &self,
        node: &Node,
        value: ValueId,
        element: ElementType,
    ) -> Result<Quantization, Unwritable> {
        let rank = self.lens(node, value)?.len();
        let mut declared = self.declared(node, rank)?;
        if declared.scales.len() > 1 {
            return self.refuse(
                node,
                "has a scale of its own for each channel of a computed value",
            );
        }
        if self.graph.element(value) == Some(ElementType::U8) && element == ElementType::I8 {
            declared.zero -= SHIFT;
        }
        Ok(declared)
    }

    pub fn quantization(&mut self, node: &Node, change: Change) -> Result<(), Unwritable> {
        let (x, value) = (self.input(node, 0)?, self.output(node)?);
        match change {
            Change::Quantize { .. } => {
                let (input, order) = self.as_it_lies(node, x)?;
                let output = self.new_in(node, value, order)?;
                let declared = self.declared_for(node, value, ElementType::I8)?;
                if !matches!(
                    self.graph.element(value),
                    Some(ElementType::U8 | ElementType::I8)
                ) {
                    return self.refuse(node, "gives integers that do not have 8 bits");
                }
                self.program.set_element(output, ElementType::I8);
                self.program.set_quantization(output, Some(declared));
                self.program.push(Kind::Quantize, &[input], output);
            }
            Change::Dequantize { .. } => {
                let is_constant = self.graph.constant_of(x).is_some();
                if is_constant {
                    // Added where it is read, in the order that is needed there.
                    return Ok(());
                }
                let (input, order) = self.as_it_lies(node, x)?;
                let element = self.program.info(input).element;
                let declared = self.declared_for(node, x, element)?;
                match &self.program.info(input).quantization {
                    None => self.program.set_quantization(input, Some(declared)),
                    Some(known) if **known == declared => {}
                    Some(_) => {
                        return self
                            .refuse(node, "reads integers with a different scale than they have");
                    }
                }
                let output = self.new_in(node, value, order)?;
                self.program.push(Kind::Dequantize, &[input], output);
            }
        }
        Ok(())
    }
}

impl super::Program {
    pub(super) fn set_quantization(&mut self, id: TensorId, quantization: Option<Quantization>) {
        if let Some(info) = self.tensors.get_mut(id.0) {
            info.quantization = quantization.map(Arc::new);
        }
    }

    fn set_element(&mut self, id: TensorId, element: ElementType) {
        if let Some(info) = self.tensors.get_mut(id.0) {
            info.element = element;
        }
    }
}
