//! A replacement for TensorFlow's `retrain.py` with the same names: its input is a folder of class folders, its output
//! a frozen graph and labels. `docs/retrain.md` lists all of its flags.
//!
//! The images stay where they are. A separate project in [`RetrainOrder::bottleneck_dir`] accesses them through a link
//! in place of its class folders; it keeps bottlenecks and runs.

mod architecture;
mod error;
mod place;

use std::path::{Path, PathBuf};

use crate::evaluate::{Evaluation, calibrate, evaluate};
use crate::export::{Bundle, Format, Options, Order, export, frozen_graph};
use crate::files::{self, Durability};
use crate::jobs::Work;
use crate::project::{Project, Split};
use crate::train::{LiveCurves, Run, RunClasses, TrainSettings, resume, train};

pub use architecture::{Named, named};
pub use error::RetrainError;

/// The name of the output node in graphs of `retrain.py`.
pub const FINAL_TENSOR: &str = "final_result";

/// The settings of a retraining; each field is the flag of `retrain.py` with that name.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrainOrder {
    /// The folder with a folder of images for each class.
    pub image_dir: PathBuf,
    /// The path of the graph.
    pub output_graph: PathBuf,
    /// The path of the labels, one per line.
    pub output_labels: PathBuf,
    /// The folder for `TensorBoard` event files.
    pub summaries_dir: PathBuf,
    /// The folder for intermediate graphs, `intermediate_<step>.pb`.
    pub intermediate_output_graphs_dir: PathBuf,
    /// Steps between intermediate graphs; 0 writes none.
    pub intermediate_store_frequency: u32,
    /// The folder for cached bottlenecks, which becomes a project.
    pub bottleneck_dir: PathBuf,
    /// The folder for the `SavedModel`, which must be new or empty; `None` writes none.
    pub saved_model_dir: Option<PathBuf>,
    /// The name of the output node.
    pub final_tensor_name: String,
    /// The settings of the training.
    pub settings: TrainSettings,
}

impl RetrainOrder {
    /// The defaults of `retrain.py`, with the system's temporary folder in place of `/tmp`.
    #[must_use]
    pub fn new(image_dir: PathBuf) -> Self {
        let temp = std::env::temp_dir();
        Self {
            image_dir,
            output_graph: temp.join("output_graph.pb"),
            output_labels: temp.join("output_labels.txt"),
            summaries_dir: temp.join("retrain_logs"),
            intermediate_output_graphs_dir: temp.join("intermediate_graph"),
            intermediate_store_frequency: 0,
            bottleneck_dir: temp.join("bottleneck"),
            saved_model_dir: None,
            final_tensor_name: FINAL_TENSOR.to_owned(),
            settings: TrainSettings::classic(),
        }
    }
}

/// The result of a retraining.
#[derive(Debug)]
pub struct Retrained {
    /// The run, in the project of [`RetrainOrder::bottleneck_dir`].
    pub run: Run,
    /// Its evaluation on the test images.
    pub evaluation: Evaluation,
    /// The files that were written, the graph first.
    pub files: Vec<PathBuf>,
}

/// Trains, evaluates, and writes the graph, its labels and the event files. Like every export, the graph is verified
/// on the test images before it is written.
///
/// # Errors
/// Before anything is written: a folder without two class folders, a folder for bottlenecks that is used for something
/// else, a name that no node can have, a folder for the `SavedModel` that is not empty.
pub fn retrain(
    order: &RetrainOrder,
    curves: &LiveCurves,
    work: &Work,
) -> Result<Retrained, RetrainError> {
    frozen_graph::check_node_name(&order.final_tensor_name)
        .map_err(|reason| RetrainError::FinalTensor { reason })?;
    if let Some(dir) = &order.saved_model_dir {
        check_new(dir)?;
    }
    let project = place::open(&order.bottleneck_dir, &order.image_dir)?;
    for notice in project.take_notices() {
        work.warn(notice);
    }
    let mut written = Vec::new();
    let run = train_with_graphs(order, &project, &mut written, curves, work)?;
    let evaluation = evaluate(&project, &run, Split::Test, work)?;
    let mut files = write_graph(order, &project, &run, work)?;
    files.append(&mut written);
    files.extend(copy_events(&run.dir, &order.summaries_dir)?);
    Ok(Retrained {
        run,
        evaluation,
        files,
    })
}

/// Trains the run; with intermediate graphs, from one to the next. A resumed head gives the same bits as an
/// uninterrupted one.
fn train_with_graphs(
    order: &RetrainOrder,
    project: &Project,
    written: &mut Vec<PathBuf>,
    curves: &LiveCurves,
    work: &Work,
) -> Result<Run, RetrainError> {
    let mut settings = order.settings.clone();
    let steps = settings.how_many_training_steps;
    let apart = match order.intermediate_store_frequency {
        0 => steps,
        apart => apart.min(steps),
    };
    settings.how_many_training_steps = apart;
    let mut run = train(project, &settings, curves, work)?;
    let mut done = apart;
    while done < steps {
        let dir = &order.intermediate_output_graphs_dir;
        let path = dir.join(format!("intermediate_{done}.pb"));
        // Calibrated like the final graph.
        calibrate(project, &run, work)?;
        let classes = RunClasses::of(project, &run);
        let [graph, _] = frozen_graph::of_run(&run, &classes, &order.final_tensor_name)?;
        put(&path, &graph)?;
        written.push(path);
        done = done.saturating_add(apart).min(steps);
        run = resume(project, &run.id, Some(done), curves, work)?;
    }
    Ok(run)
}

/// Verifies the graph as an export of the project, and writes it and its labels to the requested paths.
fn write_graph(
    order: &RetrainOrder,
    project: &Project,
    run: &Run,
    work: &Work,
) -> Result<Vec<PathBuf>, RetrainError> {
    let proved = project.root().join("exports").join(&run.id.0);
    let format = Order {
        formats: vec![Format::FROZEN_GRAPH],
        options: Options::default(),
        bundle: Bundle::Folder,
        force: false,
        accept_loss: false,
    };
    export(project, run, &format, &proved, work)?;
    let classes = RunClasses::of(project, run);
    let output = &order.final_tensor_name;
    let files = frozen_graph::of_run(run, &classes, output)?;
    let [graph, labels] = &files;
    put(&order.output_graph, graph)?;
    put(&order.output_labels, labels)?;
    let mut written = vec![order.output_graph.clone(), order.output_labels.clone()];
    if let Some(dir) = &order.saved_model_dir {
        // Checked again, because it may have been filled since.
        check_new(dir)?;
        let variables = dir.join("variables");
        files::create_dir_all(&variables).map_err(RetrainError::io("make", &variables))?;
        let path = dir.join("saved_model.pb");
        put(&path, &frozen_graph::saved_model(&files, output)?)?;
        written.push(path);
    }
    Ok(written)
}

/// Checks that a `SavedModel` can be written to a folder: it must not exist, or be empty, as in TensorFlow.
fn check_new(dir: &Path) -> Result<(), RetrainError> {
    let path = || dir.to_owned();
    match files::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(RetrainError::SavedModelThere { path: path() }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(RetrainError::io("read", dir)(error)),
    }
}

/// Writes a file, and creates its folder.
fn put(path: &Path, bytes: &[u8]) -> Result<(), RetrainError> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        files::create_dir_all(dir).map_err(RetrainError::io("make", dir))?;
    }
    Ok(files::write(path, bytes, Durability::Synced)?)
}

/// Replaces the event files of the previous training by those of a run; other files in the folder stay.
fn copy_events(run: &Path, to: &Path) -> Result<Vec<PathBuf>, RetrainError> {
    let mut copied = Vec::new();
    for side in ["train", "validation"] {
        let (from, to) = (run.join(side), to.join(side));
        if !files::is_dir(&from) {
            continue;
        }
        files::create_dir_all(&to).map_err(RetrainError::io("make", &to))?;
        for old in events_in(&to)? {
            files::remove_file(&old).map_err(RetrainError::io("replace", &old))?;
        }
        for event in events_in(&from)? {
            if let Some(name) = event.file_name() {
                let path = to.join(name);
                files::copy(&event, &path, Durability::Synced)?;
                copied.push(path);
            }
        }
    }
    Ok(copied)
}

fn events_in(dir: &Path) -> Result<Vec<PathBuf>, RetrainError> {
    let entries = files::read_dir(dir).map_err(RetrainError::io("read", dir))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_events = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("events.out.tfevents"))
    };
    Ok(paths.filter(is_events).collect())
}
