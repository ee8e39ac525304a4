//! Test frames of a run as files, for runtimes outside the program.

use std::path::PathBuf;

use salamander::evaluate::{Evaluation, InputKind, Recipe, evaluate};
use salamander::jobs::Work;
use salamander::media::load_image;
use salamander::onnx::Element;
use salamander::project::{Project, Split};
use salamander::train::Run;

/// Test frames of a run for other runtimes.
pub struct TestFrames {
    /// The predictions of the run.
    pub frames: Evaluation,
    /// Their bytes as input of a model, as files.
    pub files: Vec<PathBuf>,
    _dir: tempfile::TempDir,
}

impl TestFrames {
    /// All of them, or at most this many.
    pub fn of(project: &Project, run: &Run, input: InputKind, most: Option<usize>) -> Self {
        let mut frames = evaluate(project, run, Split::Test, &Work::new()).unwrap();
        frames.predictions.truncate(most.unwrap_or(usize::MAX));
        let recipe = Recipe::new(
            input,
            &run.preprocessing,
            &run.settings.architecture,
            &frames.classes,
        );
        let dir = tempfile::tempdir().unwrap();
        let written = |(at, path): (usize, &String)| {
            let tensor = recipe.tensor(&load_image(&project.root().join(path)).unwrap());
            let bytes = match tensor.data {
                Element::U8(bytes) => bytes,
                Element::F32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                other => panic!("{other:?}"),
            };
            let file = dir.path().join(format!("{at}.bytes"));
            std::fs::write(&file, bytes).unwrap();
            file
        };
        let paths = frames.predictions.iter().map(|frame| &frame.path);
        let files = paths.enumerate().map(written).collect();
        Self {
            frames,
            files,
            _dir: dir,
        }
    }
}
