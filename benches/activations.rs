//! Activations at a cut: the cost of computing them together with bottlenecks, of computing further views, and of
//! gathering a batch from the cache.
//!
//! `cargo bench --bench activations [-- [--count N] [--depth last-1|last-3|stage|all]]`
//!
//! The frames are synthetic, 500 × 375 pixels, JPEG quality 90. Computing is given in rows per second of all cores
//! and, because that is more reliable on a busy computer, per second of processor time (Linux only); gathering in
//! milliseconds for 64 random rows, median and 95th percentile of 500 batches, and as a ratio to reading the same
//! number of bytes from a file of that size in one piece.

use std::error::Error;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Instant;

use half::f16;
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use salamander::backbone::{
    ActivationSource, Activations, Architecture, Augmentation, Blocks, Depth, Fit, Views,
    bottlenecks, bottlenecks_and_activations,
};
use salamander::jobs::{Work, cores};

type Outcome<T> = Result<T, Box<dyn Error>>;

const BUDGET: u64 = 4 << 30;
const VIEWS: u32 = 4;
const BATCH: usize = 64;

fn main() -> Outcome<()> {
    let (mut count, mut depth) = (400_usize, Depth::Last3);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--bench" => {}
            "--count" => count = value()?.parse()?,
            "--depth" => depth = value()?.parse()?,
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    let architecture = Architecture::default();
    let preprocessing = architecture.preprocessing(Fit::CenterCrop)?;
    let plan = Blocks::of(&architecture)?.plan(depth);
    let cut = plan.cut.ok_or("the head alone has no activations")?;
    let folder = tempfile::tempdir()?;
    let frames = make_frames(folder.path(), count)?;
    println!(
        "{architecture}, {depth}: “{}” {:?}, {} bytes a row; {count} frames, {} workers",
        cut.tensor,
        cut.shape,
        plan.bytes_per_view,
        cores()
    );
    let work = Work::new();
    let source = ActivationSource {
        frames: &frames,
        architecture: &architecture,
        preprocessing: &preprocessing,
        cut: &cut,
        views: Views {
            count: VIEWS,
            augmentation: Augmentation::default(),
            seed: 0,
        },
    };
    let (alone, together) = (folder.path().join("alone"), folder.path().join("together"));
    println!("{:<34} {:>8} {:>12}", "", "rows/s", "rows/CPU s");
    measured("bottlenecks alone", count, || {
        bottlenecks(
            &frames,
            &architecture,
            &preprocessing,
            None,
            Some(&alone),
            &work,
        )
    })?;
    measured("bottlenecks and activations", count, || {
        bottlenecks_and_activations(&source, &together, BUDGET, &work)
    })?;
    measured("activations, bottlenecks known", count, || {
        bottlenecks_and_activations(&source, &alone, BUDGET, &work)
    })?;
    let mut activations = Activations::open(&source, Some(&together), BUDGET, &work)?;
    let augmented: Vec<(usize, u32)> = (1..VIEWS)
        .flat_map(|view| (0..count).map(move |frame| (frame, view)))
        .collect();
    measured("activations of further views", augmented.len(), || {
        activations.ensure(&augmented, &work)
    })?;

    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut batch = vec![f16::ZERO; BATCH * source.cut.elements()];
    let resident = resident_megabytes();
    let mut times = Vec::new();
    for _ in 0..500 {
        let wanted: Vec<(usize, u32)> = (0..BATCH)
            .map(|_| (random.random_range(0..count), random.random_range(0..VIEWS)))
            .collect();
        let started = Instant::now();
        activations.fill(&wanted, &mut batch, &work)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let plain = plain_reads(&together, size_of_val(batch.as_slice()))?;
    times.sort_by(f64::total_cmp);
    println!(
        "gathering {BATCH} rows: median {:.2} ms, 95 % {:.2} ms; reading as much in one piece {plain:.2} ms, ratio {:.1}",
        times[250],
        times[475],
        times[250] / plain
    );
    if let (Some(before), Some(after)) = (resident, resident_megabytes()) {
        println!(
            "memory: {after:.0} MB resident, {:+.1} MB by 500 batches",
            after - before
        );
    }
    Ok(())
}

/// Runs something that makes `rows` rows and prints its speed.
fn measured<T, E>(what: &str, rows: usize, run: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let busy = cpu_seconds();
    let started = Instant::now();
    let result = run()?;
    let seconds = started.elapsed().as_secs_f64();
    let per_busy = busy
        .zip(cpu_seconds())
        .map_or_else(String::new, |(before, after)| {
            format!("{:.0}", rows as f64 / (after - before))
        });
    println!("{what:<34} {:>8.0} {per_busy:>12}", rows as f64 / seconds);
    Ok(result)
}

/// Milliseconds to read `bytes` bytes from the start of the largest file of rows, the median of 100 times.
fn plain_reads(cache: &Path, bytes: usize) -> Outcome<f64> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(cache.join("activations"))? {
        let path = entry?.path();
        files.push((path.metadata()?.len(), path));
    }
    let (_, path) = files.into_iter().max().ok_or("there are no rows")?;
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0; bytes];
    let mut times = Vec::new();
    for _ in 0..100 {
        let started = Instant::now();
        file.seek(SeekFrom::Start(0))?;
        file.read_exact(&mut buffer)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[50])
}

/// Processor time of this process, seconds.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    // Linux counts in hundredths of a second on all common computers.
    Some(ticks / 100.0)
}

fn resident_megabytes() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

/// Soft shapes with some grain, each image different.
fn make_frames(folder: &Path, count: usize) -> Outcome<Vec<PathBuf>> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    (0..count)
        .map(|number| {
            let waves: [f32; 6] = std::array::from_fn(|_| random.random_range(0.01..0.2));
            let image = RgbImage::from_fn(500, 375, |x, y| {
                let (x, y) = (x as f32, y as f32);
                Rgb(std::array::from_fn(|channel| {
                    let soft = (x * waves[channel]).sin() + (y * waves[channel + 3]).cos();
                    (128.0 + 50.0 * soft + random.random_range(-8.0..8.0)) as u8
                }))
            });
            let path = folder.join(format!("{number:05}.jpg"));
            let file = std::fs::File::create(&path)?;
            JpegEncoder::new_with_quality(std::io::BufWriter::new(file), 90)
                .encode_image(&image)?;
            Ok(path)
        })
        .collect()
}
