//! Reads a package: from the bytes of its files to a graph that ONNX Runtime runs.
//!
//! Every MIL operation is converted to ONNX operators, and its result must have the type and shape that the program
//! declares. The input of the graph is an image as interleaved bytes, which Core ML itself converts to planes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use half::f16;
use prost::Message;

use crate::evaluate::{InputKind, Recipe};
use crate::export::open::tensor_lens;
use crate::export::{ModelFile, RECIPE_KEY};
use crate::graph::{Dim, Graph, ValueId};
use crate::onnx::{Element, ElementType, Tensor};

use super::schema::argument::binding::Binding as Bound;
use super::schema::feature_type::Type as Feature;
use super::schema::image_feature_type::ColorSpace;
use super::schema::model::Type as Kind;
use super::schema::tensor_value::Value as Numbers;
use super::schema::value::Value as Where;
use super::schema::value::immediate_value::Value as Immediate;
use super::schema::value_type::Type;
use super::schema::{
    Argument, Block, DataType, Function, Model, ModelDescription, Operation, TensorType, Value,
    ValueType, dimension,
};
use super::{CoreMlError, blobs, package};

/// The versions of the format whose operators are supported.
const VERSIONS: std::ops::RangeInclusive<i32> = 6..=8;

/// The network of a package, from the image to the probabilities, with its recipe as metadata; labels and size are
/// taken from the program.
///
/// # Errors
/// [`CoreMlError::Unreadable`] for files that are damaged, use an unsupported operation, or lack the metadata that
/// [`write()`](super::write()) adds to every model.
pub fn read(files: &[ModelFile]) -> Result<(Graph, Recipe), CoreMlError> {
    let package = package::open(files).map_err(CoreMlError::Unreadable)?;
    let model = match Model::decode(package.model) {
        Ok(model) => model,
        Err(error) => return unreadable(format!("its model is damaged ({error})")),
    };
    if !VERSIONS.contains(&model.specification_version) {
        return unreadable(format!(
            "it has version {} of the format, which is not supported",
            model.specification_version
        ));
    }
    let (Some(Kind::MlProgram(program)), Some(description)) = (&model.r#type, &model.description)
    else {
        return unreadable("it is not an ML Program");
    };
    let Some(main) = program.functions.get("main") else {
        return unreadable("its program has no function “main”");
    };
    let declared = description.metadata.as_ref();
    let Some(json) = declared.and_then(|declared| declared.user_defined.get(RECIPE_KEY)) else {
        return unreadable("it does not describe its preprocessing; Salamander did not export it");
    };
    let mut recipe: Recipe = match serde_json::from_str(json) {
        Ok(recipe) => recipe,
        Err(error) => return unreadable(format!("its preprocessing cannot be read ({error})")),
    };
    let side = recipe.preprocessing.resolution_px;
    let input = image(description, side)?;
    if recipe.input.kind != InputKind::Uint8Nhwc {
        return unreadable("its preprocessing is not for images");
    }
    let reader = Reader {
        graph: Graph::new("core ml"),
        weights: package.weights,
        values: HashMap::new(),
        constants: HashMap::new(),
        labels: Vec::new(),
    };
    let (mut graph, labels) = reader.function(main, &input, description, &recipe.output.name)?;
    recipe.labels = labels;
    recipe.input.name = input;
    let json = serde_json::to_string(&recipe)
        .map_err(|error| CoreMlError::Unreadable(error.to_string()))?;
    graph.set_metadata(RECIPE_KEY, &json);
    Ok((graph, recipe))
}

/// The name of the input, which must be an RGB image of `side` × `side` pixels.
fn image(description: &ModelDescription, side: u32) -> Result<String, CoreMlError> {
    let [input] = description.input.as_slice() else {
        return unreadable("it has no input, or several");
    };
    let Some(Feature::ImageType(image)) = input.r#type.and_then(|kind| kind.r#type) else {
        return unreadable("its input is not an image");
    };
    if image.color_space != ColorSpace::Rgb as i32 {
        return unreadable("its input is not an RGB image");
    }
    if [image.width, image.height] != [i64::from(side); 2] {
        return unreadable(format!(
            "its image is {} × {} pixels, but its preprocessing gives {side} × {side}",
            image.width, image.height
        ));
    }
    Ok(input.name.clone())
}

pub(super) fn unreadable<T>(reason: impl Into<String>) -> Result<T, CoreMlError> {
    Err(CoreMlError::Unreadable(reason.into()))
}

/// The state of converting a program to a graph.
pub(super) struct Reader<'a> {
    pub graph: Graph,
    weights: &'a [u8],
    /// The values for the program's names, as far as they are converted.
    values: HashMap<String, ValueId>,
    /// Constants: integers, flags and strings, which only parameterise operations, and floats.
    constants: HashMap<String, Constant>,
    labels: Vec<String>,
}

/// The contents of a constant.
#[derive(Debug, Clone)]
pub(super) enum Constant {
    Tensor(Arc<Tensor>),
    Ints(Vec<i64>),
    Flags(Vec<bool>),
    Text(String),
}

impl Reader<'_> {
    fn function(
        mut self,
        main: &Function,
        image: &str,
        description: &ModelDescription,
        output: &str,
    ) -> Result<(Graph, Vec<String>), CoreMlError> {
        let [input] = main.inputs.as_slice() else {
            return unreadable("its program has no input, or several");
        };
        let (element, lens) = type_of(input.r#type.as_ref())?;
        let (&[1, 3, height, width], ElementType::F32) = (lens.as_slice(), element) else {
            return unreadable("its program does not take the planes of an RGB image");
        };
        if input.name != image {
            return unreadable("its program has a different input than its description");
        }
        // Core ML converts the image to planes.
        let lens = Dim::all_fixed(&[1, height, width, 3]);
        let bytes = self.graph.input(image, ElementType::U8, &lens);
        let planes = self.graph.transpose(bytes, &[0, 3, 1, 2]);
        let planes = self.graph.cast(planes, ElementType::F32);
        self.values.insert(input.name.clone(), planes);
        let Some(block) = main.block_specializations.get(&main.opset) else {
            return unreadable("its program is empty");
        };
        let probabilities = self.block(block, description)?;
        self.graph.output_as(probabilities, output);
        Ok((self.graph, self.labels))
    }

    /// Converts all operations, and returns the probabilities.
    fn block(
        &mut self,
        block: &Block,
        description: &ModelDescription,
    ) -> Result<ValueId, CoreMlError> {
        let mut probabilities = None;
        for operation in &block.operations {
            match operation.r#type.as_str() {
                "const" => self.constant(operation)?,
                "classify" => {
                    let names = operation.outputs.iter().map(|output| &output.name);
                    let declared = [
                        &description.predicted_feature_name,
                        &description.predicted_probabilities_name,
                    ];
                    if !names.clone().eq(declared) || !block.outputs.iter().eq(declared) {
                        return unreadable("its outputs are not those of its description");
                    }
                    probabilities = Some(self.classify(operation)?);
                }
                _ => {
                    let made = self.operation(operation)?;
                    let [output] = operation.outputs.as_slice() else {
                        return unreadable("it has an operation with several outputs");
                    };
                    let (element, lens) = type_of(output.r#type.as_ref())?;
                    let found = (self.graph.element(made), self.graph.lens(made));
                    if found != (Some(element), Some(lens.clone())) {
                        return unreadable(format!(
                            "“{}” ({}) gives {found:?} where the program says {element:?} {lens:?}",
                            output.name, operation.r#type
                        ));
                    }
                    self.set(&output.name, made)?;
                }
            }
        }
        match probabilities {
            Some(probabilities) => Ok(probabilities),
            None => unreadable("it is not a classifier"),
        }
    }

    fn set(&mut self, name: &str, value: ValueId) -> Result<(), CoreMlError> {
        let is_new = self.values.insert(name.to_owned(), value).is_none();
        if is_new && !self.constants.contains_key(name) {
            return Ok(());
        }
        unreadable(format!("it computes “{name}” twice"))
    }

    fn constant(&mut self, operation: &Operation) -> Result<(), CoreMlError> {
        let ([output], Some(value)) = (
            operation.outputs.as_slice(),
            operation.attributes.get("val"),
        ) else {
            return unreadable("it has an empty constant");
        };
        let constant = self.contents(value)?;
        if self
            .constants
            .insert(output.name.clone(), constant)
            .is_some()
        {
            return unreadable(format!("it has the constant “{}” twice", output.name));
        }
        Ok(())
    }

    fn contents(&self, value: &Value) -> Result<Constant, CoreMlError> {
        let Some(Type::TensorType(tensor)) = value.r#type.as_ref().and_then(|t| t.r#type.as_ref())
        else {
            return unreadable("it has a constant that is not a tensor");
        };
        let lens = lens(tensor)?;
        let floats = |data: Element| {
            let is_meant = value_element(tensor) == Some(data.element_type());
            let contents = Tensor::new(lens.clone(), data);
            if !is_meant || contents.checked().is_err() {
                return unreadable("a constant has a different size or type than declared");
            }
            Ok(Constant::Tensor(Arc::new(contents)))
        };
        match &value.value {
            Some(Where::BlobFileValue(place)) => {
                let is_known = place.file_name.ends_with("/weights/weight.bin");
                if !is_known {
                    return unreadable(format!("its weights are in “{}”", place.file_name));
                }
                match blobs::find(self.weights, place.offset) {
                    Ok(data) => floats(data),
                    Err(reason) => unreadable(reason),
                }
            }
            Some(Where::ImmediateValue(value)) => {
                let Some(Immediate::Tensor(tensor)) = &value.value else {
                    return unreadable("it has a constant that is not a tensor");
                };
                match &tensor.value {
                    Some(Numbers::Floats(floats_)) => floats(floats_.values.clone().into()),
                    Some(Numbers::Bytes(bytes)) => {
                        let (chunks, _) = bytes.values.as_chunks::<2>();
                        let values = chunks.iter().map(|chunk| f16::from_le_bytes(*chunk));
                        floats(values.collect::<Vec<_>>().into())
                    }
                    Some(Numbers::Ints(ints)) => {
                        let values = ints.values.iter().map(|value| i64::from(*value));
                        Ok(Constant::Ints(values.collect()))
                    }
                    Some(Numbers::Bools(bools)) => Ok(Constant::Flags(bools.values.clone())),
                    Some(Numbers::Strings(texts)) => match texts.values.as_slice() {
                        [text] => Ok(Constant::Text(text.clone())),
                        _ => unreadable("it has a constant of several texts"),
                    },
                    None => unreadable("it has an empty constant"),
                }
            }
            None => unreadable("it has an empty constant"),
        }
    }

    fn classify(&mut self, operation: &Operation) -> Result<ValueId, CoreMlError> {
        let probabilities = self.value(operation, "probabilities")?;
        let classes = operation.inputs.get("classes").map(bindings).transpose()?;
        let Some([Bound::Value(classes)]) = classes.as_deref() else {
            return unreadable("its classes are not a list");
        };
        let Some(Where::ImmediateValue(list)) = &classes.value else {
            return unreadable("its classes are not a list");
        };
        let Some(Immediate::List(list)) = &list.value else {
            return unreadable("its classes are not a list");
        };
        for label in &list.values {
            match self.contents(label)? {
                Constant::Text(label) => self.labels.push(label),
                _ => return unreadable("its classes are not texts"),
            }
        }
        let lens = self.graph.lens(probabilities);
        if lens != Some(vec![1, self.labels.len()]) {
            return unreadable(format!(
                "it has {} labels for the output {lens:?}",
                self.labels.len()
            ));
        }
        Ok(probabilities)
    }

    /// An argument of an operation: a computed value, or a constant of floats.
    pub fn value(&mut self, operation: &Operation, key: &str) -> Result<ValueId, CoreMlError> {
        match name_of(operation, key)? {
            Some(name) => self.named(name),
            None => unreadable(format!("“{}” has no {key}", operation.r#type)),
        }
    }

    fn named(&mut self, name: &str) -> Result<ValueId, CoreMlError> {
        if let Some(known) = self.values.get(name) {
            return Ok(*known);
        }
        let Some(Constant::Tensor(tensor)) = self.constants.get(name) else {
            return unreadable(format!("it reads “{name}” before anything computes it"));
        };
        let value = self.graph.constant(Arc::clone(tensor));
        self.values.insert(name.to_owned(), value);
        Ok(value)
    }

    /// All values of an argument of an operation.
    pub fn values(
        &mut self,
        operation: &Operation,
        key: &str,
    ) -> Result<Vec<ValueId>, CoreMlError> {
        let Some(argument) = operation.inputs.get(key) else {
            return unreadable(format!("“{}” has no {key}", operation.r#type));
        };
        let mut values = Vec::with_capacity(argument.arguments.len());
        for binding in bindings(argument)? {
            match binding {
                Bound::Name(name) => values.push(self.named(name)?),
                Bound::Value(_) => return unreadable(format!("{key} is a constant")),
            }
        }
        Ok(values)
    }

    /// The constant that is an argument of an operation, if it is given.
    pub fn given(&self, operation: &Operation, key: &str) -> Result<Option<Constant>, CoreMlError> {
        let Some(name) = name_of(operation, key)? else {
            return Ok(None);
        };
        match self.constants.get(name) {
            Some(constant) => Ok(Some(constant.clone())),
            None => unreadable(format!("{key} of “{}” is not a constant", operation.r#type)),
        }
    }
}

/// The name that is an argument of an operation, if it is given.
fn name_of<'b>(operation: &'b Operation, key: &str) -> Result<Option<&'b str>, CoreMlError> {
    let Some(argument) = operation.inputs.get(key) else {
        return Ok(None);
    };
    match bindings(argument)?.as_slice() {
        [Bound::Name(name)] => Ok(Some(name)),
        _ => unreadable(format!("{key} of “{}” is not one value", operation.r#type)),
    }
}

fn bindings(argument: &Argument) -> Result<Vec<&Bound>, CoreMlError> {
    let bound = argument.arguments.iter().map(|one| one.binding.as_ref());
    match bound.collect() {
        Some(bound) => Ok(bound),
        None => unreadable("an operation reads nothing"),
    }
}

/// The type and shape that the program declares.
fn type_of(declared: Option<&ValueType>) -> Result<(ElementType, Vec<usize>), CoreMlError> {
    let Some(Type::TensorType(tensor)) = declared.and_then(|declared| declared.r#type.as_ref())
    else {
        return unreadable("a value is not a tensor");
    };
    match value_element(tensor) {
        Some(element) => Ok((element, lens(tensor)?)),
        None => unreadable(format!(
            "a value has the unsupported type {}",
            tensor.data_type
        )),
    }
}

fn value_element(tensor: &TensorType) -> Option<ElementType> {
    match DataType::try_from(tensor.data_type).ok()? {
        DataType::Float16 => Some(ElementType::F16),
        DataType::Float32 => Some(ElementType::F32),
        DataType::Int32 => Some(ElementType::I32),
        DataType::Bool => Some(ElementType::Bool),
        _ => None,
    }
}

fn lens(tensor: &TensorType) -> Result<Vec<usize>, CoreMlError> {
    let size = |dim: &super::schema::Dimension| match &dim.dimension {
        Some(dimension::Dimension::Constant(constant)) => usize::try_from(constant.size).ok(),
        None => None,
    };
    let lens: Option<Vec<usize>> = tensor.dimensions.iter().map(size).collect();
    let lens = lens.filter(|lens| lens.len() as i64 == tensor.rank);
    tensor_lens(lens).map_err(CoreMlError::Unreadable)
}

/// The parameters that are given to an operation.
pub(super) fn keys(operation: &Operation) -> impl Iterator<Item = &str> {
    let inputs: &BTreeMap<_, _> = &operation.inputs;
    inputs.keys().map(String::as_str)
}
