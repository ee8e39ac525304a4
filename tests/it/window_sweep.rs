//! A sweep in the window: the dialog, the estimate, the rows and points as they arrive, pausing, cancelling, resuming,
//! adopting. With the real engine, by accessible names.

use egui::accesskit::Role;
use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, SweepAction, SweepState, TrainAction, Workspace};
use salamander::backbone::Depth;
use salamander::project::SplitSettings;
use salamander::sweep::{State, Table};
use salamander::train::{RunState, TrainSettings};

use crate::cli_program::Place;
use crate::window::Desk;
use crate::window_project::{desk, go, press, session, train_until};

fn small() -> TrainSettings {
    TrainSettings {
        architecture: "efficientnet-lite0@96".parse().unwrap(),
        how_many_training_steps: 60,
        split: SplitSettings {
            validation_percentage: 25,
            testing_percentage: 25,
            ..SplitSettings::default()
        },
        ..TrainSettings::default()
    }
}

fn sweep_until(desk: &mut Desk, what: &str, done: impl Fn(&SweepState) -> bool) {
    desk.until(what, |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| done(&session.sweep))
    });
}

fn act(desk: &mut Desk, action: SweepAction) {
    desk.harness.state_mut().apply(Action::Sweep(action));
    desk.harness.run_steps(3);
}

#[test]
fn from_the_question_to_the_adopted_configuration() {
    let place = Place::new();
    let mut desk = desk(&place);
    let set = Action::Train(TrainAction::Set(small()));
    desk.harness.state_mut().apply(set);
    go(&mut desk, "Train");
    press(&mut desk, "Sweep…");
    desk.see("Start sweep");
    // The default: one architecture, the head.
    desk.see_part("1 training");
    desk.click("mobilenet-v2@96");
    press(&mut desk, "Add a setting");
    desk.click("Learning rate");
    desk.replace("Values of Learning rate", "0.001..0.1 log");
    desk.see_part("is not a valid range for");
    desk.replace("Values of Learning rate", "0.01, 0.1");
    desk.see_part("4 trainings");
    // Their duration is shown before they start.
    desk.see_part(" at most");
    press(&mut desk, "Start sweep");
    sweep_until(&mut desk, "the sweep begins", |sweep| {
        sweep.live.as_ref().is_some_and(|live| live.id.is_some())
    });
    let id = session(&desk).sweep.shown.clone().unwrap();
    sweep_until(&mut desk, "a training has ended", |sweep| {
        sweep
            .list
            .first()
            .is_some_and(|entry| entry.sweep.done() > 0)
    });
    // Nothing else can be trained meanwhile.
    let start = Action::Train(TrainAction::Start);
    desk.harness.state_mut().apply(start);
    assert!(session(&desk).train.live.is_none());
    act(&mut desk, SweepAction::Pause(true));
    let app = desk.harness.state().app();
    assert!(
        app.sweep_work()
            .is_none_or(salamander::jobs::Work::is_paused)
    );
    act(&mut desk, SweepAction::Pause(false));
    press(&mut desk, "Cancel");
    sweep_until(&mut desk, "the sweep is cancelled", |sweep| {
        sweep.live.is_none()
    });
    let done = session(&desk).sweep.shown().unwrap().sweep.done();
    if done < 4 {
        press(&mut desk, "Resume sweep");
    }
    sweep_until(&mut desk, "the sweep is done", |sweep| {
        sweep.live.is_none() && sweep.shown().is_some_and(|entry| entry.sweep.is_done())
    });
    train_until(&mut desk, "the runs are listed", |train| {
        train.runs.len() == 4
            && train
                .runs
                .iter()
                .all(|of| of.run.state == RunState::Finished)
    });

    let entry = session(&desk).sweep.entry(&id).unwrap().clone();
    let table: &Table = &entry.table;
    assert!(table.rows.iter().all(|row| row.state == State::Finished));
    desk.see("Sort by Rank");
    desk.see("Sort by Learning rate");
    desk.see_part("Ranked by accuracy on validation images");
    for row in &table.rows {
        let point = format!("Point {}", table.words(row));
        desk.see(&point);
    }
    for cost in ["Over size", "Over latency", "Test accuracy", "Over MACs"] {
        desk.click(cost);
    }
    let first = table.ranked()[0].clone();
    let point = format!("Point {}", table.words(&first));
    desk.click(&point);
    let selected = session(&desk).sweep.selected.unwrap();
    assert_eq!(table.rows[selected].trainings, first.trainings);
    assert_eq!(session(&desk).train.focus.as_ref(), first.runs.first());
    press(&mut desk, "Adopt");
    let session_now = session(&desk);
    assert_eq!(session_now.train.settings, first.settings);
    assert_eq!(session_now.train.depth.chosen, Some(Depth::Head));
    assert_eq!(session_now.evaluate.run.as_ref(), first.runs.first());
    assert_eq!(session_now.export.run.as_ref(), first.runs.first());
    press(&mut desk, "Evaluate");
    assert_eq!(desk.harness.state().app().workspace, Workspace::Evaluate);

    // A removed sweep leaves its runs, and can be restored.
    go(&mut desk, "Train");
    press(&mut desk, "Remove sweep");
    sweep_until(&mut desk, "the sweep is gone", |sweep| {
        sweep.list.is_empty()
    });
    assert_eq!(session(&desk).train.runs.len(), 4);
    desk.see("The sweep was moved to the trash; its runs are kept");
    press(&mut desk, "Undo");
    sweep_until(&mut desk, "the sweep is back", |sweep| {
        sweep.list.len() == 1
    });
    press(&mut desk, "Sweep…");
    desk.harness.run_steps(3);
    let listed = desk
        .harness
        .query_all_by_role_and_label(Role::Button, "New sweep…");
    assert_eq!(listed.count(), 1);
}
