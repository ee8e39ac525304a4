//! The card of a plot: its title, the options for its curves, and the plot.

use egui::{Align, Layout, Popup, Ui, Vec2b};
use egui_plot::PlotMemory;

use super::View;
use super::baseline::baseline;
use super::groups::{PlotGroup, PlotOf, Plotted};
use super::legend::{classes_ui, compared_ui, legend_ui};
use super::lines::lines;
use super::shell::{Shell, plot_id};
use crate::app::{
    Action, Ask, Axis, Budget, CurveView, FigureFormat, Metric, Session, TrainAction,
};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, chip, icon_button, menu_chip, menu_item, panel, separator, slider};

/// The card of one quantity.
pub(super) struct Card<'a> {
    pub session: &'a Session,
    pub plot: &'a Plotted,
    /// Points.
    pub height: f32,
    /// The position of the pointer, in this or another plot.
    pub hover: Option<&'a (f64, Metric)>,
    /// The other groups of plots of this run.
    pub more: &'a [PlotGroup],
}

impl Card<'_> {
    /// Paints it.
    pub fn show(&self, ui: &mut Ui, cx: &mut Cx<'_>, view: &mut View, budget: &mut Budget) {
        let t = tokens(ui);
        let mut here = None;
        panel(ui).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.set_height(self.height - 30.0);
            // Clipped, so that it does not cover its neighbours.
            let room = ui.max_rect().expand(14.0);
            ui.shrink_clip_rect(room);
            self.bar_ui(ui, cx, view);
            let lines = lines(t, self.session, view, self.plot, budget);
            if matches!(self.plot.of, PlotOf::Classes(_)) {
                classes_ui(ui, &lines);
            }
            compared_ui(ui, &lines);
            if lines.iter().all(|line| line.line.is_empty()) {
                self.waiting_ui(ui);
            } else {
                let shell = Shell {
                    session: self.session,
                    metric: &self.plot.metric,
                    lines: &lines,
                    hover: self.hover,
                };
                here = shell.show(ui);
            }
        });
        if let Some(x) = here {
            view.hover = Some((x, self.plot.metric.clone()));
        }
    }

    /// The title, and the options for the curves.
    fn bar_ui(&self, ui: &mut Ui, cx: &mut Cx<'_>, view: &mut View) {
        let t = tokens(ui);
        let now = &self.session.train.view;
        let mut next = now.clone();
        ui.horizontal(|ui| {
            ui.set_min_height(theme::CHIP_HEIGHT);
            ui.label(widgets::title(self.plot.metric.title()));
            // The smoothing needs its width, and the baseline more than the two lines; what does not fit is left out.
            let room = ui.available_width();
            let first = self.plot.metric == Metric::ACCURACY;
            let [least, least_baseline] = if first {
                [462.0, 602.0]
            } else {
                [340.0, 500.0]
            };
            if room > least && matches!(self.plot.of, PlotOf::Evaluations) {
                ui.add_space(6.0);
                let line =
                    baseline(self.session, &self.plot.metric).filter(|_| room > least_baseline);
                legend_ui(ui, t, line.as_ref());
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = 8.0;
                self.menu_ui(ui, cx, &mut next);
                if first {
                    axis_ui(ui, &mut next);
                } else if chip(ui, now.is_log(&self.plot.metric), "log")
                    .on_hover_text("Logarithmic scale, which shows small values better")
                    .clicked()
                {
                    next = now.with_log(&self.plot.metric, !now.is_log(&self.plot.metric));
                }
                // The last plot that is always shown has the button for the others.
                let zoomed = self.is_zoomed(ui);
                let least = if zoomed { 270.0 } else { 170.0 };
                if self.plot.metric == Metric::CROSS_ENTROPY && room > least {
                    self.more_ui(ui, view);
                }
                if zoomed {
                    self.fit_ui(ui);
                }
                if first {
                    if room > 330.0 || (room > 245.0 && !zoomed) {
                        ui.label(widgets::small(t, format!("{:.2}", now.smoothing)));
                    }
                    slider(
                        ui,
                        "Smoothing",
                        &mut next.smoothing,
                        0.0..=0.99,
                        false,
                        84.0,
                    )
                    .on_hover_text(
                        "Smoothing of the thick line; the thin line shows the measured values",
                    );
                    if room > 340.0 {
                        ui.label(widgets::small(t, "smoothing"));
                    }
                }
            });
        });
        if next != *now {
            cx.act(Action::Train(TrainAction::View(next)));
        }
    }

    /// The button for the collapsed plots.
    fn more_ui(&self, ui: &mut Ui, view: &mut View) {
        if self.more.is_empty() {
            return;
        }
        let chip =
            menu_chip(ui, "more", "More plots").on_hover_text("Learning rate and others, below");
        Popup::menu(&chip).width(240.0).show(|ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            for group in self.more {
                if menu_item(ui, tick(view.open.contains(group)), &group.title(), ()).clicked() {
                    view.turn(group);
                    ui.close();
                }
            }
        });
    }

    /// The commands for this plot.
    fn menu_ui(&self, ui: &mut Ui, cx: &mut Cx<'_>, next: &mut CurveView) {
        let title = self.plot.metric.title();
        let more = icon_button(
            ui,
            icons::MORE,
            &format!("More about the plot {title}"),
            "Scale, outliers, save as a file",
        );
        Popup::menu(&more).width(230.0).show(|ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            let log = next.is_log(&self.plot.metric);
            if menu_item(ui, tick(log), "Logarithmic scale", ()).clicked() {
                *next = next.with_log(&self.plot.metric, !log);
                ui.close();
            }
            let item = menu_item(ui, tick(next.ignore_outliers), "Ignore outliers", ());
            if item
                .on_hover_text(
                    "Limit the vertical axes of all plots to the 5th to 95th percentile",
                )
                .clicked()
            {
                next.ignore_outliers = !next.ignore_outliers;
                ui.close();
            }
            if menu_item(ui, Some(icons::REFRESH), "Fit to the data", ()).clicked() {
                self.fit(ui);
                ui.close();
            }
            separator(ui);
            for format in FigureFormat::ALL {
                let label = format!("Save as {}…", format.title());
                if menu_item(ui, Some(icons::EXPORT), &label, ()).clicked() {
                    cx.act(Action::Ask(Ask::Figure(self.plot.metric.clone(), format)));
                    ui.close();
                }
            }
            separator(ui);
            ui.add(
                egui::Label::new(widgets::faint(
                    tokens(ui),
                    "Drag to select a section, Shift-drag to move it, Ctrl and wheel to zoom, double-click to show everything.",
                ))
                .wrap(),
            );
        });
    }

    /// Whether the plot is zoomed in.
    fn is_zoomed(&self, ui: &Ui) -> bool {
        let memory = PlotMemory::load(ui.ctx(), plot_id(self.session, &self.plot.metric));
        memory.is_some_and(|memory| memory.auto_bounds != Vec2b::TRUE)
    }

    /// Undoes zooming in.
    fn fit_ui(&self, ui: &mut Ui) {
        let reset = chip(ui, true, "Reset zoom");
        if reset
            .on_hover_text("Show the whole curves again (double-click)")
            .clicked()
        {
            self.fit(ui);
        }
    }

    fn fit(&self, ui: &Ui) {
        let id = plot_id(self.session, &self.plot.metric);
        if let Some(mut memory) = PlotMemory::load(ui.ctx(), id) {
            memory.auto_bounds = Vec2b::TRUE;
            memory.store(ui.ctx(), id);
        }
    }

    fn waiting_ui(&self, ui: &mut Ui) {
        let t = tokens(ui);
        let words = if self.session.train.live.is_some() {
            "Curves appear with the first steps."
        } else if self.session.train.focus.is_some() {
            "This run has no curves."
        } else {
            "Press Train; curves appear here while it runs."
        };
        ui.centered_and_justified(|ui| {
            ui.label(widgets::faint(t, words));
        });
    }
}

fn tick(on: bool) -> Option<char> {
    on.then_some(icons::CHECK)
}

/// The choice of the horizontal axis, for all plots.
fn axis_ui(ui: &mut Ui, next: &mut CurveView) {
    let axes = [
        (Axis::Step, "steps", "Steps"),
        (Axis::Time, "time", "Training time"),
        (Axis::Wall, "clock", "Wall clock"),
    ];
    let label = axes
        .iter()
        .find(|(axis, ..)| *axis == next.axis)
        .map_or("steps", |(_, label, _)| label);
    let chip = menu_chip(ui, label, "Horizontal axis")
        .on_hover_text("Draw the curves over steps, training time or time of day");
    Popup::menu(&chip).width(180.0).show(|ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        for (axis, _, name) in axes {
            if menu_item(ui, tick(axis == next.axis), name, ()).clicked() {
                next.axis = axis;
                ui.close();
            }
        }
    });
}
