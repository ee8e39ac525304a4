//! Correcting labels among the mistakes: in the list, in a cell of the matrix, in the large view.

use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, EvaluateAction, FrameNow, Pick};
use salamander::project::Label;

use crate::cli_program::Place;
use crate::window::Desk;
use crate::window_project::{go, session, train_until};

/// A window on a trained run with its test frames, those of the first cell.
fn evaluated(place: &Place) -> Desk {
    place.project();
    let line = "train p --depth head --how-many-training-steps 60 --testing-percentage 30";
    let ran = place.line(line);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let mut desk = Desk::new(&place.path("config"), [1440.0, 900.0]);
    desk.act(Action::OpenProject(place.path("p")));
    train_until(&mut desk, "the run is read", |train| train.runs.len() == 1);
    go(&mut desk, "Evaluate");
    desk.see("Confusion matrix");
    desk.harness
        // The class whose frames differ from each other: equal frames have the same content hash.
        .get_by_label_contains("of “moving” taken for “moving” (")
        .click();
    desk.harness.run_steps(3);
    assert!(session(&desk).evaluate.shown.len() >= 5);
    desk
}

fn idle(desk: &mut Desk) {
    desk.until("all is done", |harness| {
        harness.state().app().tasks.is_idle()
    });
}

#[test]
fn labels_are_corrected_in_the_list_and_in_the_large_view() {
    let place = Place::new();
    let mut desk = evaluated(&place);
    let shown = session(&desk).evaluate.shown.clone();
    let path = |desk: &Desk, place: usize| {
        session(desk)
            .evaluate
            .path(shown[place])
            .unwrap()
            .to_owned()
    };
    let before = path(&desk, 0);

    // In the list: two by Ctrl, the second class's key.
    desk.act(Action::Evaluate(EvaluateAction::Pick(0, Pick::Only)));
    desk.act(Action::Evaluate(EvaluateAction::Pick(1, Pick::Toggle)));
    desk.see("2 selected");
    desk.key(Modifiers::NONE, Key::Num2);
    desk.see_part("2 labels changed since");
    desk.see_part(", now “fractal”");
    idle(&mut desk);
    assert!(path(&desk, 0).starts_with("classes/fractal/"));
    assert!(place.path("p").join(path(&desk, 0)).is_file());
    assert!(!place.path("p").join(&before).exists());

    // Large: unsorted, then the trash, then undone from there.
    desk.act(Action::Evaluate(EvaluateAction::Preview(Some(2))));
    desk.see_part("Image at ");
    desk.key(Modifiers::NONE, Key::Num0);
    desk.see("Now unsorted");
    idle(&mut desk);
    assert_eq!(
        session(&desk).evaluate.fate(shown[2]),
        Some(FrameNow::Relabelled(Label::Unsorted))
    );
    desk.key(Modifiers::NONE, Key::Delete);
    desk.see("Now in the trash");
    idle(&mut desk);
    desk.key(Modifiers::COMMAND, Key::Z);
    desk.see("Now unsorted");
    idle(&mut desk);
    desk.key(Modifiers::COMMAND, Key::Z);
    idle(&mut desk);
    assert_eq!(session(&desk).evaluate.fate(shown[2]), None);
    assert_eq!(session(&desk).evaluate.changed(), 2);
    // By name, over the large view.
    desk.key(Modifiers::NONE, Key::L);
    desk.see("Label 1 frame");
    desk.harness.event(egui::Event::Text("bar".to_owned()));
    desk.harness.run_steps(2);
    desk.key(Modifiers::NONE, Key::Enter);
    desk.see("Now “bars”");
    idle(&mut desk);
    desk.key(Modifiers::NONE, Key::Space);
    assert_eq!(session(&desk).evaluate.preview, None);
    assert_eq!(session(&desk).evaluate.changed(), 3);

    // Evaluated again, they are judged by their new labels.
    let total = session(&desk)
        .evaluate
        .evaluation
        .as_ref()
        .unwrap()
        .predictions
        .len();
    desk.click("Measure again");
    desk.until("measured", |harness| {
        let state = &harness.state().app().session.as_ref().unwrap().evaluate;
        state
            .evaluation
            .as_ref()
            .is_some_and(|evaluation| evaluation.relabelled == 3)
    });
    let state = &session(&desk).evaluate;
    assert_eq!(state.changed(), 0);
    assert_eq!(state.evaluation.as_ref().unwrap().predictions.len(), total);
    assert_eq!(state.shown.len(), 3, "three mistakes now");
}

#[test]
fn a_mistake_is_shown_among_its_neighbours() {
    let place = Place::new();
    let mut desk = evaluated(&place);
    desk.act(Action::Evaluate(EvaluateAction::Pick(0, Pick::Only)));
    let index = session(&desk).evaluate.shown[0];
    let path = session(&desk).evaluate.path(index).unwrap().to_owned();
    desk.click("Show in Label");
    desk.see("Classes");
    assert_eq!(session(&desk).label.cursor.as_ref(), Some(&path));
    assert_eq!(session(&desk).selected_paths(), [path]);
    assert_eq!(session(&desk).label.shown.len(), 120);
}

#[test]
fn a_frame_is_shown_beside_the_training_frames_nearest_to_it() {
    let place = Place::new();
    let mut desk = evaluated(&place);
    desk.act(Action::Evaluate(EvaluateAction::Preview(Some(0))));
    desk.see("Nearest training frames");
    desk.see_part("Training frame of “moving” from moving-");
    let names = desk.names();
    let near: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_prefix("Button "))
        .filter(|name| name.starts_with("Training frame of “"))
        .collect();
    assert_eq!(near.len(), 6, "{near:?}");
    let first = near[0].to_owned();
    // A relabelled frame still has them.
    desk.key(Modifiers::NONE, Key::Num2);
    desk.see("Now “fractal”");
    idle(&mut desk);
    desk.see(&first);
    desk.see_part("may be wrong");
    desk.click(&first);
    desk.see("Classes");
    let shown = session(&desk).label.cursor.clone().unwrap();
    assert!(shown.starts_with("classes/moving/"), "{shown}");
}

#[test]
fn what_was_predicted_on_is_added_to_the_project() {
    let place = Place::new();
    let mut desk = evaluated(&place);
    place.video(
        "new.mp4",
        "testsrc2=size=160x120:rate=10,hue=h=30,trim=duration=1",
    );
    let photo = place.path("shot.png");
    image::RgbImage::from_fn(80, 60, |x, y| image::Rgb([x as u8, y as u8, 9]))
        .save(&photo)
        .unwrap();
    let files = vec![place.path("new.mp4"), photo];
    desk.act(Action::Evaluate(EvaluateAction::Predict(files)));
    desk.until("predictions", |harness| {
        let state = &harness.state().app().session.as_ref().unwrap().evaluate;
        state.predicting.is_none() && state.files.list().len() == 6
    });
    // The keys do not act on a selected mistake that is hidden by the predictions.
    let hidden = session(&desk).evaluate.shown[0];
    desk.act(Action::Evaluate(EvaluateAction::Pick(0, Pick::Only)));
    assert!(session(&desk).evaluate.selection.contains(&hidden));
    desk.key(Modifiers::NONE, Key::Delete);
    desk.key(Modifiers::NONE, Key::Num2);
    desk.key(Modifiers::NONE, Key::Num0);
    desk.key(Modifiers::NONE, Key::Space);
    idle(&mut desk);
    let state = &session(&desk).evaluate;
    assert_eq!((state.changed(), state.preview), (0, None));
    assert!(!session(&desk).can_undo());

    // Five frames of the film; the first two and the photo are added, as bars.
    let list = session(&desk).evaluate.files.list();
    let at = |name: &str, nth: usize| {
        let mut places = (0..list.len()).filter(|place| list[*place].name == name);
        places.nth(nth).unwrap()
    };
    for wanted in [at("new.mp4", 0), at("new.mp4", 1), at("shot.png", 0)] {
        desk.act(Action::Evaluate(EvaluateAction::PickFile(wanted, true)));
    }
    desk.see("3 selected");
    desk.click("Add to the project with a class");
    desk.click("bars");
    desk.see_part("2 frames labelled, the other frames of the video are unsorted");
    idle(&mut desk);
    let counts = &session(&desk).snapshot.counts;
    let bars = Label::Class(salamander::project::ClassName::new("bars").unwrap());
    assert_eq!((counts.label(&bars), counts.unsorted), (43, 3));
    assert_eq!(
        session(&desk).undo_text().as_deref(),
        Some("add 3 predictions to the project")
    );

    // One undo, and one redo.
    let state = |desk: &Desk| {
        let session = session(desk);
        let counts = &session.snapshot.counts;
        (counts.label(&bars), counts.unsorted, session.sources.len())
    };
    let added = state(&desk);
    desk.key(Modifiers::COMMAND, Key::Z);
    desk.see("Undone: add 3 predictions to the project");
    idle(&mut desk);
    assert_eq!(state(&desk), (40, 0, added.2 - 2));
    assert!(!session(&desk).can_undo());
    desk.key(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
    desk.see("Redone: add 3 predictions to the project");
    idle(&mut desk);
    assert_eq!(state(&desk), added);
}
