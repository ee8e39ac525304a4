//! Projects for several tests, and settings that train fast on any computer.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};
use salamander::jobs::Work;
use salamander::media::{ClassFrom, ImportOptions, import};
use salamander::project::{ClassName, Fps, Project, Sampling, SplitSettings};
use salamander::train::{Run, TrainSettings, find_runs};

use crate::cli_program::Place;

/// A new project with the sample videos at six frames per second, in classes by their folders.
pub fn of_sample_videos(root: &Path) -> Project {
    let project = Project::create(root, "Test").unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sample");
    let options = ImportOptions {
        class_from: ClassFrom::Folder,
        sampling: Sampling {
            fps: Fps(6.0),
            ..Sampling::default()
        },
        ..ImportOptions::default()
    };
    import(&project, &[sample], &options, &Work::new()).unwrap();
    project
}

/// An image of 96 × 96 pixels, coarse noise tinted by its class, different for each seed.
fn image(class: usize, seed: u32) -> RgbImage {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut cells = [0_u8; 64];
    for cell in &mut cells {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *cell = (state >> 24) as u8;
    }
    RgbImage::from_fn(96, 96, |x, y| {
        let value = cells[(y / 12 * 8 + x / 12) as usize] / 2;
        let mut pixel = [value; 3];
        pixel[class] = value.saturating_add(100);
        Rgb(pixel)
    })
}

/// A new project with the photos of a folder, in classes by their folders.
pub fn of_photos(place: &Place, photos: &OsStr) -> Project {
    place.result("new p");
    place.result(&format!(
        "import p {} --class-from folder",
        photos.to_string_lossy()
    ));
    Project::open(&place.path("p")).unwrap()
}

/// A new project with this many images of each of up to three classes, as PNG, which all decoders decode identically.
pub fn of_images(root: &Path, counts: &[(&str, u32)]) -> Project {
    let project = Project::create(root, "Test").unwrap();
    for (class, (name, count)) in counts.iter().enumerate() {
        let name = ClassName::new(name).unwrap();
        project.add_class(&name).unwrap();
        let folder = project.root().join("classes").join(name.as_str());
        for number in 0..*count {
            let path = folder.join(format!("{number}.png"));
            image(class, class as u32 * 1000 + number)
                .save(path)
                .unwrap();
        }
    }
    project
}

/// A training of the head with a quarter of the frames for validation and a quarter for the test.
pub fn quick(architecture: &str, steps: u32) -> TrainSettings {
    TrainSettings {
        architecture: architecture.parse().unwrap(),
        how_many_training_steps: steps,
        split: SplitSettings {
            validation_percentage: 25,
            testing_percentage: 25,
            ..SplitSettings::default()
        },
        ..TrainSettings::default()
    }
}

/// The readable runs of a project, the newest first.
pub fn runs(project: &Project) -> Vec<Run> {
    find_runs(project).unwrap().runs
}

/// Removes the hashes of a run's files, as in runs of earlier versions, so that a test can change the files.
pub fn without_hashes(run: &Path) {
    let path = run.join("run.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let fields = json.as_object_mut().unwrap();
    fields.remove("blake3");
    fields.remove("checksum");
    fs::write(&path, serde_json::to_vec(&json).unwrap()).unwrap();
}

/// Rewrites a file of tensors with other numbers and without its checksum.
pub fn change_tensors(path: &Path, change: impl Fn(&str, &mut Vec<f32>)) {
    let bytes = fs::read(path).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let mut texts = metadata.metadata().clone().unwrap_or_default();
    assert!(texts.remove("blake3").is_some());
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut changed = Vec::new();
    for (name, tensor) in tensors.tensors() {
        let values = tensor.data().as_chunks::<4>().0.iter();
        let mut values: Vec<f32> = values.map(|bytes| f32::from_le_bytes(*bytes)).collect();
        change(&name, &mut values);
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        changed.push((name, tensor.shape().to_vec(), bytes));
    }
    let views = changed.iter().map(|(name, shape, bytes)| {
        let dtype = safetensors::Dtype::F32;
        let view = safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes).unwrap();
        (name.clone(), view)
    });
    fs::write(path, safetensors::serialize(views, Some(texts)).unwrap()).unwrap();
}
