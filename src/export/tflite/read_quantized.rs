//! Quantized tensors in ONNX operators.

use crate::graph::ValueId;
use crate::graph::ops::Quantization;
use crate::onnx::{Element, ElementType, Tensor};

use super::TfliteError;
use super::read::{Reader, element, lens, unreadable};

/// The quantization of a tensor in a file.
pub(super) struct Known {
    pub scales: Vec<f32>,
    pub zeros: Vec<i64>,
    /// The dimension that several scales belong to.
    pub axis: i64,
}

impl Reader<'_> {
    /// The quantization of a tensor; `None` for plain integers.
    pub fn known(&self, place: i32) -> Result<Option<Known>, TfliteError> {
        let tensor = self.tensor(place)?;
        let Some(declared) = tensor.quantization() else {
            return Ok(None);
        };
        let scales: Vec<f32> = declared.scale().iter().flatten().collect();
        if scales.is_empty() {
            return Ok(None);
        }
        let mut zeros: Vec<i64> = declared.zero_point().iter().flatten().collect();
        if zeros.is_empty() {
            zeros = vec![0; scales.len()];
        }
        let axis = i64::from(declared.quantized_dimension());
        let channels = usize::try_from(axis)
            .ok()
            .and_then(|axis| lens(tensor).ok()?.get(axis).copied());
        let fits = scales.len() == 1 || channels == Some(scales.len());
        let are_scales = scales.iter().all(|scale| scale.is_finite() && *scale > 0.0);
        if zeros.len() != scales.len() || !fits || !are_scales {
            let name = tensor.name().unwrap_or_default();
            return unreadable(format!("“{name}” has scales that do not fit it"));
        }
        Ok(Some(Known {
            scales,
            zeros,
            axis,
        }))
    }

    /// The scales, the zero points and the axis as values of the graph.
    fn parameters(
        &mut self,
        known: Known,
        element: ElementType,
    ) -> Result<[ValueId; 2], TfliteError> {
        let wrong = || {
            TfliteError::Unreadable("a zero point is not an integer of its tensor's type".into())
        };
        let zeros: Element = match element {
            ElementType::I8 => {
                let zeros = known.zeros.iter().map(|zero| i8::try_from(*zero));
                zeros
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|_| wrong())?
                    .into()
            }
            ElementType::U8 => {
                let zeros = known.zeros.iter().map(|zero| u8::try_from(*zero));
                zeros
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|_| wrong())?
                    .into()
            }
            _ => {
                let zeros = known.zeros.iter().map(|zero| i32::try_from(*zero));
                zeros
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|_| wrong())?
                    .into()
            }
        };
        let count = known.scales.len();
        let shape = if count == 1 { Vec::new() } else { vec![count] };
        let scales = Tensor::new(shape.clone(), known.scales);
        let scales = self.graph.constant(scales);
        let zeros = self.graph.constant(Tensor::new(shape, zeros));
        Ok([scales, zeros])
    }

    /// A dequantized value, or the value itself if it is of floats.
    pub fn dequantized(&mut self, value: ValueId, place: i32) -> Result<ValueId, TfliteError> {
        let element = element(self.tensor(place)?)?;
        let is_integer = matches!(
            element,
            ElementType::I8 | ElementType::U8 | ElementType::I32
        );
        let Some(known) = self.known(place)?.filter(|_| is_integer) else {
            return Ok(value);
        };
        self.dequantized_by(value, known, element)
    }

    /// Dequantizes integers of an element type.
    pub fn dequantized_by(
        &mut self,
        value: ValueId,
        known: Known,
        element: ElementType,
    ) -> Result<ValueId, TfliteError> {
        let axis = known.axis;
        let [scales, zeros] = self.parameters(known, element)?;
        let op = Quantization::Dequantize { axis };
        Ok(self.graph.op(op, &[value, scales, zeros]))
    }

    /// Quantizes a result for the tensor that it is stored in, unless it is computed as integers.
    pub fn quantized(&mut self, made: ValueId, place: i32) -> Result<ValueId, TfliteError> {
        let tensor = self.tensor(place)?;
        let element = element(tensor)?;
        if self.graph.element(made) == Some(element) {
            return Ok(made);
        }
        let known = self.known(place)?;
        let is_integer = matches!(element, ElementType::I8 | ElementType::U8);
        let Some(known) = known.filter(|_| is_integer) else {
            return Ok(made);
        };
        let is_real = self.graph.element(made) == Some(ElementType::F32);
        if known.scales.len() != 1 || !is_real {
            let name = tensor.name().unwrap_or_default();
            return unreadable(format!("“{name}” has scales that do not fit it"));
        }
        self.quantized_by(made, known, element)
    }

    /// Quantizes floats to an element type.
    pub fn quantized_by(
        &mut self,
        made: ValueId,
        known: Known,
        element: ElementType,
    ) -> Result<ValueId, TfliteError> {
        let axis = known.axis;
        let [scale, zero] = self.parameters(known, element)?;
        let op = Quantization::Quantize { axis };
        Ok(self.graph.op(op, &[made, scale, zero]))
    }
}
