//! Extractions that take hours on this computer: their duration, and the command that divides them among several.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Batch, ClassRule};
use crate::app::{App, Session};
use crate::media::film_megapixels;
use crate::project::{Sampling, Source, SourceKind};

/// Shorter durations are not reported, seconds.
const LONG_SECS: f64 = 2.0 * 3600.0;
/// A running extraction is estimated by its own speed after this time.
const SETTLED: Duration = Duration::from_secs(30);
/// The most paths in the command.
const PATHS: usize = 3;

/// The waiting and running extractions, if they take hours.
#[derive(Debug, Clone, PartialEq)]
pub struct Hours {
    /// How many hours on this machine, rounded; at least 2.
    pub hours: u64,
    /// Whether some of them are running; then these are the remaining hours.
    pub under_way: bool,
    /// The command that divides it among several machines.
    pub command: String,
}

impl Batch {
    /// The fraction that is done, 0 to 1, with this many frames of running extractions; `None` if the total is
    /// unknown.
    #[must_use]
    pub fn fraction(&self, frames_running: u64) -> Option<f32> {
        let done = self.done(frames_running);
        (self.frames > 0).then(|| done as f32 / self.frames.max(1) as f32)
    }

    /// Frames that are extracted or were there before, with this many of running extractions.
    #[must_use]
    pub fn done(&self, frames_running: u64) -> u64 {
        (self.frames_done + frames_running).min(self.frames.max(frames_running))
    }
}

impl App {
    /// Frames extracted so far by the running extractions.
    #[must_use]
    pub fn frames_running(&self, session: &Session) -> u64 {
        let running = self.tasks.running().iter();
        running
            .filter(|task| session.import.extracting.values().any(|id| *id == task.id))
            .map(|task| task.work.progress().done)
            .sum()
    }

    /// The waiting and running extractions, if they take hours.
    #[must_use]
    pub fn extraction_hours(&self, session: &Session) -> Option<Hours> {
        let videos = session.sources.iter();
        let videos = videos.filter(|source| source.kind == SourceKind::Video);
        let (mut waiting, mut running) = (0.0, 0.0);
        let mut films = Vec::new();
        for source in videos {
            let megapixels = megapixels(session, source);
            if session.import.extracting.contains_key(&source.id) {
                running += megapixels;
            } else if source.extracted.is_none() {
                waiting += megapixels;
            } else {
                continue;
            }
            films.push(source.path.as_path());
        }
        let batch = session.import.batch.as_ref();
        let settled = batch.filter(|batch| batch.since.elapsed() > SETTLED);
        let own = settled.and_then(|batch| {
            let fraction = f64::from(batch.fraction(self.frames_running(session))?);
            let elapsed = batch.since.elapsed().as_secs_f64();
            (fraction > 0.0).then(|| elapsed * (1.0 - fraction).max(0.0) / fraction)
        });
        let pace = &self.prefs.pace;
        let secs = pace.secs_of(waiting) + own.unwrap_or_else(|| pace.secs_of(running));
        (secs >= LONG_SECS).then(|| Hours {
            hours: (secs / 3600.0).round() as u64,
            under_way: batch.is_some(),
            command: command(session, &films),
        })
    }

    /// Records how long a video took, to estimate others.
    pub(super) fn saw_pace(&mut self, source: &Source, secs: f64) {
        let Some(session) = &self.session else {
            return;
        };
        // With two at a time, each gets about half of the computer.
        let at_once = (session.import.extracting.len() + 1).min(2) as f64;
        let rate = session.previews.known_megapixels_per_sec(&source.path);
        let length = sampled_secs(source, &session.import.sampling);
        if rate.is_some() && secs >= 1.0 {
            let megapixels = film_megapixels(length, rate);
            self.prefs.pace.saw(megapixels, secs / at_once);
            self.save_prefs_soon();
        }
    }
}

fn megapixels(session: &Session, source: &Source) -> f64 {
    let rate = session.previews.known_megapixels_per_sec(&source.path);
    film_megapixels(sampled_secs(source, &session.import.sampling), rate)
}

/// The sampled seconds of a film; 0 if its length is unknown.
fn sampled_secs(source: &Source, sampling: &Sampling) -> f64 {
    let length = source.duration_secs.unwrap_or(0.0).max(0.0);
    let from = sampling.from_secs.unwrap_or(0.0);
    let to = sampling.to_secs.unwrap_or(length).min(length);
    (to - from).max(0.0)
}

/// `salamander shards …` for these films, with the current settings.
fn command(session: &Session, films: &[&Path]) -> String {
    let mut words = vec!["salamander shards".to_owned(), quoted(&session.root)];
    words.extend(paths(films).iter().map(|path| quoted(path)));
    words.push("--out shards.jsonl".to_owned());
    words.extend(class_words(&session.import.class_rule));
    words.extend(sampling_words(&session.import.sampling));
    words.join(" ")
}

/// The films themselves if there are few, otherwise their folders, otherwise the common parent of these.
fn paths(films: &[&Path]) -> Vec<PathBuf> {
    if films.len() <= PATHS {
        return films.iter().map(PathBuf::from).collect();
    }
    let folders: BTreeSet<&Path> = films.iter().filter_map(|film| film.parent()).collect();
    if folders.len() <= PATHS {
        return folders.into_iter().map(PathBuf::from).collect();
    }
    let mut folders = folders.into_iter();
    let first = folders.next().unwrap_or(Path::new(""));
    let common = folders.fold(first, |common, folder| {
        let holds = |ancestor: &&Path| folder.starts_with(ancestor);
        common.ancestors().find(holds).unwrap_or(Path::new(""))
    });
    vec![common.to_owned()]
}

fn class_words(rule: &ClassRule) -> Option<String> {
    match rule {
        ClassRule::Folder => Some("--class-from folder".to_owned()),
        ClassRule::File => Some("--class-from file".to_owned()),
        ClassRule::Chosen(name) => Some(format!("--class {}", quoted(Path::new(name.as_str())))),
        ClassRule::Unsorted => None,
    }
}

fn sampling_words(sampling: &Sampling) -> Vec<String> {
    let mut words = vec![format!("--fps {}", sampling.fps.0)];
    words.push(match sampling.width_px {
        Some(width) => format!("--width {width}"),
        None => "--width original".to_owned(),
    });
    if sampling.jpeg_quality != Sampling::default().jpeg_quality {
        words.push(format!("--jpeg-quality {}", sampling.jpeg_quality));
    }
    words.extend(sampling.from_secs.map(|secs| format!("--from {secs}")));
    words.extend(sampling.to_secs.map(|secs| format!("--to {secs}")));
    words
}

/// A path quoted for the system's shell.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    if cfg!(windows) {
        return format!("\"{text}\"");
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_films_are_named_and_many_by_their_folders() {
        let of = |films: &[&str]| {
            let films: Vec<&Path> = films.iter().map(Path::new).collect();
            paths(&films)
        };
        assert_eq!(of(&["/f/a/1.mp4"]), [Path::new("/f/a/1.mp4")]);
        let many = ["/f/a/1.mp4", "/f/a/2.mp4", "/f/b/1.mp4", "/f/b/2.mp4"];
        assert_eq!(of(&many), [Path::new("/f/a"), Path::new("/f/b")]);
        let more = ["/f/a/1.mp4", "/f/b/1.mp4", "/f/c/1.mp4", "/f/d/e/1.mp4"];
        assert_eq!(of(&more), [Path::new("/f")]);
        #[cfg(unix)]
        assert_eq!(quoted(Path::new("/f/it's $(x)")), r"'/f/it'\''s $(x)'");
    }
}
