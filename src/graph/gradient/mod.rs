//! Reverse-mode differentiation as a transformation of graphs.
//!
//! [`gradients`] walks a graph backwards from a loss and appends nodes that compute the loss's derivatives.
//! What an operator contributes is its *rule*, which stands with its family in `ops/`; all emit
//! standard ONNX operators only, but for those of ONNX Runtime's blocked layout. Values that do not depend on what is
//! differentiated by are left alone, so operators without a rule do no harm there. A value that is used several times
//! gets the sum.

mod backward;
mod dropout;
mod reach;
#[cfg(test)]
mod tests;

pub(super) use backward::no_rule;
pub use backward::{Arriving, Backward, Parts, gradients};
pub use dropout::{Mask, explicit_masks};
pub use reach::{Reach, WithoutRule, reach};
