//! The bar at the top: logo, project with its menu, undo, commands, theme, help.

use egui::{
    Align, Color32, CornerRadius, FontFamily, FontId, Frame, Layout, Margin, Panel, Popup,
    RichText, Sense, Stroke, StrokeKind, TextureHandle, TextureOptions, Ui, pos2, vec2,
};

use super::Cx;
use super::icons::{self, icon};
use super::theme::{self, tokens};
use super::widgets::{self, command_tooltip, icon_button, menu_item, quiet_button, tooltip};
use crate::app::{Action, Command, Session, words};
use crate::project::Access;

/// The height of the bar, points.
pub const HEIGHT: f32 = 46.0;

/// Width of what is at the left of the project's name, and at the right beside undo, points.
const BESIDE: f32 = 540.0;
/// Width that undo leaves for the project's name, points.
const NAME: f32 = 200.0;
/// Width of the note that the project cannot be changed, points.
const ACCESS: f32 = 112.0;
/// Space between the project's name and what is at the right, points.
const GAP: f32 = 12.0;

/// State of the painting.
#[derive(Default)]
pub struct View {
    logo: Option<TextureHandle>,
    /// Width of the right side in the last frame.
    right: f32,
}

/// Paints the bar.
pub fn top_bar_ui(ui: &mut Ui, cx: &mut Cx<'_>, view: &mut View) {
    let t = tokens(ui);
    Panel::top("top bar")
        .exact_size(HEIGHT)
        .frame(
            Frame::new()
                .fill(t.panel)
                .inner_margin(Margin::symmetric(16, 0)),
        )
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                ui.spacing_mut().item_spacing.x = 10.0;
                let bar = ui.available_width();
                logo(ui, view);
                ui.label(widgets::title("Salamander"));
                let undo_room = bar - BESIDE - NAME;
                if let Some(session) = &cx.app.session {
                    ui.label(widgets::muted(t, "/"));
                    let chip = match session.project.access() {
                        Access::Full => 0.0,
                        Access::ReadOnly | Access::Shared => ACCESS,
                    };
                    let room = ui.available_width() - view.right - GAP - chip;
                    project_menu(ui, cx, &session.name, room);
                    access_chip(ui, session);
                }
                let layout = Layout::right_to_left(Align::Center);
                let right = ui.with_layout(layout, |ui| {
                    right_side(ui, cx, undo_room);
                    ui.min_rect().width()
                });
                if (right.inner - view.right).abs() > 0.5 {
                    view.right = right.inner;
                    ui.ctx().request_repaint();
                }
            });
        });
}

/// The note that the project is read-only.
fn access_chip(ui: &mut Ui, session: &Session) {
    let (label, why) = match session.project.access() {
        Access::Full => return,
        Access::ReadOnly => (
            "Read-only",
            "The project is on a read-only disk or folder. You can view, evaluate, predict and export to another folder",
        ),
        Access::Shared => (
            "Read-only",
            "The project is open in another Salamander window or command. You can view, evaluate, predict and export; to change anything, close it there and open it here again",
        ),
    };
    widgets::badge(ui, label).on_hover_text(why);
}

fn logo(ui: &mut Ui, view: &mut View) {
    let (rect, response) = ui.allocate_exact_size(vec2(22.0, 22.0), Sense::hover());
    let texture = view.logo.get_or_insert_with(|| load_logo(ui.ctx()));
    ui.painter().image(
        texture.id(),
        rect,
        egui::Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0)),
        Color32::WHITE,
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, "Salamander"));
}

/// The logo as a texture.
pub fn load_logo(ctx: &egui::Context) -> TextureHandle {
    let bytes = include_bytes!("../../assets/icon-256.png");
    let image = image::load_from_memory(bytes).map_or_else(
        |error| {
            log::error!("the logo cannot be read: {error}");
            egui::ColorImage::filled([1, 1], Color32::TRANSPARENT)
        },
        |image| {
            let image = image.into_rgba8();
            egui::ColorImage::from_rgba_unmultiplied(
                [image.width() as usize, image.height() as usize],
                image.as_raw(),
            )
        },
    );
    let options = TextureOptions::LINEAR.with_mipmap_mode(Some(egui::TextureFilter::Linear));
    ctx.load_texture("logo", image, options)
}

/// The project's name, which opens the menu of projects; at most `room` points wide.
fn project_menu(ui: &mut Ui, cx: &mut Cx<'_>, name: &str, room: f32) {
    let t = tokens(ui);
    let shown = words::shorten(name, 40);
    let response = ui
        .scope(|ui| {
            ui.set_max_width(room.max(48.0));
            ui.spacing_mut().button_padding = vec2(6.0, 4.0);
            ui.spacing_mut().interact_size.y = 28.0;
            let inactive = &mut ui.visuals_mut().widgets.inactive;
            inactive.weak_bg_fill = Color32::TRANSPARENT;
            inactive.bg_stroke = Stroke::NONE;
            let hovered = &mut ui.visuals_mut().widgets.hovered;
            hovered.bg_stroke = Stroke::NONE;
            let name = egui::Button::new((
                widgets::title(shown),
                icon(icons::CARET_DOWN, 12.0).color(t.muted),
            ));
            ui.add(name.truncate())
        })
        .inner
        .accessible_name(format!("Project {name}"))
        .on_hover_text(format!("{name}\nProject: new, open, show folder, close"));
    Popup::menu(&response).width(250.0).show(|ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        for (command, glyph) in [
            (Command::NewProject, icons::FOLDER_NEW),
            (Command::OpenProject, icons::FOLDER_OPEN),
        ] {
            command_item(ui, cx, command, glyph);
        }
        let others: Vec<_> = cx
            .app
            .prefs
            .recent
            .iter()
            .filter(|root| {
                cx.app.recent_present.contains(*root)
                    && cx.app.session.as_ref().is_none_or(|s| s.root != **root)
            })
            .take(4)
            .cloned()
            .collect();
        if !others.is_empty() {
            widgets::separator(ui);
            for root in others {
                let name = root.file_name().map(words::path).unwrap_or_default();
                let item = menu_item(ui, Some(icons::RECENT), &words::shorten(&name, 30), ());
                if item.on_hover_text(words::path(&root)).clicked() {
                    cx.act(Action::OpenProject(root));
                    ui.close();
                }
            }
        }
        widgets::separator(ui);
        for (command, glyph) in [
            (Command::RevealProject, icons::REVEAL),
            (Command::MergeParts, icons::MERGE),
            (Command::LastImport, icons::IMPORT),
            (Command::Rescan, icons::REFRESH),
            (Command::EmptyTrash, icons::TRASH),
            (Command::CloseProject, icons::CROSS),
        ] {
            command_item(ui, cx, command, glyph);
        }
    });
}

/// A command as an item of a menu.
pub fn command_item(ui: &mut Ui, cx: &mut Cx<'_>, command: Command, glyph: char) {
    let t = tokens(ui);
    let shortcut = command
        .shortcut()
        .map(|shortcut| widgets::shortcut_text(ui.ctx(), &shortcut))
        .unwrap_or_default();
    let enabled = command.is_enabled(cx.app);
    let noun = cx.app.noun();
    let clicked = ui
        .add_enabled_ui(enabled, |ui| {
            menu_item(
                ui,
                Some(glyph),
                &command.text(noun),
                RichText::new(shortcut)
                    .size(theme::TYPE_SMALL)
                    .color(t.faint),
            )
        })
        .inner
        .on_hover_text(command.tooltip(noun))
        .clicked();
    if clicked {
        cx.command(command);
        ui.close();
    }
}

/// Help, theme, the palette, and undo, with `undo_room` points for the description of the last change.
fn right_side(ui: &mut Ui, cx: &mut Cx<'_>, undo_room: f32) {
    let dark = ui.visuals().dark_mode;
    ui.spacing_mut().item_spacing.x = 8.0;
    let tip = command_tooltip(ui.ctx(), cx.app, Command::Shortcuts);
    if icon_button(ui, icons::HELP, "Keyboard shortcuts", &tip).clicked() {
        cx.command(Command::Shortcuts);
    }
    let (glyph, label) = if dark {
        (icons::SUN, "Switch to the light theme")
    } else {
        (icons::MOON, "Switch to the dark theme")
    };
    if icon_button(ui, glyph, label, "").clicked() {
        cx.command(Command::ToggleTheme);
    }
    if search(ui, cx) {
        cx.command(Command::Palette);
    }
    if let Some(session) = &cx.app.session {
        if let Some(text) = session.redo_text() {
            let tip = tooltip(ui.ctx(), &format!("Redo {text}"), Command::Redo.shortcut());
            if icon_button(ui, icons::REDO, "Redo", &tip).clicked() {
                cx.command(Command::Redo);
            }
        }
        if let Some(text) = session.undo_text() {
            let tip = tooltip(ui.ctx(), &format!("Undo {text}"), Command::Undo.shortcut());
            // Without the icon and the margins, at about six points for each letter.
            let letters = ((undo_room - 39.0) / 6.2) as usize;
            let words = if letters < 12 {
                "Undo".to_owned()
            } else {
                format!("Undo {}", words::shorten(&text, (letters - 5).min(40)))
            };
            let undo = quiet_button(ui, Some(icons::UNDO), &words);
            if undo.accessible_name("Undo").on_hover_text(tip).clicked() {
                cx.command(Command::Undo);
            }
        }
    }
}

/// The button that opens the command palette.
fn search(ui: &mut Ui, cx: &Cx<'_>) -> bool {
    let t = tokens(ui);
    let name = Command::Palette.text(cx.app.noun());
    let font = FontId::new(theme::TYPE_SMALL, FontFamily::Proportional);
    let shortcut = Command::Palette
        .shortcut()
        .map(|shortcut| widgets::shortcut_text(ui.ctx(), &shortcut))
        .unwrap_or_default();
    let words = ui.painter().layout_no_wrap(name.to_string(), font, t.muted);
    let keys = ui
        .painter()
        .layout_no_wrap(shortcut, FontId::new(11.0, theme::medium()), t.muted);
    let size = vec2(words.size().x + keys.size().x + 46.0, 26.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let fill = if response.hovered() {
        t.raised_hover
    } else {
        t.raised
    };
    let stroke = if response.has_focus() {
        Stroke::new(1.0, t.accent)
    } else {
        Stroke::NONE
    };
    let painter = ui.painter();
    painter.rect(
        rect,
        CornerRadius::same(13),
        fill,
        stroke,
        StrokeKind::Inside,
    );
    painter.galley(
        pos2(rect.left() + 12.0, rect.center().y - words.size().y / 2.0),
        words,
        t.muted,
    );
    let cap = egui::Rect::from_min_max(
        pos2(rect.right() - keys.size().x - 17.0, rect.top() + 3.0),
        pos2(rect.right() - 5.0, rect.bottom() - 3.0),
    );
    painter.rect(
        cap,
        CornerRadius::same(6),
        t.panel,
        Stroke::new(1.0, t.line),
        StrokeKind::Inside,
    );
    painter.galley(cap.center() - keys.size() / 2.0, keys, t.muted);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &*name));
    let tip = command_tooltip(ui.ctx(), cx.app, Command::Palette);
    response.on_hover_text(tip).clicked()
}
