//! Whether the open project can be changed (it may be read-only, or its folder missing), and what happens when its
//! folders change from outside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::notes::Tone;
use super::watch::Watch;
use super::{App, Lane, Session, words};
use crate::jobs::JobError;
use crate::project::{Access, ProjectError};

/// After a scan that was caused from outside there is a pause of this many times its duration: so files that are
/// continually added to a large project do not keep it busy.
const REST: u32 = 2;

impl Session {
    /// Whether the project can be changed now.
    #[must_use]
    pub fn can_change(&self) -> bool {
        self.why_not_changed().is_none()
    }

    /// Why the project cannot be changed now.
    fn why_not_changed(&self) -> Option<ProjectError> {
        let path = self.root.clone();
        if self.missing {
            return Some(ProjectError::Gone { path });
        }
        match self.project.access() {
            Access::Full => None,
            access => Some(ProjectError::ReadOnly { path, access }),
        }
    }
}

impl App {
    /// Whether the open project can be changed; reports the reason if not.
    pub(super) fn may_change(&mut self) -> bool {
        let why = self.session.as_ref().and_then(Session::why_not_changed);
        if let Some(why) = &why {
            self.notes.add(Tone::Info, why.to_string());
        }
        why.is_none()
    }

    /// How many times the folders were read since the window opened.
    #[must_use]
    pub fn scans(&self) -> u64 {
        self.scans
    }

    /// Handles changes reported by the watcher of the project's folders.
    pub(super) fn follow_watch(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        let seen = session.watch.take();
        if !seen.contents.is_empty() {
            session.images.forget(&seen.contents);
        }
        session.rescan_due |= seen.frames;
        match seen.there {
            Some(false) => self.project_gone(),
            Some(true) => self.project_back(),
            None => {}
        }
        if seen.runs {
            self.load_runs();
        }
        self.rescan_if_due();
    }

    fn rescan_if_due(&mut self) {
        let due = |session: &Session| session.rescan_due && !session.missing;
        if !self.session.as_ref().is_some_and(due) {
            return;
        }
        // A scan is useless while changes are being made; there is one afterwards anyway.
        if self.refreshing || self.tasks.is_busy(Lane::Edit) {
            return;
        }
        let left = self.rest_until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.refresh();
        } else {
            self.ctx.request_repaint_after(left);
        }
    }

    /// A scan that took this long has ended.
    pub(super) fn rest_after(&mut self, took: Duration) {
        self.rest_until = Instant::now() + took * REST;
    }

    fn project_gone(&mut self) {
        if let Some(session) = &mut self.session {
            log::info!("“{}” is no longer there", session.root.display());
            session.missing = true;
            self.tasks.cancel_all();
        }
    }

    /// The folder is back: continues if it is the same project, otherwise reopens it.
    fn project_back(&mut self) {
        let Some(session) = &self.session else {
            return;
        };
        let project = Arc::clone(&session.project);
        let root = session.root.clone();
        self.tasks.start(
            Lane::Edit,
            "Checking the project's folder",
            true,
            move |_| Ok::<_, ProjectError>(project.is_the_one_opened()),
            move |app, result: Result<bool, JobError>| {
                let Some(session) = &mut app.session else {
                    return;
                };
                let error = ProjectError::Gone { path: root.clone() };
                app.notes.forget(&words::sentence(&error.to_string()));
                if result == Ok(true) {
                    session.missing = false;
                    session.watch = watch(&app.ctx, &root);
                    app.focused();
                } else {
                    let workspace = app.workspace;
                    app.open_project(root, Vec::new());
                    app.return_to = Some(workspace);
                }
            },
        );
    }
}

/// Watches a project's folders for the window.
pub(super) fn watch(ctx: &egui::Context, root: &std::path::Path) -> Watch {
    let ctx = ctx.clone();
    Watch::new(root, move || ctx.request_repaint())
}
