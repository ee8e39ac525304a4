//! A TensorFlow `SavedModel` with a frozen graph and the signature that `retrain.py` wrote. The weights are constants
//! of the graph, so there are no variables.

use prost::Message;

use super::FrozenGraphError;
use super::schema::attr_value::Value;
use super::schema::meta_graph_def::MetaInfoDef;
use super::schema::tensor_info::Encoding;
use super::schema::tensor_shape_proto::Dim;
use super::schema::{
    DataType, GraphDef, MetaGraphDef, SavedModel, SignatureDef, TensorInfo, TensorShapeProto,
};

/// The version of the format, `SAVED_MODEL_SCHEMA_VERSION`.
const SCHEMA_VERSION: i64 = 1;
/// The tag and the signature that servers request, and the signature's method.
const SERVE: &str = "serve";
const SIGNATURE: &str = "serving_default";
const PREDICT: &str = "tensorflow/serving/predict";
/// The names of the argument and the result, as in `retrain.py`.
const IMAGE: &str = "image";
const PREDICTION: &str = "prediction";

/// The contents of `saved_model.pb` for the bytes of a frozen graph whose output node, one of `classes`, is called
/// `output`.
///
/// # Errors
/// [`FrozenGraphError::Unreadable`] for a graph whose input has no known shape.
pub(super) fn around(
    graph: &[u8],
    output: &str,
    classes: usize,
) -> Result<Vec<u8>, FrozenGraphError> {
    let graph =
        GraphDef::decode(graph).map_err(|error| FrozenGraphError::Unreadable(error.to_string()))?;
    let nodes = graph.node.iter();
    let input = nodes.clone().find(|node| node.op == "Placeholder");
    let input = input.and_then(|node| {
        let of = |key: &str| node.attr.get(key).and_then(|attr| attr.value.clone());
        match (of("dtype")?, of("shape")?) {
            (Value::Type(dtype), Value::Shape(shape)) => Some(tensor(&node.name, dtype, shape)),
            _ => None,
        }
    });
    let Some(input) = input else {
        return Err(FrozenGraphError::Unreadable("it has no input".to_owned()));
    };
    let dim = |len: usize| Dim { size: len as i64 };
    let shape = TensorShapeProto {
        dim: vec![dim(1), dim(classes)],
        unknown_rank: false,
    };
    let signature = SignatureDef {
        inputs: [(IMAGE.to_owned(), input)].into(),
        outputs: [(
            PREDICTION.to_owned(),
            tensor(output, DataType::DtFloat as i32, shape),
        )]
        .into(),
        method_name: PREDICT.to_owned(),
    };
    let model = SavedModel {
        saved_model_schema_version: SCHEMA_VERSION,
        meta_graphs: vec![MetaGraphDef {
            meta_info_def: Some(MetaInfoDef {
                meta_graph_version: String::new(),
                tags: vec![SERVE.to_owned()],
            }),
            graph_def: Some(graph),
            signature_def: [(SIGNATURE.to_owned(), signature)].into(),
        }],
    };
    Ok(model.encode_to_vec())
}

/// The first output of a node.
fn tensor(node: &str, dtype: i32, shape: TensorShapeProto) -> TensorInfo {
    TensorInfo {
        dtype,
        tensor_shape: Some(shape),
        encoding: Some(Encoding::Name(format!("{node}:0"))),
    }
}

/// The graph in a `saved_model.pb`, with the names of the nodes that its signature reads and returns.
///
/// # Errors
/// [`FrozenGraphError::Unreadable`] for anything that [`around`] does not write.
pub fn read_saved_model(bytes: &[u8]) -> Result<(Vec<u8>, [String; 2]), FrozenGraphError> {
    let wrong = |what: &str| FrozenGraphError::Unreadable(what.to_owned());
    let model = SavedModel::decode(bytes)
        .map_err(|error| FrozenGraphError::Unreadable(error.to_string()))?;
    if model.saved_model_schema_version != SCHEMA_VERSION {
        return Err(wrong("it has another version"));
    }
    let mut graphs = model.meta_graphs.into_iter();
    let served = graphs.find(|graph| {
        let tags = graph
            .meta_info_def
            .as_ref()
            .map(|info| info.tags.as_slice());
        tags.is_some_and(|tags| tags == [SERVE])
    });
    let served = served.ok_or_else(|| wrong("it has no graph for serving"))?;
    let signature = served.signature_def.get(SIGNATURE);
    let signature = signature
        .filter(|signature| signature.method_name == PREDICT)
        .ok_or_else(|| wrong("it has no signature"))?;
    let node = |tensor: Option<&TensorInfo>| match tensor.and_then(|info| info.encoding.as_ref()) {
        Some(Encoding::Name(name)) => name.strip_suffix(":0").map(str::to_owned),
        None => None,
    };
    let input = node(signature.inputs.get(IMAGE));
    let output = node(signature.outputs.get(PREDICTION));
    match (served.graph_def, input, output) {
        (Some(graph), Some(input), Some(output)) => Ok((graph.encode_to_vec(), [input, output])),
        _ => Err(wrong("its signature is not that of a classifier")),
    }
}
