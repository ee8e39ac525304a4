//! A task that was cancelled in favour of another ends after that has begun: its end must not be mistaken for the
//! other's.

use std::path::PathBuf;

use salamander::app::{Action, EvaluateAction};
use salamander::project::Split;

use crate::cli_program::Place;
use crate::window::Desk;
use crate::window_project::session;

#[test]
fn the_end_of_what_was_cancelled_is_not_the_end_of_its_successor() {
    let place = Place::new();
    place.project();
    place.result("train p --depth head --how-many-training-steps 20 --testing-percentage 25 --validation-percentage 25");
    let mut desk = Desk::new(&place.path("config"), [1280.0, 800.0]);
    let project = place.path("p");
    desk.harness.state_mut().apply(Action::OpenProject(project));
    desk.until("the run is listed", |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| session.train.runs.len() == 1)
    });
    let run = session(&desk).train.runs[0].run.id.clone();
    let evaluate = |action| Action::Evaluate(action);

    // Back to the run that is being cancelled, before that has ended.
    let app = desk.harness.state_mut();
    app.apply(evaluate(EvaluateAction::Open(run)));
    app.apply(evaluate(EvaluateAction::Split(Split::Validation)));
    app.apply(evaluate(EvaluateAction::Split(Split::Test)));
    desk.until("the evaluation", |harness| {
        let state = &harness.state().app().session.as_ref().unwrap().evaluate;
        assert_eq!(state.error, None);
        state.evaluation.is_some()
    });
    let state = &session(&desk).evaluate;
    assert_eq!(state.evaluation.as_ref().unwrap().split, Split::Test);
    assert_eq!(state.task, None);

    let videos = |name: &str| -> Vec<PathBuf> {
        (0..4)
            .map(|n| place.path(format!("videos/{name}/{name}-{n}.mp4")))
            .collect()
    };
    let app = desk.harness.state_mut();
    app.apply(evaluate(EvaluateAction::Predict(videos("bars"))));
    desk.harness.run_steps(1);
    let first = session(&desk).evaluate.predicting.unwrap();
    desk.act(evaluate(EvaluateAction::Predict(videos("moving"))));
    let second = session(&desk).evaluate.predicting.unwrap();
    assert_ne!(first, second);
    desk.until("the first ends", |harness| {
        let app = harness.state().app();
        let predicting = app.session.as_ref().unwrap().evaluate.predicting;
        if app.tasks.is_alive(second) {
            assert_eq!(predicting, Some(second));
        }
        !app.tasks.is_alive(first)
    });
    desk.until("the second ends", |harness| {
        let app = harness.state().app();
        let predicting = app.session.as_ref().unwrap().evaluate.predicting;
        assert_eq!(predicting.is_some(), app.tasks.is_alive(second));
        predicting.is_none()
    });
    let predicted = session(&desk).evaluate.files.list();
    assert!(!predicted.is_empty());
    assert!(
        predicted
            .iter()
            .all(|found| found.name.starts_with("moving"))
    );
}
