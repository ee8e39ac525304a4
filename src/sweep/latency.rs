//! Measures the latency of the networks of a sweep for one image, on one thread of this computer.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::backbone::{Architecture, BackboneError, Extractor, Fit};
use crate::jobs::{Cancelled, Work};

/// Rounds before the measurement.
const WARM_UP: usize = 2;
/// Rounds of the measurement.
const ROUNDS: usize = 15;

/// Milliseconds for one image, by architecture. All networks run alternately, round after round, so that other load
/// affects all alike. Within each round, times are compared with the first network; a network's latency is the median
/// of its ratios times the median time of the first. A network that cannot be loaded has none.
pub(super) fn latencies(
    architectures: &[Architecture],
    work: &Work,
) -> Result<BTreeMap<String, f64>, Cancelled> {
    work.stage("Timing the networks", Some((WARM_UP + ROUNDS) as u64));
    let mut opened = Vec::new();
    for architecture in architectures {
        work.check()?;
        match open(architecture) {
            Ok(extractor) => opened.push((architecture.to_string(), extractor)),
            Err(error) => work.warn(format!("{architecture} could not be timed: {error}")),
        }
    }
    let count = opened.len();
    let mut took = vec![vec![0.0_f64; ROUNDS]; count];
    for round in 0..WARM_UP + ROUNDS {
        // The order rotates.
        for turn in 0..count {
            work.check()?;
            let index = (turn + round) % count;
            let Some((name, extractor)) = opened.get_mut(index) else {
                continue;
            };
            let began = Instant::now();
            let ran = extractor.run();
            let millis = began.elapsed().as_secs_f64() * 1e3;
            if let Err(error) = ran {
                work.warn(format!("{name} could not be timed: {error}"));
            }
            let place = round.checked_sub(WARM_UP);
            let place = place.and_then(|round| took.get_mut(index)?.get_mut(round));
            if let Some(place) = place {
                *place = millis;
            }
        }
        work.advance(1);
    }
    let names: Vec<String> = opened.into_iter().map(|(name, _)| name).collect();
    Ok(names.into_iter().zip(by_ratio(&took)).collect())
}

fn open(architecture: &Architecture) -> Result<Extractor, BackboneError> {
    let preprocessing = architecture.preprocessing(Fit::CenterCrop)?;
    Extractor::new(architecture, &preprocessing, None)
}

/// The latency of each network from its times in each round, see [`latencies`].
fn by_ratio(took: &[Vec<f64>]) -> Vec<f64> {
    let Some(reference) = took.first() else {
        return Vec::new();
    };
    let of_reference = median(reference.clone());
    let ratio = |rounds: &Vec<f64>| {
        let pairs = rounds.iter().zip(reference);
        median(
            pairs
                .map(|(one, of)| one / of.max(f64::MIN_POSITIVE))
                .collect(),
        )
    };
    // Rounded to three decimals, the precision of the measurement.
    took.iter()
        .map(|rounds| (ratio(rounds) * of_reference * 1e3).round() / 1e3)
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The computer is three times as slow in most rounds, but within each round the second network takes twice as
    /// long as the first.
    #[test]
    fn what_else_the_computer_does_meets_all_alike() {
        let first = vec![10.0, 30.0, 30.0, 30.0, 10.0];
        let second = vec![20.0, 60.0, 60.0, 60.0, 20.0];
        assert_eq!(by_ratio(&[first, second]), [30.0, 60.0]);
        assert!(by_ratio(&[]).is_empty());
    }
}
