//! Every dependency is used.

use std::fs;

use crate::{files, root};

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
