//! Videos made by the `ffmpeg` program, and the frames that it takes of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::RgbImage;
use salamander::jobs::Work;
use salamander::media::JpegSampler;
use salamander::project::{Fps, Sampling};
use tempfile::TempDir;

use crate::window::decode_apart;

/// Runs the `ffmpeg` program; a failure shows its output.
pub fn ffmpeg(arguments: &[&str]) {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments)
        .output()
        .expect("the tests need the ffmpeg program");
    assert!(
        output.status.success(),
        "ffmpeg {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Makes a moving test picture: `source` is a lavfi source with its filters, `coding` the output options.
pub fn make(folder: &TempDir, name: &str, source: &str, coding: &[&str]) -> PathBuf {
    decode_apart();
    let path = folder.path().join(name);
    let text = path.to_str().unwrap();
    let arguments: Vec<&str> = ["-f", "lavfi", "-i", source]
        .into_iter()
        .chain(coding.iter().copied())
        .chain([text])
        .collect();
    ffmpeg(&arguments);
    path
}

pub const H264: [&str; 6] = [
    "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p",
];

pub fn sampling(fps: f64, width_px: u32) -> Sampling {
    Sampling {
        fps: Fps(fps),
        width_px: Some(width_px),
        ..Sampling::default()
    }
}

/// All frames of a sampling: times and decoded JPEG images; and the warning.
pub fn sample(path: &Path, sampling: &Sampling) -> (Vec<(f64, RgbImage)>, Option<String>) {
    let work = Work::new();
    let mut sampler = JpegSampler::open(path, sampling).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = sampler.next_frame(&work).unwrap() {
        frames.push((
            frame.time_secs,
            image::load_from_memory(&frame.jpeg).unwrap().to_rgb8(),
        ));
    }
    (frames, sampler.warnings().into_iter().next())
}

/// The frames that the `ffmpeg` program writes for the same sampling.
fn reference(path: &Path, fps: f64, width_px: u32, before: &[&str]) -> Vec<RgbImage> {
    let folder = TempDir::new().unwrap();
    let filter = format!("fps={fps},scale={width_px}:-1");
    let pattern = folder.path().join("%05d.jpg");
    let arguments: Vec<&str> = before
        .iter()
        .copied()
        .chain(["-i", path.to_str().unwrap(), "-vf", &filter, "-q:v", "2"])
        .chain([pattern.to_str().unwrap()])
        .collect();
    ffmpeg(&arguments);
    let mut files: Vec<PathBuf> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| image::open(file).unwrap().to_rgb8())
        .collect()
}

/// Peak signal-to-noise ratio in dB; 99 for equal images.
pub fn psnr(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: f64 = a
        .as_raw()
        .iter()
        .zip(b.as_raw())
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum();
    let mean = sum / a.as_raw().len() as f64;
    if mean == 0.0 {
        99.0
    } else {
        10.0 * (255.0_f64.powi(2) / mean).log10()
    }
}

/// Same count and same frames as the `ffmpeg` program, at times on the sampling's grid.
pub fn assert_like_ffmpeg(path: &Path, fps: f64, width_px: u32, range: Option<(f64, f64)>) {
    let mut wanted = sampling(fps, width_px);
    let (mut from, mut to) = (String::new(), String::new());
    let mut before = Vec::new();
    if let Some((start, end)) = range {
        (wanted.from_secs, wanted.to_secs) = (Some(start), Some(end));
        (from, to) = (start.to_string(), end.to_string());
        before = vec!["-ss", &from, "-to", &to];
    }
    let theirs = reference(path, fps, width_px, &before);
    let (ours, warning) = sample(path, &wanted);
    let name = path.file_name().unwrap().to_string_lossy();
    assert_eq!(warning, None, "{name}");
    assert!(!theirs.is_empty());
    assert_eq!(ours.len(), theirs.len(), "{name} at {fps} fps {from} {to}");
    for (index, ((time, ours), theirs)) in ours.iter().zip(&theirs).enumerate() {
        let expected = range.map_or(0.0, |(start, _)| start) + index as f64 / fps;
        assert!(
            (time - expected).abs() < 1e-6,
            "{name}: {time} is not {expected}"
        );
        let psnr = psnr(ours, theirs);
        assert!(psnr > 35.0, "{name} at {time} s: {psnr:.1} dB");
    }
}
