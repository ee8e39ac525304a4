//! `salamander heat`: maps as images and as numbers.

use serde_json::Value;

use super::cli_program::Place;

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn heat_maps_are_exact_and_nothing_is_replaced() {
    let place = Place::new();
    place.project();
    for depth in ["head", "last-1"] {
        let trained = place.result(&format!(
            "train p --depth {depth} --how-many-training-steps 20 --testing-percentage 30 --validation-percentage 30"
        ));
        let run = trained["run"].as_str().unwrap();
        for plain in ["", " --plain"] {
            let out = format!("maps-{depth}{}", plain.trim());
            let line =
                format!("--json heat p --run {run} --out {out} --fps 1 --to 1 videos/bars{plain}");
            let ran = place.line(&line);
            assert_eq!(ran.code, Some(0), "{}", ran.stderr);
            let lines = ran.stdout.lines();
            let events: Vec<Value> = lines.map(|l| serde_json::from_str(l).unwrap()).collect();
            let maps: Vec<&Value> = events.iter().filter(|e| e["event"] == "heat").collect();
            assert_eq!(maps.len(), 4, "one frame of each film");
            for map in maps {
                assert_eq!(map["exact"], true);
                let values = numbers(&map["values"]);
                assert_eq!(values.len(), 49);
                let mean = values.iter().sum::<f64>() / 49.0;
                let [bias, logit] = ["bias", "logit"].map(|key| map[key].as_f64().unwrap());
                assert!((mean + bias - logit).abs() < 1e-4, "{mean} {bias} {logit}");
                let png = image::open(place.path(map["out"].as_str().unwrap())).unwrap();
                assert_eq!((png.width(), png.height()), (160, 120));
            }
        }
    }
    whole_films_are_judged(&place);
    let count = || std::fs::read_dir(place.path("maps-head")).unwrap().count();
    assert_eq!(count(), 4);
    let again = place.line("heat p --out maps-head --fps 1 --to 1 videos/bars --class moving");
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(count(), 8, "beside the first ones");
    let unknown = place.line("heat p --out maps-head videos/bars --class tree");
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains("no class “tree”")
            && unknown.stderr.contains("bars, fractal, moving"),
        "{}",
        unknown.stderr
    );
}

/// Verdicts for whole films, accuracy by the folders' names, and the probabilities of all frames.
fn whole_films_are_judged(place: &Place) {
    let run = std::fs::read_dir(place.path("p/runs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let run = run.path();
    let line = format!(
        "--json predict {} videos --fps 2 --timeline all.csv --smooth 1",
        run.display()
    );
    let ran = place.line(&line);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let events: Vec<Value> = ran.json();
    let films: Vec<&Value> = events.iter().filter(|e| e["event"] == "film").collect();
    assert_eq!(films.len(), 12);
    let right = films
        .iter()
        .filter(|film| film["class"] == film["truth"])
        .count();
    let result = events.last().unwrap();
    assert_eq!(result["films"], 12);
    assert_eq!(result["accuracy"]["films"]["files"], 12);
    assert_eq!(result["accuracy"]["films"]["correct"], right);
    assert_eq!(result["accuracy"]["photos"]["files"], 0);
    let text = std::fs::read_to_string(place.path("all.csv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("source,time_secs,bars,fractal,moving"));
    assert_eq!(
        lines.count() as u64,
        result["predictions"].as_u64().unwrap()
    );
    // A file with other content is not replaced.
    std::fs::write(place.path("notes.csv"), "mine").unwrap();
    let refused = place.line(&format!(
        "predict {} videos --timeline notes.csv",
        run.display()
    ));
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("give another name"),
        "{}",
        refused.stderr
    );
}
