//! Sampling a film to JPEG files, as ratios to the `ffmpeg` program at the same work.
//!
//! `cargo bench --bench sampling [-- [--rounds N] [--seconds N] [--video FILE]]`
//!
//! Without `FILE` the film is made by the `ffmpeg` program: 1080p at 30 frames per second, H.264, a moving test image
//! with camera noise. Each round measures both at each rate, one after the other, so that other load on the computer
//! affects both; the medians of the rounds are printed. More than 1 is faster than `ffmpeg`.

mod common;

use std::path::{Path, PathBuf};
use std::time::Instant;

use tempfile::TempDir;

use common::{Outcome, ffmpeg, make_film, median};
use salamander::jobs::Work;
use salamander::media::{ImportOptions, Sampler, import, load_image, poster, probe};
use salamander::project::{Fps, Project, Sampling};

const WIDTH_PX: u32 = 500;

struct Options {
    rounds: usize,
    seconds: u32,
    video: Option<PathBuf>,
}

fn options() -> Outcome<Options> {
    let mut options = Options {
        rounds: 3,
        seconds: 60,
        video: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--rounds" => options.rounds = value()?.parse()?,
            "--seconds" => options.seconds = value()?.parse()?,
            "--video" => options.video = Some(value()?.into()),
            "--bench" => {}
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    Ok(options)
}

/// Seconds that `work` takes.
fn timed(work: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn sampling(fps: f64) -> Sampling {
    Sampling {
        fps: Fps(fps),
        width_px: Some(WIDTH_PX),
        ..Sampling::default()
    }
}

fn program(video: &Path, fps: f64, folder: &Path) -> Outcome<()> {
    let out = TempDir::new_in(folder)?;
    let filter = format!("fps={fps},scale={WIDTH_PX}:-1");
    let pattern = out.path().join("%05d.jpg");
    ffmpeg(&[
        "-i",
        &video.to_string_lossy(),
        "-vf",
        &filter,
        "-q:v",
        "2",
        &pattern.to_string_lossy(),
    ])
}

/// The program's own way, including the project.
fn ours(video: &Path, fps: f64, folder: &Path) -> Outcome<()> {
    let home = TempDir::new_in(folder)?;
    let project = Project::create(&home.path().join("project"), "bench")?;
    let options = ImportOptions {
        sampling: sampling(fps),
        ..ImportOptions::default()
    };
    import(&project, &[video.to_owned()], &options, &Work::new())?;
    Ok(())
}

/// Frames as for the preview and for predictions on a video: RGB, not written.
fn frames_in_memory(video: &Path, fps: f64) -> Outcome<()> {
    let work = Work::new();
    let mut sampler = Sampler::open(video, &sampling(fps))?;
    while let Some(frame) = sampler.next_frame(&work)? {
        std::hint::black_box(frame.image);
    }
    Ok(())
}

fn main() -> Outcome<()> {
    salamander::media::decode_with(env!("CARGO_BIN_EXE_salamander").into());
    let options = options()?;
    let folder = TempDir::new()?;
    let video = if let Some(video) = options.video {
        video
    } else {
        let film = folder.path().join("film.mp4");
        make_film(&film, options.seconds)?;
        film
    };
    let info = probe(&video)?;
    println!(
        "{} × {}, {:.1} s, {}, {:.1} MB; median of {} rounds",
        info.width_px,
        info.height_px,
        info.duration_secs.unwrap_or(f64::NAN),
        info.codec,
        info.bytes as f64 / 1e6,
        options.rounds
    );
    println!("frames per second   ffmpeg program   salamander   ratio   in memory");
    for fps in [1.0, 5.0, 30.0] {
        let (mut theirs, mut own, mut ratios, mut memory) = (vec![], vec![], vec![], vec![]);
        for _ in 0..options.rounds {
            let a = timed(|| program(&video, fps, folder.path()))?;
            let b = timed(|| ours(&video, fps, folder.path()))?;
            memory.push(timed(|| frames_in_memory(&video, fps))?);
            theirs.push(a);
            own.push(b);
            ratios.push(a / b);
        }
        println!(
            "{fps:17} {:14.2} s {:10.2} s {:7.2} {:9.2} s",
            median(&mut theirs),
            median(&mut own),
            median(&mut ratios),
            median(&mut memory)
        );
    }
    quick_things(&video, folder.path())
}

/// Work that the window waits for.
fn quick_things(video: &Path, folder: &Path) -> Outcome<()> {
    let mut first = None;
    let start = Instant::now();
    let small = Sampling {
        width_px: Some(160),
        ..sampling(1.0)
    };
    let mut sampler = Sampler::open(video, &small)?;
    let mut shown = 0;
    while shown < 12 && sampler.next_frame(&Work::new())?.is_some() {
        first.get_or_insert_with(|| start.elapsed());
        shown += 1;
    }
    let all = start.elapsed();
    println!(
        "probe {:.1} ms, poster {:.0} ms, preview at 1 fps: first frame {:.0} ms, {shown} frames {:.0} ms",
        1e3 * timed(|| Ok(probe(video).map(|_| ())?))?,
        1e3 * timed(|| Ok(poster(video, 320).map(|_| ())?))?,
        1e3 * first.unwrap_or_default().as_secs_f64(),
        1e3 * all.as_secs_f64(),
    );
    let photo = folder.join("photo.jpg");
    let filter = "testsrc2=s=500x375,noise=alls=8";
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        filter,
        "-frames:v",
        "1",
        "-q:v",
        "2",
        &photo.to_string_lossy(),
    ])?;
    let count = 500;
    let secs = timed(|| {
        for _ in 0..count {
            load_image(&photo)?;
        }
        Ok(())
    })?;
    println!(
        "a 500 × 375 JPEG of {} kB is decoded in {:.2} ms on one thread",
        std::fs::metadata(&photo)?.len() / 1000,
        1e3 * secs / f64::from(count)
    );
    Ok(())
}
