//! How to run an exported model: the contents of `preprocess.json` and of the model's metadata.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::backbone::{Architecture, Fit, Preprocessing};
use crate::onnx::Tensor;

/// Version of the format.
const SCHEMA: u32 = 1;

/// The input of an exported model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// `uint8 [N, H, W, 3]`, values 0..=255; the model normalises.
    Uint8Nhwc,
    /// `float32 [N, 3, H, W]`, normalised by the caller.
    Float32Nchw,
    /// `float32 [N, H, W, 3]`, normalised as `(value - 128) / 128` for any architecture: the input that the programs
    /// of TensorFlow 1 give to a `MobileNet` of `retrain.py`. The model does the rest of the normalisation. Input and
    /// output have the names expected by those programs, `input` and `final_result`, in any format.
    Float32Nhwc,
}

/// Mean and standard deviation in those programs, for all channels.
const TENSORFLOW_MEAN_STD: f32 = 128.0;

impl InputKind {
    /// Its name in files: `uint8_nhwc`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uint8Nhwc => "uint8_nhwc",
            Self::Float32Nchw => "float32_nchw",
            Self::Float32Nhwc => "float32_nhwc",
        }
    }

    /// The names of input and output of models with that input.
    fn tensor_names(self) -> [&'static str; 2] {
        match self {
            Self::Uint8Nhwc | Self::Float32Nchw => ["image", "probabilities"],
            Self::Float32Nhwc => ["input", "final_result"],
        }
    }
}

/// Everything needed to convert an image to the input of an exported model, and its output to a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Version of this format.
    pub schema: u32,
    /// The steps as sentences, in order.
    pub steps: Vec<String>,
    /// The input.
    pub input: RecipeInput,
    /// The output.
    pub output: RecipeOutput,
    /// How images are made square, and the mean and divisor of the normalisation.
    #[serde(flatten)]
    pub preprocessing: Preprocessing,
    /// The filter of the resize.
    pub resize: Resize,
    /// Colour of the bars if `fit` is `pad`; R, G, B.
    pub bar_rgb: [u8; 3],
    /// Class names in the order of the output.
    pub labels: Vec<String>,
    /// An image whose highest probability is below this belongs to none of the classes; missing if no threshold was
    /// chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_below: Option<f32>,
    /// `efficientnet-lite0@224`.
    pub architecture: Architecture,
}

/// The input tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecipeInput {
    /// Its name.
    pub name: String,
    /// Type and layout.
    pub kind: InputKind,
    /// Order of the channels.
    pub channels: String,
    /// Whether mean and std are applied in the model (then the caller must not).
    pub normalised_inside: bool,
    /// The mean that the caller subtracts from each channel, if it differs from the architecture's `mean`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<[f32; 3]>,
    /// The divisor that the caller uses, if it differs from the architecture's `std`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std: Option<[f32; 3]>,
}

/// The output tensor, `float32 [N, classes]`, rows summing to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecipeOutput {
    /// Its name.
    pub name: String,
}

/// The filter of the resize.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resize {
    /// `bilinear`.
    pub filter: String,
    /// Whether the filter is widened by the scale factor when the image is reduced.
    pub antialias: bool,
}

impl Recipe {
    /// The recipe of a model with these properties.
    #[must_use]
    pub fn new(
        kind: InputKind,
        preprocessing: &Preprocessing,
        architecture: &Architecture,
        labels: &[String],
    ) -> Self {
        let [input, output] = kind.tensor_names();
        let by_caller = (kind == InputKind::Float32Nhwc).then_some([TENSORFLOW_MEAN_STD; 3]);
        let input = RecipeInput {
            name: input.into(),
            kind,
            channels: "RGB".into(),
            normalised_inside: kind == InputKind::Uint8Nhwc,
            mean: by_caller,
            std: by_caller,
        };
        Self {
            schema: SCHEMA,
            steps: steps(kind, preprocessing, input.normalisation(preprocessing)),
            input,
            output: RecipeOutput {
                name: output.into(),
            },
            preprocessing: preprocessing.clone(),
            resize: Resize {
                filter: "bilinear".into(),
                antialias: true,
            },
            bar_rgb: preprocessing.bar_colour(),
            labels: labels.to_vec(),
            unknown_below: None,
            architecture: architecture.clone(),
        }
    }

    /// Why no export can have this recipe, as the end of a sentence: a model file may come from anywhere.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let (mean, std) = self.normalisation();
        let by_caller = Preprocessing {
            mean,
            std,
            ..self.preprocessing.clone()
        };
        if let Some(fault) = self.preprocessing.fault().or_else(|| by_caller.fault()) {
            return Some(fault);
        }
        if self.labels.is_empty() {
            return Some("it has no labels".into());
        }
        let is_control = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        let bad = self
            .labels
            .iter()
            .find(|label| label.contains(is_control))?;
        Some(format!(
            "its label “{}” contains a line break or another control character",
            bad.escape_debug()
        ))
    }

    /// Mean and divisor of each channel, by which the caller normalises values 0..=255 if the model does not.
    #[must_use]
    pub fn normalisation(&self) -> ([f32; 3], [f32; 3]) {
        self.input.normalisation(&self.preprocessing)
    }

    /// The input of the model for one image: a batch of one.
    #[must_use]
    pub fn tensor(&self, image: &RgbImage) -> Tensor {
        let preprocessing = &self.preprocessing;
        let side = preprocessing.resolution_px as usize;
        let pixels = preprocessing.resize(image);
        let planes = |pixels: &RgbImage| {
            let mut planes = vec![0.0_f32; 3 * side * side];
            let (mean, std) = self.normalisation();
            let normalising = Preprocessing {
                mean,
                std,
                ..preprocessing.clone()
            };
            normalising.normalize_into(pixels, &mut planes);
            planes
        };
        match self.input.kind {
            InputKind::Uint8Nhwc => Tensor::new([1, side, side, 3], pixels.into_raw()),
            InputKind::Float32Nchw => Tensor::new([1, 3, side, side], planes(&pixels)),
            InputKind::Float32Nhwc => {
                let planes = planes(&pixels);
                let mut interleaved = vec![0.0_f32; planes.len()];
                for (channel, plane) in planes.chunks_exact((side * side).max(1)).enumerate() {
                    for (pixel, value) in interleaved.chunks_exact_mut(3).zip(plane) {
                        if let Some(place) = pixel.get_mut(channel) {
                            *place = *value;
                        }
                    }
                }
                Tensor::new([1, side, side, 3], interleaved)
            }
        }
    }
}

impl RecipeInput {
    fn normalisation(&self, preprocessing: &Preprocessing) -> ([f32; 3], [f32; 3]) {
        (
            self.mean.unwrap_or(preprocessing.mean),
            self.std.unwrap_or(preprocessing.std),
        )
    }
}

fn steps(
    kind: InputKind,
    preprocessing: &Preprocessing,
    ([mr, mg, mb], [sr, sg, sb]): ([f32; 3], [f32; 3]),
) -> Vec<String> {
    let side = preprocessing.resolution_px;
    let mut steps = vec![
        "Decode the image to 8-bit RGB (16-bit values divided by 257 and rounded), apply its EXIF orientation, and blend transparent pixels with white."
            .to_owned(),
    ];
    let resize = "with a bilinear (triangle) filter that is widened by the scale factor when shrinking: Pillow Image.resize(size, Image.BILINEAR), torchvision antialias=True, tf.image.resize(antialias=True). Round to 8 bits.";
    match preprocessing.fit {
        Fit::CenterCrop => {
            steps.push(
                "Crop the largest centred square: side = min(width, height), left = floor((width - side) / 2), top = floor((height - side) / 2)."
                    .into(),
            );
            steps.push(format!("Resize it to {side} x {side} pixels {resize}"));
        }
        Fit::Stretch => steps.push(format!(
            "Resize the whole image to {side} x {side} pixels, width and height separately, {resize}"
        )),
        Fit::Pad => {
            let [r, g, b] = preprocessing.bar_colour();
            steps.push(format!(
                "Resize the whole image so that its longer side is {side} pixels and the other max(1, floor((2 * shorter * {side} + longer) / (2 * longer))), {resize}"
            ));
            steps.push(format!(
                "Paste it onto a square of {side} x {side} pixels of the colour RGB ({r}, {g}, {b}), at left = floor(({side} - width) / 2), top = floor(({side} - height) / 2)."
            ));
        }
    }
    steps.push(match kind {
        InputKind::Uint8Nhwc => format!(
            "Pass the pixels as they are: uint8 [N, {side}, {side}, 3], RGB. Do not normalise; the model does."
        ),
        InputKind::Float32Nchw => format!(
            "Normalise each channel, (value - mean) / std with values 0..255, mean ({mr}, {mg}, {mb}) and std ({sr}, {sg}, {sb}), and pass float32 [N, 3, {side}, {side}], RGB."
        ),
        InputKind::Float32Nhwc => format!(
            "Normalise each channel, (value - mean) / std with values 0..255, mean ({mr}, {mg}, {mb}) and std ({sr}, {sg}, {sb}), and pass float32 [N, {side}, {side}, 3], RGB."
        ),
    });
    steps.push(
        "The output has one probability per class, in the order of the labels; the largest is the prediction."
            .into(),
    );
    steps
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn recipe(side: u32, std: f32, labels: &[&str]) -> Recipe {
        let preprocessing = Preprocessing {
            fit: Fit::Pad,
            resolution_px: side,
            mean: [127.0; 3],
            std: [128.0, std, 128.0],
        };
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let architecture = "efficientnet-lite0@224".parse().unwrap();
        Recipe::new(InputKind::Uint8Nhwc, &preprocessing, &architecture, &labels)
    }

    #[test]
    fn tensorflow_is_fed_by_its_own_numbers_and_bars_keep_their_colour() {
        let base = recipe(4, 100.0, &["a"]);
        let recipe = Recipe::new(
            InputKind::Float32Nhwc,
            &base.preprocessing,
            &base.architecture,
            &base.labels,
        );
        assert_eq!(
            (recipe.input.name.as_str(), recipe.output.name.as_str()),
            ("input", "final_result")
        );
        // Bars of the mean 127, above and below an image with the values 0 and 255.
        let image = RgbImage::from_fn(4, 2, |x, _| image::Rgb([if x < 2 { 0 } else { 255 }; 3]));
        let tensor = recipe.tensor(&image);
        let values = tensor.f32().unwrap();
        assert_eq!(values[..3], [-1.0 / 128.0; 3]);
        assert_eq!(values[12..15], [-1.0; 3]);
        assert_eq!(values[21..24], [127.0 / 128.0; 3]);
        let text = serde_json::to_string(&recipe).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&text).unwrap(), recipe);
        let mut wrong = recipe;
        wrong.input.std = Some([0.0; 3]);
        assert!(wrong.fault().unwrap().contains("standard deviation"));
    }

    #[test]
    fn what_no_export_says_is_a_fault() {
        let fault = |side, std, labels: &[&str]| recipe(side, std, labels).fault();
        assert_eq!(fault(96, 128.0, &["Ä\"1", "日本 🐈"]), None);
        let is = |found: Option<String>, wanted: &str| {
            let found = found.unwrap();
            assert!(found.contains(wanted), "{found}");
        };
        is(fault(0, 128.0, &["a"]), "0 pixels wide");
        is(fault(65536, 128.0, &["a"]), "65536 pixels wide");
        is(fault(96, 0.0, &["a"]), "standard deviation");
        is(fault(96, f32::NAN, &["a"]), "standard deviation");
        is(fault(96, 128.0, &[]), "no labels");
        // Control characters are escaped in the message, too.
        is(fault(96, 128.0, &["a", "\u{1b}[2J"]), "“\\u{1b}[2J”");
        is(fault(96, 128.0, &["a\nb"]), "line break");
    }
}
