//! Processes a list on several threads, each with its own resources.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::bounded;

use super::{Cancelled, Work};

/// Calls `run` for each of `items` on up to `threads` threads; `make` creates the resources of each thread (a session,
/// buffers). `take` gets the index of each item and its result on the calling thread, in the order of completion. The
/// first error of any of the three ends it. `work` is checked before each item.
///
/// Work on images uses [`cores_and_one`](super::cores_and_one) threads, work that never waits for another process
/// [`cores`](super::cores()).
pub fn in_parallel<I, W, T, E>(
    threads: usize,
    items: &[I],
    work: &Work,
    make: impl Fn() -> Result<W, E> + Sync,
    run: impl Fn(&mut W, &I) -> Result<T, E> + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E>
where
    I: Sync,
    T: Send,
    E: From<Cancelled> + Send,
{
    let threads = threads.min(items.len());
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let (sender, results) = bounded::<Result<(usize, T), E>>(2 * threads);
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
            let Some(item) = items.get(index) else {
                break;
            };
            let result = work
                .check()
                .map_err(E::from)
                .and_then(|()| run(&mut tools, item));
            let failed = result.is_err();
            if sender.send(result.map(|value| (index, value))).is_err() || failed {
                break;
            }
        }
    };
    thread::scope(|scope| {
        let worker = &worker;
        let threads: Vec<_> = (0..threads)
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
        let numbers: Vec<usize> = (1000..1500).collect();
        let mut seen = vec![0; numbers.len()];
        let result = in_parallel(
            4,
            &numbers,
            &Work::new(),
            || Ok::<_, Cancelled>(7),
            |tools, number| Ok(*tools * number),
            |index, value| {
                assert_eq!(value, 7 * (1000 + index));
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
            4,
            &vec![0; 100_000],
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
                4,
                &(0..50).collect::<Vec<_>>(),
                &Work::new(),
                || Ok::<_, Cancelled>(()),
                |(), number| {
                    assert!(*number != 20, "on purpose");
                    Ok(())
                },
                |_, ()| Ok(()),
            )
        });
        let panic = outcome.unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    }
}
