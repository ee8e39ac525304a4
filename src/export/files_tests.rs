#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::fs;

use tempfile::TempDir;

use super::*;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn desk() -> (TempDir, Project, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::create(&dir.path().join("p"), "p").unwrap();
    let out = dir.path().join("out");
    (dir, project, out)
}

const MODEL: &str = "model.onnx";

fn pending(project: &Project, out: &Path) -> Result<Pending, ExportError> {
    let names = Names {
        models: vec![MODEL],
        others: EARLIER.into_iter().skip(1).map(str::to_owned).collect(),
    };
    Pending::new(project, out, Bundle::Folder, names, false)
}

/// Exports a model and labels to `out`.
fn export(project: &Project, out: &Path, text: &str) -> Result<(), ExportError> {
    let mut begun = pending(project, out)?;
    begun.write(MODEL, text.as_bytes())?;
    begun.write("labels.txt", text.as_bytes())?;
    begun.commit(|_| Ok(()))?;
    Ok(())
}

fn not_ours(outcome: Result<(), ExportError>) -> Vec<String> {
    match outcome {
        Err(ExportError::NotOurs { names, .. }) => names,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_left_when_it_is_not_committed() {
    let (dir, project, out) = desk();
    let mut begun = pending(&project, &out).unwrap();
    begun.write(MODEL, b"half").unwrap();
    assert!(!out.exists());
    drop(begun);
    assert_eq!(names(dir.path()), ["p"]);
    fs::create_dir(&out).unwrap();
    let mut begun = pending(&project, &out).unwrap();
    begun.write(MODEL, b"half").unwrap();
    drop(begun);
    assert!(names(&out).is_empty());
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_somebodys() {
    let (dir, project, out) = desk();
    fs::create_dir(&out).unwrap();
    let nowhere = dir.path().join("unplugged/labels.txt");
    std::os::unix::fs::symlink(&nowhere, out.join("labels.txt")).unwrap();
    assert_eq!(not_ours(export(&project, &out, "new")), ["labels.txt"]);
    assert_eq!(fs::read_link(out.join("labels.txt")).unwrap(), nowhere);
    assert_eq!(names(&out), ["labels.txt"]);
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_a_link_is_somebodys() {
    let (dir, _project, out) = desk();
    let elsewhere = dir.path().join("holiday");
    for made in [&out, &elsewhere] {
        fs::create_dir(made).unwrap();
    }
    std::os::unix::fs::symlink(&elsewhere, out.join("golden")).unwrap();
    let names = ["labels.txt", "golden/00.png"];
    for force in [false, true] {
        let refused = crate::export::manifest::replaceable(&out, names.into_iter(), force);
        let Err(ExportError::NotOurs { names, .. }) = refused else {
            panic!("a link was followed");
        };
        assert_eq!(names, ["golden"]);
    }
}

#[test]
fn a_new_folder_appears_whole_and_what_was_killed_goes() {
    let (dir, project, out) = desk();
    for name in [".out.4711.partial", ".salamander-out-0123456789ab.part"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join(MODEL), b"half").unwrap();
    }
    fs::write(dir.path().join(".other.4711.partial"), "another's").unwrap();
    export(&project, &out, "new").unwrap();
    assert_eq!(names(&out), ["export.json", "labels.txt", MODEL]);
    assert_eq!(names(dir.path()), [".other.4711.partial", "out", "p"]);
}

#[test]
fn an_earlier_export_stays_until_the_new_one_is_whole() {
    let (_dir, project, out) = desk();
    export(&project, &out, "old").unwrap();
    let mut begun = pending(&project, &out).unwrap();
    begun.write(MODEL, b"new").unwrap();
    begun.write("labels.txt", b"new").unwrap();
    assert_eq!(fs::read(out.join(MODEL)).unwrap(), b"old");
    begun.commit(|_| Ok(())).unwrap();
    assert_eq!(fs::read(out.join(MODEL)).unwrap(), b"new");
    assert_eq!(names(&out), ["export.json", "labels.txt", MODEL]);
    // Again, after files were replaced.
    export(&project, &out, "newest").unwrap();
    let text = fs::read_to_string(out.join("export.json")).unwrap();
    assert!(!text.contains("replaces"), "{text}");
}

#[test]
fn what_is_the_users_is_never_replaced() {
    for name in EARLIER.into_iter().chain(["export.json"]) {
        let (_dir, project, out) = desk();
        fs::create_dir(&out).unwrap();
        fs::write(out.join(name), "mine").unwrap();
        fs::write(out.join("other.txt"), "mine").unwrap();
        assert_eq!(not_ours(export(&project, &out, "new")), [name]);
        assert_eq!(fs::read_to_string(out.join(name)).unwrap(), "mine");
        assert_eq!(names(&out).len(), 2, "nothing was written");
    }
}

#[test]
fn a_file_of_an_export_that_was_changed_is_the_users() {
    let (_dir, project, out) = desk();
    export(&project, &out, "old").unwrap();
    fs::write(out.join("labels.txt"), "translated").unwrap();
    fs::write(out.join("LICENSE.txt"), "mine").unwrap();
    let error = export(&project, &out, "new").unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("labels.txt") && text.contains("LICENSE.txt"),
        "{text}"
    );
    assert!(text.contains("another folder"), "{text}");
    assert_eq!(fs::read(out.join(MODEL)).unwrap(), b"old");
    // Once they are moved away, the export succeeds.
    fs::remove_file(out.join("labels.txt")).unwrap();
    fs::remove_file(out.join("LICENSE.txt")).unwrap();
    export(&project, &out, "new").unwrap();
}

#[test]
fn a_file_that_comes_while_the_export_is_proved_is_not_replaced() {
    let (_dir, project, out) = desk();
    fs::create_dir(&out).unwrap();
    let mut begun = pending(&project, &out).unwrap();
    begun.write(MODEL, b"new").unwrap();
    fs::write(out.join(MODEL), "mine").unwrap();
    assert_eq!(not_ours(begun.commit(|_| Ok(())).map(drop)), [MODEL]);
    assert_eq!(names(&out), [MODEL]);
}

#[test]
fn killed_half_way_old_and_new_files_are_known() {
    let (_dir, project, out) = desk();
    export(&project, &out, "old").unwrap();
    // The state after a kill between two renames: the manifest lists both exports, the labels are new, the model is
    // missing.
    let mut manifest = Manifest::new(BTreeMap::from([
        (MODEL.to_owned(), manifest::hash(b"new")),
        ("labels.txt".to_owned(), manifest::hash(b"new")),
        ("README.txt".to_owned(), manifest::hash(b"new")),
    ]));
    manifest.replaces = BTreeMap::from([
        ("labels.txt".to_owned(), manifest::hash(b"old")),
        ("README.txt".to_owned(), manifest::hash(b"old")),
    ]);
    fs::write(out.join("export.json"), manifest.to_bytes().unwrap()).unwrap();
    fs::write(out.join("labels.txt"), "new").unwrap();
    fs::write(out.join("README.txt"), "old").unwrap();
    fs::remove_file(out.join(MODEL)).unwrap();
    export(&project, &out, "newest").unwrap();
}

#[test]
fn leftovers_of_a_killed_export_go_and_nothing_else() {
    let (_dir, project, out) = desk();
    fs::create_dir(&out).unwrap();
    for name in [
        ".model.onnx.4711.partial",
        ".salamander-0123456789ab.part",
        "film.part",
        ".hidden.partial",
    ] {
        fs::write(out.join(name), b"x").unwrap();
    }
    drop(pending(&project, &out).unwrap());
    assert_eq!(names(&out), [".hidden.partial", "film.part"]);
}

#[test]
fn a_folder_that_cannot_be_made_is_one_sentence() {
    let (dir, project, _) = desk();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = pending(&project, &file.join("out")).err().unwrap();
    let text = error.to_string();
    assert!(text.starts_with("cannot make the folder"), "{text}");
}

#[test]
fn a_project_that_is_gone_is_not_made_again() {
    let (dir, project, _) = desk();
    fs::rename(project.root(), dir.path().join("away")).unwrap();
    let out = project.exports_dir().join("run");
    let error = pending(&project, &out).err().unwrap();
    assert!(error.to_string().contains("is no longer there"), "{error}");
    assert_eq!(names(dir.path()), ["away"]);
}

#[test]
fn nothing_is_put_among_the_files_of_the_project() {
    let (dir, project, _) = desk();
    let root = project.root().to_owned();
    fs::create_dir_all(root.join("classes/dog")).unwrap();
    fs::create_dir_all(root.join("runs/x")).unwrap();
    let mut places: Vec<PathBuf> = [
        "",
        "classes",
        "classes/dog",
        "classes/new",
        "unsorted",
        "runs",
        "runs/x/y",
        "trash",
        "cache",
        "exports",
        "exports/../classes/dog",
        "exports/a/../../runs",
        "other",
    ]
    .iter()
    .map(|name| root.join(name))
    .collect();
    #[cfg(unix)]
    {
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(root.join("classes"), &link).unwrap();
        places.push(link.join("dog"));
    }
    for out in places {
        let outcome = export(&project, &out, "x");
        assert!(
            matches!(outcome, Err(ExportError::InProject { .. })),
            "{}: {outcome:?}",
            out.display()
        );
    }
    assert!(!root.join("exports").exists());
    for out in [
        root.join("exports/a"),
        root.join("exports/b/c"),
        dir.path().join("p-model"),
    ] {
        export(&project, &out, "x").unwrap();
    }
    let file = dir.path().join("file");
    fs::write(&file, "mine").unwrap();
    let message = export(&project, &file, "x").unwrap_err().to_string();
    assert!(message.contains("is a file, not a folder"), "{message}");
}

/// Exports these models with labels to `out`.
fn export_models(
    project: &Project,
    out: &Path,
    models: &[&'static str],
    text: &str,
    force: bool,
) -> Result<Committed, ExportError> {
    let names = Names {
        models: models.to_vec(),
        others: ["labels.txt", "golden/a.png"].map(str::to_owned).to_vec(),
    };
    let mut begun = Pending::new(project, out, Bundle::Folder, names, force)?;
    for name in models.iter().chain(&["labels.txt", "golden/a.png"]) {
        begun.write(name, text.as_bytes())?;
    }
    begun.commit(|_| Ok(()))
}

#[test]
fn models_of_an_earlier_export_go_when_they_are_not_exported_again() {
    let (_dir, project, out) = desk();
    let both = [MODEL, "model-float.onnx"];
    export_models(&project, &out, &both, "old", false).unwrap();
    fs::write(out.join("golden/mine.txt"), "mine").unwrap();
    let committed = export_models(&project, &out, &[MODEL], "new", false).unwrap();
    assert_eq!(committed.removed, ["model-float.onnx"]);
    assert_eq!(names(&out), ["export.json", "golden", "labels.txt", MODEL]);
    assert_eq!(names(&out.join("golden")), ["a.png", "mine.txt"]);
    // A file changed since belongs to the user, and stays.
    export_models(&project, &out, &both, "newer", false).unwrap();
    fs::write(out.join("model-float.onnx"), "mine").unwrap();
    let committed = export_models(&project, &out, &[MODEL], "newest", false).unwrap();
    assert!(committed.removed.is_empty());
    assert_eq!(fs::read(out.join("model-float.onnx")).unwrap(), b"mine");
}

#[test]
fn force_replaces_changed_files_of_an_export_and_nothing_else() {
    let (_dir, project, out) = desk();
    export_models(&project, &out, &[MODEL], "old", false).unwrap();
    fs::write(out.join("labels.txt"), "translated").unwrap();
    let refused = export_models(&project, &out, &[MODEL], "new", false);
    assert_eq!(not_ours(refused.map(drop)), ["labels.txt"]);
    fs::write(out.join("model-float.onnx"), "mine").unwrap();
    let both = [MODEL, "model-float.onnx"];
    let refused = export_models(&project, &out, &both, "new", true);
    assert_eq!(not_ours(refused.map(drop)), ["model-float.onnx"]);
    export_models(&project, &out, &[MODEL], "new", true).unwrap();
    assert_eq!(fs::read(out.join("labels.txt")).unwrap(), b"new");
    assert_eq!(fs::read(out.join("model-float.onnx")).unwrap(), b"mine");
}

#[test]
fn folders_of_an_export_that_is_given_up_go_with_it() {
    let (_dir, project, out) = desk();
    fs::create_dir(&out).unwrap();
    let wanted = Names {
        models: vec![MODEL],
        others: vec!["golden/a.png".to_owned()],
    };
    let mut begun = Pending::new(&project, &out, Bundle::Folder, wanted, false).unwrap();
    begun.write("golden/a.png", b"half").unwrap();
    assert!(out.join("golden").is_dir());
    drop(begun);
    assert!(names(&out).is_empty());
}

#[test]
fn a_manifest_does_not_lead_out_of_the_folder() {
    let (dir, project, out) = desk();
    fs::create_dir(&out).unwrap();
    fs::write(dir.path().join("mine.txt"), "mine").unwrap();
    let manifest = Manifest::new(BTreeMap::from([(
        "../mine.txt".to_owned(),
        manifest::hash(b"mine"),
    )]));
    fs::write(out.join("export.json"), manifest.to_bytes().unwrap()).unwrap();
    export(&project, &out, "new").unwrap();
    assert!(dir.path().join("mine.txt").is_file());
}
