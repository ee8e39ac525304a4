//! Helpers of several benchmarks: a film to measure with, and the median of rounds.
#![allow(dead_code, reason = "no benchmark needs all of it")]

use std::error::Error;
use std::path::Path;
use std::process::Command;

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Runs the `ffmpeg` program.
pub fn ffmpeg(arguments: &[&str]) -> Outcome<()> {
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err("the ffmpeg program failed".into())
    }
}

/// Makes a film of this many seconds: 1080p at 30 frames per second, H.264, a moving test image with camera noise.
pub fn make_film(film: &Path, seconds: u32) -> Outcome<()> {
    let source = format!("testsrc2=s=1920x1080:r=30:d={seconds},noise=alls=8:allf=t");
    let film = film.to_string_lossy();
    let coding = [
        "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p",
    ];
    let mut arguments = vec!["-f", "lavfi", "-i", &source];
    arguments.extend(coding);
    arguments.push(&film);
    ffmpeg(&arguments)
}

/// The median; sorts the values.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
