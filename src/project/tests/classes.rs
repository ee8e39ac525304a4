//! Classes: added, renamed, ordered, removed.

use std::fs;

use super::*;

#[test]
fn classes_are_added_renamed_ordered_and_removed() {
    let (_dir, project) = new_project();
    for name in ["cat", "dog", "fox"] {
        project.add_class(&class(name)).unwrap();
    }
    put(&project, "classes/dog/1.jpg");
    put(&project, "classes/dog/notes.txt");
    let mut film = source("00000001");
    film.class = Some(class("dog"));
    project.put_source(film).unwrap();
    for (name, part) in [("DOG", "“dog”"), ("Cat", "“cat”")] {
        let message = project
            .rename_class(&class("fox"), &class(name))
            .unwrap_err()
            .to_string();
        assert!(message.contains(part), "{message}");
    }
    project.rename_class(&class("dog"), &class("Dog")).unwrap();
    project.rename_class(&class("Dog"), &class("Hund")).unwrap();
    assert_eq!(paths(&project), ["classes/Hund/1.jpg"]);
    assert_eq!(project.sources()[0].class, Some(class("Hund")));
    project.move_class(&class("Hund"), 0).unwrap();
    project.move_class(&class("cat"), 99).unwrap();
    let project = reopen(project);
    assert_eq!(names(&project), ["Hund", "fox", "cat"]);
    assert_eq!(
        project
            .classes()
            .iter()
            .map(|c| c.color)
            .collect::<Vec<_>>(),
        [1, 2, 0]
    );
    let moved = project.remove_class(&class("Hund")).unwrap();
    assert_eq!(moved, ["unsorted/1.jpg"]);
    assert_eq!(names(&project), ["fox", "cat"]);
    assert!(!project.abs("classes/Hund").exists());
    assert!(project.abs("trash/removed/Hund 1/notes.txt").exists());
    assert_eq!(project.sources()[0].class, None);
    project.add_class(&class("cow")).unwrap();
    assert_eq!(project.classes()[2].color, 1, "the smallest free colour");
    assert!(project.remove_class(&class("Hund")).is_err());
}

#[test]
fn a_killed_rename_is_finished_on_opening() {
    for renamed_already in [false, true] {
        let (_dir, project) = new_project();
        project.add_class(&class("cat")).unwrap();
        project.add_class(&class("dog")).unwrap();
        put(&project, "classes/cat/1.jpg");
        let root = project.root().to_owned();
        drop(project);
        let path = root.join("project.json");
        let mut json: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        json["pending"] = serde_json::json!({"rename_class": {"from": "cat", "to": "Katze"}});
        fs::write(&path, json.to_string()).unwrap();
        if renamed_already {
            fs::rename(root.join("classes/cat"), root.join("classes/Katze")).unwrap();
        }
        let project = Project::open(&root).unwrap();
        assert_eq!(names(&project), ["Katze", "dog"]);
        assert_eq!(paths(&project), ["classes/Katze/1.jpg"]);
        let json = fs::read_to_string(&path).unwrap();
        assert!(!json.contains("pending"));
    }
}

#[test]
fn a_killed_removal_is_finished_on_opening() {
    let (_dir, project) = new_project();
    project.add_class(&class("cat")).unwrap();
    put(&project, "classes/cat/1.jpg");
    put(&project, "unsorted/0.jpg");
    let root = project.root().to_owned();
    drop(project);
    let path = root.join("project.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json["pending"] = serde_json::json!({"remove_class": "cat"});
    fs::write(&path, json.to_string()).unwrap();
    let project = Project::open(&root).unwrap();
    assert!(project.classes().is_empty());
    assert_eq!(paths(&project), ["unsorted/0.jpg", "unsorted/1.jpg"]);
}

fn now(project: &Project, id: ClassId) -> ClassNow {
    project.class_list().now(id).unwrap()
}

#[test]
fn a_name_that_is_taken_is_refused_with_the_offer_to_merge() {
    let (_dir, project) = new_project();
    for name in ["cat", "dog"] {
        project.add_class(&class(name)).unwrap();
    }
    let error = project.rename_class(&class("cat"), &class("dog"));
    let told = error.unwrap_err().to_string();
    assert!(told.contains("merge “cat” into “dog”"), "{told}");
    let error = project.merge_class(&class("cat"), &class("cat"), &Work::new());
    assert!(error.unwrap_err().to_string().contains("into itself"));
    for (from, into) in [("cat", "cow"), ("cow", "cat")] {
        let error = project.merge_class(&class(from), &class(into), &Work::new());
        assert!(error.unwrap_err().to_string().contains("“cow”"));
    }
    assert_eq!(names(&project), ["cat", "dog"]);
}

#[test]
fn a_merger_takes_frames_sources_and_what_runs_know() {
    let (_dir, project) = new_project();
    for path in [
        "classes/cat/1.jpg",
        "classes/cat/deep/2.jpg",
        "classes/cat/notes.txt",
        "classes/pets/1.jpg",
    ] {
        put(&project, path);
    }
    paths(&project);
    let mut film = source("00000001");
    film.class = Some(class("cat"));
    project.put_source(film).unwrap();
    let cat = project.classes()[0].id;
    let moved = project.merge_class(&class("cat"), &class("pets"), &Work::new());
    let mut moved = moved.unwrap();
    moved.sort();
    assert_eq!(moved, ["classes/pets/1~2.jpg", "classes/pets/2.jpg"]);
    assert_eq!(names(&project), ["pets"]);
    assert_eq!(project.sources()[0].class, Some(class("pets")));
    assert!(project.abs("trash/removed/cat 1/notes.txt").exists());
    let merged = |into: &str| ClassNow::MergedInto(class(into));
    assert_eq!(now(&project, cat), merged("pets"));
    // The record follows later changes of the other class, also after reopening.
    project
        .rename_class(&class("pets"), &class("Tiere"))
        .unwrap();
    project.add_class(&class("all")).unwrap();
    assert_eq!(now(&project, cat), merged("Tiere"));
    project
        .merge_class(&class("Tiere"), &class("all"), &Work::new())
        .unwrap();
    let project = reopen(project);
    assert_eq!(now(&project, cat), merged("all"));
    // A new class with the old name is another class.
    project.add_class(&class("cat")).unwrap();
    assert_ne!(project.classes()[1].id, cat);
    project.remove_class(&class("all")).unwrap();
    assert_eq!(now(&project, cat), ClassNow::Deleted);
}

#[test]
fn a_killed_merger_is_finished_on_opening() {
    for (moved_already, folder_gone) in [(false, false), (true, false), (true, true)] {
        let (_dir, project) = new_project();
        put(&project, "classes/cat/1.jpg");
        put(&project, "classes/dog/2.jpg");
        paths(&project);
        let cat = project.classes()[0].id;
        let root = project.root().to_owned();
        drop(project);
        let path = root.join("project.json");
        let mut json: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        json["pending"] = serde_json::json!({"merge_class": {"from": "cat", "into": "dog"}});
        fs::write(&path, json.to_string()).unwrap();
        if moved_already {
            let to = root.join("classes/dog/1.jpg");
            fs::rename(root.join("classes/cat/1.jpg"), to).unwrap();
        }
        if folder_gone {
            fs::remove_dir(root.join("classes/cat")).unwrap();
        }
        let project = Project::open(&root).unwrap();
        assert_eq!(project.take_notices(), Vec::<String>::new());
        assert_eq!(names(&project), ["dog"]);
        assert_eq!(paths(&project), ["classes/dog/1.jpg", "classes/dog/2.jpg"]);
        assert_eq!(now(&project, cat), ClassNow::MergedInto(class("dog")));
        assert!(!fs::read_to_string(&path).unwrap().contains("pending"));
    }
}

#[test]
fn a_removal_killed_after_its_folder_went_is_a_removal() {
    let (_dir, project) = new_project();
    project.add_class(&class("cat")).unwrap();
    let cat = project.classes()[0].id;
    let root = project.root().to_owned();
    drop(project);
    let path = root.join("project.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json["pending"] = serde_json::json!({"remove_class": "cat"});
    fs::write(&path, json.to_string()).unwrap();
    fs::remove_dir(root.join("classes/cat")).unwrap();
    let project = Project::open(&root).unwrap();
    assert_eq!(project.take_notices(), Vec::<String>::new());
    assert_eq!(now(&project, cat), ClassNow::Deleted);
    project.add_class(&class("cat")).unwrap();
    assert_ne!(project.classes()[0].id, cat, "the user removed it");
}
