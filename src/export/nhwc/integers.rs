//! Converts a program with float operators between `Dequantize` and `Quantize` to one with int8 operators, as
//! TensorFlow's kernels implement them, and meets the constraints that those have on scales.

use std::collections::HashMap;
use std::sync::Arc;

use crate::onnx::{ElementType, Tensor};

use super::{
    Binary, Kind, Operator, Program, Quantization, Reduction, TensorId, Unary, Unwritable,
};

/// The program with float operators only where outputs are dequantized.
///
/// # Errors
/// [`Unwritable`] names an operator that would compute in floats, by its result.
pub(super) fn integers(mut program: Program) -> Result<Program, Unwritable> {
    let operators = std::mem::take(&mut program.operators);
    let mut making = Making {
        wanted: HashMap::new(),
        twins: HashMap::new(),
        bytes: HashMap::new(),
        program,
    };
    for operator in &operators {
        if let (Kind::Quantize, Some(real)) = (&operator.kind, operator.inputs.first()) {
            making.wanted.entry(*real).or_insert(operator.output);
        }
    }
    for operator in &operators {
        making.operator(operator)?;
    }
    for output in making.program.outputs.clone() {
        let twin = making.twin(output, "Output")?;
        making.program.push(Kind::Dequantize, &[twin], output);
    }
    Ok(making.program)
}

/// The constraint of an operator on the scales of its inputs and its result.
enum Demand {
    /// None.
    Any,
    /// All are equal.
    Same,
    /// The result has this scale.
    Fixed(Quantization),
}

pub(super) struct Making {
    pub program: Program,
    /// The first quantized tensor of each float tensor.
    wanted: HashMap<TensorId, TensorId>,
    /// The int8 tensor for each float tensor, or for other integers.
    twins: HashMap<TensorId, TensorId>,
    /// Pixels as int8.
    bytes: HashMap<TensorId, TensorId>,
}

impl Making {
    pub fn refuse<T>(
        &self,
        output: TensorId,
        operator: &str,
        reason: impl Into<String>,
    ) -> Result<T, Unwritable> {
        Err(Unwritable {
            node: self.program.info(output).name.clone(),
            operator: operator.to_owned(),
            reason: reason.into(),
        })
    }

    /// The int8 tensor for an input of an operator.
    fn twin(&self, real: TensorId, operator: &str) -> Result<TensorId, Unwritable> {
        match self.twins.get(&real) {
            Some(twin) => Ok(*twin),
            None => self.refuse(
                real,
                operator,
                "would be computed in floats in an integer model",
            ),
        }
    }

    pub fn quantization(&self, id: TensorId) -> Option<Arc<Quantization>> {
        self.program.info(id).quantization.clone()
    }

    /// Scale and zero point of a tensor; an error naming `operator` if it has several scales or none.
    pub fn scale(&self, id: TensorId, operator: &str) -> Result<(f32, i32), Unwritable> {
        let known = self.quantization(id);
        match known.and_then(|known| Some((known.scale()?, known.zero))) {
            Some(known) => Ok(known),
            None => self.refuse(id, operator, "has no scale"),
        }
    }

    fn operator(&mut self, operator: &Operator) -> Result<(), Unwritable> {
        let Some(first) = operator.inputs.first().copied() else {
            return Ok(());
        };
        match operator.kind {
            Kind::Dequantize => {
                let twin = self.signed(first)?;
                self.twins.insert(operator.output, twin);
                Ok(())
            }
            Kind::Quantize => {
                let twin = self.twin(first, "QuantizeLinear")?;
                if twin != operator.output {
                    let same = self.quantization(twin) == self.quantization(operator.output);
                    let stands_in = if same {
                        twin
                    } else {
                        let to = operator.output;
                        self.program.push(Kind::Quantize, &[twin], to)
                    };
                    self.twins.insert(operator.output, stands_in);
                }
                Ok(())
            }
            _ => match self.by_reciprocal(operator) {
                Some(product) => self.computed(&product),
                None => self.computed(operator),
            },
        }
    }

    /// Rewrites a division by a constant as a product, because there is no int8 kernel for division.
    fn by_reciprocal(&mut self, operator: &Operator) -> Option<Operator> {
        let Kind::Binary {
            binary: Binary::Div,
            activation,
        } = operator.kind
        else {
            return None;
        };
        let [x, divisor] = operator.inputs[..] else {
            return None;
        };
        let (values, info) = (self.program.floats(divisor)?, self.program.info(divisor));
        let reciprocals: Vec<f32> = values.iter().map(|value| value.recip()).collect();
        if !reciprocals.iter().all(|value| value.is_finite()) {
            return None;
        }
        let (name, shape) = (format!("{}/reciprocal", info.name), info.shape.clone());
        let factor = self
            .program
            .constant(&name, Tensor::new(shape, reciprocals));
        Some(Operator {
            kind: Kind::Binary {
                binary: Binary::Mul,
                activation,
            },
            inputs: vec![x, factor],
            output: operator.output,
        })
    }

    /// The int8 tensor for integers, which may be uint8 pixels.
    fn signed(&mut self, integers: TensorId) -> Result<TensorId, Unwritable> {
        let info = self.program.info(integers).clone();
        if info.element == ElementType::I8 {
            return Ok(self.twins.get(&integers).copied().unwrap_or(integers));
        }
        if let Some(known) = self.bytes.get(&integers) {
            return Ok(*known);
        }
        let (scale, zero) = self.scale(integers, "DequantizeLinear")?;
        if info.element != ElementType::U8 || !self.program.inputs.contains(&integers) {
            return self.refuse(
                integers,
                "DequantizeLinear",
                "reads integers that are not pixels",
            );
        }
        let name = format!("{}/int8", info.name);
        let quantization = Quantization::of_tensor(scale, zero - 128);
        let signed = self.integers(&name, &info.shape, quantization);
        self.program.push(Kind::Quantize, &[integers], signed);
        self.bytes.insert(integers, signed);
        Ok(signed)
    }

    /// A new int8 tensor.
    pub fn integers(
        &mut self,
        name: &str,
        shape: &[usize],
        quantization: Quantization,
    ) -> TensorId {
        let id = self.program.add(name, shape, ElementType::I8);
        self.program.set_quantization(id, Some(quantization));
        id
    }

    /// Converts a float operator to an integer one.
    fn computed(&mut self, operator: &Operator) -> Result<(), Unwritable> {
        let name = spelled(&operator.kind);
        let real = operator.output;
        if self.program.info(real).element != ElementType::F32 {
            return self.refuse(real, name, "computes with integers that have no scale");
        }
        let mut inputs = Vec::with_capacity(operator.inputs.len());
        for read in &operator.inputs {
            let is_constant = self.program.info(*read).contents.is_some();
            // Constants are converted once the scale of the other operand is known.
            inputs.push(if is_constant {
                *read
            } else {
                self.twin(*read, name)?
            });
        }
        let Some(demand) = self.demand(operator, &inputs)? else {
            return self.refuse(
                real,
                name,
                "is an operator that cannot be computed with integers",
            );
        };
        let wanted = self.wanted.get(&real).copied();
        let of_wanted = wanted.and_then(|wanted| self.quantization(wanted));
        let made = match &demand {
            Demand::Any => match of_wanted.as_deref() {
                Some(wanted) => wanted.clone(),
                None => self.implied(operator, &inputs)?,
            },
            Demand::Same => match self.shared(operator, &inputs) {
                Some(known) => known,
                None => match of_wanted.as_deref() {
                    Some(wanted) => wanted.clone(),
                    None => self.implied(operator, &inputs)?,
                },
            },
            Demand::Fixed(fixed) => fixed.clone(),
        };
        let same = matches!(demand, Demand::Same);
        for at in 0..inputs.len() {
            inputs[at] = self.operand(operator, &inputs, at, same.then_some(&made))?;
        }
        // A tensor that already has the required scale, or is converted to it.
        let shape = self.program.shape(real).to_vec();
        let is_wanted = of_wanted.as_deref() == Some(&made);
        let output = match wanted {
            Some(wanted) if is_wanted => wanted,
            _ => {
                let name = format!("{}/int8", self.program.info(real).name);
                self.integers(&name, &shape, made)
            }
        };
        self.program.push(operator.kind.clone(), &inputs, output);
        self.twins.insert(real, output);
        Ok(())
    }

    /// The constraint of an operator's kernel; `None` if there is no integer kernel.
    fn demand(
        &self,
        operator: &Operator,
        inputs: &[TensorId],
    ) -> Result<Option<Demand>, Unwritable> {
        let of_256 = || Demand::Fixed(Quantization::of_tensor(1.0 / 256.0, -128));
        Ok(Some(match &operator.kind {
            Kind::FullyConnected { .. } if self.is_sum(inputs) => {
                // Sums of probabilities are probabilities.
                let (scale, zero) = self.scale(inputs[0], "FullyConnected")?;
                Demand::Fixed(Quantization::of_tensor(scale, zero))
            }
            Kind::Conv { .. }
            | Kind::DepthwiseConv { .. }
            | Kind::FullyConnected { .. }
            | Kind::Binary {
                binary: Binary::Add | Binary::Sub | Binary::Mul,
                ..
            }
            | Kind::Unary(Unary::Clamp(_) | Unary::LeakyRelu { .. } | Unary::HardSwish)
            | Kind::Prelu
            | Kind::Reduce {
                reduction: Reduction::Mean | Reduction::Sum,
                ..
            } => Demand::Any,
            Kind::AveragePool { .. }
            | Kind::MaxPool { .. }
            | Kind::Binary {
                binary: Binary::Maximum | Binary::Minimum,
                ..
            }
            | Kind::Concat { .. }
            | Kind::Reduce {
                reduction: Reduction::Max | Reduction::Min,
                ..
            }
            | Kind::Pad { .. }
            | Kind::Slice { .. }
            | Kind::Reshape
            | Kind::Transpose { .. } => Demand::Same,
            Kind::Softmax | Kind::Unary(Unary::Logistic) => of_256(),
            Kind::Unary(Unary::Tanh) => Demand::Fixed(Quantization::of_tensor(1.0 / 128.0, 0)),
            Kind::Binary {
                binary: Binary::Div,
                ..
            }
            | Kind::Unary(
                Unary::Exp | Unary::Log | Unary::Sqrt | Unary::Neg | Unary::Abs | Unary::Cast,
            )
            | Kind::Quantize
            | Kind::Dequantize => return Ok(None),
        }))
    }

    /// Whether the weights are zeros and ones that add the probabilities of merged classes.
    pub fn is_sum(&self, inputs: &[TensorId]) -> bool {
        let weights = inputs
            .get(1)
            .and_then(|weights| self.program.floats(*weights));
        weights.is_some_and(|weights| weights.iter().all(|one| [0.0, 1.0].contains(one)))
    }
}

/// The name of an operator in messages.
pub(super) fn spelled(kind: &Kind) -> &'static str {
    match kind {
        Kind::Conv { .. } => "Conv",
        Kind::DepthwiseConv { .. } => "DepthwiseConv",
        Kind::FullyConnected { .. } => "FullyConnected",
        Kind::AveragePool { .. } => "AveragePool",
        Kind::MaxPool { .. } => "MaxPool",
        Kind::Binary { binary, .. } => match binary {
            Binary::Add => "Add",
            Binary::Sub => "Sub",
            Binary::Mul => "Mul",
            Binary::Div => "Div",
            Binary::Maximum => "Maximum",
            Binary::Minimum => "Minimum",
        },
        Kind::Unary(unary) => match unary {
            Unary::Clamp(_) => "Clip",
            Unary::LeakyRelu { .. } => "LeakyRelu",
            Unary::HardSwish => "HardSwish",
            Unary::Logistic => "Sigmoid",
            Unary::Tanh => "Tanh",
            Unary::Exp => "Exp",
            Unary::Log => "Log",
            Unary::Sqrt => "Sqrt",
            Unary::Neg => "Neg",
            Unary::Abs => "Abs",
            Unary::Cast => "Cast",
        },
        Kind::Prelu => "PRelu",
        Kind::Softmax => "Softmax",
        Kind::Concat { .. } => "Concat",
        Kind::Reduce { .. } => "Reduce",
        Kind::Pad { .. } => "Pad",
        Kind::Slice { .. } => "Slice",
        Kind::Reshape => "Reshape",
        Kind::Transpose { .. } => "Transpose",
        Kind::Quantize => "QuantizeLinear",
        Kind::Dequantize => "DequantizeLinear",
    }
}
