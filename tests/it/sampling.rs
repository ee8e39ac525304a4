//! Sampling compared with the `ffmpeg` program: the same frames at the same times, the same count.

use std::fs;

use salamander::jobs::Work;
use salamander::media::{JpegSampler, poster, probe};
use salamander::project::Sampling;
use tempfile::TempDir;

use super::compared::{H264, assert_like_ffmpeg, ffmpeg, make, psnr, sample, sampling};

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
