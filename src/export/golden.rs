//! `golden/`: test images with the exact input and the expected output of each model. Whoever ports the model can
//! check both that images give the same input, and that inputs give the same probabilities.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, RgbImage, imageops};
use serde::{Deserialize, Serialize};

use crate::evaluate::{Evaluation, InputKind, RecipeInput, RecipeOutput};
use crate::media::load_image;
use crate::onnx::{Element, Tensor};

use super::format::Acceptance;
use super::{ExportError, WrittenModel};

/// The folder.
const FOLDER: &str = "golden";
/// The list of its images, inputs and outputs, by name.
pub(super) const FILE: &str = "golden/golden.json";

/// The number of images.
const COUNT: usize = 10;
/// The longest side of an image, in pixels: enough for any input, and small enough to be shared.
const LONGEST_PX: u32 = 512;
/// Version of the JSON layout.
const SCHEMA: u32 = 1;

const KINDS: [InputKind; 3] = [
    InputKind::Uint8Nhwc,
    InputKind::Float32Nchw,
    InputKind::Float32Nhwc,
];

/// The contents of `golden.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Golden {
    pub schema: u32,
    /// Class names in the order of the outputs.
    pub labels: Vec<String>,
    pub models: Vec<GoldenModel>,
    pub images: Vec<GoldenImage>,
}

/// A model, and its tolerance on other computers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct GoldenModel {
    pub file: String,
    pub format: String,
    pub input: RecipeInput,
    pub output: RecipeOutput,
    /// The largest difference of a probability that is no fault.
    pub tolerance: f64,
}

/// An image with its inputs and the expected probabilities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct GoldenImage {
    /// The path of the image, relative to the export's folder.
    pub image: String,
    /// Its class.
    pub class: String,
    /// The paths of the inputs, as `NumPy` files, by kind.
    pub inputs: BTreeMap<String, String>,
    /// The expected probabilities, by the name of the model's file.
    pub expected: BTreeMap<String, Vec<f32>>,
}

/// The golden images of an export, loaded.
pub(super) struct Chosen {
    images: Vec<(String, RgbImage)>,
}

/// The names of all files that may belong to it.
pub(super) fn names() -> Vec<String> {
    let mut names = vec![FILE.to_owned()];
    for number in 1..=COUNT {
        names.push(image_name(number));
        names.extend(KINDS.map(|kind| input_name(number, kind)));
    }
    names
}

fn image_name(number: usize) -> String {
    format!("{FOLDER}/{number:02}.png")
}

fn input_name(number: usize, kind: InputKind) -> String {
    format!("{FOLDER}/{number:02}.{}.npy", kind.name())
}

/// The indices of up to ten frames, alternating between classes; deterministic, independent of the order of the
/// frames.
fn choose(reference: &Evaluation) -> Vec<usize> {
    let mut of_class: BTreeMap<usize, Vec<(blake3::Hash, usize)>> = BTreeMap::new();
    for (index, frame) in reference.predictions.iter().enumerate() {
        let hash = blake3::hash(frame.path.as_bytes());
        of_class.entry(frame.truth).or_default().push((hash, index));
    }
    for frames in of_class.values_mut() {
        frames.sort_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
    }
    let mut chosen = Vec::new();
    for reverse in 0..COUNT {
        let of_turn = of_class.values().filter_map(|frames| frames.get(reverse));
        chosen.extend(of_turn.map(|(_, index)| *index));
    }
    chosen.truncate(COUNT);
    chosen
}

impl Chosen {
    /// Selects and loads frames of the project at `root`.
    pub fn load(root: &Path, reference: &Evaluation) -> Result<Self, ExportError> {
        let mut images = Vec::new();
        for index in choose(reference) {
            let Some(frame) = reference.predictions.get(index) else {
                continue;
            };
            let image = load_image(&root.join(&frame.path))?;
            let class = reference.classes.get(frame.truth).cloned();
            images.push((class.unwrap_or_default(), reduced(image)));
        }
        Ok(Self { images })
    }

    /// The first image, for latency measurements.
    pub fn first(&self) -> Option<&RgbImage> {
        self.images.first().map(|(_, image)| image)
    }

    /// The files: images, inputs, and last `golden.json` with the models' results for the inputs.
    ///
    /// # Errors
    /// Errors of running a model.
    pub fn files(
        &self,
        labels: &[String],
        models: &[WrittenModel],
        mut run: impl FnMut(&WrittenModel, &Tensor) -> Result<Vec<f32>, ExportError>,
    ) -> Result<Vec<(String, Vec<u8>)>, ExportError> {
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        let mut golden = Golden {
            schema: SCHEMA,
            labels: labels.to_vec(),
            models: models.iter().map(GoldenModel::of).collect(),
            images: Vec::new(),
        };
        for (number, (class, image)) in (1..).zip(&self.images) {
            let name = image_name(number);
            let mut png = Cursor::new(Vec::new());
            image
                .write_to(&mut png, ImageFormat::Png)
                .map_err(|error| ExportError::io("write", &name)(std::io::Error::other(error)))?;
            files.push((name.clone(), png.into_inner()));
            let mut inputs = BTreeMap::new();
            let mut expected = BTreeMap::new();
            for model in models {
                let kind = model.recipe.input.kind;
                let tensor = model.recipe.tensor(image);
                expected.insert(model.file.to_owned(), run(model, &tensor)?);
                let input = input_name(number, kind);
                if inputs
                    .insert(kind.name().to_owned(), input.clone())
                    .is_none()
                {
                    files.push((input, to_npy(&tensor)));
                }
            }
            golden.images.push(GoldenImage {
                image: name,
                class: class.clone(),
                inputs,
                expected,
            });
        }
        let mut text = serde_json::to_vec_pretty(&golden)
            .map_err(|error| ExportError::io("write", FILE)(error.into()))?;
        text.push(b'\n');
        files.push((FILE.to_owned(), text));
        Ok(files)
    }
}

impl GoldenModel {
    fn of(model: &WrittenModel) -> Self {
        Self {
            file: model.file.to_owned(),
            format: model.format.name().to_owned(),
            input: model.recipe.input.clone(),
            output: model.recipe.output.clone(),
            tolerance: match model.format.acceptance() {
                Acceptance::SameTop1 { tolerance } => tolerance,
                // Results of fp16 and int8 differ between kinds of processors.
                Acceptance::Agreement { .. } => 0.05,
            },
        }
    }
}

/// An image scaled down to [`LONGEST_PX`] if it is larger.
fn reduced(image: RgbImage) -> RgbImage {
    let longest = image.width().max(image.height());
    if longest <= LONGEST_PX {
        return image;
    }
    let to = |side: u32| {
        let scaled = u64::from(side) * u64::from(LONGEST_PX) / u64::from(longest);
        u32::try_from(scaled).unwrap_or(LONGEST_PX).max(1)
    };
    let (width, height) = (to(image.width()), to(image.height()));
    imageops::resize(&image, width, height, imageops::FilterType::Triangle)
}

/// A tensor of bytes or 32-bit floats as a `NumPy` file of version 1.0
/// (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).
fn to_npy(tensor: &Tensor) -> Vec<u8> {
    let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
    let descr = match &tensor.data {
        Element::F32(_) => "<f4",
        // All inputs are bytes or 32-bit floats.
        _ => "|u1",
    };
    let data = tensor.data.to_le_bytes();
    let mut header = format!(
        "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}",
        shape.join(", ")
    );
    // With the ten bytes before it and the line break, the header's length is a multiple of 64.
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

/// Reads a file written by [`to_npy`]; its shape is known from the recipe.
pub(super) fn from_npy(bytes: &[u8], kind: InputKind, side: usize) -> Option<Tensor> {
    let len = bytes.get(8..10)?;
    let len = usize::from(u16::from_le_bytes([*len.first()?, *len.get(1)?]));
    let header = std::str::from_utf8(bytes.get(10..10 + len)?).ok()?;
    let data = bytes.get(10 + len..)?;
    let shape = match kind {
        InputKind::Uint8Nhwc | InputKind::Float32Nhwc => [1, side, side, 3],
        InputKind::Float32Nchw => [1, 3, side, side],
    };
    let count: usize = shape.iter().product();
    if kind == InputKind::Uint8Nhwc {
        return (header.contains("'|u1'") && data.len() == count)
            .then(|| Tensor::new(shape, data.to_vec()));
    }
    let (values, rest) = data.as_chunks::<4>();
    let values: Vec<f32> = values
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    (header.contains("'<f4'") && rest.is_empty() && values.len() == count)
        .then(|| Tensor::new(shape, values))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use crate::evaluate::{Confusion, FramePrediction};
    use crate::project::Split;

    use super::*;

    fn reference(truths: &[usize]) -> Evaluation {
        let frame = |(index, truth): (usize, &usize)| FramePrediction {
            path: format!("{index}.png"),
            group: String::new(),
            truth: *truth,
            predicted: 0,
            probabilities: Vec::new(),
        };
        Evaluation {
            classes: Vec::new(),
            split: Split::Test,
            predictions: truths.iter().enumerate().map(frame).collect(),
            confusion: Confusion::default(),
            relabelled: 0,
            changed: 0,
            missing: 0,
            notes: Vec::new(),
        }
    }

    #[test]
    fn ten_frames_of_all_classes_in_turn() {
        let mut truths = vec![0; 40];
        truths.extend([1, 1, 2, 2, 2, 2]);
        let evaluation = reference(&truths);
        let chosen = choose(&evaluation);
        let of = |class| {
            chosen
                .iter()
                .filter(|index| truths[**index] == class)
                .count()
        };
        assert_eq!([of(0), of(1), of(2)], [4, 2, 4]);
        // The order of the frames does not matter.
        let mut reversed = evaluation.clone();
        reversed.predictions.reverse();
        let paths = |evaluation: &Evaluation| {
            let mut paths: Vec<String> = choose(evaluation)
                .into_iter()
                .map(|index| evaluation.predictions[index].path.clone())
                .collect();
            paths.sort();
            paths
        };
        assert_eq!(paths(&evaluation), paths(&reversed));
        assert_eq!(choose(&reference(&[0; 3])).len(), 3);
        assert_eq!(choose(&reference(&(0..30).collect::<Vec<_>>())).len(), 10);
    }

    #[test]
    fn inputs_come_back_from_their_files() {
        let bytes: Vec<u8> = (0..12).collect();
        let tensor = Tensor::new([1, 2, 2, 3], bytes);
        let file = to_npy(&tensor);
        assert_eq!(file.len() % 64, 12);
        assert_eq!(from_npy(&file, InputKind::Uint8Nhwc, 2), Some(tensor));
        assert_eq!(from_npy(&file, InputKind::Float32Nchw, 2), None);
        assert_eq!(from_npy(&file[..70], InputKind::Uint8Nhwc, 2), None);
        let floats: Vec<f32> = (0..12).map(|value| value as f32 / 7.0).collect();
        let tensor = Tensor::new([1, 3, 2, 2], floats);
        assert_eq!(
            from_npy(&to_npy(&tensor), InputKind::Float32Nchw, 2),
            Some(tensor)
        );
    }
}
