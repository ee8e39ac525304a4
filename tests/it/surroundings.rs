//! The environment in which tests start programs. It is the same on every computer: without its desktop, session bus,
//! language, time zone, fonts and programs.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// The variables that are kept: the search path of the linked libraries, and those of coverage tools.
const KEPT: [&str; 5] = [
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "ORT_DYLIB_PATH",
    "LLVM_PROFILE_FILE",
];

/// Windows starts nothing without these, and finds DLLs by `PATH`.
#[cfg(windows)]
const KEPT_BY_THE_SYSTEM: [&str; 7] = [
    "PATH",
    "SystemRoot",
    "SystemDrive",
    "windir",
    "ComSpec",
    "PATHEXT",
    "NUMBER_OF_PROCESSORS",
];
#[cfg(not(windows))]
const KEPT_BY_THE_SYSTEM: [&str; 0] = [];

/// `salamander` with `home` as the user's home, `home/config` for settings, and isolated from the computer's
/// environment.
pub fn salamander(home: &Path) -> Command {
    isolated(env!("CARGO_BIN_EXE_salamander"), home)
}

/// A program isolated from the computer's desktop. It cannot start other programs, because `PATH` is empty.
pub fn isolated(program: impl AsRef<OsStr>, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in KEPT.iter().chain(&KEPT_BY_THE_SYSTEM) {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if cfg!(not(windows)) {
        command.env("PATH", home.join("no-programs"));
    }
    for (name, folder) in [
        ("HOME", ""),
        ("USERPROFILE", ""),
        ("APPDATA", "config"),
        ("LOCALAPPDATA", "cache"),
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_DATA_HOME", "data"),
        ("XDG_STATE_HOME", "state"),
        ("XDG_CACHE_HOME", "cache"),
        ("XDG_RUNTIME_DIR", "no-runtime-dir"),
    ] {
        command.env(name, home.join(folder));
    }
    // If unset, the address would be searched for, even by starting a bus; so would the portal with its dialogs.
    let mut no_bus = std::ffi::OsString::from("unix:path=");
    no_bus.push(home.join("no-session-bus"));
    command.env("DBUS_SESSION_BUS_ADDRESS", no_bus);
    let fonts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fonts.conf");
    command
        .env("FONTCONFIG_FILE", fonts)
        .env("TMPDIR", std::env::temp_dir())
        .env("TEMP", std::env::temp_dir())
        .env("TMP", std::env::temp_dir())
        .env("LANG", "C.UTF-8")
        .env("TZ", "UTC")
        .stdin(Stdio::null());
    command
}
