//! Projects that several tests begin with, and settings that train quickly on any machine.

use std::path::Path;

use image::{Rgb, RgbImage};
use salamander::jobs::Work;
use salamander::media::{ClassFrom, ImportOptions, import};
use salamander::project::{ClassName, Fps, Project, Sampling, SplitSettings};
use salamander::train::TrainSettings;

/// A new project with six frames a second of the sample videos, in classes by their folders.
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

/// A picture of 96 × 96 pixels, coarse noise tinted by its class, different for each seed.
fn picture(class: usize, seed: u32) -> RgbImage {
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

/// A new project with so many pictures of each of up to three classes, as PNG: read to the same bits by everybody.
pub fn of_pictures(root: &Path, counts: &[(&str, u32)]) -> Project {
    let project = Project::create(root, "Test").unwrap();
    for (class, (name, count)) in counts.iter().enumerate() {
        let name = ClassName::new(name).unwrap();
        project.add_class(&name).unwrap();
        let folder = project.root().join("classes").join(name.as_str());
        for number in 0..*count {
            let path = folder.join(format!("{number}.png"));
            picture(class, class as u32 * 1000 + number)
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
