//! Reads a model file: from its bytes to a graph that ONNX Runtime runs.
//!
//! Every operator is converted to ONNX operators with the necessary transpositions. SAME padding is left to ONNX
//! Runtime, and each result must have the shape that the file declares.

use std::sync::Arc;

use half::f16;

use crate::evaluate::{InputKind, Recipe};
use crate::export::RECIPE_KEY;
use crate::export::open::tensor_lens;
use crate::graph::{Dim, Graph, ValueId};
use crate::onnx::{Element, ElementType, Tensor};

use super::schema::{metadata, tflite as fb};
use super::{RECIPE, TfliteError, archive};

/// The network of a file, with its labels and normalisation as the recipe in the metadata.
///
/// # Errors
/// [`TfliteError::Unreadable`] for a file that is damaged, uses an unsupported operator, or lacks the metadata that
/// [`write()`](super::write()) adds to every file.
pub fn read(bytes: &[u8]) -> Result<Graph, TfliteError> {
    let model = open(bytes)?;
    let mut graph = Reader::new(model)?.graph()?;
    let recipe = recipe(bytes, model, &graph)?;
    let json = serde_json::to_string(&recipe)
        .map_err(|error| TfliteError::Unreadable(error.to_string()))?;
    graph.set_metadata(RECIPE_KEY, &json);
    Ok(graph)
}

/// The network of a file, without its metadata.
///
/// # Errors
/// As for [`read()`].
pub fn read_graph(bytes: &[u8]) -> Result<Graph, TfliteError> {
    Reader::new(open(bytes)?)?.graph()
}

pub(super) fn open(bytes: &[u8]) -> Result<fb::Model<'_>, TfliteError> {
    if bytes.len() < 8 || !fb::model_buffer_has_identifier(bytes) {
        return unreadable("it is not a TensorFlow Lite file");
    }
    fb::root_as_model(bytes).map_err(|error| {
        // The lines after the first describe the path to the field.
        let error = error.to_string();
        let first = error.lines().next().unwrap_or_default();
        TfliteError::Unreadable(format!("it is damaged ({})", first.trim_end_matches('.')))
    })
}

pub(super) fn unreadable<T>(reason: impl Into<String>) -> Result<T, TfliteError> {
    Err(TfliteError::Unreadable(reason.into()))
}

/// The contents of the file's metadata entry called `name`.
fn metadata<'a>(model: fb::Model<'a>, name: &str) -> Option<&'a [u8]> {
    let entry = model
        .metadata()?
        .iter()
        .find(|entry| entry.name() == Some(name))?;
    let buffers = model.buffers()?;
    let place = entry.buffer() as usize;
    (place < buffers.len())
        .then(|| buffers.get(place).data())?
        .map(|data| data.bytes())
}

/// The file's recipe, with the labels and the normalisation in its metadata and archive.
fn recipe(bytes: &[u8], model: fb::Model<'_>, graph: &Graph) -> Result<Recipe, TfliteError> {
    let Some(json) = metadata(model, RECIPE) else {
        return unreadable("it does not describe its preprocessing; Salamander did not export it");
    };
    let mut recipe: Recipe = serde_json::from_slice(json).map_err(|error| {
        TfliteError::Unreadable(format!("its preprocessing cannot be read ({error})"))
    })?;
    let Some(described) = metadata(model, "TFLITE_METADATA") else {
        return unreadable("it has no metadata");
    };
    let described = metadata::root_as_model_metadata(described)
        .map_err(|error| TfliteError::Unreadable(format!("its metadata is damaged ({error})")))?;
    let main = described.subgraph_metadata().filter(|all| !all.is_empty());
    let Some(main) = main.map(|all| all.get(0)) else {
        return unreadable("its metadata does not describe input and output");
    };
    let input = main.input_tensor_metadata().filter(|all| !all.is_empty());
    let output = main.output_tensor_metadata().filter(|all| !all.is_empty());
    let (Some(input), Some(output)) = (input.map(|all| all.get(0)), output.map(|all| all.get(0)))
    else {
        return unreadable("its metadata does not describe input and output");
    };

    // Callers that follow the metadata normalise accordingly; a model that reads bytes must not require it.
    let units = input.process_units();
    let units = units.iter().flatten();
    for options in units.filter_map(|unit| unit.options_as_normalization_options()) {
        let is = |values: Option<flatbuffers::Vector<'_, f32>>, wanted: f32| {
            values.is_none_or(|all| all.iter().all(|value| value.to_bits() == wanted.to_bits()))
        };
        if !is(options.mean(), 0.0) || !is(options.std_(), 1.0) {
            return unreadable("its metadata asks to normalise bytes");
        }
    }
    let (Some(image), Some(probabilities)) = (graph.inputs().first(), graph.outputs().first())
    else {
        return unreadable("it has no input or no output");
    };
    let side = recipe.preprocessing.resolution_px as usize;
    let is_image = graph.element(*image) == Some(ElementType::U8)
        && graph.lens(*image) == Some(vec![1, side, side, 3]);
    if !is_image || recipe.input.kind != InputKind::Uint8Nhwc {
        return unreadable(format!(
            "its input is not one image of {side} × {side} RGB bytes"
        ));
    }

    let files = output.associated_files();
    let mut files = files.iter().flatten();
    let labels = files
        .find(|file| file.type_() == metadata::AssociatedFileType::TENSOR_AXIS_LABELS)
        .and_then(|file| archive::find(bytes, file.name()?))
        .and_then(|labels| std::str::from_utf8(labels).ok());
    let Some(labels) = labels else {
        return unreadable("its labels file is missing or damaged");
    };
    recipe.labels = labels.lines().map(str::to_owned).collect();
    let classes = graph
        .lens(*probabilities)
        .and_then(|lens| lens.last().copied());
    if classes != Some(recipe.labels.len()) {
        return unreadable(format!(
            "it has {} labels for {} outputs",
            recipe.labels.len(),
            classes.unwrap_or(0)
        ));
    }
    graph.name_of(*image).clone_into(&mut recipe.input.name);
    graph
        .name_of(*probabilities)
        .clone_into(&mut recipe.output.name);
    Ok(recipe)
}

/// The state of converting a file to a graph.
pub(super) struct Reader<'a> {
    model: fb::Model<'a>,
    main: fb::SubGraph<'a>,
    pub graph: Graph,
    /// The values of the file's tensors, as far as they are converted.
    values: Vec<Option<ValueId>>,
}

impl<'a> Reader<'a> {
    fn new(model: fb::Model<'a>) -> Result<Self, TfliteError> {
        let graphs = model.subgraphs();
        let main = match graphs {
            Some(graphs) if graphs.len() == 1 => graphs.get(0),
            _ => return unreadable("it holds no graph, or several"),
        };
        let count = main.tensors().map_or(0, |tensors| tensors.len());
        Ok(Self {
            model,
            main,
            graph: Graph::new("tflite"),
            values: vec![None; count],
        })
    }

    fn graph(mut self) -> Result<Graph, TfliteError> {
        for place in places(self.main.inputs()) {
            let tensor = self.tensor(place)?;
            let shape = lens(tensor)?;
            let name = tensor.name().unwrap_or("input");
            let input = self
                .graph
                .input(name, element(tensor)?, &Dim::all_fixed(&shape));
            self.set(place, input)?;
        }
        for operator in self.main.operators().iter().flatten() {
            let code = self
                .model
                .operator_codes()
                .filter(|codes| (operator.opcode_index() as usize) < codes.len())
                .map(|codes| codes.get(operator.opcode_index() as usize));
            let Some(code) = code else {
                return unreadable("it has an operator without a number");
            };
            // Old writers store the number only in the deprecated field, others in the new one.
            let number = i32::from(code.deprecated_builtin_code()).max(code.builtin_code().0);
            let outputs = places(operator.outputs());
            let [output] = *outputs.as_slice() else {
                return unreadable("it has an operator with several outputs");
            };
            let made = self.operator(
                fb::BuiltinOperator(number),
                operator,
                &places(operator.inputs()),
                output,
            )?;
            let made = self.quantized(made, output)?;
            let wanted = lens(self.tensor(output)?)?;
            if self.graph.lens(made).as_ref() != Some(&wanted) {
                return unreadable(format!(
                    "operator {number} gives {:?} where the file says {wanted:?}",
                    self.graph.lens(made)
                ));
            }
            self.set(output, made)?;
        }
        for place in places(self.main.outputs()) {
            // Floats, even if the model's output is integers.
            let value = self.value(place)?;
            let name = self.tensor(place)?.name().unwrap_or("output").to_owned();
            self.graph.output_as(value, &name);
        }
        Ok(self.graph)
    }

    /// The tensor at an index.
    pub fn tensor(&self, place: i32) -> Result<fb::Tensor<'a>, TfliteError> {
        let tensors = self.main.tensors();
        let place = usize::try_from(place).ok();
        let found = place.and_then(|place| {
            let tensors = tensors.filter(|tensors| place < tensors.len())?;
            Some(tensors.get(place))
        });
        found.map_or_else(
            || unreadable("it refers to a tensor that does not exist"),
            Ok,
        )
    }

    fn set(&mut self, place: i32, value: ValueId) -> Result<(), TfliteError> {
        let slot = usize::try_from(place).ok();
        match slot.and_then(|place| self.values.get_mut(place)) {
            Some(slot) if slot.is_none() => {
                *slot = Some(value);
                Ok(())
            }
            _ => unreadable("it computes a tensor twice"),
        }
    }

    /// The value of a tensor: computed before, or a constant; integers are dequantized.
    pub fn value(&mut self, place: i32) -> Result<ValueId, TfliteError> {
        let stored = self.stored(place)?;
        self.dequantized(stored, place)
    }

    /// The value of a tensor as stored, without dequantization.
    pub fn stored(&mut self, place: i32) -> Result<ValueId, TfliteError> {
        let slot = usize::try_from(place).ok();
        if let Some(Some(known)) = slot.and_then(|place| self.values.get(place)) {
            return Ok(*known);
        }
        let tensor = self.tensor(place)?;
        let Some(contents) = self.contents(tensor)? else {
            return unreadable(format!(
                "it reads “{}” before anything computes it",
                tensor.name().unwrap_or_default()
            ));
        };
        let name = tensor.name().unwrap_or("constant");
        let value = self.graph.constant_named(name, Arc::new(contents));
        self.set(place, value)?;
        Ok(value)
    }

    /// The contents of a constant; `None` for a computed tensor.
    fn contents(&self, tensor: fb::Tensor<'a>) -> Result<Option<Tensor>, TfliteError> {
        let place = tensor.buffer() as usize;
        let buffers = self.model.buffers().filter(|buffers| place < buffers.len());
        let data = buffers.and_then(|buffers| buffers.get(place).data());
        let Some(data) = data
            .map(|data| data.bytes())
            .filter(|data| !data.is_empty())
        else {
            return Ok(None);
        };
        let data: Element = match element(tensor)? {
            ElementType::F32 => numbers(data, f32::from_le_bytes).into(),
            ElementType::F16 => numbers(data, f16::from_le_bytes).into(),
            ElementType::I32 => numbers(data, i32::from_le_bytes).into(),
            ElementType::I64 => numbers(data, i64::from_le_bytes).into(),
            ElementType::U8 => data.to_vec().into(),
            ElementType::I8 => numbers(data, i8::from_le_bytes).into(),
            other => return unreadable(format!("it has constants of the type {other:?}")),
        };
        let contents = Tensor::new(lens(tensor)?, data);
        match contents.checked() {
            Ok(_) => Ok(Some(contents)),
            Err(error) => unreadable(error.to_string()),
        }
    }

    /// The integers of a constant.
    pub fn ints(&mut self, place: i32) -> Result<Vec<i64>, TfliteError> {
        let tensor = self.tensor(place)?;
        match self.contents(tensor)?.map(|contents| contents.data) {
            Some(Element::I32(values)) => Ok(values.into_iter().map(i64::from).collect()),
            Some(Element::I64(values)) => Ok(values),
            _ => unreadable("axes, margins or shapes are not constants"),
        }
    }

    /// The single number in a constant.
    pub fn number(&mut self, place: i32) -> Result<f32, TfliteError> {
        let tensor = self.tensor(place)?;
        match self.contents(tensor)?.map(|contents| contents.data) {
            Some(Element::F32(values)) if values.len() == 1 => Ok(values[0]),
            Some(Element::I8(values)) if values.len() == 1 => {
                let known = self.known(place)?;
                let scale = known.as_ref().and_then(|known| known.scales.first());
                let zero = known.as_ref().and_then(|known| known.zeros.first());
                match (scale, zero) {
                    (Some(scale), Some(zero)) => {
                        let steps = i64::from(values[0]) - zero;
                        Ok(steps as f32 * scale)
                    }
                    _ => unreadable("a margin's value has no scale"),
                }
            }
            _ => unreadable("a margin's value is not a constant"),
        }
    }
}

/// The indices of tensors.
pub(super) fn places(list: Option<flatbuffers::Vector<'_, i32>>) -> Vec<i32> {
    list.map(|list| list.iter().collect()).unwrap_or_default()
}

/// The lengths of a tensor's dimensions.
pub(super) fn lens(tensor: fb::Tensor<'_>) -> Result<Vec<usize>, TfliteError> {
    let shape = tensor.shape();
    let lens: Result<Vec<usize>, _> = shape.iter().flatten().map(usize::try_from).collect();
    tensor_lens(lens.ok()).map_err(TfliteError::Unreadable)
}

/// The type of a tensor's elements.
pub(super) fn element(tensor: fb::Tensor<'_>) -> Result<ElementType, TfliteError> {
    match tensor.type_() {
        fb::TensorType::FLOAT32 => Ok(ElementType::F32),
        fb::TensorType::FLOAT16 => Ok(ElementType::F16),
        fb::TensorType::INT32 => Ok(ElementType::I32),
        fb::TensorType::INT64 => Ok(ElementType::I64),
        fb::TensorType::UINT8 => Ok(ElementType::U8),
        fb::TensorType::INT8 => Ok(ElementType::I8),
        fb::TensorType::BOOL => Ok(ElementType::Bool),
        other => unreadable(format!("it has tensors of the type {}", other.0)),
    }
}

fn numbers<T, const N: usize>(bytes: &[u8], of: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|chunk| of(*chunk)).collect()
}
