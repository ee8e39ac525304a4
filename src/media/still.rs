//! Reads still images: detected by content, not by extension; upright; 8-bit RGB.

use std::io::{Cursor, Read};
use std::path::Path;

use image::error::{ImageError, LimitErrorKind};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use crate::files;
use crate::kind::jpeg::SOI;
use crate::kind::tiff::{Directory, SUBFILE_TYPE, Tiff};
use crate::kind::{HEAD_BYTES, ImageKind, Kind};

use super::kind::Guess;
use super::whole::{self, Missing};
use super::{MediaError, cut, depth, helper, kind, odd_still};

/// Larger images are refused: 200 megapixels are 600 MB as RGB.
const MAX_PIXELS: u64 = 200_000_000;
/// The most memory that a decoder may allocate: enough for the image at 4 bytes a pixel.
const MAX_ALLOC_BYTES: u64 = 4 * MAX_PIXELS;
/// Larger files are not read into memory: no photo is that large.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Reads an image file: JPEG (also CMYK), PNG, WebP, BMP, TIFF, the first frame of a GIF, and formats that only the
/// installed FFmpeg reads (AVIF, JPEG XL). 16-bit values are reduced to 8, transparent pixels are blended with white,
/// and the EXIF orientation is applied.
pub fn load_image(path: &Path) -> Result<RgbImage, MediaError> {
    load_image_from_bytes(&read_file(path)?, path)
}

/// Reads a file that should be a photo; refuses files that are too large.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, MediaError> {
    let io = |error| MediaError::read(path, error);
    let mut file = files::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    if length > MAX_FILE_BYTES {
        return Err(MediaError::unusable(path, "is too large to be a photo"));
    }
    let mut bytes = Vec::with_capacity(length as usize + 1);
    file.read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

/// [`load_image`] for the contents of a file; `path` is only used in messages.
pub fn load_image_from_bytes(bytes: &[u8], path: &Path) -> Result<RgbImage, MediaError> {
    load_still(bytes, path).map(|still| still.image)
}

/// An image with remarks on how it was read.
#[derive(Debug, Clone)]
pub struct Still {
    /// The image, upright, 8 bits a value.
    pub image: RgbImage,
    /// A sentence each: further pages, an animation, values scaled to the full range, missing detail.
    pub remarks: Vec<String>,
}

/// [`load_image_from_bytes`] with remarks for a user who adds the image.
///
/// # Errors
/// [`MediaError`] if it is no image, is damaged, incomplete or too large.
pub fn load_still(bytes: &[u8], path: &Path) -> Result<Still, MediaError> {
    helper::still(bytes, path)
}

/// [`load_still`] in this process.
pub(super) fn load_still_here(bytes: &[u8], path: &Path) -> Result<Still, MediaError> {
    let kind = image_kind(bytes, path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut remarks = Vec::new();
    let mut remark = |text: String| remarks.push(format!("“{name}” {text}"));
    match whole::missing(bytes, kind) {
        Missing::Nothing => {}
        Missing::Detail => remark(
            "is truncated: its last passes are missing, so the image is coarser than the original"
                .into(),
        ),
        missing => return Err(MediaError::unusable(path, cut_off(missing, kind))),
    }
    if let Some(text) = left_out(bytes, kind) {
        remark(text);
    }
    let error = match format_of(kind) {
        Some(format) => match decode(bytes, format, kind, path) {
            Ok(decoded) => {
                if decoded.filled
                    && let missing @ Missing::Lower(_) = whole::missing_within(bytes)
                {
                    return Err(MediaError::unusable(path, cut_off(missing, kind)));
                }
                if let Some((depth, largest)) = decoded.deepened {
                    remark(format!(
                        "holds 16-bit values of at most {largest}, so it was read as {depth}-bit, which makes it {} times brighter",
                        65535 / ((1_u32 << depth) - 1)
                    ));
                }
                return Ok(Still {
                    image: decoded.image,
                    remarks,
                });
            }
            Err(error) => error,
        },
        None => MediaError::unusable(path, unreadable(kind)),
    };
    // FFmpeg may read images that the `image` crate does not.
    if may_be_odd(kind)
        && let Some(image) = odd_still::decode(bytes, path, MAX_PIXELS)
    {
        return Ok(Still {
            image: flatten(image),
            remarks,
        });
    }
    Err(error)
}

fn cut_off(missing: Missing, image: ImageKind) -> String {
    let what = match missing {
        Missing::Lower(share) => {
            format!(
                "the lower {:.0} % of it are missing",
                (share * 100.0).max(1.0)
            )
        }
        Missing::Tail { there, of } => format!("it is cut off after {there} of {of} bytes"),
        _ => "its end is missing".into(),
    };
    let name = image.name();
    format!("is a damaged {name} image: {what}; copy it again from the original")
}

/// What a file contains beside the image that is read, as the end of a sentence.
fn left_out(bytes: &[u8], image: ImageKind) -> Option<String> {
    match image {
        // `VP8X` with the animation flag (RFC 9649, 2.7.1).
        ImageKind::WebP
            if bytes.get(12..16) == Some(b"VP8X")
                && bytes.get(20).is_some_and(|flags| flags & 2 != 0) =>
        {
            Some("is animated; only its first image was used".into())
        }
        ImageKind::Tiff => {
            // Thumbnails and masks are not pages.
            let is_page = |page: &Directory| page.value(SUBFILE_TYPE).unwrap_or(0) & 0b101 == 0;
            let pages = Tiff::new(bytes)?.pages();
            let pages = pages.iter().filter(|page| is_page(page)).count();
            (pages > 1).then(|| {
                format!(
                    "has {pages} pages; only the first was used; save the others as separate files to use them"
                )
            })
        }
        _ => None,
    }
}

/// The format of an image by its content; an error with the reason for other files.
fn image_kind(bytes: &[u8], path: &Path) -> Result<ImageKind, MediaError> {
    let found = match Kind::of_head(bytes).settled_by(Kind::of_name(path)) {
        // A film without a container is read as its first image.
        Kind::Film(_) if bytes.starts_with(&SOI) => Kind::Image(ImageKind::Jpeg),
        found => found,
    };
    if let Some(image) = found.first_image() {
        return Ok(image);
    }
    let reason = match found {
        Kind::Unknown => {
            let tga = Kind::Image(ImageKind::Tga);
            if Kind::of_name(path) == Some(tga) && kind::is_tga(bytes) {
                return Ok(ImageKind::Tga);
            }
            let head = bytes.get(..bytes.len().min(HEAD_BYTES)).unwrap_or(bytes);
            if let Some(Guess::Still(name)) = kind::guess(head) {
                return Ok(ImageKind::Rare(name));
            }
            "is not an image, or has an unsupported format".into()
        }
        Kind::Text => "is not an image but text".into(),
        Kind::Film(_) => "is a video, not a photo".into(),
        other => other.refusal().unwrap_or_default(),
    };
    Err(MediaError::unusable(path, reason))
}

/// The `image` crate's format, if it supports this one.
fn format_of(image: ImageKind) -> Option<ImageFormat> {
    Some(match image {
        ImageKind::Jpeg => ImageFormat::Jpeg,
        ImageKind::Png => ImageFormat::Png,
        ImageKind::WebP => ImageFormat::WebP,
        ImageKind::Gif => ImageFormat::Gif,
        ImageKind::Bmp => ImageFormat::Bmp,
        ImageKind::Tiff => ImageFormat::Tiff,
        ImageKind::Pnm => ImageFormat::Pnm,
        ImageKind::Tga => ImageFormat::Tga,
        ImageKind::Ico => ImageFormat::Ico,
        ImageKind::Qoi
        | ImageKind::Avif
        | ImageKind::Heif
        | ImageKind::JpegXl
        | ImageKind::Jpeg2000
        | ImageKind::Rare(_) => return None,
    })
}

/// Whether FFmpeg reads variants of this format that the `image` crate does not.
fn may_be_odd(image: ImageKind) -> bool {
    match image {
        ImageKind::Jpeg | ImageKind::Tiff | ImageKind::Bmp | ImageKind::Pnm | ImageKind::Tga => {
            true
        }
        other => format_of(other).is_none(),
    }
}

/// The result of the `image` crate.
struct Decoded {
    image: RgbImage,
    /// The depth and the largest value, for an image that did not use all its bits.
    deepened: Option<(u32, u16)>,
    /// Whether its end may be filling by the decoder for missing data.
    filled: bool,
}

fn decode(
    bytes: &[u8],
    format: ImageFormat,
    kind: ImageKind,
    path: &Path,
) -> Result<Decoded, MediaError> {
    let fail = |error: &ImageError| MediaError::unusable(path, describe(error, kind, bytes));
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
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| fail(&error))?;
    let deepened = depth::to_full_range(&mut image, bytes, kind);
    let filled = kind == ImageKind::Jpeg && whole::looks_filled(&image);
    image.apply_orientation(orientation);
    Ok(Decoded {
        image: flatten(image),
        deepened,
        filled,
    })
}

/// The EXIF orientation. A broken EXIF block counts as none.
fn orientation_of(decoder: &mut impl ImageDecoder, format: ImageFormat) -> Orientation {
    let stated = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    if stated != Orientation::NoTransforms
        || !matches!(format, ImageFormat::WebP | ImageFormat::Png)
    {
        return stated;
    }
    // Some programs write the prefix of JPEG files into WebP and PNG files, too.
    let exif = decoder.exif_metadata().ok().flatten();
    exif.as_deref()
        .and_then(|exif| exif.strip_prefix(b"Exif\0\0"))
        .and_then(Orientation::from_exif_chunk)
        .unwrap_or(stated)
}

/// Converts to 8-bit RGB; transparent pixels are blended with white.
fn flatten(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let rgba = image.into_rgba8();
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
        "is {width} × {height} pixels; photos over {} megapixels are not supported; make it smaller first",
        MAX_PIXELS / 1_000_000
    )
}

fn describe(error: &ImageError, image: ImageKind, bytes: &[u8]) -> String {
    let name = image.name();
    if image == ImageKind::Jpeg && is_arithmetic(bytes) {
        return "is an arithmetic-coded JPEG image, which is not supported; save it as an ordinary JPEG first"
            .into();
    }
    match error {
        ImageError::Limits(limit) => match limit.kind() {
            LimitErrorKind::DimensionError | LimitErrorKind::InsufficientMemory => format!(
                "is larger than the limit of {} megapixels; make it smaller first",
                MAX_PIXELS / 1_000_000
            ),
            _ => format!("is a {name} image that would need too much memory"),
        },
        ImageError::Unsupported(_) => {
            format!("is an unsupported kind of {name} image; save it as JPEG or PNG first")
        }
        _ => format!(
            "is a damaged {name} image: {}; copy it again from the original",
            cut::reason(error, image, bytes)
        ),
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

/// The error for a format that only FFmpeg could have read.
fn unreadable(image: ImageKind) -> String {
    let name = image.name();
    let what = match image {
        ImageKind::Heif => format!("is a {name} photo, which cannot be read"),
        _ => format!("is a damaged {name} image or one that the installed FFmpeg cannot read"),
    };
    format!("{what}; save it as JPEG first")
}

/// The file's name without its extension.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use image::{Rgb, Rgba, RgbaImage};

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
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
        let mut image = RgbImage::from_pixel(16, 8, Rgb([0, 0, 0]));
        for y in 0..8 {
            for x in 0..8 {
                image.put_pixel(x, y, Rgb([255, 255, 255]));
            }
        }
        let plain = encoded(&image.into(), ImageFormat::Jpeg);
        // An APP1 segment with one entry: orientation 6, "rotate by 90 degrees clockwise".
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
}
