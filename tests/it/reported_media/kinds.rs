//! The kind of a file, by content, and that all parts of the program agree on it.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use salamander::jobs::Work;
use salamander::media::{ImageKind, Kind, load_image};
use salamander::project::{Frame, Label, Project};

use crate::cli_program::Place;

use super::{at, coded, difference, drawing, film, sample};

#[test]
fn images_of_every_format_are_read_alike_whatever_they_are_called() {
    let folder = TempDir::new().unwrap();
    let picture = drawing(7);
    let cases: [(&str, &[&str], ImageKind, f64); 12] = [
        ("a.jpg", &["-q:v", "1"], ImageKind::Jpeg, 6.0),
        ("a.png", &[], ImageKind::Png, 0.0),
        ("a.webp", &["-lossless", "1"], ImageKind::WebP, 0.5),
        ("a.bmp", &[], ImageKind::Bmp, 0.0),
        ("a.tif", &[], ImageKind::Tiff, 0.0),
        ("a.ppm", &[], ImageKind::Pnm, 0.0),
        ("a.pam", &[], ImageKind::Pnm, 0.0),
        ("a.qoi", &[], ImageKind::Qoi, 0.0),
        (
            "a.avif",
            &["-c:v", "libaom-av1", "-crf", "10", "-still-picture", "1"],
            ImageKind::Avif,
            8.0,
        ),
        ("a.jxl", &["-distance", "0.5"], ImageKind::JpegXl, 10.0),
        (
            "a.jp2",
            &["-c:v", "jpeg2000", "-q:v", "1"],
            ImageKind::Jpeg2000,
            6.0,
        ),
        (
            "a.jls",
            &["-c:v", "jpegls"],
            ImageKind::Rare("JPEG-LS"),
            0.0,
        ),
    ];
    for (name, coding, kind, most) in cases {
        let path = coded(folder.path(), name, &picture, coding);
        assert_eq!(Kind::of(&path).unwrap(), Kind::Image(kind), "{name}");
        for other in ["without-extension", "photo.dat", "wrong.mp4"] {
            let other = folder.path().join(other);
            fs::copy(&path, &other).unwrap();
            let found = Kind::of(&other).unwrap();
            assert_eq!(found, Kind::Image(kind), "{name} as {}", other.display());
            let read = load_image(&other).unwrap();
            let difference = difference(&read, &picture);
            assert!(difference <= most, "{name}: {difference}");
        }
    }
    // TGA has no signature: there the name counts.
    let path = coded(folder.path(), "a.tga", &picture, &[]);
    assert_eq!(Kind::of(&path).unwrap(), Kind::Image(ImageKind::Tga));
    assert!(difference(&load_image(&path).unwrap(), &picture) < 0.01);
}

#[test]
fn films_are_known_by_content_and_sampled() {
    let folder = TempDir::new().unwrap();
    let source = "testsrc2=s=96x64:r=25:d=4";
    let cases: [(&str, &[&str], usize); 10] = [
        ("a.h264", &["-c:v", "libx264", "-f", "h264"], 8),
        (
            "a.h265",
            &[
                "-c:v",
                "libx265",
                "-x265-params",
                "log-level=none",
                "-f",
                "hevc",
            ],
            8,
        ),
        ("a.mjpeg", &["-c:v", "mjpeg", "-f", "mjpeg"], 8),
        ("a.MOD", &["-c:v", "mpeg2video", "-f", "mpeg"], 8),
        ("a.TOD", &["-c:v", "mpeg2video", "-f", "mpegts"], 8),
        ("a.m2v", &["-c:v", "mpeg2video", "-f", "mpeg2video"], 8),
        (
            "a.ivf",
            &[
                "-c:v",
                "libvpx-vp9",
                "-cpu-used",
                "8",
                "-deadline",
                "realtime",
                "-f",
                "ivf",
            ],
            8,
        ),
        ("a.nut", &["-c:v", "ffv1", "-f", "nut"], 8),
        ("a.gif", &["-f", "gif"], 8),
        ("a.apng", &["-f", "apng"], 8),
    ];
    for (name, coding, frames) in cases {
        let path = film(folder.path(), name, source, coding);
        let mut names = vec![path.clone()];
        let bare = folder.path().join("no-extension");
        fs::copy(&path, &bare).unwrap();
        names.push(bare);
        for path in names {
            let kind = Kind::of(&path).unwrap();
            assert!(kind.is_film(), "{name} as {}: {kind}", path.display());
            let (times, warnings) = sample(&path, &at(2.0)).unwrap();
            assert!(
                times.len().abs_diff(frames) <= 1,
                "{name}: {} frames",
                times.len()
            );
            assert_eq!(warnings, Vec::<String>::new(), "{name}");
        }
    }
    // A single image is not a film.
    let still = film(folder.path(), "one.gif", "testsrc2=s=96x64:r=5:d=0.2", &[]);
    assert_eq!(Kind::of(&still).unwrap(), Kind::Image(ImageKind::Gif));
}

#[test]
fn a_long_gif_is_followed_past_its_first_image() {
    let folder = TempDir::new().unwrap();
    // Noise does not compress: the first image alone is longer than what is read of other files.
    let noisy = "nullsrc=s=400x300:r=5:d=1,geq=random(1)*255:128:128";
    let path = film(folder.path(), "noise.gif", noisy, &[]);
    assert!(fs::metadata(&path).unwrap().len() > 5 * 65536);
    assert_eq!(Kind::of(&path).unwrap().to_string(), "animated GIF video");
}

#[test]
fn what_is_neither_is_named() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let noise: Vec<u8> = (0..200_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let mut tiff = b"II*\0\x08\0\0\0\x01\0\x06\x01\x03\0\x01\0\0\0\x02\0\0\0\0\0\0\0".to_vec();
    let sound = film(
        folder.path(),
        "sound.mp3",
        "sine=d=1",
        &["-write_id3v2", "0"],
    );
    for (path, kind) in [
        (
            file("IMG_1.CR2", b"II*\0\x10\0\0\0CR\x02\0\0\0\0\0"),
            Kind::CameraRaw("Canon CR2"),
        ),
        (
            file("IMG_2.dat", b"\0\0\0\x18ftypcrx \0\0\0\x01"),
            Kind::CameraRaw("Canon CR3"),
        ),
        (file("IMG_3.NEF", &tiff), Kind::CameraRaw("Nikon NEF")),
        (file("photo.tif", &tiff), Kind::Image(ImageKind::Tiff)),
        (file("empty.mp4", b""), Kind::Empty),
        (file("notes.ts", b"let film: string;\n"), Kind::Text),
        (file("module.mod", b"! Fortran module\n"), Kind::Text),
        (file("set.zip", b"PK\x03\x04\x14\0\0\0"), Kind::Archive),
        (
            file("table.npy", b"\x93NUMPY\x01\0v\0{'descr': '<f4'}"),
            Kind::Unknown,
        ),
        (file("noise.bin", &noise), Kind::Unknown),
        (sound, Kind::Sound),
    ] {
        assert_eq!(Kind::of(&path).unwrap(), kind, "{}", path.display());
    }
    // A DNG is recognised by its tags.
    tiff[10..12].copy_from_slice(&50706_u16.to_le_bytes());
    let renamed = file("renamed.tif", &tiff);
    let error = load_image(&renamed).unwrap_err().to_string();
    assert!(
        error.contains("camera raw") && error.contains("save it as JPEG"),
        "{error}"
    );
    let error = load_image(&folder.path().join("IMG_3.NEF"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Nikon NEF") && error.contains("save it as JPEG"),
        "{error}"
    );
    let error = Kind::of(folder.path()).unwrap_err().to_string();
    assert!(error.contains("is a folder"), "{error}");
}

#[test]
fn what_is_imported_is_counted_shown_and_trained_on() {
    let place = Place::new();
    let films = [("cam.mjpeg", "mjpeg"), ("picam.h264", "h264")];
    for class in ["cat", "dog"] {
        let folder = place.path(format!("in/{class}"));
        fs::create_dir_all(&folder).unwrap();
        let seed = if class == "cat" { 3 } else { 90 };
        coded(
            &folder,
            "0.avif",
            &drawing(seed),
            &["-c:v", "libaom-av1", "-still-picture", "1"],
        );
        coded(&folder, "1.jxl", &drawing(seed + 1), &[]);
        coded(&folder, "2.ppm", &drawing(seed + 2), &[]);
        coded(&folder, "3.qoi", &drawing(seed + 3), &[]);
        coded(&folder, "4.tga", &drawing(seed + 4), &[]);
        coded(&folder, "5.jp2", &drawing(seed + 5), &["-c:v", "jpeg2000"]);
        for (name, format) in films {
            let source = format!("testsrc2=s=96x64:r=25:d=1.1,hue=h={seed}");
            film(&folder, name, &source, &["-f", format]);
        }
    }
    assert_eq!(place.line("new p").code, Some(0));
    let imported = place.result("import p in --class-from folder --fps 4");
    // Six photos and two films of at least four frames in each class.
    let frames = imported["frames"].as_u64().unwrap();
    assert!(frames >= 2 * (6 + 2 * 4), "{imported}");
    let project = Project::open(&place.path("p")).unwrap();
    let found = project.scan(&Work::new()).unwrap();
    assert_eq!(found.list.len() as u64, frames);
    for frame in &found.list {
        assert!(matches!(frame.label, Label::Class(_)), "{}", frame.path);
        load_image(&frame.abs(&project)).unwrap();
    }
    drop(project);
    let features =
        place.result("features p --out f.safetensors --architecture efficientnet-lite0@96");
    assert_eq!(
        (features["frames"].as_u64(), features["skipped"].as_u64()),
        (Some(frames), Some(0))
    );
    let listed = place.result("classes p");
    assert_eq!(listed["classes"][0]["frames"].as_u64().unwrap() * 2, frames);
}

#[test]
fn a_scan_knows_every_image_and_names_what_is_none() {
    let place = Place::new();
    let project = Project::create(&place.path("p"), "p").unwrap();
    let class = place.path("p/classes/cat");
    fs::create_dir_all(&class).unwrap();
    coded(
        &class,
        "a.avif",
        &drawing(1),
        &["-c:v", "libaom-av1", "-still-picture", "1"],
    );
    coded(&class, "b.jxl", &drawing(2), &[]);
    coded(&class, "c.pgm", &drawing(3), &[]);
    coded(&class, "d.jpg", &drawing(4), &[]);
    // Recognised by their content alone.
    fs::rename(class.join("d.jpg"), class.join("d")).unwrap();
    fs::copy(class.join("c.pgm"), class.join("e.camera7")).unwrap();
    fs::write(class.join("labels.txt"), "cat\n").unwrap();
    fs::write(
        class.join("Thumbs.db"),
        [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1],
    )
    .unwrap();
    // A copy in progress.
    fs::copy(class.join("d"), class.join("f.jpg.part")).unwrap();
    fs::write(class.join("clip.mp4"), "x").unwrap();
    fs::write(class.join("IMG_1.NEF"), "x").unwrap();
    let work = Work::new();
    let frames = project.scan(&work).unwrap();
    let names: Vec<&str> = frames.list.iter().map(Frame::file_name).collect();
    assert_eq!(names, ["a.avif", "b.jxl", "c.pgm", "d", "e.camera7"]);
    let warnings = work.take_warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].contains("1 video is not a frame"),
        "{warnings:?}"
    );
    assert!(warnings[1].contains("1 camera raw photo"), "{warnings:?}");
    // One warning is enough: the window scans whenever something changes.
    project.scan(&work).unwrap();
    assert_eq!(work.take_warnings(), Vec::<String>::new());
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_unicode_stop_only_themselves() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let project = Project::create(&place.path("p"), "p").unwrap();
    let class = place.path("p/classes/cat");
    fs::create_dir_all(&class).unwrap();
    drawing(1).save(class.join("a.png")).unwrap();
    drawing(2).save(class.join("b.png")).unwrap();
    fs::copy(
        class.join("a.png"),
        class.join(OsStr::from_bytes(b"caf\xE9.png")),
    )
    .unwrap();
    let inner = class.join(OsStr::from_bytes(b"d\xE9j\xE0"));
    fs::create_dir(&inner).unwrap();
    fs::copy(class.join("a.png"), inner.join("c.png")).unwrap();
    let other = place.path("p/classes").join(OsStr::from_bytes(b"ca\xF1a"));
    fs::create_dir(&other).unwrap();
    let work = Work::new();
    let frames = project.scan(&work).unwrap();
    assert_eq!(frames.list.len(), 2);
    let warnings = work.take_warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings
            .iter()
            .any(|text| text.contains("2 files or folders")),
        "{warnings:?}"
    );
}

#[test]
fn the_readme_names_what_is_read() {
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for extension in Kind::media_extensions() {
        let Some(Kind::Image(image)) = Kind::of_extension(extension) else {
            continue;
        };
        let name = image.name();
        let rare = matches!(image, ImageKind::Rare(_));
        assert!(rare || readme.contains(name), "{name}");
    }
}
