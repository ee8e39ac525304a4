//! The properties of a video in one line, and its problems.

use crate::app::words;
use crate::media::VideoInfo;

/// `0:42 · 1080 × 1920 upright (rotated 90°) · 29.97 fps · HEVC 10-bit`
#[must_use]
pub fn line(info: &VideoInfo) -> String {
    let mut parts = Vec::new();
    if let Some(secs) = info.duration_secs {
        parts.push(words::clock(secs));
    }
    let rotation = match info.rotation_degrees {
        0 => String::new(),
        degrees => format!(" upright (rotated {degrees}°)"),
    };
    parts.push(format!("{} × {}{rotation}", info.width_px, info.height_px));
    match (info.variable_fps, info.average_fps) {
        (Some((low, high)), _) => parts.push(format!(
            "{}–{} fps, variable",
            words::rate(low.round()),
            words::rate(high.round())
        )),
        (None, Some(fps)) => parts.push(format!("{} fps", words::rate(fps))),
        (None, None) => {}
    }
    match (info.codec.as_str(), info.bit_depth) {
        ("", _) => {}
        (codec, 0..=8) => parts.push(codec.to_owned()),
        (codec, bits) => parts.push(format!("{codec} {bits}-bit")),
    }
    parts.push(words::bytes(info.bytes));
    parts.join(" · ")
}

/// The badge of a video that is incomplete or cannot be read in places.
pub const DAMAGED: &str = "damaged";

/// A problem of a source: a short badge, and a sentence.
pub struct Oddity {
    /// A word or two.
    pub badge: String,
    /// The whole sentence.
    pub words: String,
}

/// The problems of a video with these properties and warnings.
#[must_use]
pub fn oddities(info: Option<&VideoInfo>, warnings: &[String]) -> Vec<Oddity> {
    let mut odd = Vec::new();
    if let Some(info) = info {
        if info.hdr {
            odd.push(Oddity {
                badge: "HDR → tone-mapped".to_owned(),
                words: "Filmed in high dynamic range; frames are tone-mapped to standard colours."
                    .to_owned(),
            });
        }
        if info.pixel_aspect.is_some() {
            odd.push(Oddity {
                badge: "odd pixels → squared".to_owned(),
                words: "Its pixels are not square; frames are stretched so that they are."
                    .to_owned(),
            });
        }
    }
    for warning in warnings {
        let lower = warning.to_lowercase();
        if info.is_some_and(|info| info.hdr) && lower.contains("hdr") {
            continue;
        }
        let badge = if ["damage", "broken", "corrupt", "decod", "trunc", "ends"]
            .iter()
            .any(|word| lower.contains(word))
        {
            DAMAGED
        } else {
            "has a warning"
        };
        odd.push(Oddity {
            badge: badge.to_owned(),
            words: warning.clone(),
        });
    }
    odd
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> VideoInfo {
        VideoInfo {
            duration_secs: Some(42.0),
            frame_count: Some(1260),
            frame_count_estimated: false,
            average_fps: Some(29.97),
            variable_fps: None,
            width_px: 1080,
            height_px: 1920,
            rotation_degrees: 90,
            pixel_aspect: None,
            codec: "HEVC".to_owned(),
            bit_depth: 10,
            hdr: true,
            bytes: 48_200_000,
            recorded: None,
        }
    }

    #[test]
    fn facts_read_as_one_line() {
        assert_eq!(
            line(&info()),
            "0:42 · 1080 × 1920 upright (rotated 90°) · 29.97 fps · HEVC 10-bit · 48.2 MB"
        );
        let variable = VideoInfo {
            variable_fps: Some((24.0, 30.0)),
            rotation_degrees: 0,
            bit_depth: 8,
            codec: "H.264".to_owned(),
            ..info()
        };
        assert!(line(&variable).contains("24–30 fps, variable · H.264"));
    }

    #[test]
    fn oddities_have_a_badge_each() {
        let odd = oddities(Some(&info()), &["“a.mp4” is damaged after 0:58".to_owned()]);
        let badges: Vec<&str> = odd.iter().map(|odd| odd.badge.as_str()).collect();
        assert_eq!(badges, ["HDR → tone-mapped", "damaged"]);
    }
}
