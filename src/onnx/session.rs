//! Runs a graph: plain tensors as inputs and outputs.

use std::borrow::Cow;

use ort::session::builder::GraphOptimizationLevel;
use ort::session::{OutputSelector, RunOptions, SessionInputValue, SessionOutputs};
use ort::value::{DynValue, TensorElementType, TensorRef, ValueType};

use super::runtime::environment;
use super::{Element, ElementType, OnnxError, Stopper, Tensor};

/// An input or output of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its element type; `None` for a type that Salamander does not use.
    pub element: Option<ElementType>,
    /// Its shape; `None` for a free dimension.
    pub shape: Vec<Option<usize>>,
}

/// A loaded graph.
pub struct Session {
    inner: ort::session::Session,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("inputs", &self.inputs())
            .field("outputs", &self.outputs())
            .finish()
    }
}

impl Session {
    /// Loads a serialised model to run on `threads` threads (at least 1). Its operators run one after the other, with
    /// all optimisations, and always give the same bits. Threads do not spin while they wait.
    pub fn from_bytes(model: &[u8], threads: usize) -> Result<Self, OnnxError> {
        Self::build(model, threads, false)
    }

    /// The same, but operators between `DequantizeLinear` and `QuantizeLinear` are computed in single precision
    /// instead of by integer kernels. That is slower, but the same on every processor: those without instructions for
    /// sums of products of bytes saturate such sums. Factors after convolutions are not folded into them, so that sums
    /// of integers stay exact.
    pub fn simulating_integers(model: &[u8], threads: usize) -> Result<Self, OnnxError> {
        Self::build(model, threads, true)
    }

    fn build(model: &[u8], threads: usize, in_floats: bool) -> Result<Self, OnnxError> {
        let (no_integers, disabled) = if in_floats {
            ("1", "ConvMulFusion")
        } else {
            ("0", "")
        };
        let inner = ort::session::Session::builder(environment()?)
            .map_err(model_error)?
            .with_intra_threads(threads.max(1))
            .map_err(model_error)?
            .with_inter_threads(1)
            .map_err(model_error)?
            .with_parallel_execution(false)
            .map_err(model_error)?
            .with_optimization_level(GraphOptimizationLevel::All)
            .map_err(model_error)?
            .with_deterministic_compute(true)
            .map_err(model_error)?
            .with_intra_op_spinning(false)
            .map_err(model_error)?
            .with_config_entry("session.disable_quant_qdq", no_integers)
            .map_err(model_error)?
            .with_config_entry("optimization.disable_specified_optimizers", disabled)
            .map_err(model_error)?
            .with_log_level(ort::logging::LogLevel::Error)
            .map_err(model_error)?
            .commit_from_memory(model)
            .map_err(model_error)?;
        Ok(Self { inner })
    }

    /// The graph's inputs, in its own order.
    #[must_use]
    pub fn inputs(&self) -> Vec<TensorInfo> {
        self.inner.inputs().iter().map(tensor_info).collect()
    }

    /// The graph's outputs, in its own order.
    #[must_use]
    pub fn outputs(&self) -> Vec<TensorInfo> {
        self.inner.outputs().iter().map(tensor_info).collect()
    }

    /// Runs the graph on named inputs and returns the named outputs in that order. Inputs are not copied.
    pub fn run(
        &mut self,
        inputs: &[(&str, &Tensor)],
        outputs: &[&str],
    ) -> Result<Vec<Tensor>, OnnxError> {
        let values = self.values(inputs, outputs)?;
        let selected = outputs
            .iter()
            .fold(OutputSelector::no_default(), |selector, name| {
                selector.with(*name)
            });
        let options = RunOptions::new()
            .map_err(model_error)?
            .with_outputs(selected);
        let results = self
            .inner
            .run_with_options(values, &options)
            .map_err(model_error)?;
        named(&results, outputs)
    }

    /// The same, unless another thread stops it, which is an error. Also computes outputs that were not requested.
    pub fn run_until_stopped(
        &mut self,
        inputs: &[(&str, &Tensor)],
        outputs: &[&str],
        stopper: &Stopper,
    ) -> Result<Vec<Tensor>, OnnxError> {
        let values = self.values(inputs, outputs)?;
        let results = self
            .inner
            .run_with_options(values, stopper.options())
            .map_err(model_error)?;
        named(&results, outputs)
    }

    /// Inputs as values of ONNX Runtime, after checking that the graph has these inputs and outputs.
    fn values<'a>(
        &self,
        inputs: &[(&'a str, &'a Tensor)],
        outputs: &[&str],
    ) -> Result<Vec<(Cow<'a, str>, SessionInputValue<'a>)>, OnnxError> {
        let mut values = Vec::with_capacity(inputs.len());
        for (name, tensor) in inputs {
            self.check_input(name)?;
            values.push((Cow::Borrowed(*name), input_value(tensor)?));
        }
        for name in outputs {
            self.check_output(name)?;
        }
        Ok(values)
    }

    /// Runs a graph on one `f32` input of the given shape and copies the named `f32` output to `out`, whose length
    /// must match. The input is not copied: the way to run a backbone many times.
    pub fn run_f32(
        &mut self,
        input: (&str, &[usize], &[f32]),
        output: &str,
        out: &mut [f32],
    ) -> Result<(), OnnxError> {
        let (name, shape, data) = input;
        self.check_input(name)?;
        self.check_output(output)?;
        let value = TensorRef::from_array_view((shape, data)).map_err(model_error)?;
        let inputs = vec![(name, SessionInputValue::from(value))];
        // Outputs that were not requested are not computed.
        let options = RunOptions::new()
            .map_err(model_error)?
            .with_outputs(OutputSelector::no_default().with(output));
        let results = self
            .inner
            .run_with_options(inputs, &options)
            .map_err(model_error)?;
        let value = results
            .get(output)
            .ok_or_else(|| OnnxError::Model(format!("it returned no output “{output}”")))?;
        let (_, values) = value.try_extract_tensor::<f32>().map_err(model_error)?;
        if values.len() != out.len() {
            return Err(OnnxError::Model(format!(
                "output “{output}” has {} values where {} were expected",
                values.len(),
                out.len()
            )));
        }
        out.copy_from_slice(values);
        Ok(())
    }

    /// The graph's custom metadata, sorted by key.
    pub fn metadata(&self) -> Result<Vec<(String, String)>, OnnxError> {
        let metadata = self.inner.metadata().map_err(model_error)?;
        let mut keys = metadata.custom_keys().map_err(model_error)?;
        keys.sort();
        Ok(keys
            .into_iter()
            .filter_map(|key| metadata.custom(&key).map(|value| (key, value)))
            .collect())
    }

    pub(super) fn inner(&self) -> &ort::session::Session {
        &self.inner
    }

    pub(super) fn inner_mut(&mut self) -> &mut ort::session::Session {
        &mut self.inner
    }

    pub(super) fn check_input(&self, name: &str) -> Result<(), OnnxError> {
        if self.inner.inputs().iter().any(|input| input.name() == name) {
            Ok(())
        } else {
            Err(OnnxError::Model(format!("it has no input “{name}”")))
        }
    }

    pub(super) fn check_output(&self, name: &str) -> Result<(), OnnxError> {
        if self
            .inner
            .outputs()
            .iter()
            .any(|output| output.name() == name)
        {
            Ok(())
        } else {
            Err(OnnxError::Model(format!("it has no output “{name}”")))
        }
    }
}

/// The message of `ort`, without the type for recovering from it.
#[allow(
    clippy::needless_pass_by_value,
    reason = "what `map_err` hands over is a value"
)]
pub(super) fn model_error<R>(error: ort::Error<R>) -> OnnxError {
    OnnxError::Model(error.message().trim().to_owned())
}

fn tensor_info(outlet: &ort::value::Outlet) -> TensorInfo {
    let (element, shape) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => (
            element_type(*ty),
            shape.iter().map(|dim| usize::try_from(*dim).ok()).collect(),
        ),
        _ => (None, Vec::new()),
    };
    TensorInfo {
        name: outlet.name().to_owned(),
        element,
        shape,
    }
}

fn element_type(ty: TensorElementType) -> Option<ElementType> {
    Some(match ty {
        TensorElementType::Float32 => ElementType::F32,
        TensorElementType::Float64 => ElementType::F64,
        TensorElementType::Float16 => ElementType::F16,
        TensorElementType::Int64 => ElementType::I64,
        TensorElementType::Int32 => ElementType::I32,
        TensorElementType::Uint8 => ElementType::U8,
        TensorElementType::Int8 => ElementType::I8,
        TensorElementType::Bool => ElementType::Bool,
        _ => return None,
    })
}

/// Copies of the outputs with these names.
fn named(results: &SessionOutputs<'_>, outputs: &[&str]) -> Result<Vec<Tensor>, OnnxError> {
    let tensors = outputs.iter().map(|name| {
        let value = results
            .get(name)
            .ok_or_else(|| OnnxError::Model(format!("it returned no output “{name}”")))?;
        read_value(value)
    });
    tensors.collect()
}

/// A view of a tensor for `ort`, without a copy.
pub(super) fn input_value(tensor: &Tensor) -> Result<SessionInputValue<'_>, OnnxError> {
    let Tensor { shape, data } = tensor.checked()?;
    let shape = shape.as_slice();
    macro_rules! view {
        ($values:expr) => {
            TensorRef::from_array_view((shape, $values.as_slice()))
                .map_err(model_error)?
                .into()
        };
    }
    Ok(match data {
        Element::F32(values) => view!(values),
        Element::F64(values) => view!(values),
        Element::F16(values) => view!(values),
        Element::I64(values) => view!(values),
        Element::I32(values) => view!(values),
        Element::U8(values) => view!(values),
        Element::I8(values) => view!(values),
        Element::Bool(values) => view!(values),
    })
}

/// A copy of a tensor out of ONNX Runtime's memory.
pub(super) fn read_value(value: &DynValue) -> Result<Tensor, OnnxError> {
    let ty = value
        .dtype()
        .tensor_type()
        .and_then(element_type)
        .ok_or_else(|| OnnxError::Model(format!("an output has the type {}", value.dtype())))?;
    macro_rules! read {
        ($type:ty) => {{
            let (shape, values) = value.try_extract_tensor::<$type>().map_err(model_error)?;
            let shape = shape.iter().map(|dim| usize::try_from(*dim).unwrap_or(0));
            Tensor::new(shape.collect::<Vec<_>>(), values.to_vec())
        }};
    }
    Ok(match ty {
        ElementType::F32 => read!(f32),
        ElementType::F64 => read!(f64),
        ElementType::F16 => read!(half::f16),
        ElementType::I64 => read!(i64),
        ElementType::I32 => read!(i32),
        ElementType::U8 => read!(u8),
        ElementType::I8 => read!(i8),
        ElementType::Bool => read!(bool),
    })
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a failed set-up is a failed test; the numbers are exact"
)]
pub(super) mod tests {
    use super::*;
    use crate::onnx::proto::{
        AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
        StringStringEntryProto, TensorShapeProto, TypeProto, ValueInfoProto,
        attribute_proto::AttributeType, tensor_shape_proto, type_proto,
    };
    use crate::onnx::{cast_target, tensor_to_proto};

    fn node(op_type: &str, input: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: Some(op_type.into()),
            input: input.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.into()],
            ..NodeProto::default()
        }
    }

    /// A value `f32[n, 2]`, or of any type and shape.
    fn value(name: &str, is_pairs: bool) -> ValueInfoProto {
        use tensor_shape_proto::{Dimension, dimension::Value};
        let dim = [Value::DimParam("n".into()), Value::DimValue(2)]
            .map(|value| Dimension { value: Some(value) });
        let pairs = type_proto::Tensor {
            elem_type: Some(cast_target(ElementType::F32) as i32),
            shape: Some(TensorShapeProto { dim: dim.to_vec() }),
        };
        ValueInfoProto {
            name: Some(name.into()),
            r#type: is_pairs.then_some(TypeProto {
                value: Some(type_proto::Value::TensorType(pairs)),
            }),
        }
    }

    /// `y = x · 2` for `x` of `[n, 2]`, and its sum, with metadata.
    fn doubling() -> Vec<u8> {
        let mut sum = node("ReduceSum", &["y"], "sum");
        let mut keep = AttributeProto {
            name: Some("keepdims".into()),
            i: Some(0),
            ..AttributeProto::default()
        };
        keep.set_type(AttributeType::Int);
        sum.attribute = vec![keep];
        let graph = GraphProto {
            name: Some("doubling".into()),
            node: vec![node("Mul", &["x", "two"], "y"), sum],
            input: vec![value("x", true)],
            output: vec![value("y", true), value("sum", false)],
            initializer: vec![tensor_to_proto("two", &Tensor::scalar(2.0_f32))],
            ..GraphProto::default()
        };
        let model = ModelProto {
            ir_version: Some(8),
            opset_import: vec![OperatorSetIdProto {
                domain: None,
                version: Some(17),
            }],
            graph: Some(graph),
            metadata_props: vec![StringStringEntryProto {
                key: Some("labels".into()),
                value: Some("katt\nøks".into()),
            }],
            ..ModelProto::default()
        };
        prost::Message::encode_to_vec(&model)
    }

    #[test]
    fn runs_named_tensors_and_tells_what_it_takes() {
        let mut session = Session::from_bytes(&doubling(), 1).unwrap();
        assert_eq!(
            session.inputs(),
            [TensorInfo {
                name: "x".into(),
                element: Some(ElementType::F32),
                shape: vec![None, Some(2)],
            }]
        );
        let x = Tensor::new([2, 2], vec![1.0_f32, 2.0, 3.0, -4.0]);
        let results = session.run(&[("x", &x)], &["sum", "y"]).unwrap();
        assert_eq!(results[0], Tensor::new([], vec![4.0_f32]));
        assert_eq!(
            results[1],
            Tensor::new([2, 2], vec![2.0_f32, 4.0, 6.0, -8.0])
        );
        assert_eq!(
            session.metadata().unwrap(),
            [("labels".to_owned(), "katt\nøks".to_owned())]
        );
    }

    #[test]
    fn run_f32_writes_into_the_callers_buffer() {
        let mut session = Session::from_bytes(&doubling(), 1).unwrap();
        let mut out = [0.0; 4];
        session
            .run_f32(("x", &[2, 2], &[1.0, 2.0, 3.0, 4.0]), "y", &mut out)
            .unwrap();
        assert_eq!(out, [2.0, 4.0, 6.0, 8.0]);
        let too_short = session.run_f32(("x", &[1, 2], &[1.0, 2.0]), "y", &mut out);
        assert!(too_short.is_err());
    }

    #[test]
    fn wrong_use_is_an_error() {
        let mut session = Session::from_bytes(&doubling(), 1).unwrap();
        let x = Tensor::new([1, 2], vec![1.0_f32, 2.0]);
        let short = Tensor::new([2, 2], vec![1.0_f32]);
        let flat = Tensor::new([4], vec![1.0_f32; 4]);
        for (name, tensor, output) in [
            ("z", &x, "y"),
            ("x", &x, "z"),
            ("x", &short, "y"),
            ("x", &flat, "y"),
        ] {
            let result = session.run(&[(name, tensor)], &[output]);
            assert!(matches!(result, Err(OnnxError::Model(_))), "{result:?}");
        }
        assert!(Session::from_bytes(b"not a model", 1).is_err());
    }

    /// A graph that computes `y` = `x` in a loop of as many iterations as an i64 can count.
    pub(crate) fn endless() -> Vec<u8> {
        let state = |name: &str| value(name, true);
        let truth = |name: &str| ValueInfoProto {
            name: Some(name.into()),
            r#type: Some(TypeProto {
                value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                    elem_type: Some(cast_target(ElementType::Bool) as i32),
                    shape: Some(TensorShapeProto::default()),
                })),
            }),
        };
        let count = ValueInfoProto {
            name: Some("i".into()),
            r#type: Some(TypeProto {
                value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                    elem_type: Some(cast_target(ElementType::I64) as i32),
                    shape: Some(TensorShapeProto::default()),
                })),
            }),
        };
        let body = GraphProto {
            name: Some("body".into()),
            node: vec![
                node("Identity", &["go"], "goes"),
                node("Identity", &["in"], "out"),
            ],
            input: vec![count, truth("go"), state("in")],
            output: vec![truth("goes"), state("out")],
            ..GraphProto::default()
        };
        let mut turns = node("Loop", &["most", "yes", "x"], "y");
        turns.attribute = vec![AttributeProto {
            name: Some("body".into()),
            r#type: Some(AttributeType::Graph as i32),
            g: Some(body),
            ..AttributeProto::default()
        }];
        let graph = GraphProto {
            name: Some("endless".into()),
            node: vec![turns],
            initializer: vec![
                tensor_to_proto("most", &Tensor::scalar(i64::MAX)),
                tensor_to_proto("yes", &Tensor::scalar(true)),
            ],
            input: vec![state("x")],
            output: vec![state("y")],
            ..GraphProto::default()
        };
        let model = ModelProto {
            ir_version: Some(8),
            opset_import: vec![OperatorSetIdProto {
                version: Some(17),
                ..OperatorSetIdProto::default()
            }],
            graph: Some(graph),
            ..ModelProto::default()
        };
        prost::Message::encode_to_vec(&model)
    }

    #[test]
    fn a_run_that_never_ends_is_stopped() {
        let mut session = Session::from_bytes(&endless(), 1).unwrap();
        let x = Tensor::new([1, 2], vec![1.0_f32, 2.0]);
        let stopper = Stopper::new().unwrap();
        std::thread::scope(|scope| {
            let run = scope.spawn(|| session.run_until_stopped(&[("x", &x)], &["y"], &stopper));
            // While it runs, or before: it ends in both cases.
            std::thread::sleep(std::time::Duration::from_millis(50));
            stopper.stop();
            assert!(run.join().unwrap().is_err());
        });
    }
}
