//! Watching the open project's folders: files moved by other programs are shown within a second, and the window
//! notices when the project disappears and comes back.
//!
//! A thread waits for events of the system in `classes/`, `unsorted/` and `runs/` until none has come for a moment,
//! and checks once a second whether the project still exists. It changes nothing: the window calls [`Watch::take`] in
//! each frame and starts what is necessary. If the system cannot watch (too many folders for its limit, a network
//! drive), the window reads the folders when it gets the focus, as it always does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;

use crate::files;
use crate::project;

/// Changes are reported after this time without another.
const QUIET: Duration = Duration::from_millis(150);
/// Changes are reported after this long at the latest, even while more follow.
const LATEST: Duration = Duration::from_millis(500);
/// How often it is checked whether the project exists.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The most changed files that are reported by name; if there are more, none is.
const MOST_NAMES: usize = 4_096;

/// The changes since the last call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct WatchedChanges {
    /// Frames or class folders were added, removed or renamed.
    pub frames: bool,
    /// Runs were added, removed or finished.
    pub runs: bool,
    /// Files whose contents were changed in place.
    pub contents: BTreeSet<PathBuf>,
    /// Whether the project exists, if that has changed.
    pub there: Option<bool>,
}

/// Watches one project until it is dropped.
pub(super) struct Watch {
    changes: Arc<Mutex<WatchedChanges>>,
    // Only held: the thread ends when it is dropped.
    _end: Sender<()>,
}

impl Watch {
    /// Watches the project in the folder `root`; `wake` is called when there are changes.
    pub(super) fn new(root: &Path, wake: impl Fn() + Send + 'static) -> Self {
        let changes = Arc::<Mutex<WatchedChanges>>::default();
        let (end, ended) = bounded(0);
        let (root, shared) = (root.to_owned(), Arc::clone(&changes));
        let thread = std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || run(&root, &shared, &ended, &wake));
        if let Err(error) = thread {
            log::warn!("the project's folders cannot be watched: {error}");
        }
        Self { changes, _end: end }
    }

    /// The changes since the last call.
    pub(super) fn take(&self) -> WatchedChanges {
        std::mem::take(&mut *self.changes.lock())
    }
}

/// The folders of a project that are watched.
struct Folders<'a> {
    root: &'a Path,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<&'static str>,
}

impl Folders<'_> {
    const ALL: [&'static str; 3] = ["classes", "unsorted", "runs"];

    /// Watches those that exist and are not watched yet.
    fn watch(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for name in Self::ALL {
            let folder = self.root.join(name);
            if self.watched.contains(name) || !folder.is_dir() {
                continue;
            }
            match watcher.watch(&folder, RecursiveMode::Recursive) {
                Ok(()) => drop(self.watched.insert(name)),
                Err(error) => {
                    log::warn!(
                        "“{}” cannot be watched; its changes appear when the window gets the focus: {error}",
                        folder.display()
                    );
                    // Not tried again each second.
                    self.watched.insert(name);
                }
            }
        }
    }

    /// One of them was removed; a new one of the same name must be watched again.
    fn forget(&mut self, folder: &Path) {
        self.watched.retain(|name| self.root.join(name) != folder);
    }
}

fn run(root: &Path, shared: &Mutex<WatchedChanges>, ended: &Receiver<()>, wake: &dyn Fn()) {
    // Not bounded: the system's own queue is, and waiting here would fill it.
    let (sender, events) = unbounded();
    let heard = move |event: notify::Result<Event>| {
        let news = match event {
            Ok(event) => News::of(event),
            Err(error) => {
                log::warn!("watching folders: {error}");
                None
            }
        };
        if let Some(news) = news
            && sender.send(news).is_err()
        {
            log::debug!("watching stopped: its receiver is gone");
        }
    };
    // A link in a project can point anywhere.
    let config = notify::Config::default().with_follow_symlinks(false);
    let watcher = RecommendedWatcher::new(heard, config)
        .inspect_err(|error| log::warn!("folders cannot be watched: {error}"))
        .ok();
    let mut folders = Folders {
        root,
        watcher,
        watched: BTreeSet::new(),
    };
    let mut there = true;
    let mut news = Gathered::default();
    let mut next_check = Instant::now();
    loop {
        let now = Instant::now();
        if now >= next_check {
            next_check = now + CHECK_INTERVAL;
            let found = project::is_there(root);
            if found != there {
                there = found;
                report(shared, wake, |changes| changes.there = Some(found));
            }
            if found {
                folders.watch();
            }
        }
        if let Some(ready) = news.take_ready(now) {
            report(shared, wake, |changes| ready.into_changes(changes));
        }
        let wait = news.due().map_or(next_check, |due| due.min(next_check));
        select! {
            recv(ended) -> _ => return,
            recv(events) -> event => match event {
                Ok(event) => {
                    for path in &event.removed {
                        folders.forget(path);
                    }
                    news.add(root, event);
                }
                // Without a watcher there are no events.
                Err(_) => if ended.recv_timeout(CHECK_INTERVAL) != Err(crossbeam_channel::RecvTimeoutError::Timeout) {
                    return;
                },
            },
            default(wait.saturating_duration_since(now)) => {}
        }
    }
}

fn report(
    shared: &Mutex<WatchedChanges>,
    wake: &dyn Fn(),
    change: impl FnOnce(&mut WatchedChanges),
) {
    change(&mut shared.lock());
    wake();
}

/// The relevant content of one event.
#[derive(Debug)]
struct News {
    paths: Vec<PathBuf>,
    removed: Vec<PathBuf>,
    /// The contents of files changed, not their names.
    contents: bool,
    /// The system has lost events.
    everything: bool,
}

impl News {
    fn of(event: Event) -> Option<Self> {
        let everything = event.need_rescan();
        let contents = match event.kind {
            EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any)
            | EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
            EventKind::Create(_)
            | EventKind::Remove(_)
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Any => false,
            // Reading, permissions and times.
            EventKind::Access(_) | EventKind::Modify(_) | EventKind::Other if !everything => {
                return None;
            }
            _ => false,
        };
        let removed = match event.kind {
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => event.paths.clone(),
            _ => Vec::new(),
        };
        let mut paths = event.paths;
        paths.retain(|path| !is_passed_over(path));
        (everything || !paths.is_empty()).then_some(Self {
            paths,
            removed,
            contents,
            everything,
        })
    }
}

/// Files that are being written, and hidden ones, which scanning skips too.
fn is_passed_over(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || files::is_temporary(&name)
}

/// Changes that have not been reported yet.
#[derive(Default)]
struct Gathered {
    frames: bool,
    runs: bool,
    contents: BTreeSet<PathBuf>,
    /// When the first and the last of them happened.
    times: Option<(Instant, Instant)>,
}

impl Gathered {
    fn add(&mut self, root: &Path, news: News) {
        let mut matters = news.everything;
        self.frames |= news.everything;
        self.runs |= news.everything;
        for path in news.paths {
            let Ok(below) = path.strip_prefix(root) else {
                continue;
            };
            let parts = below.components().count();
            if below.starts_with("runs") {
                // A run that is added, removed or ends; not its checkpoints.
                let counts = parts == 2 || (parts == 3 && below.ends_with("run.json"));
                self.runs |= counts;
                matters |= counts;
            } else if news.contents {
                // Other names are determined by it; only images that are shown matter.
                matters |= self.contents.len() < MOST_NAMES && self.contents.insert(path);
            } else {
                self.frames = true;
                matters = true;
            }
        }
        if matters {
            let now = Instant::now();
            let first = self.times.map_or(now, |(first, _)| first);
            self.times = Some((first, now));
        }
    }

    /// When they must be reported.
    fn due(&self) -> Option<Instant> {
        let (first, last) = self.times?;
        Some((last + QUIET).min(first + LATEST))
    }

    fn take_ready(&mut self, now: Instant) -> Option<Self> {
        (self.due()? <= now).then(|| std::mem::take(self))
    }

    fn into_changes(self, changes: &mut WatchedChanges) {
        changes.frames |= self.frames;
        changes.runs |= self.runs;
        changes.contents.extend(self.contents);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use std::fs;

    use super::*;
    use crate::project::Project;

    struct Desk {
        dir: tempfile::TempDir,
        root: PathBuf,
        watch: Watch,
        woken: Receiver<()>,
    }

    fn desk() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("p");
        drop(Project::create(&root, "p").unwrap());
        fs::create_dir(root.join("classes/cat")).unwrap();
        fs::create_dir(root.join("runs")).unwrap();
        fs::write(root.join("classes/cat/old.jpg"), "old").unwrap();
        let (sender, woken) = unbounded();
        let watch = Watch::new(&root, move || sender.send(()).unwrap_or_default());
        // Until the folders are watched.
        std::thread::sleep(Duration::from_millis(200));
        Desk {
            dir,
            root,
            watch,
            woken,
        }
    }

    impl Desk {
        /// Waits for the next changes.
        fn next(&self) -> WatchedChanges {
            self.woken.recv_timeout(Duration::from_secs(20)).unwrap();
            self.watch.take()
        }

        /// Checks that nothing is reported.
        fn silent(&self) {
            let woken = self.woken.recv_timeout(Duration::from_millis(900));
            assert!(woken.is_err(), "{:?}", self.watch.take());
        }
    }

    #[test]
    fn frames_that_come_and_go_are_told_together() {
        let desk = desk();
        for number in 0..500 {
            let path = desk.root.join(format!("classes/cat/{number}.jpg"));
            fs::write(path, "new").unwrap();
        }
        let changes = desk.next();
        assert!(changes.frames && !changes.runs && changes.there.is_none());
        let mut woken = 1;
        while desk.woken.recv_timeout(Duration::from_millis(900)).is_ok() {
            desk.watch.take();
            woken += 1;
        }
        assert!(woken <= 50, "told {woken} times of 500 files");
        for change in ["a new folder", "within it", "renamed", "removed"] {
            let (new, renamed) = (
                desk.root.join("classes/dog"),
                desk.root.join("classes/Hund"),
            );
            match change {
                "a new folder" => fs::create_dir(&new).unwrap(),
                "within it" => fs::write(new.join("1.jpg"), "x").unwrap(),
                "renamed" => fs::rename(&new, &renamed).unwrap(),
                _ => fs::remove_dir_all(&renamed).unwrap(),
            }
            assert!(desk.next().frames, "{change}");
        }
    }

    #[test]
    fn what_does_not_matter_is_not_told() {
        let desk = desk();
        fs::write(desk.root.join("classes/cat/.hidden"), "x").unwrap();
        fs::read(desk.root.join("classes/cat/old.jpg")).unwrap();
        let part = desk.root.join("classes/cat/.salamander-0123456789ab.part");
        fs::write(&part, "half").unwrap();
        fs::remove_file(&part).unwrap();
        fs::create_dir_all(desk.root.join("cache/thumbs")).unwrap();
        fs::write(desk.root.join("cache/thumbs/1.jpg"), "x").unwrap();
        desk.silent();
    }

    #[test]
    fn a_picture_that_is_painted_over_is_told_by_name() {
        let desk = desk();
        let path = desk.root.join("classes/cat/old.jpg");
        fs::write(&path, "new").unwrap();
        let changes = desk.next();
        assert_eq!(changes.contents, BTreeSet::from([path]));
        assert!(!changes.frames);
    }

    #[test]
    fn runs_are_told_and_their_checkpoints_are_not() {
        let desk = desk();
        let run = desk.root.join("runs/one");
        fs::create_dir(&run).unwrap();
        assert!(desk.next().runs);
        // Until the new folder is watched.
        std::thread::sleep(Duration::from_millis(300));
        fs::write(run.join("checkpoint.safetensors"), "x").unwrap();
        fs::create_dir(run.join("cache")).unwrap();
        desk.silent();
        fs::write(run.join("run.json"), "{}").unwrap();
        let changes = desk.next();
        assert!(changes.runs && !changes.frames);
    }

    #[test]
    fn a_project_that_goes_and_comes_back_is_told() {
        let desk = desk();
        let away = desk.dir.path().join("away");
        fs::rename(&desk.root, &away).unwrap();
        assert_eq!(desk.next().there, Some(false));
        fs::rename(&away, &desk.root).unwrap();
        assert_eq!(desk.next().there, Some(true));
    }
}
