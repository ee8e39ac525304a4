//! Passes: functions from graph to graph.

mod batch_norm;
mod fold;
mod free_batch;
mod half;
mod half_results;
mod half_weights;
mod join;
pub mod layout;
mod opset;
mod pads;
mod part;
mod plain;
pub mod quantize;
mod written_out;

pub use join::Joined;
pub use opset::OPSETS;
pub use plain::READABLE;
