//! Checks for readers: home-made words stay out of comments and documents, links and paths in documents exist, and
//! every dependency is used.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

use std::fs;
use std::path::{Path, PathBuf};

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

/// Where comments and sentences are: comments of Rust, whole documents.
const FOLDERS: [&str; 7] = [
    "src",
    "tests",
    "benches",
    "docs",
    "packaging",
    "models",
    ".github",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below the folders above and beside them with one of the endings, sorted.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    fn collect(folder: &Path, deep: bool, endings: &[&str], found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if deep {
                    collect(&path, deep, endings, found);
                }
            } else if path
                .extension()
                .is_some_and(|end| endings.iter().any(|ending| end == *ending))
            {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(root(), false, endings, &mut found);
    for folder in FOLDERS {
        collect(&root().join(folder), true, endings, &mut found);
    }
    found.sort();
    found
}

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
fn links_in_documents_lead_to_files() {
    let mut misplaced = Vec::new();
    let mut followed = 0;
    for path in files(&["md"]) {
        let text = fs::read_to_string(&path).unwrap();
        for (_, rest) in text
            .match_indices("](")
            .map(|(at, _)| text.split_at(at + 2))
        {
            let Some((link, _)) = rest.split_once(')') else {
                continue;
            };
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            followed += 1;
            if !path.parent().unwrap().join(file).exists() {
                misplaced.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(followed > 30, "no links were found");
    assert!(misplaced.is_empty(), "\n{}\n", misplaced.join("\n"));
}

/// Sources in `code` of a document for developers: with enough of their path to identify them.
#[test]
fn sources_that_developers_are_sent_to_are_there() {
    let sources = files(&["rs"]);
    let mut missing = Vec::new();
    let mut followed = 0;
    for document in [
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CODE_STYLE.md",
        "TESTING.md",
    ] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for code in text.split('`').skip(1).step_by(2) {
            let is_source = Path::new(code).extension().is_some_and(|end| end == "rs");
            if !is_source || code.contains(['<', '*', ' ', '…']) {
                continue;
            }
            followed += 1;
            if !sources.iter().any(|source| source.ends_with(code)) {
                missing.push(format!("{document}: {code}"));
            }
        }
    }
    assert!(followed > 100, "no paths were found");
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

#[test]
fn every_dependency_is_used() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let sources: String = files(&["rs"])
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut unused = Vec::new();
    let mut seen = 0;
    let mut within = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            within = line.ends_with("dependencies]");
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| within) {
            // The only one whose library has another name.
            let name = name.replace("kamadak-", "").replace('-', "_");
            seen += 1;
            let named = [
                format!("{name}::"),
                format!("use {name}"),
                format!("{name}!"),
            ];
            if !named.iter().any(|named| sources.contains(named.as_str())) {
                unused.push(name);
            }
        }
    }
    assert!(seen > 40, "the dependencies were not found");
    assert!(unused.is_empty(), "nothing uses {}", unused.join(", "));
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
