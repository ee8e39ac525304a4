//! The second half of the workflow in the window: training with live curves, pausing, cancelling, resuming,
//! evaluating, predicting, exporting. With the real engine, by accessible names.

use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, Command, EvaluateAction, ImageKey, TrainAction, TrainState};
use salamander::backbone::Depth;
use salamander::export::Format;
use salamander::train::{RunState, TrainSettings};

use crate::cli_program::Place;
use crate::projects::runs;
use crate::window::Desk;
use crate::window_project::{
    desk, go, press, press_part, scroll_and_click, session, set_number, train_until,
};

#[test]
fn from_labelled_frames_to_an_exported_model() {
    let place = Place::new();
    let mut desk = desk(&place);

    go(&mut desk, "Train");
    desk.see_part("120 labelled frames in 3 classes from 12 sources");
    set_number(&mut desk, "Training steps", "80");
    set_number(&mut desk, "Validation", "25");
    set_number(&mut desk, "Test", "25");
    let settings = session(&desk).train.settings.clone();
    assert_eq!(settings.how_many_training_steps, 80);
    assert_eq!(settings.split.testing_percentage, 25);
    desk.click("Depth");
    press_part(&mut desk, "Head alone");
    assert_eq!(session(&desk).train.depth.chosen, Some(Depth::Head));
    press(&mut desk, "Advanced");
    desk.click("Use those of retrain.py");
    let classic = TrainSettings {
        architecture: settings.architecture,
        ..TrainSettings::classic()
    };
    assert_eq!(session(&desk).train.settings, classic);
    desk.click("Defaults");
    assert_eq!(session(&desk).train.depth.chosen, None);
    set_number(&mut desk, "Training steps", "80");
    set_number(&mut desk, "Validation", "25");
    set_number(&mut desk, "Test", "25");
    desk.click("Depth");
    press_part(&mut desk, "Head alone");
    scroll_and_click(&mut desk, "Optimiser");
    desk.click("Adam");
    assert!((session(&desk).train.settings.head.learn.learning_rate - 0.001).abs() < 1e-9);

    press(&mut desk, "Train");
    assert!(session(&desk).train.live.is_some());
    train_until(&mut desk, "the training ends", |train| train.live.is_none());
    train_until(&mut desk, "the run is listed", |train| {
        train.runs.len() == 1
    });
    let entry = session(&desk).train.runs[0].clone();
    assert_eq!(entry.run.state, RunState::Finished);
    assert_eq!(entry.curves.last().unwrap().step, 80);
    let result = entry.run.result().unwrap();
    assert!(result.test_accuracy.unwrap() > 0.8, "{result:?}");
    desk.see("Accuracy curves");
    desk.see("Cross-entropy curves");
    desk.see("of the test frames correct");
    desk.click("log");
    let view = &session(&desk).train.view;
    assert!(view.is_log(&salamander::app::Metric::CROSS_ENTROPY));
    // The settings are stored with the project.
    let kept: TrainSettings = session(&desk).project.setting("train");
    assert_eq!(kept.how_many_training_steps, 80);
    let depth: Option<Depth> = session(&desk).project.setting("train_depth");
    assert_eq!(depth, Some(Depth::Head));

    press(&mut desk, "Evaluate");
    desk.see("Test accuracy");
    desk.see("Confusion matrix");
    desk.see_part("of “bars” taken for “bars” (");
    let evaluation = session(&desk).evaluate.evaluation.clone().unwrap();
    let accuracy = evaluation.confusion.accuracy().unwrap();
    assert!((accuracy - result.test_accuracy.unwrap()).abs() < 1e-6);
    desk.harness
        .get_by_label_contains("of “bars” taken for “bars” (")
        .click();
    desk.harness.run_steps(3);
    assert_eq!(session(&desk).evaluate.cell, Some((0, 0)));
    assert!(!session(&desk).evaluate.shown().is_empty());
    desk.click("“bars” taken for “bars”");
    assert_eq!(session(&desk).evaluate.cell, None);
    check_predictions(&place, &mut desk);

    go(&mut desk, "Export");
    press(&mut desk, "Export");
    desk.see("Show in folder");
    let done = session(&desk).export.done[0].clone();
    let model = &done.certificate.models[0];
    assert!(model.format == "onnx" && model.flips.is_empty());
    assert!(done.dir.join("model.onnx").is_file());
    assert!(done.dir.starts_with(place.path("p/exports")));
    desk.see("model.onnx");
    let first = done.examples[0].top("model.onnx", &done.labels, 1)[0].0;
    desk.see_part(&format!("On a phone: {first}"));
    desk.click("Next image");
    let second = done.examples[1].top("model.onnx", &done.labels, 1)[0].0;
    desk.see_part(&format!("On a phone: {second}"));

    // A second format is part of the same export; the last one cannot be removed.
    desk.click("ONNX, fp16");
    assert_eq!(
        session(&desk).export.formats,
        [Format::ONNX, Format::ONNX_FP16]
    );
    press(&mut desk, "Export");
    desk.see("model-fp16.onnx");
    let done = session(&desk).export.done.clone();
    assert_eq!(done[0].certificate.models.len(), 2);
    assert!(done[0].dir.join("model-fp16.onnx").is_file());
    desk.see("What it costs");
    desk.click("ONNX, uint8");
    desk.click("ONNX, fp16");
    assert_eq!(session(&desk).export.formats, [Format::ONNX_FP16]);

    // The previous one is a line that opens it.
    desk.see_part("Open export of");
    desk.harness.get_by_label_contains("Open export of").click();
    desk.harness.run_steps(3);
    desk.see_part("model.onnx, model-fp16.onnx");

    // As an archive.
    let zip = salamander::app::ExportAction::Zip(true);
    desk.act(Action::Export(zip));
    press(&mut desk, "Export");
    desk.until("the archive is there", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        session.export.done.len() == 3
    });
    let newest = session(&desk).export.done[0].clone();
    assert!(newest.dir.is_file());
    assert_eq!(newest.examples.len(), done[0].examples.len());
    let mut closed = desk.harness.get_all_by_label_contains("Open export of");
    closed.next().unwrap().click();
    drop(closed);
    desk.harness.run_steps(3);
    // The phone still shows the second image.
    let second = newest.examples[1].top("model-fp16.onnx", &newest.labels, 1)[0].0;
    desk.see_part(&format!("On a phone: {second}"));
    desk.until("the golden image is read from the archive", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        let golden = ImageKey::Golden(session.export.done[0].examples[1].path.clone());
        session.images.known(&golden).is_some()
    });
    assert_eq!(newest.certificate.models[0].format, "onnx-fp16");

    // Exports are found again when the project is opened.
    let root = session(&desk).root.clone();
    desk.act(Action::Command(Command::CloseProject));
    desk.act(Action::OpenProject(root));
    desk.until("the project is open", |harness| {
        harness.state().app().session.is_some()
    });
    go(&mut desk, "Export");
    desk.until("the exports are found", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        session.export.done.len() == 3
    });
    let dirs = |list: &[salamander::export::FoundExport]| -> Vec<_> {
        list.iter().map(|export| export.dir.clone()).collect()
    };
    assert_eq!(dirs(&session(&desk).export.done)[1..], dirs(&done));
}

/// Predictions on other files, which do not become part of the project.
fn check_predictions(place: &Place, desk: &mut Desk) {
    place.video(
        "new.mp4",
        "testsrc2=size=160x120:rate=10,hue=h=30,trim=duration=1",
    );
    press(desk, "Predict on files…");
    let path = place.path("new.mp4");
    desk.type_into("Files or folders, one per line", path.to_str().unwrap());
    press(desk, "Predict");
    desk.until("predictions", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        session.evaluate.predicting.is_none() && !session.evaluate.files.list().is_empty()
    });
    for prediction in session(desk).evaluate.files.list() {
        assert_eq!(prediction.prediction.top[0].class, "moving");
    }
    desk.see_part("new.mp4: moving");
    assert_eq!(session(desk).sources.len(), 12);
}

#[test]
fn a_training_is_paused_stopped_cancelled_and_resumed() {
    let place = Place::new();
    let mut desk = desk(&place);
    go(&mut desk, "Train");
    let endless = TrainSettings {
        how_many_training_steps: 5_000_000,
        ..TrainSettings::default()
    };
    desk.harness
        .state_mut()
        .apply(Action::Train(TrainAction::Set(endless)));
    desk.harness
        .state_mut()
        .apply(Action::Train(TrainAction::SetDepth(Some(Depth::Head))));

    press(&mut desk, "Train");
    let points = |train: &TrainState| train.live.as_ref().map_or(0, |live| live.points.len());
    train_until(&mut desk, "the curves move", |train| points(train) > 3);
    desk.see_part("steps/s");

    // Paused, it does not move. The bar at the bottom has the same words.
    desk.harness
        .state_mut()
        .apply(Action::Train(TrainAction::Pause(true)));
    std::thread::sleep(std::time::Duration::from_millis(200));
    desk.harness.run_steps(3);
    let before = points(&session(&desk).train);
    std::thread::sleep(std::time::Duration::from_millis(300));
    desk.harness.run_steps(3);
    assert_eq!(points(&session(&desk).train), before);
    desk.see_part("paused");
    desk.harness
        .state_mut()
        .apply(Action::Train(TrainAction::Pause(false)));
    train_until(&mut desk, "it goes on", |train| points(train) > before);

    press(&mut desk, "Stop and keep");
    train_until(&mut desk, "it stops", |train| train.live.is_none());
    train_until(
        &mut desk,
        "the run is listed",
        |train| matches!(train.runs.as_slice(), [entry] if entry.run.state == RunState::Finished),
    );

    // Cancelled, it leaves a run that can be resumed.
    press(&mut desk, "Train");
    train_until(&mut desk, "the curves move again", |train| {
        points(train) > 3
    });
    desk.harness
        .state_mut()
        .apply(Action::Train(TrainAction::Cancel));
    train_until(&mut desk, "it is cancelled", |train| train.live.is_none());
    train_until(&mut desk, "both runs are listed", |train| {
        train.runs.len() == 2
    });
    let unfinished = session(&desk).train.runs[0].clone();
    assert_eq!(unfinished.run.state, RunState::Unfinished);
    let id = unfinished.run.id.clone();
    desk.harness
        .state_mut()
        .apply(Action::Train(TrainAction::Focus(id.clone())));
    desk.see("Unfinished");
    press(&mut desk, "Resume training");
    let known = unfinished.curves.len();
    train_until(&mut desk, "it is resumed", |train| points(train) > known);
    assert!(session(&desk).train.is_live(&id));
    press(&mut desk, "Stop and keep");
    train_until(&mut desk, "it has finished", |train| train.live.is_none());

    // A removed run can be restored.
    desk.harness
        .state_mut()
        .apply(Action::Train(TrainAction::Remove(id.clone())));
    train_until(&mut desk, "one run is left", |train| train.runs.len() == 1);
    press(&mut desk, "Undo");
    train_until(&mut desk, "it is back", |train| train.run(&id).is_some());
}

/// Closes the window like a user.
fn close(desk: &mut Desk) {
    let input = desk.harness.input_mut();
    let viewport = input.viewports.entry(egui::ViewportId::ROOT).or_default();
    viewport.events.push(egui::ViewportEvent::Close);
    desk.harness.step();
}

/// Whether the window has sent this command to the system, which asked it to close.
fn has_sent(desk: &Desk, command: &egui::ViewportCommand) -> bool {
    let output = &desk.harness.output().viewport_output;
    output
        .get(&egui::ViewportId::ROOT)
        .is_some_and(|viewport| viewport.commands.contains(command))
}

#[test]
fn quitting_asks_while_something_runs_and_loses_nothing() {
    let place = Place::new();
    let mut desk = desk(&place);
    go(&mut desk, "Train");
    desk.act(Action::Train(TrainAction::Set(TrainSettings {
        how_many_training_steps: 5_000_000,
        ..TrainSettings::default()
    })));
    press(&mut desk, "Train");
    train_until(&mut desk, "the curves move", |train| {
        let points = |live: &salamander::app::Live| live.points.len();
        train.live.as_ref().map_or(0, points) > 3
    });

    close(&mut desk);
    assert!(has_sent(&desk, &egui::ViewportCommand::CancelClose));
    desk.see("Quit while a job is running?");
    desk.see_part("Training");
    desk.click("Stay");
    assert!(session(&desk).train.live.is_some());
    assert!(!desk.names().iter().any(|name| name.contains("Quit while")));

    close(&mut desk);
    desk.click("Cancel it and quit");
    assert!(desk.harness.state().app().is_quitting());
    desk.until("everything has ended", |harness| {
        harness.state().app().may_close()
    });
    desk.harness.step();
    assert!(has_sent(&desk, &egui::ViewportCommand::Close));
    assert!(desk.harness.state().app().tasks.is_idle());
    drop(desk);

    // Finished work is kept: the run can be resumed, and the settings are saved.
    let project = open_when_free(&place.path("p"));
    let runs = runs(&project);
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].state, RunState::Unfinished);
    assert!(!runs[0].curves().unwrap().is_empty());
    let kept: TrainSettings = project.setting("train");
    assert_eq!(kept.how_many_training_steps, 5_000_000);
}

#[test]
fn empty_workspaces_say_what_to_do_next() {
    let place = Place::new();
    assert_eq!(place.line("new p").code, Some(0));
    let mut desk = Desk::new(&place.path("config"), [1440.0, 900.0]);
    let project = place.path("p");
    desk.harness.state_mut().apply(Action::OpenProject(project));
    desk.until("the project opens", |harness| {
        harness.state().app().session.is_some()
    });
    go(&mut desk, "Train");
    desk.see("Nothing to train on yet");
    go(&mut desk, "Evaluate");
    desk.see("Nothing to evaluate yet");
    go(&mut desk, "Export");
    desk.see("Nothing to export yet");
    desk.click("Go to Train");
    desk.click("Go to Import");
    desk.see("Drop videos here");
}

#[test]
fn a_run_that_cannot_be_measured_says_why() {
    let place = Place::new();
    let mut desk = desk(&place);
    go(&mut desk, "Train");
    let quick = TrainSettings {
        how_many_training_steps: 20,
        ..TrainSettings::default()
    };
    desk.harness
        .state_mut()
        .apply(Action::Train(TrainAction::Set(quick)));
    desk.harness
        .state_mut()
        .apply(Action::Train(TrainAction::SetDepth(Some(Depth::Head))));
    press(&mut desk, "Train");
    train_until(&mut desk, "the run is listed", |train| {
        train.runs.len() == 1
    });
    train_until(&mut desk, "it ends", |train| train.live.is_none());
    let run = session(&desk).train.runs[0].run.clone();
    std::fs::write(run.dir.join("weights.safetensors"), "not weights").unwrap();
    desk.harness
        .state_mut()
        .apply(Action::Evaluate(EvaluateAction::Open(run.id)));
    desk.see("Try again");
    let error = session(&desk).evaluate.error.clone().unwrap();
    assert!(error.contains("weights.safetensors"), "{error}");
}

#[test]
fn an_architecture_is_chosen_in_the_plot_of_what_it_costs() {
    let place = Place::new();
    let mut desk = desk(&place);
    go(&mut desk, "Train");
    let chosen = |desk: &Desk| session(desk).train.settings.architecture.to_string();
    assert_eq!(chosen(&desk), "efficientnet-lite0@224");
    desk.click("Architecture");
    // Published accuracies, and the available resolutions.
    for figure in [
        "lite0, 75.1 %",
        "lite1, 76.7 %",
        "lite2, 77.6 %",
        "mobilenet-v2, 71.9 %",
    ] {
        desk.see(figure);
    }
    desk.click("mobilenet-v2@96");
    assert_eq!(chosen(&desk), "mobilenet-v2@96");
    desk.see_part("mobilenet-v2@96 · 55 M MACs");
    desk.click("Architecture");
    // Published for 240 pixels, which is not available: the nearest that is.
    desk.click("lite1, 76.7 %");
    assert_eq!(chosen(&desk), "efficientnet-lite1@256");
    desk.click("Architecture");
    desk.click("Small, 96 px, very fast on phones");
    assert_eq!(chosen(&desk), "efficientnet-lite0@96");
}

/// Opens a project whose window was closed: idle threads that loaded its images release it a moment later.
fn open_when_free(root: &std::path::Path) -> salamander::project::Project {
    use salamander::project::{Project, ProjectError};
    let waited = std::time::Instant::now();
    loop {
        match Project::open(root) {
            Err(ProjectError::Locked { .. }) if waited.elapsed().as_secs() < 60 => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            opened => return opened.unwrap(),
        }
    }
}
