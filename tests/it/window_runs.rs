//! The runs as a table, with names and notes, and the curves of the head before those of a fine-tuning.

use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, Command, TrainAction};

use crate::cli_program::Place;
use crate::window::Desk;
use crate::window_project::{desk, go, press, session, train_until};

fn train(place: &Place, settings: &str) {
    let ran = place.line(&format!("train p --depth head {settings}"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn runs_are_compared_in_a_table_and_are_given_names_and_notes() {
    let place = Place::new();
    let mut desk = desk(&place);
    desk.act(Action::Command(Command::CloseProject));
    desk.until("the project is closed", |harness| {
        harness.state().app().tasks.is_idle()
    });
    train(&place, "--how-many-training-steps 20");
    train(&place, "--how-many-training-steps 30 --learning-rate 0.05");
    desk.act(Action::OpenProject(place.path("p")));
    train_until(&mut desk, "the runs are read", |train| {
        train.runs.len() == 2
    });
    go(&mut desk, "Train");
    press(&mut desk, "Table");
    // These settings have a column because the runs differ in them.
    desk.see("Sort by Training steps");
    desk.see("Sort by Learning rate");
    assert!(desk.harness.query_by_label("Sort by Seed").is_none());

    // The newest first, until it is sorted otherwise.
    let order = |desk: &Desk| -> Vec<bool> {
        let mut rows: Vec<_> = desk
            .harness
            .query_all_by_role(egui::accesskit::Role::Row)
            .map(|node| {
                use egui_kittest::kittest::NodeT as _;
                let name = node.accesskit_node().label().unwrap_or_default();
                (node.rect().top(), name.contains("Training steps 30"))
            })
            .collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        rows.into_iter().map(|(_, longer)| longer).collect()
    };
    assert_eq!(order(&desk), [true, false]);
    desk.click("Sort by Training steps");
    assert_eq!(order(&desk), [true, false]);
    desk.click("Sort by Training steps");
    assert_eq!(order(&desk), [false, true]);

    // The embedding of a run, for the projector.
    let run = session(&desk).train.runs[1].run.clone();
    desk.act(Action::Train(TrainAction::SaveEmbedding(run.id.clone())));
    desk.see_part("Saved the embedding of 120 images");
    assert!(run.dir.join("projector_config.pbtxt").is_file());

    // A name and a note, which do not change the run's settings and results.
    let entry = session(&desk).train.runs[1].clone();
    let before = std::fs::read(entry.run.dir.join("run.json")).unwrap();
    desk.click(&format!("Name and note of {}", entry.run.id));
    desk.type_into("Run name", "first try");
    desk.type_into("Run note", "few steps");
    press(&mut desk, "Save");
    desk.see_part("Run first try");
    desk.see_part("Note few steps");
    desk.until("it is written", |harness| {
        harness.state().app().tasks.is_idle()
    });
    assert_eq!(
        std::fs::read(entry.run.dir.join("run.json")).unwrap(),
        before
    );
    let note = entry.run.note().unwrap();
    assert_eq!(
        (note.name.as_str(), note.note.as_str()),
        ("first try", "few steps")
    );
    press(&mut desk, "Curves");
    desk.see("Accuracy curves");

    // A compared run is named beside the curves.
    desk.act(Action::Train(TrainAction::Focus(
        session(&desk).train.runs[0].run.id.clone(),
    )));
    desk.act(Action::Train(TrainAction::Overlay(
        entry.run.id.clone(),
        true,
    )));
    desk.see("compared:");
    desk.see("first try");

    // The command line shows it too, and can change it.
    desk.act(Action::Command(Command::CloseProject));
    desk.until("the project is closed", |harness| {
        harness.state().app().tasks.is_idle()
    });
    let result = place.result("runs p");
    let runs = result["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[1]["name"], "first try");
    assert_eq!(runs[1]["note"], "few steps");
    assert_eq!(runs[0]["name"], "");
    let text = place.line("runs p").stdout;
    assert!(
        text.contains("first try") && text.contains("few steps"),
        "{text}"
    );
    let result = place.result("runs p --describe latest --name longer");
    assert_eq!(result["runs"][0]["name"], "longer");
    assert_eq!(result["runs"][0]["note"], "");
    assert_eq!(result["runs"][1]["name"], "first try");
}
