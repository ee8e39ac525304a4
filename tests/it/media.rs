//! Videos and photos that are damaged, unusual or none: what they give, in one sentence each; cancelling.

use std::fs;
use std::path::Path;

use salamander::media::{JpegSampler, MediaError, load_image, poster, probe};
use salamander::project::Sampling;
use tempfile::TempDir;

use super::compared::{H264, make, sample, sampling};
use crate::cancel::cancelled_at_check;

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
        (folder.path().join("nowhere.mp4"), "it does not exist"),
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
    assert!(refused(&backwards).contains("the end is before the start"));
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
