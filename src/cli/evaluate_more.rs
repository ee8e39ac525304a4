//! The measurements of `salamander evaluate` on request: calibration, leak meter, cross-validation, learning curve,
//! held-out classes.

use std::fmt::Write as _;

use serde::Serialize;

use crate::evaluate::{
    CrossValidation, EvaluateError, Evaluation, LeakMeter, LearningCurve, Measure, QualityParts,
    Reliability, TestUses, UnknownCurve, cross_validate, hold_out_classes, leak_meter,
    learning_curve, quality_parts, reliability, test_uses,
};
use crate::jobs::Work;
use crate::project::{Noun, Project, Split};
use crate::text::{count, percent, percent_or_dash, visible};
use crate::train::{Calibration, Run, UnknownThreshold};

/// What is asked for.
#[derive(Debug, Clone, Copy, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option")]
pub struct MoreArgs {
    /// How reliable the probabilities are: expected calibration error without and with the run's temperature, which is
    /// computed if it is missing
    #[arg(long)]
    calibration: bool,
    /// Train a second head on a random split by frames and report how much better it seems
    #[arg(long)]
    leak: bool,
    /// Test each source once with a head that was not trained on it (cross-validation by source)
    #[arg(long)]
    folds: bool,
    /// Train on fractions of the sources and estimate the gain from more of them
    #[arg(long)]
    learning_curve: bool,
    /// Hold out each class in turn to measure how well images of unknown classes are recognised as unknown
    #[arg(long)]
    held_out: bool,
    /// Accuracy by quartile of brightness and of sharpness, and by time of day
    #[arg(long)]
    quality: bool,
    /// All of these
    #[arg(long)]
    everything: bool,
    /// Store with the run the probability below which an image is unknown, chosen so that PERCENT of the images of
    /// known classes are called unknown
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=50))]
    pub unknown_at: Option<u8>,
}

/// The results of the measurements.
#[derive(Serialize)]
pub struct More {
    calibration: Option<Calibration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reliability: Option<[Reliability; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leak: Option<LeakMeter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cross_validation: Option<CrossValidation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    learning_curve: Option<LearningCurve>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<Unknown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<QualityParts>,
    #[serde(rename = "test_looks")]
    test_uses: TestUses,
    #[serde(skip)]
    is_fine_tuned: bool,
    #[serde(skip)]
    accuracy: Measure,
    /// A sentence each.
    findings: Vec<String>,
}

#[derive(Serialize)]
struct Unknown {
    #[serde(flatten)]
    curve: UnknownCurve,
    /// For five per cent of rejects, or the requested percentage.
    chosen: UnknownThreshold,
}

impl MoreArgs {
    /// Runs the measurements; `accuracy` is that of the evaluation.
    pub fn measure(
        self,
        project: &Project,
        run: &Run,
        split: Split,
        (evaluation, accuracy): (&Evaluation, Measure),
        work: &Work,
    ) -> Result<More, EvaluateError> {
        let all = self.everything;
        let noun = evaluation.noun();
        let mut findings = Vec::new();
        let mut missing = |what: &str, why: &str| findings.push(format!("No {what}: {why}."));
        let mut reliable = None;
        if all || self.calibration {
            reliable = reliability(project, run, split, work)?;
        }
        let mut leak = None;
        if all || self.leak {
            leak = leak_meter(project, run, work)?;
            if leak.is_none() {
                missing("leak meter", "there are no test images");
            }
        }
        let mut cross_validation = None;
        if all || self.folds {
            cross_validation = cross_validate(project, run, work)?;
            if cross_validation.is_none() {
                missing("cross-validation", "a class has a single source");
            }
        }
        let mut learning = None;
        if all || self.learning_curve {
            learning = learning_curve(project, run, work)?;
            if learning.is_none() {
                missing(
                    "learning curve",
                    "there are too few sources, or no test images",
                );
            }
        }
        let mut unknown = None;
        if all || self.held_out || self.unknown_at.is_some() {
            unknown = hold_out_classes(project, run, work)?.map(|curve| Unknown {
                chosen: curve.at_reject_rate(f64::from(self.unknown_at.unwrap_or(5)) / 100.0),
                curve,
            });
            if unknown.is_none() {
                missing(
                    "held-out classes",
                    "three classes are needed, and test or validation images",
                );
            }
        }
        let mut quality = None;
        if all || self.quality {
            quality = Some(quality_parts(project, evaluation, work)?);
        }
        let mut calibration = run.calibration()?;
        if let (Some(_), Some(unknown)) = (self.unknown_at, &unknown) {
            project.check_writable()?;
            if let Some(calibration) = &mut calibration {
                calibration.unknown = Some(unknown.chosen);
                run.set_calibration(calibration)?;
            } else {
                findings.push(
                    "The threshold was not stored: the run is not calibrated, because it has too few validation images.".to_owned(),
                );
            }
        }
        let test_uses = test_uses(project, run, work)?;
        let mut more = More {
            calibration,
            reliability: reliable,
            leak,
            cross_validation,
            learning_curve: learning,
            unknown,
            quality,
            test_uses,
            accuracy,
            is_fine_tuned: run.settings.fine_tune.is_on(),
            findings,
        };
        let sentences = more.sentences(noun);
        more.findings.splice(0..0, sentences);
        Ok(more)
    }

    /// Whether a run of an earlier version may be calibrated.
    pub fn calibrates(self) -> bool {
        self.calibration || self.everything
    }

    /// Whether the project is changed.
    pub fn writes(self) -> bool {
        self.unknown_at.is_some()
    }
}

impl More {
    /// The results, a sentence each.
    fn sentences(&self, noun: Noun) -> Vec<String> {
        let mut sentences = Vec::new();
        if let Some([before, after]) = &self.reliability {
            let temperature = self.calibration.as_ref().map_or(1.0, |of| of.temperature);
            sentences.push(format!(
                "Calibration error {} ({} with bins of equal size); without the temperature of {temperature:.2} it is {} ({}).",
                percent(after.expected_error),
                percent(after.adaptive_error),
                percent(before.expected_error),
                percent(before.adaptive_error),
            ));
        }
        if let Some(leak) = &self.leak {
            sentences.push(leak.sentence(noun));
        }
        if let Some(found) = &self.cross_validation {
            let interval = found.accuracy.interval_95.map_or_else(String::new, |of| {
                let [low, high] = of.map(|edge| 100.0 * edge);
                format!(" ({:.0} to {:.0})", low.floor(), high.ceil())
            });
            sentences.push(format!(
                "Cross-validation by source: {}{interval} of {} from {} in {} folds, head alone.",
                percent_or_dash(found.accuracy.value),
                noun.count(found.frames as usize),
                count(found.sources, "source"),
                found.folds.len()
            ));
        }
        if let Some(curve) = &self.learning_curve {
            sentences.push(curve.sentence(noun));
        }
        if self.unknown.is_some() && self.is_fine_tuned {
            sentences.push("The backbone of this run was fine-tuned on the held-out classes too: images of something truly new may be taken for a class more often than this figure says.".to_owned());
        }
        if let Some(unknown) = &self.unknown {
            let UnknownThreshold {
                threshold,
                false_reject,
                false_accept,
            } = unknown.chosen;
            sentences.push(format!(
                "Unknown below a probability of {threshold:.3}: {} of {} of known classes are rejected, and {} of those of unknown classes are accepted.",
                percent(false_reject),
                noun.many(),
                percent(false_accept),
            ));
        }
        sentences.extend(self.test_uses.sentence(&self.accuracy));
        sentences
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some([before, after]) = &self.reliability {
            text += "\nreliability (probability: accuracy, with the temperature)\n";
            for bin in &after.bins {
                _ = writeln!(
                    text,
                    "  {:>3.0} to {:>3.0} %  {:>6.1} %  {}",
                    100.0 * bin.range[0],
                    100.0 * bin.range[1],
                    100.0 * bin.accuracy,
                    count(bin.frames, "frame")
                );
            }
            _ = writeln!(
                text,
                "  negative log-likelihood {:.3}, without the temperature {:.3}",
                after.nll, before.nll
            );
        }
        if let Some(curve) = &self.learning_curve {
            text += "\nlearning curve (sources per class: test accuracy)\n";
            for point in &curve.points {
                _ = writeln!(
                    text,
                    "  {:>6.1}  {:>6.1} %",
                    point.sources_per_class,
                    100.0 * point.accuracy()
                );
            }
        }
        if let Some(found) = &self.quality {
            for (what, parts, unit) in [
                ("brightness, percent", &found.brightness, 100.0),
                ("sharpness", &found.sharpness, 1.0),
            ] {
                _ = writeln!(text, "\naccuracy by quartile of {what}");
                for part in parts {
                    let [low, high] = part.range.map(|end| end * unit);
                    let right = 100.0 * part.accuracy.value.unwrap_or(0.0);
                    _ = writeln!(text, "  {low:>5.0} to {high:>5.0}  {right:>6.1} %");
                }
            }
            if !found.time_of_day.is_empty() {
                text += "\naccuracy by time of day\n";
            }
            for part in &found.time_of_day {
                let hours = part
                    .hours
                    .map_or_else(String::new, |[from, to]| format!("{from} to {to} h"));
                let right = 100.0 * part.accuracy.value.unwrap_or(0.0);
                let frames = count(part.frames, "frame");
                _ = writeln!(
                    text,
                    "  {:<9}  {hours:>10}  {right:>6.1} %  {frames}",
                    part.part
                );
            }
        }
        if !self.findings.is_empty() {
            text += "\n";
        }
        for finding in &self.findings {
            text += &visible(finding);
            text.push('\n');
        }
        text
    }
}
