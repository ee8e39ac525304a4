//! The options of `salamander train` for training deeper than the head.

use serde::Serialize;

use crate::backbone::Depth;
use crate::train::{Estimate, FineTuneOptimizer, FineTuneSettings};

use super::console::Console;

/// What these options stand below in the help.
pub const HEADING: &str = "Training deeper than the head";

/// Options of the part of a training that goes deeper than the head.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = HEADING)]
pub struct FineTuneArgs {
    /// How much is trained: `head`, `last-1` (the last block too), `last-3`, `stage`, `all`, or `auto`, which
    /// chooses by the number of frames and the time it would take on this machine [default: auto]
    #[arg(long, value_name = "D", value_parser = depth)]
    pub depth: Option<DepthArg>,
    /// Frames per batch [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    fine_tune_batch_size: Option<u32>,
    /// Highest learning rate [default: 0.001 with adam-w, 0.01 with momentum]
    #[arg(long, value_name = "F", value_parser = super::train::learning_rate)]
    fine_tune_learning_rate: Option<f32>,
    /// Factor of the learning rate from each block to the one before it: the head learns at the full rate, the
    /// last block at F times that, the one before at F times F; 1 for the same rate everywhere [default: 1]
    #[arg(long, value_name = "F", value_parser = up_to_one)]
    layer_decay: Option<f32>,
    /// How weights follow the gradient [default: adam-w]
    #[arg(long, value_name = "O")]
    fine_tune_optimizer: Option<OptimizerArg>,
    /// How much kernels are drawn towards zero [default: 0.01]
    #[arg(long, value_name = "F", value_parser = not_negative)]
    weight_decay: Option<f32>,
    /// Share of the probability that the target spreads over all classes [default: 0.1]
    #[arg(long, value_name = "F", value_parser = below_one)]
    label_smoothing: Option<f32>,
    /// Largest norm of the gradient, 0 for no limit [default: 1]
    #[arg(long, value_name = "F", value_parser = not_negative)]
    clip_norm: Option<f32>,
    /// Decay of the moving average of the weights, which is what is kept [default: 0.99]
    #[arg(long, value_name = "F", value_parser = below_one)]
    average_decay: Option<f32>,
    /// Train depthwise kernels as well, which takes a tenth longer (up to half as long again with `stage` and
    /// `all`)
    #[arg(long)]
    train_depthwise: bool,
    /// Augmented views of each frame beside the plain one [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=64))]
    views: Option<u32>,
    /// Mirror half of the augmented views
    #[arg(long)]
    flip_left_right: bool,
    /// How much of the margin an augmented view may cut off, percent [default: 10]
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u8).range(0..=100))]
    random_crop: Option<u8>,
    /// How much an augmented view may be enlarged, percent [default: 10]
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u8).range(0..=100))]
    random_scale: Option<u8>,
    /// How much brighter or darker an augmented view may be, percent [default: 10]
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u8).range(0..=100))]
    random_brightness: Option<u8>,
    /// Largest size of the cached activations, in gigabytes; the rest is computed in each step [default: 8]
    #[arg(long, value_name = "GB", value_parser = not_negative)]
    cache_budget: Option<f32>,
}

/// What `--depth` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepthArg {
    /// Whatever is recommended.
    Auto,
    /// This.
    Chosen(Depth),
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum OptimizerArg {
    /// Stochastic gradient descent with momentum 0.9
    Momentum,
    /// Adam with decoupled weight decay
    AdamW,
}

impl FineTuneArgs {
    /// Puts what was said into the settings; the depth stays [`Depth::Head`] unless one is named.
    pub fn apply(&self, settings: &mut FineTuneSettings) {
        if let Some(DepthArg::Chosen(depth)) = self.depth {
            settings.depth = depth;
        }
        if let Some(size) = self.fine_tune_batch_size {
            settings.batch_size = size as usize;
        }
        if let Some(optimizer) = self.fine_tune_optimizer {
            settings.optimizer = match optimizer {
                OptimizerArg::Momentum => FineTuneOptimizer::Momentum,
                OptimizerArg::AdamW => FineTuneOptimizer::AdamW,
            };
            settings.learning_rate = settings.optimizer.default_rate();
        }
        let set = |to: &mut f32, value: Option<f32>| {
            if let Some(value) = value {
                *to = value;
            }
        };
        set(&mut settings.learning_rate, self.fine_tune_learning_rate);
        set(&mut settings.layer_decay, self.layer_decay);
        set(&mut settings.weight_decay, self.weight_decay);
        set(&mut settings.label_smoothing, self.label_smoothing);
        set(&mut settings.clip_norm, self.clip_norm);
        set(&mut settings.average_decay, self.average_decay);
        settings.train_depthwise = self.train_depthwise;
        if let Some(views) = self.views {
            settings.views = views;
        }
        let augmentation = &mut settings.augmentation;
        augmentation.flip_left_right = self.flip_left_right;
        if let Some(percent) = self.random_crop {
            augmentation.random_crop = percent;
        }
        if let Some(percent) = self.random_scale {
            augmentation.random_scale = percent;
        }
        if let Some(percent) = self.random_brightness {
            augmentation.random_brightness = percent;
        }
        if let Some(gigabytes) = self.cache_budget {
            settings.cache_budget_bytes = (f64::from(gigabytes) * 1e9) as u64;
        }
    }
}

pub fn depth(text: &str) -> Result<DepthArg, String> {
    if text == "auto" {
        return Ok(DepthArg::Auto);
    }
    text.parse()
        .map(DepthArg::Chosen)
        .map_err(|error: crate::backbone::BackboneError| error.to_string())
}

fn not_negative(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|value: &f32| value.is_finite() && *value >= 0.0)
        .ok_or_else(|| "it is a number of at least 0".to_owned())
}

fn below_one(text: &str) -> Result<f32, String> {
    not_negative(text)
        .ok()
        .filter(|value| *value < 1.0)
        .ok_or_else(|| "it is a number of at least 0 and below 1".to_owned())
}

fn up_to_one(text: &str) -> Result<f32, String> {
    not_negative(text)
        .ok()
        .filter(|value| *value > 0.0 && *value <= 1.0)
        .ok_or_else(|| "it is a number over 0 and at most 1".to_owned())
}

/// One line of `--estimate`.
#[derive(Serialize)]
struct Line {
    depth: Depth,
    trained_weights: u64,
    steps: u32,
    cache_bytes: u64,
    seconds: f64,
}

#[derive(Serialize)]
struct Lines {
    recommended: Depth,
    train_frames: usize,
    depths: Vec<Line>,
}

/// Prints what each depth would take.
pub fn print(console: &Console, found: &Estimate) -> anyhow::Result<()> {
    let depths = found.depths.iter().map(|each| Line {
        depth: each.depth,
        trained_weights: each.trained_weights,
        steps: each.steps,
        cache_bytes: each.cache_bytes,
        seconds: each.secs,
    });
    let lines = Lines {
        recommended: found.recommended,
        train_frames: found.train_frames,
        depths: depths.collect(),
    };
    console.result(&lines, || {
        let mut text = format!(
            "for {} training frames on this machine, when nothing is cached:\n  depth      weights      cache       time",
            lines.train_frames
        );
        for line in &lines.depths {
            let mark = if line.depth == lines.recommended {
                "  recommended"
            } else {
                ""
            };
            let row = format!(
                "\n  {:<7} {:>9.2} M {:>7.0} MB {:>8.0} s{mark}",
                line.depth.word(),
                line.trained_weights as f64 / 1e6,
                line.cache_bytes as f64 / 1e6,
                line.seconds
            );
            text.push_str(&row);
        }
        text
    })
}
