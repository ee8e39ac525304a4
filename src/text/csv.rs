//! A cell of comma-separated values (RFC 4180).

/// Text as one cell, in quotation marks if necessary.
///
/// Spreadsheets treat a cell that begins with `=`, `+`, `-` or `@` as a formula, which may access the network or start
/// a program, and names may come from anyone. Such a text, unless it is a number, is prefixed with an apostrophe,
/// which makes spreadsheets treat it as text.
#[must_use]
pub fn csv_cell(text: &str) -> String {
    let begins = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
    let is_formula = begins.starts_with(['=', '+', '-', '@']) && text.parse::<f64>().is_err();
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_formula_and_numbers_stay() {
        for (text, cell) in [
            ("cat", "cat"),
            ("cat, or \"puss\"", "\"cat, or \"\"puss\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("=1+1", "'=1+1"),
            ("=HYPERLINK(\"x\",A1)", "\"'=HYPERLINK(\"\"x\"\",A1)\""),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+49", "+49"),
            ("-0.5", "-0.5"),
            ("-a", "'-a"),
            ("\t=1", "'\t=1"),
            ("", ""),
        ] {
            assert_eq!(csv_cell(text), cell, "{text:?}");
        }
    }
}
