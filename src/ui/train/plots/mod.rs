//! The plots of the train workspace: a card for each quantity, with raw lines thin and faint, smoothed lines strong, compared
//! runs, the head's own curves before those of a deeper training, and the values under the pointer.

mod baseline;
mod card;
mod draw;
mod legend;
mod lines;
mod pointer;
mod shell;

use std::collections::HashMap;

use egui::{Color32, Ui, Vec2b};
use egui_plot::PlotMemory;

use crate::app::{Axis, Budget, Line, Metric, Session};
use crate::train::RunId;
use crate::ui::Cx;
use crate::ui::theme::{self, Tokens};

use lines::LineKey;

/// Least height of a plot with its title, points: both fit below a long sentence in the smallest window.
const LEAST: f32 = 96.0;
/// The head's own curves take this part of the length of what follows them.
const HEAD_PART: f64 = 0.22;
/// Points of curves that may be taken in per frame: well below a millisecond's work.
const TAKEN_IN: usize = 30_000;

/// State of the painting alone.
#[derive(Default)]
pub struct View {
    /// Where the pointer is on the horizontal axis, and in which plot.
    hover: Option<(f64, Metric)>,
    /// Lines as they are drawn; they follow their points.
    lines: HashMap<LineKey, Line>,
    /// What is drawn in full, and its axis: something else is not looked at through the same section.
    shown: Option<(Option<RunId>, bool, Axis)>,
}

/// The colour in which a run is compared, by its number (`TrainState::color_of`), and whether its line is dashed: there are
/// fewer colours than runs.
pub fn overlay_color(t: &Tokens, number: usize) -> (Color32, bool) {
    // Sky blue is validation's and orange is too close to the accent.
    let color = match number % 6 {
        0 => t.muted,
        1 => theme::class_color(2),
        2 => theme::class_color(3),
        3 => theme::class_color(6),
        4 => theme::class_color(4),
        _ => theme::class_color(5),
    };
    (color, number % 12 >= 6)
}

/// Paints the plots, accuracy and cross-entropy sharing the height there is.
pub fn plots_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    let gap = ui.spacing().item_spacing.y + 4.0;
    let height = ((ui.available_height() - gap) / 2.0).floor().max(LEAST);
    let hover = view.hover.take();
    view.follow(ui, session);
    let mut budget = Budget::new(TAKEN_IN);
    for metric in [Metric::ACCURACY, Metric::CROSS_ENTROPY] {
        if metric != Metric::ACCURACY {
            ui.add_space(4.0);
        }
        let card = card::Card {
            session,
            metric: &metric,
            height,
            hover: hover.as_ref(),
        };
        card.show(ui, cx, view, &mut budget);
    }
    session.train.visit(budget.spent());
    // Runs that are gone need no lines any more.
    view.lines.retain(|key, _| {
        key.run
            .as_ref()
            .is_none_or(|id| session.train.run(id).is_some())
    });
    if view.hover != hover || budget.is_used_up() {
        // The other plots show the same place; long curves are taken in by and by.
        ui.ctx().request_repaint();
    }
}

impl View {
    /// Leaves the section that was zoomed into when something else is drawn.
    fn follow(&mut self, ui: &Ui, session: &Session) {
        let state = &session.train;
        let deeper = !state.head_points().is_empty();
        let focus = match &state.live {
            Some(_) => None,
            None => state.focus.clone(),
        };
        let shown = Some((focus, deeper, state.view.axis));
        if self.shown == shown {
            return;
        }
        self.shown = shown;
        for metric in [Metric::ACCURACY, Metric::CROSS_ENTROPY] {
            let id = shell::plot_id(session, &metric);
            if let Some(mut memory) = PlotMemory::load(ui.ctx(), id) {
                memory.auto_bounds = Vec2b::TRUE;
                memory.store(ui.ctx(), id);
            }
        }
    }
}
