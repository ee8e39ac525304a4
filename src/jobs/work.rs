//! The handle of a job's work: for reporting progress, and for pausing and cancelling.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

/// The work was cancelled by the user; units finished before are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// Longer than any program runs.
const FOREVER: Duration = Duration::from_secs(1 << 31);

/// The progress of a job: the latest value, overwritten by each report.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The current stage, as a heading: "Computing bottlenecks".
    pub stage: String,
    /// The current item, usually a file name; may be empty.
    pub detail: String,
    /// Units finished in this stage.
    pub done: u64,
    /// Units in this stage, if known.
    pub total: Option<u64>,
    /// When the stage began, shifted by the time spent paused.
    pub started: Instant,
}

impl Progress {
    /// The finished fraction, 0..=1, if the total is known.
    #[must_use]
    pub fn fraction(&self) -> Option<f32> {
        let total = self.total.filter(|total| *total > 0)?;
        Some((self.done as f32 / total as f32).min(1.0))
    }

    /// The estimated time left in this stage, at the mean pace so far; `None` while there is too little to estimate
    /// from.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let fraction = self.fraction()?;
        let elapsed = self.started.elapsed();
        if fraction <= 0.0 || elapsed < Duration::from_millis(500) {
            return None;
        }
        Some(elapsed.mul_f32((1.0 - fraction) / fraction))
    }
}

type Wake = Box<dyn Fn() + Send + Sync>;

struct State {
    cancelled: bool,
    stopping: bool,
    paused_since: Option<Instant>,
    progress: Progress,
    warnings: Vec<String>,
}

struct Shared {
    state: Mutex<State>,
    resumed: Condvar,
    wake: Option<Wake>,
    pulse: Option<Wake>,
}

/// A handle on one piece of work, shared by those who do it and those who watch it. Cheap to clone.
#[derive(Clone)]
pub struct Work(Arc<Shared>);

impl Default for Work {
    fn default() -> Self {
        Self::new()
    }
}

impl Work {
    /// Work that wakes nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::build(None, None)
    }

    /// Work that calls `wake` after each report (the window requests a repaint there).
    #[must_use]
    pub fn with_wake(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self::build(Some(Box::new(wake)), None)
    }

    /// Work that calls `pulse` at each [`Work::check`], as a sign of life.
    #[must_use]
    pub fn with_pulse(pulse: impl Fn() + Send + Sync + 'static) -> Self {
        Self::build(None, Some(Box::new(pulse)))
    }

    fn build(wake: Option<Wake>, pulse: Option<Wake>) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                cancelled: false,
                stopping: false,
                paused_since: None,
                progress: Progress {
                    stage: String::new(),
                    detail: String::new(),
                    done: 0,
                    total: None,
                    started: Instant::now(),
                },
                warnings: Vec::new(),
            }),
            resumed: Condvar::new(),
            wake,
            pulse,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }

    /// Requests a repaint; reports do so themselves.
    pub fn wake(&self) {
        if let Some(wake) = &self.0.wake {
            wake();
        }
    }

    // --- for those who do the work

    /// Returns, waits while paused, or fails with [`Cancelled`]. Call it between units of work.
    pub fn check(&self) -> Result<(), Cancelled> {
        if let Some(pulse) = &self.0.pulse {
            pulse();
        }
        let mut state = self.state();
        while state.paused_since.is_some() && !state.cancelled && !state.stopping {
            self.0.resumed.wait(&mut state);
        }
        if state.cancelled {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }

    /// Runs `inner`; if the work is cancelled meanwhile, `stop` is called at once, on another thread.
    pub fn stopped_by<T>(&self, stop: impl FnOnce() + Send, inner: impl FnOnce() -> T) -> T {
        self.stopped_by_or_after(FOREVER, stop, inner)
    }

    /// The same; `stop` is also called once `inner` has run for longer than `limit`.
    pub fn stopped_by_or_after<T>(
        &self,
        limit: Duration,
        stop: impl FnOnce() + Send,
        inner: impl FnOnce() -> T,
    ) -> T {
        /// Ends the watching thread, however the work ends.
        struct Ends<'a>(&'a Work, &'a AtomicBool);
        impl Drop for Ends<'_> {
            fn drop(&mut self) {
                self.1.store(true, Ordering::Relaxed);
                self.0.nudge();
            }
        }
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let end = || ended.load(Ordering::Relaxed).then_some(());
                if !matches!(self.wait_until(end, limit), Ok(Some(()))) {
                    stop();
                }
            });
            let _ends = Ends(self, &ended);
            inner()
        })
    }

    /// Waits until `ready` returns a value, or the work is cancelled. Whoever changes the awaited state must call
    /// [`Work::nudge`].
    pub(super) fn wait_for<T>(&self, mut ready: impl FnMut() -> Option<T>) -> Result<T, Cancelled> {
        loop {
            if let Some(found) = self.wait_until(&mut ready, FOREVER)? {
                return Ok(found);
            }
        }
    }

    /// The same, for at most `limit`; `None` after that.
    fn wait_until<T>(
        &self,
        mut ready: impl FnMut() -> Option<T>,
        limit: Duration,
    ) -> Result<Option<T>, Cancelled> {
        let begun = Instant::now();
        let mut state = self.state();
        loop {
            if state.cancelled {
                return Err(Cancelled);
            }
            if let Some(value) = ready() {
                return Ok(Some(value));
            }
            let left = limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            self.0.resumed.wait_for(&mut state, left);
        }
    }

    /// Makes callers of [`Work::wait_for`] check again.
    pub(super) fn nudge(&self) {
        // With the lock held; otherwise a caller that has just checked, but does not wait yet, would miss it.
        let _state = self.state();
        self.0.resumed.notify_all();
    }

    /// Begins a new stage with `total` units, if known.
    pub fn stage(&self, stage: impl Into<String>, total: Option<u64>) {
        self.state().progress = Progress {
            stage: stage.into(),
            detail: String::new(),
            done: 0,
            total,
            started: Instant::now(),
        };
        self.wake();
    }

    /// Sets the current item within the stage.
    pub fn detail(&self, detail: impl Into<String>) {
        self.state().progress.detail = detail.into();
        self.wake();
    }

    /// Counts `units` more as finished.
    pub fn advance(&self, units: u64) {
        self.state().progress.done += units;
        self.wake();
    }

    /// Sets the number of finished units.
    pub fn set_done(&self, done: u64) {
        self.state().progress.done = done;
        self.wake();
    }

    /// Adds a warning: a sentence for the user about a problem that did not stop the work.
    pub fn warn(&self, message: impl Into<String>) {
        self.state().warnings.push(message.into());
        self.wake();
    }

    // --- for those who watch it

    /// Ends the work at its next [`Work::check`].
    pub fn cancel(&self) {
        self.state().cancelled = true;
        self.0.resumed.notify_all();
    }

    /// Whether the work was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.state().cancelled
    }

    /// Requests an early but regular end ("stop and keep the best").
    pub fn stop(&self) {
        self.state().stopping = true;
        self.0.resumed.notify_all();
    }

    /// Whether an early, regular end was requested.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.state().stopping
    }

    /// Pauses or resumes the work; it waits in [`Work::check`].
    pub fn set_paused(&self, paused: bool) {
        let mut state = self.state();
        match (paused, state.paused_since) {
            (true, None) => state.paused_since = Some(Instant::now()),
            (false, Some(since)) => {
                state.paused_since = None;
                // A pause does not count as time spent, so that the estimate stays correct.
                state.progress.started += since.elapsed();
            }
            _ => {}
        }
        drop(state);
        self.0.resumed.notify_all();
        self.wake();
    }

    /// Whether the work is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.state().paused_since.is_some()
    }

    /// The latest progress.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.state().progress.clone()
    }

    /// The warnings since the last call.
    #[must_use]
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.state().warnings)
    }
}
