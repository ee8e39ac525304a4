//! Cancelling ends every part of a fine-tuning, including those that cannot check for it: building graphs, loading
//! models. The delay is printed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use salamander::backbone::Depth;
use salamander::jobs::{Work, wait_for_abandoned};
use salamander::train::{
    FineTuneSettings, LearnSettings, LiveCurves, RunState, TrainError, TrainSettings, estimate,
    resume, train,
};

use super::projects::{of_images, quick, runs};

/// Work that is cancelled by the first report for which `when` holds, on the reporting thread: so it is never
/// cancelled later than that, however busy the computer is.
pub fn cancelled_when(when: impl Fn(&Work) -> bool + Send + Sync + 'static) -> Work {
    let itself = Arc::new(OnceLock::<Work>::new());
    let work = Work::with_wake({
        let itself = itself.clone();
        move || {
            if let Some(work) = itself.get()
                && !work.is_cancelled()
                && when(work)
            {
                work.cancel();
            }
        }
    });
    assert!(itself.set(work.clone()).is_ok());
    work
}

/// Work that is cancelled by this check of the job for a cancellation, counted from 1.
pub fn cancelled_at_check(number: usize) -> Work {
    let itself = Arc::new(OnceLock::<Work>::new());
    let checks = AtomicUsize::new(0);
    let work = Work::with_pulse({
        let itself = itself.clone();
        move || {
            if checks.fetch_add(1, Ordering::Relaxed) + 1 == number
                && let Some(work) = itself.get()
            {
                work.cancel();
            }
        }
    });
    assert!(itself.set(work.clone()).is_ok());
    work
}

/// Cancels `job` when it has reached a stage whose name begins like this, with this many units done. Returns how long
/// it took to end.
fn cancelled_at<T>(
    (stage, done): (&'static str, u64),
    job: impl FnOnce(&Work) -> Result<T, TrainError>,
) -> Duration {
    let cancelled = Arc::new(OnceLock::new());
    let work = cancelled_when({
        let cancelled = cancelled.clone();
        move |work| {
            let progress = work.progress();
            let there = progress.stage.starts_with(stage) && progress.done >= done;
            there && cancelled.set(Instant::now()).is_ok()
        }
    });
    let Err(error) = job(&work) else {
        panic!("it ended before “{stage}” had {done} done");
    };
    // Each layer has its own error for it.
    assert_eq!(error.to_string(), "cancelled", "{stage} {done}");
    cancelled.get().unwrap().elapsed()
}

#[test]
fn everything_ends_when_it_is_cancelled_and_can_be_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let counts = [("red", 24), ("green", 24)];
    let project = of_images(&dir.path().join("p"), &counts);
    let settings = |depth| TrainSettings {
        fine_tune: FineTuneSettings {
            depth,
            steps: Some(8),
            learn: LearnSettings {
                batch_size: 8,
                ..LearnSettings::of_fine_tuning()
            },
            ..FineTuneSettings::default()
        },
        ..quick("efficientnet-lite0@128", 20)
    };
    for at in [0, 1, 2].map(|done| ("Measuring the speed of this machine", done)) {
        let took = cancelled_at(at, |work| estimate(&project, &settings(Depth::Head), work));
        println!("{at:?}: {took:?}");
        // Abandoned preparations would slow down the next job.
        wait_for_abandoned();
    }
    for at in [
        ("Computing bottlenecks", 1),
        ("Training: ", 0),
        ("Training: ", 3),
    ] {
        let took = cancelled_at(at, |work| {
            let settings = settings(Depth::All);
            train(&project, &settings, &LiveCurves::default(), work)
        });
        println!("{at:?}: {took:?}");
        wait_for_abandoned();
    }

    // A cancelled training can be resumed, at every stage.
    let all = runs(&project);
    let unfinished: Vec<_> = all
        .iter()
        .filter(|run| run.state == RunState::Unfinished)
        .collect();
    assert!(unfinished.len() >= 2, "{}", unfinished.len());
    for run in unfinished {
        let curves = LiveCurves::default();
        let run = resume(&project, &run.id, None, &curves, &Work::new()).unwrap();
        assert_eq!(run.result().unwrap().steps, 8);
    }
}
