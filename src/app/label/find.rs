//! Finding frames by name: each typed word must be part of the name of the source, the file or the class.

use std::collections::HashSet;

use crate::app::snapshot::file_name;
use crate::project::{Frame, Label, Source, SourceId};

/// A word of the typed text, matched against one frame after the other. Frames of one source mostly follow each other,
/// so that each source and label is checked once.
pub(in crate::app) struct Finder<'a> {
    words: Vec<Word<'a>>,
    source: Option<&'a SourceId>,
}

struct Word<'a> {
    /// In lower case.
    text: String,
    /// The sources whose names contain it.
    sources: HashSet<&'a SourceId>,
    /// Whether the name of the last frame's source contains it.
    in_source: bool,
    /// The last label, and whether it contains the word.
    label: Option<(&'a Label, bool)>,
}

impl<'a> Finder<'a> {
    /// A finder for the typed text; `None` for blanks, which match everything.
    pub(in crate::app) fn new(query: &str, sources: &'a [Source]) -> Option<Self> {
        let words: Vec<Word<'a>> = query
            .split_whitespace()
            .map(|word| {
                let text = word.to_lowercase();
                let named = sources
                    .iter()
                    .filter(|source| contains(&source.name, &text))
                    .map(|source| &source.id);
                Word {
                    sources: named.collect(),
                    text,
                    in_source: false,
                    label: None,
                }
            })
            .collect();
        (!words.is_empty()).then_some(Self {
            words,
            source: None,
        })
    }

    /// Whether each word is in the name of the frame's source, file or class.
    pub(in crate::app) fn finds(&mut self, frame: &'a Frame) -> bool {
        let source = frame.source.as_ref();
        if source != self.source {
            self.source = source;
            for word in &mut self.words {
                word.in_source = source.is_some_and(|id| word.sources.contains(id));
            }
        }
        self.words.iter_mut().all(|word| word.is_in(frame))
    }
}

impl<'a> Word<'a> {
    fn is_in(&mut self, frame: &'a Frame) -> bool {
        if self.in_source {
            return true;
        }
        let in_label = match self.label {
            Some((label, known)) if *label == frame.label => known,
            _ => {
                let name = frame.label.class().map_or("unsorted", |name| name.as_str());
                let known = contains(name, &self.text);
                self.label = Some((&frame.label, known));
                known
            }
        };
        in_label || contains(stem(frame), &self.text)
    }
}

/// The readable part of the file's name: without source, timestamp and hash, whose hexadecimal digits contain any
/// short word.
fn stem(frame: &Frame) -> &str {
    let name = file_name(frame);
    let Some(source) = &frame.source else {
        return name;
    };
    name.match_indices('-')
        .find(|(at, _)| {
            let rest = name.get(at + 1..).unwrap_or_default();
            rest.strip_prefix(source.as_str())
                .is_some_and(|rest| rest.starts_with('_'))
        })
        .and_then(|(at, _)| name.get(..at))
        .unwrap_or(name)
}

/// Whether a name contains a word in lower case.
#[must_use]
pub fn contains(name: &str, word: &str) -> bool {
    if word.is_empty() {
        return true;
    }
    if name.is_ascii() && word.is_ascii() {
        let word = word.as_bytes();
        return name
            .as_bytes()
            .windows(word.len())
            .any(|part| part.eq_ignore_ascii_case(word));
    }
    name.to_lowercase().contains(word)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]
    use super::*;
    use crate::project::{ClassName, SourceKind};

    fn frame(path: &str, source: Option<&str>) -> Frame {
        let class = path.split('/').nth(1).unwrap();
        Frame {
            path: path.to_owned(),
            label: Label::Class(ClassName::new(class).unwrap()),
            source: source.and_then(SourceId::from_hex),
            time_secs: None,
        }
    }

    #[test]
    fn words_are_found_in_source_file_and_class() {
        let source = Source::new(
            SourceId::from_hex("3fa9c1d2").unwrap(),
            SourceKind::Video,
            "Hällway DOG.mp4",
            "/v",
        );
        let film = frame(
            "classes/cat/door-3fa9c1d2_1.000000_beadfeed.jpg",
            Some("3fa9c1d2"),
        );
        let photo = frame("classes/fox/IMG_12.jpg", None);
        let sources = [source];
        let found = |query: &str| {
            let mut finder = Finder::new(query, &sources).unwrap();
            [&film, &photo].map(|frame| finder.finds(frame))
        };
        assert_eq!(found("dog"), [true, false]);
        assert_eq!(found("HÄLL"), [true, false]);
        assert_eq!(found("fox img_12"), [false, true]);
        assert_eq!(found("cat dog door"), [true, false]);
        assert_eq!(found("cat fox"), [false, false]);
        // Not in the digits of the hash.
        assert_eq!(found("bead"), [false, false]);
        assert_eq!(found("o"), [true, true]);
        assert!(Finder::new("  ", &sources).is_none());
        assert!(contains("anything", "") && !contains("", "a"));
    }
}
