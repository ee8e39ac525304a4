//! From an image to the network's input: preprocessing, and the views of an image that differ from it.

mod distort;
mod preprocess;
pub(super) mod view;

pub use preprocess::{Fit, Preprocessing};
pub use view::Augmentation;
