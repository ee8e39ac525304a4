//! Links and paths in documents lead to files.

use std::fs;
use std::path::Path;

use crate::{files, root};

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
