//! Finds the properties of a network's input: layout, size, normalisation.

use crate::graph::ops::{Elementwise, Reshaping};
use crate::graph::{Dim, Graph, Op, ValueId};
use crate::onnx::ElementType;

use super::asked::{Asked, Layout, Property};

/// The largest input size in pixels.
pub(super) const MOST_PX: u32 = 1024;
/// The smallest input size in pixels.
pub(super) const FEWEST_PX: u32 = 16;

/// The only input, which must be for images.
pub(super) fn image_input(graph: &Graph) -> Result<ValueId, String> {
    let inputs = graph.inputs().iter().copied();
    let free: Vec<ValueId> = inputs
        .filter(|id| graph.constant_of(*id).is_none())
        .collect();
    let names = || {
        let names: Vec<&str> = free.iter().map(|id| graph.name_of(*id)).collect();
        names.join("”, “")
    };
    let [input] = *free.as_slice() else {
        return Err(format!(
            "it has {} inputs (“{}”), but an image classifier has one",
            free.len(),
            names()
        ));
    };
    let rank = graph.fact(input).shape.as_ref().map(Vec::len);
    if rank.is_some_and(|rank| rank != 4) {
        return Err(format!(
            "its input “{}” has {} dimensions, but images have four: batch, channels, height and width",
            names(),
            rank.unwrap_or_default()
        ));
    }
    if let [Some(images), ..] = lens(graph, input)
        && images != 1
    {
        return Err(format!(
            "its input “{}” has a fixed batch of {images} images; export it with a dynamic batch, or with a batch of one",
            names()
        ));
    }
    match graph.element(input) {
        None | Some(ElementType::F32 | ElementType::U8) => Ok(input),
        Some(other) => Err(format!(
            "its input “{}” has the type {other:?}; images must be 32-bit floats or bytes",
            names()
        )),
    }
}

/// The lengths of the input's dimensions, as far as they are in the file.
fn lens(graph: &Graph, input: ValueId) -> [Option<usize>; 4] {
    let shape = graph.fact(input).shape.as_deref().unwrap_or_default();
    std::array::from_fn(|at| shape.get(at).and_then(Dim::fixed))
}

/// The order of the input's dimensions.
pub(super) fn layout(
    graph: &Graph,
    input: ValueId,
    asked: &Asked,
) -> Result<Property<Layout>, String> {
    let [_, second, third, last] = lens(graph, input);
    let found = match (second, last) {
        (Some(3), Some(3)) | (None, None) => None,
        (Some(3), _) => Some(Layout::Nchw),
        (_, Some(3)) => Some(Layout::Nhwc),
        (Some(1), _) | (_, Some(1)) => {
            return Err(
                "its input is grey; only networks for colour images with three channels are supported"
                    .into(),
            );
        }
        (Some(channels), Some(_)) => {
            let shown = third.map_or(String::new(), |third| format!(" × {third}"));
            return Err(format!(
                "its input has no dimension of three channels (it is {channels}{shown} × {})",
                last.unwrap_or_default()
            ));
        }
        _ => None,
    };
    if let Some(layout) = asked.layout {
        if let Some(found) = found
            && found != layout
        {
            return Err(format!(
                "its input is {found}, according to its shape, not {layout}"
            ));
        }
        return Ok(Property::given(layout));
    }
    if let Some(layout) = found {
        return Ok(Property::found(
            layout,
            "three channels in the input's shape",
        ));
    }
    // The readers of the input imply its layout.
    for node in graph.consumers(input) {
        match &node.op {
            Op::Conv(_) => {
                return Ok(Property::found(
                    Layout::Nchw,
                    "a convolution reads it as it is",
                ));
            }
            Op::Reshaping(Reshaping::Transpose { perm: Some(perm) })
                if perm.as_slice() == [0, 3, 1, 2] =>
            {
                return Ok(Property::found(Layout::Nhwc, "it is transposed first"));
            }
            _ => {}
        }
    }
    Ok(Property::missing(
        "the file does not say whether channels come first (nchw, PyTorch) or last (nhwc, TensorFlow)",
    ))
}

/// Width and height of the input.
pub(super) fn size(
    graph: &Graph,
    input: ValueId,
    layout: Option<Layout>,
    asked: &Asked,
) -> Result<Property<u32>, String> {
    let [_, second, third, last] = lens(graph, input);
    let (height, width) = match layout {
        Some(Layout::Nhwc) => (second, third),
        _ => (third, last),
    };
    let found = match (height, width) {
        (Some(height), Some(width)) if height != width => {
            return Err(format!(
                "its input is {width} × {height} pixels; only square inputs are supported"
            ));
        }
        (Some(side), _) | (_, Some(side)) => Some(u32::try_from(side).unwrap_or(u32::MAX)),
        _ => None,
    };
    if let (Some(given), Some(found)) = (asked.size_px, found)
        && given != found
    {
        return Err(format!(
            "its input is {found} pixels wide according to the file, not {given}; export it again for {given} pixels, or with dynamic height and width"
        ));
    }
    let answer = match (asked.size_px, found) {
        (Some(given), _) => Property::given(given),
        (_, Some(found)) => Property::found(found, "in the input's shape"),
        _ => Property::missing("height and width are dynamic in the file"),
    };
    if let Some(side) = answer.value
        && !(FEWEST_PX..=MOST_PX).contains(&side)
    {
        return Err(format!(
            "its input is {side} pixels wide; {FEWEST_PX} to {MOST_PX} are supported"
        ));
    }
    Ok(answer)
}

/// Mean and divisor that convert channel values 0..=255 to the input.
pub(super) fn normalisation(
    graph: &Graph,
    input: ValueId,
    asked: &Asked,
) -> Result<Property<[[f32; 3]; 2]>, String> {
    let found = inside(graph, input);
    if asked.mean.is_some() || asked.std.is_some() {
        let usable = |values: &[f32; 3]| values.iter().all(|value| value.is_finite());
        let (Some(mean), Some(std)) = (asked.mean, asked.std) else {
            return Err("mean and std belong together; give both".into());
        };
        if !usable(&mean) || !usable(&std) || std.iter().any(|value| *value < 1e-6) {
            return Err("mean and std must be numbers, and std over 0".into());
        }
        if std.iter().all(|value| *value < 1.0) {
            // Divisors less than one are not used for values 0..=255.
            return Ok(Property::assumed(
                [mean, std].map(|row| row.map(|value| value * 255.0)),
                "mean and std are below 1, so they are taken to be for values 0…1",
            ));
        }
        return Ok(Property::given([mean, std]));
    }
    Ok(found.unwrap_or_else(|| {
        Property::missing("ONNX files do not record how training images were normalised")
    }))
}

/// The normalisation that the network's first operators imply.
fn inside(graph: &Graph, input: ValueId) -> Option<Property<[[f32; 3]; 2]>> {
    let raw = [[0.0; 3], [1.0; 3]];
    if graph.element(input) == Some(ElementType::U8) {
        return Some(Property::found(
            raw,
            "its input is bytes, 0…255, and the network normalises",
        ));
    }
    let mut value = input;
    // A few nodes: casts and transpositions are skipped.
    for _ in 0..8 {
        let mut consumers = graph.consumers(value);
        let (node, None) = (consumers.next()?, consumers.next()) else {
            return None;
        };
        let operand = node
            .inputs
            .iter()
            .flatten()
            .find_map(|id| graph.constant_of(*id))
            .and_then(|tensor| tensor.f32().ok())
            .filter(|values| values.len() <= 3);
        let largest = |values: &[f32]| {
            values
                .iter()
                .fold(0.0_f32, |most, value| most.max(value.abs()))
        };
        match (&node.op, operand) {
            (
                Op::Elementwise(Elementwise::Cast(_))
                | Op::Reshaping(Reshaping::Transpose { .. } | Reshaping::Identity),
                _,
            ) => {}
            // Such as x / 255, x / 127.5, (x - 127) / 58.
            (Op::Elementwise(Elementwise::Div), Some(by)) if node.input(0) == Some(value) => {
                return (largest(by) > 20.0).then(|| {
                    Property::found(raw, "it divides its input by more than 20: it takes 0…255 and normalises itself")
                });
            }
            (Op::Elementwise(Elementwise::Mul), Some(by)) => {
                return (largest(by) < 0.05).then(|| {
                    Property::found(raw, "it multiplies its input by less than 1/20: it takes 0…255 and normalises itself")
                });
            }
            (Op::Elementwise(Elementwise::Sub | Elementwise::Add), Some(by)) => {
                if largest(by) > 20.0 {
                    return Some(Property::found(
                        raw,
                        "it shifts its input by more than 20: it takes 0…255 and normalises itself",
                    ));
                }
            }
            _ => return None,
        }
        value = node.output()?;
    }
    None
}
