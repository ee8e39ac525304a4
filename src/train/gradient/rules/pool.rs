//! Pools.

use crate::onnx::proto::NodeProto;
use crate::onnx::{OnnxError, Window, attribute_int, attribute_ints};

use super::super::Backward;
use super::conv::transposed;
use super::moves::scatter;
use super::reduce::shared;
use super::{arriving, output};

type Parts = Result<Vec<Option<String>>, OnnxError>;

/// `y = mean(x)` over all pixels: `dx = dy / n`, spread over them again.
pub fn global_average(
    b: &mut Backward<'_>,
    node: &NodeProto,
    upstream: &[Option<String>],
) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    let count = if let Ok(lens) = b.lens(x, 2) {
        b.number(lens.iter().product::<usize>() as f64)
    } else {
        // The number of pixels is known only when the graph runs.
        let all = b.op("Size", &[x]);
        let left = b.op("Size", &[output(node)?]);
        let count = b.op("Div", &[&all, &left]);
        b.cast(&count)
    };
    let share = b.op("Div", &[dy, &count]);
    Ok(vec![Some(b.expand_like(&share, x))])
}

/// `y = max(x)` over all pixels.
pub fn global_max(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    let axes: Vec<i64> = (2..b.rank(x)? as i64).collect();
    Ok(vec![Some(shared(b, x, output(node)?, dy, &axes))])
}

/// The largest pixel under each window: `dy` goes to where that one was, the first where several are equal.
/// The node is made to tell where they were.
pub fn max(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    if attribute_int(node, "storage_order").unwrap_or(0) != 0 {
        return Err(OnnxError::Model(
            "it cannot be trained through a “MaxPool” that counts in columns".into(),
        ));
    }
    let places = b.second_output(node)?;
    Ok(vec![Some(scatter(b, x, &places, dy))])
}

/// `y = mean(x)` under each window: each pixel of `dy / n` goes to all pixels under its window.
pub fn average(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    let kernel: Vec<usize> = attribute_ints(node, "kernel_shape")
        .unwrap_or_default()
        .iter()
        .map(|len| usize::try_from(*len).unwrap_or(0))
        .collect();
    let window = b.window(node, x, &kernel)?;
    let padding_counts = attribute_int(node, "count_include_pad").unwrap_or(0) != 0;
    let mut shape = vec![1, 1];
    shape.extend(&window.output);
    let shares = b.tensor(&shape, shares(&window, padding_counts));
    let share = b.op("Mul", &[dy, &shares]);
    // Each map for itself, so that one kernel of ones does for all channels.
    let map = |lens: &[usize]| -> Vec<i64> {
        [-1, 1]
            .into_iter()
            .chain(lens.iter().map(|len| *len as i64))
            .collect()
    };
    let share = b.reshape(&share, &map(&window.output));
    let mut shape = vec![1, 1];
    shape.extend(&window.kernel);
    let ones = b.tensor(&shape, vec![1.0; window.kernel.iter().product()]);
    let dx = transposed(b, &share, &ones, &window, 1);
    Ok(vec![Some(b.reshape_like(&dx, x))])
}

/// For each window 1 / the number of pixels that its mean is taken of: with or without padding, but never what
/// lies beyond the padding.
fn shares(window: &Window, padding_counts: bool) -> Vec<f64> {
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
