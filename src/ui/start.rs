//! The start screen: new project, open, sample, recent projects.

use std::path::Path;

use egui::{
    Align, Align2, CornerRadius, FontFamily, FontId, Layout, Rect, Response, Sense, Stroke,
    StrokeKind, Ui, pos2, vec2,
};

use super::Cx;
use super::icons;
use super::theme::{self, tokens};
use super::widgets::{self, icon_button, link, spinner};
use crate::app::{Action, Command, words};

const WIDTH: f32 = 720.0;

/// Paints the start screen.
pub fn start_ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let t = tokens(ui);
    if cx.app.opening {
        ui.centered_and_justified(|ui| spinner(ui, 28.0));
        return;
    }
    let recent = &cx.app.prefs.recent;
    let height = 300.0 + 44.0 * recent.len().min(6) as f32;
    egui::ScrollArea::vertical().show(ui, |ui| {
        ui.with_layout(Layout::top_down(Align::Center), |ui| {
            ui.add_space(((ui.available_height() - height) * 0.42).max(16.0));
            ui.set_max_width(WIDTH);
            ui.spacing_mut().item_spacing.y = 6.0;
            ui.label(
                egui::RichText::new("Videos in, a classifier for phones out")
                    .font(FontId::new(24.0, theme::semibold())),
            );
            ui.label(widgets::muted(
                t,
                "Drop videos on this window, sort their frames into classes, train, export. Everything stays on this computer.",
            ));
            ui.add_space(22.0);
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 12.0;
                let width = (WIDTH - 36.0) / 4.0;
                for (command, glyph, label, words, accent) in [
                    (
                        Command::NewProject,
                        icons::FOLDER_NEW,
                        "New project…",
                        "Empty, in a folder of your choice",
                        true,
                    ),
                    (
                        Command::OpenProject,
                        icons::FOLDER_OPEN,
                        "Open project…",
                        "Choose its folder",
                        false,
                    ),
                    (
                        Command::MakeModel,
                        icons::TRAIN,
                        "Make a model…",
                        "From a folder, in one go",
                        false,
                    ),
                    (
                        Command::TrySample,
                        icons::SPARKLE,
                        "Try the sample",
                        "Short videos to try",
                        false,
                    ),
                ] {
                    let tile = tile_ui(ui, width, glyph, label, words, accent);
                    let tip = widgets::command_tooltip(ui.ctx(), cx.app, command);
                    if tile.on_hover_text(tip).clicked() {
                        cx.command(command);
                    }
                }
            });
            ui.add_space(22.0);
            recent_ui(ui, cx);
        });
    });
}

fn tile_ui(
    ui: &mut Ui,
    width: f32,
    glyph: char,
    label: &str,
    words: &str,
    accent: bool,
) -> Response {
    let t = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(width, 124.0), Sense::click());
    let hot = response.hovered() || response.has_focus();
    let fill = if hot { t.raised } else { t.panel };
    let line = if response.has_focus() {
        t.accent
    } else if hot {
        t.line_strong
    } else {
        t.line
    };
    let painter = ui.painter();
    painter.rect(
        rect,
        CornerRadius::same(theme::RADIUS_LARGE),
        fill,
        Stroke::new(1.0, line),
        StrokeKind::Inside,
    );
    let square = Rect::from_min_size(rect.min + vec2(16.0, 16.0), vec2(36.0, 36.0));
    let (back, front) = if accent {
        (t.accent, t.on_accent)
    } else {
        (t.raised, t.accent_text)
    };
    painter.rect_filled(square, CornerRadius::same(10), back);
    painter.text(
        square.center(),
        Align2::CENTER_CENTER,
        glyph,
        FontId::new(20.0, theme::icon_family()),
        front,
    );
    painter.text(
        pos2(rect.left() + 16.0, rect.top() + 78.0),
        Align2::LEFT_CENTER,
        label,
        FontId::new(14.0, theme::semibold()),
        t.text,
    );
    painter.text(
        pos2(rect.left() + 16.0, rect.top() + 100.0),
        Align2::LEFT_CENTER,
        words,
        FontId::new(11.5, FontFamily::Proportional),
        t.muted,
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, label));
    response
}

fn recent_ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let t = tokens(ui);
    let recent = &cx.app.prefs.recent;
    if recent.is_empty() {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            ui.add_space((ui.available_width() - 345.0).max(0.0) / 2.0);
            ui.label(widgets::muted(
                t,
                "A project’s folder can also be dropped here, or",
            ));
            if link(ui, "type its path").clicked() {
                cx.command(Command::OpenByPath);
            }
        });
        return;
    }
    ui.allocate_ui_with_layout(
        vec2(WIDTH, 24.0),
        Layout::left_to_right(Align::Center),
        |ui| {
            ui.set_min_width(WIDTH);
            ui.label(widgets::title("Recent"));
        },
    );
    ui.spacing_mut().item_spacing.y = 2.0;
    for root in recent.iter().take(8) {
        let present = cx.app.recent_present.contains(root);
        let mut forget = false;
        let mut open = false;
        ui.allocate_ui_with_layout(
            vec2(WIDTH, 44.0),
            Layout::right_to_left(Align::Center),
            |ui| {
                if !present {
                    let label = "Remove from this list";
                    forget = icon_button(ui, icons::CROSS, label, "").clicked();
                }
                open = recent_line_ui(ui, root, present);
            },
        );
        if forget {
            cx.act(Action::ForgetRecent(root.clone()));
        } else if open {
            cx.act(Action::OpenProject(root.clone()));
        }
    }
}

fn recent_line_ui(ui: &mut Ui, root: &Path, present: bool) -> bool {
    let t = tokens(ui);
    let name = root.file_name().map(words::path).unwrap_or_default();
    let sense = if present {
        Sense::click()
    } else {
        Sense::hover()
    };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 42.0), sense);
    let painter = ui.painter();
    let radius = CornerRadius::same(theme::RADIUS);
    if present && (response.hovered() || response.has_focus()) {
        painter.rect_filled(rect, radius, t.panel);
    }
    if response.has_focus() {
        painter.rect_stroke(rect, radius, Stroke::new(1.0, t.accent), StrokeKind::Inside);
    }
    let (glyph, color) = if present {
        (icons::FOLDER, t.text)
    } else {
        (icons::MISSING, t.faint)
    };
    painter.text(
        pos2(rect.left() + 22.0, rect.center().y),
        Align2::CENTER_CENTER,
        glyph,
        FontId::new(18.0, theme::icon_family()),
        if present { t.muted } else { t.faint },
    );
    painter.text(
        pos2(rect.left() + 44.0, rect.center().y - 8.0),
        Align2::LEFT_CENTER,
        words::shorten(&name, 60),
        FontId::new(theme::TYPE_BODY, theme::medium()),
        color,
    );
    let place = words::shorten(&root.to_string_lossy(), 84);
    let words = if present {
        place
    } else {
        format!("no longer there: {place}")
    };
    painter.text(
        pos2(rect.left() + 44.0, rect.center().y + 9.0),
        Align2::LEFT_CENTER,
        words,
        FontId::new(11.5, FontFamily::Proportional),
        t.faint,
    );
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Button, present, format!("Open {name}"))
    });
    response.on_hover_text(words::path(root)).clicked()
}
