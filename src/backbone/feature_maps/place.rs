//! The positions of a feature map's cells in the image: the centres of their receptive fields.
//!
//! Cells do not tile the image evenly. With TensorFlow's padding at stride 2 (only at the end), the centre of the
//! first cell of a 7 × 7 map of 224 pixels is pixel 31; with `PyTorch`'s (one pixel on each side) it is pixel 0, not
//! 15.5.

use crate::graph::{Graph, Node, Op, ValueId};

use crate::backbone::CutAt;

/// The centres of a row of cells, as fractions of the image's side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cells {
    /// The centre of the first cell.
    pub first: f64,
    /// The distance of successive centres.
    pub step: f64,
}

impl Cells {
    /// The centres of `count` cells that tile the side.
    #[must_use]
    pub fn even(count: usize) -> Self {
        let step = 1.0 / count.max(1) as f64;
        Self {
            first: step / 2.0,
            step,
        }
    }
}

/// The centres of rows and columns of the map at `cut`, computed from the convolutions and pools between the image of
/// `side` pixels and the map; evenly spaced if other operators between them move pixels.
pub(in crate::backbone) fn cells(front: &Graph, cut: &CutAt, side: usize) -> [Cells; 2] {
    let [_, rows, columns] = *cut.shape.as_slice() else {
        let count = cut.shape.first().copied().unwrap_or(1).isqrt();
        return [Cells::even(count); 2];
    };
    let mut front = front.clone();
    front.merge_pads();
    let found = front.find(&cut.tensor).and_then(|map| walk(&front, map));
    let even = [rows, columns].map(Cells::even);
    let Some(found) = found else { return even };
    let parts = found.map(|(step, first)| Cells {
        first: (first + 0.5) / side as f64,
        step: step / side as f64,
    });
    // If the graph was misinterpreted, the cells would not cover the image.
    let covers = |(cells, even): (&Cells, &Cells)| (cells.step / even.step - 1.0).abs() < 0.35;
    if parts.iter().zip(&even).all(covers) {
        parts
    } else {
        even
    }
}

/// For rows and columns, the distance of the centres of two cells in pixels, and the pixel at the centre of the first.
fn walk(graph: &Graph, map: ValueId) -> Option<[(f64, f64); 2]> {
    let mut found = [(1.0, 0.0); 2];
    let mut value = map;
    loop {
        if graph.inputs().contains(&value) {
            return Some(found);
        }
        let node = graph.producer(value)?;
        let (strides, shifts) = slide(graph, node)?;
        for (at, (step, first)) in found.iter_mut().enumerate() {
            let stride = strides.get(at).copied()?;
            *step *= stride;
            *first = *first * stride + shifts.get(at)?;
        }
        // Of several inputs, follow the one that others were added to or concatenated with: all have the same centres.
        // A 1 × 1 input only scales channels.
        let is_map = |input: &&ValueId| {
            graph.constant_of(**input).is_none()
                && graph
                    .lens(**input)
                    .is_none_or(|lens| lens.iter().skip(2).all(|l| *l > 1))
                && graph.shape(**input).is_some_and(|shape| shape.len() == 4)
        };
        value = *node.inputs.iter().flatten().find(is_map)?;
    }
}

/// The stride, and the offset of a window's centre from its index times the stride, for rows and columns; `None` for
/// operators that move pixels in other ways.
fn slide(graph: &Graph, node: &Node) -> Option<([f64; 2], [f64; 2])> {
    let x = node.input(0)?;
    let pixels = |value| -> Option<Vec<usize>> {
        let shape = graph.shape(value)?;
        shape
            .get(2..)?
            .iter()
            .map(crate::graph::Dim::fixed)
            .collect()
    };
    let (sliding, kernel, ceil) = match &node.op {
        Op::Conv(conv) => (
            &conv.sliding,
            graph.lens(node.input(1)?)?.split_off(2),
            false,
        ),
        Op::Pool(pool) => (&pool.sliding, pool.sliding.taps()?, pool.ceil),
        // Operators that do not move pixels.
        Op::Elementwise(_) | Op::Activation(_) | Op::Norm(_) | Op::Reshaping(_) | Op::Moves(_) => {
            let output = node.output()?;
            let same = node
                .inputs
                .iter()
                .flatten()
                .any(|input| pixels(*input).is_some_and(|lens| Some(lens) == pixels(output)));
            return same.then_some(([1.0; 2], [0.0; 2]));
        }
        _ => return None,
    };
    let window = sliding.window(&pixels(x)?, &kernel, ceil)?;
    let along = |at: usize| -> Option<(f64, f64)> {
        let middle = (window.extent(at) - 1) as f64 / 2.0;
        let before = *window.before.get(at)? as f64;
        Some((*window.strides.get(at)? as f64, middle - before))
    };
    (window.kernel.len() == 2).then_some(())?;
    let [rows, columns] = [along(0)?, along(1)?];
    Some(([rows.0, columns.0], [rows.1, columns.1]))
}
