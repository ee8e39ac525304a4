//! A depth that is chosen automatically: if the head is right on everything outside the test, no more is trained.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::cli_program::{Place, events};

/// Fast on any computer, at every depth.
const TRAIN: &str = "train p --architecture efficientnet-lite0@96 --learning-rate 0.05 --views 0 --fine-tune-steps 2 \
     --fine-tune-batch-size 4 --validation-percentage 25 --testing-percentage 25";

/// Three classes that are easy to distinguish, four films of twenty frames each.
fn easy() -> Place {
    let place = Place::new();
    place.videos();
    assert_eq!(place.line("new p").code, Some(0));
    let ran = place.line("import p videos --class-from folder --fps 10 --width 160");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    place
}

fn run_dir(place: &Place, result: &Value) -> PathBuf {
    place.path("p/runs").join(result["run"].as_str().unwrap())
}

fn document(place: &Place, result: &Value) -> Value {
    let text = fs::read_to_string(run_dir(place, result).join("run.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_head_that_is_right_already_is_not_fine_tuned() {
    let place = easy();
    let lines = place.json(TRAIN);
    let result = lines.last().unwrap();
    let decision = json!({ "head-suffices": { "images": 180, "groups": 9 } });
    assert_eq!(result["depth_decision"], decision, "{result}");
    assert_eq!(
        (&result["depth"], &result["steps"]),
        (&json!("head"), &json!(4000))
    );
    let note = result["notes"].to_string();
    assert!(note.contains("all 180 images outside the test"), "{note}");
    // Its record has the automatic choice, and its result.
    let run = document(&place, result);
    assert_eq!(run["depth_decision"], decision);
    assert_eq!(run["settings"]["fine_tune"]["automatic"], true);
    assert_eq!(run["settings"]["fine_tune"]["depth"], "head");
    assert_eq!(run["stages"].as_array().unwrap().len(), 1);
    let dir = run_dir(&place, result);
    assert!(
        !dir.join("backbone.safetensors").exists() && !dir.join("fine_tune.safetensors").exists()
    );
    // It is a run like any other.
    assert_eq!(
        place.result("evaluate p")["test_accuracy"],
        result["test_accuracy"]
    );
    place.result("export p --out exported");
    // Extended, it is still only a head.
    let extended = place.result("train p --resume latest --how-many-training-steps 4020");
    assert_eq!(
        (&extended["depth"], &extended["steps"]),
        (&json!("head"), &json!(4020))
    );
    assert_eq!(extended["depth_decision"], decision);

    // A requested depth is always used.
    let asked = place.result(&format!("{TRAIN} --depth last-1"));
    assert_eq!(
        (&asked["depth"], &asked["steps"]),
        (&json!("last-1"), &json!(2))
    );
    assert_eq!(asked["depth_decision"], Value::Null);
    assert!(
        document(&place, &asked)["settings"]["fine_tune"]
            .get("automatic")
            .is_none()
    );
    let classic = format!("{} --preset classic", TRAIN.replace(" --views 0", ""));
    assert_eq!(place.result(&classic)["depth_decision"], Value::Null);
}

#[test]
fn a_head_that_is_wrong_is_fine_tuned() {
    let place = easy();
    // For each film of bars, one frame has the label fractal.
    let mut films = std::collections::BTreeSet::new();
    for entry in fs::read_dir(place.path("p/classes/bars")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if films.insert(name[..6].to_owned()) {
            fs::rename(&path, place.path("p/classes/fractal").join(&name)).unwrap();
        }
    }
    assert_eq!(films.len(), 4);
    let lines = place.json(TRAIN);
    let result = lines.last().unwrap();
    assert_eq!(result["depth_decision"], "recommended", "{result}");
    assert_ne!(result["depth"], "head");
    assert_eq!(result["steps"], 2);
    let last = events(&lines, "step").last().unwrap()["depth"].clone();
    assert_eq!(last, result["depth"]);
    let run = document(&place, result);
    assert_eq!(run["settings"]["fine_tune"]["steps"], 2);
    assert_eq!(run["stages"].as_array().unwrap().len(), 2);
    assert!(run_dir(&place, result).join("head_curves.jsonl").exists());
    assert_eq!(
        place.result("evaluate p")["test_accuracy"],
        result["test_accuracy"]
    );
}

#[test]
fn a_training_that_was_killed_decides_the_same() {
    let place = easy();
    let words: Vec<&str> = TRAIN.split_whitespace().chain(["--json"]).collect();
    let mut child = place
        .command(&words)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let found = lines
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
        .any(|line| line["event"] == "step");
    assert!(found);
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = place.result("train p --resume latest");
    let whole = place.result(TRAIN);
    assert_ne!(resumed["run"], whole["run"]);
    assert_eq!(
        resumed["depth_decision"]["head-suffices"]["images"], 180,
        "{resumed}"
    );
    assert_eq!(resumed["depth_decision"], whole["depth_decision"]);
    let weights = |result| fs::read(run_dir(&place, result).join("weights.safetensors")).unwrap();
    assert!(weights(&resumed) == weights(&whole), "other weights");
}
