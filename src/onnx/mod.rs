//! The ONNX file format, building and editing graphs, and running them.
//!
//! The only layer that knows ONNX Runtime.

mod binding;
mod blocked;
mod builder;
mod edit;
mod error;
mod fold;
#[rustfmt::skip] // generated
pub mod proto;
mod runtime;
mod session;
mod shapes;
mod tensor;
mod window;
mod wire;

pub use binding::{Bindings, Constant, Loop, Stopper};
pub use blocked::{BLOCKED, block_size};
pub use builder::{
    Attribute, Dim, Graph, OPSET, attribute_float, attribute_floats, attribute_int, attribute_ints,
    attribute_text, constant_value, value_info,
};
pub use error::OnnxError;
pub use runtime::{RuntimeInfo, runtime_info};
pub use session::{Session, TensorInfo};
pub use shapes::{Shapes, broadcast, wrap};
pub use tensor::{Element, ElementType, Tensor};
pub use window::Window;
pub use wire::{cast_target, tensor_from_proto, tensor_to_proto};
