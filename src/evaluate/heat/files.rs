//! Writes heat maps of many files as PNG images.

use std::io::Cursor;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use image::ImageFormat;

use crate::files::{self, Durability, FileError};
use crate::jobs::Work;
use crate::project::Sampling;

use super::{HeatMap, HeatMapper};
use crate::evaluate::files::for_each_image;
use crate::evaluate::{EvaluateError, FilesOutcome, Prediction, arg_max};

/// A written heat map.
pub struct HeatFile<'a> {
    /// The file of the image.
    pub path: &'a Path,
    /// Seconds from the start of the video; `None` for a photo.
    pub time_secs: Option<f64>,
    /// The path of the PNG image.
    pub out: PathBuf,
    /// The prediction for the image.
    pub prediction: Prediction,
    /// The probability of the map's class.
    pub probability: f32,
    /// The map.
    pub map: HeatMap,
}

/// Writes heat maps of the photos in `paths` (files and folders), and of the frames that `sampling` takes from videos,
/// over their images to the folder `out`: for the class `class`, or for the predicted ones. Existing files are not
/// replaced: a number is added to the name. Unusable files are skipped with a warning.
///
/// # Errors
/// The class is unknown, the folder cannot be written to, or the work is cancelled.
pub fn write_heat_maps(
    mapper: &mut HeatMapper,
    paths: &[PathBuf],
    sampling: &Sampling,
    class: Option<&str>,
    out: &Path,
    work: &Work,
    mut each: impl FnMut(HeatFile<'_>) -> ControlFlow<()>,
) -> Result<FilesOutcome, EvaluateError> {
    let label = class.map(|class| mapper.label(class)).transpose()?;
    files::make_dirs(out.parent().unwrap_or(out), out)?;
    for_each_image(paths, sampling, work, |path, image, time_secs| {
        let seen = mapper.forward(&image)?;
        let likeliest = arg_max(&seen.probabilities);
        let map = mapper.map(&seen, label.unwrap_or(likeliest))?;
        let file = free_name(out, path, time_secs);
        let mut png = Cursor::new(Vec::new());
        let written = map.over(&image).write_to(&mut png, ImageFormat::Png);
        written.map_err(|error| FileError {
            action: "write",
            path: file.clone(),
            error: std::io::Error::other(error),
        })?;
        let png = png.into_inner();
        files::write(&file, &png, Durability::Renamed)?;
        Ok(each(HeatFile {
            path,
            time_secs,
            out: file,
            probability: seen.probabilities.get(map.label).copied().unwrap_or(0.0),
            prediction: seen.prediction,
            map,
        }))
    })
}

/// `NAME.heat.png`, for a frame `NAME_SECONDS.heat.png`, with a number if that exists.
fn free_name(out: &Path, path: &Path, time_secs: Option<f64>) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem = match time_secs {
        Some(secs) => format!("{stem}_{secs:.2}"),
        None => stem.into_owned(),
    };
    let mut file = out.join(format!("{stem}.heat.png"));
    let mut number = 2;
    while files::exists(&file) {
        file = out.join(format!("{stem}.heat-{number}.png"));
        number += 1;
    }
    file
}
