//! Architectures that were added to a project: any classifier in an ONNX file, cut off at its pooled layer.
//!
//! ```text
//! file ──read──▶ Inspected: what was found, was given, is missing ──Inspected::candidate──▶ Candidate ──add──▶ architectures/<name>/
//!                input.rs, head.rs                                  standard_form.rs, measure.rs      store.rs
//! ```
//!
//! What is kept is the network in the form that shipped ones have: planes `f32[N, 3, H, W]` in, bottlenecks `f32[N, D]` out,
//! with a file beside it that says what the catalogue says of the shipped ones. From there on nothing asks where a
//! network comes from.

mod asked;
mod head;
mod input;
mod inspect;
mod measure;
mod standard_form;
mod store;

#[cfg(test)]
mod tests;

pub use asked::{Answer, Asked, Layout, Normalisation, Whence};
pub use head::{Pooled, PooledChoice};
pub use inspect::{Inspected, inspect};
pub use measure::{Candidate, DepthOffer};
pub use store::{OwnProblem, open_own, own_of, remove_own};
