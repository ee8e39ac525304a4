//! `salamander label`: labels frames.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;

use crate::jobs::Work;
use crate::project::{ClassName, Frames, Label, Project};
use crate::text::{count, visible};

use super::console::Console;
use super::{ProjectArg, shown};

/// Move frames to another class
#[derive(Debug, clap::Args)]
#[command(after_help = "Move all unsorted frames to the class “cat”:\n  \
        salamander label Pets cat Pets/unsorted")]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    /// An existing class, or `unsorted` to remove the label
    #[arg(value_name = "CLASS")]
    class: String,
    /// Frames, or folders of frames in the project
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Result {
    frames: u64,
    paths: Vec<String>,
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    let project = args.project.open(console)?;
    let label = label(&project, &args.class)?;
    // Scanning takes milliseconds, so it needs no progress.
    let frames = project.scan(&Work::new())?;
    let chosen = chosen(&project, &frames, &args.paths)?;
    let before = chosen.clone();
    let paths = console.run("label", move |work| project.relabel(&chosen, &label, work))?;
    let moved = before
        .iter()
        .zip(&paths)
        .filter(|(old, new)| old != new)
        .count() as u64;
    let result = Result {
        frames: moved,
        paths,
    };
    console.result(&result, || {
        format!(
            "moved {} to “{}”",
            count(result.frames, "frame"),
            visible(&args.class)
        )
    })
}

fn label(project: &Project, class: &str) -> anyhow::Result<Label> {
    let known = project
        .classes()
        .into_iter()
        .find(|known| known.name.as_str() == class);
    if let Some(known) = known {
        return Ok(Label::Class(known.name));
    }
    if class == "unsorted" {
        return Ok(Label::Unsorted);
    }
    let name = ClassName::new(class)?;
    bail!(
        "“{}” has no class “{name}”; add it with `salamander classes {} add {name}`",
        project.name(),
        shown(project.root())
    )
}

/// The frames at or below each path, relative to the project's root, each once.
pub(super) fn chosen(
    project: &Project,
    frames: &Frames,
    paths: &[PathBuf],
) -> anyhow::Result<Vec<String>> {
    let root = project
        .root()
        .canonicalize()
        .with_context(|| format!("cannot read “{}”", shown(project.root())))?;
    let mut chosen = Vec::new();
    for path in paths {
        let relative = relative(&root, path)?;
        let before = chosen.len();
        let below = frames.list.iter().map(|frame| &frame.path).filter(|frame| {
            frame
                .strip_prefix(relative.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        chosen.extend(below.cloned());
        if chosen.len() == before && !root.join(&relative).is_dir() {
            bail!("“{}” is not a frame of this project", shown(path));
        }
    }
    let mut seen = std::collections::HashSet::new();
    chosen.retain(|path| seen.insert(path.clone()));
    Ok(chosen)
}

/// `path`, which may be relative to the current folder or to the project's root, relative to the root, with `/`.
fn relative(root: &Path, path: &Path) -> anyhow::Result<String> {
    let absolute = path
        .canonicalize()
        .ok()
        .filter(|absolute| absolute.starts_with(root))
        .or_else(|| root.join(path).canonicalize().ok())
        .with_context(|| format!("there is no “{}” here or in the project", shown(path)))?;
    let inside = absolute
        .strip_prefix(root)
        .ok()
        .with_context(|| format!("“{}” is not in the project", shown(path)))?;
    let parts: Vec<String> = inside
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    Ok(parts.join("/"))
}
