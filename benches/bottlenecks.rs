//! Bottlenecks from JPEG files in images per second, as ratios to the model alone and to a Python loop.
//!
//! `cargo bench --bench bottlenecks [-- [--shapes] [--count N] [--rounds N] [--frames FOLDER]]`
//!
//! Without `FOLDER` the frames are synthetic: 500 × 375 pixels with the spectrum of photographs, JPEG quality 90. Each
//! round measures everything once, so that other load on the computer affects all equally; the medians of the rounds'
//! ratios are printed. On a busy computer the column by processor time (Linux only) is more reliable: all variants but
//! the Python loop keep the cores busy. `--shapes` also measures other ways to divide the work among threads.

mod common;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crossbeam_channel::bounded;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use common::{Outcome, median};
use salamander::backbone::{Architecture, Extractor, Fit, Preprocessing, bottlenecks};
use salamander::jobs::{Work, cores};
use salamander::media::{load_image, load_image_from_bytes};

struct Options {
    shapes: bool,
    count: usize,
    rounds: usize,
    frames: Option<PathBuf>,
}

fn options() -> Outcome<Options> {
    let mut options = Options {
        shapes: false,
        count: 1000,
        rounds: 3,
        frames: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--bench" => {}
            "--shapes" => options.shapes = true,
            "--count" => options.count = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse()?,
            "--frames" => options.frames = Some(value()?.into()),
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    Ok(options)
}

fn main() -> Outcome<()> {
    salamander::media::decode_with(env!("CARGO_BIN_EXE_salamander").into());
    let options = options()?;
    let architecture = Architecture::default();
    let preprocessing = architecture.preprocessing(Fit::CenterCrop)?;
    let folder = tempfile::tempdir()?;
    let frames = match &options.frames {
        Some(given) => link_frames(given, folder.path(), options.count)?,
        None => make_frames(folder.path(), options.count)?,
    };
    let bytes: u64 = frames
        .iter()
        .filter_map(|frame| frame.metadata().ok())
        .map(|metadata| metadata.len())
        .sum();
    println!(
        "{architecture}, {} frames of {} kB on average, {} workers, {} rounds",
        frames.len(),
        bytes / 1000 / frames.len().max(1) as u64,
        cores(),
        options.rounds
    );

    let bench = Bench {
        architecture,
        preprocessing,
        frames,
    };
    let python = python();
    if python.is_none() {
        println!(
            "no Python with onnxruntime and Pillow was found; the comparison with it is left out"
        );
    }
    let mut rows: Vec<Row> = Vec::new();
    for _ in 0..options.rounds {
        let ours = bench.ours()?;
        let mut all = vec![
            ("ours", ours),
            ("the model alone on tensors in memory", bench.model_only()?),
        ];
        if let Some(python) = &python {
            all.push((
                "a Python loop with Pillow and ONNX Runtime",
                bench.python(python, folder.path())?,
            ));
        }
        if options.shapes {
            all.push(("one session on all threads, one loop", bench.one_session()?));
            all.push(("decoders and sessions on threads apart", bench.pipeline()?));
        }
        for (name, pace) in all {
            note(&mut rows, name, pace, ours);
        }
    }
    bench.stages()?;
    println!(
        "{:44} {:>9} {:>10} {:>13} {:>16}",
        "", "images/s", "ours ÷ it", "CPU ms/image", "ours ÷ it, CPU"
    );
    for mut row in rows {
        println!(
            "{:44} {:9.1} {:10.2} {:13.2} {:16.2}",
            row.name,
            median(&mut row.rates),
            median(&mut row.ratios),
            median(&mut row.cpu),
            median(&mut row.cpu_ratios)
        );
    }
    Ok(())
}

/// A speed: by elapsed time, and by processor time.
#[derive(Clone, Copy)]
struct Pace {
    images_per_sec: f64,
    cpu_ms_per_image: f64,
}

#[derive(Default)]
struct Row {
    name: &'static str,
    rates: Vec<f64>,
    ratios: Vec<f64>,
    cpu: Vec<f64>,
    cpu_ratios: Vec<f64>,
}

fn note(rows: &mut Vec<Row>, name: &'static str, pace: Pace, ours: Pace) {
    let at = rows
        .iter()
        .position(|row| row.name == name)
        .unwrap_or_else(|| {
            rows.push(Row {
                name,
                ..Row::default()
            });
            rows.len() - 1
        });
    if let Some(row) = rows.get_mut(at) {
        row.rates.push(pace.images_per_sec);
        row.ratios.push(ours.images_per_sec / pace.images_per_sec);
        row.cpu.push(pace.cpu_ms_per_image);
        row.cpu_ratios
            .push(pace.cpu_ms_per_image / ours.cpu_ms_per_image);
    }
}

/// Elapsed and processor time since it was created.
struct Watch {
    started: Instant,
    cpu_secs: f64,
}

impl Watch {
    fn start() -> Self {
        Self {
            started: Instant::now(),
            cpu_secs: cpu_secs(),
        }
    }

    fn pace(&self, images: usize) -> Pace {
        Pace {
            images_per_sec: images as f64 / self.started.elapsed().as_secs_f64(),
            cpu_ms_per_image: (cpu_secs() - self.cpu_secs) * 1e3 / images as f64,
        }
    }
}

/// Processor time of all threads of this process, seconds (proc(5), 100 ticks per second); NaN if the system does not
/// report it.
fn cpu_secs() -> f64 {
    let ticks = || -> Option<f64> {
        let text = std::fs::read_to_string("/proc/self/stat").ok()?;
        let (_, after_name) = text.rsplit_once(')')?;
        let mut fields = after_name.split_whitespace().skip(11);
        let user: f64 = fields.next()?.parse().ok()?;
        let system: f64 = fields.next()?.parse().ok()?;
        Some(user + system)
    };
    ticks().map_or(f64::NAN, |ticks| ticks / 100.0)
}

struct Bench {
    architecture: Architecture,
    preprocessing: Preprocessing,
    frames: Vec<PathBuf>,
}

impl Bench {
    /// The program's own way, including the loading of the sessions.
    fn ours(&self) -> Outcome<Pace> {
        let watch = Watch::start();
        let table = bottlenecks(
            &self.frames,
            &self.architecture,
            &self.preprocessing,
            None,
            None,
            &Work::new(),
        )?;
        if !table.failed.is_empty() {
            return Err(format!("{} frames failed", table.failed.len()).into());
        }
        Ok(watch.pace(self.frames.len()))
    }

    /// As many one-threaded sessions as workers, with input from memory; their loading is not counted.
    fn model_only(&self) -> Outcome<Pace> {
        let mut extractors = (0..cores())
            .map(|_| Extractor::new(&self.architecture, &self.preprocessing, None))
            .collect::<Result<Vec<_>, _>>()?;
        for extractor in &mut extractors {
            extractor.run()?;
        }
        let share = self.frames.len() / extractors.len();
        let done = share * extractors.len();
        let watch = Watch::start();
        std::thread::scope(|scope| {
            let threads: Vec<_> = extractors
                .iter_mut()
                .map(|extractor| {
                    scope.spawn(move || (0..share).try_for_each(|_| extractor.run().map(drop)))
                })
                .collect();
            threads.into_iter().try_for_each(|thread| {
                thread
                    .join()
                    .map_err(|_| "a thread panicked")?
                    .map_err(Into::into)
            })
        })
        .map_err(|error: Box<dyn Error + Send + Sync>| error)?;
        Ok(watch.pace(done))
    }

    /// Milliseconds per frame of each stage on one thread, to explain the ratio.
    fn stages(&self) -> Outcome<()> {
        let mut extractor = Extractor::new(&self.architecture, &self.preprocessing, None)?;
        let side = self.preprocessing.resolution_px as usize;
        let mut planes = vec![0.0; 3 * side * side];
        let mut spent = [0.0; 5];
        for frame in self.frames.iter().take(200) {
            let mut lap = Instant::now();
            let mut note = |stage: usize| {
                if let Some(spent) = spent.get_mut(stage) {
                    *spent += lap.elapsed().as_secs_f64() * 1e3;
                }
                lap = Instant::now();
            };
            let bytes = std::fs::read(frame)?;
            note(0);
            let image = load_image_from_bytes(&bytes, frame)?;
            note(1);
            let square = self.preprocessing.resize(&image);
            note(2);
            self.preprocessing.normalize_into(&square, &mut planes);
            note(3);
            extractor.run()?;
            note(4);
        }
        let count = self.frames.len().min(200) as f64;
        for (name, spent) in ["read", "decode", "resize", "normalise", "model"]
            .iter()
            .zip(spent)
        {
            println!("one thread, {name:10} {:7.3} ms", spent / count);
        }
        Ok(())
    }

    fn one_session(&self) -> Outcome<Pace> {
        let mut extractor =
            Extractor::with_threads(&self.architecture, &self.preprocessing, None, cores())?;
        let watch = Watch::start();
        for frame in &self.frames {
            extractor.extract(&load_image(frame)?)?;
        }
        Ok(watch.pace(self.frames.len()))
    }

    fn pipeline(&self) -> Outcome<Pace> {
        let (paths, next_path) = bounded::<&Path>(self.frames.len());
        let (images, next_image) = bounded::<RgbImage>(2 * cores());
        for frame in &self.frames {
            paths.send(frame).map_err(|_| "nobody takes the paths")?;
        }
        drop(paths);
        let watch = Watch::start();
        std::thread::scope(|scope| -> Outcome<()> {
            let mut threads = Vec::new();
            for _ in 0..cores() {
                let (next_path, images) = (next_path.clone(), images.clone());
                threads.push(scope.spawn(move || -> Outcome<()> {
                    for path in next_path {
                        images.send(load_image(path)?)?;
                    }
                    Ok(())
                }));
                let next_image = next_image.clone();
                threads.push(scope.spawn(move || -> Outcome<()> {
                    let mut extractor =
                        Extractor::new(&self.architecture, &self.preprocessing, None)?;
                    for image in next_image {
                        extractor.extract(&image)?;
                    }
                    Ok(())
                }));
            }
            drop((images, next_image));
            for thread in threads {
                thread.join().map_err(|_| "a thread panicked")??;
            }
            Ok(())
        })?;
        Ok(watch.pace(self.frames.len()))
    }

    fn python(&self, python: &Path, folder: &Path) -> Outcome<Pace> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/bottlenecks.py");
        let output = Command::new(python)
            .arg(script)
            .arg(self.architecture.entry()?.path()?)
            .arg(self.architecture.resolution_px.to_string())
            .arg(folder)
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let printed = String::from_utf8(output.stdout)?;
        let (images_per_sec, cpu_ms_per_image) = printed
            .trim()
            .split_once(' ')
            .ok_or("two numbers expected")?;
        Ok(Pace {
            images_per_sec: images_per_sec.parse()?,
            cpu_ms_per_image: cpu_ms_per_image.parse()?,
        })
    }
}

/// The first interpreter with the modules of the loop.
fn python() -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    [ours, "python3".into()].into_iter().find(|python| {
        Command::new(python)
            .args(["-c", "import onnxruntime, numpy, PIL"])
            .output()
            .is_ok_and(|output| output.status.success())
    })
}

/// Copies frames of a folder into `to`, repeatedly until there are `count`.
fn link_frames(from: &Path, to: &Path, count: usize) -> Outcome<Vec<PathBuf>> {
    let mut given = Vec::new();
    let mut folders = vec![from.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "jpg") {
                given.push(path);
            }
        }
    }
    given.sort();
    given
        .iter()
        .cycle()
        .take(count)
        .enumerate()
        .map(|(number, path)| {
            let copy = to.join(format!("{number:05}.jpg"));
            std::fs::copy(path, &copy)?;
            Ok(copy)
        })
        .collect()
}

fn make_frames(folder: &Path, count: usize) -> Outcome<Vec<PathBuf>> {
    // A hundred different ones are enough; each file is decoded again.
    let mut encoded = Vec::new();
    for seed in 0..count.min(100) {
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(&photo_like(
            500,
            375,
            seed as u64,
        ))?;
        encoded.push(jpeg);
    }
    (0..count)
        .zip(encoded.iter().cycle())
        .map(|(number, jpeg)| {
            let path = folder.join(format!("{number:05}.jpg"));
            std::fs::write(&path, jpeg)?;
            Ok(path)
        })
        .collect()
}

/// Noise at every scale, its amplitude in proportion to the scale: the 1/f spectrum of photographs.
fn photo_like(width: u32, height: u32, seed: u64) -> RgbImage {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut sum = vec![[127.0_f32; 3]; (width * height) as usize];
    let mut cell = 256;
    while cell >= 1 {
        let noise = RgbImage::from_fn(width / cell + 2, height / cell + 2, |_, _| {
            let grey = random.random::<u8>() / 2;
            Rgb([(); 3].map(|()| grey + random.random::<u8>() / 2))
        });
        let noise = resize(&noise, width, height, FilterType::CatmullRom);
        let amplitude = (cell as f32).sqrt() / 16.0;
        for (sum, pixel) in sum.iter_mut().zip(noise.pixels()) {
            for (sum, value) in sum.iter_mut().zip(pixel.0) {
                *sum += amplitude * (f32::from(value) - 127.0);
            }
        }
        cell /= 2;
    }
    RgbImage::from_fn(width, height, |x, y| {
        let sum = sum
            .get((y * width + x) as usize)
            .copied()
            .unwrap_or_default();
        Rgb(sum.map(|value| value.clamp(0.0, 255.0) as u8))
    })
}
