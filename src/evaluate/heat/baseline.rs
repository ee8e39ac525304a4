//! The baseline of heat maps: the mean feature map of training images.
//!
//! The contribution of a place to a logit depends on the baseline. Relative to a feature map of zeros, a class that is
//! recognised by the absence of others is spread over everything that images have in common. Relative to the mean of
//! training images at each place, a map shows what is special about *this* image. It stays exact, because the
//! subtracted amount is added to the bias.

use std::path::{Path, PathBuf};

use crate::backbone::{FeatureMap, FeatureMaps};
use crate::jobs::Work;
use crate::media::load_image;
use crate::project::{Project, Split};
use crate::train::{Run, RunFrame, present};

use crate::evaluate::EvaluateError;

/// The number of training images for the mean, equally many of each class.
const IMAGES: usize = 200;
/// Increased when other images are selected, or the file's format changes.
const VERSION: u32 = 1;

/// The mean feature map of training images of a run, with equal weights of the classes, from the project's cache if it
/// is there. `None` if none of them can be read.
pub(super) fn mean_map(
    project: &Project,
    run: &Run,
    maps: &mut FeatureMaps,
    work: &Work,
) -> Result<Option<FeatureMap>, EvaluateError> {
    let frames = present(project, run, Some(Split::Train), work)?.frames;
    let chosen = chosen(&frames, run.classes.len());
    let path = cache_path(run, &chosen)?;
    if let Some(kept) = project
        .kept_in_cache(&path)
        .and_then(|bytes| read(&bytes, maps))
    {
        return Ok(Some(kept));
    }
    work.stage("Reading training images", Some(chosen.len() as u64));
    let classes = run.classes.len();
    let mut sums: Vec<Option<(FeatureMap, f32)>> = vec![None; classes];
    for frame in chosen {
        work.check()?;
        let Ok(image) = load_image(&project.abs(&frame.path)) else {
            // Moved or damaged since: others are sufficient.
            continue;
        };
        let map = maps.extract(&image)?;
        if let Some(sum) = sums.get_mut(frame.class) {
            match sum {
                Some((sum, count)) => {
                    sum.add_scaled(&map, 1.0);
                    *count += 1.0;
                }
                None => *sum = Some((map, 1.0)),
            }
        }
        work.advance(1);
    }
    let sums: Vec<_> = sums.into_iter().flatten().collect();
    let Some(((first, _), present)) = sums.first().zip(Some(sums.len() as f32)) else {
        return Ok(None);
    };
    let mut mean = first.clone();
    mean.add_scaled(first, -1.0);
    for (sum, count) in &sums {
        mean.add_scaled(sum, 1.0 / (count * present));
    }
    let bytes: Vec<u8> = mean.numbers().flat_map(f32::to_le_bytes).collect();
    project.keep_in_cache(&[(path, &bytes)]);
    Ok(Some(mean))
}

/// Equally many frames of each class, evenly distributed.
fn chosen(frames: &[RunFrame], classes: usize) -> Vec<&RunFrame> {
    let each = (IMAGES / classes.max(1)).max(1);
    let of_class = |class: usize| {
        let all: Vec<&RunFrame> = frames.iter().filter(|frame| frame.class == class).collect();
        let count = each.min(all.len());
        let pick = move |at: usize| all.get(at * all.len() / count.max(1)).copied();
        (0..count).filter_map(pick).collect::<Vec<_>>()
    };
    (0..classes).flat_map(of_class).collect()
}

/// The path of the mean, relative to the project's cache.
fn cache_path(run: &Run, chosen: &[&RunFrame]) -> Result<PathBuf, EvaluateError> {
    let mut hasher = blake3::Hasher::new();
    let fine_tuned = run.fine_tuned()?;
    let fine_tuned = fine_tuned
        .as_ref()
        .map_or("", |fine_tuned| fine_tuned.hash());
    let preprocessing = run.preprocessing.fingerprint();
    let of_run = format!(
        "{VERSION} {} {fine_tuned} {preprocessing}",
        run.settings.architecture
    );
    hasher.update(of_run.as_bytes());
    for frame in chosen {
        let frame = format!("\n{} {} {:?}", frame.class, frame.path, frame.content);
        hasher.update(frame.as_bytes());
    }
    let name: String = hasher.finalize().to_hex().chars().take(32).collect();
    Ok(Path::new("evaluate").join(format!("mean-map-{name}.f32")))
}

fn read(bytes: &[u8], maps: &FeatureMaps) -> Option<FeatureMap> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = numbers
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    if !rest.is_empty() || !numbers.iter().all(|number| number.is_finite()) {
        return None;
    }
    maps.of_numbers(numbers)
}
