//! Finds out by a trial whether this machine's ONNX Runtime supports the blocked layout.

use std::sync::OnceLock;

use super::{Blocked, Fused};
use crate::graph::{Dim, Graph, Sliding};
use crate::onnx::{ElementType, Session, Tensor};

/// The number of channels in a block on this machine; `None` if ONNX Runtime has no blocked layout, or not the one
/// described here. Determined once, with a small convolution.
#[must_use]
pub fn block_size() -> Option<usize> {
    static SIZE: OnceLock<Option<usize>> = OnceLock::new();
    *SIZE.get_or_init(|| {
        [8, 16, 4]
            .into_iter()
            .find(|size| works(*size) == Some(true))
    })
}

const CHANNELS: usize = 32;
const SIDE: usize = 4;
const TAPS: usize = 9;
/// The upper bound of the activation.
const HIGHEST: f32 = 40.0;

/// Whether a depthwise convolution with an activation, followed by a pointwise one, gives correct results in blocks of
/// `size`.
fn works(size: usize) -> Option<bool> {
    let pixels = SIDE * SIDE;
    // Small integers, so that results can be compared exactly.
    let small = |at: usize| ((at * 7 + at / 11) % 13) as f32 - 6.0;
    let x: Vec<f32> = (0..CHANNELS * pixels).map(small).collect();
    let depthwise: Vec<f32> = (0..CHANNELS * TAPS).map(|at| small(at + 5)).collect();
    let pointwise: Vec<f32> = (0..CHANNELS * CHANNELS).map(|at| small(at + 9)).collect();
    let x = Tensor::new([1, CHANNELS, SIDE, SIDE], x);
    let kernel = Tensor::new([CHANNELS, 1, 3, 3], blocked_by(size, &depthwise, TAPS));
    let matrix = Tensor::new([1, CHANNELS, CHANNELS, 1], pointwise.clone());
    // The transposed matrix, for the kernel layout in which its rows come last.
    let transposed: Vec<f32> = (0..CHANNELS * CHANNELS)
        .filter_map(|at| {
            pointwise
                .get(at % CHANNELS * CHANNELS + at / CHANNELS)
                .copied()
        })
        .collect();
    let transposed = Tensor::new([1, CHANNELS, 1, CHANNELS], transposed);
    let inputs = [
        ("x", &x),
        ("kernel", &kernel),
        ("matrix", &matrix),
        ("transposed", &transposed),
    ];
    let mut graph = Graph::new("blocked layout");
    let values = inputs
        .map(|(name, tensor)| graph.input(name, ElementType::F32, &Dim::all_fixed(&tensor.shape)));
    let [x_in, kernel_in, matrix_in, transposed_in] = values;
    let blocked = graph.op(Blocked::INPUT, &[x_in]);
    let clip = Fused::Clip {
        low: 0.0,
        high: HIGHEST,
    };
    let depthwise_op = Blocked::conv(Sliding::new(&[], &[], &[1; 4]), CHANNELS, clip);
    let same = graph.op(depthwise_op, &[blocked, kernel_in]);
    let first = graph.op(Blocked::INPUT, &[matrix_in]);
    let second = graph.op(Blocked::INPUT_LAST, &[transposed_in]);
    let [first, second] = [first, second]
        .map(|value| graph.reshape(value, &[CHANNELS as i64, CHANNELS as i64, 1, 1]));
    let product = || Blocked::pointwise(Fused::Nothing);
    let once = graph.op(product(), &[same, first]);
    let twice = graph.op(product(), &[Some(same), Some(second), None, Some(once)]);
    let plain = graph.op(Blocked::output(CHANNELS, false), &[twice]);
    graph.output_as(plain, "y");
    let mut session = Session::from_bytes(&graph.to_onnx(), 1).ok()?;
    let found = session.run(&inputs, &["y"]).ok()?;
    let maps: Vec<f32> = x
        .f32()
        .ok()?
        .chunks_exact(pixels)
        .zip(depthwise.chunks_exact(TAPS))
        .flat_map(|(map, kernel)| (0..pixels).map(|at| sum_under(map, kernel, at)))
        .map(|sum| sum.clamp(0.0, HIGHEST))
        .collect();
    let expected: Vec<f32> = pointwise
        .chunks_exact(CHANNELS)
        .flat_map(|row| {
            let maps = &maps;
            (0..pixels).map(move |at| {
                let column = maps.iter().skip(at).step_by(pixels);
                // The second product is added to the first.
                2.0 * row.iter().zip(column).map(|(w, x)| w * x).sum::<f32>()
            })
        })
        .collect();
    Some(found.first()?.f32().ok()? == expected)
}

/// The sum of a map `[SIDE, SIDE]` times a 3 × 3 kernel centred on pixel `at`, with zero padding.
fn sum_under(map: &[f32], kernel: &[f32], at: usize) -> f32 {
    let mut sum = 0.0;
    for (tap, weight) in kernel.iter().enumerate() {
        let (y, x) = (at / SIDE + tap / 3, at % SIDE + tap % 3);
        if (1..=SIDE).contains(&y) && (1..=SIDE).contains(&x) {
            sum += weight * map.get((y - 1) * SIDE + x - 1).copied().unwrap_or_default();
        }
    }
    sum
}

/// Rearranges `[C, len]` to `[C/size, len, size]`.
fn blocked_by(size: usize, values: &[f32], len: usize) -> Vec<f32> {
    values
        .chunks_exact(size * len)
        .flat_map(|block| {
            (0..len).flat_map(move |at| {
                (0..size).map(move |lane| block.get(lane * len + at).copied().unwrap_or_default())
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_size_of_block_at_most_gives_the_right_numbers() {
        let sizes: Vec<usize> = [4, 8, 16]
            .into_iter()
            .filter(|size| works(*size) == Some(true))
            .collect();
        assert!(sizes.len() <= 1, "{sizes:?}");
        assert_eq!(block_size(), sizes.first().copied());
        // Every x86-64 processor has 128-bit vectors, for which ONNX Runtime uses blocks of 8.
        if cfg!(target_arch = "x86_64") {
            assert!(block_size().is_some());
        }
    }

    #[test]
    fn blocks_lie_side_by_side() {
        let values: Vec<f32> = (0..12_u8).map(f32::from).collect();
        assert_eq!(
            blocked_by(2, &values, 3),
            [0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 6.0, 9.0, 7.0, 10.0, 8.0, 11.0]
        );
    }
}
