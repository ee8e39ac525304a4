//! Calibration: whether probabilities of 80 % are right in 80 % of cases, and the temperature for that.

use serde::Serialize;

use crate::jobs::{Cancelled, Work};
use crate::project::{Project, Split};
use crate::train::{Calibration, Run};

use super::EvaluateError;
use super::classifier::{Classifier, arg_max, softmax};
use super::interval::effective_sources;
use super::rows::{Backbone, Rows};

/// Bins of a reliability diagram, as in Guo et al. 2017.
const BINS: usize = 15;

/// The range of temperatures that are tried.
const TEMPERATURES: [f64; 2] = [0.1, 20.0];

/// Prior standard deviation of the logarithm of temperatures: 95 % of them are between 0.37 and 2.7, like published
/// ones.
const DEVIATION: f64 = 0.5;

/// With fewer validation frames no temperature is fitted.
const FEWEST_FRAMES: usize = 10;

/// A bin of frames with similar highest probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// The range of probabilities of the bin, 0..=1.
    pub range: [f64; 2],
    /// The number of frames in it.
    pub frames: u64,
    /// Mean of their highest probabilities.
    pub confidence: f64,
    /// Their accuracy, 0..=1.
    pub accuracy: f64,
}

/// Measures of how well probabilities match accuracies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reliability {
    /// The bins of equal width that are not empty, lowest first.
    pub bins: Vec<ReliabilityBin>,
    /// Expected calibration error with [15](BINS) bins of equal width, 0..=1: the mean over
    /// frames of `|accuracy − confidence|` of their bins.
    pub expected_error: f64,
    /// The same with as many bins of equally many frames: if almost all probabilities are high, most bins of equal
    /// width are nearly empty.
    pub adaptive_error: f64,
    /// Mean negative log-likelihood of the true class, nats.
    pub nll: f64,
    /// Mean Brier score, the sum of `(p − y)²` over the classes, 0..=2.
    pub brier: f64,
}

/// A frame's true class and probabilities.
pub(super) type Judged = (usize, Vec<f32>);

impl Reliability {
    /// Of frames, each with its true class and probabilities; `None` without any.
    fn of<'a>(frames: impl Iterator<Item = (usize, &'a [f32])>) -> Option<Self> {
        let (mut nll, mut brier) = (0.0, 0.0);
        let mut scores: Vec<(f64, bool)> = Vec::new();
        for (truth, probabilities) in frames {
            let called = arg_max(probabilities);
            let highest = probabilities.get(called).copied().unwrap_or(0.0);
            scores.push((f64::from(highest), called == truth));
            let of_truth = probabilities.get(truth).copied().unwrap_or(0.0);
            nll -= f64::from(of_truth.max(f32::MIN_POSITIVE)).ln();
            brier += probabilities
                .iter()
                .enumerate()
                .map(|(class, p)| (f64::from(*p) - f64::from(u8::from(class == truth))).powi(2))
                .sum::<f64>();
        }
        if scores.is_empty() {
            return None;
        }
        let count = scores.len();
        scores.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Bins are open below and closed above, as in the authors' code.
        let bin_of = |score: f64| ((score * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        let bins: Vec<ReliabilityBin> = scores
            .chunk_by(|a, b| bin_of(a.0) == bin_of(b.0))
            .filter_map(|frames| {
                let at = bin_of(frames.first()?.0) as f64;
                let range = [at, at + 1.0].map(|edge| edge / BINS as f64);
                Some(bin(range, frames))
            })
            .collect();
        let size = count.div_ceil(BINS);
        let equal: Vec<ReliabilityBin> = scores
            .chunks(size)
            .map(|frames| {
                let ends = [frames.first(), frames.last()];
                bin(ends.map(|end| end.map_or(0.0, |(score, _)| *score)), frames)
            })
            .collect();
        Some(Self {
            expected_error: expected_error(&bins),
            adaptive_error: expected_error(&equal),
            bins,
            nll: nll / count as f64,
            brier: brier / count as f64,
        })
    }
}

fn bin(range: [f64; 2], frames: &[(f64, bool)]) -> ReliabilityBin {
    let count = frames.len().max(1) as f64;
    ReliabilityBin {
        range,
        frames: frames.len() as u64,
        confidence: frames.iter().map(|(score, _)| score).sum::<f64>() / count,
        accuracy: frames.iter().filter(|(_, right)| *right).count() as f64 / count,
    }
}

fn expected_error(bins: &[ReliabilityBin]) -> f64 {
    let frames: f64 = bins.iter().map(|bin| bin.frames as f64).sum();
    let apart = |bin: &ReliabilityBin| (bin.accuracy - bin.confidence).abs() * bin.frames as f64;
    bins.iter().map(apart).sum::<f64>() / frames.max(1.0)
}

/// Logits of frames with their labels.
pub(super) struct Logits {
    /// The true label of each frame, and the logits of the run's classes.
    pub frames: Vec<(usize, Vec<f64>)>,
    /// The index of the label of each class of the logits, and the number of labels.
    pub label_of: Vec<usize>,
    pub labels: usize,
}

impl Logits {
    /// Probabilities of the labels at a temperature.
    pub(super) fn at(&self, logits: &[f64], temperature: f64) -> Vec<f32> {
        let scaled: Vec<f64> = logits.iter().map(|z| z / temperature).collect();
        let of_classes = softmax(&scaled);
        let mut folded = vec![0.0; self.labels];
        for (label, p) in self.label_of.iter().zip(of_classes) {
            if let Some(sum) = folded.get_mut(*label) {
                *sum += p;
            }
        }
        folded
    }

    /// The reliability of the probabilities at a temperature; `None` without frames.
    pub(super) fn reliability(&self, temperature: f64) -> Option<Reliability> {
        let judged: Vec<Judged> = self
            .frames
            .iter()
            .map(|(truth, logits)| (*truth, self.at(logits, temperature)))
            .collect();
        Reliability::of(judged.iter().map(|(truth, p)| (*truth, p.as_slice())))
    }

    /// The temperature with the highest likelihood of the frames' true classes, found by golden section search on its
    /// logarithm.
    ///
    /// The frames count as that many independent ones as there are effective sources, and a prior keeps the
    /// temperature near 1 if these are few: log-normal with [this standard deviation](DEVIATION). If a handful of
    /// validation frames are all right, the most likely temperature alone would be zero, and every later mistake would
    /// be made with certainty.
    ///
    /// # Errors
    /// [`Cancelled`] if `work` is cancelled.
    pub(super) fn temperature(&self, sources: f64, work: &Work) -> Result<f64, Cancelled> {
        let weight = sources / self.frames.len().max(1) as f64;
        let loss = |log_t: f64| -> Result<f64, Cancelled> {
            work.check()?;
            let mut sum = 0.0;
            for (truth, logits) in &self.frames {
                let p = self.likelihood(*truth, logits, log_t.exp());
                sum -= p.max(1e-300).ln();
            }
            Ok(weight * sum + 0.5 * (log_t / DEVIATION).powi(2))
        };
        let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
        let [mut low, mut high] = TEMPERATURES.map(f64::ln);
        let mut inner = [high - golden * (high - low), low + golden * (high - low)];
        let mut found = [loss(inner[0])?, loss(inner[1])?];
        while high - low > 1e-4 {
            if found[0] <= found[1] {
                high = inner[1];
                inner = [high - golden * (high - low), inner[0]];
                found = [loss(inner[0])?, found[0]];
            } else {
                low = inner[0];
                inner = [inner[1], low + golden * (high - low)];
                found = [found[1], loss(inner[1])?];
            }
        }
        Ok(f64::midpoint(low, high).exp())
    }

    /// The probability of a label at a temperature, in 64 bits: a confident mistake must not have probability 0.
    fn likelihood(&self, truth: usize, logits: &[f64], temperature: f64) -> f64 {
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut own, mut all) = (0.0, 0.0);
        for (z, label) in logits.iter().zip(&self.label_of) {
            let e = ((z - largest) / temperature).exp();
            all += e;
            own += if *label == truth { e } else { 0.0 };
        }
        own / all
    }
}

/// The logits of a run on frames, without a temperature.
pub(super) fn logits(run: &Run, rows: &Rows) -> Result<Logits, EvaluateError> {
    let classifier = Classifier::uncalibrated(run, rows.dim)?;
    let frames = rows.bottlenecks().zip(&rows.truth);
    Ok(Logits {
        frames: frames
            .map(|(row, truth)| (*truth, classifier.logits(row)))
            .collect(),
        label_of: rows.classes.label_of.clone(),
        labels: rows.classes.labels.len(),
    })
}

/// Fits the temperature of a finished run on its validation frames and stores it with the run, if it has none for its
/// current weights; predictions and exports of the run use it from then on. `None` with fewer than [10](FEWEST_FRAMES)
/// validation frames: then probabilities are not changed.
///
/// # Errors
/// The project cannot be written, the run cannot be read, or the work is cancelled.
pub fn calibrate(
    project: &Project,
    run: &Run,
    work: &Work,
) -> Result<Option<Calibration>, EvaluateError> {
    if let Some(known) = run.calibration()? {
        return Ok(Some(known));
    }
    project.check_runs_writable()?;
    let rows = Rows::of(project, run, Some(Split::Validation), Backbone::OfRun, work)?;
    if rows.frames.len() < FEWEST_FRAMES {
        return Ok(None);
    }
    work.stage("Calibrating", None);
    let logits = logits(run, &rows)?;
    let sources = rows.source_sizes();
    let temperature = logits.temperature(effective_sources(sources.iter().copied()), work)?;
    let at = |temperature: f64| logits.reliability(temperature);
    let (Some(before), Some(after)) = (at(1.0), at(temperature)) else {
        return Ok(None);
    };
    let calibration = Calibration {
        temperature,
        frames: rows.frames.len() as u64,
        sources: sources.len() as u64,
        nll: [before.nll, after.nll],
        expected_error: [before.expected_error, after.expected_error],
        unknown: None,
        weights: String::new(),
    };
    run.set_calibration(&calibration)?;
    Ok(Some(calibration))
}

/// [`calibrate`] after a training. An error is only a warning of `work`: the training has succeeded.
pub fn calibrate_or_warn(project: &Project, run: &Run, work: &Work) {
    if let Err(error) = calibrate(project, run, work)
        && !work.is_cancelled()
    {
        work.warn(format!("The run is not calibrated: {error}"));
    }
}

/// The reliability of a run's probabilities on one side of its split, without and with its temperature.
///
/// # Errors
/// The run cannot be read, or the work is cancelled.
pub fn reliability(
    project: &Project,
    run: &Run,
    split: Split,
    work: &Work,
) -> Result<Option<[Reliability; 2]>, EvaluateError> {
    let rows = Rows::of(project, run, Some(split), Backbone::OfRun, work)?;
    let logits = logits(run, &rows)?;
    let temperature = run.calibration()?.map_or(1.0, |found| found.temperature);
    let at = |temperature: f64| logits.reliability(temperature);
    Ok(at(1.0).zip(at(temperature)).map(<[_; 2]>::from))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn judged(scores: &[(f32, bool)]) -> Vec<Judged> {
        scores
            .iter()
            .map(|(p, right)| (usize::from(!*right), vec![*p, 1.0 - *p]))
            .collect()
    }

    fn reliability(frames: &[Judged]) -> Reliability {
        Reliability::of(frames.iter().map(|(truth, p)| (*truth, p.as_slice()))).unwrap()
    }

    /// By hand: 4 frames at 0.95 of which 2 are right, 6 at 0.65 of which 6 are.
    #[test]
    fn the_error_by_hand() {
        let mut frames = vec![(0.95, true), (0.95, true), (0.95, false), (0.95, false)];
        frames.extend([(0.65, true); 6]);
        let found = reliability(&judged(&frames));
        assert_eq!(found.bins.len(), 2);
        assert_eq!((found.bins[0].frames, found.bins[1].frames), (6, 4));
        let expected = 0.4 * 0.45 + 0.6 * 0.35;
        assert!((found.expected_error - expected).abs() < 1e-6);
        let nll = -(2.0 * 0.95_f64.ln() + 2.0 * 0.05_f64.ln() + 6.0 * 0.65_f64.ln()) / 10.0;
        assert!((found.nll - nll).abs() < 1e-6);
        let brier = (2.0 * 0.005 + 2.0 * 1.805 + 6.0 * 0.245) / 10.0;
        assert!((found.brier - brier).abs() < 1e-6);
        assert!(Reliability::of(std::iter::empty()).is_none());
    }

    #[test]
    fn bins_of_equally_many_frames_see_what_equal_widths_hide() {
        // All are in one bin of equal width: overconfident in its lower part, underconfident in its upper part.
        let frames: Vec<(f32, bool)> = (0..150)
            .map(|at| (0.94 + 0.0003 * at as f32, at % 75 > 5 || at >= 75))
            .collect();
        let found = reliability(&judged(&frames));
        assert_eq!(found.bins.len(), 1);
        assert!(found.adaptive_error > found.expected_error);
    }

    /// Logits of frames whose true class is drawn by softmax(z / 2.5): that temperature is found.
    #[test]
    fn the_temperature_that_made_the_labels_is_found() {
        let mut state = 1_u64;
        let mut unit = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let frames = (0..4000)
            .map(|_| {
                let logits: Vec<f64> = (0..4).map(|_| 12.0 * unit() - 6.0).collect();
                let scaled: Vec<f64> = logits.iter().map(|z| z / 2.5).collect();
                let mut left = unit();
                let drawn = softmax(&scaled).iter().position(|p| {
                    left -= f64::from(*p);
                    left < 0.0
                });
                (drawn.unwrap_or(3), logits)
            })
            .collect();
        let logits = Logits {
            frames,
            label_of: vec![0, 1, 2, 3],
            labels: 4,
        };
        let found = logits.temperature(4000.0, &Work::new()).unwrap();
        assert!((found - 2.5).abs() < 0.15, "{found}");
        let [before, after] = [1.0, found].map(|t| logits.reliability(t).unwrap());
        assert!(after.nll < before.nll && after.expected_error < 0.3 * before.expected_error);
    }

    /// A few frames that are all right do not justify certainty.
    #[test]
    fn few_frames_that_are_all_right_make_nothing_certain() {
        let of = |sources: f64| {
            let logits = Logits {
                frames: vec![(0, vec![2.0, 0.0]); 12],
                label_of: vec![0, 1],
                labels: 2,
            };
            let temperature = logits.temperature(sources, &Work::new()).unwrap();
            logits.at(&[2.0, 0.0], temperature)[0]
        };
        // The minimum of the sum of both terms, computed independently.
        assert!((of(3.0) - 0.911).abs() < 0.01, "{}", of(3.0));
        assert!(of(3.0) < of(12.0) && of(12.0) < 0.97, "{}", of(12.0));
    }

    /// Merged classes: their probabilities are added after applying the temperature.
    #[test]
    fn merged_classes_are_added_up() {
        let logits = Logits {
            frames: Vec::new(),
            label_of: vec![0, 1, 0],
            labels: 2,
        };
        let found = logits.at(&[1.0, 1.0, 1.0], 3.0);
        assert!((found[0] - 2.0 / 3.0).abs() < 1e-6 && found.len() == 2);
        assert!((logits.likelihood(0, &[1.0, 1.0, 1.0], 3.0) - 2.0 / 3.0).abs() < 1e-9);
    }
}
