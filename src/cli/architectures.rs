//! `salamander architectures`: what can be trained, with size, cost and the accuracy that was published.

use serde::Serialize;

use crate::app::words::millions;
use crate::backbone::{Architecture, Backbone, BackboneError};

use super::console::Console;
use super::table::{Align, percent, size, table};

/// List the architectures that `train` and `features` take, with size, cost and published accuracy
#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Result {
    architectures: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    architecture: String,
    /// The model file.
    bytes: u64,
    parameters: u64,
    multiply_accumulates: u64,
    /// A part of one; none where no figure was published for this resolution.
    imagenet_top1: Option<f64>,
    licence: String,
    default: bool,
}

pub fn run(console: &Console) -> anyhow::Result<()> {
    let architectures = Architecture::all()?
        .iter()
        .map(Line::of)
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let notes = crate::backbone::catalogue()?
        .iter()
        .filter_map(elsewhere)
        .collect::<String>();
    let result = Result { architectures };
    console.result(&result, || {
        let rows = std::iter::once(heading())
            .chain(result.architectures.iter().map(Line::cells))
            .collect::<Vec<_>>();
        let aligns = [
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Left,
        ];
        format!(
            "{}\nMACs: multiply-accumulates of one image. ImageNet top-1: as published for the whole network at this\n\
             resolution.\n{notes}",
            table(&aligns, &rows)
        )
    })?;
    Ok(())
}

fn heading() -> Vec<String> {
    [
        "architecture",
        "size",
        "parameters",
        "MACs",
        "ImageNet top-1",
        "licence",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// A line on a figure that was published for a resolution that is not on offer.
fn elsewhere(backbone: &Backbone) -> Option<String> {
    let published = backbone.imagenet_top1.as_ref()?;
    let offered = backbone.resolutions.contains(&published.resolution_px);
    (!offered).then(|| {
        format!(
            "{} has {:.1} % at {} pixels, which is not on offer.\n",
            backbone.name, published.percent, published.resolution_px
        )
    })
}

impl Line {
    fn of(architecture: &Architecture) -> std::result::Result<Self, BackboneError> {
        let entry = architecture.entry()?;
        let top1 = entry.top1_percent_at(architecture.resolution_px);
        Ok(Self {
            architecture: architecture.to_string(),
            bytes: entry.bytes,
            parameters: entry.parameters,
            multiply_accumulates: architecture.multiply_accumulates()?,
            imagenet_top1: top1.map(|percent| (f64::from(percent) * 100.0).round() / 10_000.0),
            licence: entry.licence.clone(),
            default: *architecture == Architecture::default(),
        })
    }

    fn cells(&self) -> Vec<String> {
        let mark = if self.default { " (default)" } else { "" };
        vec![
            format!("{}{mark}", self.architecture),
            size(self.bytes),
            millions(self.parameters),
            millions(self.multiply_accumulates),
            self.imagenet_top1.map_or_else(
                || "not published".to_owned(),
                |part| percent(Some(part as f32)),
            ),
            self.licence.clone(),
        ]
    }
}
