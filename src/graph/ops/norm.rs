//! Normalisation.

use super::{
    Arriving, Backward, Elementwise, Fact, Family, GraphError, Inputs, Named, Parts, Spelling,
    ValueId, WeightKind, wrap,
};

/// A normalisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Norm {
    /// `(x - mean) / √(var + ε) · scale + bias` for each channel. Inputs: x, scale, bias, mean, var.
    Batch {
        /// ε.
        epsilon: f32,
        /// Momentum of the running statistics in training mode.
        momentum: f32,
        /// Whether the statistics are those of each batch (training mode).
        training: bool,
    },
    /// The same over the last dimensions of each example, with the mean and variance of that example. Inputs: x,
    /// scale, bias.
    Layer {
        /// The first dimension that is normalised over.
        axis: i64,
        /// ε.
        epsilon: f32,
        /// The ONNX number of the element type used for the statistics.
        stash: i64,
    },
}

impl Named for Norm {
    fn of_name(op_type: &str) -> Option<Self> {
        match op_type {
            "BatchNormalization" => Some(Self::Batch {
                epsilon: 0.0,
                momentum: 0.0,
                training: false,
            }),
            "LayerNormalization" => Some(Self::Layer {
                axis: 0,
                epsilon: 0.0,
                stash: 0,
            }),
            _ => None,
        }
    }
}

impl Family for Norm {
    fn op_type(&self) -> &str {
        match self {
            Self::Batch { .. } => "BatchNormalization",
            Self::Layer { .. } => "LayerNormalization",
        }
    }

    fn spell(&mut self, spelling: &mut Spelling<'_>) {
        match self {
            Self::Batch {
                epsilon,
                momentum,
                training,
            } => {
                spelling.float("epsilon", epsilon, 1e-5);
                spelling.float("momentum", momentum, 0.9);
                spelling.flag("training_mode", training, false);
                spelling.ignore("spatial", 1);
                spelling.ignore("is_test", 1);
            }
            Self::Layer {
                axis,
                epsilon,
                stash,
            } => {
                spelling.int("axis", axis, -1);
                spelling.float("epsilon", epsilon, 1e-5);
                spelling.int("stash_type", stash, 1);
            }
        }
    }

    fn facts(&self, inputs: &Inputs<'_>, _: usize) -> Vec<Fact> {
        vec![inputs.same(0)]
    }

    fn has_gradient(&self) -> bool {
        true
    }

    fn passes_on(&self, input: usize) -> bool {
        input < 3
    }

    fn weights(&self, _: &Inputs<'_>) -> Vec<(usize, WeightKind)> {
        match self {
            // The parameters of a batch normalisation are folded into the layer before it, or are not trained.
            Self::Batch { .. } => Vec::new(),
            Self::Layer { .. } => vec![(1, WeightKind::Scale), (2, WeightKind::Bias)],
        }
    }

    fn gradient(&self, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
        match self {
            Self::Batch { training: true, .. } => Err(GraphError::Model(
                "it cannot be trained through a “BatchNormalization” in training mode".into(),
            )),
            Self::Batch { epsilon, .. } => batch(*epsilon, b, at),
            Self::Layer { axis, epsilon, .. } => layer(*axis, *epsilon, b, at),
        }
    }
}

/// The statistics are fixed and get no gradient. `dx = dy · scale / √(var + ε)`, `dscale = Σ dy · (x - mean) / √(var +
/// ε)`, `dbias = Σ dy`, summed over all dimensions but the channels.
fn batch(epsilon: f32, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let (dy, x) = (at.dy()?, at.input(0)?);
    let [scale, mean, var] = [at.input(1)?, at.input(3)?, at.input(4)?];
    let rank = b.rank(x)? as i64;
    let epsilon = b.number(f64::from(epsilon));
    let shifted = b.add(var, epsilon);
    let deviation = b.op(Elementwise::Sqrt, &[shifted]);
    let mut per_channel = vec![1; rank as usize];
    if let Some(channels) = per_channel.get_mut(1) {
        *channels = -1;
    }
    let others: Vec<i64> = (0..rank).filter(|axis| *axis != 1).collect();
    let first = b.wants(at, 0).then(|| {
        let factor = b.div(scale, deviation);
        let factor = b.reshape(factor, &per_channel);
        b.mul(dy, factor)
    });
    let second = b.wants(at, 1).then(|| {
        let mean = b.reshape(mean, &per_channel);
        let centred = b.sub(x, mean);
        let product = b.mul(dy, centred);
        let sum = b.reduce_sum(product, &others, false);
        b.div(sum, deviation)
    });
    let third = b.wants(at, 2).then(|| b.reduce_sum(dy, &others, false));
    Ok(vec![first, second, third])
}

/// With `n = (x - mean) / √(var + ε)` and `g = dy · scale`: `dx = (g - mean(g) - n · mean(g · n)) / √(var + ε)`,
/// `dscale = Σ dy · n`, `dbias = Σ dy`.
fn layer(axis: i64, epsilon: f32, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let (dy, x, scale) = (at.dy()?, at.input(0)?, at.input(1)?);
    let rank = b.rank(x)?;
    let first = wrap(axis, rank)
        .ok_or_else(|| GraphError::Model("a “LayerNormalization” has no valid axis".into()))?;
    let axes: Vec<i64> = (first as i64..rank as i64).collect();
    let count = b.lens_from(x, first)?.iter().product::<usize>();
    let share = b.number(1.0 / count as f64);
    let mean = |b: &mut Backward<'_>, value: ValueId| {
        let sum = b.reduce_sum(value, &axes, true);
        b.mul(sum, share)
    };
    let epsilon = b.number(f64::from(epsilon));
    let middle = mean(b, x);
    let centred = b.sub(x, middle);
    let square = b.mul(centred, centred);
    let var = mean(b, square);
    let shifted = b.add(var, epsilon);
    let deviation = b.op(Elementwise::Sqrt, &[shifted]);
    let normal = b.div(centred, deviation);
    let by_input = b.wants(at, 0).then(|| {
        let g = b.mul(dy, scale);
        let g_mean = mean(b, g);
        let product = b.mul(g, normal);
        let along = mean(b, product);
        let along = b.mul(along, normal);
        let rest = b.sub(g, g_mean);
        let rest = b.sub(rest, along);
        b.div(rest, deviation)
    });
    let by_scale = b.wants(at, 1).then(|| {
        let product = b.mul(dy, normal);
        b.unbroadcast(product, scale)
    });
    let by_bias = if b.wants(at, 2) {
        let bias = at.input(2)?;
        Some(b.unbroadcast(dy, bias))
    } else {
        None
    };
    Ok(vec![by_input, by_scale, by_bias])
}
