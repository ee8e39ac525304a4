//! Every public item is used by the program. The compiler reports unused private items only, because a library's
//! public ones may be used by others.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::root;
use crate::sources::{Token, is_name, rust_files, tokens};

/// Public items that only tests and benchmarks use, and the reason why they stay.
const ALLOWED: [(&str, &str); 8] = [
    ("costs", "counted work: tests compare it with its limit"),
    ("scans", "counted work: tests compare it with its limit"),
    ("visited", "counted work: tests compare it with its limit"),
    ("measure_fine_tuning_step", "a benchmark's figure"),
    (
        "read_graph",
        "reads back what an exporter wrote, in the proof of its operators",
    ),
    ("read_saved_model", "reads back what an exporter wrote"),
    (
        "make_input",
        "gradients with regard to a file's constants are compared with PyTorch's",
    ),
    (
        "metrics",
        "event files are compared with all series of a run",
    ),
];

/// How an item is used, and so how a use is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// Called with a receiver, or by its path.
    Method,
    /// Called, or passed by its name.
    Function,
    /// A type, trait or constant.
    Other,
}

/// The code of a source without `#[cfg(test)]` items and without `pub use`.
fn program(text: &str) -> Vec<Token> {
    let mut rest = tokens(text).into_iter().peekable();
    let mut program: Vec<Token> = Vec::new();
    while let Some(token) = rest.next() {
        let (begins_test, begins_export) = {
            let last = |words: &[&str]| {
                let from = program.len().checked_sub(words.len());
                from.and_then(|from| program.get(from..))
                    .is_some_and(|last| last.iter().map(|t| &t.text).eq(words))
            };
            (
                token.text == "]" && last(&["[", "cfg", "(", "test", ")"]),
                token.text == "use" && last(&["pub"]),
            )
        };
        if begins_test || begins_export {
            program.truncate(program.len() - if begins_test { 5 } else { 1 });
            // To the end of the item.
            let mut depth = 0_usize;
            for token in rest.by_ref() {
                match token.text.as_str() {
                    "{" | "(" | "[" => depth += 1,
                    ")" | "]" => depth -= 1,
                    "}" => {
                        depth -= 1;
                        if depth == 0 && begins_test {
                            break;
                        }
                    }
                    ";" if depth == 0 => break,
                    _ => {}
                }
            }
        } else {
            program.push(token);
        }
    }
    program
}

/// The public items that are declared in some code: name, kind and line.
fn declared(code: &[Token]) -> Vec<(&str, Kind, usize)> {
    let text = |at: usize| code.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    for (mut at, token) in code.iter().enumerate() {
        if token.text != "pub" {
            continue;
        }
        at += 1;
        while matches!(text(at), "const" | "async" | "unsafe") && !is_other_name(text(at + 1)) {
            at += 1;
        }
        let kind = match text(at) {
            "fn" if has_receiver(&code[at + 2..]) => Kind::Method,
            "fn" => Kind::Function,
            "struct" | "enum" | "union" | "trait" | "type" | "const" | "static" => Kind::Other,
            _ => continue,
        };
        found.push((text(at + 1), kind, token.line));
    }
    found
}

/// Whether a word is the name of an item, not a keyword before one.
fn is_other_name(text: &str) -> bool {
    is_name(text) && !matches!(text, "fn" | "async" | "unsafe" | "extern")
}

/// Whether the parameters after a function's name begin with `self`.
fn has_receiver(after_name: &[Token]) -> bool {
    let mut depth = 0_usize;
    let mut before = "";
    let mut parameters = None;
    for (at, token) in after_name.iter().enumerate() {
        match token.text.as_str() {
            "<" => depth += 1,
            ">" if before != "-" => depth -= 1,
            "(" if depth == 0 => {
                parameters = Some(&after_name[at + 1..]);
                break;
            }
            _ => {}
        }
        before = &token.text;
    }
    let first = parameters.into_iter().flatten();
    first
        .take_while(|token| !matches!(token.text.as_str(), "," | ")" | ":"))
        .any(|token| token.text == "self")
}

/// The names that some code uses, with the kinds of items that they can be.
fn used(code: &[Token]) -> HashSet<(&str, Kind)> {
    let text = |at: usize| code.get(at).map_or("", |token| token.text.as_str());
    let mut found = HashSet::new();
    for (at, token) in code.iter().enumerate() {
        let name = token.text.as_str();
        let before = at.checked_sub(1).map_or("", text);
        let after = text(at + 1);
        let is_declaration = matches!(
            before,
            "fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static" | "impl"
        );
        let is_implementation = before == "for" && matches!(after, "{" | "<");
        if !is_name(name) || is_declaration || is_implementation {
            continue;
        }
        found.insert((name, Kind::Other));
        // `name::<T>(…)`, and no module of that name.
        let is_called = after == "(" || (after == "::" && text(at + 2) == "<");
        let is_path = before == "::" && (after != "::" || is_called);
        if is_path || (before == "." && is_called) {
            found.insert((name, Kind::Method));
        }
        let is_passed = matches!(before, "(" | "," | "{") && matches!(after, ")" | "," | "}");
        if is_path || is_passed || (before != "." && is_called) {
            found.insert((name, Kind::Function));
        }
    }
    found
}

fn is_test(path: &Path) -> bool {
    let path = path.with_extension("");
    path.iter()
        .any(|part| part.to_string_lossy().ends_with("tests"))
}

#[test]
fn every_public_item_is_used() {
    let src = root().join("src");
    let sources: Vec<(String, String, Vec<Token>)> = rust_files(&src)
        .into_iter()
        .filter(|path| !is_test(path))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let shown = path.strip_prefix(&src).unwrap().display().to_string();
            let code = program(&text);
            (shown, text, code)
        })
        .collect();
    let used: HashSet<(&str, Kind)> = sources.iter().flat_map(|(.., code)| used(code)).collect();
    // Constants are also named in the braces of format strings.
    let in_braces = |name: &str| {
        let braces = [format!("{{{name}}}"), format!("{{{name}:")];
        sources
            .iter()
            .any(|(_, text, _)| braces.iter().any(|name| text.contains(name)))
    };
    let mut declarations = 0;
    let mut unused = Vec::new();
    for (shown, text, code) in &sources {
        // What the compiler of a schema has made.
        if text.contains(" by `packaging/schemas.sh`. Do not edit.\n") {
            continue;
        }
        for (name, kind, line) in declared(code) {
            declarations += 1;
            let in_use = used.contains(&(name, kind)) || kind == Kind::Other && in_braces(name);
            if !in_use {
                unused.push((name, format!("src/{shown}:{line}: {name}")));
            }
        }
    }
    assert!(declarations > 1_000, "the sources were not found");
    let allowed = |name: &str| ALLOWED.iter().any(|(allowed, _)| *allowed == name);
    let found: Vec<&str> = unused
        .iter()
        .filter(|(name, _)| !allowed(name))
        .map(|(_, shown)| shown.as_str())
        .collect();
    assert!(
        found.is_empty(),
        "only tests use these; remove them, or list them with the reason:\n{}\n",
        found.join("\n")
    );
    for (allowed, _) in ALLOWED {
        assert!(
            unused.iter().any(|(name, _)| *name == allowed),
            "the program uses {allowed}, or it no longer exists: remove it from the list"
        );
    }
}

#[test]
fn uses_are_distinguished_from_declarations() {
    let is_used = |text: &str| {
        let code = program(text);
        let used = used(&code);
        declared(&code)
            .iter()
            .all(|(name, kind, _)| used.contains(&(*name, *kind)))
    };
    for text in [
        "pub fn a() {}",
        "pub fn a() {} pub use x::a;",
        "pub fn a() {} #[cfg(test)] mod tests { fn b() { a() } }",
        "pub fn a() {} // a()",
        "pub fn a() {} let b = a::c(); let c = x.a;",
        "impl X { pub fn a(&self) {} } fn b(a: u8) { c(a) }",
        "impl X { pub fn a<F: Fn() -> u8>(&mut self, f: F) {} } mod a; use a::b;",
        "pub struct A; impl A {} impl fmt::Display for A {}",
        "pub const fn a() {}",
    ] {
        assert!(!is_used(text), "{text}");
    }
    for text in [
        "pub fn a() {} fn b() { a() }",
        "pub fn a() {} fn b() { c.map(a) }",
        "pub fn a() {} use super::a;",
        "pub const fn a() {} fn b() { x::a::<u8>() }",
        "impl X { pub fn a(&self) {} } fn b() { x.a() }",
        "impl X { pub fn a(&self) {} } fn b() { c.map(X::a) }",
        "pub struct A; fn b() -> A { A }",
        "pub const A: u8 = 1; fn b() { c(A) }",
        "#[cfg(test)] mod tests { pub fn a() {} }",
    ] {
        assert!(is_used(text), "{text}");
    }
}
