//! The segments of a JPEG file (ITU-T T.81, annex B): finds the end of the image, and further images after it.

/// Start of image.
pub(crate) const SOI: [u8; 2] = [0xFF, 0xD8];

/// A segment of a JPEG file: its marker and its data without the length.
pub(crate) struct Segment<'a> {
    /// The second byte of the marker.
    pub marker: u8,
    /// The parameters.
    pub data: &'a [u8],
    /// Where the data after it begins; for a scan, the entropy-coded data.
    pub end: usize,
}

/// The segment at `at`, or the next one; `None` at the end of the file or of the image.
pub(crate) fn segment(bytes: &[u8], at: usize) -> Option<Segment<'_>> {
    let mut at = at;
    loop {
        // Anything before the marker, and fill bytes before it, are skipped.
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xFF)?;
        let marker = loop {
            match bytes.get(at)? {
                0xFF => at += 1,
                marker => break *marker,
            }
        };
        at += 1;
        match marker {
            0xD9 => {
                return Some(Segment {
                    marker,
                    data: &[],
                    end: at,
                });
            }
            // Not a marker, or one without parameters.
            0x00 | 0x01 | 0xD0..=0xD8 => {}
            _ => {
                let length = usize::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
                let end = at.checked_add(length.max(2))?;
                let data = bytes.get(at + 2..end.min(bytes.len()))?;
                return Some(Segment { marker, data, end });
            }
        }
    }
}

/// Where the entropy-coded data that begins at `at` ends: at the next marker other than a restart marker, or at the
/// end of the file.
pub(crate) fn scan_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    while let Some(rest) = bytes.get(at..)
        && let Some(found) = rest.iter().position(|byte| *byte == 0xFF)
    {
        match rest.get(found + 1) {
            Some(0x00 | 0xD0..=0xD7) => at += found + 2,
            Some(0xFF) => at += found + 1,
            Some(_) => return at + found,
            None => break,
        }
    }
    bytes.len()
}

/// Whether `bytes` are a sequence of JPEG images, a film without a container. Photos followed by depth maps or gain
/// maps declare these (CIPA DC-007, multi-picture format) and are not films.
pub(crate) fn is_motion(bytes: &[u8]) -> bool {
    let mut at = SOI.len();
    while let Some(segment) = segment(bytes, at) {
        at = segment.end;
        match segment.marker {
            0xD9 => return bytes.get(at..).is_some_and(|rest| rest.starts_with(&SOI)),
            0xDA => at = scan_end(bytes, at),
            0xE2 if segment.data.starts_with(b"MPF\0") => return false,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_one_after_the_other_are_a_film() {
        let one = [
            &[0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 0xFF, 0xD9][..],
            &[0xFF, 0xDA, 0, 2, 1, 0xFF, 0, 2, 0xFF, 0xD3, 9, 0xFF, 0xD9],
        ]
        .concat();
        assert!(!is_motion(&one));
        assert!(is_motion(&[one.as_slice(), &one].concat()));
        // A photo followed by a film.
        assert!(!is_motion(
            &[one.as_slice(), b"\0\0\0\x18ftypmp42"].concat()
        ));
        let mut announced = one.clone();
        announced.splice(2..2, *b"\xFF\xE2\0\x06MPF\0");
        assert!(!is_motion(&[announced.as_slice(), &one].concat()));
    }
}
