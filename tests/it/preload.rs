//! Libraries that simulate a defect, or detect forbidden calls.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles a C library that is loaded before the program's own ones (`LD_PRELOAD`).
pub fn preloaded(dir: &Path, source: &str) -> PathBuf {
    let (text, library) = (dir.join("preloaded.c"), dir.join("preloaded.so"));
    std::fs::write(&text, source).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-w", "-o"])
        .args([&library, &text])
        .arg("-ldl")
        .status()
        .unwrap();
    assert!(built.success());
    library
}
