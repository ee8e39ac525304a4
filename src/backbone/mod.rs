//! The catalogue of architectures, preprocessing, and bottlenecks with their cache.

mod architecture;
mod bottleneck;
mod catalogue;
mod error;
mod preprocess;

pub use architecture::Architecture;
pub use bottleneck::{BottleneckTable, bottlenecks};
pub use catalogue::{Backbone, catalogue};
pub use error::BackboneError;
pub use preprocess::{Fit, Preprocessing};
