//! Buttons: for the next thing to do (accent), ordinary, quiet, dangerous, icons, links, menu items.

use egui::{
    Atoms, Button, Color32, CornerRadius, IntoAtoms, Response, RichText, Sense, Stroke, Ui, UiKind,
    vec2,
};

use super::{command_tooltip, text};
use crate::app::{App, Command};
use crate::ui::icons::icon;
use crate::ui::theme::{self, tokens};

fn atoms(glyph: Option<char>, label: &str) -> Atoms<'_> {
    let mut atoms = Atoms::default();
    if let Some(glyph) = glyph {
        atoms.push_right(icon(glyph, 16.0));
    }
    if !label.is_empty() {
        atoms.push_right(text::name(label));
    }
    atoms
}

/// An ordinary button; `glyph` is before the text.
pub fn button(ui: &mut Ui, glyph: Option<char>, label: &str) -> Response {
    ui.add(Button::new(atoms(glyph, label)))
        .accessible_name(label)
}

/// The button for the next thing to do.
pub fn accent_button(ui: &mut Ui, glyph: Option<char>, label: &str) -> Response {
    let t = tokens(ui);
    ui.scope(|ui| {
        let widgets = &mut ui.visuals_mut().widgets;
        for (state, fill) in [
            (&mut widgets.inactive, t.accent),
            (&mut widgets.hovered, t.accent_hover),
            (&mut widgets.active, t.accent_hover),
        ] {
            state.weak_bg_fill = fill;
            state.bg_stroke = Stroke::new(1.0, fill);
            state.fg_stroke.color = t.on_accent;
        }
        widgets.active.bg_stroke = Stroke::new(1.0, t.text);
        ui.add(Button::new(atoms(glyph, label)))
    })
    .inner
    .accessible_name(label)
}

/// The button for something that deletes.
pub fn danger_button(ui: &mut Ui, glyph: Option<char>, label: &str) -> Response {
    let t = tokens(ui);
    ui.scope(|ui| {
        let widgets = &mut ui.visuals_mut().widgets;
        for state in [
            &mut widgets.inactive,
            &mut widgets.hovered,
            &mut widgets.active,
        ] {
            state.weak_bg_fill = t.danger_soft;
            state.fg_stroke.color = t.danger;
        }
        widgets.inactive.bg_stroke = Stroke::new(1.0, t.danger_soft);
        widgets.hovered.bg_stroke = Stroke::new(1.0, t.danger);
        ui.add(Button::new(atoms(glyph, label)))
    })
    .inner
    .accessible_name(label)
}

/// A small round-cornered button for rare commands.
pub fn quiet_button(ui: &mut Ui, glyph: Option<char>, label: &str) -> Response {
    let t = tokens(ui);
    let mut atoms = Atoms::default();
    if let Some(glyph) = glyph {
        atoms.push_right(icon(glyph, 14.0));
    }
    if !label.is_empty() {
        atoms.push_right(RichText::new(label).size(theme::TYPE_SMALL));
    }
    quiet(ui, t.muted, |ui| {
        ui.spacing_mut().button_padding = vec2(10.0, 3.0);
        ui.spacing_mut().icon_spacing = 5.0;
        ui.add(
            Button::new(atoms)
                .min_size(vec2(0.0, theme::CHIP_HEIGHT))
                .corner_radius(CornerRadius::same((theme::CHIP_HEIGHT / 2.0) as u8)),
        )
    })
    .accessible_name(label)
}

fn quiet(ui: &mut Ui, color: Color32, add: impl FnOnce(&mut Ui) -> Response) -> Response {
    let t = tokens(ui);
    ui.scope(|ui| {
        ui.spacing_mut().interact_size.y = theme::CHIP_HEIGHT;
        let widgets = &mut ui.visuals_mut().widgets;
        widgets.inactive.bg_stroke = Stroke::NONE;
        widgets.inactive.fg_stroke.color = color;
        widgets.hovered.bg_stroke = Stroke::NONE;
        widgets.hovered.fg_stroke.color = t.text;
        widgets.open.bg_stroke = Stroke::NONE;
        add(ui)
    })
    .inner
}

/// A button with only an icon; `label` is its accessible name and, if `tip` is empty, its tooltip.
pub fn icon_button(ui: &mut Ui, glyph: char, label: &str, tip: &str) -> Response {
    let t = tokens(ui);
    let tip = if tip.is_empty() { label } else { tip };
    quiet(ui, t.muted, |ui| {
        ui.spacing_mut().button_padding = vec2(4.0, 4.0);
        let widgets = &mut ui.visuals_mut().widgets;
        widgets.inactive.weak_bg_fill = Color32::TRANSPARENT;
        ui.add(
            Button::new(icon(glyph, 16.0))
                .min_size(vec2(theme::CHIP_HEIGHT + 4.0, theme::CHIP_HEIGHT + 4.0))
                .corner_radius(CornerRadius::same(theme::RADIUS)),
        )
    })
    .accessible_name(label)
    .on_hover_text(tip)
}

/// Underlined accent text that can be clicked.
pub fn link(ui: &mut Ui, label: &str) -> Response {
    let t = tokens(ui);
    let response = ui.add(
        egui::Label::new(RichText::new(label).color(t.accent_text).underline())
            .sense(Sense::click()),
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Link, true, label));
    if response.has_focus() {
        ui.painter().rect_stroke(
            response.rect.expand(2.0),
            CornerRadius::same(4),
            Stroke::new(1.0, t.accent),
            egui::StrokeKind::Outside,
        );
    }
    response.on_hover_cursor(egui::CursorIcon::PointingHand)
}

/// The button of a command, with its text, tooltip, shortcut and whether it is enabled.
pub fn command_button(
    ui: &mut Ui,
    app: &App,
    command: Command,
    add: impl FnOnce(&mut Ui) -> Response,
) -> bool {
    let enabled = command.is_enabled(app);
    let tip = command_tooltip(ui.ctx(), app, command);
    ui.add_enabled_ui(enabled, add)
        .inner
        .on_hover_text(&tip)
        .on_disabled_hover_text(&tip)
        .clicked()
}

/// An item of a menu: icon, text, and on the right a shortcut or a mark.
pub fn menu_item<'a>(
    ui: &mut Ui,
    glyph: Option<char>,
    label: &str,
    right: impl IntoAtoms<'a>,
) -> Response {
    let t = tokens(ui);
    if ui.stack().contained_in(UiKind::Menu) {
        // As in `choice`: a dialog below may also move to the top.
        ui.ctx().move_to_top(ui.layer_id());
    }
    ui.scope(|ui| {
        ui.spacing_mut().button_padding = vec2(8.0, 5.0);
        ui.spacing_mut().interact_size.y = 28.0;
        ui.spacing_mut().icon_spacing = 10.0;
        let widgets = &mut ui.visuals_mut().widgets;
        widgets.inactive.weak_bg_fill = Color32::TRANSPARENT;
        for state in [
            &mut widgets.inactive,
            &mut widgets.hovered,
            &mut widgets.active,
            &mut widgets.open,
        ] {
            state.bg_stroke = Stroke::NONE;
            state.corner_radius = CornerRadius::same(theme::RADIUS_SMALL);
        }
        widgets.hovered.weak_bg_fill = t.raised;
        widgets.active.weak_bg_fill = t.raised_hover;
        let mut atoms = Atoms::default();
        atoms.push_right(icon(glyph.unwrap_or(' '), 16.0).color(t.muted));
        atoms.push_right(RichText::new(label));
        ui.add(
            Button::new(atoms)
                .right_text(right)
                .min_size(vec2(ui.available_width(), 28.0)),
        )
    })
    .inner
    .accessible_name(label)
}
