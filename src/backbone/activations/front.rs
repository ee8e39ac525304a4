//! Computes activations in one worker: a session of the network's front on one thread, with its input buffers.

use std::sync::Arc;

use fast_image_resize::Resizer;
use half::f16;
use half::slice::HalfFloatSliceExt;
use image::RgbImage;

use crate::jobs::{Work, abandonable};
use crate::onnx::{Element, OnnxError, Session, Tensor};

use crate::backbone::input::view::View;
use crate::backbone::{ActivationSource, BackboneError, Blocks, CutAt, Preprocessing};

/// The front of a network up to a cut, shared by many workers.
pub(in crate::backbone) struct FrontModel {
    /// The serialised graph; `None` if the cut is the input and nothing else is needed.
    graph: Option<Vec<u8>>,
    preprocessing: Preprocessing,
    input: String,
    cut: CutAt,
    /// Name of the pooled output, if that is needed, too.
    pooled: Option<String>,
}

impl FrontModel {
    /// The front for the network and the cut of a source; `make` is [`FrontModel::new`] with its last argument bound.
    /// Does not delay a cancellation.
    pub fn of_source<T: Send + 'static>(
        source: &ActivationSource,
        work: &Work,
        make: impl FnOnce(&dyn Fn(bool) -> Result<Arc<Self>, BackboneError>) -> Result<T, BackboneError>
        + Send
        + 'static,
    ) -> Result<T, BackboneError> {
        let (architecture, cut) = (source.architecture.clone(), source.cut.clone());
        let preprocessing = source.preprocessing.clone();
        abandonable(work, move || {
            let blocks = Blocks::of(&architecture)?;
            make(&|with_pooled| Self::new(&blocks, &cut, &preprocessing, with_pooled))
        })?
    }

    /// Only the front, or the whole network with the tensor at the cut and the pooled output.
    fn new(
        blocks: &Blocks,
        cut: &CutAt,
        preprocessing: &Preprocessing,
        with_pooled: bool,
    ) -> Result<Arc<Self>, BackboneError> {
        let at_input = cut.tensor == blocks.input();
        let graph = match (at_input, with_pooled) {
            (true, false) => None,
            (true, true) => Some(blocks.back(cut)?),
            (false, false) => Some(blocks.front(cut)?),
            (false, true) => Some(blocks.front_and_pooled(cut)?),
        };
        Ok(Arc::new(Self {
            graph: graph.map(|graph| graph.to_onnx()),
            preprocessing: preprocessing.clone(),
            input: blocks.input().to_owned(),
            cut: cut.clone(),
            pooled: with_pooled.then(|| blocks.pooled().to_owned()),
        }))
    }
}

/// The outputs of the front for one view of an image.
pub(in crate::backbone) struct Activation {
    /// The tensor at the cut, `[C, H, W]`, rounded to fp16.
    pub row: Vec<f16>,
    /// The bottleneck `f32[D]`, if it was requested.
    pub bottleneck: Option<Vec<f32>>,
}

/// Computes activations from images, one at a time on the calling thread.
pub(in crate::backbone) struct Front {
    model: Arc<FrontModel>,
    session: Option<Session>,
    resizer: Resizer,
    planes: Vec<f32>,
}

impl Front {
    /// Loads the model to run on the calling thread.
    pub fn new(model: &Arc<FrontModel>) -> Result<Self, BackboneError> {
        let side = model.preprocessing.resolution_px as usize;
        Ok(Self {
            session: model
                .graph
                .as_ref()
                .map(|graph| Session::from_bytes(graph, 1))
                .transpose()?,
            model: Arc::clone(model),
            resizer: Resizer::new(),
            planes: vec![0.0; 3 * side * side],
        })
    }

    /// The activation of a view of an image.
    pub fn run(&mut self, image: &RgbImage, view: &View) -> Result<Activation, BackboneError> {
        let model = &self.model;
        let square = view.resize(&model.preprocessing, &mut self.resizer, image);
        let side = model.preprocessing.resolution_px as usize;
        self.planes.resize(3 * side * side, 0.0);
        model
            .preprocessing
            .normalize_into(&square, &mut self.planes);
        let at_input = model.cut.tensor == model.input;
        let mut row = at_input.then(|| rounded(&self.planes));
        let mut bottleneck = None;
        if let Some(session) = &mut self.session {
            let mut outputs = Vec::new();
            if !at_input {
                outputs.push(model.cut.tensor.as_str());
            }
            outputs.extend(model.pooled.as_deref());
            let input = Tensor::new([1, 3, side, side], std::mem::take(&mut self.planes));
            let mut results = session
                .run(&[(&model.input, &input)], &outputs)?
                .into_iter();
            if let Element::F32(planes) = input.data {
                self.planes = planes;
            }
            if !at_input && let Some(at_cut) = results.next() {
                row = Some(rounded(at_cut.f32()?));
            }
            bottleneck = match results.next() {
                Some(pooled) => Some(pooled.f32()?.to_vec()),
                None => None,
            };
        }
        match row {
            Some(row) if row.len() == model.cut.elements() => Ok(Activation { row, bottleneck }),
            _ => Err(OnnxError::Model(format!(
                "its tensor “{}” does not have the shape {:?}",
                model.cut.tensor, model.cut.shape
            ))
            .into()),
        }
    }
}

/// Rounds to fp16; an overflow becomes the largest finite number.
fn rounded(values: &[f32]) -> Vec<f16> {
    let largest = f16::MAX.to_f32();
    let within: Vec<f32> = values
        .iter()
        .map(|value| value.clamp(-largest, largest))
        .collect();
    let mut row = vec![f16::ZERO; values.len()];
    row.convert_from_f32_slice(&within);
    row
}
