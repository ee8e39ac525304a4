//! Media compared with the `ffmpeg` program: the same frames, the same count; bad files in one sentence each; import,
//! extraction and resuming it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::RgbImage;
use tempfile::TempDir;

use salamander::jobs::Work;
use salamander::media::{
    ClassFrom, ImportOptions, JpegSampler, MediaError, extract, gather, import, load_image, poster,
    probe,
};
use salamander::project::{ClassName, Fps, Project, Sampling};

use crate::cancel::{cancelled_at_check, cancelled_when};
use crate::window::decode_apart;

/// Runs the `ffmpeg` program; a failure shows its output.
fn ffmpeg(arguments: &[&str]) {
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
fn make(folder: &TempDir, name: &str, source: &str, coding: &[&str]) -> PathBuf {
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

const H264: [&str; 6] = [
    "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p",
];

fn sampling(fps: f64, width_px: u32) -> Sampling {
    Sampling {
        fps: Fps(fps),
        width_px: Some(width_px),
        ..Sampling::default()
    }
}

/// All frames of a sampling: times and decoded JPEG images; and the warning.
fn sample(path: &Path, sampling: &Sampling) -> (Vec<(f64, RgbImage)>, Option<String>) {
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
fn psnr(a: &RgbImage, b: &RgbImage) -> f64 {
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
fn assert_like_ffmpeg(path: &Path, fps: f64, width_px: u32, range: Option<(f64, f64)>) {
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

#[test]
fn constant_rate_gives_the_frames_of_ffmpeg() {
    let folder = TempDir::new().unwrap();
    let path = make(
        &folder,
        "constant.mp4",
        "testsrc2=s=640x360:r=30:d=5",
        &H264,
    );
    for fps in [0.5, 2.0, 7.3, 30.0, 50.0] {
        assert_like_ffmpeg(&path, fps, 320, None);
    }
    assert_like_ffmpeg(&path, 4.0, 320, Some((1.3, 3.1)));
    assert_like_ffmpeg(&path, 4.0, 320, Some((0.0, 2.0)));

    let info = probe(&path).unwrap();
    assert_eq!((info.width_px, info.height_px), (640, 360));
    assert_eq!(info.frame_count, Some(150));
    assert!(!info.frame_count_estimated);
    assert_eq!(info.average_fps, Some(30.0));
    assert_eq!(info.variable_fps, None);
    assert!((info.duration_secs.unwrap() - 5.0).abs() < 0.05);
    assert_eq!(
        (info.codec.as_str(), info.bit_depth, info.hdr),
        ("H.264", 8, false)
    );
}

#[test]
fn variable_rate_goes_by_timestamps() {
    let folder = TempDir::new().unwrap();
    // 30 frames a second, then every seventh, then every twentieth.
    let source = "testsrc2=s=320x180:r=30:d=6,select='lt(t,2)+gte(t,2)*lt(t,4)*not(mod(n,7))+gte(t,4)*not(mod(n,20))'";
    for name in ["variable.mp4", "variable.mkv"] {
        let coding: Vec<&str> = H264.into_iter().chain(["-vsync", "vfr"]).collect();
        let path = make(&folder, name, source, &coding);
        for fps in [1.0, 2.0, 10.0] {
            assert_like_ffmpeg(&path, fps, 160, None);
        }
        let (low, high) = probe(&path).unwrap().variable_fps.expect(name);
        assert!(
            low < 5.0 && (high - 30.0).abs() < 3.0,
            "{name}: {low} to {high}"
        );
    }
}

#[test]
fn rotated_videos_come_upright() {
    let folder = TempDir::new().unwrap();
    let flat = make(&folder, "flat.mp4", "testsrc2=s=320x180:r=10:d=2", &H264);
    for (tag, degrees) in [("90", 270), ("180", 180), ("270", 90)] {
        let path = folder.path().join(format!("turned-{tag}.mp4"));
        let rotate = format!("rotate={tag}");
        let (input, output) = (flat.to_str().unwrap(), path.to_str().unwrap());
        ffmpeg(&["-i", input, "-c", "copy", "-metadata:s:v", &rotate, output]);
        let info = probe(&path).unwrap();
        let upright = if degrees == 180 {
            (320, 180)
        } else {
            (180, 320)
        };
        assert_eq!((info.width_px, info.height_px), upright);
        assert!([degrees, 360 - degrees].contains(&info.rotation_degrees));
        assert_like_ffmpeg(&path, 3.0, 120, None);
        let image = poster(&path, 90).unwrap();
        assert_eq!(image.width(), 90);
        assert_eq!(image.width() > image.height(), degrees == 180);
    }
}

#[test]
fn deep_colour_other_codecs_and_containers() {
    let folder = TempDir::new().unwrap();
    let source = "testsrc2=s=320x180:r=25:d=2";
    let cases: [(&str, &[&str], &str, u32); 6] = [
        (
            "high10.mp4",
            &[
                "-c:v",
                "libx264",
                "-preset",
                "veryfast",
                "-pix_fmt",
                "yuv420p10le",
            ],
            "H.264",
            10,
        ),
        (
            "main10.mp4",
            &[
                "-c:v",
                "libx265",
                "-preset",
                "ultrafast",
                "-x265-params",
                "log-level=none",
                "-pix_fmt",
                "yuv420p10le",
            ],
            "HEVC",
            10,
        ),
        (
            "ffv1.mkv",
            &["-c:v", "ffv1", "-pix_fmt", "yuv422p10le"],
            "FFV1",
            10,
        ),
        (
            "vp9.webm",
            &[
                "-c:v",
                "libvpx-vp9",
                "-deadline",
                "realtime",
                "-cpu-used",
                "8",
            ],
            "VP9",
            8,
        ),
        (
            "mpeg4.avi",
            &["-c:v", "mpeg4", "-q:v", "3", "-bf", "2"],
            "MPEG-4 Part 2",
            8,
        ),
        (
            "mpeg2.ts",
            &["-c:v", "mpeg2video", "-q:v", "3", "-bf", "2"],
            "MPEG-2",
            8,
        ),
    ];
    for (name, coding, codec, depth) in cases {
        let path = make(&folder, name, source, coding);
        let info = probe(&path).unwrap();
        assert_eq!(
            (info.codec.as_str(), info.bit_depth),
            (codec, depth),
            "{name}"
        );
        assert_eq!(info.variable_fps, None, "{name}");
        assert_like_ffmpeg(&path, 3.0, 160, None);
    }
}

#[test]
fn times_count_from_the_start_of_the_container() {
    let folder = TempDir::new().unwrap();
    let flat = make(&folder, "flat.mp4", "testsrc2=s=320x180:r=25:d=3", &H264);
    for name in ["offset.ts", "offset.mkv", "offset.mp4"] {
        let path = folder.path().join(name);
        let (input, output) = (flat.to_str().unwrap(), path.to_str().unwrap());
        ffmpeg(&[
            "-i",
            input,
            "-c",
            "copy",
            "-output_ts_offset",
            "12.5",
            output,
        ]);
        assert_like_ffmpeg(&path, 2.0, 160, None);
        if path.extension().unwrap() == "ts" {
            // Here the program misses the only key frame and writes nothing.
            let range = Sampling {
                from_secs: Some(0.7),
                to_secs: Some(2.1),
                ..sampling(5.0, 160)
            };
            let (frames, warning) = sample(&path, &range);
            assert_eq!((frames.len(), warning), (7, None));
        } else {
            assert_like_ffmpeg(&path, 5.0, 160, Some((0.7, 2.1)));
        }
    }
    // Sound from the beginning, images from 1.2 s.
    let late = folder.path().join("late.mkv");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "sine=d=4",
        "-itsoffset",
        "1.2",
        "-i",
        flat.to_str().unwrap(),
        "-map",
        "0:a",
        "-map",
        "1:v",
        "-c:v",
        "copy",
        late.to_str().unwrap(),
    ]);
    assert_like_ffmpeg(&late, 2.0, 160, None);
}

#[test]
fn sizes_are_even_square_and_never_above_the_source() {
    let folder = TempDir::new().unwrap();
    let path = make(
        &folder,
        "wide.mp4",
        "testsrc2=s=360x288:r=5:d=1,setsar=16/15",
        &H264,
    );
    let info = probe(&path).unwrap();
    assert_eq!((info.width_px, info.height_px), (384, 288));
    assert_eq!(info.pixel_aspect, Some((16, 15)));
    let size = |width: Option<u32>| {
        let wanted = Sampling {
            width_px: width,
            ..sampling(1.0, 0)
        };
        sample(&path, &wanted).0[0].1.dimensions()
    };
    assert_eq!(size(Some(500)), (384, 288));
    assert_eq!(size(Some(193)), (192, 144));
    assert_eq!(size(None), (384, 288));
}

#[test]
fn the_jpeg_quality_is_that_of_ffmpeg() {
    let folder = TempDir::new().unwrap();
    let path = make(&folder, "a.mp4", "testsrc2=s=320x180:r=5:d=1", &H264);
    let bytes = |quality: u8| {
        let wanted = Sampling {
            jpeg_quality: quality,
            ..sampling(1.0, 320)
        };
        let mut sampler = JpegSampler::open(&path, &wanted).unwrap();
        let frame = sampler.next_frame(&Work::new()).unwrap().unwrap();
        frame.jpeg.len() as f64
    };
    for quality in [2, 5, 20] {
        let out = folder.path().join("frame.jpg");
        let (input, output, q) = (
            path.to_str().unwrap(),
            out.to_str().unwrap(),
            quality.to_string(),
        );
        ffmpeg(&[
            "-i",
            input,
            "-vf",
            "fps=1",
            "-frames:v",
            "1",
            "-q:v",
            &q,
            output,
        ]);
        let theirs = fs::metadata(&out).unwrap().len() as f64;
        let ratio = bytes(quality) / theirs;
        assert!((0.97..1.03).contains(&ratio), "-q:v {quality}: {ratio}");
    }
}

#[test]
fn a_smaller_width_takes_the_same_frames() {
    let folder = TempDir::new().unwrap();
    let path = make(&folder, "a.mp4", "testsrc2=s=640x360:r=30:d=4", &H264);
    let wanted = sampling(3.0, 320);
    let (frames, _) = sample(&path, &wanted);
    let (shown, _) = sample(&path, &sampling(3.0, 160));
    assert_eq!(shown.len(), frames.len());
    for ((time, small), (taken, frame)) in shown.iter().zip(&frames) {
        assert!((time - taken).abs() < 1e-9);
        let scaled = image::imageops::resize(
            frame,
            small.width(),
            small.height(),
            image::imageops::FilterType::CatmullRom,
        );
        let psnr = psnr(small, &scaled);
        assert!(psnr > 25.0, "{time}: {psnr:.1} dB");
    }
}

#[test]
fn a_damaged_video_gives_what_it_has_and_one_warning() {
    let folder = TempDir::new().unwrap();
    let source = "testsrc2=s=320x180:r=25:d=8";
    let whole = |name: &str, extra: &[&str]| {
        let coding: Vec<&str> = H264
            .iter()
            .chain(["-g", "25"].iter())
            .chain(extra)
            .copied()
            .collect();
        make(&folder, name, source, &coding)
    };
    let cut = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    for path in [
        whole("cut.mp4", &["-movflags", "+faststart"]),
        whole("cut.mkv", &[]),
    ] {
        cut(&path);
        let (frames, warning) = sample(&path, &sampling(2.0, 160));
        assert!((4..=12).contains(&frames.len()), "{} frames", frames.len());
        let warning = warning.expect("a warning");
        assert!(warning.contains("is damaged after 0:0"), "{warning}");
        assert!(warning.contains("frames could be read"), "{warning}");
    }
    // Garbage in the middle.
    let path = whole("hole.mp4", &[]);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    for (index, byte) in bytes[middle..middle + 6000].iter_mut().enumerate() {
        *byte = (index * 37 % 251) as u8;
    }
    fs::write(&path, bytes).unwrap();
    let (frames, warning) = sample(&path, &sampling(2.0, 160));
    assert!((15..=17).contains(&frames.len()), "{} frames", frames.len());
    assert!(warning.expect("a warning").contains("is damaged after 0:0"));
    // Without its index nothing can be read.
    let path = whole("lost.mp4", &[]);
    cut(&path);
    let message = probe(&path).unwrap_err().to_string();
    assert!(message.contains("its index is missing"), "{message}");
}

#[test]
fn what_is_no_video_is_told_in_one_sentence() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let sound = make(&folder, "sound.mp4", "sine=d=1", &[]);
    let photo = make(
        &folder,
        "photo.png",
        "testsrc2=s=64x64",
        &["-frames:v", "1"],
    );
    let disguised = folder.path().join("photo.mp4");
    fs::copy(photo, &disguised).unwrap();
    let noise: Vec<u8> = (0..9000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for (path, words) in [
        (file("empty.mp4", b""), "is empty"),
        (
            file("notes.mp4", b"Dear diary,\nno film today.\n"),
            "is not a video but text",
        ),
        (
            file("notes.txt", b"Dear diary,\nno film today.\n"),
            "is not a video but text",
        ),
        (file("noise.mp4", &noise), "is not a video"),
        (sound, "has no picture, only sound"),
        (disguised, "is a photo, not a video"),
        (folder.path().join("nowhere.mp4"), "there is no such file"),
        (folder.path().to_owned(), "is a folder"),
    ] {
        let errors = [
            probe(&path).unwrap_err(),
            poster(&path, 100).unwrap_err(),
            JpegSampler::open(&path, &Sampling::default())
                .err()
                .unwrap(),
        ];
        for error in errors {
            let message = error.to_string();
            assert!(message.contains(words), "{message}");
            assert!(
                !message.contains('\n') && !message.contains(". "),
                "one sentence: {message}"
            );
        }
    }
    let path = make(&folder, "good.mp4", "testsrc2=s=64x64:r=5:d=1", &H264);
    let refused = |sampling: &Sampling| {
        JpegSampler::open(&path, sampling)
            .err()
            .unwrap()
            .to_string()
    };
    assert!(refused(&sampling(0.0, 100)).contains("frames per second"));
    assert!(refused(&sampling(f64::NAN, 100)).contains("frames per second"));
    let backwards = Sampling {
        from_secs: Some(2.0),
        to_secs: Some(1.0),
        ..Sampling::default()
    };
    assert!(refused(&backwards).contains("the end lies before the start"));
}

#[test]
fn a_video_of_one_picture_gives_one_frame() {
    let folder = TempDir::new().unwrap();
    let path = make(
        &folder,
        "one.mp4",
        "testsrc2=s=64x64:r=25",
        &["-frames:v", "1", "-pix_fmt", "yuv420p"],
    );
    let (frames, warning) = sample(&path, &sampling(1.0, 64));
    assert_eq!((frames.len(), warning), (1, None));
    assert!(frames[0].0.abs() < 1e-9);
}

#[test]
fn cancelling_takes_effect_inside_a_video() {
    let folder = TempDir::new().unwrap();
    let path = make(
        &folder,
        "long.mp4",
        "testsrc2=s=640x360:r=30:d=20",
        &["-c:v", "libx264", "-preset", "ultrafast", "-g", "600"],
    );
    // The only key frame is the first, so that everything up to the range must be decoded.
    let wanted = Sampling {
        from_secs: Some(19.5),
        ..sampling(1.0, 320)
    };
    let mut sampler = JpegSampler::open(&path, &wanted).unwrap();
    let work = cancelled_at_check(2);
    let frame = sampler.next_frame(&work);
    let result = frame.map(|frame| frame.map(|frame| frame.time_secs));
    // Not the frame that was being decoded.
    assert!(
        matches!(result, Err(MediaError::Cancelled(_))),
        "{result:?}"
    );
}

#[test]
fn photos_that_need_ffmpeg_are_read_too() {
    let folder = TempDir::new().unwrap();
    let source = "testsrc2=s=120x80";
    let plain = make(&folder, "plain.png", source, &["-frames:v", "1"]);
    let lossless = make(
        &folder,
        "lossless.jpg",
        source,
        &["-frames:v", "1", "-c:v", "ljpeg", "-pix_fmt", "bgr24"],
    );
    assert_eq!(load_image(&lossless).unwrap(), load_image(&plain).unwrap());
    // A video is not a photo, whatever its name.
    let video = make(&folder, "film.mp4", "testsrc2=s=64x64:r=5:d=1", &H264);
    let disguised = folder.path().join("film.jpg");
    fs::copy(video, &disguised).unwrap();
    let message = load_image(&disguised).unwrap_err().to_string();
    assert!(message.contains("is a video, not a photo"), "{message}");
}

/// Two class folders with a video each, one nested, and files that are not media.
fn two_classes(folder: &TempDir) {
    for class in ["cat", "dog"] {
        fs::create_dir_all(folder.path().join(class)).unwrap();
        let source = format!(
            "testsrc2=s=160x120:r=10:d={}",
            if class == "cat" { 2 } else { 3 }
        );
        make(folder, &format!("{class}/{class}-1.mp4"), &source, &H264);
    }
    fs::write(folder.path().join("dog/readme.txt"), "no media").unwrap();
    fs::write(folder.path().join("dog/.hidden.mp4"), "not looked at").unwrap();
}

fn names(project: &Project) -> Vec<String> {
    let mut names: Vec<String> = project
        .scan(&Work::new())
        .unwrap()
        .list
        .iter()
        .map(|frame| frame.path.clone())
        .collect();
    names.sort();
    names
}

#[test]
fn import_names_classes_and_never_writes_a_frame_twice() {
    let media = TempDir::new().unwrap();
    two_classes(&media);
    let home = TempDir::new().unwrap();
    let project = Project::create(&home.path().join("p"), "p").unwrap();
    let options = ImportOptions {
        class_from: ClassFrom::Folder,
        sampling: sampling(2.0, 160),
        ..ImportOptions::default()
    };
    let work = Work::new();
    let paths = [media.path().to_owned()];
    let outcome = import(&project, &paths, &options, &work).unwrap();
    assert_eq!(work.take_warnings(), Vec::<String>::new());
    let totals = outcome.totals();
    assert_eq!(
        (totals.videos, totals.frames, totals.passed_over),
        (2, 10, 2)
    );
    let first = names(&project);
    assert_eq!(
        first
            .iter()
            .filter(|name| name.starts_with("classes/cat/cat-1-"))
            .count(),
        4
    );
    assert_eq!(
        first
            .iter()
            .filter(|name| name.starts_with("classes/dog/"))
            .count(),
        6
    );
    assert!(
        project
            .sources()
            .iter()
            .all(|source| source.extracted.is_some())
    );
    let progress = work.progress();
    assert_eq!((progress.done, progress.total), (10, Some(10)));

    // Again: nothing new, no message. Even if a frame has another label by now, or is in the trash.
    project.trash(&first[..1], &work).unwrap();
    let moved = project
        .relabel(&first[1..2], &salamander::project::Label::Unsorted, &work)
        .unwrap();
    assert!(moved[0].starts_with("unsorted/"));
    let again = import(&project, &paths, &options, &work).unwrap();
    let totals = again.totals();
    assert_eq!(
        (totals.known, totals.conflicts, totals.passed_over),
        (2, 0, 2)
    );
    assert!(again.record.is_empty());
    assert_eq!(work.take_warnings(), Vec::<String>::new());
    assert_eq!(names(&project).len(), 9);

    // Lost frames, as after a crash: extraction restores the missing ones.
    let lost = names(&project)
        .into_iter()
        .find(|name| name.starts_with("classes/dog"))
        .unwrap();
    fs::remove_file(project.root().join(&lost)).unwrap();
    let dog = project
        .sources()
        .into_iter()
        .find(|source| source.name == "dog-1.mp4")
        .unwrap();
    assert_eq!(extract(&project, &dog.id, &work).unwrap(), 1);
    assert!(load_image(&project.root().join(&lost)).is_ok());
    // An empty file, as after a power cut.
    fs::write(project.root().join(&lost), "").unwrap();
    assert_eq!(extract(&project, &dog.id, &work).unwrap(), 1);
    assert!(load_image(&project.root().join(&lost)).is_ok());
}

#[test]
fn a_cancelled_extraction_goes_on_where_it_stopped() {
    let media = TempDir::new().unwrap();
    let path = make(&media, "walk.mp4", "testsrc2=s=320x240:r=30:d=10", &H264);
    let home = TempDir::new().unwrap();
    let project = Project::create(&home.path().join("p"), "p").unwrap();
    let options = ImportOptions {
        class_from: ClassFrom::File,
        sampling: sampling(30.0, 320),
        ..ImportOptions::default()
    };
    let work = cancelled_when(|work| {
        let progress = work.progress();
        progress.stage == "Extracting frames" && progress.done >= 20
    });
    let result = import(&project, std::slice::from_ref(&path), &options, &work);
    assert!(
        matches!(result, Err(MediaError::Cancelled(_))),
        "{result:?}"
    );
    let before = names(&project).len();
    assert!((20..300).contains(&before), "{before}");
    let source = project.sources().remove(0);
    assert_eq!(source.class, Some(ClassName::new("walk").unwrap()));
    assert_eq!(source.extracted, None);
    let leftovers = fs::read_dir(project.root().join("classes/walk")).unwrap();
    assert!(
        leftovers
            .map(|entry| entry.unwrap().path())
            .all(|path| path.extension().unwrap() == "jpg")
    );

    let written = extract(&project, &source.id, &Work::new()).unwrap();
    assert_eq!(written as usize, 300 - before);
    assert_eq!(names(&project).len(), 300);
    assert_eq!(project.source(&source.id).unwrap().extracted, Some(300));
}

#[test]
fn photos_are_copied_byte_for_byte_under_their_true_extension() {
    let media = TempDir::new().unwrap();
    for (name, seed) in [("img2.png", 2), ("img10.png", 10)] {
        let image = RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 6, y as u8 * 8, seed]));
        image.save(media.path().join(name)).unwrap();
    }
    fs::rename(media.path().join("img2.png"), media.path().join("img2.jpg")).unwrap();
    fs::write(
        media.path().join("broken.jpg"),
        [0xFF, 0xD8, 0xFF, 0xE0, 0, 16, 1, 2],
    )
    .unwrap();
    let home = TempDir::new().unwrap();
    let project = Project::create(&home.path().join("p"), "p").unwrap();
    let options = ImportOptions {
        class_from: ClassFrom::Chosen(ClassName::new("plant").unwrap()),
        ..ImportOptions::default()
    };
    let work = Work::new();
    let paths = [media.path().to_owned()];
    let outcome = import(&project, &paths, &options, &work).unwrap();
    let totals = outcome.totals();
    assert_eq!((totals.images, totals.frames, totals.failed), (2, 2, 1));
    let warnings = work.take_warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("broken.jpg"), "{warnings:?}");
    let names = names(&project);
    assert_eq!(names.len(), 2);
    for name in &names {
        assert!(
            name.starts_with("classes/plant/img") && name.contains("_photo_"),
            "{name}"
        );
        assert_eq!(Path::new(name).extension().unwrap(), "png", "{name}");
        let original = if name.contains("img10") {
            "img10.png"
        } else {
            "img2.jpg"
        };
        assert_eq!(
            fs::read(project.root().join(name)).unwrap(),
            fs::read(media.path().join(original)).unwrap()
        );
    }
    let again = import(&project, &paths, &options, &work).unwrap();
    assert_eq!((again.totals().imported, again.totals().known), (0, 2));
    assert_eq!(project.sources().len(), 1);
}

#[test]
fn classes_that_differ_by_case_only_are_refused() {
    let media = TempDir::new().unwrap();
    for folder in ["Cat", "cat"] {
        fs::create_dir(media.path().join(folder)).unwrap();
        let colour = if folder == "Cat" { "red" } else { "blue" };
        let source = format!("color={colour}:s=64x64:r=5:d=1");
        make(&media, &format!("{folder}/a.mp4"), &source, &H264);
    }
    let home = TempDir::new().unwrap();
    let project = Project::create(&home.path().join("p"), "p").unwrap();
    let options = ImportOptions {
        class_from: ClassFrom::Folder,
        sampling: sampling(1.0, 64),
        ..ImportOptions::default()
    };
    let work = Work::new();
    let outcome = import(&project, &[media.path().to_owned()], &options, &work).unwrap();
    let totals = outcome.totals();
    assert_eq!((totals.videos, totals.failed), (1, 1));
    let warnings = work.take_warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("“Cat”") && warnings[0].contains("“cat”"),
        "{warnings:?}"
    );
}

#[cfg(unix)]
#[test]
fn gathering_survives_loops_and_locked_folders() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let media = TempDir::new().unwrap();
    let root = media.path();
    fs::create_dir_all(root.join("a/b")).unwrap();
    for name in [
        "a/clip10.mp4",
        "a/clip2.mp4",
        "a/b/x.JPG",
        "a/notes.txt",
        "a/.secret.mp4",
        "a/@eaDir/clip2.mp4",
        "a/#recycle/clip3.mp4",
        "__MACOSX/a/clip2.mp4",
        "p/project.json",
        "p/classes/cat/c.jpg",
        "p/unsorted/u.jpg",
        "p/trash/classes/cat/t.jpg",
    ] {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    symlink(root, root.join("a/b/loop")).unwrap();
    let locked = root.join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    // Root can read everything.
    let refused = fs::read_dir(&locked).is_err();
    let work = Work::new();
    let gone = root.join("gone.jpg");
    let named = [root.to_owned(), root.join("a/notes.txt"), gone.clone()];
    let found = gather(&named, &work).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
    // Junk is skipped; an explicitly named file is opened, so that the error is reported.
    let expected = [
        "a/b/x.JPG",
        "a/clip2.mp4",
        "a/clip10.mp4",
        "a/notes.txt",
        "gone.jpg",
        "p/classes/cat/c.jpg",
        "p/unsorted/u.jpg",
    ];
    assert_eq!(found, expected.map(|name| root.join(name)));
    assert_eq!(work.take_warnings().len(), usize::from(refused));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_leaves_no_half_file() {
    let media = TempDir::new().unwrap();
    let path = make(&media, "a.mp4", "testsrc2=s=64x64:r=5:d=2", &H264);
    let home = TempDir::new().unwrap();
    let project = Project::create(&home.path().join("p"), "p").unwrap();
    let options = ImportOptions {
        sampling: sampling(5.0, 64),
        ..ImportOptions::default()
    };
    // A folder that is always full replaces the class folder, if the system allows creating one.
    let folder = project.root().join("unsorted");
    fs::remove_dir(&folder).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8k", "tmpfs"])
        .arg({
            fs::create_dir(&folder).unwrap();
            &folder
        })
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        eprintln!("SKIPPED: mounting a small disk needs more rights than this test has");
        return;
    }
    let result = import(&project, &[path], &options, &Work::new());
    let left: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let unmounted = Command::new("umount").arg(&folder).status().unwrap();
    assert!(unmounted.success());
    let message = result.unwrap_err().to_string();
    assert!(message.contains("the disk is full"), "{message}");
    assert!(
        left.iter().all(|path| path.extension().unwrap() == "jpg"),
        "{left:?}"
    );
}
