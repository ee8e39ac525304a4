//! The command palette: type a part of the name of a command, a class or a source, choose with the arrows, run with
//! return.

use egui::{
    Align2, Context, CornerRadius, Frame, Id, Key, Margin, Modal, Modifiers, RichText, ScrollArea,
    Sense, Stroke, TextEdit, Ui, pos2, vec2,
};

use super::Cx;
use super::theme::{self, tokens};
use super::widgets;
use crate::app::{Action, Command, ImportAction, LabelAction, Session, Show, words};
use crate::project::Label;

const WIDTH: f32 = 560.0;
/// The most sources in the list; more letters find the others.
const MOST_SOURCES: usize = 50;

/// The typed text, and the chosen line.
#[derive(Default)]
pub struct View {
    query: String,
    chosen: usize,
    open: bool,
}

/// The action of a line of the palette.
struct Line {
    text: String,
    tip: String,
    keys: String,
    action: Action,
}

/// Paints the palette while it is open.
pub fn palette_ui(ctx: &Context, cx: &mut Cx<'_>, view: &mut View) {
    if !cx.app.palette {
        view.open = false;
        return;
    }
    if !view.open {
        *view = View {
            open: true,
            ..View::default()
        };
    }
    let t = if ctx.global_style().visuals.dark_mode {
        &theme::DARK
    } else {
        &theme::LIGHT
    };
    let (up, down, enter) = ctx.input_mut(|input| {
        (
            input.consume_key(Modifiers::NONE, Key::ArrowUp),
            input.consume_key(Modifiers::NONE, Key::ArrowDown),
            input.consume_key(Modifiers::NONE, Key::Enter),
        )
    });
    let lines = lines(ctx, cx, &view.query);
    view.chosen = view.chosen.min(lines.len().saturating_sub(1));
    if down && view.chosen + 1 < lines.len() {
        view.chosen += 1;
    }
    if up {
        view.chosen = view.chosen.saturating_sub(1);
    }
    let mut run = enter.then_some(view.chosen);
    let id = Id::unique("command palette");
    let modal = Modal::new(id)
        .area(Modal::default_area(id).anchor(Align2::CENTER_TOP, vec2(0.0, 96.0)))
        .backdrop_color(t.backdrop)
        .frame(
            Frame::popup(&ctx.global_style())
                .corner_radius(CornerRadius::same(theme::RADIUS_LARGE))
                .inner_margin(Margin::same(8)),
        )
        .show(ctx, |ui| {
            ui.set_width(WIDTH);
            ui.spacing_mut().item_spacing.y = 2.0;
            let field = ui.add(
                TextEdit::singleline(&mut view.query)
                    .hint_text(RichText::new("Search or run a command").color(t.faint))
                    .frame(Frame::new())
                    .margin(Margin::symmetric(8, 6))
                    .align(Align2::LEFT_CENTER)
                    .font(egui::FontId::new(15.0, egui::FontFamily::Proportional))
                    .desired_width(f32::INFINITY),
            );
            let field = field.accessible_name("Search commands");
            field.request_focus();
            if field.changed() {
                view.chosen = 0;
            }
            widgets::separator(ui);
            ScrollArea::vertical().max_height(380.0).show(ui, |ui| {
                for (index, line) in lines.iter().enumerate() {
                    let chosen = index == view.chosen;
                    let response = line_ui(ui, line, chosen);
                    if chosen && (up || down) {
                        response.scroll_to_me(None);
                    }
                    if response.clicked() {
                        run = Some(index);
                    }
                }
                if lines.is_empty() {
                    ui.add_space(12.0);
                    ui.vertical_centered(|ui| {
                        ui.label(widgets::muted(
                            t,
                            "No command, class or source name contains this",
                        ));
                    });
                    ui.add_space(12.0);
                }
            });
        });
    if let Some(line) = run.and_then(|index| lines.into_iter().nth(index)) {
        cx.command(Command::Palette);
        cx.act(line.action);
    } else if modal.should_close() {
        cx.command(Command::Palette);
    }
}

fn lines(ctx: &Context, cx: &Cx<'_>, query: &str) -> Vec<Line> {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let matches = |text: &str| {
        let text = text.to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let noun = cx.app.noun();
    let mut lines: Vec<Line> = Command::ALL
        .into_iter()
        .filter(|command| *command != Command::Palette && command.is_enabled(cx.app))
        .filter(|command| {
            matches(&command.text(noun)) || (query.len() > 3 && matches(&command.tooltip(noun)))
        })
        .map(|command| Line {
            text: command.text(noun).into_owned(),
            tip: command.tooltip(noun).into_owned(),
            keys: command
                .shortcut()
                .map(|shortcut| widgets::shortcut_text(ctx, &shortcut))
                .unwrap_or_default(),
            action: Action::Command(command),
        })
        .collect();
    if let Some(session) = cx.app.session.as_ref().filter(|_| !words.is_empty()) {
        lines.extend(class_lines(session, &matches));
        lines.extend(source_lines(session, &matches));
    }
    lines
}

/// The classes; a line shows their frames.
fn class_lines(session: &Session, matches: &dyn Fn(&str) -> bool) -> Vec<Line> {
    let classes = session.classes.iter();
    classes
        .filter(|class| matches(&format!("show class {}", class.name)))
        .map(|class| {
            let label = Label::Class(class.name.clone());
            let frames = session.snapshot.counts.label(&label);
            Line {
                text: format!("Show class “{}”", class.name),
                tip: session.noun().count(frames),
                keys: String::new(),
                action: Action::Label(LabelAction::Open(Show::Label(label), None)),
            }
        })
        .collect()
}

/// The sources; a line shows their frames, or their card if they have none yet.
fn source_lines(session: &Session, matches: &dyn Fn(&str) -> bool) -> Vec<Line> {
    let sources = session.sources.iter();
    sources
        .filter(|source| matches(&format!("show source {}", source.name)))
        .take(MOST_SOURCES)
        .map(|source| {
            let frames = session.snapshot.counts.source(&source.id);
            Line {
                text: format!("Show source “{}”", words::shorten(&source.name, 40)),
                tip: if frames > 0 {
                    words::frames(frames)
                } else {
                    "In Import; it has no frames yet".to_owned()
                },
                keys: String::new(),
                action: if frames > 0 {
                    Action::Label(LabelAction::Open(Show::All, Some(source.id.clone())))
                } else {
                    Action::Import(ImportAction::ShowCard(source.id.clone()))
                },
            }
        })
        .collect()
}

fn line_ui(ui: &mut Ui, line: &Line, chosen: bool) -> egui::Response {
    let t = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 34.0), Sense::click());
    let painter = ui.painter();
    let radius = CornerRadius::same(theme::RADIUS);
    if chosen {
        painter.rect_filled(rect, radius, t.accent_soft);
    } else if response.hovered() {
        painter.rect_filled(rect, radius, t.raised);
    }
    if response.has_focus() {
        painter.rect_stroke(
            rect,
            radius,
            Stroke::new(1.0, t.accent),
            egui::StrokeKind::Inside,
        );
    }
    let color = if chosen { t.accent_text } else { t.text };
    let at = pos2(rect.left() + 10.0, rect.center().y);
    let text = painter.text(
        at,
        Align2::LEFT_CENTER,
        &line.text,
        egui::FontId::new(theme::TYPE_BODY, theme::medium()),
        color,
    );
    let keys = painter.text(
        pos2(rect.right() - 10.0, rect.center().y),
        Align2::RIGHT_CENTER,
        &line.keys,
        egui::FontId::new(theme::TYPE_SMALL, egui::FontFamily::Proportional),
        t.muted,
    );
    let room = keys.left() - text.right() - 24.0;
    if room > 60.0 {
        let mut job = egui::text::LayoutJob::simple_singleline(
            line.tip.clone(),
            egui::FontId::new(theme::TYPE_SMALL, egui::FontFamily::Proportional),
            t.faint,
        );
        job.wrap = egui::text::TextWrapping::truncate_at_width(room);
        let galley = painter.layout_job(job);
        let at = pos2(text.right() + 12.0, rect.center().y - galley.size().y / 2.0);
        painter.galley(at, galley, t.faint);
    }
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::MenuItem, true, &line.text));
    response
}
