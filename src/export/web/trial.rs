//! The web page of a run without an export, for trying the model on a phone.

use crate::export::golden::Chosen;
use crate::export::{ExportError, Format, Model, ModelFile, Options, WrittenModel, verify};
use crate::jobs::Work;
use crate::project::Project;
use crate::train::{Run, RunClasses, RunState};

use super::FOLDER;

/// The files of a run's web export, by their names relative to its folder, including golden images. Nothing is written
/// to disk, and the model is not verified on the test set.
///
/// # Errors
/// As for [`export`](crate::export::export).
pub fn web_files(
    project: &Project,
    run: &Run,
    work: &Work,
) -> Result<Vec<(String, Vec<u8>)>, ExportError> {
    project.blame(files(project, run, work))
}

fn files(project: &Project, run: &Run, work: &Work) -> Result<Vec<(String, Vec<u8>)>, ExportError> {
    if run.state != RunState::Finished {
        return Err(ExportError::Unfinished {
            run: run.id.0.clone(),
        });
    }
    let format = Format::WEB;
    format.check_installed()?;
    let reference = verify::reference(project, run, work)?;
    work.check()?;
    work.stage("Writing the page", None);
    let classes = RunClasses::of(project, run);
    for note in &classes.notes {
        work.warn(note);
    }
    let model = Model::of_run(run, &classes)?;
    let options = Options::default();
    let mut files = format.write(&model, &options)?;
    work.check()?;
    let written = WrittenModel {
        format,
        file: format.file(),
        recipe: model.recipe(format.input(&options)),
    };
    let mut runner = format.open(&files, 1)?;
    let golden = Chosen::load(project.root(), &reference)?;
    let golden = golden.files(&model.labels, &[written], |_, input| Ok(runner.run(input)?))?;
    files.extend(format.beside(&golden));
    let inside = |ModelFile { name, bytes }| {
        let below = name
            .strip_prefix(FOLDER)
            .and_then(|name| name.strip_prefix('/'));
        (below.unwrap_or(&name).to_owned(), bytes)
    };
    Ok(files.into_iter().map(inside).collect())
}
