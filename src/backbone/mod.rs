//! The catalogue of architectures, preprocessing, and bottlenecks with their cache.

mod activations;
mod added;
mod blocks;
mod bottlenecks;
mod cache;
mod catalogue;
mod depth;
mod error;
mod feature_maps;
mod fine_tuned;
mod input;
#[cfg(test)]
mod mobilenet_tests;
mod tensor_file;
#[cfg(test)]
mod test_images;

pub use activations::{ActivationSource, Activations, OVERFLOW_BYTES, Views};
pub use added::{
    Asked, Candidate, DepthOffer, Inspected, Layout, Normalisation, Pooled, PooledChoice, Property,
    Provenance, inspect, open_own, own_of, remove_own,
};
pub use blocks::{Block, Blocks, CutAt, Plan, Weight, WeightKind};
pub use bottlenecks::extractor::Extractor;
pub use bottlenecks::features::write_features;
pub use bottlenecks::{
    BottleneckTable, bottlenecks, bottlenecks_and_activations, cached_bottlenecks,
};
pub use cache::content::content_ids;
pub use cache::join::{Joined, join_activations, join_bottlenecks};
pub use catalogue::{
    Architecture, Backbone, ModelStatus, Own, PublishedTop1, catalogue, model_dirs, model_status,
};
pub use depth::Depth;
pub use error::BackboneError;
pub use feature_maps::{Cells, FeatureMap, FeatureMaps};
pub use fine_tuned::FineTunedWeights;
pub use input::{Augmentation, Fit, Preprocessing};
pub(crate) use tensor_file::tensor_file;
