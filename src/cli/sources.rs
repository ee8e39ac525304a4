//! `salamander sources`: lists the sources of a project and changes the class of one.

use std::collections::HashMap;

use serde::Serialize;

use crate::jobs::Work;
use crate::project::{Change, ClassName, History, Project, ProjectError, SourceId, SourceKind};

use super::console::Console;
use super::table::{Align, table};
use super::{ProjectArg, shown};

/// List the sources of a project (videos and batches of photos), or change the class of one
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Action {
    /// Change the class of a source; its frames with the old class move along, those labelled by hand stay
    Class {
        /// The source's id, as listed
        #[arg(value_name = "ID")]
        source: String,
        /// An existing class, or `unsorted` to remove it
        #[arg(value_name = "CLASS")]
        class: String,
    },
}

#[derive(Serialize)]
struct Result {
    sources: Vec<Shown>,
    moved: u64,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    name: String,
    kind: &'static str,
    path: String,
    class: Option<String>,
    frames: u64,
}

pub fn run(console: &Console, args: Args) -> anyhow::Result<()> {
    let project = match args.action {
        Some(_) => args.project.open(console)?,
        None => args.project.open_or_read(console)?,
    };
    let action = args.action;
    let result = console.run("sources", move |work| {
        let moved = match &action {
            None => 0,
            Some(Action::Class { source, class }) => set_class(&project, source, class, work)?,
        };
        listed(&project, moved, work)
    })?;
    console.result(&result, || {
        let mut rows = vec![
            ["id", "name", "class", "frames"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(result.sources.iter().map(|source| {
            vec![
                source.id.clone(),
                source.name.clone(),
                source
                    .class
                    .clone()
                    .unwrap_or_else(|| "(unsorted)".to_owned()),
                source.frames.to_string(),
            ]
        }));
        table(
            &[Align::Left, Align::Left, Align::Left, Align::Right],
            &rows,
        )
    })
}

/// Returns the number of moved frames.
fn set_class(
    project: &Project,
    source: &str,
    class: &str,
    work: &Work,
) -> std::result::Result<u64, ProjectError> {
    let known = project
        .sources()
        .into_iter()
        .find(|known| known.id.as_str() == source);
    let Some(source) = known else {
        return Err(ProjectError::NoSuchSource {
            id: source.to_owned(),
        });
    };
    let named = project
        .classes()
        .into_iter()
        .find(|known| known.name.as_str() == class);
    let class = match named {
        Some(known) => Some(known.name),
        None if class == "unsorted" => None,
        None => Some(ClassName::new(class)?),
    };
    let sources = vec![source.id];
    let change = Change::SetSourceClass { sources, class };
    let outcome = History::default().apply(project, change, work)?;
    Ok(outcome.moved.len() as u64)
}

fn listed(project: &Project, moved: u64, work: &Work) -> std::result::Result<Result, ProjectError> {
    let mut frames: HashMap<SourceId, u64> = HashMap::new();
    for source in project
        .scan(work)?
        .list
        .into_iter()
        .filter_map(|frame| frame.source)
    {
        *frames.entry(source).or_default() += 1;
    }
    let sources = project.sources().into_iter().map(|source| Shown {
        frames: frames.get(&source.id).copied().unwrap_or_default(),
        id: source.id.to_string(),
        name: source.name,
        kind: match source.kind {
            SourceKind::Video => "video",
            SourceKind::Photos => "photos",
        },
        path: shown(&source.path),
        class: source.class.map(|class| class.to_string()),
    });
    Ok(Result {
        sources: sources.collect(),
        moved,
    })
}
