//! `salamander evaluate`: a run's figures on one side of its split.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::evaluate::{Evaluation, evaluate};
use crate::project::Split;

use super::ProjectArg;
use super::console::Console;
use super::table::{Align, count, percent, table};
use super::train::RunFigures;
use super::which::RunArg;

/// Measure a run: accuracy, confusion matrix, figures per class and per source
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    #[command(flatten)]
    run: RunArg,
    /// Which side of the split
    #[arg(long, value_name = "SPLIT", default_value = "test")]
    split: SplitArg,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SplitArg {
    /// Frames that were never looked at before
    Test,
    /// Frames that chose the best weights
    Validation,
    /// Frames that were learned from
    Train,
}

impl From<SplitArg> for Split {
    fn from(split: SplitArg) -> Self {
        match split {
            SplitArg::Test => Split::Test,
            SplitArg::Validation => Split::Validation,
            SplitArg::Train => Split::Train,
        }
    }
}

#[derive(Serialize)]
struct Result {
    #[serde(flatten)]
    run: RunFigures,
    split: Split,
    frames: u64,
    relabelled: u64,
    changed: u64,
    missing: u64,
    confusion: Vec<Vec<u64>>,
    per_class: Vec<PerClass>,
    per_source: Vec<PerSource>,
}

#[derive(Serialize)]
struct PerClass {
    class: String,
    frames: u64,
    precision: Option<f32>,
    recall: Option<f32>,
}

#[derive(Serialize)]
struct PerSource {
    source: String,
    frames: u64,
    accuracy: f32,
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    let project = args.project.open_for_reading(console)?;
    let run = args.run.find(&project)?;
    let mut figures = RunFigures::of(&run)?;
    let split = args.split.into();
    let names: BTreeMap<String, String> = project
        .sources()
        .into_iter()
        .map(|source| (source.id.to_string(), source.name))
        .collect();
    let evaluation = console.run("evaluate", move |work| {
        evaluate(&project, &run, split, work)
    })?;
    let accuracy = evaluation.confusion.accuracy();
    match split {
        Split::Test => figures.test_accuracy = accuracy,
        Split::Validation => figures.validation_accuracy = accuracy,
        Split::Train => {}
    }
    for (number, one, several) in [
        (
            evaluation.missing,
            "of this run is gone from the project or from the run's classes and was left out",
            "of this run are gone from the project or from the run's classes and were left out",
        ),
        (
            evaluation.relabelled,
            "of this run has another label now and was judged by that",
            "of this run have another label now and were judged by that",
        ),
        (
            evaluation.changed,
            "of this run holds another image now and was judged by that",
            "of this run hold another image now and were judged by that",
        ),
    ] {
        if number > 0 {
            let what = if number == 1 { one } else { several };
            console.warning(&format!("{} {what}", count(number, "frame")))?;
        }
    }
    for note in &evaluation.notes {
        console.warning(note)?;
    }
    figures.follow(&evaluation);
    let result = Result {
        run: figures,
        split,
        frames: evaluation.predictions.len() as u64,
        relabelled: evaluation.relabelled,
        changed: evaluation.changed,
        missing: evaluation.missing,
        per_class: per_class(&evaluation),
        per_source: per_source(&evaluation, &names),
        confusion: evaluation.confusion.counts,
    };
    console.result(&result, || text(&result, &evaluation.classes, accuracy))
}

fn per_class(evaluation: &Evaluation) -> Vec<PerClass> {
    let rows = evaluation.classes.iter().zip(&evaluation.confusion.counts);
    rows.enumerate()
        .map(|(index, (class, row))| PerClass {
            class: class.clone(),
            frames: row.iter().sum(),
            precision: evaluation.confusion.precision(index),
            recall: evaluation.confusion.recall(index),
        })
        .collect()
}

fn per_source(evaluation: &Evaluation, names: &BTreeMap<String, String>) -> Vec<PerSource> {
    evaluation
        .by_source()
        .into_iter()
        .map(|group| PerSource {
            frames: group.total,
            accuracy: group.accuracy(),
            source: names.get(&group.group).cloned().unwrap_or(group.group),
        })
        .collect()
}

fn text(result: &Result, classes: &[String], accuracy: Option<f32>) -> String {
    let side = match result.split {
        Split::Test => "test",
        Split::Validation => "validation",
        Split::Train => "training",
    };
    let mut text = format!(
        "{side} accuracy {} on {}\n\n",
        percent(accuracy),
        count(result.frames, "frame")
    );
    let mut rows = vec![
        ["class", "frames", "precision", "recall"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(result.per_class.iter().map(|class| {
        vec![
            class.class.clone(),
            class.frames.to_string(),
            percent(class.precision),
            percent(class.recall),
        ]
    }));
    text.push_str(&table(
        &[Align::Left, Align::Right, Align::Right, Align::Right],
        &rows,
    ));
    text.push_str("\nconfusion (row: truth, column: predicted)\n");
    text.push_str(&confusion_text(classes, &result.confusion));
    let mut rows = vec![["source", "frames", "accuracy"].map(str::to_owned).to_vec()];
    rows.extend(result.per_source.iter().map(|source| {
        vec![
            source.source.clone(),
            source.frames.to_string(),
            percent(Some(source.accuracy)),
        ]
    }));
    text.push('\n');
    text.push_str(&table(&[Align::Left, Align::Right, Align::Right], &rows));
    text
}

fn confusion_text(classes: &[String], counts: &[Vec<u64>]) -> String {
    let mut heading = vec![String::new()];
    heading.extend(classes.iter().cloned());
    let mut rows = vec![heading];
    rows.extend(classes.iter().zip(counts).map(|(class, counts)| {
        let mut row = vec![class.clone()];
        row.extend(counts.iter().map(u64::to_string));
        row
    }));
    let mut aligns = vec![Align::Left];
    aligns.extend(classes.iter().map(|_| Align::Right));
    table(&aligns, &rows)
}
