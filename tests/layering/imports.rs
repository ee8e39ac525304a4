//! Reads from a source which layers and external crates it uses, by whichever way of importing.

use std::collections::BTreeSet;
use std::path::Path;

use crate::sources::{Token, is_name, tokens};
use crate::{HOMES, LAYERS};

/// `train/gradient/rules.rs` is `train::gradient::rules`; `lib.rs` and `main.rs` are the root.
pub fn module_of(relative: &Path) -> Vec<String> {
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

/// The place of a layer in the table.
pub fn rank(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|(known, _)| *known == layer)
}

/// The violations of the table in a file of the module `module` (its first part is the layer), as line and message,
/// and the other layers that it uses.
pub fn check(module: &[String], text: &str) -> (Vec<(usize, String)>, BTreeSet<String>) {
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
