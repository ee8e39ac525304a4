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
