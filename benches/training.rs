//! Steps per second of the head, including evaluations, and the memory for a large table: `cargo bench --bench
//! training`, or only the latter with `-- large`.
//!
//! The limit beside it is the time of only the two matrix products of a step, run by the same ONNX Runtime on the same
//! thread, so that the ratio is the cost of everything around them. On a busy computer, the last column (steps per
//! second of processor time, Linux only) is more reliable.

use std::error::Error;
use std::time::{Duration, Instant};

use salamander::graph::{Dim, Graph, ops::Linear};
use salamander::jobs::Work;
use salamander::onnx::{
    Bindings, Constant, ElementType, Loop, Session, Stopper, Tensor, runtime_info,
};
use salamander::train::{Optimizer, TrainSettings, measure_steps_per_second};

fn main() -> Result<(), Box<dyn Error>> {
    println!("ONNX Runtime {}", runtime_info()?.version);
    if std::env::args().any(|argument| argument == "large") {
        return large_table();
    }
    println!("optimiser   D     C   batch  steps/s  products alone  ratio  steps/CPU s");
    for (optimizer, dim, classes, batch) in [
        (Optimizer::Sgd, 1280, 5, 100),
        (Optimizer::Sgd, 1280, 10, 100),
        (Optimizer::Sgd, 1280, 100, 100),
        (Optimizer::Adam, 1280, 5, 100),
        (Optimizer::Adam, 1280, 10, 100),
        (Optimizer::Sgd, 1280, 10, 32),
    ] {
        let steps = measure_steps_per_second(
            &settings(optimizer, batch),
            dim,
            classes,
            2000,
            2.0,
            &Work::new(),
        )?;
        let (limit, busy) = products_per_second(dim, classes, batch)?;
        println!(
            "{:<9} {dim:>5} {classes:>5} {batch:>6} {steps:>9.0} {limit:>14.0} {:>7.2} {:>12}",
            format!("{optimizer:?}"),
            steps / limit,
            busy.map_or_else(String::new, |busy| format!("{:.0}", steps / busy)),
        );
    }
    large_table()
}

fn settings(optimizer: Optimizer, train_batch_size: usize) -> TrainSettings {
    let mut settings = TrainSettings::default();
    settings.head.learn.optimizer = optimizer;
    settings.head.learn.batch_size = train_batch_size;
    settings
}

/// The peak of memory with a large table of bottlenecks, compared with the table alone (Linux only).
fn large_table() -> Result<(), Box<dyn Error>> {
    let (dim, examples) = (1280, 100_000);
    let before = peak_mb();
    let steps = measure_steps_per_second(
        &settings(Optimizer::Sgd, 100),
        dim,
        10,
        examples,
        4.0,
        &Work::new(),
    )?;
    println!("{examples} examples and a tenth as many for validation: {steps:.0} steps/s");
    if let (Some(before), Some(after)) = (before, peak_mb()) {
        let table = (dim * examples * 11 / 10 * size_of::<f32>()) as f64 / 1e6;
        println!(
            "  peak of memory {:.0} MB over that of before, for tables of {table:.0} MB: {:.2} times",
            after - before,
            (after - before) / table
        );
    }
    Ok(())
}

/// The peak of resident memory so far, megabytes.
fn peak_mb() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024.0 / 1e6)
}

/// Processor time of this thread, seconds.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds as f64 * 1e-9)
}

/// How many times per second `x·Wᵀ` and `dZᵀ·x` can be computed, and for which part of the time this thread was on a
/// processor.
fn products_per_second(
    dim: usize,
    classes: usize,
    batch: usize,
) -> Result<(f64, Option<f64>), Box<dyn Error>> {
    let mut graph = Graph::new("products");
    let x = graph.input("x", ElementType::F32, &Dim::all_fixed(&[batch, dim]));
    let w = graph.input("w", ElementType::F32, &Dim::all_fixed(&[classes, dim]));
    let z = graph.op(Linear::BY_TRANSPOSE, &[x, w]);
    let dw = graph.op(Linear::TRANSPOSE_BY, &[z, x]);
    graph.output_as(dw, "dw");
    let values = |len: usize| {
        (0..len)
            .map(|at| (at % 13) as f32 * 0.1)
            .collect::<Vec<_>>()
    };
    let mut products = Loop::new(
        Session::from_bytes(&graph.to_onnx(), 1)?,
        Bindings {
            constants: vec![
                (
                    "x",
                    Constant::new(Tensor::new([batch, dim], values(batch * dim)))?,
                ),
                (
                    "w",
                    Constant::new(Tensor::new([classes, dim], values(classes * dim)))?,
                ),
            ],
            outputs: vec![("dw", ElementType::F32, &[classes, dim])],
            ..Bindings::default()
        },
    )?;
    let stopper = Stopper::new()?;
    let cpu = cpu_seconds();
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < Duration::from_secs(1) {
        products.step(&stopper)?;
        count += 1;
    }
    let elapsed = began.elapsed().as_secs_f64();
    let busy = cpu
        .zip(cpu_seconds())
        .map(|(from, to)| (to - from) / elapsed);
    Ok((f64::from(count) / elapsed, busy))
}
