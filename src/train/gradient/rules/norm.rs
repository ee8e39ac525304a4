//! Normalisation.

use crate::onnx::proto::NodeProto;
use crate::onnx::{OnnxError, attribute_float, attribute_int, wrap};

use super::super::Backward;
use super::arriving;

type Parts = Result<Vec<Option<String>>, OnnxError>;

/// `y = (x - mean) / √(var + ε) · scale + bias` with statistics that stay as they are: they get no gradient.
/// `dx = dy · scale / √(var + ε)`, `dscale = Σ dy · (x - mean) / √(var + ε)`, `dbias = Σ dy`, summed over
/// everything but the channels.
pub fn batch(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    if attribute_int(node, "training_mode").unwrap_or(0) != 0 {
        return Err(OnnxError::Model(
            "it cannot be trained through a “BatchNormalization” that measures its statistics anew"
                .into(),
        ));
    }
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    let [scale, mean, var] = [b.input(node, 1)?, b.input(node, 3)?, b.input(node, 4)?];
    let rank = b.rank(x)? as i64;
    let epsilon = b.number(f64::from(attribute_float(node, "epsilon").unwrap_or(1e-5)));
    let shifted = b.op("Add", &[var, &epsilon]);
    let deviation = b.op("Sqrt", &[&shifted]);
    let mut per_channel = vec![1; rank as usize];
    if let Some(channels) = per_channel.get_mut(1) {
        *channels = -1;
    }
    let others: Vec<i64> = (0..rank).filter(|axis| *axis != 1).collect();
    let first = b.wants(node, 0).then(|| {
        let factor = b.op("Div", &[scale, &deviation]);
        let factor = b.reshape(&factor, &per_channel);
        b.op("Mul", &[dy, &factor])
    });
    let second = b.wants(node, 1).then(|| {
        let mean = b.reshape(mean, &per_channel);
        let centred = b.op("Sub", &[x, &mean]);
        let product = b.op("Mul", &[dy, &centred]);
        let sum = b.reduce_sum(&product, &others, false);
        b.op("Div", &[&sum, &deviation])
    });
    let third = b.wants(node, 2).then(|| b.reduce_sum(dy, &others, false));
    Ok(vec![first, second, third])
}

/// `y = n · scale + bias` with `n = (x - mean) / √(var + ε)`, measured over the last dimensions. With
/// `g = dy · scale`: `dx = (g - mean(g) - n · mean(g · n)) / √(var + ε)`, `dscale = Σ dy · n`, `dbias = Σ dy`.
pub fn layer(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let (x, scale) = (b.input(node, 0)?, b.input(node, 1)?);
    let rank = b.rank(x)?;
    let first = wrap(attribute_int(node, "axis").unwrap_or(-1), rank)
        .ok_or_else(|| OnnxError::Model("a “LayerNormalization” has no valid axis".into()))?;
    let axes: Vec<i64> = (first as i64..rank as i64).collect();
    let count = b.lens(x, first)?.iter().product::<usize>();
    let share = b.number(1.0 / count as f64);
    let mean = |b: &mut Backward<'_>, value: &str| {
        let sum = b.reduce_sum(value, &axes, true);
        b.op("Mul", &[&sum, &share])
    };
    let epsilon = b.number(f64::from(attribute_float(node, "epsilon").unwrap_or(1e-5)));
    let middle = mean(b, x);
    let centred = b.op("Sub", &[x, &middle]);
    let square = b.op("Mul", &[&centred, &centred]);
    let var = mean(b, &square);
    let shifted = b.op("Add", &[&var, &epsilon]);
    let deviation = b.op("Sqrt", &[&shifted]);
    let normal = b.op("Div", &[&centred, &deviation]);
    let by_input = b.wants(node, 0).then(|| {
        let g = b.op("Mul", &[dy, scale]);
        let g_mean = mean(b, &g);
        let product = b.op("Mul", &[&g, &normal]);
        let along = mean(b, &product);
        let along = b.op("Mul", &[&along, &normal]);
        let rest = b.op("Sub", &[&g, &g_mean]);
        let rest = b.op("Sub", &[&rest, &along]);
        b.op("Div", &[&rest, &deviation])
    });
    let by_scale = b.wants(node, 1).then(|| {
        let product = b.op("Mul", &[dy, &normal]);
        b.unbroadcast(&product, scale)
    });
    let by_bias = if b.wants(node, 2) {
        let bias = b.input(node, 2)?;
        Some(b.unbroadcast(dy, bias))
    } else {
        None
    };
    Ok(vec![by_input, by_scale, by_bias])
}
