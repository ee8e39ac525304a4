//! Runs the `salamander` program in a temporary folder of its own.

use std::ffi::OsStr;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::surroundings;

/// A temporary folder in which the program runs, with its own home.
pub struct Place {
    dir: tempfile::TempDir,
}

/// The result of running the program.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program with the temporary folder as home and working folder, isolated from the computer's environment.
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = surroundings::salamander(self.dir.path());
        command.args(args).current_dir(self.dir.path());
        command
    }

    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Ran {
        Ran::of(&self.command(args).output().unwrap())
    }

    /// Runs a line whose words are separated by single spaces.
    pub fn line(&self, line: &str) -> Ran {
        self.run(&line.split(' ').collect::<Vec<_>>())
    }

    /// [`Place::line`] after some words of `bash`, which set limits for the program.
    #[cfg(unix)]
    pub fn line_after(&self, words: &str, line: &str) -> Ran {
        let plain = self.command(&line.split(' ').collect::<Vec<_>>());
        // By its path: the `PATH` of the isolated environment is empty.
        let mut command = Command::new("/bin/bash");
        command
            .arg("-c")
            .arg(format!("{words}; exec \"$0\" \"$@\""))
            .arg(plain.get_program())
            .args(plain.get_args())
            .current_dir(self.dir.path());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Ran::of(&command.output().unwrap())
    }

    /// [`Place::line`] with `--json`; it must succeed. Returns all lines.
    pub fn json(&self, line: &str) -> Vec<Value> {
        let ran = self.line(&format!("{line} --json"));
        assert_eq!(ran.code, Some(0), "{line}: {}{}", ran.stdout, ran.stderr);
        ran.json()
    }

    /// The `result` of a line that must succeed.
    pub fn result(&self, line: &str) -> Value {
        let lines = self.json(line);
        let last = lines.last().unwrap().clone();
        assert_eq!(last["event"], "result", "{line}");
        last
    }

    /// The error message of a line that must fail.
    pub fn failure(&self, line: &str) -> String {
        self.line(line).failure(line)
    }

    /// Makes a video with FFmpeg's program from a description of its test sources.
    pub fn video(&self, name: &str, source: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        ffmpeg(&[
            "-f",
            "lavfi",
            "-i",
            source,
            "-c:v",
            "mpeg4",
            "-q:v",
            "3",
            path.to_str().unwrap(),
        ]);
    }

    /// A project “p” with the classes bars, circles and fractal, four short videos each.
    pub fn project(&self) {
        self.videos();
        assert_eq!(self.line("new p").code, Some(0));
        let ran = self.line("import p videos --class-from folder --fps 5 --width 160");
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }

    /// The videos of [`Place::project`].
    pub fn videos(&self) {
        for number in 0..4 {
            let hue = number * 20;
            let end = format!("size=160x120:rate=10,hue=h={hue},trim=duration=2");
            self.video(
                &format!("videos/bars/bars-{number}.mp4"),
                &format!("smptebars={end}"),
            );
            self.video(
                &format!("videos/moving/moving-{number}.mp4"),
                &format!("testsrc2={end}"),
            );
            self.video(
                &format!("videos/fractal/fractal-{number}.mp4"),
                &format!("mandelbrot={end}"),
            );
        }
    }
}

/// Copies a folder with everything in it.
pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Runs FFmpeg's program, which the whole-program tests make their videos with.
pub fn ffmpeg(args: &[&str]) {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-y"])
        .args(args)
        .output()
        .expect("the tests need the ffmpeg program; packaging/setup.sh installs it");
    assert!(
        output.status.success(),
        "ffmpeg {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Ran {
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let ran = Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        ran
    }

    /// Checks that it ended with one of `codes`; `what` describes it if the test fails.
    pub fn ended_with(&self, codes: &[i32], what: impl Display) {
        assert!(
            self.code.is_some_and(|code| codes.contains(&code)),
            "{what}: {:?} {}",
            self.code,
            self.stderr
        );
    }

    pub fn json(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| {
                let value: Value = serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("no JSON ({error}): {line}"));
                assert!(value["event"].is_string(), "no event: {line}");
                value
            })
            .collect()
    }

    /// The error message of a failure; `what` describes it if the test fails.
    pub fn failure(&self, what: &str) -> String {
        assert_eq!(self.code, Some(1), "{what}: {}{}", self.stdout, self.stderr);
        let sentences: Vec<&str> = self
            .stderr
            .lines()
            .filter_map(|line| line.strip_prefix("salamander: "))
            .collect();
        assert_eq!(sentences.len(), 1, "{what}: {}", self.stderr);
        sentences[0].to_owned()
    }
}

/// The events called `name` among `lines`.
pub fn events<'a>(lines: &'a [Value], name: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == name).collect()
}
