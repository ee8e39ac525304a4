//! The cost of an action on one frame in a project of ten thousand, counted in operations: files looked up or moved,
//! folders listed, writes of `project.json`, frames visited by the window. None of these may grow with the project
//! unnoticed.

use std::path::{Path, PathBuf};

use egui::{Event, Key, Modifiers, pos2, vec2};
use image::RgbImage;
use salamander::app::{Action, Command, LabelAction, Pick, Show, Workspace};
use salamander::jobs::Work;
use salamander::media::{ClassFrom, ImportOptions, import};
use salamander::project::{
    Change, ClassName, Costs, FrameName, History, Label, Project, Source, SourceId, SourceKind,
};

use crate::cli_program::Place;
use crate::window::Desk;

const FRAMES: usize = 10_000;
const SOURCES: usize = 20;
/// `cat` and `dog`, and the entries of `classes/`.
const CLASSES: usize = 2;

fn class(name: &str) -> Label {
    Label::Class(ClassName::new(name).unwrap())
}

/// A project of [`FRAMES`] frames from [`SOURCES`] videos: the first half in `cat`, the second in `dog`.
fn many_frames(root: &Path) -> Project {
    let project = Project::create(root, "Many").unwrap();
    for name in ["cat", "dog"] {
        project.add_class(&ClassName::new(name).unwrap()).unwrap();
    }
    let one = root.join("one.jpg");
    RgbImage::new(32, 24).save(&one).unwrap();
    let bytes = std::fs::read(&one).unwrap();
    std::fs::remove_file(&one).unwrap();
    let each = FRAMES / SOURCES;
    for number in 0..SOURCES {
        let id = SourceId::of_batch(&format!("video {number}"));
        let name = if number < SOURCES / 2 { "cat" } else { "dog" };
        let source = Source {
            class: Some(ClassName::new(name).unwrap()),
            duration_secs: Some(each as f64 / 2.0),
            extracted: Some(each as u64),
            ..Source::new(
                id.clone(),
                SourceKind::Video,
                format!("{name}-{number}.mp4"),
                root.join(format!("{name}-{number}.mp4")),
            )
        };
        project.put_source(source).unwrap();
        for index in 0..each {
            let file = FrameName {
                stem: format!("{name}-{number}"),
                source: id.clone(),
                time_secs: Some(index as f64 / 2.0),
                id: format!("{:08x}", number * each + index),
                extension: "jpg".to_owned(),
            };
            let folder = project.label_dir(&class(name));
            std::fs::write(folder.join(file.to_file_name()), &bytes).unwrap();
        }
    }
    project
}

fn first_cat(project: &Project) -> String {
    let frames = project.scan(&Work::new()).unwrap();
    assert_eq!(frames.list.len(), FRAMES);
    frames.list[0].path.clone()
}

/// The costs of what `f` does.
fn costs<T>(project: &Project, f: impl FnOnce() -> T) -> (T, Costs) {
    let before = project.costs();
    let result = f();
    (result, project.costs().since(before))
}

#[test]
fn opening_lists_the_frames_once_and_looks_at_no_file() {
    let place = Place::new();
    drop(many_frames(&place.path("p")));
    let project = Project::open(&place.path("p")).unwrap();
    project.scan(&Work::new()).unwrap();
    let found = project.costs();
    // `classes/` itself is listed by opening and by the scan.
    assert_eq!(found.folders_listed, 2 + CLASSES as u64 + 1, "{found:?}");
    let entries = (FRAMES + 2 * CLASSES) as u64;
    assert_eq!(found.entries_listed, entries, "{found:?}");
    assert_eq!(found.files_touched, 0, "{found:?}");
    assert_eq!(found.documents_written, 0, "{found:?}");
}

#[test]
fn labelling_one_frame_and_undo_touch_one_frame() {
    let place = Place::new();
    let project = many_frames(&place.path("p"));
    let frame = first_cat(&project);
    let mut history = History::default();
    let work = Work::new();
    // The file, and its new name.
    let one_move = Costs {
        files_touched: 2,
        ..Costs::default()
    };
    let changes = [
        Change::Relabel {
            frames: vec![frame.clone()],
            to: class("dog"),
        },
        Change::Trash {
            frames: vec![frame],
        },
    ];
    for change in changes {
        let (_, done) = costs(&project, || history.apply(&project, change, &work).unwrap());
        assert_eq!(done, one_move);
        let (_, undone) = costs(&project, || history.undo(&project, &work).unwrap());
        assert_eq!(undone, one_move);
    }
    assert!(work.take_warnings().is_empty());
}

fn into_cat() -> ImportOptions {
    ImportOptions {
        class_from: ClassFrom::Chosen(ClassName::new("cat").unwrap()),
        ..ImportOptions::default()
    }
}

/// Photos, each of one colour.
fn photos(place: &Place, count: u8) -> Vec<PathBuf> {
    let one = |number: u8| {
        let path = place.path(format!("photo-{number}.png"));
        let image = RgbImage::from_pixel(16, 16, image::Rgb([number; 3]));
        image.save(&path).unwrap();
        path
    };
    (0..count).map(one).collect()
}

#[test]
fn importing_photos_lists_the_frames_once_and_looks_up_what_is_imported() {
    let place = Place::new();
    let project = many_frames(&place.path("p"));
    let photos = photos(&place, 5);
    let first = &photos[..1];
    let (outcome, found) = costs(&project, || {
        import(&project, first, &into_cat(), &Work::new()).unwrap()
    });
    assert_eq!(outcome.record.sources.len(), 1);
    let entries = (FRAMES + CLASSES) as u64;
    assert!(found.entries_listed <= entries, "{found:?}");
    assert_eq!(found.files_touched, 0, "{found:?}");
    assert!(found.documents_written <= 4, "{found:?}");

    // One of these is already there: it is looked up.
    let (outcome, found) = costs(&project, || {
        import(&project, &photos, &into_cat(), &Work::new()).unwrap()
    });
    assert_eq!(outcome.record.written[0].frames.len(), 4);
    assert!(found.entries_listed <= entries + 1, "{found:?}");
    assert_eq!(found.files_touched, 1, "{found:?}");
    assert!(found.documents_written <= 4, "{found:?}");

    // Files that were copied into the project by hand are looked up once, for any number of photos.
    let folder = project.label_dir(&class("dog"));
    for number in 0..7 {
        let path = folder.join(format!("by hand {number}.png"));
        std::fs::copy(&photos[0], path).unwrap();
    }
    let more = place.path("more.png");
    RgbImage::new(20, 20).save(&more).unwrap();
    let more = [more, photos[1].clone(), photos[2].clone()];
    let (_, found) = costs(&project, || {
        import(&project, &more, &into_cat(), &Work::new()).unwrap()
    });
    assert_eq!(found.files_touched, 7 + 2, "{found:?}");
}

#[test]
fn undoing_an_import_lists_nothing_while_its_frames_are_where_it_put_them() {
    let place = Place::new();
    let project = many_frames(&place.path("p"));
    let mut history = History::default();
    let work = Work::new();
    let photos = photos(&place, 3);
    let frames = || project.scan(&work).unwrap().list.len();
    let imported = |history: &mut History| {
        let outcome = import(&project, &photos, &into_cat(), &work).unwrap();
        let change = Change::Import {
            files: 3,
            record: Box::new(outcome.record),
            predictions: 0,
            undone: None,
        };
        history.apply(&project, change, &work).unwrap();
        assert_eq!(frames(), FRAMES + 3);
    };
    imported(&mut history);
    let (_, found) = costs(&project, || history.undo(&project, &work).unwrap());
    assert_eq!(found.entries_listed, 0, "{found:?}");
    // Each is looked up, then moved into the trash.
    assert_eq!(found.files_touched, 3 * 3, "{found:?}");
    assert_eq!(frames(), FRAMES);

    // One has another class by now: the whole project is searched for it.
    history.redo(&project, &work).unwrap();
    let cats = project.scan(&work).unwrap().list.into_iter();
    let one = cats
        .map(|frame| frame.path)
        .find(|path| path.contains("photo-1"));
    project
        .relabel(&[one.unwrap()], &class("dog"), &work)
        .unwrap();
    history.undo(&project, &work).unwrap();
    assert_eq!(frames(), FRAMES);
    assert_eq!(project.sources().len(), SOURCES);
}

/// A window on the project, in the label workspace, idle.
fn window(place: &Place) -> Desk {
    drop(many_frames(&place.path("p")));
    let mut desk = Desk::new(&place.path("config"), [1440.0, 900.0]);
    desk.act(Action::OpenProject(place.path("p")));
    desk.until("the project", |harness| {
        harness.state().app().session.is_some()
    });
    desk.act(Action::Go(Workspace::Label));
    desk.rest();
    desk
}

/// Frames visited by the window, and operations on files, so far.
fn so_far(desk: &Desk) -> (u64, Costs) {
    let session = desk.harness.state().app().session.as_ref().unwrap();
    (session.label.visited.get(), session.project.costs())
}

/// The cost of `f` and everything that follows from it.
fn in_the_window(desk: &mut Desk, f: impl FnOnce(&mut Desk)) -> (u64, Costs) {
    let before = so_far(desk);
    f(desk);
    desk.rest();
    let after = so_far(desk);
    (after.0 - before.0, after.1.since(before.1))
}

fn path_at(desk: &Desk, place: usize) -> String {
    let session = desk.harness.state().app().session.as_ref().unwrap();
    session.shown_path(place).unwrap().to_owned()
}

#[test]
fn in_the_window_labelling_one_frame_visits_a_few() {
    let place = Place::new();
    let mut desk = window(&place);
    for show in [Show::All, Show::Label(class("cat"))] {
        desk.act(Action::Label(LabelAction::Show(show.clone())));
        let path = path_at(&desk, 1000);
        let (visited, found) = in_the_window(&mut desk, |desk| {
            desk.act(Action::Label(LabelAction::Pick(path.clone(), Pick::Only)));
            desk.act(Action::Label(LabelAction::Assign(class("dog"))));
        });
        let moved = path.replace("classes/cat/", "classes/dog/");
        assert!(place.path("p").join(&moved).is_file());
        assert!(visited < 20, "{show:?}: {visited} frames visited");
        assert_eq!(found.files_touched, 2, "{show:?}: {found:?}");
        assert_eq!(found.documents_written, 0, "{show:?}: {found:?}");
        // The edit lists nothing. The watcher may list the frames once if the system reports the move late.
        assert!(found.entries_listed < 10_100, "{show:?}: {found:?}");

        let (visited, found) = in_the_window(&mut desk, |desk| {
            desk.act(Action::Command(Command::Undo));
        });
        assert!(place.path("p").join(&path).is_file());
        eprintln!("undo with {show:?}: {visited} frames visited, {found:?}");
        assert_eq!(found.files_touched, 2, "{show:?}: {found:?}");
        assert_eq!(found.documents_written, 0, "{show:?}: {found:?}");
    }
}

#[test]
fn in_the_window_scrolling_and_walking_visit_nothing_else() {
    let place = Place::new();
    let mut desk = window(&place);
    let path = path_at(&desk, 0);
    let (visited, found) = in_the_window(&mut desk, |desk| {
        desk.act(Action::Label(LabelAction::Pick(path, Pick::Only)));
        for _ in 0..20 {
            desk.harness.event(Event::PointerMoved(pos2(700.0, 500.0)));
            desk.harness.event(Event::MouseWheel {
                unit: egui::MouseWheelUnit::Point,
                delta: vec2(0.0, -400.0),
                phase: egui::TouchPhase::Move,
                source: egui::MouseWheelSource::Wheel,
                modifiers: Modifiers::NONE,
            });
            desk.harness.run_steps(2);
        }
        for _ in 0..5 {
            desk.key(Modifiers::NONE, Key::ArrowDown);
        }
    });
    assert!(visited < 20, "{visited} frames visited");
    assert_eq!(found, Costs::default());
    let session = desk.harness.state().app().session.as_ref().unwrap();
    let cursor = session.label.cursor.as_ref().unwrap();
    assert!(session.place_of(cursor).unwrap() > 10);
}
