//! Nothing accesses the network: a library that is loaded before all others ends the program if it, ONNX Runtime or a
//! decoder opens an internet socket or resolves a host name.
//! decoder, asks for a socket of the internet or for the address of a name.

use crate::cli_program::{Place, Ran};
use crate::preload::preloaded;

const WATCH: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void seen(const char *what) {
    write(2, what, 20);
    _exit(77);
}

int socket(int domain, int type, int protocol) {
    static int (*real)(int, int, int);
    if (!real) real = dlsym(RTLD_NEXT, "socket");
    if (domain == AF_INET || domain == AF_INET6) seen("an internet socket  ");
    return real(domain, type, protocol);
}

int getaddrinfo(const char *name, const char *service, const void *hints, void **found) {
    seen("the address of a name");
    return -1;
}
"#;

#[test]
fn nothing_reaches_for_a_network() {
    let place = Place::new();
    let library = preloaded(&place.path(""), WATCH);
    place.videos();
    for line in [
        "new p",
        "import p videos --class-from folder --fps 5 --width 160",
        "train p --architecture efficientnet-lite0@96 --depth head --how-many-training-steps 30",
        "train p --architecture efficientnet-lite0@96 --depth last-1 --how-many-training-steps 4",
        "evaluate p",
        "export p --out out --format onnx,tflite,onnx-int8",
        "predict out videos/bars/bars-0.mp4",
        "verify out",
        "doctor",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = place.command(&words);
        let ran = Ran::of(&command.env("LD_PRELOAD", &library).output().unwrap());
        assert_eq!(ran.code, Some(0), "{line}: {}{}", ran.stdout, ran.stderr);
    }
}
