//! The last feature map of a network and the weight of each of its channels for a class, for class activation maps.
//!
//! If the bottleneck is the mean of the last feature map, the weight of a channel is that of the head (B. Zhou et al.,
//! "Learning Deep Features for Discriminative Localization", CVPR 2016). Otherwise (with layers between the mean and
//! the bottleneck, or a class token) it is the derivative of the class's logit with respect to the channel, summed
//! over the map (R. Selvaraju et al., "Grad-CAM", ICCV 2017), which is equivalent for a mean.

mod place;

use fast_image_resize::Resizer;
use image::RgbImage;

use crate::graph::ops::{Reduce, ReduceKind};
use crate::graph::{Graph, gradients};
use crate::onnx::{Element, ElementType, OnnxError, Session, Tensor};

use crate::backbone::blocks::CutAt;
use crate::backbone::{Architecture, BackboneError, Blocks, FineTunedWeights, Preprocessing};
pub use place::Cells;
use place::cells;

/// Names of the input and output of the gradient graph.
const COLUMN: &str = "column_of_the_head";
const GRADIENT: &str = "gradient_of_the_logit";

/// The last feature map of one image, and its bottleneck.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMap {
    /// `f32[C, H, W]`, or `f32[T, C]` for a network on tokens.
    values: Tensor,
    /// The pooled output, `f32[D]`.
    pub bottleneck: Vec<f32>,
}

impl FeatureMap {
    /// Adds another map of the same network, times `factor`.
    pub fn add_scaled(&mut self, other: &Self, factor: f32) {
        let pairs = self.bottleneck.iter_mut().zip(&other.bottleneck);
        pairs.for_each(|(sum, value)| *sum += factor * value);
        if let (Element::F32(sums), Element::F32(values)) =
            (&mut self.values.data, &other.values.data)
        {
            let pairs = sums.iter_mut().zip(values);
            pairs.for_each(|(sum, value)| *sum += factor * value);
        }
    }

    /// The bottleneck, followed by the map, for storage.
    pub fn numbers(&self) -> impl Iterator<Item = f32> {
        let values = self.values.f32().unwrap_or_default();
        self.bottleneck.iter().chain(values).copied()
    }
}

/// The layout of a feature map in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grid {
    channels: usize,
    rows: usize,
    columns: usize,
    /// For tokens: how many precede those of the map (class token, registers). `None` for `[C, H, W]`.
    tokens: Option<usize>,
}

impl Grid {
    fn of(cut: &CutAt) -> Result<Self, BackboneError> {
        match *cut.shape.as_slice() {
            [channels, rows, columns] => Ok(Self {
                channels,
                rows,
                columns,
                tokens: None,
            }),
            [tokens, channels] => {
                let side = tokens.isqrt();
                Ok(Self {
                    channels,
                    rows: side,
                    columns: side,
                    tokens: Some(tokens - side * side),
                })
            }
            _ => Err(none(format!("“{}” is not a feature map", cut.tensor))),
        }
    }

    fn cells(self) -> usize {
        self.rows * self.columns
    }

    fn len(self) -> usize {
        self.channels * (self.cells() + self.tokens.unwrap_or(0))
    }

    /// The index of the value of a channel at a cell.
    fn at(self, channel: usize, cell: usize) -> usize {
        match self.tokens {
            None => channel * self.cells() + cell,
            Some(first) => (first + cell) * self.channels + channel,
        }
    }

    /// The sum over all cells, for each channel.
    fn sums(self, values: &[f32]) -> Vec<f64> {
        let of_channel = |channel| {
            let values = (0..self.cells()).filter_map(|cell| values.get(self.at(channel, cell)));
            values.map(|value| f64::from(*value)).sum()
        };
        (0..self.channels).map(of_channel).collect()
    }
}

fn none(reason: impl Into<String>) -> BackboneError {
    BackboneError::NoFeatureMap {
        reason: reason.into(),
    }
}

/// A network with its last feature map and its bottleneck as outputs.
pub struct FeatureMaps {
    session: Session,
    /// Computes the derivative with respect to the feature map; `None` if the bottleneck is the map's mean.
    gradient: Option<Session>,
    grid: Grid,
    cells: [Cells; 2],
    cut: CutAt,
    pooled: String,
    dim: usize,
    input: String,
    preprocessing: Preprocessing,
    resizer: Resizer,
}

impl FeatureMaps {
    /// Loads a backbone, with fine-tuned weights if there are any, to run on `threads` threads (some 100 ms).
    ///
    /// # Errors
    /// [`BackboneError::NoFeatureMap`] for a network without a last feature map, or with an operator without a
    /// gradient rule after it.
    pub fn new(
        architecture: &Architecture,
        preprocessing: &Preprocessing,
        fine_tuned: Option<&FineTunedWeights>,
        threads: usize,
    ) -> Result<Self, BackboneError> {
        let dim = architecture.entry()?.bottleneck_dim;
        let blocks = Blocks::with_weights(architecture, fine_tuned)?;
        Self::of_blocks(&blocks, dim, preprocessing, threads)
    }

    /// The same for the blocks of any network whose bottleneck has the length `dim`.
    pub(in crate::backbone) fn of_blocks(
        blocks: &Blocks,
        dim: usize,
        preprocessing: &Preprocessing,
        threads: usize,
    ) -> Result<Self, BackboneError> {
        let last = blocks.blocks().last();
        let last = last.ok_or_else(|| none("it has no blocks"))?;
        // After the last attention, possibly only the class token matters: the map is taken before it.
        let cut = match last.output.shape.len() {
            3 => &last.output,
            _ => &last.cut,
        };
        let grid = Grid::of(cut)?;
        if cut.tensor == blocks.input() || grid.cells() == 0 {
            return Err(none("its last block begins at the image"));
        }
        let back = blocks.back(cut)?;
        let gradient = if is_mean(&back, cut, grid, dim)? {
            None
        } else {
            Some(Session::from_bytes(
                &differentiated(back, dim)?.to_onnx(),
                threads,
            )?)
        };
        let front = blocks.front_and_pooled(cut)?;
        Ok(Self {
            session: Session::from_bytes(&front.to_onnx(), threads)?,
            gradient,
            grid,
            cells: cells(&front, cut, preprocessing.resolution_px as usize),
            cut: cut.clone(),
            pooled: blocks.pooled().to_owned(),
            dim,
            input: blocks.input().to_owned(),
            preprocessing: preprocessing.clone(),
            resizer: Resizer::new(),
        })
    }

    /// Length of a bottleneck, D.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Numbers of rows and columns of a map.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.grid.rows, self.grid.columns)
    }

    /// The positions of a map's rows and columns in the network's square input.
    #[must_use]
    pub fn cells(&self) -> [Cells; 2] {
        self.cells
    }

    /// Whether the bottleneck is the mean of the feature map, so that maps are exact: the mean of a class's map plus
    /// its bias is its logit.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.gradient.is_none()
    }

    /// The feature map and the bottleneck of the plain view of an image.
    pub fn extract(&mut self, image: &RgbImage) -> Result<FeatureMap, BackboneError> {
        let side = self.preprocessing.resolution_px as usize;
        let mut planes = vec![0.0; 3 * side * side];
        let square = self.preprocessing.resize_with(&mut self.resizer, image);
        self.preprocessing.normalize_into(&square, &mut planes);
        let input = Tensor::new([1, 3, side, side], planes);
        let outputs = [self.cut.tensor.as_str(), self.pooled.as_str()];
        let found = self.session.run(&[(&self.input, &input)], &outputs)?;
        let [values, pooled] = <[Tensor; 2]>::try_from(found).map_err(|_| self.misshapen())?;
        let bottleneck = pooled.f32()?.to_vec();
        if values.f32()?.len() != self.grid.len() || bottleneck.len() != self.dim {
            return Err(self.misshapen());
        }
        Ok(FeatureMap { values, bottleneck })
    }

    /// A map from the values of [`FeatureMap::numbers`]; `None` if their number is wrong for this network.
    #[must_use]
    pub fn of_numbers(&self, mut numbers: Vec<f32>) -> Option<FeatureMap> {
        if numbers.len() != self.dim + self.grid.len() {
            return None;
        }
        let values = numbers.split_off(self.dim);
        let mut shape = vec![1];
        shape.extend(&self.cut.shape);
        Some(FeatureMap {
            values: Tensor::new(shape, values),
            bottleneck: numbers,
        })
    }

    /// The contribution of each cell of a feature map to the dot product of the bottleneck and `column` (`f32[D]`, the
    /// weights of one class), times the number of cells; row by row. If maps are exact, the mean is that product. With
    /// `baseline` it is the contribution to the difference from that map.
    pub fn weigh(
        &mut self,
        map: &FeatureMap,
        column: &[f32],
        baseline: Option<&FeatureMap>,
    ) -> Result<Vec<f32>, BackboneError> {
        let weights: Vec<f64> = match &mut self.gradient {
            None => column.iter().map(|weight| f64::from(*weight)).collect(),
            Some(session) => {
                let column = Tensor::new([column.len()], column.to_vec());
                let inputs = [(self.cut.tensor.as_str(), &map.values), (COLUMN, &column)];
                let found = session.run(&inputs, &[GRADIENT])?;
                let gradient = found.first().map(Tensor::f32).transpose()?;
                self.grid.sums(gradient.unwrap_or_default())
            }
        };
        let values = map.values.f32()?;
        let baseline = baseline.map(|map| map.values.f32()).transpose()?;
        let of_cell = |cell: usize| {
            let products = weights.iter().enumerate().map(|(channel, weight)| {
                let at = self.grid.at(channel, cell);
                let value = |values: &[f32]| values.get(at).copied().map_or(0.0, f64::from);
                weight * (value(values) - baseline.map_or(0.0, value))
            });
            products.sum::<f64>() as f32
        };
        Ok((0..self.grid.cells()).map(of_cell).collect())
    }

    fn misshapen(&self) -> BackboneError {
        OnnxError::Model(format!(
            "its tensors “{}” and “{}” do not have the shapes that its graph says",
            self.cut.tensor, self.pooled
        ))
        .into()
    }
}

/// Whether the graph from the feature map to the bottleneck is just the mean over all pixels. Determined by running
/// it, because there are many ways to write a mean.
fn is_mean(back: &Graph, cut: &CutAt, grid: Grid, dim: usize) -> Result<bool, BackboneError> {
    if grid.tokens.is_some_and(|first| first > 0) || grid.channels != dim {
        return Ok(false);
    }
    // Of both signs and magnitudes from 2^-4 to 2^4, without a pattern.
    let number = |at: usize| {
        let mixed = (at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let size = f64::from((mixed % 1024) as u32) / 128.0 - 4.0;
        let sign = if mixed & 0x8000 == 0 { 1.0 } else { -1.0 };
        (sign * size.exp2()) as f32
    };
    let values: Vec<f32> = (0..grid.len()).map(number).collect();
    let mut shape = vec![1];
    shape.extend(&cut.shape);
    let probe = Tensor::new(shape, values);
    let output = back.outputs().first().map(|value| back.name_of(*value));
    let output = output.unwrap_or_default();
    let mut session = Session::from_bytes(&back.to_onnx(), 1)?;
    let found = session.run(&[(&cut.tensor, &probe)], &[output])?;
    let found = found.first().map(Tensor::f32).transpose()?;
    let sums = grid.sums(probe.f32()?);
    let cells = grid.cells() as f64;
    let found = found.unwrap_or_default();
    let equal = |(found, sum): (&f32, &f64)| (f64::from(*found) - sum / cells).abs() < 1e-4;
    Ok(found.len() == dim && found.iter().zip(&sums).all(equal))
}

/// The graph from the feature map and the weights of a class to the derivative of the class's logit with respect to
/// the map.
fn differentiated(mut back: Graph, dim: usize) -> Result<Graph, BackboneError> {
    let unreachable = |reason: String| none(format!("it has no gradient: {reason}"));
    let (Some(&map), Some(&pooled)) = (back.inputs().first(), back.outputs().first()) else {
        return Err(none("it has no output"));
    };
    let column = back.input(COLUMN, ElementType::F32, &[dim.into()]);
    let product = back.mul(pooled, column);
    let logit = back.op(Reduce::new(ReduceKind::Sum, false), &[product]);
    let gradient = gradients(&mut back, logit, &[map]);
    let gradient = gradient.map_err(|error| unreachable(error.to_string()))?;
    let gradient = gradient.first().copied();
    let gradient = gradient.ok_or_else(|| none("it has no gradient"))?;
    back.clear_outputs();
    back.output_as(gradient, GRADIENT);
    back.prune();
    Ok(back)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use crate::backbone::{Extractor, Fit};
    use crate::graph::Dim;
    use crate::graph::ops::{Conv, GlobalPool, Reshaping};

    use super::*;

    fn image() -> RgbImage {
        RgbImage::from_fn(130, 120, |x, y| {
            let at = |speed: u32| (x * speed + y * 5) as u8;
            image::Rgb([at(1), at(3), at(7)])
        })
    }

    /// The mean of a class's map, and the product of its weights with the bottleneck.
    fn mean_and_product(maps: &mut FeatureMaps) -> (f64, f64) {
        let found = maps.extract(&image()).unwrap();
        let column: Vec<f32> = (0..maps.dim()).map(|at| (at as f32 * 0.7).sin()).collect();
        let map = maps.weigh(&found, &column, None).unwrap();
        let mean = map.iter().map(|v| f64::from(*v)).sum::<f64>() / map.len() as f64;
        let pairs = found.bottleneck.iter().zip(&column);
        let product = pairs.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
        (mean, product)
    }

    #[test]
    fn the_backbones_that_are_shipped_have_exact_maps() {
        for name in [
            "efficientnet-lite0@128",
            "efficientnet-lite2@96",
            "mobilenet-v2@96",
        ] {
            let architecture: Architecture = name.parse().unwrap();
            let preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
            let mut maps = FeatureMaps::new(&architecture, &preprocessing, None, 1).unwrap();
            assert!(maps.is_exact(), "{name}");
            let side = architecture.resolution_px as usize / 32;
            assert_eq!(maps.size(), (side, side));
            // Padding only at the end, as in TensorFlow, or on both sides.
            let first = if name.starts_with("mobilenet") {
                0.5
            } else {
                31.5
            };
            let px = f64::from(architecture.resolution_px);
            for cells in maps.cells() {
                assert!((cells.first * px - first).abs() < 1e-9, "{name}: {cells:?}");
                assert!((cells.step * px - 32.0).abs() < 1e-9, "{name}: {cells:?}");
            }
            let (mean, product) = mean_and_product(&mut maps);
            assert!((mean - product).abs() < 1e-4, "{name}: {mean} {product}");
            let mut plain = Extractor::new(&architecture, &preprocessing, None).unwrap();
            let bottleneck = maps.extract(&image()).unwrap().bottleneck;
            let whole = plain.extract(&image()).unwrap();
            let far = bottleneck.iter().zip(&whole).map(|(a, b)| (a - b).abs());
            assert!(far.fold(0.0, f32::max) < 1e-5, "{name}");
        }
    }

    /// `image → 3×3 convolution → mean → layers added by behind`.
    fn network(
        behind: impl FnOnce(&mut Graph, crate::graph::ValueId) -> crate::graph::ValueId,
    ) -> Blocks {
        let mut graph = Graph::new("net");
        let shape = [Dim::Free("N".into()), 3.into(), 8.into(), 8.into()];
        let image = graph.input("image", ElementType::F32, &shape);
        let numbers = |len: usize| {
            (0..len)
                .map(|at| (at as f32 * 1.3).cos())
                .collect::<Vec<_>>()
        };
        let mut x = image;
        for (channels, at) in [(4, 3), (6, 4)] {
            let kernel = graph.constant(Tensor::new(
                [channels, at, 3, 3],
                numbers(channels * at * 9),
            ));
            x = graph.op(Conv::plain(), &[x, kernel]);
        }
        let pooled = graph.op(GlobalPool::Average, &[x]);
        let flat = graph.op(Reshaping::Flatten { axis: 1 }, &[pooled]);
        let output = behind(&mut graph, flat);
        graph.output_as(output, "pooled");
        Blocks::analyse(&graph, "image", ("pooled", 6), 8).unwrap()
    }

    fn maps_of(blocks: &Blocks) -> FeatureMaps {
        let preprocessing = Preprocessing {
            fit: Fit::Stretch,
            resolution_px: 8,
            mean: [127.0; 3],
            std: [128.0; 3],
        };
        FeatureMaps::of_blocks(blocks, 6, &preprocessing, 1).unwrap()
    }

    /// With a factor after the mean it is no plain mean, and the derivative is known: the map is that of the mean
    /// times the factor.
    #[test]
    fn what_lies_behind_the_mean_is_differentiated() {
        let mut plain = maps_of(&network(|_, flat| flat));
        let mut scaled = maps_of(&network(|graph, flat| {
            let three = graph.number(3.0);
            graph.mul(flat, three)
        }));
        assert!(plain.is_exact() && !scaled.is_exact());
        let column = [0.5, -1.0, 2.0, 0.0, 0.25, -0.125];
        let map = plain.extract(&image()).unwrap();
        let expected = plain.weigh(&map, &column, None).unwrap();
        let map = scaled.extract(&image()).unwrap();
        let found = scaled.weigh(&map, &column, None).unwrap();
        assert_eq!(found.len(), 16);
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - 3.0 * expected).abs() < 1e-3, "{found} {expected}");
        }
        let (mean, product) = mean_and_product(&mut scaled);
        assert!((mean - product).abs() < 1e-4, "linear: {mean} {product}");
    }
}
