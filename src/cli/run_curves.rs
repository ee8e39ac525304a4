//! Writing the curves of runs to a file: a table, JSON, or an image of the plot.

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::Serialize;

use crate::app::{Axis, CurveView, Figure, FigureCurve, FigureFormat, Metric};
use crate::files;
use crate::project::Project;

use super::console::Console;
use super::{shown, which};

/// What is written of curves, and where.
#[derive(Debug, clap::Args)]
pub struct CurvesArgs {
    /// Write the curves of this run (`latest`, its name or its folder) to --out; can be given several times
    #[arg(long, value_name = "RUN", requires = "out")]
    curves: Vec<String>,
    /// Which curves: `accuracy`, `cross_entropy`, `learning_rate`, `gradient_norm`, `accuracy/CLASS`, or `accuracy/`
    /// for all classes
    #[arg(
        long,
        value_name = "TAG",
        default_value = "accuracy",
        requires = "curves"
    )]
    tag: String,
    /// The file: CSV, JSON, SVG or PNG by its extension; an existing file is not replaced
    #[arg(short, long, value_name = "FILE", requires = "curves")]
    out: Option<PathBuf>,
    /// The file's format, regardless of its extension
    #[arg(long, value_enum, requires = "curves")]
    format: Option<Format>,
    /// Smoothing factor, 0 (none) to 0.99
    #[arg(long, value_name = "W", default_value_t = 0.6, requires = "curves")]
    smoothing: f64,
    /// The horizontal axis of an image
    #[arg(long, value_enum, default_value = "step", requires = "curves")]
    axis: AxisArg,
    /// Use a logarithmic vertical axis in an image
    #[arg(long, requires = "curves")]
    log: bool,
    /// Limit the vertical axis of an image to the 5th to 95th percentile
    #[arg(long, requires = "curves")]
    ignore_outliers: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Csv,
    Json,
    Svg,
    Png,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum AxisArg {
    /// Steps
    Step,
    /// Training time
    Time,
    /// Time of day
    Clock,
}

/// The result of writing.
#[derive(Debug, Serialize)]
pub struct Written {
    /// The file.
    pub path: String,
    tag: String,
    runs: Vec<String>,
    bytes: u64,
}

impl CurvesArgs {
    /// Writes the requested file; `None` if none was requested.
    pub fn write(&self, console: &Console, project: &Project) -> anyhow::Result<Option<Written>> {
        let Some(out) = self.out.clone() else {
            return Ok(None);
        };
        if !(0.0..1.0).contains(&self.smoothing) {
            bail!("--smoothing must be from 0 to 0.99");
        }
        let format = match self.format {
            Some(Format::Csv) => FigureFormat::Csv,
            Some(Format::Json) => FigureFormat::Json,
            Some(Format::Svg) => FigureFormat::Svg,
            Some(Format::Png) => FigureFormat::Png,
            None => FigureFormat::of(&out).with_context(|| {
                format!(
                    "“{}” has none of the extensions csv, json, svg and png; choose the format with --format",
                    shown(&out)
                )
            })?,
        };
        let metric = Metric::new(self.tag.clone());
        let mut runs = Vec::new();
        let mut curves = Vec::new();
        for name in &self.curves {
            let run = which::find(project, name, false)?;
            if !runs.contains(&run.id.0) {
                curves.extend(FigureCurve::of_run(&run, &metric)?);
                runs.push(run.id.0);
            }
        }
        let view = CurveView {
            smoothing: self.smoothing,
            axis: match self.axis {
                AxisArg::Step => Axis::Step,
                AxisArg::Time => Axis::Time,
                AxisArg::Clock => Axis::Wall,
            },
            ignore_outliers: self.ignore_outliers,
            ..CurveView::default()
        };
        let figure = Figure {
            view: view.with_log(&metric, self.log),
            metric,
            curves,
        };
        let path = out.clone();
        console.run("curves", move |work| {
            figure.write(format, &path, false, work)
        })?;
        Ok(Some(Written {
            bytes: files::metadata(&out)?.len(),
            path: shown(&out),
            tag: self.tag.clone(),
            runs,
        }))
    }
}
