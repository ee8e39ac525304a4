//! The measurements of `evaluate` on request, by the program.

use serde_json::Value;

use crate::cli_program::{Place, Ran, ffmpeg};

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

    // The same result from the cache.
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

    // The threshold is kept until the run is extended.
    let kept_at = place.result("evaluate p --unknown-at 10");
    assert_eq!(
        kept_at["calibration"]["unknown"],
        kept_at["unknown"]["chosen"]
    );
    let threshold = number(&kept_at["unknown"]["chosen"]["threshold"]);
    let exported = place.result("export p --format onnx --out model");
    same(
        number(&exported["certificate"]["models"][0]["top1_agreement"]),
        1.0,
    );
    let recipe = std::fs::read(place.path("model/preprocess.json")).unwrap();
    let recipe: Value = serde_json::from_slice(&recipe).unwrap();
    assert!((number(&recipe["unknown_below"]) - threshold).abs() < 1e-6);
    let card = std::fs::read_to_string(place.path("model/MODEL_CARD.md")).unwrap();
    assert!(
        card.contains("`unknown_below`") && card.contains("calibrated"),
        "{card}"
    );
    let golden = std::fs::read_dir(place.path("model/golden")).unwrap();
    let image = golden
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.extension()
                .is_some_and(|kind| kind == "png" || kind == "jpg")
        })
        .unwrap();
    let image = image.display();
    for model in [format!("p/runs/{run}"), "model".to_owned()] {
        let message = |more: &str| -> Value {
            let lines = place.json(&format!("predict {model} {image}{more}"));
            let found = lines.iter().find(|line| line["event"] == "prediction");
            found.unwrap()["unknown"].clone()
        };
        assert!(message("").is_boolean());
        assert_eq!(message(" --unknown 100"), true);
        assert_eq!(message(" --unknown 0"), false);
    }
    let compared = place.result("evaluate p --compare latest");
    let compared = &compared["comparison"];
    same(number(&compared["p_value"]), 1.0);
    same(number(&compared["counts"]["first_only"]), 0.0);
    assert!(
        compared["sentence"]
            .as_str()
            .unwrap()
            .contains("does not show")
    );

    let report = place.result("report p --out page.html");
    let page = std::fs::read_to_string(place.path("page.html")).unwrap();
    assert_eq!(report["bytes"], page.len());
    for part in [
        "Confusion matrix",
        "Calibration",
        "Images of unknown classes",
        "Leak meter",
        "Cross-validation",
        "How it was trained",
        "<polyline",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // Nothing is loaded from elsewhere, and no script runs.
    assert!(
        !page.contains("http") && !page.contains("<script"),
        "{page}"
    );
    // A report is replaced, another file is not.
    place.result("report p --out page.html --quick");
    std::fs::write(place.path("diary.html"), "mine").unwrap();
    let message = place.failure("report p --out diary.html");
    assert!(
        message.contains("diary.html") && message.contains("another name"),
        "{message}"
    );
    assert_eq!(
        std::fs::read_to_string(place.path("diary.html")).unwrap(),
        "mine"
    );

    let before = temperature(&kept);
    place.result(&format!(
        "train p --resume {run} --how-many-training-steps 400"
    ));
    let after = place.result("evaluate p");
    assert_eq!(after["calibration"]["unknown"], Value::Null);
    assert!((number(&after["calibration"]["temperature"]) - before).abs() > 1e-9);
}

#[test]
fn mistakes_have_their_nearest_training_images_and_frames_their_time_of_day() {
    let place = Place::new();
    place.videos();
    // Recorded from one second before six o'clock.
    for class in ["bars", "moving", "fractal"] {
        for number in 0..4 {
            let film = place.path(format!("videos/{class}/{class}-{number}.mp4"));
            let from = place.path("from.mp4");
            std::fs::rename(&film, &from).unwrap();
            let time = "creation_time=2024-05-01T05:59:59Z";
            let [from, film] = [&from, &film].map(|path| path.to_str().unwrap());
            ffmpeg(&["-i", from, "-c", "copy", "-metadata", time, film]);
        }
    }
    assert_eq!(place.line("new p").code, Some(0));
    place.result("import p videos --class-from folder --fps 5 --width 160");
    let sources = std::fs::read_to_string(place.path("p/project.json")).unwrap();
    assert!(sources.contains("\"2024-05-01T05:59:59Z\""), "{sources}");
    let line = "train p --depth head --how-many-training-steps 80 --testing-percentage 30";
    let run = place.result(line)["run"].as_str().unwrap().to_owned();

    // A frame of the test set gets a wrong label.
    let frames = place.path(format!("p/runs/{run}/frames.jsonl"));
    let frames = std::fs::read_to_string(frames).unwrap();
    let mut frames = frames
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let tested = frames
        .find(|frame| {
            let path = frame["path"].as_str().unwrap();
            frame["split"] == "test" && path.starts_with("classes/moving/")
        })
        .unwrap();
    let from = tested["path"].as_str().unwrap();
    let to = from.replace("classes/moving/", "classes/fractal/");
    std::fs::rename(place.path("p").join(from), place.path("p").join(&to)).unwrap();

    let found = place.result("evaluate p --mistakes");
    let mistakes = found["mistakes"].as_array().unwrap();
    assert_eq!(mistakes[0]["path"], to);
    assert_eq!(mistakes[0]["class"], "fractal");
    assert_eq!(mistakes[0]["predicted"], "moving");
    let nearest = mistakes[0]["nearest"].as_array().unwrap();
    assert_eq!(nearest.len(), 6);
    let mut last = 1.0;
    for near in nearest {
        assert_eq!(near["class"], "moving");
        assert!(near["source"].as_str().unwrap().starts_with("moving-"));
        let similarity = number(&near["similarity"]);
        assert!((0.5..=last).contains(&similarity), "{nearest:?}");
        last = similarity;
    }
    let message = mistakes[0]["finding"].as_str().unwrap();
    assert!(
        message.contains("“moving”") && message.contains("may be wrong"),
        "{message}"
    );
    let text = place.line("evaluate p --mistakes").stdout;
    assert!(
        text.contains(&format!("{to}: “fractal” taken for “moving”")),
        "{text}"
    );
    assert_eq!(place.result("evaluate p").get("mistakes"), None);

    let mut command = place.command(&["evaluate", "p", "--quality", "--json"]);
    let ran = Ran::of(&command.env("TZ", "UTC").output().unwrap());
    let result = ran.json().pop().unwrap();
    let times = result["quality"]["time_of_day"].as_array().unwrap();
    let told: Vec<(&str, f64)> = times
        .iter()
        .map(|of| (of["part"].as_str().unwrap(), number(&of["frames"])))
        .collect();
    // Of two seconds at five frames per second, five are in each part.
    let half = number(&result["frames"]) / 2.0;
    assert_eq!(told, [("night", half), ("morning", half)]);
}
