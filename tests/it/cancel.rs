//! Cancelling ends every part of a training that goes deeper, also those in which nothing can look whether it was
//! cancelled: graphs being built, models being loaded.

use std::time::{Duration, Instant};

use salamander::backbone::Depth;
use salamander::jobs::{Work, wait_for_abandoned};
use salamander::train::{
    FineTuneSettings, LiveCurves, RunState, TrainError, TrainSettings, estimate, resume, runs,
    train,
};

use super::projects::{of_pictures, quick};

/// Far below the seconds that the longest of those parts takes in a debug build, far above what an idle machine
/// needs (a few milliseconds).
const SOON: Duration = Duration::from_secs(1);

/// Cancels `job` after `delay`; whether that was in its midst, and how long it took to end then.
fn cancelled_after<T>(
    delay: Duration,
    job: impl FnOnce(&Work) -> Result<T, TrainError>,
) -> Option<Duration> {
    let work = Work::new();
    std::thread::scope(|scope| {
        let cancels = scope.spawn(|| {
            std::thread::sleep(delay);
            let now = Instant::now();
            work.cancel();
            now
        });
        let outcome = job(&work);
        let ended = Instant::now();
        let cancelled = cancels.join().unwrap();
        match outcome {
            Ok(_) => None,
            // Each layer has an error of its own for it.
            Err(error) => {
                assert_eq!(error.to_string(), "cancelled");
                Some(ended.saturating_duration_since(cancelled))
            }
        }
    })
}

#[test]
fn everything_ends_soon_when_it_is_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let counts = [("red", 24), ("green", 24)];
    let project = of_pictures(&dir.path().join("p"), &counts);
    let settings = |depth| TrainSettings {
        fine_tune: FineTuneSettings {
            depth,
            steps: Some(8),
            batch_size: 8,
            ..FineTuneSettings::default()
        },
        ..quick("efficientnet-lite0@128", 20)
    };
    let delays = [20, 150, 400, 700, 1_200, 1_800, 2_500, 4_000].map(Duration::from_millis);
    let mut longest = Duration::ZERO;
    let mut hits = [0; 2];
    for delay in delays {
        let estimating = |work: &Work| estimate(&project, &settings(Depth::Head), work);
        let training = |work: &Work| {
            let settings = settings(Depth::All);
            train(&project, &settings, &LiveCurves::default(), work)
        };
        let took = [
            cancelled_after(delay, estimating),
            cancelled_after(delay, training),
        ];
        for (hits, took) in hits.iter_mut().zip(took) {
            let Some(took) = took else { continue };
            *hits += 1;
            longest = longest.max(took);
            assert!(took < SOON, "cancelled after {delay:?}: {took:?}");
        }
        // What is still being prepared would slow down the next.
        wait_for_abandoned();
    }
    println!("cancelled {hits:?} times, the longest took {longest:?}");
    assert!(hits.iter().all(|hits| *hits >= 3), "{hits:?}");

    // What was cancelled can be resumed, wherever that was.
    let all = runs(&project).unwrap();
    let mut unfinished = all.iter().filter(|run| run.state == RunState::Unfinished);
    let last = unfinished.next_back().unwrap();
    let curves = LiveCurves::default();
    let run = resume(&project, &last.id, None, &curves, &Work::new()).unwrap();
    assert_eq!(run.result.unwrap().steps, 8);
}
