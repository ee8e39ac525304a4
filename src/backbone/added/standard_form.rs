//! Converts a network to the form in which it is stored: input planes `f32[N, 3, S, S]`, output bottlenecks `f32[N,
//! D]`.

use crate::graph::ops::Reshaping;
use crate::graph::{Dim, Graph, GraphError, Op, ValueId};
use crate::onnx::ElementType;

use super::asked::Layout;
use super::head::Pooled;

/// The permutation from planes to channels last.
const TO_LAST: [i64; 4] = [0, 2, 3, 1];
/// The permutation from channels last to planes.
const TO_FIRST: [i64; 4] = [0, 3, 1, 2];

/// A network in the stored form.
pub(super) struct StandardForm {
    pub graph: Graph,
    pub input: ValueId,
    pub output: ValueId,
}

/// The part of `graph` from `input` to `pooled`, for images of `side` pixels.
pub(super) fn standard_form(
    graph: &Graph,
    input: ValueId,
    layout: Layout,
    pooled: &Pooled,
    side: usize,
    rank: usize,
) -> Result<StandardForm, GraphError> {
    let pooled = graph.named(&pooled.name)?;
    // A leading change of layout is dropped.
    let transposed = match layout {
        Layout::Nhwc => transposed_once(graph, input),
        Layout::Nchw => None,
    };
    let begin = transposed.unwrap_or(input);
    let mut part = graph.part(&[begin], &[pooled])?;
    part.metadata.clear();
    part.set_shape(begin, &[]);

    let name = |wanted: &str| {
        let mut name = wanted.to_owned();
        while part.find(&name).is_some() {
            name.push('_');
        }
        name
    };
    let (image, bottleneck, last) = (name("image"), name("bottleneck"), name("image.nhwc"));
    let planes = [Dim::from("N"), 3.into(), side.into(), side.into()];
    let mut house = Graph::new(&graph.name);
    house.opset = part.opset;
    let x = house.input(&image, ElementType::F32, &planes);
    let first = if layout == Layout::Nhwc && transposed.is_none() {
        let perm = Some(TO_LAST.to_vec());
        house.op_named(Reshaping::Transpose { perm }, &[x], &last)
    } else {
        x
    };
    let joined = house.append(part, &[(begin, first)])?;
    house.clear_outputs();
    let pooled = joined.get(pooled);
    let output = if rank == 2 {
        house.output_as(pooled, &bottleneck)
    } else {
        let flat = house.op_named(Reshaping::FLATTEN, &[pooled], &bottleneck);
        house.output(flat);
        flat
    };
    house.infer_again();
    house.fold_constants()?;
    house.fold_batch_norm()?;
    house.merge_pads();
    house.free_batch(x, &[3, side, side])?;
    house.fold_everything()?;
    house.join_linear();
    house.infer_again();
    house.prune();
    Ok(StandardForm {
        graph: house,
        input: x,
        output,
    })
}

/// The planes that a transposition makes of the input, if that is the input's only reader.
fn transposed_once(graph: &Graph, input: ValueId) -> Option<ValueId> {
    let mut readers = graph.consumers(input);
    let (reader, None) = (readers.next()?, readers.next()) else {
        return None;
    };
    match &reader.op {
        Op::Reshaping(Reshaping::Transpose { perm: Some(perm) }) if perm.as_slice() == TO_FIRST => {
            reader.output()
        }
        _ => None,
    }
}
