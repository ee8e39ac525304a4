//! The depth of a training.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::BackboneError;

/// How much of a network is trained, counted in blocks from its end (see [`super::Blocks`]).
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Depth {
    /// Only the head, on cached bottlenecks.
    #[default]
    #[serde(rename = "head")]
    Head,
    /// Also the last block.
    #[serde(rename = "last-1")]
    Last1,
    /// Also the last three blocks.
    #[serde(rename = "last-3")]
    Last3,
    /// Also all blocks with the resolution of the last feature map, including the one that reduces to it.
    #[serde(rename = "stage")]
    Stage,
    /// Also the stage before the last: all blocks of the two lowest resolutions.
    #[serde(rename = "two-stages")]
    TwoStages,
    /// The whole network.
    #[serde(rename = "all")]
    All,
}

impl Depth {
    /// All depths, from the shallowest to the deepest.
    pub const ALL: [Self; 6] = [
        Self::Head,
        Self::Last1,
        Self::Last3,
        Self::Stage,
        Self::TwoStages,
        Self::All,
    ];

    /// Its name in files and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Last1 => "last-1",
            Self::Last3 => "last-3",
            Self::Stage => "stage",
            Self::TwoStages => "two-stages",
            Self::All => "all",
        }
    }

    /// Its title for users.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Head => "Head alone",
            Self::Last1 => "Last block",
            Self::Last3 => "Last three blocks",
            Self::Stage => "Last stage",
            Self::TwoStages => "Last two stages",
            Self::All => "Everything",
        }
    }
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Depth {
    type Err = BackboneError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|depth| depth.word() == text.trim())
            .ok_or_else(|| BackboneError::UnknownDepth {
                name: text.trim().to_owned(),
                known: Self::ALL.map(Self::word).join(", "),
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn words_are_the_same_everywhere() {
        for depth in Depth::ALL {
            assert_eq!(depth.to_string().parse::<Depth>().unwrap(), depth);
            let json = serde_json::to_string(&depth).unwrap();
            assert_eq!(json, format!("\"{depth}\""));
            assert_eq!(serde_json::from_str::<Depth>(&json).unwrap(), depth);
        }
        let error = "last-2".parse::<Depth>().unwrap_err().to_string();
        assert!(
            error.contains("“last-2”") && error.contains("head, last-1, last-3"),
            "{error}"
        );
    }
}
