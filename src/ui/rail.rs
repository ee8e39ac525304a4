//! The rail at the left: the five steps, with a dot on those where something has been done.

use egui::{
    Align2, CornerRadius, FontFamily, FontId, Frame, Margin, Panel, Sense, Stroke, StrokeKind, Ui,
    pos2, vec2,
};

use super::Cx;
use super::icons;
use super::theme::{self, tokens};
use super::widgets::command_tooltip;
use crate::app::{Action, Command, Session, Workspace};

/// Width of the rail, points.
const WIDTH: f32 = 76.0;

const STEPS: [(Workspace, &str, char, Command); 5] = [
    (
        Workspace::Import,
        "Import",
        icons::IMPORT,
        Command::GoImport,
    ),
    (Workspace::Label, "Label", icons::LABEL, Command::GoLabel),
    (Workspace::Train, "Train", icons::TRAIN, Command::GoTrain),
    (
        Workspace::Evaluate,
        "Evaluate",
        icons::EVALUATE,
        Command::GoEvaluate,
    ),
    (
        Workspace::Export,
        "Export",
        icons::EXPORT,
        Command::GoExport,
    ),
];

/// Paints the rail.
pub fn rail_ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let t = tokens(ui);
    let Some(session) = &cx.app.session else {
        return;
    };
    Panel::left("steps")
        .exact_size(WIDTH)
        .resizable(false)
        .frame(Frame::new().fill(t.panel).inner_margin(Margin {
            left: 7,
            right: 7,
            top: 10,
            bottom: 10,
        }))
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 4.0;
            for (step, name, glyph, command) in STEPS {
                let chosen = cx.app.workspace == step;
                let tip = command_tooltip(ui.ctx(), cx.app, command);
                if step_ui(ui, name, glyph, &tip, chosen, is_done(session, step)) {
                    cx.act(Action::Go(step));
                }
            }
        });
}

/// Whether something has been done in a step.
fn is_done(session: &Session, step: Workspace) -> bool {
    match step {
        Workspace::Import => session.snapshot.counts.total() > 0,
        Workspace::Label => {
            session.snapshot.counts.labelled > 0
                && session
                    .snapshot
                    .counts
                    .by_label
                    .keys()
                    .filter(|label| matches!(label, crate::project::Label::Class(_)))
                    .count()
                    > 1
        }
        Workspace::Train => session.train.latest_finished().is_some(),
        Workspace::Evaluate => session.evaluate.evaluation.is_some(),
        Workspace::Export => !session.export.done.is_empty(),
    }
}

fn step_ui(ui: &mut Ui, name: &str, glyph: char, tip: &str, chosen: bool, done: bool) -> bool {
    let t = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 58.0), Sense::click());
    let color = if chosen {
        t.accent_text
    } else if response.hovered() || response.has_focus() {
        t.text
    } else {
        t.muted
    };
    let painter = ui.painter();
    let radius = CornerRadius::same(10);
    if chosen {
        painter.rect_filled(rect, radius, t.accent_soft);
    } else if response.hovered() {
        painter.rect_filled(rect, radius, t.raised);
    }
    if response.has_focus() {
        painter.rect_stroke(rect, radius, Stroke::new(1.0, t.accent), StrokeKind::Inside);
    }
    painter.text(
        pos2(rect.center().x, rect.top() + 21.0),
        Align2::CENTER_CENTER,
        glyph,
        FontId::new(21.0, theme::icon_family()),
        color,
    );
    painter.text(
        pos2(rect.center().x, rect.bottom() - 14.0),
        Align2::CENTER_CENTER,
        name,
        FontId::new(11.5, FontFamily::Proportional),
        color,
    );
    if done {
        painter.circle_filled(pos2(rect.right() - 13.0, rect.top() + 11.0), 3.0, t.ok);
    }
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Tab, true, chosen, name));
    response.on_hover_text(tip).clicked()
}
