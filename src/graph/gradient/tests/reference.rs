//! Operators that ONNX Runtime computes in single precision only are checked against plain loops in double precision:
//! their central differences are compared with the gradients of the rules.

use super::{Random, gradients, output_shapeless};
use crate::graph::ops::ReduceKind;
use crate::graph::{Dim, Graph, ValueId};
use crate::onnx::{Element, ElementType, Session, Tensor};

/// Values in row-major order.
#[derive(Debug, Clone)]
pub struct Array {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

impl Array {
    /// Random values that are exact in single precision.
    pub fn random(random: &mut Random, shape: &[usize], low: f64, high: f64) -> Self {
        let Element::F64(values) = random.tensor(shape, low, high).data else {
            unreachable!()
        };
        Self {
            shape: shape.to_vec(),
            data: values
                .into_iter()
                .map(|value| f64::from(value as f32))
                .collect(),
        }
    }

    fn single(&self) -> Tensor {
        let values: Vec<f32> = self.data.iter().map(|value| *value as f32).collect();
        Tensor::new(self.shape.clone(), values)
    }
}

/// The most elements of an input that are compared.
const MOST_ELEMENTS: usize = 48;

/// Compares ONNX Runtime's forward pass of `build` with `reference`, and the rules' single-precision gradients with
/// respect to all `inputs` with central differences of `Σ r · reference`.
pub fn check_single(
    name: &str,
    random: &mut Random,
    inputs: &[Array],
    build: &dyn Fn(&mut Graph, &[ValueId]) -> ValueId,
    reference: &dyn Fn(&[Array]) -> Array,
) {
    let y = reference(inputs);
    let mut graph = Graph::new("case");
    let names: Vec<String> = (0..inputs.len()).map(|at| format!("x{at}")).collect();
    let x: Vec<ValueId> = names
        .iter()
        .zip(inputs)
        .map(|(name, array)| graph.input(name, ElementType::F32, &Dim::all_fixed(&array.shape)))
        .collect();
    let result = build(&mut graph, &x);
    let inferred = graph.lens(result);
    assert_eq!(
        inferred.as_ref(),
        Some(&y.shape),
        "{name}: the inferred shape"
    );
    let r_input = graph.input("r", ElementType::F32, &Dim::all_fixed(&y.shape));
    let weighted = graph.mul(result, r_input);
    let loss = graph.reduce_all(ReduceKind::Sum, weighted);
    let found = gradients(&mut graph, loss, &x).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut outputs = vec!["y".to_owned()];
    output_shapeless(&mut graph, result, "y");
    for (at, gradient) in found.into_iter().enumerate() {
        outputs.push(format!("d{at}"));
        output_shapeless(&mut graph, gradient, &format!("d{at}"));
    }
    let mut session =
        Session::from_bytes(&graph.to_onnx(), 1).unwrap_or_else(|e| panic!("{name}: {e}"));
    let r = Array::random(random, &y.shape, -1.0, 1.0);
    let singles: Vec<Tensor> = inputs.iter().map(Array::single).collect();
    let mut named: Vec<(&str, &Tensor)> = names.iter().map(String::as_str).zip(&singles).collect();
    let r_single = r.single();
    named.push(("r", &r_single));
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let results = session
        .run(&named, &outputs)
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(results[0].shape, y.shape, "{name}: shape of the result");
    for (have, want) in results[0].f32().unwrap().iter().zip(&y.data) {
        let have = f64::from(*have);
        assert!(
            (have - want).abs() < 1e-5 * (1.0 + want.abs()),
            "{name}: {have} is not {want}"
        );
    }
    for (index, gradient) in results[1..].iter().enumerate() {
        assert_eq!(
            gradient.shape, inputs[index].shape,
            "{name}: shape of gradient {index}"
        );
        let len = inputs[index].data.len();
        for turn in 0..len.min(MOST_ELEMENTS) {
            let at = if len <= MOST_ELEMENTS {
                turn
            } else {
                random.below(len)
            };
            let loss_at = |step: f64| -> f64 {
                let mut moved = inputs.to_vec();
                moved[index].data[at] += step;
                let y = reference(&moved);
                y.data.iter().zip(&r.data).map(|(y, r)| y * r).sum()
            };
            let step = 1e-4;
            let numeric = (loss_at(step) - loss_at(-step)) / (2.0 * step);
            let rule = f64::from(gradient.f32().unwrap()[at]);
            assert!(
                (numeric - rule).abs() < 1e-4 * (0.1 + numeric.abs()),
                "{name}, input {index} of {:?}, element {at}: rule {rule}, differences {numeric}",
                inputs[index].shape,
            );
        }
    }
}

/// The geometry of a two-dimensional window, each as `[rows, columns]`, with pads at the top, left, bottom and right.
#[derive(Debug, Clone)]
pub struct Slide {
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub dilations: [usize; 2],
    pub pads: [usize; 4],
    pub output: [usize; 2],
}

impl Slide {
    /// The pixel under tap `tap` of window `window`; `None` in the padding.
    fn pixel(&self, axis: usize, window: usize, tap: usize, len: usize) -> Option<usize> {
        let at = window * self.strides[axis] + tap * self.dilations[axis];
        at.checked_sub(self.pads[axis]).filter(|at| *at < len)
    }

    /// Calls `visit` for each output pixel with the pairs of input pixel and tap under its window.
    fn each(&self, size: [usize; 2], mut visit: impl FnMut(usize, &[(usize, usize)])) {
        for row in 0..self.output[0] {
            for column in 0..self.output[1] {
                let mut under = Vec::new();
                for i in 0..self.kernel[0] {
                    for j in 0..self.kernel[1] {
                        if let (Some(y), Some(x)) = (
                            self.pixel(0, row, i, size[0]),
                            self.pixel(1, column, j, size[1]),
                        ) {
                            under.push((y * size[1] + x, i * self.kernel[1] + j));
                        }
                    }
                }
                visit(row * self.output[1] + column, &under);
            }
        }
    }
}

/// A convolution of `x` (`[N, C, H, W]`) with `w` (`[M, C/groups, …]`) and a bias.
pub fn conv(x: &Array, w: &Array, bias: Option<&Array>, slide: &Slide, groups: usize) -> Array {
    let [n, c, height, width] = x.shape[..] else {
        panic!()
    };
    let (m, per_group) = (w.shape[0], w.shape[1]);
    let (area, taps) = (
        slide.output[0] * slide.output[1],
        slide.kernel[0] * slide.kernel[1],
    );
    let mut y = vec![0.0; n * m * area];
    slide.each([height, width], |to, under| {
        for image in 0..n {
            for kernel in 0..m {
                let group = kernel / (m / groups);
                let mut sum = bias.map_or(0.0, |bias| bias.data[kernel]);
                for channel in 0..per_group {
                    let from = (image * c + group * per_group + channel) * height * width;
                    let weights = (kernel * per_group + channel) * taps;
                    for (pixel, tap) in under {
                        sum += x.data[from + pixel] * w.data[weights + tap];
                    }
                }
                y[(image * m + kernel) * area + to] = sum;
            }
        }
    });
    Array {
        shape: vec![n, m, slide.output[0], slide.output[1]],
        data: y,
    }
}

/// Average pooling; padding counts as zeros or not at all.
pub fn average(x: &Array, slide: &Slide, padding_counts: bool) -> Array {
    let size = [x.shape[2], x.shape[3]];
    let within = |axis: usize, window: usize, tap: usize| {
        let at = window * slide.strides[axis] + tap * slide.dilations[axis];
        at < slide.pads[axis] + size[axis] + slide.pads[axis + 2]
    };
    pool(x, slide, &|to, values| {
        let (row, column) = (to / slide.output[1], to % slide.output[1]);
        let rows = (0..slide.kernel[0])
            .filter(|tap| within(0, row, *tap))
            .count();
        let columns = (0..slide.kernel[1])
            .filter(|tap| within(1, column, *tap))
            .count();
        let count = if padding_counts {
            rows * columns
        } else {
            values.len()
        };
        values.iter().sum::<f64>() / count as f64
    })
}

/// Maximum pooling.
pub fn largest(x: &Array, slide: &Slide) -> Array {
    pool(x, slide, &|_, values| {
        values.iter().copied().fold(f64::MIN, f64::max)
    })
}

fn pool(x: &Array, slide: &Slide, of: &dyn Fn(usize, &[f64]) -> f64) -> Array {
    let [n, c, height, width] = x.shape[..] else {
        panic!()
    };
    let area = slide.output[0] * slide.output[1];
    let mut y = vec![0.0; n * c * area];
    slide.each([height, width], |to, under| {
        for map in 0..n * c {
            let values: Vec<f64> = under
                .iter()
                .map(|(pixel, _)| x.data[map * height * width + pixel])
                .collect();
            y[map * area + to] = of(to, &values);
        }
    });
    Array {
        shape: vec![n, c, slide.output[0], slide.output[1]],
        data: y,
    }
}
