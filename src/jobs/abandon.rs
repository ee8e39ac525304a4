//! Work that cannot be interrupted: its caller waits only as long as it is not cancelled.
//!
//! Building a graph or loading a model has no place to check for a cancellation. Such work runs on a thread of its
//! own. If the surrounding work is cancelled, the thread continues to its end, and its result is discarded.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::JoinHandle;

use crossbeam_channel::bounded;
use parking_lot::{Mutex, MutexGuard};

use super::{Cancelled, Work};

/// Threads whose end only the exit of the program waits for.
static ABANDONED: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

fn abandoned() -> MutexGuard<'static, Vec<JoinHandle<()>>> {
    ABANDONED.lock()
}

/// Detaches a thread that was requested to stop; [`wait_for_abandoned`] joins it.
pub fn abandon(thread: JoinHandle<()>) {
    let mut threads = abandoned();
    threads.retain(|thread| !thread.is_finished());
    threads.push(thread);
}

/// Runs `f` on a thread of its own and waits for it, or until `work` is cancelled.
///
/// # Errors
/// [`Cancelled`], immediately, if the work was cancelled before `f` returned. A panic in `f` is propagated.
pub fn abandonable<T: Send + 'static>(
    work: &Work,
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Cancelled> {
    let (sender, result) = bounded(1);
    let waiting = work.clone();
    abandon(std::thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(f));
        if sender.send(outcome).is_err() {
            log::debug!("an abandoned job was not waited for");
        }
        waiting.nudge();
    }));
    match work.wait_for(|| result.try_recv().ok())? {
        Ok(value) => Ok(value),
        Err(panic) => resume_unwind(panic),
    }
}

/// Drops `value` on a thread of its own: freeing gigabytes takes a while.
pub fn drop_elsewhere(value: impl Send + 'static) {
    abandon(std::thread::spawn(move || drop(value)));
}

/// Waits for all abandoned threads, as the program must before it ends: ONNX Runtime is destroyed when the process
/// exits, and a thread still using it would crash.
pub fn wait_for_abandoned() {
    loop {
        // The list is unlocked while its last thread is joined.
        let Some(thread) = abandoned().pop() else {
            return;
        };
        if thread.join().is_err() {
            log::error!("a thread panicked after it was abandoned");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_waited_for_until_the_work_is_cancelled() {
        let work = Work::new();
        assert_eq!(abandonable(&work, || 1 + 1), Ok(2));

        let (go, gone) = bounded::<()>(0);
        let ended = Arc::new(AtomicBool::new(false));
        let (seen, other) = (Arc::clone(&ended), work.clone());
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            other.cancel();
        });
        // This continues only after it was abandoned: waiting for it would never end.
        let outcome = abandonable(&work, move || {
            gone.recv().unwrap_or_default();
            seen.store(true, Ordering::Relaxed);
        });
        assert_eq!(outcome, Err(Cancelled));
        assert!(!ended.load(Ordering::Relaxed));
        go.send(()).unwrap();
        wait_for_abandoned();
        assert!(ended.load(Ordering::Relaxed));
    }

    #[test]
    fn a_panic_goes_on_where_it_is_waited_for() {
        let caught = catch_unwind(|| abandonable(&Work::new(), || panic!("on purpose")));
        let panic = caught.unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    }
}
