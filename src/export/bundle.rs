//! Verifies an export from its own folder or archive, without the project: its files are unchanged, its golden images
//! give the golden inputs, and its models give the expected results for them.

use std::path::Path;

use serde::Serialize;

use crate::evaluate::{Recipe, arg_max};
use crate::jobs::{Work, bound_memory};
use crate::media::load_image_from_bytes;
use crate::onnx::{Element, Tensor};

use super::archive::Contents;
use super::golden::{self, Golden, GoldenModel};
use super::verify::largest_difference;
use super::{ExportError, Format, ModelFile, manifest};

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// How many files are unchanged.
    pub files: u64,
    /// How many golden images there are.
    pub images: u64,
    /// One for each model.
    pub models: Vec<VerifiedModel>,
    /// A sentence for each problem; none if the export is verified.
    pub problems: Vec<String>,
}

/// The result of verifying one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerifiedModel {
    /// Its file or folder.
    pub file: String,
    /// The name of its format.
    pub format: String,
    /// Golden images with the expected top-1 class.
    pub same_top1: u64,
    /// Largest difference of any probability from the expected one, 0..=1.
    pub max_probability_difference: f64,
    /// The largest difference allowed.
    pub tolerance: f64,
    /// Whether it passed.
    pub ok: bool,
}

/// Verifies the export at `place`: its folder, or the ZIP file that contains it.
///
/// # Errors
/// [`ExportError::NoBundle`] if there is no export with golden images. Faults of an export are listed in
/// [`Verification::problems`] instead.
pub fn verify_bundle(place: &Path, work: &Work) -> Result<Verification, ExportError> {
    bound_memory();
    let mut export = Contents::open(place)?;
    let (listed, mut problems) = manifest::check(&mut export)?;
    let files = listed.len() as u64 - problems.len() as u64;
    let text = read(&mut export, golden::FILE)?;
    let golden: Golden = serde_json::from_slice(&text).map_err(|error| {
        let reason = format!("{} cannot be read ({error})", golden::FILE);
        no_bundle(&export, reason)
    })?;
    work.stage(
        "Verifying",
        Some((golden.models.len() * golden.images.len()) as u64),
    );
    if golden.models.is_empty() || golden.images.is_empty() {
        problems.push(format!("{} holds nothing to check", golden::FILE));
    }
    let mut models = Vec::new();
    for model in &golden.models {
        match verify_model(&mut export, &listed, &golden, model, work) {
            Ok((verified, found)) => {
                models.push(verified);
                problems.extend(found);
            }
            Err(error @ ExportError::Cancelled(_)) => return Err(error),
            Err(error) => problems.push(format!("{}: {error}", model.file)),
        }
    }
    Ok(Verification {
        files,
        images: golden.images.len() as u64,
        models,
        problems,
    })
}

fn verify_model(
    export: &mut Contents,
    listed: &[String],
    golden: &Golden,
    model: &GoldenModel,
    work: &Work,
) -> Result<(VerifiedModel, Vec<String>), ExportError> {
    let format = Format::named(&model.format)?;
    let below = format!("{}/", model.file);
    let names = listed
        .iter()
        .filter(|name| **name == model.file || name.starts_with(&below));
    let mut files = Vec::new();
    for name in names {
        files.push(ModelFile {
            bytes: read(export, name)?,
            name: name.clone(),
        });
    }
    let mut runner = format.open(&files, 1)?;
    let recipe = runner.recipe().clone();
    let mut problems = Vec::new();
    if recipe.labels != golden.labels {
        problems.push(format!(
            "{}: its labels are not those of {}",
            model.file,
            golden::FILE
        ));
    }
    let mut same_top1 = 0_u64;
    let mut largest = 0.0_f64;
    for image in &golden.images {
        work.check()?;
        let kind = model.input.kind;
        let side = recipe.preprocessing.resolution_px as usize;
        let input = image
            .inputs
            .get(kind.name())
            .map(|name| (name, read(export, name)));
        let tensor = match input {
            Some((name, bytes)) => golden::from_npy(&bytes?, kind, side).ok_or_else(|| {
                no_bundle(
                    export,
                    format!("“{name}” is not an input of {}", model.file),
                )
            })?,
            None => return Err(no_bundle(export, format!("“{}” has no input", image.image))),
        };
        let bytes = read(export, &image.image)?;
        let path = export.place().join(&image.image);
        let made = recipe.tensor(&load_image_from_bytes(&bytes, &path)?);
        let levels = levels_apart(&made, &tensor, &recipe);
        // On another processor the sums of the resize may be rounded differently.
        if levels > 1.01 {
            problems.push(format!(
                "{}: preprocessing “{}” does not give “{}”: they differ by {levels:.1} levels of 255",
                model.file,
                image.image,
                image.inputs.get(kind.name()).map_or("", String::as_str)
            ));
        }
        let found = runner.run_until_cancelled(&tensor, work)?;
        let expected = image.expected.get(&model.file).cloned().unwrap_or_default();
        let difference = largest_difference(&found, &expected);
        largest = if difference.is_nan() {
            f64::INFINITY
        } else {
            largest.max(difference)
        };
        same_top1 += u64::from(arg_max(&found) == arg_max(&expected));
        work.advance(1);
    }
    let ok = largest <= model.tolerance && problems.is_empty();
    if largest > model.tolerance {
        problems.push(format!(
            "{}: a probability differs by {largest:.1e} from the expected one, more than {:.0e}",
            model.file, model.tolerance
        ));
    }
    let verified = VerifiedModel {
        file: model.file.clone(),
        format: model.format.clone(),
        same_top1,
        max_probability_difference: largest,
        tolerance: model.tolerance,
        ok,
    };
    Ok((verified, problems))
}

/// The largest difference of two inputs, in levels of 0..=255.
fn levels_apart(made: &Tensor, golden: &Tensor, recipe: &Recipe) -> f64 {
    match (&made.data, &golden.data) {
        (Element::U8(a), Element::U8(b)) if a.len() == b.len() => {
            let differences = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
            f64::from(differences.max().unwrap_or(0))
        }
        (Element::F32(a), Element::F32(b)) => {
            let (_, std) = recipe.normalisation();
            let std = std.into_iter().fold(0.0_f32, f32::max);
            largest_difference(a, b) * f64::from(std)
        }
        _ => f64::INFINITY,
    }
}

fn read(export: &mut Contents, name: &str) -> Result<Vec<u8>, ExportError> {
    let found = export.read(name)?;
    found.ok_or_else(|| no_bundle(export, format!("“{name}” is missing")))
}

fn no_bundle(export: &Contents, reason: String) -> ExportError {
    ExportError::NoBundle {
        folder: export.place().to_owned(),
        reason,
    }
}
