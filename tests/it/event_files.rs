//! TensorBoard's event files, read back as its reader does, during a training and after it was interrupted.
//!
//! A record is the length of a message (u64), its checksum, the message, its checksum; checksums are CRC-32C, rotated
//! and offset (`tensorflow/core/lib/io/record_writer.h`).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use prost::Message;
use salamander::backbone::Depth;
use salamander::jobs::Work;
use salamander::project::Project;
use salamander::train::{
    CurvePoint, FineTuneSettings, LearnSettings, LiveCurves, MetricKind, MetricSide, Metrics, Part,
    Run, TrainError, TrainSettings, resume, train,
};

use crate::cli_program::Place;
use crate::projects::runs;

/// `tensorflow.Event` (`tensorflow/core/util/event.proto`).
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    #[allow(clippy::struct_field_names, reason = "its name in TensorFlow")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "5")]
    histo: Option<HistogramProto>,
}

/// `tensorflow.HistogramProto` (`tensorflow/core/framework/summary.proto`).
#[derive(Clone, PartialEq, Message)]
struct HistogramProto {
    #[prost(double, tag = "1")]
    min: f64,
    #[prost(double, tag = "2")]
    max: f64,
    #[prost(double, tag = "3")]
    num: f64,
    #[prost(double, tag = "4")]
    sum: f64,
    #[prost(double, tag = "5")]
    sum_squares: f64,
    #[prost(double, repeated, tag = "6")]
    bucket_limit: Vec<f64>,
    #[prost(double, repeated, tag = "7")]
    bucket: Vec<f64>,
}

/// Bit by bit, from the polynomial.
fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let low = crc & 1;
            crc >>= 1;
            if low == 1 {
                crc ^= 0x82f6_3b78;
            }
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The events of the only file in a folder; none if there is no folder, or no file in it yet. A truncated record at
/// the end is left out, as TensorBoard does; `whole` is whether there was none.
fn events(folder: &Path) -> (Vec<Event>, bool) {
    let Ok(entries) = fs::read_dir(folder) else {
        return (Vec::new(), true);
    };
    let files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() <= 1, "{files:?}");
    let Some(file) = files.first() else {
        return (Vec::new(), true);
    };
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(name.contains("tfevents"));
    let bytes = fs::read(file).unwrap();
    let mut rest = bytes.as_slice();
    let mut found = Vec::new();
    let take = |rest: &mut &[u8], count: usize| -> Option<Vec<u8>> {
        let (taken, after) = rest.split_at_checked(count)?;
        *rest = after;
        Some(taken.to_vec())
    };
    let number = |bytes: Vec<u8>| u32::from_le_bytes(bytes.try_into().unwrap());
    let mut next = || -> Option<Event> {
        let length = take(&mut rest, 8)?;
        assert_eq!(number(take(&mut rest, 4)?), checksum(&length));
        let length = u64::from_le_bytes(length.try_into().unwrap());
        let message = take(&mut rest, usize::try_from(length).unwrap())?;
        assert_eq!(number(take(&mut rest, 4)?), checksum(&message));
        Some(Event::decode(message.as_slice()).unwrap())
    };
    let mut read = 0;
    while let Some(event) = next() {
        read += 16 + event.encoded_len();
        found.push(event);
    }
    let first = found.first().and_then(|event| event.file_version.clone());
    assert!(found.is_empty() || first.as_deref() == Some("brain.Event:2"));
    (found, read == bytes.len())
}

/// Step, seconds since the first record, accuracy and cross-entropy of each point in a folder.
fn points(folder: &Path) -> Vec<(u32, f64, f32, f32)> {
    let (events, _) = events(folder);
    let start = events.first().map_or(0.0, |event| event.wall_time);
    let of_event = |event: &Event| {
        let values = &event.summary.as_ref().unwrap().value;
        let tags: Vec<_> = values.iter().map(|value| value.tag.as_str()).collect();
        (tags == ["accuracy", "cross_entropy"]).then(|| {
            (
                u32::try_from(event.step).unwrap(),
                event.wall_time - start,
                values[0].simple_value.unwrap(),
                values[1].simple_value.unwrap(),
            )
        })
    };
    events.iter().skip(1).filter_map(of_event).collect()
}

/// Tag, step and value of the other scalars in a folder.
fn others(folder: &Path) -> Vec<(String, u32, f32)> {
    let (events, _) = events(folder);
    let values = events.iter().skip(1).flat_map(|event| {
        let values = &event.summary.as_ref().unwrap().value;
        let step = u32::try_from(event.step).unwrap();
        let scalars = values
            .iter()
            .filter_map(move |value| Some((value.tag.clone(), step, value.simple_value?)));
        // Those of the histograms are tested together with these, by TensorBoard's reader.
        let of_curves = ["accuracy", "cross_entropy"];
        scalars.filter(move |(tag, ..)| {
            !of_curves.contains(&tag.as_str()) && !tag.starts_with("final_training_ops/")
        })
    });
    values.collect()
}

/// Checks that these are the other scalars in `dir`.
fn check_others(dir: &Path, metrics: &Metrics) {
    for (name, sides) in [
        ("train", &[MetricSide::Train, MetricSide::Run][..]),
        ("validation", &[MetricSide::Validation]),
    ] {
        let mut expected = Vec::new();
        for (series, kind) in metrics.series() {
            let curve = ["accuracy", "cross_entropy"].contains(&series.tag.as_str());
            if kind == MetricKind::Scalar && sides.contains(&series.side) && !curve {
                let values = metrics.scalars(series).iter();
                expected.extend(values.map(|at| (series.tag.clone(), at.step, at.value)));
            }
        }
        let mut found = others(&dir.join(name));
        for all in [&mut expected, &mut found] {
            all.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        }
        let tags: BTreeSet<&str> = found.iter().map(|(tag, ..)| tag.as_str()).collect();
        let wanted: &[&str] = if name == "train" {
            &["gradient_norm", "learning_rate"]
        } else {
            &["accuracy/bars", "accuracy/fractal", "accuracy/moving"]
        };
        assert!(wanted.iter().all(|tag| tags.contains(tag)), "{tags:?}");
        assert_eq!(found, expected, "{name}");
    }
}

/// Points in the files of `dir`: of training, of validation.
fn both(dir: &Path) -> [Vec<(u32, f64, f32, f32)>; 2] {
    ["train", "validation"].map(|name| points(&dir.join(name)))
}

/// Checks that the points found in files are these, or the first ones of them.
fn compare(found: &[Vec<(u32, f64, f32, f32)>; 2], curves: &[CurvePoint], all: bool) {
    let of_train: Vec<_> = curves
        .iter()
        .map(|p| (p.step, p.secs, p.train_accuracy, p.train_cross_entropy))
        .collect();
    let of_validation: Vec<_> = curves
        .iter()
        .filter_map(|p| {
            let (a, c) = (p.validation_accuracy?, p.validation_cross_entropy?);
            Some((p.step, p.secs, a, c))
        })
        .collect();
    for (found, expected) in found.iter().zip([of_train, of_validation]) {
        assert!(found.len() <= expected.len(), "too many points");
        assert!(!all || found.len() == expected.len(), "too few");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(
                (found.0, found.2, found.3),
                (expected.0, expected.2, expected.3)
            );
            // As seconds since 1970, they have a resolution of less than a microsecond.
            assert!((found.1 - expected.1).abs() < 1e-5);
        }
    }
}

/// Checks that the files in `dir` have exactly these points.
fn check(dir: &Path, curves: &[CurvePoint]) {
    compare(&both(dir), curves, true);
    for name in ["train", "validation"] {
        assert!(events(&dir.join(name)).1, "{name}: the last record is cut");
    }
}

fn settings(depth: Depth, steps: u32) -> TrainSettings {
    let mut settings = TrainSettings {
        architecture: "efficientnet-lite0@96".parse().unwrap(),
        how_many_training_steps: if depth == Depth::Head { steps } else { 60 },
        fine_tune: FineTuneSettings {
            depth,
            steps: Some(steps),
            learn: LearnSettings {
                batch_size: 8,
                ..LearnSettings::of_fine_tuning()
            },
            ..FineTuneSettings::default()
        },
        ..TrainSettings::default()
    };
    settings.split.validation_percentage = 25;
    settings.split.testing_percentage = 25;
    settings
}

/// Truncates the last record and adds what a kill between two writes leaves: points after the last checkpoint.
fn cut_and_extend(folder: &Path) {
    let file = fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    let mut bytes = fs::read(file.path()).unwrap();
    let again = bytes[bytes.len() - 60..].to_vec();
    bytes.extend(again);
    bytes.truncate(bytes.len() - 7);
    fs::write(file.path(), bytes).unwrap();
}

/// Trains until its files have grown several times, reads them meanwhile, cancels, resumes to the end.
fn follow(project: &Project, depth: Depth, steps: u32) -> Run {
    let (curves, work) = (LiveCurves::default(), Work::new());
    std::thread::scope(|scope| {
        let training = scope.spawn(|| train(project, &settings(depth, steps), &curves, &work));
        let mut sizes = Vec::new();
        let part = if depth == Depth::Head {
            Part::Head
        } else {
            Part::FineTuning
        };
        while sizes.len() < 3 {
            assert!(!training.is_finished(), "it ended after {sizes:?}");
            let run = runs(project).into_iter().next();
            if let Some(run) = run
                && curves.since([0, 0]).0 == part
            {
                let on_disk = both(&run.dir);
                // The points on disk have been shown before.
                compare(&on_disk, &curves.since([0, 0]).1, false);
                let found = on_disk[0].len();
                if found > 0 && sizes.last() != Some(&found) {
                    sizes.push(found);
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        work.cancel();
        let cut = training.join().unwrap();
        assert!(matches!(cut, Err(TrainError::Cancelled(_))), "{cut:?}");
    });
    let cut = runs(project).remove(0);
    let reached = cut.curves().unwrap().last().unwrap().step;
    check(&cut.dir, &cut.curves().unwrap());
    cut_and_extend(&cut.dir.join("train"));
    let whole = resume(
        project,
        &cut.id,
        Some(reached + 25),
        &LiveCurves::default(),
        &Work::new(),
    );
    let whole = whole.unwrap();
    assert!(whole.curves().unwrap().last().unwrap().step > reached);
    check(&whole.dir, &whole.curves().unwrap());
    check_others(&whole.dir, &whole.last_stage().metrics().unwrap());
    whole
}

#[test]
fn they_grow_while_the_head_is_trained() {
    let place = Place::new();
    place.project();
    let project = Project::open(&place.path("p")).unwrap();
    let run = follow(&project, Depth::Head, 5_000_000);
    assert!(!run.dir.join("head").exists());
}

#[test]
fn they_grow_while_more_than_the_head_is_trained() {
    let place = Place::new();
    place.project();
    let project = Project::open(&place.path("p")).unwrap();
    let run = follow(&project, Depth::Last1, 100_000);
    check(&run.dir.join("head"), &run.head_stage().curves().unwrap());
    check_others(&run.dir.join("head"), &run.head_stage().metrics().unwrap());
    assert_eq!(points(&run.dir.join("head/train")).len(), 6);
}
