//! Frames that were given another class, or taken away, after a run was trained on them.

use salamander::evaluate::evaluate;
use salamander::jobs::Work;
use salamander::project::{ClassName, Label, Split};
use salamander::train::{LiveCurves, train};

use super::projects::{of_sample_videos, quick};

#[test]
fn relabelled_frames_are_judged_by_their_present_class() {
    let dir = tempfile::tempdir().unwrap();
    let project = of_sample_videos(&dir.path().join("p"));
    let settings = quick("efficientnet-lite0@96", 40);
    let run = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
    let test_set = || evaluate(&project, &run, Split::Test, &Work::new()).unwrap();
    let before = test_set();
    assert_eq!((before.relabelled, before.missing), (0, 0));
    assert!(before.predictions.len() >= 6);
    let class = |index: usize| Label::Class(ClassName::new(&run.classes[index]).unwrap());
    let at = |index: usize| &before.predictions[index];
    let other = |index: usize| (at(index).truth + 1) % run.classes.len();

    // One by the program, one by hand, one into a folder within its class.
    let moved = project
        .relabel(&[at(0).path.clone()], &class(other(0)), &Work::new())
        .unwrap();
    let by_hand = at(1)
        .path
        .replacen(&run.classes[at(1).truth], &run.classes[other(1)], 1);
    std::fs::rename(project.abs(&at(1).path), project.abs(&by_hand)).unwrap();
    let (folder, name) = at(2).path.rsplit_once('/').unwrap();
    let deeper = format!("{folder}/more/{name}");
    std::fs::create_dir(project.abs(&format!("{folder}/more"))).unwrap();
    std::fs::rename(project.abs(&at(2).path), project.abs(&deeper)).unwrap();
    // One loses its label, one is gone, one goes into a class that the run does not know.
    project
        .relabel(&[at(3).path.clone()], &Label::Unsorted, &Work::new())
        .unwrap();
    std::fs::remove_file(project.abs(&at(4).path)).unwrap();
    let new = ClassName::new("new").unwrap();
    project.add_class(&new).unwrap();
    project
        .relabel(&[at(5).path.clone()], &Label::Class(new), &Work::new())
        .unwrap();

    let after = test_set();
    assert_eq!((after.relabelled, after.missing), (2, 3));
    assert_eq!(after.predictions.len(), before.predictions.len() - 3);
    let expected = [
        (&moved[0], other(0), 0),
        (&by_hand, other(1), 1),
        (&deeper, at(2).truth, 2),
    ];
    for ((path, truth, index), found) in expected.into_iter().zip(&after.predictions) {
        assert_eq!((&found.path, found.truth), (path, truth));
        assert_eq!(
            found.probabilities,
            at(index).probabilities,
            "the same picture"
        );
        assert_eq!(found.group, at(index).group);
    }
    assert_eq!(after.predictions[3..], before.predictions[6..]);
    let right = after
        .predictions
        .iter()
        .filter(|frame| frame.predicted == frame.truth);
    assert_eq!(after.confusion.correct(), right.count() as u64);

    // A copy in a second class makes the truth uncertain; a file of another name is known by its content.
    let copy = moved[0].replacen(&run.classes[other(0)], &run.classes[at(0).truth], 1);
    let copy = copy.replace(".jpg", " copy.jpg");
    std::fs::copy(project.abs(&moved[0]), project.abs(&copy)).unwrap();
    let renamed = project.abs(&by_hand).with_file_name("1.jpg");
    std::fs::rename(project.abs(&by_hand), renamed).unwrap();
    let after = test_set();
    assert_eq!((after.relabelled, after.missing), (1, 4));
    assert_eq!(after.changed, 0);
}
