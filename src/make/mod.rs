//! Makes a model from a folder of videos or photos in one go: import, training with default settings, evaluation,
//! export. The window and the command line call [`make`].
//!
//! ```text
//! OUT/make.json    marks the folder as made here
//! OUT/project/     an ordinary project, to continue with
//! OUT/model/       the export; as one file OUT/<project>_<run>.zip
//! ```
//!
//! Each step can be interrupted at any moment and resumed, so calling [`make`] again completes an interrupted one:
//! imported files are not imported again, an unfinished run is resumed, and a finished run on the same images is
//! reused.

mod error;
mod progress;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::backbone::open_own;
use crate::evaluate::{Evaluation, evaluate};
use crate::export::{Bundle, ExportOutcome, Format, Options, Order, export};
use crate::files::{self, Durability};
use crate::jobs::Work;
use crate::media::{
    ClassFrom, Decoded, ImportOptions, ImportOutcome, ImportPlan, import_planned, plan,
};
use crate::project::{Label, Project, Split};
use crate::train::{Decision, Run, RunId, RunState, TrainSettings, find_runs, resume, train};

pub use error::MakeError;
pub use progress::{LiveMake, MakePhase};

/// The file that marks the output folder as made by this command.
const MARKER: &str = "make.json";
/// The project's folder in the output folder.
const PROJECT: &str = "project";
/// The export's folder in the output folder.
const MODEL: &str = "model";

/// A class with fewer images cannot be trained and tested.
const LEAST_IMAGES: usize = 5;
/// A class with fewer images gets a remark.
const FEW_IMAGES: usize = 20;

/// The settings for making a model.
#[derive(Debug, Clone)]
pub struct MakeOrder {
    /// Videos, photos, and folders of them.
    pub paths: Vec<PathBuf>,
    /// The output folder.
    pub out: PathBuf,
    /// How the classes are determined.
    pub class_from: ClassFrom,
    /// Formats of the model; `README.txt` shows how to use the first one.
    pub formats: Vec<Format>,
    /// Whether the export is a folder or an archive.
    pub bundle: Bundle,
    /// Whether a model is exported although its accuracy loss exceeds the limit of its format.
    pub accept_loss: bool,
    /// Whether any number of frames is extracted from the videos. Otherwise very many, or more than the disk has room
    /// for, are an error before any is written.
    pub force: bool,
    /// The settings of the training.
    pub settings: TrainSettings,
}

impl MakeOrder {
    /// Default settings: classes from folders, a recommended depth, ONNX for computers and TensorFlow Lite for phones.
    #[must_use]
    pub fn new(paths: Vec<PathBuf>, out: PathBuf) -> Self {
        let mut settings = TrainSettings::default();
        settings.fine_tune.automatic = true;
        Self {
            paths,
            out,
            class_from: ClassFrom::Folder,
            formats: default_formats(),
            bundle: Bundle::Folder,
            accept_loss: false,
            force: false,
            settings,
        }
    }
}

/// The formats of [`MakeOrder::new`].
#[must_use]
pub fn default_formats() -> Vec<Format> {
    vec![Format::ONNX, Format::TFLITE_FP16]
}

/// The result of making a model.
#[derive(Debug)]
pub struct Made {
    /// The project's folder.
    pub project: PathBuf,
    /// The run.
    pub run: RunId,
    /// The results of the import.
    pub import: ImportOutcome,
    /// The evaluation of the run on its test images; without test images on the validation images.
    pub evaluation: Evaluation,
    /// The export, with the model card.
    pub export: ExportOutcome,
    /// Remarks and advice, a sentence each.
    pub advice: Vec<String>,
}

/// Makes a model from everything in the paths.
///
/// # Errors
/// Before anything is written: paths without images or videos, fewer than two classes, a folder of the user's in the
/// way. Before any frame is written: very many frames, unless [`MakeOrder::force`] is set
/// ([`MediaError::Much`](crate::media::MediaError::Much)). After the import, before the training: classes with too few
/// images.
pub fn make(order: &MakeOrder, live: &LiveMake, work: &Work) -> Result<Made, MakeError> {
    live.enter(MakePhase::Import);
    let project = begin(order, work)?;
    let outcome = bring_in(&project, order, work)?;
    let mut advice = outcome.notes.clone();
    advice.extend(check_images(&project, work)?);

    live.enter(MakePhase::Train);
    let run = trained(&project, &outcome, order, live, work)?;
    advice.extend(run.decision.and_then(Decision::sentence));

    live.enter(MakePhase::Evaluate);
    let evaluation = measured(&project, &run, work)?;
    advice.extend(judge(&evaluation));

    live.enter(MakePhase::Export);
    let exported = export(
        &project,
        &run,
        &Order {
            formats: order.formats.clone(),
            options: Options::default(),
            bundle: order.bundle,
            force: false,
            accept_loss: order.accept_loss,
        },
        &match order.bundle {
            Bundle::Folder => order.out.join(MODEL),
            Bundle::Zip => order.out.clone(),
        },
        work,
    )?;
    Ok(Made {
        project: order.out.join(PROJECT),
        run: run.id,
        import: outcome,
        evaluation,
        export: exported,
        advice,
    })
}

#[derive(Serialize)]
struct Marker<'a> {
    program: String,
    schema: u32,
    paths: Vec<&'a Path>,
}

/// Opens the project of an interrupted call, or creates it once the paths have been checked.
fn begin(order: &MakeOrder, work: &Work) -> Result<Project, MakeError> {
    let out = &order.out;
    check_places(order)?;
    let root = out.join(PROJECT);
    let marker = out.join(MARKER);
    if Project::is_at(&root) {
        if !marker.is_file() {
            return Err(MakeError::NotOurs { path: root });
        }
        let project = Project::open(&root)?;
        for notice in project.take_notices() {
            work.warn(notice);
        }
        for problem in open_own(project.root()) {
            work.warn(problem);
        }
        let options = options(order);
        check_plan(order, &plan(&project, &order.paths, &options, work)?)?;
        return Ok(project);
    }
    if root.symlink_metadata().is_ok() && !is_empty(&root) && !marker.is_file() {
        return Err(MakeError::NotOurs { path: root });
    }
    // Created in a temporary folder first, so that paths without images leave nothing behind.
    {
        let elsewhere = tempfile::tempdir()
            .map_err(MakeError::io("create a folder in", std::env::temp_dir()))?;
        let tried = Project::create(&elsewhere.path().join(PROJECT), "tried")?;
        check_plan(order, &plan(&tried, &order.paths, &options(order), work)?)?;
    }
    files::create_dir_all(out).map_err(MakeError::io("make the folder", out))?;
    let content = Marker {
        program: format!("Salamander {}", env!("CARGO_PKG_VERSION")),
        schema: 1,
        paths: order.paths.iter().map(PathBuf::as_path).collect(),
    };
    let text = serde_json::to_vec_pretty(&content)
        .map_err(|error| MakeError::io("write", &marker)(error.into()))?;
    files::write(&marker, &text, Durability::Synced)?;
    Ok(Project::create(&root, &name(order))?)
}

fn is_empty(dir: &Path) -> bool {
    files::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

/// The name of the project: that of the input folder if there is only one, otherwise that of the output folder.
fn name(order: &MakeOrder) -> String {
    let path = match &order.paths[..] {
        [only] if only.is_dir() => only,
        _ => &order.out,
    };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Checks that the output is not inside the input, of which it would become a part.
fn check_places(order: &MakeOrder) -> Result<(), MakeError> {
    if order.formats.is_empty() {
        return Err(crate::export::ExportError::NoFormat.into());
    }
    if order.paths.is_empty() {
        return Err(MakeError::Nothing);
    }
    if order.out.exists() && !order.out.is_dir() {
        return Err(MakeError::NotAFolder {
            path: order.out.clone(),
        });
    }
    for path in &order.paths {
        if !path.exists() {
            return Err(MakeError::Missing { path: path.clone() });
        }
        let given = real(path);
        let out = real(&order.out);
        if path.is_dir() && out.starts_with(&given) {
            return Err(MakeError::Inside {
                out: order.out.clone(),
                path: path.clone(),
            });
        }
    }
    Ok(())
}

/// The absolute path without links, for a path that need not exist.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for there in absolute.ancestors() {
        if let Ok(found) = there.canonicalize() {
            let rest = absolute.strip_prefix(there).unwrap_or(Path::new(""));
            return found.join(rest);
        }
    }
    absolute
}

fn options(order: &MakeOrder) -> ImportOptions {
    ImportOptions {
        class_from: order.class_from.clone(),
        force: order.force,
        ..ImportOptions::default()
    }
}

/// Checks before anything is written that there are at least two classes.
fn check_plan(order: &MakeOrder, plan: &ImportPlan) -> Result<(), MakeError> {
    let mut classes: BTreeMap<String, usize> = BTreeMap::new();
    let mut without = 0;
    for group in &plan.groups {
        match (&group.class, &group.refused) {
            (Some(class), None) => {
                // The number of a video's images is known only after reading it.
                let images = group
                    .files
                    .iter()
                    .map(|file| if file.is_video() { FEW_IMAGES } else { 1 });
                *classes.entry(class.to_string()).or_default() += images.sum::<usize>();
            }
            _ => without += group.files.len(),
        }
    }
    if classes.is_empty() && without == 0 {
        return Err(MakeError::NoFiles {
            path: order.paths.first().cloned().unwrap_or_default(),
        });
    }
    if classes.len() < 2 {
        return Err(MakeError::Classes {
            found: classes.into_keys().next(),
            without,
        });
    }
    let few = |(class, images): (String, usize)| (images < LEAST_IMAGES).then_some((class, images));
    match classes.into_iter().find_map(few) {
        Some((class, images)) => Err(MakeError::TooFew { class, images }),
        None => Ok(()),
    }
}

fn bring_in(project: &Project, order: &MakeOrder, work: &Work) -> Result<ImportOutcome, MakeError> {
    let options = options(order);
    let found = plan(project, &order.paths, &options, work)?;
    let mut outcome = ImportOutcome::default();
    import_planned(project, found, &options, &Decoded, work, &mut outcome)?;
    Ok(outcome)
}

/// Checks that each class has images for training and testing; returns remarks on classes with few.
fn check_images(project: &Project, work: &Work) -> Result<Vec<String>, MakeError> {
    let counts = project.scan(work)?.counts();
    let of = |class: &crate::project::ClassName| {
        let count = counts.get(&Label::Class(class.clone()));
        count.copied().unwrap_or(0)
    };
    let classes = project.classes();
    let with_images = classes.iter().filter(|class| of(&class.name) > 0);
    if with_images.count() < 2 {
        let found = classes.iter().find(|class| of(&class.name) > 0);
        return Err(MakeError::Classes {
            found: found.map(|class| class.name.to_string()),
            without: counts.get(&Label::Unsorted).copied().unwrap_or(0),
        });
    }
    let mut advice = Vec::new();
    for class in &classes {
        match of(&class.name) {
            0 => advice.push(format!(
                "“{}” has no images and is left out.",
                class.name
            )),
            images if images < LEAST_IMAGES => {
                return Err(MakeError::TooFew {
                    class: class.name.to_string(),
                    images,
                });
            }
            images if images < FEW_IMAGES => advice.push(format!(
                "“{}” has only {images} images; a few dozen from several videos or places are needed for reliable results.",
                class.name
            )),
            _ => {}
        }
    }
    if let Some(unsorted @ 1..) = counts.get(&Label::Unsorted).copied() {
        advice.push(format!(
            "{unsorted} images have no class and are left out; sort them in the project."
        ));
    }
    Ok(advice)
}

/// The run: a finished one on exactly these images, an interrupted one resumed, or a new one.
fn trained(
    project: &Project,
    outcome: &ImportOutcome,
    order: &MakeOrder,
    live: &LiveMake,
    work: &Work,
) -> Result<Run, MakeError> {
    let is_new = outcome.totals().frames > 0;
    let same = |run: &Run| {
        let (is, asked) = (&run.settings, &order.settings);
        let deep = (is.fine_tune.depth, run.is_undecided());
        is.architecture == asked.architecture
            && is.how_many_training_steps == asked.how_many_training_steps
            && (asked.fine_tune.automatic || deep == (asked.fine_tune.depth, false))
    };
    if !is_new && let Some(run) = find_runs(project)?.or_warn(work).into_iter().find(same) {
        return match run.state {
            RunState::Finished => Ok(run),
            RunState::Unfinished => Ok(resume(project, &run.id, None, live.curves(), work)?),
        };
    }
    Ok(train(project, &order.settings, live.curves(), work)?)
}

fn measured(project: &Project, run: &Run, work: &Work) -> Result<Evaluation, MakeError> {
    let found = evaluate(project, run, Split::Test, work)?;
    if found.predictions.is_empty() {
        return Ok(evaluate(project, run, Split::Validation, work)?);
    }
    Ok(found)
}

/// Remarks on an evaluation for readers who see nothing else.
fn judge(evaluation: &Evaluation) -> Vec<String> {
    let mut advice = Vec::new();
    let confusion = &evaluation.confusion;
    let total = confusion.total();
    if evaluation.split != Split::Test {
        advice.push(
            "There were no test images, so the accuracy was measured on validation images, which were used for selection; add more videos or photos."
                .to_owned(),
        );
    }
    let largest = (0..evaluation.classes.len()).max_by_key(|class| confusion.support(*class));
    if let (Some(largest), Some(accuracy)) = (largest, confusion.accuracy()) {
        let always = confusion.support(largest) as f32 / total.max(1) as f32;
        if accuracy <= always {
            let class = evaluation.classes.get(largest).map_or("", String::as_str);
            advice.push(format!(
                "The model is no better than always answering “{class}” ({:.1} %): the classes may look the same, or there are too few images.",
                always * 100.0
            ));
        }
    }
    advice
}
