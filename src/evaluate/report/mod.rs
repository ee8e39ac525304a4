//! The report of a run: one HTML page that can be sent, kept and printed.

mod html;

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::thumbnail;

use crate::files::{self, Durability};
use crate::jobs::Work;
use crate::media::load_image;
use crate::project::{Project, Split};
use crate::train::{Calibration, Run};

use super::svg;
use super::{
    CrossValidation, EvaluateError, Evaluation, Figures, LeakMeter, LearningCurve, Reliability,
    UnknownCurve, cross_validate, evaluate, hold_out_classes, leak_meter, learning_curve,
    reliability, test_uses,
};

/// Marks pages that this program wrote and may replace.
const MARK: &str = "<meta name=\"generator\" content=\"Salamander report\">";
/// The most mistakes that are shown, and the longest side of their images in pixels.
const MOST_MISTAKES: usize = 12;
const IMAGE_PX: u32 = 240;
const JPEG_QUALITY: u8 = 80;

/// The contents of the page.
struct Report<'a> {
    project: String,
    /// The name of the run.
    title: String,
    /// When it was made, with which architecture, from how many images.
    about: String,
    notes: Vec<String>,
    evaluation: &'a Evaluation,
    figures: &'a Figures,
    reliability: Option<[Reliability; 2]>,
    calibration: Option<Calibration>,
    is_fine_tuned: bool,
    unknown: Option<UnknownCurve>,
    leak: Option<LeakMeter>,
    folds: Option<CrossValidation>,
    learning: Option<LearningCurve>,
    /// Names of sources, by identity.
    source_names: BTreeMap<String, String>,
    mistakes: Vec<Mistake>,
    settings: Vec<(String, String)>,
}

/// A mistake that is shown.
struct Mistake {
    truth: String,
    called: String,
    probability: f32,
    jpeg_base64: String,
}

/// Writes the report of a finished run on its test frames (without any, its validation frames) as one self-contained
/// HTML file. With `trainings` it also has the results that require trainings: leak meter, cross-validation, learning
/// curve and held-out classes. An existing report is replaced, any other file is not.
///
/// # Errors
/// [`EvaluateError::NoReport`] for a file that is not a report; the run or its frames cannot be read, the file cannot
/// be written, or the work is cancelled.
pub fn write_report(
    project: &Project,
    run: &Run,
    trainings: bool,
    out: &Path,
    work: &Work,
) -> Result<(), EvaluateError> {
    // Before minutes of work.
    check_place(out)?;
    let page = page(project, run, trainings, work)?;
    work.check()?;
    check_place(out)?;
    files::write(out, page.as_bytes(), Durability::Synced)?;
    Ok(())
}

/// Checks that a report may be written there.
fn check_place(out: &Path) -> Result<(), EvaluateError> {
    let other = || {
        Err(EvaluateError::NoReport {
            path: out.to_owned(),
        })
    };
    match files::read(out) {
        Ok(bytes)
            if bytes
                .windows(MARK.len())
                .any(|part| part == MARK.as_bytes()) =>
        {
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        // Another file, a folder, or unreadable.
        _ => other(),
    }
}

fn page(
    project: &Project,
    run: &Run,
    trainings: bool,
    work: &Work,
) -> Result<String, EvaluateError> {
    let mut evaluation = evaluate(project, run, Split::Test, work)?;
    if evaluation.predictions.is_empty() {
        evaluation = evaluate(project, run, Split::Validation, work)?;
    }
    let split = evaluation.split;
    let figures = Figures::of(&evaluation, work)?;
    let mut report = Report {
        project: project.name(),
        title: title(run)?,
        about: about(project, run),
        notes: notes(run, &evaluation),
        reliability: reliability(project, run, split, work)?,
        calibration: run.calibration()?,
        is_fine_tuned: run.settings.fine_tune.is_on(),
        unknown: None,
        leak: None,
        folds: None,
        learning: None,
        source_names: project
            .sources()
            .into_iter()
            .map(|source| (source.id.to_string(), source.name))
            .collect(),
        mistakes: mistakes(project, &evaluation, work)?,
        settings: settings(run),
        evaluation: &evaluation,
        figures: &figures,
    };
    let uses = test_uses(project, run, work)?;
    report.notes.extend(uses.sentence(&figures.accuracy));
    if trainings {
        report.leak = leak_meter(project, run, work)?;
        report.folds = cross_validate(project, run, work)?;
        report.learning = learning_curve(project, run, work)?;
        report.unknown = hold_out_classes(project, run, work)?;
    }
    Ok(html::page(&report))
}

fn title(run: &Run) -> Result<String, EvaluateError> {
    let note = run.note()?;
    Ok(if note.name.is_empty() {
        run.id.0.clone()
    } else {
        note.name
    })
}

fn about(project: &Project, run: &Run) -> String {
    let trained = match run.settings.fine_tune.depth.word() {
        "head" => "the head".to_owned(),
        depth => format!("the head and the network ({depth})"),
    };
    let date: String = run.created.chars().take(10).collect();
    format!(
        "Run {} of “{}”, {date}: {} with {trained} trained on {} classes. Written by Salamander {}.",
        run.id,
        project.name(),
        run.settings.architecture,
        run.classes.len(),
        env!("CARGO_PKG_VERSION")
    )
}

fn notes(run: &Run, evaluation: &Evaluation) -> Vec<String> {
    let mut notes = run.all_notes();
    for note in &evaluation.notes {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    let noun = evaluation.noun();
    for (count, what) in [
        (evaluation.missing, "no longer in the project and left out"),
        (
            evaluation.relabelled,
            "evaluated with labels that changed since the run",
        ),
        (
            evaluation.changed,
            "changed since the run and evaluated as now",
        ),
    ] {
        if count > 0 {
            let are = if count == 1 { "is" } else { "are" };
            notes.push(format!("{} {are} {what}.", noun.count(count as usize)));
        }
    }
    notes
}

/// The most confident mistakes with their images, except unreadable ones.
fn mistakes(
    project: &Project,
    evaluation: &Evaluation,
    work: &Work,
) -> Result<Vec<Mistake>, EvaluateError> {
    let mut shown = Vec::new();
    let name = |class: usize| evaluation.classes.get(class).cloned().unwrap_or_default();
    for frame in evaluation.mistakes().into_iter().take(MOST_MISTAKES) {
        work.check()?;
        let image = match load_image(&project.abs(&frame.path)) {
            Ok(image) => image,
            Err(error) => {
                work.warn(format!("Not shown in the report: {error}"));
                continue;
            }
        };
        let (width, height) = image.dimensions();
        let scale = f64::from(IMAGE_PX) / f64::from(width.max(height).max(1));
        let side = |px: u32| ((f64::from(px) * scale.min(1.0)).round() as u32).max(1);
        let small = thumbnail(&image, side(width), side(height));
        let mut jpeg = Vec::new();
        if let Err(error) =
            JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY).encode_image(&small)
        {
            work.warn(format!(
                "Not shown in the report: “{}”: {error}",
                frame.path
            ));
            continue;
        }
        shown.push(Mistake {
            truth: name(frame.truth),
            called: name(frame.predicted),
            probability: frame.confidence(),
            jpeg_base64: STANDARD.encode(&jpeg),
        });
    }
    Ok(shown)
}

/// The settings by name, with the names of their groups.
fn settings(run: &Run) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let value = serde_json::to_value(&run.settings).unwrap_or_default();
    flatten("", &value, &mut rows);
    rows.push(("classes".into(), run.classes.join(", ")));
    if let Some(result) = run.result() {
        rows.push(("steps done".into(), result.steps.to_string()));
        rows.push(("best step".into(), result.best_step.to_string()));
        rows.push(("seconds".into(), format!("{:.1}", run.secs())));
    }
    rows
}

fn flatten(name: &str, value: &serde_json::Value, rows: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (field, value) in fields {
                let name = match name {
                    "" => field.clone(),
                    group => format!("{group}.{field}"),
                };
                flatten(&name, value, rows);
            }
        }
        serde_json::Value::String(text) => rows.push((name.to_owned(), text.clone())),
        serde_json::Value::Null => {}
        other => rows.push((name.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn only_reports_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("report.html");
        check_place(&out).unwrap();
        std::fs::write(&out, format!("<html><head>{MARK}</head></html>")).unwrap();
        check_place(&out).unwrap();
        std::fs::write(&out, "<html>my diary</html>").unwrap();
        let message = check_place(&out).unwrap_err().to_string();
        assert!(
            message.contains("report.html") && message.contains("another name"),
            "{message}"
        );
        assert!(check_place(dir.path()).is_err());
    }

    #[test]
    fn settings_of_groups_have_the_names_of_the_groups() {
        let value = serde_json::json!({"a": 1, "b": {"c": "x", "d": null}, "e": [1, 2]});
        let mut rows = Vec::new();
        flatten("", &value, &mut rows);
        let rows: Vec<(&str, &str)> = rows.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(rows, [("a", "1"), ("b.c", "x"), ("e", "[1,2]")]);
    }
}
