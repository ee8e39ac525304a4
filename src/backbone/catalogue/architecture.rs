//! Architectures: a backbone at an input resolution, `efficientnet-lite0@224`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::backbone::catalogue::known_backbones;
use crate::backbone::{Backbone, BackboneError, Fit, Preprocessing, catalogue};

/// A backbone at an input resolution; parsed and displayed as `efficientnet-lite0@224`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Architecture {
    /// The backbone's name, in the catalogue or the project.
    pub backbone: String,
    /// Input width and height in pixels; a multiple of 32 for backbones in the catalogue.
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
    /// Every architecture that ships with Salamander: each backbone of the catalogue at each of its resolutions.
    pub fn all() -> Result<Vec<Self>, BackboneError> {
        Ok(catalogue()?.iter().flat_map(Backbone::offered).collect())
    }

    /// Parses the name of a known architecture, or a possible name in a project that is not open yet
    /// ([`Architecture::resolved`] resolves it later).
    pub fn named(text: &str) -> Result<Self, BackboneError> {
        let known = text.parse::<Self>();
        known.or_else(|unknown| Self::maybe_own(text).ok_or(unknown))
    }

    /// Parses `name` or `name@resolution`, if the backbone is not in the catalogue.
    fn maybe_own(text: &str) -> Option<Self> {
        let (backbone, resolution_px) = match text.split_once('@') {
            Some((name, px)) => (name, px.parse().ok().filter(|px| *px > 0)?),
            None => (text, 0),
        };
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        let shipped = catalogue().is_ok_and(|all| all.iter().any(|one| one.name == backbone));
        let plain = !backbone.is_empty() && backbone.chars().all(is_plain) && !shipped;
        plain.then(|| Self {
            backbone: backbone.to_owned(),
            resolution_px,
        })
    }

    /// The architecture with the name parsed by [`Architecture::named`].
    pub fn resolved(&self) -> Result<Self, BackboneError> {
        if self.resolution_px == 0 {
            return self.backbone.parse();
        }
        self.to_string().parse()
    }

    /// Its backbone. An error if it is unknown or not offered at this resolution, as a settings file may contain
    /// anything.
    pub fn entry(&self) -> Result<&'static Backbone, BackboneError> {
        Backbone::named(&self.backbone)
            .ok()
            .filter(|backbone| backbone.resolutions.contains(&self.resolution_px))
            .ok_or_else(|| unknown(&self.to_string()))
    }

    /// Multiply-accumulates for one image.
    pub fn multiply_accumulates(&self) -> Result<u64, BackboneError> {
        Ok(self.entry()?.multiply_accumulates_at(self.resolution_px))
    }

    /// How images are converted to the input of this architecture, made square by `fit`.
    pub fn preprocessing(&self, fit: Fit) -> Result<Preprocessing, BackboneError> {
        let entry = self.entry()?;
        Ok(Preprocessing {
            fit,
            resolution_px: self.resolution_px,
            mean: entry.mean,
            std: entry.std,
        })
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.backbone, self.resolution_px)
    }
}

/// Parses `backbone@resolution`, or `backbone` alone for its default resolution; for one added to a project, the hash
/// in its name may be omitted.
impl FromStr for Architecture {
    type Err = BackboneError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let (name, resolution) = match text.split_once('@') {
            Some((name, resolution)) => (name, Some(resolution)),
            None => (text, None),
        };
        let entry = Backbone::called(name).map_err(|_| unknown(text))?;
        let resolution_px = match resolution {
            None => entry.default_resolution,
            Some(resolution) => resolution.parse().map_err(|_| unknown(text))?,
        };
        let architecture = Self {
            backbone: entry.name.clone(),
            resolution_px,
        };
        architecture.entry()?;
        Ok(architecture)
    }
}

/// The error "unknown architecture …; known are efficientnet-lite0@96, 128, …".
fn unknown(name: &str) -> BackboneError {
    let known = match known_backbones() {
        Ok(backbones) => backbones
            .iter()
            .map(|backbone| {
                let resolutions = backbone
                    .resolutions
                    .iter()
                    .map(u32::to_string)
                    .collect::<Vec<_>>()
                    .join("/");
                format!("{}@{resolutions}", backbone.name)
            })
            .collect::<Vec<_>>()
            .join(", "),
        Err(error) => return error,
    };
    BackboneError::UnknownArchitecture {
        name: name.to_owned(),
        known,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for architecture in Architecture::all().unwrap() {
            let text = architecture.to_string();
            assert_eq!(text.parse::<Architecture>().unwrap(), architecture);
        }
        assert_eq!(
            "efficientnet-lite0".parse::<Architecture>().unwrap(),
            Architecture::default()
        );
    }

    #[test]
    fn refuses_what_is_not_on_offer() {
        for text in [
            "",
            "mobilenet@224",
            "mobilenet-v2@256",
            "efficientnet-lite0@",
            "efficientnet-lite0@225",
            "efficientnet-lite0@-32",
        ] {
            let error = text.parse::<Architecture>().unwrap_err().to_string();
            assert!(error.starts_with("unknown architecture"), "{error}");
            assert!(
                error.contains("known are efficientnet-lite0@96/"),
                "{error}"
            );
        }
    }

    #[test]
    fn cost_grows_with_the_pixels() {
        let cost = |text: &str| {
            text.parse::<Architecture>()
                .unwrap()
                .multiply_accumulates()
                .unwrap()
        };
        assert_eq!(
            cost("efficientnet-lite0@224"),
            Backbone::named("efficientnet-lite0")
                .unwrap()
                .multiply_accumulates
        );
        assert_eq!(
            cost("efficientnet-lite0@224") * 4,
            cost("efficientnet-lite0@96") * 4 * 49 / 9
        );
    }
}
