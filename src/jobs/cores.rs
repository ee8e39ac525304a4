//! How many cores this process may use.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

/// What [`limit_cores`] set; 0 is no limit.
static LIMIT: AtomicUsize = AtomicUsize::new(0);

/// Cores that work is spread over: those that the system gives this process, and no more than [`limit_cores`] set. At least 1.
#[must_use]
pub fn cores() -> usize {
    let given = available_parallelism().map_or(1, usize::from);
    match LIMIT.load(Ordering::Relaxed) {
        0 => given,
        limit => given.min(limit),
    }
}

/// Threads for work on images: one more than there are [`cores`], so that all are busy while one thread waits for the
/// process that decodes its image.
#[must_use]
pub fn cores_and_one() -> usize {
    cores() + 1
}

/// From now on no more than so many cores are used by work that begins, where several processes share a machine.
pub fn limit_cores(most: usize) {
    LIMIT.store(most, Ordering::Relaxed);
}
