//! Films with gaps, still images, wrong times and several tracks.

use tempfile::TempDir;

use salamander::project::Sampling;

use crate::cli_program::ffmpeg;

use super::{at, film, sample};

const H264: [&str; 6] = [
    "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p",
];

#[test]
fn an_hour_without_an_image_is_not_filled() {
    let folder = TempDir::new().unwrap();
    // Five seconds, an hour's gap, five seconds.
    let source = "testsrc2=s=96x64:r=5:d=10,setpts='PTS+gte(T,5)*3600/TB'";
    for name in ["gap.mkv", "gap.mp4", "gap.mov"] {
        let coding: Vec<&str> = H264.into_iter().chain(["-vsync", "vfr"]).collect();
        let path = film(folder.path(), name, source, &coding);
        let (times, warnings) = sample(&path, &at(2.0)).unwrap();
        assert!((20..=22).contains(&times.len()), "{name}: {times:?}");
        assert!(times[0].abs() < 1e-6 && (times[5] - 2.5).abs() < 1e-6);
        let late = times.iter().filter(|time| **time >= 3605.0).count();
        assert!((10..=11).contains(&late), "{name}: {times:?}");
        assert_eq!(warnings.len(), 1, "{name}: {warnings:?}");
        assert!(
            warnings[0].contains("no image between 0:05 and 1:00:05"),
            "{warnings:?}"
        );
        // A range is still a range.
        let range = Sampling {
            from_secs: Some(2.0),
            to_secs: Some(3607.0),
            ..at(2.0)
        };
        let (times, _) = sample(&path, &range).unwrap();
        assert!((10..=12).contains(&times.len()), "{name}: {times:?}");
        assert!(
            times.iter().all(|time| (2.0..3607.0).contains(time)),
            "{times:?}"
        );
    }
}

#[test]
fn a_picture_that_comes_long_after_the_sound_does_not_stand_for_the_time_before() {
    let folder = TempDir::new().unwrap();
    let flat = film(folder.path(), "flat.mp4", "testsrc2=s=96x64:r=5:d=5", &H264);
    let path = folder.path().join("late.mkv");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "sine=d=606:r=8000",
        "-itsoffset",
        "600",
        "-i",
        flat.to_str().unwrap(),
        "-map",
        "0:a",
        "-map",
        "1:v",
        "-c:v",
        "copy",
        "-c:a",
        "aac",
        path.to_str().unwrap(),
    ]);
    let (times, warnings) = sample(&path, &at(2.0)).unwrap();
    assert!((10..=11).contains(&times.len()), "{times:?}");
    assert!(times[0] >= 599.9, "{times:?}");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("between 0:00 and 10:00"),
        "{warnings:?}"
    );
}

#[test]
fn a_still_image_is_not_written_a_thousand_times() {
    let folder = TempDir::new().unwrap();
    // Like a film of equal images, with a key frame every few seconds.
    let coding: Vec<&str> = H264.into_iter().chain(["-g", "50", "-crf", "30"]).collect();
    let still = "testsrc2=s=96x64:r=5:d=0.2,loop=loop=-1:size=1:start=0,trim=duration=600";
    let path = film(folder.path(), "still.mp4", still, &coding);
    let (times, warnings) = sample(&path, &at(2.0)).unwrap();
    // The encoder takes a while to settle, so there may be a second stretch.
    assert!((240..=480).contains(&times.len()), "{}", times.len());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let left_out = format!("{} left out", 1200 - times.len());
    assert!(
        warnings[0].contains("to 9:59") && warnings[0].contains(&left_out),
        "{warnings:?}"
    );
    // As one image with a long duration.
    let one = film(
        folder.path(),
        "one.mkv",
        "testsrc2=s=96x64:r=5:d=0.4,setpts='PTS+gte(N,1)*3600/TB'",
        &["-c:v", "ffv1", "-vsync", "vfr"],
    );
    let (times, warnings) = sample(&one, &at(2.0)).unwrap();
    assert!(times.len() <= 6, "{times:?}");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    // A camera that freezes for five minutes between moving images: these are all there.
    let freeze = "testsrc2=s=96x64:r=5:d=20,loop=loop=1500:size=1:start=50";
    let path = film(folder.path(), "freeze.mp4", freeze, &H264);
    let (times, warnings) = sample(&path, &at(2.0)).unwrap();
    // Encoded again, the frozen image changes once or twice at first.
    assert!((278..=480).contains(&times.len()), "{}", times.len());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

#[test]
fn slides_and_quiet_cameras_are_sampled_as_ever() {
    let folder = TempDir::new().unwrap();
    // One slide every three seconds.
    let slides = film(
        folder.path(),
        "slides.mp4",
        "testsrc2=s=96x64:r=1/3:d=30",
        &H264,
    );
    let (times, warnings) = sample(&slides, &at(2.0)).unwrap();
    assert_eq!((times.len(), warnings), (60, Vec::new()));
    // One image per minute, in a container with a time base of minutes: each of them is there, none lasts a minute.
    let lapse = film(
        folder.path(),
        "lapse.avi",
        "testsrc2=s=96x64:r=1/60:d=300",
        &["-c:v", "mjpeg"],
    );
    let (times, warnings) = sample(&lapse, &at(2.0)).unwrap();
    let minutes: std::collections::BTreeSet<i64> =
        times.iter().map(|time| (time / 60.0) as i64).collect();
    assert_eq!(minutes.len(), 5, "{times:?}");
    assert!(times.len() <= 25, "{times:?}");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    // A still background with something small moving on it, for three minutes.
    let quiet = "color=gray:s=96x64:r=5:d=180[a];color=white:s=4x4:r=5:d=180[b];[a][b]overlay=x='mod(t*8\\,92)':y=30";
    let path = film(folder.path(), "quiet.mp4", quiet, &H264);
    let (times, warnings) = sample(&path, &at(2.0)).unwrap();
    assert_eq!((times.len(), warnings), (360, Vec::new()));
}

#[test]
fn one_wrong_time_does_not_stretch_the_film() {
    let folder = TempDir::new().unwrap();
    let flat = film(
        folder.path(),
        "flat.mkv",
        "testsrc2=s=96x64:r=10:d=5",
        &["-c:v", "mjpeg"],
    );
    for (name, condition) in [("once.mkv", "eq(N,20)"), ("twice.mkv", "eq(N,12)+eq(N,31)")] {
        let path = folder.path().join(name);
        let times = format!("setts=pts='PTS+({condition})*36000/TB':dts=DTS");
        ffmpeg(&[
            "-i",
            flat.to_str().unwrap(),
            "-c",
            "copy",
            "-bsf:v",
            &times,
            path.to_str().unwrap(),
        ]);
        let (times, warnings) = sample(&path, &at(2.0)).unwrap();
        assert_eq!(times.len(), 10, "{name}: {times:?}");
        assert!(
            warnings.iter().any(|text| text.contains("wrong time")),
            "{name}: {warnings:?}"
        );
    }
}

#[test]
fn a_second_video_track_is_told() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("two.mp4");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=96x64:r=5:d=2",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=192x128:r=5:d=2",
        "-map",
        "0",
        "-map",
        "1",
        "-c:v",
        "libx264",
        path.to_str().unwrap(),
    ]);
    let (times, warnings) = sample(&path, &at(2.0)).unwrap();
    assert_eq!(times.len(), 4);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("2 video tracks") && warnings[0].contains("96 × 64"),
        "{warnings:?}"
    );
}
