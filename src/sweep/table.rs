//! The table of a sweep: a row for each configuration, ranked by validation, with its costs and its membership in
//! Pareto sets.

use crate::evaluate::t_975;
use crate::train::schema::{SETTINGS, Setting};
use crate::train::{RunId, TrainSettings};

use super::{RankBy, Sweep, TrainedFigures, Training, TrainingOutcome};

/// A kind of cost to be weighed against accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cost {
    /// Multiply-accumulates for one image.
    #[default]
    Macs,
    /// The size of the model in bytes.
    Size,
    /// The latency for one image.
    Latency,
}

impl Cost {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Macs, Self::Size, Self::Latency];

    /// Its name on the screen and in tables.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Macs => "MACs",
            Self::Size => "size",
            Self::Latency => "latency",
        }
    }
}

/// A figure in 0..=1: of one training, or the mean of several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The figure.
    pub value: f64,
    /// Its 95 % interval, over sources for one training, over splits for several; `None` if it cannot be computed.
    pub interval_95: Option<[f64; 2]>,
}

/// The state of a configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// None of its trainings has ended.
    Waiting,
    /// Some of its repeats have ended.
    Partly,
    /// All have ended, at least one of them successfully.
    Finished,
    /// All of them failed, for this reason.
    Failed(String),
}

/// A configuration as a row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepRow {
    /// The numbers of its trainings, from 1.
    pub trainings: Vec<u32>,
    /// The settings of its first training.
    pub settings: TrainSettings,
    /// Where it is.
    pub state: State,
    /// The runs of its successful trainings.
    pub runs: Vec<RunId>,
    /// Accuracy on the validation images.
    pub validation: Option<Score>,
    /// Mean cross-entropy on the validation images, nats.
    pub cross_entropy: Option<f64>,
    /// Accuracy on the test images. It is not used for ranking.
    pub test: Option<Score>,
    /// Multiply-accumulates for one image; `None` if the architecture is missing.
    pub macs: Option<u64>,
    /// The size of the fp32 model in bytes.
    pub bytes: Option<u64>,
    /// The latency in milliseconds for one image on one thread.
    pub latency_ms: Option<f64>,
    /// The total duration of its trainings in seconds.
    pub seconds: Option<f64>,
    /// Its rank by validation, from 1; `None` if it has no figure.
    pub rank: Option<u32>,
    /// For each of [`Cost::ALL`]: whether no other configuration is at least as accurate on validation images at lower
    /// cost.
    pub pareto: [bool; 3],
}

impl SweepRow {
    /// Its cost of that kind.
    #[must_use]
    pub fn cost(&self, cost: Cost) -> Option<f64> {
        match cost {
            Cost::Macs => self.macs.map(|macs| macs as f64),
            Cost::Size => self.bytes.map(|bytes| bytes as f64),
            Cost::Latency => self.latency_ms,
        }
    }

    /// Whether it is in the Pareto set of a cost.
    #[must_use]
    pub fn is_pareto(&self, cost: Cost) -> bool {
        let costs = Cost::ALL.into_iter().zip(self.pareto);
        costs.into_iter().any(|(of, is)| of == cost && is)
    }

    /// The names of the costs whose Pareto sets it is in, separated by commas.
    #[must_use]
    pub fn pareto_words(&self) -> String {
        let of: Vec<&str> = Cost::ALL
            .into_iter()
            .filter(|cost| self.is_pareto(*cost))
            .map(Cost::title)
            .collect();
        of.join(", ")
    }
}

/// The table of a sweep.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// The settings in which its configurations differ.
    pub settings: Vec<&'static Setting>,
    /// The configurations, in the order of training.
    pub rows: Vec<SweepRow>,
    /// Remarks, a sentence each.
    pub notes: Vec<String>,
}

impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Table {
    /// The table of a sweep.
    #[must_use]
    pub fn of(sweep: &Sweep) -> Self {
        let mut rows: Vec<SweepRow> = Vec::new();
        let trainings = &sweep.trainings;
        for group in trainings.chunk_by(|a, b| a.configuration == b.configuration) {
            let before: usize = rows.iter().map(|row| row.trainings.len()).sum();
            if let Some(row) = row(sweep, group, before) {
                rows.push(row);
            }
        }
        rank(&mut rows, sweep.rank);
        for (at, cost) in Cost::ALL.into_iter().enumerate() {
            mark_pareto(&mut rows, cost, at);
        }
        Self {
            settings: differing(&rows),
            notes: notes(sweep, &rows),
            rows,
        }
    }

    /// The rows by rank; those without a rank last, in their order.
    #[must_use]
    pub fn ranked(&self) -> Vec<&SweepRow> {
        let mut rows: Vec<&SweepRow> = self.rows.iter().collect();
        rows.sort_by_key(|row| row.rank.unwrap_or(u32::MAX));
        rows
    }

    /// A configuration described by the settings in which it differs from others.
    #[must_use]
    pub fn words(&self, row: &SweepRow) -> String {
        let words: Vec<String> = self
            .settings
            .iter()
            .filter(|setting| setting.plays(&row.settings))
            .map(|setting| {
                let value = setting.get(&row.settings);
                match setting.key {
                    "architecture" | "depth" => value.to_string(),
                    key => format!("{key} {value}"),
                }
            })
            .collect();
        words.join(", ")
    }
}

fn row(sweep: &Sweep, group: &[Training], before: usize) -> Option<SweepRow> {
    let first = group.first()?;
    let numbers = (1..).skip(before).take(group.len());
    let mut finished: Vec<(&RunId, &TrainedFigures)> = Vec::new();
    let mut failed = None;
    for training in group {
        match &training.outcome {
            Some(TrainingOutcome::Finished { run, figures }) => finished.push((run, figures)),
            Some(TrainingOutcome::Failed(reason)) => failed = failed.or(Some(reason)),
            None => {}
        }
    }
    let ended = group.iter().filter(|one| one.outcome.is_some()).count();
    let state = match failed {
        _ if ended == 0 => State::Waiting,
        _ if ended < group.len() => State::Partly,
        Some(reason) if finished.is_empty() => State::Failed(reason.clone()),
        _ => State::Finished,
    };
    let of = |value: fn(&TrainedFigures) -> Option<f64>| -> Vec<(f64, &TrainedFigures)> {
        let values = finished.iter();
        values
            .filter_map(|(_, figures)| Some((value(figures)?, *figures)))
            .collect()
    };
    let tests = of(|figures| figures.test_accuracy);
    let test = match tests.as_slice() {
        [(value, figures)] => Some(Score {
            value: *value,
            interval_95: figures.test_95,
        }),
        several => mean(several, |figures| figures.images[2]),
    };
    let seconds = finished.iter().map(|(_, figures)| figures.seconds);
    let settings = &first.settings;
    let architecture = &settings.architecture;
    Some(SweepRow {
        trainings: numbers.collect(),
        state,
        validation: mean(&of(|figures| figures.validation_accuracy), |figures| {
            figures.images[1]
        }),
        cross_entropy: mean(&of(|figures| figures.validation_cross_entropy), |figures| {
            figures.images[1]
        })
        .map(|score| score.value),
        test,
        macs: architecture.multiply_accumulates().ok(),
        bytes: finished.first().map(|(_, figures)| figures.bytes),
        latency_ms: sweep.latency_ms.get(&architecture.to_string()).copied(),
        seconds: (!finished.is_empty()).then(|| seconds.sum()),
        runs: finished.iter().map(|(run, _)| (*run).clone()).collect(),
        settings: settings.clone(),
        rank: None,
        pareto: [false; 3],
    })
}

/// The mean over splits with its interval. Splits of the same images overlap, so the plain interval of n values would
/// be far too narrow: the variance is enlarged by n₂/n₁, with n₁ training images and n₂ images to measure on (C.
/// Nadeau and Y. Bengio, "Inference for the generalization error", Machine Learning 52, 2003).
fn mean(
    values: &[(f64, &TrainedFigures)],
    measured_on: fn(&TrainedFigures) -> u64,
) -> Option<Score> {
    let n = values.len() as f64;
    let (_, figures) = values.first()?;
    let mean = values.iter().map(|(value, _)| value).sum::<f64>() / n;
    let interval_95 = (values.len() > 1).then(|| {
        let squares = values.iter().map(|(value, _)| (value - mean).powi(2));
        let variance = squares.sum::<f64>() / (n - 1.0);
        let overlap = measured_on(figures) as f64 / (figures.images[0] as f64).max(1.0);
        let half = t_975(n - 1.0) * ((1.0 / n + overlap) * variance).sqrt();
        [(mean - half).max(0.0), (mean + half).min(1.0)]
    });
    Some(Score {
        value: mean,
        interval_95,
    })
}

/// Equal figures share a rank.
fn rank(rows: &mut [SweepRow], by: RankBy) {
    // Smaller is better for both numbers.
    let key = |row: &SweepRow| -> Option<[f64; 2]> {
        let accuracy = -row.validation?.value;
        let cross_entropy = row.cross_entropy.unwrap_or(f64::MAX);
        Some(match by {
            RankBy::Accuracy => [accuracy, cross_entropy],
            RankBy::CrossEntropy => [cross_entropy, accuracy],
        })
    };
    let keys: Vec<Option<[f64; 2]>> = rows.iter().map(key).collect();
    let less = |a: &[f64; 2], b: &[f64; 2]| {
        let first = a[0].total_cmp(&b[0]);
        first.then(a[1].total_cmp(&b[1])).is_lt()
    };
    for (row, key) in rows.iter_mut().zip(&keys) {
        row.rank = key.as_ref().map(|key| {
            let better = keys.iter().flatten().filter(|other| less(other, key));
            u32::try_from(better.count()).unwrap_or(u32::MAX - 1) + 1
        });
    }
}

fn mark_pareto(rows: &mut [SweepRow], cost: Cost, at: usize) {
    let points: Vec<Option<(f64, f64)>> = rows
        .iter()
        .map(|row| Some((row.cost(cost)?, row.validation?.value)))
        .collect();
    for (row, point) in rows.iter_mut().zip(&points) {
        let is = point.is_some_and(|(cost, accuracy)| {
            !points.iter().flatten().any(|(other, of_other)| {
                *other <= cost && *of_other >= accuracy && (*other < cost || *of_other > accuracy)
            })
        });
        if let Some(mark) = row.pareto.get_mut(at) {
            *mark = is;
        }
    }
}

fn differing(rows: &[SweepRow]) -> Vec<&'static Setting> {
    let differs = |setting: &&Setting| {
        let playing = rows.iter().filter(|row| setting.plays(&row.settings));
        let mut values = playing.map(|row| setting.get(&row.settings));
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    SETTINGS.iter().filter(differs).collect()
}

fn notes(sweep: &Sweep, rows: &[SweepRow]) -> Vec<String> {
    let mut notes = Vec::new();
    let finished = rows.iter().filter(|row| !row.runs.is_empty());
    let count = finished.clone().count();
    if finished.clone().any(|row| row.validation.is_none()) {
        notes.push(
            "There are no validation images, so nothing is ranked, because test images must not be used for selection. Give --validation-percentage.".into(),
        );
    } else if count > 1 {
        let by = match sweep.rank {
            RankBy::Accuracy => "accuracy",
            RankBy::CrossEntropy => "cross-entropy",
        };
        notes.push(format!(
            "Ranked by {by} on validation images, never on test images. The best of many configurations is partly lucky on the images that rank it, so expect less than its validation figure. Its test accuracy is unbiased as long as you do not use it for selection."
        ));
    }
    // Trainings with the same split settings must have had the same images.
    let mut seen: Vec<(&TrainSettings, &str)> = Vec::new();
    let mut changed = false;
    for training in &sweep.trainings {
        if let Some(TrainingOutcome::Finished { figures, .. }) = &training.outcome {
            let split = &training.settings.split;
            match seen.iter().find(|(of, _)| of.split == *split) {
                Some((_, data)) => changed |= *data != figures.data,
                None => seen.push((&training.settings, &figures.data)),
            }
        }
    }
    if changed {
        notes.push(
            "Images, labels or classes were changed between trainings of this sweep, so not all rows were measured on the same images; sweep again to compare them.".into(),
        );
    }
    notes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::sweep::{SweepAxis, SweepPlan};

    fn figures(validation: f64, test: f64) -> TrainedFigures {
        TrainedFigures {
            validation_accuracy: Some(validation),
            validation_cross_entropy: Some(1.0 - validation),
            test_accuracy: Some(test),
            test_95: Some([0.1, 0.9]),
            bytes: 1_000,
            seconds: 2.0,
            images: [80, 10, 20],
            data: "same".into(),
        }
    }

    fn sweep(axes: &[(&str, &str)], repeats: u32) -> Sweep {
        let plan = SweepPlan {
            base: TrainSettings::default(),
            axes: axes
                .iter()
                .map(|(key, text)| SweepAxis::parse(key, text).unwrap())
                .collect(),
            repeats,
            rank: RankBy::Accuracy,
        };
        let dir = tempfile::tempdir().unwrap();
        let project = crate::project::Project::create(&dir.path().join("p"), "p").unwrap();
        crate::sweep::begin(&project, &plan, plan.trainings().unwrap()).unwrap()
    }

    fn finish(sweep: &mut Sweep, at: usize, figures: TrainedFigures) {
        let run = RunId(format!("run_{at}"));
        sweep.trainings[at].outcome = Some(TrainingOutcome::Finished { run, figures });
    }

    #[test]
    fn validation_ranks_and_the_test_does_not() {
        let mut sweep = sweep(
            &[(
                "architecture",
                "mobilenet-v2@96,mobilenet-v2@128,mobilenet-v2@224",
            )],
            1,
        );
        finish(&mut sweep, 0, figures(0.8, 0.99));
        finish(&mut sweep, 1, figures(0.9, 0.5));
        sweep.trainings[2].outcome = Some(TrainingOutcome::Failed("it diverged".into()));
        let table = Table::of(&sweep);
        let ranks: Vec<Option<u32>> = table.rows.iter().map(|row| row.rank).collect();
        assert_eq!(ranks, [Some(2), Some(1), None]);
        assert_eq!(table.rows[2].state, State::Failed("it diverged".into()));
        assert_eq!(table.ranked()[0].trainings, [2]);
        // The larger model costs more and is more accurate, so both are in the set; of equal size only the better one
        // is.
        assert_eq!(table.rows[0].pareto_words(), "MACs");
        assert_eq!(table.rows[1].pareto_words(), "MACs, size");
        assert!(
            table
                .notes
                .iter()
                .any(|note| note.contains("never on test images"))
        );
        let keys: Vec<&str> = table.settings.iter().map(|setting| setting.key).collect();
        assert_eq!(keys, ["architecture"]);
        assert_eq!(table.words(&table.rows[1]), "mobilenet-v2@128");
    }

    #[test]
    fn cross_entropy_ranks_where_it_is_asked_to() {
        let mut sweep = sweep(&[("learning_rate", "0.01,0.1")], 1);
        sweep.rank = RankBy::CrossEntropy;
        for (at, accuracy, cross_entropy) in [(0, 0.9, 0.5), (1, 0.8, 0.4)] {
            let figures = TrainedFigures {
                validation_cross_entropy: Some(cross_entropy),
                ..figures(accuracy, 0.8)
            };
            finish(&mut sweep, at, figures);
        }
        let ranks: Vec<Option<u32>> = Table::of(&sweep).rows.iter().map(|row| row.rank).collect();
        assert_eq!(ranks, [Some(2), Some(1)]);
    }

    /// Three accuracies 0.8, 0.9, 1.0: variance 0.01, t(2) = 4.3027; with 20 test and 80 training images 1/3 + 1/4.
    #[test]
    fn repeats_are_a_mean_with_the_interval_of_overlapping_splits() {
        let mut sweep = sweep(&[("learning_rate", "0.01")], 3);
        for (at, test) in [0.8, 0.9, 1.0].into_iter().enumerate() {
            finish(&mut sweep, at, figures(0.5, test));
        }
        let table = Table::of(&sweep);
        assert_eq!(table.rows.len(), 1);
        let test = table.rows[0].test.unwrap();
        assert!((test.value - 0.9).abs() < 1e-12);
        let half = 4.302_653 * (0.01_f64 * (1.0 / 3.0 + 0.25)).sqrt();
        let [low, high] = test.interval_95.unwrap();
        assert!((low - (0.9 - half)).abs() < 1e-6, "{low}");
        assert!((high - 1.0).abs() < 1e-12);
        assert_eq!(table.rows[0].runs.len(), 3);
    }

    #[test]
    fn rows_of_other_images_are_said_to_be() {
        let mut sweep = sweep(&[("learning_rate", "0.01,0.1")], 1);
        finish(&mut sweep, 0, figures(0.5, 0.5));
        let other = TrainedFigures {
            data: "other".into(),
            ..figures(0.5, 0.5)
        };
        finish(&mut sweep, 1, other);
        let notes = Table::of(&sweep).notes;
        assert!(
            notes.iter().any(|note| note.contains("were changed")),
            "{notes:?}"
        );
    }
}
