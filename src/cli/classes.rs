//! `salamander classes`: lists, adds, renames, merges and removes classes.

use serde::Serialize;

use crate::jobs::Work;
use crate::project::{ClassName, Label, Project, ProjectError};

use super::console::Console;
use super::table::{Align, table};
use super::train::quoted;
use super::{ProjectArg, shown};

/// List the classes of a project, or add, rename, merge and remove them
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add empty classes; if one name cannot be used, none is added
    Add {
        /// The names, exactly as they should be shown
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// Rename a class and its folder; runs that were trained on it are updated
    Rename {
        /// The current name
        from: String,
        /// The new name
        to: String,
    },
    /// Merge one class into another: its frames are moved and the class is removed; runs that were trained on it are
    /// updated
    Merge {
        /// The class to remove
        from: String,
        /// The class that receives its frames
        into: String,
    },
    /// Remove a class; its frames become unsorted
    Remove {
        /// The class
        name: String,
    },
}

#[derive(Debug, thiserror::Error)]
enum ClassesError {
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// With the command that was perhaps meant.
    #[error("{0}")]
    NameTaken(String),
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
    let folder = shown(&args.project.project);
    let project = match args.action {
        Some(_) => args.project.open(console)?,
        None => args.project.open_or_read(console)?,
    };
    let action = args.action;
    let result = console.run("classes", move |work| {
        match &action {
            None => {}
            Some(Action::Add { names }) => {
                let names = names
                    .iter()
                    .map(|name| ClassName::new(name))
                    .collect::<std::result::Result<Vec<_>, _>>()?;
                project.add_classes(&names)?;
            }
            Some(Action::Rename { from, to }) => {
                let (from, to) = (ClassName::new(from)?, ClassName::new(to)?);
                if let Err(error) = project.rename_class(&from, &to) {
                    // The name of the existing class, which may be spelled differently.
                    let ProjectError::NameTaken { from, other } = &error else {
                        return Err(error.into());
                    };
                    let words = [&folder, from.as_str(), other.as_str()].map(quoted);
                    let [folder, from, into] = words;
                    let how = format!("{error}: `salamander classes {folder} merge {from} {into}`");
                    return Err(ClassesError::NameTaken(how));
                }
            }
            Some(Action::Merge { from, into }) => {
                project.merge_class(&ClassName::new(from)?, &ClassName::new(into)?, work)?;
            }
            Some(Action::Remove { name }) => {
                project.remove_class(&ClassName::new(name)?)?;
            }
        }
        Ok::<_, ClassesError>(counted(&project, work)?)
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
