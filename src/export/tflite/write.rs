//! Writing a model file.

use std::collections::HashMap;

use flatbuffers::{FlatBufferBuilder, WIPOffset};
use half::f16;

use crate::export::nhwc::{Operator, Program, Quantization, TensorId, lower, prepared};
use crate::graph::Graph;
use crate::onnx::{Element, ElementType};

use super::schema::tflite as fb;
use super::{About, LABELS, RECIPE, TfliteError, Weights, archive, check, metadata};

/// Version 3 of the schema.
const SCHEMA_VERSION: u32 = 3;
/// The contents of tensors are aligned to this many bytes.
const ALIGNMENT: usize = 16;
/// Smaller constants stay 32-bit floats: biases, whose rounding would cost more than it saves.
const FEWEST_HALVES: usize = 1024;
/// The largest finite 16-bit float.
const LARGEST_HALF: f32 = 65504.0;

/// The bytes of a model file: the network of `graph` for one image at a time, its metadata, and the appended archive
/// with the labels. Equal graphs give equal bytes.
///
/// # Errors
/// [`TfliteError::Unwritable`] with the first node that cannot be written, before anything is written;
/// [`TfliteError::NotIntegers`] for [`Weights::Int8`] and a graph that is not quantized.
pub fn write(graph: &Graph, weights: Weights, about: &About) -> Result<Vec<u8>, TfliteError> {
    let rounded = match weights {
        Weights::Float16 => {
            let mut graph = prepared(graph)?;
            graph.round_kernels_to_half(FEWEST_HALVES);
            Some(graph)
        }
        Weights::Float32 | Weights::Int8 => None,
    };
    let program = lower(rounded.as_ref().unwrap_or(graph))?;
    let contents = |tensor: &crate::export::nhwc::TensorInfo| {
        tensor
            .contents
            .as_ref()
            .map_or(0, |tensor| 4 * tensor.data.len())
    };
    let size: usize = program.tensors.iter().map(contents).sum();
    let mut writer = Writer {
        fbb: FlatBufferBuilder::with_capacity(size + 64 * 1024),
        program: &program,
        weights,
        buffers: Vec::new(),
        tensors: Vec::new(),
        indices: HashMap::new(),
        halves: HashMap::new(),
        zeros: HashMap::new(),
        codes: Vec::new(),
        operators: Vec::new(),
    };
    // The first buffer is empty: it belongs to all computed tensors.
    writer.buffer(&[]);
    let mut bytes = writer.model(about);
    let mut labels = about.recipe.labels.join("\n");
    labels.push('\n');
    let archive = archive::archive(bytes.len(), LABELS, labels.as_bytes());
    bytes.extend(archive);
    if weights == Weights::Int8 {
        check::integers(&bytes)?;
    }
    Ok(bytes)
}

pub(super) struct Writer<'a> {
    pub fbb: FlatBufferBuilder<'a>,
    pub program: &'a Program,
    weights: Weights,
    buffers: Vec<WIPOffset<fb::Buffer<'a>>>,
    tensors: Vec<WIPOffset<fb::Tensor<'a>>>,
    /// The indices in the file of the program's tensors.
    indices: HashMap<TensorId, i32>,
    /// The indices of constants that are converted from fp16 when the model is loaded.
    halves: HashMap<TensorId, i32>,
    /// Vectors of zero points, shared by length and value: hundreds of channels have the same one.
    zeros: HashMap<(usize, i32), WIPOffset<flatbuffers::Vector<'a, i64>>>,
    codes: Vec<(fb::BuiltinOperator, i32)>,
    operators: Vec<WIPOffset<fb::Operator<'a>>>,
}

impl<'a> Writer<'a> {
    fn model(mut self, about: &About) -> Vec<u8> {
        let program = self.program;
        let inputs: Vec<i32> = program.inputs.iter().map(|id| self.tensor(*id)).collect();
        for operator in &program.operators {
            self.operator(operator);
        }
        let outputs: Vec<i32> = program.outputs.iter().map(|id| self.tensor(*id)).collect();
        let signature = self.signature(&inputs, &outputs, about);
        let graph = self.subgraph(&inputs, &outputs);
        let codes: Vec<_> = std::mem::take(&mut self.codes)
            .into_iter()
            .map(|(code, version)| {
                let args = fb::OperatorCodeArgs {
                    // All numbers used are below 127, which is where old readers find them.
                    deprecated_builtin_code: i8::try_from(code.0).unwrap_or(i8::MAX),
                    builtin_code: code,
                    version,
                    ..fb::OperatorCodeArgs::default()
                };
                fb::OperatorCode::create(&mut self.fbb, &args)
            })
            .collect();
        let shape = program.inputs.first().map(|id| program.shape(*id));
        let described = metadata::metadata(about, shape.unwrap_or_default());
        let recipe = serde_json::to_vec(&about.recipe).unwrap_or_default();
        let metadata = [("TFLITE_METADATA", described), (RECIPE, recipe)].map(|(name, bytes)| {
            let buffer = self.buffer(&bytes);
            let name = Some(self.fbb.create_string(name));
            fb::Metadata::create(&mut self.fbb, &fb::MetadataArgs { name, buffer })
        });

        let fbb = &mut self.fbb;
        let args = fb::ModelArgs {
            version: SCHEMA_VERSION,
            operator_codes: Some(fbb.create_vector(&codes)),
            subgraphs: Some(fbb.create_vector(&[graph])),
            description: Some(fbb.create_string(&about.description)),
            buffers: Some(fbb.create_vector(&self.buffers)),
            metadata: Some(fbb.create_vector(&metadata)),
            signature_defs: Some(fbb.create_vector(&[signature])),
            metadata_buffer: None,
        };
        let model = fb::Model::create(fbb, &args);
        // With the 8 bytes of the root offset and the identifier, the length becomes a multiple of the alignment, so
        // that contents aligned from the end are also aligned from the start.
        while !(fbb.unfinished_data().len() + 8).is_multiple_of(ALIGNMENT) {
            fbb.push(0_u8);
        }
        fb::finish_model_buffer(fbb, model);
        fbb.finished_data().to_vec()
    }

    fn subgraph(&mut self, inputs: &[i32], outputs: &[i32]) -> WIPOffset<fb::SubGraph<'a>> {
        let fbb = &mut self.fbb;
        let args = fb::SubGraphArgs {
            tensors: Some(fbb.create_vector(&self.tensors)),
            inputs: Some(fbb.create_vector(inputs)),
            outputs: Some(fbb.create_vector(outputs)),
            operators: Some(fbb.create_vector(&self.operators)),
            name: Some(fbb.create_string("main")),
        };
        fb::SubGraph::create(fbb, &args)
    }

    /// Adds the signature: the names by which programs find input and output.
    fn signature(
        &mut self,
        inputs: &[i32],
        outputs: &[i32],
        about: &About,
    ) -> WIPOffset<fb::SignatureDef<'a>> {
        let recipe = &about.recipe;
        let mut maps = |indices: &[i32], first: &str| {
            let maps: Vec<_> = indices
                .iter()
                .enumerate()
                .map(|(at, index)| {
                    let name = if at == 0 {
                        first.to_owned()
                    } else {
                        format!("{first}_{at}")
                    };
                    let args = fb::TensorMapArgs {
                        name: Some(self.fbb.create_string(&name)),
                        tensor_index: index.unsigned_abs(),
                    };
                    fb::TensorMap::create(&mut self.fbb, &args)
                })
                .collect();
            self.fbb.create_vector(&maps)
        };
        let inputs = Some(maps(inputs, &recipe.input.name));
        let outputs = Some(maps(outputs, &recipe.output.name));
        let signature_key = Some(self.fbb.create_string("serving_default"));
        let args = fb::SignatureDefArgs {
            inputs,
            outputs,
            signature_key,
            subgraph_index: 0,
        };
        fb::SignatureDef::create(&mut self.fbb, &args)
    }

    /// Adds a buffer with these contents, and returns its index.
    pub fn buffer(&mut self, contents: &[u8]) -> u32 {
        let data = (!contents.is_empty()).then(|| {
            // The format requires a larger alignment than that of a byte vector.
            while !(self.fbb.unfinished_data().len() + contents.len()).is_multiple_of(ALIGNMENT) {
                self.fbb.push(0_u8);
            }
            self.fbb.create_vector(contents)
        });
        let buffer = fb::Buffer::create(&mut self.fbb, &fb::BufferArgs { data });
        self.buffers.push(buffer);
        u32::try_from(self.buffers.len() - 1).unwrap_or(u32::MAX)
    }

    /// Adds a tensor, and returns its index.
    fn add(&mut self, name: &str, shape: &[usize], kind: fb::TensorType, buffer: u32) -> i32 {
        self.add_quantized(name, shape, kind, buffer, None)
    }

    /// Adds a quantized tensor, and returns its index.
    fn add_quantized(
        &mut self,
        name: &str,
        shape: &[usize],
        kind: fb::TensorType,
        buffer: u32,
        quantization: Option<&Quantization>,
    ) -> i32 {
        let quantization = quantization.map(|known| self.parameters(known));
        let lens: Vec<i32> = shape.iter().map(|len| index(*len)).collect();
        let args = fb::TensorArgs {
            shape: Some(self.fbb.create_vector(&lens)),
            type_: kind,
            buffer,
            name: Some(self.fbb.create_string(name)),
            quantization,
        };
        let tensor = fb::Tensor::create(&mut self.fbb, &args);
        self.tensors.push(tensor);
        index(self.tensors.len() - 1)
    }

    fn parameters(&mut self, known: &Quantization) -> WIPOffset<fb::QuantizationParameters<'a>> {
        let count = known.scales.len();
        let zeros = self.zeros.get(&(count, known.zero)).copied();
        let zeros = zeros.unwrap_or_else(|| {
            let list = self.fbb.create_vector(&vec![i64::from(known.zero); count]);
            self.zeros.insert((count, known.zero), list);
            list
        });
        let args = fb::QuantizationParametersArgs {
            scale: Some(self.fbb.create_vector(&known.scales)),
            zero_point: Some(zeros),
            quantized_dimension: index(known.axis),
            ..fb::QuantizationParametersArgs::default()
        };
        fb::QuantizationParameters::create(&mut self.fbb, &args)
    }

    /// The index of a tensor of the program.
    pub fn tensor(&mut self, id: TensorId) -> i32 {
        if let Some(known) = self.indices.get(&id) {
            return *known;
        }
        let info = self.program.info(id);
        let (kind, known) = (type_of(info.element), info.quantization.as_deref());
        let place = match &info.contents {
            None => self.add_quantized(&info.name, &info.shape, kind, 0, known),
            Some(contents) => match &contents.data {
                Element::F32(values) if self.are_halves(values) => self.widened(id, values),
                data => {
                    let buffer = self.buffer(&data.to_le_bytes());
                    self.add_quantized(&info.name, &info.shape, kind, buffer, known)
                }
            },
        };
        self.indices.insert(id, place);
        place
    }

    fn are_halves(&self, values: &[f32]) -> bool {
        self.weights == Weights::Float16
            && values.len() >= FEWEST_HALVES
            && values.iter().all(|value| value.abs() <= LARGEST_HALF)
    }

    /// Adds a constant of 16-bit floats and the operator that converts it.
    fn widened(&mut self, id: TensorId, values: &[f32]) -> i32 {
        let info = self.program.info(id);
        let halves: Vec<u8> = values
            .iter()
            .flat_map(|value| f16::from_f32(*value).to_le_bytes())
            .collect();
        let buffer = self.buffer(&halves);
        let name = format!("{}/f16", info.name);
        let narrow = self.add(&name, &info.shape, fb::TensorType::FLOAT16, buffer);
        self.halves.insert(id, narrow);
        let wide = self.add(&info.name, &info.shape, fb::TensorType::FLOAT32, 0);
        // Before the operator that reads it, whose inputs are resolved first.
        let code = (fb::BuiltinOperator::DEQUANTIZE, 3);
        self.push(code, &[narrow], wide, (fb::BuiltinOptions::NONE, None));
        wide
    }

    /// Adds a constant of integers, such as axes, widths or shapes.
    pub fn ints(&mut self, name: &str, shape: &[usize], values: &[i32]) -> i32 {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let buffer = self.buffer(&bytes);
        self.add(name, shape, fb::TensorType::INT32, buffer)
    }

    /// Adds a constant of one number, quantized like `like` if that is quantized.
    pub fn number(&mut self, name: &str, value: f32, like: TensorId) -> i32 {
        if let Some(known) = self.program.info(like).quantization.as_deref() {
            let steps = value / known.scale().unwrap_or(1.0) + known.zero as f32;
            let integer = steps.round_ties_even() as i8;
            let buffer = self.buffer(&integer.to_le_bytes());
            return self.add_quantized(name, &[1], fb::TensorType::INT8, buffer, Some(known));
        }
        let buffer = self.buffer(&value.to_le_bytes());
        self.add(name, &[1], fb::TensorType::FLOAT32, buffer)
    }

    fn operator(&mut self, operator: &Operator) {
        let mut inputs: Vec<i32> = operator.inputs.iter().map(|id| self.tensor(*id)).collect();
        let (code, options) = self.options(operator, &mut inputs);
        let output = self.tensor(operator.output);
        self.push(code, &inputs, output, options);
    }

    fn push(
        &mut self,
        code: (fb::BuiltinOperator, i32),
        inputs: &[i32],
        output: i32,
        (options_type, options): Options,
    ) {
        let place = self.codes.iter().position(|known| *known == code);
        let place = place.unwrap_or_else(|| {
            self.codes.push(code);
            self.codes.len() - 1
        });
        let args = fb::OperatorArgs {
            opcode_index: u32::try_from(place).unwrap_or(u32::MAX),
            inputs: Some(self.fbb.create_vector(inputs)),
            outputs: Some(self.fbb.create_vector(&[output])),
            builtin_options_type: options_type,
            builtin_options: options,
        };
        let operator = fb::Operator::create(&mut self.fbb, &args);
        self.operators.push(operator);
    }
}

/// The options of an operator: the type of the table, and its offset.
pub(super) type Options = (
    fb::BuiltinOptions,
    Option<WIPOffset<flatbuffers::UnionWIPOffset>>,
);

/// An index or length in the type of the format.
pub(super) fn index(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// An element type in the file.
pub(super) fn type_of(element: ElementType) -> fb::TensorType {
    match element {
        // 64-bit floats do not occur in programs.
        ElementType::F32 | ElementType::F64 => fb::TensorType::FLOAT32,
        ElementType::F16 => fb::TensorType::FLOAT16,
        ElementType::I64 => fb::TensorType::INT64,
        ElementType::I32 => fb::TensorType::INT32,
        ElementType::U8 => fb::TensorType::UINT8,
        ElementType::I8 => fb::TensorType::INT8,
        ElementType::Bool => fb::TensorType::BOOL,
    }
}
