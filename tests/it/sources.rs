//! `salamander sources`: the sources of the project's frames, and changing the class of a source.

use serde_json::Value;

use crate::cli_program::Place;

fn source<'a>(listed: &'a Value, name: &str) -> &'a Value {
    let mut sources = listed["sources"].as_array().unwrap().iter();
    sources.find(|source| source["name"] == name).unwrap()
}

#[test]
fn a_source_gets_another_class_with_its_frames() {
    let place = Place::new();
    place.project();
    let listed = place.result("sources p");
    assert_eq!(listed["sources"].as_array().unwrap().len(), 12);
    let of = |listed: &Value| source(listed, "bars-1.mp4").clone();
    let before = of(&listed);
    assert_eq!(
        (&before["class"], &before["frames"]),
        (&"bars".into(), &10.into())
    );
    let id = before["id"].as_str().unwrap().to_owned();

    // A frame that was labelled by hand is not moved.
    let frame = std::fs::read_dir(place.path("p/classes/bars"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name.contains(&id))
        .unwrap();
    place.result(&format!("label p fractal p/classes/bars/{frame}"));
    let changed = place.result(&format!("sources p class {id} moving"));
    assert_eq!(changed["moved"], 9, "{changed}");
    assert_eq!(of(&changed)["class"], "moving");
    assert_eq!(of(&changed)["frames"], 10);
    assert!(place.path(format!("p/classes/fractal/{frame}")).exists());
    let classes = place.result("classes p");
    let counts: Vec<u64> = classes["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|class| class["frames"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [30, 41, 49], "bars, fractal, moving");

    let away = place.result(&format!("sources p class {id} unsorted"));
    assert_eq!(
        (&away["moved"], &of(&away)["class"]),
        (&9.into(), &Value::Null)
    );
    let message = place.failure(&format!("sources p class {id} newt"));
    assert!(message.contains("no class “newt”"), "{message}");
    let message = place.failure("sources p class 00000000 bars");
    assert!(message.contains("no source “00000000”"), "{message}");
}
