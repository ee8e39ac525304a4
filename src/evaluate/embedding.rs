//! Writes the bottlenecks, labels and thumbnails of a run's images for TensorBoard's embedding projector.
//!
//! | file in the run's folder | content |
//! | --- | --- |
//! | `projector_config.pbtxt` | the paths of the others, where TensorBoard expects it |
//! | `embedding/tensors.tsv` | one bottleneck per line |
//! | `embedding/metadata.tsv` | class, prediction, side, source and file of each, with a header line |
//! | `embedding/sprite.png` | a thumbnail of each, row by row |
//!
//! <https://projector.tensorflow.org> loads the two tables, too.

use std::io::Cursor;
use std::path::PathBuf;

use image::imageops::{overlay, thumbnail};
use image::{ImageFormat, Rgb, RgbImage};

use crate::files::{Durability, make_dirs, write};
use crate::jobs::{Work, cores_and_one, in_parallel};
use crate::media::load_image;
use crate::project::{Project, Split};
use crate::train::Run;

use super::EvaluateError;
use super::classifier::{Classifier, arg_max};
use super::evaluation::source;
use super::rows::{Backbone, Rows};

/// The most images, like in the projector's own samples; more are slow in a browser.
const MOST: usize = 5_000;

/// Side of a thumbnail in pixels, for at most this many images.
const LARGE: (u32, usize) = (48, 1_000);
/// The same for more images.
const SMALL: u32 = 32;

/// A written embedding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedding {
    /// The number of images in it.
    pub images: usize,
    /// The number of all images.
    pub of: usize,
    /// The configuration file.
    pub config: PathBuf,
}

/// Writes the embedding of a run's images in their current state, at most 5,000 of them, evenly selected; an existing
/// one is replaced. Bottlenecks are read from the cache.
///
/// # Errors
/// Errors of an evaluation; a file cannot be written; cancelled.
pub fn write_embedding(
    project: &Project,
    run: &Run,
    work: &Work,
) -> Result<Embedding, EvaluateError> {
    project.check_writable()?;
    let rows = Rows::of(project, run, None, Backbone::OfRun, work)?;
    let classifier = Classifier::of_run(run, rows.dim)?;
    let of = rows.frames.len();
    let images = of.min(MOST);
    let picked: Vec<usize> = (0..images).map(|at| at * of / images.max(1)).collect();
    let dir = run.dir.join("embedding");
    make_dirs(&run.dir, &dir)?;

    let mut tensors = String::new();
    let mut metadata = String::from("class\tpredicted\tset\tsource\tfile\n");
    let bottlenecks: Vec<&[f32]> = rows.bottlenecks().collect();
    for at in &picked {
        let (Some(frame), Some(row), Some(truth)) = (
            rows.frames.get(*at),
            bottlenecks.get(*at),
            rows.truth.get(*at),
        ) else {
            continue;
        };
        work.check()?;
        for (place, value) in row.iter().enumerate() {
            let tab = if place == 0 { "" } else { "\t" };
            tensors.push_str(tab);
            // Half of the digits are sufficient for the positions.
            tensors.push_str(&((f64::from(*value) * 1e4).round() / 1e4).to_string());
        }
        tensors.push('\n');
        let predicted = arg_max(&rows.classes.fold(classifier.probabilities(row)));
        let label = |class: usize| rows.classes.labels.get(class).map_or("", String::as_str);
        let set = match frame.split {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        };
        let of_source = source(&frame.path).map_or(frame.group.as_str(), |(source, _)| source);
        let columns = [label(*truth), label(predicted), set, of_source, &frame.path];
        let columns = columns.map(|text| text.replace(['\t', '\n', '\r'], " "));
        metadata.push_str(&columns.join("\t"));
        metadata.push('\n');
    }
    let side = if images <= LARGE.1 { LARGE.0 } else { SMALL };
    let paths: Vec<PathBuf> = picked
        .iter()
        .filter_map(|at| Some(project.abs(&rows.frames.get(*at)?.path)))
        .collect();
    let sprite = sprite(&paths, side, work)?;
    for (name, bytes) in [
        ("tensors.tsv", tensors.as_bytes()),
        ("metadata.tsv", metadata.as_bytes()),
        ("sprite.png", &sprite),
    ] {
        write(&dir.join(name), bytes, Durability::Renamed)?;
    }
    let config = run.dir.join("projector_config.pbtxt");
    let text = format!(
        "embeddings {{\n  tensor_name: \"bottlenecks\"\n  tensor_path: \"embedding/tensors.tsv\"\n  metadata_path: \"embedding/metadata.tsv\"\n  sprite {{\n    image_path: \"embedding/sprite.png\"\n    single_image_dim: {side}\n    single_image_dim: {side}\n  }}\n}}\n"
    );
    write(&config, text.as_bytes(), Durability::Renamed)?;
    Ok(Embedding { images, of, config })
}

/// A PNG of square thumbnails in a grid with as many columns as rows, which the projector assumes; grey for unreadable
/// images and unused cells.
fn sprite(paths: &[PathBuf], side: u32, work: &Work) -> Result<Vec<u8>, EvaluateError> {
    let columns = u32::try_from((paths.len().max(1) as f64).sqrt().ceil() as u64).unwrap_or(1);
    let grey = Rgb([128, 128, 128]);
    let mut all = RgbImage::from_pixel(columns * side, columns * side, grey);
    work.stage("Making thumbnails", Some(paths.len() as u64));
    let mut done = 0;
    in_parallel(
        cores_and_one(),
        paths,
        work,
        || Ok::<_, EvaluateError>(()),
        |(), path| {
            let image =
                load_image(path).inspect_err(|error| work.warn(format!("No thumbnail: {error}")));
            Ok(image.ok().map(|image| square(&image, side)))
        },
        |at, small: Option<RgbImage>| {
            done += 1;
            work.set_done(done);
            let at = u32::try_from(at).unwrap_or_default();
            if let Some(small) = small {
                let (x, y) = (at % columns * side, at / columns * side);
                overlay(&mut all, &small, i64::from(x), i64::from(y));
            }
            Ok(())
        },
    )?;
    let mut bytes = Cursor::new(Vec::new());
    all.write_to(&mut bytes, ImageFormat::Png)
        .map_err(|error| EvaluateError::Sprite(error.to_string()))?;
    Ok(bytes.into_inner())
}

/// An image scaled to fit into a square, centred.
fn square(image: &RgbImage, side: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let scale = f64::from(side) / f64::from(width.max(height).max(1));
    let small = |px: u32| ((f64::from(px) * scale).round() as u32).clamp(1, side);
    let (width, height) = (small(width), small(height));
    let mut square = RgbImage::new(side, side);
    let inner = thumbnail(image, width, height);
    let (x, y) = ((side - width) / 2, (side - height) / 2);
    overlay(&mut square, &inner, i64::from(x), i64::from(y));
    square
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

    use super::*;

    #[test]
    fn thumbnails_stand_row_by_row_and_a_missing_image_is_grey() {
        let dir = tempfile::tempdir().unwrap();
        let colours = [[200, 0, 0], [0, 200, 0], [0, 0, 200]];
        let mut paths = Vec::new();
        for (at, colour) in colours.into_iter().enumerate() {
            let path = dir.path().join(format!("{at}.png"));
            RgbImage::from_pixel(40, 20, Rgb(colour))
                .save(&path)
                .unwrap();
            paths.push(path);
        }
        paths.insert(1, dir.path().join("gone.png"));
        let work = Work::new();
        let png = sprite(&paths, 8, &work).unwrap();
        let sprite = image::load_from_memory(&png).unwrap().to_rgb8();
        assert_eq!(sprite.dimensions(), (16, 16));
        let middle = |column: u32, row: u32| sprite.get_pixel(column * 8 + 4, row * 8 + 4).0;
        assert_eq!(
            [middle(0, 0), middle(1, 0), middle(0, 1), middle(1, 1)],
            [colours[0], [128; 3], colours[1], colours[2]]
        );
        // For fewer images there are as many rows as columns, too.
        let png = super::sprite(&paths[..2], 8, &work).unwrap();
        let two = image::load_from_memory(&png).unwrap();
        assert_eq!((two.width(), two.height()), (16, 16));
        // Twice as wide as high.
        assert_eq!(sprite.get_pixel(4, 0).0, [0; 3]);
    }
}
