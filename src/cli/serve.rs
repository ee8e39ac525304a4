//! `salamander serve`: serves a run's page for phones, until Ctrl-C.

use std::io::{self, IsTerminal};
use std::net::IpAddr;
use std::sync::Arc;

use crossbeam_channel::bounded;
use serde::Serialize;

use crate::export::web_files;
use crate::jobs::Cancelled;
use crate::serve::{ServeError, Server, ServerStats, Site, check_address, interfaces};
use crate::text::count;

use super::ProjectArg;
use super::console::Console;
use super::which::RunArg;

/// Try a run on a phone: serve its page to the local network until Ctrl-C
///
/// Prints an address and a QR code for the phone's camera. Only this page is served, at one address of this computer,
/// below a path that cannot be guessed. The phone takes a photo and classifies it itself.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    #[command(flatten)]
    run: RunArg,
    /// The address of this computer to listen on [default: the Wi-Fi address, or the most likely one]
    #[arg(long, value_name = "ADDRESS")]
    interface: Option<IpAddr>,
}

/// The open address.
#[derive(Serialize)]
struct Serving {
    run: String,
    url: String,
    address: String,
}

/// The requests that were served.
#[derive(Serialize)]
struct Result {
    devices: Vec<String>,
    files: u64,
    refused: u64,
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    let project = args.project.open_for_reading(console)?;
    let run = args.run.find(&project)?;
    let id = run.id.0.clone();
    // Before the page is made: checks that there is an address to serve it at.
    let address = if let Some(address) = args.interface {
        check_address(address)?;
        address
    } else {
        let first = interfaces()?.into_iter().find(|one| !one.is_loopback());
        first.ok_or(ServeError::NoNetwork)?.address
    };
    let files = console.run("serve", move |work| web_files(&project, &run, work))?;
    // New requests are reported at the same interval as progress.
    let server = Arc::new(Server::start(Arc::new(Site::new(files)), address, || {})?);
    let serving = Serving {
        run: id,
        url: server.url(),
        address: server.address().to_string(),
    };
    console.event("serving", &serving)?;
    if !console.json() {
        if io::stdout().is_terminal() {
            console.lines(server.qr()?.to_text().trim_end())?;
        }
        console.out(&serving.url)?;
        console.say(&format!(
            "open this address on a phone in the same network; only this page is served, at {}, until Ctrl-C",
            serving.address
        ));
    }
    let mut known = 0;
    let watched = Arc::clone(&server);
    console.run_watched(
        "serving",
        |watch| {
            let devices = watched.stats().devices;
            for device in devices.iter().skip(known) {
                watch.out(&format!("opened by {device}"))?;
            }
            known = known.max(devices.len());
            Ok(())
        },
        move |work| {
            let (stop, stopped) = bounded::<()>(0);
            work.stopped_by(
                move || drop(stop),
                || {
                    // Nothing is ever sent; Ctrl-C drops the sender.
                    if let Err(error) = stopped.recv() {
                        log::debug!("{error}");
                    }
                },
            );
            Ok::<_, Cancelled>(())
        },
    )?;
    let ServerStats {
        devices,
        files,
        refused,
    } = server.stats();
    drop((watched, server));
    let result = Result {
        devices: devices.iter().map(IpAddr::to_string).collect(),
        files,
        refused,
    };
    console.result(&result, || {
        format!(
            "closed; opened by {}",
            count(result.devices.len() as u64, "device")
        )
    })
}
