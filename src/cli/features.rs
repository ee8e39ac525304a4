//! `salamander features`: bottlenecks of a project or a folder of images as a safetensors file.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use serde::Serialize;

use crate::backbone::{
    Architecture, FineTunedWeights, Fit, Preprocessing, bottlenecks, open_own, write_features,
};
use crate::jobs::Work;
use crate::media::{Kind, gather};
use crate::project::{Project, make_dir};
use crate::text::{count, visible};
use crate::train::Run;

use super::console::Console;
use super::shown;
use super::train::resolved;
use super::which::RunArg;

/// Write the bottlenecks of a project's frames, or of a folder of images, to a safetensors file
///
/// The file holds `features`, f32 [N, D], one row per image. Its metadata holds `paths`, a JSON list in the order of
/// the rows (relative to the project or folder), and `architecture`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A project or any folder of images
    #[arg(value_name = "PROJECT|DIR")]
    input: PathBuf,
    /// The backbone and its input size in pixels, as listed by `salamander architectures`
    #[arg(long, value_name = "A", default_value = "efficientnet-lite0@224", value_parser = super::train::architecture)]
    architecture: Architecture,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How images are fitted to the square input
    #[arg(long, value_name = "F", default_value = "center-crop")]
    fit: FitArg,
    /// Use the architecture, fit and backbone (including fine-tuned weights) of a run of the project; for a folder of
    /// images, give the run's folder
    #[arg(long, value_name = "RUN", conflicts_with_all = ["architecture", "fit"])]
    run: Option<String>,
}

/// The model that computes the bottlenecks.
struct Model {
    architecture: Architecture,
    preprocessing: Preprocessing,
    fine_tuned: Option<FineTunedWeights>,
    cache_dir: Option<PathBuf>,
}

#[derive(Serialize)]
struct Result {
    path: String,
    architecture: String,
    frames: u64,
    dim: u64,
    skipped: u64,
    from_cache: u64,
    seconds: f64,
}

/// The images to read, and their names in the file.
struct Images {
    files: Vec<PathBuf>,
    paths: Vec<String>,
    /// Their project.
    project: Option<Project>,
}

/// How frames are made square.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum FitArg {
    /// Crop to the largest centred square
    CenterCrop,
    /// Stretch to a square, ignoring the aspect ratio
    Stretch,
    /// Show the whole image, with grey bars
    Pad,
}

impl From<FitArg> for Fit {
    fn from(fit: FitArg) -> Self {
        match fit {
            FitArg::CenterCrop => Fit::CenterCrop,
            FitArg::Stretch => Fit::Stretch,
            FitArg::Pad => Fit::Pad,
        }
    }
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    let started = Instant::now();
    let images = images(&args.input)?;
    if images.files.is_empty() {
        bail!("there are no images in “{}”", shown(&args.input));
    }
    let model = model(args, images.project.as_ref())?;
    let (files, architecture) = (images.files.clone(), model.architecture.clone());
    let table = console.run("features", move |work| {
        bottlenecks(
            &files,
            &model.architecture,
            &model.preprocessing,
            model.fine_tuned.as_ref(),
            model.cache_dir.as_deref(),
            work,
        )
    });
    if let Some(project) = &images.project {
        // This may be the reason for the failure.
        project.check_there()?;
    }
    let table = table?;
    let skipped = table.failed.len() as u64;
    if table.failed.len() == images.paths.len() {
        bail!("no image in “{}” could be read", shown(&args.input));
    }
    if let Some(folder) = args.out.parent() {
        match &images.project {
            Some(project) if folder.starts_with(project.root()) => {
                make_dir(project.root(), folder)?;
            }
            _ => crate::files::create_dir_all(folder)
                .with_context(|| format!("cannot create the folder “{}”", shown(folder)))?,
        }
    }
    let written = write_features(&args.out, &table, &images.paths, &architecture)?;
    let result = Result {
        path: shown(&args.out),
        architecture: architecture.to_string(),
        frames: written as u64,
        dim: table.dim as u64,
        skipped,
        from_cache: table.from_cache as u64,
        seconds: started.elapsed().as_secs_f64(),
    };
    console.result(&result, || {
        format!(
            "wrote {} of {} values each to {} ({} from the cache, {:.1} s)",
            count(result.frames, "bottleneck"),
            result.dim,
            visible(&result.path),
            result.from_cache,
            result.seconds
        )
    })
}

fn model(args: &Args, project: Option<&Project>) -> anyhow::Result<Model> {
    let cache_dir = project.map(Project::cache_dir);
    let Some(name) = &args.run else {
        let architecture = resolved(&args.architecture)?;
        return Ok(Model {
            preprocessing: architecture.preprocessing(args.fit.into())?,
            architecture,
            fine_tuned: None,
            cache_dir,
        });
    };
    let run = match project {
        Some(project) => RunArg { run: name.clone() }.find(project)?,
        None => Run::open(Path::new(name))?,
    };
    let fine_tuned = run.fine_tuned()?;
    Ok(Model {
        // The bottlenecks of a fine-tuned backbone are cached with the run; those of a plain folder are not cached.
        cache_dir: cache_dir.map(|dir| match fine_tuned {
            Some(_) => run.cache_dir(),
            None => dir,
        }),
        architecture: run.settings.architecture,
        preprocessing: run.preprocessing,
        fine_tuned,
    })
}

fn images(input: &Path) -> anyhow::Result<Images> {
    let work = Work::new();
    if input.join("project.json").is_file() {
        let project = Project::open_for_reading(input)?;
        for problem in open_own(project.root()) {
            log::warn!("{problem}");
        }
        let frames = project.scan(&work)?;
        return Ok(Images {
            files: frames
                .list
                .iter()
                .map(|frame| project.root().join(&frame.path))
                .collect(),
            paths: frames.list.into_iter().map(|frame| frame.path).collect(),
            project: Some(project),
        });
    }
    if !input.is_dir() {
        bail!("“{}” is neither a project nor a folder", shown(input));
    }
    let mut files = gather(&[input.to_owned()], &work)?;
    files.retain(|file| Kind::at_a_glance(file).is_ok_and(Kind::is_image));
    let paths = files
        .iter()
        .map(|file| {
            let inside = file.strip_prefix(input).unwrap_or(file);
            shown(inside).replace(std::path::MAIN_SEPARATOR, "/")
        })
        .collect();
    Ok(Images {
        files,
        paths,
        project: None,
    })
}
