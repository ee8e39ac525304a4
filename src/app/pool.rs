//! A small pool of threads that answers requests in the order of their current importance.
//!
//! A request has a key. The window repeats its requests every frame while it needs the answer; among the waiting
//! requests the most recently repeated is answered first, and those that were not repeated for a while are dropped. So
//! scrolling through 20,000 images loads those that are shown.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::jobs::{Work, abandon};

/// The capacity of the channel of answers; if it is full, the workers wait for the window.
const ANSWERS: usize = 64;
/// A request that was not repeated for this many frames is dropped.
const STALE: u64 = 3;

struct Queue<K> {
    /// When each waiting request was last repeated: frame, and order within the frame.
    waiting: HashMap<K, (u64, u32)>,
    running: HashMap<K, Work>,
    /// Requests that caused a panic: not tried again.
    broken: HashSet<K>,
    frame: u64,
    order: u32,
    closed: bool,
}

struct Shared<K> {
    queue: Mutex<Queue<K>>,
    added: Condvar,
}

impl<K> Shared<K> {
    fn lock(&self) -> MutexGuard<'_, Queue<K>> {
        self.queue.lock()
    }
}

/// The pool; dropping it cancels running work.
pub struct Pool<K, R> {
    shared: Arc<Shared<K>>,
    answers: Receiver<(K, Option<R>)>,
    threads: Vec<JoinHandle<()>>,
}

/// Takes the answers of a worker; a request may have several.
pub struct Answers<'a, K, R> {
    key: &'a K,
    sender: &'a Sender<(K, Option<R>)>,
    wake: &'a (dyn Fn() + Send + Sync),
}

impl<K: Clone, R> Answers<'_, K, R> {
    /// Sends an answer; `false` if the pool was dropped.
    pub fn send(&self, answer: R) -> bool {
        let sent = self.sender.send((self.key.clone(), Some(answer))).is_ok();
        (self.wake)();
        sent
    }
}

impl<K, R> Pool<K, R>
where
    K: Clone + Eq + Hash + Send + 'static,
    R: Send + 'static,
{
    /// A pool of `threads` threads called `name`, which call `answer` for each request and `wake` after each answer.
    pub fn new(
        name: &str,
        threads: usize,
        wake: impl Fn() + Send + Sync + 'static,
        answer: impl Fn(&K, &Work, &Answers<'_, K, R>) + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                waiting: HashMap::new(),
                running: HashMap::new(),
                broken: HashSet::new(),
                frame: 0,
                order: 0,
                closed: false,
            }),
            added: Condvar::new(),
        });
        let (sender, answers) = bounded(ANSWERS);
        let answer = Arc::new(answer);
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(wake);
        let mut running = Vec::new();
        for index in 0..threads.max(1) {
            let (shared, sender) = (Arc::clone(&shared), sender.clone());
            let (answer, wake) = (Arc::clone(&answer), Arc::clone(&wake));
            let spawned = std::thread::Builder::new()
                .name(format!("{name} {index}"))
                .spawn(move || serve(&shared, &sender, &*wake, &*answer));
            match spawned {
                Ok(thread) => running.push(thread),
                Err(error) => log::error!("cannot start a thread for “{name}”: {error}"),
            }
        }
        Self {
            shared,
            answers,
            threads: running,
        }
    }

    /// Begins a new frame of requests.
    pub fn begin_frame(&self) {
        let mut queue = self.shared.lock();
        queue.frame += 1;
        queue.order = 0;
    }

    /// Requests the answer to `key`; to be repeated every frame until it arrives. Within a frame, earlier requests are
    /// more important.
    pub fn want(&self, key: &K) {
        let mut queue = self.shared.lock();
        if queue.running.contains_key(key) || queue.broken.contains(key) {
            return;
        }
        let at = (queue.frame, queue.order);
        queue.order += 1;
        if queue.waiting.insert(key.clone(), at).is_none() {
            drop(queue);
            self.shared.added.notify_one();
        }
    }

    /// Drops the requests for which `unwanted` holds, including running ones.
    pub fn give_up(&self, unwanted: impl Fn(&K) -> bool) {
        let mut queue = self.shared.lock();
        queue.waiting.retain(|key, _| !unwanted(key));
        for (key, work) in &queue.running {
            if unwanted(key) {
                work.cancel();
            }
        }
    }

    /// The next answer, if there is one.
    #[must_use]
    pub fn next_answer(&self) -> Option<(K, R)> {
        loop {
            match self.answers.try_recv().ok()? {
                (key, Some(answer)) => return Some((key, answer)),
                // Only now is the request answered from the window's view.
                (key, None) => {
                    self.shared.lock().running.remove(&key);
                }
            }
        }
    }

    /// Whether no request is waiting or running.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let queue = self.shared.lock();
        queue.waiting.is_empty() && queue.running.is_empty()
    }
}

impl<K, R> Drop for Pool<K, R> {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.waiting.clear();
        for work in queue.running.values() {
            work.cancel();
        }
        drop(queue);
        self.shared.added.notify_all();
        self.threads.drain(..).for_each(abandon);
    }
}

fn serve<K: Clone + Eq + Hash, R>(
    shared: &Shared<K>,
    sender: &Sender<(K, Option<R>)>,
    wake: &(dyn Fn() + Send + Sync),
    answer: &(impl Fn(&K, &Work, &Answers<'_, K, R>) + ?Sized),
) {
    while let Some((key, work)) = take(shared) {
        let answers = Answers {
            key: &key,
            sender,
            wake,
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            answer(&key, &work, &answers);
        }));
        if outcome.is_err() {
            log::error!("an internal error stopped the loading of an image");
            shared.lock().broken.insert(key.clone());
        }
        if sender.send((key, None)).is_err() {
            return;
        }
        wake();
    }
}

/// Waits for the most important request.
fn take<K: Clone + Eq + Hash>(shared: &Shared<K>) -> Option<(K, Work)> {
    let mut queue = shared.lock();
    loop {
        if queue.closed {
            return None;
        }
        let frame = queue.frame;
        queue
            .waiting
            .retain(|_, (wanted, _)| *wanted + STALE >= frame);
        let next = queue
            .waiting
            .iter()
            .max_by_key(|(_, (wanted, order))| (*wanted, u32::MAX - *order))
            .map(|(key, _)| key.clone());
        if let Some(key) = next {
            queue.waiting.remove(&key);
            let work = Work::new();
            queue.running.insert(key.clone(), work.clone());
            return Some((key, work));
        }
        shared.added.wait(&mut queue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn wait_for<T>(mut f: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(value) = f() {
                return value;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "no answer");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn the_latest_wanted_comes_first_and_the_unwanted_never() {
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock();
        let inner = Arc::clone(&gate);
        let pool = Pool::new(
            "test",
            1,
            || {},
            move |key: &u32, _: &Work, answers: &Answers<'_, u32, u32>| {
                if *key == 0 {
                    drop(inner.lock());
                }
                answers.send(key * 10);
            },
        );
        pool.want(&0);
        wait_for(|| (!pool.shared.lock().running.is_empty()).then_some(()));
        pool.want(&1);
        for _ in 0..5 {
            pool.begin_frame();
        }
        pool.want(&2);
        pool.begin_frame();
        pool.want(&3);
        pool.want(&4);
        drop(closed);
        let order: Vec<u32> = (0..4).map(|_| wait_for(|| pool.next_answer()).0).collect();
        assert_eq!(order, [0, 3, 4, 2]);
        wait_for(|| (pool.next_answer().is_none() && pool.is_idle()).then_some(()));
    }

    #[test]
    fn giving_up_cancels_what_runs() {
        let pool = Pool::new(
            "test",
            1,
            || {},
            |_: &u32, work: &Work, answers: &Answers<'_, u32, bool>| {
                while work.check().is_ok() {
                    std::thread::yield_now();
                }
                answers.send(true);
            },
        );
        pool.want(&1);
        wait_for(|| (!pool.shared.lock().running.is_empty()).then_some(()));
        pool.give_up(|_| true);
        assert_eq!(wait_for(|| pool.next_answer()), (1, true));
    }
}
