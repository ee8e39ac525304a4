//! `run.json` in the formats 1 to 3: the result of the head alone in a run with fine-tuning, and the result of the
//! run.

use serde::Deserialize;

use crate::train::{BestPoint, FineTuningVerdict, Part};

use super::StageResult;

/// The result of the head alone.
#[derive(Deserialize)]
pub(super) struct HeadOnly {
    steps: u32,
    best: Option<BestPoint>,
    test_accuracy: Option<f32>,
    secs: f64,
}

/// The result of a finished run.
#[derive(Deserialize)]
pub(super) struct RunResult {
    steps: u32,
    best_step: u32,
    validation_accuracy: Option<f32>,
    test_accuracy: Option<f32>,
    /// Seconds of all stages, and before the first.
    seconds: f64,
    /// Including the notes of the run.
    notes: Vec<String>,
    #[serde(default)]
    trained_weights: u64,
    #[serde(default)]
    verdict: Option<FineTuningVerdict>,
    #[serde(default)]
    stopped_early: bool,
}

/// The same as results of stages, the last of which is `last`, for a run with these notes and this many seconds before
/// the first stage.
pub(super) fn stages(
    head_only: Option<HeadOnly>,
    result: Option<RunResult>,
    last: Part,
    notes: &[String],
    mut before_secs: f64,
) -> Vec<StageResult> {
    let mut stages = Vec::new();
    if let Some(head) = head_only {
        before_secs += head.secs;
        stages.push(StageResult {
            part: Part::Head,
            steps: head.steps,
            best_step: head.best.map_or(head.steps, |best| best.step),
            validation_accuracy: head.best.map(|best| best.validation_accuracy),
            validation_cross_entropy: head.best.map(|best| best.validation_cross_entropy),
            test_accuracy: head.test_accuracy,
            secs: head.secs,
            trained_weights: 0,
            stopped_early: false,
            notes: Vec::new(),
            verdict: None,
        });
    }
    if let Some(result) = result {
        let own = |note: &String| !notes.contains(note);
        stages.push(StageResult {
            part: last,
            steps: result.steps,
            best_step: result.best_step,
            validation_accuracy: result.validation_accuracy,
            validation_cross_entropy: None,
            test_accuracy: result.test_accuracy,
            secs: (result.seconds - before_secs).max(0.0),
            trained_weights: result.trained_weights,
            stopped_early: result.stopped_early,
            notes: result.notes.into_iter().filter(own).collect(),
            verdict: result.verdict,
        });
    }
    stages
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use serde_json::Value;

    use super::*;
    use crate::train::{Run, RunState};

    const HEAD: &str = include_str!("../../../tests/fixtures/runs-before/head.json");
    const FINE_TUNED: &str = include_str!("../../../tests/fixtures/runs-before/fine-tuned.json");

    /// The run in a text after reading, writing and reading it again, and the text written.
    fn opened(text: &str) -> (Run, Value) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("run.json"), text).unwrap();
        let run = Run::open(dir.path()).unwrap();
        run.save().unwrap();
        assert_eq!(Run::open(dir.path()).unwrap(), run);
        let written = std::fs::read(dir.path().join("run.json")).unwrap();
        let written: Value = serde_json::from_slice(&written).unwrap();
        assert!(written.get("result").is_none() && written.get("head_only").is_none());
        let before: Value = serde_json::from_str(text).unwrap();
        assert_eq!(written["settings"], before["settings"]);
        (run, before)
    }

    fn is_result(run: &Run, before: &Value) {
        let result = run.result().unwrap();
        let before = &before["result"];
        let figure = |name: &str| before[name].as_f64().map(|figure| figure as f32);
        assert_eq!(run.state, RunState::Finished);
        assert_eq!(u64::from(result.steps), before["steps"]);
        assert_eq!(u64::from(result.best_step), before["best_step"]);
        assert_eq!(result.validation_accuracy, figure("validation_accuracy"));
        assert_eq!(result.test_accuracy, figure("test_accuracy"));
        assert_eq!(result.trained_weights, before["trained_weights"]);
        assert_eq!(result.stopped_early, before["stopped_early"]);
        assert!((run.secs() - before["seconds"].as_f64().unwrap()).abs() < 1e-6);
        let notes = serde_json::to_value(run.all_notes()).unwrap();
        assert_eq!(notes, before["notes"]);
        let verdict = serde_json::to_value(result.verdict).unwrap();
        assert_eq!(verdict, before["verdict"]);
    }

    #[test]
    fn a_head_alone_opens_as_one_stage() {
        let (run, before) = opened(HEAD);
        assert_eq!(before["format"], 1);
        is_result(&run, &before);
        let parts: Vec<Part> = run.results.iter().map(|result| result.part).collect();
        assert_eq!(parts, [Part::Head]);
        assert_eq!(run.head_only(), None);
    }

    #[test]
    fn a_fine_tuning_opens_as_two_stages() {
        let (mut run, before) = opened(FINE_TUNED);
        assert_eq!(before["format"], 2);
        is_result(&run, &before);
        let parts: Vec<Part> = run.results.iter().map(|result| result.part).collect();
        assert_eq!(parts, [Part::Head, Part::FineTuning]);
        let head = run.head_only().unwrap();
        let best = serde_json::to_value(head.best()).unwrap();
        for (figure, value) in best.as_object().unwrap() {
            let expected = &before["head_only"]["best"][figure];
            let difference = value.as_f64().unwrap() - expected.as_f64().unwrap();
            assert!(difference.abs() < 1e-6, "{figure}: {value} {expected}");
        }
        assert_eq!(u64::from(head.steps), before["head_only"]["steps"]);
        // When it is extended, it keeps its head.
        run.begin_again();
        assert!(run.result().is_none() && run.head_only().is_some());
        assert_eq!(run.state, RunState::Unfinished);
    }
}
