//! `salamander embedding`: writes a run's images for TensorBoard's projector.

use serde::Serialize;

use crate::evaluate::write_embedding;
use crate::text::visible;

use super::ProjectArg;
use super::console::Console;
use super::shown;
use super::which::RunArg;

/// Write a run's bottlenecks for TensorBoard's embedding projector
///
/// Writes up to 5,000 images, spread evenly over all, with class, prediction, set, source and thumbnail, into the run's
/// folder. View them with `tensorboard --logdir PROJECT/runs`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    #[command(flatten)]
    run: RunArg,
}

#[derive(Serialize)]
struct Result {
    run: String,
    path: String,
    images: usize,
    of: usize,
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    let project = args.project.open(console)?;
    let run = args.run.find(&project)?;
    let id = run.id.0.clone();
    let written = console.run("embedding", move |work| {
        write_embedding(&project, &run, work)
    })?;
    let result = Result {
        run: id,
        path: shown(&written.config),
        images: written.images,
        of: written.of,
    };
    console.result(&result, || {
        format!("wrote {} ({} images)", visible(&result.path), result.images)
    })
}
