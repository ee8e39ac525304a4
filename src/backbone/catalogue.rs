//! The backbones that ship with Salamander: `models/catalogue.json` and the files beside it.

use super::BackboneError;

/// A pretrained network up to its pooled layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Backbone {
    /// `efficientnet-lite0`.
    pub name: String,
    /// The resolution it was trained at, pixels.
    pub default_resolution: u32,
    /// Resolutions on offer, multiples of 32.
    pub resolutions: Vec<u32>,
    /// Length of a bottleneck.
    pub bottleneck_dim: usize,
    /// Trainable parameters.
    pub parameters: u64,
    /// Multiply-accumulates at the default resolution.
    pub multiply_accumulates: u64,
    /// ImageNet top-1 in percent, as published.
    pub imagenet_top1_percent: f32,
    /// SPDX licence.
    pub licence: String,
}

/// The shipped backbones, smallest first.
pub fn catalogue() -> Result<Vec<Backbone>, BackboneError> {
    todo!()
}
