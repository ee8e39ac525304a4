//! Passes: functions from graph to graph.

mod batch_norm;
mod fold;
mod half;
mod half_results;
mod half_weights;
mod join;
pub mod layout;
mod opset;
mod pads;
mod part;
pub mod quantize;

pub use join::Joined;
pub use opset::OPSETS;
