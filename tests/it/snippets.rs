//! Programs in Swift, of exports and of the documentation, parsed by tree-sitter's grammar: no registry of the tests'
//! machines has a compiler. Errors in their types or in the names of Apple's functions are not detected.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use super::export::interpreter;
use super::frozen_graph::python_with;

/// Prints a line for each syntax error of the program in its standard input.
const PARSE: &str = "
import sys, tree_sitter, tree_sitter_swift
parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_swift.language()))
def walk(node):
    if node.is_error or node.is_missing:
        line, column = node.start_point
        print(f'{line + 1}:{column + 1}: {node.type} {node.text.decode()[:60]!r}')
    for child in node.children:
        walk(child)
walk(parser.parse(sys.stdin.buffer.read()).root_node)
";

/// The syntax errors of a program.
fn faults(python: &Path, program: &str) -> String {
    let mut child = interpreter(python)
        .args(["-c", PARSE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(program.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn programs_in_swift_have_no_fault_of_syntax() {
    let Some(python) = python_with("python", "tree_sitter_swift") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "no Python with tree-sitter-swift; packaging/setup.sh --tests installs it"
        );
        eprintln!("SKIPPED: no Python with tree-sitter-swift (packaging/setup.sh --tests)");
        return;
    };
    let read = |name: &str| {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
    };
    let program = read("src/export/snippets/classify.swift");
    assert_eq!(faults(&python, &program), "", "classify.swift");
    // Truncated and misspelt programs are detected.
    let (half, _) = program.split_at(program.len() / 2);
    assert_ne!(faults(&python, half), "");
    let misspelt = program.replacen("func load(", "func load((", 1);
    assert_ne!(faults(&python, &misspelt), "");

    let docs = read("docs/export.md");
    let blocks: Vec<&str> = docs
        .split("```swift\n")
        .skip(1)
        .filter_map(|block| block.split("```").next())
        .collect();
    assert!(blocks.len() >= 4, "{}", blocks.len());
    for block in blocks {
        assert_eq!(faults(&python, block), "", "{block}");
    }
}
