//! A film sampled in stretches: the frames, bit by bit, their times and the findings about the film are those of the
//! whole.

use std::ops::Range;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use salamander::jobs::Work;
use salamander::media::{Findings, JpegSampler, MediaError, Stretch, cut_points};
use salamander::project::{Fps, Sampling};

use crate::cli_program::ffmpeg;
use crate::window::decode_apart;

/// Time, bit by bit, and JPEG file of each frame, and the findings.
type Sampled = (Vec<(u64, Vec<u8>)>, Findings);

const THREADS: usize = 4;

fn sampled(mut sampler: JpegSampler) -> Result<Sampled, MediaError> {
    let work = Work::new();
    let mut frames = Vec::new();
    while let Some(frame) = sampler.next_frame(&work)? {
        frames.push((frame.time_secs.to_bits(), frame.jpeg));
    }
    Ok((frames, sampler.findings()))
}

fn in_stretches(path: &Path, sampling: &Sampling, cuts: &[f64]) -> Result<Sampled, MediaError> {
    let mut frames = Vec::new();
    let mut found: Option<Findings> = None;
    let begins = [0.0].into_iter().chain(cuts.iter().copied());
    let ends = cuts.iter().copied().map(Some).chain([None]);
    for (from_secs, to_secs) in begins.zip(ends) {
        let stretch = Stretch { from_secs, to_secs };
        let sampler = JpegSampler::open_stretch(path, sampling, stretch, THREADS)?;
        let (more, next) = sampled(sampler)?;
        for (bits, _) in &more {
            let secs = f64::from_bits(*bits);
            assert!(secs >= from_secs && to_secs.is_none_or(|to| secs < to));
        }
        frames.extend(more);
        found = Some(match found {
            None => next,
            Some(found) => found.join(next),
        });
    }
    let found = found.unwrap();
    found.check(path, sampling, frames.len() as u64)?;
    Ok((frames, found))
}

/// Compares stretches with the whole; returns the number of frames, or the error that both give.
fn compare(path: &Path, sampling: &Sampling, cuts: &[f64]) -> Result<usize, String> {
    compare_but(path, sampling, cuts, 0.0..0.0)
}

/// [`compare`] without the images of some seconds, of which only the times are compared.
fn compare_but(
    path: &Path,
    sampling: &Sampling,
    cuts: &[f64],
    but_secs: Range<f64>,
) -> Result<usize, String> {
    let whole = JpegSampler::open(path, sampling).and_then(sampled);
    let parts = in_stretches(path, sampling, cuts);
    let place = format!("{} {sampling:?} {cuts:?}", path.display());
    match (whole, parts) {
        (Ok((frames, found)), Ok((parts, joined))) => {
            let secs = |frames: &[(u64, Vec<u8>)]| -> Vec<f64> {
                frames.iter().map(|frame| f64::from_bits(frame.0)).collect()
            };
            assert_eq!(secs(&frames), secs(&parts), "times of {place}");
            for (a, b) in frames.iter().zip(&parts) {
                let at = f64::from_bits(a.0);
                let same = a == b || but_secs.contains(&at);
                assert!(same, "the frame at {at} s differs: {place}");
            }
            assert_eq!(found.warnings("x"), joined.warnings("x"), "{place}");
            Ok(frames.len())
        }
        (Err(whole), Err(parts)) => {
            assert_eq!(whole.to_string(), parts.to_string(), "{place}");
            Err(whole.to_string())
        }
        (whole, parts) => panic!(
            "{place}: whole {:?}, stretches {:?}",
            whole.map(|whole| whole.0.len()),
            parts.map(|parts| parts.0.len())
        ),
    }
}

fn at(fps: f64) -> Sampling {
    Sampling {
        fps: Fps(fps),
        width_px: Some(160),
        ..Sampling::default()
    }
}

/// A cut every `step` seconds up to a length.
fn every(step: f64, length: f64) -> Vec<f64> {
    let count = (length / step).ceil() as usize;
    (1..count).map(|number| number as f64 * step).collect()
}

struct Films(TempDir);

impl Films {
    fn new() -> Self {
        decode_apart();
        Self(TempDir::new().unwrap())
    }

    /// A film from a lavfi source, encoded with these options.
    fn make(&self, name: &str, source: &str, coding: &str) -> PathBuf {
        self.run(name, &format!("-f lavfi -i {source} {coding}"))
    }

    fn run(&self, name: &str, arguments: &str) -> PathBuf {
        let path = self.0.path().join(name);
        let arguments: Vec<&str> = arguments
            .split_whitespace()
            .chain([path.to_str().unwrap()])
            .collect();
        ffmpeg(&arguments);
        path
    }
}

const H264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p";
/// B-frames, an open group of pictures every second.
const OPEN: &str = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 3 -x264-params keyint=25:min-keyint=25:open-gop=1:scenecut=0:b-pyramid=normal";

#[test]
fn stretches_give_the_frames_of_the_whole() {
    let films = Films::new();
    let moving = "testsrc2=s=320x180:r=25:d=24";
    let open = films.make("open.mp4", moving, OPEN);
    for path in [
        films.make("closed.mp4", moving, &format!("{H264} -g 50 -bf 2")),
        films.make("open.mkv", moving, OPEN),
        films.make(
            "hevc.mp4",
            moving,
            "-c:v libx265 -preset ultrafast -x265-params keyint=50:bframes=3:open-gop=1:log-level=none",
        ),
        films.make(
            "vp9.webm",
            moving,
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 50 -auto-alt-ref 1 -lag-in-frames 10",
        ),
        open.clone(),
    ] {
        let cuts = cut_points(&path, 5.0, &Work::new()).unwrap();
        assert!((2..=4).contains(&cuts.len()), "{} {cuts:?}", path.display());
        assert!(cuts.is_sorted_by(|a, b| b - a >= 5.0) && cuts[0] >= 5.0 && cuts.last() <= Some(&19.0));
        assert_eq!(compare(&path, &at(2.0), &cuts), Ok(48));
        assert_eq!(compare(&path, &at(2.0), &every(3.3, 24.0)), Ok(48));
    }
    for fps in [0.5, 29.97, 30.0] {
        compare(&open, &at(fps), &every(6.5, 24.0)).unwrap();
    }
    let odd = films.make("ntsc.mp4", "testsrc2=s=320x180:r=30000/1001:d=24", OPEN);
    for fps in [2.0, 29.97, 30.0] {
        compare(&odd, &at(fps), &every(7.7, 24.0)).unwrap();
    }
    // A range with a beginning and an end between frames.
    for (from, to) in [
        (Some(3.31), Some(20.02)),
        (Some(7.0), None),
        (None, Some(11.13)),
    ] {
        let range = Sampling {
            from_secs: from,
            to_secs: to,
            ..at(2.0)
        };
        compare(&odd, &range, &every(2.7, 24.0)).unwrap();
        compare(
            &open,
            &Sampling {
                fps: Fps(25.0),
                ..range
            },
            &[9.0, 15.5],
        )
        .unwrap();
    }
    let beyond = Sampling {
        from_secs: Some(30.0),
        ..at(2.0)
    };
    let error = compare(&open, &beyond, &[10.0]).unwrap_err();
    assert!(error.contains("there is nothing after 0:30"), "{error}");
}

#[test]
fn stretches_of_odd_times_give_the_frames_of_the_whole() {
    let films = Films::new();
    let varying = "testsrc2=s=320x180:r=30:d=24,select=lt(t\\,8)+gte(t\\,8)*lt(t\\,16)*not(mod(n\\,7))+gte(t\\,16)*not(mod(n\\,40))";
    let gop = "-fps_mode passthrough -force_key_frames expr:gte(t,n_forced*2)";
    for name in ["varying.mp4", "varying.mkv"] {
        let path = films.make(name, varying, &format!("{H264} {gop} -bf 2"));
        for fps in [0.5, 2.0, 30.0] {
            compare(&path, &at(fps), &every(2.9, 24.0)).unwrap();
        }
    }
    // Its video begins after its audio; all of it later than zero; rotated.
    let late = films.run(
        "late.mp4",
        &format!("-f lavfi -i sine=d=20 -itsoffset 6 -f lavfi -i testsrc2=s=160x120:r=25:d=14 {H264} -g 25"),
    );
    let shifted = films.make(
        "shifted.mkv",
        "testsrc2=s=160x120:r=25:d=12",
        &format!("{H264} -g 25 -output_ts_offset 100"),
    );
    let rotated = films.run(
        "turned.mp4",
        &format!("-i {} -c copy -metadata:s:v rotate=90", late.display()),
    );
    for path in [&late, &shifted, &rotated] {
        compare(path, &at(2.0), &every(2.3, 20.0)).unwrap();
    }
    // An hour without an image across a cut, and a film that has nothing else.
    let slept = films.make(
        "slept.mkv",
        "testsrc2=s=96x64:r=5:d=20,setpts='PTS+gte(T,10)*3600/TB'",
        &format!("{H264} -fps_mode passthrough -g 10"),
    );
    compare(&slept, &at(2.0), &[5.0, 9.9, 10.1, 1800.0, 3611.0, 3612.5]).unwrap();
    compare(&slept, &at(0.5), &[8.0, 2000.0, 3614.0]).unwrap();
}

#[test]
fn stretches_of_still_images_give_the_frames_of_the_whole() {
    let films = Films::new();
    // Ten seconds with motion, 220 without, ten with.
    let moving = "testsrc2=s=96x64:r=10";
    let source = format!(
        "{moving}:d=230,loop=loop=-1:size=1:start=100,trim=duration=230[a];{moving}:d=10[b];[a][b]concat"
    );
    let still = films.run(
        "still.mp4",
        &format!(
            "-f lavfi -i {} {H264} -g 50",
            source.replace("[a][b]concat", "[a][b]concat=n=2:v=1")
        ),
    );
    let whole = sampled(JpegSampler::open(&still, &at(2.0)).unwrap()).unwrap();
    let warnings = whole.1.warnings("x");
    assert!(
        warnings[0].contains("shows the same image for a long time"),
        "{warnings:?}"
    );
    assert!(whole.0.len() < 2 * 230, "{}", whole.0.len());
    for step in [13.0, 60.0, 100.0] {
        compare(&still, &at(2.0), &every(step, 240.0)).unwrap();
    }
    // A change so slow that runs of similar frames begin where the previous one began.
    let slow = films.make(
        "slow.mp4",
        "color=gray:s=96x64:r=2:d=600,geq=lum='100+T/37':cb=128:cr=128",
        &format!("{H264} -g 20 -qp 0"),
    );
    for step in [77.0, 150.0] {
        compare(&slow, &at(2.0), &every(step, 600.0)).unwrap();
    }
}

#[test]
fn films_without_an_index_are_not_cut_but_can_be_sampled_in_stretches() {
    let films = Films::new();
    let moving = "testsrc2=s=160x120:r=25:d=12";
    let work = Work::new();
    let whole = films.make("whole.mp4", moving, &format!("{H264} -g 25"));
    assert!(
        cut_points(&whole, 6.5, &work).unwrap().is_empty(),
        "too short"
    );
    assert!(!cut_points(&whole, 3.0, &work).unwrap().is_empty());
    for name in ["a.ts", "a.avi", "a.flv", "a.h264"] {
        let path = films.make(name, moving, &format!("{H264} -g 25"));
        assert_eq!(
            cut_points(&path, 3.0, &work).unwrap(),
            Vec::<f64>::new(),
            "{name}"
        );
        compare(&path, &at(2.0), &[3.0, 7.5]).unwrap();
    }
    let coding = format!("{H264} -g 25 -movflags frag_keyframe+empty_moov");
    let fragments = films.make("fragments.mp4", moving, &coding);
    let cuts = cut_points(&fragments, 3.0, &work).unwrap();
    compare(&fragments, &at(2.0), &cuts).unwrap();
    compare(&fragments, &at(2.0), &[3.0, 7.5]).unwrap();
    // Truncated; garbage in the middle.
    let bytes = std::fs::read(films.make(
        "fast.mp4",
        moving,
        &format!("{H264} -g 25 -movflags +faststart"),
    ))
    .unwrap();
    let path = films.0.path().join("short.mp4");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(cut_points(&path, 3.0, &work).unwrap(), Vec::<f64>::new());
    compare(&path, &at(2.0), &[3.0, 7.5, 9.0]).unwrap();
    let mut bytes = std::fs::read(&whole).unwrap();
    let middle = bytes.len() / 2;
    for (index, byte) in bytes[middle..middle + 6000].iter_mut().enumerate() {
        *byte = (index * 37 % 251) as u8;
    }
    std::fs::write(&path, bytes).unwrap();
    // FFmpeg fills in the missing parts of a damaged image from another one, which one of its threads may still be
    // decoding: from the garbage to the next key frame even the whole film gives other images from time to time.
    for cuts in [vec![3.0, 6.0, 9.0], every(1.0, 12.0)] {
        compare_but(&path, &at(2.0), &cuts, 6.0..7.0).unwrap();
    }
}

#[test]
fn a_stretch_that_ends_before_it_begins_is_refused() {
    let films = Films::new();
    let path = films.make("a.mp4", "testsrc2=s=64x64:r=5:d=1", H264);
    let stretch = Stretch {
        from_secs: 2.0,
        to_secs: Some(1.0),
    };
    let error = JpegSampler::open_stretch(&path, &at(2.0), stretch, 1)
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("the end is before the start"),
        "{error}"
    );
}

/// By hand: `STRETCH_FILMS=FOLDER STRETCH_SECS=1 cargo test --test it -- --ignored --nocapture stretches_of_films_at_hand`.
#[test]
#[ignore = "reads the films of the folder STRETCH_FILMS"]
fn stretches_of_films_at_hand() {
    decode_apart();
    let secs: f64 = std::env::var("STRETCH_SECS").map_or(1.0, |secs| secs.parse().unwrap());
    let fps: f64 = std::env::var("STRETCH_FPS").map_or(2.0, |fps| fps.parse().unwrap());
    let folder = std::env::var("STRETCH_FILMS").unwrap();
    let mut open = vec![PathBuf::from(folder)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let Ok(info) = salamander::media::probe(&path) else {
            continue;
        };
        let length = info.duration_secs.unwrap_or(10.0).min(600.0);
        // Stretches of a long still image are all decoded from its beginning.
        let secs = if length > 120.0 {
            secs.max(length / 8.0)
        } else {
            secs
        };
        let safe = cut_points(&path, secs, &Work::new());
        let forced = every(secs, length);
        for (kind, cuts) in [("safe", safe.unwrap_or_default()), ("forced", forced)] {
            if cuts.is_empty() {
                continue;
            }
            let begin = std::time::Instant::now();
            let whole = || JpegSampler::open(&path, &at(fps)).and_then(sampled).ok();
            let first = whole();
            let whole_secs = begin.elapsed().as_secs_f64();
            let begin = std::time::Instant::now();
            let parts = in_stretches(&path, &at(fps), &cuts).ok();
            let ratio = begin.elapsed().as_secs_f64() / whole_secs;
            let frames = parts.map_or(0, |parts| parts.0.len());
            // FFmpeg decodes damage differently from time to time.
            let anew = (0..4).all(|_| whole() == first);
            let same = std::panic::catch_unwind(|| compare(&path, &at(fps), &cuts));
            let verdict = match (&same, anew) {
                (Ok(_), _) => "same",
                (Err(_), true) => "DIFFERENT",
                (Err(_), false) => "different each time, the whole too",
            };
            println!(
                "{kind}\t{}\t{frames}\t{whole_secs:.1} s\t×{ratio:.2}\t{verdict}\t{}",
                cuts.len() + 1,
                path.display()
            );
        }
    }
}
