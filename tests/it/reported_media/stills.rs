//! Images that are incomplete, have several pages, or have fewer bits than their file.

use std::fs;
use std::io::Cursor;

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage};
use tempfile::TempDir;

use salamander::media::{ImageKind, Kind};

use super::{coded, collected, drawing, film, load};

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

/// Noise, which no format can compress.
fn noise(width: u32, height: u32) -> DynamicImage {
    let mut state = 1_u32;
    DynamicImage::from(RgbImage::from_fn(width, height, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [_, a, b, c] = state.to_be_bytes();
        Rgb([a, b, c])
    }))
}

fn written(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn a_cut_image_says_after_how_many_rows() {
    let image = noise(200, 60);
    for (format, name) in [
        (ImageFormat::Png, "a.png"),
        (ImageFormat::Gif, "a.gif"),
        (ImageFormat::Bmp, "a.bmp"),
        (ImageFormat::Tiff, "a.tif"),
    ] {
        let bytes = written(&image, format);
        let (whole, _) = load(&bytes, name).unwrap();
        assert_eq!(whole.height(), 60, "{name}");
        for tenths in [3, 5, 9] {
            let mut part = bytes[..bytes.len() * tenths / 10].to_vec();
            if format == ImageFormat::Tiff {
                // The directory is at the end: the cut keeps it, like a copy that lost a part in between.
                part = tiff(200, 60, 15);
                part.truncate(part.len() * tenths / 10);
            }
            let error = load(&part, name).expect_err(name);
            let rest = error
                .split_once("it is cut off after ")
                .unwrap_or_else(|| panic!("{name}: {error}"))
                .1;
            let mut numbers = rest.split(' ').filter_map(|word| word.parse::<f64>().ok());
            assert!(
                rest.contains(" of 60 rows; copy it again"),
                "{name}: {error}"
            );
            let there = numbers.next().unwrap();
            let expected = 6.0 * tenths as f64;
            assert!(
                (there - expected).abs() < 7.0,
                "{name}, {expected}: {error}"
            );
        }
    }
    // For every format: the missing part is reported, or the decoder's own error.
    let webp = written(&image, ImageFormat::WebP);
    let error = load(half(&webp), "a.webp").unwrap_err();
    let (there, of) = (webp.len() / 2, webp.len());
    let told = format!("it is cut off after {there} of {of} bytes; copy it again");
    assert!(error.contains(&told), "{error}");
    let tiff = written(&image, ImageFormat::Tiff);
    let error = load(half(&tiff), "a.tif").unwrap_err();
    assert!(error.contains("damaged TIFF image: it"), "{error}");
}

/// An uncompressed TIFF image with its directory before its strips of this many rows.
fn tiff(width: u32, height: u32, rows_per_strip: u32) -> Vec<u8> {
    let strips = height.div_ceil(rows_per_strip);
    let size = 3 * width * rows_per_strip;
    let entries = 10_u32;
    let lists = 8 + 2 + 12 * entries + 4;
    let data = lists + 6 + 8 * strips;
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((entries as u16).to_le_bytes());
    for (tag, kind, count, value) in [
        (256_u16, 4_u16, 1_u32, width),
        (257, 4, 1, height),
        (258, 3, 3, lists),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, strips, lists + 6),
        (277, 3, 1, 3),
        (278, 4, 1, rows_per_strip),
        (279, 4, strips, lists + 6 + 4 * strips),
        (284, 3, 1, 1),
    ] {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes.extend([8, 0, 8, 0, 8, 0]);
    bytes.extend((0..strips).flat_map(|strip| (data + strip * size).to_le_bytes()));
    bytes.extend((0..strips).flat_map(|_| size.to_le_bytes()));
    bytes.extend(noise(width, height).into_rgb8().into_raw());
    bytes
}

#[test]
fn an_image_damaged_in_its_middle_says_what_the_decoder_says() {
    let image = noise(40, 60);
    let mut png = written(&image, ImageFormat::Png);
    let middle = png.len() / 2;
    png[middle] ^= 0xFF;
    let error = load(&png, "a.png").unwrap_err();
    assert!(
        error.contains("damaged PNG image: ") && error.contains('('),
        "{error}"
    );
    assert!(!error.contains("cut off"), "{error}");
    let error = load(
        b"BM\x1a\0\0\0\0\0\0\0\x1a\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0",
        "a.bmp",
    );
    let error = error.unwrap_err();
    assert!(
        error.len() > "“a.bmp” is a damaged BMP image".len() + 10,
        "{error}"
    );
    // The correct TIFF is read.
    assert_eq!(
        load(&tiff(40, 60, 15), "a.tif").unwrap().0.into_raw(),
        image.to_rgb8().into_raw()
    );
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

    // The missing part is reported as a percentage; a thumbnail with its own end marker before it changes nothing.
    let mut cut = half(&whole).to_vec();
    cut.splice(2..2, *b"\xFF\xE1\0\x08\xFF\xD8\xFF\xD9\0\0");
    let error = load(&cut, "cut.jpg").unwrap_err();
    assert!(
        error.contains("the lower") && error.contains("% of it are missing"),
        "{error}"
    );

    // A network camera lost packets in between; the end is there.
    let mut lossy = half(&whole).to_vec();
    lossy.extend([0xFF, 0xD9]);
    let error = load(&lossy, "lossy.jpg").unwrap_err();
    assert!(error.contains("the lower"), "{error}");
    // A complete image with a lower part of one colour is not damaged.
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

    // An interrupted copy on a disk that had already allocated its space.
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
    // So early that even the first pass is missing.
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
        ["“a.webp” is animated; only its first image was used"]
    );

    let pages = tiff_of_pages(3);
    let (image, remarks) = load(&pages, "scan.tif").unwrap();
    assert_eq!(image.dimensions(), (4, 4));
    assert_eq!(remarks.len(), 1);
    assert!(
        remarks[0].contains("3 pages; only the first was used"),
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
    // The file declares more bits than the largest value needs: a dark image of a 12-bit camera.
    let mut stated = grey(900);
    let mut chunk = b"\0\0\0\x01sBIT\x0C".to_vec();
    chunk.extend(crc32(&chunk[4..]).to_be_bytes());
    stated.splice(33..33, chunk);
    let (image, _) = load(&stated, "stated.png").unwrap();
    assert_eq!(image.get_pixel(63, 0), &Rgb([56; 3]));
}

#[test]
fn the_largest_value_that_a_pixmap_names_is_white() {
    // 1023, 512 and a dark 100 of ten bits; then the same without declaring it.
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
