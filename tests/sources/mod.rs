//! Sources as names and other characters, for the tests that read them.

use std::fs;
use std::path::{Path, PathBuf};

/// The Rust files below a folder, sorted.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Whether a token is a name or a keyword.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// A name, `::` or another character.
#[derive(Debug)]
pub struct Token {
    /// Its line, from 1.
    pub line: usize,
    pub text: String,
}

/// Names, `::` and single other characters; comments, strings and characters in quotes are left out.
pub fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut i = 0;
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    while i < chars.len() {
        let start = i;
        let c = chars[i];
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && chars[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                if at(i) == '/' && at(i + 1) == '*' {
                    depth += 1;
                    i += 2;
                } else if at(i) == '*' && at(i + 1) == '/' {
                    depth -= 1;
                    i += 2;
                } else {
                    i += 1;
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if let Some(hashes) = raw_text(&chars, i) {
            while at(i) != '"' {
                i += 1;
            }
            i += 1;
            while i < chars.len() && !(chars[i] == '"' && (1..=hashes).all(|n| at(i + n) == '#')) {
                i += 1;
            }
            i += 1 + hashes;
        } else if c == '"' {
            i += 1;
            while i < chars.len() && chars[i] != '"' {
                i += if chars[i] == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c == '\'' {
            // A character, or a lifetime, whose name counts as a name.
            i += 1;
            if at(i) == '\\' {
                i += 2;
                while i < chars.len() && chars[i] != '\'' {
                    i += 1;
                }
                i += 1;
            } else if at(i + 1) == '\'' {
                i += 2;
            } else {
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
            }
        } else if c.is_alphabetic() || c == '_' {
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            let name: String = chars[start..i].iter().collect();
            // `r#name` is the same name.
            if !(name == "r" && at(i) == '#') {
                tokens.push(Token { line, text: name });
            }
        } else if c == ':' && at(i + 1) == ':' {
            i += 2;
            tokens.push(Token {
                line,
                text: "::".into(),
            });
        } else {
            i += 1;
            if !c.is_whitespace() && c != '#' {
                tokens.push(Token {
                    line,
                    text: c.to_string(),
                });
            }
        }
        let end = i.min(chars.len());
        line += chars[start..end].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

/// The number of `#` of a raw string that begins here.
fn raw_text(chars: &[char], i: usize) -> Option<usize> {
    if !matches!(chars[i], 'b' | 'c' | 'r') {
        return None;
    }
    let within_name = i > 0 && (chars[i - 1].is_alphanumeric() || chars[i - 1] == '_');
    let rest: String = chars[i..].iter().take(3).collect();
    let skip = match rest.as_str() {
        _ if within_name => return None,
        r if r.starts_with("br") || r.starts_with("cr") => 2,
        r if r.starts_with('r') => 1,
        _ => return None,
    };
    let hashes = chars[i + skip..].iter().take_while(|c| **c == '#').count();
    (chars.get(i + skip + hashes) == Some(&'"')).then_some(hashes)
}
