//! *Try it*: films that play, photos, folders with the names of classes.

use egui::{Key, Modifiers};
use salamander::app::{Action, EvaluateAction};

use crate::cli_program::Place;
use crate::window::Desk;
use crate::window_evaluate::evaluated;
use crate::window_project::session;

fn predict(desk: &mut Desk, paths: &[std::path::PathBuf], count: usize) {
    desk.act(Action::Evaluate(EvaluateAction::Predict(paths.to_vec())));
    desk.until("predictions", |harness| {
        let state = &harness.state().app().session.as_ref().unwrap().evaluate;
        state.predicting.is_none() && state.files.list().len() == count
    });
}

/// The time of the frame that is shown, seconds; `None` before there is one.
fn shown(desk: &Desk) -> Option<f64> {
    let player = session(desk).evaluate.player.as_ref()?;
    let now = player.now(&desk.harness.ctx);
    assert_eq!(now.error, None);
    now.image.map(|_| now.time_secs)
}

#[test]
fn films_play_and_folders_judge() {
    let place = Place::new();
    let mut desk = evaluated(&place);
    place.video(
        "new/moving/walk.mp4",
        "testsrc2=size=160x120:rate=10,hue=h=30,trim=duration=3",
    );
    std::fs::create_dir_all(place.path("new/bars")).unwrap();
    image::RgbImage::from_fn(80, 60, |x, y| image::Rgb([x as u8, y as u8, 9]))
        .save(place.path("new/bars/shot.png"))
        .unwrap();
    desk.act(Action::Evaluate(EvaluateAction::Predict(vec![
        place.path("new"),
    ])));
    desk.until("predictions", |harness| {
        let state = &harness.state().app().session.as_ref().unwrap().evaluate;
        state.predicting.is_none() && state.files.list().len() > 3
    });
    desk.see_part("By folder: 1 of 1 film right");
    let list = session(&desk).evaluate.files.list();
    let film = list
        .iter()
        .position(|file| file.time_secs.is_some())
        .unwrap();
    desk.act(Action::Evaluate(EvaluateAction::ShowFile(film)));
    let at = |desk: &mut Desk, what: &str, wanted: fn(f64) -> bool| {
        let mut there = false;
        for _ in 0..200 {
            desk.rest();
            there = shown(desk).is_some_and(wanted);
            if there {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert!(there, "{what}: {:?}", shown(desk));
    };
    at(&mut desk, "its first frame", |secs| secs < 0.2);
    desk.see_part("correct by its folder");
    desk.see("Probabilities over time");
    desk.see("Play");

    // Another time, then from there at its own speed.
    desk.act(Action::Evaluate(EvaluateAction::Seek(1.5)));
    at(&mut desk, "the moment", |secs| (1.4..1.7).contains(&secs));
    desk.key(Modifiers::NONE, Key::Space);
    at(&mut desk, "it plays", |secs| secs > 2.0);
    at(&mut desk, "to its end", |secs| secs > 2.7);
    desk.until("it stands still", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        !session.evaluate.player.as_ref().unwrap().is_playing()
    });

    // The heat map is painted over the stopped frame.
    desk.key(Modifiers::NONE, Key::H);
    desk.see_part("What each place adds to the logit");

    // A photo closes the film.
    let photo = list
        .iter()
        .position(|file| file.time_secs.is_none())
        .unwrap();
    desk.act(Action::Evaluate(EvaluateAction::PickFile(photo, false)));
    desk.rest();
    assert!(session(&desk).evaluate.player.is_none());
    desk.see_part("What each place adds to the logit");
    desk.key(Modifiers::NONE, Key::H);

    // All probabilities as a file.
    desk.click("Save as CSV…");
    let path = place.path("all.csv");
    desk.type_into("CSV file", path.to_str().unwrap());
    desk.click("Write");
    desk.see_part("Saved the probabilities to ");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 1 + list.len());

    // Leaving the page closes the film.
    desk.act(Action::Evaluate(EvaluateAction::ShowFile(film)));
    desk.rest();
    assert!(session(&desk).evaluate.player.is_some());
    desk.act(Action::Evaluate(EvaluateAction::ShowFiles(false)));
    desk.rest();
    assert!(session(&desk).evaluate.player.is_none());
    predict(&mut desk, &[place.path("new/bars/shot.png")], 1);
    assert!(session(&desk).evaluate.player.is_none());
}
