//! An architecture: a backbone at an input resolution, `efficientnet-lite0@224`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::BackboneError;

/// A backbone at an input resolution; reads and prints as `efficientnet-lite0@224`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Architecture {
    /// The backbone's name in the catalogue.
    pub backbone: String,
    /// Input width and height in pixels, a multiple of 32.
    pub resolution_px: u32,
}

impl Default for Architecture {
    fn default() -> Self {
        Self {
            backbone: "efficientnet-lite0".into(),
            resolution_px: 224,
        }
    }
}

impl Architecture {
    /// Multiply-accumulates of one image.
    pub fn multiply_accumulates(&self) -> Result<u64, BackboneError> {
        todo!()
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.backbone, self.resolution_px)
    }
}

impl FromStr for Architecture {
    type Err = BackboneError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        todo!("{text}")
    }
}
