//! All formats, one line for each.

use std::fmt;
use std::ops::Deref;

use super::ExportError;
use super::coreml::CoreMl;
use super::format::Exporter;
use super::frozen_graph::FrozenGraph;
use super::onnx::Onnx;
use super::tflite::Tflite;
use super::web::Web;

/// A format of exports.
#[derive(Clone, Copy)]
pub struct Format(&'static dyn Exporter);

/// In the order in which they are offered.
static ALL: &[Format] = &[
    Format::ONNX,
    Format::ONNX_FP16,
    Format::ONNX_INT8,
    Format::ONNX_FLOAT,
    Format::TFLITE,
    Format::TFLITE_FP16,
    Format::TFLITE_INT8,
    Format::COREML,
    Format::COREML_FP32,
    Format::FROZEN_GRAPH,
    Format::WEB,
];

impl Format {
    /// `model.onnx`: `image` uint8 `[N, H, W, 3]` RGB to probabilities.
    pub const ONNX: Self = Self(&Onnx::UINT8);
    /// `model-fp16.onnx`: the same with weights and operators in half precision.
    pub const ONNX_FP16: Self = Self(&Onnx::HALF);
    /// `model-int8.onnx`: the same in 8-bit integers.
    pub const ONNX_INT8: Self = Self(&Onnx::INT8);
    /// The same as `model.onnx` with `image` f32 `[N, 3, H, W]`, normalised by the caller.
    pub const ONNX_FLOAT: Self = Self(&Onnx::FLOAT);
    /// `model.tflite`: `image` uint8 `[1, H, W, 3]` RGB to probabilities, labels inside.
    pub const TFLITE: Self = Self(&Tflite::FLOAT);
    /// `model-fp16.tflite`: the same with weights in half precision.
    pub const TFLITE_FP16: Self = Self(&Tflite::HALF);
    /// `model-int8.tflite`: the same in 8-bit integers throughout.
    pub const TFLITE_INT8: Self = Self(&Tflite::INT8);
    /// `Model.mlpackage`: an RGB image to a class and its probabilities, in half precision.
    pub const COREML: Self = Self(&CoreMl::HALF);
    /// `Model-fp32.mlpackage`: the same in 32-bit floats.
    pub const COREML_FP32: Self = Self(&CoreMl::FLOAT);
    /// `frozen-graph/`: `output_graph.pb` from `input` f32 `[1, H, W, 3]`, `(value - 128) / 128`, to `final_result`,
    /// and `output_labels.txt`.
    pub const FROZEN_GRAPH: Self = Self(&FrozenGraph::FLOAT);

    /// `web/`: a page that runs the model of [`Format::ONNX`] in the browser.
    pub const WEB: Self = Self(&Web::PAGE);

    /// All formats.
    #[must_use]
    pub fn all() -> &'static [Self] {
        ALL
    }

    /// The format of that name.
    ///
    /// # Errors
    /// [`ExportError::NoSuchFormat`] with the names of all formats.
    pub fn named(name: &str) -> Result<Self, ExportError> {
        let found = ALL.iter().find(|format| format.name() == name);
        found.copied().ok_or_else(|| ExportError::NoSuchFormat {
            name: name.to_owned(),
            known: ALL.iter().map(|format| format.name()).collect(),
        })
    }
}

impl Deref for Format {
    type Target = dyn Exporter;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Format {}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
