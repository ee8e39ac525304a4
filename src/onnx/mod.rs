//! The ONNX file format, building and editing graphs, and running them.
//!
//! The only layer that knows ONNX Runtime.

mod error;
pub mod proto;
mod runtime;
mod session;

pub use error::OnnxError;
pub use runtime::{RuntimeInfo, runtime_info};
pub use session::{Element, Session, Tensor};
