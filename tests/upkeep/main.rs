//! Checks for readers: home-made words stay out of comments, sentences and documents, links and paths in documents
//! exist, and every dependency and every public item is used.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod dependencies;
mod documents;
mod public;
mod words;

#[path = "../sources/mod.rs"]
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

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
