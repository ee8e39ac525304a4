//! Still images: by content, not by extension; upright; 8-bit RGB.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::error::{ImageError, LimitErrorKind};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use super::{MediaError, odd_still};

/// Above this a picture is refused: 200 megapixels are 600 MB as RGB.
const MAX_PIXELS: u64 = 200_000_000;
/// Above this a decoder may not allocate: room for the picture itself at 4 bytes a pixel.
const MAX_ALLOC_BYTES: u64 = 4 * MAX_PIXELS;
/// Above this a file is not read into memory: no photo is that long.
const MAX_FILE_BYTES: u64 = 1 << 30;

const IMAGE_EXTENSIONS: [&str; 14] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "tif", "tiff", "gif", "heic", "heif",
    "avif", "jxl",
];

const VIDEO_EXTENSIONS: [&str; 33] = [
    "mp4", "m4v", "mov", "qt", "mkv", "webm", "avi", "divx", "mpg", "mpeg", "mpe", "m2v", "vob",
    "ps", "ts", "mts", "m2ts", "m2t", "wmv", "asf", "flv", "f4v", "3gp", "3g2", "ogv", "ogm",
    "mxf", "dv", "y4m", "insv", "lrv", "rm", "rmvb",
];

/// Reads an image file: JPEG (also CMYK), PNG, WebP, BMP, TIFF, first frame of a GIF, and what else the FFmpeg
/// at hand reads (AVIF, JPEG XL); 16-bit is reduced, transparency is laid on white, the EXIF orientation is
/// applied.
pub fn load_image(path: &Path) -> Result<RgbImage, MediaError> {
    load_image_from_bytes(&read_file(path)?, path)
}

/// Reads a file that should be a photo; refuses what is too long to be one.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, MediaError> {
    let io = |error| MediaError::read(path, error);
    let mut file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    if length > MAX_FILE_BYTES {
        return Err(MediaError::unusable(path, "is too large to be a photo"));
    }
    let mut bytes = Vec::with_capacity(length as usize + 1);
    file.read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

/// [`load_image`] for a file whose content was read already; `path` only names it in messages.
pub fn load_image_from_bytes(bytes: &[u8], path: &Path) -> Result<RgbImage, MediaError> {
    if bytes.is_empty() {
        return Err(MediaError::unusable(path, "is empty"));
    }
    let error = match guess_format(bytes) {
        Some(format) => match decode(bytes, format, path) {
            Ok(picture) => return Ok(picture),
            Err(error) => error,
        },
        None => MediaError::unusable(path, not_an_image(bytes)),
    };
    // Refused by the `image` crate, FFmpeg may know it.
    if may_be_odd(bytes)
        && let Some(picture) = odd_still::decode(bytes, path, MAX_PIXELS)
    {
        return Ok(flatten(picture));
    }
    Err(error)
}

/// Whether FFmpeg reads kinds of this format that the `image` crate does not.
fn may_be_odd(bytes: &[u8]) -> bool {
    match guess_format(bytes) {
        Some(ImageFormat::Jpeg | ImageFormat::Tiff | ImageFormat::Avif) => true,
        Some(_) => false,
        None => is_jpeg_xl(bytes) || bytes.get(4..10) == Some(b"ftypav") || is_heif(bytes),
    }
}

fn is_jpeg_xl(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0x0A]) || bytes.starts_with(b"\0\0\0\x0CJXL ")
}

fn is_heif(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"ftyp")
        && matches!(
            bytes.get(8..12),
            Some(b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1")
        )
}

/// The format by the first bytes, whatever the file is called.
pub(super) fn guess_format(bytes: &[u8]) -> Option<ImageFormat> {
    image::guess_format(bytes).ok()
}

fn decode(bytes: &[u8], format: ImageFormat, path: &Path) -> Result<RgbImage, MediaError> {
    let fail = |error: &ImageError| MediaError::unusable(path, describe(error, format, bytes));
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_ALLOC_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| fail(&error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(MediaError::unusable(path, too_large(width, height)));
    }
    let orientation = orientation_of(&mut decoder, format);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| fail(&error))?;
    picture.apply_orientation(orientation);
    Ok(flatten(picture))
}

/// The EXIF orientation. A broken EXIF block says nothing about the picture, so it means "as it is".
fn orientation_of(decoder: &mut impl ImageDecoder, format: ImageFormat) -> Orientation {
    let stated = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    if stated != Orientation::NoTransforms
        || !matches!(format, ImageFormat::WebP | ImageFormat::Png)
    {
        return stated;
    }
    // Some programs write the prefix that belongs into JPEG files only into WebP and PNG files too.
    let exif = decoder.exif_metadata().ok().flatten();
    exif.as_deref()
        .and_then(|exif| exif.strip_prefix(b"Exif\0\0"))
        .and_then(Orientation::from_exif_chunk)
        .unwrap_or(stated)
}

/// 8-bit RGB; transparency is laid on white.
fn flatten(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let rgba = picture.into_rgba8();
    let (width, height) = rgba.dimensions();
    let mut rgb = RgbImage::new(width, height);
    for (from, to) in rgba.pixels().zip(rgb.pixels_mut()) {
        let [r, g, b, alpha] = from.0;
        let on_white = |value: u8| {
            let mixed = u32::from(value) * u32::from(alpha) + 255 * (255 - u32::from(alpha));
            ((mixed + 127) / 255) as u8
        };
        to.0 = [on_white(r), on_white(g), on_white(b)];
    }
    rgb
}

fn too_large(width: u32, height: u32) -> String {
    format!(
        "is {width} × {height} pixels; photos over {} megapixels are not read, make it smaller first",
        MAX_PIXELS / 1_000_000
    )
}

fn describe(error: &ImageError, format: ImageFormat, bytes: &[u8]) -> String {
    let name = format_name(format);
    if format == ImageFormat::Jpeg && is_arithmetic(bytes) {
        return "is an arithmetic-coded JPEG image, which cannot be read; save it as an ordinary one first"
            .into();
    }
    match error {
        ImageError::Limits(limit) => match limit.kind() {
            LimitErrorKind::DimensionError | LimitErrorKind::InsufficientMemory => format!(
                "is larger than the {} megapixels that are read, make it smaller first",
                MAX_PIXELS / 1_000_000
            ),
            _ => format!("is a {name} image that would need too much memory"),
        },
        ImageError::Unsupported(_) => {
            format!("is a kind of {name} image that cannot be read; save it as JPEG or PNG first")
        }
        _ => format!("is a damaged {name} image"),
    }
}

/// Whether a JPEG file is arithmetic-coded: its frame header is SOF9, SOF10 or SOF11.
fn is_arithmetic(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let [0xFF, marker, high, low, ..] = rest {
        match marker {
            0xC9..=0xCB => return true,
            0xC0..=0xC3 | 0xDA => return false,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        rest = rest.get(2 + length..).unwrap_or_default();
    }
    false
}

fn format_name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Gif => "GIF",
        ImageFormat::Avif => "AVIF",
        ImageFormat::Ico => "icon",
        _ => "rare",
    }
}

/// Why bytes of no known image format are no image, as the rest of a sentence.
fn not_an_image(bytes: &[u8]) -> String {
    let head = bytes.get(..bytes.len().min(4096)).unwrap_or_default();
    if is_heif(head) {
        return "is a HEIF photo, which cannot be read; save it as JPEG first".into();
    }
    if head.get(4..8) == Some(b"ftyp") {
        return match head.get(8..12) {
            Some(b"avif" | b"avis") => {
                "is an AVIF image, which cannot be read; save it as JPEG first".into()
            }
            _ => "is a video, not a photo".into(),
        };
    }
    if is_jpeg_xl(head) {
        return "is a JPEG XL image, which cannot be read; save it as JPEG first".into();
    }
    if looks_like_text(head) {
        return "is not an image but text".into();
    }
    "is not an image, or one of a kind that cannot be read".into()
}

/// Whether the beginning of a file is plain text.
pub(super) fn looks_like_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The end may cut a character in two.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default())
                .unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty()
        && !text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\x0C'))
}

/// Whether the extension is one of an image that [`load_image`] reads.
#[must_use]
pub fn is_image_name(path: &Path) -> bool {
    has_extension(path, &IMAGE_EXTENSIONS)
}

/// Whether the extension is one of a video.
#[must_use]
pub fn is_video_name(path: &Path) -> bool {
    has_extension(path, &VIDEO_EXTENSIONS)
}

/// The file's name without its extension.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    path.extension()
        .and_then(OsStr::to_str)
        .is_some_and(|extension| known.iter().any(|one| extension.eq_ignore_ascii_case(one)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use image::{Rgb, Rgba, RgbaImage};

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn transparency_is_laid_on_white() {
        let mut rgba = RgbaImage::from_pixel(2, 1, Rgba([10, 20, 30, 255]));
        rgba.put_pixel(1, 0, Rgba([0, 0, 0, 0]));
        let bytes = encoded(&rgba.into(), ImageFormat::Png);
        let rgb = load_image_from_bytes(&bytes, Path::new("a.jpg")).unwrap();
        assert_eq!(rgb.get_pixel(0, 0), &Rgb([10, 20, 30]));
        assert_eq!(rgb.get_pixel(1, 0), &Rgb([255, 255, 255]));
    }

    #[test]
    fn sixteen_bits_become_eight() {
        let deep =
            image::ImageBuffer::<image::Luma<u16>, _>::from_pixel(1, 1, image::Luma([32896]));
        let bytes = encoded(&deep.into(), ImageFormat::Png);
        let rgb = load_image_from_bytes(&bytes, Path::new("a.png")).unwrap();
        assert_eq!(rgb.get_pixel(0, 0), &Rgb([128, 128, 128]));
    }

    #[test]
    fn the_exif_orientation_is_applied() {
        let mut picture = RgbImage::from_pixel(16, 8, Rgb([0, 0, 0]));
        for y in 0..8 {
            for x in 0..8 {
                picture.put_pixel(x, y, Rgb([255, 255, 255]));
            }
        }
        let plain = encoded(&picture.into(), ImageFormat::Jpeg);
        // An APP1 segment with one entry: orientation 6, "turn clockwise by 90 degrees".
        let mut tiff = b"MM\0*\0\0\0\x08\0\x01".to_vec();
        tiff.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0]);
        let mut app1 = vec![0xFF, 0xE1];
        app1.extend(((tiff.len() + 8) as u16).to_be_bytes());
        app1.extend(b"Exif\0\0");
        app1.extend(tiff);
        let mut bytes = plain[..2].to_vec();
        bytes.extend(app1);
        bytes.extend(&plain[2..]);
        let rgb = load_image_from_bytes(&bytes, Path::new("a.jpg")).unwrap();
        assert_eq!(rgb.dimensions(), (8, 16));
        assert!(
            rgb.get_pixel(4, 2).0[0] > 200,
            "the left half is now on top"
        );
        assert!(rgb.get_pixel(4, 13).0[0] < 50);
    }

    #[test]
    fn what_is_no_image_is_told_in_one_sentence() {
        let message = |bytes: &[u8]| {
            load_image_from_bytes(bytes, Path::new("a.jpg"))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(message(b""), "“a.jpg” is empty");
        assert_eq!(
            message(b"hello, world\n"),
            "“a.jpg” is not an image but text"
        );
        assert!(message(b"\0\0\0\x18ftypheic\0\0\0\0").contains("HEIF"));
        assert!(message(&[0xFF, 0xD8, 0xFF, 0xE0]).contains("damaged JPEG"));
    }

    #[test]
    fn names_are_known_by_extension_in_any_case() {
        assert!(is_image_name(Path::new("a/b.JPEG")));
        assert!(is_video_name(Path::new("Taï/PICT0074.ASF")));
        assert!(!is_image_name(Path::new("jpg")));
        assert!(!is_video_name(Path::new("notes.txt")));
    }
}
