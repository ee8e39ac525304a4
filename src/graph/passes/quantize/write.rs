//! Writing a quantized graph.

use std::collections::HashMap;
use std::sync::Arc;

use crate::graph::ops::Quantization;
use crate::graph::structure::Node;
use crate::graph::value::{Fact, ValueId};
use crate::graph::{Graph, GraphError, Op};
use crate::onnx::{Element, ElementType, Tensor};

use super::units::{Layer, Plan, Unit, clip, layer};
use super::{Affine, Pixels, Prepared, Quantizing, Range, rounded};

/// The quantized graph of a prepared network, in QDQ form. Its input, called `image`, takes pixels, uint8 `[N, H, W,
/// 3]`.
///
/// # Errors
/// [`GraphError::Model`] names a value without a range, or a weight whose integers do not match it.
pub fn quantize(prepared: &Prepared, how: &Quantizing, image: &str) -> Result<Graph, GraphError> {
    let from = &prepared.graph;
    let plan = Plan::new(from, &how.float);
    let mut writer = Writer {
        from,
        how,
        affines: affines(prepared, how, &plan),
        plan,
        made: Graph::new(&from.name),
        held: HashMap::new(),
        copied: HashMap::new(),
        shared: HashMap::new(),
    };
    writer.made.opset = from.opset;
    writer.made.other_opsets.clone_from(&from.other_opsets);
    writer.front(prepared, image)?;
    for (node, unit) in from.nodes().iter().zip(writer.plan.units.clone()) {
        writer.node(node, unit)?;
    }
    for output in from.outputs() {
        let value = writer.real(*output)?;
        writer.made.output(value);
        if let (Some(element), Some(shape)) = (from.element(*output), from.shape(*output)) {
            let shape = shape.to_vec();
            writer.made.declare(value, element, &shape);
        }
    }
    writer.made.prune();
    Ok(writer.made)
}

/// Scale and zero point of each group of values that share them.
fn affines(prepared: &Prepared, how: &Quantizing, plan: &Plan) -> HashMap<ValueId, Affine> {
    let mut ranges: HashMap<ValueId, Range> = HashMap::new();
    let mut measured: Vec<_> = how.ranges.iter().collect();
    measured.sort_by_key(|(value, _)| **value);
    for (value, range) in measured {
        let root = plan.root(*value);
        let known = ranges.get(&root).copied();
        ranges.insert(root, known.map_or(*range, |known| known.union(*range)));
    }
    let mut affines: HashMap<ValueId, Affine> = ranges
        .into_iter()
        .map(|(value, range)| (value, range.affine()))
        .collect();
    if let Some(Pixels { scale, zero }) = prepared.pixels {
        affines.insert(plan.root(prepared.input), Affine { scale, zero });
    }
    affines
}

/// A value of the network in the quantized graph, as floats, as integers or both.
#[derive(Default, Clone, Copy)]
struct Held {
    real: Option<ValueId>,
    integers: Option<(ValueId, Affine)>,
    dequantized: Option<ValueId>,
}

struct Writer<'a> {
    from: &'a Graph,
    how: &'a Quantizing,
    plan: Plan,
    affines: HashMap<ValueId, Affine>,
    made: Graph,
    held: HashMap<ValueId, Held>,
    /// Constants of the network that are copied unchanged.
    copied: HashMap<ValueId, ValueId>,
    /// Scales and zero points, shared by many nodes: by type, length of a vector and bits.
    shared: HashMap<(ElementType, Option<usize>, u32), ValueId>,
}

impl Writer<'_> {
    /// Adds the input, and computes the network's own input from it.
    fn front(&mut self, prepared: &Prepared, image: &str) -> Result<(), GraphError> {
        let planes = prepared.planes_of(&mut self.made, image)?;
        let held = match prepared.pixels {
            Some(Pixels { scale, zero }) => Held {
                integers: Some((planes, Affine { scale, zero })),
                ..Held::default()
            },
            None => Held {
                real: Some(prepared.normalised(&mut self.made, planes)),
                ..Held::default()
            },
        };
        self.held.insert(prepared.input, held);
        Ok(())
    }

    fn node(&mut self, node: &Node, unit: Unit) -> Result<(), GraphError> {
        if self.plan.is_absorbed(node) {
            return Ok(());
        }
        match unit {
            Unit::Layer => match layer(self.from, node) {
                Some(layer) => self.layer(node, layer),
                None => self.copy(node, false),
            },
            Unit::Real => self.copy(node, false),
            Unit::Rescaled | Unit::Same => self.copy(node, true),
        }
    }

    /// Copies a node; its inputs are floats, or integers if `integers` is set.
    fn copy(&mut self, node: &Node, integers: bool) -> Result<(), GraphError> {
        let operands = match &node.op {
            Op::Elementwise(_) | Op::Moves(_) => usize::MAX,
            _ => 1,
        };
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for (at, input) in node.inputs.iter().enumerate() {
            let Some(input) = *input else {
                inputs.push(None);
                continue;
            };
            let is_value = self.from.element(input) == Some(ElementType::F32)
                && self.from.lens(input).is_none_or(|lens| !lens.is_empty());
            let value = if integers && at < operands && is_value {
                self.dequantized(input)?.0
            } else {
                self.real(input)?
            };
            inputs.push(Some(value));
        }
        let mut outputs = Vec::with_capacity(node.outputs.len());
        for output in &node.outputs {
            outputs.push(output.map(|output| {
                let name = self.from.name_of(output);
                let name = if integers {
                    format!("{name}/real")
                } else {
                    name.to_owned()
                };
                self.made.add_value(&name, Fact::default())
            }));
        }
        self.made.push_node(Node {
            name: String::new(),
            op: node.op.clone(),
            inputs,
            outputs: outputs.clone(),
        });
        for (output, made) in node.outputs.iter().zip(outputs) {
            let (Some(output), Some(made)) = (output, made) else {
                continue;
            };
            if integers {
                self.kept(*output, made)?;
            } else {
                let held = self.held.entry(*output).or_default();
                held.real = Some(made);
            }
        }
        Ok(())
    }

    fn layer(&mut self, node: &Node, layer: Layer) -> Result<(), GraphError> {
        let (x, of_input) = self.dequantized(layer.input)?;
        let (Some(weight), Some(bias)) = (
            self.from.constant_of(layer.weight).cloned(),
            self.from.constant_of(layer.bias).cloned(),
        ) else {
            return self.copy(node, false);
        };
        let name = self.from.name_of(layer.weight).to_owned();
        let is_matrix = matches!(node.op, Op::Linear(_));
        let has_one_scale = is_matrix && self.how.every_layer;
        let integers = match self.how.weights.get(&layer.weight) {
            // Rounded with a scale for each channel.
            Some(given) if has_one_scale && given.scales.len() > 1 => {
                rounded(&weight, layer.axis, true)?
            }
            Some(given) if given.values.len() == weight.data.len() => given.as_ref().clone(),
            Some(_) => {
                return Err(GraphError::Model(format!(
                    "“{name}” has a different number of integers than of values"
                )));
            }
            None => rounded(&weight, layer.axis, has_one_scale)?,
        };
        let integers = integers.floored(&weight, layer.axis, bias.f32()?, of_input.scale)?;
        let of_products: Vec<f32> = integers
            .scales
            .iter()
            .map(|scale| scale * of_input.scale)
            .collect();
        let biases: Vec<i32> = bias
            .f32()?
            .iter()
            .enumerate()
            .map(|(channel, bias)| {
                let one = of_products.len() == 1;
                let scale = of_products.get(if one { 0 } else { channel });
                let steps = f64::from(*bias) / f64::from(scale.copied().unwrap_or(1.0));
                steps.round_ties_even() as i32
            })
            .collect();
        let w = Tensor::new(weight.shape.clone(), integers.values);
        let w = self.dequantized_constant(&name, w, integers.scales, layer.axis);
        let name = self.from.name_of(layer.bias).to_owned();
        let b = Tensor::new(bias.shape.clone(), biases);
        let b = self.dequantized_constant(&name, b, of_products, 0);
        let name = self.from.name_of(layer.output).to_owned();
        let kept = self.plan.absorbed.get(&layer.output).copied();
        if is_matrix && kept.is_none() && !self.how.every_layer && self.is_last(layer.output) {
            let logits = self.made.op_named(node.op.clone(), &[x, w, b], &name);
            self.held.entry(layer.output).or_default().real = Some(logits);
            return Ok(());
        }
        let real = format!("{name}/real");
        let real = self.made.op_named(node.op.clone(), &[x, w, b], &real);
        self.kept(layer.output, real)
    }

    /// Whether only nodes that compute in floats read a value.
    fn is_last(&self, value: ValueId) -> bool {
        let nodes = self.from.nodes().iter().zip(&self.plan.units);
        let mut readers = nodes.filter(|(node, _)| node.reads().any(|read| read == value));
        readers.all(|(_, unit)| *unit == Unit::Real)
    }

    /// Quantizes the result of a node, clipped by the range of the activation after it.
    fn kept(&mut self, output: ValueId, real: ValueId) -> Result<(), GraphError> {
        let kept = self.plan.absorbed.get(&output).copied().unwrap_or(output);
        let mut affine = self.affine(kept)?;
        if kept != output
            && let Some(node) = self.from.producer(kept)
            && let Some(bounds) = clip(self.from, node)
        {
            // A range wider than the activation's would undo the clipping.
            let max = affine.scale * (255.0 - f32::from(affine.zero));
            let min = -affine.scale * f32::from(affine.zero);
            let range = Range {
                min: min.max(bounds.min),
                max: max.min(bounds.max),
            };
            if self.plan.root(kept) == kept && (range.min > min || range.max < max) {
                affine = range.affine();
            }
        }
        let name = self.from.name_of(kept);
        let name = if self.from.outputs().contains(&kept) {
            format!("{name}/integers")
        } else {
            name.to_owned()
        };
        let integers = self.quantized(real, affine, &name);
        self.held.entry(kept).or_default().integers = Some((integers, affine));
        Ok(())
    }

    fn affine(&self, value: ValueId) -> Result<Affine, GraphError> {
        let found = self.affines.get(&self.plan.root(value)).copied();
        found.ok_or_else(|| {
            GraphError::Model(format!(
                "the range of “{}” is unknown",
                self.from.name_of(value)
            ))
        })
    }

    fn quantized(&mut self, real: ValueId, affine: Affine, name: &str) -> ValueId {
        let scale = self.scale(affine.scale);
        let zero = self.zero(ElementType::U8, None, affine.zero);
        self.made
            .op_named(Quantization::QUANTIZE, &[real, scale, zero], name)
    }

    /// A value as floats, dequantized if necessary.
    fn real(&mut self, value: ValueId) -> Result<ValueId, GraphError> {
        if let Some(constant) = self.from.constant_of(value) {
            if let Some(known) = self.copied.get(&value) {
                return Ok(*known);
            }
            let constant = Arc::clone(constant);
            let new = self.made.constant_named(self.from.name_of(value), constant);
            self.copied.insert(value, new);
            return Ok(new);
        }
        let held = self.held.get(&value).copied().unwrap_or_default();
        match held.real {
            Some(real) => Ok(real),
            None => Ok(self.dequantized(value)?.0),
        }
    }

    /// A value dequantized from its integers.
    fn dequantized(&mut self, value: ValueId) -> Result<(ValueId, Affine), GraphError> {
        let mut held = self.held.get(&value).copied().unwrap_or_default();
        let name = self.from.name_of(value).to_owned();
        let (integers, affine) = if let Some(known) = held.integers {
            known
        } else if let Some(constant) = self.from.constant_of(value) {
            self.constant_integers(&name, &constant.clone())?
        } else {
            let Some(real) = held.real else {
                return Err(GraphError::Model(format!("nothing computes “{name}”")));
            };
            let affine = self.affine(value)?;
            let integers = self.quantized(real, affine, &format!("{name}/integers"));
            (integers, affine)
        };
        held.integers = Some((integers, affine));
        let dequantized = held.dequantized.unwrap_or_else(|| {
            let scale = self.scale(affine.scale);
            let zero = self.zero(ElementType::U8, None, affine.zero);
            // An output keeps its name.
            let own = if self.from.outputs().contains(&value) {
                name.clone()
            } else {
                format!("{name}/read")
            };
            self.made
                .op_named(Quantization::DEQUANTIZE, &[integers, scale, zero], &own)
        });
        held.dequantized = Some(dequantized);
        self.held.insert(value, held);
        Ok((dequantized, affine))
    }

    /// A constant that is no weight, quantized.
    fn constant_integers(
        &mut self,
        name: &str,
        constant: &Tensor,
    ) -> Result<(ValueId, Affine), GraphError> {
        let values = constant.f32()?;
        let range = Range {
            min: values.iter().copied().fold(0.0, f32::min),
            max: values.iter().copied().fold(0.0, f32::max),
        };
        let affine = range.affine();
        let integers: Vec<u8> = values
            .iter()
            .map(|value| {
                let steps = (value / affine.scale).round_ties_even() + f32::from(affine.zero);
                steps.clamp(0.0, 255.0) as u8
            })
            .collect();
        let integers = Tensor::new(constant.shape.clone(), integers);
        Ok((self.made.constant_named(name, integers), affine))
    }

    /// A constant of integers followed by its dequantization.
    fn dequantized_constant(
        &mut self,
        name: &str,
        integers: Tensor,
        scales: Vec<f32>,
        axis: usize,
    ) -> ValueId {
        let element = integers.data.element_type();
        let one = scales.len() == 1 && integers.shape.get(axis) != Some(&1);
        let len = (!one).then_some(scales.len());
        let integers = self.made.constant_named(name, integers);
        let scale = match scales.first() {
            Some(scale) if one => self.scale(*scale),
            _ => {
                let name = format!("{name}/scale");
                let scales = Tensor::new([scales.len()], scales);
                self.made.constant_named(&name, scales)
            }
        };
        let zero = self.zero(element, len, 0);
        let axis = if one { 1 } else { axis as i64 };
        let read = format!("{name}/read");
        self.made.op_named(
            Quantization::Dequantize { axis },
            &[integers, scale, zero],
            &read,
        )
    }

    /// A scalar scale.
    fn scale(&mut self, scale: f32) -> ValueId {
        let key = (ElementType::F32, None, scale.to_bits());
        if let Some(known) = self.shared.get(&key) {
            return *known;
        }
        let name = format!("scale_{}", self.shared.len());
        let new = self.made.constant_named(&name, Tensor::scalar(scale));
        self.shared.insert(key, new);
        new
    }

    /// A zero point: a scalar, or `len` equal ones.
    fn zero(&mut self, element: ElementType, len: Option<usize>, zero: u8) -> ValueId {
        let key = (element, len, u32::from(zero));
        if let Some(known) = self.shared.get(&key) {
            return *known;
        }
        let count = len.unwrap_or(1);
        let data: Element = match element {
            ElementType::U8 => vec![zero; count].into(),
            other => Element::zeros(other, count),
        };
        let shape: Vec<usize> = len.into_iter().collect();
        let name = format!("zero_{}", self.shared.len());
        let new = self.made.constant_named(&name, Tensor { shape, data });
        self.shared.insert(key, new);
        new
    }
}
