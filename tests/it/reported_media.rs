//! What a file is and what comes out of it: reports from users of neighbouring tools, rebuilt in miniature.
//!
//! The inputs are made here; where the collection of reported files lies beside the repository
//! (`SALAMANDER_DATA`, else `../shared/data`), it is gone through as well.

use std::fs;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageBuffer, Luma, Rgb, RgbImage};
use tempfile::TempDir;

use salamander::jobs::Work;
use salamander::media::{ImageKind, Kind, MediaError, Sampler, load_image, load_still};
use salamander::project::{Fps, Label, Project, Sampling};

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

/// A picture in which every row and column differs.
fn drawing(seed: u8) -> RgbImage {
    RgbImage::from_fn(96, 64, |x, y| {
        Rgb([
            (x * 2) as u8 ^ seed,
            (y * 3) as u8,
            ((x * y) as u8).wrapping_add(seed.wrapping_mul(29)),
        ])
    })
}

/// Writes `picture` as the format that FFmpeg takes from the name.
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

// --- What a file is

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
    // One image is no film.
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
    // A DNG says what it is inside.
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
    // Known by their content alone.
    fs::rename(class.join("d.jpg"), class.join("d")).unwrap();
    fs::copy(class.join("c.pgm"), class.join("e.camera7")).unwrap();
    fs::write(class.join("labels.txt"), "cat\n").unwrap();
    fs::write(
        class.join("Thumbs.db"),
        [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1],
    )
    .unwrap();
    // A copy that is under way.
    fs::copy(class.join("d"), class.join("f.jpg.part")).unwrap();
    fs::write(class.join("clip.mp4"), "x").unwrap();
    fs::write(class.join("IMG_1.NEF"), "x").unwrap();
    let work = Work::new();
    let frames = project.scan(&work).unwrap();
    let names: Vec<&str> = frames.list.iter().map(|frame| frame.file_name()).collect();
    assert_eq!(names, ["a.avif", "b.jxl", "c.pgm", "d", "e.camera7"]);
    let warnings = work.take_warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("1 video is no frame"), "{warnings:?}");
    assert!(warnings[1].contains("1 camera raw photo"), "{warnings:?}");
    // Once is enough: the window scans whenever something changes.
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

// --- Images that are not all there, or not all taken

/// The first half of a file.
fn half(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() / 2]
}

#[test]
fn an_image_cut_in_half_is_refused_in_every_format() {
    let folder = TempDir::new().unwrap();
    // Large enough that half of the file is half of the image.
    let picture = RgbImage::from_fn(256, 256, |x, y| {
        Rgb([(x * y) as u8, (x ^ y) as u8, (x * 3 + y * 7) as u8])
    });
    let cases: [(&str, &[&str]); 13] = [
        ("a.jpg", &["-q:v", "2"]),
        ("a.png", &[]),
        ("a.webp", &[]),
        ("lossless.webp", &["-lossless", "1"]),
        ("a.bmp", &[]),
        ("a.tif", &["-compression_algo", "raw"]),
        ("lzw.tif", &["-compression_algo", "lzw"]),
        ("a.gif", &[]),
        ("a.ppm", &[]),
        ("a.qoi", &[]),
        ("a.avif", &["-c:v", "libaom-av1", "-still-picture", "1"]),
        ("a.jxl", &[]),
        ("a.jp2", &["-c:v", "jpeg2000"]),
    ];
    for (name, coding) in cases {
        let path = coded(folder.path(), name, &picture, coding);
        let bytes = fs::read(&path).unwrap();
        load(&bytes, name).unwrap();
        for part in [half(&bytes), &bytes[..bytes.len() * 9 / 10]] {
            let error = load(part, name).expect_err(name);
            assert!(error.contains("damaged"), "{name}: {error}");
        }
    }
    let tga = coded(folder.path(), "a.tga", &picture, &[]);
    let bytes = fs::read(tga).unwrap();
    assert!(load(half(&bytes), "a.tga").is_err());
}

#[test]
fn a_jpeg_that_lacks_its_end_marker_only_is_whole() {
    let picture = DynamicImage::from(drawing(5));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Jpeg)
        .unwrap();
    let whole = bytes.into_inner();
    assert!(whole.ends_with(&[0xFF, 0xD9]));
    let (expected, _) = load(&whole, "a.jpg").unwrap();
    let (image, remarks) = load(&whole[..whole.len() - 2], "a.jpg").unwrap();
    assert_eq!(image, expected);
    assert_eq!(remarks, Vec::<String>::new());

    // What is missing is told by its share; a thumbnail with an end of its own in front changes nothing.
    let mut cut = half(&whole).to_vec();
    cut.splice(2..2, *b"\xFF\xE1\0\x08\xFF\xD8\xFF\xD9\0\0");
    let error = load(&cut, "cut.jpg").unwrap_err();
    assert!(
        error.contains("the lower") && error.contains("% of it are missing"),
        "{error}"
    );

    // A camera on a network lost the packets between; the end is there.
    let mut lossy = half(&whole).to_vec();
    lossy.extend([0xFF, 0xD9]);
    let error = load(&lossy, "lossy.jpg").unwrap_err();
    assert!(error.contains("the lower"), "{error}");
    // A whole one whose lower part is of one colour is none of these.
    let flat = RgbImage::from_fn(96, 96, |x, y| {
        Rgb(if y < 40 {
            [(x * 2) as u8, y as u8, 90]
        } else {
            [250; 3]
        })
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    flat.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    load(bytes.get_ref(), "flat.jpg").unwrap();

    // A copy broken off on a disk that had given it room already.
    let mut padded = half(&whole).to_vec();
    padded.resize(whole.len() + 2000, 0);
    let error = load(&padded, "padded.jpg").unwrap_err();
    assert!(error.contains("the lower"), "{error}");
}

#[test]
fn a_progressive_jpeg_cut_short_is_coarse_and_says_so() {
    let Some(data) = collected("awkward-images") else {
        return;
    };
    let bytes = fs::read(data.join("jpeg/progressive.jpg")).unwrap();
    let (whole, remarks) = load(&bytes, "a.jpg").unwrap();
    assert!(remarks.is_empty());
    let (coarse, remarks) = load(half(&bytes), "a.jpg").unwrap();
    assert_eq!(coarse.dimensions(), whole.dimensions());
    assert_eq!(remarks.len(), 1);
    assert!(remarks[0].contains("coarser"), "{remarks:?}");
    // So early that not even the first pass is there.
    assert!(load(&bytes[..bytes.len() / 30], "a.jpg").is_err());
}

#[test]
fn further_pages_and_animations_are_told() {
    let folder = TempDir::new().unwrap();
    let animated = film(
        folder.path(),
        "a.webp",
        "testsrc2=s=96x64:r=5:d=1",
        &["-c:v", "libwebp_anim"],
    );
    let bytes = fs::read(&animated).unwrap();
    assert_eq!(Kind::of(&animated).unwrap(), Kind::Image(ImageKind::WebP));
    let (_, remarks) = load(&bytes, "a.webp").unwrap();
    assert_eq!(
        remarks,
        ["“a.webp” is animated; only its first image was taken"]
    );

    let pages = tiff_of_pages(3);
    let (image, remarks) = load(&pages, "scan.tif").unwrap();
    assert_eq!(image.dimensions(), (4, 4));
    assert_eq!(remarks.len(), 1);
    assert!(
        remarks[0].contains("3 pages; only the first was taken"),
        "{remarks:?}"
    );
    assert!(load(&tiff_of_pages(1), "scan.tif").unwrap().1.is_empty());
}

/// A TIFF of grey pages of 4 × 4 pixels, uncompressed.
fn tiff_of_pages(count: u32) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    for page in 0..count {
        let start = bytes.len() as u32;
        let entries: [(u16, u32); 9] = [
            (256, 4),
            (257, 4),
            (258, 8),
            (259, 1),
            (262, 1),
            (273, start + 2 + 9 * 12 + 4),
            (277, 1),
            (278, 4),
            (279, 16),
        ];
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend([4, 0, 1, 0, 0, 0]);
            bytes.extend(value.to_le_bytes());
        }
        let next = start + 2 + 9 * 12 + 4 + 16;
        let next = if page + 1 < count { next } else { 0 };
        bytes.extend(next.to_le_bytes());
        bytes.extend([page as u8 * 50; 16]);
    }
    bytes
}

#[test]
fn values_of_ten_twelve_and_fourteen_bits_are_brought_to_the_full_range() {
    let grey = |top: u16| {
        let picture: ImageBuffer<Luma<u16>, _> =
            ImageBuffer::from_fn(64, 4, |x, _| Luma([(u32::from(top) * x / 63) as u16]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        DynamicImage::from(picture)
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    };
    for (top, depth) in [(1023, 10), (4095, 12), (16383, 14)] {
        let (image, remarks) = load(&grey(top), "depth.png").unwrap();
        assert_eq!(image.get_pixel(63, 0), &Rgb([255; 3]), "{depth} bits");
        assert_eq!(image.get_pixel(0, 0), &Rgb([0; 3]));
        assert!(image.get_pixel(32, 0).0[0].abs_diff(129) <= 1);
        assert_eq!(remarks.len(), 1);
        assert!(
            remarks[0].contains(&format!("read as {depth}-bit")),
            "{remarks:?}"
        );
    }
    let (image, remarks) = load(&grey(65535), "full.png").unwrap();
    assert_eq!(image.get_pixel(63, 0), &Rgb([255; 3]));
    assert!(remarks.is_empty());
    // The file states more bits than the largest value needs: a dark image of a 12-bit camera.
    let mut stated = grey(900);
    let mut chunk = b"\0\0\0\x01sBIT\x0C".to_vec();
    chunk.extend(crc32(&chunk[4..]).to_be_bytes());
    stated.splice(33..33, chunk);
    let (image, _) = load(&stated, "stated.png").unwrap();
    assert_eq!(image.get_pixel(63, 0), &Rgb([56; 3]));
}

#[test]
fn the_largest_value_that_a_pixmap_names_is_white() {
    // 1023, 512 and a dark 100 of ten bits; then the same without saying so.
    let values: [u16; 3] = [1023, 512, 100];
    let file = |largest: &str| {
        let mut bytes = format!("P5\n3 1\n{largest}\n").into_bytes();
        bytes.extend(values.iter().flat_map(|value| value.to_be_bytes()));
        bytes
    };
    let grey = |bytes: &[u8]| {
        let (image, remarks) = load(bytes, "a.pgm").unwrap();
        let values: Vec<u8> = image.pixels().map(|pixel| pixel.0[0]).collect();
        (values, remarks.len())
    };
    assert_eq!(grey(&file("1023")), (vec![255, 128, 25], 0));
    assert_eq!(grey(&file("4095")), (vec![64, 32, 6], 0));
    assert_eq!(grey(&file("65535")), (vec![255, 128, 25], 1));
}

/// The check sum of PNG chunks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg())
        })
    })
}

// --- Films with gaps, stills, wrong times

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
    // As a film of equal images, coded anew every few seconds.
    let coding: Vec<&str> = H264.into_iter().chain(["-g", "50", "-crf", "30"]).collect();
    let still = "testsrc2=s=96x64:r=5:d=0.2,loop=loop=-1:size=1:start=0,trim=duration=600";
    let path = film(folder.path(), "still.mp4", still, &coding);
    let (times, warnings) = sample(&path, &at(2.0)).unwrap();
    // The encoder takes a while to settle, so that there may be a second stretch.
    assert!((240..=480).contains(&times.len()), "{}", times.len());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let left_out = format!("{} left out", 1200 - times.len());
    assert!(
        warnings[0].contains("to 9:59") && warnings[0].contains(&left_out),
        "{warnings:?}"
    );
    // As one image that lasts.
    let one = film(
        folder.path(),
        "one.mkv",
        "testsrc2=s=96x64:r=5:d=0.4,setpts='PTS+gte(N,1)*3600/TB'",
        &["-c:v", "ffv1", "-vsync", "vfr"],
    );
    let (times, warnings) = sample(&one, &at(2.0)).unwrap();
    assert!(times.len() <= 6, "{times:?}");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    // A camera that freezes for five minutes between moving pictures: these are all there.
    let freeze = "testsrc2=s=96x64:r=5:d=20,loop=loop=1500:size=1:start=50";
    let path = film(folder.path(), "freeze.mp4", freeze, &H264);
    let (times, warnings) = sample(&path, &at(2.0)).unwrap();
    // Coded anew, the frozen image changes once or twice at first.
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
    // One image a minute, in a container that counts in minutes: each of them is there, none for a minute.
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
    // A still background on which something small moves, for three minutes.
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

// --- The collection

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
