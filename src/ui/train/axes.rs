//! Marks and numbers on the axes of the plots.

use egui_plot::{GridInput, GridMark};

use crate::app::{LOG_FLOOR, words};

/// Marks at round numbers, about `count` of them.
pub(super) fn marks(input: &GridInput, count: f64) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    let rough = ((high - low) / count).max(1e-12);
    let magnitude = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * magnitude)
        .find(|step| *step >= rough * 0.75)
        .unwrap_or(magnitude * 10.0);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last)
        .take(100)
        .map(|index| GridMark {
            value: index as f64 * step,
            step_size: step,
        })
        .collect()
}

/// A mark at every power of ten.
pub(super) fn decades(input: &GridInput) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    let lowest = LOG_FLOOR.log10();
    (low.max(lowest).ceil() as i64..=high.floor() as i64)
        .map(|decade| GridMark {
            value: decade as f64,
            step_size: 1.0,
        })
        .collect()
}

/// A number with as many decimals as the distance between marks needs.
pub(super) fn plain(value: f64, step: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    format!("{value:.decimals$}")
}

pub(super) fn seconds(mark: GridMark) -> String {
    if mark.step_size >= 60.0 {
        words::clock(mark.value)
    } else {
        format!("{} s", plain(mark.value, mark.step_size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_at_round_numbers() {
        let values = |low, high, count| -> Vec<f64> {
            marks(
                &GridInput {
                    bounds: (low, high),
                    base_step_size: 1.0,
                },
                count,
            )
            .iter()
            .map(|mark| mark.value)
            .collect()
        };
        assert_eq!(values(-1.0, 103.0, 5.0).len(), 6);
        assert_eq!(
            values(0.0, 100.0, 5.0),
            [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
        );
        assert_eq!(values(0.0, 4000.0, 8.0).len(), 9);
    }

    #[test]
    fn numbers_have_the_decimals_they_need() {
        assert_eq!(plain(0.1 + 0.2, 0.1), "0.3");
        assert_eq!(plain(20.0, 20.0), "20");
        assert_eq!(plain(0.25, 0.05), "0.25");
    }
}
