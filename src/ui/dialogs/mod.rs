//! The dialogs: shared parts, and the choice of the one that is shown. One file for each subject.

mod architecture;
mod class;
mod extend;
mod import_plan;
mod import_report;
mod label_as;
mod make;
mod note;
mod path;
mod phone;
mod project;
mod quit;
mod shortcuts;
mod source;
mod sweep;
mod trash;
mod undo;

pub use phone::phone_button;

use egui::{
    Align, Context, CornerRadius, Frame, Id, Key, Label, Layout, Margin, Modal, Modifiers,
    RichText, Ui, vec2,
};

use super::Cx;
use super::theme::{self, tokens};
use super::widgets;
use crate::app::Dialog;

/// The dialog that was painted last, so that a new one takes the keyboard focus.
#[derive(Default)]
pub struct View {
    shown: Option<std::mem::Discriminant<Dialog>>,
    report: import_report::View,
    architecture: architecture::View,
    sweep: sweep::View,
}

/// How a dialog ends.
enum End {
    Open,
    Close,
}

/// Paints the dialog, if there is one.
pub fn dialogs_ui(ctx: &Context, cx: &mut Cx<'_>, dialog: &mut Option<Dialog>, view: &mut View) {
    let Some(shown) = dialog else {
        view.shown = None;
        return;
    };
    let kind = std::mem::discriminant(shown);
    let fresh = view.shown != Some(kind);
    view.shown = Some(kind);
    let t = if ctx.global_style().visuals.dark_mode {
        &theme::DARK
    } else {
        &theme::LIGHT
    };
    let modal = Modal::new(Id::unique("dialog"))
        .backdrop_color(t.backdrop)
        .frame(
            Frame::popup(&ctx.global_style())
                .corner_radius(CornerRadius::same(theme::RADIUS_LARGE))
                .inner_margin(Margin::same(20)),
        )
        .show(ctx, |ui| {
            ui.set_width(match shown {
                Dialog::Shortcuts => (ctx.content_rect().width() - 100.0).clamp(440.0, 760.0),
                Dialog::ImportReport { .. } => {
                    (ctx.content_rect().width() - 100.0).clamp(440.0, 900.0)
                }
                Dialog::AddArchitecture | Dialog::Sweep(_) => {
                    (ctx.content_rect().width() - 60.0).clamp(440.0, 560.0)
                }
                _ => 440.0,
            });
            ui.spacing_mut().item_spacing.y = 8.0;
            // Different dialogs have different scroll positions.
            ui.push_id(kind, |ui| dialog_ui(ui, cx, shown, fresh, view))
                .inner
        });
    let quitting = cx.app.is_quitting();
    if matches!(modal.inner, End::Close) || (modal.should_close() && !quitting) {
        *dialog = None;
    }
}

fn dialog_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    dialog: &mut Dialog,
    fresh: bool,
    view: &mut View,
) -> End {
    match dialog {
        Dialog::NewProject {
            name,
            folder,
            files,
        } => project::new_project_ui(ui, cx, name, folder, files, fresh),
        Dialog::Make { paths, out } => make::make_ui(ui, cx, paths, out, fresh),
        Dialog::Path { purpose, text, why } => path::path_ui(ui, cx, purpose, text, *why, fresh),
        Dialog::NewClass { name, then } => class::new_class_ui(ui, cx, name, then, fresh),
        Dialog::RenameClass { from, name } => class::rename_class_ui(ui, cx, from, name, fresh),
        Dialog::RemoveClass { name, frames } => class::remove_class_ui(ui, cx, name, *frames),
        Dialog::RemoveSource {
            ids,
            name,
            frames,
            trash,
        } => source::remove_source_ui(ui, cx, ids, name, *frames, trash),
        Dialog::ImportPlan {
            plan,
            answer,
            keep_split,
        } => import_plan::import_plan_ui(ui, cx, plan, answer, keep_split, fresh),
        Dialog::ImportReport { filter, text } => {
            import_report::import_report_ui(ui, cx, filter, text, &mut view.report)
        }
        Dialog::UndoImport { frames } => undo::undo_import_ui(ui, cx, *frames),
        Dialog::ExtractAgain { ids, how } => source::extract_again_ui(ui, cx, ids, how),
        Dialog::ExtractMuch { ids, again, amount } => {
            source::extract_much_ui(ui, cx, ids, *again, amount)
        }
        Dialog::LabelAs {
            text,
            chosen,
            frames,
        } => label_as::label_as_ui(ui, cx, text, chosen, *frames, fresh),
        Dialog::EmptyTrash(found) => trash::empty_trash_ui(ui, cx, found),
        Dialog::DeleteForGood(paths) => trash::delete_ui(ui, cx, paths),
        Dialog::Extend { run, more } => extend::extend_ui(ui, cx, run, more),
        Dialog::RunNote { run, name, note } => note::run_note_ui(ui, cx, run, name, note, fresh),
        Dialog::AddArchitecture => {
            architecture::add_architecture_ui(ui, cx, &mut view.architecture, fresh)
        }
        Dialog::Sweep(draft) => sweep::sweep_ui(ui, cx, draft, &mut view.sweep),
        Dialog::Phone => phone::phone_ui(ui, cx),
        Dialog::Quit => quit::quit_ui(ui, cx),
        Dialog::Shortcuts => shortcuts::shortcuts_ui(ui, cx.app.noun()),
    }
}

fn title_ui(ui: &mut Ui, words: &str) {
    ui.label(widgets::heading(words));
}

fn words_ui(ui: &mut Ui, words: &str) {
    let t = tokens(ui);
    ui.add(Label::new(widgets::muted(t, words).line_height(Some(19.0))).wrap());
}

/// A message about the typed text, with space for `lines` lines even if it is shorter: a dialog is in the middle of
/// the window and must not jump with each letter.
fn message_ui(ui: &mut Ui, lines: u8, message: RichText) {
    const LINE: f32 = 16.0;
    let size = vec2(ui.available_width(), f32::from(lines) * LINE);
    ui.allocate_ui_with_layout(size, Layout::top_down(Align::Min), |ui| {
        ui.set_min_size(size);
        let message = message.size(theme::TYPE_SMALL).line_height(Some(LINE));
        ui.add(Label::new(message).wrap());
    });
}

/// The row of buttons at the end, with the main one at the right.
fn buttons_ui(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    ui.add_space(8.0);
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), theme::CONTROL_HEIGHT),
        Layout::right_to_left(Align::Center),
        add,
    );
}

fn confirmed(ui: &Ui) -> bool {
    ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Enter))
}
