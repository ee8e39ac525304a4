//! Estimates how long the trainings of a sweep take, before the first.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use crate::backbone::{Architecture, Depth, cached_bottlenecks};
use crate::jobs::{Cancelled, Work};
use crate::project::Project;
use crate::train::{Pace, TrainError, TrainSettings};

use super::{SweepError, Trainings};

/// Measurements of this machine by architecture, kept for later estimates.
#[derive(Debug, Default)]
pub struct Paces(HashMap<Architecture, Measured>);

#[derive(Debug)]
struct Measured {
    depths: Vec<Depth>,
    /// `None` for a network that cannot be measured.
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
                    "The duration of {architecture} could not be estimated: {error}"
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

/// Measures this machine with each architecture of the trainings that `paces` does not have, and records the estimated
/// duration of each training. Bottlenecks that are shared by several trainings count once, unless they are cached;
/// activations count as if none were cached. Returns the sum. A training whose network cannot be measured gets no
/// estimate.
///
/// # Errors
/// [`SweepError::Cancelled`] if `work` is cancelled.
pub fn estimate(
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
    let frames = project
        .scan(work)
        .map_err(TrainError::from)?
        .list
        .into_iter();
    let labelled = frames.filter(|frame| frame.label.class().is_some());
    let frames: Vec<PathBuf> = labelled.map(|frame| project.abs(&frame.path)).collect();
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
        let first = passed.insert((architecture.clone(), settings.fit));
        let cached = if first {
            cached_part(project, settings, &frames, work)?
        } else {
            1.0
        };
        training.expected_secs = pace.and_then(|pace| {
            let whole = pace.of(settings)?.secs;
            Some(whole + cached * (pace.front_secs(depth)? - pace.first_pass_secs()))
        });
        sum = sum
            .zip(training.expected_secs)
            .map(|(sum, secs)| sum + secs);
    }
    Ok(sum)
}

/// The fraction of the frames whose bottlenecks are cached, 0..=1; 0 for a missing network.
fn cached_part(
    project: &Project,
    settings: &TrainSettings,
    frames: &[PathBuf],
    work: &Work,
) -> Result<f64, SweepError> {
    let architecture = &settings.architecture;
    let cached = architecture.preprocessing(settings.fit).and_then(|of| {
        let cache = project.cache_dir();
        cached_bottlenecks(frames, architecture, &of, &cache, work)
    });
    match cached {
        Ok(cached) => Ok(cached as f64 / frames.len().max(1) as f64),
        Err(_) if work.is_cancelled() => Err(Cancelled.into()),
        Err(error) => {
            log::warn!("the cache of {architecture} is assumed to be empty: {error}");
            Ok(0.0)
        }
    }
}
