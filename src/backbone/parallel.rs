//! A list worked through by as many threads as keep the cores full, each with its own tools.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::bounded;

use crate::jobs::{Cancelled, Work, cores};

/// Threads of [`in_parallel`] for so many items: one more than there are cores, since while one waits for an image, which
/// another process decodes, the others keep the cores full.
pub(super) fn workers(count: usize) -> usize {
    (cores() + 1).min(count)
}

/// [`in_parallel`] for work that never waits for another process: on as many threads as there are cores.
pub fn on_cores<W, T, E>(
    count: usize,
    work: &Work,
    make: impl Fn() -> Result<W, E> + Sync,
    run: impl Fn(&mut W, usize) -> Result<T, E> + Sync,
    take: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E>
where
    T: Send,
    E: From<Cancelled> + Send,
{
    on_threads(cores().min(count), count, work, make, run, take)
}

/// Calls `run` for each number below `count` on some threads, one more than there are cores; `make` gives each thread its tools (a session,
/// buffers). `take` gets the results on the calling thread, in the order in which they are done. The first error of any
/// of the three ends it. `work` is checked before each item.
pub fn in_parallel<W, T, E>(
    count: usize,
    work: &Work,
    make: impl Fn() -> Result<W, E> + Sync,
    run: impl Fn(&mut W, usize) -> Result<T, E> + Sync,
    take: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E>
where
    T: Send,
    E: From<Cancelled> + Send,
{
    on_threads(workers(count), count, work, make, run, take)
}

fn on_threads<W, T, E>(
    workers: usize,
    count: usize,
    work: &Work,
    make: impl Fn() -> Result<W, E> + Sync,
    run: impl Fn(&mut W, usize) -> Result<T, E> + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E>
where
    T: Send,
    E: From<Cancelled> + Send,
{
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let (sender, results) = bounded::<Result<(usize, T), E>>(2 * workers);
    let worker = |sender: crossbeam_channel::Sender<Result<(usize, T), E>>| {
        let mut tools = match make() {
            Ok(tools) => tools,
            Err(error) => {
                // The receiver is gone once another worker has failed; then the result is not needed.
                drop(sender.send(Err(error)));
                return;
            }
        };
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            let result = work
                .check()
                .map_err(E::from)
                .and_then(|()| run(&mut tools, index));
            let failed = result.is_err();
            if sender.send(result.map(|value| (index, value))).is_err() || failed {
                break;
            }
        }
    };
    thread::scope(|scope| {
        let worker = &worker;
        let threads: Vec<_> = (0..workers)
            .map(|_| {
                let sender = sender.clone();
                scope.spawn(move || worker(sender))
            })
            .collect();
        drop(sender);
        let mut outcome = Ok(());
        for result in results {
            outcome = result.and_then(|(index, value)| take(index, value));
            if outcome.is_err() {
                stop.store(true, Ordering::Relaxed);
                break;
            }
        }
        for thread in threads {
            if let Err(panic) = thread.join() {
                resume_unwind(panic);
            }
        }
        outcome
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn does_each_item_once() {
        let mut seen = vec![0; 500];
        let result = in_parallel(
            seen.len(),
            &Work::new(),
            || Ok::<_, Cancelled>(7),
            |tools, index| Ok(*tools * index),
            |index, value| {
                assert_eq!(value, 7 * index);
                seen[index] += 1;
                Ok(())
            },
        );
        assert_eq!(result, Ok(()));
        assert!(seen.iter().all(|times| *times == 1));
    }

    #[test]
    fn ends_soon_after_a_cancellation() {
        let work = Work::new();
        let mut taken = 0;
        let result = in_parallel(
            100_000,
            &work,
            || Ok::<_, Cancelled>(()),
            |(), _| Ok(()),
            |_, ()| {
                taken += 1;
                if taken == 10 {
                    work.cancel();
                }
                Ok(())
            },
        );
        assert_eq!(result, Err(Cancelled));
        assert!(taken < 1_000, "{taken}");
    }

    #[test]
    fn a_panic_is_handed_on() {
        let outcome = std::panic::catch_unwind(|| {
            in_parallel(
                50,
                &Work::new(),
                || Ok::<_, Cancelled>(()),
                |(), index| {
                    assert!(index != 20, "on purpose");
                    Ok(())
                },
                |_, ()| Ok(()),
            )
        });
        let panic = outcome.unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    }
}
