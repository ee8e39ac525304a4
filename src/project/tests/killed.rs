//! A process that is killed during its changes.

use std::fs;
use std::path::Path;

use super::*;

/// Set in the process that [`killed_at_any_moment_nothing_confirmed_is_lost`] kills.
const VICTIM: &str = "SALAMANDER_TEST_VICTIM";

/// Changes the project forever, and prints confirmed changes to standard output.
#[test]
fn victim() {
    let Ok(root) = std::env::var(VICTIM) else {
        return;
    };
    let project = Project::open(Path::new(&root)).unwrap();
    let work = Work::new();
    for round in project.sources().len() as u32.. {
        let mut source = source("00000001");
        source.id = SourceId::from_hex(&format!("{round:08x}")).unwrap();
        project.put_source(source).unwrap();
        println!("\nconfirmed {}", round + 1);
        // A victim killed between removing and adding leaves one class fewer.
        if project.classes().len() < 3 {
            project.add_class(&class(&format!("more {round}"))).unwrap();
        }
        let names = project.classes();
        let from = &names[round as usize % names.len()].name;
        let to = class(&format!("class {round}"));
        project.rename_class(from, &to).unwrap();
        let frames = project.scan(&work).unwrap();
        let some: Vec<String> = frames
            .list
            .iter()
            .step_by(3)
            .map(|f| f.path.clone())
            .collect();
        project
            .relabel(&some, &Label::Class(to.clone()), &work)
            .unwrap();
        let some: Vec<String> = project
            .scan(&work)
            .unwrap()
            .list
            .iter()
            .step_by(5)
            .map(|f| f.path.clone())
            .collect();
        let trashed = project.trash(&some, &work).unwrap();
        project.restore(&trashed, &work).unwrap();
        let other = class(&format!("other {round}"));
        project.add_class(&other).unwrap();
        project.merge_class(&to, &other, &work).unwrap();
        project.remove_class(&other).unwrap();
        project.add_class(&to).unwrap();
        let unsorted: Vec<String> = project
            .scan(&work)
            .unwrap()
            .list
            .into_iter()
            .filter(|f| f.label == Label::Unsorted)
            .map(|f| f.path)
            .collect();
        project
            .relabel(&unsorted, &Label::Class(to), &work)
            .unwrap();
    }
}

#[test]
fn killed_at_any_moment_nothing_confirmed_is_lost() {
    use std::process::{Command, Stdio};
    let (_dir, project) = new_project();
    for i in 0..60 {
        let path = format!("classes/c{}/{i}.jpg", i % 3);
        put(&project, &path);
        fs::write(project.abs(&path), i.to_string()).unwrap();
    }
    project.scan(&Work::new()).unwrap();
    let root = project.root().to_owned();
    drop(project);
    let mut rounds = 0;
    for attempt in 0..20u64 {
        let changed = || {
            fs::metadata(root.join("project.json"))
                .and_then(|found| found.modified())
                .ok()
        };
        let before = changed();
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "project::tests::killed::victim", "--nocapture"])
            .env(VICTIM, &root)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Every other one is killed while it changes the project, however busy the machine is; the others also while
        // opening.
        while attempt % 2 == 0 && changed() == before {
            assert!(victim.try_wait().unwrap().is_none(), "the victim ended");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        std::thread::sleep(std::time::Duration::from_millis(attempt * 37 % 211));
        victim.kill().unwrap();
        let output = victim.wait_with_output().unwrap();
        let confirmed = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| line.strip_prefix("confirmed ")?.parse().ok())
            .next_back()
            .unwrap_or(rounds);
        let project = Project::open(&root).unwrap();
        rounds = project.sources().len();
        assert!(
            rounds >= confirmed,
            "{rounds} sources, {confirmed} confirmed"
        );
        let work = Work::new();
        let mut all = project.scan(&work).unwrap().list;
        all.extend(project.scan_trash(&work).unwrap().list);
        let mut contents: Vec<u32> = all
            .iter()
            .map(|frame| {
                fs::read_to_string(frame.abs(&project))
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        contents.sort_unstable();
        assert_eq!(contents, (0..60).collect::<Vec<_>>(), "each frame once");
        let trashed: Vec<String> = project
            .scan_trash(&work)
            .unwrap()
            .list
            .into_iter()
            .map(|f| f.path)
            .collect();
        project.restore(&trashed, &work).unwrap();
        assert!(work.take_warnings().is_empty());
    }
    println!("{rounds} rounds in 20 lives");
    assert!(rounds > 0, "no victim lived long enough to say anything");
}
