//! `salamander classes`: lists, adds, renames and removes classes.

use serde::Serialize;

use crate::jobs::Work;
use crate::project::{ClassName, Label, Project};

use super::ProjectArg;
use super::console::Console;
use super::table::{Align, table};

/// List the classes of a project, or add, rename and remove them
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add empty classes
    Add {
        /// The names, exactly as they are to be shown
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// Rename a class, frames and all
    Rename {
        /// The name now
        from: String,
        /// The new name
        to: String,
    },
    /// Remove a class; its frames become unsorted
    Remove {
        /// The class
        name: String,
    },
}

#[derive(Serialize)]
struct Result {
    classes: Vec<ClassCount>,
    unsorted: u64,
}

#[derive(Serialize)]
struct ClassCount {
    name: String,
    frames: u64,
}

pub fn run(console: &Console, args: Args) -> anyhow::Result<()> {
    let project = args.project.open()?;
    let action = args.action;
    let result = console.run("classes", move |work| {
        match &action {
            None => {}
            Some(Action::Add { names }) => {
                // All names are checked first, so that a bad one does not leave half of them behind.
                let names = names
                    .iter()
                    .map(|name| ClassName::new(name))
                    .collect::<std::result::Result<Vec<_>, _>>()?;
                for name in &names {
                    project.add_class(name)?;
                }
            }
            Some(Action::Rename { from, to }) => {
                project.rename_class(&ClassName::new(from)?, &ClassName::new(to)?)?;
            }
            Some(Action::Remove { name }) => {
                project.remove_class(&ClassName::new(name)?)?;
            }
        }
        counted(&project, work)
    })?;
    console.result(&result, || {
        let mut rows = vec![vec!["class".to_owned(), "frames".to_owned()]];
        rows.extend(
            result
                .classes
                .iter()
                .map(|class| vec![class.name.clone(), class.frames.to_string()]),
        );
        rows.push(vec!["(unsorted)".to_owned(), result.unsorted.to_string()]);
        table(&[Align::Left, Align::Right], &rows)
    })
}

fn counted(
    project: &Project,
    work: &Work,
) -> std::result::Result<Result, crate::project::ProjectError> {
    let frames = project.scan(work)?;
    let with = |label: &Label| {
        frames
            .list
            .iter()
            .filter(|frame| frame.label == *label)
            .count() as u64
    };
    Ok(Result {
        classes: project
            .classes()
            .into_iter()
            .map(|class| ClassCount {
                name: class.name.to_string(),
                frames: with(&Label::Class(class.name)),
            })
            .collect(),
        unsorted: with(&Label::Unsorted),
    })
}
