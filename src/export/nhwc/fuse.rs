//! Fuses pairs of operators.

use std::collections::HashSet;

use crate::onnx::Tensor;

use super::{Activation, Binary, Kind, Operator, Program, Unary};

/// Fuses operators whose intermediate value has no other reader: the addition of a constant for each channel into the
/// bias of the layer before it, an activation into the operator before it, and a mean with the reshape that drops the
/// reduced dimensions.
pub(super) fn fuse(program: &mut Program) {
    merge(program, bias);
    merge(program, activation);
    merge(program, kept_dimensions);
    drop_unread(program);
}

/// Only the last kind of fusion, for integer operators: the others would combine different scales.
pub(super) fn fuse_integers(program: &mut Program) {
    merge(program, kept_dimensions);
    drop_unread(program);
}

/// Fuses two operators, of which the second reads the first one's result; `None` if they stay.
type Merge = fn(&mut Program, &Operator, &Operator) -> Option<Operator>;

fn merge(program: &mut Program, of: Merge) {
    let mut gone = HashSet::new();
    for second in 0..program.operators.len() {
        let Some(reader) = program.operators.get(second).cloned() else {
            continue;
        };
        for input in reader.inputs.clone() {
            let mut all = program.operators.iter().enumerate();
            let Some((first, maker)) = all
                .find(|(at, operator)| operator.output == input && !gone.contains(at))
                .map(|(at, operator)| (at, operator.clone()))
            else {
                continue;
            };
            if program.readers(input) != 1 {
                continue;
            }
            if let Some(merged) = of(program, &maker, &reader) {
                // In place of the second, where its other inputs are available.
                program.operators[second] = merged;
                // The first no longer counts as a reader of its inputs.
                program.operators[first].inputs.clear();
                gone.insert(first);
                break;
            }
        }
    }
    let mut at = 0;
    program.operators.retain(|_| {
        at += 1;
        !gone.contains(&(at - 1))
    });
}

fn activation(_: &mut Program, first: &Operator, second: &Operator) -> Option<Operator> {
    let Kind::Unary(Unary::Clamp(fused)) = second.kind else {
        return None;
    };
    let mut merged = first.clone();
    let (Kind::Conv { activation, .. }
    | Kind::DepthwiseConv { activation, .. }
    | Kind::FullyConnected { activation }
    | Kind::AveragePool { activation, .. }
    | Kind::MaxPool { activation, .. }
    | Kind::Binary {
        binary: Binary::Add | Binary::Sub | Binary::Mul | Binary::Div,
        activation,
    }) = &mut merged.kind
    else {
        return None;
    };
    if *activation != Activation::None {
        return None;
    }
    *activation = fused;
    merged.output = second.output;
    Some(merged)
}

fn bias(program: &mut Program, first: &Operator, second: &Operator) -> Option<Operator> {
    let Kind::Binary {
        binary: Binary::Add,
        activation: fused,
    } = second.kind
    else {
        return None;
    };
    let mut merged = first.clone();
    let (Kind::Conv { activation, .. }
    | Kind::DepthwiseConv { activation, .. }
    | Kind::FullyConnected { activation }) = &mut merged.kind
    else {
        return None;
    };
    if *activation != Activation::None {
        return None;
    }
    *activation = fused;
    let own = *first.inputs.get(2)?;
    let added = *second.inputs.iter().find(|input| **input != first.output)?;
    let (own_values, added_values) = (program.floats(own)?, program.floats(added)?);
    let (shape, channels) = (program.shape(added), own_values.len());
    let is_per_channel = shape.last() == Some(&channels) && added_values.len() == channels;
    if !is_per_channel || program.shape(second.output) != program.shape(first.output) {
        return None;
    }
    let sums: Vec<f32> = own_values
        .iter()
        .zip(added_values)
        .map(|(a, b)| a + b)
        .collect();
    let name = program.info(added).name.clone();
    let bias = program.constant(&format!("{name}/bias"), Tensor::new([channels], sums));
    *merged.inputs.get_mut(2)? = bias;
    merged.output = second.output;
    Some(merged)
}

fn kept_dimensions(program: &mut Program, first: &Operator, second: &Operator) -> Option<Operator> {
    let Kind::Reduce {
        axes, keep: true, ..
    } = &first.kind
    else {
        return None;
    };
    let shape = program.shape(first.output).iter().enumerate();
    let left: Vec<usize> = shape
        .filter(|(at, _)| !axes.contains(at))
        .map(|(_, len)| *len)
        .collect();
    if second.kind != Kind::Reshape || program.shape(second.output) != left {
        return None;
    }
    let mut merged = first.clone();
    if let Kind::Reduce { keep, .. } = &mut merged.kind {
        *keep = false;
    }
    merged.output = second.output;
    Some(merged)
}

/// Drops operators whose result has no reader: a value is written in both orders when only one may be needed.
fn drop_unread(program: &mut Program) {
    let mut needed: HashSet<_> = program.outputs.iter().copied().collect();
    let mut kept = Vec::with_capacity(program.operators.len());
    for operator in program.operators.drain(..).rev() {
        if needed.contains(&operator.output) {
            needed.extend(operator.inputs.iter().copied());
            kept.push(operator);
        }
    }
    kept.reverse();
    program.operators = kept;
}
