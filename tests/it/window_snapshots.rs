//! Pictures of the workspaces, dark and light, compared with those in `tests/snapshots`. They are made from
//! the sample videos, so that every machine sees the same. `UPDATE_SNAPSHOTS=1` makes them anew.

use std::path::Path;

use egui::{Key, Modifiers};
use egui_kittest::SnapshotOptions;
use salamander::app::{Action, Command, ImportAction, ThemeChoice, Workspace};

use crate::cli_program::Place;
use crate::window::Desk;

/// Decoders and rasterizers differ by a little from machine to machine; a moved button does not pass.
const MAX_DIFFERING_PIXELS: usize = 1500;

fn picture(desk: &mut Desk, name: &str) {
    desk.harness.remove_cursor();
    let notes: Vec<u64> = desk
        .harness
        .state()
        .app()
        .notes
        .list()
        .iter()
        .map(|note| note.id)
        .collect();
    for id in notes {
        desk.harness.state_mut().apply(Action::Dismiss(id));
    }
    for (theme, suffix) in [(ThemeChoice::Dark, "dark"), (ThemeChoice::Light, "light")] {
        desk.harness.state_mut().apply(Action::SetTheme(theme));
        desk.until("a quiet window", |harness| {
            let app = harness.state().app();
            let quiet = app
                .session
                .as_ref()
                .is_none_or(|session| session.previews.is_idle() && session.pictures.is_idle());
            quiet && app.tasks.is_idle()
        });
        desk.harness.run_steps(20);
        let options = SnapshotOptions::new()
            .threshold(1.6)
            .max_failed_pixels(MAX_DIFFERING_PIXELS);
        desk.harness
            .snapshot_options(format!("{name}_{suffix}"), &options);
    }
}

#[test]
fn the_first_workspaces_look_as_they_did() {
    let place = Place::new();
    let mut desk = Desk::new(&place.path("config"), [1440.0, 900.0]);
    picture(&mut desk, "start");

    desk.harness.state_mut().apply(Action::CreateProject {
        root: place.path("Sample"),
        name: "Sample".to_owned(),
        files: Vec::new(),
    });
    desk.see("Drop videos here");
    picture(&mut desk, "import_empty");

    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sample");
    desk.harness
        .state_mut()
        .apply(Action::Import(ImportAction::Add(vec![sample])));
    desk.see_part("15 videos");
    desk.until("previews", |harness| {
        harness
            .state()
            .app()
            .session
            .as_ref()
            .unwrap()
            .previews
            .is_idle()
    });
    picture(&mut desk, "import");

    desk.harness
        .state_mut()
        .apply(Action::Command(Command::ExtractAll));
    desk.see("Frames extracted from 15 videos");
    desk.harness.state_mut().apply(Action::Go(Workspace::Label));
    desk.see_part("cat, ");
    desk.key(Modifiers::NONE, Key::ArrowRight);
    desk.key(Modifiers::SHIFT, Key::ArrowRight);
    desk.key(Modifiers::SHIFT, Key::ArrowRight);
    desk.see("3 selected");
    picture(&mut desk, "label");

    desk.key(Modifiers::COMMAND, Key::K);
    desk.see("Search commands");
    picture(&mut desk, "palette");
}
