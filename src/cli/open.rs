//! `salamander open`: the window on a project.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};

use crate::app::{Options, config_dir};
use crate::ui::run_window;

use super::shown;

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
    // The window would offer to add a folder's files to a new project; `open` means a project.
    if let Some(root) = project
        && !root.join("project.json").is_file()
    {
        bail!(
            "“{}” is no Salamander project; make one with `salamander new`",
            shown(root)
        );
    }
    let options = Options {
        config_dir: config_dir(),
        open: project.map(Path::to_owned).into_iter().collect(),
        system_dialogs: true,
    };
    run_window(options).map_err(|error| {
        anyhow!("the window cannot be opened: {error}; is there a display, and OpenGL on it?")
    })
}
