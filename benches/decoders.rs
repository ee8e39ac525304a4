//! The cost of decoding in a separate process, as ratios to the same work with the decoders in this process.
//!
//! `cargo bench --bench decoders [-- [--rounds N] [--seconds N] [--photos N] [--video FILE]]`
//!
//! Without `FILE` the film is made by the `ffmpeg` program: 1080p at 30 frames per second, H.264, a moving test image
//! with camera noise; the photos are frames of it, 500 pixels wide. Each round does everything in both ways, one after
//! the other, in a new process each time, so that other load on the computer affects both. The first decoder is
//! started as in the program: at once, while other things are done. The medians of the rounds are printed; more than 1
//! is slower with a separate process.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use common::{Outcome, ffmpeg, make_film, median};
use salamander::backbone::{Architecture, Fit, bottlenecks};
use salamander::jobs::Work;
use salamander::media::{
    ImportOptions, Sampler, decode_with, import, load_image, poster, probe, start_decoders,
};
use salamander::project::{Fps, Project, Sampling};

const THINGS: [&str; 9] = [
    "probe of 20 films",
    "posters of 20 films",
    "preview: first frame",
    "preview: 12 frames",
    "import at 1 fps",
    "import at 5 fps",
    "import at 30 fps",
    "one photo",
    "bottlenecks of the photos",
];

struct Options {
    rounds: usize,
    seconds: u32,
    photos: usize,
    video: Option<PathBuf>,
    /// The measurement to run in this process, and whether decoders are separate; otherwise everything, in processes.
    one: Option<(String, bool)>,
    folder: Option<PathBuf>,
}

fn options() -> Outcome<Options> {
    let mut options = Options {
        rounds: 3,
        seconds: 60,
        photos: 1000,
        video: None,
        one: None,
        folder: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--rounds" => options.rounds = value()?.parse()?,
            "--seconds" => options.seconds = value()?.parse()?,
            "--photos" => options.photos = value()?.parse()?,
            "--video" => options.video = Some(value()?.into()),
            "--here" => options.one = Some((value()?, false)),
            "--apart" => options.one = Some((value()?, true)),
            "--folder" => options.folder = Some(value()?.into()),
            "--bench" => {}
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    Ok(options)
}

/// The film `film.mp4`, twenty short ones in `films` and photos in `photos`.
fn make_files(folder: &Path, options: &Options) -> Outcome<()> {
    let film = folder.join("film.mp4");
    if let Some(video) = &options.video {
        std::fs::copy(video, &film)?;
    } else {
        make_film(&film, options.seconds)?;
    }
    let short = folder.join("films");
    std::fs::create_dir(&short)?;
    let first = short.join("0.mp4");
    let (from, to) = (film.to_string_lossy(), first.to_string_lossy());
    ffmpeg(&["-i", &from, "-t", "3", "-c", "copy", "-an", &to])?;
    for number in 1..20 {
        std::fs::copy(&first, short.join(format!("{number}.mp4")))?;
    }
    let photos = folder.join("photos");
    std::fs::create_dir(&photos)?;
    let count = options.photos.to_string();
    let pattern = photos.join("%05d.jpg");
    ffmpeg(&[
        "-i",
        &from,
        "-vf",
        "scale=500:-2",
        "-frames:v",
        &count,
        "-q:v",
        "2",
        &pattern.to_string_lossy(),
    ])
}

fn files_of(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    files.sort();
    Ok(files)
}

/// Runs one measurement with the files in `folder`, as often as is needed for a measurable time, and prints how many
/// seconds it took.
fn one(thing: &str, apart: bool, folder: &Path) -> Outcome<()> {
    if apart {
        decode_with(env!("CARGO_BIN_EXE_salamander").into());
        start_decoders(1);
    }
    let (film, photos) = (folder.join("film.mp4"), folder.join("photos"));
    let work = Work::new();
    let start = Instant::now();
    let mut secs = None;
    match thing {
        "probe of 20 films" => {
            for film in files_of(&folder.join("films"))? {
                probe(&film)?;
            }
        }
        "posters of 20 films" => {
            for film in files_of(&folder.join("films"))? {
                poster(&film, 320)?;
            }
        }
        "preview: first frame" | "preview: 12 frames" => {
            let mut first = None;
            let small = Sampling {
                width_px: Some(160),
                ..sampling(1.0)
            };
            let mut sampler = Sampler::open(&film, &small)?;
            for _ in 0..12 {
                if sampler.next_frame(&work)?.is_some() {
                    first.get_or_insert_with(|| start.elapsed());
                }
            }
            if thing == "preview: first frame" {
                secs = first.map(|first| first.as_secs_f64());
            }
        }
        "one photo" => {
            let photo = files_of(&photos)?.into_iter().next().ok_or("no photo")?;
            load_image(&photo)?;
        }
        "bottlenecks of the photos" => {
            let architecture = Architecture::default();
            let preprocessing = architecture.preprocessing(Fit::CenterCrop)?;
            let photos = files_of(&photos)?;
            bottlenecks(&photos, &architecture, &preprocessing, None, None, &work)?;
        }
        _ => {
            let fps = thing
                .strip_prefix("import at ")
                .and_then(|rest| rest.strip_suffix(" fps"))
                .ok_or_else(|| format!("unknown thing {thing}"))?;
            let home = TempDir::new_in(folder)?;
            let project = Project::create(&home.path().join("project"), "bench")?;
            let options = ImportOptions {
                sampling: sampling(fps.parse()?),
                ..ImportOptions::default()
            };
            import(&project, &[film], &options, &work)?;
        }
    }
    println!("{}", secs.unwrap_or(start.elapsed().as_secs_f64()));
    Ok(())
}

fn sampling(fps: f64) -> Sampling {
    Sampling {
        fps: Fps(fps),
        width_px: Some(500),
        ..Sampling::default()
    }
}

/// [`one`] in a process.
fn measured(thing: &str, apart: bool, folder: &Path) -> Outcome<f64> {
    let output = Command::new(std::env::current_exe()?)
        .args([if apart { "--apart" } else { "--here" }, thing])
        .arg("--folder")
        .arg(folder)
        .output()?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{thing} failed: {message}").into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn main() -> Outcome<()> {
    let options = options()?;
    if let (Some((thing, apart)), Some(folder)) = (&options.one, &options.folder) {
        return one(thing, *apart, folder);
    }
    let folder = TempDir::new()?;
    make_files(folder.path(), &options)?;
    println!(
        "{:27} {:>12} {:>12} {:>14}; medians of {} rounds",
        "", "in here", "in its own", "its own ÷ here", options.rounds
    );
    for thing in THINGS {
        let (mut here, mut apart, mut ratios) = (vec![], vec![], vec![]);
        for _ in 0..options.rounds {
            let a = measured(thing, false, folder.path())?;
            let b = measured(thing, true, folder.path())?;
            here.push(a);
            apart.push(b);
            ratios.push(b / a);
        }
        println!(
            "{thing:27} {:9.1} ms {:9.1} ms {:14.2}",
            1e3 * median(&mut here),
            1e3 * median(&mut apart),
            median(&mut ratios)
        );
    }
    Ok(())
}
