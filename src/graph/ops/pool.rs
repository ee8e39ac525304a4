//! Pooling.

use super::conv::transposed;
use super::moves::scatter;
use super::reduce::shared;
use super::{
    Arriving, Backward, Dim, Fact, Family, GraphError, Inputs, Named, Parts, Sliding, Spelling,
    WindowGeometry, as_ints,
};
use crate::onnx::ElementType;

/// How the pixels under a window are pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// Their mean.
    Average {
        /// Whether padding is included as zeros.
        padding_counts: bool,
    },
    /// Their maximum. A second output gives its index.
    Max {
        /// Whether the indices are in column-major order.
        in_columns: bool,
    },
}

/// Pooling with a window.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pool {
    /// How pixels are pooled.
    pub kind: PoolKind,
    /// The geometry of its window.
    pub sliding: Sliding,
    /// Whether a last window that extends beyond the map is included (`ceil_mode`).
    pub ceil: bool,
}

impl Named for Pool {
    fn of_name(op_type: &str) -> Option<Self> {
        let kind = match op_type {
            "AveragePool" => PoolKind::Average {
                padding_counts: false,
            },
            "MaxPool" => PoolKind::Max { in_columns: false },
            _ => return None,
        };
        Some(Self {
            kind,
            sliding: Sliding::default(),
            ceil: false,
        })
    }
}

impl Family for Pool {
    fn op_type(&self) -> &str {
        match self.kind {
            PoolKind::Average { .. } => "AveragePool",
            PoolKind::Max { .. } => "MaxPool",
        }
    }

    fn spell(&mut self, spelling: &mut Spelling<'_>) {
        self.sliding.spell(spelling);
        spelling.flag("ceil_mode", &mut self.ceil, false);
        match &mut self.kind {
            PoolKind::Average { padding_counts } => {
                spelling.flag("count_include_pad", padding_counts, false);
            }
            PoolKind::Max { in_columns } => spelling.flag("storage_order", in_columns, false),
        }
    }

    fn facts(&self, inputs: &Inputs<'_>, _: usize) -> Vec<Fact> {
        let shape = || {
            let x = inputs.shape(0)?;
            self.sliding
                .slid(x, x.get(1)?, &self.sliding.taps()?, self.ceil)
        };
        let shape = shape();
        vec![
            inputs.like(0, shape.clone()),
            Fact::of(Some(ElementType::I64), shape),
        ]
    }

    fn has_gradient(&self) -> bool {
        true
    }

    fn gradient(&self, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
        let (dy, x) = (at.dy()?, at.input(0)?);
        let padding_counts = match self.kind {
            PoolKind::Average { padding_counts } => padding_counts,
            PoolKind::Max { in_columns: true } => {
                return Err(GraphError::Model(
                    "it cannot be trained through a “MaxPool” that counts in columns".into(),
                ));
            }
            // `dy` is added to the maximum under each window, the first one if several are equal. The node gets a
            // second output for their indices.
            PoolKind::Max { .. } => {
                let places = b.second_output(at)?;
                return Ok(vec![Some(scatter(b, x, places, dy))]);
            }
        };
        // Each pixel of `dy / n` is added to all pixels under its window.
        let kernel = self.sliding.taps().unwrap_or_default();
        let window = b.window(at, &self.sliding, x, &kernel, self.ceil)?;
        let mut shape = vec![1, 1];
        shape.extend(&window.output);
        let shares = b.tensor(&shape, shares(&window, padding_counts));
        let share = b.mul(dy, shares);
        // Channels become images, so that one kernel of ones serves all of them.
        let map = [&[-1, 1], &as_ints(&window.output)[..]].concat();
        let share = b.reshape(share, &map);
        let mut shape = vec![1, 1];
        shape.extend(&window.kernel);
        let ones = b.tensor(&shape, vec![1.0; window.kernel.iter().product()]);
        let dx = transposed(b, share, ones, &window, 1);
        Ok(vec![Some(b.reshape_like(dx, x))])
    }
}

/// For each window, 1 / the number of pixels that it averages, with or without padding, but never beyond the padding.
fn shares(window: &WindowGeometry, padding_counts: bool) -> Vec<f64> {
    let mut shares = vec![1.0];
    for at in 0..window.kernel.len() {
        let pixels = window.before[at]..window.before[at] + window.input[at];
        let counted = if padding_counts {
            0..pixels.end + window.after[at]
        } else {
            pixels
        };
        let counts: Vec<usize> = (0..window.output[at])
            .map(|to| {
                (0..window.kernel[at])
                    .map(|tap| to * window.strides[at] + tap * window.dilations[at])
                    .filter(|from| counted.contains(from))
                    .count()
            })
            .collect();
        shares = shares
            .iter()
            .flat_map(|share| {
                counts
                    .iter()
                    .map(move |count| share / (*count).max(1) as f64)
            })
            .collect();
    }
    shares
}

/// Pooling over all pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GlobalPool {
    /// Their mean.
    Average,
    /// Their maximum.
    Max,
}

impl Named for GlobalPool {
    fn of_name(op_type: &str) -> Option<Self> {
        match op_type {
            "GlobalAveragePool" => Some(Self::Average),
            "GlobalMaxPool" => Some(Self::Max),
            _ => None,
        }
    }
}

impl Family for GlobalPool {
    fn op_type(&self) -> &str {
        match self {
            Self::Average => "GlobalAveragePool",
            Self::Max => "GlobalMaxPool",
        }
    }

    fn facts(&self, inputs: &Inputs<'_>, _: usize) -> Vec<Fact> {
        let shape = inputs.shape(0).map(|shape| {
            let dims = shape.iter().enumerate();
            dims.map(|(at, dim)| if at < 2 { dim.clone() } else { Dim::Fixed(1) })
                .collect()
        });
        vec![inputs.like(0, shape)]
    }

    fn has_gradient(&self) -> bool {
        true
    }

    fn gradient(&self, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
        let (dy, x, y) = (at.dy()?, at.input(0)?, at.output()?);
        let dx = match self {
            // `dy / n`, expanded to all pixels.
            Self::Average => {
                let count = match b.lens_from(x, 2) {
                    Ok(lens) => b.number(lens.iter().product::<usize>() as f64),
                    Err(_) => b.ratio_of_sizes(x, y),
                };
                let share = b.div(dy, count);
                b.expand_like(share, x)
            }
            Self::Max => {
                let axes: Vec<i64> = (2..b.rank(x)? as i64).collect();
                shared(b, x, y, dy, &axes)
            }
        };
        Ok(vec![Some(dx)])
    }
}
