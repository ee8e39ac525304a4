//! The dependencies between layers are those of the table below, and each external library that would be expensive to
//! replace is used in one place. Parses the sources; what reads the imports is
//! tested beside it.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test

mod imports;
mod system;

#[path = "../sources/mod.rs"]
mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use imports::{check, module_of, rank};
use sources::rust_files;

/// Each layer, from the top, and the layers that it may use. An entry that no file needs is removed, a new one is
/// considered as carefully as a new dependency.
const LAYERS: [(&str, &[&str]); 21] = [
    ("text", &[]),
    ("jobs", &["text"]),
    ("files", &[]),
    ("kind", &[]),
    ("project", &["text", "jobs", "files", "kind"]),
    ("media", &["text", "jobs", "files", "kind", "project"]),
    ("curate", &["jobs", "files", "project", "media"]),
    ("onnx", &["files"]),
    ("graph", &["onnx"]),
    (
        "backbone",
        &["text", "jobs", "files", "project", "media", "onnx", "graph"],
    ),
    (
        "train",
        &[
            "text", "jobs", "files", "project", "curate", "onnx", "graph", "backbone",
        ],
    ),
    (
        "evaluate",
        &[
            "text", "jobs", "files", "project", "media", "onnx", "backbone", "train",
        ],
    ),
    (
        "export",
        &[
            "text", "jobs", "files", "project", "media", "onnx", "graph", "backbone", "train",
            "evaluate",
        ],
    ),
    (
        "sweep",
        &[
            "text", "jobs", "files", "project", "backbone", "train", "evaluate", "export",
        ],
    ),
    ("serve", &[]),
    (
        "make",
        &[
            "jobs", "files", "project", "media", "backbone", "train", "evaluate", "export",
        ],
    ),
    (
        "retrain",
        &[
            "jobs", "files", "project", "backbone", "train", "evaluate", "export",
        ],
    ),
    (
        "shards",
        &[
            "text", "jobs", "files", "kind", "project", "media", "onnx", "backbone", "train",
            "sweep",
        ],
    ),
    (
        "app",
        &[
            "text", "jobs", "files", "kind", "project", "media", "backbone", "train", "evaluate",
            "export", "sweep", "serve", "make", "shards",
        ],
    ),
    (
        "ui",
        &[
            "text", "jobs", "project", "media", "backbone", "train", "evaluate", "export", "sweep",
            "serve", "make", "app",
        ],
    ),
    (
        "cli",
        &[
            "text", "jobs", "files", "project", "media", "onnx", "graph", "backbone", "train",
            "evaluate", "export", "sweep", "serve", "make", "retrain", "shards", "app", "ui",
        ],
    ),
];

/// External crates and the only layers that may use them.
const HOMES: [(&[&str], &[&str]); 4] = [
    (&["ffmpeg_next", "ffmpeg_sys_next"], &["media"]),
    (&["ort", "ort_sys"], &["onnx"]),
    (&["httparse", "if_addrs"], &["serve"]),
    (
        &[
            "egui",
            "eframe",
            "egui_plot",
            "epaint",
            "emath",
            "egui_kittest",
        ],
        &["app", "ui"],
    ),
];

#[test]
fn layers_import_only_what_the_table_allows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut violations = Vec::new();
    let mut used = BTreeSet::new();
    let mut read = 0;
    for file in rust_files(&src) {
        let relative = file.strip_prefix(&src).unwrap();
        let module = module_of(relative);
        let text = fs::read_to_string(&file).unwrap();
        let shown = relative.display();
        read += 1;
        match module.first() {
            // The root of the library and the program.
            None => {}
            Some(layer) if rank(layer).is_some() => {
                let (found, edges) = check(&module, &text);
                for (line, message) in found {
                    violations.push(format!("src/{shown}:{line}: {message}"));
                }
                used.extend(edges.into_iter().map(|to| (layer.clone(), to)));
            }
            Some(other) => violations.push(format!(
                "src/{shown}: `{other}` is no layer; add it to the list in tests/layering/main.rs, ARCHITECTURE.md and src/lib.rs"
            )),
        }
    }
    assert!(read >= LAYERS.len(), "the sources were not found");
    for (layer, allowed) in LAYERS {
        for to in allowed {
            if !used.contains(&(layer.to_owned(), (*to).to_owned())) {
                violations.push(format!(
                    "{layer} uses {to} no more; remove the edge from the list in tests/layering/main.rs"
                ));
            }
        }
    }
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// Whether the table is ordered: otherwise two layers could use each other.
#[test]
fn every_edge_leads_to_a_layer_above() {
    for (at, (layer, allowed)) in LAYERS.iter().enumerate() {
        let ranks: Vec<Option<usize>> = allowed.iter().map(|to| rank(to)).collect();
        assert!(
            ranks.is_sorted() && ranks.iter().all(|to| to.is_some_and(|to| to < at)),
            "{layer}: {allowed:?} are not layers above it, from the top"
        );
    }
}

#[test]
fn the_library_lists_the_layers_in_their_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let text = fs::read_to_string(root).unwrap();
    let listed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert_eq!(listed, LAYERS.map(|(layer, _)| layer));
}
