//! Text for users: control characters and invisible characters are escaped.
//!
//! Names of files, folders, classes, runs and models may come from anyone. A terminal obeys control characters in
//! them, a direction override shows `exe.jpg` for `gpj.exe`, a line break forges a line, and two names may differ in a
//! character of zero width. [`visible`] writes each such character as `\u{202e}`, and [`json`] as `\u202e`, which
//! every program reads as the same string. Letters of all scripts, combining marks and emoji stay, and so do joiners
//! where a script or an emoji sequence needs them.
//!
//! This is applied where text is output for users: to the command line's console, its log, the sentences of errors,
//! and each frame of the window. Files contain exact names.

mod csv;
mod numbers;

use std::borrow::Cow;

pub use csv::csv_cell;
pub use numbers::{
    bytes, clock, count, counted, number, percent, percent_or_dash, percent_range, rounded_bytes,
};

/// The text in one line: line breaks are escaped as `\n`, tabs as `\t`.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    replaced(text, |_| false, escaped)
}

/// The text with line breaks unchanged.
#[must_use]
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    replaced(text, |c| c == '\n', escaped)
}

/// Equivalent JSON in which such characters are escaped as `\u202e`. In valid JSON they occur only in strings, except
/// for line breaks and tabs between tokens, which stay.
#[must_use]
pub fn json(json: &str) -> Cow<'_, str> {
    let is_space = |c| matches!(c, '\n' | '\r' | '\t');
    replaced(json, is_space, |c, out| {
        for unit in c.encode_utf16(&mut [0; 2]).iter() {
            out.push_str("\\u");
            let digits = [12, 8, 4, 0].map(|shift| u32::from((*unit >> shift) & 0xf));
            out.extend(
                digits
                    .iter()
                    .filter_map(|digit| char::from_digit(*digit, 16)),
            );
        }
    })
}

/// Whether [`visible_lines`] would leave the text unchanged.
#[must_use]
pub fn is_visible(text: &str) -> bool {
    matches!(visible_lines(text), Cow::Borrowed(_))
}

fn escaped(c: char, out: &mut String) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c => out.extend(c.escape_unicode()),
    }
}

/// Replaces each control or invisible character for which `keep` is false, by calling `write`.
fn replaced(
    text: &str,
    keep: impl Fn(char) -> bool,
    write: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if !text.chars().any(|c| acts(c) && !keep(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut is_changed = false;
    let mut before = None;
    let mut in_flag = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        in_flag = c == BLACK_FLAG || (in_flag && is_tag(c));
        let is_needed = match c {
            ZWNJ | ZWJ => joins(before, c, chars.peek().copied()),
            c if is_tag(c) => in_flag,
            _ => false,
        };
        if acts(c) && !is_needed && !keep(c) {
            write(c, &mut out);
            is_changed = true;
        } else {
            out.push(c);
        }
        before = Some(c);
    }
    if is_changed {
        Cow::Owned(out)
    } else {
        Cow::Borrowed(text)
    }
}

const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';
/// The first character of the flags of England, Scotland and Wales, which continue with tag characters.
const BLACK_FLAG: char = '\u{1f3f4}';

fn is_tag(c: char) -> bool {
    matches!(c, '\u{e0020}'..='\u{e007f}')
}

/// Whether a character affects the text around it or is invisible (Unicode's categories Cc, Cf, Zl and Zp, and the
/// filler letters).
fn acts(c: char) -> bool {
    matches!(c,
        // C0, DEL, C1.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Soft hyphen, Arabic letter mark, Mongolian vowel separator.
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        // Zero-width characters, joiners, direction marks.
        | '\u{200b}'..='\u{200f}'
        // Line and paragraph separator, embeddings and overrides.
        | '\u{2028}'..='\u{202e}'
        // Word joiner, invisible operators, isolates, deprecated formatting.
        | '\u{2060}'..='\u{206f}'
        // Blank letters.
        | '\u{3164}' | '\u{ffa0}'
        // Byte order mark, interlinear annotation, tags.
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether a joiner between two characters is meaningful in their script.
fn joins(before: Option<char>, joiner: char, after: Option<char>) -> bool {
    let Some(before) = before else { return false };
    let in_emoji = joiner == ZWJ && is_emoji(before) && after.is_some_and(is_emoji);
    // In scripts of India and Sri Lanka a joiner may end a word.
    let ends = matches!(before, '\u{900}'..='\u{dff}');
    let in_script =
        is_of_joining_script(before) && (ends || after.is_some_and(is_of_joining_script));
    in_emoji || in_script
}

/// Characters of emoji, including the variation selector and skin tones.
fn is_emoji(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
}

/// Scripts whose letters change shape by context: Arabic and related scripts, those of India and South-East Asia,
/// Mongolian.
fn is_of_joining_script(c: char) -> bool {
    !acts(c)
        && matches!(c,
            '\u{600}'..='\u{dff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{18af}'
            | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
            | '\u{11000}'..='\u{11fff}' | '\u{1e900}'..='\u{1e95f}')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// Original and escaped forms.
    const ACTING: [(&str, &str); 16] = [
        ("\u{1b}[2Jcat", "\\u{1b}[2Jcat"),
        ("\u{9b}2Jcat", "\\u{9b}2Jcat"),
        ("a\nb", "a\\nb"),
        ("a\r\tb", "a\\r\\tb"),
        ("\0\u{7f}\u{85}", "\\u{0}\\u{7f}\\u{85}"),
        ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
        ("\u{2066}a\u{2069}", "\\u{2066}a\\u{2069}"),
        ("\u{200e}a\u{200f}\u{61c}", "\\u{200e}a\\u{200f}\\u{61c}"),
        ("a\u{2028}b\u{2029}", "a\\u{2028}b\\u{2029}"),
        ("c\u{200b}at", "c\\u{200b}at"),
        ("\u{feff}cat", "\\u{feff}cat"),
        ("c\u{200d}at", "c\\u{200d}at"),
        ("cat\u{200c}", "cat\\u{200c}"),
        ("c\u{ad}at\u{2060}", "c\\u{ad}at\\u{2060}"),
        ("a\u{e0061}", "a\\u{e0061}"),
        ("\u{3164}", "\\u{3164}"),
    ];

    #[test]
    fn what_acts_is_written_out() {
        for (text, shown) in ACTING {
            assert_eq!(visible(text), shown);
            assert!(!is_visible(text) || text.contains('\n'), "{text:?}");
        }
        assert_eq!(visible_lines("a\nb\u{1b}\n"), "a\nb\\u{1b}\n");
    }

    #[test]
    fn what_people_write_stays() {
        for text in [
            "Bär, Ärger; a\u{308}",
            "猫 ねこ 고양이",
            "кошка γάτα חתול قطة",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "ന\u{d4d}\u{200d}",
            "👩\u{200d}👧\u{200d}👦",
            "❤\u{fe0f}\u{200d}🔥",
            "👩🏽\u{200d}⚕\u{fe0f}",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "C:\\new\\table — “x” … 5 €",
            "1\u{202f}000\u{a0}px",
        ] {
            assert!(matches!(visible(text), Cow::Borrowed(_)), "{text:?}");
        }
    }

    #[test]
    fn json_means_the_same() {
        for (text, _) in ACTING {
            let before = serde_json::to_string(&[text]).unwrap();
            let after = json(&before);
            assert!(after.chars().all(|c| !acts(c)), "{after}");
            let [read] = serde_json::from_str::<[String; 1]>(&after).unwrap();
            assert_eq!(read, text);
        }
        assert_eq!(json("[\"\u{9b}\"]"), "[\"\\u009b\"]");
        assert_eq!(json("{\n\t\"a\": 1\n}"), "{\n\t\"a\": 1\n}");
    }
}
