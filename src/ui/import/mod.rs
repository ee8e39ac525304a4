//! The import workspace: a card for each video with a preview of its frames, and the sampling.

mod bulk;
mod card;
mod facts;
mod side;
mod strip;

use egui::{
    Align, CornerRadius, Frame, Key, Layout, Margin, Modifiers, Panel, Pos2, Rect, ScrollArea,
    Shape, Sides, Stroke, Ui, UiBuilder, pos2, vec2,
};

use super::Cx;
use super::icons;
use super::theme::{self, tokens};
use super::widgets::{
    self, SCROLL_BAR, accent_button, button, command_button, empty, hint_with, link, side_width,
};
use crate::app::{Action, Command, Session, expected_frames, words};
use crate::project::{Source, SourceKind};

/// Width of the column at the right, points: normal and least.
const SIDE: [f32; 2] = [312.0, 240.0];
/// Space between cards, points.
const GAP: f32 = 12.0;

/// State of the painting.
#[derive(Default)]
pub struct View {
    /// State of the column at the right.
    pub side: side::View,
    /// The number of additions of sources after which the page was scrolled to the new ones.
    revealed: u64,
}

/// Paints the workspace.
pub fn import_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    Panel::right("sampling")
        .exact_size(side_width(ui, SIDE[0], SIDE[1]))
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::new().inner_margin(Margin {
            left: 14,
            ..Margin::ZERO
        }))
        .show(ui, |ui| side::side_ui(ui, cx, session, &mut view.side));
    header_ui(ui, cx, session);
    if session.sources.is_empty() {
        ui.add_space(2.0);
        empty_ui(ui, cx);
        return;
    }
    if session.import.selected.is_empty() {
        drop_hint_ui(ui, cx);
    } else {
        // Escape closes an open menu, and then does nothing else.
        let open = egui::Popup::is_any_open(ui.ctx());
        bulk::bulk_ui(ui, cx, session);
        let free = !cx.in_dialog && !open && ui.memory(|memory| memory.focused().is_none());
        if free && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape)) {
            cx.command(Command::SelectNone);
        }
    }
    closed_ui(ui, cx, session);
    ui.add_space(2.0);
    ui.spacing_mut().item_spacing.y = GAP;
    let count = session.sources.len();
    let mut area = ScrollArea::vertical().auto_shrink(false);
    if let (times, Some(first)) = &session.import.added
        && *times != view.revealed
        && let Some(index) = session
            .sources
            .iter()
            .position(|source| source.id == *first)
    {
        view.revealed = *times;
        area = area.vertical_scroll_offset(index as f32 * (card::HEIGHT + GAP));
    }
    // As wide as what is above: the bar is in the margin before the panel at the right.
    let mut room = ui.available_rect_before_wrap();
    let width = room.width();
    room.max.x += SCROLL_BAR;
    ui.scope_builder(UiBuilder::new().max_rect(room), |ui| {
        area.show_rows(ui, card::HEIGHT, count, |ui, rows| {
            for source in session.sources.get(rows).unwrap_or_default() {
                ui.push_id(&source.id, |ui| {
                    card::card_ui(ui, cx, session, source, width);
                });
            }
        });
    });
}

/// The commands for the videos of a project that may come from somebody else.
fn closed_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let is_video = |source: &Source| source.kind == SourceKind::Video;
    if session.previews.may_open() || !session.sources.iter().any(is_video) {
        return;
    }
    ui.add_space(2.0);
    let words = "This project may come from somebody else, and it names the places of its videos. They are opened only if you agree.";
    hint_with(ui, words, |ui| {
        let open = button(ui, Some(icons::VIDEO), "Open the project’s videos");
        let tip = "Shows posters and frames; remembered for this project";
        if open.on_hover_text(tip).clicked() {
            cx.act(Action::OpenVideos);
        }
    });
}

fn header_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    // In a narrow window the buttons have icons only.
    let narrow = ui.available_width() < 760.0;
    let label = |text: &'static str| if narrow { "" } else { text };
    Sides::new()
        .height(theme::CONTROL_HEIGHT)
        .spacing(12.0)
        .shrink_left()
        .truncate()
        .show(
            ui,
            |ui| {
                ui.spacing_mut().item_spacing.x = 10.0;
                ui.label(widgets::heading("Import"));
                ui.label(widgets::muted(t, summary(session)));
            },
            |ui| {
                ui.spacing_mut().item_spacing.x = 10.0;
                let app = cx.app;
                let again = session.has_outdated() && !session.has_unextracted();
                let extract = if again {
                    Command::ExtractAgain
                } else {
                    Command::ExtractAll
                };
                if command_button(ui, app, extract, |ui| {
                    accent_button(ui, None, &extract.text(session.noun()))
                }) {
                    cx.command(extract);
                }
                if command_button(ui, app, Command::AddFolder, |ui| {
                    button(ui, Some(icons::FOLDER), label("Add folder…"))
                        .accessible_name("Add folder…")
                }) {
                    cx.command(Command::AddFolder);
                }
                if command_button(ui, app, Command::AddFiles, |ui| {
                    button(ui, Some(icons::PLUS), label("Add files…")).accessible_name("Add files…")
                }) {
                    cx.command(Command::AddFiles);
                }
            },
        );
}

/// `6 videos · 4 min 12 s · about 1,260 frames`
fn summary(session: &Session) -> String {
    let videos = session
        .sources
        .iter()
        .filter(|source| source.kind == SourceKind::Video);
    let (mut count, mut secs, mut frames) = (0, 0.0, 0);
    for source in videos {
        count += 1;
        secs += source.duration_secs.unwrap_or(0.0);
        // Extracted frames are counted as they are, as on the cards.
        let there = session.snapshot.counts.source(&source.id) as u64;
        frames += match source.extracted {
            Some(_) => there,
            None => expected_frames(source.duration_secs, &session.import.sampling)
                .unwrap_or(0)
                .max(there),
        };
    }
    let batches = session.sources.len() - count;
    let mut parts = Vec::new();
    if count > 0 {
        parts.push(words::count(count as u64, "video"));
        parts.push(words::duration(secs));
        parts.push(format!("about {}", words::frames(frames as usize)));
    }
    if batches > 0 {
        parts.push(words::counted(
            batches as u64,
            "batch of photos",
            "batches of photos",
        ));
    }
    parts.join(" · ")
}

/// The dashed box with the hint that files can be dropped.
fn drop_hint_ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let t = tokens(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 46.0), egui::Sense::hover());
    dashed(ui, rect);
    let mut inner = ui.new_child(
        egui::UiBuilder::new()
            .max_rect(rect)
            .layout(Layout::left_to_right(Align::Center)),
    );
    inner.spacing_mut().item_spacing.x = 4.0;
    let (words, width) = if rect.width() > 460.0 {
        (
            "Drop videos, photos or folders anywhere in the window, or",
            430.0,
        )
    } else {
        ("Drop files anywhere, or", 230.0)
    };
    inner.add_space(((rect.width() - width) / 2.0).max(8.0));
    inner.label(widgets::muted(t, words));
    if link(&mut inner, "choose files…").clicked() {
        cx.command(Command::AddFiles);
    }
}

/// A dashed line around `rect`.
fn dashed(ui: &Ui, rect: Rect) {
    let t = tokens(ui);
    let path = rounded(rect.shrink(0.5), 10.0);
    ui.painter().extend(Shape::dashed_line(
        &path,
        Stroke::new(1.0, t.line_strong),
        4.0,
        4.0,
    ));
}

/// The outline of a rounded rectangle as points.
fn rounded(rect: Rect, radius: f32) -> Vec<Pos2> {
    let corners = [
        (pos2(rect.right() - radius, rect.top() + radius), -0.25),
        (pos2(rect.right() - radius, rect.bottom() - radius), 0.0),
        (pos2(rect.left() + radius, rect.bottom() - radius), 0.25),
        (pos2(rect.left() + radius, rect.top() + radius), 0.5),
    ];
    let mut points = Vec::with_capacity(33);
    for (center, turn) in corners {
        for step in 0..=7 {
            let angle = std::f32::consts::TAU * (turn + 0.25 * step as f32 / 7.0);
            points.push(center + radius * vec2(angle.cos(), angle.sin()));
        }
    }
    if let Some(first) = points.first().copied() {
        points.push(first);
    }
    points
}

fn empty_ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let t = tokens(ui);
    let rect = ui.available_rect_before_wrap();
    ui.painter()
        .rect_filled(rect, CornerRadius::same(theme::RADIUS_LARGE), t.window);
    dashed(ui, rect);
    empty(
        ui,
        icons::VIDEO,
        "Drop videos here",
        "Or photos, or folders. One folder per class works best: its name becomes the class. You see the frames before anything is written.",
        |ui| {
            if accent_button(ui, Some(icons::PLUS), "Choose files…").clicked() {
                cx.command(Command::AddFiles);
            }
            if button(ui, Some(icons::FOLDER), "Choose a folder…").clicked() {
                cx.command(Command::AddFolder);
            }
        },
    );
}
