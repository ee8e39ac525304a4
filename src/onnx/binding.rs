//! Runs one graph many times with its tensors bound in ONNX Runtime's memory: the loop of a training.
//!
//! Tensors that a step updates (weights, the optimiser's state) exist twice; a step reads one copy and writes the
//! other, so that nothing is copied or allocated from step to step. Constant tensors (the table of bottlenecks,
//! labels) are bound once. Inputs that change with each step (batch indices, the learning rate) are written to a bound
//! buffer.

use std::sync::Arc;

use half::f16;

use ort::memory::Allocator;
use ort::session::{IoBinding, RunOptions};
use ort::value::{DynTensor, DynValue, PrimitiveTensorElementType, TensorElementType};

use super::session::{model_error, read_value};
use super::{Element, ElementType, OnnxError, Session, Tensor};

/// A tensor in ONNX Runtime's memory that several loops can read. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Constant(Arc<DynValue>);

impl Constant {
    /// Moves a tensor to ONNX Runtime without copying its contents.
    pub fn new(tensor: Tensor) -> Result<Self, OnnxError> {
        tensor.checked()?;
        // Elsewhere this is ensured by loading a session.
        super::runtime::environment()?;
        let shape = tensor.shape;
        macro_rules! owned {
            ($values:expr) => {
                ort::value::Tensor::from_array((shape, $values))
                    .map_err(model_error)?
                    .into_dyn()
            };
        }
        let value = match tensor.data {
            Element::F32(values) => owned!(values),
            Element::F64(values) => owned!(values),
            Element::F16(values) => owned!(values),
            Element::I64(values) => owned!(values),
            Element::I32(values) => owned!(values),
            Element::U8(values) => owned!(values),
            Element::I8(values) => owned!(values),
            Element::Bool(values) => owned!(values),
        };
        Ok(Self(Arc::new(value)))
    }

    /// The contents of an `f32` tensor.
    pub fn f32(&self) -> Result<&[f32], OnnxError> {
        Ok(self.0.try_extract_tensor::<f32>().map_err(model_error)?.1)
    }
}

/// The bindings of a loop to the inputs and outputs of its graph.
#[derive(Debug, Default)]
pub struct Bindings<'a> {
    /// Inputs that never change.
    pub constants: Vec<(&'a str, Constant)>,
    /// Triples of an input, the output that becomes this input in the next step, and the initial contents.
    pub state: Vec<(&'a str, &'a str, &'a Tensor)>,
    /// Inputs written before each step, initially zero.
    pub inputs: Vec<(&'a str, ElementType, &'a [usize])>,
    /// Outputs read after each step.
    pub outputs: Vec<(&'a str, ElementType, &'a [usize])>,
}

/// ONNX Runtime's options for steps.
struct StepOptions {
    /// For the first step. In it ONNX Runtime allocates memory value by value and learns the layout; from the second
    /// step on it allocates a single block. Without this option it would keep both.
    first: RunOptions,
    later: RunOptions,
}

impl StepOptions {
    fn new() -> Result<Self, OnnxError> {
        let options = || RunOptions::new().map_err(model_error);
        let (mut first, later) = (options()?, options()?);
        first
            .set("memory.enable_memory_arena_shrinkage", "cpu:0")
            .map_err(model_error)?;
        Ok(Self { first, later })
    }
}

/// Stops a step, or a run of a session, from another thread.
pub struct Stopper(StepOptions);

impl Stopper {
    /// A new stopper.
    pub fn new() -> Result<Self, OnnxError> {
        super::runtime::environment()?;
        let mut options = StepOptions::new()?;
        for options in [&mut options.first, &mut options.later] {
            // Log messages of a stopped step are useless; errors are returned as well.
            options
                .set_log_level(ort::logging::LogLevel::Fatal)
                .map_err(model_error)?;
        }
        Ok(Self(options))
    }

    /// The options for running a session.
    pub(super) fn options(&self) -> &RunOptions {
        &self.0.later
    }

    /// Stops the current step and every later one that uses it.
    pub fn stop(&self) {
        for options in [&self.0.first, &self.0.later] {
            if let Err(error) = options.terminate() {
                log::warn!("ONNX Runtime could not be stopped: {error}");
            }
        }
    }
}

struct State {
    input: String,
    /// The two copies; each step reads one and writes the other.
    copies: [DynValue; 2],
}

/// A graph that is run repeatedly, with outputs of one step as inputs of the next.
pub struct Loop {
    session: Session,
    /// The first reads copy 0 of the state and writes copy 1, the second the other way round.
    bindings: [IoBinding; 2],
    state: Vec<State>,
    /// The copy with the current state.
    present: usize,
    inputs: Vec<(String, DynValue)>,
    outputs: Vec<(String, DynValue)>,
    /// Whether the next step is the first.
    first: bool,
    _constants: Vec<Constant>,
}

impl Loop {
    /// Binds all tensors. Each input of the graph must be among the constants, the state or the inputs.
    pub fn new(session: Session, bind: Bindings<'_>) -> Result<Self, OnnxError> {
        let new_binding = || session.inner().create_binding().map_err(model_error);
        let mut bindings = [new_binding()?, new_binding()?];
        for (name, constant) in &bind.constants {
            session.check_input(name)?;
            for binding in &mut bindings {
                binding
                    .bind_input(*name, constant.0.as_ref())
                    .map_err(model_error)?;
            }
        }
        let mut inputs = Vec::new();
        for (name, element, shape) in bind.inputs {
            session.check_input(name)?;
            let value = buffer(element, shape)?;
            for binding in &mut bindings {
                binding.bind_input(name, &value).map_err(model_error)?;
            }
            inputs.push((name.to_owned(), value));
        }
        let mut state = Vec::new();
        for (input, output, initial) in bind.state {
            session.check_input(input)?;
            session.check_output(output)?;
            let element = initial.checked()?.data.element_type();
            let mut copies = [
                buffer(element, &initial.shape)?,
                buffer(element, &initial.shape)?,
            ];
            let [even, odd] = &mut copies;
            write_tensor(even, initial)?;
            let [first, second] = &mut bindings;
            bind_state(first, (input, even), (output, odd))?;
            bind_state(second, (input, odd), (output, even))?;
            state.push(State {
                input: input.to_owned(),
                copies,
            });
        }
        let mut outputs = Vec::new();
        for (name, element, shape) in bind.outputs {
            session.check_output(name)?;
            let mut value = buffer(element, shape)?;
            for binding in &mut bindings {
                binding.bind_output(name, &mut value).map_err(model_error)?;
            }
            outputs.push((name.to_owned(), value));
        }
        Ok(Self {
            session,
            bindings,
            state,
            present: 0,
            inputs,
            outputs,
            first: true,
            _constants: bind
                .constants
                .into_iter()
                .map(|(_, constant)| constant)
                .collect(),
        })
    }

    /// Writes 64-bit integers to an input.
    pub fn set_i64(&mut self, input: &str, values: &[i64]) -> Result<(), OnnxError> {
        write(find(&mut self.inputs, input)?, values)
    }

    /// Writes 16-bit floats to an input.
    pub fn set_f16(&mut self, input: &str, values: &[f16]) -> Result<(), OnnxError> {
        write(find(&mut self.inputs, input)?, values)
    }

    /// Writes 32-bit floats to an input.
    pub fn set_f32(&mut self, input: &str, values: &[f32]) -> Result<(), OnnxError> {
        write(find(&mut self.inputs, input)?, values)
    }

    /// Runs the graph once, after which its outputs can be read and its state is updated. If the stopper is or was
    /// used, it ends with an error before the next operator, and the state is not updated.
    pub fn step(&mut self, stopper: &Stopper) -> Result<(), OnnxError> {
        let [even, odd] = &self.bindings;
        let binding = if self.present == 0 { even } else { odd };
        let session = self.session.inner_mut();
        let options = &stopper.0;
        let mut run = |options| {
            let outputs = session.run_binding_with_options(binding, options);
            outputs.map(drop).map_err(model_error)
        };
        if self.first {
            // A runtime that does not pool memory rejects the request to release it.
            run(&options.first).or_else(|_| run(&options.later))?;
        } else {
            run(&options.later)?;
        }
        self.first = false;
        if !self.state.is_empty() {
            self.present = 1 - self.present;
        }
        Ok(())
    }

    /// The contents of an `f32` output after the last step.
    pub fn output_f32(&self, output: &str) -> Result<&[f32], OnnxError> {
        let value = self
            .outputs
            .iter()
            .find_map(|(name, value)| (name == output).then_some(value))
            .ok_or_else(|| OnnxError::Model(format!("no output “{output}” is bound")))?;
        Ok(value.try_extract_tensor::<f32>().map_err(model_error)?.1)
    }

    /// The contents of an `f32` state, named by its input.
    pub fn state_f32(&self, input: &str) -> Result<&[f32], OnnxError> {
        let value = self.state_value(input)?;
        Ok(value.try_extract_tensor::<f32>().map_err(model_error)?.1)
    }

    /// Whether a step has been run.
    #[must_use]
    pub fn has_stepped(&self) -> bool {
        !self.first
    }

    /// The contents of an `f32` state, named by its input, before the last step; meaningless before the first.
    pub fn previous_f32(&self, input: &str) -> Result<&[f32], OnnxError> {
        let value = self.copy(input, 1 - self.present)?;
        Ok(value.try_extract_tensor::<f32>().map_err(model_error)?.1)
    }

    /// A copy of a state, named by its input.
    pub fn state(&self, input: &str) -> Result<Tensor, OnnxError> {
        read_value(self.state_value(input)?)
    }

    fn state_value(&self, input: &str) -> Result<&DynValue, OnnxError> {
        self.copy(input, self.present)
    }

    fn copy(&self, input: &str, at: usize) -> Result<&DynValue, OnnxError> {
        self.state
            .iter()
            .find(|state| state.input == input)
            .map(|state| {
                let [even, odd] = &state.copies;
                if at == 0 { even } else { odd }
            })
            .ok_or_else(|| OnnxError::Model(format!("no state “{input}” is bound")))
    }
}

fn bind_state(
    binding: &mut IoBinding,
    (input, from): (&str, &DynValue),
    (output, to): (&str, &mut DynValue),
) -> Result<(), OnnxError> {
    binding.bind_input(input, from).map_err(model_error)?;
    binding.bind_output(output, to).map_err(model_error)
}

fn find<'a>(
    values: &'a mut [(String, DynValue)],
    name: &str,
) -> Result<&'a mut DynValue, OnnxError> {
    values
        .iter_mut()
        .find_map(|(known, value)| (known == name).then_some(value))
        .ok_or_else(|| OnnxError::Model(format!("no input “{name}” is bound")))
}

/// A tensor of zeros in ONNX Runtime's memory.
fn buffer(element: ElementType, shape: &[usize]) -> Result<DynValue, OnnxError> {
    let ty = match element {
        ElementType::F32 => TensorElementType::Float32,
        ElementType::F64 => TensorElementType::Float64,
        ElementType::F16 => TensorElementType::Float16,
        ElementType::I64 => TensorElementType::Int64,
        ElementType::I32 => TensorElementType::Int32,
        ElementType::U8 => TensorElementType::Uint8,
        ElementType::I8 => TensorElementType::Int8,
        ElementType::Bool => TensorElementType::Bool,
    };
    let shape: Vec<i64> = shape.iter().map(|dim| *dim as i64).collect();
    Ok(
        DynTensor::new(&Allocator::default(), ty, ort::value::Shape::new(shape))
            .map_err(model_error)?
            .into_dyn(),
    )
}

fn write<T: PrimitiveTensorElementType + Copy>(
    value: &mut DynValue,
    values: &[T],
) -> Result<(), OnnxError> {
    let (_, target) = value.try_extract_tensor_mut::<T>().map_err(model_error)?;
    if target.len() != values.len() {
        return Err(OnnxError::Model(format!(
            "{} values were given for a tensor of {}",
            values.len(),
            target.len()
        )));
    }
    target.copy_from_slice(values);
    Ok(())
}

fn write_tensor(value: &mut DynValue, tensor: &Tensor) -> Result<(), OnnxError> {
    match &tensor.data {
        Element::F32(values) => write(value, values),
        Element::F64(values) => write(value, values),
        Element::F16(values) => write(value, values),
        Element::I64(values) => write(value, values),
        Element::I32(values) => write(value, values),
        Element::U8(values) => write(value, values),
        Element::I8(values) => write(value, values),
        Element::Bool(values) => write(value, values),
    }
}
