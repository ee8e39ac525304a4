//! The window at its smallest: nothing overlaps.

use std::path::Path;

use egui::accesskit::Role;
use egui::{Rect, Vec2, pos2};
use egui_kittest::kittest::NodeT as _;
use salamander::app::{Action, Command, TrainAction, Workspace};
use salamander::train::TrainSettings;

use crate::cli_program::Place;
use crate::window::Desk;

/// Elements that can be clicked or typed into, and separate texts, with name and rectangle.
fn parts(desk: &Desk) -> Vec<(String, Rect)> {
    let mut parts = Vec::new();
    let mut stack = vec![desk.harness.root()];
    while let Some(node) = stack.pop() {
        let access = node.accesskit_node();
        let children: Vec<_> = node.children().collect();
        let counts = matches!(
            access.role(),
            Role::Button
                | Role::Label
                | Role::CheckBox
                | Role::ComboBox
                | Role::Slider
                | Role::SpinButton
                | Role::Tab
                | Role::TextInput
        );
        let name = access.label().or_else(|| access.value());
        // The example program scrolls horizontally, and is clipped separately.
        if counts && let Some(name) = name.filter(|name| !name.contains('\n')) {
            parts.push((format!("{:?} “{name}”", access.role()), node.rect()));
        }
        if !matches!(access.role(), Role::Button | Role::ComboBox) {
            stack.extend(children);
        }
    }
    parts
}

/// Checks the window in several sizes for elements that overlap or are outside the window.
fn faults(desk: &mut Desk, what: &str) -> Vec<String> {
    let mut faults = Vec::new();
    // Notifications lie over the window on purpose.
    let notes = desk.harness.state().app().notes.list();
    for id in notes.iter().map(|note| note.id).collect::<Vec<_>>() {
        desk.act(Action::Dismiss(id));
    }
    for size in [[800.0, 600.0], [960.0, 600.0], [1280.0, 720.0]] {
        desk.harness.set_size(Vec2::from(size));
        desk.harness.run_steps(10);
        if let Some(dir) = std::env::var_os("SALAMANDER_SCREENSHOTS") {
            let name = format!("small-{what}-{}.png", size[0]);
            let image = desk.harness.render().unwrap();
            image.save(Path::new(&dir).join(name)).unwrap();
        }
        let at = format!("{what} at {size:?}");
        // What is scrolled out of view continues below the bars.
        let inside = Rect::from_min_max(pos2(0.0, 46.0), pos2(size[0], size[1] - 36.0));
        let parts = parts(desk);
        for (index, (name, rect)) in parts.iter().enumerate() {
            if rect.left() < -1.0 || rect.right() > size[0] + 1.0 {
                faults.push(format!("{at}: {name} is beyond the window: {rect}"));
            }
            for (other, with) in parts.iter().skip(index + 1) {
                let common = rect.intersect(*with).intersect(inside);
                if common.width() > 2.0 && common.height() > 2.0 {
                    faults.push(format!("{at}: {name} lies over {other}: {common}"));
                }
            }
        }
    }
    faults
}

#[test]
fn nothing_overlaps_in_a_small_window() {
    let place = Place::new();
    assert_eq!(place.line("new Sample").code, Some(0));
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sample");
    for line in [
        format!("import Sample {} --class-from folder", sample.display()),
        "train Sample --depth head --how-many-training-steps 60".to_owned(),
    ] {
        let ran = place.line(&line);
        assert_eq!(ran.code, Some(0), "{line}: {}", ran.stderr);
    }
    let mut desk = Desk::new(&place.path("config"), [800.0, 600.0]);
    let mut found = faults(&mut desk, "start");
    desk.act(Action::OpenProject(place.path("Sample")));
    desk.until("the run is read", |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| session.train.runs.len() == 1)
    });
    for workspace in [
        Workspace::Import,
        Workspace::Label,
        Workspace::Train,
        Workspace::Evaluate,
        Workspace::Export,
    ] {
        desk.act(Action::Go(workspace));
        match workspace {
            Workspace::Import => desk.until("previews", |harness| {
                let session = harness.state().app().session.as_ref().unwrap();
                session.previews.is_idle()
            }),
            Workspace::Evaluate => desk.see("Confusion matrix"),
            Workspace::Export => {
                desk.act(Action::Command(Command::ExportModel));
                desk.see("Show in folder");
            }
            Workspace::Label | Workspace::Train => {}
        }
        found.extend(faults(&mut desk, &format!("{workspace:?}")));
    }
    let endless = TrainSettings {
        how_many_training_steps: 5_000_000,
        ..TrainSettings::default()
    };
    desk.act(Action::Train(TrainAction::Set(endless)));
    desk.act(Action::Command(Command::StartTraining));
    desk.until("curves", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        let live = session.train.live.as_ref();
        live.is_some_and(|live| live.points.len() > 30)
    });
    found.extend(faults(&mut desk, "training"));
    desk.act(Action::Train(TrainAction::Cancel));
    desk.until("the end of the training", |harness| {
        harness.state().app().tasks.is_idle()
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The rectangle of the node with this role whose name begins with this.
fn place_of(desk: &Desk, role: Role, begin: &str) -> Rect {
    let mut stack = vec![desk.harness.root()];
    while let Some(node) = stack.pop() {
        let access = node.accesskit_node();
        if access.role() == role && access.label().is_some_and(|name| name.starts_with(begin)) {
            return node.rect();
        }
        stack.extend(node.children());
    }
    panic!("no {role:?} “{begin}”: {}", desk.names().join("\n"));
}

#[test]
fn nothing_overlaps_with_many_classes_long_names_and_a_run_to_be_resumed() {
    const NAME: &str = "Wildlife of the northern garden and the hedge behind it";
    let place = Place::new();
    place.project();
    let new_name = |number: u32| format!("class-{number:02}-with-a-name-that-is-much-too-long");
    for number in 1..=17 {
        let line = format!("classes p add {}", new_name(number));
        assert_eq!(place.line(&line).code, Some(0));
    }
    {
        let path = place.path("p/project.json");
        let text = std::fs::read(&path).unwrap();
        let mut project: serde_json::Value = serde_json::from_slice(&text).unwrap();
        project["name"] = NAME.into();
        std::fs::write(&path, project.to_string()).unwrap();
    }
    let mut desk = Desk::new(&place.path("config"), [800.0, 600.0]);
    desk.act(Action::OpenProject(place.path("p")));
    desk.until("the project is read", |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| session.train.runs_known && session.classes.len() == 20)
    });
    // A change with a long name to undo.
    desk.act(Action::Go(Workspace::Label));
    desk.act(Action::Command(Command::SelectAll));
    let long = salamander::project::ClassName::new(&new_name(1)).unwrap();
    desk.act(Action::Label(salamander::app::LabelAction::Assign(
        salamander::project::Label::Class(long),
    )));
    desk.until("it can be undone", |harness| {
        let app = harness.state().app();
        let session = app.session.as_ref().unwrap();
        session.undo_text().is_some() && app.tasks.is_idle()
    });
    let mut found = faults(&mut desk, "many classes");
    // Rows of the list that are scrolled out of view continue below what follows the list.
    found.retain(|fault| !fault.contains("too-long, 0 frames”"));
    for size in [[800.0, 600.0], [1280.0, 720.0]] {
        desk.harness.set_size(Vec2::from(size));
        desk.harness.run_steps(10);
        let name = place_of(&desk, Role::Button, &format!("Project {NAME}"));
        let undo = place_of(&desk, Role::Button, "Undo");
        assert!(name.right() < undo.left(), "{name} and {undo}");
        assert!(
            name.width() > 100.0,
            "the project's name has no room: {name}"
        );
    }
    desk.act(Action::Command(Command::Undo));
    desk.until("it is undone", |harness| {
        let app = harness.state().app();
        let session = app.session.as_ref().unwrap();
        session.redo_text().is_some() && app.tasks.is_idle()
    });

    // An interrupted run: its card and its button are complete, also next to a list of others.
    let endless = TrainSettings {
        how_many_training_steps: 5_000_000,
        ..TrainSettings::default()
    };
    desk.act(Action::Train(TrainAction::Set(endless)));
    desk.act(Action::Train(TrainAction::SetDepth(Some(
        salamander::backbone::Depth::Head,
    ))));
    for _ in 0..2 {
        desk.act(Action::Command(Command::StartTraining));
        desk.until("curves", |harness| {
            let session = harness.state().app().session.as_ref().unwrap();
            let live = session.train.live.as_ref();
            live.is_some_and(|live| live.points.len() > 3)
        });
        desk.act(Action::Train(TrainAction::Cancel));
        desk.until("the end of the training", |harness| {
            harness.state().app().tasks.is_idle()
        });
    }
    let id = {
        let session = desk.harness.state().app().session.as_ref().unwrap();
        session.train.runs[0].run.id.clone()
    };
    desk.act(Action::Train(TrainAction::Focus(id)));
    desk.see("Resume training");
    found.extend(faults(&mut desk, "unfinished"));
    for size in [[800.0, 600.0], [1280.0, 720.0]] {
        desk.harness.set_size(Vec2::from(size));
        desk.harness.run_steps(10);
        let inside = Rect::from_min_max(pos2(0.0, 46.0), pos2(size[0], size[1] - 34.0));
        let resume = place_of(&desk, Role::Button, "Resume training");
        assert!(inside.contains_rect(resume), "{resume} at {size:?}");
        let curves = place_of(&desk, Role::Canvas, "Cross-entropy curves");
        assert!(!curves.intersects(resume), "{curves} lies over {resume}");
        assert!(curves.bottom() <= inside.bottom(), "{curves} at {size:?}");
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
