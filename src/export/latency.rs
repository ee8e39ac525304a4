//! Measures how long a model takes for one image on this computer, relative to the fp32 model.
//!
//! Both models run alternately on one thread, so that other load affects both alike: only their ratio is measured.
//! Milliseconds are that ratio times the duration of the fp32 model when it was first measured, so that models timed
//! under different load can be compared. Results are kept in the project's cache for each model and computer, so that
//! exporting again gives the same bytes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::evaluate::Runner;
use crate::files;
use crate::jobs::Work;
use crate::onnx::{Tensor, runtime_info};
use crate::project::Project;

use super::ExportError;

/// The file of results in the project's cache.
const CACHE: &str = "export-latency.json";

/// Rounds before the measurement.
const WARM_UP: usize = 3;
/// The smallest and largest number of rounds; in between it ends after a given time.
const ROUNDS: [usize; 2] = [15, 200];
pub(super) const ENOUGH: Duration = Duration::from_secs(2);
/// Time for a rough measurement.
pub(super) const ROUGHLY: Duration = Duration::from_millis(300);

/// The latency for one image, on one thread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Milliseconds: the ratio, times the median of the fp32 model when it was first measured.
    pub median_ms: f64,
    /// The median of the ratios to the fp32 model, which ran alternately.
    pub ratio_to_fp32: f64,
}

/// A model to be measured.
pub(super) struct Measured {
    /// The hash of its files.
    pub hash: String,
    /// The model, opened to run on one thread.
    pub runner: Box<dyn Runner>,
    /// An example input.
    pub input: Tensor,
}

/// The latencies known for this computer.
pub(super) struct Latencies<'a> {
    project: &'a Project,
    computer: String,
    known: BTreeMap<String, Latency>,
}

impl<'a> Latencies<'a> {
    /// Reads the latencies in the project's cache.
    pub fn of(project: &'a Project) -> Result<Self, ExportError> {
        let bytes = project.kept_in_cache(CACHE).unwrap_or_default();
        Ok(Self {
            project,
            computer: computer()?,
            known: serde_json::from_slice(&bytes).unwrap_or_default(),
        })
    }

    /// A description of the computer and its runtime.
    pub fn computer(&self) -> &str {
        &self.computer
    }

    fn key(&self, model: &str, reference: &str) -> String {
        // Keys of earlier versions lack the suffix: their milliseconds depended on the load.
        let text = format!("{model}\n{reference}\n{}\nby ratio", self.computer);
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }

    /// The known latency of a model relative to the reference, by their hashes.
    pub fn known(&self, model: &str, reference: &str) -> Option<Latency> {
        self.known.get(&self.key(model, reference)).copied()
    }

    /// Measures a model relative to the reference for about the time `enough`, and stores the result.
    pub fn measure(
        &mut self,
        model: &mut Measured,
        reference: &mut Measured,
        enough: Duration,
        work: &Work,
    ) -> Result<Latency, ExportError> {
        let [least, most] = ROUNDS;
        let mut of_reference = Vec::with_capacity(most);
        let mut ratios = Vec::with_capacity(most);
        let begun = Instant::now();
        for round in 0..WARM_UP + most {
            work.check()?;
            if ratios.len() >= least && begun.elapsed() > enough {
                break;
            }
            let mut took = [0.0_f64; 2];
            // The order alternates.
            let turns = if round % 2 == 0 { [0, 1] } else { [1, 0] };
            for turn in turns {
                let measured = if turn == 0 {
                    &mut *model
                } else {
                    &mut *reference
                };
                let start = Instant::now();
                measured.runner.run(&measured.input)?;
                if let Some(place) = took.get_mut(turn) {
                    *place = start.elapsed().as_secs_f64() * 1e3;
                }
            }
            if round >= WARM_UP {
                let [of_model, of_fp32] = took;
                of_reference.push(of_fp32);
                ratios.push(of_model / of_fp32.max(f64::MIN_POSITIVE));
            }
        }
        let [ratio, reference_ms] = [&mut ratios, &mut of_reference].map(|all| median(all));
        let latency = self.remember(&model.hash, &reference.hash, ratio, reference_ms);
        self.keep();
        Ok(latency)
    }

    /// Stores a ratio, and the duration of the reference if it is not known yet.
    fn remember(&mut self, model: &str, reference: &str, ratio: f64, reference_ms: f64) -> Latency {
        let fp32 = Latency {
            median_ms: rounded(reference_ms),
            ratio_to_fp32: 1.0,
        };
        let key = self.key(reference, reference);
        let fp32 = *self.known.entry(key).or_insert(fp32);
        if model == reference {
            return fp32;
        }
        let latency = Latency {
            median_ms: rounded(ratio * fp32.median_ms),
            ratio_to_fp32: rounded(ratio),
        };
        self.known.insert(self.key(model, reference), latency);
        latency
    }

    /// Writes the known latencies to the cache.
    fn keep(&self) {
        if let Ok(text) = serde_json::to_vec(&self.known) {
            self.project.keep_in_cache(&[(CACHE, &text)]);
        }
    }
}

/// Rounded to three decimals, the precision of the measurement.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// A description of this computer, of everything that affects latency.
///
/// # Errors
/// [`ExportError::Onnx`] if ONNX Runtime cannot be loaded.
pub fn computer() -> Result<String, ExportError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processor = files::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
    let processor = processor.or_else(|| std::env::var("PROCESSOR_IDENTIFIER").ok());
    Ok(format!(
        "ONNX Runtime {}, one thread, {} {}, {cores} cores{}",
        runtime_info()?.version,
        std::env::consts::OS,
        std::env::consts::ARCH,
        processor
            .map(|name| format!(", {name}"))
            .unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(&mut [5.0, 1.0, 3.0]) - 3.0).abs() < 1e-12);
        assert!(median(&mut []).abs() < 1e-12);
    }

    /// Two models, one of them timed under twice the load.
    #[test]
    fn milliseconds_are_those_of_one_reference() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(&dir.path().join("p"), "p").unwrap();
        let mut latencies = Latencies::of(&project).unwrap();
        let ms = |latency: Latency| (latency.median_ms, latency.ratio_to_fp32);
        let small = latencies.remember("small", "fp32", 0.5, 10.0);
        assert_eq!(ms(small), (5.0, 0.5));
        let same = latencies.remember("same", "fp32", 1.1, 20.0);
        assert_eq!(ms(same), (11.0, 1.1));
        let fp32 = latencies.remember("fp32", "fp32", 1.02, 30.0);
        assert_eq!(ms(fp32), (10.0, 1.0));
        assert_eq!(latencies.known("fp32", "fp32"), Some(fp32));
    }
}
