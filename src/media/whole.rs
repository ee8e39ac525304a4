//! Whether an image file is there to its end. Decoders fill what a cut-off file lacks with grey and say nothing.
//!
//! Of JPEG images whose end is missing the blocks in the entropy-coded data are counted, without decoding a pixel, since
//! many programs leave out the end marker only (ITU-T T.81: annex B for the segments, F and G for the codes). Other
//! formats say how long they are.

use image::DynamicImage;

use crate::kind::ImageKind;
use crate::kind::jpeg::{SOI, scan_end, segment};

/// So many zero bytes at the end of a JPEG scan are no image: a copy that was broken off, on a disk that had given it
/// room already.
const ZEROS: usize = 512;

/// What an image file lacks at its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Missing {
    /// Nothing of the image.
    Nothing,
    /// The lower part: this share of the height, 0..=1.
    Lower(f64),
    /// Later passes of a progressive image: it is there from top to bottom, but coarse.
    Detail,
    /// An unknown part.
    End,
}

/// What the file lacks, by its own account; damage in the middle is for the decoder to find.
pub(super) fn missing(bytes: &[u8], image: ImageKind) -> Missing {
    let whole = match image {
        // What ends with the end marker need not be gone through.
        ImageKind::Jpeg if bytes.ends_with(&[0xFF, 0xD9]) => true,
        ImageKind::Jpeg => return jpeg(bytes, false),
        // The size stands in front: RIFF.
        ImageKind::WebP => bytes
            .get(4..8)
            .and_then(|size| size.first_chunk())
            .is_none_or(|size| u32::from_le_bytes(*size) as usize <= bytes.len().saturating_sub(8)),
        ImageKind::Avif | ImageKind::Heif => boxes_fit(bytes),
        ImageKind::JpegXl => bytes.starts_with(&[0xFF, 0x0A]) || boxes_fit(bytes),
        ImageKind::Jpeg2000 => {
            let codestream = bytes.starts_with(&[0xFF, 0x4F]);
            let tail = bytes.get(bytes.len().saturating_sub(64)..).unwrap_or(bytes);
            // The end of the codestream is marked (ITU-T T.800, A.4.4).
            (codestream || boxes_fit(bytes)) && tail.windows(2).any(|two| two == [0xFF, 0xD9])
        }
        // Seven zeros and a one.
        ImageKind::Qoi => bytes.ends_with(&[0, 0, 0, 0, 0, 0, 0, 1]),
        _ => true,
    };
    if whole {
        Missing::Nothing
    } else {
        Missing::End
    }
}

/// Whether no box of an ISO base media file is longer than the file (ISO/IEC 14496-12, 4.2).
fn boxes_fit(bytes: &[u8]) -> bool {
    let mut at = 0_usize;
    while let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let [a, b, c, d, ..] = *head;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            // To the end of the file.
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

/// What a JPEG image lacks although its end is marked: a camera on a network lost the packets between. Counts all blocks,
/// so that it is for images that [`looks_filled`].
pub(super) fn missing_within(bytes: &[u8]) -> Missing {
    jpeg(bytes, true)
}

/// Whether the end of a decoded image looks like what the decoder puts where there is no data: it repeats itself every 32
/// pixels to the right (or is of one colour, like much that is whole).
pub(super) fn looks_filled(picture: &DynamicImage) -> bool {
    let (samples, channels) = match picture {
        DynamicImage::ImageLuma8(picture) => (picture.as_raw(), 1),
        DynamicImage::ImageRgb8(picture) => (picture.as_raw(), 3),
        _ => return false,
    };
    let row = picture.width() as usize * channels;
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

fn jpeg(bytes: &[u8], count_all: bool) -> Missing {
    let mut image = Jpeg::default();
    let mut at = SOI.len();
    while let Some(segment) = segment(bytes, at) {
        at = segment.end;
        match segment.marker {
            // The end; or arithmetic coding, lossless, hierarchical, which are not counted.
            0xD9 | 0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return Missing::Nothing,
            0xC0..=0xC2 => image.frame = Frame::read(segment.data, segment.marker == 0xC2),
            0xC4 => image.read_tables(segment.data),
            0xDD => {
                let interval = segment.data.first_chunk();
                image.restart = interval.map_or(0, |two| usize::from(u16::from_be_bytes(*two)));
            }
            0xDA => {
                let end = scan_end(bytes, at);
                let data = bytes.get(at..end).unwrap_or_default();
                // No marker follows.
                let last = end == bytes.len();
                let zeros = data.iter().rev().take_while(|byte| **byte == 0).count();
                let data = match data.len().checked_sub(zeros) {
                    Some(there) if last && zeros >= ZEROS => data.get(..there).unwrap_or(data),
                    _ => data,
                };
                match image.scan(segment.data, data, last || count_all) {
                    Some(missing @ Missing::Lower(_)) => return missing,
                    Some(missing) if last => return missing,
                    _ => {}
                }
                at = end;
            }
            _ => {}
        }
    }
    // The file ends between the segments.
    image.at_end()
}

/// What is known of a JPEG image so far.
#[derive(Default)]
struct Jpeg {
    frame: Option<Frame>,
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    /// Units between restart markers; 0 for none.
    restart: usize,
}

struct Frame {
    width: usize,
    height: usize,
    progressive: bool,
    components: Vec<Component>,
}

struct Component {
    id: u8,
    horizontal: usize,
    vertical: usize,
    /// For each coefficient, the lowest bit that has come (0: all of it); `None` before its first scan.
    bits: [Option<u8>; 64],
}

/// One component of a scan: its place in the frame, and its tables.
struct InScan {
    component: usize,
    dc: usize,
    ac: usize,
}

impl Frame {
    fn read(data: &[u8], progressive: bool) -> Option<Self> {
        let [_, h0, h1, w0, w1, count, rest @ ..] = data else {
            return None;
        };
        let components: Vec<Component> = rest
            .chunks_exact(3)
            .take(usize::from(*count))
            .map(|part| Component {
                id: part[0],
                horizontal: usize::from(part[1] >> 4).clamp(1, 4),
                vertical: usize::from(part[1] & 15).clamp(1, 4),
                bits: [None; 64],
            })
            .collect();
        let frame = Self {
            width: usize::from(u16::from_be_bytes([*w0, *w1])),
            height: usize::from(u16::from_be_bytes([*h0, *h1])),
            progressive,
            components,
        };
        (frame.width > 0 && frame.height > 0 && !frame.components.is_empty()).then_some(frame)
    }

    /// How many units a scan of `parts` has across and down, and how often each part occurs in one.
    fn units(&self, parts: &[InScan]) -> Option<(usize, usize, Vec<usize>)> {
        let most = |side: fn(&Component) -> usize| self.components.iter().map(side).max();
        let (across, down) = (most(|c| c.horizontal)?, most(|c| c.vertical)?);
        if let [part] = parts {
            let component = self.components.get(part.component)?;
            let blocks =
                |pixels: usize, own: usize, most: usize| (pixels * own).div_ceil(most).div_ceil(8);
            return Some((
                blocks(self.width, component.horizontal, across),
                blocks(self.height, component.vertical, down),
                vec![1],
            ));
        }
        let blocks = parts
            .iter()
            .map(|part| {
                let component = self.components.get(part.component)?;
                Some(component.horizontal * component.vertical)
            })
            .collect::<Option<_>>()?;
        Some((
            self.width.div_ceil(8 * across),
            self.height.div_ceil(8 * down),
            blocks,
        ))
    }
}

impl Jpeg {
    fn read_tables(&mut self, data: &[u8]) {
        let mut rest = data;
        while let Some((head, lengths)) = rest.split_first()
            && let Some(counts) = lengths.first_chunk::<16>()
        {
            let symbols: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let values = lengths.get(16..16 + symbols).unwrap_or_default();
            let tables = if head >> 4 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            if let Some(table) = tables.get_mut(usize::from(head & 15)) {
                *table = Some(Huffman::new(counts, values));
            }
            rest = lengths.get(16 + symbols..).unwrap_or_default();
        }
    }

    /// Takes note of a scan with this header. `Some` with what is missing if its data are to be counted: if it is the
    /// last one in the file, without a marker behind it.
    fn scan(&mut self, header: &[u8], data: &[u8], count: bool) -> Option<Missing> {
        let frame = self.frame.as_mut()?;
        let (components, rest) = header.split_first()?;
        let (parts, rest) = rest.split_at_checked(2 * usize::from(*components))?;
        let parts: Vec<InScan> = parts
            .chunks_exact(2)
            .filter_map(|part| {
                let component = frame.components.iter().position(|c| c.id == part[0])?;
                Some(InScan {
                    component,
                    dc: usize::from(part[1] >> 4),
                    ac: usize::from(part[1] & 15),
                })
            })
            .collect();
        let [from, to, bits] = *rest.first_chunk::<3>()?;
        let (from, to) = if frame.progressive {
            (usize::from(from.min(63)), usize::from(to.min(63)))
        } else {
            (0, 63)
        };
        let (high, low) = (bits >> 4, bits & 15);
        if count {
            let first_look = from == 0 && high == 0;
            if frame.progressive && !first_look {
                return Some(self.at_end());
            }
            let only_dc = frame.progressive;
            return Some(match self.share(&parts, data, only_dc) {
                Some(share) if share < 1.0 => Missing::Lower(1.0 - share),
                // Whole, or not to be understood.
                Some(_) => {
                    self.note(&parts, from, to, low);
                    self.at_end()
                }
                None => Missing::Nothing,
            });
        }
        self.note(&parts, from, to, low);
        None
    }

    fn note(&mut self, parts: &[InScan], from: usize, to: usize, low: u8) {
        let Some(frame) = &mut self.frame else { return };
        let low = if frame.progressive { low } else { 0 };
        for part in parts {
            let bits = frame
                .components
                .get_mut(part.component)
                .map(|c| &mut c.bits);
            if let Some(bits) = bits.and_then(|bits| bits.get_mut(from..=to)) {
                bits.fill(Some(low));
            }
        }
    }

    /// What is missing when the file ends here, before its end marker.
    fn at_end(&self) -> Missing {
        let Some(frame) = &self.frame else {
            return Missing::End;
        };
        let all = |test: fn(&Component) -> bool| frame.components.iter().all(test);
        if all(|c| c.bits.iter().all(|bits| *bits == Some(0))) {
            Missing::Nothing
        } else if all(|c| c.bits.first().is_some_and(Option::is_some)) {
            Missing::Detail
        } else {
            Missing::End
        }
    }

    /// Which share of the units of a scan is in `data`, less than one row missing being nothing. `only_dc` for the first
    /// scan of a progressive image. `None` if the data cannot be followed.
    fn share(&self, parts: &[InScan], data: &[u8], only_dc: bool) -> Option<f64> {
        let (across, down, blocks) = self.frame.as_ref()?.units(parts)?;
        let units = across * down;
        let mut reader = Bits::new(data);
        let mut done = 0;
        'units: while done < units {
            if self.restart > 0 && done > 0 && done % self.restart == 0 && !reader.restart() {
                break;
            }
            for (part, blocks) in parts.iter().zip(&blocks) {
                let dc = self.dc.get(part.dc)?.as_ref()?;
                let ac = if only_dc {
                    None
                } else {
                    Some(self.ac.get(part.ac)?.as_ref()?)
                };
                for _ in 0..*blocks {
                    match reader.block(dc, ac) {
                        Ok(()) => {}
                        Err(Stop::End) => break 'units,
                        Err(Stop::Nonsense) => return None,
                    }
                }
            }
            done += 1;
        }
        Some(if units - done < across {
            1.0
        } else {
            done as f64 / units as f64
        })
    }
}

/// A canonical Huffman table (T.81, C and F.2.2.3).
struct Huffman {
    /// For each length 1..=16: the first code, the number of codes, the index of the first symbol.
    lengths: [(u32, u32, usize); 16],
    symbols: Vec<u8>,
}

impl Huffman {
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Self {
        let mut lengths = [(0, 0, 0); 16];
        let (mut code, mut index) = (0_u32, 0);
        for (length, count) in lengths.iter_mut().zip(counts) {
            *length = (code, u32::from(*count), index);
            code = (code + u32::from(*count)) << 1;
            index += usize::from(*count);
        }
        Self {
            lengths,
            symbols: symbols.to_vec(),
        }
    }
}

/// Why a block cannot be read.
enum Stop {
    /// The data ends.
    End,
    /// A code that is none.
    Nonsense,
}

/// Bits of entropy-coded data, its stuffed zeros left out.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    byte: u8,
    left: u32,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            byte: 0,
            left: 0,
        }
    }

    fn bit(&mut self) -> Result<u32, Stop> {
        if self.left == 0 {
            self.byte = *self.data.get(self.at).ok_or(Stop::End)?;
            self.at += 1;
            if self.byte == 0xFF {
                match self.data.get(self.at) {
                    Some(0) => self.at += 1,
                    // A restart marker before its time, or the end.
                    _ => return Err(Stop::End),
                }
            }
            self.left = 8;
        }
        self.left -= 1;
        Ok(u32::from(self.byte >> self.left) & 1)
    }

    fn skip(&mut self, bits: u8) -> Result<(), Stop> {
        for _ in 0..bits {
            self.bit()?;
        }
        Ok(())
    }

    fn symbol(&mut self, table: &Huffman) -> Result<u8, Stop> {
        let mut code = 0;
        for (first, count, index) in &table.lengths {
            code = code << 1 | self.bit()?;
            if code >= *first && code - first < *count {
                let symbol = table.symbols.get(index + (code - first) as usize);
                return symbol.copied().ok_or(Stop::Nonsense);
            }
        }
        Err(Stop::Nonsense)
    }

    /// Goes past one block: the mean, then, with a table for them, the other coefficients.
    fn block(&mut self, dc: &Huffman, ac: Option<&Huffman>) -> Result<(), Stop> {
        let size = self.symbol(dc)?;
        self.skip(size.min(16))?;
        let Some(ac) = ac else { return Ok(()) };
        let mut coefficient = 1;
        while coefficient < 64 {
            let symbol = self.symbol(ac)?;
            let (zeros, size) = (symbol >> 4, symbol & 15);
            match (zeros, size) {
                (15, 0) => coefficient += 16,
                (_, 0) => break,
                _ => {
                    coefficient += u32::from(zeros) + 1;
                    self.skip(size)?;
                }
            }
        }
        Ok(())
    }

    /// Goes on behind the next restart marker; `false` if there is none.
    fn restart(&mut self) -> bool {
        self.left = 0;
        let rest = self.data.get(self.at..).unwrap_or_default();
        let marker = rest
            .windows(2)
            .position(|two| matches!(two, [0xFF, 0xD0..=0xD7]));
        if let Some(found) = marker {
            self.at += found + 2;
        }
        marker.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;

    /// A baseline JPEG of one grey component, 16 × 64 pixels, all tables of one code each: every block takes two bits.
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
        assert_eq!(missing(&webp[..18], ImageKind::WebP), Missing::End);
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
