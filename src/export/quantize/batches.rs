//! Runs batches of frames through a graph in parallel; results arrive in the order of the frames.

use std::collections::BTreeMap;

use crate::graph::{Graph, ValueId};
use crate::jobs::{Work, cores, in_parallel};
use crate::onnx::{Session, Tensor};

use super::super::ExportError;
use super::IMAGE;
use super::frames::Frame;

/// Frames per batch: few, so that activations stay in the caches of one core.
pub(super) const AT_ONCE: usize = 2;

/// Runs `frames` through a graph in batches. `of` converts the outputs of a batch, on any thread; `take` receives the
/// results in the order of the frames, each with the index of its first frame, so that sums have the same bits on any
/// number of threads.
pub(super) fn run<T: Send>(
    graph: &Graph,
    outputs: &[ValueId],
    frames: &[Frame],
    side: usize,
    work: &Work,
    of: impl Fn(Vec<Tensor>) -> Result<T, ExportError> + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let mut graph = graph.clone();
    graph.clear_outputs();
    for output in outputs {
        graph.output(*output);
    }
    graph.prune();
    let names: Vec<&str> = outputs.iter().map(|id| graph.name_of(*id)).collect();
    let bytes = graph.to_onnx();
    let batches: Vec<&[Frame]> = frames.chunks(AT_ONCE).collect();
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    in_parallel(
        cores(),
        &batches,
        work,
        || Ok(Session::from_bytes(&bytes, 1)?),
        |session, batch| {
            let pixels: Vec<&[u8]> = batch.iter().map(|frame| &frame.pixels[..]).collect();
            let image = Tensor::new([batch.len(), side, side, 3], pixels.concat());
            of(session.run(&[(IMAGE, &image)], &names)?)
        },
        |at, found| {
            waiting.insert(at, found);
            while let Some(found) = waiting.remove(&next) {
                take(next * AT_ONCE, found)?;
                next += 1;
            }
            Ok(())
        },
    )
}
