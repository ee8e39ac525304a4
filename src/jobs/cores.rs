//! The number of cores that this process may use.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

/// The limit of [`limit_cores`]; 0 is none.
static LIMIT: AtomicUsize = AtomicUsize::new(0);

/// The number of cores for parallel work: those that the system assigns to this process, at most the limit of
/// [`limit_cores`], at least 1.
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

/// Limits the number of cores for work that begins from now on, for several processes on one machine.
pub fn limit_cores(most: usize) {
    LIMIT.store(most, Ordering::Relaxed);
}
