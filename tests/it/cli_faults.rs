//! Bad input and faults: each is reported in one clear sentence, and nothing is lost.

use std::fs;
use std::path::Path;

use salamander::project::Project;

use crate::cli_program::{Place, events, ffmpeg};
use crate::projects::{of_images, without_hashes};

/// A sentence for users: it begins and ends like one, and has no internals of the program.
pub fn assert_sentence(text: &str, must_contain: &[&str]) {
    for part in must_contain {
        assert!(text.contains(part), "“{part}” is not in: {text}");
    }
    for inside in ["Error {", "Err(", "os error 2)\n", "src/", "unwrap"] {
        assert!(!text.contains(inside), "{text}");
    }
    assert!(text.len() < 600, "{text}");
}

fn frames(project: &Path) -> usize {
    ["classes", "unsorted"]
        .iter()
        .map(|dir| files_below(&project.join(dir)))
        .sum()
}

fn files_below(dir: &Path) -> usize {
    fs::read_dir(dir).map_or(0, |entries| {
        entries
            .map(|entry| entry.unwrap().path())
            .map(|path| if path.is_dir() { files_below(&path) } else { 1 })
            .sum()
    })
}

#[test]
fn files_that_are_no_videos() {
    let place = Place::new();
    assert_eq!(place.line("new p").code, Some(0));
    fs::write(
        place.path("notes.mp4"),
        "this is a shopping list, not a video\n",
    )
    .unwrap();
    fs::write(place.path("empty.mp4"), "").unwrap();
    let song = place.path("song.mp4");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "sine=duration=1",
        "-c:a",
        "aac",
        song.to_str().unwrap(),
    ]);
    for (file, saying) in [
        ("notes.mp4", "notes.mp4"),
        ("empty.mp4", "empty"),
        ("song.mp4", "song.mp4"),
        ("gone.mp4", "gone.mp4"),
    ] {
        let ran = place.line(&format!("import p {file} --json"));
        assert_sentence(&ran.failure(file), &[]);
        let lines = ran.json();
        assert_eq!(lines.last().unwrap()["event"], "error");
        let message: Vec<&str> = lines
            .iter()
            .filter_map(|line| line["message"].as_str())
            .collect();
        assert!(
            message.iter().any(|text| text.contains(saying)),
            "{message:?}"
        );
        for text in message {
            assert_sentence(text, &[]);
        }
    }
    assert_eq!(frames(&place.path("p")), 0);

    // Next to a good file they are skipped, each with a message.
    place.video("good.mp4", "testsrc2=size=64x48:rate=10,trim=duration=1");
    let lines = place.json("import p good.mp4 notes.mp4 empty.mp4 song.mp4 --fps 5");
    let result = lines.last().unwrap();
    assert_eq!(result["frames"], 5, "{result}");
    assert_eq!(result["skipped"], 3, "{result}");
    assert_eq!(events(&lines, "warning").len(), 3, "{lines:?}");
}

#[test]
fn a_truncated_video_gives_what_it_has_and_one_warning() {
    let place = Place::new();
    let whole = place.path("whole.mpg");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=160x120:rate=25,trim=duration=4",
        "-c:v",
        "mpeg1video",
        "-f",
        "mpeg",
        whole.to_str().unwrap(),
    ]);
    let bytes = fs::read(&whole).unwrap();
    let mut broken = bytes[..bytes.len() * 3 / 4].to_vec();
    let middle = broken.len() / 2;
    for byte in &mut broken[middle..middle + 4000] {
        *byte = 0x55;
    }
    fs::write(place.path("broken.mpg"), broken).unwrap();
    assert_eq!(place.line("new p").code, Some(0));
    let lines = place.json("import p broken.mpg --fps 5");
    let frames = lines.last().unwrap()["frames"].as_u64().unwrap();
    assert!((4..20).contains(&frames), "{frames}");
    let warnings = events(&lines, "warning");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_sentence(warnings[0]["message"].as_str().unwrap(), &["broken.mpg"]);
}

#[test]
fn classes_that_a_file_system_would_confuse() {
    let place = Place::new();
    place.video("a.mp4", "testsrc2=size=64x48:rate=10,trim=duration=1");
    assert_eq!(place.line("new p").code, Some(0));
    place.result("import p a.mp4 --class Cat --fps 5");
    for line in [
        "classes p add cat",
        "classes p add Dog dog",
        "classes p add a/b",
        "classes p add con",
        "classes p rename gone gone",
    ] {
        assert_sentence(&place.failure(line), &[]);
    }
    let sentence = place.failure("classes p add CAT");
    assert_sentence(&sentence, &["CAT", "Cat"]);
    let counted = place.result("classes p");
    assert_eq!(counted["classes"][0]["name"], "Cat");
    assert_eq!(counted["classes"][0]["frames"], 5);
}

#[test]
fn classes_are_added_all_or_none() {
    let place = Place::new();
    assert_eq!(place.line("new p").code, Some(0));
    place.result("classes p add bird");
    let folders = || {
        let entries = fs::read_dir(place.path("p/classes")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    for (line, says) in [
        ("classes p add Cat cat", ["“Cat”", "“cat”"]),
        // The same name in composed and decomposed letters.
        ("classes p add fox é e\u{301}", ["“é”", "“e\u{301}”"]),
        ("classes p add dog cow dog", ["“dog”", "no class was added"]),
        ("classes p add dog BIRD", ["“bird”", "“BIRD”"]),
        ("classes p add dog nul", ["“nul”", "Windows"]),
    ] {
        assert_sentence(&place.failure(line), &says);
        assert_eq!(folders(), ["bird"], "{line}");
        let counted = place.result("classes p");
        assert_eq!(counted["classes"].as_array().unwrap().len(), 1, "{line}");
    }
    // A file instead of the second folder: the first is removed again.
    fs::write(place.path("p/classes/cow"), "").unwrap();
    place.failure("classes p add dog cow");
    assert_eq!(folders(), ["bird", "cow"]);
    fs::remove_file(place.path("p/classes/cow")).unwrap();
    let added = place.result("classes p add dog cow");
    assert_eq!(added["classes"][1]["name"], "dog");
    assert_eq!(added["classes"][2]["name"], "cow");
}

#[test]
fn a_project_is_no_model_but_has_some() {
    let place = Place::new();
    drop(of_images(&place.path("p"), &[("cat", 12), ("dog", 12)]));
    let line = "predict p p/classes/cat/0.png";
    let told = place.failure(line);
    assert_sentence(
        &told,
        &["“p” is a project", "export or of a run", "none yet"],
    );
    let train =
        "train p --depth head --architecture efficientnet-lite0@96 --how-many-training-steps 20";
    let trained = place.result(train);
    let run = format!("p/runs/{}", trained["run"].as_str().unwrap());
    let told = place.failure(line);
    assert_sentence(&told, &["“p” is a project", &format!("newest is “{run}”")]);
    // An unfinished run is not a model.
    let other = place.path("p/runs/2099-01-01_unfinished_1");
    fs::create_dir(&other).unwrap();
    fs::copy(place.path(&run).join("run.json"), other.join("run.json")).unwrap();
    without_hashes(&other);
    let text = fs::read_to_string(other.join("run.json")).unwrap();
    let text = text.replace("\"finished\"", "\"unfinished\"");
    fs::write(other.join("run.json"), text).unwrap();
    assert_eq!(place.failure(line), told);
    let exported = place.result("export p");
    let file = Path::new(exported["files"][0]["path"].as_str().unwrap());
    let name = file.parent().unwrap().file_name().unwrap();
    let name = name.to_str().unwrap();
    let told = place.failure(line);
    assert_sentence(&told, &[&format!("newest is “p/exports/{name}”")]);
    assert_eq!(
        place
            .line(&format!("predict p/exports/{name} p/classes/cat/0.png"))
            .code,
        Some(0)
    );
}

#[test]
fn too_little_to_train_on() {
    let place = Place::new();
    place.video("a.mp4", "testsrc2=size=64x48:rate=10,trim=duration=1");
    place.video("b.mp4", "smptebars=size=64x48:rate=10,trim=duration=1");
    assert_eq!(place.line("new p").code, Some(0));
    assert_sentence(&place.failure("train p"), &["no labelled images"]);

    place.result("import p a.mp4 --fps 5");
    assert_sentence(&place.failure("train p"), &["class"]);

    place.result("classes p add one");
    place.result("label p one p/unsorted");
    assert_sentence(&place.failure("train p"), &["two classes"]);

    // One frame cannot be used for both training and testing.
    place.result("import p b.mp4 --class two --fps 1");
    let ran = place.line("train p --depth head --how-many-training-steps 5");
    let message = format!("{}{}", ran.stdout, ran.stderr);
    assert!(message.contains("two"), "{message}");
    assert_eq!(frames(&place.path("p")), 6);
}

#[test]
fn projects_that_cannot_be_opened() {
    let place = Place::new();
    assert_sentence(&place.failure("classes nowhere"), &["nowhere"]);
    fs::create_dir(place.path("folder")).unwrap();
    fs::write(place.path("folder/letter.txt"), "x").unwrap();
    assert_sentence(&place.failure("classes folder"), &["folder"]);
    assert_sentence(&place.failure("new folder"), &["folder"]);

    assert_eq!(place.line("new p").code, Some(0));
    {
        let _holds_the_lock = Project::open(&place.path("p")).unwrap();
        assert_sentence(&place.failure("classes p add cat"), &["open"]);
    }
    assert_eq!(place.line("classes p").code, Some(0));

    let file = place.path("p/project.json");
    let text = fs::read_to_string(&file).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let key = ["schema", "schema_version", "version"]
        .into_iter()
        .find(|key| json[*key].is_u64())
        .expect("project.json has a schema version");
    json[key] = 9999.into();
    let newer = json.to_string();
    fs::write(&file, &newer).unwrap();
    assert_sentence(&place.failure("classes p"), &["newer"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), newer, "left as it was");

    fs::write(&file, &text[..text.len() / 2]).unwrap();
    assert_sentence(&place.failure("classes p"), &["project.json"]);
}

#[test]
fn a_model_that_is_missing_or_altered() {
    let place = Place::new();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let models = place.path("models");
    fs::create_dir(&models).unwrap();
    let run = |line: &str| {
        let mut command = place.command(&line.split(' ').collect::<Vec<_>>());
        command.env("SALAMANDER_MODELS", &models);
        crate::cli_program::Ran::of(&command.output().unwrap())
    };
    fs::create_dir(place.path("pictures")).unwrap();
    image::RgbImage::new(64, 64)
        .save(place.path("pictures/black.png"))
        .unwrap();
    let line = "features pictures --out f.safetensors";

    assert_sentence(&run(line).failure(line), &["is missing"]);
    assert!(!place.path("f.safetensors").exists());

    for entry in fs::read_dir(shipped).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "onnx")
        {
            fs::copy(&path, models.join(path.file_name().unwrap())).unwrap();
        }
    }
    assert_eq!(run(line).code, Some(0));

    let lite0 = fs::read_dir(&models)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("lite0"))
        .unwrap();
    let mut bytes = fs::read(&lite0).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&lite0, bytes).unwrap();
    assert_sentence(&run(line).failure(line), &["lite0"]);
    let doctor = run("doctor --json");
    assert_eq!(doctor.code, Some(1));
    let lines = doctor.json();
    let result = lines.iter().find(|line| line["event"] == "result").unwrap();
    assert_eq!(result["ok"], false);
    assert_eq!(result["problems"].as_array().unwrap().len(), 1, "{result}");
}

#[test]
fn onnx_runtime_that_is_missing() {
    let place = Place::new();
    place.video("a.mp4", "testsrc2=size=64x48:rate=10,trim=duration=1");
    assert_eq!(place.line("new p").code, Some(0));
    let run = |line: &str| {
        let mut command = place.command(&line.split(' ').collect::<Vec<_>>());
        command.env("ORT_DYLIB_PATH", place.path("no-such-library.so"));
        crate::cli_program::Ran::of(&command.output().unwrap())
    };
    // Features that do not need it still work.
    let imported = run("import p a.mp4 --class a --fps 5");
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    for line in ["features p --out f.safetensors", "doctor"] {
        assert_sentence(&run(line).failure(line), &[]);
    }
    let line = "features p --out f.safetensors";
    assert_sentence(&run(line).failure(line), &["ONNX Runtime", "setup.sh"]);
    assert!(run("doctor").stdout.contains("ORT_DYLIB_PATH"));
}

/// The part of ONNX Runtime that returns its version; here one that is too old.
const OLD_RUNTIME: &str = r#"
use std::ffi::{c_char, c_void};
#[repr(C)]
pub struct Base {
    get_api: extern "system" fn(u32) -> *const c_void,
    version: extern "system" fn() -> *const c_char,
}
extern "system" fn get_api(_: u32) -> *const c_void {
    std::ptr::null()
}
extern "system" fn version() -> *const c_char {
    c"1.10.0".as_ptr()
}
static BASE: Base = Base { get_api, version };
#[unsafe(no_mangle)]
pub extern "system" fn OrtGetApiBase() -> *const Base {
    &BASE
}
"#;

#[test]
fn onnx_runtime_that_is_too_old() {
    let place = Place::new();
    fs::write(place.path("old.rs"), OLD_RUNTIME).unwrap();
    let library = place.path("libonnxruntime.so");
    let built = std::process::Command::new("rustc")
        .args(["--edition", "2024", "--crate-type", "cdylib", "-o"])
        .args([&library, &place.path("old.rs")])
        .status()
        .unwrap();
    assert!(built.success());
    let mut command = place.command(&["doctor"]);
    let ran = command.env("ORT_DYLIB_PATH", &library).output().unwrap();
    let ran = crate::cli_program::Ran::of(&ran);
    assert_sentence(&ran.failure("doctor"), &[]);
    for part in [
        library.to_str().unwrap(),
        "is version 1.10.0",
        "or newer is needed",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    // If it is indispensable, the sentence is the same.
    place.video("v/a/a.mp4", "testsrc2=size=64x48:rate=10,trim=duration=1");
    assert_eq!(place.line("new p").code, Some(0));
    assert_eq!(place.line("import p v --class-from folder").code, Some(0));
    let mut command = place.command(&["features", "p", "--out", "f.safetensors"]);
    let ran = command.env("ORT_DYLIB_PATH", &library).output().unwrap();
    let sentence = crate::cli_program::Ran::of(&ran).failure("features");
    assert_sentence(&sentence, &["is version 1.10.0", "or newer is needed"]);
}

#[test]
fn a_film_that_ends_early_or_gives_nothing_says_so() {
    let place = Place::new();
    assert_eq!(place.line("new p").code, Some(0));
    place.video("whole.avi", "testsrc2=size=160x120:rate=10,trim=duration=8");
    let whole = fs::read(place.path("whole.avi")).unwrap();
    fs::write(place.path("cut.avi"), &whole[..whole.len() / 2]).unwrap();
    let cut = place.line("import p cut.avi");
    assert_eq!(cut.code, Some(0), "{}", cut.stderr);
    assert!(
        cut.stderr.contains("“cut.avi” is damaged after 0:0"),
        "{}",
        cut.stderr
    );
    // A header, and less than a frame.
    let nothing = b"YUV4MPEG2 W64 H48 F10:1 Ip A1:1 C420\nFRAME\nshort";
    fs::write(place.path("none.y4m"), nothing).unwrap();
    let none = place.line("import p none.y4m");
    assert_eq!(none.code, Some(1), "{}", none.stdout);
    let message = none.stderr.lines().last().unwrap();
    assert!(
        message.contains("nothing was imported") && message.contains("none.y4m"),
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn a_folder_without_permission() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    assert_eq!(place.line("new p").code, Some(0));
    fs::create_dir(place.path("secret")).unwrap();
    fs::set_permissions(place.path("secret"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(place.path("secret")).is_ok() {
        eprintln!("SKIPPED: permissions are not tested, because root may read everything");
        return;
    }
    assert_sentence(&place.failure("import p secret"), &[]);
    assert_sentence(&place.failure("new secret/q"), &["secret"]);
    fs::set_permissions(place.path("secret"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn what_is_mended_and_what_is_not_there_is_told() {
    let place = Place::new();
    assert_eq!(place.line("new p").code, Some(0));
    place.result("classes p add Cat");
    let damage = || fs::write(place.path("p/project.json"), "{").unwrap();
    damage();
    let lines = place.json("classes p");
    let told = events(&lines, "warning");
    assert_eq!(told.len(), 1, "{lines:?}");
    assert_sentence(told[0]["message"].as_str().unwrap(), &["was damaged"]);
    damage();
    let ran = place.line("classes p");
    assert_eq!(ran.code, Some(0));
    assert!(
        ran.stderr.contains("warning: project.json"),
        "{}",
        ran.stderr
    );

    assert_sentence(
        &place.failure("classes nowhere"),
        &["there is no such folder"],
    );

    // The suggested command can be pasted.
    place.result("classes p add 猫");
    let told = place.failure("classes p rename 猫 cat");
    assert_sentence(&told, &["`salamander classes p merge 猫 Cat`"]);
    place.result("classes p merge 猫 Cat");
}

#[test]
fn very_many_frames_are_written_only_when_that_is_agreed_to() {
    let place = Place::new();
    place.video(
        "long.mp4",
        "smptebars=size=160x120:rate=10,trim=duration=100",
    );
    assert_eq!(place.line("new p").code, Some(0));
    let refused = place.failure("import p long.mp4 --fps 240 --class red");
    assert!(refused.contains("about 24,000 frames"), "{refused}");
    assert!(refused.contains("--force"), "{refused}");
    let json = std::fs::read_to_string(place.path("p/project.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["sources"], serde_json::json!([]));
    assert!(!place.path("p/classes/red").exists());
    // Fewer frames need no consent; with consent, all are written.
    let done = place.result("import p long.mp4 --fps 240 --to 0.5 --class red --force");
    assert_eq!(done["frames"], 120);
}
