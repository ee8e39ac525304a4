//! Predictions over the time of files: the probabilities of a film's frames, the prediction for the whole film, and
//! the accuracy if folders are named after classes.

use std::path::{Path, PathBuf};

use crate::files::{self, Durability};
use crate::text::csv_cell;

use super::classifier::arg_max;
use super::{EvaluateError, FileImage};

/// The probabilities of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct TimedProbabilities {
    /// Seconds from the start of the film; `None` for a photo.
    pub time_secs: Option<f64>,
    /// One for each class.
    pub probabilities: Vec<f32>,
}

/// A photo, or a film with its sampled frames, in the order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// The file.
    pub path: PathBuf,
    /// The predictions of its images.
    pub frames: Vec<TimedProbabilities>,
}

/// The prediction for a whole file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The index of the class with the highest mean probability.
    pub class: usize,
    /// That mean probability, 0..=1.
    pub probability: f32,
    /// Whether it is below the model's threshold; `None` if it has none.
    pub unknown: Option<bool>,
}

/// Counts of files with correct predictions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Right {
    /// Files whose predicted class is that of their folder, and which are not unknown.
    pub correct: u64,
    /// All files in folders named after classes.
    pub files: u64,
}

/// The accuracy on files in folders named after classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct FolderAccuracy {
    /// Photos.
    pub photos: Right,
    /// Films, by their prediction as a whole.
    pub films: Right,
}

impl Timeline {
    /// Whether it is a film.
    #[must_use]
    pub fn is_film(&self) -> bool {
        self.frames.iter().any(|frame| frame.time_secs.is_some())
    }

    /// The mean probability of each class over its images.
    #[must_use]
    pub fn mean(&self) -> Vec<f32> {
        let mut running = Running::default();
        self.frames.iter().for_each(|frame| running.add(frame, 1.0));
        running.mean()
    }

    /// The class with the highest mean probability; `None` without an image.
    #[must_use]
    pub fn verdict(&self, unknown_below: Option<f32>) -> Option<Verdict> {
        let mean = self.mean();
        let class = arg_max(&mean);
        let probability = mean.get(class).copied()?;
        Some(Verdict {
            class,
            probability,
            unknown: unknown_below.map(|threshold| probability < threshold),
        })
    }

    /// For each frame, the mean probabilities of the frames at most half of `window_secs` before or after it; there
    /// are fewer at the ends of the film. Without a window, and for a photo, the probabilities themselves.
    #[must_use]
    pub fn smoothed(&self, window_secs: f64) -> Vec<Vec<f32>> {
        let half = window_secs / 2.0;
        let time = |at: usize| self.frames.get(at).and_then(|frame| frame.time_secs);
        let (mut from, mut to) = (0, 0);
        let mut running = Running::default();
        let mut means = Vec::with_capacity(self.frames.len());
        for (at, frame) in self.frames.iter().enumerate() {
            let Some(now) = frame.time_secs.filter(|_| half > 0.0) else {
                means.push(frame.probabilities.clone());
                continue;
            };
            // Times are ascending, so both ends only move forwards.
            while let Some(next) = self.frames.get(to)
                && (to <= at || time(to).is_some_and(|time| time <= now + half + 1e-9))
            {
                running.add(next, 1.0);
                to += 1;
            }
            while from < at
                && time(from).is_none_or(|time| time < now - half - 1e-9)
                && let Some(gone) = self.frames.get(from)
            {
                running.add(gone, -1.0);
                from += 1;
            }
            means.push(running.mean());
        }
        means
    }

    /// The index of the class of the nearest folder that is named after one.
    #[must_use]
    pub fn truth(&self, classes: &[String]) -> Option<usize> {
        let folders = self.path.ancestors().skip(1);
        let mut names = folders.filter_map(|folder| Some(folder.file_name()?.to_string_lossy()));
        names.find_map(|name| classes.iter().position(|class| *class == name))
    }
}

/// A sum of probabilities from which earlier ones can be subtracted.
#[derive(Default)]
struct Running {
    sums: Vec<f64>,
    count: f64,
}

impl Running {
    fn add(&mut self, frame: &TimedProbabilities, sign: f64) {
        self.sums
            .resize(self.sums.len().max(frame.probabilities.len()), 0.0);
        for (sum, probability) in self.sums.iter_mut().zip(&frame.probabilities) {
            *sum += sign * f64::from(*probability);
        }
        self.count += sign;
    }

    fn mean(&self) -> Vec<f32> {
        let mean = |sum: &f64| (sum / self.count.max(1.0)).clamp(0.0, 1.0) as f32;
        self.sums.iter().map(mean).collect()
    }
}

/// The files that were predicted, in that order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Timelines {
    /// The classes, in the order of the probabilities.
    pub classes: Vec<String>,
    /// The files.
    pub files: Vec<Timeline>,
}

/// The beginning of a timeline file, by which it is recognised.
const HEADER: &str = "source,time_secs,";

impl Timelines {
    /// No files yet, with these classes.
    #[must_use]
    pub fn new(classes: &[String]) -> Self {
        Self {
            classes: classes.to_vec(),
            files: Vec::new(),
        }
    }

    /// Adds an image of a file; the images of a file come one after the other.
    pub fn push(&mut self, image: &FileImage<'_>) {
        let frame = TimedProbabilities {
            time_secs: image.time_secs,
            probabilities: image.probabilities.clone(),
        };
        match self.files.last_mut() {
            Some(last) if last.path == image.path && image.time_secs.is_some() => {
                last.frames.push(frame);
            }
            _ => self.files.push(Timeline {
                path: image.path.to_owned(),
                frames: vec![frame],
            }),
        }
    }

    /// The accuracy on files in folders named after classes; `None` if there are no such folders.
    #[must_use]
    pub fn accuracy(&self, unknown_below: Option<f32>) -> Option<FolderAccuracy> {
        let mut found = FolderAccuracy::default();
        for file in &self.files {
            let Some((truth, verdict)) = file.truth(&self.classes).zip(file.verdict(unknown_below))
            else {
                continue;
            };
            let side = if file.is_film() {
                &mut found.films
            } else {
                &mut found.photos
            };
            side.files += 1;
            let right = verdict.class == truth && verdict.unknown != Some(true);
            side.correct += u64::from(right);
        }
        (found != FolderAccuracy::default()).then_some(found)
    }

    /// Comma-separated values (RFC 4180): a line for each image with its file, its time and the probability of each
    /// class, smoothed over this many seconds.
    #[must_use]
    pub fn to_csv(&self, smooth_secs: f64) -> String {
        let mut text = HEADER.to_owned();
        text.push_str(
            &self
                .classes
                .iter()
                .map(|class| csv_cell(class))
                .collect::<Vec<_>>()
                .join(","),
        );
        text.push('\n');
        for file in &self.files {
            let source = csv_cell(&file.path.display().to_string());
            for (frame, probabilities) in file.frames.iter().zip(file.smoothed(smooth_secs)) {
                let time = frame.time_secs.map(|time| format!("{time:.3}"));
                let mut cells = vec![source.clone(), time.unwrap_or_default()];
                cells.extend(
                    probabilities
                        .iter()
                        .map(|probability| format!("{probability:.6}")),
                );
                text.push_str(&cells.join(","));
                text.push('\n');
            }
        }
        text
    }

    /// Writes that file. An existing timeline is replaced.
    ///
    /// # Errors
    /// [`EvaluateError::NoTimeline`] for another file in its place; the file cannot be written.
    pub fn write_csv(&self, path: &Path, smooth_secs: f64) -> Result<(), EvaluateError> {
        check_csv(path)?;
        files::write(
            path,
            self.to_csv(smooth_secs).as_bytes(),
            Durability::Synced,
        )?;
        Ok(())
    }
}

/// Checks that timelines may be written to a file: it does not exist, or contains timelines.
///
/// # Errors
/// [`EvaluateError::NoTimeline`] for another file.
pub fn check_csv(path: &Path) -> Result<(), EvaluateError> {
    let is_other = match files::read(path) {
        Ok(bytes) => !bytes.is_empty() && !bytes.starts_with(HEADER.as_bytes()),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    };
    if is_other {
        return Err(EvaluateError::NoTimeline {
            path: path.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    fn film(path: &str, frames: &[(f64, [f32; 2])]) -> Timeline {
        let frame = |(time, probabilities): &(f64, [f32; 2])| TimedProbabilities {
            time_secs: Some(*time),
            probabilities: probabilities.to_vec(),
        };
        Timeline {
            path: path.into(),
            frames: frames.iter().map(frame).collect(),
        }
    }

    fn photo(path: &str, probabilities: [f32; 2]) -> Timeline {
        Timeline {
            path: path.into(),
            frames: vec![TimedProbabilities {
                time_secs: None,
                probabilities: probabilities.to_vec(),
            }],
        }
    }

    #[test]
    fn a_window_takes_the_mean_of_what_lies_within_it() {
        let film = film(
            "film",
            &[
                (0.0, [1.0, 0.0]),
                (0.5, [0.0, 1.0]),
                (1.0, [1.0, 0.0]),
                (4.0, [0.0, 1.0]),
            ],
        );
        let first = |window: f64| {
            film.smoothed(window)
                .iter()
                .map(|p| p[0])
                .collect::<Vec<_>>()
        };
        assert_eq!(first(0.0), [1.0, 0.0, 1.0, 0.0]);
        assert_eq!(
            first(1.0),
            [0.5, 2.0 / 3.0, 0.5, 0.0],
            "half a second each way"
        );
        assert_eq!(first(100.0), [0.5; 4]);
        assert_eq!(film.mean(), [0.5, 0.5]);
        // In every window probabilities sum to 1.
        for window in [0.3, 1.0, 2.5] {
            for probabilities in film.smoothed(window) {
                assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn verdicts_are_judged_by_the_folders() {
        let classes = ["cat", "dog"].map(str::to_owned);
        let found = Timelines {
            classes: classes.to_vec(),
            files: vec![
                film(
                    "/x/cat/day 1/a.mp4",
                    &[(0.0, [0.9, 0.1]), (1.0, [0.4, 0.6])],
                ),
                film("/x/dog/b.mp4", &[(0.0, [0.7, 0.3])]),
                photo("/x/dog/c.jpg", [0.2, 0.8]),
                photo("/x/cat/dog/d.jpg", [0.45, 0.55]),
                photo("/x/elsewhere/e.jpg", [0.1, 0.9]),
            ],
        };
        let accuracy = found.accuracy(None).unwrap();
        assert_eq!(
            accuracy.films,
            Right {
                correct: 1,
                files: 2
            }
        );
        assert_eq!(
            accuracy.photos,
            Right {
                correct: 2,
                files: 2
            },
            "the nearest folder"
        );
        // Unknown files count as wrong.
        let accuracy = found.accuracy(Some(0.6)).unwrap();
        assert_eq!(
            accuracy.photos,
            Right {
                correct: 1,
                files: 2
            }
        );
        let verdict = found.files[0].verdict(Some(0.6)).unwrap();
        assert_eq!((verdict.class, verdict.unknown), (0, Some(false)));
        assert!((verdict.probability - 0.65).abs() < 1e-6);
        let elsewhere = Timelines {
            classes: classes.to_vec(),
            files: vec![photo("/x/e.jpg", [0.1, 0.9])],
        };
        assert_eq!(elsewhere.accuracy(None), None);
    }

    #[test]
    fn values_are_quoted_and_other_files_stay() {
        let classes = ["cat, or \"puss\"", "dog"].map(str::to_owned);
        let found = Timelines {
            classes: classes.to_vec(),
            files: vec![
                film("a,b.mp4", &[(0.5, [0.25, 0.75])]),
                photo("c.jpg", [1.0, 0.0]),
            ],
        };
        let text = "source,time_secs,\"cat, or \"\"puss\"\"\",dog\n\"a,b.mp4\",0.500,0.250000,0.750000\nc.jpg,,1.000000,0.000000\n";
        assert_eq!(found.to_csv(0.0), text);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.csv");
        found.write_csv(&path, 0.0).unwrap();
        found.write_csv(&path, 0.0).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        std::fs::write(&path, "my,own\n").unwrap();
        let refused = found.write_csv(&path, 0.0).unwrap_err().to_string();
        assert!(
            refused.contains("out.csv") && refused.contains("another name"),
            "{refused}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "my,own\n");
    }
}
