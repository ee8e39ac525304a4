//! Describes why an image cannot be decoded: after how many rows it is cut off, otherwise the decoder's message. The
//! image is decoded a second time for this.

use std::io::{Cursor, ErrorKind};

use image::error::ImageError;

use crate::kind::ImageKind;
use crate::kind::tiff::Tiff;

/// How much of an image can be decoded.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rows {
    /// Number of complete rows, counted from the first one in the file (in BMP usually the lowest).
    there: u64,
    /// All rows of the image.
    of: u64,
    /// Whether the file ends after them; otherwise the next row is damaged.
    cut: bool,
}

/// The fault of an image that a decoder rejected with `error`, as a main clause without a full stop.
pub(super) fn reason(error: &ImageError, image: ImageKind, bytes: &[u8]) -> String {
    let rows = match image {
        ImageKind::Png => png(bytes),
        ImageKind::Gif => gif(bytes),
        ImageKind::Bmp => bmp(bytes),
        ImageKind::Tiff => tiff(bytes),
        _ => None,
    };
    let ends_early =
        matches!(error, ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof);
    match rows {
        Some(Rows { there, of, cut }) if cut => format!("it is cut off after {there} of {of} rows"),
        Some(Rows { there, of, .. }) => {
            format!(
                "row {} of {of} cannot be decoded ({})",
                there + 1,
                sentence(error)
            )
        }
        None if ends_early => "its end is missing".into(),
        None => format!("it cannot be decoded ({})", sentence(error)),
    }
}

/// The decoder's message.
fn sentence(error: &ImageError) -> String {
    let source = std::error::Error::source(error);
    let text = source.map_or_else(|| error.to_string(), ToString::to_string);
    let text = text.trim().trim_end_matches('.').replace(['\n', '\r'], " ");
    let mut letters = text.chars();
    // An abbreviation at the start keeps its capitals.
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first
            .to_lowercase()
            .chain([second])
            .chain(letters)
            .collect(),
        _ => text,
    }
}

/// `None` if the image is complete, interlaced (then all rows exist, at a coarse resolution) or has no readable
/// header.
fn png(bytes: &[u8]) -> Option<Rows> {
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().ok()?;
    let info = reader.info();
    if info.interlaced {
        return None;
    }
    let of = u64::from(info.height);
    let mut there = 0;
    loop {
        match reader.next_row() {
            Ok(Some(_)) => there += 1,
            Ok(None) => return None,
            Err(error) => {
                let cut = matches!(&error, png::DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof);
                return (there < of).then_some(Rows { there, of, cut });
            }
        }
    }
}

/// The first image of a GIF file.
fn gif(bytes: &[u8]) -> Option<Rows> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::Indexed);
    let mut decoder = options.read_info(Cursor::new(bytes)).ok()?;
    let frame = decoder.next_frame_info().ok()??;
    let (of, width) = (u64::from(frame.height), usize::from(frame.width));
    let mut row = vec![0; width];
    for there in 0..of {
        let cut = match decoder.fill_buffer(&mut row) {
            Ok(true) => continue,
            Err(gif::DecodingError::UnexpectedEof) => true,
            Err(gif::DecodingError::Io(error)) => error.kind() == ErrorKind::UnexpectedEof,
            // Its data end too early, or are damaged.
            Ok(false) | Err(_) => false,
        };
        return Some(Rows { there, of, cut });
    }
    None
}

/// A BMP file without compression (`BITMAPINFOHEADER` or a later header).
fn bmp(bytes: &[u8]) -> Option<Rows> {
    let number = |at: usize| {
        let four = bytes.get(at..at + 4)?.first_chunk()?;
        Some(u32::from_le_bytes(*four))
    };
    let (data, header, compression) = (number(10)?, number(14)?, number(30)?);
    // `BI_RGB` and `BI_BITFIELDS`.
    if header < 40 || !matches!(compression, 0 | 3) {
        return None;
    }
    let width = number(18)?.cast_signed().unsigned_abs();
    let of = u64::from(number(22)?.cast_signed().unsigned_abs());
    let bits = u64::from(number(28)? & 0xFFFF);
    let row = (u64::from(width) * bits).div_ceil(32) * 4;
    let there = (bytes.len() as u64)
        .saturating_sub(u64::from(data))
        .checked_div(row)?;
    (there < of).then_some(Rows {
        there,
        of,
        cut: true,
    })
}

/// The first page of a TIFF file whose strips are in the order of its rows.
fn tiff(bytes: &[u8]) -> Option<Rows> {
    let strips = Tiff::new(bytes)?.strips()?;
    let (of, rows) = (
        strips.height,
        strips.rows_per_strip.clamp(1, strips.height.max(1)),
    );
    if strips.places.len() as u64 != of.div_ceil(rows) {
        // Tiles or separate colour planes.
        return None;
    }
    let mut there = 0;
    for (offset, size) in &strips.places {
        let found = (bytes.len() as u64).saturating_sub(*offset);
        let height = rows.min(of - there);
        if found < *size {
            if strips.is_raw {
                there += (found * height).checked_div(*size).unwrap_or(0);
            }
            return Some(Rows {
                there,
                of,
                cut: true,
            });
        }
        there += height;
    }
    None
}
