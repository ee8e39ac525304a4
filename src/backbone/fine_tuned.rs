//! Fine-tuned weights of a backbone, and the backbone with these weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::graph::{Graph, GraphError};
use crate::onnx::Tensor;

use super::{Architecture, BackboneError};

/// Fine-tuned weights of a backbone by their names in its graph (`blocks.6.0.expand.weight`); all others are the
/// original ones.
#[derive(Debug, Clone, PartialEq)]
pub struct FineTunedWeights {
    weights: BTreeMap<String, Tensor>,
    hash: String,
    file: Option<PathBuf>,
}

impl FineTunedWeights {
    /// From named `f32` tensors. An error if there are none, if a name occurs twice, or if the number of elements does
    /// not match a shape; [`Architecture::model_with`] checks names and shapes against a backbone.
    pub fn new(weights: impl IntoIterator<Item = (String, Tensor)>) -> Result<Self, BackboneError> {
        Self::of(weights, None)
    }

    /// The same for weights read from `file`, which messages then name.
    pub fn of_file(
        file: &Path,
        weights: impl IntoIterator<Item = (String, Tensor)>,
    ) -> Result<Self, BackboneError> {
        Self::of(weights, Some(file.to_owned()))
    }

    fn of(
        weights: impl IntoIterator<Item = (String, Tensor)>,
        file: Option<PathBuf>,
    ) -> Result<Self, BackboneError> {
        let wrong = |reason: String| BackboneError::FineTuned {
            file: file.clone(),
            reason,
        };
        let mut by_name = BTreeMap::new();
        for (name, tensor) in weights {
            let Ok(values) = tensor.f32() else {
                return Err(wrong(format!("“{name}” holds no 32-bit floats")));
            };
            if values.len() != tensor.shape.iter().product::<usize>() {
                return Err(wrong(format!(
                    "“{name}” has a different size than its shape"
                )));
            }
            if !values.iter().all(|value| value.is_finite()) {
                return Err(wrong(format!("“{name}” holds NaN or infinite values")));
            }
            if by_name.insert(name.clone(), tensor).is_some() {
                return Err(wrong(format!("“{name}” comes twice")));
            }
        }
        if by_name.is_empty() {
            return Err(wrong("there is none".into()));
        }
        let hash = hash(&by_name)?;
        Ok(Self {
            weights: by_name,
            hash,
            file,
        })
    }

    /// BLAKE3 hash, hexadecimal, of names, shapes and values, independent of their order and of the file.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Names and tensors, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.weights
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Replaces the weights in the graph of the backbone, whose name `backbone` is used in messages.
    fn put_into(&self, graph: &mut Graph, backbone: &str) -> Result<(), BackboneError> {
        for (name, tensor) in &self.weights {
            graph.replace_constant(name, tensor).map_err(|error| {
                let reason = match error {
                    GraphError::Model(reason) => reason,
                    other @ GraphError::Onnx(_) => other.to_string(),
                };
                BackboneError::FineTuned {
                    file: self.file.clone(),
                    reason: format!("they do not fit {backbone}: {reason}"),
                }
            })?;
        }
        Ok(())
    }
}

/// Lengths precede the data, so that different lists of weights never give the same bytes.
fn hash(weights: &BTreeMap<String, Tensor>) -> Result<String, BackboneError> {
    let mut hasher = blake3::Hasher::new();
    let number = |hasher: &mut blake3::Hasher, number: usize| {
        hasher.update(&(number as u64).to_le_bytes());
    };
    for (name, tensor) in weights {
        number(&mut hasher, name.len());
        hasher.update(name.as_bytes());
        number(&mut hasher, tensor.shape.len());
        for length in &tensor.shape {
            number(&mut hasher, *length);
        }
        let bytes: Vec<u8> = tensor.f32()?.iter().flat_map(|v| v.to_le_bytes()).collect();
        hasher.update(&bytes);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

impl Architecture {
    /// The model file's bytes: the original ones, or with fine-tuned weights in place of those with the same names
    /// (some 20 ms). An error if the backbone has no weight of that name and shape.
    pub fn model_with(
        &self,
        fine_tuned: Option<&FineTunedWeights>,
    ) -> Result<Arc<[u8]>, BackboneError> {
        let shipped = self.entry()?.model()?;
        let Some(fine_tuned) = fine_tuned else {
            return Ok(shipped);
        };
        let mut graph = Graph::from_onnx(&shipped)?;
        fine_tuned.put_into(&mut graph, &self.backbone)?;
        Ok(graph.to_onnx().into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use image::RgbImage;

    use crate::backbone::{Extractor, Fit, catalogue};
    use crate::graph::Op;
    use crate::graph::ops::Elementwise;
    use crate::onnx::Element;

    use super::*;

    /// All weights of a graph as 32-bit floats, however they are stored, except the bounds of `ReLU6`.
    fn weights(graph: &Graph) -> Vec<(String, Tensor)> {
        let mut found = Vec::new();
        for constant in graph.constants() {
            let stored = graph.constant_of(constant).unwrap();
            match &stored.data {
                _ if stored.shape.is_empty() => {}
                Element::F32(_) => {
                    found.push((graph.name_of(constant).to_owned(), Tensor::clone(stored)));
                }
                Element::F16(values) => {
                    let cast = graph.consumers(constant).next().unwrap().output().unwrap();
                    let values: Vec<f32> = values.iter().map(|value| value.to_f32()).collect();
                    let tensor = Tensor::new(stored.shape.clone(), values);
                    found.push((graph.name_of(cast).to_owned(), tensor));
                }
                _ => {}
            }
        }
        found
    }

    fn shipped(architecture: &Architecture) -> Graph {
        Graph::from_onnx(&architecture.model_with(None).unwrap()).unwrap()
    }

    fn bottleneck(architecture: &Architecture, fine_tuned: Option<&FineTunedWeights>) -> Vec<f32> {
        let preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
        let image = RgbImage::from_fn(130, 120, |x, y| {
            let at = |speed: u32| (x * speed + y * 5) as u8;
            image::Rgb([at(1), at(3), at(7)])
        });
        Extractor::new(architecture, &preprocessing, fine_tuned)
            .unwrap()
            .extract(&image)
            .unwrap()
    }

    /// Every weight of every backbone, stored in either way: replaced by its own values no bit changes, and replaced
    /// by half of them they take effect.
    #[test]
    fn every_weight_can_be_replaced() {
        for backbone in catalogue().unwrap() {
            let architecture: Architecture = format!("{}@96", backbone.name).parse().unwrap();
            let graph = shipped(&architecture);
            let all = weights(&graph);
            let casts = graph
                .nodes()
                .iter()
                .filter(|node| matches!(node.op, Op::Elementwise(Elementwise::Cast(_))))
                .count();
            assert!(casts > 0 && casts < all.len(), "both forms are there");
            let parameters: usize = all
                .iter()
                .map(|(_, tensor)| tensor.f32().unwrap().len())
                .sum();
            assert_eq!(parameters as u64, backbone.parameters, "all weights");

            let fine_tuned = FineTunedWeights::new(all).unwrap();
            let model = architecture.model_with(Some(&fine_tuned)).unwrap();
            let replaced = Graph::from_onnx(&model).unwrap();
            assert_eq!(replaced.nodes().len(), graph.nodes().len() - casts);
            assert_eq!(
                bottleneck(&architecture, None),
                bottleneck(&architecture, Some(&fine_tuned))
            );
        }
    }

    /// A bias and a scale with a known effect: if the last weights are zero, the output is the bias, without rounding
    /// to fp16.
    #[test]
    fn the_replacement_is_what_computes() {
        let architecture: Architecture = "efficientnet-lite0@96".parse().unwrap();
        let all = weights(&shipped(&architecture));
        let of = |name: &str| all.iter().find(|(known, _)| known == name).unwrap().clone();
        let (name, weight) = of("head.weight");
        let zeros = Tensor::new(weight.shape.clone(), vec![0.0_f32; weight.data.len()]);
        let (bias_name, bias) = of("head.bias");
        let values: Vec<f32> = (0..bias.data.len())
            .map(|at| 1.0 + at as f32 / 16_384.0)
            .collect();
        let bias = Tensor::new(bias.shape, values.clone());
        let fine_tuned = FineTunedWeights::new([(name, zeros), (bias_name, bias)]).unwrap();
        // The mean of nine equal values, whose sum is rounded.
        for (found, expected) in bottleneck(&architecture, Some(&fine_tuned))
            .iter()
            .zip(&values)
        {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn the_hash_is_of_the_content_alone() {
        let tensor = |values: &[f32]| Tensor::new([values.len()], values.to_vec());
        let hash = |weights: &[(&str, Tensor)]| {
            let weights = weights
                .iter()
                .map(|(name, tensor)| ((*name).to_owned(), tensor.clone()));
            FineTunedWeights::new(weights).unwrap().hash().to_owned()
        };
        let (a, b) = (("a", tensor(&[1.0, 2.0])), ("b", tensor(&[3.0])));
        let both = hash(&[a.clone(), b.clone()]);
        assert_eq!(both, hash(&[b.clone(), a.clone()]));
        assert_ne!(both, hash(&[a, ("b", tensor(&[3.000_000_2]))]));
        assert_ne!(
            both,
            hash(&[("a", tensor(&[1.0])), ("b", tensor(&[2.0, 3.0]))])
        );
        let wide = Tensor::new([1, 1], vec![3.0_f32]);
        assert_ne!(hash(std::slice::from_ref(&b)), hash(&[("b", wide)]));
        assert_ne!(hash(&[b]), hash(&[("c", tensor(&[3.0]))]));
    }

    #[test]
    fn what_does_not_fit_is_one_sentence() {
        let architecture: Architecture = "efficientnet-lite0@96".parse().unwrap();
        let refused = |name: &str, tensor: Tensor| {
            FineTunedWeights::of_file(
                Path::new("a run/backbone.safetensors"),
                [(name.into(), tensor)],
            )
            .and_then(|fine_tuned| architecture.model_with(Some(&fine_tuned)))
            .unwrap_err()
            .to_string()
        };
        let told = refused("blocks.99.weight", Tensor::new([1], vec![0.0_f32]));
        assert_eq!(
            told,
            "the fine-tuned weights in “a run/backbone.safetensors” cannot be used: they do not fit efficientnet-lite0: \
             there is no weight “blocks.99.weight”; delete this run, or restore an earlier copy of its folder"
        );
        for name in ["head.weight", "head.bias"] {
            let told = refused(name, Tensor::new([3, 1], vec![0.0_f32; 3]));
            assert!(
                told.contains("a run/") && told.contains("the shape [1280"),
                "{told}"
            );
        }
        // Computed values are not weights.
        let graph = shipped(&architecture);
        let computed = graph.nodes().last().unwrap().output().unwrap();
        let computed = graph.name_of(computed).to_owned();
        assert!(refused(&computed, Tensor::new([1], vec![0.0_f32])).contains("there is no weight"));
        let told = refused("head.bias", Tensor::new([2], vec![f32::NAN, 0.0]));
        assert!(told.contains("a run/") && told.contains("NaN"), "{told}");
        let told = refused("head.bias", Tensor::new([3], vec![0.0_f32]));
        assert!(told.contains("a run/") && told.contains("size"), "{told}");
        let none = FineTunedWeights::new([]).unwrap_err().to_string();
        assert!(none.contains("there is none"), "{none}");
    }
}
