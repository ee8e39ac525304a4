//! In a confined folder no link is followed, no pipe is opened, and no file with a second name is written in place.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::names;
use crate::files::*;

/// A confined folder with a link to a folder, one to a file, and the folder elsewhere that they lead to.
fn confined_with_links() -> (tempfile::TempDir, PathBuf, PathBuf) {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let (root, elsewhere) = (dir.path().join("root"), dir.path().join("elsewhere"));
    fs::create_dir(&root).unwrap();
    fs::create_dir_all(elsewhere.join("folder")).unwrap();
    fs::write(elsewhere.join("file"), "theirs").unwrap();
    symlink(&elsewhere, root.join("linked")).unwrap();
    symlink(elsewhere.join("file"), root.join("file")).unwrap();
    fs::create_dir(root.join("inside")).unwrap();
    fs::write(root.join("inside/own"), "own").unwrap();
    confine(&root).unwrap();
    (dir, root, elsewhere)
}

/// Everything in a folder, with the contents of files.
fn tree(dir: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for name in names(dir) {
        let path = dir.join(name);
        if path.is_dir() {
            found.extend(tree(&path));
        }
        found.push((path.clone(), fs::read(&path).ok()));
    }
    found
}

#[test]
fn below_a_confined_folder_no_link_is_followed() {
    let (_dir, root, elsewhere) = confined_with_links();
    let before = tree(&elsewhere);
    let (linked, file) = (root.join("linked"), root.join("file"));
    let new = linked.join("new");
    let refused: &[(&str, &dyn Fn() -> std::io::Result<()>)] = &[
        ("read below", &|| read(linked.join("file")).map(drop)),
        ("read", &|| read(&file).map(drop)),
        ("list", &|| read_dir(&linked).map(drop)),
        ("write below", &|| {
            write(&new, b"x", Durability::Renamed).map_err(|e| e.error)
        }),
        ("append below", &|| {
            append(&linked.join("file"), b"x", Durability::Renamed).map_err(|e| e.error)
        }),
        ("append", &|| {
            append(&file, b"x", Durability::Renamed).map_err(|e| e.error)
        }),
        ("write in place below", &|| {
            open_or_create(linked.join("file")).map(drop)
        }),
        ("write in place", &|| open_or_create(&file).map(drop)),
        ("new file", &|| create_new(&new).map(drop)),
        ("new folder", &|| create_dir(&new)),
        ("folders", &|| {
            make_dirs(&root, &new.join("b")).map_err(|e| e.error)
        }),
        ("all folders", &|| create_dir_all(new.join("b"))),
        ("the linked folder itself", &|| {
            make_dirs(&root, &linked).map_err(|e| e.error)
        }),
        ("rename to", &|| rename(root.join("inside/own"), &new)),
        ("rename from", &|| {
            rename(linked.join("file"), root.join("inside/x"))
        }),
        ("copy to", &|| {
            copy(&root.join("inside/own"), &new, Durability::Renamed).map_err(|e| e.error)
        }),
        ("copy from", &|| {
            copy(&file, &root.join("inside/x"), Durability::Renamed).map_err(|e| e.error)
        }),
        ("second name", &|| {
            hard_link(linked.join("file"), root.join("inside/x"))
        }),
        ("remove file", &|| remove_file(linked.join("file"))),
        ("remove folder", &|| remove_dir(linked.join("folder"))),
        ("remove all below", &|| {
            remove_dir_all(linked.join("folder"))
        }),
        ("folder for an export", &|| {
            NewFolder::beside(&new).map(drop).map_err(|e| e.error)
        }),
    ];
    for (what, operation) in refused {
        let error = operation().unwrap_err();
        assert!(is_link_in_the_way(&error), "{what}: {error}");
        assert!(
            error.to_string().contains("is a link to"),
            "{what}: {error}"
        );
        assert_eq!(tree(&elsewhere), before, "{what}");
    }
    assert!(remove_dir_all(&linked).is_err(), "a link is no folder");
    remove_left_over(&linked, 5, &|_| true);
    assert!(!is_dir(&linked) && !is_file(&file) && exists(&file));
    assert!(!exists(linked.join("file")));
    // A link itself may be replaced, renamed and removed.
    write(&file, b"own", Durability::Synced).unwrap();
    assert!(!file.is_symlink());
    rename(&linked, root.join("renamed")).unwrap();
    remove_file(root.join("renamed")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, root.join("inside/linked")).unwrap();
    remove_dir_all(root.join("inside")).unwrap();
    assert_eq!(names(&root), ["file"]);
    assert_eq!(tree(&elsewhere), before);
}

#[test]
fn a_confined_folder_is_not_left_upwards() {
    let (dir, root, elsewhere) = confined_with_links();
    let before = tree(&elsewhere);
    for path in [
        "../elsewhere/file",
        "inside/../../elsewhere/file",
        "inside/../linked/file",
    ] {
        let path = root.join(path);
        let error = write(&path, b"x", Durability::Renamed).unwrap_err();
        assert_eq!(
            error.error.kind(),
            std::io::ErrorKind::InvalidInput,
            "{error}"
        );
        assert!(read(&path).is_err() && remove_file(&path).is_err());
    }
    // Other paths of the folder are confined, too.
    let other = dir.path().join("other name");
    std::os::unix::fs::symlink(&root, &other).unwrap();
    confine(&other).unwrap();
    assert!(read(other.join("linked/file")).is_err());
    assert!(read(fs::canonicalize(&root).unwrap().join("linked/file")).is_err());
    assert_eq!(read(other.join("inside/own")).unwrap(), b"own");
    assert_eq!(tree(&elsewhere), before);
}

#[test]
fn a_link_that_is_agreed_to_is_only_read_and_only_where_it_leads_now() {
    let (dir, root, elsewhere) = confined_with_links();
    let before = tree(&elsewhere);
    let link = FollowedLink::at(&root, Path::new("linked")).unwrap();
    assert!(!is_followed(&root, &link));
    follow(&root, &link).unwrap();
    assert!(is_followed(&root, &link));
    let linked = root.join("linked");
    assert!(is_dir(&linked) && is_file(linked.join("file")));
    assert_eq!(read_dir(&linked).unwrap().count(), 2);
    assert_eq!(read(linked.join("file")).unwrap(), b"theirs");
    // The agreement does not include further links in the target.
    std::os::unix::fs::symlink("file", elsewhere.join("further")).unwrap();
    assert!(read(linked.join("further")).is_err());
    fs::remove_file(elsewhere.join("further")).unwrap();
    for refused in [
        write(&linked.join("new"), b"x", Durability::Renamed).map_err(|failed| failed.error),
        append(&linked.join("file"), b"x", Durability::Renamed).map_err(|failed| failed.error),
        rename(linked.join("file"), root.join("x")),
        remove_file(linked.join("file")),
        remove_dir_all(linked.join("folder")),
    ] {
        assert!(is_link_in_the_way(&refused.unwrap_err()));
    }
    assert_eq!(tree(&elsewhere), before);
    fs::remove_file(&linked).unwrap();
    std::os::unix::fs::symlink(dir.path(), &linked).unwrap();
    assert!(!is_dir(&linked) && read(linked.join("elsewhere/file")).is_err());
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_at_once() {
    let (_dir, root, _) = confined_with_links();
    let pipe = root.join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    assert!(
        read(&pipe).is_err()
            && append(&pipe, b"x", Durability::Renamed).is_err()
            && open_or_create(&pipe).is_err()
    );
}

#[test]
fn what_is_written_in_place_has_no_other_name() {
    use std::os::unix::fs::MetadataExt as _;
    let (_dir, root, elsewhere) = confined_with_links();
    let theirs = elsewhere.join("theirs");
    for (at, write) in [
        &(|path: &Path| append(path, b" more", Durability::Renamed).map_err(|e| e.error))
            as &dyn Fn(&Path) -> std::io::Result<()>,
        &|path: &Path| open_or_create(path)?.write_all(b"more"),
        &|path: &Path| open_or_create(path)?.set_len(0),
    ]
    .iter()
    .enumerate()
    {
        fs::write(&theirs, "theirs").unwrap();
        let own = root.join(format!("own-{at}"));
        fs::hard_link(&theirs, &own).unwrap();
        write(&own).unwrap();
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
        let expected = ["theirs more", "morers", ""][at];
        assert_eq!(fs::read_to_string(&own).unwrap(), expected);
        // A lock file is never written, and must be the same file for all processes.
        fs::remove_file(&own).unwrap();
        fs::hard_link(&theirs, &own).unwrap();
        open_lock(&own).unwrap();
        assert_eq!(fs::metadata(&own).unwrap().nlink(), 2);
        fs::remove_file(&own).unwrap();
        fs::remove_file(&theirs).unwrap();
    }
}
