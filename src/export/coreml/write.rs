//! Writing a model.

use std::collections::{HashMap, HashSet};

use half::f16;
use prost::Message;

use crate::export::ModelFile;
use crate::export::nhwc::{Unwritable, prepared};
use crate::graph::{Graph, GraphError, Node, ValueId};
use crate::onnx::{Element, ElementType};

use super::blobs::Blobs;
use super::schema::argument::{Binding, binding::Binding as Bound};
use super::schema::dictionary_feature_type::KeyType;
use super::schema::feature_type::Type as Feature;
use super::schema::image_feature_type::ColorSpace;
use super::schema::model::Type as Kind;
use super::schema::value_type::Type;
use super::schema::{
    Argument, Block, DataType, DictionaryFeatureType, DictionaryType, FeatureDescription,
    FeatureType, Function, ImageFeatureType, Metadata, Model, ModelDescription, NamedValueType,
    Operation, Program, StringFeatureType, Value, ValueType,
};
use super::{
    About, CLASS, CoreMlError, OPERATORS, PROBABILITIES, SPECIFICATION_VERSION, WEIGHTS, package,
    values,
};

/// Smaller tensors of floats are stored in the program itself.
const FEWEST_IN_FILE: usize = 10;
/// The most dimensions of a tensor.
const MOST_DIMENSIONS: usize = 5;

/// The files of a model in the folder `name`: the network of `graph` for one image at a time. Its input is an RGB
/// image (bytes `[N, S, S, 3]`, or planes f32 `[N, 3, S, S]` with values 0..=255), its output one probability for each
/// label. Equal graphs give equal bytes. Operators compute in the types of the graph.
///
/// # Errors
/// [`CoreMlError::Unwritable`] with the first node that cannot be written, before anything is written.
pub fn write(name: &str, graph: &Graph, about: &About) -> Result<Vec<ModelFile>, CoreMlError> {
    let graph = prepared(graph)?;
    let mut writer = Writer {
        graph: &graph,
        operations: Vec::new(),
        blobs: Blobs::new(),
        taken: HashSet::from([CLASS.to_owned(), PROBABILITIES.to_owned()]),
        names: HashMap::new(),
        bytes: None,
        image: String::new(),
    };
    let input = writer.image(&about.recipe.input.name)?;
    let side = about.recipe.preprocessing.resolution_px;
    for node in graph.nodes() {
        writer.node(node)?;
    }
    writer.classify(&about.recipe.labels)?;
    let block = Block {
        outputs: vec![CLASS.into(), PROBABILITIES.into()],
        operations: writer.operations,
    };
    let size = input_side(&input).unwrap_or([i64::from(side); 2]);
    let function = Function {
        inputs: vec![input],
        opset: OPERATORS.into(),
        block_specializations: [(OPERATORS.to_owned(), block)].into(),
    };
    let program = Program {
        version: 1,
        functions: [("main".to_owned(), function)].into(),
    };
    let model = Model {
        specification_version: SPECIFICATION_VERSION,
        description: Some(description(about, size)),
        r#type: Some(Kind::MlProgram(program)),
    };
    Ok(package::files(
        name,
        model.encode_to_vec(),
        writer.blobs.finish(),
    ))
}

/// The network with weights and operators in fp16, as [`write()`] takes it. Batch normalisation is folded before
/// rounding.
///
/// # Errors
/// [`GraphError`] if a weight is out of the range of fp16, or an operator is not known to work in fp16.
pub fn halved(graph: &Graph) -> Result<Graph, GraphError> {
    prepared(graph)?.to_half()
}

fn input_side(input: &NamedValueType) -> Option<[i64; 2]> {
    let Some(Type::TensorType(tensor)) = input.r#type.as_ref()?.r#type.as_ref() else {
        return None;
    };
    let size = |at: usize| -> Option<i64> {
        let super::schema::dimension::Dimension::Constant(constant) =
            tensor.dimensions.get(at)?.dimension.as_ref()?;
        i64::try_from(constant.size).ok()
    };
    Some([size(2)?, size(3)?])
}

fn description(about: &About, [height, width]: [i64; 2]) -> ModelDescription {
    let feature = |name: &str, says: &str, kind| FeatureDescription {
        name: name.to_owned(),
        short_description: says.to_owned(),
        r#type: Some(FeatureType { r#type: Some(kind) }),
    };
    let image = Feature::ImageType(ImageFeatureType {
        width,
        height,
        color_space: ColorSpace::Rgb as i32,
    });
    let probabilities = Feature::DictionaryType(DictionaryFeatureType {
        key_type: Some(KeyType::StringKeyType(StringFeatureType {})),
    });
    let input = &about.recipe.input.name;
    ModelDescription {
        metadata: Some(Metadata {
            short_description: about.description.clone(),
            version_string: about.version.clone(),
            author: about.author.clone(),
            license: about.licence.clone(),
            user_defined: about.more.clone(),
        }),
        input: vec![feature(
            input,
            "The image, cropped and resized, not normalised.",
            image,
        )],
        output: vec![
            feature(
                CLASS,
                "The most probable class.",
                Feature::StringType(StringFeatureType {}),
            ),
            feature(
                PROBABILITIES,
                "The probability of each class.",
                probabilities,
            ),
        ],
        predicted_feature_name: CLASS.into(),
        predicted_probabilities_name: PROBABILITIES.into(),
    }
}

/// An argument of an operation.
pub(super) enum Arg {
    /// A value of the program.
    Name(String),
    /// Several values.
    Names(Vec<String>),
    /// A constant, which gets its own operation.
    Const(Value),
}

/// A result of an operation.
#[derive(Clone)]
pub(super) struct Output {
    pub name: String,
    pub lens: Vec<usize>,
    pub element: ElementType,
    data_type: DataType,
}

pub(super) struct Writer<'a> {
    pub graph: &'a Graph,
    operations: Vec<Operation>,
    blobs: Blobs,
    taken: HashSet<String>,
    /// The names in the program of the graph's values that are written so far.
    names: HashMap<ValueId, String>,
    /// The image as interleaved bytes, which do not exist in the program.
    bytes: Option<ValueId>,
    /// The name of the image.
    image: String,
}

impl Writer<'_> {
    /// The error that `node` cannot be written, and why.
    pub fn refuse<T>(&self, node: &Node, reason: impl Into<String>) -> Result<T, CoreMlError> {
        let operator = node.op.op_type();
        unwritable(self.graph.name_of_node(node), operator, reason)
    }

    /// An unused name that the format allows, similar to `wanted`.
    fn free(&mut self, wanted: &str) -> String {
        let mut name: String = wanted
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            name.insert(0, '_');
        }
        let mut free = name.clone();
        let mut count = 1;
        while !self.taken.insert(free.clone()) {
            free = format!("{name}_{count}");
            count += 1;
        }
        free
    }

    /// Adds the input: planes with values 0..=255, whatever order the graph has.
    fn image(&mut self, name: &str) -> Result<NamedValueType, CoreMlError> {
        let refuse = |reason: &str| unwritable(name, "input", reason);
        let [image] = *self.graph.inputs() else {
            return refuse("is not the only input");
        };
        let lens = self.graph.lens(image).unwrap_or_default();
        let name = self.free(name);
        self.image.clone_from(&name);
        let planar = match (self.graph.element(image), lens.as_slice()) {
            (Some(ElementType::U8), &[1, height, width, 3]) => {
                self.bytes = Some(image);
                [1, 3, height, width]
            }
            (Some(ElementType::F32), &[1, 3, height, width]) => {
                self.names.insert(image, name.clone());
                [1, 3, height, width]
            }
            _ => return refuse("is not one RGB image of known size"),
        };
        Ok(NamedValueType {
            name,
            r#type: Some(values::tensor_type(DataType::Float32, &planar)),
        })
    }

    /// Whether a value is the image as interleaved bytes.
    pub fn is_image(&self, value: ValueId) -> bool {
        self.bytes == Some(value)
    }

    /// Records that a value is the image as planes, of bytes in the graph and of floats in the program.
    pub fn set_planes(&mut self, value: ValueId) {
        self.names.insert(value, self.image.clone());
    }

    /// An input of a node that must be present.
    pub fn input(&self, node: &Node, at: usize) -> Result<ValueId, CoreMlError> {
        match node.input(at) {
            Some(value) => Ok(value),
            None => self.refuse(node, format!("has no input {at}")),
        }
    }

    /// The lengths of a value's dimensions.
    pub fn lens(&self, node: &Node, value: ValueId) -> Result<Vec<usize>, CoreMlError> {
        match self.graph.lens(value) {
            Some(lens) => Ok(lens),
            None => self.refuse(
                node,
                format!(
                    "works on “{}”, whose size depends on more than the size of the image",
                    self.graph.name_of(value)
                ),
            ),
        }
    }

    /// The floats of an input that must be a constant, converted to fp32 if they are fp16.
    pub fn floats(&self, node: &Node, at: usize) -> Result<(Vec<usize>, Vec<f32>), CoreMlError> {
        let value = self.input(node, at)?;
        let tensor = self.graph.constant_of(value);
        let values = match tensor.map(|tensor| &tensor.data) {
            Some(Element::F32(values)) => values.clone(),
            Some(Element::F16(values)) => values.iter().copied().map(f16::to_f32).collect(),
            _ => {
                return self.refuse(
                    node,
                    format!(
                        "takes input {at} from another node; only constants can be written there"
                    ),
                );
            }
        };
        Ok((
            tensor
                .map(|tensor| tensor.shape.clone())
                .unwrap_or_default(),
            values,
        ))
    }

    /// The only output of a node, named so that other nodes find it.
    pub fn output(&mut self, node: &Node) -> Result<Output, CoreMlError> {
        let others = node.outputs.iter().skip(1).flatten();
        for other in others {
            if self.graph.consumers(*other).next().is_some() || self.graph.outputs().contains(other)
            {
                return self.refuse(node, "has a second output that is used");
            }
        }
        match node.output() {
            Some(value) => self.output_of(node, value),
            None => self.refuse(node, "has no output"),
        }
    }

    /// One of several outputs of a node.
    pub fn output_of(&mut self, node: &Node, value: ValueId) -> Result<Output, CoreMlError> {
        let lens = self.lens(node, value)?;
        if lens.len() > MOST_DIMENSIONS {
            return self.refuse(
                node,
                format!("has {} dimensions; the limit is 5", lens.len()),
            );
        }
        let Some(element) = self.graph.element(value) else {
            return self.refuse(node, "gives values of an unknown type");
        };
        let Some(data_type) = values::data_type(element) else {
            return self.refuse(node, format!("gives values of the type {element:?}"));
        };
        let name = self.free(self.graph.name_of(value));
        self.names.insert(value, name.clone());
        Ok(Output {
            name,
            lens,
            element,
            data_type,
        })
    }

    /// An intermediate value with the type and shape of `like`.
    pub fn between(&mut self, like: &Output, what: &str) -> Output {
        let name = self.free(&format!("{}_{what}", like.name));
        Output {
            name,
            ..like.clone()
        }
    }

    /// Makes one value an alias of another.
    pub fn alias(&mut self, node: &Node, from: ValueId, to: ValueId) -> Result<(), CoreMlError> {
        let name = self.name(node, from)?;
        self.names.insert(to, name);
        Ok(())
    }

    /// The name of a value in the program; a constant is added first.
    pub fn name(&mut self, node: &Node, value: ValueId) -> Result<String, CoreMlError> {
        if let Some(known) = self.names.get(&value) {
            return Ok(known.clone());
        }
        if self.is_image(value) {
            return self.refuse(node, "works on bytes of the image that are not in planes");
        }
        let called = self.graph.name_of(value).to_owned();
        let Some(tensor) = self.graph.constant_of(value) else {
            return self.refuse(node, format!("reads “{called}”, which nothing computes"));
        };
        let Some(name) = self.constant(&called, &tensor.shape, &tensor.data) else {
            let element = tensor.data.element_type();
            return self.refuse(node, format!("reads constants of the type {element:?}"));
        };
        self.names.insert(value, name.clone());
        Ok(name)
    }

    /// An input of a node as an argument.
    pub fn arg(&mut self, node: &Node, at: usize) -> Result<Arg, CoreMlError> {
        let value = self.input(node, at)?;
        Ok(Arg::Name(self.name(node, value)?))
    }

    /// Adds a constant of floats; `None` for other element types.
    pub fn constant(&mut self, wanted: &str, lens: &[usize], data: &Element) -> Option<String> {
        let data_type = values::data_type(data.element_type())?;
        let value = if data.len() < FEWEST_IN_FILE {
            values::floats(data, lens)?
        } else {
            let offset = self.blobs.add(data)?;
            values::in_file(data_type, lens, WEIGHTS, offset)
        };
        Some(self.constant_value(wanted, value))
    }

    fn constant_value(&mut self, wanted: &str, value: Value) -> String {
        let name = self.free(wanted);
        let kind = value.r#type.clone();
        self.operations.push(Operation {
            r#type: "const".into(),
            outputs: vec![NamedValueType {
                name: name.clone(),
                r#type: kind,
            }],
            attributes: [
                ("name".to_owned(), values::text(&name)),
                ("val".to_owned(), value),
            ]
            .into(),
            ..Operation::default()
        });
        name
    }

    /// Adds an operation, and returns its result as an argument for others.
    pub fn emit(&mut self, op: &str, args: Vec<(&str, Arg)>, to: &Output) -> Arg {
        let mut inputs = Vec::with_capacity(args.len());
        for (key, arg) in args {
            let names = match arg {
                Arg::Name(name) => vec![name],
                Arg::Names(names) => names,
                Arg::Const(value) => {
                    vec![self.constant_value(&format!("{}_{key}", to.name), value)]
                }
            };
            let binding = |name| Binding {
                binding: Some(Bound::Name(name)),
            };
            let arguments = names.into_iter().map(binding).collect();
            inputs.push((key.to_owned(), Argument { arguments }));
        }
        self.operations.push(Operation {
            r#type: op.to_owned(),
            inputs: inputs.into_iter().collect(),
            outputs: vec![NamedValueType {
                name: to.name.clone(),
                r#type: Some(values::tensor_type(to.data_type, &to.lens)),
            }],
            attributes: [("name".to_owned(), values::text(&to.name))].into(),
        });
        Arg::Name(to.name.clone())
    }

    /// Adds the outputs: the most probable class, and a dictionary of all probabilities.
    fn classify(&mut self, labels: &[String]) -> Result<(), CoreMlError> {
        let refuse = |reason: String| unwritable("output", "graph", reason);
        let [output] = *self.graph.outputs() else {
            return refuse("is not the only one".into());
        };
        let lens = self.graph.lens(output).unwrap_or_default();
        if lens != [1, labels.len()] {
            return refuse(format!(
                "has the shape {lens:?} for {} labels",
                labels.len()
            ));
        }
        let Some(probabilities) = self.names.get(&output).cloned() else {
            return refuse("is not computed".into());
        };
        let bound = |binding| Argument {
            arguments: vec![Binding {
                binding: Some(binding),
            }],
        };
        let single = |data_type| Box::new(values::tensor_type(data_type, &[]));
        let dictionary = ValueType {
            r#type: Some(Type::DictionaryType(Box::new(DictionaryType {
                key_type: Some(single(DataType::String)),
                value_type: Some(single(DataType::Float64)),
            }))),
        };
        self.operations.push(Operation {
            r#type: "classify".into(),
            inputs: [
                (
                    "probabilities".to_owned(),
                    bound(Bound::Name(probabilities)),
                ),
                (
                    "classes".to_owned(),
                    bound(Bound::Value(values::texts(labels))),
                ),
            ]
            .into(),
            outputs: vec![
                NamedValueType {
                    name: CLASS.into(),
                    r#type: Some(values::tensor_type(DataType::String, &[])),
                },
                NamedValueType {
                    name: PROBABILITIES.into(),
                    r#type: Some(dictionary),
                },
            ],
            attributes: [("name".to_owned(), values::text("classify"))].into(),
        });
        Ok(())
    }
}

/// A scalar of the type that an operation computes in.
pub(super) fn number(like: &Output, value: f32) -> Arg {
    let data: Element = match like.element {
        ElementType::F16 => vec![f16::from_f32(value)].into(),
        _ => vec![value].into(),
    };
    // Floats always have a value.
    Arg::Const(values::floats(&data, &[]).unwrap_or_default())
}

fn unwritable<T>(node: &str, operator: &str, reason: impl Into<String>) -> Result<T, CoreMlError> {
    Err(CoreMlError::Unwritable(Unwritable {
        node: node.to_owned(),
        operator: operator.to_owned(),
        reason: reason.into(),
    }))
}
