//! The other operands of integer operators: weights, biases, constants, and integers of another scale.

use crate::onnx::{Element, Tensor};

use super::integers::{Making, spelled};
use super::scales::{GREATEST, LEAST, symmetric};
use super::{Kind, Operator, Quantization, TensorId, Unwritable};

impl Making {
    /// Converts an operand: requantizes integers if another scale is required, quantizes constants.
    pub fn operand(
        &mut self,
        operator: &Operator,
        inputs: &[TensorId],
        at: usize,
        demanded: Option<&Quantization>,
    ) -> Result<TensorId, Unwritable> {
        let name = spelled(&operator.kind);
        let id = inputs[at];
        let is_layer = matches!(
            operator.kind,
            Kind::Conv { .. } | Kind::DepthwiseConv { .. } | Kind::FullyConnected { .. }
        );
        if is_layer && at == 2 {
            return self.bias(operator, inputs);
        }
        let info = self.program.info(id).clone();
        if let (Some(contents), None) = (&info.contents, &info.quantization) {
            let Element::F32(values) = &contents.data else {
                return self.refuse(operator.output, name, "reads a constant of another type");
            };
            let quantization = match demanded {
                Some(demanded) => demanded.clone(),
                // Weights of zeros and ones are exact.
                None if is_layer && self.is_sum(inputs) => Quantization::of_tensor(1.0, 0),
                None if is_layer => {
                    return self.refuse(
                        operator.output,
                        name,
                        "has float weights in an integer model",
                    );
                }
                None => symmetric(values),
            };
            return Ok(self.constant(&info.name, contents, values, quantization));
        }
        if at == 1 && matches!(operator.kind, Kind::FullyConnected { .. }) {
            // Several scales need version 12 of the operator, which old phones lack.
            self.scale(id, name)?;
        }
        let Some(demanded) = demanded.filter(|wanted| info.quantization.as_deref() != Some(wanted))
        else {
            return Ok(id);
        };
        let name = format!("{}/rescaled", info.name);
        let rescaled = self.integers(&name, &info.shape, demanded.clone());
        Ok(self.program.push(Kind::Quantize, &[id], rescaled))
    }

    fn constant(
        &mut self,
        name: &str,
        contents: &Tensor,
        values: &[f32],
        quantization: Quantization,
    ) -> TensorId {
        let (scale, zero) = (quantization.scale().unwrap_or(1.0), quantization.zero);
        let values: Vec<i8> = values
            .iter()
            .map(|value| {
                let steps = (value / scale).round_ties_even() + zero as f32;
                steps.clamp(LEAST, GREATEST) as i8
            })
            .collect();
        let tensor = Tensor::new(contents.shape.clone(), values);
        let id = self.program.constant(&format!("{name}/int8"), tensor);
        self.program.set_quantization(id, Some(quantization));
        id
    }

    /// The bias of a layer as int32 with the scale of the products.
    fn bias(&mut self, operator: &Operator, inputs: &[TensorId]) -> Result<TensorId, Unwritable> {
        let name = spelled(&operator.kind);
        let [x, weights, bias] = *inputs else {
            return self.refuse(operator.output, name, "does not have three inputs");
        };
        let (of_input, _) = self.scale(x, name)?;
        let Some(of_weights) = self.quantization(weights) else {
            return self.refuse(operator.output, name, "has weights without a scale");
        };
        let products: Vec<f32> = of_weights.scales.iter().map(|s| s * of_input).collect();
        let info = self.program.info(bias).clone();
        let count = info.shape.iter().product::<usize>();
        let Some(contents) = &info.contents else {
            return self.refuse(
                operator.output,
                name,
                "adds something that is not a constant",
            );
        };
        if products.len() != 1 && products.len() != count {
            return self.refuse(
                operator.output,
                name,
                format!("has {} scales for {count} channels", products.len()),
            );
        }
        if let (Element::I32(_), Some(known)) = (&contents.data, &info.quantization) {
            // TensorFlow Lite's kernels use the products' scales, whatever the bias declares.
            let is_product = |(at, product): (usize, &f32)| {
                let one = if known.scales.len() == 1 { 0 } else { at };
                let own = known.scales.get(one).copied().unwrap_or(0.0);
                (own - product).abs() <= product * 1e-3
            };
            if products.iter().enumerate().all(is_product) {
                return Ok(bias);
            }
            return self.refuse(
                operator.output,
                name,
                "adds a bias with a different scale than the value it is added to",
            );
        }
        let Element::F32(values) = &contents.data else {
            return self.refuse(
                operator.output,
                name,
                "adds numbers that are not 32-bit floats",
            );
        };
        let scale_of = |at: usize| products[if products.len() == 1 { 0 } else { at }];
        let steps: Vec<f64> = values
            .iter()
            .enumerate()
            .map(|(at, value)| (f64::from(*value) / f64::from(scale_of(at))).round_ties_even())
            .collect();
        if steps
            .iter()
            .any(|steps| steps.abs() > f64::from(i32::MAX / 2))
        {
            return self.refuse(operator.output, name, "adds a bias too large for its scale");
        }
        let steps: Vec<i32> = steps.into_iter().map(|steps| steps as i32).collect();
        let id = self.program.constant(
            &format!("{}/int32", info.name),
            Tensor::new(info.shape.clone(), steps),
        );
        let quantization = Quantization {
            scales: products,
            zero: 0,
            axis: 0,
        };
        self.program.set_quantization(id, Some(quantization));
        Ok(id)
    }
}
