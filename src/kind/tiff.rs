//! The directories of a TIFF file, with the properties of its pages (TIFF 6.0, 1992; TIFF/EP, ISO 12234-2; DNG 1.6).
//! Nothing is decoded.

use std::collections::HashSet;

/// `NewSubfileType`: bit 0 is set for a reduced copy of another page.
pub(crate) const SUBFILE_TYPE: u16 = 254;

const PHOTOMETRIC: u16 = 262;
/// `MaxSampleValue`.
pub(crate) const MAX_SAMPLE_VALUE: u16 = 281;
const HEIGHT: u16 = 257;
const COMPRESSION: u16 = 259;
const STRIP_OFFSETS: u16 = 273;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_BYTE_COUNTS: u16 = 279;
const SUB_IFDS: u16 = 330;
const DNG_VERSION: u16 = 50706;
/// Colour filter array, `LinearRaw`: sensor data.
const RAW_PHOTOMETRIC: [u64; 2] = [32803, 34892];
/// The most directories that are read.
const MOST: usize = 10_000;
/// The most values of a tag that are read, if its beginning is sufficient.
const FEW: u64 = 16;
/// The most strips; an image cannot have that many rows.
const MOST_STRIPS: u64 = 1 << 20;

/// The TIFF structure in `bytes`, which may be just the beginning of a file.
pub(crate) struct Tiff<'a> {
    bytes: &'a [u8],
    little: bool,
    big: bool,
}

/// A directory: tags with their first values, for integer tags.
pub(crate) struct Directory {
    entries: Vec<Entry>,
    next: u64,
}

/// The strips of an image in the file.
pub(crate) struct Strips {
    /// Number of rows of the image.
    pub(crate) height: u64,
    /// Rows of each strip; the last may have fewer.
    pub(crate) rows_per_strip: u64,
    /// Offset and size of each strip in bytes.
    pub(crate) places: Vec<(u64, u64)>,
    /// Whether they are uncompressed.
    pub(crate) is_raw: bool,
}

struct Entry {
    tag: u16,
    values: Vec<u64>,
}

impl Directory {
    /// The first value of a tag.
    pub(crate) fn value(&self, tag: u16) -> Option<u64> {
        self.values(tag).first().copied()
    }

    fn values(&self, tag: u16) -> &[u64] {
        let entry = self.entries.iter().find(|entry| entry.tag == tag);
        entry.map_or(&[], |entry| entry.values.as_slice())
    }
}

impl<'a> Tiff<'a> {
    /// `None` if `bytes` is neither TIFF nor `BigTIFF`.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        let (little, big) = match bytes.get(..4)? {
            b"II*\0" => (true, false),
            b"MM\0*" => (false, false),
            b"II+\0" => (true, true),
            b"MM\0+" => (false, true),
            _ => return None,
        };
        Some(Self { bytes, little, big })
    }

    /// The directories of the pages, in order, as far as they are within `bytes`.
    pub(crate) fn pages(&self) -> Vec<Directory> {
        let mut pages = Vec::new();
        let mut at = self.first();
        let mut seen = HashSet::new();
        while let Some(offset) = at.filter(|offset| *offset > 0 && !seen.contains(offset))
            && pages.len() < MOST
            && let Some(page) = self.directory(offset)
        {
            seen.insert(offset);
            at = Some(page.next);
            pages.push(page);
        }
        pages
    }

    /// The strips of the first page.
    pub(crate) fn strips(&self) -> Option<Strips> {
        let page = self.read_directory(self.first()?, MOST_STRIPS)?;
        let sizes = page.values(STRIP_BYTE_COUNTS).iter().copied();
        let offsets = page.values(STRIP_OFFSETS).iter().copied();
        Some(Strips {
            height: page.value(HEIGHT)?,
            rows_per_strip: page.value(ROWS_PER_STRIP).unwrap_or(u64::MAX),
            places: offsets.zip(sizes).collect(),
            is_raw: page.value(COMPRESSION).is_none_or(|value| value == 1),
        })
    }

    /// The offset of the first directory.
    fn first(&self) -> Option<u64> {
        if self.big {
            self.number(8, 8)
        } else {
            self.number(4, 4)
        }
    }

    /// Whether any image in it is sensor data.
    pub(crate) fn is_camera_raw(&self) -> bool {
        // The colour filter array is in the first page or one level below it.
        self.pages().iter().take(8).any(|page| {
            Self::says_raw(page)
                || page
                    .values(SUB_IFDS)
                    .iter()
                    .take(8)
                    .filter_map(|offset| self.directory(*offset))
                    .any(|below| Self::says_raw(&below))
        })
    }

    fn says_raw(page: &Directory) -> bool {
        page.value(DNG_VERSION).is_some()
            || page
                .value(PHOTOMETRIC)
                .is_some_and(|value| RAW_PHOTOMETRIC.contains(&value))
    }

    fn directory(&self, offset: u64) -> Option<Directory> {
        self.read_directory(offset, FEW)
    }

    /// The directory at `offset`, with at most `strips` values of the tags for strips.
    fn read_directory(&self, offset: u64, strips: u64) -> Option<Directory> {
        let offset = usize::try_from(offset).ok()?;
        let (head, entry_size, width) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let count = usize::try_from(self.number(offset, head)?).ok()?;
        let first = offset.checked_add(head)?;
        let mut entries = Vec::new();
        for index in 0..count.min(1000) {
            let at = first.checked_add(index * entry_size)?;
            let tag = self.number(at, 2)? as u16;
            let size = match self.number(at + 2, 2)? {
                1 | 7 => 1,
                3 => 2,
                4 | 13 => 4,
                16 | 18 => 8,
                _ => continue,
            };
            let many = self.number(at + 4, width)?;
            let again = entries.iter().any(|entry: &Entry| entry.tag == tag);
            let most = match tag {
                STRIP_OFFSETS | STRIP_BYTE_COUNTS if !again => strips,
                _ => FEW,
            };
            let place = at + 4 + width;
            let inside = many.saturating_mul(size as u64) <= width as u64;
            let start = if inside {
                Some(place)
            } else {
                self.number(place, width)
                    .and_then(|offset| usize::try_from(offset).ok())
            };
            let values = (0..usize::try_from(many.min(most)).unwrap_or(0))
                .map_while(|index| self.number(start?.checked_add(index * size)?, size))
                .collect();
            entries.push(Entry { tag, values });
        }
        let next = first
            .checked_add(count.checked_mul(entry_size)?)
            .and_then(|at| self.number(at, width))
            .unwrap_or(0);
        Some(Directory { entries, next })
    }

    /// The integer of `size` bytes at `offset`.
    fn number(&self, offset: usize, size: usize) -> Option<u64> {
        let bytes = self.bytes.get(offset..offset.checked_add(size)?)?;
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.little {
            bytes.iter().rev().fold(0, fold)
        } else {
            bytes.iter().fold(0, fold)
        })
    }
}
