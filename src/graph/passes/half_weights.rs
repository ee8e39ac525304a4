//! Rounding the kernels of convolutions to fp16 so that the rounding errors within each kernel cancel.

use std::sync::Arc;

use half::f16;

use crate::graph::{Graph, Op};
use crate::onnx::Tensor;

impl Graph {
    /// Rounds the kernels of convolutions with more than one tap to values that fp16 can hold, if they have at least
    /// `fewest` elements; they stay fp32 constants. The taps of a kernel read neighbouring pixels, which are similar,
    /// so an error in the sum of the taps shifts every result, while other errors average out: see [`round_kernel`].
    pub fn round_kernels_to_half(&mut self, fewest: usize) {
        let kernels = self.nodes.iter().filter_map(|node| {
            matches!(node.op, Op::Conv(_) | Op::ConvTranspose(_))
                .then(|| node.input(1))
                .flatten()
        });
        for value in kernels.collect::<Vec<_>>() {
            let Some(tensor) = self.constant_of(value) else {
                continue;
            };
            let taps: usize = tensor.shape.iter().skip(2).product();
            let Ok(weights) = tensor.f32() else { continue };
            if taps < 2 || weights.len() < fewest {
                continue;
            }
            let mut weights = weights.to_vec();
            weights.chunks_exact_mut(taps).for_each(round_kernel);
            let tensor = Tensor::new(tensor.shape.clone(), weights);
            self.make_constant(value, Arc::new(tensor));
        }
    }
}

/// Rounds the taps of a kernel to fp16 and keeps their sum: from the largest to the smallest, each with the rounding
/// errors of the previous ones added. The smallest, which have the finest steps, absorb the rest. A value beyond the
/// range of fp16 stays as it is.
fn round_kernel(taps: &mut [f32]) {
    let mut order: Vec<&mut f32> = taps.iter_mut().collect();
    order.sort_by(|a, b| b.abs().total_cmp(&a.abs()));
    let mut lost = 0.0_f64;
    for tap in order {
        let wanted = f64::from(*tap) + lost;
        let rounded = f16::from_f64(wanted);
        if rounded.is_finite() {
            lost = wanted - f64::from(rounded);
            *tap = rounded.to_f32();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use crate::graph::Dim;
    use crate::graph::ops::Conv;
    use crate::onnx::ElementType;

    use super::*;

    #[test]
    fn a_kernel_keeps_its_sum() {
        // Rounded to the nearest, each loses almost half a step of 2^-11.
        let mut taps = [0.600_24, 0.600_24, 0.600_24, 0.600_24, -0.01];
        let before: f64 = taps.iter().map(|tap| f64::from(*tap)).sum();
        let nearest: f64 = taps.iter().map(|tap| f64::from(f16::from_f32(*tap))).sum();
        round_kernel(&mut taps);
        let after: f64 = taps.iter().map(|tap| f64::from(*tap)).sum();
        assert!((nearest - before).abs() > 5e-4, "{nearest} {before}");
        assert!((after - before).abs() < 1e-5, "{after} {before}");
        for tap in taps {
            assert_eq!(f16::from_f32(tap).to_f32().to_bits(), tap.to_bits());
        }
        // An empty kernel, and one out of range.
        let mut out = [70_000.0, 0.1];
        round_kernel(&mut out);
        assert_eq!(out[0].to_bits(), 70_000.0_f32.to_bits());
    }

    #[test]
    fn only_kernels_with_taps_are_rounded() {
        let mut graph = Graph::new("test");
        let shape = [Dim::from("N"), 1.into(), 8.into(), 8.into()];
        let x = graph.input("x", ElementType::F32, &shape);
        let spatial = graph.constant_named("spatial", Tensor::new([1, 1, 3, 3], vec![0.1_f32; 9]));
        let pointwise = graph.constant_named("pointwise", Tensor::new([1, 1, 1, 1], vec![0.1_f32]));
        let y = graph.op(Conv::plain(), &[x, spatial]);
        let y = graph.op(Conv::plain(), &[y, pointwise]);
        graph.output(y);
        let is_half = |graph: &Graph, value| {
            let tensor = graph.constant_of(value).unwrap();
            let mut weights = tensor.f32().unwrap().iter();
            weights.all(|w| f16::from_f32(*w).to_f32().to_bits() == w.to_bits())
        };
        graph.round_kernels_to_half(10);
        assert!(!is_half(&graph, spatial));
        graph.round_kernels_to_half(0);
        assert!(is_half(&graph, spatial) && !is_half(&graph, pointwise));
    }
}
