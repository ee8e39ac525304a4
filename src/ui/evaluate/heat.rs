//! The switch for the heat map over an image, the class that it explains, and its legend.

use egui::{
    Align2, Color32, FontFamily, FontId, Mesh, Popup, Rect, Sense, TextureId, Ui, pos2, vec2,
};

use crate::app::{Action, Command, EvaluateAction, Heat, HeatClass, HeatLayer, Session, words};
use crate::evaluate::{FramePrediction, heat_color};
use crate::ui::Cx;
use crate::ui::theme::tokens;
use crate::ui::widgets::{
    self, class_mark, color_of, command_tooltip, menu_chip, menu_item, spinner, toggle_chip,
};

/// Height of the row, points.
pub const ROW: f32 = 34.0;

/// The map over an evaluated image, if it is wanted and computed.
pub fn of_frame(
    session: &Session,
    frame: &FramePrediction,
    path: &std::path::Path,
) -> Option<Heat> {
    let state = &session.evaluate;
    if !state.heat {
        return None;
    }
    let class = match state.heat_class {
        HeatClass::Predicted => frame.predicted,
        HeatClass::Labelled => frame.truth,
        HeatClass::Of(class) => class,
    };
    Some(session.heat.get(state, path, Some(class)))
}

/// The texture of a finished map.
pub fn texture(heat: Option<&Heat>) -> Option<TextureId> {
    match heat {
        Some(Heat::Ready(layer)) => Some(layer.texture.id()),
        _ => None,
    }
}

/// Paints the row: the switch, the class, and the legend. `labelled` is whether the image has a label.
pub fn row_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    classes: &[String],
    heat: Option<&Heat>,
    labelled: bool,
) {
    let state = &session.evaluate;
    ui.horizontal(|ui| {
        ui.set_min_height(ROW - 8.0);
        ui.spacing_mut().item_spacing.x = 8.0;
        let tip = command_tooltip(ui.ctx(), cx.app, Command::HeatMap);
        if toggle_chip(ui, state.heat, "Heat map", "Heat map")
            .on_hover_text(tip)
            .clicked()
        {
            cx.command(Command::HeatMap);
        }
        let Some(heat) = heat else { return };
        class_ui(ui, cx, session, classes, labelled);
        match heat {
            Heat::Loading => {
                spinner(ui, 16.0);
                let words = "computing; the first time, training images are read too";
                ui.add(egui::Label::new(widgets::faint(tokens(ui), words)).truncate());
            }
            Heat::Failed(why) => {
                let danger = tokens(ui).danger;
                ui.add(
                    egui::Label::new(widgets::small(tokens(ui), why.as_str()).color(danger))
                        .truncate(),
                )
                .on_hover_text(why);
            }
            Heat::Ready(layer) => legend_ui(ui, layer),
        }
    });
}

/// The choice of the class that the map explains.
fn class_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, classes: &[String], labelled: bool) {
    let t = tokens(ui);
    let state = &session.evaluate;
    let name = |class: HeatClass| match class {
        HeatClass::Predicted => "predicted class".to_owned(),
        HeatClass::Labelled => "labelled class".to_owned(),
        HeatClass::Of(index) => classes.get(index).cloned().unwrap_or_default(),
    };
    let label = words::shorten(&name(state.heat_class), 20);
    let chosen =
        menu_chip(ui, &label, "Class of the heat map").on_hover_text("The class to explain");
    Popup::menu(&chosen).width(210.0).show(|ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        let mut offered = vec![HeatClass::Predicted];
        if labelled {
            offered.push(HeatClass::Labelled);
        }
        offered.extend((0..classes.len()).map(HeatClass::Of));
        egui::ScrollArea::vertical()
            .max_height(320.0)
            .show(ui, |ui| {
                for class in offered {
                    let text = words::shorten(&name(class), 24);
                    let item = menu_item(ui, None, &text, ());
                    if let HeatClass::Of(index) = class {
                        let color = classes.get(index).and_then(|name| color_of(session, name));
                        let center = pos2(item.rect.left() + 16.0, item.rect.center().y);
                        class_mark(ui.painter(), center, color, t.muted);
                    }
                    if item.clicked() {
                        cx.act(Action::Evaluate(EvaluateAction::HeatClass(class)));
                        ui.close();
                    }
                }
            });
    });
}

/// The colours from evidence against the class to evidence for it, with their numbers.
pub fn legend_ui(ui: &mut Ui, layer: &HeatLayer) {
    let t = tokens(ui);
    let font = FontId::new(11.0, FontFamily::Proportional);
    let (rect, response) = ui.allocate_exact_size(vec2(210.0, 20.0), Sense::hover());
    let bar = Rect::from_min_max(
        pos2(rect.left() + 40.0, rect.center().y - 5.0),
        pos2(rect.right() - 40.0, rect.center().y + 5.0),
    );
    // The middle of the scale is transparent: there the image itself is seen.
    ui.painter().rect_filled(bar, 0, Color32::from_gray(128));
    let mut mesh = Mesh::default();
    let steps = 48_u32;
    for step in 0..=steps {
        let part = f64::from(step) / f64::from(steps);
        let [r, g, b, a] = heat_color(2.0 * part - 1.0);
        let color = Color32::from_rgba_unmultiplied(r, g, b, a);
        let x = bar.left() + bar.width() * part as f32;
        mesh.colored_vertex(pos2(x, bar.top()), color);
        mesh.colored_vertex(pos2(x, bar.bottom()), color);
        if step > 0 {
            let at = 2 * step;
            mesh.add_triangle(at - 2, at - 1, at);
            mesh.add_triangle(at - 1, at, at + 1);
        }
    }
    ui.painter().add(mesh);
    let [low, high] = [-layer.limit, layer.limit].map(|value| format!("{value:+.1}"));
    let text = |ui: &Ui, x: f32, anchor: Align2, words: &str| {
        let at = pos2(x, rect.center().y);
        ui.painter().text(at, anchor, words, font.clone(), t.muted);
    };
    text(ui, bar.left() - 5.0, Align2::RIGHT_CENTER, &low);
    text(ui, bar.right() + 5.0, Align2::LEFT_CENTER, &high);
    let how = if layer.exact {
        "Exact: the mean over the image plus a constant is the logit of the class."
    } else {
        "Weighted by gradients (Grad-CAM), because the map is not simply averaged by the next layer."
    };
    let (lowest, highest) = layer.range;
    let words = format!(
        "What each place adds to the logit compared with the average training image: warm speaks for the class, cold against it; here from {lowest:+.1} to {highest:+.1}. {how}"
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &words));
    response.on_hover_text(&words);
}
