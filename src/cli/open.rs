//! `salamander open`: the window on a project.

use std::path::{Path, PathBuf};

/// Open the window on a project
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The project's folder; without it the start screen
    #[arg(value_name = "PROJECT")]
    project: Option<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    window(args.project.as_deref())
}

/// Opens the window and returns when it is closed.
pub fn window(project: Option<&Path>) -> anyhow::Result<()> {
    let _ = project;
    anyhow::bail!("the window is not part of this build yet")
}
