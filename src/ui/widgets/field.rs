//! Fields of a form: labels, text, sliders, choices.

use std::ops::RangeInclusive;

use egui::{
    Align, Color32, ComboBox, Frame, InnerResponse, Layout, Margin, Response, RichText, Slider,
    Stroke, TextEdit, Ui, vec2,
};

use super::text;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};

/// The label above a field. Give its id to the field's `labelled_by`.
pub fn field_label(ui: &mut Ui, label: &str) -> Response {
    let t = tokens(ui);
    ui.add_space(6.0);
    ui.label(text::muted(t, label))
}

/// A line of text to type; `label` is its accessible name.
pub fn text_field(ui: &mut Ui, label: &str, value: &mut String, hint: &str) -> Response {
    let t = tokens(ui);
    ui.add(
        TextEdit::singleline(value)
            .hint_text(RichText::new(hint).color(t.faint))
            .margin(Margin::symmetric(10, 7))
            .desired_width(f32::INFINITY)
            .min_size(vec2(0.0, theme::CONTROL_HEIGHT)),
    )
    .accessible_name(label)
}

/// A frame that looks like a field, one control high: `field` at the left, the text `note` at the right. Inside it,
/// values to drag ([`egui::DragValue`]) have no frame of their own.
pub fn field_frame<R>(
    ui: &mut Ui,
    note: &str,
    field: impl FnOnce(&mut Ui) -> R,
) -> InnerResponse<R> {
    let t = tokens(ui);
    Frame::new()
        .fill(t.window)
        .stroke(Stroke::new(1.0, t.line))
        .corner_radius(theme::RADIUS)
        .show(ui, |ui| {
            ui.set_height(theme::CONTROL_HEIGHT - 2.0);
            let row = Layout::left_to_right(Align::Center).with_main_align(Align::Min);
            ui.with_layout(row, |ui| {
                let widgets = &mut ui.visuals_mut().widgets;
                widgets.inactive.weak_bg_fill = t.window;
                widgets.inactive.bg_stroke = Stroke::NONE;
                widgets.hovered.weak_bg_fill = t.window;
                widgets.hovered.bg_stroke = Stroke::NONE;
                // The text field is inside this frame, without a second one.
                widgets.active.weak_bg_fill = t.window;
                widgets.active.bg_stroke = Stroke::NONE;
                ui.visuals_mut().extreme_bg_color = t.window;
                ui.visuals_mut().text_edit_bg_color = Some(t.window);
                // No frame while it is typed in; this is also the colour of selected text.
                ui.visuals_mut().selection.stroke = Stroke::new(0.0, t.text);
                // A value to drag fills the width that the note leaves, so that a click anywhere in the frame reaches
                // it.
                let noted = if note.is_empty() {
                    ui.spacing().item_spacing.x
                } else {
                    let font = egui::TextStyle::Body.resolve(ui.style());
                    let galley = ui.painter().layout_no_wrap(note.to_owned(), font, t.faint);
                    galley.size().x + 10.0 + ui.spacing().item_spacing.x
                };
                ui.spacing_mut().interact_size = vec2(
                    (ui.available_width() - noted).max(40.0),
                    theme::CONTROL_HEIGHT - 2.0,
                );
                let inner = field(ui);
                if note.is_empty() {
                    ui.add_space(ui.available_width());
                } else {
                    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                        ui.add_space(10.0);
                        // A long value leaves no room for the whole note.
                        ui.add(egui::Label::new(text::faint(t, note)).truncate());
                    });
                }
                inner
            })
            .inner
        })
}

/// A slim slider with the accent up to its handle; `label` is its accessible name.
pub fn slider(
    ui: &mut Ui,
    label: &str,
    value: &mut f64,
    range: RangeInclusive<f64>,
    logarithmic: bool,
    width: f32,
) -> Response {
    let t = tokens(ui);
    ui.scope(|ui| {
        ui.spacing_mut().slider_width = width;
        ui.spacing_mut().interact_size.y = 20.0;
        let visuals = ui.visuals_mut();
        visuals.selection.bg_fill = t.accent;
        for state in [
            &mut visuals.widgets.inactive,
            &mut visuals.widgets.hovered,
            &mut visuals.widgets.active,
        ] {
            state.fg_stroke = Stroke::new(1.0, t.accent);
            state.bg_stroke = Stroke::new(2.0, t.panel);
        }
        visuals.widgets.inactive.bg_fill = t.track;
        visuals.widgets.hovered.bg_fill = t.accent_hover;
        visuals.widgets.active.bg_fill = t.accent_hover;
        ui.add(
            Slider::new(value, range)
                .show_value(false)
                .logarithmic(logarithmic)
                .trailing_fill(true),
        )
    })
    .inner
    .accessible_name(label)
}

/// A choice from a list, in the available width; `label` is its accessible name.
pub fn choice<R>(
    ui: &mut Ui,
    id: &str,
    label: &str,
    selected: &str,
    add: impl FnOnce(&mut Ui) -> R,
) -> Option<R> {
    let t = tokens(ui);
    ui.scope(|ui| {
        ui.spacing_mut().button_padding = vec2(10.0, 6.0);
        let widgets = &mut ui.visuals_mut().widgets;
        widgets.inactive.weak_bg_fill = t.window;
        widgets.hovered.weak_bg_fill = t.window;
        widgets.open.weak_bg_fill = t.window;
        let response = ComboBox::from_id_salt(id)
            .selected_text(RichText::new(selected))
            .width(ui.available_width())
            .height(420.0)
            .truncate()
            .icon(|ui, rect, visuals, _open| {
                ui.painter().text(
                    rect.center(),
                    egui::Align2::CENTER_CENTER,
                    icons::CARET_DOWN,
                    egui::FontId::new(12.0, theme::icon_family()),
                    visuals.fg_stroke.color.gamma_multiply(0.7),
                );
            })
            .show_ui(ui, |ui| {
                // A click whose press and release come in one frame also moves the dialog below to the top.
                ui.ctx().move_to_top(ui.layer_id());
                ui.spacing_mut().item_spacing.y = 2.0;
                add(ui)
            });
        response.response.accessible_name(label);
        response.inner
    })
    .inner
}

/// One of a few options, side by side. Returns the one that was clicked.
pub fn segments(ui: &mut Ui, chosen: usize, labels: &[&str]) -> Option<usize> {
    let t = tokens(ui);
    let mut clicked = None;
    Frame::new()
        .fill(t.window)
        .stroke(Stroke::new(1.0, t.line))
        .corner_radius(theme::RADIUS)
        .inner_margin(Margin::same(3))
        .show(ui, |ui| {
            ui.spacing_mut().interact_size.y = 26.0;
            // Left to right in every layout.
            let layout = Layout::left_to_right(Align::Center);
            ui.allocate_ui_with_layout(vec2(ui.available_width(), 26.0), layout, |ui| {
                ui.spacing_mut().item_spacing.x = 2.0;
                ui.spacing_mut().button_padding = vec2(6.0, 4.0);
                let count = labels.len().max(1) as f32;
                let width = (ui.available_width() - 2.0 * (count - 1.0)) / count;
                for (index, label) in labels.iter().enumerate() {
                    let on = index == chosen;
                    let widgets = &mut ui.visuals_mut().widgets;
                    // On light surfaces the highest surface is that of panels.
                    let raised = if t.dark { t.raised } else { t.panel };
                    widgets.inactive.weak_bg_fill = if on { raised } else { Color32::TRANSPARENT };
                    for state in [
                        &mut widgets.inactive,
                        &mut widgets.hovered,
                        &mut widgets.active,
                    ] {
                        state.bg_stroke = Stroke::NONE;
                        state.corner_radius = theme::RADIUS_SMALL.into();
                        state.fg_stroke.color = if on { t.text } else { t.muted };
                    }
                    let response =
                        ui.add(egui::Button::new(text::name(*label)).min_size(vec2(width, 26.0)));
                    response.widget_info(|| {
                        egui::WidgetInfo::selected(egui::Role::RadioButton, true, on, label)
                    });
                    if response.clicked() {
                        clicked = Some(index);
                    }
                }
            });
        });
    clicked
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

    use egui::{
        Context, Event, Id, LayerId, Modal, PointerButton, Popup, Pos2, RawInput, Rect, pos2,
    };

    use super::*;
    use crate::ui::widgets::{menu_chip, menu_item};

    /// The painted positions of a dialog and its choice.
    #[derive(Default)]
    struct Painted {
        choice: Option<Pos2>,
        list: Option<(LayerId, Pos2)>,
    }

    fn frame(ctx: &Context, events: Vec<Event>, as_menu: bool) -> Painted {
        let mut painted = Painted::default();
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, vec2(600.0, 500.0))),
            events,
            ..RawInput::default()
        };
        let mut output = ctx.run_ui(input, |ui| {
            Modal::new(Id::unique("dialog")).show(ui.ctx(), |ui| {
                ui.set_min_size(vec2(400.0, 300.0));
                painted.choice = Some(ui.cursor().min + vec2(20.0, 12.0));
                let list = |ui: &mut Ui| {
                    for side in ["96", "160", "224", "256", "320"] {
                        menu_item(ui, None, side, ());
                    }
                    (ui.layer_id(), ui.min_rect().center())
                };
                painted.list = if as_menu {
                    let chip = menu_chip(ui, "Size", "Size");
                    Popup::menu(&chip).show(list).map(|shown| shown.inner)
                } else {
                    choice(ui, "size", "Size", "How large?", list)
                };
            });
        });
        output.textures_delta.clear();
        painted
    }

    fn button(pos: Pos2, pressed: bool) -> Vec<Event> {
        let button = Event::PointerButton {
            pos,
            button: PointerButton::Primary,
            pressed,
            modifiers: egui::Modifiers::NONE,
        };
        vec![Event::PointerMoved(pos), button]
    }

    #[test]
    fn a_list_lies_over_its_dialog_after_a_click_within_one_frame() {
        for as_menu in [false, true] {
            let ctx = Context::default();
            crate::ui::fonts::install(&ctx);
            let frame = |events| frame(&ctx, events, as_menu);
            for _ in 0..3 {
                frame(Vec::new());
            }
            let at = frame(Vec::new()).choice.unwrap();
            let click = || [button(at, true), button(at, false)].concat();
            for round in 0..2 {
                frame(click());
                frame(Vec::new());
                let (layer, middle) = frame(Vec::new()).list.unwrap();
                let found = ctx.layer_id_at(middle);
                assert_eq!(found, Some(layer), "menu {as_menu}, round {round}");
                // A click on the dialog closes the list.
                let beside = pos2(at.x, at.y + 250.0);
                frame(button(beside, true));
                frame(button(beside, false));
                assert!(frame(Vec::new()).list.is_none());
            }
        }
    }
}
