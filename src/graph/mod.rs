//! Networks as graphs of typed operators: building, reading, changing, differentiating and writing them.
//!
//! Everything about an operator is in the file of its family in `ops/`. Only `onnx.rs` knows the format of model
//! files, and only the layer [`crate::onnx`] runs models.

mod attributes;
mod build;
mod error;
pub mod gradient;
mod loss;
mod onnx;
#[allow(
    clippy::unnecessary_literal_bound,
    reason = "an operator without a type is named by its file"
)]
mod op;
#[allow(
    clippy::unnecessary_literal_bound,
    reason = "as the trait has it, for operators without a type"
)]
pub mod ops;
pub mod passes;
mod structure;
mod value;
mod window;

#[cfg(test)]
mod tests;

pub use error::GraphError;
pub use gradient::{Mask, explicit_masks, gradients, reach};
pub use loss::CrossEntropy;
pub use op::{Op, Other, WeightKind};
pub use structure::{Graph, Node, OPSET};
pub use value::{Dim, Fact, Value, ValueId, wrap};
pub use window::{AutoPad, Sliding, WindowGeometry};
