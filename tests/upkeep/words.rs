//! Comments, strings of the program and documents use the words of the field.

use std::fs;
use std::path::Path;

use crate::sources::rust_files;
use crate::{files, root};

/// Words that a comment, a string of the program or a document must not contain, and what is written instead. Only
/// words that are wrong in every sentence are listed; "looks" and "turned" are not.
const WORDS: [(&str, &str); 42] = [
    ("anew", "again"),
    ("behind the cut", "the back of the network"),
    ("bring in", "import"),
    ("bring it back", "restore it"),
    ("bring them back", "restore them"),
    ("broken off", "interrupted"),
    ("brought in", "imported"),
    ("by and by", "gradually, or over several frames"),
    ("cannot be had", "is not available"),
    ("deeper training", "fine-tuning"),
    ("deeper trainings", "fine-tunings"),
    ("deeper weights", "fine-tuned weights"),
    ("filled up", "padded"),
    ("finetuning", "fine-tuning"),
    ("for ever", "forever"),
    ("go on", "continue"),
    ("goes off", "fails, or is switched off"),
    ("goes on", "continues"),
    ("going on", "continuing"),
    ("how often is looked", "how often it is evaluated"),
    ("in its midst", "during its run"),
    ("is no number", "is not a number"),
    ("is there already", "already exists"),
    ("is told once", "is reported once"),
    ("likeliest first", "most likely first"),
    ("mend labels", "correct labels"),
    ("no number any more", "no longer a number"),
    ("no numbers any more", "NaN or infinite"),
    ("not there any more", "no longer there"),
    ("one a line", "one per line"),
    ("put back an earlier copy", "restore an earlier copy"),
    ("ran away", "diverged"),
    ("so many per cent", "this percentage"),
    ("surest first", "most confident first"),
    ("the walk backwards", "the backward pass"),
    ("the way back", "the backward pass, or undoing"),
    ("what became of", "what happened to"),
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

/// The string literals in a Rust file, without their quotation marks, each with the number of its first line (from 1).
/// The parts of a literal that is continued on further lines are joined.
fn literals(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut chars = source.chars().peekable();
    let mut before = ' ';
    while let Some(char) = chars.next() {
        match char {
            '\n' => line += 1,
            '/' if chars.peek() == Some(&'/') => {
                for char in chars.by_ref() {
                    if char == '\n' {
                        line += 1;
                        break;
                    }
                }
            }
            // The characters '"' and '\"'.
            '"' if before == '\'' || before == '\\' => {}
            '"' => {
                let begin = line;
                let mut text = String::new();
                while let Some(char) = chars.next() {
                    match char {
                        '"' => break,
                        '\\' => match chars.next() {
                            Some('\n') => {
                                line += 1;
                                while chars.next_if(|char| char.is_whitespace()).is_some() {}
                            }
                            Some('n' | 't') => text.push(' '),
                            Some(other) => text.push(other),
                            None => break,
                        },
                        char => {
                            line += usize::from(char == '\n');
                            text.push(char);
                        }
                    }
                }
                found.push((begin, text));
            }
            _ => {}
        }
        before = char;
    }
    found
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
fn strings_of_the_program_use_the_words_of_the_field() {
    let mut found = Vec::new();
    let mut read = 0;
    for path in rust_files(&root().join("src")) {
        let shown = path.strip_prefix(root()).unwrap();
        for (line, text) in literals(&fs::read_to_string(&path).unwrap()) {
            read += 1;
            if let Some((word, instead)) = listed_word(&text) {
                found.push(format!(
                    "{}:{line}: \"{word}\": write {instead}",
                    shown.display()
                ));
            }
        }
    }
    assert!(read > 5_000, "the strings were not found");
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn literals_are_found_with_their_lines() {
    let source = "let a = '\"'; // \"no\"\nlet b = \"one \\\n    two\";\nlet c = \"\\\"three\";\n";
    let expected = [(2, "one two".to_owned()), (4, "\"three".to_owned())];
    assert_eq!(literals(source), expected);
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
