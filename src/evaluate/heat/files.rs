//! Heat maps of many files, written as PNG images.

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

/// A heat map that was written.
pub struct HeatFile<'a> {
    /// The file it is of.
    pub path: &'a Path,
    /// Seconds from the start of the video; `None` for a photo.
    pub time_secs: Option<f64>,
    /// The PNG image.
    pub out: PathBuf,
    /// The prediction of the image.
    pub prediction: Prediction,
    /// The probability of the class that the map is of.
    pub probability: f32,
    /// The map.
    pub map: HeatMap,
}

/// Writes the heat maps of the photos and the frames that `sampling` takes of the videos in `paths` (files and folders)
/// over their images into the folder `out`: those of the class `class`, or of the predicted ones. No file that is there
/// is replaced: a number tells names apart. A file that cannot be used is skipped with a warning.
///
/// # Errors
/// For an unknown class, a folder that cannot be written to, cancelled.
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
        let seen = mapper.look(&image)?;
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

/// `NAME.heat.png`, of a frame `NAME_SECONDS.heat.png`, with a number where that is taken.
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
