//! Computes bottlenecks in one worker: a session of the backbone on one thread, with its input buffers.

use fast_image_resize::Resizer;
use image::RgbImage;

use crate::onnx::Session;

use crate::backbone::{Architecture, BackboneError, FineTunedWeights, Preprocessing};

/// Computes bottlenecks from images, one at a time on the calling thread.
pub struct Extractor {
    session: Session,
    preprocessing: Preprocessing,
    input_name: String,
    output_name: String,
    dim: usize,
    resizer: Resizer,
    planes: Vec<f32>,
}

impl Extractor {
    /// Loads the backbone, with fine-tuned weights if there are any, to run on the calling thread (30 to 70 ms).
    pub fn new(
        architecture: &Architecture,
        preprocessing: &Preprocessing,
        fine_tuned: Option<&FineTunedWeights>,
    ) -> Result<Self, BackboneError> {
        Self::with_threads(architecture, preprocessing, fine_tuned, 1)
    }

    /// Loads the backbone to run on `threads` threads: faster for a single image, but many are faster with one
    /// extractor per core.
    pub fn with_threads(
        architecture: &Architecture,
        preprocessing: &Preprocessing,
        fine_tuned: Option<&FineTunedWeights>,
        threads: usize,
    ) -> Result<Self, BackboneError> {
        let model = architecture.model_with(fine_tuned)?;
        Self::from_model(architecture, preprocessing, &model, threads)
    }

    /// Loads the bytes of [`Architecture::model_with`].
    pub(in crate::backbone) fn from_model(
        architecture: &Architecture,
        preprocessing: &Preprocessing,
        model: &[u8],
        threads: usize,
    ) -> Result<Self, BackboneError> {
        let entry = architecture.entry()?;
        let side = preprocessing.resolution_px as usize;
        Ok(Self {
            session: Session::from_bytes(model, threads)?,
            preprocessing: preprocessing.clone(),
            dim: entry.bottleneck_dim,
            input_name: entry.input.clone(),
            output_name: entry.bottleneck.clone(),
            resizer: Resizer::new(),
            planes: vec![0.0; 3 * side * side],
        })
    }

    /// Length of a bottleneck, D.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The bottleneck of the plain view of an image, `f32[D]`.
    pub fn extract(&mut self, image: &RgbImage) -> Result<Vec<f32>, BackboneError> {
        let square = self.preprocessing.resize_with(&mut self.resizer, image);
        self.preprocessing.normalize_into(&square, &mut self.planes);
        self.run()
    }

    /// The bottleneck of the current contents of the input buffer: the lower bound for the time of
    /// [`Extractor::extract`].
    pub fn run(&mut self) -> Result<Vec<f32>, BackboneError> {
        let side = self.preprocessing.resolution_px as usize;
        let mut bottleneck = vec![0.0; self.dim];
        self.session.run_f32(
            (&self.input_name, &[1, 3, side, side], &self.planes),
            &self.output_name,
            &mut bottleneck,
        )?;
        Ok(bottleneck)
    }
}
