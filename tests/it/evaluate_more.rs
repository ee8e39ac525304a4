//! What `evaluate` measures on request, by the program.

use serde_json::Value;

use crate::cli_program::Place;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

fn same(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
}

#[test]
fn a_run_is_calibrated_and_everything_is_measured() {
    let place = Place::new();
    place.project();
    let trained = place.result(
        "train p --depth head --how-many-training-steps 80 --testing-percentage 30 --validation-percentage 30",
    );
    let run = trained["run"].as_str().unwrap();
    let kept = place.path(format!("p/runs/{run}/calibration.json"));
    let temperature = |file: &std::path::Path| {
        let text = std::fs::read(file).unwrap();
        let kept: Value = serde_json::from_slice(&text).unwrap();
        number(&kept["temperature"])
    };
    assert!(temperature(&kept) > 0.0);

    let found = place.result("evaluate p --everything --curves");
    same(
        number(&found["calibration"]["temperature"]),
        temperature(&kept),
    );
    let reliability = found["reliability"].as_array().unwrap();
    assert_eq!(reliability.len(), 2);
    let frames: f64 = reliability[1]["bins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bin| number(&bin["frames"]))
        .sum();
    same(frames, number(&found["frames"]));
    assert!(number(&found["leak"]["by_frame"]) > 0.5);
    assert!(number(&found["cross_validation"]["accuracy"]["value"]) > 0.3);
    let unknown = &found["unknown"];
    assert_eq!(unknown["held_out"].as_array().unwrap().len(), 3);
    same(number(&unknown["false_accept"][0]), 1.0);
    same(number(&unknown["false_reject"][0]), 0.0);
    assert!(found["per_class"][0]["roc"].as_array().unwrap().len() > 2);
    assert!(!found["findings"].as_array().unwrap().is_empty());

    // From the cache, the same again.
    let again = place.result("evaluate p --everything --curves");
    for key in ["leak", "cross_validation", "unknown", "learning_curve"] {
        assert_eq!(again.get(key), found.get(key), "{key}");
    }
    let text = place.line("evaluate p --everything");
    for part in [
        "macro F1",
        "Calibration error",
        "Cross-validation by source",
        "Unknown below",
    ] {
        assert!(text.stdout.contains(part), "{part}: {}", text.stdout);
    }

    // The threshold is kept, until the run is trained further.
    let kept_at = place.result("evaluate p --unknown-at 10");
    assert_eq!(
        kept_at["calibration"]["unknown"],
        kept_at["unknown"]["chosen"]
    );
    let before = temperature(&kept);
    place.result(&format!(
        "train p --resume {run} --how-many-training-steps 400"
    ));
    let after = place.result("evaluate p");
    assert_eq!(after["calibration"]["unknown"], Value::Null);
    assert!((number(&after["calibration"]["temperature"]) - before).abs() > 1e-9);
}
