//! Passes: functions from graph to graph.

mod fold;
mod half;
mod join;
pub mod layout;
mod opset;
mod part;

pub use opset::OPSETS;
