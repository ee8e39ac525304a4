//! A depthwise convolution on a small picture as one matrix product per channel.

use crate::onnx::Tensor;

/// Where a depthwise convolution looks: pairs are (vertical, horizontal), pads those at the top and the left.
pub(super) struct Window {
    pub kernel: (usize, usize),
    pub input: (usize, usize),
    pub output: (usize, usize),
    pub strides: (i64, i64),
    pub dilations: (i64, i64),
    pub pads: (i64, i64),
}

impl Window {
    /// All triples of kernel value, output pixel and input pixel that belong together.
    fn places(&self) -> Vec<(usize, usize, usize)> {
        let mut places = Vec::new();
        for oy in 0..self.output.0 {
            for ox in 0..self.output.1 {
                for ky in 0..self.kernel.0 {
                    for kx in 0..self.kernel.1 {
                        let y =
                            oy as i64 * self.strides.0 + ky as i64 * self.dilations.0 - self.pads.0;
                        let x =
                            ox as i64 * self.strides.1 + kx as i64 * self.dilations.1 - self.pads.1;
                        if let (Ok(y), Ok(x)) = (usize::try_from(y), usize::try_from(x))
                            && y < self.input.0
                            && x < self.input.1
                        {
                            places.push((
                                ky * self.kernel.1 + kx,
                                oy * self.output.1 + ox,
                                y * self.input.1 + x,
                            ));
                        }
                    }
                }
            }
        }
        places
    }
}

impl Window {
    /// Numbers of a kernel, pixels of the output and of the input.
    pub(super) fn sizes(&self) -> [usize; 3] {
        [self.kernel, self.output, self.input].map(|(height, width)| height * width)
    }

    /// `f32[K, P'·P]`, 1 where a kernel's number belongs: a kernel `[C, K]` times this is its Toeplitz matrices.
    pub(super) fn spread(&self) -> Tensor {
        let [taps, to, from] = self.sizes();
        let mut spread = vec![0.0_f32; taps * to * from];
        for (tap, to_pixel, from_pixel) in self.places() {
            if let Some(place) = spread.get_mut((tap * to + to_pixel) * from + from_pixel) {
                *place = 1.0;
            }
        }
        Tensor::new([taps, to * from], spread)
    }

    /// The Toeplitz matrices `f32[C, P', P]` of a kernel `f32[C, K]`.
    pub(super) fn matrices(&self, kernel: &[f32]) -> Tensor {
        let [taps, to, from] = self.sizes();
        let channels = kernel.len() / taps.max(1);
        let places = self.places();
        let mut matrices = vec![0.0_f32; channels * to * from];
        let each = matrices.chunks_exact_mut((to * from).max(1));
        for (matrix, kernel) in each.zip(kernel.chunks_exact(taps.max(1))) {
            for (tap, to_pixel, from_pixel) in &places {
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
}
