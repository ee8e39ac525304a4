//! Precision and recall of each class over the threshold, for the plug-in `pr_curves`.

use prost::Message;

use super::outcome::Tested;
use super::proto::{PrCurveData, SummaryValue};

/// The number of thresholds from 0 to 1, as in TensorBoard's own summaries.
const THRESHOLDS: usize = 201;

/// A curve for each class with images.
pub(super) fn of_classes(tested: &Tested, classes: &[String]) -> Vec<SummaryValue> {
    let all = tested.probabilities(classes.len());
    let mut curves = Vec::with_capacity(classes.len());
    for (class, name) in classes.iter().enumerate() {
        let of_class: Vec<(bool, f32)> = all
            .iter()
            .filter_map(|(y, p)| Some((*y == class, *p.get(class)?)))
            .collect();
        if !of_class.iter().any(|(is, _)| *is) {
            continue;
        }
        let data = PrCurveData {
            version: 0,
            num_thresholds: THRESHOLDS as u32,
        };
        let description = format!("On the {} images.", tested.images);
        curves.push(SummaryValue::of_plugin(
            "pr_curves",
            data.encode_to_vec(),
            [&format!("precision_recall/{name}"), name, &description],
            (&[6, THRESHOLDS], &curve(&of_class)),
        ));
    }
    curves
}

/// True positives, false positives, true negatives, false negatives, precision, recall at each threshold, one row
/// after the other (`tensorboard/plugins/pr_curve/metadata.py`). An image counts as positive if its probability is at
/// least the threshold.
fn curve(images: &[(bool, f32)]) -> Vec<f32> {
    let mut at_least = [[0_u32; THRESHOLDS]; 2];
    for (is, probability) in images {
        let last = THRESHOLDS - 1;
        let reached = (f64::from(*probability) * last as f64).floor() as usize;
        if let Some(counts) = at_least.get_mut(usize::from(*is)) {
            for count in counts.iter_mut().take(reached.min(last) + 1) {
                *count += 1;
            }
        }
    }
    let [others, class] = at_least.map(|counts| counts.map(|count| count as f32));
    let all_class = images.iter().filter(|(is, _)| *is).count() as f32;
    let all_others = images.len() as f32 - all_class;
    let pairs = || class.iter().zip(&others);
    let share = |part: f32, of: f32| if of > 0.0 { part / of } else { 0.0 };
    let mut rows = Vec::with_capacity(6 * THRESHOLDS);
    rows.extend(class);
    rows.extend(others);
    rows.extend(others.map(|count| all_others - count));
    rows.extend(class.map(|count| all_class - count));
    rows.extend(pairs().map(|(tp, fp)| share(*tp, tp + fp)));
    rows.extend(class.map(|count| share(count, all_class)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_counts_who_is_at_least_as_probable() {
        let rows = curve(&[(true, 0.9), (true, 0.5), (false, 0.6), (false, 0.0)]);
        let at = |threshold: usize| -> Vec<f32> {
            (0..6)
                .map(|row| rows[row * THRESHOLDS + threshold])
                .collect()
        };
        assert_eq!(at(0), [2.0, 2.0, 0.0, 0.0, 0.5, 1.0]);
        assert_eq!(at(100), [2.0, 1.0, 1.0, 0.0, 2.0 / 3.0, 1.0]);
        assert_eq!(at(110), [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]);
        assert_eq!(at(130), [1.0, 0.0, 2.0, 1.0, 1.0, 0.5]);
        assert_eq!(at(200), [0.0, 0.0, 2.0, 2.0, 0.0, 0.0]);
    }
}
