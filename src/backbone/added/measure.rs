//! Converts a network to the form to be added: compares it with the file, measures it, and finds the depths to which
//! it can be trained.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::backbone::{BackboneError, Blocks, Depth};
use crate::graph::{Dim, Graph, ValueId};
use crate::jobs::{Work, abandonable};
use crate::onnx::{Element, ElementType, Session, Tensor};

use super::asked::Layout;
use super::inspect::{Inspected, reason_of};
use super::standard_form::{StandardForm, standard_form};

/// Other resolutions that are offered if the network supports them, in pixels.
const USUAL_PX: [u32; 10] = [96, 128, 160, 192, 224, 256, 288, 320, 384, 448];
/// The largest difference of bottlenecks from those of the file, relative to the largest element, in fp32 with another
/// order of sums, and in fp16.
const CLOSE: f32 = 1e-4;
const CLOSE_IN_HALF: f32 = 2e-2;

/// A network ready to be added.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The model file.
    pub(super) bytes: Vec<u8>,
    /// The name of its input.
    pub(super) input: String,
    /// The name of its output.
    pub(super) output: String,
    /// Its name.
    pub title: String,
    /// Length of a bottleneck.
    pub bottleneck_dim: usize,
    /// Number of trained parameters.
    pub parameters: u64,
    /// Multiply-accumulates for one image at each supported resolution, in pixels.
    pub multiply_accumulates: BTreeMap<u32, u64>,
    /// The resolution that it was designed for, in pixels.
    pub default_resolution: u32,
    /// Subtracted from each channel value (0..=255); R, G, B.
    pub mean: [f32; 3],
    /// Divisor of each channel value after that; R, G, B.
    pub std: [f32; 3],
    /// The time for one image on one thread of this machine.
    pub image_time: Duration,
    /// The depths to which it can be trained, beginning with the head.
    pub depths: Vec<DepthOffer>,
    /// Why deeper layers cannot be trained, in a sentence; `None` if all can.
    pub hindrance: Option<String>,
    /// The largest difference of a bottleneck's element from the file's, relative to the largest element.
    pub difference: f32,
    pub(super) licence: Option<String>,
    pub(super) from: String,
    pub(super) notes: Vec<String>,
}

/// A depth to which a network can be trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepthOffer {
    /// Which.
    pub depth: Depth,
    /// How many weights of the network are trained.
    pub weights: u64,
}

impl Candidate {
    /// Size of the model file in bytes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl Inspected {
    /// Converts it to the form to be added: cuts it off at its pooled layer, compares the result with the file, and
    /// measures it.
    ///
    /// # Errors
    /// If the user must still state a property, which the message names with its option, or if the network is
    /// unusable.
    pub fn candidate(&self, work: &Work) -> Result<Candidate, BackboneError> {
        let this = self.clone();
        let watch = work.clone();
        work.stage("Running the network", None);
        abandonable(work, move || this.tried(&watch))?
    }

    fn tried(&self, work: &Work) -> Result<Candidate, BackboneError> {
        let fail = |reason: String| BackboneError::Add {
            path: self.file.path().to_owned(),
            reason,
        };
        if let Some((option, reason)) = self.missing() {
            return Err(BackboneError::Asked {
                path: self.file.path().to_owned(),
                reason,
                option,
            });
        }
        let (Some(layout), Some(side), Some([mean, std]), Some(pooled)) = (
            self.layout.value,
            self.size_px.value,
            self.normalisation.value,
            &self.pooled.value,
        ) else {
            return Err(fail("something about it is unknown".into()));
        };
        let side_len = side as usize;
        let probes = [1, 2].map(|seed| Planes::probe(seed, side_len, mean, std));
        let expected = self.run_file(layout, &pooled.name, &probes).map_err(fail)?;
        work.check()?;
        let [first, _] = &expected;
        let dim = first.data.len();
        let rank = first.shape.len();
        let long = first.shape.iter().filter(|len| **len > 1).count();
        if first.shape.first() != Some(&1) || long > 1 || dim < 2 {
            return Err(fail(format!(
                "“{}” gives {:?} for one image, which is not one vector; choose another layer with --pooled",
                pooled.name, first.shape
            )));
        }
        let built = standard_form(&self.graph, self.input, layout, pooled, side_len, rank)
            .map_err(|error| fail(reason_of(error)))?;
        let difference = compare(&built, &probes, &expected).map_err(fail)?;
        work.check()?;
        let close = if self.is_half() { CLOSE_IN_HALF } else { CLOSE };
        if difference > close {
            return Err(fail(format!(
                "after conversion, its bottlenecks differ by {difference:.1e} from those of the file; export it again with opset_version=17 and a dynamic batch"
            )));
        }
        self.measured(built, dim, side, [mean, std], difference)
    }

    fn measured(
        &self,
        built: StandardForm,
        dim: usize,
        side: u32,
        [mean, std]: [[f32; 3]; 2],
        difference: f32,
    ) -> Result<Candidate, BackboneError> {
        let StandardForm {
            mut graph,
            input,
            output,
        } = built;
        let names = [input, output].map(|id| graph.name_of(id).to_owned());
        let [input_name, output_name] = names;
        let mut macs = BTreeMap::from([(side, macs_at(&graph, input, side))]);
        let has_others = graph
            .nodes()
            .iter()
            .any(|node| matches!(node.op, crate::graph::Op::Other(_)));
        for px in USUAL_PX.into_iter().filter(|px| *px != side && !has_others) {
            if takes(&graph, input, output, px, dim) {
                macs.insert(px, macs_at(&graph, input, px));
            }
        }
        let (depths, hindrance) = depths(&graph, [&input_name, &output_name], dim, side)?;
        let shape = if macs.len() > 1 {
            ["N", "", "H", "W"].map(Dim::from)
        } else {
            [
                "N".into(),
                Dim::Fixed(3),
                Dim::Fixed(side as usize),
                Dim::Fixed(side as usize),
            ]
        };
        let mut shape = shape.to_vec();
        if let Some(channels) = shape.get_mut(1) {
            *channels = Dim::Fixed(3);
        }
        graph.set_shape(input, &shape);
        graph.declare(output, ElementType::F32, &["N".into(), Dim::Fixed(dim)]);
        let parameters = graph
            .constants()
            .filter_map(|id| graph.constant_of(id))
            .filter(|tensor| matches!(tensor.data, Element::F32(_)) && tensor.data.len() > 1)
            .map(|tensor| tensor.data.len() as u64)
            .sum();
        let bytes = graph.to_onnx();
        // Sizes that are only inferred from shapes are tried.
        let mut session = Session::from_bytes(&bytes, 1)?;
        let run = |session: &mut Session, px: u32| -> Result<Duration, BackboneError> {
            let px = px as usize;
            let planes = vec![0.25_f32; 3 * px * px];
            let mut row = vec![0.0; dim];
            let started = Instant::now();
            session.run_f32(
                (&input_name, &[1, 3, px, px], &planes),
                &output_name,
                &mut row,
            )?;
            Ok(started.elapsed())
        };
        macs.retain(|px, _| *px == side || run(&mut session, *px).is_ok());
        let mut image_time = Duration::MAX;
        for _ in 0..4 {
            image_time = image_time.min(run(&mut session, side)?);
        }
        Ok(Candidate {
            bytes,
            input: input_name,
            output: output_name,
            title: self.title(),
            bottleneck_dim: dim,
            parameters,
            multiply_accumulates: macs,
            default_resolution: side,
            mean,
            std,
            image_time,
            depths,
            hindrance,
            difference,
            licence: self.asked.licence.clone(),
            from: self.file_name(),
            notes: self.notes(),
        })
    }

    fn file_name(&self) -> String {
        let name = self.file.path().file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// The origins of its properties, for the description beside the network.
    fn notes(&self) -> Vec<String> {
        let pooled = self.pooled.value.as_ref();
        vec![
            format!("layout: {}", self.layout.note),
            format!("size: {}", self.size_px.note),
            format!("normalisation: {}", self.normalisation.note),
            format!(
                "bottleneck: “{}”, {}",
                pooled.map_or("", |pooled| &pooled.name),
                self.pooled.note
            ),
        ]
    }

    /// Whether the file computes in fp16.
    fn is_half(&self) -> bool {
        self.probe_element() == Some(ElementType::F16) || self.holds_halves
    }

    fn probe_element(&self) -> Option<ElementType> {
        self.input_element
    }

    /// The values of the layer `name` for each of the images, computed by the file.
    fn run_file(
        &self,
        layout: Layout,
        name: &str,
        probes: &[Planes; 2],
    ) -> Result<[Tensor; 2], String> {
        let model = self.file.with_output(name);
        let mut session = Session::from_bytes(&model, 2).map_err(|error| error.to_string())?;
        let input = self.graph.name_of(self.input);
        let mut run = |planes: &Planes| -> Result<Tensor, String> {
            let tensor = planes.as_input(layout, self.probe_element());
            let results = session
                .run(&[(input, &tensor)], &[name])
                .map_err(|error| error.to_string())?;
            let result = results.into_iter().next().ok_or("it gives no result")?;
            let values: Vec<f32> = match &result.data {
                Element::F32(values) => values.clone(),
                Element::F16(values) => values.iter().map(|value| value.to_f32()).collect(),
                _ => {
                    return Err(format!(
                        "its layer “{name}” does not give floating-point numbers"
                    ));
                }
            };
            if !values.iter().all(|value| value.is_finite()) {
                return Err(format!("its layer “{name}” gives NaN or infinite values"));
            }
            Ok(Tensor::new(result.shape, values))
        };
        let [first, second] = probes;
        Ok([run(first)?, run(second)?])
    }
}

/// An image as input of the network.
struct Planes {
    side: usize,
    /// `[3, S, S]`, normalised.
    values: Vec<f32>,
}

impl Planes {
    /// A deterministic image of soft noise.
    fn probe(seed: u32, side: usize, mean: [f32; 3], std: [f32; 3]) -> Self {
        let mut state = seed;
        let mut values = Vec::with_capacity(3 * side * side);
        for (mean, std) in mean.into_iter().zip(std) {
            for at in 0..side * side {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let wave = ((at % side) as f32 / 9.0 + seed as f32).sin()
                    + (at / side) as f32 / side as f32;
                let noise = (state >> 24) as f32 / 4.0;
                let pixel = (64.0 + 60.0 * wave + noise).clamp(0.0, 255.0).round();
                values.push((pixel - mean) / std);
            }
        }
        Self { side, values }
    }

    /// The corresponding input of the file.
    fn as_input(&self, layout: Layout, element: Option<ElementType>) -> Tensor {
        let side = self.side;
        let area = side * side;
        let (shape, values) = match layout {
            Layout::Nchw => ([1, 3, side, side], self.values.clone()),
            Layout::Nhwc => {
                let pixels = (0..area).flat_map(|at| [at, at + area, at + 2 * area]);
                let values = pixels
                    .filter_map(|at| self.values.get(at).copied())
                    .collect();
                ([1, side, side, 3], values)
            }
        };
        match element {
            Some(ElementType::F16) => {
                let halves: Vec<half::f16> = values.into_iter().map(half::f16::from_f32).collect();
                Tensor::new(shape, halves)
            }
            Some(ElementType::U8) => {
                let bytes: Vec<u8> = values
                    .into_iter()
                    .map(|value| value.clamp(0.0, 255.0) as u8)
                    .collect();
                Tensor::new(shape, bytes)
            }
            _ => Tensor::new(shape, values),
        }
    }
}

/// The difference of the bottlenecks of both images, computed together, from those of the file.
fn compare(
    built: &StandardForm,
    probes: &[Planes; 2],
    expected: &[Tensor; 2],
) -> Result<f32, String> {
    let StandardForm {
        graph,
        input,
        output,
    } = built;
    let mut session =
        Session::from_bytes(&graph.to_onnx(), 2).map_err(|error| error.to_string())?;
    let mut both = Vec::new();
    for probe in probes {
        both.extend_from_slice(&probe.values);
    }
    let side = probes.first().map_or(0, |probe| probe.side);
    let tensor = Tensor::new([2, 3, side, side], both);
    let results = session
        .run(
            &[(graph.name_of(*input), &tensor)],
            &[graph.name_of(*output)],
        )
        .map_err(|error| {
            format!(
                "it cannot process several images at once ({error}); export it with a dynamic batch"
            )
        })?;
    let found = results
        .first()
        .and_then(|result| result.f32().ok())
        .unwrap_or_default();
    let wanted: Vec<f32> = expected
        .iter()
        .flat_map(|tensor| tensor.f32().unwrap_or_default().to_vec())
        .collect();
    if found.len() != wanted.len() {
        return Err(
            "it does not give two bottlenecks for two images; export it with a dynamic batch"
                .into(),
        );
    }
    let largest = wanted
        .iter()
        .fold(1e-6_f32, |most, value| most.max(value.abs()));
    let apart = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs());
    Ok(apart.fold(0.0_f32, |most, value| {
        if value.is_finite() {
            most.max(value)
        } else {
            f32::INFINITY
        }
    }) / largest)
}

/// The graph for images of `px` pixels.
fn at(graph: &Graph, input: ValueId, px: u32) -> Graph {
    let mut sized = graph.clone();
    let px = px as usize;
    sized.set_input_shape(input, &["N".into(), 3.into(), px.into(), px.into()]);
    sized
}

fn macs_at(graph: &Graph, input: ValueId, px: u32) -> u64 {
    let sized = at(graph, input, px);
    let macs = sized.nodes().iter().map(|node| sized.macs(node));
    macs.fold(0, u64::saturating_add)
}

/// Whether all shapes are known and consistent at another resolution.
fn takes(graph: &Graph, input: ValueId, output: ValueId, px: u32, dim: usize) -> bool {
    let sized = at(graph, input, px);
    let known = |value: ValueId| sized.shape(value).is_some();
    sized
        .shape(output)
        .is_some_and(|shape| shape.get(1) == Some(&Dim::Fixed(dim)))
        && sized.nodes().iter().all(|node| node.makes().all(known))
}

/// The depths to which a network can be trained, and why it has no deeper one.
fn depths(
    graph: &Graph,
    [input, output]: [&str; 2],
    dim: usize,
    side: u32,
) -> Result<(Vec<DepthOffer>, Option<String>), BackboneError> {
    let head = DepthOffer {
        depth: Depth::Head,
        weights: 0,
    };
    let blocks = match Blocks::analyse(graph, input, (output, dim), side) {
        Ok(blocks) => blocks,
        Err(BackboneError::Blocks(reason)) => return Ok((vec![head], Some(reason))),
        Err(other) => return Err(other),
    };
    let offers = blocks.plans().into_iter().map(|plan| DepthOffer {
        depth: plan.depth,
        weights: plan.weights_trained(true),
    });
    Ok((offers.collect(), blocks.hindrance()))
}
