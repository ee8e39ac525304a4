//! Int8 models: calibrated on training frames, and found by a search.
//!
//! Everything is fitted on one sample of training frames ([`frames`]) and chosen on another, of validation frames and
//! training frames that nothing was fitted on. Test frames are only used to prove the result. Calibration runs in ONNX
//! Runtime ([`measure`]): it finds the range of each value, and the covariance of each layer's inputs, so that weights
//! can be rounded for the inputs they meet ([`rounding`]). The head is then fitted to the bottlenecks of the quantized
//! network ([`head`]). [`search`] selects the best candidate.

mod batches;
mod equalise;
mod frames;
mod head;
mod layers;
mod measure;
mod ranges;
mod rounding;
mod samples;
mod search;
mod tally;

use std::path::{Path, PathBuf};

use crate::files;
use crate::graph::passes::quantize::prepare;
use crate::graph::{Graph, GraphError, Node};
use crate::jobs::Work;
use crate::onnx::{Element, runtime_info};
use crate::project::Project;
use crate::train::Run;

use super::{ExportError, Model};
use frames::Frames;

pub(super) use search::read_value;
pub use search::{Int8Candidate, Search};

/// The name of a quantized graph's input.
pub(super) const IMAGE: &str = "image";

/// Increased whenever the same frames and network would give another model.
const VERSION: u32 = 8;

/// A trained classifier in 8-bit integers, as a graph in QDQ form (`QuantizeLinear` and `DequantizeLinear` pairs) that
/// the formats are written from.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// From `image` uint8 `[N, H, W, 3]` to probabilities, in the form that ONNX Runtime computes best: the last layer
    /// has float outputs, and other layers may stay in floats.
    pub onnx: Graph,
    /// The same with everything before the softmax in integers, and matrices with one scale, as TensorFlow Lite
    /// requires it.
    pub tflite: Graph,
    /// The alternative to [`Quantized::onnx`] with other layers in floats, if there is one, so that both can be timed.
    pub other: Option<Graph>,
    /// How the model was found.
    pub search: Search,
}

impl Quantized {
    /// How many values of [`Quantized::onnx`] are floats, counted as for [`Int8Candidate::real_values`].
    #[must_use]
    pub fn real_values(&self) -> u64 {
        let taken = self.search.candidates.iter().rfind(|known| known.taken);
        taken.map_or(0, |candidate| candidate.real_values)
    }
}

/// The largest weight that stayed in 32-bit floats: the name of its node, and its operator in parentheses.
pub(super) fn largest_in_floats(graph: &Graph) -> Option<String> {
    let floats_of = |node: &Node| -> usize {
        let tensors = node.reads().filter_map(|read| graph.constant_of(read));
        let floats = tensors.filter(|tensor| matches!(tensor.data, Element::F32(_)));
        floats.map(|tensor| tensor.data.len()).sum()
    };
    let largest = graph.nodes().iter().max_by_key(|node| floats_of(node))?;
    let (name, operator) = (graph.name_of_node(largest), largest.op.op_type());
    (floats_of(largest) > 0).then(|| format!("“{name}” ({operator})"))
}

/// Quantizes a model, or takes the result for the same model and frames from the project's cache.
///
/// # Errors
/// [`ExportError::Uncalibrated`] when the run's training frames are gone.
pub(super) fn quantized(
    project: &Project,
    run: &Run,
    model: &Model,
    work: &Work,
) -> Result<Quantized, ExportError> {
    let frames = frames::load(project, run, model, work)?;
    let prepared = prepare(
        &model.graph,
        model.preprocessing.mean,
        model.preprocessing.std,
    )?;
    let mut key = blake3::Hasher::new();
    let version = (VERSION, env!("CARGO_PKG_VERSION"), &runtime_info()?.version);
    key.update(format!("{version:?}").as_bytes());
    key.update(&prepared.graph.to_onnx());
    key.update(
        format!(
            "{:?}{:?}",
            model.preprocessing.mean, model.preprocessing.std
        )
        .as_bytes(),
    );
    frames.hash(&mut key);
    let kept = CacheEntry::new(&key.finalize().to_hex());
    if let Some(known) = kept.read(project) {
        return known.open();
    }
    let found = search::search(prepared, model, &frames, work)?;
    kept.write(project, &found, &frames);
    found.open()
}

/// A quantized model as bytes, as the cache keeps it.
struct Found {
    onnx: Vec<u8>,
    tflite: Vec<u8>,
    other: Option<Vec<u8>>,
    search: Search,
}

impl Found {
    fn open(&self) -> Result<Quantized, ExportError> {
        let read = |bytes: &Vec<u8>| Graph::from_onnx(bytes).map_err(|error: GraphError| error);
        Ok(Quantized {
            onnx: read(&self.onnx)?,
            tflite: read(&self.tflite)?,
            other: self.other.as_ref().map(read).transpose()?,
            search: self.search.clone(),
        })
    }
}

/// Where a quantized model is cached: its files, and the list of the frames that it was fitted on.
struct CacheEntry {
    key: String,
}

impl CacheEntry {
    fn new(key: &str) -> Self {
        Self {
            key: key.to_owned(),
        }
    }

    /// Path of a file, relative to the cache's folder.
    fn path(&self, what: &str) -> PathBuf {
        Path::new("int8").join(format!("{}{what}", self.key))
    }

    fn read(&self, project: &Project) -> Option<Found> {
        let read = |what| project.kept_in_cache(self.path(what));
        // Written last: where it exists, the other files do too.
        let search = read(".json")?;
        let other = files::exists(project.cache_dir().join(self.path("-other.onnx")));
        Some(Found {
            search: serde_json::from_slice(&search).ok()?,
            onnx: read(".onnx")?,
            tflite: read("-all.onnx")?,
            other: if other {
                Some(read("-other.onnx")?)
            } else {
                None
            },
        })
    }

    fn write(&self, project: &Project, found: &Found, frames: &Frames) {
        let Ok(search) = serde_json::to_vec(&found.search) else {
            return;
        };
        let mut fitted_on = String::new();
        for frame in &frames.fit {
            fitted_on += &frame.path;
            fitted_on.push('\n');
        }
        let mut kept = vec![
            (self.path(".txt"), fitted_on.as_bytes()),
            (self.path(".onnx"), &found.onnx),
            (self.path("-all.onnx"), &found.tflite),
        ];
        let other = found.other.as_ref();
        kept.extend(other.map(|other| (self.path("-other.onnx"), other.as_slice())));
        kept.push((self.path(".json"), &search));
        project.keep_in_cache(&kept);
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::ops::{Elementwise, Linear};
    use crate::onnx::{ElementType, Tensor};

    use super::*;

    #[test]
    fn the_largest_weight_in_floats_is_named_with_its_operator() {
        let mut graph = Graph::new("g");
        let x = graph.input("x", ElementType::F32, &["N".into(), 5.into(), 4.into()]);
        let y = graph.op_named(Elementwise::Neg, &[x], "negative");
        assert_eq!(largest_in_floats(&graph), None);
        let small = graph.constant(Tensor::new([4], vec![1.0_f32; 4]));
        let y = graph.op_named(Elementwise::Add, &[y, small], "shifted");
        let w = graph.constant(Tensor::new([4, 4], vec![1.0_f32; 16]));
        let y = graph.op_named(Linear::MatMul, &[y, w], "tokens");
        graph.output(y);
        let integers = graph.constant(Tensor::new([99], vec![1_i8; 99]));
        graph.op_named(Elementwise::Neg, &[integers], "bytes");
        let found = largest_in_floats(&graph);
        assert_eq!(found.as_deref(), Some("“tokens” (MatMul)"));
    }
}
