//! Sources: removing them from the list, extracting them again.

use egui::Ui;

use super::{End, buttons_ui, confirmed, title_ui, words_ui};
use crate::app::{Action, AgainOptions, ImportAction, Session, words};
use crate::media::Amount;
use crate::project::{SourceId, SourceKind};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::tokens;
use crate::ui::widgets::{self, accent_button, button, danger_button};

/// Confirms removing a source; with `trash` its frames are moved to the trash.
pub(super) fn remove_source_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    ids: &[SourceId],
    name: &str,
    frames: usize,
    trash: &mut bool,
) -> End {
    let session = cx.app.session.as_ref();
    let photos = ids.iter().all(|id| {
        session
            .and_then(|session| session.source(id))
            .is_some_and(|source| source.kind == SourceKind::Photos)
    });
    let noun = if photos {
        words::Noun::Photo
    } else {
        words::Noun::Frame
    };
    title_ui(ui, &format!("Remove “{}”?", words::shorten(name, 40)));
    words_ui(
        ui,
        if ids.len() == 1 {
            "It is removed from the list. Its file stays where it is."
        } else {
            "They are removed from the list. Their files stay where they are."
        },
    );
    if frames > 0 {
        let whose = if ids.len() == 1 { "its" } else { "their" };
        let label = format!("Also move {whose} {} to the trash", noun.count(frames));
        ui.checkbox(trash, label);
    }
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        if danger_button(ui, Some(icons::TRASH), "Remove").clicked() {
            cx.act(Action::Import(ImportAction::Remove(ids.to_vec(), *trash)));
            end = End::Close;
        }
        if button(ui, None, "Keep").clicked() {
            end = End::Close;
        }
    });
    end
}

/// Confirms extracting videos again that already have frames: explains what happens to the frames and their labels.
pub(super) fn extract_again_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    ids: &[SourceId],
    how: &mut AgainOptions,
) -> End {
    let t = tokens(ui);
    let Some(session) = &cx.app.session else {
        return End::Close;
    };
    let title = match ids {
        [id] => {
            let name = session.source(id).map_or("", |source| source.name.as_str());
            format!("Extract “{}” again?", words::shorten(name, 36))
        }
        _ => format!("Extract {} videos again?", words::number(ids.len() as u64)),
    };
    title_ui(ui, &title);
    words_ui(
        ui,
        &format!(
            "Frames are extracted at {}. Existing frames are not written again.",
            words::sampling(&session.import.sampling)
        ),
    );
    let (count, frames) = other_width(session, ids);
    if count > 0 {
        let whose = words::count(count as u64, "video");
        ui.label(widgets::small(
            t,
            format!("{} of {whose} have another width:", words::frames(frames)),
        ));
        ui.radio_value(
            &mut how.replace,
            true,
            "Replace them; the new frames get their labels",
        );
        ui.radio_value(&mut how.replace, false, "Keep both");
    }
    ui.checkbox(
        &mut how.like_neighbours,
        "Label frames between labelled ones",
    )
    .on_hover_text(
        "If the nearest labelled frames before and after a new frame have the same class, it gets that class; others get the class of the video. You can undo this",
    );
    let mut end = End::Open;
    let go = confirmed(ui);
    buttons_ui(ui, |ui| {
        if accent_button(ui, None, "Extract again").clicked() || go {
            let how = AgainOptions {
                replace: how.replace && count > 0,
                ..*how
            };
            let action = ImportAction::ExtractAgain(ids.to_vec(), how);
            cx.act(Action::Import(action));
            end = End::Close;
        }
        if button(ui, None, "Cancel").clicked() {
            end = End::Close;
        }
    });
    end
}

/// Confirms extracting videos with very many frames, or with more than the disk has space for.
pub(super) fn extract_much_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    ids: &[SourceId],
    again: Option<AgainOptions>,
    amount: &Amount,
) -> End {
    title_ui(ui, "Extract this many frames?");
    words_ui(
        ui,
        &format!(
            "This gives {amount}. For fewer, lower the rate or use part of each video; neighbouring frames add little."
        ),
    );
    let mut end = End::Open;
    let go = confirmed(ui);
    buttons_ui(ui, |ui| {
        if accent_button(ui, None, "Extract all").clicked() || go {
            let action = ImportAction::ExtractMuch(ids.to_vec(), again);
            cx.act(Action::Import(action));
            end = End::Close;
        }
        if button(ui, None, "Cancel").clicked() {
            end = End::Close;
        }
    });
    end
}

/// The number of videos whose frames have another width than in the current settings, and the number of these frames.
fn other_width(session: &Session, ids: &[SourceId]) -> (usize, usize) {
    ids.iter()
        .filter_map(|id| session.source(id))
        .filter(|source| source.sampling.width_px != session.import.sampling.width_px)
        .fold((0, 0), |(videos, frames), source| {
            let of_source = session.snapshot.counts.source(&source.id);
            (videos + 1, frames + of_source)
        })
}
