//! How long the trainings of a sweep will take, before the first.

use std::collections::{HashMap, HashSet};

use crate::backbone::{Architecture, Depth};
use crate::jobs::{Cancelled, Work};
use crate::project::Project;
use crate::train::{Pace, TrainSettings};

use super::{SweepError, Trainings};

/// What was measured of this machine, by architecture, to be asked again.
#[derive(Debug, Default)]
pub struct Paces(HashMap<Architecture, Measured>);

#[derive(Debug)]
struct Measured {
    depths: Vec<Depth>,
    /// `None` of a network that cannot be measured.
    pace: Option<Pace>,
}

impl Paces {
    fn measure(
        &mut self,
        project: &Project,
        settings: &TrainSettings,
        depths: &[Depth],
        work: &Work,
    ) -> Result<(), SweepError> {
        let architecture = &settings.architecture;
        let known = self.0.get(architecture);
        if known.is_some_and(|known| depths.iter().all(|depth| known.depths.contains(depth))) {
            return Ok(());
        }
        work.check()?;
        let pace = match Pace::measure(project, settings, depths, work) {
            Ok(pace) => Some(pace),
            Err(_) if work.is_cancelled() => return Err(Cancelled.into()),
            Err(error) => {
                work.warn(format!(
                    "How long {architecture} takes could not be measured: {error}"
                ));
                None
            }
        };
        let depths = depths.to_vec();
        self.0
            .insert(architecture.clone(), Measured { depths, pace });
        Ok(())
    }
}

/// Measures this machine with each architecture of the trainings, as far as `paces` does not know it, and writes down what each
/// training is expected to take, as if nothing were cached yet; the bottlenecks that several share count once. Returns the sum.
/// A training of a network that cannot be measured stays without.
///
/// # Errors
/// Cancelled, once `work` is.
pub fn foresee(
    project: &Project,
    trainings: &mut Trainings,
    paces: &mut Paces,
    work: &Work,
) -> Result<Option<f64>, SweepError> {
    let mut depths: HashMap<Architecture, Vec<Depth>> = HashMap::new();
    for training in &trainings.list {
        let settings = &training.settings;
        let of = depths.entry(settings.architecture.clone()).or_default();
        if !of.contains(&settings.fine_tune.depth) {
            of.push(settings.fine_tune.depth);
        }
    }
    let mut passed = HashSet::new();
    let mut sum = Some(0.0);
    for training in &mut trainings.list {
        let settings = &training.settings;
        let architecture = &settings.architecture;
        let wanted = depths.get(architecture).map_or(&[][..], Vec::as_slice);
        paces.measure(project, settings, wanted, work)?;
        let pace = paces.0.get(architecture);
        let pace = pace.and_then(|measured| measured.pace.as_ref());
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
