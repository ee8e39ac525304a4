//! The search for an int8 model: the cheapest recipe, which is usually good enough, is tried first. Where it is not,
//! further steps are tried one by one, and each is kept only if it is better on frames that it was not fitted on.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::graph::passes::quantize::{Prepared, Quantizing, Range, quantize};
use crate::graph::{Graph, ValueId};
use crate::jobs::Work;
use crate::onnx::Tensor;

use super::super::model::{HEAD_BIAS, HEAD_WEIGHT};
use super::super::{ExportError, Model};
use super::batches::run;
use super::equalise::equalised;
use super::frames::{Frame, Frames};
use super::head::{Weights, fitted};
use super::layers::{State, correct_bias, descended};
use super::measure::{Measured, histograms, measure};
use super::ranges::Rule;
use super::tally::Tally;
use super::{Found, IMAGE};

/// How an int8 model was found: which candidates were tried, and how they did on frames that nothing was fitted on. No
/// test frames were used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// How many training frames ranges, weights, biases and the head were fitted on.
    pub fitted_on: u64,
    /// How many frames candidates were compared on: validation frames, and training frames that nothing was fitted on.
    pub compared_on: u64,
    /// Top-1 accuracy of the run on the latter, 0..=1.
    pub run_top1: f64,
    /// In the order in which they were tried. There is only one if the first [is good
    /// enough](Int8Candidate::is_good_enough).
    pub candidates: Vec<Int8Candidate>,
}

/// A model that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Int8Candidate {
    /// What distinguishes it from the candidate taken before.
    pub name: String,
    /// The size of its ONNX file in bytes, without labels and other metadata.
    pub bytes: u64,
    /// Its top-1 accuracy, 0..=1.
    pub top1: f64,
    /// Part of the frames with the same top-1 as the run, 0..=1.
    pub agreement: f64,
    /// The mean Kullback-Leibler divergence of its probabilities from the run's, in nats. The candidate with the
    /// smallest one wins: in a few hundred frames too few answers change to choose by them.
    pub divergence: f64,
    /// How many of its values stay floats. Candidates with the same number have the same operators, hence the same
    /// latency.
    #[serde(default)]
    pub real_values: u64,
    /// Its latency divided by that of the fp32 model, on one thread, if it was measured.
    pub latency_ratio: Option<f64>,
    /// Whether it was taken. Later candidates build on it; the last one taken is the model.
    pub taken: bool,
}

/// Up to this divergence, in nats, a model is good enough: its probabilities then differ by at most 5 percentage
/// points (the mean total variation distance is at most √(d/2), by Pinsker's inequality), which changes answers only
/// where two classes are almost equally likely. Rounding to the nearest gives 0.01 to 0.05.
pub(super) const GOOD_DIVERGENCE: f64 = 0.005;
/// The agreement that a good enough model must also have, 0..=1: a safeguard against a few frames with wholly
/// different answers. It is low because of chance: where 1.5 % of all answers change, one of 32 frames often does.
pub(super) const GOOD_AGREEMENT: f64 = 0.95;

impl Int8Candidate {
    /// Whether no further candidates are needed, because this one is close enough to the run on the frames that
    /// nothing was fitted on.
    #[must_use]
    pub fn is_good_enough(&self) -> bool {
        self.divergence <= GOOD_DIVERGENCE && self.agreement >= GOOD_AGREEMENT
    }
}

/// The first candidate is compared on this many frames at a time, as long as there is doubt.
const AT_A_TIME: usize = 32;
/// A candidate is taken if it reduces the divergence by at least this part.
const GAIN: f64 = 0.01;
/// The same for a candidate that costs size and time.
const COSTLY_GAIN: f64 = 0.1;
/// The largest factor by which channels are scaled: at first, and where that is not enough.
const SCALED: f32 = 4.0;
const SCALED_MORE: f32 = 16.0;
/// How strongly a fitted head is pulled towards the original one.
const PULLS: [f64; 2] = [1.0, 0.1];

struct Searcher<'a> {
    model: &'a Model,
    frames: &'a Frames,
    work: &'a Work,
    search: Search,
    best: f64,
    state: State,
    /// The model with other layers in floats than the one found.
    other: Option<State>,
}

/// Searches for the int8 form of a network.
pub(super) fn search(
    prepared: Prepared,
    model: &Model,
    frames: &Frames,
    work: &Work,
) -> Result<Found, ExportError> {
    let measured = measure(&prepared, model.features, &frames.fit, frames.side, work)?;
    let state = State {
        how: Quantizing {
            ranges: measured.ranges.clone(),
            ..Quantizing::default()
        },
        prepared,
    };
    let mut searcher = Searcher {
        model,
        frames,
        work,
        search: Search {
            fitted_on: frames.fit.len() as u64,
            compared_on: 0,
            run_top1: 0.0,
            candidates: Vec::new(),
        },
        best: f64::INFINITY,
        state: state.clone(),
        other: None,
    };
    work.stage("Searching for the int8 model", None);
    searcher.weights(&state, &measured, SCALED)?;
    let first = searcher.search.candidates.first();
    if !first.is_some_and(Int8Candidate::is_good_enough) {
        // The usual method, as a baseline.
        searcher.offer("nearest, min-max", state.clone(), GAIN)?;
        searcher.biases(state.clone(), &measured)?;
        searcher.weights(&state, &measured, SCALED_MORE)?;
        searcher.ranges()?;
        searcher.head(&measured)?;
        searcher.real_layers()?;
    }
    searcher.finish()
}

impl Searcher<'_> {
    /// Tries a candidate, and takes it if it reduces the divergence by at least the part `gain`, 0..=1.
    fn offer(&mut self, name: &str, state: State, gain: f64) -> Result<bool, ExportError> {
        let (candidate, divergence) = self.compared(name, &state)?;
        let taken = divergence < self.best * (1.0 - gain) || self.search.candidates.is_empty();
        self.search
            .candidates
            .push(Int8Candidate { taken, ..candidate });
        if taken {
            self.best = divergence;
            self.state = state;
        }
        Ok(taken)
    }

    /// Tries candidates, and takes the best of them if it reduces the divergence by at least the part `gain`, 0..=1.
    fn offer_best(
        &mut self,
        candidates: Vec<(String, State)>,
        gain: f64,
    ) -> Result<(), ExportError> {
        let mut best: Option<(f64, usize, State)> = None;
        for (name, state) in candidates {
            let (candidate, divergence) = self.compared(&name, &state)?;
            if best.as_ref().is_none_or(|(known, ..)| divergence < *known) {
                best = Some((divergence, self.search.candidates.len(), state));
            }
            self.search.candidates.push(candidate);
        }
        if let Some((divergence, at, state)) = best
            && divergence < self.best * (1.0 - gain)
        {
            self.best = divergence;
            self.state = state;
            if let Some(candidate) = self.search.candidates.get_mut(at) {
                candidate.taken = true;
            }
        }
        Ok(())
    }

    /// Compares a candidate with the run. For the first one, a part of the frames is enough if it leaves no doubt.
    fn compared(&mut self, name: &str, state: &State) -> Result<(Int8Candidate, f64), ExportError> {
        let graph = quantize(&state.prepared, &state.how, IMAGE)?;
        let frames = &self.frames.compare;
        let is_first = self.search.candidates.is_empty();
        let each = if is_first { AT_A_TIME } else { frames.len() };
        let mut tally = Tally::default();
        for frames in frames.chunks(each.max(1)) {
            self.tally(&graph, frames, &mut tally)?;
            if is_first && tally.is_surely_good() {
                break;
            }
        }
        let part = |count: u64| count as f64 / tally.frames.max(1) as f64;
        self.search.compared_on = tally.frames;
        self.search.run_top1 = part(tally.run_right);
        let divergence = tally.mean();
        let candidate = Int8Candidate {
            name: name.to_owned(),
            bytes: graph.to_onnx().len() as u64,
            top1: part(tally.right),
            agreement: part(tally.same),
            divergence,
            real_values: state.how.float.len() as u64,
            latency_ratio: None,
            taken: false,
        };
        // NaN and infinity lose against every number.
        let divergence = if divergence.is_finite() {
            divergence
        } else {
            f64::MAX
        };
        Ok((candidate, divergence))
    }

    fn tally(&self, graph: &Graph, frames: &[Frame], tally: &mut Tally) -> Result<(), ExportError> {
        let keep = |first: usize, found: Vec<Tensor>| {
            let Some(found) = found.first() else {
                return Ok(());
            };
            let labels = found.shape.last().copied().unwrap_or(1).max(1);
            let of_frames = frames.get(first..).unwrap_or_default();
            for (frame, found) in of_frames.iter().zip(found.f32()?.chunks_exact(labels)) {
                tally.add(frame, found);
            }
            Ok(())
        };
        let outputs = graph.outputs().to_vec();
        run(
            graph,
            &outputs,
            frames,
            self.frames.side,
            self.work,
            Ok,
            keep,
        )
    }

    /// Corrects biases, `b += (W - Wq) · E[x]`, with weights rounded to the nearest.
    fn biases(&mut self, mut state: State, measured: &Measured) -> Result<(), ExportError> {
        for layer in state.prepared.layers() {
            correct_bias(&mut state, &layer, measured)?;
        }
        self.offer("bias corrected", state, GAIN).map(drop)
    }

    /// Scales channels by a factor of at most `most`, rounds the weights of each layer together and corrects the
    /// biases.
    fn weights(
        &mut self,
        start: &State,
        measured: &Measured,
        most: f32,
    ) -> Result<(), ExportError> {
        let bottleneck = self.model.bottleneck;
        let (prepared, measured) = equalised(&start.prepared, measured, bottleneck, most)?;
        let layers = prepared.layers();
        let how = Quantizing {
            ranges: measured.ranges.clone(),
            ..Quantizing::default()
        };
        let rounded = descended(&prepared, &layers, &measured, self.work)?;
        let mut state = State { prepared, how };
        for (layer, integers) in layers.iter().zip(rounded) {
            if let Some(integers) = integers {
                let integers = Arc::new(integers);
                state.how.weights.insert(layer.weight, integers);
            }
            correct_bias(&mut state, layer, &measured)?;
        }
        let name = format!("weights rounded together, channels scaled by up to {most}");
        self.offer(&name, state, GAIN).map(drop)
    }

    /// Ranges without outliers.
    fn ranges(&mut self) -> Result<(), ExportError> {
        let State { prepared, how } = &self.state;
        let frames = self.frames;
        let seen = histograms(prepared, &how.ranges, &frames.fit, frames.side, self.work)?;
        let candidates = [
            ("ranges of 99.99 %", Rule::Part(0.9999)),
            ("ranges with the least squared error", Rule::SquaredError),
        ]
        .map(|(name, rule)| {
            let mut state = self.state.clone();
            for (value, histogram) in &seen {
                // Logits are few, and their extremes decide the answers.
                if !self.is_after(*value, self.model.features) {
                    state.how.ranges.insert(*value, histogram.by(rule));
                }
            }
            (name.to_owned(), state)
        });
        self.offer_best(candidates.into(), GAIN)
    }

    fn is_after(&self, value: ValueId, earlier: ValueId) -> bool {
        let graph = &self.state.prepared.graph;
        let place = |value: ValueId| graph.value(value).producer();
        place(value) > place(earlier)
    }

    /// Fits the head's last layer to its inputs in the quantized network.
    fn head(&mut self, measured: &Measured) -> Result<(), ExportError> {
        let graph = &self.state.prepared.graph;
        let (Some(weight), Some(bias)) = (graph.find(HEAD_WEIGHT), graph.find(HEAD_BIAS)) else {
            return Ok(());
        };
        let Some((w, b)) = self.model.last_layer() else {
            return Ok(());
        };
        let old = Weights { w, b };
        let found = self.features()?;
        let wanted = old.probabilities(&measured.features);
        let mut candidates = Vec::new();
        for pull in PULLS {
            let head = fitted(&old, &found, &wanted, pull);
            let mut state = self.state.clone();
            let [min, max] = head.logit_range(&found);
            state.prepared.set_constant(weight, head.w)?;
            state.prepared.set_constant(bias, head.b)?;
            for value in state.prepared.measured() {
                if self.is_after(value, self.model.features)
                    && let Some(range) = state.how.ranges.get_mut(&value)
                {
                    *range = range.union(Range { min, max });
                }
            }
            candidates.push((format!("head fitted again, pull {pull}"), state));
        }
        self.offer_best(candidates, GAIN)
    }

    /// Inputs of the head's last layer in the quantized network, on the frames that are fitted on.
    fn features(&self) -> Result<Vec<f32>, ExportError> {
        let State { prepared, how } = &self.state;
        let graph = quantize(prepared, how, IMAGE)?;
        let name = prepared.graph.name_of(self.model.features);
        let value = read_value(&graph, name)?;
        let mut all = Vec::new();
        let keep = |_: usize, found: Vec<Tensor>| {
            if let Some(found) = found.first() {
                all.extend_from_slice(found.f32()?);
            }
            Ok(())
        };
        run(
            &graph,
            &[value],
            &self.frames.fit,
            self.frames.side,
            self.work,
            Ok,
            keep,
        )?;
        Ok(all)
    }

    /// Keeps the pool and the head in floats, if that pays.
    fn real_layers(&mut self) -> Result<(), ExportError> {
        let graph = &self.state.prepared.graph;
        let mut end = self.state.clone();
        let bottleneck = self.model.bottleneck;
        // The mean over all pixels and everything after it.
        for node in graph.nodes() {
            let is_pool = matches!(node.op, crate::graph::Op::GlobalPool(_));
            if let Some(output) = node.output()
                && (is_pool || self.is_after(output, bottleneck) || output == bottleneck)
            {
                end.how.float.insert(output);
            }
        }
        let before = self.state.clone();
        let taken = self.offer("pool and head in fp32", end.clone(), COSTLY_GAIN)?;
        self.other = Some(if taken { before } else { end });
        Ok(())
    }

    fn finish(self) -> Result<Found, ExportError> {
        let State { prepared, how } = &self.state;
        let onnx = quantize(prepared, how, IMAGE)?;
        let every_layer = Quantizing {
            every_layer: true,
            float: HashSet::new(),
            ..how.clone()
        };
        let tflite = quantize(prepared, &every_layer, IMAGE)?;
        let other = match &self.other {
            Some(State { prepared, how }) => Some(quantize(prepared, how, IMAGE)?.to_onnx()),
            None => None,
        };
        Ok(Found {
            onnx: onnx.to_onnx(),
            tflite: tflite.to_onnx(),
            other,
            search: self.search,
        })
    }
}

/// The fp32 value in a quantized graph that corresponds to the value called `name` in the network.
pub(in crate::export) fn read_value(graph: &Graph, name: &str) -> Result<ValueId, ExportError> {
    let read = graph.find(&format!("{name}/read"));
    match read {
        Some(value) => Ok(value),
        None => Ok(graph.named(name)?),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::evaluate::arg_max;
    use crate::export::model::tests::{hidden_model, small_model};
    use crate::graph::passes::quantize::prepare;
    use crate::onnx::Session;

    const SIDE: usize = 96;
    const COUNT: usize = 40;

    /// Frames of noise, labelled with the answer of the small model if `run` is set, otherwise with another answer.
    fn frames(model: &Model, run: bool) -> Vec<Frame> {
        let prepared = prepare(&model.graph, [127.0; 3], [128.0; 3]).unwrap();
        let (graph, _) = prepared.from_pixels(IMAGE).unwrap();
        let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
        let frames = (1..=COUNT).map(|seed| {
            let pixels: Vec<u8> = (0..SIDE * SIDE * 3)
                .map(|at| (at * 7919 * seed % 251) as u8)
                .collect();
            let image = Tensor::new([1, SIDE, SIDE, 3], pixels.clone());
            let found = session.run(&[(IMAGE, &image)], &["probabilities"]).unwrap();
            let mut probabilities = found[0].f32().unwrap().to_vec();
            if !run {
                probabilities.rotate_left(1);
            }
            Frame {
                path: format!("{seed}.png"),
                pixels,
                truth: arg_max(&probabilities),
                probabilities,
            }
        });
        frames.collect()
    }

    fn searched(model: &Model, run: bool) -> Found {
        let prepared = prepare(&model.graph, [127.0; 3], [128.0; 3]).unwrap();
        let frames = Frames {
            side: SIDE,
            fit: frames(model, run),
            compare: frames(model, run),
        };
        search(prepared, model, &frames, &Work::new()).unwrap()
    }

    #[test]
    fn what_is_good_enough_ends_the_search() {
        let found = searched(&small_model(), true);
        let candidates = &found.search.candidates;
        assert_eq!(candidates.len(), 1, "{candidates:?}");
        assert!(candidates[0].taken && candidates[0].is_good_enough());
        assert!(found.other.is_none());
        assert_eq!(found.search.compared_on, AT_A_TIME as u64);
    }

    /// A run that disagrees with its own network: no candidate comes near it.
    #[test]
    fn what_is_not_good_enough_is_searched_on() {
        searched_on(&small_model());
    }

    /// The last layer is fitted to the outputs of the hidden one.
    #[test]
    fn a_hidden_layer_is_searched_with() {
        let model = hidden_model();
        assert_ne!(model.features, model.bottleneck);
        assert_eq!(model.last_layer().unwrap().0.len(), 5 * 3);
        assert_eq!(model.dim(), 1280);
        let found = searched_on(&model);
        let candidates = || found.search.candidates.iter();
        let least = candidates().map(|known| known.divergence);
        let least = least.fold(f64::INFINITY, f64::min);
        let mut fitted = candidates().filter(|known| known.name.starts_with("head fitted"));
        // Fitted to other inputs it would be far off.
        let near = |known: &Int8Candidate| known.divergence < 1.05 * least;
        assert!(fitted.any(near), "{:?}", found.search.candidates);
    }

    fn searched_on(model: &Model) -> Found {
        let found = searched(model, false);
        let candidates = &found.search.candidates;
        assert!(candidates.len() > 8, "{candidates:?}");
        assert!(candidates[0].taken && !candidates[0].is_good_enough());
        assert_eq!(found.search.compared_on, COUNT as u64);
        assert!(found.other.is_some());
        // Each one taken is better than the one before.
        let taken = candidates.iter().filter(|known| known.taken);
        let divergences: Vec<f64> = taken.map(|known| known.divergence).collect();
        assert!(divergences.windows(2).all(|pair| pair[1] < pair[0]));
        found
    }

    #[test]
    fn good_enough_means_divergence_and_answers() {
        let candidate = |divergence: f64, agreement: f64| Int8Candidate {
            name: String::new(),
            bytes: 0,
            top1: 1.0,
            agreement,
            divergence,
            real_values: 0,
            latency_ratio: None,
            taken: false,
        };
        assert!(candidate(0.005, 0.97).is_good_enough());
        assert!(!candidate(0.0051, 1.0).is_good_enough());
        assert!(!candidate(0.001, 0.94).is_good_enough());
        assert!(!candidate(f64::NAN, 1.0).is_good_enough());
    }
}
