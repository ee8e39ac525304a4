//! Milliseconds per image of a step of fine-tuning, and the peak of resident memory; with a Python that has `PyTorch`,
//! also for the same in `PyTorch` (`fine_tuning.py`), with its allocator as it is and configured to keep memory.
//!
//! `cargo bench --bench fine_tuning -- [--python PYTHON] [--batch N] [--rounds N]`
//!
//! Each measurement runs in a process of its own, in turn, and the best of the rounds counts.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark may stop at the first surprise"
)]

use std::path::Path;
use std::process::Command;

use salamander::backbone::{Architecture, Depth};
use salamander::train::{Optimizer, TrainSettings, measure_fine_tuning_step};

/// One measurement.
#[derive(Clone, Copy)]
struct Found {
    ms: f64,
    peak_mb: f64,
}

impl Found {
    const NONE: Self = Self {
        ms: f64::INFINITY,
        peak_mb: f64::INFINITY,
    };

    fn better(self, other: Self) -> Self {
        Self {
            ms: self.ms.min(other.ms),
            peak_mb: self.peak_mb.min(other.peak_mb),
        }
    }

    fn read(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().last().unwrap_or_default();
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| {
            panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
        });
        Self {
            ms: value["ms"].as_f64().unwrap(),
            peak_mb: value["peak_mb"].as_f64().unwrap(),
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let batch: usize = option("--batch").map_or(32, |text| text.parse().unwrap());
    if let Some(depth) = option("--one") {
        let optimizer = match option("--optimizer").as_deref() {
            Some("adam-w") => Optimizer::AdamW,
            _ => Optimizer::Momentum,
        };
        let depthwise = option("--depthwise").is_some_and(|text| text == "yes");
        measure(depth.parse().unwrap(), optimizer, batch, depthwise);
        return;
    }
    let rounds: usize = option("--rounds").map_or(3, |text| text.parse().unwrap());
    println!(
        "ms per picture (best of {rounds} rounds), peak memory; efficientnet-lite0@224, batch {batch}"
    );
    for depth in [
        Depth::Last1,
        Depth::Last3,
        Depth::Stage,
        Depth::TwoStages,
        Depth::All,
    ] {
        let compared = matches!(depth, Depth::Last3 | Depth::All);
        let python = option("--python").filter(|_| compared);
        let [mut ours, mut frozen, mut usual, mut peer, mut peer_keeping] = [Found::NONE; 5];
        for _ in 0..rounds {
            ours = ours.better(own(depth, ["momentum", "yes"], batch));
            frozen = frozen.better(own(depth, ["momentum", "no"], batch));
            usual = usual.better(own(depth, ["adam-w", "no"], batch));
            if let Some(python) = &python {
                peer = peer.better(pytorch(python, depth, batch, false));
                peer_keeping = peer_keeping.better(pytorch(python, depth, batch, true));
            }
        }
        println!(
            "{depth}: all weights, momentum {:.2} ms, {:.0} MB; depthwise kernels frozen {:.2} ms, {:.0} MB, and with AdamW (the default) {:.2} ms, {:.0} MB",
            ours.ms, ours.peak_mb, frozen.ms, frozen.peak_mb, usual.ms, usual.peak_mb
        );
        if python.is_some() {
            println!(
                "  PyTorch {:.2} ms, {:.0} MB: {:.2} × its speed; keeping memory {:.2} ms, {:.0} MB: {:.2} × its speed",
                peer.ms,
                peer.peak_mb,
                peer.ms / ours.ms,
                peer_keeping.ms,
                peer_keeping.peak_mb,
                peer_keeping.ms / ours.ms
            );
        }
    }
}

fn own(depth: Depth, [optimizer, depthwise]: [&str; 2], batch: usize) -> Found {
    Found::read(
        Command::new(std::env::current_exe().unwrap())
            .args([
                "--one",
                depth.word(),
                "--optimizer",
                optimizer,
                "--depthwise",
                depthwise,
            ])
            .args(["--batch", &batch.to_string()]),
    )
}

fn pytorch(python: &str, depth: Depth, batch: usize, keeping: bool) -> Found {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/fine_tuning.py");
    let mut command = Command::new(python);
    command.arg(script).args([depth.word(), &batch.to_string()]);
    if keeping {
        // Freed memory is not returned to the system, so that it need not be cleared again.
        command.env("MALLOC_TRIM_THRESHOLD_", "4000000000");
        command.env("MALLOC_MMAP_THRESHOLD_", "4000000000");
    }
    Found::read(&mut command)
}

/// Measures in this process and prints one JSON object.
fn measure(depth: Depth, optimizer: Optimizer, batch: usize, depthwise: bool) {
    let mut settings = TrainSettings::default();
    settings.fine_tune.depth = depth;
    settings.fine_tune.learn.batch_size = batch;
    settings.fine_tune.learn.optimizer = optimizer;
    // All weights of the back, as in `fine_tuning.py`.
    settings.fine_tune.train_depthwise = depthwise;
    if optimizer == Optimizer::Momentum {
        // `fine_tuning.py` also has no weight decay, average of the weights or limit of the gradient.
        settings.fine_tune.learn.weight_decay = 0.0;
        settings.fine_tune.learn.average_decay = 0.0;
        settings.fine_tune.learn.clip_norm = 0.0;
    }
    let secs = measure_fine_tuning_step(&Architecture::default(), &settings, 10, 8).unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak_kb: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB"))
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(f64::NAN);
    println!(
        "{}",
        serde_json::json!({ "ms": 1e3 * secs / batch as f64, "peak_mb": peak_kb / 1024.0 })
    );
}
