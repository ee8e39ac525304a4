//! Extracts several videos at the same time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::jobs::Work;
use crate::media::extract::{Extracted, extract_source};
use crate::media::sample::decoder_threads;
use crate::media::{MediaError, known};
use crate::project::{Frame, Neighbours, Project, SourceId};

use super::films::Queued;
use super::origin::MediaOrigin;

/// The number of videos that are decoded at the same time, each with half the threads. For short clips that is more
/// than 10 % faster than one after the other with all threads, because opening one overlaps with decoding another; for
/// long films it makes no difference.
const VIDEOS_AT_ONCE: usize = 2;

/// The result of each source, in order; `None` for those not begun before an error that ends everything.
pub(super) fn extract_parallel(
    project: &Project,
    queue: &[Queued],
    frames: &HashMap<SourceId, Vec<Frame>>,
    known: &known::Known<'_>,
    origin: &dyn MediaOrigin,
    work: &Work,
) -> Vec<Option<Result<Extracted, MediaError>>> {
    let workers = VIDEOS_AT_ONCE.min(queue.len());
    let threads = (decoder_threads() / workers).max(2);
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let run = || {
        let mut results = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(queued) = queue.get(index) else {
                break;
            };
            let of_source = frames.get(&queued.source.id);
            let neighbours = queued
                .neighbour
                .zip(of_source)
                .map(|(deciding, frames)| Neighbours::of(frames, deciding));
            let source = &queued.source;
            let near = neighbours.as_ref();
            let result = origin
                .frames(source, threads)
                .and_then(|frames| extract_source(project, source, frames, near, known, work));
            if matches!(&result, Err(error) if is_fatal(error)) {
                failed.store(true, Ordering::Relaxed);
            }
            results.push((index, result));
        }
        results
    };
    let results = std::thread::scope(|scope| {
        let others: Vec<_> = (1..workers)
            .filter_map(|index| {
                std::thread::Builder::new()
                    .name(format!("extract-{index}"))
                    .spawn_scoped(scope, run)
                    .inspect_err(|error| log::warn!("cannot start a thread: {error}"))
                    .ok()
            })
            .collect();
        let mut results = run();
        for other in others {
            match other.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    let mut ordered: Vec<_> = queue.iter().map(|_| None).collect();
    for (index, result) in results {
        if let Some(slot) = ordered.get_mut(index) {
            *slot = Some(result);
        }
    }
    ordered
}

/// Whether an error ends the whole import.
fn is_fatal(error: &MediaError) -> bool {
    matches!(
        error,
        MediaError::Write { .. } | MediaError::Project(_) | MediaError::Cancelled(_)
    )
}
