//! Background work of the window: lanes of jobs, their results, and what the foot of the window shows.
//!
//! A task is a closure for a thread and a closure for its result, which is called with the [`App`] on
//! the UI thread. Tasks of one serial lane run one after the other, in the order they were started.

use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

use super::App;
use crate::jobs::{Job, JobError, Work, spawn};

/// Which tasks wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Changes of the project: one after the other, each short.
    Edit,
    /// Writing frames: two at a time, long.
    Extract,
    /// Bottlenecks, training, evaluating, exporting: one after the other, long.
    Learn,
    /// Everything else: at once.
    Free,
}

impl Lane {
    /// How many tasks of the lane run at a time.
    fn at_once(self) -> usize {
        match self {
            Self::Edit | Self::Learn => 1,
            // The serial parts of one video (reading, filters, JPEG) overlap with the decoding of the other.
            Self::Extract => 2,
            Self::Free => usize::MAX,
        }
    }
}

/// Identifies a task while it runs or waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskId(u64);

/// Work that takes less is not shown at all: nothing flashes.
const SHOWN_AFTER: Duration = Duration::from_millis(350);
/// How often a reporting job may repaint the window.
const REPAINT: Duration = Duration::from_millis(60);
/// How long results are taken in at most, per frame.
const DRAIN: Duration = Duration::from_millis(3);

type Then = Box<dyn FnOnce(&mut App)>;

/// A job whose result type has been forgotten.
trait Ending {
    fn poll(&mut self) -> Option<Then>;
}

type OnDone<T> = Box<dyn FnOnce(&mut App, Result<T, JobError>)>;

struct Typed<T> {
    job: Job<T>,
    done: Option<OnDone<T>>,
}

impl<T: Send + 'static> Ending for Typed<T> {
    fn poll(&mut self) -> Option<Then> {
        let result = self.job.try_finish()?;
        let done = self.done.take()?;
        Some(Box::new(move |app| done(app, result)))
    }
}

type Start = Box<dyn FnOnce(&Work) -> Box<dyn Ending>>;

struct Waiting {
    task: Task,
    start: Start,
}

/// A task as the foot of the window shows it.
pub struct Task {
    /// Its identity.
    pub id: TaskId,
    /// What it does, as a heading: “Extracting frames”.
    pub title: String,
    /// Where it reports, and where it is paused and cancelled.
    pub work: Work,
    lane: Lane,
    started: Instant,
    quiet: bool,
    ending: Option<Box<dyn Ending>>,
}

impl Task {
    /// Whether it has been running long enough to be shown.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        !self.quiet && self.started.elapsed() >= SHOWN_AFTER
    }
}

/// All tasks of the window.
pub struct Tasks {
    ctx: egui::Context,
    running: Vec<Task>,
    waiting: VecDeque<Waiting>,
    next: u64,
}

impl Tasks {
    pub(super) fn new(ctx: egui::Context) -> Self {
        Self {
            ctx,
            running: Vec::new(),
            waiting: VecDeque::new(),
            next: 0,
        }
    }

    /// Runs `f` on a thread called `title` and then `done` on the UI thread. A `quiet` task is never
    /// shown in the foot and does not hold up quitting.
    pub fn start<T, E>(
        &mut self,
        lane: Lane,
        title: &str,
        quiet: bool,
        f: impl FnOnce(&Work) -> Result<T, E> + Send + 'static,
        done: impl FnOnce(&mut App, Result<T, JobError>) + 'static,
    ) -> TaskId
    where
        T: Send + 'static,
        E: Error + 'static,
    {
        let id = TaskId(self.next);
        self.next += 1;
        let ctx = self.ctx.clone();
        let work = Work::with_wake(move || ctx.request_repaint_after(REPAINT));
        let name = title.to_owned();
        let start: Start = Box::new(move |work| {
            Box::new(Typed {
                job: spawn(&name, work.clone(), f),
                done: Some(Box::new(done)),
            })
        });
        let task = Task {
            id,
            title: title.to_owned(),
            work,
            lane,
            started: Instant::now(),
            quiet,
            ending: None,
        };
        self.waiting.push_back(Waiting { task, start });
        self.start_waiting();
        self.ctx.request_repaint_after(SHOWN_AFTER);
        id
    }

    /// [`Tasks::start`] whose `done` also gets the task's id, to know whether it is still the one that counts: a task
    /// that was cancelled for another ends after that has begun.
    pub fn start_as<T, E>(
        &mut self,
        lane: Lane,
        title: &str,
        quiet: bool,
        f: impl FnOnce(&Work) -> Result<T, E> + Send + 'static,
        done: impl FnOnce(&mut App, TaskId, Result<T, JobError>) + 'static,
    ) -> TaskId
    where
        T: Send + 'static,
        E: Error + 'static,
    {
        let id = TaskId(self.next);
        self.start(lane, title, quiet, f, move |app, result| {
            done(app, id, result);
        })
    }

    fn start_waiting(&mut self) {
        let mut still = VecDeque::new();
        while let Some(mut next) = self.waiting.pop_front() {
            let lane = next.task.lane;
            let running = self.running.iter().filter(|task| task.lane == lane).count();
            let busy =
                running >= lane.at_once() || still.iter().any(|w: &Waiting| w.task.lane == lane);
            if busy {
                still.push_back(next);
            } else {
                next.task.started = Instant::now();
                next.task.ending = Some((next.start)(&next.task.work));
                self.running.push(next.task);
            }
        }
        self.waiting = still;
    }

    /// The running tasks, oldest first.
    #[must_use]
    pub fn running(&self) -> &[Task] {
        &self.running
    }

    /// Whether `id` runs or waits.
    #[must_use]
    pub fn is_alive(&self, id: TaskId) -> bool {
        self.running.iter().any(|task| task.id == id)
            || self.waiting.iter().any(|waiting| waiting.task.id == id)
    }

    /// Whether anything runs or waits in `lane`.
    #[must_use]
    pub fn is_busy(&self, lane: Lane) -> bool {
        self.running.iter().any(|task| task.lane == lane)
            || self.waiting.iter().any(|waiting| waiting.task.lane == lane)
    }

    /// Whether there is work that quitting would cut short.
    #[must_use]
    pub fn holds_up_quitting(&self) -> bool {
        self.running.iter().any(|task| !task.quiet) || self.waiting.iter().any(|w| !w.task.quiet)
    }

    /// Whether anything is left that must end before the program may.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Cancels one task.
    pub fn cancel(&mut self, id: TaskId) {
        self.waiting.retain(|waiting| waiting.task.id != id);
        if let Some(task) = self.running.iter().find(|task| task.id == id) {
            task.work.cancel();
        }
    }

    /// Cancels everything but edits, which are short and must not be cut.
    pub fn cancel_all(&mut self) {
        self.waiting
            .retain(|waiting| waiting.task.lane == Lane::Edit);
        for task in self.running.iter().filter(|task| task.lane != Lane::Edit) {
            task.work.cancel();
        }
    }

    /// Pauses or resumes one task.
    pub fn set_paused(&mut self, id: TaskId, paused: bool) {
        if let Some(task) = self.running.iter().find(|task| task.id == id) {
            task.work.set_paused(paused);
        }
    }

    /// The next finished task's title, warnings and the rest of its story.
    fn next_finished(&mut self) -> Option<(Vec<String>, Then)> {
        let (index, then) = self
            .running
            .iter_mut()
            .enumerate()
            .find_map(|(index, task)| Some((index, task.ending.as_mut()?.poll()?)))?;
        let task = self.running.remove(index);
        Some((task.work.take_warnings(), then))
    }
}

impl App {
    /// Takes in the results of finished tasks, for a few milliseconds at most.
    pub(super) fn drain_tasks(&mut self) {
        let start = Instant::now();
        while start.elapsed() < DRAIN {
            let Some((warnings, then)) = self.tasks.next_finished() else {
                return;
            };
            self.notes.warnings(warnings);
            self.tasks.start_waiting();
            then(self);
        }
        self.ctx.request_repaint();
    }
}
