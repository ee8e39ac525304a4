//! How long the trainings of a sweep will take, before the first.

use std::collections::{HashMap, HashSet};

use crate::backbone::{Architecture, Depth};
use crate::jobs::Work;
use crate::project::Project;
use crate::train::Pace;

use super::{SweepError, Trainings};

/// Measures this machine with each architecture of the trainings and writes down what each training is expected to take, as if nothing
/// were cached yet; the bottlenecks that several share count once. Returns the sum. A training of a network that cannot be measured
/// stays without.
///
/// # Errors
/// Cancelled, once `work` is.
pub fn foresee(
    project: &Project,
    trainings: &mut Trainings,
    work: &Work,
) -> Result<Option<f64>, SweepError> {
    let mut depths: HashMap<Architecture, Vec<Depth>> = HashMap::new();
    for training in &trainings.list {
        let settings = &training.settings;
        let of = depths.entry(settings.architecture.clone()).or_default();
        of.push(settings.fine_tune.depth);
    }
    let mut paces: HashMap<Architecture, Option<Pace>> = HashMap::new();
    let mut passed = HashSet::new();
    let mut sum = Some(0.0);
    for training in &mut trainings.list {
        let settings = &training.settings;
        let architecture = &settings.architecture;
        if !paces.contains_key(architecture) {
            work.check()?;
            let wanted = depths.get(architecture).map_or(&[][..], Vec::as_slice);
            let pace = match Pace::measure(project, settings, wanted, work) {
                Ok(pace) => Some(pace),
                Err(_) if work.is_cancelled() => return Err(crate::jobs::Cancelled.into()),
                Err(error) => {
                    work.warn(format!(
                        "How long {architecture} takes could not be measured: {error}"
                    ));
                    None
                }
            };
            paces.insert(architecture.clone(), pace);
        }
        let pace = paces.get(architecture).and_then(Option::as_ref);
        let depth = settings.fine_tune.depth;
        training.expected_secs = pace.and_then(|pace| {
            let whole = pace.of(settings)?.secs;
            let first = passed.insert((architecture.clone(), settings.fit));
            Some(if first {
                whole
            } else {
                whole - pace.first_pass_secs() + pace.front_secs(depth)?
            })
        });
        sum = sum
            .zip(training.expected_secs)
            .map(|(sum, secs)| sum + secs);
    }
    Ok(sum)
}
