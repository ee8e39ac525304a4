//! The misclassified frames of `salamander evaluate --mistakes`, each with the training images most similar to it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::evaluate::{EvaluateError, Evaluation, NearImage, TrainingImages, near_finding};
use crate::jobs::Work;
use crate::project::Project;
use crate::text::{percent, visible};
use crate::train::Run;

/// The number of training images for each.
const NEAREST: usize = 6;

/// A misclassified frame.
#[derive(Serialize)]
pub struct Mistake {
    path: String,
    class: String,
    predicted: String,
    probability: f32,
    source: String,
    nearest: Vec<Near>,
    /// What they indicate about the label.
    finding: Option<String>,
}

#[derive(Serialize)]
struct Near {
    path: String,
    class: String,
    similarity: f32,
    source: String,
}

/// The mistakes of an evaluation, the most confident first.
pub fn mistakes(
    project: &Project,
    run: &Run,
    evaluation: &Evaluation,
    names: &BTreeMap<String, String>,
    work: &Work,
) -> Result<Vec<Mistake>, EvaluateError> {
    let wrong = evaluation.mistakes();
    if wrong.is_empty() {
        return Ok(Vec::new());
    }
    let images = TrainingImages::of(project, run, work)?;
    work.stage("Comparing with training images", Some(wrong.len() as u64));
    let class = |of: usize| evaluation.classes.get(of).cloned().unwrap_or_default();
    let source = |of: &str| names.get(of).map_or(of, String::as_str).to_owned();
    let near = |of: NearImage| Near {
        class: images.classes().get(of.class).cloned().unwrap_or_default(),
        source: source(&of.source),
        path: of.path,
        similarity: of.similarity,
    };
    let mut found = Vec::with_capacity(wrong.len());
    for frame in wrong {
        work.check()?;
        let nearest = images.nearest(&frame.path, NEAREST).unwrap_or_default();
        found.push(Mistake {
            path: frame.path.clone(),
            class: class(frame.truth),
            predicted: class(frame.predicted),
            probability: frame.confidence(),
            source: source(frame.source()),
            finding: near_finding(
                &class(frame.truth),
                &nearest,
                images.classes(),
                evaluation.noun(),
            ),
            nearest: nearest.into_iter().map(near).collect(),
        });
        work.advance(1);
    }
    Ok(found)
}

/// For people.
pub fn text(mistakes: &[Mistake]) -> String {
    let mut text = "\nmisclassified, most confident first".to_owned();
    text += if mistakes.is_empty() {
        ": none\n"
    } else {
        "; indented: the nearest training images with their cosine similarity\n"
    };
    for mistake in mistakes {
        let Mistake {
            path,
            class,
            predicted,
            ..
        } = mistake;
        let sure = percent(mistake.probability);
        let [path, class, predicted] = [path, class, predicted].map(|name| visible(name));
        _ = writeln!(text, "{path}: “{class}” taken for “{predicted}” at {sure}");
        if let Some(finding) = &mistake.finding {
            _ = writeln!(text, "  {}", visible(finding));
        }
        for near in &mistake.nearest {
            let (similarity, class) = (near.similarity, visible(&near.class));
            let path = visible(&near.path);
            _ = writeln!(text, "  {similarity:.3}  “{class}”  {path}");
        }
    }
    text
}
