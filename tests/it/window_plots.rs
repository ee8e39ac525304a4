//! The plots of the train workspace: the cost of a frame, counted in visited points, and the options for curves.

use std::fmt::Write as _;
use std::path::Path;

use egui::{Event, Modifiers, pos2, vec2};
use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, Axis, Metric, TrainAction};
use salamander::train::RunId;

use crate::cli_program::Place;
use crate::projects::without_hashes;
use crate::window::Desk;
use crate::window_project::{go, press, scroll_and_click, session, train_until};

/// The folder of the one run that was trained.
pub fn trained(place: &Place) -> std::path::PathBuf {
    place.project();
    let ran = place.line("train p --depth head --how-many-training-steps 20");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let mut runs = std::fs::read_dir(place.path("p/runs")).unwrap();
    runs.next().unwrap().unwrap().path()
}

/// A copy of a run under another name, with curves of this many points.
pub fn copy_run(run: &Path, name: &str, points: u32) {
    let copy = run.parent().unwrap().join(name);
    std::fs::create_dir(&copy).unwrap();
    for file in ["run.json", "frames.jsonl", "weights.safetensors"] {
        std::fs::copy(run.join(file), copy.join(file)).unwrap();
    }
    let mut lines = String::new();
    for step in 1..=points {
        // Similar to noise.
        let noise = f64::from(step.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
        let accuracy = 0.9 - 0.5 / f64::from(step).sqrt() + 0.1 * noise;
        let cross_entropy = 0.2 + 1.0 / f64::from(step).sqrt() + 0.1 * noise;
        writeln!(
            lines,
            r#"{{"step":{step},"secs":{},"train_accuracy":{accuracy},"train_cross_entropy":{cross_entropy},"validation_accuracy":{accuracy},"validation_cross_entropy":{cross_entropy}}}"#,
            f64::from(step) * 0.01,
        )
        .unwrap();
    }
    std::fs::write(copy.join("curves.jsonl"), lines).unwrap();
    without_hashes(&copy);
}

fn open(place: &Place, runs: usize) -> Desk {
    let mut desk = Desk::new(&place.path("config"), [1440.0, 900.0]);
    desk.act(Action::OpenProject(place.path("p")));
    train_until(&mut desk, "the runs are read", |train| {
        train.runs_known && train.runs.len() == runs
    });
    go(&mut desk, "Train");
    desk
}

/// The number of points of curves that a frame visits.
fn visited(desk: &mut Desk, event: Option<Event>) -> u64 {
    let before = session(desk).train.visited();
    if let Some(event) = event {
        desk.harness.event(event);
    }
    desk.harness.step();
    session(desk).train.visited() - before
}

#[test]
fn a_frame_looks_at_as_many_points_as_there_are_pixels() {
    let place = Place::new();
    let run = trained(&place);
    for (name, points) in [("a-short", 3_000), ("b-long", 60_000), ("c-long", 60_000)] {
        copy_run(&run, name, points);
    }
    let mut desk = open(&place, 4);
    let mut costs = Vec::new();
    for name in ["a-short", "b-long"] {
        desk.act(Action::Train(TrainAction::Focus(RunId(name.to_owned()))));
        // Long curves are read over several frames.
        let mut most = 0;
        for _ in 0..60 {
            most = most.max(visited(&mut desk, None));
        }
        assert!(most <= 45_000, "{name}: {most} points in a frame");
        costs.push(visited(&mut desk, None));
    }
    // Twenty times the points cost the same.
    assert!(costs.iter().all(|cost| *cost < 8_000), "{costs:?}");
    assert!(costs[1] <= 2 * costs[0], "{costs:?}");

    // A compared run costs two more lines.
    desk.act(Action::Train(TrainAction::Overlay(
        RunId("c-long".to_owned()),
        true,
    )));
    for _ in 0..10 {
        visited(&mut desk, None);
    }
    let compared = visited(&mut desk, None);
    assert!(compared < costs[1] + 4_000, "{compared}, {costs:?}");
    // Pointing at it, and zooming into it.
    let pointed = visited(&mut desk, Some(Event::PointerMoved(pos2(700.0, 300.0))));
    assert!(pointed <= compared + 100, "{pointed}");
    let zoomed = visited(&mut desk, Some(Event::Zoom(3.0)));
    assert!(zoomed < 2 * compared, "{zoomed}");
    desk.see("Reset zoom");
    // Another smoothing is computed in parts, and then costs nothing more.
    let mut view = session(&desk).train.view.clone();
    view.smoothing = 0.9;
    view.ignore_outliers = true;
    desk.act(Action::Train(TrainAction::View(view)));
    let mut most = 0;
    for _ in 0..60 {
        most = most.max(visited(&mut desk, None));
    }
    assert!(most <= 45_000, "{most} points in a frame");
    let after = visited(&mut desk, None);
    assert!(after < zoomed + 2_000, "{after}");
}

#[test]
fn runs_are_filtered_and_curves_are_looked_at_in_other_ways() {
    let place = Place::new();
    let run = trained(&place);
    for name in ["fox-1", "fox-2", "hare-1"] {
        copy_run(&run, name, 300);
    }
    let mut desk = open(&place, 4);
    let listed = |desk: &Desk| {
        let runs = desk
            .harness
            .query_all_by_role(egui::accesskit::Role::ListBoxOption);
        runs.count()
    };
    assert_eq!(listed(&desk), 4);
    desk.type_into("Filter runs", "FOX-[12]");
    assert_eq!(listed(&desk), 2);
    desk.see("2 of 4");
    desk.click("Compare them");
    let compared = &session(&desk).train.overlays;
    assert_eq!(
        compared.iter().map(|id| id.0.as_str()).collect::<Vec<_>>(),
        ["fox-1", "fox-2"]
    );
    desk.see("compared:");
    // Those that no longer match are no longer drawn either.
    desk.replace("Filter runs", "hare");
    assert_eq!(listed(&desk), 1);
    assert!(desk.harness.query_by_label("compared:").is_none());
    desk.replace("Filter runs", "hare(");
    desk.see("Not a valid regular expression: unclosed group.");
    assert_eq!(listed(&desk), 4);
    desk.act(Action::Train(TrainAction::Filter(String::new())));

    // Colours stay when other runs go.
    let color = |desk: &Desk, id: &str| session(desk).train.color_of(&RunId(id.to_owned()));
    let before = ["fox-2", "hare-1"].map(|id| color(&desk, id));
    assert_ne!(before[0], before[1]);
    desk.act(Action::Train(TrainAction::Remove(RunId(
        "fox-1".to_owned(),
    ))));
    desk.rest();
    assert_eq!(before, ["fox-2", "hare-1"].map(|id| color(&desk, id)));

    desk.click("Horizontal axis");
    press(&mut desk, "Wall clock");
    assert_eq!(session(&desk).train.view.axis, Axis::Wall);
    desk.click("Horizontal axis");
    press(&mut desk, "Training time");
    assert_eq!(session(&desk).train.view.axis, Axis::Time);
    desk.click("More about the plot Accuracy");
    press(&mut desk, "Logarithmic scale");
    assert!(session(&desk).train.view.is_log(&Metric::ACCURACY));
    desk.click("More about the plot Cross-entropy");
    press(&mut desk, "Ignore outliers");
    assert!(session(&desk).train.view.ignore_outliers);
}

#[test]
fn a_plot_is_written_from_the_window_and_from_the_command_line() {
    let place = Place::new();
    let run = trained(&place);
    copy_run(&run, "fox", 300);
    copy_run(&run, "hare", 300);
    let mut desk = open(&place, 3);
    desk.act(Action::Train(TrainAction::Focus(RunId("fox".to_owned()))));
    desk.act(Action::Train(TrainAction::Overlay(
        RunId("hare".to_owned()),
        true,
    )));
    for (extension, title) in [("csv", "CSV"), ("svg", "SVG"), ("png", "PNG")] {
        let path = place.path(format!("plot.{extension}"));
        desk.click("More about the plot Cross-entropy");
        press(&mut desk, &format!("Save as {title}…"));
        desk.type_into(
            "File; an existing one is not replaced",
            path.to_str().unwrap(),
        );
        press(&mut desk, "Save");
        desk.see("Plot saved");
        desk.rest();
        assert!(std::fs::metadata(&path).unwrap().len() > 1000);
        let notes = desk.harness.state().app().notes.list();
        for id in notes.iter().map(|note| note.id).collect::<Vec<_>>() {
            desk.act(Action::Dismiss(id));
        }
    }
    let table = std::fs::read_to_string(place.path("plot.csv")).unwrap();
    // Both curves of the run that is drawn in full, and the validation curve of the other.
    assert_eq!(table.lines().count(), 1 + 3 * 300);
    assert!(table.lines().nth(1).unwrap().starts_with("fox,"));
    assert!(table.contains("\nhare,"));

    desk.act(Action::Command(salamander::app::Command::CloseProject));
    desk.rest();
    let out = place.path("curves.json");
    let line = format!(
        "runs p --curves fox --curves hare --tag cross_entropy --out {}",
        out.display()
    );
    let result = place.result(&line);
    assert_eq!(result["curves"]["runs"], serde_json::json!(["fox", "hare"]));
    let found: serde_json::Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(found["curves"].as_array().unwrap().len(), 4);
    assert_eq!(found["curves"][0]["points"][299]["step"], 300);
    // All values are there, and none is interpolated.
    let again = place.line(&line);
    assert_ne!(again.code, Some(0));
    assert!(again.stderr.contains("already exists"), "{}", again.stderr);
    let other = place.line("runs p --curves fox --tag gradient --out g.csv");
    assert!(
        other.stderr.contains("no") && other.stderr.contains("gradient"),
        "{}",
        other.stderr
    );
    let odd = place.line("runs p --curves fox --out curves.txt");
    assert!(odd.stderr.contains("--format"), "{}", odd.stderr);
}

/// Adds other metrics than curves to a run with this many points.
fn measure_more(run: &Path, points: u32) {
    let mut lines = String::new();
    for step in 1..=points {
        let mut line = serde_json::json!({
            "step": step, "secs": f64::from(step) * 0.01,
            "values": [0.01 / f64::from(step), 1.0, 0.5, 0.75],
        });
        if step == 1 {
            line["columns"] = serde_json::json!([
                {"tag": "learning_rate", "side": "run"},
                {"tag": "gradient_norm", "side": "run"},
                {"tag": "accuracy/bars", "side": "validation"},
                {"tag": "accuracy/dots", "side": "validation"},
            ]);
        }
        if step.is_multiple_of(5) {
            let wide = 1.0 + f64::from(step) / f64::from(points);
            line["histograms"] = serde_json::json!([[
                {"tag": "weights/w", "side": "run"},
                {"min": -wide, "max": wide, "sum": 0.0, "sum_squares": 40.0, "counts": [1, 6, 20, 30, 18, 7, 1]},
            ]]);
        }
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    std::fs::write(run.join("metrics.jsonl"), lines).unwrap();
    without_hashes(run);
}

#[test]
fn what_else_was_measured_is_opened_group_by_group() {
    let place = Place::new();
    let run = trained(&place);
    for name in ["fox", "hare"] {
        copy_run(&run, name, 300);
        measure_more(&run.with_file_name(name), 300);
    }
    let mut desk = open(&place, 3);
    desk.act(Action::Train(TrainAction::Focus(RunId("fox".to_owned()))));
    desk.act(Action::Train(TrainAction::Overlay(
        RunId("hare".to_owned()),
        true,
    )));
    let at_rest = visited(&mut desk, None);
    for (group, plot) in [
        ("Plot Learning rate", "Learning rate curves"),
        ("Plot Gradient norm", "Gradient norm curves"),
        ("Plot Accuracy by class", "Accuracy by class curves"),
        ("Plot Histograms of weights", "weights/w histograms"),
    ] {
        // Collapsed at first, and without cost.
        assert!(desk.harness.query_by_label(plot).is_none(), "{plot}");
        scroll_and_click(&mut desk, "More plots");
        press(&mut desk, group.trim_start_matches("Plot "));
        desk.see(plot);
        desk.harness.run_steps(20);
        let place = desk.harness.get_by_label(plot).rect();
        assert!(place.top() < 880.0, "{plot} is not scrolled to: {place}");
    }
    // An expanded group costs something, and a part scrolled out of view nothing.
    let open = visited(&mut desk, None);
    assert!(open > 0 && open < at_rest, "{open}, {at_rest}");
    scroll_and_click(&mut desk, "Percentiles");
    desk.see("weights/w distributions");
    scroll_and_click(&mut desk, "Plot Gradient norm");
    assert!(
        desk.harness
            .query_by_label("Gradient norm curves")
            .is_none()
    );
    if let Some(dir) = std::env::var_os("SALAMANDER_SCREENSHOTS") {
        desk.harness.set_size(vec2(1440.0, 2400.0));
        desk.harness.run_steps(5);
        let image = desk.harness.render().unwrap();
        image.save(Path::new(&dir).join("plots.png")).unwrap();
    }

    desk.act(Action::Command(salamander::app::Command::CloseProject));
    desk.rest();
    for (tag, lines) in [
        ("learning_rate", 300),
        ("accuracy/bars", 300),
        ("accuracy/", 600),
    ] {
        let out = place.path("out.csv");
        let line = format!("runs p --curves fox --tag {tag} --out {}", out.display());
        assert_eq!(place.line(&line).code, Some(0));
        let table = std::fs::read_to_string(&out).unwrap();
        assert_eq!(table.lines().count(), 1 + lines, "{tag}");
        std::fs::remove_file(out).unwrap();
    }
}

#[test]
fn a_section_is_zoomed_into_moved_and_left() {
    let place = Place::new();
    let run = trained(&place);
    copy_run(&run, "fox", 300);
    let mut desk = open(&place, 2);
    let plot = desk.harness.get_by_label("Accuracy curves").rect();
    let reset = |desk: &Desk| desk.harness.query_all_by_label("Reset zoom").count();
    let drag = |desk: &mut Desk, modifiers: Modifiers, from: egui::Pos2, to: egui::Pos2| {
        desk.harness.event(Event::PointerMoved(from));
        desk.harness.step();
        desk.harness.event(Event::ModifiersChanged(modifiers));
        let button = |pos, pressed| Event::PointerButton {
            pos,
            button: egui::PointerButton::Primary,
            pressed,
            modifiers,
        };
        let moved = |part: f32| Event::PointerMoved(from + (to - from) * part);
        // A drag begins with the first movement that is long enough.
        for event in [
            button(from, true),
            moved(0.1),
            moved(0.5),
            moved(1.0),
            button(to, false),
        ] {
            desk.harness.event(event);
            desk.harness.step();
        }
        desk.harness.event(Event::ModifiersChanged(Modifiers::NONE));
        desk.harness.run_steps(3);
    };
    let center = plot.center();
    drag(
        &mut desk,
        Modifiers::NONE,
        center - vec2(80.0, 30.0),
        center + vec2(80.0, 30.0),
    );
    assert_eq!(reset(&desk), 1);
    desk.click("Reset zoom");
    assert_eq!(reset(&desk), 0);
    // With Shift no section is chosen; the visible section moves.
    drag(
        &mut desk,
        Modifiers::SHIFT,
        center,
        center + vec2(60.0, 10.0),
    );
    assert_eq!(reset(&desk), 1);
    desk.click("More about the plot Accuracy");
    press(&mut desk, "Fit to the data");
    assert_eq!(reset(&desk), 0);
}
