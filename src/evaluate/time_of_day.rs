//! Accuracy by the time of day when images were recorded.

use std::collections::HashMap;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::jobs::Work;
use crate::media::photo_time;
use crate::project::{Project, Recorded, SourceKind};

use super::evaluation::source;
use super::quality::figures_of;
use super::{EvaluateError, Evaluation, FramePrediction, Measure};

/// The parts of a day with the hours at which they begin and end.
const DAY: [(&str, [u8; 2]); 4] = [
    ("night", [0, 6]),
    ("morning", [6, 12]),
    ("afternoon", [12, 18]),
    ("evening", [18, 24]),
];

/// Images recorded in one part of the day, and the accuracy on them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimePart {
    /// `night`, `morning`, `afternoon`, `evening` or `unknown`.
    pub part: &'static str,
    /// The first and the last full hour; `None` for images with an unknown time.
    pub hours: Option<[u8; 2]>,
    /// The number of images.
    pub frames: u64,
    /// The accuracy.
    pub accuracy: Measure,
}

/// The accuracy by time of day, without parts of the day that have no images; empty if no image has a time. The time
/// is that in a photo's EXIF data, or the beginning of the film plus the frame's time. If a film states its time in
/// UTC, it is converted to `zone`.
pub(super) fn time_parts(
    project: &Project,
    evaluation: &Evaluation,
    zone: &TimeZone,
    work: &Work,
) -> Result<Vec<TimePart>, EvaluateError> {
    let frames = &evaluation.predictions;
    work.stage("Reading times", Some(frames.len() as u64));
    let films = films(project);
    let mut hours = Vec::with_capacity(frames.len());
    for (at, frame) in frames.iter().enumerate() {
        if at % 256 == 0 {
            work.check()?;
            work.set_done(at as u64);
        }
        let time = match source(&frame.path) {
            Some((id, Some(secs))) => films.get(id).and_then(|began| began.on_clock(secs, zone)),
            _ => photo_time(&project.abs(&frame.path)),
        };
        hours.push(time.map(DateTime::hour));
    }
    by_hours(evaluation, &hours, work)
}

/// When the recording of each film began, as recorded at import.
fn films(project: &Project) -> HashMap<String, Recorded> {
    let sources = project.sources().into_iter();
    let films = sources.filter(|source| source.kind == SourceKind::Video);
    films
        .filter_map(|source| Some((source.id.to_string(), source.recorded?)))
        .collect()
}

/// The parts of the day, from the hour of each frame.
fn by_hours(
    evaluation: &Evaluation,
    hours: &[Option<i8>],
    work: &Work,
) -> Result<Vec<TimePart>, EvaluateError> {
    if hours.iter().all(Option::is_none) {
        return Ok(Vec::new());
    }
    let mut parts = Vec::new();
    let known = DAY.map(|(part, hours)| (part, Some(hours)));
    for (part, wanted) in known.into_iter().chain([("unknown", None)]) {
        let is_in = |hour: Option<i8>| match (wanted, hour) {
            (Some([from, to]), Some(hour)) => (from..to).contains(&hour.unsigned_abs()),
            (None, None) => true,
            _ => false,
        };
        let of_part = evaluation.predictions.iter().zip(hours);
        let of_part: Vec<&FramePrediction> = of_part
            .filter(|(_, hour)| is_in(**hour))
            .map(|(frame, _)| frame)
            .collect();
        if of_part.is_empty() {
            continue;
        }
        let figures = figures_of(evaluation, of_part.into_iter(), work)?;
        parts.push(TimePart {
            part,
            hours: wanted,
            frames: figures.frames,
            accuracy: figures.accuracy,
        });
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

    use super::*;
    use crate::evaluate::Confusion;
    use crate::project::Split;

    #[test]
    fn every_hour_is_in_one_part_and_unknown_times_are_their_own() {
        let predictions = (0..26_usize).map(|at| FramePrediction {
            path: at.to_string(),
            group: at.to_string(),
            truth: 0,
            predicted: usize::from(at < 3),
            probabilities: vec![0.5, 0.5],
        });
        let evaluation = Evaluation {
            classes: vec!["a".into(), "b".into()],
            split: Split::Test,
            predictions: predictions.collect(),
            confusion: Confusion::default(),
            relabelled: 0,
            changed: 0,
            missing: 0,
            notes: Vec::new(),
        };
        let mut hours: Vec<Option<i8>> = (0..24).map(Some).collect();
        hours.extend([None, None]);
        let parts = by_hours(&evaluation, &hours, &Work::new()).unwrap();
        let found: Vec<(&str, u64)> = parts.iter().map(|of| (of.part, of.frames)).collect();
        assert_eq!(
            found,
            [
                ("night", 6),
                ("morning", 6),
                ("afternoon", 6),
                ("evening", 6),
                ("unknown", 2)
            ]
        );
        assert!((parts[0].accuracy.value.unwrap() - 0.5).abs() < 1e-9);
        assert_eq!((parts[1].hours, parts[4].hours), (Some([6, 12]), None));
        let parts = by_hours(&evaluation, &[Some(23), None], &Work::new()).unwrap();
        assert_eq!(parts.len(), 2);
        let none = by_hours(&evaluation, &[None; 26], &Work::new()).unwrap();
        assert!(none.is_empty());
    }
}
