//! Finds how much of a JPEG image a file contains: counts the blocks in its entropy-coded data without decoding
//! pixels, because many programs merely omit the end marker (ITU-T T.81: annex B for the segments, F and G for the
//! codes).

use crate::kind::jpeg::{SOI, scan_end, segment};

use super::whole::Missing;

/// This many zero bytes at the end of a JPEG scan are not image data: they come from an interrupted copy to
/// preallocated disk space.
const ZEROS: usize = 512;

/// What the image lacks. With `count_all`, the blocks of scans that end with a marker are counted, too.
pub(super) fn missing(bytes: &[u8], count_all: bool) -> Missing {
    let mut image = Jpeg::default();
    let mut at = SOI.len();
    while let Some(segment) = segment(bytes, at) {
        at = segment.end;
        match segment.marker {
            // The end marker; or arithmetic coding, lossless and hierarchical images, which are not counted.
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
    // The file ends between two segments.
    image.at_end()
}

/// The properties of a JPEG image read so far.
#[derive(Default)]
struct Jpeg {
    frame: Option<Frame>,
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    /// Coding units between restart markers; 0 if there are no markers.
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
    /// For each coefficient, the lowest bit received so far (0: complete); `None` before its first scan.
    bits: [Option<u8>; 64],
}

/// A component in a scan: its index in the frame, and its tables.
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

    /// The number of coding units of a scan of `parts` across and down, and how often each part occurs in a unit.
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

    /// Records a scan with this header. If its data must be counted, because it is the last one in the file and no
    /// marker follows, returns what is missing.
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
                // Complete, or not decodable.
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

    /// What is missing if the file ends here, before its end marker.
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

    /// The fraction of a scan's units in `data`, 0..=1; less than one missing row is ignored. `only_dc` for the first
    /// scan of a progressive image. `None` if the data cannot be decoded.
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

/// Why a block cannot be decoded.
enum Stop {
    /// The data ends.
    End,
    /// An invalid code.
    Nonsense,
}

/// The bits of entropy-coded data, without stuffed zero bytes.
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
                    // An early restart marker, or the end.
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

    /// Skips one block: the DC coefficient, then, if there is a table for them, the AC coefficients.
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

    /// Skips to after the next restart marker; `false` if there is none.
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
