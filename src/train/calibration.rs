//! Temperature scaling of a run: its logits are divided by one number, so that of the images with a probability of 80 %
//! about 80 % are right. It is kept in a file of its own, so that no file of the training is changed afterwards.

use serde::{Deserialize, Serialize};

use super::files;
use super::{Head, Run, TrainError};

/// The file's name.
pub(super) const FILE: &str = "calibration.json";

/// How a run's probabilities were calibrated (C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What logits are divided by, over 0; 1 where that was best.
    pub temperature: f64,
    /// Validation frames that it was fitted on.
    pub frames: u64,
    /// Sources that these come from.
    pub sources: u64,
    /// Mean negative log-likelihood of these frames' classes without and with it, nats.
    pub nll: [f64; 2],
    /// Their expected calibration error without and with it, 0..=1.
    pub expected_error: [f64; 2],
    /// The highest probability below which an image counts as unknown, 0..=1; `None` where none was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<UnknownThreshold>,
    /// Key of the weights that it was fitted for: those of a run that is trained further differ.
    pub weights: String,
}

/// The highest probability below which an image is of none of the classes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UnknownThreshold {
    /// The probability, 0..=1.
    pub threshold: f64,
    /// Part of images of the classes that are called unknown, 0..=1.
    pub false_reject: f64,
    /// Part of images of classes that were held out, one at a time, that are not called unknown, 0..=1.
    pub false_accept: f64,
}

impl Calibration {
    /// Why these numbers cannot be a calibration, as part of a sentence; `None` when they can.
    fn fault(&self) -> Option<&'static str> {
        let is_part = |value: &f64| (0.0..=1.0).contains(value);
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Some("its temperature is not over 0");
        }
        let unknown = self
            .unknown
            .map(|of| [of.threshold, of.false_reject, of.false_accept]);
        let mut parts = self.expected_error.iter().chain(unknown.iter().flatten());
        if !(parts.all(is_part) && self.nll.iter().all(|nll| nll.is_finite())) {
            return Some("a figure in it is out of range");
        }
        None
    }
}

impl Run {
    /// Its calibration; `None` where it has none, or one of other weights.
    ///
    /// # Errors
    /// For files that cannot be read, and a file that holds no sensible temperature.
    pub fn calibration(&self) -> Result<Option<Calibration>, TrainError> {
        let path = self.dir.join(FILE);
        if !crate::files::exists(&path) {
            return Ok(None);
        }
        let found: Calibration = files::read_json(&path)?;
        if let Some(fault) = found.fault() {
            return Err(files::damaged(&path)(fault));
        }
        Ok((found.weights == self.weights_now()?).then_some(found))
    }

    /// The highest probability below which an image is of none of its classes, where somebody chose one.
    ///
    /// # Errors
    /// As [`Run::calibration`].
    pub fn unknown_below(&self) -> Result<Option<f32>, TrainError> {
        let unknown = self.calibration()?.and_then(|found| found.unknown);
        Ok(unknown.map(|unknown| unknown.threshold as f32))
    }

    /// Keeps a calibration of the present weights.
    ///
    /// # Errors
    /// [`TrainError::File`] when the file cannot be written.
    pub fn set_calibration(&self, calibration: &Calibration) -> Result<(), TrainError> {
        let calibration = Calibration {
            weights: self.weights_now()?,
            ..calibration.clone()
        };
        files::write_json(&self.dir.join(FILE), &calibration)
    }

    /// A key of its weights, which differs from that of all others.
    fn weights_now(&self) -> Result<String, TrainError> {
        let head = self.head()?;
        let mut hasher = blake3::Hasher::new();
        for values in head.values() {
            hasher.update(bytemuck::cast_slice(values));
        }
        hasher.update(
            self.fine_tuned_hash
                .as_deref()
                .unwrap_or_default()
                .as_bytes(),
        );
        Ok(hasher.finalize().to_hex().chars().take(32).collect())
    }

    /// The kept head with its calibration in it: weights and biases of the last layer divided by the temperature, so that whoever computes
    /// with them, in whatever format, gets calibrated probabilities. The order of the probabilities is that of
    /// [`Run::head`], but for rounding in the last bit: all logits are divided by the same number.
    ///
    /// # Errors
    /// As [`Run::head`] and [`Run::calibration`].
    pub fn calibrated_head(&self) -> Result<Head, TrainError> {
        let mut head = self.head()?;
        if let Some(calibration) = self.calibration()? {
            head.divide(calibration.temperature);
        }
        Ok(head)
    }
}
