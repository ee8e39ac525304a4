//! Sweeps with real networks: what is computed once, which failures end a sweep, which runs are found again.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use image::RgbImage;

use super::*;
use crate::jobs::Work;
use crate::project::Project;
use crate::train::{LiveCurves, Run, TrainSettings, find_runs, remove_run, train};

const IMAGES: u32 = 24;

/// A project with two classes of noise of one colour, with this many images in total.
fn project(dir: &Path) -> Project {
    let project = Project::create(&dir.join("p"), "p").unwrap();
    for (at, class) in ["green", "red"].into_iter().enumerate() {
        let folder = project.root().join("classes").join(class);
        std::fs::create_dir_all(&folder).unwrap();
        for number in 0..IMAGES / 2 {
            let image = RgbImage::from_fn(96, 96, |x, y| {
                let noise = (x / 12 * 7919 + y / 12 * 104_729 + number * 31_337)
                    .wrapping_mul(2_654_435_761);
                let mut pixel = [(noise >> 25) as u8; 3];
                pixel[at] = pixel[at].saturating_add(100);
                image::Rgb(pixel)
            });
            image.save(folder.join(format!("{number}.png"))).unwrap();
        }
    }
    drop(project);
    Project::open(&dir.join("p")).unwrap()
}

fn plan(axes: &[(&str, &str)]) -> SweepPlan {
    let mut base = TrainSettings {
        how_many_training_steps: 20,
        architecture: "efficientnet-lite0@96".parse().unwrap(),
        ..TrainSettings::default()
    };
    base.split.validation_percentage = 25;
    base.split.testing_percentage = 25;
    SweepPlan {
        base,
        axes: axes
            .iter()
            .map(|(key, text)| SweepAxis::parse(key, text).unwrap())
            .collect(),
        repeats: 1,
        rank: RankBy::Accuracy,
    }
}

fn begun(project: &Project, axes: &[(&str, &str)]) -> Sweep {
    let plan = plan(axes);
    begin(project, &plan, plan.trainings().unwrap()).unwrap()
}

fn run_all(project: &Project, sweep: &Sweep) -> Sweep {
    run(project, &sweep.id, &LiveSweep::default(), &Work::new()).unwrap()
}

/// Work that counts the images whose bottlenecks are computed.
fn counting() -> (Work, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    let (of, watched) = (Arc::clone(&count), Arc::new(OnceLock::<Work>::new()));
    let (inside, last) = (Arc::clone(&watched), AtomicU64::new(0));
    let work = Work::with_wake(move || {
        let Some(work) = inside.get() else { return };
        let progress = work.progress();
        let before = last.swap(progress.done, Ordering::Relaxed);
        // A detail names the image; cached images are skipped without one.
        let computing = progress.stage == "Computing bottlenecks" && !progress.detail.is_empty();
        if computing && progress.done == before + 1 {
            of.fetch_add(1, Ordering::Relaxed);
        }
    });
    watched.get_or_init(|| work.clone());
    (work, count)
}

#[test]
fn bottlenecks_are_computed_once_for_each_network() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let sweep = begun(
        &project,
        &[
            ("learning_rate", "0.01,0.03,0.1"),
            ("architecture", "efficientnet-lite0@96,mobilenet-v2@96"),
        ],
    );
    // A file that was changed less than two seconds ago is read again, because it may still be written.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    let (work, computed) = counting();
    let live = LiveSweep::default();
    let done = run(&project, &sweep.id, &live, &work).unwrap();
    assert_eq!(computed.load(Ordering::Relaxed), u64::from(2 * IMAGES));
    assert!(done.is_done());
    assert_eq!(Sweep::open(&project, &sweep.id).unwrap(), done);
    let now = live.since(0).unwrap();
    assert_eq!(now.sweep.as_deref(), Some(&done));
    assert!(live.since(now.revision).is_none());
    let table = Table::of(&done);
    assert_eq!(table.rows.len(), 6);
    for row in &table.rows {
        assert_eq!(row.state, State::Finished);
        assert!(row.test.is_some() && row.cross_entropy.is_some() && row.rank.is_some());
        assert!(row.latency_ms.unwrap() > 0.0 && row.bytes.unwrap() > 1_000_000);
    }
    // Each is an ordinary run that states the sweep it belongs to.
    let mut parents: Vec<u32> = find_runs(&project)
        .unwrap()
        .runs
        .into_iter()
        .map(|run| {
            let parent = run.parent.unwrap();
            assert_eq!(
                (parent.sweep, parent.begun),
                (done.id.0.clone(), done.created.clone())
            );
            parent.training
        })
        .collect();
    parents.sort_unstable();
    assert_eq!(parents, [1, 2, 3, 4, 5, 6]);
    let csv = csv(&table);
    assert_eq!(csv.lines().count(), 7);
    assert!(csv.contains("mobilenet-v2@96,0.03,finished,"), "{csv}");
}

#[test]
fn a_training_that_fails_is_a_row_and_not_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let mut sweep = begun(&project, &[("learning_rate", "0.01,0.03")]);
    // The architecture of a network that was added to another copy of the project.
    sweep.trainings[0].settings.architecture.backbone = "somebody-elses".into();
    sweep.save().unwrap();
    let (work, _) = counting();
    let done = run(&project, &sweep.id, &LiveSweep::default(), &work).unwrap();
    let table = Table::of(&done);
    let State::Failed(reason) = &table.rows[0].state else {
        panic!("{:?}", table.rows[0].state);
    };
    assert!(reason.contains("unknown architecture"), "{reason}");
    assert_eq!(table.rows[1].state, State::Finished);
    assert_eq!((table.rows[0].rank, table.rows[1].rank), (None, Some(1)));
    assert!(
        work.take_warnings()
            .iter()
            .any(|message| message.contains("Training 1 of 2"))
    );
    assert!(csv(&table).contains("failed"));

    // The network is available now: only that training is tried again.
    assert_eq!(done.failed(), 1);
    let mut repaired = done;
    repaired.trainings[0].settings.architecture = plan(&[]).base.architecture;
    repaired.save().unwrap();
    assert_eq!(try_again(&project, &sweep.id).unwrap(), 1);
    let waiting = Sweep::open(&project, &sweep.id).unwrap();
    assert_eq!((waiting.done(), waiting.failed()), (1, 0));
    assert_eq!(waiting.trainings[1], repaired.trainings[1]);
    let done = run_all(&project, &sweep);
    assert_eq!((done.done(), done.failed()), (2, 0));
    assert_eq!(done.trainings[1], repaired.trainings[1]);
    assert_eq!(find_runs(&project).unwrap().runs.len(), 2);
    assert_eq!(try_again(&project, &sweep.id).unwrap(), 0);
}

#[test]
fn what_has_ended_is_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let sweep = begun(&project, &[("learning_rate", "0.01,0.03")]);
    let mut done = run_all(&project, &sweep);
    let ids = || {
        let found = find_runs(&project).unwrap().runs;
        found.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    let before = ids();
    let whole = done.clone();
    // Killed after a training had ended, before that was recorded.
    done.trainings[1].outcome = None;
    done.save().unwrap();
    assert_eq!(run_all(&project, &sweep), whole);
    assert_eq!(ids(), before);
    // A run that was removed stays in the table and is not trained again.
    let Some(TrainingOutcome::Finished { run, .. }) = &whole.trainings[0].outcome else {
        panic!();
    };
    remove_run(&project, run).unwrap();
    assert_eq!(run_all(&project, &sweep), whole);
    assert_eq!(ids().len(), 1);
}

#[test]
fn a_removed_sweep_leaves_its_runs_and_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let first = begun(&project, &[("learning_rate", "0.01")]);
    run_all(&project, &first);
    let trashed = remove(&project, &first.id).unwrap();
    assert!(find_sweeps(&project).unwrap().sweeps.is_empty());
    assert_eq!(find_runs(&project).unwrap().runs.len(), 1);
    // Another sweep of the same name does not adopt the run.
    let second = begun(&project, &[("learning_rate", "0.03")]);
    assert_eq!(second.id, first.id);
    run_all(&project, &second);
    assert_eq!(find_runs(&project).unwrap().runs.len(), 2);
    let message = restore(&project, &trashed).unwrap_err().to_string();
    assert!(message.contains("already"), "{message}");
    remove(&project, &second.id).unwrap();
    assert_eq!(restore(&project, &trashed).unwrap(), first.id);
    for outside in ["..", "", "/", "a/b", "none"] {
        assert!(Sweep::open(&project, &SweepId(outside.into())).is_err());
    }
}

#[test]
fn a_training_of_its_own_says_nothing_of_parents() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let settings = plan(&[]).base;
    let alone = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
    let text = std::fs::read_to_string(alone.dir.join("run.json")).unwrap();
    assert!(!text.contains("parent"));
    assert_eq!(Run::open(&alone.dir).unwrap().parent, None);
    // The same training in a sweep gives the same weights.
    let sweep = begun(&project, &[("how_many_training_steps", "20")]);
    run_all(&project, &sweep);
    let child = find_runs(&project).unwrap().runs.remove(0);
    assert_eq!(child.parent.as_ref().map(|parent| parent.training), Some(1));
    assert_eq!(child.head().unwrap(), alone.head().unwrap());
}

#[test]
fn the_time_is_estimated_with_shared_bottlenecks_once() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let plan = plan(&[("learning_rate", "0.01,0.03"), ("depth", "head,last-1")]);
    let mut trainings = plan.trainings().unwrap();
    let sum = estimate(
        &project,
        &mut trainings,
        &mut Paces::default(),
        &Work::new(),
    )
    .unwrap()
    .unwrap();
    let secs: Vec<f64> = trainings
        .list
        .iter()
        .map(|training| training.expected_secs.unwrap())
        .collect();
    assert_eq!(secs.len(), 4);
    assert!((secs.iter().sum::<f64>() - sum).abs() < 1e-9);
    // The second training of the head finds the bottlenecks of the first.
    assert!(secs[1] < secs[0], "{secs:?}");
    assert!(secs.iter().all(|secs| *secs > 0.0), "{secs:?}");
    // Once they are cached, they do not count.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    let settings = &plan.base;
    train(&project, settings, &LiveCurves::default(), &Work::new()).unwrap();
    let mut cached = plan.trainings().unwrap();
    let mut paces = Paces::default();
    estimate(&project, &mut cached, &mut paces, &Work::new()).unwrap();
    let secs: Vec<Option<f64>> = cached.list.iter().map(|one| one.expected_secs).collect();
    assert_eq!(secs[0], secs[1], "both find them");
    for run in find_runs(&project).unwrap().runs {
        remove_run(&project, &run.id).unwrap();
    }
    // Nothing else was written.
    assert!(
        find_runs(&project).unwrap().runs.is_empty()
            && find_sweeps(&project).unwrap().sweeps.is_empty()
    );
}
