//! Temperature scaling of a run: its logits are divided by a temperature, so that about 80 % of the images with a
//! probability of 80 % are classified correctly. It is stored in a separate file, so that files of the training never
//! change.

use serde::{Deserialize, Serialize};

use super::files;
use super::{Head, Run, TrainError};

/// The name of the file.
pub(super) const FILE: &str = "calibration.json";

/// The calibration of a run's probabilities (C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The divisor of logits, over 0; 1 if that is best.
    pub temperature: f64,
    /// The number of validation frames that it was fitted on.
    pub frames: u64,
    /// The number of sources of these frames.
    pub sources: u64,
    /// Mean negative log-likelihood of these frames' classes, without and with calibration, nats.
    pub nll: [f64; 2],
    /// Their expected calibration error, without and with calibration, 0..=1.
    pub expected_error: [f64; 2],
    /// The threshold for unknown images, 0..=1; `None` if none was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<UnknownThreshold>,
    /// A key of the weights that it was fitted for, which change when the run is extended.
    pub weights: String,
}

/// The threshold for unknown images: those whose highest probability is below it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UnknownThreshold {
    /// The probability, 0..=1.
    pub threshold: f64,
    /// The fraction of images of known classes that are rejected as unknown, 0..=1.
    pub false_reject: f64,
    /// The fraction of images of held-out classes (one at a time) that are not rejected as unknown, 0..=1.
    pub false_accept: f64,
}

impl Calibration {
    /// Why these numbers cannot be a calibration, as a part of a sentence; `None` if they can.
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
    /// The run's calibration; `None` if there is none for the current weights.
    ///
    /// # Errors
    /// The file cannot be read, or contains no valid temperature.
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

    /// The threshold for unknown images, if one was chosen.
    ///
    /// # Errors
    /// As for [`Run::calibration`].
    pub fn unknown_below(&self) -> Result<Option<f32>, TrainError> {
        let unknown = self.calibration()?.and_then(|found| found.unknown);
        Ok(unknown.map(|unknown| unknown.threshold as f32))
    }

    /// Stores a calibration of the current weights.
    ///
    /// # Errors
    /// [`TrainError::File`] if the file cannot be written.
    pub fn set_calibration(&self, calibration: &Calibration) -> Result<(), TrainError> {
        let calibration = Calibration {
            weights: self.weights_now()?,
            ..calibration.clone()
        };
        files::write_json(&self.dir.join(FILE), &calibration)
    }

    /// A key that is unique for the run's current weights.
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

    /// The kept head including its calibration: weights and biases of the last layer are divided by the temperature,
    /// so that any computation with them, in any format, gives calibrated probabilities. The ranking of the classes is
    /// that of [`Run::head`], except for rounding in the last bit, because all logits are divided by the same number.
    ///
    /// # Errors
    /// As for [`Run::head`] and [`Run::calibration`].
    pub fn calibrated_head(&self) -> Result<Head, TrainError> {
        let mut head = self.head()?;
        if let Some(calibration) = self.calibration()? {
            head.divide(calibration.temperature);
        }
        Ok(head)
    }
}
