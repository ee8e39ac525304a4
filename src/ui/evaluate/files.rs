//! Predictions on videos and photos that are not in the project.

use egui::{Rect, ScrollArea, Sense, Ui, UiBuilder, pos2, vec2};

use super::figures::color_of;
use super::mistakes::bar_ui;
use crate::app::{Action, Ask, FilePrediction, Session, words};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, accent_button, empty, panel, picture_within, section};

/// Height of a row, points.
const ROW: f32 = 92.0;

/// Paints the predictions, or what to do to get some.
pub fn files_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let list = session.evaluate.files.list();
    let busy = session.evaluate.predicting.is_some();
    if list.is_empty() && !busy {
        empty(
            ui,
            icons::VIDEO,
            "What does it say of something new?",
            "Drop a video or photos here that the model has never seen. Videos are sampled as they are in Import; nothing is added to the project.",
            |ui| {
                if accent_button(ui, Some(icons::PLUS), "Choose files…").clicked() {
                    cx.act(Action::Ask(Ask::Predict));
                }
            },
        );
        return;
    }
    let height = ui.available_height();
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.set_min_height(height - 30.0);
        section(ui, "Predictions", |ui| {
            let t = tokens(ui);
            ui.label(widgets::faint(
                t,
                words::count(list.len() as u64, "image", "images"),
            ));
        });
        ScrollArea::vertical()
            .auto_shrink(false)
            .show_rows(ui, ROW, list.len(), |ui, rows| {
                for index in rows {
                    if let Some(prediction) = list.get(index) {
                        row_ui(ui, session, prediction);
                    }
                }
            });
    });
}

fn row_ui(ui: &mut Ui, session: &Session, prediction: &FilePrediction) {
    let t = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let top = prediction.prediction.top.first();
    let said = top.map_or_else(String::new, |top| {
        format!(
            "{}: {} {}",
            prediction.name,
            top.class,
            words::percent(f64::from(top.probability))
        )
    });
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ListItem, true, &said));
    let image = Rect::from_min_size(rect.min + vec2(0.0, 4.0), vec2(138.0, ROW - 8.0));
    picture_within(ui, image, &prediction.texture, theme::RADIUS);
    let mut inner = ui.new_child(UiBuilder::new().max_rect(Rect::from_min_max(
        pos2(image.right() + 14.0, rect.top() + 4.0),
        pos2(rect.right() - 8.0, rect.bottom()),
    )));
    inner.spacing_mut().item_spacing.y = 2.0;
    inner.horizontal(|ui| {
        ui.label(widgets::name(words::shorten(&prediction.name, 48)))
            .on_hover_text(&prediction.name);
        if let Some(secs) = prediction.time_secs {
            ui.label(widgets::faint(t, words::timestamp(secs)));
        }
    });
    for class in prediction.prediction.top.iter().take(3) {
        let color = color_of(session, &class.class);
        bar_ui(&mut inner, color, &class.class, class.probability, "");
    }
}
