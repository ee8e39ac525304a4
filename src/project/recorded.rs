//! When a film or a photo was recorded.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Earlier years come from camera clocks that were never set, and from containers without a time.
const FIRST_YEAR: i16 = 1990;

/// The time at which a recording began, as stated in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Recorded {
    /// Local time: `2024-05-01T18:22:01`.
    Local(DateTime),
    /// UTC, with an unknown time zone: `2024-05-01T16:22:01Z`.
    Utc(Timestamp),
}

impl Recorded {
    /// The local time `after_secs` seconds later; in `zone` if the time zone is unknown.
    #[must_use]
    pub fn on_clock(self, after_secs: f64, zone: &TimeZone) -> Option<DateTime> {
        let after = SignedDuration::try_from_secs_f64(after_secs).ok()?;
        match self {
            Self::Local(time) => time.checked_add(after).ok(),
            Self::Utc(time) => {
                let time = time.checked_add(after).ok()?;
                Some(zone.to_datetime(time))
            }
        }
    }

    /// The time, unless it is that of a clock that was never set.
    #[must_use]
    pub fn if_credible(self) -> Option<Self> {
        let year = self.on_clock(0.0, &TimeZone::UTC)?.year();
        (year >= FIRST_YEAR).then_some(self)
    }
}

impl FromStr for Recorded {
    type Err = String;

    /// Parses an ISO 8601 time: with `Z` as UTC, otherwise as local time, ignoring any offset.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |error: jiff::Error| format!("“{text}” is not a time: {error}");
        if text.ends_with('Z') {
            return text.parse().map(Self::Utc).map_err(wrong);
        }
        // A date with dashes has ten characters; a sign after that begins an offset.
        let offset = text.rfind(['+', '-']).filter(|at| *at > 10);
        let local = offset.and_then(|at| text.get(..at)).unwrap_or(text);
        local.parse().map(Self::Local).map_err(wrong)
    }
}

impl TryFrom<String> for Recorded {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Recorded> for String {
    fn from(recorded: Recorded) -> Self {
        recorded.to_string()
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(time) => time.fmt(f),
            Self::Utc(time) => time.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

    use super::*;

    #[test]
    fn times_of_cameras_are_read_and_written() {
        let read = |text: &str| text.parse::<Recorded>().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let hour = |text: &str, after| read(text).on_clock(after, &zone).unwrap().hour();
        assert_eq!(hour("2024-05-01T16:22:01.000000Z", 0.0), 18);
        assert_eq!(hour("2024-05-01T16:22:01.000000Z", 3_600.0), 19);
        // The local time, independent of the time zone of this program.
        assert_eq!(hour("2024-05-01T05:22:01-0700", 0.0), 5);
        assert_eq!(hour("2024-05-01T05:22:01+09:00", 3_599.0), 6);
        assert_eq!(hour("2024-05-01T05:22:01", 0.0), 5);
        for text in ["2024-05-01T16:22:01Z", "2024-05-01T05:22:01"] {
            assert_eq!(String::from(read(text)), text);
        }
        assert!("yesterday".parse::<Recorded>().is_err());
        assert_eq!(read("1970-01-01T00:00:00Z").if_credible(), None);
        assert!(read("2001-01-01T00:00:00").if_credible().is_some());
    }
}
