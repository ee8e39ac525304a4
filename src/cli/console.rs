//! The output of a command: text and progress bars for people, one JSON object per line for programs.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, TrySendError, bounded};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::jobs::{JobError, Progress, Work, spawn};
use crate::text;

use super::interrupt;

/// More reports per second cannot be read.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);
/// Without a terminal, progress is reported as a line at this interval.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// The reader of standard output has gone (`salamander … | head`).
#[derive(Debug, thiserror::Error)]
#[error("the output is no longer read")]
pub struct ReaderGone;

/// The work was interrupted by the user; finished parts are kept.
#[derive(Debug, thiserror::Error)]
#[error("cancelled; finished work is kept")]
pub struct Interrupted;

/// The two output streams and the choice between text and JSON.
pub struct Console {
    json: bool,
}

/// The output of a command while its work is running.
pub struct Watch<'a> {
    console: &'a Console,
    bar: Option<ProgressBar>,
    reported: Option<Instant>,
    stage: String,
    reader_gone: bool,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Progress {
        stage: &'a str,
        detail: &'a str,
        done: u64,
        total: Option<u64>,
        seconds_left: Option<f64>,
    },
    Warning {
        message: &'a str,
    },
    Error {
        message: &'a str,
    },
}

#[derive(Serialize)]
struct Tagged<'a, T> {
    event: &'a str,
    #[serde(flatten)]
    fields: &'a T,
}

impl Console {
    /// JSON lines or text.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether the output is for programs.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Whether progress bars can be drawn.
    pub fn interactive(&self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// Writes a JSON line if the output is for programs.
    pub fn event(&self, event: &str, fields: &impl Serialize) -> anyhow::Result<()> {
        if !self.json {
            return Ok(());
        }
        self.json_line(&Tagged { event, fields })
    }

    /// Writes one JSON object in a line, with control characters in names escaped for terminals.
    fn json_line(&self, object: &impl Serialize) -> anyhow::Result<()> {
        self.write(&text::json(&serde_json::to_string(object)?))
    }

    /// The last output of a command: JSON for programs, `text` for people, which may have several lines.
    pub fn result(
        &self,
        fields: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        if self.json {
            self.event("result", fields)
        } else {
            self.lines(text().trim_end())
        }
    }

    /// Writes one line for people to standard output.
    pub fn out(&self, line: &str) -> anyhow::Result<()> {
        self.write(&text::visible(line))
    }

    /// Writes lines for people to standard output. The caller makes sure that no name breaks a line.
    pub fn lines(&self, lines: &str) -> anyhow::Result<()> {
        self.write(&text::visible_lines(lines))
    }

    /// Writes to standard output, whose reader may have gone.
    #[allow(clippy::unused_self, reason = "output goes through the console")]
    fn write(&self, line: &str) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        match writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ReaderGone.into()),
            Err(error) => Err(anyhow::Error::new(error).context("cannot write the output")),
        }
    }

    /// Writes one line for people to standard error, whose reader may have gone.
    #[allow(clippy::unused_self, reason = "output goes through the console")]
    pub fn say(&self, line: &str) {
        if let Err(error) = writeln!(io::stderr().lock(), "{}", text::visible(line)) {
            log::debug!("cannot write to standard error: {error}");
        }
    }

    /// The message of a failed command.
    pub fn error(&self, message: &str) {
        if self.json
            && let Err(error) = self.json_line(&Event::Error { message })
        {
            log::debug!("cannot report an error: {error}");
        }
        self.say(&format!("salamander: {message}"));
    }

    /// A problem that did not stop the command.
    pub fn warning(&self, message: &str) -> anyhow::Result<()> {
        if self.json {
            self.json_line(&Event::Warning { message })
        } else {
            self.say(&format!("warning: {message}"));
            Ok(())
        }
    }

    /// Runs `work` on a thread of its own and shows its progress and warnings until it ends.
    pub fn run<T, E>(
        &self,
        name: &str,
        work: impl FnOnce(&Work) -> Result<T, E> + Send + 'static,
    ) -> anyhow::Result<T>
    where
        T: Send + 'static,
        E: std::error::Error,
    {
        self.run_watched(name, |_| Ok(()), work)
    }

    /// [`Console::run`] that also calls `on_report` at intervals, and once after the end, to write other output.
    /// `on_report` must receive everything that is available, even if it cannot write it.
    pub fn run_watched<T, E>(
        &self,
        name: &str,
        mut on_report: impl FnMut(&mut Watch) -> anyhow::Result<()>,
        work: impl FnOnce(&Work) -> Result<T, E> + Send + 'static,
    ) -> anyhow::Result<T>
    where
        T: Send + 'static,
        E: std::error::Error,
    {
        let (woken, wakes) = bounded(1);
        let handle = Work::with_wake(move || {
            if let Err(TrySendError::Disconnected(())) = woken.try_send(()) {
                // If the channel is full, a wake-up is already pending; this is the end.
                log::trace!("nobody waits for this report");
            }
        });
        let _guard = interrupt::Guard::new(&handle);
        let mut job = spawn(name, handle, work);
        let mut watch = Watch {
            console: self,
            bar: None,
            reported: None,
            stage: String::new(),
            reader_gone: false,
        };
        let outcome = loop {
            let finished = job.try_finish();
            let report = watch
                .progress(job.work(), finished.is_some())
                .and_then(|()| on_report(&mut watch));
            if let Err(error) = report {
                if !error.is::<ReaderGone>() {
                    job.work().cancel();
                    return Err(error);
                }
                watch.reader_gone = true;
                job.work().cancel();
            }
            if let Some(finished) = finished {
                break finished;
            }
            match wakes.recv_timeout(REPORT_INTERVAL) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                // The job's thread has ended; its result is available.
                Err(RecvTimeoutError::Disconnected) => std::thread::yield_now(),
            }
        };
        watch.clear();
        outcome.map_err(|error| match error {
            JobError::Cancelled if watch.reader_gone => ReaderGone.into(),
            JobError::Cancelled => Interrupted.into(),
            other => other.into(),
        })
    }
}

impl Watch<'_> {
    /// Writes a JSON line if the output is for programs.
    pub fn event(&mut self, event: &str, fields: &impl Serialize) -> anyhow::Result<()> {
        if self.reader_gone {
            return Ok(());
        }
        self.console.event(event, fields)
    }

    /// Writes what was received, as events `event` and as lines for people; after a failure it still receives the
    /// rest, so that the sender never hangs.
    pub fn drain<T: Serialize>(
        &mut self,
        event: &str,
        found: &Receiver<T>,
        line: impl Fn(&T) -> String,
    ) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for found in found.try_iter() {
            if outcome.is_ok() {
                outcome = self
                    .event(event, &found)
                    .and_then(|()| self.out(&line(&found)));
            }
        }
        outcome
    }

    /// Writes a line for people to standard output, above the progress bar.
    pub fn out(&mut self, line: &str) -> anyhow::Result<()> {
        let console = self.console;
        if console.json || self.reader_gone {
            return Ok(());
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| console.out(line)),
            None => console.out(line),
        }
    }

    /// Adds a note at the end of the progress bar.
    pub fn note(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text::visible(text).into_owned());
        }
    }

    fn warn(&mut self, message: &str) -> anyhow::Result<()> {
        let console = self.console;
        match &self.bar {
            Some(bar) => bar.suspend(|| console.warning(message)),
            None => console.warning(message),
        }
    }

    fn progress(&mut self, work: &Work, last: bool) -> anyhow::Result<()> {
        for warning in work.take_warnings() {
            self.warn(&warning)?;
        }
        let progress = work.progress();
        let new_stage = progress.stage != self.stage;
        let interval = if self.console.json || self.console.interactive() {
            REPORT_INTERVAL
        } else {
            PLAIN_INTERVAL
        };
        let due = self
            .reported
            .is_none_or(|reported| reported.elapsed() >= interval);
        if progress.stage.is_empty() || self.reader_gone || !(new_stage || due || last) {
            return Ok(());
        }
        self.reported = Some(Instant::now());
        if self.console.json {
            self.stage.clone_from(&progress.stage);
            return self.console.json_line(&Event::Progress {
                stage: &progress.stage,
                detail: &progress.detail,
                done: progress.done,
                total: progress.total,
                seconds_left: progress.time_left().map(|left| left.as_secs_f64()),
            });
        }
        if self.console.interactive() {
            self.draw(&progress, new_stage);
        } else if new_stage {
            self.console.say(&format!("{}…", progress.stage));
        } else if !last {
            self.console.say(&plain(&progress));
        }
        self.stage = progress.stage;
        Ok(())
    }

    fn draw(&mut self, progress: &Progress, new_stage: bool) {
        if new_stage {
            self.clear();
            let bar = ProgressBar::with_draw_target(progress.total, ProgressDrawTarget::stderr());
            bar.set_style(style(progress.total.is_some()));
            bar.set_prefix(text::visible(&progress.stage).into_owned());
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(progress.done);
            if interrupt::asked() {
                bar.set_message("stopping… (Ctrl-C again quits at once)");
            } else if !progress.detail.is_empty() {
                bar.set_message(text::visible(&progress.detail).into_owned());
            }
            bar.tick();
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn style(total_known: bool) -> ProgressStyle {
    let template = if total_known {
        "{prefix} {bar:30.yellow/dim} {human_pos} of {human_len} · {eta} left  {wide_msg:.dim}"
    } else {
        "{prefix} {spinner:.yellow} {human_pos}  {wide_msg:.dim}"
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => style.progress_chars("━━─"),
        Err(error) => {
            log::error!("the template of the progress bar is wrong: {error}");
            ProgressStyle::default_bar()
        }
    }
}

fn plain(progress: &Progress) -> String {
    match progress.total {
        Some(total) => format!("{}: {} of {total}", progress.stage, progress.done),
        None => format!("{}: {}", progress.stage, progress.done),
    }
}
