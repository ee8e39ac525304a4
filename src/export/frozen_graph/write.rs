//! Writing a graph file.

use std::collections::{HashMap, HashSet};

use prost::Message;

use crate::evaluate::Recipe;
use crate::export::nhwc::{Operator, Program, TensorId, Unwritable, lower};
use crate::graph::Graph;
use crate::onnx::{ElementType, Tensor};

use super::schema::attr_value::Value;
use super::schema::tensor_shape_proto::Dim;
use super::schema::{
    AttrValue, DataType, GraphDef, NodeDef, TensorProto, TensorShapeProto, VersionDef,
};
use super::{FrozenGraphError, RECIPE};

/// The graph version of TensorFlow 1.4: no operation here is newer, and all later readers accept it.
const PRODUCER: i32 = 24;

/// The bytes of a graph file: the network of `graph` for one image at a time. Its input and output have the names in
/// the recipe. Equal graphs give equal bytes.
///
/// # Errors
/// [`FrozenGraphError::Unwritable`] with the first node that cannot be written, before anything is written.
pub fn write(graph: &Graph, recipe: &Recipe) -> Result<Vec<u8>, FrozenGraphError> {
    let program = lower(graph)?;
    let mut writer = Writer {
        program: &program,
        nodes: Vec::with_capacity(4 * program.operators.len()),
        taken: HashSet::new(),
        names: HashMap::new(),
    };
    let recipe_json = serde_json::to_vec(recipe)
        .map_err(|error| FrozenGraphError::Unreadable(error.to_string()))?;
    let given = [
        (&program.inputs, &recipe.input.name),
        (&program.outputs, &recipe.output.name),
    ];
    for (tensors, name) in given {
        for id in tensors {
            let name = writer.free(name);
            writer.names.insert(*id, name);
        }
    }
    for id in &program.inputs {
        writer.placeholder(*id, &recipe_json);
    }
    for operator in &program.operators {
        writer.operator(operator)?;
    }
    let file = GraphDef {
        node: writer.nodes,
        versions: Some(VersionDef {
            producer: PRODUCER,
            min_consumer: 0,
        }),
    };
    Ok(file.encode_to_vec())
}

/// An operation whose first input is the result of the previous one.
pub(super) struct NodeDraft {
    pub op: &'static str,
    /// The inputs after the first.
    pub others: Vec<String>,
    pub attributes: Vec<(&'static str, Value)>,
}

impl NodeDraft {
    pub fn new(op: &'static str, others: &[&str], attributes: Vec<(&'static str, Value)>) -> Self {
        Self {
            op,
            others: others.iter().map(|name| (*name).to_owned()).collect(),
            attributes,
        }
    }
}

pub(super) struct Writer<'a> {
    pub program: &'a Program,
    nodes: Vec<NodeDef>,
    taken: HashSet<String>,
    /// The names of the nodes that compute the program's tensors.
    names: HashMap<TensorId, String>,
}

impl Writer<'_> {
    /// An unused name that the format allows, similar to `wanted`.
    fn free(&mut self, wanted: &str) -> String {
        let mut name: String = wanted
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "._-/".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            name.insert(0, 'n');
        }
        let mut free = name.clone();
        let mut count = 1;
        while !self.taken.insert(free.clone()) {
            free = format!("{name}_{count}");
            count += 1;
        }
        free
    }

    fn placeholder(&mut self, id: TensorId, recipe: &[u8]) {
        let info = self.program.info(id);
        let attributes = vec![
            ("dtype", type_of(info.element)),
            ("shape", Value::Shape(shape(&info.shape))),
            (RECIPE, Value::S(recipe.to_vec())),
        ];
        let name = self.names.get(&id).cloned().unwrap_or_default();
        self.node(name, "Placeholder", Vec::new(), attributes);
    }

    /// Adds a node called `name`.
    pub fn node(
        &mut self,
        name: String,
        op: &str,
        input: Vec<String>,
        attributes: Vec<(&'static str, Value)>,
    ) {
        let attr = attributes.into_iter().map(|(key, value)| {
            let value = AttrValue { value: Some(value) };
            (key.to_owned(), value)
        });
        self.nodes.push(NodeDef {
            name,
            op: op.to_owned(),
            input,
            attr: attr.collect(),
        });
    }

    /// Adds a node with a similar name, and returns that.
    pub fn between(
        &mut self,
        name: &str,
        op: &str,
        input: &[&str],
        attributes: Vec<(&'static str, Value)>,
    ) -> String {
        let name = self.free(name);
        let input = input.iter().map(|name| (*name).to_owned()).collect();
        self.node(name.clone(), op, input, attributes);
        name
    }

    /// Adds a chain of nodes, of which the last is called `name`.
    pub fn chain(&mut self, mut from: String, steps: Vec<NodeDraft>, name: &str) {
        let count = steps.len();
        for (at, step) in steps.into_iter().enumerate() {
            let to = if at + 1 == count {
                name.to_owned()
            } else {
                self.free(&format!("{name}/{}", step.op))
            };
            let mut input = vec![from];
            input.extend(step.others);
            self.node(to.clone(), step.op, input, step.attributes);
            from = to;
        }
    }

    /// The name of the node of a tensor; a constant is added first.
    pub fn tensor(&mut self, id: TensorId) -> String {
        if let Some(known) = self.names.get(&id) {
            return known.clone();
        }
        let info = self.program.info(id);
        let name = match &info.contents {
            Some(contents) => self.constant(&info.name, contents),
            None => self.free(&info.name),
        };
        self.names.insert(id, name.clone());
        name
    }

    /// Adds a constant with a similar name, and returns that.
    pub fn constant(&mut self, name: &str, tensor: &Tensor) -> String {
        let element = tensor.data.element_type();
        let tensor_content = tensor.data.to_le_bytes();
        let proto = TensorProto {
            dtype: data_type(element) as i32,
            tensor_shape: Some(shape(&tensor.shape)),
            tensor_content,
            ..TensorProto::default()
        };
        let attributes = vec![("dtype", type_of(element)), ("value", Value::Tensor(proto))];
        self.between(name, "Const", &[], attributes)
    }

    /// Adds a constant of 32-bit integers, such as axes, widths or shapes.
    pub fn ints(&mut self, name: &str, shape: &[usize], values: &[usize]) -> String {
        let index = |value: &usize| i32::try_from(*value).unwrap_or(i32::MAX);
        let values: Vec<i32> = values.iter().map(index).collect();
        self.constant(name, &Tensor::new(shape, values))
    }

    /// The error that a convolution cannot be written, and why.
    pub fn refuse<T>(&self, operator: &Operator, reason: &str) -> Result<T, FrozenGraphError> {
        Err(FrozenGraphError::Unwritable(Unwritable {
            node: self.program.info(operator.output).name.clone(),
            operator: "Conv".to_owned(),
            reason: reason.to_owned(),
        }))
    }
}

fn data_type(element: ElementType) -> DataType {
    match element {
        ElementType::U8 => DataType::DtUint8,
        ElementType::I32 => DataType::DtInt32,
        _ => DataType::DtFloat,
    }
}

/// The type of elements as an attribute.
pub(super) fn type_of(element: ElementType) -> Value {
    Value::Type(data_type(element) as i32)
}

fn shape(lens: &[usize]) -> TensorShapeProto {
    let dim = |len: &usize| Dim { size: *len as i64 };
    TensorShapeProto {
        dim: lens.iter().map(dim).collect(),
        unknown_rank: false,
    }
}
