//! `shards`, `work` and `merge`: parts from several computers give the same as one computer would, or one sentence
//! says what is missing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli_program::{Place, Ran};
use crate::kill::{contents, kill_moments};

/// The options for both ways.
pub const TAKING: &str = "--class-from folder --fps 5 --width 160";

/// Makes a list of the videos in shards of two films each, with cheap bottlenecks. Returns the number of shards.
pub fn list(place: &Place, more: &str) -> usize {
    place.result("new q");
    let line = format!("shards q videos --out l.jsonl --size 0.06 {TAKING}{more}");
    let result = place.result(&line);
    result["shards"].as_u64().unwrap() as usize
}

/// Makes all parts of the list.
fn make_all(place: &Place, shards: usize) {
    for shard in 1..=shards {
        let made = place.result(&format!("work --shard l.jsonl:{shard} --out parts"));
        assert_eq!(made["already"], false);
    }
}

pub fn classes(place: &Place, project: &str) -> BTreeMap<String, Vec<u8>> {
    contents(&place.path(project).join("classes"))
}

/// The values of the bottlenecks of all frames, by path.
pub fn features(place: &Place, project: &str, all_cached: bool) -> Vec<u8> {
    let line =
        format!("features {project} --out {project}.st --architecture efficientnet-lite0@96");
    let result = place.result(&line);
    assert_eq!(
        result["from_cache"] == result["frames"],
        all_cached,
        "{result}"
    );
    let bytes = fs::read(place.path(format!("{project}.st"))).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..].to_vec()
}

pub const ARCHITECTURE: &str = " --architecture efficientnet-lite0@96";

#[test]
fn a_merged_project_is_the_one_that_an_import_makes() {
    let place = Place::new();
    place.videos();
    place.result("new p");
    place.result(&format!("import p videos {TAKING}"));
    let expected = classes(&place, "p");
    let rows = features(&place, "p", false);
    let shards = list(&place, ARCHITECTURE);
    assert_eq!(shards, 6);
    make_all(&place, shards);

    // First with one missing, then with all, then once more.
    fs::rename(place.path("parts/part-000002"), place.path("elsewhere")).unwrap();
    let ran = place.line("merge q parts --json");
    let sentence = ran.failure("merge");
    assert!(
        sentence.contains("1 of 6 parts are missing (shard 2)"),
        "{sentence}"
    );
    assert_eq!(classes(&place, "q").len(), expected.len() * 10 / 12);
    fs::rename(place.path("elsewhere"), place.path("parts/part-000002")).unwrap();
    let merged = place.result("merge q parts");
    assert_eq!(
        (&merged["parts"], &merged["of"]),
        (&Value::from(6), &Value::from(6))
    );
    assert!(merged["rows"].as_u64() > Some(0), "{merged}");
    assert_eq!(place.result("merge q parts")["rows"], 0);

    assert_eq!(classes(&place, "q"), expected);
    assert_eq!(features(&place, "q", true), rows);
    let weights = |project: &str| {
        let line =
            format!("train {project} --depth head{ARCHITECTURE} --how-many-training-steps 20");
        let run = place.result(&line)["run"].as_str().unwrap().to_owned();
        fs::read(
            place
                .path(project)
                .join("runs")
                .join(run)
                .join("weights.safetensors"),
        )
        .unwrap()
    };
    assert!(weights("p") == weights("q"), "the weights differ");
    // An existing part is not made again.
    let again = place.result("work --shard l.jsonl:3 --out parts");
    assert_eq!(
        (&again["already"], &again["frames"]),
        (&Value::from(true), &Value::from(20))
    );
}

#[test]
fn films_that_the_project_has_are_not_listed_again() {
    let place = Place::new();
    place.videos();
    place.result("new p");
    let line = format!("shards p videos --out l.jsonl {TAKING}");
    let films = place.result(&line)["films"].as_u64().unwrap();
    place.result(&format!("import p videos {TAKING}"));
    fs::write(place.path("videos/notes.txt"), "two films of bars").unwrap();
    let all = place.line(&line);
    let sentence = all.failure(&line);
    assert!(sentence.contains("already in the project"), "{sentence}");
    let passed_over = "1 file skipped: neither image nor video: text";
    assert!(all.stderr.contains(passed_over), "{}", all.stderr);
    // One that was changed under its name, and one more.
    fs::copy(
        place.path("videos/moving/moving-0.mp4"),
        place.path("videos/bars/bars-0.mp4"),
    )
    .unwrap();
    place.video(
        "videos/bars/new.mp4",
        "testsrc2=size=320x240:rate=10:duration=1",
    );
    let listed = place.result(&line);
    assert_eq!(
        (&listed["films"], &listed["known"]),
        (&Value::from(2), &Value::from(films - 1))
    );
    assert_eq!(
        (&listed["left_out"], &listed["passed_over"]),
        (&Value::from(1), &serde_json::json!([passed_over]))
    );
    // With another sampling they count as others.
    let other = line.replace("--fps 5", "--fps 2");
    assert_eq!(place.result(&other)["known"], 0);
    // For their bottlenecks they are listed.
    assert_eq!(place.result(&format!("{line}{ARCHITECTURE}"))["known"], 0);
}

#[test]
fn activations_in_parts_are_those_that_a_training_reads() {
    let place = Place::new();
    place.videos();
    place.result("new p");
    place.result(&format!("import p videos {TAKING}"));
    let refused = place.line(&format!(
        "shards p videos --out l.jsonl --set learning_rate=1 {TAKING}"
    ));
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("does not affect activations"),
        "{}",
        refused.stderr
    );
    let settings = " --set depth=last-1 --set views=2 --set seed=3";
    let shards = list(&place, &format!("{ARCHITECTURE}{settings}"));
    make_all(&place, shards);
    let part = contents(&place.path("parts/part-000003"));
    // Killed after some of its rows, and made again: the same bytes.
    fs::remove_dir_all(place.path("parts/part-000003")).unwrap();
    place.result("work --shard l.jsonl:3 --out parts --threads 1");
    assert!(contents(&place.path("parts/part-000003")) == part);
    place.result("merge q parts");
    let activations = |project: &str| contents(&place.path(project).join("cache/activations"));
    let rows = |project: &str| -> usize {
        let files = activations(project).into_iter();
        let rows =
            files.filter(|(name, _)| Path::new(name).extension().is_some_and(|end| end == "rows"));
        rows.map(|(_, bytes)| bytes.len()).sum()
    };
    let merged = activations("q");
    // A training reads only these activations, and none is computed again.
    let weights = |project: &str| {
        let line = format!(
            "train {project} --depth last-1 --views 2 --seed 3{ARCHITECTURE} --how-many-training-steps 20 --fine-tune-steps 5"
        );
        let run = place.result(&line)["run"].as_str().unwrap().to_owned();
        let run = place.path(project).join("runs").join(run);
        ["weights.safetensors", "backbone.safetensors"]
            .map(|name| fs::read(run.join(name)).unwrap())
    };
    let trained = weights("q");
    assert!(activations("q") == merged, "activations were computed");
    assert!(trained == weights("p"), "the weights differ");
    assert!(rows("p") <= rows("q") && rows("p") > 0);
}

#[test]
fn parts_need_no_project_and_their_films_may_lie_elsewhere() {
    let place = Place::new();
    place.videos();
    let shards = list(&place, " --no-bottlenecks");
    fs::remove_dir_all(place.path("q")).unwrap();
    fs::rename(place.path("videos"), place.path("staged 猫")).unwrap();
    let missing = place.failure("work --shard l.jsonl:1 --out parts");
    assert!(missing.contains("bars-0.mp4"), "{missing}");
    let moved = format!(
        "{}={}",
        place.path("videos").display(),
        place.path("staged 猫").display()
    );
    for shard in 1..=shards {
        let shard = format!("l.jsonl:{shard}");
        let ran = place.run(&[
            "work",
            "--shard",
            &shard,
            "--out",
            "parts",
            "--moved",
            &moved,
            "--threads",
            "1",
        ]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    // Another film instead of a listed one.
    fs::remove_dir_all(place.path("parts/part-000001")).unwrap();
    fs::copy(
        place.path("staged 猫/moving/moving-0.mp4"),
        place.path("staged 猫/bars/bars-0.mp4"),
    )
    .unwrap();
    let ran = place.run(&[
        "work",
        "--shard",
        "l.jsonl:1",
        "--out",
        "parts",
        "--moved",
        &moved,
    ]);
    let other = ran.failure("work");
    assert!(other.contains("is not the file that"), "{other}");
    // Without the films, the merged project has the content of the parts.
    fs::remove_dir_all(place.path("staged 猫")).unwrap();
    place.result("new q");
    let sentence = place.failure("merge q parts");
    assert!(sentence.contains("(shard 1)"), "{sentence}");
    assert_eq!(classes(&place, "q").len(), 100);
}

#[test]
fn photos_come_in_bundles_and_stay_one_source() {
    let place = Place::new();
    let dir = place.path("photos/cat");
    fs::create_dir_all(&dir).unwrap();
    for number in 0..7_u8 {
        let image = image::RgbImage::from_fn(64, 48, |x, y| {
            image::Rgb([number * 30, (x * 3) as u8, (y * 5) as u8])
        });
        image.save(dir.join(format!("{number}.png"))).unwrap();
    }
    fs::write(
        dir.join("8.jpg"),
        b"no image at all, whatever its name says",
    )
    .unwrap();
    fs::write(
        dir.join("9.png"),
        &fs::read(dir.join("1.png")).unwrap()[..200],
    )
    .unwrap();
    place.result("new q");
    let listed = place
        .result("shards q photos --out l.jsonl --size 0.03 --class-from folder --no-bottlenecks");
    assert_eq!(
        (&listed["shards"], &listed["photos"]),
        (&Value::from(3), &Value::from(8))
    );
    make_all(&place, 3);
    fs::rename(place.path("parts/part-000001"), place.path("first")).unwrap();
    place.failure("merge q parts");
    fs::rename(place.path("first"), place.path("parts/part-000001")).unwrap();
    let merged = place.result("merge q parts");
    assert_eq!(
        (&merged["images"], &merged["failed"]),
        (&Value::from(3), &Value::from(1))
    );
    let images: Vec<Vec<u8>> = classes(&place, "q").into_values().collect();
    assert_eq!(images.len(), 7);
    for number in 0..7 {
        assert!(images.contains(&fs::read(dir.join(format!("{number}.png"))).unwrap()));
    }
    let sources = place.result("sources q");
    assert_eq!(sources["sources"].as_array().unwrap().len(), 1, "{sources}");
}

/// Merges `dirs` into a new project; returns its output, and its classes.
fn merged(place: &Place, dirs: &str) -> (Ran, BTreeMap<String, Vec<u8>>) {
    fs::remove_dir_all(place.path("q")).unwrap();
    place.result("new q");
    let ran = place.line(&format!("merge q {dirs}"));
    (ran, classes(place, "q"))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at.min(bytes.len() - 1);
    bytes[at] ^= 0x20;
    fs::write(path, bytes).unwrap();
}

#[test]
fn damaged_copied_and_foreign_parts_are_named_or_make_no_difference() {
    let place = Place::new();
    place.videos();
    let path = place.path("videos/bars/bars-0.mp4");
    fs::write(&path, &fs::read(&path).unwrap()[..100]).unwrap();
    let shards = list(&place, ARCHITECTURE);
    make_all(&place, shards);
    let (ran, whole) = merged(&place, "parts");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(whole.len(), 110, "all but the damaged film");

    // A part twice, in another folder too.
    fs::create_dir(place.path("copies")).unwrap();
    let shell = |line: &str| {
        let status = std::process::Command::new("sh")
            .args(["-c", line])
            .current_dir(place.path(""))
            .status();
        assert!(status.unwrap().success(), "{line}");
    };
    shell("cp -r parts/part-000003 parts/shards.jsonl copies");
    let (ran, again) = merged(&place, "copies parts");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(again == whole);

    // Each file of a part, with one bit changed.
    let part = place.path("parts/part-000003");
    let keys: Vec<PathBuf> = fs::read_dir(part.join("cache/bottlenecks"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "keys")
        })
        .collect();
    let files = [
        part.join("manifest.json"),
        part.join("frames.jsonl"),
        part.join("frames.pack"),
        keys[0].clone(),
    ];
    for file in files {
        let before = fs::read(&file).unwrap();
        for at in [10, before.len() / 2, before.len() - 9] {
            flip(&file, at);
            let (ran, found) = merged(&place, "parts");
            fs::write(&file, &before).unwrap();
            let names_it = ran.stderr.contains("part-000003");
            assert!(
                names_it,
                "{} at {at}: {}{}",
                file.display(),
                ran.stdout,
                ran.stderr
            );
            assert!(
                found
                    .iter()
                    .all(|(name, bytes)| whole.get(name) == Some(bytes)),
                "{at}"
            );
        }
    }
    // A damaged row is computed again.
    let rows = keys[0].with_extension("rows");
    flip(&rows, 4000);
    let (ran, found) = merged(&place, "parts");
    assert!(ran.code == Some(0) && found == whole, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("1 rows of the parts' caches"),
        "{}",
        ran.stderr
    );
    flip(&rows, 4000);

    // Of other settings.
    place.result("new r");
    place.result(&format!(
        "shards r videos --out m.jsonl --size 0.06 {TAKING} --to 1 --no-bottlenecks"
    ));
    let refused = place.failure("work --shard m.jsonl:1 --out parts");
    assert!(refused.contains("a different list"), "{refused}");
    place.result("work --shard m.jsonl:1 --out others");
    let refused = merged(&place, "parts others").0.failure("merge");
    assert!(refused.contains("a different list"), "{refused}");
    shell("rm -r parts/part-000001 && cp -r others/part-000001 parts");
    let (ran, _) = merged(&place, "parts");
    assert!(
        ran.stderr.contains("is a part of a different list"),
        "{}",
        ran.stderr
    );
    // Of another version.
    let text = fs::read_to_string(place.path("l.jsonl")).unwrap();
    let text = text.replacen("\"onnxruntime\":\"", "\"onnxruntime\":\"9", 1);
    fs::write(place.path("n.jsonl"), text).unwrap();
    let refused = place.failure("work --shard n.jsonl:1 --out fresh");
    assert!(
        refused.contains("was made with ONNX Runtime 9"),
        "{refused}"
    );
}

#[test]
fn a_killed_worker_leaves_a_part_that_the_next_one_ends() {
    let place = Place::new();
    place.videos();
    list(&place, ARCHITECTURE);
    let line = "work --shard l.jsonl:4 --out parts";
    let start = std::time::Instant::now();
    place.result(line);
    let length = start.elapsed();
    let whole = contents(&place.path("parts/part-000004"));
    let mut hits = 0;
    let hit = kill_moments(&place, line, length, |_| {
        let part = place.path("parts/part-000004");
        if part.exists() {
            assert!(contents(&part) == whole);
        }
        place.result(line);
        for (name, bytes) in contents(&part) {
            assert!(whole.get(&name) == Some(&bytes), "{name} differs");
        }
        assert_eq!(
            fs::read_dir(place.path("parts")).unwrap().count(),
            2,
            "something is left over"
        );
        fs::remove_dir_all(part).unwrap();
        hits += 1;
    });
    assert!(hit * 4 >= hits, "only {hit} of {hits} kills hit");
}
