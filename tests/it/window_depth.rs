//! Fine-tuning in the window: the estimates, the choice, both parts, the verdict. With the real engine, by accessible
//! names.

use std::time::Duration;

use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, TrainAction, TrainState, words};
use salamander::backbone::Depth;
use salamander::project::SplitSettings;
use salamander::train::{Decision, FineTuneSettings, LearnSettings, Part, RunState, TrainSettings};

use crate::cli_program::Place;
use crate::projects::runs;
use crate::window::Desk;
use crate::window_project::{
    desk, go, press, press_part, scroll_and_click, session, set_number, train_until,
};

/// Fast on any computer.
fn small(steps: u32) -> TrainSettings {
    TrainSettings {
        architecture: "efficientnet-lite0@96".parse().unwrap(),
        how_many_training_steps: 60,
        split: SplitSettings {
            validation_percentage: 25,
            testing_percentage: 25,
            ..SplitSettings::default()
        },
        fine_tune: FineTuneSettings {
            steps: Some(steps),
            learn: LearnSettings {
                batch_size: 8,
                ..LearnSettings::of_fine_tuning()
            },
            ..FineTuneSettings::default()
        },
        ..TrainSettings::default()
    }
}

fn act(desk: &mut Desk, action: TrainAction) {
    desk.harness.state_mut().apply(Action::Train(action));
}

/// Points of the fine-tuning.
fn fine_tuning_points(train: &TrainState) -> usize {
    let live = train.live.as_ref();
    live.filter(|live| live.part == Part::FineTuning)
        .map_or(0, |live| live.points.len())
}

#[test]
fn quitting_ends_a_measurement_and_begins_no_other() {
    let place = Place::new();
    let mut desk = desk(&place);
    act(&mut desk, TrainAction::Set(small(40)));
    go(&mut desk, "Train");
    desk.until("the measurement", |harness| {
        let mut tasks = harness.state().app().tasks.running().iter();
        tasks.any(|task| task.title == "Measuring the speed of this computer")
    });
    desk.act(Action::QuitNow);
    desk.until("the end", |harness| harness.state().app().may_close());
    assert!(session(&desk).estimate().is_none());
}

#[test]
fn from_an_estimate_to_a_verdict() {
    let place = Place::new();
    let mut desk = desk(&place);
    act(&mut desk, TrainAction::Set(small(40)));
    go(&mut desk, "Train");
    assert!(session(&desk).estimate().is_none());
    desk.see("measuring the speed of this computer…");
    desk.see_part("on this computer");
    let found = session(&desk).estimate().unwrap().clone();
    assert_eq!(found.train_frames, 60);
    assert!(found.depths.len() >= 4, "{found:?}");
    // Nothing is chosen, so the recommended depth is used.
    assert_eq!(session(&desk).depth(), Some(found.recommended));
    assert_eq!(session(&desk).train.depth.chosen, None);
    // The run ends before it if its head is already right.
    if found.recommended != Depth::Head {
        desk.see_part("up to ");
    }
    // An estimate leaves no trace.
    assert!(session(&desk).project.known_groups().is_empty());

    desk.click("Depth");
    desk.see_part("Recommended: ");
    press_part(&mut desk, "Last block, ");
    assert_eq!(session(&desk).depth(), Some(Depth::Last1));
    press(&mut desk, "Advanced");
    scroll_and_click(&mut desk, "Fine-tuning optimiser");
    desk.click("Momentum");
    let rate = session(&desk).train.settings.fine_tune.learn.learning_rate;
    assert!((rate - 0.01).abs() < 1e-9, "{rate}");
    // Another optimiser has another speed.
    assert!(session(&desk).estimate().is_none());
    scroll_and_click(&mut desk, "Fine-tuning optimiser");
    desk.click("AdamW");
    assert_eq!(session(&desk).estimate(), Some(&found));

    press(&mut desk, "Train");
    train_until(&mut desk, "the fine-tuning is under way", |train| {
        fine_tuning_points(train) > 0
    });
    let live = session(&desk).train.live.as_ref().unwrap();
    assert_eq!((live.depth, live.steps), (Some(Depth::Last1), 40));
    assert!(live.baseline.is_some());
    train_until(&mut desk, "it ends", |train| train.live.is_none());
    train_until(&mut desk, "the run is listed", |train| {
        // During its training it was listed as unfinished.
        train.runs.len() == 1 && train.runs[0].run.state == RunState::Finished
    });

    let run = session(&desk).train.runs[0].run.clone();
    assert_eq!(run.settings.fine_tune.depth, Depth::Last1);
    let head = run.head_only().unwrap();
    assert_eq!(session(&desk).train.baseline(), head.best());
    let figure = f64::from(head.best().unwrap().validation_accuracy) * 100.0;
    desk.see(&format!("head alone {figure:.1} %"));
    desk.see(&run.result().unwrap().verdict.unwrap().sentence());
    desk.see("last-1");
    let percent = |part: Option<f32>| {
        let text = words::percent(f64::from(part.unwrap()));
        text.replace("100.0", "100")
    };
    let before = percent(head.test_accuracy);
    let after = percent(run.result().unwrap().test_accuracy);
    desk.see(&format!("test {after}, head {before}"));

    press(&mut desk, "Evaluate");
    let title = words::run_title(&run);
    assert!(title.starts_with("lite0@96 last-1 · "), "{title}");
    desk.until("the run with its depth", |harness| {
        harness.query_all_by_value(&title).next().is_some()
    });
}

#[test]
fn fine_tuning_is_paused_cancelled_and_resumed() {
    let place = Place::new();
    let mut desk = desk(&place);
    act(&mut desk, TrainAction::Set(small(100_000)));
    act(&mut desk, TrainAction::SetDepth(Some(Depth::Last1)));
    go(&mut desk, "Train");
    press(&mut desk, "Train");
    train_until(&mut desk, "the fine-tuning is under way", |train| {
        fine_tuning_points(train) > 0
    });
    desk.see_part("training the last block · step ");
    desk.see_part("head alone ");

    act(&mut desk, TrainAction::Pause(true));
    desk.see_part("· paused");
    std::thread::sleep(Duration::from_millis(300));
    desk.harness.run_steps(3);
    let before = fine_tuning_points(&session(&desk).train);
    std::thread::sleep(Duration::from_millis(500));
    desk.harness.run_steps(3);
    assert_eq!(fine_tuning_points(&session(&desk).train), before);
    act(&mut desk, TrainAction::Pause(false));
    train_until(&mut desk, "it goes on", |train| {
        fine_tuning_points(train) > before
    });

    // A cancelled run keeps its last checkpoint.
    desk.until("the fine-tuning is on the disk", |harness| {
        let session = harness.state().app().session.as_ref();
        let runs = session.map(|session| runs(&session.project));
        let run = runs.and_then(|runs| runs.into_iter().next());
        run.is_some_and(|run| {
            run.head_only().is_some() && run.curves().is_ok_and(|curves| !curves.is_empty())
        })
    });

    act(&mut desk, TrainAction::Cancel);
    train_until(&mut desk, "it is cancelled", |train| train.live.is_none());
    // The list may have been read before, while the head was trained.
    train_until(
        &mut desk,
        "the run is listed with its curves",
        |train| matches!(train.runs.as_slice(), [entry] if !entry.curves.is_empty()),
    );
    let left = session(&desk).train.runs[0].clone();
    assert_eq!(left.run.state, RunState::Unfinished);
    assert!(left.run.head_only().is_some());
    desk.see_part(", while training the last block.");

    press(&mut desk, "Resume training");
    let known = left.curves.len();
    train_until(&mut desk, "it is resumed", |train| {
        fine_tuning_points(train) > known
    });
    let live = session(&desk).train.live.as_ref().unwrap();
    assert_eq!(live.points[..known], left.curves[..]);
    assert!(session(&desk).train.is_live(&left.run.id));
    press(&mut desk, "Stop and keep");
    train_until(&mut desk, "it stops", |train| train.live.is_none());
    train_until(
        &mut desk,
        "the run is finished",
        |train| matches!(train.runs.as_slice(), [entry] if entry.run.state == RunState::Finished),
    );
    assert!(
        session(&desk).train.runs[0]
            .run
            .result()
            .unwrap()
            .verdict
            .is_some()
    );
}

#[test]
fn a_training_that_begins_before_the_estimate_decides_after_the_head() {
    let place = Place::new();
    let mut desk = desk(&place);
    act(&mut desk, TrainAction::Set(small(2)));
    // The page that would start the measurement was not shown.
    act(&mut desk, TrainAction::Start);
    assert_eq!(session(&desk).train.live.as_ref().unwrap().depth, None);
    train_until(&mut desk, "it ends", |train| train.live.is_none());
    train_until(&mut desk, "the run is listed", |train| {
        train.runs.len() == 1
    });
    let run = session(&desk).train.runs[0].run.clone();
    // With 90 images outside the test, the head cannot be good enough.
    assert_eq!(run.decision, Some(Decision::Recommended));
    assert!(run.settings.fine_tune.automatic && run.head_only().is_some());
    assert_eq!(session(&desk).train.depth.chosen, None);
    // With its settings the depth is chosen automatically again.
    act(&mut desk, TrainAction::SetDepth(Some(Depth::Last1)));
    act(&mut desk, TrainAction::UseSettings(run.id));
    assert_eq!(session(&desk).train.depth.chosen, None);
    assert!(!session(&desk).train.settings.fine_tune.automatic);
}

/// The value of a number field.
fn number(desk: &Desk, field: &str) -> Option<f64> {
    use egui_kittest::kittest::NodeT as _;
    let field = desk.harness.get_by_role_and_label(Role::SpinButton, field);
    field.accesskit_node().numeric_value()
}

#[test]
fn a_finished_run_is_trained_further() {
    let place = Place::new();
    let mut desk = desk(&place);
    act(&mut desk, TrainAction::Set(small(20)));
    act(&mut desk, TrainAction::SetDepth(Some(Depth::Last1)));
    go(&mut desk, "Train");
    press(&mut desk, "Train");
    let finished = |train: &TrainState| {
        matches!(train.runs.as_slice(), [entry] if entry.run.state == RunState::Finished)
            && train.live.is_none()
    };
    train_until(&mut desk, "it is finished", finished);
    let before = session(&desk).train.runs[0].clone();
    press(&mut desk, "Evaluate");
    let measured = |harness: &egui_kittest::Harness<'static, salamander::ui::Window>| {
        let session = harness.state().app().session.as_ref();
        session.and_then(|session| session.evaluate.evaluation.clone())
    };
    desk.until("it is measured", |harness| measured(harness).is_some());
    let evaluated = measured(&desk.harness).unwrap();

    // By the button, with the same number of steps again, unless another number is typed.
    go(&mut desk, "Train");
    press(&mut desk, "Train further…");
    desk.see_part(
        "has trained the last block for 20 steps. The learning rate rises and falls again",
    );
    assert_eq!(number(&desk, "More steps"), Some(20.0));
    set_number(&mut desk, "More steps", "30");
    desk.see_part("50 steps in total, about ");
    press(&mut desk, "Train further");
    assert!(session(&desk).train.is_live(&before.run.id));
    // The curves continue from where they were.
    let known = before.curves.len();
    let ahead = before.clone();
    train_until(&mut desk, "it goes on", move |train| {
        let Some(live) = &train.live else {
            return false;
        };
        let begin = live.points.get(..known);
        live.points.len() > known
            && live.steps == 50
            && begin == Some(ahead.curves.as_slice())
            && live.baseline == ahead.run.head_only().unwrap().best()
    });
    train_until(&mut desk, "it is finished again", finished);
    let after = session(&desk).train.runs[0].clone();
    assert_eq!(after.run.id, before.run.id);
    assert_eq!(after.run.settings.fine_tune.learn.restarts, [20]);
    assert_eq!(after.curves.last().unwrap().step, 50);
    // Earlier measurements of the run are dropped.
    go(&mut desk, "Evaluate");
    desk.until("it is measured again", |harness| {
        measured(harness).is_some_and(|now| !std::sync::Arc::ptr_eq(&now, &evaluated))
    });
    go(&mut desk, "Train");

    // By the palette, and ended early: then the rest is proposed.
    desk.key(Modifiers::COMMAND, Key::K);
    desk.see("Search or run a command");
    desk.harness
        .event(egui::Event::Text("Train the run further".into()));
    desk.harness.run_steps(3);
    desk.key(Modifiers::NONE, Key::Enter);
    set_number(&mut desk, "More steps", "100000");
    press(&mut desk, "Train further");
    train_until(&mut desk, "it goes on", |train| {
        fine_tuning_points(train) > after.curves.len()
    });
    act(&mut desk, TrainAction::Pause(true));
    desk.see_part("· paused");
    act(&mut desk, TrainAction::Pause(false));
    press(&mut desk, "Stop and keep");
    train_until(&mut desk, "it has stopped", finished);
    let stopped = session(&desk).train.runs[0].run.clone();
    let done = stopped.result().unwrap().steps;
    assert!((51..100_050).contains(&done), "{done}");
    press(&mut desk, "Train further…");
    desk.see_part("Training continues as if it had never been stopped.");
    assert_eq!(number(&desk, "More steps"), Some(f64::from(100_050 - done)));
    desk.click("Cancel");

    // Settings taken from it are those of a new run.
    act(&mut desk, TrainAction::UseSettings(stopped.id));
    assert!(
        session(&desk)
            .train
            .settings
            .fine_tune
            .learn
            .restarts
            .is_empty()
    );
}
