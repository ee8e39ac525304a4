//! `salamander import`: videos and photos into a project.

use std::path::PathBuf;

use anyhow::bail;
use serde::Serialize;

use crate::media::{ClassFrom, ImportOptions, import};
use crate::project::{ClassName, Fps, Sampling};

use super::console::Console;
use super::table::count;
use super::{ProjectArg, Usage};

/// Take frames out of videos, and photos as they are, into a project
///
/// Folders are searched through. Importing the same video again writes only the frames that are
/// missing.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    /// Videos, photos, and folders of them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Put all frames into this class
    #[arg(long, value_name = "NAME", conflicts_with = "class_from")]
    class: Option<String>,
    /// Take the class from each file's folder, or from its name (`cat-3.mp4` is `cat`); without this
    /// frames stay unsorted
    #[arg(long, value_name = "WHAT")]
    class_from: Option<From>,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Width of the frames in pixels, or `original`; never wider than the video [default: 500]
    #[arg(long, value_name = "W", value_parser = width)]
    width: Option<Width>,
    /// Quality of the JPEG files as FFmpeg's -q:v, 2 (best) to 31 [default: 2]
    #[arg(long, value_name = "Q", value_parser = clap::value_parser!(u8).range(2..=31))]
    jpeg_quality: Option<u8>,
}

/// Which frames of a video are taken.
#[derive(Debug, Clone, clap::Args)]
pub struct SamplingArgs {
    /// Frames per second, as FFmpeg's fps filter takes them [default: 2]
    #[arg(long, value_name = "F", value_parser = fps)]
    fps: Option<f64>,
    /// Start at this time: seconds, or h:m:s
    #[arg(long, value_name = "T", value_parser = time)]
    from: Option<f64>,
    /// End at this time: seconds, or h:m:s
    #[arg(long, value_name = "T", value_parser = time)]
    to: Option<f64>,
}

impl SamplingArgs {
    /// The sampling; `Usage` if it ends before it starts.
    pub fn sampling(&self) -> anyhow::Result<Sampling> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            return Err(Usage("--from must be before --to".into()).into());
        }
        let default = Sampling::default();
        Ok(Sampling {
            fps: self.fps.map_or(default.fps, Fps),
            from_secs: self.from,
            to_secs: self.to,
            ..default
        })
    }
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum From {
    /// The name of the folder a file lies in
    Folder,
    /// The file's name without extension and trailing number
    File,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Original,
    Pixels(u32),
}

#[derive(Serialize)]
struct Result {
    sources: u64,
    frames: u64,
    skipped: u64,
}

pub fn run(console: &Console, args: Args) -> anyhow::Result<()> {
    let mut sampling = args.sampling.sampling()?;
    match args.width {
        Some(Width::Pixels(px)) => sampling.width_px = Some(px),
        Some(Width::Original) => sampling.width_px = None,
        None => {}
    }
    if let Some(quality) = args.jpeg_quality {
        sampling.jpeg_quality = quality;
    }
    let class_from = match (&args.class, args.class_from) {
        (Some(name), _) => ClassFrom::Chosen(ClassName::new(name)?),
        (None, Some(From::Folder)) => ClassFrom::Folder,
        (None, Some(From::File)) => ClassFrom::File,
        (None, None) => ClassFrom::Nothing,
    };
    let options = ImportOptions {
        class_from,
        sampling,
    };
    let project = args.project.open()?;
    let paths = args.paths;
    let outcome = console.run("import", move |work| {
        import(&project, &paths, &options, work)
    })?;
    let result = Result {
        sources: outcome.sources,
        frames: outcome.frames,
        skipped: outcome.skipped,
    };
    if result.sources == 0 && result.skipped > 0 {
        bail!(
            "nothing was imported: {} could not be used",
            if result.skipped == 1 {
                "the file".to_owned()
            } else {
                format!("all {} files", result.skipped)
            }
        );
    }
    console.result(&result, || {
        let mut text = format!(
            "imported {} from {}",
            count(result.frames, "frame"),
            count(result.sources, "source")
        );
        if result.skipped > 0 {
            text.push_str(", skipped ");
            text.push_str(&count(result.skipped, "file"));
        }
        text
    })
}

fn fps(text: &str) -> std::result::Result<f64, String> {
    // FFmpeg users write 30000/1001 too.
    let value = match text.split_once('/') {
        Some((over, under)) => over
            .parse::<f64>()
            .ok()
            .zip(under.parse::<f64>().ok())
            .map(|(over, under)| over / under),
        None => text.parse().ok(),
    };
    value
        .filter(|fps: &f64| *fps > 0.0 && *fps <= 240.0)
        .ok_or_else(|| "frames per second are a number over 0 and at most 240".to_owned())
}

fn width(text: &str) -> std::result::Result<Width, String> {
    if text == "original" {
        return Ok(Width::Original);
    }
    text.parse()
        .ok()
        .filter(|px| (16..=16384).contains(px))
        .map(Width::Pixels)
        .ok_or_else(|| "the width is `original` or 16 to 16384 pixels".to_owned())
}

/// `90`, `1:30`, `0:01:30.5` in seconds.
fn time(text: &str) -> std::result::Result<f64, String> {
    let parts: Option<Vec<f64>> = text.split(':').map(|part| part.parse().ok()).collect();
    parts
        .filter(|parts| {
            parts.len() <= 3 && parts.iter().all(|part| *part >= 0.0 && part.is_finite())
        })
        .map(|parts| parts.iter().fold(0.0, |secs, part| secs * 60.0 + part))
        .ok_or_else(|| "a time is in seconds or as h:m:s, like 90, 1:30 or 0:01:30.5".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn times_are_read_as_ffmpeg_reads_them() {
        for (text, secs) in [
            ("90", 90.0),
            ("1:30", 90.0),
            ("0:01:30.5", 90.5),
            ("0", 0.0),
        ] {
            assert!((time(text).unwrap() - secs).abs() < 1e-9, "{text}");
        }
        for text in ["", "-1", "1:2:3:4", "inf", "a"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_may_be_fractions() {
        assert!((fps("30000/1001").unwrap() - 29.97).abs() < 0.001);
        for text in ["0", "-1", "nan", "241", "1/0", "x"] {
            assert!(fps(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_width_is_pixels_or_the_original() {
        assert_eq!(width("original"), Ok(Width::Original));
        assert_eq!(width("320"), Ok(Width::Pixels(320)));
        assert!(width("0").is_err());
    }
}
