//! Full disks. Mounting a small one needs root; otherwise these tests are skipped with a message.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli_faults::assert_sentence;
use crate::cli_program::Place;

/// A file system of one megabyte, unmounted at the end. `None` if mounting is not allowed.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: std::path::PathBuf) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "salamander-test"])
            .arg(&at)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg(&self.0).status();
        assert!(unmounted.unwrap().success());
    }
}

#[test]
fn a_disk_that_fills_up_while_extracting() {
    let place = Place::new();
    let Some(_disk) = SmallDisk::mount(place.path("disk")) else {
        eprintln!("SKIPPED: a full disk is not tested, because mounting a small one needs root");
        return;
    };
    place.video("small.mp4", "smptebars=size=64x48:rate=10,trim=duration=1");
    // A Mandelbrot image does not compress: about 20 kB per frame.
    place.video("big.mp4", "mandelbrot=size=320x240:rate=30,trim=duration=8");
    assert_eq!(place.line("new disk/p").code, Some(0));
    place.result("import disk/p small.mp4 --class small --fps 5");
    let line = "import disk/p big.mp4 --class big --fps 30 --width original";
    assert_sentence(&place.failure(line), &["full", "big-"]);

    // The project is intact: everything confirmed is there, no frame is half written.
    let counted = place.result("classes disk/p");
    assert_eq!(counted["classes"][0]["name"], "small");
    assert_eq!(counted["classes"][0]["frames"], 5);
    for entry in fs::read_dir(place.path("disk/p/classes/big")).unwrap() {
        let path = entry.unwrap().path();
        assert!(image::open(&path).is_ok(), "{}", path.display());
    }
}

/// Fills the disk completely.
fn fill(disk: &Path) {
    let mut file = fs::File::create(disk.join("filling")).unwrap();
    let block = [0; 4096];
    while file.write_all(&block).is_ok() {}
    assert!(fs::write(disk.join("one more"), block).is_err());
}

/// Writes a pending change into `project.json`.
fn begin(project: &Path, pending: Value) {
    let path = project.join("project.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json["pending"] = pending;
    fs::write(&path, json.to_string()).unwrap();
}

/// The names of all files and folders of a project except its trash.
fn names(project: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![project.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("trash") {
                folders.push(path.clone());
            }
            found.push(path.display().to_string());
        }
    }
    found.sort();
    found
}

#[test]
fn a_full_disk_does_not_lock_the_project() {
    let begun = [
        Value::Null,
        json!({"rename_class": {"from": "cat", "to": "lynx"}}),
        json!({"remove_class": "cat"}),
        json!({"merge_class": {"from": "cat", "into": "dog"}}),
    ];
    for (number, pending) in begun.into_iter().enumerate() {
        let place = Place::new();
        let Some(_disk) = SmallDisk::mount(place.path("disk")) else {
            eprintln!(
                "SKIPPED: a full disk is not tested, because mounting a small one needs root"
            );
            return;
        };
        assert_eq!(place.line("new disk/p").code, Some(0));
        assert_eq!(place.line("classes disk/p add cat dog").code, Some(0));
        let project = place.path("disk/p");
        let image = image::RgbImage::from_pixel(64, 64, image::Rgb([9, 200, 30]));
        image.save(project.join("classes/cat/one.png")).unwrap();
        fs::create_dir_all(project.join("trash/unsorted")).unwrap();
        fs::write(project.join("trash/unsorted/old.jpg"), vec![7; 100_000]).unwrap();
        if !pending.is_null() {
            begin(&project, pending.clone());
        }
        fill(&place.path("disk"));

        let listed = place.line("classes disk/p");
        assert_eq!(listed.code, Some(0), "{pending}: {}", listed.stderr);
        assert!(
            listed.stdout.contains("dog"),
            "{pending}: {}",
            listed.stdout
        );
        let waits = listed.stderr.contains("disk is full") && listed.stderr.contains("trash");
        assert_eq!(waits, !pending.is_null(), "{pending}: {}", listed.stderr);
        let before = names(&project);
        let message = place.failure("classes disk/p add fox");
        assert_sentence(&message, &["project.json"]);
        assert_eq!(names(&project), before, "{pending}");

        let emptied = place.line("trash disk/p --empty");
        assert_eq!(emptied.code, Some(0), "{pending}: {}", emptied.stderr);
        place.result("classes disk/p add fox");
        let classes = place.result("classes disk/p");
        let classes: Vec<&str> = classes["classes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|class| class["name"].as_str().unwrap())
            .collect();
        let expected: &[&[&str]] = &[
            &["cat", "dog", "fox"],
            &["lynx", "dog", "fox"],
            &["dog", "fox"],
            &["dog", "fox"],
        ];
        assert_eq!(classes, expected[number], "{pending}");
        let text = fs::read_to_string(project.join("project.json")).unwrap();
        assert!(!text.contains("pending"), "{text}");
        assert_eq!(
            fs::read_dir(project.join("classes")).unwrap().count(),
            classes.len()
        );
    }
}

#[test]
fn a_damaged_project_opens_on_a_full_disk() {
    let place = Place::new();
    let Some(_disk) = SmallDisk::mount(place.path("disk")) else {
        eprintln!("SKIPPED: a full disk is not tested, because mounting a small one needs root");
        return;
    };
    assert_eq!(place.line("new disk/p").code, Some(0));
    assert_eq!(place.line("classes disk/p add cat dog").code, Some(0));
    let project = place.path("disk/p");
    fs::create_dir_all(project.join("trash/unsorted")).unwrap();
    fs::write(project.join("trash/unsorted/old.jpg"), vec![7; 100_000]).unwrap();
    fs::write(project.join("project.json"), "{").unwrap();
    fill(&place.path("disk"));
    let emptied = place.line("trash disk/p --empty");
    assert_eq!(emptied.code, Some(0), "{}", emptied.stderr);
    assert!(emptied.stderr.contains("damaged"), "{}", emptied.stderr);
    place.result("classes disk/p add fox");
    assert!(project.join("project.json.damaged").exists());
}

#[test]
fn a_part_that_finds_no_room_is_made_once_there_is_some() {
    let place = Place::new();
    let Some(_disk) = SmallDisk::mount(place.path("disk")) else {
        eprintln!("SKIPPED: a full disk is not tested, because mounting a small one needs root");
        return;
    };
    place.video("big.mp4", "mandelbrot=size=320x240:rate=30,trim=duration=1");
    place.result("new p");
    place.result("shards p big.mp4 --out l.jsonl --fps 15 --no-bottlenecks");
    place.result("work --shard l.jsonl:1 --out elsewhere");
    let line = "work --shard l.jsonl:1 --out disk/parts";
    let disk = place.path("disk");
    for room in [0, 30_000, 150_000] {
        fill(&disk);
        let filling = disk.join("filling");
        let length = fs::metadata(&filling).unwrap().len();
        fs::File::options()
            .write(true)
            .open(&filling)
            .unwrap()
            .set_len(length - room.min(length))
            .unwrap();
        let sentence = place.failure(line);
        assert!(
            sentence.contains("space") || sentence.contains("full"),
            "{room}: {sentence}"
        );
        assert!(!disk.join("parts/part-000001").exists(), "{room}");
        fs::remove_file(filling).unwrap();
        fs::remove_file(disk.join("one more")).ok();
    }
    place.result(line);
    for name in ["manifest.json", "frames.jsonl", "frames.pack"] {
        let file = |out: &str| fs::read(place.path(out).join("part-000001").join(name)).unwrap();
        assert!(file("disk/parts") == file("elsewhere"), "{name}");
    }
    assert_eq!(place.result("merge p disk/parts")["frames"], 15);

    // What the project has needs no room.
    place.result("new disk/p");
    assert_eq!(place.result("merge disk/p disk/parts")["frames"], 15);
    fill(&disk);
    let filling = fs::File::options().write(true).open(disk.join("filling"));
    let filling = filling.unwrap();
    let length = filling.metadata().unwrap().len();
    filling.set_len(length - 40_000).unwrap();
    assert_eq!(place.result("merge disk/p disk/parts")["known"], 1);
    place.result("new disk/q");
    let sentence = place.failure("merge disk/q disk/parts");
    assert!(sentence.contains("--force"), "{sentence}");
}
