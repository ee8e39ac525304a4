//! `salamander new`: creates a project.

use std::path::PathBuf;

use serde::Serialize;

use crate::project::Project;
use crate::text::visible;

use super::console::Console;
use super::shown;

/// Create a new, empty project
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to create; it must be empty or not exist yet
    #[arg(value_name = "PROJECT")]
    project: PathBuf,
    /// The name shown in the window [default: the folder's name]
    #[arg(long)]
    name: Option<String>,
}

#[derive(Serialize)]
struct Result {
    project: String,
    name: String,
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    let name = args.name.clone().unwrap_or_else(|| folder_name(args));
    let project = Project::create(&args.project, &name)?;
    let result = Result {
        project: shown(project.root()),
        name: project.name(),
    };
    console.result(&result, || {
        format!(
            "created the project “{}” in {}",
            visible(&result.name),
            visible(&result.project)
        )
    })
}

fn folder_name(args: &Args) -> String {
    // `.` and `..` are not names.
    std::path::absolute(&args.project)
        .unwrap_or_else(|_| args.project.clone())
        .file_name()
        .map_or_else(
            || "Project".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        )
}
