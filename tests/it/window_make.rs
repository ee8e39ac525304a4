//! Making a model of a folder from the start screen.

use std::path::Path;

use salamander::app::{Action, Command};

use super::window::Desk;

/// Photos of two colours; so few that only the head is trained.
fn photos(root: &Path) {
    for (at, class) in ["red", "green"].iter().enumerate() {
        std::fs::create_dir_all(root.join(class)).unwrap();
        for number in 0..20_u32 {
            let image = image::RgbImage::from_fn(64, 64, |x, y| {
                let noise =
                    (x / 8 * 7919 + y / 8 * 104_729 + number * 31_337).wrapping_mul(2_654_435_761);
                let mut pixel = [(noise >> 25) as u8; 3];
                pixel[at] = pixel[at].saturating_add(100);
                image::Rgb(pixel)
            });
            image
                .save(root.join(class).join(format!("{number}.png")))
                .unwrap();
        }
    }
}

#[test]
fn a_model_is_made_from_the_start_screen() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("colours");
    photos(&folder);
    let mut desk = Desk::new(&dir.path().join("config"), [1100.0, 760.0]);
    desk.click("Make a model…");
    desk.type_into(
        "Folder with one subfolder per class",
        folder.to_str().unwrap(),
    );
    desk.click("Continue");
    desk.see("Make a model of “colours”");
    let out = dir.path().join("out");
    desk.replace("Folder for the model", out.to_str().unwrap());
    desk.click("Make the model");
    desk.see("Making a model of “colours”");
    desk.see_part("images are classified correctly");
    desk.see("model.onnx");
    assert!(out.join("model/MODEL_CARD.md").is_file());
    desk.click("Open project");
    desk.until("the project is open", |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| session.name == "colours")
    });
    desk.rest();
}

#[test]
fn what_cannot_become_a_model_is_said_and_dropped_folders_are_offered() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("empty");
    std::fs::create_dir(&folder).unwrap();
    let mut desk = Desk::new(&dir.path().join("config"), [800.0, 600.0]);
    desk.act(Action::Dropped(vec![folder]));
    desk.click("Make a model…");
    let out = dir.path().join("out");
    desk.replace("Folder for the model", out.to_str().unwrap());
    desk.click("Make the model");
    desk.see_part("no videos or photos");
    desk.see("Try again");
    assert!(!out.exists());
    desk.click("Back to the start");
    desk.see("New project…");
    assert!(Command::MakeModel.is_enabled(desk.harness.state().app()));
}
