//! Images with 16 bits per value of which fewer are used: scientific cameras and depth sensors store 10, 12 or 14 bits
//! in the lower bits, which would be displayed almost black.

use image::DynamicImage;

use crate::kind::ImageKind;
use crate::kind::tiff::{MAX_SAMPLE_VALUE, Tiff};

/// The usual bit depths of sensors.
const DEPTHS: [u32; 4] = [8, 10, 12, 14];

/// Scales values to the full range if the upper bits of all of them are unused. Returns the detected depth in bits and
/// the largest value, for images that were changed.
///
/// The depth is the one stated in the file (PNG: `sBIT`; TIFF: `MaxSampleValue`) if no value exceeds it; otherwise the
/// smallest usual depth that fits the largest value.
pub(super) fn to_full_range(
    image: &mut DynamicImage,
    bytes: &[u8],
    kind: ImageKind,
) -> Option<(u32, u16)> {
    // The decoder has already scaled to the maximum in the header.
    if kind == ImageKind::Pnm && !full_header(bytes) {
        return None;
    }
    let (values, channels, alpha) = match image {
        DynamicImage::ImageLuma16(image) => (image.as_flat_samples_mut().samples, 1, false),
        DynamicImage::ImageLumaA16(image) => (image.as_flat_samples_mut().samples, 2, true),
        DynamicImage::ImageRgb16(image) => (image.as_flat_samples_mut().samples, 3, false),
        DynamicImage::ImageRgba16(image) => (image.as_flat_samples_mut().samples, 4, true),
        _ => return None,
    };
    let colours = channels - usize::from(alpha);
    let largest = values
        .chunks_exact(channels)
        .filter_map(|pixel| pixel.get(..colours)?.iter().max())
        .max()
        .copied()?;
    let depth = depth_of(largest, stated(bytes, kind))?;
    let top = (1_u32 << depth) - 1;
    for pixel in values.chunks_exact_mut(channels) {
        for value in pixel.iter_mut().take(colours) {
            *value = ((u32::from(*value) * 65535 + top / 2) / top).min(65535) as u16;
        }
    }
    Some((depth, largest))
}

/// The depth of the values in bits, if it is less than 16.
fn depth_of(largest: u16, stated: Option<u32>) -> Option<u32> {
    let holds = |depth: &u32| u32::from(largest) < 1 << depth;
    if largest == 0 {
        return None;
    }
    let stated = stated.filter(|depth| (1..16).contains(depth) && holds(depth));
    stated.or_else(|| DEPTHS.into_iter().find(holds))
}

/// Whether the header of a PNM file declares the full range of 16 bits.
fn full_header(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(256)).unwrap_or(bytes);
    head.windows(5).any(|five| five == b"65535")
}

/// The depth stated in the file, in bits.
fn stated(bytes: &[u8], image: ImageKind) -> Option<u32> {
    match image {
        ImageKind::Png => significant_bits(bytes),
        ImageKind::Tiff => {
            let largest = Tiff::new(bytes)?.pages().first()?.value(MAX_SAMPLE_VALUE)?;
            (largest > 0).then(|| largest.ilog2() + 1)
        }
        _ => None,
    }
}

/// The largest depth in a PNG file's `sBIT` chunk (PNG, third edition, 11.3.2.7).
fn significant_bits(bytes: &[u8]) -> Option<u32> {
    let mut rest = bytes.get(8..)?;
    loop {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        match after.get(..4)? {
            b"sBIT" => {
                let bits = after.get(4..4 + length.min(3))?;
                return bits.iter().max().map(|bits| u32::from(*bits));
            }
            b"IDAT" => return None,
            _ => {}
        }
        rest = rest.get(length.checked_add(12)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_depth_is_the_smallest_usual_one_unless_the_file_says() {
        assert_eq!(depth_of(900, None), Some(10));
        assert_eq!(depth_of(3000, None), Some(12));
        assert_eq!(depth_of(3000, Some(14)), Some(14));
        // The stated depth is wrong: values exceed it, so they are already scaled.
        assert_eq!(depth_of(40000, Some(12)), None);
        assert_eq!(depth_of(20000, None), None);
        assert_eq!(depth_of(0, Some(12)), None);
    }
}
