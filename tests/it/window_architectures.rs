//! A network dropped on the window: the findings, the questions, and the resulting architecture.

use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, ArchitectureAction, Dialog, TrainAction};
use salamander::backbone::Depth;

use crate::architectures::small;
use crate::cli_program::Place;
use crate::window_project::{desk, go, press, scroll_and_click, session, set_number, train_until};

#[test]
fn a_dropped_network_becomes_an_architecture() {
    let place = Place::new();
    let mut desk = desk(&place);
    let file = place.path("Small Net.onnx");
    small(&file);
    go(&mut desk, "Train");
    desk.act(Action::Dropped(vec![file.clone()]));
    desk.see("Add architecture");
    desk.until("the network is read", |harness| {
        harness
            .state()
            .app()
            .adding
            .as_ref()
            .is_some_and(|adding| adding.found.is_some())
    });
    desk.see("please choose");
    desk.see("Channels first");
    desk.see("32 × 32 pixels");
    desk.see("values not known yet");
    desk.click("Normalisation of the input");
    desk.click("To 0…1");
    desk.until("the network is run", |harness| {
        let adding = harness.state().app().adding.as_ref();
        let found = adding.and_then(|adding| adding.found.as_ref()?.as_ref().ok());
        found.is_some_and(|found| matches!(found.candidate, Some(Ok(_))))
    });
    desk.see("as you chose");
    desk.see("values 0.0 … 1.0");
    desk.see_part("values per bottleneck");
    desk.see_part("Depths: head alone, last block");
    desk.click("Add to the project");
    desk.until("it is added", |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| session.architectures.len() == 1)
    });
    desk.rest();
    assert_eq!(desk.harness.state().app().dialog, None);
    let name = session(&desk).architectures[0].name.clone();
    assert_eq!(session(&desk).train.settings.architecture.backbone, name);
    desk.see_part("small-net@32");

    // It trains, and then it cannot be removed.
    desk.act(Action::Train(TrainAction::SetDepth(Some(Depth::Last1))));
    set_number(&mut desk, "Training steps", "20");
    let mut settings = session(&desk).train.settings.clone();
    settings.fine_tune.steps = Some(3);
    desk.act(Action::Train(TrainAction::Set(settings)));
    press(&mut desk, "Train");
    train_until(&mut desk, "the training ends", |train| train.live.is_none());
    train_until(&mut desk, "the run is listed", |train| {
        train.runs.len() == 1
    });
    desk.act(Action::Architecture(ArchitectureAction::Remove(
        name.clone(),
    )));
    desk.see_part("is used by the run");
    desk.click("Architecture");
    desk.see_part("small-net, 32 px");
    scroll_and_click(&mut desk, "Add architecture…");
    desk.see("Add architecture");
    desk.see("ONNX file of a classifier");
}

#[test]
fn what_is_no_network_is_said_in_the_dialog() {
    let place = Place::new();
    let mut desk = desk(&place);
    let file = place.path("broken.onnx");
    std::fs::write(&file, b"no network at all").unwrap();
    desk.act(Action::Architecture(ArchitectureAction::Offer(file)));
    desk.see_part("cannot be read as a network");
    assert_eq!(
        desk.harness.state().app().dialog,
        Some(Dialog::AddArchitecture)
    );
    desk.harness.get_by_label("Close").click();
    desk.rest();
    assert!(desk.harness.state().app().adding.is_none());
}
