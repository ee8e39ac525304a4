//! The messages and tensors of the ONNX file format, and running models.
//!
//! This is the only layer that uses ONNX Runtime. The meaning of models is the subject of the layer [`crate::graph`].

mod binding;
mod error;
mod file;
#[rustfmt::skip] // generated
pub mod proto;
mod runtime;
mod session;
mod tensor;
mod wire;

pub use binding::{Bindings, Constant, Loop, Stopper};
pub use error::OnnxError;
pub use file::OnnxFile;
pub use runtime::{RuntimeInfo, runtime_info};
#[cfg(test)]
pub(crate) use session::tests::endless;
pub use session::{Session, TensorInfo};
pub use tensor::{Element, ElementType, Tensor};
pub use wire::{cast_target, element_of, tensor_from_proto, tensor_to_proto};
