//! `salamander make`: makes verified model files from a folder of videos or photos in one go.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use crate::backbone::Architecture;
use crate::export::{Bundle, Card, CardAccuracy, Format};
use crate::make::{LiveMake, Made, MakeOrder, MakePhase, default_formats, make};
use crate::media::{ClassFrom, start_decoders};
use crate::text::{bytes, count, percent_or_dash, visible};

use super::console::{Console, Interrupted, Watch};
use super::depth::{DepthArg, depth};
use super::export::{bundles, formats};
use super::shown;
use super::table::{Align, table};
use super::train::{architecture, quoted};

/// Make a model from a folder of videos or photos in one go: import, train, evaluate, export
///
/// The folder contains one folder per class (`cat/…`, `dog/…`). DIR then holds the model with its certificate (`model`,
/// or one ZIP file) and the project it came from (`project`), to inspect and continue. After an interruption the same
/// command resumes; files that were added to the folder meanwhile are imported too.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Videos, photos, and folders of them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The folder for the model and the project
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Take classes from the folders or from the file names (`cat-3.mp4` is `cat`)
    #[arg(long, value_name = "WHAT", default_value = "folder")]
    class_from: From,
    /// The model's format, or several separated by commas [default: onnx,tflite-fp16]
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', value_parser = formats())]
    format: Vec<Format>,
    /// Whether to write a folder or one ZIP file
    #[arg(long, value_name = "BUNDLE", default_value = "folder", value_parser = bundles())]
    bundle: Bundle,
    /// Export a model even if it loses more accuracy than its format allows; certificate and model card record this
    #[arg(long)]
    accept_loss: bool,
    /// Write any number of frames, even over 20,000 or more than seem to fit on the disk
    #[arg(long)]
    force: bool,
    /// The backbone and its input size in pixels, as listed by `salamander architectures` [default:
    /// efficientnet-lite0@224]
    #[arg(long, value_name = "A", value_parser = architecture)]
    architecture: Option<Architecture>,
    /// How much of the network is trained, as in `salamander train`
    #[arg(long, value_name = "D", default_value = "auto", value_parser = depth)]
    depth: DepthArg,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum From {
    /// The folders, considered as a whole
    Folder,
    /// The file's name without extension and trailing number
    File,
}

#[derive(Serialize)]
struct StepEvent {
    step: &'static str,
    number: usize,
    of: usize,
}

#[derive(Serialize)]
struct Result<'a> {
    project: String,
    run: &'a str,
    place: String,
    accuracy: &'a CardAccuracy,
    images: u64,
    files: Vec<File>,
    card: &'a Card,
    advice: &'a [String],
}

#[derive(Serialize)]
struct File {
    path: String,
    format: String,
    bytes: u64,
}

pub fn run(console: &Console, args: Args) -> anyhow::Result<()> {
    start_decoders(1);
    let line = again(&args);
    let mut order = MakeOrder::new(args.paths, args.out);
    order.class_from = match args.class_from {
        From::Folder => ClassFrom::Folder,
        From::File => ClassFrom::File,
    };
    order.formats = if args.format.is_empty() {
        default_formats()
    } else {
        args.format
    };
    order.bundle = args.bundle;
    order.accept_loss = args.accept_loss;
    order.force = args.force;
    if let Some(architecture) = args.architecture {
        order.settings.architecture = super::train::resolved(&architecture)?;
    }
    if let DepthArg::Chosen(depth) = args.depth {
        order.settings.fine_tune.depth = depth;
        order.settings.fine_tune.automatic = false;
    }
    let live = LiveMake::default();
    let watched = live.clone();
    let mut told = None;
    let made = console.run_watched(
        "make",
        |watch| report(&watched, &mut told, watch),
        move |work| make(&order, &live, work),
    );
    let made = match made {
        Err(error) if error.is::<Interrupted>() => {
            anyhow::bail!("cancelled; finished work is kept, and {line} resumes from there")
        }
        made => made?,
    };
    let card = &made.export.card;
    let files = made.export.files.iter().map(|file| File {
        path: shown(&file.path),
        format: file.format.clone(),
        bytes: file.bytes,
    });
    let result = Result {
        project: shown(&made.project),
        run: &made.run.0,
        place: shown(&made.export.place),
        accuracy: &card.accuracy,
        images: card.data.train.images + card.data.validation.images + card.data.test.images,
        files: files.collect(),
        card,
        advice: &made.advice,
    };
    console.result(&result, || text(&result, &made))
}

/// The same command line.
fn again(args: &Args) -> String {
    format!("`salamander make … --out {}`", shown(&args.out))
}

/// Reports which phases have begun; one may have ended before it was noticed.
fn report(live: &LiveMake, told: &mut Option<MakePhase>, watch: &mut Watch) -> anyhow::Result<()> {
    let now = live.phase();
    let of = MakePhase::ALL.len();
    for phase in MakePhase::ALL {
        if now.is_none_or(|now| phase > now) || told.is_some_and(|told| phase <= told) {
            continue;
        }
        *told = Some(phase);
        watch.event(
            "stage",
            &StepEvent {
                step: phase.title(),
                number: phase.number(),
                of,
            },
        )?;
        watch.out(&format!("{} of {of}: {}", phase.number(), phase.title()))?;
    }
    Ok(())
}

/// A summary: the accuracy, the weaknesses, the written files, the next steps.
fn text(result: &Result, made: &Made) -> String {
    let card = result.card;
    let accuracy = result.accuracy;
    let side = match accuracy.split.as_str() {
        "train" => "training",
        other => other,
    };
    let interval = accuracy
        .interval_95
        .map_or_else(String::new, |(low, high)| {
            format!(" (95 %: {:.1} to {:.1})", low * 100.0, high * 100.0)
        });
    let mut text = format!(
        "\n{} of {} are classified correctly{interval}\n\n",
        percent_or_dash(accuracy.part),
        count(accuracy.images, &format!("{side} image")),
    );
    let headings = ["class", "images", "recognised", "of"].map(str::to_owned);
    let mut rows = vec![headings.to_vec()];
    let mut weakest = card.weakest();
    let unmeasured = card
        .classes
        .iter()
        .filter(|class| class.recall.part.is_none());
    weakest.extend(unmeasured);
    rows.extend(weakest.iter().map(|class| {
        let images = class.train.images + class.validation.images + class.test.images;
        vec![
            class.class.clone(),
            images.to_string(),
            percent_or_dash(class.recall.part),
            count(class.recall.images, &format!("{side} image")),
        ]
    }));
    text += &table(
        &[Align::Left, Align::Right, Align::Right, Align::Left],
        &rows,
    );
    if let Some(worst) = card.confused.first() {
        _ = writeln!(
            text,
            "most frequent mistake: “{}” taken for “{}” ({} of {})",
            visible(&worst.class),
            visible(&worst.called),
            worst.images,
            worst.of
        );
    }
    for sentence in result.advice {
        _ = writeln!(text, "{}", visible(sentence));
    }
    _ = writeln!(text, "\n{}", visible(&result.place));
    let models = made
        .export
        .files
        .iter()
        .filter(|file| file.top1_agreement.is_some() || file.format == Bundle::Zip.name());
    let rows: Vec<Vec<String>> = models
        .map(|file| {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            vec![format!("  {name}"), bytes(file.bytes), "proved".to_owned()]
        })
        .collect();
    text += &table(&[Align::Left, Align::Right, Align::Left], &rows);
    text + &format!(
        "\nnext: see MODEL_CARD.md in it, or try the model with\n  salamander predict {place} IMAGE…\nto inspect mistakes, correct labels and train again, open the project:\n  salamander {project}\n",
        place = visible(&quoted(&if made.export.place.is_dir() {
            result.place.clone()
        } else {
            result.project.clone() + "/runs/" + result.run
        })),
        project = visible(&quoted(&result.project)),
    )
}
