//! Operators on int8 with the same bits as XNNPACK's kernels: a sum of integers is multiplied by the ratio of its
//! scale to that of the result, and rounded to the nearest.
//!
//! The sums are exact: single precision represents every integer up to 2^24, and layers stay below that in practice.

use crate::graph::ValueId;
use crate::graph::ops::Elementwise;
use crate::onnx::{ElementType, Tensor};

use super::TfliteError;
use super::read::{Reader, element, lens, unreadable};
use super::read_quantized::Known;
use super::schema::tflite as fb;

use fb::BuiltinOperator as Code;

/// How a kernel converts a sum of integers to int8.
pub(super) struct Steps {
    /// The scale of the sum divided by that of the result, for all channels or for each; for an addition, the ratio
    /// for each operand.
    multipliers: Vec<f32>,
    /// The scale and the zero point of the result.
    made: Known,
}

impl Reader<'_> {
    /// How the kernel of an operator computes its result; `None` for operators on floats, and for those whose integers
    /// are dequantized.
    pub fn steps(
        &self,
        code: Code,
        inputs: &[i32],
        output: i32,
    ) -> Result<Option<Steps>, TfliteError> {
        let Some(first) = inputs.first().copied() else {
            return Ok(None);
        };
        let (Some(read), Some(made)) = (self.int8(first)?, self.int8(output)?) else {
            return Ok(None);
        };
        let ([read], [scale]) = (read.scales.as_slice(), made.scales.as_slice()) else {
            return Ok(None);
        };
        let other = match inputs.get(1) {
            Some(place) if code != Code::MEAN => self.int8(*place)?,
            _ => None,
        };
        let multipliers = match (code, other) {
            (
                Code::CONV_2D | Code::DEPTHWISE_CONV_2D | Code::FULLY_CONNECTED | Code::MUL,
                Some(other),
            ) => other.scales.iter().map(|own| read * own / scale).collect(),
            (Code::ADD, Some(other)) if other.scales.len() == 1 => {
                vec![read / scale, other.scales[0] / scale]
            }
            (Code::SUB, Some(other)) if other.scales.len() == 1 => {
                vec![read / scale, -other.scales[0] / scale]
            }
            (Code::MEAN, _) => {
                let count = |place| lens(self.tensor(place)?).map(|lens| lens.iter().product());
                let (all, means): (usize, usize) = (count(first)?, count(output)?);
                vec![read / scale / (all / means.max(1)) as f32]
            }
            _ => return Ok(None),
        };
        Ok(Some(Steps { multipliers, made }))
    }

    /// The quantization of an int8 tensor.
    fn int8(&self, place: i32) -> Result<Option<Known>, TfliteError> {
        if element(self.tensor(place)?)? != ElementType::I8 {
            return Ok(None);
        }
        self.known(place)
    }

    /// An operand: floats; for a kernel that sums integers, the integers minus their zero point.
    pub fn operand(
        &mut self,
        inputs: &[i32],
        at: usize,
        steps: Option<&Steps>,
    ) -> Result<ValueId, TfliteError> {
        let Some(place) = inputs.get(at).copied() else {
            return unreadable("it has an operator without inputs");
        };
        if steps.is_none() {
            return self.value(place);
        }
        let integers = self.stored(place)?;
        match self.known(place)? {
            Some(mut known) => {
                known.scales.fill(1.0);
                let element = element(self.tensor(place)?)?;
                self.dequantized_by(integers, known, element)
            }
            None => Ok(self.graph.cast(integers, ElementType::F32)),
        }
    }

    /// The int8 result of a kernel that sums integers.
    pub fn of_sum(
        &mut self,
        sum: ValueId,
        steps: Steps,
        activation: fb::ActivationFunctionType,
    ) -> Result<ValueId, TfliteError> {
        let shape = match steps.multipliers.len() {
            1 => Vec::new(),
            channels => vec![channels],
        };
        let multipliers = Tensor::new(shape, steps.multipliers);
        let multipliers = self.graph.constant(multipliers);
        let scaled = self.graph.mul(sum, multipliers);
        self.rounded(scaled, steps.made, activation)
    }

    /// The int8 result of an addition, or of a subtraction with a negative multiplier. Multipliers are fixed-point
    /// numbers of 21 bits, and halves are rounded up.
    pub fn of_addition(
        &mut self,
        operands: [ValueId; 2],
        steps: Steps,
        activation: fb::ActivationFunctionType,
    ) -> Result<ValueId, TfliteError> {
        let largest = steps
            .multipliers
            .iter()
            .fold(f32::MIN_POSITIVE, |largest, one| largest.max(one.abs()));
        // Computed from the biased exponent of the float.
        let one = 2_f32.powi(20 + 127 - (largest.to_bits() >> 23) as i32);
        let mut sum = self.graph.constant(Tensor::scalar(0.5_f64));
        for (operand, multiplier) in operands.into_iter().zip(steps.multipliers) {
            let multiplier = f64::from((multiplier * one).round_ties_even() / one);
            let multiplier = self.graph.constant(Tensor::scalar(multiplier));
            // Exact only in double precision.
            let operand = self.graph.cast(operand, ElementType::F64);
            let product = self.graph.mul(operand, multiplier);
            sum = self.graph.add(sum, product);
        }
        let rounded = self.graph.op(Elementwise::Floor, &[sum]);
        let rounded = self.graph.cast(rounded, ElementType::F32);
        self.rounded(rounded, steps.made, activation)
    }

    /// Rounds a result, in steps from its zero point, to the nearest int8 within the bounds of the activation.
    fn rounded(
        &mut self,
        made: ValueId,
        mut known: Known,
        activation: fb::ActivationFunctionType,
    ) -> Result<ValueId, TfliteError> {
        let made = self.then_by(made, activation, known.scales[0])?;
        known.scales.fill(1.0);
        self.quantized_by(made, known, ElementType::I8)
    }
}
