//! The commands for the selected sources.

use egui::{Align, CornerRadius, Layout, Sense, Stroke, StrokeKind, Ui, UiBuilder, vec2};

use super::card::class_menu_ui;
use crate::app::{Action, Bulk, Command, Dialog, ImportAction, Session, words};
use crate::project::{Label, SourceId, SourceKind};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, menu_chip, quiet_button};

/// Paints the bar, as high as the box for dropping files that it replaces.
pub fn bulk_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    let selected = session.selected_sources();
    let ids: Vec<SourceId> = selected.iter().map(|source| source.id.clone()).collect();
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 46.0), Sense::hover());
    let radius = CornerRadius::same(theme::RADIUS_LARGE);
    ui.painter().rect(
        rect,
        radius,
        t.accent_soft,
        Stroke::new(1.0, t.line),
        StrokeKind::Inside,
    );
    let mut inner = ui.new_child(
        UiBuilder::new()
            .max_rect(rect.shrink2(vec2(12.0, 0.0)))
            .layout(Layout::left_to_right(Align::Center)),
    );
    let ui = &mut inner;
    ui.spacing_mut().item_spacing.x = 8.0;
    ui.label(widgets::title(format!(
        "{} selected",
        words::number(ids.len() as u64)
    )));
    let class = menu_chip(ui, "Class", "Class of the selected sources");
    let first = selected.first().map(|source| &source.class);
    let same = first
        .filter(|first| selected.iter().all(|source| source.class == **first))
        .map(|class| class.clone().map_or(Label::Unsorted, Label::Class));
    let class = class.on_hover_text(
        session
            .noun()
            .fill("Set the class of all of them; their {images} move along"),
    );
    class_menu_ui(&class, cx, session, &ids, same.as_ref());
    let videos: Vec<SourceId> = selected
        .iter()
        .filter(|source| source.kind == SourceKind::Video)
        .map(|source| source.id.clone())
        .collect();
    let extract = ui
        .add_enabled_ui(!videos.is_empty(), |ui| quiet_button(ui, None, "Extract"))
        .inner
        .accessible_name("Extract the selected videos")
        .on_hover_text("Extract the frames of the selected videos");
    if extract.clicked() {
        cx.act(Action::Import(ImportAction::Extract(videos)));
    }
    let remove = quiet_button(ui, Some(icons::TRASH), "Remove…")
        .accessible_name("Remove the selected sources")
        .on_hover_text("Remove the selected sources from the list; asks first");
    if remove.clicked() {
        let frames = ids.iter().map(|id| session.snapshot.counts.source(id));
        cx.act(Action::Open(Dialog::RemoveSource {
            frames: frames.sum(),
            name: match selected.as_slice() {
                [one] => one.name.clone(),
                many => words::count(many.len() as u64, "source"),
            },
            ids,
            trash: false,
        }));
    }
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let tip = widgets::command_tooltip(ui.ctx(), cx.app, Command::SelectNone);
        if quiet_button(ui, Some(icons::CROSS), "Clear")
            .on_hover_text(tip)
            .clicked()
        {
            cx.act(Action::Import(ImportAction::Select(Bulk::None)));
        }
    });
}
