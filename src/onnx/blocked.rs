//! ONNX Runtime's blocked layout, in which its convolutions of single channels are many times as fast.
//!
//! A value `[N, C, H, W]` is *blocked* when its memory holds `[N, C/b, H, W, b]`: b channels side by side, so that one
//! instruction works on all of them (b is 8 on a processor with AVX2, 16 with AVX-512). ONNX Runtime brings
//! convolutions with constant kernels into this layout by itself when it loads a model; a graph that trains its
//! kernels has to say so. Its convolutions apply an activation function in the same go. The operators belong to ONNX Runtime and
//! are not part of ONNX: they appear in graphs that are run and thrown away, never in a file that anybody gets, and only
//! where [`block_size`] has seen this layout work.

use std::sync::OnceLock;

use super::{Attribute, Dim, ElementType, Graph, Session, Tensor};

/// The domain of the operators `Conv`, `ReorderInput`, `ReorderOutput` and `Upsample` on blocked values. A kernel
/// of a depthwise `Conv`, `[C, 1, h, w]`, holds `[C/b, h, w, b]`, that of a dense one, `[C', C, h, w]`, `[C'/b, C/b, h, w, b, b']`.
pub const BLOCKED: &str = "com.microsoft.nchwc";

impl Graph {
    /// Adds a node of [`BLOCKED`] with one output and returns the output's new name.
    pub fn blocked_op(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> String {
        let domain = (BLOCKED.to_owned(), 1);
        if !self.other_opsets.contains(&domain) {
            self.other_opsets.push(domain);
        }
        let output = self.op_with(operator, inputs, attributes);
        if let Some(node) = self.nodes.last_mut() {
            node.domain = Some(BLOCKED.to_owned());
        }
        output
    }
}

/// How many channels lie side by side in a blocked value on this machine; `None` where ONNX Runtime has no blocked
/// layout, or not the one that is described here. Found once, by trying a small convolution.
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

/// Whether a depthwise convolution of values that are blocked by `size`, with an activation, and then a pointwise one give
/// the right numbers.
fn works(size: usize) -> Option<bool> {
    let pixels = SIDE * SIDE;
    // Small whole numbers, so that the comparison can be exact.
    let small = |at: usize| ((at * 7 + at / 11) % 13) as f32 - 6.0;
    let x: Vec<f32> = (0..CHANNELS * pixels).map(small).collect();
    let depthwise: Vec<f32> = (0..CHANNELS * TAPS).map(|at| small(at + 5)).collect();
    let pointwise: Vec<f32> = (0..CHANNELS * CHANNELS).map(|at| small(at + 9)).collect();
    let x = Tensor::new([1, CHANNELS, SIDE, SIDE], x);
    let kernel = Tensor::new([CHANNELS, 1, 3, 3], blocked_by(size, &depthwise, TAPS));
    let matrix = Tensor::new([1, CHANNELS, CHANNELS, 1], pointwise.clone());
    // One after the other, as the rows of the matrix come last in this form of it.
    let turned: Vec<f32> = (0..CHANNELS * CHANNELS)
        .filter_map(|at| {
            pointwise
                .get(at % CHANNELS * CHANNELS + at / CHANNELS)
                .copied()
        })
        .collect();
    let turned = Tensor::new([1, CHANNELS, 1, CHANNELS], turned);
    let inputs = [
        ("x", &x),
        ("kernel", &kernel),
        ("matrix", &matrix),
        ("turned", &turned),
    ];
    let mut graph = Graph::new("blocked layout");
    for (name, tensor) in inputs {
        let shape: Vec<Dim> = tensor.shape.iter().map(|len| Dim::Fixed(*len)).collect();
        graph.input(name, ElementType::F32, &shape);
    }
    let blocked = graph.blocked_op("ReorderInput", &["x"], &[]);
    let same = graph.blocked_op(
        "Conv",
        &[&blocked, "kernel"],
        &[
            ("group", Attribute::Int(CHANNELS as i64)),
            ("pads", Attribute::Ints(vec![1; 4])),
            ("activation", Attribute::Text("Clip".into())),
            ("activation_params", Attribute::Floats(vec![0.0, HIGHEST])),
        ],
    );
    let last = ("channels_last", Attribute::Int(1));
    let first = graph.blocked_op("ReorderInput", &["matrix"], &[]);
    let second = graph.blocked_op("ReorderInput", &["turned"], &[last]);
    let shape = graph.ints(&[CHANNELS as i64, CHANNELS as i64, 1, 1]);
    let first = graph.op("Reshape", &[&first, &shape]);
    let second = graph.op("Reshape", &[&second, &shape]);
    let all = || ("channels", Attribute::Int(CHANNELS as i64));
    let once = graph.blocked_op("Conv", &[&same, &first], &[]);
    let twice = graph.blocked_op("Conv", &[&same, &second, "", &once], &[]);
    let plain = graph.blocked_op("ReorderOutput", &[&twice], &[all()]);
    graph.output_as(&plain, "y", ElementType::F32, &[]);
    if let Some(output) = graph.outputs.last_mut() {
        output.r#type = None;
    }
    let mut session = Session::from_bytes(&graph.to_bytes(), 1).ok()?;
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

/// The sum of a map `[SIDE, SIDE]` times a 3 × 3 kernel around the pixel `at`, zeros beyond the edge.
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

/// `[C, len]` as `[C/size, len, size]`.
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
        // Every processor of this kind has 128 bits at least, for which ONNX Runtime takes blocks of 8.
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
