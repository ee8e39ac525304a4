//! The plots of the train workspace: a card for each quantity, with raw lines thin and faint, smoothed lines strong,
//! compared runs, the head's own curves before those of the fine-tuning, and the values under the pointer.

mod baseline;
mod card;
mod draw;
mod groups;
mod histograms;
mod legend;
mod lines;
mod pointer;
mod shell;

use std::collections::{BTreeSet, HashMap, HashSet};

use egui::{Align, Color32, Ui, Vec2b};
use egui_plot::PlotMemory;

use crate::app::{Axis, Budget, Line, Metric, Session};
use crate::train::{RunId, Series};
use crate::ui::theme::{self, Tokens, tokens};
use crate::ui::widgets::{self, panel, quiet_button, scroll_ui, segments};
use crate::ui::{Cx, icons};

use groups::{PlotGroup, Plotted, groups};
use histograms::{Style, histograms_ui};
use lines::LineKey;

/// Least height of a plot with its title, points: two of them fit below a long sentence in the smallest window.
const LEAST: f32 = 96.0;
/// The length of the head's own curves, as a fraction of that of the fine-tuning.
const HEAD_PART: f64 = 0.22;
/// The most points of curves that are added in a frame: much less than a millisecond.
const TAKEN_IN: usize = 15_000;

/// State of the painting.
#[derive(Default)]
pub struct View {
    /// The position of the pointer on the horizontal axis, and its plot.
    hover: Option<(f64, Metric)>,
    /// The lines as they are drawn; updated with their points.
    lines: HashMap<LineKey, Line>,
    /// What is drawn in full, and its axis: for something else the zoom is undone.
    shown: Option<(Option<RunId>, bool, Axis)>,
    /// The plots that were drawn since.
    seen: HashSet<Metric>,
    /// The expanded groups.
    open: BTreeSet<PlotGroup>,
    /// A group to scroll to.
    scroll_to: Option<PlotGroup>,
    /// How histograms are drawn.
    style: Style,
}

/// The colour of a compared run, by its number (`TrainState::color_of`), and whether its line is dashed: there are
/// fewer colours than runs.
pub fn overlay_color(t: &Tokens, number: usize) -> (Color32, bool) {
    // Sky blue is validation, and orange is too close to the accent.
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

/// Paints the plots: accuracy and cross-entropy share the available height, the others are below them.
pub fn plots_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    let gap = ui.spacing().item_spacing.y + 4.0;
    let height = ((ui.available_height() - gap) / 2.0).floor().max(LEAST);
    let hover = view.hover.take();
    view.follow(ui, session);
    let mut budget = Budget::new(TAKEN_IN);
    let groups = groups(session);
    scroll_ui(ui, |ui| {
        let mut column = Column {
            session,
            height,
            hover: hover.as_ref(),
            more: groups.keys().cloned().collect(),
            view,
            budget: &mut budget,
        };
        column.card_ui(ui, cx, &Plotted::evaluations(Metric::ACCURACY));
        ui.add_space(4.0);
        column.card_ui(ui, cx, &Plotted::evaluations(Metric::CROSS_ENTROPY));
        for (group, series) in groups {
            ui.add_space(4.0);
            column.group_ui(ui, cx, &group, series);
        }
    });
    session.train.visit(budget.spent());
    // Lines of deleted runs are dropped.
    view.lines.retain(|key, _| {
        key.run
            .as_ref()
            .is_none_or(|id| session.train.run(id).is_some())
    });
    if view.hover != hover || budget.is_used_up() {
        // The other plots show the same position; long curves are read over several frames.
        ui.ctx().request_repaint();
    }
}

/// The column of plots.
struct Column<'a> {
    session: &'a Session,
    /// Of a plot, points.
    height: f32,
    hover: Option<&'a (f64, Metric)>,
    /// The groups below the two plots.
    more: Vec<PlotGroup>,
    view: &'a mut View,
    budget: &'a mut Budget,
}

impl Column<'_> {
    fn card_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, plot: &Plotted) {
        self.view.seen.insert(plot.metric.clone());
        let card = card::Card {
            session: self.session,
            plot,
            height: self.height,
            hover: self.hover,
            more: &self.more,
        };
        card.show(ui, cx, self.view, self.budget);
    }

    /// A heading that expands and collapses a group, and its plots below it.
    fn group_ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, group: &PlotGroup, series: Vec<Series>) {
        let open = self.view.open.contains(group);
        let glyph = if open {
            icons::CARET_DOWN
        } else {
            icons::CARET_RIGHT
        };
        let title = group.title();
        let press = quiet_button(ui, Some(glyph), &title);
        press.widget_info(|| {
            egui::WidgetInfo::selected(egui::Role::Button, true, open, format!("Plot {title}"))
        });
        if press.clicked() {
            self.view.turn(group);
        }
        if self.view.scroll_to.as_ref() == Some(group) {
            press.scroll_to_me(Some(Align::TOP));
            self.view.scroll_to = None;
        }
        if !open {
            return;
        }
        if matches!(group, PlotGroup::Histograms(_)) {
            self.histograms_ui(ui, &series);
        } else if let Some(plot) = group.plot(series) {
            self.card_ui(ui, cx, &plot);
        }
    }

    fn histograms_ui(&mut self, ui: &mut Ui, series: &[Series]) {
        let styles = ["Overlaid", "Percentiles"];
        let chosen = usize::from(self.view.style == Style::Bands);
        ui.scope(|ui| {
            ui.set_max_width(260.0);
            match segments(ui, chosen, &styles) {
                Some(0) => self.view.style = Style::Ridges,
                Some(_) => self.view.style = Style::Bands,
                None => {}
            }
        });
        let state = &self.session.train;
        let t = tokens(ui);
        for (part, metrics) in [
            ("", state.main_metrics()),
            ("head alone: ", state.head_metrics()),
        ] {
            for series in series {
                let all = metrics.map_or(&[][..], |metrics| metrics.histograms(series));
                if all.is_empty() {
                    continue;
                }
                let name = format!("{part}{}", series.tag);
                panel(ui).show(ui, |ui| {
                    ui.set_width(ui.available_width());
                    ui.set_height(self.height - 30.0);
                    ui.label(widgets::name(&name));
                    let looked = histograms_ui(ui, &name, all, self.view.style, t.accent);
                    state.visit(looked);
                });
            }
        }
    }
}

impl View {
    /// Expands or collapses a group.
    fn turn(&mut self, group: &PlotGroup) {
        if !self.open.remove(group) {
            self.open.insert(group.clone());
            self.scroll_to = Some(group.clone());
        }
    }

    /// Undoes zooming in if something else is drawn.
    fn follow(&mut self, ui: &Ui, session: &Session) {
        let state = &session.train;
        let is_fine_tuned = !state.head_points().is_empty();
        let focus = match &state.live {
            Some(_) => None,
            None => state.focus.clone(),
        };
        let shown = Some((focus, is_fine_tuned, state.view.axis));
        if self.shown == shown {
            return;
        }
        self.shown = shown;
        for metric in self.seen.drain() {
            let id = shell::plot_id(session, &metric);
            if let Some(mut memory) = PlotMemory::load(ui.ctx(), id) {
                memory.auto_bounds = Vec2b::TRUE;
                memory.store(ui.ctx(), id);
            }
        }
    }
}
