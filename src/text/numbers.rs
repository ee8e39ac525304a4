//! Numbers as people read them.

/// `1,260`
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

/// A part of one in per cent with one decimal: `93.4 %`.
#[must_use]
pub fn percent(part: impl Into<f64>) -> String {
    format!("{:.1} %", part.into() * 100.0)
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
    }
}
