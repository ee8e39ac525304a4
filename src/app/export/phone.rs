//! Trying a model on a phone: the page is made, served while its dialog is open, and closed with it.

use std::net::IpAddr;
use std::sync::Arc;

use crate::app::tasks::TaskId;
use crate::app::{App, Dialog, Lane, Session};
use crate::export::web_files;
use crate::jobs::{JobError, drop_elsewhere, sentence};
use crate::serve::{Interface, Qr, ServeError, Server, ServerStats, Site, interfaces};
use crate::train::RunId;

/// A model that is being tried on a phone.
pub struct PhoneTrial {
    /// Its run.
    pub run: RunId,
    /// The addresses of this computer, the most likely first.
    pub interfaces: Vec<Interface>,
    /// Its progress.
    pub state: PhoneState,
    site: Option<Arc<Site>>,
}

/// The progress of a trial.
pub enum PhoneState {
    /// The page is being made.
    Making(TaskId),
    /// Switching to another address…
    Opening(TaskId),
    /// The page is served.
    Open(Served),
    /// Failed, with a sentence that says why.
    Failed(String),
}

/// A page that is served for phones. It is closed when this value is dropped, on a thread of its own.
pub struct Served {
    server: Option<Server>,
    /// Its URL.
    pub url: String,
    /// The same as a QR code.
    pub qr: Qr,
    /// The address of this computer on which it is served.
    pub address: IpAddr,
}

impl Served {
    fn start(site: &Arc<Site>, address: IpAddr, ctx: egui::Context) -> Result<Self, ServeError> {
        let server = Server::start(Arc::clone(site), address, move || ctx.request_repaint())?;
        Ok(Self {
            url: server.url(),
            qr: server.qr()?,
            address,
            server: Some(server),
        })
    }

    /// The requests so far.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.server.as_ref().map(Server::stats).unwrap_or_default()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            drop_elsewhere(server);
        }
    }
}

/// An action of the user about a model on a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhoneAction {
    /// Makes the page of this run, and shows the dialog.
    Try(RunId),
    /// Serves it at another address of this computer.
    Interface(IpAddr),
}

/// Result of the job that exports and serves the page.
struct Made {
    site: Arc<Site>,
    interfaces: Vec<Interface>,
    served: Result<Served, String>,
}

impl App {
    pub(in crate::app) fn apply_phone(&mut self, action: PhoneAction) {
        match action {
            PhoneAction::Try(run) => self.try_on_phone(run),
            PhoneAction::Interface(address) => self.serve_at(address),
        }
    }

    /// Stops serving when the dialog was closed. To be called once per frame.
    pub(in crate::app) fn close_phone(&mut self) {
        if matches!(self.dialog, Some(Dialog::Phone)) {
            return;
        }
        let trial = self
            .session
            .as_mut()
            .and_then(|session| session.phone.take());
        if let Some(PhoneState::Making(task)) = trial.map(|trial| trial.state) {
            self.tasks.cancel(task);
        }
    }

    fn try_on_phone(&mut self, id: RunId) {
        let Some(session) = &self.session else {
            return;
        };
        let Some(run) = session.train.run(&id).map(|entry| entry.run.clone()) else {
            return;
        };
        let project = Arc::clone(&session.project);
        let ctx = self.ctx.clone();
        let task = self.tasks.start_as(
            Lane::Learn,
            "Making the page for a phone",
            true,
            move |work| {
                let files = web_files(&project, &run, work)?;
                let site = Arc::new(Site::new(files));
                // Nothing is opened if the dialog was closed.
                work.check()?;
                // Not a failure of the job: another network may work.
                let found = interfaces();
                let first = match &found {
                    Ok(found) => {
                        let first = found.iter().find(|one| !one.is_loopback());
                        first.map(|one| one.address).ok_or(ServeError::NoNetwork)
                    }
                    Err(error) => Err(ServeError::Addresses(std::io::Error::other(sentence(
                        error,
                    )))),
                };
                let served = first.and_then(|address| Served::start(&site, address, ctx));
                Ok::<_, crate::export::ExportError>(Made {
                    site,
                    interfaces: found.unwrap_or_default(),
                    served: served.map_err(|error| sentence(&error)),
                })
            },
            move |app, task, result| {
                let Some(trial) = app.phone_waiting_for(task) else {
                    return;
                };
                trial.state = match result {
                    Ok(made) => {
                        trial.site = Some(made.site);
                        trial.interfaces = made.interfaces;
                        made.served
                            .map_or_else(PhoneState::Failed, PhoneState::Open)
                    }
                    Err(JobError::Cancelled) => {
                        PhoneState::Failed("Cancelled; nothing is served".into())
                    }
                    Err(error) => PhoneState::Failed(error.to_string()),
                };
            },
        );
        if let Some(session) = &mut self.session {
            session.phone = Some(PhoneTrial {
                run: id,
                interfaces: Vec::new(),
                state: PhoneState::Making(task),
                site: None,
            });
            self.dialog = Some(Dialog::Phone);
        }
    }

    fn serve_at(&mut self, address: IpAddr) {
        let ctx = self.ctx.clone();
        let trial = self
            .session
            .as_ref()
            .and_then(|session| session.phone.as_ref());
        let Some(site) = trial.and_then(|trial| trial.site.clone()) else {
            return;
        };
        let task = self.tasks.start_as(
            Lane::Free,
            "Switching to another address",
            true,
            move |_| Served::start(&site, address, ctx),
            move |app, task, result| {
                let Some(trial) = app.phone_waiting_for(task) else {
                    return;
                };
                trial.state = match result {
                    Ok(served) => PhoneState::Open(served),
                    Err(error) => PhoneState::Failed(error.to_string()),
                };
            },
        );
        // The previous address is closed here: never two addresses at the same time.
        let session = self.session.as_mut();
        if let Some(trial) = session.and_then(|session| session.phone.as_mut()) {
            trial.state = PhoneState::Opening(task);
        }
    }

    fn phone_waiting_for(&mut self, wanted: TaskId) -> Option<&mut PhoneTrial> {
        let trial = self.session.as_mut()?.phone.as_mut()?;
        let waits = match trial.state {
            PhoneState::Making(task) | PhoneState::Opening(task) => task == wanted,
            PhoneState::Open(_) | PhoneState::Failed(_) => false,
        };
        waits.then_some(trial)
    }
}

impl Session {
    /// The finished run that would be tried on a phone.
    #[must_use]
    pub fn phone_run(&self) -> Option<RunId> {
        self.export_run().filter(|_| !self.missing)
    }
}
