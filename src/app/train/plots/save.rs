//! Writing a plot of the window to a file.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Figure, FigureCurve, FigureFormat, FigurePoints, Metric, MetricSide};
use crate::app::notes::Tone;
use crate::app::{Action, App, ExportAction, Lane, RunEntry, TrainState};
use crate::jobs::JobError;

impl TrainState {
    /// The plot of a quantity as it is drawn: all curves of the run that is drawn in full, and the validation curves
    /// of the compared ones.
    #[must_use]
    pub fn figure(&self, metric: &Metric) -> Figure {
        let mut curves = Vec::new();
        if let Some(live) = &self.live {
            let resumed = live.resumed.as_ref().map(|id| id.0.clone());
            let run = resumed.unwrap_or_else(|| "training".to_owned());
            let parts = [
                (true, &live.head, &live.head_metrics),
                (false, &live.points, &live.metrics),
            ];
            for (head, points, metrics) in parts {
                let begin = FigureCurve {
                    run: run.clone(),
                    name: run.clone(),
                    side: MetricSide::Run,
                    head,
                    begun: live.begun,
                    points: FigurePoints::Evaluations(Arc::new(points.clone())),
                };
                curves.extend(begin.sides(metrics, metric));
            }
        } else if let Some(entry) = self.focus.as_ref().and_then(|id| self.run(id)) {
            for head in [true, false] {
                curves.extend(of_entry(entry, head, metric));
            }
        }
        for entry in &self.runs {
            let id = &entry.run.id;
            let drawn = self.live.is_none() && self.focus.as_ref() == Some(id);
            let compared = self.overlays.contains(id) && !self.is_live(id) && !drawn;
            if compared && metric.tag() != Metric::BY_CLASS && entry.is_found(&self.filter) {
                let all = of_entry(entry, false, metric).into_iter();
                curves.extend(all.filter(|curve| curve.side != MetricSide::Train));
            }
        }
        Figure {
            metric: metric.clone(),
            view: self.view.clone(),
            curves,
        }
    }
}

fn of_entry(entry: &RunEntry, head: bool, metric: &Metric) -> Vec<FigureCurve> {
    let (points, metrics) = if head {
        (&entry.head, &entry.head_metrics)
    } else {
        (&entry.curves, &entry.metrics)
    };
    let begin = FigureCurve {
        run: entry.run.id.0.clone(),
        name: entry.title(),
        side: MetricSide::Run,
        head,
        begun: entry.begun(),
        points: FigurePoints::Evaluations(Arc::clone(points)),
    };
    begin.sides(metrics, metric)
}

impl App {
    /// Writes a plot, in the background.
    pub(in crate::app) fn save_figure(
        &mut self,
        metric: &Metric,
        format: FigureFormat,
        path: PathBuf,
        replace: bool,
    ) {
        let Some(session) = &self.session else {
            return;
        };
        let figure = session.train.figure(metric);
        let folder = path.parent().map(std::path::Path::to_owned);
        self.tasks.start(
            Lane::Free,
            "Saving a plot",
            true,
            move |work| figure.write(format, &path, replace, work),
            move |app, result| match result {
                Ok(()) => {
                    let note = app.notes.add(Tone::Done, "Plot saved");
                    note.remedy = folder.map(|folder| {
                        let action = Action::Export(ExportAction::Reveal(folder));
                        ("Show in folder".to_owned(), action)
                    });
                }
                Err(JobError::Cancelled) => {}
                Err(error) => {
                    app.fail(error.to_string());
                }
            },
        );
    }
}
