//! One layer calls the system for files, and one listens to a network.

use std::fs;
use std::path::Path;

use crate::sources::{rust_files, tokens};

/// Code that opens, creates, renames or deletes files is in `files/`, which does not follow links in a project.
#[test]
fn only_one_layer_reaches_for_files() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut violations = Vec::new();
    let mut at_home = 0;
    for file in rust_files(&src) {
        let shown = file.strip_prefix(&src).unwrap().display().to_string();
        let text = fs::read_to_string(&file).unwrap();
        let found = reaches_for_files(without_tests(&text));
        if shown.starts_with("files") {
            at_home += found.len();
        } else if !shown.contains("test") {
            violations.extend(
                found
                    .iter()
                    .map(|(line, what)| format!("src/{shown}:{line}: {what}")),
            );
        }
    }
    assert!(at_home > 0, "the layer was not found");
    assert!(
        violations.is_empty(),
        "use the functions of `files/`:\n{}\n",
        violations.join("\n")
    );
}

/// The text before the module with the tests.
fn without_tests(text: &str) -> &str {
    text.split("\nmod tests {").next().unwrap_or(text)
}

/// Calls of the standard library that follow links: line and call.
fn reaches_for_files(text: &str) -> Vec<(usize, String)> {
    // These only resolve paths.
    const HARMLESS: [&str; 4] = ["canonicalize", "read_link", "symlink_metadata", "Metadata"];
    // The link that `retrain` creates in its own project.
    const MADE: [&str; 2] = ["symlink", "symlink_dir"];
    let tokens = tokens(text);
    let text_at = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let name = text_at(i + 2);
        let of_std = match token.text.as_str() {
            "fs" => text_at(i + 3) == "(" && !HARMLESS.contains(&name) && !MADE.contains(&name),
            "File" => ["open", "create", "create_new", "options"].contains(&name),
            "OpenOptions" => name == "new",
            _ => false,
        };
        if of_std && text_at(i + 1) == "::" {
            found.push((token.line, format!("{}::{name}", token.text)));
        }
    }
    found
}

#[test]
fn reaching_for_files_is_seen() {
    let seen = |text: &str| !reaches_for_files(text).is_empty();
    assert!(seen("let x = std::fs::read(path)?;"));
    assert!(seen("fs::rename(a, b)") && seen("File::open(a)") && seen("OpenOptions::new()"));
    assert!(!seen("files::read(path)") && !seen("fs::canonicalize(path)"));
    assert!(!seen("// fs::read(path)\nuse std::fs::{self, File};"));
}

#[test]
fn only_one_layer_listens_to_a_network() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut read = 0;
    for file in rust_files(&src) {
        let text = fs::read_to_string(&file).unwrap();
        let is_home = file.starts_with(src.join("serve"));
        for listening in ["TcpListener", "UdpSocket", "UnixListener"] {
            assert!(is_home || !text.contains(listening), "{}", file.display());
            read += usize::from(is_home && text.contains(listening));
        }
    }
    assert!(read > 0, "the layer that listens was not found");
}
