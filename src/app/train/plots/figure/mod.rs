//! A plot as a file: every value as CSV or JSON, the image as SVG or PNG. For the window and the command line.

mod drawing;
mod raster;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::line::{Line, Mean};
use super::{Axis, Budget, CurveView, Metric, MetricSide, Points};
use crate::files::{self, Durability, FileError};
use crate::jobs::{Cancelled, Work};
use crate::text::csv_cell;
use crate::train::{At, Curves, MetricKind, Metrics, Run, RunNote};

/// The format of a plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FigureFormat {
    /// A line for each value.
    Csv,
    /// A list of curves with their values.
    Json,
    /// The image, as vectors.
    Svg,
    /// The image, as pixels.
    Png,
}

impl FigureFormat {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Csv, Self::Json, Self::Svg, Self::Png];

    /// Its name: `CSV`.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::Svg => "SVG",
            Self::Png => "PNG",
        }
    }

    /// The extension of its files.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Svg => "svg",
            Self::Png => "png",
        }
    }

    /// The format of a file by its name; `None` for other extensions.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|format| format.extension() == extension)
    }
}

/// Why a plot was not written.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// There is nothing to write.
    #[error("none of these runs has values of “{0}”; choose another quantity")]
    Empty(String),
    /// Another file would be overwritten.
    #[error("“{0}” already exists; choose another name")]
    Exists(String),
    /// The image could not be drawn.
    #[error("the plot could not be drawn: {0}")]
    Drawing(String),
    /// It was cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// It could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A curve of a plot.
#[derive(Debug, Clone)]
pub struct FigureCurve {
    /// The folder of its run.
    pub run: String,
    /// The title of the run.
    pub name: String,
    /// The frames on which it was measured.
    pub side: MetricSide,
    /// Whether it is the curve of the head alone, of a fine-tuned run.
    pub head: bool,
    /// When the run was begun, seconds since 1970.
    pub begun: f64,
    /// The source of its points.
    pub points: FigurePoints,
}

/// The points of a curve of a plot.
#[derive(Debug, Clone)]
pub enum FigurePoints {
    /// The evaluations of its run.
    Evaluations(Arc<Curves>),
    /// A series, with its name (a class) if the run has several.
    Scalars(Arc<[At<f32>]>, String),
}

impl FigureCurve {
    fn points<'a>(&'a self, metric: &'a Metric) -> Points<'a> {
        match &self.points {
            FigurePoints::Evaluations(points) => Points::Evaluations(points, metric, self.side),
            FigurePoints::Scalars(points, _) => Points::Scalars(points, metric),
        }
    }

    /// The title of the run, with the name of the series.
    fn full_name(&self) -> String {
        match &self.points {
            FigurePoints::Scalars(_, of) if !of.is_empty() => format!("{}, {of}", self.name),
            _ => self.name.clone(),
        }
    }
}

/// The series of a tag: one for each side, or for [`Metric::BY_CLASS`] those of all classes, with their names.
fn series_of(metrics: &Metrics, metric: &Metric) -> Vec<(MetricSide, FigurePoints)> {
    let found = metrics.series().filter_map(|(series, kind)| {
        if kind != MetricKind::Scalar {
            return None;
        }
        let of = if metric.tag() == Metric::BY_CLASS {
            series.tag.strip_prefix(Metric::BY_CLASS)?
        } else if series.tag == metric.tag() {
            ""
        } else {
            return None;
        };
        let points: Arc<[At<f32>]> = metrics.scalars(series).into();
        Some((series.side, FigurePoints::Scalars(points, of.to_owned())))
    });
    found.collect()
}

impl FigureCurve {
    /// The curves of a quantity of a run on disk, including those of the head alone.
    ///
    /// # Errors
    /// Its files cannot be read.
    pub fn of_run(run: &Run, metric: &Metric) -> Result<Vec<Self>, crate::train::TrainError> {
        let note = run.note().unwrap_or_else(|_| RunNote::default());
        let name = if note.name.is_empty() {
            run.id.0.clone()
        } else {
            note.name
        };
        let mut curves = Vec::new();
        for stage in run.stages() {
            let head = !stage.is_last();
            let (points, metrics) = (stage.curves()?, stage.measured()?);
            let begin = Self {
                run: run.id.0.clone(),
                name: name.clone(),
                side: MetricSide::Run,
                head,
                begun: super::unix(&run.created),
                points: FigurePoints::Evaluations(Arc::new(points)),
            };
            curves.extend(begin.sides(&metrics, metric));
        }
        Ok(curves)
    }

    /// The same for each side on which a quantity was measured, with its points.
    pub(super) fn sides(self, metrics: &Metrics, metric: &Metric) -> Vec<Self> {
        let mut curves = Vec::new();
        if [Metric::ACCURACY, Metric::CROSS_ENTROPY].contains(metric) {
            for side in [MetricSide::Train, MetricSide::Validation] {
                curves.push(Self {
                    side,
                    ..self.clone()
                });
            }
        }
        for (side, points) in series_of(metrics, metric) {
            curves.push(Self {
                side,
                points,
                ..self.clone()
            });
        }
        curves
    }

    /// Its text in the legend.
    fn legend(&self) -> String {
        let part = if self.head { ", head alone" } else { "" };
        let side = match self.side {
            MetricSide::Run => "",
            MetricSide::Train => ": train",
            MetricSide::Validation => ": validation",
        };
        format!("{}{part}{side}", self.full_name())
    }
}

fn side(side: MetricSide) -> &'static str {
    match side {
        MetricSide::Train => "train",
        MetricSide::Validation => "validation",
        MetricSide::Run => "run",
    }
}

/// A plot of one quantity.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The quantity.
    pub metric: Metric,
    /// How it is drawn.
    pub view: CurveView,
    /// Its curves, in the order of the legend.
    pub curves: Vec<FigureCurve>,
}

#[derive(Serialize)]
struct PointOut {
    step: u32,
    seconds: f64,
    wall_time: f64,
    value: f32,
    smoothed: f32,
}

#[derive(Serialize)]
struct CurveOut<'a> {
    run: &'a str,
    name: String,
    part: &'static str,
    side: &'static str,
    points: Vec<PointOut>,
}

#[derive(Serialize)]
struct Out<'a> {
    tag: &'a str,
    smoothing: f64,
    curves: Vec<CurveOut<'a>>,
}

impl Figure {
    /// Writes it; CSV and JSON have every measured value. An existing file is replaced only if requested.
    ///
    /// # Errors
    /// There are no values, another file is in the way, or it cannot be written.
    pub fn write(
        &self,
        format: FigureFormat,
        path: &Path,
        replace: bool,
        work: &Work,
    ) -> Result<(), FigureError> {
        if !replace && path.exists() {
            return Err(FigureError::Exists(path.display().to_string()));
        }
        let bytes = self.bytes(format, work)?;
        work.check()?;
        Ok(files::write(path, &bytes, Durability::Synced)?)
    }

    /// The content of the file.
    ///
    /// # Errors
    /// There are no values, or the work is cancelled.
    pub fn bytes(&self, format: FigureFormat, work: &Work) -> Result<Vec<u8>, FigureError> {
        let empty = || FigureError::Empty(self.metric.tag().to_owned());
        match format {
            FigureFormat::Csv | FigureFormat::Json => {
                let out = self.out(work)?;
                if out.curves.is_empty() {
                    return Err(empty());
                }
                if format == FigureFormat::Csv {
                    return Ok(csv(&out).into_bytes());
                }
                let text = serde_json::to_vec_pretty(&out);
                text.map_err(|error| FigureError::Drawing(error.to_string()))
            }
            FigureFormat::Svg | FigureFormat::Png => {
                let drawing = self.drawing(work)?.ok_or_else(empty)?;
                if format == FigureFormat::Svg {
                    Ok(drawing.svg().into_bytes())
                } else {
                    drawing.png()
                }
            }
        }
    }

    fn out(&self, work: &Work) -> Result<Out<'_>, FigureError> {
        let mut curves = Vec::new();
        for curve in &self.curves {
            work.check()?;
            let mut mean = Mean::new(self.view.smoothing.clamp(0.0, 0.999));
            let source = curve.points(&self.metric);
            let points: Vec<PointOut> = (0..source.len())
                .filter_map(|place| {
                    let (step, secs, value) = source.measured(place)?;
                    let value = value?;
                    // A non-finite value is written as it is, and excluded from the mean.
                    let smoothed = if value.is_finite() {
                        mean.push(place as u32, f64::from(value)) as f32
                    } else {
                        value
                    };
                    Some(PointOut {
                        step,
                        seconds: secs,
                        wall_time: curve.begun + secs,
                        value,
                        smoothed,
                    })
                })
                .collect();
            if !points.is_empty() {
                curves.push(CurveOut {
                    run: &curve.run,
                    name: curve.full_name(),
                    part: if curve.head { "head" } else { "" },
                    side: side(curve.side),
                    points,
                });
            }
        }
        Ok(Out {
            tag: self.metric.tag(),
            smoothing: self.view.smoothing,
            curves,
        })
    }

    /// The curves as they are drawn.
    fn lines(&self, work: &Work) -> Result<Vec<(&FigureCurve, Line)>, FigureError> {
        let mut lines = Vec::new();
        for curve in &self.curves {
            work.check()?;
            let mut line = Line::default();
            let points = curve.points(&self.metric);
            line.follow(points, self.view.smoothing, &mut Budget::new(usize::MAX));
            if !line.is_empty() {
                lines.push((curve, line));
            }
        }
        Ok(lines)
    }
}

fn csv(out: &Out<'_>) -> String {
    let mut text = String::from("run,name,part,side,tag,step,seconds,wall_time,value,smoothed\n");
    for curve in &out.curves {
        let begin = format!(
            "{},{},{},{},{}",
            csv_cell(curve.run),
            csv_cell(&curve.name),
            curve.part,
            curve.side,
            csv_cell(out.tag)
        );
        for point in &curve.points {
            _ = writeln!(
                text,
                "{begin},{},{},{:.3},{},{}",
                point.step, point.seconds, point.wall_time, point.value, point.smoothed
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::train::CurvePoint;

    fn figure() -> Figure {
        let points = (1..=1000)
            .map(|step| CurvePoint {
                step,
                secs: f64::from(step) / 2.0,
                train_accuracy: step as f32 / 1000.0,
                train_cross_entropy: 1.0 / step as f32,
                validation_accuracy: step.is_multiple_of(100).then_some(0.5),
                validation_cross_entropy: None,
            })
            .collect();
        let points = Arc::new(points);
        let curves = [MetricSide::Train, MetricSide::Validation].map(|side| FigureCurve {
            run: "2026-11-24_lite0_1".to_owned(),
            name: "first, \"best\"".to_owned(),
            side,
            head: false,
            begun: 1_000_000.0,
            points: FigurePoints::Evaluations(Arc::clone(&points)),
        });
        Figure {
            metric: Metric::ACCURACY,
            view: CurveView {
                smoothing: 0.5,
                ..CurveView::default()
            },
            curves: curves.into(),
        }
    }

    #[test]
    fn a_table_has_every_value() {
        let text = figure().bytes(FigureFormat::Csv, &Work::new()).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 1000 + 10);
        assert_eq!(
            lines[2],
            "2026-11-24_lite0_1,\"first, \"\"best\"\"\",,train,accuracy,2,1,1000001.000,0.002,0.0016666667"
        );
        assert!(lines[1001].contains(",validation,accuracy,100,50,1000050.000,0.5,0.5"));

        let json = figure().bytes(FigureFormat::Json, &Work::new()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["tag"], "accuracy");
        assert_eq!(json["curves"][0]["points"].as_array().unwrap().len(), 1000);
        assert_eq!(json["curves"][1]["side"], "validation");
        assert_eq!(json["curves"][1]["points"][0]["step"], 100);
    }

    #[test]
    fn a_picture_has_axes_lines_and_a_legend() {
        let mut figure = figure();
        let svg = figure.bytes(FigureFormat::Svg, &Work::new()).unwrap();
        let svg = String::from_utf8(svg).unwrap();
        assert!(svg.contains(">Accuracy</text>"));
        assert!(svg.contains(">first, &quot;best&quot;: validation</text>"));
        assert!(svg.matches("<polyline").count() >= 3, "{svg}");
        assert!(
            svg.contains(">1,000</text>") || svg.contains(">1\u{202f}000</text>"),
            "{svg}"
        );
        figure.metric = Metric::CROSS_ENTROPY;
        figure.view = figure.view.with_log(&Metric::CROSS_ENTROPY, true);
        let png = figure.bytes(FigureFormat::Png, &Work::new()).unwrap();
        let drawing = image::load_from_memory(&png).unwrap().to_rgb8();
        assert_eq!(drawing.width(), 1600);
        // White, with a line in the first colour and some text.
        let count = |color: [u8; 3]| drawing.pixels().filter(|pixel| pixel.0 == color).count();
        assert!(count([255; 3]) > 1_000_000);
        assert!(
            count([0x00, 0x72, 0xB2]) > 500,
            "{}",
            count([0x00, 0x72, 0xB2])
        );
        let dark = drawing
            .pixels()
            .filter(|pixel| pixel.0.iter().all(|level| *level < 0x70));
        assert!(dark.count() > 200);
    }

    #[test]
    fn nothing_is_written_of_nothing_and_over_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.csv");
        assert_eq!(FigureFormat::of(&path), Some(FigureFormat::Csv));
        let mut figure = figure();
        let work = Work::new();
        figure
            .write(FigureFormat::Csv, &path, false, &work)
            .unwrap();
        let again = figure.write(FigureFormat::Csv, &path, false, &work);
        assert!(matches!(again, Err(FigureError::Exists(_))));
        figure.write(FigureFormat::Csv, &path, true, &work).unwrap();
        figure.metric = Metric::new("gradient_norm");
        for format in FigureFormat::ALL {
            let error = figure.bytes(format, &work).unwrap_err();
            assert!(error.to_string().contains("gradient_norm"), "{error}");
        }
    }
}
