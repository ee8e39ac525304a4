//! Runs work on a named thread and returns its result.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use crate::text::visible;

use super::{Work, abandon};

/// Why a job has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// The user cancelled it.
    #[error("cancelled")]
    Cancelled,
    /// It failed, with a sentence for the user.
    #[error("{0}")]
    Failed(String),
    /// A defect of the program: it panicked. The window continues.
    #[error(
        "an internal error of Salamander stopped this: {0}. Saved data is not affected; please report it"
    )]
    Panicked(String),
}

/// Work that runs on its own thread.
pub struct Job<T> {
    work: Work,
    result: Receiver<Result<T, JobError>>,
    thread: Option<JoinHandle<()>>,
}

impl<T> Job<T> {
    /// The handle to which the job reports, and by which it can be paused, stopped or cancelled.
    #[must_use]
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// The result, once, after the job has ended.
    pub fn try_finish(&mut self) -> Option<Result<T, JobError>> {
        match self.result.try_recv() {
            Ok(result) => {
                self.join();
                Some(result)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.thread.is_some().then(|| self.join()).map(|()| {
                    Err(JobError::Panicked(
                        "its thread ended without a result".into(),
                    ))
                })
            }
        }
    }

    /// Cancels the job without waiting for its end; [`wait_for_abandoned`](super::wait_for_abandoned) does.
    pub fn abandon(&mut self) {
        self.work.cancel();
        if let Some(thread) = self.thread.take() {
            abandon(thread);
        }
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("a job's thread panicked after it had delivered its result");
        }
    }
}

/// Runs `f` on a thread called `name`. The job has exactly one result: a panic in `f` becomes [`JobError::Panicked`],
/// and an error after a cancellation [`JobError::Cancelled`].
pub fn spawn<T, E>(
    name: &str,
    work: Work,
    f: impl FnOnce(&Work) -> Result<T, E> + Send + 'static,
) -> Job<T>
where
    T: Send + 'static,
    E: Error,
{
    let (sender, result) = bounded(1);
    let inner = work.clone();
    let body = move || {
        let outcome = match catch_unwind(AssertUnwindSafe(|| f(&inner))) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) if inner.is_cancelled() => Err(JobError::Cancelled),
            Ok(Err(error)) => Err(JobError::Failed(sentence(&error))),
            Err(panic) => Err(JobError::Panicked(panic_message(panic.as_ref()))),
        };
        if sender.send(outcome).is_err() {
            log::debug!("nobody waited for the result of a job");
        }
        inner.wake();
    };
    let thread = match std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
    {
        Ok(thread) => Some(thread),
        Err(error) => {
            // The closure and its sender were dropped, so the receiver sees a disconnected channel.
            log::error!("cannot start a thread for “{name}”: {error}");
            None
        }
    };
    Job {
        work,
        result,
        thread,
    }
}

/// An error with its causes in one line, for users; control characters in names [are visible](crate::text::visible).
#[must_use]
pub fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    visible(&text).into_owned()
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown cause".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::jobs::Cancelled;
    use std::time::Duration;

    fn finished<T>(mut job: Job<T>) -> Result<T, JobError> {
        for _ in 0..60_000 {
            if let Some(result) = job.try_finish() {
                return result;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("no result came");
    }

    #[test]
    fn delivers_one_result() {
        let job = spawn("adds", Work::new(), |_| Ok::<_, Cancelled>(1 + 1));
        assert_eq!(finished(job), Ok(2));
    }

    #[test]
    fn a_panic_becomes_a_failed_job() {
        let job = spawn("panics", Work::new(), |_| -> Result<(), Cancelled> {
            panic!("on purpose")
        });
        assert_eq!(finished(job), Err(JobError::Panicked("on purpose".into())));
    }

    #[test]
    fn cancelling_wakes_a_paused_job() {
        let work = Work::new();
        work.set_paused(true);
        let job = spawn("waits", work.clone(), |work| {
            loop {
                work.check()?;
                std::thread::sleep(Duration::from_millis(1));
            }
            #[allow(unreachable_code, reason = "tells the closure's type")]
            Ok::<(), Cancelled>(())
        });
        work.cancel();
        assert_eq!(finished(job), Err(JobError::Cancelled));
    }
}
