//! Comments and documents use the words of the field.

use std::fs;
use std::path::Path;

use crate::{files, root};

/// Words that a comment or document must not contain, and what is written instead. Only words that are wrong in
/// every sentence are listed; "looks" and "turned" are not.
const WORDS: [(&str, &str); 27] = [
    ("anew", "again"),
    ("behind the cut", "the back of the network"),
    ("by and by", "gradually, or over several frames"),
    ("deeper training", "fine-tuning"),
    ("deeper trainings", "fine-tunings"),
    ("deeper weights", "fine-tuned weights"),
    ("filled up", "padded"),
    ("finetuning", "fine-tuning"),
    ("for ever", "forever"),
    ("go on", "continue"),
    ("goes on", "continues"),
    ("going on", "continuing"),
    ("how often is looked", "how often it is evaluated"),
    ("in its midst", "during its run"),
    ("is told once", "is reported once"),
    ("likeliest first", "most likely first"),
    ("no number any more", "no longer a number"),
    ("no numbers any more", "NaN or infinite"),
    ("ran away", "diverged"),
    ("surest first", "most confident first"),
    ("the way back", "the backward pass, or undoing"),
    ("the walk backwards", "the backward pass"),
    ("what becomes of", "what happens to"),
    ("what has become of", "what happened to"),
    ("what it came to", "its result"),
    ("what the user is told", "what is reported to the user"),
    ("whose turn it is", "the next one"),
];

/// The comment in a line of Rust, or a whole line of a document.
fn prose<'a>(path: &Path, line: &'a str) -> Option<&'a str> {
    if path.extension().is_some_and(|end| end == "md") {
        return Some(line);
    }
    // Not within a string with a URL in it.
    let at = line
        .match_indices("//")
        .map(|(at, _)| at)
        .find(|at| !line[..*at].ends_with(':'))?;
    Some(&line[at..])
}

/// The first listed word in a sentence, with what is written instead. Case and the number of blanks do not matter.
fn listed_word(sentence: &str) -> Option<(&'static str, &'static str)> {
    let words: Vec<String> = sentence
        .split(|c: char| !(c.is_alphanumeric() || c == '\''))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let sentence = format!(" {} ", words.join(" "));
    WORDS
        .into_iter()
        .find(|(word, _)| sentence.contains(&format!(" {word} ")))
}

#[test]
fn comments_and_documents_use_the_words_of_the_field() {
    let mut found = Vec::new();
    let mut read = 0;
    for path in files(&["rs", "md"]) {
        for (at, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let Some(sentence) = prose(&path, line) else {
                continue;
            };
            read += 1;
            if let Some((word, instead)) = listed_word(sentence) {
                let shown = path.strip_prefix(root()).unwrap().display();
                found.push(format!("{shown}:{}: \"{word}\": write {instead}", at + 1));
            }
        }
    }
    assert!(read > 10_000, "the sources were not found");
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn words_are_seen_in_comments_only() {
    let rust = Path::new("a.rs");
    assert_eq!(prose(rust, "let x = 1; // one"), Some("// one"));
    assert_eq!(prose(rust, "let x = \"http://a\";"), None);
    assert_eq!(prose(Path::new("a.md"), "text"), Some("text"));
    let (word, _) = WORDS[0];
    assert!(listed_word(&format!("A line: {}, here.", word.to_uppercase())).is_some());
    assert!(listed_word(&format!("{word}x")).is_none());
}
