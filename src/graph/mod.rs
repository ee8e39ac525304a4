//! Networks as graphs of typed operators: building, reading, changing, differentiating and writing them.
//!
//! What an operator *is* stands in one file for its family, under `ops/`. The format of model files is known to
//! `onnx.rs` alone, and what runs them to the layer [`crate::onnx`].

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
pub use window::{AutoPad, Sliding, Window};
