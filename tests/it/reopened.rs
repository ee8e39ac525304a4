//! A project of the previous version: it opens, its runs can be continued, and nothing is lost or computed again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::projects::runs;
use salamander::backbone::{Fit, bottlenecks};
use salamander::evaluate::evaluate;
use salamander::export::{Format, export};
use salamander::jobs::Work;
use salamander::project::{ClassId, ClassName, Project, Split};
use salamander::train::{EvalSpacing, LiveCurves, Run, RunState, resume};

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The size of all rows and keys in the cache of bottlenecks: recomputed rows would be added.
fn rows(project: &Project) -> Vec<(PathBuf, u64)> {
    let folder = project.cache_dir().join("bottlenecks");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|end| end == "rows" || end == "keys")
        })
        .map(|path| {
            let bytes = fs::metadata(&path).unwrap().len();
            (path, bytes)
        })
        .collect();
    files.sort();
    files
}

fn test_accuracy(project: &Project, run: &Run) -> Option<f32> {
    let found = evaluate(project, run, Split::Test, &Work::new()).unwrap();
    assert_eq!(found.classes, run.classes);
    assert_eq!((found.relabelled, found.changed, found.missing), (0, 0, 0));
    assert!(found.notes.is_empty());
    found.confusion.accuracy()
}

#[test]
fn a_project_of_the_version_before_goes_on() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/project-before");
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("moved elsewhere");
    copy_folder(&fixture, &root);
    let project = Project::open(&root).unwrap();
    assert_eq!(project.take_notices(), Vec::<String>::new());
    let names: Vec<String> = project
        .classes()
        .iter()
        .map(|c| c.name.to_string())
        .collect();
    assert_eq!(names, ["cat", "coffee", "rocket"]);
    for class in project.classes() {
        assert_eq!(class.id, ClassId::of_name(class.name.as_str()));
    }
    let work = Work::new();
    let frames = project.scan(&work).unwrap().list;
    let jpegs = |folder: &str| fs::read_dir(fixture.join(folder)).unwrap().count();
    let classes = ["classes/cat", "classes/coffee", "classes/rocket"];
    let labelled: usize = classes.iter().map(|class| jpegs(class)).sum();
    assert_eq!(frames.len(), labelled + jpegs("unsorted"));
    assert!(frames.iter().all(|frame| frame.source.is_some()));

    let before = rows(&project);
    let architecture = "efficientnet-lite0@224".parse().unwrap();
    let preprocessing =
        salamander::backbone::Architecture::preprocessing(&architecture, Fit::CenterCrop).unwrap();
    let files: Vec<PathBuf> = frames
        .iter()
        .filter(|frame| frame.label.class().is_some())
        .map(|frame| frame.abs(&project))
        .collect();
    let cache = project.cache_dir();
    let table = bottlenecks(
        &files,
        &architecture,
        &preprocessing,
        None,
        Some(&cache),
        &work,
    );
    assert_eq!(table.unwrap().from_cache, files.len());

    let all = runs(&project);
    let [interrupted, finished] = all.as_slice() else {
        panic!("two runs")
    };
    assert_eq!(finished.state, RunState::Finished);
    assert_eq!(interrupted.state, RunState::Unfinished);
    for run in &all {
        // A run is resumed with its original settings.
        assert_eq!(run.settings.eval_spacing, EvalSpacing::Exact);
        assert!(
            run.frames()
                .unwrap()
                .iter()
                .all(|frame| frame.content.is_none())
        );
    }
    let measured = finished.result().unwrap().test_accuracy;
    assert!(measured.is_some());
    assert_eq!(test_accuracy(&project, finished), measured);
    let out = dir.path().join("out");
    let files = export(&project, finished, &Format::ONNX.into(), &out, &work)
        .unwrap()
        .files;
    assert_eq!(files[0].top1_agreement, Some(1.0));
    assert_eq!(
        fs::read_to_string(out.join("labels.txt")).unwrap(),
        "cat\ncoffee\nrocket\n"
    );

    // The finished run is extended; the interrupted one continues from its checkpoint.
    let done = finished.result().unwrap().steps;
    let goes_on = |run: &Run, steps: u32| {
        let run = resume(
            &project,
            &run.id,
            Some(steps),
            &LiveCurves::default(),
            &Work::new(),
        )
        .unwrap();
        assert_eq!(run.result().unwrap().steps, steps);
        run
    };
    let extended = goes_on(finished, done + 20);
    assert_eq!(extended.curves().unwrap().len() as u32, (done + 20) / 10);
    let last = interrupted.curves().unwrap().last().unwrap().step;
    // Its checkpoint may be slightly later than the last point of its curves.
    let ended = goes_on(interrupted, last + 1000);
    assert_eq!(
        test_accuracy(&project, &ended),
        ended.result().unwrap().test_accuracy
    );

    // Its runs follow a class that is renamed now.
    let name = |text: &str| ClassName::new(text).unwrap();
    project.rename_class(&name("cat"), &name("Katze")).unwrap();
    let found = evaluate(&project, &extended, Split::Test, &work).unwrap();
    assert_eq!(found.classes, ["Katze", "coffee", "rocket"]);
    assert_eq!(found.missing, 0);
    assert_eq!(rows(&project), before, "nothing was computed anew");
    assert_eq!(work.take_warnings(), Vec::<String>::new());
}
