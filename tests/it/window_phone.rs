//! *Try it on your phone* in the window: the dialog, what is served while it is open, and that nothing is afterwards.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, Command, Dialog, PhoneAction, PhoneState, Served};
use salamander::ui::Window;

use crate::cli_program::Place;
use crate::web::trained;
use crate::window::Desk;
use crate::window_project::{go, session};

fn served(window: &Window) -> Option<&Served> {
    let phone = window.app().session.as_ref()?.phone.as_ref()?;
    match &phone.state {
        PhoneState::Open(served) => Some(served),
        _ => None,
    }
}

fn get(url: &str) -> Option<String> {
    let (address, path) = url.strip_prefix("http://")?.split_once('/')?;
    let address: SocketAddr = address.parse().unwrap();
    let mut stream = TcpStream::connect(address).ok()?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn a_code_is_shown_while_the_page_is_open_and_closing_ends_it() {
    let place = Place::new();
    let (project, run, _) = trained(&place.path("t"));
    let root = project.root().to_owned();
    drop(project);
    let mut desk = Desk::new(&place.path("config"), [1280.0, 800.0]);
    desk.act(Action::OpenProject(root));
    desk.until("the run is listed", |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| !session.train.runs.is_empty())
    });
    go(&mut desk, "Export");
    desk.click("Try it on your phone");
    assert_eq!(desk.harness.state().app().dialog, Some(Dialog::Phone));
    desk.until("the page is made", |harness| {
        let session = harness.state().app().session.as_ref();
        let phone = session.and_then(|session| session.phone.as_ref());
        phone.is_some_and(|phone| !matches!(phone.state, PhoneState::Making(_)))
    });
    assert_eq!(session(&desk).phone.as_ref().unwrap().run, run.id);
    // Independent of the computer's network.
    let here = Ipv4Addr::LOCALHOST.into();
    desk.act(Action::Phone(PhoneAction::Interface(here)));
    desk.until("the page is open", |harness| {
        served(harness.state()).is_some_and(|served| served.address == here)
    });
    let url = served(desk.harness.state()).unwrap().url.clone();
    desk.see(&format!("QR code of {url}"));
    desk.see_part("until you close this");
    desk.see_part("No device has opened it yet");
    let page = get(&url).unwrap();
    assert!(page.contains("<!doctype html>"), "{page}");
    assert!(
        get(&format!("{url}model.onnx")).is_none_or(|answer| answer.starts_with("HTTP/1.1 200"))
    );
    desk.see_part("1 device opened it: 127.0.0.1");

    // Another address closes the previous one.
    desk.act(Action::Phone(PhoneAction::Interface(here)));
    desk.until("it is open anew", |harness| {
        served(harness.state()).is_some_and(|served| served.url != url)
    });
    desk.until("the first is closed", |_| get(&url).is_none());
    let url = served(desk.harness.state()).unwrap().url.clone();
    desk.click("Close it");
    desk.until("it is closed", |_| get(&url).is_none());
    assert!(session(&desk).phone.is_none());

    // From the palette; cancelled while the page is made.
    desk.act(Action::Command(Command::TryOnPhone));
    desk.click("Cancel");
    assert!(session(&desk).phone.is_none() && desk.harness.state().app().dialog.is_none());

    // Closing the project closes it too.
    desk.act(Action::Command(Command::TryOnPhone));
    desk.until("the page is made again", |harness| {
        let session = harness.state().app().session.as_ref();
        let phone = session.and_then(|session| session.phone.as_ref());
        phone.is_some_and(|phone| !matches!(phone.state, PhoneState::Making(_)))
    });
    desk.act(Action::Phone(PhoneAction::Interface(here)));
    desk.until("the page is open again", |harness| {
        served(harness.state()).is_some_and(|served| served.address == here)
    });
    let url = served(desk.harness.state()).unwrap().url.clone();
    assert!(get(&url).is_some());
    desk.act(Action::Command(Command::CloseProject));
    desk.until("it is closed with the project", |_| get(&url).is_none());
    assert!(desk.harness.query_by_label("Close it").is_none());
}
