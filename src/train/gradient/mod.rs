//! Reverse-mode differentiation as a transformation of graphs.
//!
//! [`gradients`] walks a graph backwards from a loss and appends nodes that compute the loss's derivatives.
//! What an operator contributes is a *rule* (`rules/`), one function per operator in one table; all emit
//! standard ONNX operators only. Values that do not depend on what is differentiated by are left alone, so
//! operators without a rule do no harm there. A value that is used several times gets the sum.

mod backward;
mod dropout;
mod emit;
mod reach;
mod rules;
#[cfg(test)]
mod tests;

pub use backward::{Backward, gradients};
pub use dropout::{Mask, explicit_masks};
pub use reach::{Reach, WithoutRule, reach};
pub use rules::has_rule;
