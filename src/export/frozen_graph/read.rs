//! Reads a graph file: from its bytes to a graph that ONNX Runtime runs.
//!
//! Every TensorFlow operation is converted to ONNX operators with the necessary transpositions. SAME padding is left
//! to ONNX Runtime.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use prost::Message;

use crate::evaluate::Recipe;
use crate::export::RECIPE_KEY;
use crate::export::open::tensor_lens;
use crate::graph::{Dim, Graph, ValueId};
use crate::onnx::{Element, ElementType, Tensor};

use super::schema::attr_value::Value;
use super::schema::{AttrValue, DataType, GraphDef, NodeDef, TensorProto, TensorShapeProto};
use super::{FrozenGraphError, RECIPE};

/// The network of a file with its recipe as metadata. `labels`, if given, are the contents of the label file beside
/// it, one per line, which is the only place where apps find them.
///
/// # Errors
/// [`FrozenGraphError::Unreadable`] for a file that is damaged, uses an unsupported operation, or lacks the metadata
/// that [`write()`](super::write()) adds to every file.
pub fn read(bytes: &[u8], labels: Option<&[u8]>) -> Result<(Graph, Recipe), FrozenGraphError> {
    let file = decode(bytes)?;
    let mut inputs = file.node.iter().filter(|node| node.op == "Placeholder");
    let declared = inputs.find_map(|node| match attribute(node, RECIPE) {
        Some(Value::S(declared)) => Some(declared.clone()),
        _ => None,
    });
    let Some(declared) = declared else {
        return unreadable("it does not describe its preprocessing; Salamander did not export it");
    };
    let mut recipe: Recipe = match serde_json::from_slice(&declared) {
        Ok(recipe) => recipe,
        Err(error) => return unreadable(format!("its preprocessing cannot be read ({error})")),
    };
    let mut graph = Reader::default().graph(&file)?;
    if let Some(labels) = labels {
        let Ok(text) = std::str::from_utf8(labels) else {
            return unreadable("its labels are not text");
        };
        recipe.labels = text.lines().map(str::to_owned).collect();
    }
    let (input, output) = (graph.inputs().first(), graph.outputs().first());
    let (Some(input), Some(output)) = (input, output) else {
        return unreadable("it has no input or no output");
    };
    let side = recipe.preprocessing.resolution_px as usize;
    if graph.lens(*input) != Some(vec![1, side, side, 3]) {
        return unreadable(format!(
            "its input is not one image of {side} × {side} RGB pixels"
        ));
    }
    let classes = graph.lens(*output).and_then(|lens| lens.last().copied());
    if classes != Some(recipe.labels.len()) {
        return unreadable(format!(
            "it has {} labels for {} outputs",
            recipe.labels.len(),
            classes.unwrap_or(0)
        ));
    }
    graph.name_of(*input).clone_into(&mut recipe.input.name);
    graph.name_of(*output).clone_into(&mut recipe.output.name);
    let json = serde_json::to_string(&recipe)
        .map_err(|error| FrozenGraphError::Unreadable(error.to_string()))?;
    graph.set_metadata(RECIPE_KEY, &json);
    Ok((graph, recipe))
}

/// The network of a file without a recipe. Its output is the node that no other reads.
///
/// # Errors
/// As for [`read()`].
pub fn read_graph(bytes: &[u8]) -> Result<Graph, FrozenGraphError> {
    Reader::default().graph(&decode(bytes)?)
}

fn decode(bytes: &[u8]) -> Result<GraphDef, FrozenGraphError> {
    match GraphDef::decode(bytes) {
        Ok(file) if !file.node.is_empty() => Ok(file),
        Ok(_) => unreadable("it holds no graph"),
        Err(error) => unreadable(format!("it is damaged, or not a frozen graph ({error})")),
    }
}

pub(super) fn unreadable<T>(reason: impl Into<String>) -> Result<T, FrozenGraphError> {
    Err(FrozenGraphError::Unreadable(reason.into()))
}

pub(super) fn attribute<'a>(node: &'a NodeDef, name: &str) -> Option<&'a Value> {
    node.attr.get(name)?.value.as_ref()
}

/// The state of converting a file to a graph.
#[derive(Default)]
pub(super) struct Reader {
    graph: Option<Graph>,
    /// By the names of their nodes.
    values: HashMap<String, ValueId>,
}

impl Reader {
    fn graph(mut self, file: &GraphDef) -> Result<Graph, FrozenGraphError> {
        self.graph = Some(Graph::new("frozen graph"));
        let mut unread: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, node) in file.node.iter().enumerate() {
            for input in &node.input {
                unread.remove(input.strip_suffix(":0").unwrap_or(input));
            }
            let value = self.node(node)?;
            if self.values.insert(node.name.clone(), value).is_some() {
                return unreadable(format!("it has two nodes called “{}”", node.name));
            }
            if !["Const", "Placeholder"].contains(&node.op.as_str()) {
                unread.insert(&node.name, at);
            }
        }
        let mut last = unread.keys();
        let (Some(name), None) = (last.next(), last.next()) else {
            let names: Vec<_> = unread.keys().collect();
            return unreadable(format!("it has no output, or several ({names:?})"));
        };
        let value = self.value(name)?;
        let mut graph = self.graph.take().unwrap_or_else(|| Graph::new(""));
        // Values of the graph have numbers as names, so this name is free.
        graph.output_as(value, name);
        Ok(graph)
    }

    pub fn to(&mut self) -> &mut Graph {
        self.graph.get_or_insert_with(|| Graph::new(""))
    }

    /// Converts a node: its result or constant.
    fn node(&mut self, node: &NodeDef) -> Result<ValueId, FrozenGraphError> {
        match node.op.as_str() {
            "Placeholder" => {
                let Some(Value::Shape(shape)) = attribute(node, "shape") else {
                    return unreadable("its input has no size");
                };
                let (lens, element) = (lens(shape)?, element(node, "dtype")?);
                let dims = Dim::all_fixed(&lens);
                Ok(self.to().input(&node.name, element, &dims))
            }
            "Const" => {
                let Some(Value::Tensor(tensor)) = attribute(node, "value") else {
                    return unreadable(format!("its constant “{}” is empty", node.name));
                };
                let tensor = contents(tensor, &node.name)?;
                Ok(self.to().constant(Arc::new(tensor)))
            }
            _ => {
                let mut inputs = Vec::with_capacity(node.input.len());
                for input in &node.input {
                    inputs.push(self.value(input)?);
                }
                self.operation(node, &inputs)
            }
        }
    }

    fn value(&self, input: &str) -> Result<ValueId, FrozenGraphError> {
        let name = input.strip_suffix(":0").unwrap_or(input);
        match self.values.get(name) {
            Some(value) => Ok(*value),
            None => unreadable(format!("it reads “{input}” before anything computes it")),
        }
    }
}

/// The element type in an attribute of a node.
pub(super) fn element(node: &NodeDef, name: &str) -> Result<ElementType, FrozenGraphError> {
    let Some(Value::Type(number)) = attribute(node, name) else {
        return unreadable(format!("“{}” has no type", node.name));
    };
    type_of(*number, &node.name)
}

fn type_of(number: i32, name: &str) -> Result<ElementType, FrozenGraphError> {
    match DataType::try_from(number) {
        Ok(DataType::DtFloat) => Ok(ElementType::F32),
        Ok(DataType::DtInt32) => Ok(ElementType::I32),
        Ok(DataType::DtUint8) => Ok(ElementType::U8),
        _ => unreadable(format!("“{name}” has the unsupported type {number}")),
    }
}

fn lens(shape: &TensorShapeProto) -> Result<Vec<usize>, FrozenGraphError> {
    let lens: Result<Vec<usize>, _> = shape
        .dim
        .iter()
        .map(|dim| usize::try_from(dim.size))
        .collect();
    tensor_lens(lens.ok()).map_err(FrozenGraphError::Unreadable)
}

fn contents(tensor: &TensorProto, name: &str) -> Result<Tensor, FrozenGraphError> {
    let lens = lens(&tensor.tensor_shape.clone().unwrap_or_default())?;
    let bytes = &tensor.tensor_content;
    let count: usize = lens.iter().product();
    let data: Element = match type_of(tensor.dtype, name)? {
        ElementType::F32 if bytes.is_empty() => repeated(&tensor.float_val, count).into(),
        ElementType::I32 if bytes.is_empty() => repeated(&tensor.int_val, count).into(),
        ElementType::F32 => numbers(bytes, f32::from_le_bytes).into(),
        ElementType::I32 => numbers(bytes, i32::from_le_bytes).into(),
        _ => bytes.clone().into(),
    };
    let contents = Tensor::new(lens, data);
    match contents.checked() {
        Ok(_) => Ok(contents),
        Err(error) => unreadable(format!("“{name}”: {error}")),
    }
}

/// Repeats the last of the values until there are `count`.
fn repeated<T: Copy>(values: &[T], count: usize) -> Vec<T> {
    let mut all = values.to_vec();
    // Limited to what a file can hold, whatever `count` is.
    if let Some(last) = values.last()
        && count <= 1 << 24
    {
        all.resize(count.max(values.len()), *last);
    }
    all
}

fn numbers<T, const N: usize>(bytes: &[u8], of: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|chunk| of(*chunk)).collect()
}

/// The string in an attribute.
pub(super) fn text<'a>(
    attributes: &'a BTreeMap<String, AttrValue>,
    name: &str,
) -> Option<&'a [u8]> {
    match attributes.get(name)?.value.as_ref()? {
        Value::S(text) => Some(text),
        _ => None,
    }
}
