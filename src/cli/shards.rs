//! `salamander shards`: lists what several computers are to sample.

use std::path::PathBuf;

use serde::Serialize;

use crate::backbone::{Architecture, Fit};
use crate::shards::{DivideOrder, WantedActivations, divide, passed_over_words};
use crate::text::{bytes, count, counted, visible};
use crate::train::TrainSettings;
use crate::train::schema::{Setting, SettingGroup};

use super::console::Console;
use super::import::TakingArgs;
use super::train::resolved;
use super::{ProjectArg, Usage, shown};

/// Divide sampling among many machines: list films, stretches of long films, and photos
///
/// The list has one JSON object per line: a header, then the shards. `salamander work` makes the part of each shard on
/// any machine that has the films; `salamander merge` merges the parts into the project, with the same frames as
/// `salamander import` here.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    /// Videos, photos, and folders of them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The file to write the list to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Approximate minutes of film per shard; longer films are cut at key frames, shorter ones share a shard
    #[arg(long, value_name = "MINUTES", default_value = "20", value_parser = minutes)]
    size: f64,
    /// Also compute the bottlenecks of this architecture (see `salamander architectures`); can be given several times
    /// [default: efficientnet-lite0@224]
    #[arg(long = "architecture", value_name = "A", value_parser = super::train::architecture)]
    architectures: Vec<Architecture>,
    /// Also compute the activations for training with this setting: `depth=last-3`, `views=4`, `seed=1` or one that
    /// changes views; can be given several times. They cover all views of all images and take far more space than the
    /// images
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting, conflicts_with = "no_bottlenecks")]
    set: Vec<(&'static str, String)>,
    /// Only sample; bottlenecks are computed when they are needed
    #[arg(long, conflicts_with = "architectures")]
    no_bottlenecks: bool,
    #[command(flatten)]
    taking: TakingArgs,
}

#[derive(Serialize)]
struct Result {
    path: String,
    id: String,
    shards: usize,
    films: usize,
    stretches: usize,
    photos: usize,
    minutes: f64,
    bytes: u64,
    architectures: Vec<String>,
    known: usize,
    left_out: u64,
    passed_over: Vec<String>,
    failed: Vec<String>,
    notes: Vec<String>,
}

pub fn run(console: &Console, args: Args) -> anyhow::Result<()> {
    let options = args.taking.options()?;
    let project = args.project.open_for_reading(console)?;
    let wanted = match (args.architectures.is_empty(), args.no_bottlenecks) {
        (_, true) => Vec::new(),
        (true, false) => vec![Architecture::named("efficientnet-lite0@224")?],
        (false, false) => args.architectures.clone(),
    };
    let architectures = wanted
        .iter()
        .map(resolved)
        .collect::<std::result::Result<_, _>>()?;
    let order = DivideOrder {
        paths: args.paths,
        options,
        minutes: args.size,
        architectures,
        fit: Fit::CenterCrop,
        activations: activations(&args.set)?,
        // With these options, bottlenecks or activations of known images are computed as well.
        known_too: !args.architectures.is_empty() || !args.set.is_empty(),
    };
    let divided = console.run("shards", move |work| divide(&project, &order, work))?;
    for sentence in &divided.failed {
        console.warning(sentence)?;
    }
    let id = divided.list.write(&args.out)?;
    let shards = &divided.list.shards;
    let films = shards.iter().flat_map(|shard| &shard.films);
    let result = Result {
        path: shown(&args.out),
        id: id.to_string(),
        shards: shards.len(),
        films: films.clone().filter(|film| film.piece == 0).count(),
        stretches: films.filter(|film| film.pieces > 1).count(),
        photos: shards.iter().map(|shard| shard.photos.len()).sum(),
        minutes: shards
            .iter()
            .filter(|shard| !shard.films.is_empty())
            .map(|shard| shard.minutes)
            .sum(),
        bytes: shards.iter().map(|shard| shard.bytes).sum(),
        architectures: wanted.iter().map(ToString::to_string).collect(),
        known: divided.known,
        left_out: divided.passed_over.iter().map(|(_, files)| files).sum(),
        passed_over: divided
            .passed_over
            .iter()
            .map(|(reason, files)| passed_over_words(reason, *files))
            .collect(),
        failed: divided.failed,
        notes: divided.notes,
    };
    console.result(&result, || text(&result))
}

fn text(result: &Result) -> String {
    let mut of = Vec::new();
    if result.films > 0 {
        let cut = match result.stretches {
            0 => String::new(),
            stretches => format!(" ({stretches} stretches of long ones)"),
        };
        let films = count(result.films as u64, "film");
        let minutes = count(result.minutes.ceil() as u64, "minute");
        of.push(format!("{films} of {minutes}{cut}"));
    }
    if result.photos > 0 {
        of.push(count(result.photos as u64, "photo"));
    }
    let mut text = format!(
        "wrote {} to {}: {}, {}\n",
        count(result.shards as u64, "shard"),
        visible(&result.path),
        of.join(", "),
        bytes(result.bytes)
    );
    if result.known > 0 {
        text.push_str(&counted(
            result.known as u64,
            "film skipped, because it is already in the project",
            "films skipped, because they are already in the project",
        ));
        text.push('\n');
    }
    for note in result.passed_over.iter().chain(&result.notes) {
        text.push_str(&visible(note));
        text.push('\n');
    }
    text.push_str("next: salamander work --shard ");
    text.push_str(&visible(&result.path));
    text.push_str(":N --out DIR for each N, then salamander merge PROJECT DIR");
    text
}

/// The activations that a training with these settings reads.
fn activations(given: &[(&'static str, String)]) -> anyhow::Result<Option<WantedActivations>> {
    if given.is_empty() {
        return Ok(None);
    }
    let mut settings = TrainSettings::default();
    settings
        .apply(&given.iter().cloned().collect())
        .map_err(|error| Usage(error.to_string()))?;
    let wanted = WantedActivations::of(&settings).ok_or_else(|| {
        Usage("training with these settings needs only bottlenecks; give a depth such as --set depth=last-3, or a number of views".into())
    })?;
    Ok(Some(wanted))
}

fn setting(text: &str) -> std::result::Result<(&'static str, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("give a setting and its value, such as depth=last-3")?;
    let name = key.trim().replace('-', "_");
    Setting::find(&name)
        .filter(|setting| setting.group == SettingGroup::Views || ["depth", "seed"].contains(&setting.key))
        .map(|setting| (setting.key, value.trim().to_owned()))
        .ok_or_else(|| format!("“{key}” does not affect activations; depth, seed, views and the settings that change views do"))
}

fn minutes(text: &str) -> std::result::Result<f64, String> {
    text.parse()
        .ok()
        .filter(|minutes: &f64| *minutes > 0.0 && *minutes <= 100_000.0)
        .ok_or_else(|| "the size must be over 0 minutes".to_owned())
}
