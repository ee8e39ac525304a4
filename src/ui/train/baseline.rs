//! What the head alone reached, as a line across the plots of a training that went deeper.

use egui::Ui;
use egui_plot::{HLine, LineStyle, PlotUi};

use super::legend::sample_ui;
use crate::app::{LOG_FLOOR, Metric, Session, words};
use crate::ui::theme::Tokens;
use crate::ui::widgets;

/// Where the line is, and what the legend says of it.
pub(super) struct Baseline {
    pub label: String,
    pub y: f64,
}

/// The line of a plot; `None` where nothing deeper was trained.
pub(super) fn baseline(session: &Session, metric: Metric) -> Option<Baseline> {
    let best = session.train.baseline()?;
    let (figure, y) = match metric {
        Metric::Accuracy => {
            let part = f64::from(best.validation_accuracy);
            (words::percent(part), part * 100.0)
        }
        Metric::CrossEntropy => {
            let value = f64::from(best.validation_cross_entropy);
            let log = session.train.view.log_cross_entropy;
            let y = if log {
                value.max(LOG_FLOOR).log10()
            } else {
                value
            };
            (format!("{value:.3}"), y)
        }
    };
    Some(Baseline {
        label: format!("head alone {figure}"),
        y,
    })
}

impl Baseline {
    /// Draws it behind the curves.
    pub fn draw(&self, plot: &mut PlotUi<'_>, t: &Tokens) {
        plot.hline(
            HLine::new(self.label.clone(), self.y)
                .color(t.muted)
                .width(1.5)
                .style(LineStyle::Dashed { length: 5.0 })
                .allow_hover(false),
        );
    }

    /// Its place in the legend.
    pub fn legend_ui(&self, ui: &mut Ui, t: &Tokens) {
        sample_ui(ui, t.muted, true);
        ui.label(widgets::small(t, &self.label))
            .on_hover_text("What the head alone reached on the validation images, before anything deeper was trained");
    }
}
