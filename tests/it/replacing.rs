//! Frames of videos that replace others or are added between them: interrupted, finished, labelled.

use std::path::PathBuf;

use salamander::jobs::Work;
use salamander::media::{self, ClassFrom, Fate, ImportOptions, ImportOutcome, import};
use salamander::project::{ClassName, Fps, Frame, Label, Project, Sampling};

use super::cancel::cancelled_when;
use super::cli_program::Place;

const FILM: &str = "testsrc2=size=320x240:rate=20,trim=duration=10";

fn options(fps: f64, width: u32, replace: bool) -> ImportOptions {
    ImportOptions {
        sampling: Sampling {
            fps: Fps(fps),
            width_px: Some(width),
            ..Sampling::default()
        },
        replace,
        ..ImportOptions::default()
    }
}

/// A project with the frames of a film at 1 per second, those from 5 s on in the class `late`.
fn labelled(place: &Place) -> (Project, PathBuf) {
    place.video("film.mp4", FILM);
    place.fresh("p");
    let project = place.open("p");
    let film = place.path("film.mp4");
    run(&project, &film, &options(1.0, 64, false), &Work::new());
    let late = ClassName::new("late").unwrap();
    project.add_class(&late).unwrap();
    let paths: Vec<String> = frames(&project)
        .into_iter()
        .filter(|frame| frame.time_secs.unwrap() >= 5.0)
        .map(|frame| frame.path)
        .collect();
    let to = Label::Class(late);
    project.relabel(&paths, &to, &Work::new()).unwrap();
    (project, film)
}

fn run(project: &Project, film: &PathBuf, options: &ImportOptions, work: &Work) -> ImportOutcome {
    import(project, std::slice::from_ref(film), options, work).unwrap()
}

fn frames(project: &Project) -> Vec<Frame> {
    let mut list = project.scan(&Work::new()).unwrap().list;
    list.sort_by(|a, b| a.time_secs.partial_cmp(&b.time_secs).unwrap());
    list
}

fn widths(project: &Project) -> Vec<u32> {
    let width = |frame: &Frame| image::image_dimensions(frame.abs(project)).unwrap().0;
    frames(project).iter().map(width).collect()
}

fn is_late(frame: &Frame) -> bool {
    frame.label.class().is_some_and(|c| c.as_str() == "late")
}

/// The same with a replacement by 20 frames per second that was interrupted.
fn broken_off(place: &Place) -> (Project, PathBuf) {
    let (project, film) = labelled(place);
    let finer = options(20.0, 320, true);
    let work = cancelled_when(|work| {
        let progress = work.progress();
        progress.stage == "Extracting frames" && progress.done >= 3
    });
    let end = import(&project, std::slice::from_ref(&film), &finer, &work);
    assert!(end.is_err(), "it ended before it was cancelled");
    let widths = widths(&project);
    let wide = widths.iter().filter(|width| **width == 320).count();
    assert_eq!(widths.len() - wide, 10);
    assert!((3..200).contains(&wide), "{wide}");
    (project, film)
}

#[test]
fn a_replacement_that_was_broken_off_is_finished_by_a_plain_import() {
    let place = Place::new();
    let (project, film) = broken_off(&place);
    drop(project);
    let project = place.open("p");
    let work = Work::new();
    let outcome = run(&project, &film, &options(20.0, 320, false), &work);
    assert_eq!(widths(&project), [320; 200]);
    // Frames that were written before the interruption have their labels, too.
    for frame in frames(&project) {
        assert_eq!(
            is_late(&frame),
            frame.time_secs.unwrap() > 4.5,
            "{}",
            frame.path
        );
    }
    assert_eq!(project.scan_trash(&work).unwrap().list.len(), 10);
    let warnings = work.take_warnings().join("\n");
    assert!(
        warnings.contains("film.mp4") && warnings.contains("is now finished: 10 frames"),
        "{warnings}"
    );
    let Fate::Imported { note, .. } = &outcome.files[0].fate else {
        panic!("{outcome:?}")
    };
    assert!(note.as_ref().unwrap().contains("in the trash"));

    // Nothing is left: the next import finds everything in order.
    let work = Work::new();
    let outcome = run(&project, &film, &options(20.0, 320, false), &work);
    assert_eq!(outcome.totals().known, 1);
    assert_eq!(work.take_warnings(), Vec::<String>::new());
}

#[test]
fn a_replacement_that_was_broken_off_is_never_left_in_silence() {
    let place = Place::new();
    let (project, film) = broken_off(&place);
    let before = widths(&project);
    // Restored, with another spelling of the range, and in the window.
    let mut part = options(20.0, 320, false);
    part.sampling.from_secs = Some(2.0);
    for options in [options(1.0, 64, false), part] {
        let work = Work::new();
        run(&project, &film, &options, &work);
        let warnings = work.take_warnings().join("\n");
        for told in ["film.mp4", "20 per second", "interrupted", "--replace"] {
            assert!(warnings.contains(told), "{told}: {warnings}");
        }
        assert_eq!(widths(&project), before);
    }
    let work = Work::new();
    let source = project.sources()[0].id.clone();
    media::extract(&project, &source, &work).unwrap();
    let warnings = work.take_warnings().join("\n");
    assert!(
        warnings.contains("film.mp4") && warnings.contains("10 frames"),
        "{warnings}"
    );
    assert_eq!(widths(&project).len(), 210);

    // If requested explicitly it is finished, even with the previous frames.
    let work = Work::new();
    run(&project, &film, &options(1.0, 64, true), &work);
    assert_eq!(widths(&project), [64; 10]);
    for frame in frames(&project) {
        assert_eq!(is_late(&frame), frame.time_secs.unwrap() >= 5.0);
    }
    assert!(!project.sources()[0].replacing);
}

#[test]
fn frames_that_are_added_get_the_class_of_their_neighbours_if_asked() {
    let place = Place::new();
    drop(labelled(&place));
    let project = place.open("p");
    let early = ClassName::new("early").unwrap();
    project.add_class(&early).unwrap();
    let paths: Vec<String> = frames(&project)
        .into_iter()
        .filter(|frame| (1.0..4.0).contains(&frame.time_secs.unwrap()))
        .map(|frame| frame.path)
        .collect();
    let to = Label::Class(early);
    project.relabel(&paths, &to, &Work::new()).unwrap();
    drop(project);

    // Without the flag another rate adds nothing.
    let line = "import p film.mp4 --fps 4 --width 64";
    assert_eq!(place.result(line)["frames"], 0);
    let line = format!("{line} --like-neighbours");
    assert_eq!(place.result(&line)["frames"], 30);
    let project = place.open("p");
    let all = frames(&project);
    assert_eq!(all.len(), 40);
    for frame in all {
        let class = match frame.time_secs.unwrap() {
            1.0..=3.0 => Some("early"),
            5.0..=9.0 => Some("late"),
            // Before and after all labelled ones, and between two classes.
            _ => None,
        };
        assert_eq!(
            frame.label.class().map(ClassName::as_str),
            class,
            "{}",
            frame.path
        );
    }
    assert_eq!(project.scan_trash(&Work::new()).unwrap().list, []);
    drop(project);

    // Another width: frames at the same times have the same labels, unsorted ones too.
    let line = "import p film.mp4 --fps 4 --width 32 --like-neighbours";
    let lines = place.json(line);
    let note = lines.iter().find(|line| line["event"] == "file").unwrap();
    let text = note["text"].as_str().unwrap();
    assert!(text.contains("neighbours in time"), "{text}");
    let labels = |width: u32| -> Vec<Label> {
        let project = place.open("p");
        let widths = widths(&project);
        let both = frames(&project).into_iter().zip(widths);
        both.filter(|(_, has)| *has == width)
            .map(|(frame, _)| frame.label)
            .collect()
    };
    assert_eq!(labels(32).len(), 40);
    assert_eq!(labels(32), labels(64));

    let both = place.line("import p film.mp4 --replace --like-neighbours");
    assert_eq!(both.code, Some(2));
}

#[test]
fn a_range_beyond_the_film_fails_and_replaces_nothing() {
    let place = Place::new();
    let (project, film) = labelled(&place);
    let before = (frames(&project), project.sources());
    for (from, to, told) in [
        (100.0, Some(200.0), "between 1:40 and 3:20"),
        (60.0, None, "after 1:00"),
    ] {
        for replace in [false, true] {
            let mut beyond = options(2.0, 320, replace);
            (beyond.sampling.from_secs, beyond.sampling.to_secs) = (Some(from), to);
            if !replace {
                beyond.sampling = Sampling {
                    from_secs: Some(from),
                    to_secs: to,
                    ..before.1[0].sampling
                };
            }
            let work = Work::new();
            let outcome = run(&project, &film, &beyond, &work);
            let Fate::Failed(sentence) = &outcome.files[0].fate else {
                panic!("{outcome:?}")
            };
            let expected = format!("is 0:10 long; there is nothing {told}");
            assert!(sentence.contains(&expected), "{sentence}");
            assert!(!work.take_warnings().join("\n").contains("damaged"));
            assert_eq!((frames(&project), project.sources()), before);
        }
    }

    // If it is new, it leaves neither a source nor a class.
    place.fresh("new");
    let project = place.open("new");
    let mut beyond = options(2.0, 320, false);
    beyond.sampling.from_secs = Some(100.0);
    beyond.class_from = ClassFrom::Chosen(ClassName::new("a").unwrap());
    let outcome = run(&project, &film, &beyond, &Work::new());
    assert!(outcome.is_empty_handed(), "{outcome:?}");
    assert!(project.sources().is_empty() && project.classes().is_empty());
}

/// The time of each frame, and its brightness.
fn brightness(project: &Project) -> Vec<(f64, f64)> {
    let shown = |frame: &Frame| {
        let image = image::open(frame.abs(project)).unwrap().to_luma8();
        f64::from(image.get_pixel(16, 16)[0])
    };
    let list = frames(project);
    let times = list.iter().map(|frame| frame.time_secs.unwrap());
    times.zip(list.iter().map(shown)).collect()
}

#[test]
fn frames_replaced_back_and_forth_are_always_all_there() {
    let place = Place::new();
    let (project, film) = labelled(&place);
    let work = Work::new();
    for (fps, width, count) in [
        (1.0, 100, 10),
        (1.0, 64, 10),
        (0.5, 64, 5),
        (1.0, 64, 10),
        (2.0, 32, 20),
        (1.0, 64, 10),
    ] {
        let before = frames(&project).len();
        let in_trash = project.scan_trash(&work).unwrap().list.len();
        run(&project, &film, &options(fps, width, true), &work);
        assert_eq!(widths(&project), vec![width; count], "{fps} {width}");
        let now = project.scan_trash(&work).unwrap().list.len();
        assert_eq!(now, in_trash + before, "{fps} {width}");
        for frame in frames(&project) {
            let secs = frame.time_secs.unwrap();
            // Within the resolution of the coarsest sampling.
            if (secs - 5.0).abs() > 1.5 {
                assert_eq!(is_late(&frame), secs > 5.0, "{fps} {width} {}", frame.path);
            }
        }
        // Once more there is nothing to do.
        let after = frames(&project);
        let outcome = run(&project, &film, &options(fps, width, true), &work);
        assert_eq!(outcome.totals().known, 1, "{outcome:?}");
        assert_eq!(frames(&project), after);
    }
}

#[test]
fn a_replacement_at_another_rate_has_the_images_of_that_rate() {
    let place = Place::new();
    // Increasing brightness, at a rate that no sampling divides.
    let bright = "color=black:size=64x64:rate=30,trim=duration=8,geq=lum='16+2*N/3':cb=128:cr=128";
    place.video("film.mp4", bright);
    let film = place.path("film.mp4");
    place.fresh("p");
    place.fresh("clean");
    let (project, clean) = (place.open("p"), place.open("clean"));
    let work = Work::new();
    run(&project, &film, &options(2.0, 64, false), &work);
    let coarse = brightness(&project);
    run(&project, &film, &options(4.0, 64, true), &work);
    run(&clean, &film, &options(4.0, 64, false), &work);
    let fine = brightness(&clean);
    // At another rate the frame at the same time is another image.
    assert!(coarse.iter().any(|frame| !fine.contains(frame)));
    assert_eq!(brightness(&project), fine);
}

#[test]
fn the_same_film_twice_in_one_import_is_extracted_once() {
    let place = Place::new();
    place.video("films/a.mp4", FILM);
    for copy in ["films/b.mp4", "films/c.mp4"] {
        std::fs::copy(place.path("films/a.mp4"), place.path(copy)).unwrap();
    }
    place.fresh("p");
    let project = place.open("p");
    let films = place.path("films");
    for (fps, width, replace) in [(1.0, 64, false), (1.0, 32, true), (2.0, 32, true)] {
        let options = options(fps, width, replace);
        let outcome = run(&project, &films, &options, &Work::new());
        let totals = outcome.totals();
        let expected = (1, 2, (10.0 * fps) as u64);
        assert_eq!(
            (totals.videos, totals.known, totals.frames),
            expected,
            "{outcome:?}"
        );
        assert!(outcome.files[1].fate.text().contains("a.mp4"));
        assert_eq!(frames(&project).len() as u64, totals.frames);
    }
}

/// The text output of a command.
fn message(place: &Place, line: &str) -> String {
    let ran = place.line(line);
    assert_eq!(ran.code, Some(0), "{line}: {}{}", ran.stdout, ran.stderr);
    ran.stdout + &ran.stderr
}

#[test]
fn conflicts_moves_and_the_trash_are_told_whatever_else_happens() {
    let place = Place::new();
    place.video("film.mp4", FILM);
    place.fresh("p");
    place.result("import p film.mp4 --class dog --fps 1 --width 64");

    // Another class and other frames at the same time.
    let lines = place.json("import p film.mp4 --class other --fps 1 --width 32 --replace");
    let file = super::cli_program::events(&lines, "file")[0].clone();
    let result = lines.last().unwrap();
    assert_eq!(
        (&file["fate"], &file["class"]),
        (&"imported".into(), &"dog".into())
    );
    assert_eq!(
        (&file["asked_class"], &file["moved"]),
        (&"other".into(), &false.into())
    );
    assert_eq!(
        (&file["replaced"], &result["replaced"]),
        (&10.into(), &10.into())
    );
    assert_eq!(
        (&result["conflicts"], &result["moved"]),
        (&1.into(), &0.into())
    );
    let text = message(
        &place,
        "import p film.mp4 --class other --fps 2 --width 32 --replace",
    );
    for words in [
        "10 frames of an earlier extraction moved to the trash",
        "1 of them under another class (move them with --on-conflict move)",
        "not “other”",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let line = "import p film.mp4 --class other --fps 1 --width 64 --replace --on-conflict move";
    let text = message(&place, line);
    assert!(
        text.contains("1 of them moved") && !text.contains("under another"),
        "{text}"
    );

    // Moved, and nothing else.
    let line = "import p film.mp4 --class dog --fps 1 --width 64 --on-conflict move";
    let text = message(&place, line);
    assert!(
        text.contains("1 of them moved") && !text.contains("under another"),
        "{text}"
    );

    // Images in the trash are no conflict.
    image::RgbImage::new(8, 8)
        .save(place.path("photo.png"))
        .unwrap();
    place.result("import p photo.png --class dog");
    let project = place.open("p");
    let list = project.scan(&Work::new()).unwrap().list;
    let photo = list.iter().find(|frame| frame.time_secs.is_none()).unwrap();
    project
        .trash(std::slice::from_ref(&photo.path), &Work::new())
        .unwrap();
    drop(project);
    let result = place.result("import p photo.png --class other");
    assert_eq!(
        (&result["conflicts"], &result["trashed"]),
        (&0.into(), &1.into())
    );
    let text = message(&place, "import p photo.png --class other");
    let words = "1 of them in the trash (salamander trash p --restore)";
    assert!(
        text.contains(words) && !text.contains("under another"),
        "{text}"
    );
}
