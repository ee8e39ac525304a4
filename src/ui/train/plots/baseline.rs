//! The result of the head alone, as a line across the plots of a fine-tuning.

use egui::Ui;
use egui_plot::{HLine, LineStyle, PlotUi};

use super::legend::sample_ui;
use crate::app::{Metric, Session, words};
use crate::ui::theme::Tokens;
use crate::ui::widgets;

/// The position of the line, and its text in the legend.
pub(super) struct Baseline {
    pub label: String,
    /// Per cent for fractions.
    pub value: f64,
    /// The same on the vertical axis.
    y: f64,
}

/// The line of a plot; `None` if nothing was fine-tuned, or if the quantity is unknown for the head alone.
pub(super) fn baseline(session: &Session, metric: &Metric) -> Option<Baseline> {
    let best = session.train.baseline()?;
    let (figure, value) = if *metric == Metric::ACCURACY {
        let part = f64::from(best.validation_accuracy);
        (words::percent(part), part * 100.0)
    } else if *metric == Metric::CROSS_ENTROPY {
        let value = f64::from(best.validation_cross_entropy);
        (format!("{value:.3}"), value)
    } else {
        return None;
    };
    Some(Baseline {
        label: format!("head alone {figure}"),
        value,
        y: metric.height(value, session.train.view.is_log(metric)),
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

    /// Its entry in the legend.
    pub fn legend_ui(&self, ui: &mut Ui, t: &Tokens) {
        sample_ui(ui, t.muted, true);
        ui.label(widgets::small(t, &self.label))
            .on_hover_text("Result of the head alone on the validation images, before fine-tuning");
    }
}
