//! Training deeper than the head in the window: what it would take, the choice, both parts, the verdict. With the
//! real engine, by accessible names.

use std::time::Duration;

use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, TrainAction, TrainState, words};
use salamander::backbone::Depth;
use salamander::project::SplitSettings;
use salamander::train::{FineTuneSettings, Part, RunState, TrainSettings};

use crate::cli_program::Place;
use crate::window::Desk;
use crate::window_project::{desk, go, press, press_part, session, train_until};

/// Quick on any machine.
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
            batch_size: 8,
            ..FineTuneSettings::default()
        },
        ..TrainSettings::default()
    }
}

fn act(desk: &mut Desk, action: TrainAction) {
    desk.harness.state_mut().apply(Action::Train(action));
}

/// Clicks on what may lie below the edge of the settings.
fn scroll_and_click(desk: &mut Desk, label: &str) {
    desk.harness.get_by_label(label).scroll_to_me();
    desk.harness.run_steps(4);
    desk.click(label);
}

/// Points of the deeper part.
fn deeper_points(train: &TrainState) -> usize {
    let live = train.live.as_ref();
    live.filter(|live| live.part == Part::Deeper)
        .map_or(0, |live| live.points.len())
}

#[test]
fn from_an_estimate_to_a_verdict() {
    let place = Place::new();
    let mut desk = desk(&place);
    act(&mut desk, TrainAction::Set(small(40)));
    go(&mut desk, "Train");
    assert!(session(&desk).estimate().is_none());
    desk.see("measuring this computer…");
    desk.see_part("on this computer");
    let found = session(&desk).estimate().unwrap().clone();
    assert_eq!(found.train_frames, 60);
    assert!(found.depths.len() >= 4, "{found:?}");
    // Nobody has chosen, so the recommended one is taken.
    assert_eq!(session(&desk).depth(), Some(found.recommended));
    assert_eq!(session(&desk).train.depth.chosen, None);
    // A look ahead leaves no trace.
    assert!(session(&desk).project.known_groups().is_empty());

    desk.click("Depth");
    desk.see_part("Recommended: ");
    press_part(&mut desk, "Last block, ");
    assert_eq!(session(&desk).depth(), Some(Depth::Last1));
    press(&mut desk, "Advanced");
    scroll_and_click(&mut desk, "Momentum");
    let rate = session(&desk).train.settings.fine_tune.learning_rate;
    assert!((rate - 0.01).abs() < 1e-9, "{rate}");
    // Another optimiser takes another time.
    assert!(session(&desk).estimate().is_none());
    scroll_and_click(&mut desk, "AdamW");
    assert_eq!(session(&desk).estimate(), Some(&found));

    press(&mut desk, "Train");
    train_until(&mut desk, "the deeper part is under way", |train| {
        deeper_points(train) > 0
    });
    let live = session(&desk).train.live.as_ref().unwrap();
    assert_eq!((live.depth, live.steps), (Some(Depth::Last1), 40));
    assert!(live.baseline.is_some());
    train_until(&mut desk, "it ends", |train| train.live.is_none());
    train_until(&mut desk, "the run is listed", |train| {
        train.runs.len() == 1
    });

    let run = session(&desk).train.runs[0].run.clone();
    assert_eq!(run.settings.fine_tune.depth, Depth::Last1);
    let head = run.head_only.as_ref().unwrap();
    assert_eq!(session(&desk).train.baseline(), head.best);
    let figure = f64::from(head.best.unwrap().validation_accuracy) * 100.0;
    desk.see(&format!("head only {figure:.1} %"));
    desk.see(&run.result.as_ref().unwrap().verdict.unwrap().sentence());
    desk.see("last-1");
    let percent = |part: Option<f32>| {
        let text = words::percent(f64::from(part.unwrap()));
        text.replace("100.0", "100")
    };
    let before = percent(head.test_accuracy);
    let after = percent(run.result.as_ref().unwrap().test_accuracy);
    desk.see(&format!("test {after}, head {before}"));

    press(&mut desk, "Evaluate");
    let title = words::run_title(&run);
    assert!(title.starts_with("lite0@96 last-1 · "), "{title}");
    desk.until("the run with its depth", |harness| {
        harness.query_all_by_value(&title).next().is_some()
    });
}

#[test]
fn the_deeper_part_is_paused_cancelled_and_resumed() {
    let place = Place::new();
    let mut desk = desk(&place);
    act(&mut desk, TrainAction::Set(small(100_000)));
    act(&mut desk, TrainAction::SetDepth(Some(Depth::Last1)));
    go(&mut desk, "Train");
    press(&mut desk, "Train");
    train_until(&mut desk, "the deeper part is under way", |train| {
        deeper_points(train) > 0
    });
    desk.see_part("training the last block · step ");
    desk.see_part("head only ");

    act(&mut desk, TrainAction::Pause(true));
    desk.see_part("· paused");
    std::thread::sleep(Duration::from_millis(300));
    desk.harness.run_steps(3);
    let before = deeper_points(&session(&desk).train);
    std::thread::sleep(Duration::from_millis(500));
    desk.harness.run_steps(3);
    assert_eq!(deeper_points(&session(&desk).train), before);
    act(&mut desk, TrainAction::Pause(false));
    train_until(&mut desk, "it goes on", |train| {
        deeper_points(train) > before
    });

    act(&mut desk, TrainAction::Cancel);
    train_until(&mut desk, "it is cancelled", |train| train.live.is_none());
    train_until(&mut desk, "the run is listed", |train| {
        train.runs.len() == 1
    });
    let left = session(&desk).train.runs[0].clone();
    assert_eq!(left.run.state, RunState::Unfinished);
    assert!(left.run.head_only.is_some());
    assert!(!left.curves.is_empty());
    desk.see_part(", while training the last block.");

    press(&mut desk, "Resume training");
    let known = left.curves.len();
    train_until(&mut desk, "it is resumed", |train| {
        deeper_points(train) > known
    });
    let live = session(&desk).train.live.as_ref().unwrap();
    assert_eq!(live.points[..known], left.curves[..]);
    assert!(session(&desk).train.is_live(&left.run.id));
    press(&mut desk, "Stop and keep best");
    train_until(&mut desk, "it stops", |train| train.live.is_none());
    train_until(
        &mut desk,
        "the run is finished",
        |train| matches!(train.runs.as_slice(), [entry] if entry.run.state == RunState::Finished),
    );
    assert!(
        session(&desk).train.runs[0]
            .run
            .result
            .as_ref()
            .unwrap()
            .verdict
            .is_some()
    );
}

#[test]
fn a_training_that_begins_before_the_estimate_measures_first() {
    let place = Place::new();
    let mut desk = desk(&place);
    act(&mut desk, TrainAction::Set(small(2)));
    // Nothing has been shown that would have measured.
    act(&mut desk, TrainAction::Start);
    assert_eq!(session(&desk).train.live.as_ref().unwrap().depth, None);
    train_until(&mut desk, "it ends", |train| train.live.is_none());
    train_until(&mut desk, "the run is listed", |train| {
        train.runs.len() == 1
    });
    let recommended = session(&desk).estimate().unwrap().recommended;
    let run = &session(&desk).train.runs[0].run;
    assert_eq!(run.settings.fine_tune.depth, recommended);
    assert_eq!(session(&desk).train.depth.chosen, None);
}
