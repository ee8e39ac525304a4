//! Passes: functions from graph to graph.

mod fold;
mod join;
pub mod layout;
mod part;
