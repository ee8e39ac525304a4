//! What is no file, has no end, or holds numbers that nothing can have: refused in one sentence, soon.
#![cfg(unix)]

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use crate::cli_program::{Place, Ran};

/// Runs it with an end; a program that is still running after a minute hangs.
fn ended(place: &Place, args: &[&str]) -> Output {
    let mut command = place.command(args);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_mins(1) {
            child.kill().unwrap();
            panic!("{args:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn pipes_devices_and_sockets_are_not_read() {
    let place = Place::new();
    assert_eq!(place.line("new p").code, Some(0));
    let pipe = place.path("pipe.onnx");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    let socket = place.path("socket.mp4");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::os::unix::fs::symlink("/dev/zero", place.path("zero.jpg")).unwrap();
    for special in [
        "pipe.onnx",
        "socket.mp4",
        "zero.jpg",
        "/dev/zero",
        "/dev/urandom",
    ] {
        for args in [
            vec!["predict", special, "zero.jpg"],
            vec!["import", "p", special],
            vec!["verify", special],
            vec!["architectures", "add", "p", special],
            vec!["features", special, "--out", "x.npy"],
            vec!["classes", special],
            vec!["serve", "p", "--run", special],
            vec!["evaluate", "p", "--run", special],
        ] {
            let said = Ran::of(&ended(&place, &args)).failure(&format!("{args:?}"));
            assert!(!said.is_empty());
        }
    }
    // In the place of what a project reads.
    std::fs::remove_file(place.path("p/project.json")).unwrap();
    std::fs::rename(&pipe, place.path("p/project.json")).unwrap();
    Ran::of(&ended(&place, &["classes", "p"])).failure("a pipe as project.json");
}

#[test]
fn what_is_too_large_is_not_read() {
    let place = Place::new();
    assert_eq!(place.line("new p").code, Some(0));
    // It takes no room on the disk.
    let huge = std::fs::File::create(place.path("huge.onnx")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let said = Ran::of(&ended(&place, &["predict", "huge.onnx", "x.jpg"])).failure("huge");
    assert!(said.contains("huge.onnx") && said.contains("MB"), "{said}");
    Ran::of(&ended(&place, &["verify", "huge.onnx"])).failure("huge");
    Ran::of(&ended(&place, &["architectures", "add", "p", "huge.onnx"])).failure("huge");
    let document = std::fs::File::create(place.path("p/project.json")).unwrap();
    document.set_len(1 << 40).unwrap();
    let said = Ran::of(&ended(&place, &["classes", "p"])).failure("a huge project.json");
    assert!(said.contains("project.json"), "{said}");
}
