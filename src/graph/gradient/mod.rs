//! Reverse-mode differentiation as a transformation of graphs.
//!
//! [`gradients`] visits the nodes of a graph in reverse order from a loss and appends nodes that compute its
//! derivatives. Each operator contributes a *rule*, which stands with its family in `ops/`. Rules emit standard ONNX
//! operators only, except those of ONNX Runtime's blocked layout. Values that do not depend on what is differentiated
//! by are skipped, so operators without a rule are allowed there. The gradients of a value that is used several times
//! are summed.

mod backward;
mod dropout;
mod reach;
#[cfg(test)]
mod tests;

pub(super) use backward::no_rule;
pub use backward::{Arriving, Backward, Parts, gradients};
pub use dropout::{Mask, explicit_masks};
pub use reach::{Reach, WithoutRule, reach};
