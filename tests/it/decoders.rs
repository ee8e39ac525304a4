//! Defects in a decoder, of every kind: a library that is loaded before FFmpeg's crashes, hangs, uses all memory,
//! returns nonsense or accesses the network. The program names the file, sets it aside and continues with the next.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli_program::{Place, Ran};
use crate::preload::preloaded;

/// Simulates a defect in libavcodec: applies the fault `FAULT` to the packet number `FAULT_AT` and all later ones.
pub const FAULTS: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void reach_out(void) {
    const char *victim = getenv("FAULT_VICTIM");
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0) _exit(41);
    if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0) _exit(42);
    if (open(victim, O_WRONLY) >= 0 || open(victim, O_RDWR) >= 0) _exit(43);
    if (open("made", O_CREAT | O_RDONLY, 0600) >= 0) _exit(44);
    if (unlink(victim) == 0 || rename(victim, "elsewhere") == 0) _exit(45);
    if (chmod(victim, 0) == 0 || truncate(victim, 0) == 0) _exit(46);
    if (fork() >= 0) _exit(47);
    if (kill(getppid(), 0) == 0) _exit(48);
    char *arguments[] = {"/bin/true", 0};
    if (execve("/bin/true", arguments, 0) == 0) _exit(49);
}

int avcodec_send_packet(void *context, const void *packet) {
    static int (*real)(void *, const void *);
    static int packets;
    if (!real) real = dlsym(RTLD_NEXT, "avcodec_send_packet");
    const char *fault = getenv("FAULT");
    const char *at = getenv("FAULT_AT");
    if (__sync_add_and_fetch(&packets, 1) >= (at ? atoi(at) : 1)) {
        if (!strcmp(fault, "crash")) *(volatile int *)0 = 1;
        if (!strcmp(fault, "hang")) for (;;) ;
        if (!strcmp(fault, "exit")) _exit(3);
        if (!strcmp(fault, "reach")) reach_out();
        if (!strcmp(fault, "nonsense"))
            write(0, "{\"Frame\":{\"time_secs\":1e999}} and more that is no message at all", 65);
        if (!strcmp(fault, "memory"))
            for (;;) {
                char *more = malloc(1 << 28);
                more[0] = 1;
            }
    }
    return real(context, packet);
}
"#;

/// Twelve films in three classes and a photo, and the library.
fn place() -> (Place, PathBuf) {
    let place = Place::new();
    place.videos();
    let photo = place.path("videos/photos/one.png");
    std::fs::create_dir_all(photo.parent().unwrap()).unwrap();
    image::RgbImage::from_pixel(40, 30, image::Rgb([9, 90, 200]))
        .save(photo)
        .unwrap();
    assert_eq!(place.line("new p").code, Some(0));
    let library = preloaded(&place.path(""), FAULTS);
    (place, library)
}

const IMPORT: [&str; 8] = [
    "import",
    "p",
    "videos",
    "--class-from",
    "folder",
    "--fps",
    "5",
    "--json",
];

/// The program with a defect in its decoder.
fn faulty(place: &Place, library: &PathBuf, fault: &str, line: &[&str]) -> Command {
    let mut command = place.command(line);
    command
        .env("LD_PRELOAD", library)
        .env("FAULT", fault)
        .env("FAULT_VICTIM", place.path("videos/photos/one.png"));
    command
}

fn run(mut command: Command) -> Ran {
    Ran::of(&command.output().unwrap())
}

/// The films are named with their fault, each once; the photo was imported.
fn assert_named(ran: &Ran, films: usize, what: &str) {
    let lines = ran.json();
    let files: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "file")
        .collect();
    let failed: Vec<_> = files
        .iter()
        .filter(|file| file["fate"] == "failed")
        .collect();
    assert_eq!(failed.len(), films, "{}{}", ran.stdout, ran.stderr);
    for file in failed {
        let text = file["text"].as_str().unwrap();
        assert!(text.contains(what), "{text}");
        assert!(text.contains("so it was skipped"), "{text}");
        assert!(text.contains("convert it"), "{text}");
    }
    let photo = |file: &&&serde_json::Value| file["path"].as_str().unwrap().ends_with("one.png");
    assert_eq!(files.iter().find(photo).unwrap()["fate"], "imported");
}

#[test]
fn a_crashing_decoder_ends_no_import() {
    let (place, library) = place();
    let ran = run(faulty(&place, &library, "crash", &IMPORT));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let films = std::fs::read_dir(place.path("videos"))
        .unwrap()
        .flatten()
        .flat_map(|class| std::fs::read_dir(class.path()).unwrap().flatten())
        .filter(|file| file.path().extension().is_some_and(|e| e == "mp4"))
        .count();
    assert!(films >= 4, "{films}");
    assert_named(&ran, films, "crash (signal 11)");
    // With a working decoder, all of them are imported.
    let ran = place.run(&IMPORT);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.json().last().unwrap()["failed"], 0);
}

#[test]
fn one_that_ends_in_the_midst_keeps_what_it_gave() {
    let (place, library) = place();
    let mut command = faulty(&place, &library, "exit", &IMPORT);
    command.env("FAULT_AT", "15");
    let ran = run(command);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("crash (exit code 3)"), "{}", ran.stdout);
    let whole = Place::new();
    whole.videos();
    assert_eq!(whole.line("new p").code, Some(0));
    whole.result("import p videos --class-from folder --fps 5");
    place.run(&IMPORT);
    let frames = |place: &Place| {
        let mut found = std::collections::BTreeMap::new();
        for class in std::fs::read_dir(place.path("p/classes"))
            .unwrap()
            .flatten()
        {
            for frame in std::fs::read_dir(class.path()).unwrap().flatten() {
                if frame.path().extension().is_some_and(|e| e == "jpg") {
                    found.insert(frame.file_name(), std::fs::read(frame.path()).unwrap());
                }
            }
        }
        found
    };
    assert_eq!(frames(&place), frames(&whole));
}

#[test]
fn nonsense_is_no_answer() {
    let (place, library) = place();
    let ran = run(faulty(&place, &library, "nonsense", &IMPORT));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("send invalid replies"),
        "{}",
        ran.stdout
    );
}

#[test]
fn one_that_takes_all_memory_gets_no_more_than_its_share() {
    let (place, library) = place();
    let ran = run(faulty(&place, &library, "memory", &IMPORT));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("crash (signal 11)"), "{}", ran.stdout);
}

#[test]
fn one_that_hangs_is_ended() {
    let (place, library) = place();
    for class in std::fs::read_dir(place.path("videos")).unwrap().flatten() {
        for (number, film) in std::fs::read_dir(class.path())
            .unwrap()
            .flatten()
            .enumerate()
        {
            if number > 0 || class.file_name() != "bars" {
                std::fs::remove_file(film.path()).unwrap();
            }
        }
    }
    let ran = run(faulty(&place, &library, "hang", &IMPORT));
    let text = format!("{}{}", ran.stdout, ran.stderr);
    assert!(text.contains("without a result"), "{text}");
}

#[test]
fn it_reaches_neither_files_nor_networks_nor_programs() {
    let (place, library) = place();
    let ran = run(faulty(&place, &library, "reach", &IMPORT));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let last = ran.json().pop().unwrap();
    assert_eq!(last["failed"], 0, "{}", ran.stdout);
    assert!(last["frames"].as_u64().unwrap() > 20, "{}", ran.stdout);
    assert!(!place.path("made").exists());
}

#[test]
fn a_killed_program_leaves_no_decoder_behind() {
    let (place, library) = place();
    let mark = format!("FAULT_MARK={}", place.path("").display());
    let marked = || {
        std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(|process| {
                std::fs::read(process.path().join("environ"))
                    .is_ok_and(|e| e.split(|b| *b == 0).any(|v| v == mark.as_bytes()))
            })
            .count()
    };
    let mut command = faulty(&place, &library, "hang", &IMPORT);
    command
        .env("FAULT_MARK", place.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < Duration::from_mins(1), "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait("a decoder", &|| marked() >= 2);
    child.kill().unwrap();
    child.wait().unwrap();
    wait("its end", &|| marked() == 0);
}
