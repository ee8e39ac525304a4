//! Writing a plot of the window to a file.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Figure, FigureCurve, FigureFormat, Metric, Side};
use crate::app::notes::Tone;
use crate::app::{Action, App, ExportAction, Lane, TrainState};
use crate::jobs::JobError;

impl TrainState {
    /// The plot of a quantity as it is drawn: the run that is drawn in full, and of those that are compared the validation
    /// curves.
    #[must_use]
    pub fn figure(&self, metric: &Metric) -> Figure {
        let mut curves = Vec::new();
        if let Some(live) = &self.live {
            let resumed = live.resumed.as_ref().map(|id| id.0.clone());
            let run = resumed.unwrap_or_else(|| "training".to_owned());
            for (head, points) in [(true, &live.head), (false, &live.points)] {
                let points = Arc::new(points.clone());
                curves.extend(sides(&run, &run, head, live.begun, &points));
            }
        } else if let Some(entry) = self.focus.as_ref().and_then(|id| self.run(id)) {
            let [id, title] = [entry.run.id.0.clone(), entry.title()];
            for (head, points) in [(true, &entry.head), (false, &entry.curves)] {
                curves.extend(sides(&id, &title, head, entry.begun(), points));
            }
        }
        for entry in &self.runs {
            let id = &entry.run.id;
            let drawn = self.live.is_none() && self.focus.as_ref() == Some(id);
            if self.overlays.contains(id)
                && !self.is_live(id)
                && !drawn
                && entry.is_found(&self.filter)
            {
                curves.push(FigureCurve {
                    run: id.0.clone(),
                    name: entry.title(),
                    side: Side::Validation,
                    head: false,
                    begun: entry.begun(),
                    points: Arc::clone(&entry.curves),
                });
            }
        }
        Figure {
            metric: metric.clone(),
            view: self.view.clone(),
            curves,
        }
    }
}

fn sides(
    run: &str,
    name: &str,
    head: bool,
    begun: f64,
    points: &Arc<crate::train::Curves>,
) -> [FigureCurve; 2] {
    [Side::Train, Side::Validation].map(|side| FigureCurve {
        run: run.to_owned(),
        name: name.to_owned(),
        side,
        head,
        begun,
        points: Arc::clone(points),
    })
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
                    let note = app.notes.add(Tone::Done, "The plot is saved");
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
