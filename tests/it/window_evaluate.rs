//! The pages of Evaluate: measurements of a run besides its mistakes.

use salamander::app::{Action, EvaluateAction};

use crate::cli_program::Place;
use crate::window::Desk;
use crate::window_project::{go, session, train_until};

/// A window on a run with test frames, at Evaluate.
pub fn evaluated(place: &Place) -> Desk {
    place.project();
    let line = "train p --depth head --how-many-training-steps 60 --testing-percentage 30";
    let ran = place.line(line);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let mut desk = Desk::new(&place.path("config"), [1440.0, 1500.0]);
    desk.act(Action::OpenProject(place.path("p")));
    train_until(&mut desk, "the run is read", |train| train.runs.len() == 1);
    go(&mut desk, "Evaluate");
    desk.see("Confusion matrix");
    desk
}

#[test]
fn classes_have_figures_with_intervals_and_curves() {
    let place = Place::new();
    let mut desk = evaluated(&place);
    desk.see_part("Macro F1 ");
    desk.see_part("19 times out of 20");

    // The matrix in per cent, and in another order.
    desk.click("Percent of each row instead of counts");
    desk.click("Order of the classes");
    desk.click("similar together");
    desk.see("Confusion matrix");

    desk.click("Classes");
    desk.see_part("mean area under the ROC curve");
    desk.click("Curves of “moving”");
    desk.see_part("Macro precision ");
    let figures = session(&desk).evaluate.figures.clone().unwrap();
    assert_eq!(figures.per_class.len(), 3);
    assert!(figures.accuracy.interval_95.is_some());
    desk.click("Mistakes");
    desk.see("Confusion matrix");
}

#[test]
fn what_takes_trainings_is_measured_on_request() {
    let place = Place::new();
    let mut desk = evaluated(&place);
    desk.click("Confidence");
    desk.see_part("xpected calibration error");
    desk.click("Hold out classes");
    desk.see_part("Below ");
    desk.see_part("of unknown classes are accepted");
    desk.click("Use this threshold");
    desk.see_part("In use: ");
    let run = session(&desk).train.runs[0].run.clone();
    let kept = run.calibration().unwrap().unwrap();
    assert!(kept.unknown.is_some() && kept.temperature > 0.0);
    desk.click("Use none");
    desk.until("it is taken away", |_| {
        let kept = run.calibration().unwrap().unwrap();
        kept.unknown.is_none()
    });

    desk.click("Data");
    desk.click("Measure the leak");
    desk.see("split at random");
    desk.click("Cross-validate");
    desk.see_part("The folds: ");
    desk.click("Measure the curve");
    desk.see_part("per class");
    desk.click("Measure them");
    desk.see("most blurred");
    desk.click("Compare");
    desk.see_part("This project has no other finished run.");
    desk.act(Action::Evaluate(EvaluateAction::Compare(run.id.clone())));
    desk.see_part("This does not show that either is better");
    desk.see("both right");
    desk.click("Report");
    desk.see_part("Report saved");
    let page = std::fs::read_to_string(run.dir.join("report.html")).unwrap();
    assert!(
        page.contains("Leak meter") && page.contains("Learning curve"),
        "{page}"
    );
    // Results stay as long as the run is shown.
    desk.click("Mistakes");
    desk.click("Data");
    desk.see("split at random");
}

#[test]
fn a_heat_map_lies_over_the_image_that_is_looked_at() {
    let place = Place::new();
    let mut desk = evaluated(&place);
    desk.act(Action::Evaluate(EvaluateAction::Cell(Some((0, 0)))));
    desk.act(Action::Evaluate(EvaluateAction::Preview(Some(0))));
    desk.see("Heat map");
    desk.key(egui::Modifiers::NONE, egui::Key::H);
    desk.see_part("What each place adds to the logit");
    assert!(session(&desk).evaluate.heat);
    // It stays on for the next image.
    desk.key(egui::Modifiers::NONE, egui::Key::ArrowRight);
    desk.rest();
    assert_eq!(session(&desk).evaluate.preview, Some(1));
    desk.see_part("What each place adds to the logit");
    // For another class.
    desk.click("Class of the heat map");
    desk.click("moving");
    desk.see_part("What each place adds to the logit");
    desk.key(egui::Modifiers::NONE, egui::Key::H);
    desk.rest();
    assert!(!session(&desk).evaluate.heat);
}
