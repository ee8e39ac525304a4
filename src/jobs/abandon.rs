//! Work that cannot be interrupted: waited for no longer than its user wants.
//!
//! Building a graph or loading a model has no place where it could check for a cancellation. Such a piece
//! runs on a thread of its own; when the work that it is for is cancelled, it runs to its end there, and what it
//! comes to is thrown away.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::bounded;

use super::{Cancelled, Work};

/// Threads that nobody waits for but the end of the program.
static ABANDONED: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

fn abandoned() -> MutexGuard<'static, Vec<JoinHandle<()>>> {
    ABANDONED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Detaches a thread that has been asked to stop; [`wait_for_abandoned`] joins it.
pub fn abandon(thread: JoinHandle<()>) {
    let mut threads = abandoned();
    threads.retain(|thread| !thread.is_finished());
    threads.push(thread);
}

/// Runs `f` on a thread of its own and waits for it, but not beyond the moment at which `work` is cancelled.
///
/// # Errors
/// [`Cancelled`], at once, when the work was cancelled before `f` returned. A panic in `f` continues here.
pub fn abandonable<T: Send + 'static>(
    work: &Work,
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Cancelled> {
    let (sender, result) = bounded(1);
    let waiting = work.clone();
    abandon(std::thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(f));
        if sender.send(outcome).is_err() {
            log::debug!("what was being prepared was not waited for");
        }
        waiting.nudge();
    }));
    match work.wait_for(|| result.try_recv().ok())? {
        Ok(value) => Ok(value),
        Err(panic) => resume_unwind(panic),
    }
}

/// Drops `value` on a thread of its own: giving gigabytes back to the system takes a while.
pub fn drop_elsewhere(value: impl Send + 'static) {
    abandon(std::thread::spawn(move || drop(value)));
}

/// Waits for everything that was abandoned. A program must not end before: ONNX Runtime takes itself apart as the process
/// exits, and what another thread is doing in it then is a crash.
pub fn wait_for_abandoned() {
    loop {
        // The list is free while its last thread is waited for.
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
        // What continues only after it was given up: waiting for it would have no end.
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
