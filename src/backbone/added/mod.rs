//! Architectures added to a project: any classifier in an ONNX file, cut off at its pooled layer.
//!
//! ```text
//! file ──read──▶ Inspected: what was found, was given, is missing ──Inspected::candidate──▶ Candidate ──add──▶ architectures/<name>/
//!                input.rs, head.rs                                  standard_form.rs, measure.rs      store.rs
//! ```
//!
//! The stored network has the form of those in the catalogue: input planes `f32[N, 3, H, W]`, output bottlenecks
//! `f32[N, D]`, with a description beside it that corresponds to a catalogue entry. Everything else treats all
//! networks alike.

mod asked;
mod head;
mod input;
mod inspect;
mod measure;
mod standard_form;
mod store;

#[cfg(test)]
mod tests;

pub use asked::{Asked, Layout, Normalisation, Property, Provenance};
pub use head::{Pooled, PooledChoice};
pub use inspect::{Inspected, inspect};
pub use measure::{Candidate, DepthOffer};
pub use store::{open_own, own_of, remove_own};
