//! Numbers, durations and names for users.

use std::path::Path;
use std::time::Duration;

use unicode_segmentation::UnicodeSegmentation;

use crate::backbone::{Architecture, Depth};
pub use crate::project::Noun;
use crate::project::Sampling;
use crate::text::visible;
pub use crate::text::{
    bytes, clock, count, counted, number, percent, percent_or_dash, percent_range, rounded_bytes,
};
use crate::train::Run;

/// The text with its first letter in upper case, as at the beginning of a sentence.
#[must_use]
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

/// `1 frame`, `1,260 frames` of a video. Those of a project are counted with its [`Noun`].
#[must_use]
pub fn frames(value: usize) -> String {
    Noun::Frame.count(value)
}

/// A duration in words: `8 s`, `4 min 12 s`, `2 h 5 min`.
#[must_use]
pub fn duration(secs: f64) -> String {
    let total = secs.max(0.0).round() as u64;
    let (hours, minutes, secs) = (total / 3600, total / 60 % 60, total % 60);
    match (hours, minutes) {
        (0, 0) => format!("{secs} s"),
        (0, _) if secs == 0 => format!("{minutes} min"),
        (0, _) => format!("{minutes} min {secs} s"),
        (_, 0) => format!("{hours} h"),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// `4 s left`, `2 min left`; rounded so that it does not flicker.
#[must_use]
pub fn time_left(left: Duration) -> String {
    let secs = left.as_secs_f64();
    if secs < 10.0 {
        format!("{} s left", secs.ceil().max(1.0) as u64)
    } else if secs < 60.0 {
        format!("{} s left", (secs / 5.0).ceil() as u64 * 5)
    } else {
        format!("{} left", duration((secs / 60.0).ceil() * 60.0))
    }
}

/// Timestamp of a frame: `0.5 s`, `1:02.5`.
#[must_use]
pub fn timestamp(secs: f64) -> String {
    if secs < 59.95 {
        format!("{secs:.1} s")
    } else {
        let minutes = (secs / 60.0).floor();
        format!("{minutes:.0}:{:04.1}", secs - minutes * 60.0)
    }
}

/// A rate: `30`, `29.97`, `2.5`.
#[must_use]
pub fn rate(fps: f64) -> String {
    let text = format!("{fps:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A sampling in words: `2 frames per second, 500 px wide`.
#[must_use]
pub fn sampling(sampling: &Sampling) -> String {
    let frames = if (sampling.fps.0 - 1.0).abs() < 1e-9 {
        "1 frame per second".to_owned()
    } else {
        format!("{} frames per second", rate(sampling.fps.0))
    };
    match sampling.width_px {
        Some(width) => format!("{frames}, {width} px wide"),
        None => format!("{frames}, as wide as the video"),
    }
}

/// The short name of an architecture, for titles of runs: `lite0@224`, `mnv2@224`.
#[must_use]
pub fn architecture(architecture: &Architecture) -> String {
    if let Some(title) = own_title(architecture) {
        return title;
    }
    let text = architecture.to_string();
    let short = text
        .strip_prefix("mobilenet-")
        .map(|rest| format!("mn{rest}"));
    short.unwrap_or_else(|| family_left_out(text))
}

/// The longer name of an architecture: `lite0@224`, `mobilenet-v2@224`.
#[must_use]
pub fn architecture_name(architecture: &Architecture) -> String {
    if let Some(title) = own_title(architecture) {
        return title;
    }
    family_left_out(architecture.to_string())
}

/// The name of an architecture that was added to a project, without its hash: `resnet18@224`.
fn own_title(architecture: &Architecture) -> Option<String> {
    let own = architecture.entry().ok()?.own.as_ref()?;
    Some(format!("{}@{}", own.title, architecture.resolution_px))
}

fn family_left_out(text: String) -> String {
    match text.strip_prefix("efficientnet-") {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

/// An architecture in words for users who do not know its name: `Small, 224 px, fast on phones`.
#[must_use]
pub fn architecture_in_words(architecture: &Architecture) -> String {
    let macs = architecture.multiply_accumulates().unwrap_or_default();
    let size = match architecture.to_string() {
        name if name.starts_with("mobilenet-v2") => "Smallest",
        name if name.contains("lite0") => "Small",
        name if name.contains("lite1") => "Medium",
        name if name.contains("lite2") => "Large",
        _ if macs < 500_000_000 => "Small",
        _ if macs < 800_000_000 => "Medium",
        _ => "Large",
    };
    let pace = match macs {
        0..200_000_000 => "very fast on phones",
        200_000_000..500_000_000 => "fast on phones",
        500_000_000..1_000_000_000 => "a little slower",
        _ => "slow on phones",
    };
    let own = architecture
        .entry()
        .ok()
        .and_then(|entry| entry.own.as_ref());
    let size = own.map_or(size, |own| own.title.as_str());
    format!("{size}, {} px, {pace}", architecture.resolution_px)
}

/// The title of a run: `lite0@224 · today 14:02`, `lite0@224 last-3 · today 14:02`.
#[must_use]
pub fn run_title(run: &Run) -> String {
    match run.settings.fine_tune.depth {
        Depth::Head => run_title_without_depth(run),
        depth => titled(run, &format!(" {depth}")),
    }
}

/// The same if the depth is shown next to it: `lite0@224 · today 14:02`.
#[must_use]
pub fn run_title_without_depth(run: &Run) -> String {
    titled(run, "")
}

fn titled(run: &Run, depth: &str) -> String {
    let name = architecture(&run.settings.architecture) + depth;
    match begun(run) {
        begun if begun.is_empty() => name,
        begun => match run_number(run) {
            Some(number) => format!("{name} · {begun} · {number}"),
            None => format!("{name} · {begun}"),
        },
    }
}

/// The number of a run among those of its day and architecture, `#2`; `None` for the first: it distinguishes runs that
/// were begun in the same minute.
fn run_number(run: &Run) -> Option<String> {
    let (_, number) = run.id.0.rsplit_once('_')?;
    let number: u32 = number.parse().ok()?;
    (number > 1).then(|| format!("#{number}"))
}

/// When a run was begun: `today 14:02`; empty if that cannot be read.
#[must_use]
pub fn begun(run: &Run) -> String {
    moment(&run.created)
}

/// A time in RFC 3339 for users: `today 14:02`; empty if it cannot be read.
#[must_use]
pub fn moment(text: &str) -> String {
    text.parse::<jiff::Timestamp>()
        .map(|created| {
            let created = created.to_zoned_datetime(jiff::tz::TimeZone::system());
            format!("{} {}", day(created.date()), created.strftime("%H:%M"))
        })
        .unwrap_or_default()
}

/// The trained part at a depth, within a sentence: `the head`, `the last three blocks`.
#[must_use]
pub fn depth_part(depth: Depth) -> &'static str {
    match depth {
        Depth::Head => "the head",
        Depth::Last1 => "the last block",
        Depth::Last3 => "the last three blocks",
        Depth::Stage => "the last stage",
        Depth::TwoStages => "the last two stages",
        Depth::All => "the whole network",
    }
}

/// `today`, `yesterday`, `24 Nov`, `24 Nov 2025`.
fn day(date: jiff::civil::Date) -> String {
    let today = jiff::ZonedDateTime::now().date();
    if date == today {
        "today".to_owned()
    } else if today.yesterday().is_ok_and(|yesterday| yesterday == date) {
        "yesterday".to_owned()
    } else if date.year() == today.year() {
        date.strftime("%-d %b").to_string()
    } else {
        date.strftime("%-d %b %Y").to_string()
    }
}

/// Millions of multiply-accumulates or parameters: `407 M`, `4.7 M`.
#[must_use]
pub fn millions(value: u64) -> String {
    let millions = value as f64 / 1e6;
    if millions < 10.0 {
        format!("{millions:.1} M")
    } else {
        format!("{millions:.0} M")
    }
}

/// A number of weights: `1.97 M`, `38 k`, `120`.
#[must_use]
pub fn weights(value: u64) -> String {
    let count = value as f64;
    match value {
        0..1_000 => number(value),
        1_000..10_000 => format!("{:.1} k", count / 1e3),
        10_000..1_000_000 => format!("{:.0} k", count / 1e3),
        1_000_000..10_000_000 => format!("{:.2} M", count / 1e6),
        _ => format!("{:.1} M", count / 1e6),
    }
}

/// An estimated duration: `about 8 s`, `about 40 s`, `about 4 min`, `about 1 h 20 min`.
#[must_use]
pub fn about(secs: f64) -> String {
    let rounded = match secs {
        _ if secs < 10.0 => secs.ceil().max(1.0),
        _ if secs < 57.5 => (secs / 5.0).round() * 5.0,
        _ if secs < 3570.0 => (secs / 60.0).round() * 60.0,
        _ => (secs / 600.0).round() * 600.0,
    };
    format!("about {}", duration(rounded))
}

/// A path or a part of one in one line.
#[must_use]
pub fn path(path: impl AsRef<Path>) -> String {
    visible(&path.as_ref().to_string_lossy()).into_owned()
}

/// One line of at most `most` characters, with the middle left out; never cuts within a character.
#[must_use]
pub fn shorten(text: &str, most: usize) -> String {
    let text = visible(text);
    let characters: Vec<&str> = text.graphemes(true).collect();
    if characters.len() <= most || most < 3 {
        return text.into_owned();
    }
    let tail = (most - 1) / 2;
    let head = most - 1 - tail;
    let mut short: String = characters.iter().take(head).copied().collect();
    short.push('…');
    short.extend(characters.iter().skip(characters.len() - tail).copied());
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(frames(1), "1 frame");
        assert_eq!(duration(252.0), "4 min 12 s");
        assert_eq!(duration(7500.0), "2 h 5 min");
        assert_eq!(timestamp(0.5), "0.5 s");
        assert_eq!(timestamp(62.5), "1:02.5");
        assert_eq!(rate(29.97), "29.97");
        assert_eq!(rate(30.0), "30");
        let taken = Sampling {
            width_px: None,
            ..Sampling::default()
        };
        assert_eq!(
            sampling(&taken),
            "2 frames per second, as wide as the video"
        );
        assert_eq!(millions(407_000_000), "407 M");
        assert_eq!(millions(4_650_000), "4.7 M");
        assert_eq!(architecture(&Architecture::default()), "lite0@224");
        let smallest: Result<Architecture, _> = "mobilenet-v2@96".parse();
        let name = |of: fn(&Architecture) -> String| smallest.as_ref().map(of).ok();
        assert_eq!(name(architecture).as_deref(), Some("mnv2@96"));
        assert_eq!(name(architecture_name).as_deref(), Some("mobilenet-v2@96"));
        assert_eq!(
            architecture_in_words(&Architecture::default()),
            "Small, 224 px, fast on phones"
        );
        assert_eq!(weights(640), "640");
        assert_eq!(weights(3_843), "3.8 k");
        assert_eq!(weights(413_443), "413 k");
        assert_eq!(weights(1_968_000), "1.97 M");
        assert_eq!(about(0.2), "about 1 s");
        assert_eq!(about(42.0), "about 40 s");
        assert_eq!(about(58.0), "about 1 min");
        assert_eq!(about(250.0), "about 4 min");
        assert_eq!(about(4_900.0), "about 1 h 20 min");
        assert_eq!(time_left(Duration::from_millis(3200)), "4 s left");
        assert_eq!(time_left(Duration::from_secs(61)), "2 min left");
    }

    #[test]
    fn each_architecture_has_words_of_its_own() {
        let mut words: Vec<String> = Architecture::all()
            .unwrap_or_default()
            .iter()
            .map(architecture_in_words)
            .collect();
        let count = words.len();
        assert!(count > 24);
        words.sort();
        words.dedup();
        assert_eq!(words.len(), count);
    }

    #[test]
    fn shortening_keeps_characters_whole() {
        assert_eq!(shorten("short.mp4", 20), "short.mp4");
        assert_eq!(shorten("a very long name.mp4", 11), "a ver…e.mp4");
        let family = "👨‍👩‍👧‍👦".repeat(6);
        assert_eq!(shorten(&family, 3), "👨‍👩‍👧‍👦…👨‍👩‍👧‍👦");
    }
}
