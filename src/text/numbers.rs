//! Numbers for users.

/// An integer with separators: `1,260`.
#[must_use]
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 frame`, `1,260 frames`, `2 classes`
#[must_use]
pub fn count(value: u64, thing: &str) -> String {
    let ending = if thing.ends_with('s') { "es" } else { "s" };
    counted(value, thing, &format!("{thing}{ending}"))
}

/// [`count`] where the plural is not made by an ending: `1 batch of photos`, `2 batches of photos`
#[must_use]
pub fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

/// A fraction of one in per cent with one decimal: `93.4 %`.
#[must_use]
pub fn percent(part: impl Into<f64>) -> String {
    format!("{:.1} %", part.into() * 100.0)
}

/// [`percent`], and a dash for none.
#[must_use]
pub fn percent_or_dash(part: Option<impl Into<f64>>) -> String {
    part.map_or_else(|| "–".to_owned(), percent)
}

/// Both ends of an interval of parts of one in whole per cent, rounded outwards: 0.702 to 0.921 is 70 to 93.
#[must_use]
pub fn percent_range([low, high]: [f64; 2]) -> [f64; 2] {
    [(100.0 * low).floor(), (100.0 * high).ceil()]
}

/// A size in decimal units: `999 B`, `1.5 kB`, `18.6 MB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.1} GB", value / 1e9),
    }
}

/// An estimated size or a limit, to two significant digits: `under 1 kB`, `1.5 kB`, `12 MB`, `120 MB`.
#[must_use]
pub fn rounded_bytes(bytes: u64) -> String {
    if bytes < 1_000 {
        return "under 1 kB".to_owned();
    }
    let last = 10_u64.pow(bytes.ilog10() - 1);
    let rounded = bytes.saturating_add(last / 2) / last * last;
    let tens = rounded / 1_000_u64.pow((rounded.ilog10() / 3).min(3)) >= 10;
    let text = self::bytes(rounded);
    if tens {
        text.replacen(".0 ", " ", 1)
    } else {
        text
    }
}

/// A length of a video, or a time in it, to the second: `0:42`, `1:02:07`.
#[must_use]
pub fn clock(secs: f64) -> String {
    let total = secs.max(0.0).round() as u64;
    let (hours, minutes, secs) = (total / 3600, total / 60 % 60, total % 60);
    match hours {
        0 => format!("{minutes}:{secs:02}"),
        _ => format!("{hours}:{minutes:02}:{secs:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_parts_rounded() {
        assert_eq!(number(999), "999");
        assert_eq!(number(1_260), "1,260");
        assert_eq!(number(2_501_000), "2,501,000");
        assert_eq!(percent(0.9344), "93.4 %");
        assert_eq!(percent(1.0_f32), "100.0 %");
        assert_eq!(percent_or_dash(None::<f64>), "–");
        let [low, high] = percent_range([0.702, 0.921]);
        assert_eq!((low as u8, high as u8), (70, 93));
    }

    #[test]
    fn things_are_counted_in_singular_and_plural() {
        assert_eq!(count(1, "class"), "1 class");
        assert_eq!(count(2, "class"), "2 classes");
        assert_eq!(count(0, "frame"), "0 frames");
        assert_eq!(count(1_260, "frame"), "1,260 frames");
        assert_eq!(
            counted(1, "batch of photos", "batches of photos"),
            "1 batch of photos"
        );
    }

    #[test]
    fn sizes_and_times_have_the_unit_that_suits_them() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_500), "1.5 kB");
        assert_eq!(bytes(18_600_000), "18.6 MB");
        assert_eq!(bytes(1_900_000_000), "1.9 GB");
        assert_eq!(bytes(0), "0 B");
        for (value, words) in [
            (0, "under 1 kB"),
            (999, "under 1 kB"),
            (1_000, "1.0 kB"),
            (1_549, "1.5 kB"),
            (9_960, "10 kB"),
            (12_345_678, "12 MB"),
            (996_000, "1.0 MB"),
            (123_000_000, "120 MB"),
            (52_000_000_000, "52 GB"),
        ] {
            assert_eq!(rounded_bytes(value), words);
        }
        assert_eq!(clock(42.4), "0:42");
        assert_eq!(clock(3727.0), "1:02:07");
    }
}
