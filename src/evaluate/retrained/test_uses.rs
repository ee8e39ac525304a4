//! How often the test frames were evaluated: choosing the best of many runs by their test accuracy is a selection on
//! the test frames, whose figures are then no longer those of unseen frames.

use std::collections::HashSet;

use serde::Serialize;

use crate::evaluate::{EvaluateError, Measure};
use crate::jobs::Work;
use crate::project::{Project, Split};
use crate::train::{Run, RunState, find_runs};

/// The number of runs from which there is a remark.
const MANY: u64 = 10;

/// How many runs were tested on the same frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TestUses {
    /// Finished runs, including this one, most of whose test frames are those of this run.
    pub runs: u64,
}

impl TestUses {
    /// A remark with an estimate of how much the best of them is overestimated: of k runs whose figures vary by chance
    /// with the standard error `se`, the best is too high by at most √(2 ln k)·se on average. The standard error is
    /// about a quarter of the interval of this run's accuracy. `None` for fewer than [10](MANY) runs.
    #[must_use]
    pub fn sentence(self, accuracy: &Measure) -> Option<String> {
        let standard_error = accuracy.interval_95.map(|[low, high]| (high - low) / 4.0);
        if self.runs < MANY {
            return None;
        }
        let most = standard_error.map_or_else(String::new, |error| {
            let points = 100.0 * error * (2.0 * (self.runs as f64).ln()).sqrt();
            format!(", by up to {points:.0} points")
        });
        Some(format!(
            "{} runs were tested on these images. The best of them looks better than it is{most}: before you rely on its figure, test it on new sources.",
            self.runs
        ))
    }
}

/// Counts the runs that were tested on the same frames. Warns of unreadable runs, which may have been tested, too.
///
/// # Errors
/// The runs cannot be listed.
pub fn test_uses(project: &Project, run: &Run, work: &Work) -> Result<TestUses, EvaluateError> {
    let test_frames = |run: &Run| -> Result<HashSet<String>, EvaluateError> {
        let frames = run.frames()?.into_iter();
        let of_test = frames.filter(|frame| frame.split == Split::Test);
        // By name, because a frame's folder changes with its label.
        let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        Ok(of_test.map(|frame| name(&frame.path)).collect())
    };
    let own = test_frames(run)?;
    let mut count = 0;
    for other in find_runs(project)?.or_warn(work) {
        let tested = other.result().and_then(|result| result.test_accuracy);
        if other.state != RunState::Finished || tested.is_none() {
            continue;
        }
        let frames = match test_frames(&other) {
            Ok(frames) => frames,
            Err(error) => {
                work.warn(format!("A run was left out: {error}"));
                continue;
            }
        };
        count += u64::from(2 * frames.intersection(&own).count() > own.len());
    }
    Ok(TestUses { runs: count })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn many_looks_are_said() {
        let accuracy = Measure {
            value: Some(0.9),
            interval_95: Some([0.86, 0.94]),
        };
        assert_eq!(TestUses { runs: 9 }.sentence(&accuracy), None);
        let message = TestUses { runs: 20 }.sentence(&accuracy).unwrap();
        // 0.02 · √(2 ln 20) = 0.049.
        assert!(
            message.contains("20 runs") && message.contains("up to 5 points"),
            "{message}"
        );
    }
}
