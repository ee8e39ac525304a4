//! A regular expression that selects runs by their names.

use regex::{Regex, RegexBuilder};

/// An expression that needs more memory than this, in bytes, is refused.
const LARGEST: usize = 1 << 20;

/// The typed text, and its expression.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    text: String,
    expression: Option<Regex>,
    fault: Option<String>,
}

impl RunFilter {
    /// The filter for the typed text, ignoring case. An empty text or an invalid expression selects all runs.
    #[must_use]
    pub fn new(text: String) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        let built = RegexBuilder::new(&text)
            .case_insensitive(true)
            .size_limit(LARGEST)
            .build();
        let (expression, fault) = match built {
            Ok(expression) => (Some(expression), None),
            Err(error) => (None, Some(fault(&error))),
        };
        Self {
            text,
            expression,
            fault,
        }
    }

    /// The typed text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Why the expression is invalid, a sentence.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Whether it excludes anything.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.expression.is_some()
    }

    /// Whether one of these names matches.
    #[must_use]
    pub fn finds(&self, names: &[&str]) -> bool {
        self.expression
            .as_ref()
            .is_none_or(|expression| names.iter().any(|name| expression.is_match(name)))
    }
}

fn fault(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => {
            "The regular expression is too large; shorten it.".to_owned()
        }
        // The last line has the reason; those before mark the position.
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            let reason = last.strip_prefix("error: ").unwrap_or(last);
            format!("Not a valid regular expression: {reason}.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_chosen_by_their_names() {
        let all = RunFilter::new(String::new());
        assert!(!all.is_on() && all.finds(&["lite0@224"]));
        let some = RunFilter::new("LITE[01]@2.*last".to_owned());
        assert!(some.is_on() && some.fault().is_none());
        assert!(some.finds(&["lite0@224 last-3"]) && !some.finds(&["lite2@224 last-3"]));
        assert!(some.finds(&["try", "2026-11-24_efficientnet-lite1@224_last"]));
    }

    #[test]
    fn what_is_no_expression_says_so_and_hides_nothing() {
        let wrong = RunFilter::new("lite(".to_owned());
        assert_eq!(
            wrong.fault(),
            Some("Not a valid regular expression: unclosed group.")
        );
        assert!(!wrong.is_on() && wrong.finds(&["anything"]));
        let large = RunFilter::new("(a{1000}){1000}".to_owned());
        assert!(
            large
                .fault()
                .is_some_and(|fault| fault.contains("too large"))
        );
    }
}
