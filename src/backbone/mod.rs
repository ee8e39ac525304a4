//! The catalogue of architectures, preprocessing, and bottlenecks with their cache.

mod activation_store;
mod activations;
mod architecture;
mod blocks;
mod bottleneck;
mod cache;
mod catalogue;
mod content;
mod depth;
mod distort;
mod error;
mod extractor;
mod feature_map;
mod feature_place;
mod features;
mod fine_tuned;
mod front;
mod join;
#[cfg(test)]
mod mobilenet_tests;
mod own;
mod preprocess;
mod store;
mod tensor_file;
#[cfg(test)]
mod test_images;
mod tools;
mod view;

pub use activations::{ActivationSource, Activations, OVERFLOW_BYTES, Views};
pub use architecture::Architecture;
pub use blocks::{Block, Blocks, CutAt, Plan, Weight, WeightKind};
pub use bottleneck::{
    BottleneckTable, bottlenecks, bottlenecks_and_activations, cached_bottlenecks,
};
pub use catalogue::{
    Backbone, ModelStatus, Own, PublishedTop1, catalogue, model_dirs, model_status,
};
pub use content::content_ids;
pub use depth::Depth;
pub use error::BackboneError;
pub use extractor::Extractor;
pub use feature_map::{FeatureMap, FeatureMaps};
pub use feature_place::Cells;
pub use features::write_features;
pub use fine_tuned::FineTunedWeights;
pub use join::{Joined, join_activations, join_bottlenecks};
pub use own::{
    Answer, Asked, Candidate, DepthOffer, Inspected, Layout, Normalisation, OwnProblem, Pooled,
    PooledChoice, Whence, inspect, open_own, own_of, remove_own,
};
pub use preprocess::{Fit, Preprocessing};
pub(crate) use tensor_file::tensor_file;
pub use view::Augmentation;
