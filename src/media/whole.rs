//! Checks whether an image file is complete. Decoders silently fill the missing end of a file with grey.

use image::DynamicImage;

use crate::kind::ImageKind;

use super::jpeg_blocks;

/// What is missing at the end of an image file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Missing {
    /// Nothing.
    Nothing,
    /// The lower part: this fraction of the height, 0..=1.
    Lower(f64),
    /// Later passes of a progressive image: all of it exists, but at a coarse resolution.
    Detail,
    /// Everything after the first bytes of the file.
    Tail {
        /// Bytes in the file.
        there: u64,
        /// Bytes that the file should have.
        of: u64,
    },
    /// An unknown part.
    End,
}

/// What is missing according to the file's own sizes and markers; damage in the middle is left to the decoder.
pub(super) fn missing(bytes: &[u8], image: ImageKind) -> Missing {
    let whole = match image {
        // A file with an end marker need not be parsed.
        ImageKind::Jpeg if bytes.ends_with(&[0xFF, 0xD9]) => true,
        ImageKind::Jpeg => return jpeg_blocks::missing(bytes, false),
        // The size is at the start of a RIFF file.
        ImageKind::WebP => {
            let size = bytes.get(4..8).and_then(|size| size.first_chunk());
            let of = size.map_or(0, |size| u64::from(u32::from_le_bytes(*size)) + 8);
            let there = bytes.len() as u64;
            if there < of {
                return Missing::Tail { there, of };
            }
            true
        }
        ImageKind::Avif | ImageKind::Heif => boxes_fit(bytes),
        ImageKind::JpegXl => bytes.starts_with(&[0xFF, 0x0A]) || boxes_fit(bytes),
        ImageKind::Jpeg2000 => {
            let codestream = bytes.starts_with(&[0xFF, 0x4F]);
            let tail = bytes.get(bytes.len().saturating_sub(64)..).unwrap_or(bytes);
            // The end of the codestream is marked (ITU-T T.800, A.4.4).
            (codestream || boxes_fit(bytes)) && tail.windows(2).any(|two| two == [0xFF, 0xD9])
        }
        // The end marker: seven zeros and a one.
        ImageKind::Qoi => bytes.ends_with(&[0, 0, 0, 0, 0, 0, 0, 1]),
        _ => true,
    };
    if whole {
        Missing::Nothing
    } else {
        Missing::End
    }
}

/// Whether no box of an ISO base media file extends beyond the file (ISO/IEC 14496-12, 4.2).
fn boxes_fit(bytes: &[u8]) -> bool {
    let mut at = 0_usize;
    while let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let [a, b, c, d, ..] = *head;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            // It extends to the end of the file.
            0 => return true,
            1 => {
                let large = bytes.get(at + 8..).and_then(|rest| rest.first_chunk());
                let Some(large) = large else { return false };
                usize::try_from(u64::from_be_bytes(*large)).unwrap_or(usize::MAX)
            }
            size => size as usize,
        };
        let Some(next) = at.checked_add(size.max(8)) else {
            return false;
        };
        if next > bytes.len() {
            return false;
        }
        at = next;
    }
    true
}

/// What is missing in a JPEG image in spite of an end marker: network cameras may lose packets in the middle. It
/// counts all blocks, so it is used only for images that [`looks_filled`].
pub(super) fn missing_within(bytes: &[u8]) -> Missing {
    jpeg_blocks::missing(bytes, true)
}

/// Whether the end of a decoded image looks like the decoder's filling for missing data: it repeats every 32 pixels to
/// the right (or has one colour, as many complete images do).
pub(super) fn looks_filled(image: &DynamicImage) -> bool {
    let (samples, channels) = match image {
        DynamicImage::ImageLuma8(image) => (image.as_raw(), 1),
        DynamicImage::ImageRgb8(image) => (image.as_raw(), 3),
        _ => return false,
    };
    let row = image.width() as usize * channels;
    let last = samples
        .get(samples.len().saturating_sub(row)..)
        .unwrap_or_default();
    let period = 32 * channels;
    last.len() > 2 * period
        && last
            .iter()
            .zip(last.iter().skip(period))
            .all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;

    /// A baseline JPEG of one grey component, 16 × 64 pixels, with tables of one code each: every block takes two
    /// bits.
    fn flat_jpeg(blocks: usize) -> Vec<u8> {
        let mut bytes = vec![0xFF, 0xD8];
        bytes.extend([0xFF, 0xC0, 0, 11, 8, 0, 64, 0, 16, 1, 1, 0x11, 0]);
        for table in [0x00, 0x10] {
            bytes.extend([0xFF, 0xC4, 0, 20, table, 1]);
            bytes.extend([0; 16]);
        }
        bytes.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]);
        bytes.extend(vec![0; (2 * blocks).div_ceil(8)]);
        bytes
    }

    #[test]
    fn blocks_are_counted_to_the_last_row() {
        // Two blocks across, eight down.
        assert_eq!(missing(&flat_jpeg(16), ImageKind::Jpeg), Missing::Nothing);
        assert_eq!(missing(&flat_jpeg(8), ImageKind::Jpeg), Missing::Lower(0.5));
        let mut ended = flat_jpeg(8);
        ended.extend([0xFF, 0xD9]);
        assert_eq!(missing(&ended, ImageKind::Jpeg), Missing::Nothing);
        assert_eq!(
            missing(&[0xFF, 0xD8, 0xFF, 0xE0], ImageKind::Jpeg),
            Missing::End
        );
    }

    #[test]
    fn lengths_in_front_are_believed() {
        let webp = b"RIFF\x0C\0\0\0WEBPVP8 \0\0\0\0";
        assert_eq!(missing(webp, ImageKind::WebP), Missing::Nothing);
        assert_eq!(
            missing(&webp[..18], ImageKind::WebP),
            Missing::Tail { there: 18, of: 20 }
        );
        let avif = b"\0\0\0\x0Cftypavif\0\0\0\x0Amdat\x01\x02";
        assert_eq!(missing(avif, ImageKind::Avif), Missing::Nothing);
        assert_eq!(missing(&avif[..21], ImageKind::Avif), Missing::End);
    }

    #[test]
    fn nothing_that_a_file_may_hold_stops_the_reading() {
        let seeds: [Vec<u8>; 4] = [
            flat_jpeg(16),
            b"II*\0\x08\0\0\0\x02\0\x06\x01\x03\0\x01\0\0\0\x02\0\0\0J\x01\x04\0\xFF\xFF\xFF\xFF\x08\0\0\0\0\0\0\0".to_vec(),
            b"\0\0\0\x01ftypavif\0\0\0\0\0\0\0\x20mdat".to_vec(),
            b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xFF\xFF\xFF,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;".to_vec(),
        ];
        let images = [
            ImageKind::Jpeg,
            ImageKind::Tiff,
            ImageKind::Avif,
            ImageKind::Gif,
        ];
        let mut state = 12345_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize
        };
        for round in 0..20_000 {
            let seed = round % seeds.len();
            let mut bytes = seeds[seed].clone();
            for _ in 0..=random() % 4 {
                let at = random() % bytes.len();
                bytes[at] = [0, 1, 0xFF, 0x7F, random() as u8][random() % 5];
            }
            bytes.truncate(random() % (bytes.len() + 1));
            assert!(!Kind::of_head(&bytes).to_string().is_empty());
            missing(&bytes, images[seed]);
            crate::kind::jpeg::is_motion(&bytes);
        }
    }
}
