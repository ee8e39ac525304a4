//! The file name of a frame, which contains its source and its timestamp.

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::SourceId;

/// Longest file name in bytes. File systems allow 255; the rest is reserved for `~2`, `.part` and similar endings.
const MAX_BYTES: usize = 240;

/// Number of hexadecimal digits of an identity: 128 bits.
pub(super) const ID_DIGITS: usize = 32;

/// Number of hexadecimal digits of an identity in names of earlier versions: 32 bits.
pub(super) const LEGACY_DIGITS: usize = 8;

/// Used instead of a timestamp in the name of a photo.
const PHOTO: &str = "photo";

/// The parts of a frame's file name: `<stem>-<source>_<seconds>_<id>.jpg`, for a photo
/// `<stem>-<source>_photo_<id>.<ext>`. `<source>` and `<id>` have [`ID_DIGITS`] hexadecimal digits, or
/// [`LEGACY_DIGITS`] in names of earlier versions; both are read.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameName {
    /// Readable part, from the source's name, without meaning.
    pub stem: String,
    /// The source.
    pub source: SourceId,
    /// Seconds from the start of the video, to the microsecond; `None` for a photo.
    pub time_secs: Option<f64>,
    /// Hexadecimal digits of a hash of source, time and width (for a photo, of its bytes, see [`super::ContentId`]),
    /// so that extracting again finds existing frames.
    pub id: String,
    /// The extension in lower case.
    pub extension: String,
}

impl FrameName {
    /// Parses a file name; `None` if Salamander did not make it. Endings that file managers append to a copy (`…
    /// (2).jpg`, `… copy.jpg`), and Salamander on a collision (`…~2.jpg`), are ignored.
    #[must_use]
    pub fn parse(file_name: &str) -> Option<Self> {
        let parts = Parts::of(file_name)?;
        Some(Self {
            stem: parts.stem.to_owned(),
            source: parts.source,
            time_secs: parts.time_secs,
            id: parts.id.to_owned(),
            extension: parts.extension.to_lowercase(),
        })
    }

    /// The file name. In the stem, characters that some file system refuses are replaced, and it is shortened so that
    /// the name is valid on every file system.
    #[must_use]
    pub fn to_file_name(&self) -> String {
        let time = match self.time_secs {
            Some(secs) => format!("{:.6}", if secs.is_finite() { secs.max(0.0) } else { 0.0 }),
            None => PHOTO.to_owned(),
        };
        let tail = format!("-{}_{time}_{}.{}", self.source, self.id, self.extension);
        let stem = clean_stem(&self.stem, MAX_BYTES.saturating_sub(tail.len()));
        stem + &tail
    }
}

/// A parsed file name that borrows its text: a scan reads tens of thousands of names.
pub(super) struct Parts<'a> {
    stem: &'a str,
    /// The source.
    pub(super) source: SourceId,
    /// Seconds from the start of the video; `None` for a photo.
    pub(super) time_secs: Option<f64>,
    id: &'a str,
    extension: &'a str,
}

impl<'a> Parts<'a> {
    /// See [`FrameName::parse`].
    pub(super) fn of(file_name: &'a str) -> Option<Self> {
        let (base, extension) = file_name.rsplit_once('.')?;
        let (rest, last) = base.rsplit_once('_')?;
        let digits = last.bytes().take_while(|b| is_hex_digit(*b)).count();
        let (id, suffix) = last.split_at(digits);
        if !is_hex(id) || suffix.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return None;
        }
        let (rest, time) = rest.rsplit_once('_')?;
        let time_secs = if time == PHOTO {
            None
        } else {
            Some(parse_time(time)?)
        };
        let (stem, source) = rest.rsplit_once('-')?;
        if stem.is_empty() || extension.is_empty() {
            return None;
        }
        Some(Self {
            stem,
            source: SourceId::from_hex(source)?,
            time_secs,
            id,
            extension,
        })
    }
}

fn clean_stem(stem: &str, max_bytes: usize) -> String {
    let clean: String = stem
        .nfc()
        .map(|c| {
            if c.is_control() || "<>:\"/\\|?*".contains(c) || matches!(c, '\u{2028}' | '\u{2029}') {
                '_'
            } else {
                c
            }
        })
        .collect();
    let clean = clean.trim_start_matches(|c: char| c == '.' || c.is_whitespace());
    let mut kept = String::new();
    // Grapheme by grapheme, so that accents and emojis are never split.
    for grapheme in clean.graphemes(true) {
        if kept.len() + grapheme.len() > max_bytes {
            break;
        }
        kept.push_str(grapheme);
    }
    if kept.is_empty() {
        "frame".clone_into(&mut kept);
    }
    kept
}

/// Parses a time such as `12.500000`: digits, a point and exactly six decimals.
fn parse_time(text: &str) -> Option<f64> {
    let (whole, micros) = text.split_once('.')?;
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || micros.len() != 6 || !digits(whole) || !digits(micros) {
        return None;
    }
    text.parse().ok()
}

/// Whether a text consists of as many lower-case hexadecimal digits as an identity has.
pub(super) fn is_hex(text: &str) -> bool {
    matches!(text.len(), LEGACY_DIGITS | ID_DIGITS) && text.bytes().all(is_hex_digit)
}

fn is_hex_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn name(stem: &str, time_secs: Option<f64>) -> FrameName {
        FrameName {
            stem: stem.to_owned(),
            source: SourceId::from_hex("3fa9c1d2").unwrap(),
            time_secs,
            id: "09ab34cd".to_owned(),
            extension: "jpg".to_owned(),
        }
    }

    #[test]
    fn the_name_is_as_documented() {
        assert_eq!(
            name("hall", Some(12.5)).to_file_name(),
            "hall-3fa9c1d2_12.500000_09ab34cd.jpg"
        );
        assert_eq!(
            name("hall", None).to_file_name(),
            "hall-3fa9c1d2_photo_09ab34cd.jpg"
        );
        let long = FrameName {
            source: SourceId::from_hex("0123456789abcdef0123456789abcdef").unwrap(),
            id: "fedcba9876543210fedcba9876543210".to_owned(),
            ..name("hall", Some(12.5))
        };
        let file_name =
            "hall-0123456789abcdef0123456789abcdef_12.500000_fedcba9876543210fedcba9876543210.jpg";
        assert_eq!(long.to_file_name(), file_name);
        assert_eq!(FrameName::parse(file_name), Some(long));
    }

    #[test]
    fn random_names_survive_the_round_trip() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let alphabet: Vec<char> = "ab-_~. 0猫Äß🦎é()3fa9c1d2".chars().collect();
        for _ in 0..5_000 {
            let length = random.random_range(0..60);
            let stem: String = std::iter::once('x')
                .chain((0..length).map(|_| alphabet[random.random_range(0..alphabet.len())]))
                .collect();
            let micros: u64 = random.random_range(0..40_000_000_000);
            let time = random
                .random_bool(0.8)
                .then(|| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000))
                .map(|text| text.parse().unwrap());
            let mut digits = || {
                if random.random_bool(0.5) {
                    format!("{:08x}", random.random::<u32>())
                } else {
                    format!("{:032x}", random.random::<u128>())
                }
            };
            let frame = FrameName {
                stem,
                source: SourceId::from_hex(&digits()).unwrap(),
                time_secs: time,
                id: digits(),
                extension: "png".to_owned(),
            };
            let file_name = frame.to_file_name();
            assert!(file_name.len() <= 255);
            assert_eq!(
                FrameName::parse(&file_name),
                Some(frame),
                "from {file_name}"
            );
        }
    }

    #[test]
    fn stems_are_made_fit_for_every_file_system() {
        let file_name = name("../a:b?\n", Some(1.0)).to_file_name();
        assert_eq!(file_name, "_a_b__-3fa9c1d2_1.000000_09ab34cd.jpg");
        assert!(
            name("", None)
                .to_file_name()
                .starts_with("frame-3fa9c1d2_photo")
        );
        let long = name(&"👩‍👧".repeat(100), Some(3.25)).to_file_name();
        assert!(long.len() <= 240);
        let parsed = FrameName::parse(&long).unwrap();
        assert!(parsed.stem.ends_with("👩‍👧"));
        assert_eq!(parsed.time_secs, Some(3.25));
    }

    #[test]
    fn odd_times_never_make_odd_names() {
        for time in [-1.0, f64::NAN, f64::INFINITY] {
            let file_name = name("a", Some(time)).to_file_name();
            assert_eq!(FrameName::parse(&file_name).unwrap().time_secs, Some(0.0));
        }
    }

    #[test]
    fn copies_keep_their_provenance() {
        for suffix in ["~2", " (2)", " copy", " - Kopie", ""] {
            let file_name = format!("hall-3fa9c1d2_12.500000_09ab34cd{suffix}.JPG");
            let parsed = FrameName::parse(&file_name).unwrap();
            assert_eq!(parsed, name("hall", Some(12.5)), "{file_name}");
        }
    }

    #[test]
    fn other_files_are_not_taken_for_frames() {
        for other in [
            "IMG_1234.jpg",
            "hall-3fa9c1d2_12.5_09ab34cd.jpg",
            "hall-3FA9C1D2_12.500000_09ab34cd.jpg",
            "hall_12.500000_09ab34cd.jpg",
            "-3fa9c1d2_12.500000_09ab34cd.jpg",
            "hall-3fa9c1d2_12.500000_09ab34cd99.jpg",
            "hall-3fa9c1d2_12.500000_09ab34cd09ab34cd09ab34cd09ab34cd0.jpg",
            "hall-3fa9c1d29_12.500000_09ab34cd.jpg",
            "hall-3fa9c1d2_-1.500000_09ab34cd.jpg",
            "hall-3fa9c1d2_1e3.000000_09ab34cd.jpg",
            "é_09ab34cé.jpg",
            "",
            ".jpg",
        ] {
            assert_eq!(FrameName::parse(other), None, "{other}");
        }
    }
}
