//! `salamander architectures`: lists the architectures that can be trained, with size, cost and published accuracy;
//! adds networks to a project and removes them.

use std::path::PathBuf;

use serde::Serialize;

use crate::app::words::millions;
use crate::backbone::{
    Architecture, Asked, Backbone, BackboneError, Candidate, Inspected, Layout, Normalisation,
    Property, Provenance, inspect, own_of,
};
use crate::text::{bytes, percent, visible};
use crate::train::{TrainError, remove_architecture};

use super::console::Console;
use super::table::{Align, table};
use super::{ProjectArg, shown};

/// List the architectures that `train` and `features` accept, with size, cost and published accuracy; add a classifier
/// from an ONNX file to a project, or remove one
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// A project, to also list the architectures that were added to it
    #[arg(value_name = "PROJECT")]
    project: Option<PathBuf>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add a classifier: the network up to its pooled layer is copied into the project
    ///
    /// Whatever the file states is read from it; if something is missing, the error names the option that sets it. The
    /// architecture then works like the built-in ones. docs/architectures.md shows how to write such a file.
    Add(Box<Add>),
    /// Move an added architecture to the trash; refused while runs use it
    Remove {
        #[command(flatten)]
        project: ProjectArg,
        /// The architecture's name, as listed
        #[arg(value_name = "NAME")]
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    project: ProjectArg,
    /// The ONNX file; external data files must be in the same folder
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Width and height of its input in pixels, if the file leaves them open
    #[arg(long, value_name = "PX")]
    size: Option<u32>,
    /// Order of its input's dimensions: nchw (torch) or nhwc (TensorFlow, Keras)
    #[arg(long, value_name = "L")]
    layout: Option<Layout>,
    /// How its input is normalised: imagenet (torchvision, most of timm), symmetric (-1..1: older Keras networks, many
    /// transformers), unit (0..1), raw (0..255; the network normalises)
    #[arg(long, value_name = "N", conflicts_with_all = ["mean", "std"])]
    normalisation: Option<Normalisation>,
    /// Mean subtracted from each channel, R,G,B: of values 0..255, or of 0..1 if each std is below 1
    #[arg(long, value_name = "R,G,B", requires = "std", value_parser = three, allow_negative_numbers = true)]
    mean: Option<Three>,
    /// Standard deviation by which each channel is then divided, R,G,B
    #[arg(long, value_name = "R,G,B", requires = "mean", value_parser = three)]
    std: Option<Three>,
    /// The tensor to use as the bottleneck, if the layer before the classes cannot be found or you want a different one
    #[arg(long, value_name = "VALUE")]
    pooled: Option<String>,
    /// Name of the architecture [default: the file's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Licence of its weights; exports include it
    #[arg(long, value_name = "TEXT")]
    licence: Option<String>,
    /// Show what was found and what it would cost, without adding anything
    #[arg(long)]
    dry_run: bool,
}

/// Three numbers, one for each channel.
#[derive(Debug, Clone, Copy)]
struct Three([f32; 3]);

fn three(text: &str) -> std::result::Result<Three, String> {
    let numbers: Option<Vec<f32>> = text.split(',').map(|one| one.trim().parse().ok()).collect();
    match numbers.unwrap_or_default().as_slice() {
        [all] => Ok(Three([*all; 3])),
        [r, g, b] => Ok(Three([*r, *g, *b])),
        _ => Err("one number, or three separated by commas, such as 123.7,116.3,103.5".into()),
    }
}

#[derive(Serialize)]
struct Result {
    architectures: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    architecture: String,
    /// Size of the model file.
    bytes: u64,
    parameters: u64,
    multiply_accumulates: u64,
    /// A fraction; none if no accuracy was published for this resolution.
    imagenet_top1: Option<f64>,
    licence: String,
    default: bool,
    /// Whether it was added to the project.
    own: bool,
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    match &args.action {
        None => list(console, args.project.clone()),
        Some(Action::Add(add)) => added(console, add),
        Some(Action::Remove { project, name }) => removed(console, project, name),
    }
}

fn list(console: &Console, project: Option<PathBuf>) -> anyhow::Result<()> {
    let own = match project {
        Some(project) => {
            let project = ProjectArg {
                project,
                follow_links: false,
            }
            .open_or_read(console)?;
            own_of(project.root())
        }
        None => Vec::new(),
    };
    let own = own.iter().flat_map(|backbone| backbone.offered());
    let architectures = Architecture::all()?
        .into_iter()
        .chain(own)
        .map(|architecture| Line::of(&architecture))
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
            "{}\nMACs: multiply-accumulates per image. ImageNet top-1: as published for the whole network at this\n\
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

/// A note on an accuracy that was published for a resolution that is not available.
fn elsewhere(backbone: &Backbone) -> Option<String> {
    let published = backbone.imagenet_top1.as_ref()?;
    let offered = backbone.resolutions.contains(&published.resolution_px);
    (!offered).then(|| {
        format!(
            "{} has {:.1} % at {} pixels, a resolution that is not available.\n",
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
            own: entry.own.is_some(),
        })
    }

    fn cells(&self) -> Vec<String> {
        let mark = match (self.default, self.own) {
            (true, _) => " (default)",
            (_, true) => " (this project's)",
            _ => "",
        };
        vec![
            format!("{}{mark}", self.architecture),
            bytes(self.bytes),
            millions(self.parameters),
            millions(self.multiply_accumulates),
            self.imagenet_top1
                .map_or_else(|| "not published".to_owned(), percent),
            self.licence.clone(),
        ]
    }
}

/// The result for a file.
#[derive(Serialize)]
struct Report {
    /// None if it was not added.
    architecture: Option<String>,
    bytes: u64,
    parameters: u64,
    bottleneck_dim: u64,
    resolutions: Vec<Resolution>,
    image_seconds: f64,
    difference: f64,
    depths: Vec<Depth>,
    hindrance: Option<String>,
    found: Vec<Fact>,
}

#[derive(Serialize)]
struct Resolution {
    resolution: u32,
    multiply_accumulates: u64,
}

#[derive(Serialize)]
struct Depth {
    depth: String,
    weights: u64,
}

#[derive(Serialize)]
struct Fact {
    what: &'static str,
    value: String,
    #[serde(rename = "whence")]
    provenance: &'static str,
    note: String,
}

impl Fact {
    fn of<T>(what: &'static str, answer: &Property<T>, value: impl Fn(&T) -> String) -> Self {
        Self {
            what,
            value: answer.value.as_ref().map(value).unwrap_or_default(),
            provenance: match answer.provenance {
                Provenance::Found => "found",
                Provenance::Given => "given",
                Provenance::Assumed => "assumed",
                Provenance::Missing => "missing",
            },
            note: answer.note.clone(),
        }
    }
}

fn added(console: &Console, args: &Add) -> anyhow::Result<()> {
    let project = args.project.open(console)?;
    let [mean, std] = match args.normalisation {
        Some(normalisation) => normalisation.mean_std().map(Some),
        None => [args.mean, args.std].map(|three| three.map(|Three(values)| values)),
    };
    let asked = Asked {
        size_px: args.size,
        layout: args.layout,
        mean,
        std,
        pooled: args.pooled.clone(),
        name: args.name.clone(),
        licence: args.licence.clone(),
    };
    let (file, dry_run) = (args.file.clone(), args.dry_run);
    let (inspected, candidate, architecture) = console.run("architectures", move |work| {
        work.stage("Reading the network", None);
        let inspected = inspect(&file, &asked)?;
        let candidate = inspected.candidate(work)?;
        let architecture = if dry_run {
            None
        } else {
            Some(candidate.add(&project)?)
        };
        Ok::<_, BackboneError>((inspected, candidate, architecture))
    })?;
    let report = report(&inspected, &candidate, architecture.as_ref());
    console.result(&report, || summary(&report, &candidate))
}

fn report(
    inspected: &Inspected,
    candidate: &Candidate,
    architecture: Option<&Architecture>,
) -> Report {
    let numbers = |of: &[f32; 3]| of.map(|value| format!("{value}")).join(", ");
    Report {
        architecture: architecture.map(Architecture::to_string),
        bytes: candidate.file_bytes(),
        parameters: candidate.parameters,
        bottleneck_dim: candidate.bottleneck_dim as u64,
        resolutions: candidate
            .multiply_accumulates
            .iter()
            .map(|(resolution, multiply_accumulates)| Resolution {
                resolution: *resolution,
                multiply_accumulates: *multiply_accumulates,
            })
            .collect(),
        image_seconds: candidate.image_time.as_secs_f64(),
        difference: f64::from(candidate.difference),
        depths: candidate
            .depths
            .iter()
            .map(|offer| Depth {
                depth: offer.depth.to_string(),
                weights: offer.weights,
            })
            .collect(),
        hindrance: candidate.hindrance.clone(),
        found: vec![
            Fact::of("layout", &inspected.layout, Layout::to_string),
            Fact::of("size", &inspected.size_px, |px| format!("{px} pixels")),
            Fact::of("normalisation", &inspected.normalisation, |[mean, std]| {
                format!("(value − [{}]) / [{}]", numbers(mean), numbers(std))
            }),
            Fact::of("bottleneck", &inspected.pooled, |pooled| {
                format!("“{}”", pooled.name)
            }),
        ],
    }
}

fn summary(report: &Report, candidate: &Candidate) -> String {
    let begin = match &report.architecture {
        Some(architecture) => format!("added {architecture}"),
        None => format!(
            "{} can be added; nothing was changed",
            visible(&candidate.title)
        ),
    };
    let mut lines = vec![format!(
        "{begin}: {}, {} parameters, {} multiply-accumulates per image, {} values per bottleneck, {:.1} ms per image on one thread",
        bytes(report.bytes),
        millions(report.parameters),
        millions(
            candidate
                .multiply_accumulates
                .get(&candidate.default_resolution)
                .copied()
                .unwrap_or_default()
        ),
        report.bottleneck_dim,
        report.image_seconds * 1000.0,
    )];
    for fact in &report.found {
        lines.push(format!(
            "  {}: {} ({}: {})",
            fact.what,
            visible(&fact.value),
            fact.provenance,
            visible(&fact.note)
        ));
    }
    let resolutions: Vec<String> = report
        .resolutions
        .iter()
        .map(|one| one.resolution.to_string())
        .collect();
    lines.push(format!("  resolutions: {}", resolutions.join(", ")));
    let depths: Vec<&str> = report.depths.iter().map(|one| one.depth.as_str()).collect();
    let hindrance = report.hindrance.as_ref();
    lines.push(format!(
        "  depths: {}{}",
        depths.join(", "),
        hindrance.map_or_else(String::new, |reason| format!(
            "; not the whole network: {}",
            visible(reason)
        ))
    ));
    lines.push(format!(
        "  bottlenecks differ from the file's by {:.0e} of their largest value",
        report.difference
    ));
    lines.join("\n")
}

#[derive(Serialize)]
struct Removed {
    removed: String,
    place: String,
}

fn removed(console: &Console, project: &ProjectArg, name: &str) -> anyhow::Result<()> {
    let project = project.open(console)?;
    let named = name.split('@').next().unwrap_or(name).to_owned();
    let (place, backbone) = console.run("architectures", move |work| {
        let backbone = Backbone::called(&named)?;
        let place = remove_architecture(&project, backbone, work)?;
        Ok::<_, TrainError>((place, backbone))
    })?;
    let result = Removed {
        removed: backbone.name.clone(),
        place: shown(&place),
    };
    console.result(&result, || {
        format!(
            "moved {} to {}",
            visible(&result.removed),
            visible(&result.place)
        )
    })
}
