//! `salamander evaluate`: a run's figures on one side of its split.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::evaluate::{
    ClassFigures, Comparison, EvaluateError, Evaluation, Figures, Measure, evaluate,
};
use crate::project::Split;
use crate::text::{count, percent, percent_or_dash, percent_range, visible};

use super::ProjectArg;
use super::console::Console;
use super::evaluate_more::{More, MoreArgs};
use super::mistakes::{self, Mistake, mistakes};
use super::table::{Align, table};
use super::train::RunFigures;
use super::which::RunArg;

/// Evaluate a run: accuracy and F1 with intervals, confusion matrix, figures per class and per source
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    #[command(flatten)]
    run: RunArg,
    /// Which side of the split to evaluate
    #[arg(long, value_name = "SPLIT", default_value = "test")]
    split: SplitArg,
    /// With --json, also output the points of each class's precision-recall and ROC curves
    #[arg(long)]
    curves: bool,
    /// Compare with another run frame by frame: which one is better, by one exact test over frames and one over sources
    #[arg(long, value_name = "RUN")]
    compare: Option<String>,
    /// List the misclassified images, each with its nearest training images: these show wrong labels and near
    /// duplicates
    #[arg(long)]
    mistakes: bool,
    #[command(flatten)]
    more: MoreArgs,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SplitArg {
    /// Frames held out until now
    Test,
    /// Frames that selected the best weights
    Validation,
    /// Frames used for training
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
    sources: u64,
    effective_sources: f64,
    accuracy: Measure,
    macro_recall: Measure,
    macro_precision: Measure,
    macro_f1: Measure,
    macro_average_precision: Option<f64>,
    macro_auc: Option<f64>,
    confusion: Vec<Vec<u64>>,
    per_class: Vec<PerClass>,
    per_source: Vec<PerSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Compared>,
    /// With `--mistakes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    mistakes: Option<Vec<Mistake>>,
    #[serde(flatten)]
    more: More,
}

#[derive(Serialize)]
struct Compared {
    /// The other run of the comparison, whose accuracy comes first.
    with: String,
    #[serde(flatten)]
    comparison: Comparison,
    sentence: String,
}

#[derive(Serialize)]
struct PerClass {
    class: String,
    frames: u64,
    sources: u64,
    precision: Option<f64>,
    precision_95: Option<[f64; 2]>,
    recall: Option<f64>,
    recall_95: Option<[f64; 2]>,
    f1: Option<f64>,
    f1_95: Option<[f64; 2]>,
    average_precision: Option<f64>,
    auc: Option<f64>,
    /// With `--curves`.
    #[serde(skip_serializing_if = "Option::is_none")]
    precision_recall: Option<Vec<[f64; 2]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roc: Option<Vec<[f64; 2]>>,
}

#[derive(Serialize)]
struct PerSource {
    source: String,
    frames: u64,
    accuracy: f32,
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    let more = args.more;
    let project = if more.writes() {
        args.project.open(console)?
    } else if more.calibrates() {
        args.project.open_or_read(console)?
    } else {
        args.project.open_for_reading(console)?
    };
    let run = args.run.find(&project)?;
    let other = match &args.compare {
        Some(name) => Some(RunArg { run: name.clone() }.find(&project)?),
        None => None,
    };
    let mut figures = RunFigures::of(&run)?;
    let split = args.split.into();
    let names: BTreeMap<String, String> = project
        .sources()
        .into_iter()
        .map(|source| (source.id.to_string(), source.name))
        .collect();
    let lists_mistakes = args.mistakes;
    let of_sources = names.clone();
    let (evaluation, found, more, comparison, mistakes) = console.run("evaluate", move |work| {
        let evaluation = evaluate(&project, &run, split, work)?;
        let figures = Figures::of(&evaluation, work)?;
        let mistakes = lists_mistakes
            .then(|| mistakes(&project, &run, &evaluation, &of_sources, work))
            .transpose()?;
        let more = more.measure(&project, &run, split, (&evaluation, figures.accuracy), work)?;
        let compared = match other {
            Some(other) => {
                let first = evaluate(&project, &other, split, work)?;
                let with = other.id.0.clone();
                Comparison::of(&first, &evaluation).map(|comparison| Compared {
                    sentence: comparison.sentence(evaluation.noun()),
                    comparison,
                    with,
                })
            }
            None => None,
        };
        Ok::<_, EvaluateError>((evaluation, figures, more, compared, mistakes))
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
            "of this run is no longer in the project or in the run's classes and was left out",
            "of this run are no longer in the project or in the run's classes and were left out",
        ),
        (
            evaluation.relabelled,
            "of this run was relabelled since and was evaluated with its new label",
            "of this run were relabelled since and were evaluated with their new labels",
        ),
        (
            evaluation.changed,
            "of this run has changed since and was evaluated as it is now",
            "of this run have changed since and were evaluated as they are now",
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
        sources: found.sources,
        effective_sources: found.effective_sources,
        accuracy: found.accuracy,
        macro_recall: found.macro_recall,
        macro_precision: found.macro_precision,
        macro_f1: found.macro_f1,
        macro_average_precision: found.macro_average_precision,
        macro_auc: found.macro_auc,
        per_class: per_class(&evaluation, &found, args.curves),
        per_source: per_source(&evaluation, &names),
        confusion: evaluation.confusion.counts,
        comparison,
        mistakes,
        more,
    };
    console.result(&result, || text(&result, &evaluation.classes))
}

fn per_class(evaluation: &Evaluation, figures: &Figures, curves: bool) -> Vec<PerClass> {
    let classes = evaluation.classes.iter().zip(&figures.per_class);
    let of_class = |(class, of)| {
        let (class, of): (&String, &ClassFigures) = (class, of);
        let ranking = of.ranking.as_ref();
        let points = ranking.filter(|_| curves);
        PerClass {
            class: class.clone(),
            frames: of.frames,
            sources: of.sources,
            precision: of.precision.value,
            precision_95: of.precision.interval_95,
            recall: of.recall.value,
            recall_95: of.recall.interval_95,
            f1: of.f1.value,
            f1_95: of.f1.interval_95,
            average_precision: ranking.map(|ranking| ranking.average_precision),
            auc: ranking.map(|ranking| ranking.auc),
            precision_recall: points.map(|ranking| ranking.precision_recall.clone()),
            roc: points.map(|ranking| ranking.roc.clone()),
        }
    };
    classes.map(of_class).collect()
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

fn text(result: &Result, classes: &[String]) -> String {
    let side = match result.split {
        Split::Test => "test",
        Split::Validation => "validation",
        Split::Train => "training",
    };
    let mut text = format!(
        "{side} accuracy {} on {} of {}\nmacro F1 {}, macro recall {}, macro precision {} (95 % intervals over sources)\n\n",
        result.accuracy,
        count(result.frames, "frame"),
        count(result.sources, "source"),
        result.macro_f1,
        result.macro_recall,
        result.macro_precision,
    );
    let headings = [
        "class",
        "frames",
        "sources",
        "precision",
        "recall",
        "F1",
        "95 %",
        "AP",
        "AUC",
    ];
    let mut rows = vec![headings.map(str::to_owned).to_vec()];
    let three = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| format!("{v:.3}"));
    rows.extend(result.per_class.iter().map(|class| {
        vec![
            class.class.clone(),
            class.frames.to_string(),
            class.sources.to_string(),
            percent_or_dash(class.precision),
            percent_or_dash(class.recall),
            percent_or_dash(class.f1),
            range(class.f1_95),
            three(class.average_precision),
            three(class.auc),
        ]
    }));
    let mut aligns = vec![Align::Left];
    aligns.extend((1..headings.len()).map(|_| Align::Right));
    text.push_str(&table(&aligns, &rows));
    text.push_str("\nconfusion (row: truth, column: predicted)\n");
    text.push_str(&confusion_text(classes, &result.confusion));
    let mut rows = vec![["source", "frames", "accuracy"].map(str::to_owned).to_vec()];
    rows.extend(result.per_source.iter().map(|source| {
        vec![
            source.source.clone(),
            source.frames.to_string(),
            percent(source.accuracy),
        ]
    }));
    text.push('\n');
    text.push_str(&table(&[Align::Left, Align::Right, Align::Right], &rows));
    if let Some(mistakes) = &result.mistakes {
        text.push_str(&mistakes::text(mistakes));
    }
    text.push_str(&result.more.text());
    if let Some(compared) = &result.comparison {
        text.push_str(
            &[
                "\n",
                &visible(&compared.with),
                " and this run: ",
                &visible(&compared.sentence),
                "\n",
            ]
            .concat(),
        );
    }
    text
}

/// `70 to 93`, in per cent, rounded outwards.
fn range(interval: Option<[f64; 2]>) -> String {
    interval.map(percent_range).map_or_else(
        || "–".to_owned(),
        |[low, high]| format!("{low:.0} to {high:.0}"),
    )
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
