//! The log of measurements in a training: `metrics.jsonl` in the run's folder, one step a line.
//!
//! The columns of a line also apply to the lines after it:
//! `{"columns":[{"tag":"learning_rate","side":"run"}],"step":10,"secs":0.5,"values":[0.01]}`.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::{TrainError, files};
use super::{Histogram, Measured, Series};

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    columns: Option<Vec<Series>>,
    step: u32,
    secs: f64,
    /// `null` for a missing value, or one that JSON cannot represent.
    values: Vec<Option<f32>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    histograms: Vec<(Series, Histogram)>,
}

/// The lines for these measurements, which can be inserted anywhere in a file.
pub(in crate::train) fn to_lines(
    path: &Path,
    measured: &[Arc<Measured>],
) -> Result<Vec<u8>, TrainError> {
    let mut columns: Option<&Arc<[Series]>> = None;
    let mut lines = Vec::with_capacity(measured.len());
    for measured in measured {
        let named = columns.is_some_and(|known| Arc::ptr_eq(known, &measured.columns));
        columns = Some(&measured.columns);
        let mut values: Vec<_> = measured.values.iter().map(|value| Some(*value)).collect();
        for value in &mut values {
            *value = value.filter(|value| value.is_finite());
        }
        while values.last() == Some(&None) {
            values.pop();
        }
        lines.push(Line {
            columns: (!named).then(|| measured.columns.to_vec()),
            step: measured.step,
            secs: measured.secs,
            values,
            histograms: measured.histograms.clone(),
        });
    }
    files::to_lines(path, &lines)
}

/// The measurements in a text, up to the first invalid line.
pub(in crate::train) fn read(text: &[u8]) -> Vec<Arc<Measured>> {
    let lines: Vec<Line> = files::whole_lines(text);
    let mut columns: Arc<[Series]> = Arc::new([]);
    let of_line = |line: Line| {
        if let Some(named) = line.columns
            && *columns != *named
        {
            columns = named.into();
        }
        let values = line.values.into_iter();
        Arc::new(Measured {
            step: line.step,
            secs: line.secs,
            columns: Arc::clone(&columns),
            values: values.map(|value| value.unwrap_or(f32::NAN)).collect(),
            histograms: line.histograms,
        })
    };
    lines.into_iter().map(of_line).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

    use super::super::{MetricSide, Metrics};
    use super::*;

    #[test]
    fn what_was_measured_is_read_again() {
        let path = Path::new("metrics.jsonl");
        let columns = |tags: &[&str]| -> Arc<[Series]> {
            let series = tags.iter().map(|tag| Series::new(*tag, MetricSide::Run));
            series.collect()
        };
        let (two, three) = (columns(&["a", "b"]), columns(&["a", "b", "c"]));
        let measured = |step, columns: &Arc<[Series]>, values: &[f32]| {
            Arc::new(Measured {
                step,
                secs: 0.5,
                columns: Arc::clone(columns),
                values: values.to_vec(),
                histograms: match step {
                    2 => vec![(
                        Series::new("weights/w", MetricSide::Run),
                        Histogram::of(&[1.0, 2.0]).unwrap(),
                    )],
                    _ => Vec::new(),
                },
            })
        };
        let batches = [
            vec![
                measured(1, &two, &[1.0, f32::INFINITY]),
                measured(2, &two, &[f32::NAN, 2.5]),
            ],
            vec![measured(3, &two, &[0.1])],
            vec![measured(4, &three, &[1.0, 2.0, 3.0])],
        ];
        let mut text = Vec::new();
        for batch in &batches {
            text.extend(to_lines(path, batch).unwrap());
        }
        // Killed while writing a line.
        text.extend(b"{\"step\":5,\"se");
        let all = |measured: &[Arc<Measured>]| -> Vec<(u32, String, f32)> {
            let each = measured.iter().flat_map(|measured| {
                let scalars = measured.scalars();
                scalars.map(|(series, value)| (measured.step, series.tag.clone(), value))
            });
            each.collect()
        };
        let expected = [
            (1, "a", 1.0),
            (2, "b", 2.5),
            (3, "a", 0.1),
            (4, "a", 1.0),
            (4, "b", 2.0),
            (4, "c", 3.0),
        ];
        let expected = expected.map(|(step, tag, value)| (step, tag.to_owned(), value));
        let found = read(&text);
        assert_eq!(all(&found), expected);
        let series = Series::new("weights/w", MetricSide::Run);
        let metrics = Metrics::of(&[], found.iter().map(AsRef::as_ref));
        assert_eq!(metrics.histograms(&series)[0].value.counts.len(), 30);
        assert!(read(b"").is_empty());
    }
}
