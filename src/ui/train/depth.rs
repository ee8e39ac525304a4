//! The choice of the depth, with the estimated cost of each on this computer.

use egui::{Align, Align2, CornerRadius, FontId, Layout, Response, Sense, Ui, vec2};

use crate::app::{Action, Session, TrainAction, words};
use crate::backbone::Depth;
use crate::train::DepthEstimate;
use crate::ui::Cx;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, choice, field_label};

/// Width of the list, points.
const LIST: f32 = 356.0;
const ROW: f32 = 44.0;
/// Height of a line of the summary below the choice, points; in a column that is narrower than this it has three.
const LINE: f32 = 16.0;
const NARROW: f32 = 210.0;
const TIP: &str = "How much of the network is trained: only the last layer, or blocks before it too, which takes longer and is often more accurate";

/// Paints the choice and its summary.
pub(super) fn depth_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    field_label(ui, "Depth").on_hover_text(TIP);
    let chosen = session.train.depth.chosen;
    let estimate = session.estimate();
    let selected = session.depth().map_or("Recommended", Depth::title);
    choice(ui, "depth", "Depth", selected, |ui| {
        ui.set_min_width(LIST);
        let recommended = estimate.map(|found| found.recommended);
        let title = match recommended {
            Some(depth) => format!("Recommended: {}", depth.title()),
            None => "Recommended".to_owned(),
        };
        let automatic = DepthRow {
            title: &title,
            figures: "by number of images and training time",
            mark: "",
            on: chosen.is_none(),
        };
        if row_ui(ui, &automatic)
            .on_hover_text("Uses the recommended depth, which may change when images are added. If the head alone classifies all images outside the test set correctly, nothing more is trained")
            .clicked()
        {
            cx.act(Action::Train(TrainAction::SetDepth(None)));
            ui.close();
        }
        let all = || Depth::ALL.iter().map(|depth| (*depth, None)).collect();
        let rows: Vec<(Depth, Option<&DepthEstimate>)> = estimate.map_or_else(all, |found| {
            let depths = found.depths.iter();
            depths.map(|of| (of.depth, Some(of))).collect()
        });
        for (depth, of) in rows {
            let figures = of.map(|of| figures(of, "about")).unwrap_or_default();
            let row = DepthRow {
                title: depth.title(),
                figures: &figures,
                mark: if recommended == Some(depth) {
                    "recommended"
                } else {
                    ""
                },
                on: chosen == Some(depth),
            };
            if row_ui(ui, &row).on_hover_text(tip(depth, of)).clicked() {
                cx.act(Action::Train(TrainAction::SetDepth(Some(depth))));
                ui.close();
            }
        }
    });
    summary_ui(ui, session);
}

/// The estimated cost of the chosen depth, or why it is unknown.
fn summary_ui(ui: &mut Ui, session: &Session) {
    let t = tokens(ui);
    let words = if let (Some(found), Some(depth)) = (session.estimate(), session.depth()) {
        let automatic = session.train.depth.chosen.is_none();
        // If the head alone is better, no more is trained.
        let bound = if automatic && depth != Depth::Head {
            "up to"
        } else {
            "about"
        };
        let figures = found.of(depth).map(|of| figures(of, bound));
        let figures = figures.unwrap_or_default();
        if automatic {
            format!("Recommended · {figures}")
        } else {
            figures
        }
    } else if let Some(error) = session.estimate_error() {
        format!("The speed of this computer could not be measured: {error}")
    } else if session.train.live.is_some() {
        "measured after the training".to_owned()
    } else {
        "measuring the speed of this computer…".to_owned()
    };
    // The same height while the computer is being measured, so that nothing below jumps afterwards.
    let lines = if ui.available_width() < NARROW {
        3.0
    } else {
        2.0
    };
    let size = vec2(ui.available_width(), lines * LINE);
    ui.allocate_ui_with_layout(size, Layout::top_down(Align::Min), |ui| {
        ui.set_min_size(size);
        ui.add(egui::Label::new(widgets::faint(t, words).line_height(Some(LINE))).wrap())
            .on_hover_text(
                "Number of trained weights, disk space for the cache, and training time with an empty cache; less if the depth is recommended and the head alone is accurate enough",
            );
    });
}

/// `1.97 M weights · 38 MB · about 40 s on this computer`, with `bound` for “about”.
fn figures(of: &DepthEstimate, bound: &str) -> String {
    // A number stays with its unit when a line is broken.
    let whole = |text: &str| text.replace(' ', "\u{a0}");
    let weights = words::weights(of.trained_weights);
    let mut parts = vec![format!("{} weights", whole(&weights))];
    if of.cache_bytes > 0 {
        parts.push(whole(&words::rounded_bytes(of.cache_bytes)));
    }
    let time = words::about(of.secs).replacen("about", bound, 1);
    parts.push(format!("{time} on this computer"));
    parts.join(" · ")
}

fn tip(depth: Depth, of: Option<&DepthEstimate>) -> String {
    let mut text = match depth {
        Depth::Head => {
            "Only the last layer is trained; the network before it stays as it is".to_owned()
        }
        depth => format!("The head is trained first, then {} with it", {
            words::depth_part(depth)
        }),
    };
    if let Some(of) = of.filter(|of| of.steps > 0) {
        text.push_str(", for ");
        text.push_str(&words::count(u64::from(of.steps), "step"));
    }
    if of.is_some_and(|of| of.over_budget) {
        text.push_str(". The activations do not fit into the cache budget, so the rest is recomputed in each step");
    }
    text
}

struct DepthRow<'a> {
    title: &'a str,
    figures: &'a str,
    mark: &'a str,
    on: bool,
}

/// A row of the list, with its estimates below the title.
fn row_ui(ui: &mut Ui, row: &DepthRow<'_>) -> Response {
    let t = tokens(ui);
    // The same height without estimates, so that nothing jumps when they are ready.
    let size = vec2(ui.available_width(), ROW);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let name = if row.figures.is_empty() {
        row.title.to_owned()
    } else {
        format!("{}, {}", row.title, row.figures)
    };
    response
        .widget_info(|| egui::WidgetInfo::selected(egui::Role::ListBoxOption, true, row.on, &name));
    if !ui.is_rect_visible(rect) {
        return response;
    }
    let painter = ui.painter();
    let fill = if response.hovered() || response.has_focus() {
        Some(t.raised)
    } else {
        row.on.then_some(t.accent_soft)
    };
    if let Some(fill) = fill {
        painter.rect_filled(rect, CornerRadius::same(theme::RADIUS_SMALL), fill);
    }
    let inner = rect.shrink2(vec2(10.0, 6.0));
    let body = FontId::new(theme::TYPE_BODY, theme::medium());
    let small = FontId::proportional(theme::TYPE_SMALL);
    let (title_at, align) = if row.figures.is_empty() {
        (inner.left_center(), Align2::LEFT_CENTER)
    } else {
        (inner.left_top(), Align2::LEFT_TOP)
    };
    painter.text(title_at, align, row.title, body, t.text);
    let mark = inner.right_top();
    painter.text(
        mark,
        Align2::RIGHT_TOP,
        row.mark,
        small.clone(),
        t.accent_text,
    );
    let at = inner.left_bottom();
    painter.text(at, Align2::LEFT_BOTTOM, row.figures, small, t.faint);
    response
}
