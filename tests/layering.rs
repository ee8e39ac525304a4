//! The dependencies between layers are those of the table below, and each external library that would be expensive to
//! replace is used in one place. Parses the sources; the parser itself is tested at the end.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

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
                "src/{shown}: `{other}` is no layer; add it to the list in tests/layering.rs, ARCHITECTURE.md and src/lib.rs"
            )),
        }
    }
    assert!(read >= LAYERS.len(), "the sources were not found");
    for (layer, allowed) in LAYERS {
        for to in allowed {
            if !used.contains(&(layer.to_owned(), (*to).to_owned())) {
                violations.push(format!(
                    "{layer} uses {to} no more; remove the edge from the list in tests/layering.rs"
                ));
            }
        }
    }
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

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

fn rust_files(folder: &Path) -> Vec<PathBuf> {
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

/// `train/gradient/rules.rs` is `train::gradient::rules`; `lib.rs` and `main.rs` are the root.
fn module_of(relative: &Path) -> Vec<String> {
    let mut module: Vec<String> = relative
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if module.last().is_some_and(|last| last == "mod")
        || (module.len() == 1 && matches!(module[0].as_str(), "lib" | "main"))
    {
        module.pop();
    }
    module
}

// --- the checker

/// The place of a layer in the table.
fn rank(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|(known, _)| *known == layer)
}

/// The violations of the table in a file of the module `module` (its first part is the layer), as line and message,
/// and the other layers that it uses.
fn check(module: &[String], text: &str) -> (Vec<(usize, String)>, BTreeSet<String>) {
    let tokens = tokens(text);
    let layer = module[0].as_str();
    let allowed = LAYERS[rank(layer).unwrap()].1;
    let mut violations = Vec::new();
    let mut outside = |line: usize, name: &str| {
        for (crates, homes) in HOMES {
            if crates.contains(&name) && !homes.contains(&layer) {
                let homes = homes.join(" and ");
                violations.push((line, format!("`{name}` belongs in {homes} only")));
            }
        }
    };
    let mut inner = Vec::new();
    let mut depth = 0usize;
    // Heads of paths from the root of the crate.
    let mut from_root: Vec<(usize, String)> = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let text_at = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
        let before = i.checked_sub(1).map_or("", text_at);
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                while inner.last().is_some_and(|opened| *opened > depth) {
                    inner.pop();
                }
            }
            // A module within the file is one more `super` away from the root.
            "mod" if text_at(i + 2) == "{" => inner.push(depth + 1),
            "crate" if before == "extern" => outside(token.line, text_at(i + 1)),
            "crate" if text_at(i + 1) == "::" => from_root.extend(heads(&tokens, i + 2)),
            "crate" if text_at(i + 1) == "as" => {
                from_root.push((token.line, "crate as".to_owned()));
            }
            "super"
                if text_at(i + 1) == "::"
                    && !(before == "::" && i >= 2 && text_at(i - 2) == "super") =>
            {
                let mut count = 1;
                let mut at = i + 2;
                while text_at(at) == "super" && text_at(at + 1) == "::" {
                    count += 1;
                    at += 2;
                }
                if count >= module.len() + inner.len() {
                    from_root.extend(heads(&tokens, at));
                }
            }
            "use" => {
                let start = if text_at(i + 1) == "::" { i + 2 } else { i + 1 };
                for (line, head) in heads(&tokens, start) {
                    outside(line, &head);
                }
            }
            name if text_at(i + 1) == "::" && !matches!(before, "use" | "{" | ",") => {
                let global = before == "::"
                    && !i
                        .checked_sub(2)
                        .is_some_and(|at| is_name(text_at(at)) || text_at(at) == ">");
                if before != "::" || global {
                    outside(token.line, name);
                }
            }
            // The same after a brace or a comma: an expression, or part of a `use` seen above.
            name if text_at(i + 1) == "::" && !in_use(&tokens, i) => outside(token.line, name),
            _ => {}
        }
    }
    let mut used = BTreeSet::new();
    for (line, head) in from_root {
        if head == layer {
        } else if rank(&head).is_none() {
            violations.push((line, format!("`crate::{head}` is no layer")));
        } else if allowed.contains(&head.as_str()) {
            used.insert(head);
        } else {
            violations.push((
                line,
                format!("{layer} imports from {head}, which the table does not allow"),
            ));
        }
    }
    violations.sort();
    violations.dedup();
    (violations, used)
}

/// The first names of a path or of a group of paths that begins at `at`.
fn heads(tokens: &[Token], at: usize) -> Vec<(usize, String)> {
    let Some(first) = tokens.get(at) else {
        return Vec::new();
    };
    if first.text != "{" {
        return vec![(first.line, first.text.clone())];
    }
    let mut found = Vec::new();
    let mut depth = 0usize;
    let mut begins = true;
    for token in &tokens[at..] {
        match token.text.as_str() {
            "{" => {
                depth += 1;
                begins = depth == 1;
            }
            "}" => {
                depth -= 1;
                begins = false;
                if depth == 0 {
                    break;
                }
            }
            "," => begins = depth == 1,
            text => {
                if begins {
                    found.push((token.line, text.to_owned()));
                }
                begins = false;
            }
        }
    }
    found
}

/// Whether the token is in a `use` declaration.
fn in_use(tokens: &[Token], at: usize) -> bool {
    tokens[..at]
        .iter()
        .rev()
        .take_while(|token| {
            is_name(&token.text) || matches!(token.text.as_str(), "::" | "{" | "}" | "," | "*")
        })
        .any(|token| token.text == "use")
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

// --- the reader

#[derive(Debug)]
struct Token {
    line: usize,
    text: String,
}

/// Names, `::` and single other characters; comments, strings and characters in quotes are left out.
fn tokens(text: &str) -> Vec<Token> {
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

// --- tests of the checker

fn found(module: &str, text: &str) -> Vec<String> {
    let module: Vec<String> = module.split("::").map(str::to_owned).collect();
    check(&module, text)
        .0
        .into_iter()
        .map(|(line, message)| format!("{line}: {message}"))
        .collect()
}

#[test]
fn every_way_to_reach_another_layer_is_seen() {
    for (module, text) in [
        ("project", "use crate::media::load_image;"),
        ("project", "use crate::{jobs::Work, media};"),
        (
            "project",
            "use crate::{\n    jobs::{Work, Cancelled},\n    ui::theme::{self, Theme},\n};",
        ),
        ("project", "fn f() { let x = crate::cli::main(); }"),
        ("project", "fn f(x: &crate::train::Run<'_>) {}"),
        ("project", "use super::media;"),
        // A layer above it, but not one that it may use.
        ("onnx", "use crate::media::load_image;"),
        ("sweep", "use crate::{jobs::Work, media::load_image};"),
        ("project::scan", "use super::super::media::load_image;"),
        (
            "project::scan",
            "mod tests { use super::super::super::media; }",
        ),
        ("project", "mod tests { use super::super::{jobs, app}; }"),
        ("project", "pub(in crate::ui) fn f() {}"),
        ("project", "use crate::*;"),
        ("project", "use crate::{self as root};"),
        ("project", "use crate as root;"),
        (
            "project",
            "/* a /* nested */ comment */ use crate::ui; // more",
        ),
        (
            "project",
            "const A: &str = \"\\\"\"; use crate::ui; const B: &str = \"\";",
        ),
        (
            "project",
            "const A: &str = r#\"a\"b\"#; use crate::ui; const C: char = '\"'; fn f<'a>() {}",
        ),
        ("app", "macro_rules! m { () => { $crate::ui::paint() } }"),
        ("evaluate", "#[cfg(test)] mod tests { use crate::export; }"),
        ("project", "use ort::session::Session;"),
        ("media", "use egui as gui;"),
        ("onnx", "use {ffmpeg_next as ffmpeg, prost};"),
        ("train", "extern crate ort;"),
        ("train", "fn f() -> ort::Result<()> { x }"),
        ("cli", "fn f() { let x = ::egui::Color32::RED; }"),
        ("cli", "fn f() { g(1, eframe::run_native) }"),
        ("export", "fn f() { ort::init() }"),
    ] {
        assert_eq!(
            found(module, text).len(),
            1,
            "{module}: {text}: {:?}",
            found(module, text)
        );
    }
}

#[test]
fn what_is_allowed_is_not_held_against_anyone() {
    for (module, text) in [
        (
            "curate",
            "use crate::{jobs::Work, media::{self, load_image}, project::Project};",
        ),
        ("curate", "use crate::curate::groups;"),
        (
            "project::scan",
            "use super::{media, ui}; use super::media::x;",
        ),
        (
            "project",
            "mod media { pub fn f() {} } mod tests { use super::media; }",
        ),
        (
            "project::scan",
            "mod tests { use super::super::media; } fn f() {}",
        ),
        (
            "project",
            "// use crate::ui;\n/* use crate::ui; */ const A: &str = \"use crate::ui; ort::x\";",
        ),
        (
            "project",
            "const A: &str = r\"crate::ui\"; const B: &[u8] = br#\"crate::ui \" \"#;",
        ),
        (
            "project",
            "pub(crate) fn f(ort: u8) -> u8 { ort + 1 } pub(super) fn g() {}",
        ),
        ("cli", "fn f() { crate::app::run(); crate::ui::run() }"),
        ("onnx", "use ort::session::Session; fn f() { ort::init() }"),
        (
            "media",
            "use ffmpeg_next as ffmpeg; fn f() { ffmpeg_next::init() }",
        ),
        (
            "ui",
            "use egui_plot::Plot; use eframe::egui; fn f(ui: &mut egui::Ui) {}",
        ),
        (
            "cli",
            "fn f() { crate::ui::egui::run(); let c = '\\''; let d = 'x'; }",
        ),
        ("cli", "fn f() { <Self as T>::egui::X }"),
    ] {
        assert_eq!(
            found(module, text),
            Vec::<String>::new(),
            "{module}: {text}"
        );
    }
}

#[test]
fn violations_name_their_line_and_both_layers() {
    assert_eq!(
        found("media", "use crate::jobs;\n\"\n\";\nuse crate::train::Run;"),
        ["4: media imports from train, which the table does not allow"]
    );
    assert_eq!(
        module_of(Path::new("graph/gradient/mod.rs")),
        ["graph", "gradient"]
    );
    assert_eq!(module_of(Path::new("ui/mod.rs")), ["ui"]);
    assert_eq!(module_of(Path::new("lib.rs")), Vec::<String>::new());
}
