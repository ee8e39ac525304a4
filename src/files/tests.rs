#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;

#[cfg(unix)]
mod confined;

/// Set in processes that tests start: their task and folder.
const CHILD: &str = "SALAMANDER_TEST_FILES";

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A command that runs [`child`] after some lines of shell.
fn child_after(lines: &str, task: &str, dir: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!(
            "{lines}; exec \"$0\" --exact files::tests::child --nocapture"
        ))
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, task)
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Does the task of a child process.
#[test]
fn child() {
    match std::env::var(CHILD).as_deref() {
        Ok("write one of each") => {
            File::create("ordinary").unwrap();
            fs::create_dir("ordinary folder").unwrap();
            for (name, durability) in [
                ("synced", Durability::Synced),
                ("renamed", Durability::Renamed),
            ] {
                write(Path::new(name), b"new", durability).unwrap();
            }
            append(Path::new("appended"), b"new", Durability::Renamed).unwrap();
            make_dirs(Path::new("."), Path::new("./folder")).unwrap();
            let folder = NewFolder::beside(Path::new("new folder")).unwrap();
            write(
                &folder.temporary_path().join("inside"),
                b"new",
                Durability::Synced,
            )
            .unwrap();
            folder.commit().unwrap();
        }
        Ok("write forever") => {
            for round in 0u32.. {
                let text = vec![b'a' + (round % 26) as u8; 200_000];
                write(Path::new("file"), &text, Durability::Renamed).unwrap();
            }
        }
        _ => {}
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[cfg(unix)]
#[test]
fn a_new_file_has_the_mode_of_any_new_file() {
    for (umask, expected) in [("022", 0o644), ("002", 0o664), ("077", 0o600)] {
        let dir = tempfile::tempdir().unwrap();
        let lines = format!("umask {umask}");
        let status = child_after(&lines, "write one of each", dir.path()).status();
        assert!(status.unwrap().success());
        let of = |name: &str| mode(&dir.path().join(name));
        assert_eq!(of("ordinary"), expected, "the test's own idea");
        for name in ["synced", "renamed", "appended", "new folder/inside"] {
            assert_eq!(of(name), expected, "{name} under umask {umask}");
        }
        for name in ["folder", "new folder"] {
            assert_eq!(
                of(name),
                of("ordinary folder"),
                "{name} under umask {umask}"
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_replaced_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    for expected in [0o600, 0o664, 0o640, 0o444] {
        write(&path, b"old", Durability::Renamed).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(expected)).unwrap();
        write(&path, b"new", Durability::Synced).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(mode(&path), expected);
        fs::remove_file(&path).unwrap();
    }
}

/// Needs root permissions, to change the owner of files.
#[cfg(target_os = "linux")]
#[test]
fn group_and_owner_stay_with_the_file_and_come_from_a_setgid_folder() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    const OTHER: u32 = 54_321;
    let dir = tempfile::tempdir().unwrap();
    let shared = dir.path().join("shared");
    fs::create_dir(&shared).unwrap();
    if chown(&shared, None, Some(OTHER)).is_err() {
        eprintln!("left out: only root may give files to another group");
        return;
    }
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o2775)).unwrap();
    let status = child_after("umask 002", "write one of each", &shared).status();
    assert!(status.unwrap().success());
    let of = |name: &str| fs::metadata(shared.join(name)).unwrap();
    for name in [
        "synced",
        "renamed",
        "appended",
        "folder",
        "new folder",
        "new folder/inside",
    ] {
        assert_eq!(of(name).gid(), OTHER, "{name}");
        assert_eq!(
            of(name).mode() & 0o060,
            0o060,
            "{name} may be written by the group"
        );
    }
    // In a folder without setgid, the group of the replaced file is kept.
    let file = dir.path().join("file");
    write(&file, b"old", Durability::Synced).unwrap();
    chown(&file, Some(OTHER), Some(OTHER)).unwrap();
    write(&file, b"new", Durability::Synced).unwrap();
    let after = fs::metadata(&file).unwrap();
    assert_eq!((after.uid(), after.gid()), (OTHER, OTHER));
}

#[cfg(unix)]
#[test]
fn a_link_stays_and_what_it_leads_to_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (elsewhere, link) = (dir.path().join("elsewhere"), dir.path().join("link"));
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("file"), "old").unwrap();
    std::os::unix::fs::symlink("elsewhere/file", &link).unwrap();
    write(&link, b"new", Durability::Synced).unwrap();
    assert!(link.is_symlink());
    assert_eq!(fs::read(elsewhere.join("file")).unwrap(), b"new");
}

#[cfg(unix)]
#[test]
fn a_pipe_or_device_is_not_replaced() {
    use std::os::unix::fs::FileTypeExt;

    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let refused = write(&pipe, b"new", Durability::Renamed).unwrap_err();
    assert!(
        refused.to_string().contains("give the name of a file"),
        "{refused}"
    );
    let folder = NewFolder::beside(&pipe).unwrap();
    fs::write(folder.temporary_path().join("inside"), b"new").unwrap();
    assert!(folder.commit_file("inside").is_err());
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert_eq!(names(dir.path()), ["pipe"]);
    // A link to a pipe behaves like the pipe.
    std::os::unix::fs::symlink("pipe", dir.path().join("link")).unwrap();
    assert!(write(&dir.path().join("link"), b"new", Durability::Synced).is_err());
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
}

#[test]
fn what_is_not_committed_leaves_nothing_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    write(&path, b"old", Durability::Renamed).unwrap();
    let mut file = NewFile::beside(&path).unwrap();
    file.write_all(b"new").unwrap();
    let name = file
        .temporary_path()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    assert!(is_temporary(&name), "{name}");
    let folder = NewFolder::beside(&dir.path().join("folder")).unwrap();
    let name = folder
        .temporary_path()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        NewFolder::was_to_become(&name, Path::new("folder")),
        "{name}"
    );
    assert!(
        !NewFolder::was_to_become(&name, Path::new("other")),
        "{name}"
    );
    assert_eq!(names(dir.path()).len(), 3);
    drop((file, folder));
    assert_eq!(names(dir.path()), ["file"]);
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[test]
fn only_our_own_names_are_temporary() {
    for name in [
        "film.mp4.part",
        ".part",
        ".salamander-.part",
        ".salamander-x",
        "salamander-x.part",
    ] {
        assert!(!is_temporary(name), "{name}");
    }
    assert!(is_temporary(".salamander-x.part"));
}

#[test]
fn errors_name_the_file_that_was_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("absent").join("file");
    let error = write(&path, b"", Durability::Synced).unwrap_err();
    assert_eq!(error.path, path);
    assert!(!error.to_string().contains(".part"), "{error}");
    // A folder in place of the file.
    let error = write(dir.path(), b"", Durability::Synced).unwrap_err();
    assert_eq!(error.path, dir.path());
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_base_that_is_gone_is_not_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("drive");
    for below in [base.join("cache"), base.join("cache/a/b"), base.clone()] {
        let error = make_dirs(&base, &below).unwrap_err();
        assert_eq!(error.error.kind(), std::io::ErrorKind::NotFound, "{error}");
        assert!(names(dir.path()).is_empty(), "{below:?}");
    }
    fs::create_dir(&base).unwrap();
    make_dirs(&base, &base.join("cache/a/b")).unwrap();
    make_dirs(&base, &base.join("cache/a/b")).unwrap();
    make_dirs(&base, &base).unwrap();
    assert!(base.join("cache/a/b").is_dir());
    // `..` is not allowed, and a folder elsewhere needs an existing parent.
    make_dirs(&base, &dir.path().join("beside")).unwrap();
    assert!(make_dirs(&base, &dir.path().join("not/beside")).is_err());
    assert!(make_dirs(&base, &base.join("../drive2/x")).is_err());
    fs::write(base.join("file"), "").unwrap();
    assert!(make_dirs(&base, &base.join("file/x")).is_err());
}

#[test]
fn a_copy_is_whole_and_as_old_as_its_original() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::write(&from, "content").unwrap();
    let long_ago =
        std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    File::options()
        .write(true)
        .open(&from)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    copy(&from, &to, Durability::Synced).unwrap();
    assert_eq!(fs::read(&to).unwrap(), b"content");
    assert_eq!(fs::metadata(&to).unwrap().modified().unwrap(), long_ago);
}

#[cfg(unix)]
#[test]
fn killed_at_any_moment_the_file_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let mut left_over = 0;
    for life in 0..25u64 {
        let mut writer = child_after(":", "write forever", dir.path())
            .spawn()
            .unwrap();
        while !file.exists() {
            assert!(writer.try_wait().unwrap().is_none(), "the writer ended");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        std::thread::sleep(std::time::Duration::from_micros(life * 1_301 % 9_000));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let text = fs::read(&file).unwrap();
        assert_eq!(text.len(), 200_000);
        assert!(text.iter().all(|byte| *byte == text[0]), "of one round");
        fs::remove_file(&file).unwrap();
        let others = names(dir.path());
        assert!(others.iter().all(|name| is_temporary(name)), "{others:?}");
        left_over += others.len();
        remove_left_over(dir.path(), 0, &is_temporary);
        assert!(names(dir.path()).is_empty());
    }
    eprintln!("{left_over} temporary files were left over by 25 killed writers");
}

/// A small disk, if this user may mount one.
#[cfg(target_os = "linux")]
struct Disk(PathBuf);

#[cfg(target_os = "linux")]
impl Disk {
    fn mount(place: &Path, kib: u32) -> Option<Self> {
        fs::create_dir(place).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "none"])
            .arg(place)
            .stderr(Stdio::null())
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("left out: no disk can be mounted here");
            return None;
        }
        Some(Self(place.to_owned()))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Disk {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(done.unwrap().success());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_keeps_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&dir.path().join("disk"), 64) else {
        return;
    };
    let file = disk.0.join("file");
    for durability in [Durability::Synced, Durability::Renamed] {
        write(&file, b"old", durability).unwrap();
        let error = write(&file, &vec![0; 100_000], durability).unwrap_err();
        assert_eq!(
            error.error.kind(),
            std::io::ErrorKind::StorageFull,
            "{error}"
        );
        assert_eq!(fs::read(&file).unwrap(), b"old");
        assert_eq!(names(&disk.0), ["file"], "nothing half-written is left");
    }
    // Files can still be deleted from a full disk, so it does not count as not writable.
    fs::write(disk.0.join("filler"), vec![0; 60_000]).unwrap();
    is_writable(&disk.0).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_only_disk_is_told_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&dir.path().join("disk"), 64) else {
        return;
    };
    is_writable(&disk.0).unwrap();
    assert!(names(&disk.0).is_empty());
    let remounted = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(&disk.0)
        .status();
    assert!(remounted.unwrap().success());
    let error = is_writable(&disk.0).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
}
