//! The trash: emptying it, deleting single frames in it.

use egui::Ui;

use super::{End, buttons_ui, title_ui, words_ui};
use crate::app::{Action, LabelAction, words};
use crate::project::{Noun, Trash};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::widgets::{button, danger_button};

pub(super) fn empty_trash_ui(ui: &mut Ui, cx: &mut Cx<'_>, found: &Trash) -> End {
    let noun = cx.app.noun();
    title_ui(ui, "Empty the trash?");
    words_ui(
        ui,
        &format!(
            "{}, {}, will be permanently deleted. {}",
            contents(found, noun),
            words::bytes(found.bytes),
            no_way_back(noun)
        ),
    );
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        if danger_button(ui, Some(icons::TRASH), "Empty the trash").clicked() {
            cx.act(Action::EmptyTrash(*found));
            end = End::Close;
        }
        if button(ui, None, "Keep").clicked() {
            end = End::Close;
        }
    });
    end
}

pub(super) fn delete_ui(ui: &mut Ui, cx: &mut Cx<'_>, paths: &[String]) -> End {
    let noun = cx.app.noun();
    let images = noun.count(paths.len());
    title_ui(ui, &format!("Permanently delete {images}?"));
    words_ui(ui, no_way_back(noun));
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        if danger_button(ui, Some(icons::TRASH), "Delete permanently").clicked() {
            let action = LabelAction::DeleteForGood(paths.to_vec());
            cx.act(Action::Label(action));
            end = End::Close;
        }
        if button(ui, None, "Keep").clicked() {
            end = End::Close;
        }
    });
    end
}

fn no_way_back(noun: Noun) -> &'static str {
    match noun {
        Noun::Photo => "This cannot be undone.",
        Noun::Frame | Noun::Image => {
            "This cannot be undone, but frames of a video can be extracted again."
        }
    }
}

/// `1,260 frames and 2 runs`, or `3 files` for anything else.
fn contents(found: &Trash, noun: Noun) -> String {
    let frames = noun.count(found.frames as usize);
    let runs = words::count(found.runs, "run");
    match (found.frames, found.runs) {
        (0, 0) => words::count(found.files, "file"),
        (_, 0) => frames,
        (0, _) => runs,
        _ => format!("{frames} and {runs}"),
    }
}
