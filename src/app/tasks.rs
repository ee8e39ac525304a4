//! Background work of the window: lanes of jobs, their results, and the tasks that the bar at the bottom shows.
//!
//! A task is a closure for a thread and a closure for its result, which is called with the [`App`] on the UI thread.
//! Tasks of one serial lane run one after the other, in the order in which they were started. A task belongs to the
//! project that was open when it was started, or to the window. If that project is closed, even if it is opened again,
//! the result is dropped here, and only a failure is reported.

use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

use super::App;
use crate::jobs::{Job, JobError, Work, spawn};

/// Determines which tasks wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Changes of the project: one after the other, each short.
    Edit,
    /// Extracting frames: two at a time, long.
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

/// The owner of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Window,
    /// The project with this number, counted by opening.
    Project(u64),
}

/// Shorter work is not shown, so that nothing flashes.
const SHOWN_AFTER: Duration = Duration::from_millis(350);
/// The least time between repaints for a job's progress.
const REPAINT: Duration = Duration::from_millis(60);
/// The most time for receiving results, per frame.
const DRAIN: Duration = Duration::from_millis(3);

type Then = Box<dyn FnOnce(&mut App)>;

/// The result of a job that has ended.
struct Ended {
    /// Why it has no result.
    error: Option<JobError>,
    then: Then,
}

/// A job with its result type erased.
trait Ending {
    fn poll(&mut self) -> Option<Ended>;
}

type OnDone<T> = Box<dyn FnOnce(&mut App, Result<T, JobError>)>;

struct Typed<T> {
    job: Job<T>,
    done: Option<OnDone<T>>,
}

impl<T: Send + 'static> Ending for Typed<T> {
    fn poll(&mut self) -> Option<Ended> {
        let result = self.job.try_finish()?;
        let done = self.done.take()?;
        Some(Ended {
            error: result.as_ref().err().cloned(),
            then: Box::new(move |app| done(app, result)),
        })
    }
}

type Start = Box<dyn FnOnce(&Work) -> Box<dyn Ending>>;

struct Waiting {
    task: Task,
    start: Start,
}

/// A task as shown by the bar at the bottom.
pub struct Task {
    /// Its identity.
    pub id: TaskId,
    /// Its title: “Extracting frames”.
    pub title: String,
    /// Its progress, pausing and cancelling.
    pub work: Work,
    lane: Lane,
    owner: Owner,
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
    /// The owner of tasks that are started now.
    owner: Owner,
    /// The number of projects that were opened.
    opened: u64,
}

/// A task that has ended.
struct Finished {
    task: Task,
    ended: Ended,
}

impl Finished {
    /// The message for the user if the owner of a task is gone: a failure of something that was requested or written.
    fn failure(&self) -> Option<String> {
        let error = self.ended.error.as_ref()?;
        let matters = !self.task.quiet || self.task.lane == Lane::Edit;
        (matters && *error != JobError::Cancelled).then(|| format!("{}: {error}", self.task.title))
    }
}

impl Tasks {
    pub(super) fn new(ctx: egui::Context) -> Self {
        Self {
            ctx,
            running: Vec::new(),
            waiting: VecDeque::new(),
            next: 0,
            owner: Owner::Window,
            opened: 0,
        }
    }

    /// From now on tasks belong to a newly opened project.
    pub(super) fn project_opened(&mut self) {
        self.opened += 1;
        self.owner = Owner::Project(self.opened);
    }

    /// The project is closed: its tasks are cancelled, except edits, and their results are dropped.
    pub(super) fn project_closed(&mut self) {
        let owner = std::mem::replace(&mut self.owner, Owner::Window);
        self.cancel_those(|task| task.owner == owner);
    }

    /// Runs `f` on a thread called `title` and then, if the same project is still open, `done` on the UI thread. A
    /// `quiet` task is never shown in the bar at the bottom and does not delay quitting.
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
        self.start_of(self.owner, lane, title, quiet, f, done)
    }

    /// [`Tasks::start`] for work that does not belong to the open project: its result is received in any case.
    pub fn start_for_window<T, E>(
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
        self.start_of(Owner::Window, lane, title, quiet, f, done)
    }

    fn start_of<T, E>(
        &mut self,
        owner: Owner,
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
            owner,
            started: Instant::now(),
            quiet,
            ending: None,
        };
        self.waiting.push_back(Waiting { task, start });
        self.start_waiting();
        self.ctx.request_repaint_after(SHOWN_AFTER);
        id
    }

    /// [`Tasks::start`] whose `done` also gets the task's id, to check whether it is still the current one: a task
    /// that was cancelled in favour of another may end after that was started.
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

    /// Whether `id` is running or waiting.
    #[must_use]
    pub fn is_alive(&self, id: TaskId) -> bool {
        self.running.iter().any(|task| task.id == id)
            || self.waiting.iter().any(|waiting| waiting.task.id == id)
    }

    /// Whether anything is running or waiting in `lane`.
    #[must_use]
    pub fn is_busy(&self, lane: Lane) -> bool {
        self.running.iter().any(|task| task.lane == lane)
            || self.waiting.iter().any(|waiting| waiting.task.lane == lane)
    }

    /// Whether there is work that quitting would interrupt.
    #[must_use]
    pub fn holds_up_quitting(&self) -> bool {
        self.running.iter().any(|task| !task.quiet) || self.waiting.iter().any(|w| !w.task.quiet)
    }

    /// Whether everything that must end before the program has ended.
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

    /// Cancels everything except edits.
    pub fn cancel_all(&mut self) {
        self.cancel_those(|_| true);
    }

    /// Cancels tasks, except edits, which are short and must not be interrupted.
    fn cancel_those(&mut self, which: impl Fn(&Task) -> bool) {
        let goes = |task: &Task| task.lane != Lane::Edit && which(task);
        self.waiting.retain(|waiting| !goes(&waiting.task));
        for task in self.running.iter().filter(|task| goes(task)) {
            task.work.cancel();
        }
    }

    /// Pauses or resumes one task.
    pub fn set_paused(&mut self, id: TaskId, paused: bool) {
        if let Some(task) = self.running.iter().find(|task| task.id == id) {
            task.work.set_paused(paused);
        }
    }

    /// The next task that has ended.
    fn next_finished(&mut self) -> Option<Finished> {
        let (index, ended) = self
            .running
            .iter_mut()
            .enumerate()
            .find_map(|(index, task)| Some((index, task.ending.as_mut()?.poll()?)))?;
        let task = self.running.remove(index);
        Some(Finished { task, ended })
    }

    fn is_wanted(&self, owner: Owner) -> bool {
        owner == Owner::Window || owner == self.owner
    }
}

impl App {
    /// Receives the results of finished tasks, for a few milliseconds at most. The only place where results are
    /// dropped if their owner is gone.
    pub(super) fn drain_tasks(&mut self) {
        let start = Instant::now();
        while start.elapsed() < DRAIN {
            let Some(finished) = self.tasks.next_finished() else {
                return;
            };
            self.notes.warnings(finished.task.work.take_warnings());
            self.tasks.start_waiting();
            if self.tasks.is_wanted(finished.task.owner) {
                (finished.ended.then)(self);
            } else if let Some(failure) = finished.failure() {
                self.fail(failure);
            }
        }
        self.ctx.request_repaint();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::super::WindowOptions;
    use super::*;
    use crate::jobs::Cancelled;

    /// Waits until all tasks have ended, and receives their results.
    fn settle(app: &mut App) {
        while !app.tasks.is_idle() {
            std::thread::sleep(Duration::from_millis(1));
            app.drain_tasks();
        }
    }

    #[test]
    fn results_come_to_the_project_that_asked_for_them() {
        let mut app = App::new(&egui::Context::default(), WindowOptions::default());
        let ended = Rc::new(RefCell::new(Vec::new()));
        let start = |app: &mut App, name: &'static str, for_window: bool| {
            let ended = Rc::clone(&ended);
            let f = |_: &Work| Ok::<_, Cancelled>(());
            // An edit, because edits are not cancelled when their project is closed.
            let done = move |_: &mut App, _: Result<(), JobError>| ended.borrow_mut().push(name);
            if for_window {
                app.tasks.start_for_window(Lane::Edit, name, true, f, done);
            } else {
                app.tasks.start(Lane::Edit, name, true, f, done);
            }
        };
        start(&mut app, "before", false);
        app.tasks.project_opened();
        start(&mut app, "of the first", false);
        start(&mut app, "of the window", true);
        // Closed and opened again, perhaps the same one.
        app.tasks.project_closed();
        app.tasks.project_opened();
        start(&mut app, "of the second", false);
        settle(&mut app);
        assert_eq!(
            *ended.borrow(),
            ["before", "of the window", "of the second"]
        );
        start(&mut app, "of the second, closed", false);
        app.tasks.project_closed();
        settle(&mut app);
        assert_eq!(ended.borrow().len(), 3);
    }

    #[test]
    fn what_failed_for_a_closed_project_is_told_but_what_was_cancelled_is_not() {
        let mut app = App::new(&egui::Context::default(), WindowOptions::default());
        app.tasks.project_opened();
        let error = || std::io::Error::other("the disk is full");
        let fails = move |_: &Work| Err::<(), _>(error());
        let waits = |work: &Work| -> Result<(), Cancelled> {
            loop {
                std::thread::sleep(Duration::from_millis(1));
                work.check()?;
            }
        };
        let unwanted = |_: &mut App, _: Result<(), JobError>| panic!("nobody waits for it");
        app.tasks
            .start(Lane::Edit, "Saving a note", true, fails, unwanted);
        app.tasks
            .start(Lane::Free, "Preparing the change", true, fails, unwanted);
        app.tasks
            .start(Lane::Learn, "Training", false, waits, unwanted);
        app.tasks.project_closed();
        settle(&mut app);
        let texts: Vec<&str> = app.notes.list().iter().map(|note| &*note.text).collect();
        assert_eq!(texts, ["Saving a note: the disk is full"]);
    }
}
