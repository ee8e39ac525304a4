//! A depthwise convolution on a small image as one matrix product per channel.

use crate::graph::WindowGeometry;
use crate::onnx::Tensor;

/// Largest Toeplitz matrix of one channel, in elements. A larger one has too many zeros to be faster.
const MAX_ELEMENTS: usize = 49 * 196;

/// The number of kernel taps, of output pixels and of input pixels.
pub(super) fn sizes(window: &WindowGeometry) -> [usize; 3] {
    [&window.kernel, &window.output, &window.input].map(|lens| lens.iter().product())
}

/// Whether the Toeplitz matrices of a window are small enough to be faster.
pub(super) fn is_small(window: &WindowGeometry) -> bool {
    let [_, to, from] = sizes(window);
    to * from <= MAX_ELEMENTS
}

/// All triples of kernel tap, output pixel and input pixel that are multiplied.
fn places(window: &WindowGeometry) -> Vec<[usize; 3]> {
    let taps = along(window, 0);
    let across = along(window, 1);
    let mut places = Vec::with_capacity(taps.len() * across.len());
    for [tap_y, to_y, from_y] in &taps {
        for [tap_x, to_x, from_x] in &across {
            places.push([
                tap_y * window.kernel[1] + tap_x,
                to_y * window.output[1] + to_x,
                from_y * window.input[1] + from_x,
            ]);
        }
    }
    places
}

/// The triples of one dimension.
fn along(window: &WindowGeometry, at: usize) -> Vec<[usize; 3]> {
    let mut places = Vec::new();
    for to in 0..window.output[at] {
        for tap in 0..window.kernel[at] {
            let padded = to * window.strides[at] + tap * window.dilations[at];
            if let Some(from) = padded.checked_sub(window.before[at])
                && from < window.input[at]
            {
                places.push([tap, to, from]);
            }
        }
    }
    places
}

/// `f32[K, P'·P]`, with a 1 where a tap appears in the Toeplitz matrix: a kernel `[C, K]` times this gives the
/// matrices.
pub(super) fn spread(window: &WindowGeometry) -> Tensor {
    let [taps, to, from] = sizes(window);
    let mut spread = vec![0.0_f32; taps * to * from];
    for [tap, to_pixel, from_pixel] in places(window) {
        if let Some(place) = spread.get_mut((tap * to + to_pixel) * from + from_pixel) {
            *place = 1.0;
        }
    }
    Tensor::new([taps, to * from], spread)
}

/// The Toeplitz matrices `f32[C, P', P]` of a kernel `f32[C, K]`.
pub(super) fn matrices(window: &WindowGeometry, kernel: &[f32]) -> Tensor {
    let [taps, to, from] = sizes(window);
    let channels = kernel.len() / taps.max(1);
    let places = places(window);
    let mut matrices = vec![0.0_f32; channels * to * from];
    let each = matrices.chunks_exact_mut((to * from).max(1));
    for (matrix, kernel) in each.zip(kernel.chunks_exact(taps.max(1))) {
        for [tap, to_pixel, from_pixel] in &places {
            if let (Some(place), Some(value)) = (
                matrix.get_mut(to_pixel * from + from_pixel),
                kernel.get(*tap),
            ) {
                *place = *value;
            }
        }
    }
    Tensor::new([channels, to, from], matrices)
}
