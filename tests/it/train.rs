//! Training on a real project: real images, real backbone, real files.

use std::fs;

use salamander::backbone::Augmentation;
use salamander::jobs::Work;
use salamander::project::{Project, Split};
use salamander::train::{
    LiveCurves, Optimizer, Run, RunState, Schedule, TrainError, TrainSettings, remove_run, resume,
    train,
};

use super::cancel::cancelled_when;
use super::projects::{change_tensors, of_images, runs};

fn settings(steps: u32) -> TrainSettings {
    let mut settings = TrainSettings {
        architecture: "efficientnet-lite0@128".parse().unwrap(),
        how_many_training_steps: steps,
        ..TrainSettings::default()
    };
    settings.head.learn.batch_size = 20;
    settings.head.learn.optimizer = Optimizer::Adam;
    settings.split.validation_percentage = 20;
    settings.split.testing_percentage = 20;
    settings
}

fn trained(project: &Project, settings: &TrainSettings) -> Run {
    train(project, settings, &LiveCurves::default(), &Work::new()).unwrap()
}

#[test]
fn a_run_keeps_everything_and_can_be_extended() {
    let dir = tempfile::tempdir().unwrap();
    let project = of_images(
        &dir.path().join("p"),
        &[("röd", 30), ("grün", 30), ("blue", 30)],
    );
    let curves = LiveCurves::default();
    let work = Work::new();
    let run = train(&project, &settings(60), &curves, &work).unwrap();
    assert_eq!(run.state, RunState::Finished);
    assert_eq!(run.classes, ["röd", "grün", "blue"]);
    let result = run.result().cloned().unwrap();
    assert_eq!(result.steps, 60);
    assert!(result.validation_accuracy.unwrap() > 0.8, "{result:?}");
    assert!(result.test_accuracy.unwrap() > 0.8, "{result:?}");
    assert_eq!(curves.since([0, 0]).1, run.curves().unwrap());
    assert_eq!(run.curves().unwrap().len(), 6);
    assert_eq!(curves.best().unwrap().step, result.best_step);

    let frames = run.frames().unwrap();
    assert!(frames.len() >= 85, "{}", frames.len());
    for split in [Split::Train, Split::Validation, Split::Test] {
        assert!(frames.iter().any(|frame| frame.split == split));
    }
    let head = run.head().unwrap();
    assert_eq!((head.w.len(), head.b.len()), (1280 * 3, 3));

    assert_eq!(runs(&project), std::slice::from_ref(&run));
    for name in ["train", "validation"] {
        let files = fs::read_dir(run.dir.join(name)).unwrap().count();
        assert_eq!(files, 1, "event files of {name}");
    }

    // Extended: the same steps again and more. The run is the same one.
    let extended = resume(&project, &run.id, Some(100), &curves, &work).unwrap();
    assert_eq!(extended.id, run.id);
    assert_eq!(extended.result().unwrap().steps, 100);
    assert_eq!(extended.curves().unwrap().len(), 10);
    let whole = trained(&project, &settings(100));
    assert_ne!(whole.id, run.id, "a run is never overwritten");
    assert_eq!(whole.head().unwrap(), extended.head().unwrap());
    let listed: Vec<_> = runs(&project).into_iter().map(|run| run.id).collect();
    assert_eq!(listed, [whole.id.clone(), run.id.clone()], "newest first");

    // NaN stays NaN: a diverged run is recognised, and is not changed.
    let checkpoint = run.dir.join("checkpoint.safetensors");
    change_tensors(&checkpoint, |_, values| {
        *values.last_mut().unwrap() = f32::NAN;
    });
    let refused = resume(&project, &run.id, Some(200), &curves, &work);
    assert!(
        matches!(refused, Err(TrainError::DivergedRun(_))),
        "{refused:?}"
    );
    assert_eq!(Run::open(&run.dir).unwrap(), extended);

    remove_run(&project, &whole.id).unwrap();
    assert_eq!(runs(&project).len(), 1);
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_weights() {
    let dir = tempfile::tempdir().unwrap();
    let project = of_images(&dir.path().join("p"), &[("a", 30), ("b", 30)]);
    let settings = settings(4000);
    let whole = trained(&project, &settings);

    // Cancelled in the middle of the steps.
    let curves = LiveCurves::default();
    let watched = curves.clone();
    let work = cancelled_when(move |_| watched.since([0, 0]).1.len() >= 20);
    let cut = train(&project, &settings, &curves, &work);
    assert!(matches!(cut, Err(TrainError::Cancelled(_))), "{cut:?}");
    let cut = runs(&project).remove(0);
    assert_eq!(cut.state, RunState::Unfinished);
    assert!(matches!(cut.head(), Err(TrainError::Unfinished(_))));

    // The state after a kill: points after the last checkpoint, the last of them truncated.
    let path = cut.dir.join("curves.jsonl");
    let mut text = fs::read_to_string(&path).unwrap();
    let last = text.lines().last().unwrap().to_owned();
    let mut beyond: serde_json::Value = serde_json::from_str(&last).unwrap();
    beyond["step"] = 3999.into();
    text = format!("{text}{beyond}\n{}", &last[..last.len() / 2]);
    fs::write(&path, text).unwrap();

    let resumed = resume(&project, &cut.id, None, &curves, &Work::new()).unwrap();
    assert_eq!(resumed.state, RunState::Finished);
    assert_eq!(resumed.head().unwrap(), whole.head().unwrap());
    let steps = |run: &Run| -> Vec<_> {
        let points = run.curves().unwrap();
        points
            .iter()
            .map(|point| (point.step, point.validation_cross_entropy))
            .collect()
    };
    assert_eq!(steps(&resumed), steps(&whole));
}

#[test]
fn what_cannot_be_trained_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let empty = of_images(&dir.path().join("1"), &[("a", 0), ("b", 0)]);
    let error = |project: &Project| {
        train(project, &settings(10), &LiveCurves::default(), &Work::new()).unwrap_err()
    };
    assert!(matches!(error(&empty), TrainError::NoFrames));
    let single = of_images(&dir.path().join("2"), &[("a", 12), ("b", 0)]);
    let message = error(&single).to_string();
    assert!(
        message.contains("two classes") && message.contains("“a”"),
        "{message}"
    );
    assert!(runs(&single).is_empty(), "nothing half-made is left");

    let mut wrong = settings(0);
    let refused = train(&single, &wrong, &LiveCurves::default(), &Work::new());
    assert!(matches!(refused, Err(TrainError::Setting(_))));
    wrong.how_many_training_steps = 1;
    wrong.head.learn.learning_rate = f32::NAN;
    let refused = train(&single, &wrong, &LiveCurves::default(), &Work::new());
    assert!(matches!(refused, Err(TrainError::Setting(_))));
}

#[test]
fn a_class_with_one_frame_and_a_bad_image_do_not_stop_a_training() {
    let dir = tempfile::tempdir().unwrap();
    let project = of_images(&dir.path().join("p"), &[("a", 20), ("b", 20), ("lone", 1)]);
    fs::write(project.root().join("classes/a/bad.png"), b"no image").unwrap();
    let run = trained(&project, &settings(20));
    let notes = run.all_notes().join("\n");
    assert!(notes.contains("“lone”"), "{notes}");
    assert!(notes.contains("could not be read"), "{notes}");
}

#[test]
fn foreign_and_broken_folders_are_no_runs() {
    let dir = tempfile::tempdir().unwrap();
    let project = of_images(&dir.path().join("p"), &[]);
    let folder = project.runs_dir();
    fs::create_dir_all(folder.join("holiday photos")).unwrap();
    fs::create_dir_all(folder.join("broken")).unwrap();
    fs::write(folder.join("broken/run.json"), b"{").unwrap();
    fs::create_dir_all(folder.join("newer")).unwrap();
    fs::write(folder.join("newer/run.json"), b"{\"format\": 99}").unwrap();
    assert!(runs(&project).is_empty());
    let error = Run::open(&folder.join("broken")).unwrap_err();
    assert!(error.to_string().contains("run.json"), "{error}");
    let error = Run::open(&folder.join("newer")).unwrap_err();
    assert!(matches!(error, TrainError::NewerRun { .. }));
    for name in ["gone", "..", "../p"] {
        let id = salamander::train::RunId(name.into());
        let error = resume(&project, &id, None, &LiveCurves::default(), &Work::new());
        assert!(matches!(error, Err(TrainError::NoSuchRun(_))), "{name}");
    }
}

#[test]
fn a_head_learns_from_augmented_views_that_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let project = of_images(&dir.path().join("p"), &[("röd", 30), ("grün", 30)]);
    let mut of_views = settings(40);
    of_views.fine_tune.views = Some(2);
    of_views.fine_tune.augmentation = Augmentation {
        flip_left_right: true,
        random_rotation: 20,
        random_hue: 10,
        random_blur: 1.0,
        random_cutout: 20,
        ..Augmentation::default()
    };
    let first = trained(&project, &of_views);
    let plain = trained(&project, &settings(40));
    assert_ne!(first.head().unwrap(), plain.head().unwrap());
    let again = trained(&project, &of_views);
    assert_eq!(first.head().unwrap(), again.head().unwrap());
    assert!(first.result().unwrap().test_accuracy.unwrap() > 0.8);
    // The cache returns what was computed.
    fs::remove_dir_all(project.cache_dir()).unwrap();
    let anew = trained(&project, &of_views);
    assert_eq!(anew.head().unwrap(), again.head().unwrap());
}

#[test]
fn a_head_with_all_that_can_be_set_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let project = of_images(&dir.path().join("p"), &[("röd", 30), ("grün", 30)]);
    let mut settings = settings(40);
    settings.head.learn.optimizer = Optimizer::AdamW;
    settings.head.learn.schedule = Schedule::Cosine;
    settings.head.learn.weight_decay = 0.01;
    settings.head.learn.label_smoothing = 0.1;
    settings.head.learn.average_decay = 0.9;
    settings.head.learn.clip_norm = 1.0;
    let run = trained(&project, &settings);
    assert!(run.result().unwrap().test_accuracy.unwrap() > 0.8);
    let curves = LiveCurves::default();
    let extended = resume(&project, &run.id, Some(60), &curves, &Work::new()).unwrap();
    // The rate rises and falls again over the additional steps.
    assert_eq!(extended.settings.head.learn.restarts, [40]);
    let stored = Run::open(&extended.dir).unwrap();
    assert_eq!(stored.settings, extended.settings);
    assert_eq!(stored.result().unwrap().steps, 60);
}

#[test]
fn a_training_that_stopped_early_says_so_and_can_be_trained_further() {
    let dir = tempfile::tempdir().unwrap();
    let project = of_images(&dir.path().join("p"), &[("a", 30), ("b", 30), ("c", 30)]);
    let mut settings = settings(400);
    // So large that the cross-entropy jumps.
    settings.head.learn.learning_rate = 0.3;
    settings.head.learn.early_stopping = 2;
    let run = trained(&project, &settings);
    let result = run.result().cloned().unwrap();
    let step = result.steps;
    assert!(result.stopped_early && step < 400, "{result:?}");
    let message = format!("stopped early at step {step} of 400");
    assert!(
        result.notes.iter().any(|note| note.contains(&message)),
        "{result:?}"
    );
    assert_eq!(run.curves().unwrap().last().unwrap().step, step);

    // It is done; the extension waits again for two evaluations.
    let (curves, work) = (LiveCurves::default(), Work::new());
    let same = resume(&project, &run.id, None, &curves, &work).unwrap();
    assert_eq!(same, run);
    let further = resume(&project, &run.id, Some(400), &curves, &work).unwrap();
    let result = further.result().unwrap();
    assert!(result.steps >= step + 20, "{result:?}");
    // Its settings begin a new run as they began this one.
    let again = trained(&project, &further.settings);
    assert_eq!(again.result().unwrap().steps, step);
}
