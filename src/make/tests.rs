#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use image::RgbImage;

use crate::backbone::Depth;
use crate::export::verify_bundle;

use super::*;

/// Noise photos of one colour for each class, in the given number.
fn photos(root: &Path, classes: &[(&str, u32)]) {
    for (at, (class, count)) in classes.iter().enumerate() {
        std::fs::create_dir_all(root.join(class)).unwrap();
        for number in 0..*count {
            let image = RgbImage::from_fn(96, 96, |x, y| {
                let noise = (x / 12 * 7919 + y / 12 * 104_729 + number * 31_337)
                    .wrapping_mul(2_654_435_761);
                let mut pixel = [(noise >> 25) as u8; 3];
                pixel[at % 3] = pixel[at % 3].saturating_add(100);
                image::Rgb(pixel)
            });
            image
                .save(root.join(class).join(format!("{number}.png")))
                .unwrap();
        }
    }
}

fn order(paths: &[PathBuf], out: &Path) -> MakeOrder {
    let mut order = MakeOrder::new(paths.to_vec(), out.to_owned());
    order.settings.architecture = "efficientnet-lite0@96".parse().unwrap();
    order.settings.how_many_training_steps = 60;
    order.settings.fine_tune.depth = Depth::Head;
    order.settings.fine_tune.automatic = false;
    order.formats = vec![Format::ONNX];
    order
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_folder_of_photos_becomes_a_proved_model_and_again_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let films = dir.path().join("colours");
    photos(&films, &[("red", 40), ("green", 40)]);
    let out = dir.path().join("out");
    let mut order = order(std::slice::from_ref(&films), &out);
    let live = LiveMake::default();
    let made = make(&order, &live, &Work::new()).unwrap();
    assert_eq!(live.phase(), Some(MakePhase::Export));
    assert_eq!(names(&out), ["make.json", "model", "project"]);
    assert_eq!(made.import.totals().images, 80);
    assert_eq!(made.evaluation.split, Split::Test);
    assert!(made.evaluation.confusion.accuracy().unwrap() > 0.9);
    assert_eq!(made.export.place, out.join("model"));
    assert_eq!(made.export.card.project, "colours");
    let verified = verify_bundle(&out.join("model"), &Work::new()).unwrap();
    assert!(verified.problems.is_empty());

    // Again, as an archive: nothing is imported or trained a second time.
    order.bundle = Bundle::Zip;
    let again = make(&order, &LiveMake::default(), &Work::new()).unwrap();
    assert_eq!(again.run, made.run);
    assert_eq!(again.import.totals().images, 0);
    assert_eq!(again.evaluation, made.evaluation);
    assert!(
        verify_bundle(&again.export.place, &Work::new())
            .unwrap()
            .problems
            .is_empty()
    );
    let project = Project::open_for_reading(&out.join("project")).unwrap();
    assert_eq!(find_runs(&project).unwrap().runs.len(), 1);
    drop(project);

    // With more photos it trains again.
    photos(&films, &[("red", 40), ("green", 50)]);
    let more = make(&order, &LiveMake::default(), &Work::new()).unwrap();
    assert_ne!(more.run, made.run);
    assert_eq!(more.import.totals().images, 10);
}

#[test]
fn what_cannot_become_a_model_is_told_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name);
    photos(&place("one"), &[("red", 8)]);
    photos(&place("few"), &[("red", 8), ("green", 3)]);
    photos(&place("flat"), &[("", 8)]);
    std::fs::create_dir(place("empty")).unwrap();
    std::fs::write(place("file"), "text").unwrap();
    photos(&place("two"), &[("red", 8), ("green", 8)]);
    let told = |path: &str, out: &str| {
        let order = order(&[place(path)], &place(out));
        make(&order, &LiveMake::default(), &Work::new())
            .unwrap_err()
            .to_string()
    };
    for (path, expected) in [
        ("one", "only the class “"),
        ("few", "“green” has only 3 images"),
        ("flat", "needs at least two"),
        ("empty", "no videos or photos"),
        ("nowhere", "does not exist"),
    ] {
        let text = told(path, "out");
        assert!(text.contains(expected), "{path}: {text}");
        assert!(!place("out").exists(), "{path}");
    }
    assert!(told("two", "two/out").contains("choose a folder elsewhere"));
    assert!(told("two", "file").contains("is a file"));
    // A project that the user made.
    std::fs::create_dir(place("own")).unwrap();
    drop(Project::create(&place("own/project"), "mine").unwrap());
    assert!(told("two", "own").contains("was not made by this command"));
    assert_eq!(names(&place("own")), ["project"]);
}
