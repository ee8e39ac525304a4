//! The kind and content of files: reports from users of similar tools, reproduced in miniature.
//!
//! The inputs are made here; if the collection of reported files is next to the repository (`SALAMANDER_DATA`, or
//! `../shared/data`), it is tested as well.

mod films;
mod kinds;
mod stills;

use std::fs;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};

use salamander::jobs::Work;
use salamander::media::{ImageKind, Kind, MediaError, Sampler, load_image, load_still};
use salamander::project::{Fps, Project, Sampling};

use crate::cli_program::{Place, ffmpeg};

/// The folder of collected files, if it is there.
fn collected(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SALAMANDER_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let path = root.join(folder);
    if !path.is_dir() {
        eprintln!("SKIPPED: {folder} is not tried, because the collection is not there");
        return None;
    }
    Some(path)
}

/// An image in which all rows and columns differ.
fn drawing(seed: u8) -> RgbImage {
    RgbImage::from_fn(96, 64, |x, y| {
        Rgb([
            (x * 2) as u8 ^ seed,
            (y * 3) as u8,
            ((x * y) as u8).wrapping_add(seed.wrapping_mul(29)),
        ])
    })
}

/// Writes `picture` in the format that FFmpeg derives from the name.
fn coded(folder: &Path, name: &str, picture: &RgbImage, coding: &[&str]) -> PathBuf {
    let png = folder.join("source.png");
    picture.save(&png).unwrap();
    let path = folder.join(name);
    let mut arguments = vec!["-i", png.to_str().unwrap()];
    arguments.extend(coding);
    arguments.push(path.to_str().unwrap());
    ffmpeg(&arguments);
    fs::remove_file(png).unwrap();
    path
}

fn film(folder: &Path, name: &str, source: &str, coding: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let mut arguments = vec!["-f", "lavfi", "-i", source];
    arguments.extend(coding);
    arguments.push(path.to_str().unwrap());
    ffmpeg(&arguments);
    path
}

fn at(fps: f64) -> Sampling {
    Sampling {
        fps: Fps(fps),
        width_px: Some(96),
        ..Sampling::default()
    }
}

/// Times of the frames, and the warnings.
fn sample(path: &Path, sampling: &Sampling) -> Result<(Vec<f64>, Vec<String>), MediaError> {
    let work = Work::new();
    let mut sampler = Sampler::open(path, sampling)?;
    let mut times = Vec::new();
    while let Some(frame) = sampler.next_frame(&work)? {
        times.push(frame.time_secs);
    }
    Ok((times, sampler.warnings()))
}

/// Mean difference per value.
fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: u64 = a
        .as_raw()
        .iter()
        .zip(b.as_raw())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.as_raw().len() as f64
}

fn load(bytes: &[u8], name: &str) -> Result<(RgbImage, Vec<String>), String> {
    load_still(bytes, Path::new(name))
        .map(|still| (still.image, still.remarks))
        .map_err(|error| error.to_string())
}

#[test]
fn the_collected_reports_come_out_right() {
    let Some(reported) = collected("reported") else {
        return;
    };
    let avif = reported.join("avif-imported-but-invisible/cat/0.avif");
    assert_eq!(Kind::of(&avif).unwrap(), Kind::Image(ImageKind::Avif));
    load_image(&avif).unwrap();

    let place = Place::new();
    for (folder, frames) in [
        ("avif-imported-but-invisible", 16),
        ("unknown-extensions-passed-over/signs", 12),
    ] {
        let project = format!("p{frames}");
        assert_eq!(place.line(&format!("new {project}")).code, Some(0));
        let from = reported.join(folder);
        let ran = place.run(&[
            "import",
            &project,
            from.to_str().unwrap(),
            "--class-from",
            "folder",
        ]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let project = Project::open(&place.path(&project)).unwrap();
        assert_eq!(
            project.scan(&Work::new()).unwrap().list.len(),
            frames,
            "{folder}"
        );
    }
    for film in ["cam.mjpeg", "picam.h264", "ok.mp4"] {
        let path = reported
            .join("unknown-extensions-passed-over/mice/mouse")
            .join(film);
        assert!(Kind::of(&path).unwrap().is_film(), "{film}");
        assert!(!sample(&path, &at(2.0)).unwrap().0.is_empty(), "{film}");
    }

    for (film, most) in [("08.mkv", 23), ("26.mkv", 23)] {
        let (times, warnings) = sample(&reported.join("long-gap").join(film), &at(2.0)).unwrap();
        assert!((18..=most).contains(&times.len()), "{film}: {times:?}");
        assert_eq!(warnings.len(), 1, "{film}: {warnings:?}");
    }

    let mut refused = Vec::new();
    for class in ["cat", "dog"] {
        for entry in fs::read_dir(reported.join("truncated-jpeg").join(class)).unwrap() {
            let path = entry.unwrap().path();
            if load_image(&path).is_err() {
                refused.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    refused.sort();
    eprintln!("refused: {refused:?}");
    assert!(refused.len() >= 3, "{refused:?}");
}

#[test]
fn hostile_times_make_few_frames_and_broken_films_an_error() {
    let Some(hostile) = collected("hostile") else {
        return;
    };
    for (film, most) in [("gap29h.mkv", 12), ("m-17-x-utvideo.avi", 80)] {
        let (times, warnings) = sample(&hostile.join("timestamps").join(film), &at(2.0)).unwrap();
        assert!(
            (1..=most).contains(&times.len()),
            "{film}: {} frames",
            times.len()
        );
        assert!(!warnings.is_empty(), "{film}");
    }
    for entry in fs::read_dir(hostile.join("silent-zero-frames")).unwrap() {
        let path = entry.unwrap().path();
        let outcome = sample(&path, &at(2.0));
        let error = outcome.expect_err(&path.display().to_string()).to_string();
        assert!(error.contains("damaged"), "{error}");
    }
}

/// All files below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Damaged, odd and hostile files: each is imported with at least one frame, or refused in one sentence that names it.
#[test]
fn every_collected_file_comes_in_or_is_named() {
    for folder in [
        "hostile/timestamps",
        "hostile/silent-zero-frames",
        "awkward-videos",
        "awkward-images",
    ] {
        let Some(folder) = collected(folder) else {
            return;
        };
        for file in below(&folder) {
            let place = Place::new();
            assert_eq!(place.line("new p").code, Some(0));
            let ran = place.run(&["import", "p", file.to_str().unwrap()]);
            if ran.code == Some(0) {
                let frames = below(&place.path("p/unsorted"));
                assert!(!frames.is_empty(), "{}", file.display());
            } else {
                let sentence = ran.failure(&file.display().to_string());
                let name = file.file_name().unwrap().to_str().unwrap();
                assert!(sentence.contains(name), "{sentence}");
            }
        }
    }
}

/// Models that are not classifiers, that loop forever or that need too much.
#[test]
fn every_collected_model_is_refused_in_one_sentence() {
    let Some(folder) = collected("hostile/models") else {
        return;
    };
    let place = Place::new();
    drawing(3).save(place.path("a.png")).unwrap();
    let endless = |model: &PathBuf| model.ends_with("loop2.onnx");
    for model in below(&folder).iter().filter(|model| !endless(model)) {
        let ran = place.run(&["predict", model.to_str().unwrap(), "a.png"]);
        let sentence = ran.failure(&model.display().to_string());
        let name = model.file_name().unwrap().to_str().unwrap();
        assert!(sentence.contains(name), "{sentence}");
    }
}
