//! The depth of training: the option of `salamander train`, and the estimated cost of each depth.

use serde::Serialize;

use crate::backbone::Depth;
use crate::text::rounded_bytes;
use crate::train::Estimate;

use super::console::Console;

/// The value of `--depth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepthArg {
    /// Decided after the head is trained.
    Auto,
    /// This depth.
    Chosen(Depth),
}

pub fn depth(text: &str) -> Result<DepthArg, String> {
    if text == "auto" {
        return Ok(DepthArg::Auto);
    }
    text.parse()
        .map(DepthArg::Chosen)
        .map_err(|error: crate::backbone::BackboneError| error.to_string())
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

/// Prints the estimated cost of each depth.
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
            "for {} training frames on this machine, with nothing cached:\n  depth         weights      cache       time",
            lines.train_frames
        );
        for line in &lines.depths {
            let mark = if line.depth == lines.recommended {
                "  recommended"
            } else {
                ""
            };
            let row = format!(
                "\n  {:<10} {:>9.2} M {:>10} {:>8.0} s{mark}",
                line.depth.word(),
                line.trained_weights as f64 / 1e6,
                rounded_bytes(line.cache_bytes),
                line.seconds
            );
            text.push_str(&row);
        }
        if lines.recommended != Depth::Head {
            text.push_str("\nwithout --depth, the recommended depth is trained unless the head alone is already accurate");
        }
        text
    })
}
