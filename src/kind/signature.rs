//! Recognises formats by their first bytes. Each signature is documented by its source, except the formats' own magic
//! numbers.

use std::io::Cursor;

use super::tiff::Tiff;
use super::{ANIMATED_GIF, ANIMATED_PNG, AVIF_SEQUENCE, HEIF_SEQUENCE, ImageKind, Kind, gif};

use ImageKind::{
    Avif, Bmp, Gif, Heif, Ico, Jpeg, Jpeg2000, JpegXl, Png, Pnm, Qoi, Rare, Tiff as TiffImage, WebP,
};

pub(super) fn kind(head: &[u8]) -> Kind {
    if head.is_empty() {
        return Kind::Empty;
    }
    let by_magic = image(head)
        .or_else(|| camera_raw(head))
        .or_else(|| film(head))
        .or_else(|| other(head));
    match by_magic {
        Some(kind) => kind,
        None if is_text(head) => Kind::Text,
        None => Kind::Unknown,
    }
}

fn image(head: &[u8]) -> Option<Kind> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    let image = if starts(&[0xFF, 0xD8, 0xFF, 0xF7]) {
        Rare("JPEG-LS")
    } else if starts(&[0xFF, 0xD8, 0xFF]) {
        Jpeg
    } else if starts(b"\x89PNG\r\n\x1A\n") {
        if is_animated_png(head) {
            return Some(Kind::Film(ANIMATED_PNG));
        }
        Png
    } else if starts(b"GIF87a") || starts(b"GIF89a") {
        if gif::images(&mut Cursor::new(head), 2) > 1 {
            return Some(Kind::Film(ANIMATED_GIF));
        }
        Gif
    } else if starts(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        WebP
    } else if is_bmp(head) {
        Bmp
    } else if let Some(tiff) = Tiff::new(head) {
        if head.get(8..10) == Some(b"CR") && starts(b"II") {
            return Some(Kind::CameraRaw("Canon CR2"));
        }
        if tiff.is_camera_raw() {
            return Some(Kind::CameraRaw("TIFF with sensor data"));
        }
        TiffImage
    } else if is_pnm(head) {
        Pnm
    } else if starts(&[0xFF, 0x0A]) || starts(b"\0\0\0\x0CJXL ") {
        JpegXl
    } else if starts(b"\0\0\0\x0CjP  ") || starts(&[0xFF, 0x4F, 0xFF, 0x51]) {
        Jpeg2000
    } else if starts(b"qoif") {
        Qoi
    } else if starts(&[0, 0, 1, 0]) && head.get(4).is_some_and(|count| *count > 0) && is_icon(head)
    {
        Ico
    } else if starts(b"DDS ") {
        Rare("DDS")
    } else if starts(b"8BPS\0\x01") {
        Rare("Photoshop")
    } else if starts(&[0x01, 0xDA]) && matches!(head.get(2..4), Some([0 | 1, 1 | 2])) {
        Rare("SGI")
    } else if starts(&[0x0A]) && matches!(head.get(1..4), Some([0 | 2 | 3 | 5, 1, 1 | 2 | 4 | 8])) {
        Rare("PCX")
    } else {
        return None;
    };
    Some(Kind::Image(image))
}

/// Whether an `acTL` chunk before the first image data declares more than one frame (APNG specification 1.0).
fn is_animated_png(head: &[u8]) -> bool {
    let mut rest = head.get(8..).unwrap_or_default();
    while let [a, b, c, d, name @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        match name.get(..4) {
            Some(b"acTL") => {
                return name
                    .get(4..8)
                    .is_some_and(|frames| frames != [0, 0, 0, 0] && frames != [0, 0, 0, 1]);
            }
            Some(b"IDAT") | None => return false,
            Some(_) => {}
        }
        // Length, type, data, checksum.
        rest = rest.get(length.saturating_add(12)..).unwrap_or_default();
    }
    false
}

/// `BM`, and a valid size of the information header.
fn is_bmp(head: &[u8]) -> bool {
    head.starts_with(b"BM")
        && matches!(
            head.get(14..18),
            Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])
        )
}

/// The first entry of an icon: its reserved byte is 0, and its image is after the directory.
fn is_icon(head: &[u8]) -> bool {
    let Some(entry) = head.get(6..22) else {
        return false;
    };
    entry.get(3) == Some(&0) && matches!(entry.get(12..16), Some([a, b, ..]) if *a >= 22 || *b > 0)
}

/// `P1` to `P6`, then width, height and, except for bitmaps, the largest value, with comments between (netpbm's
/// `ppm(5)`); `P7` is PAM.
fn is_pnm(head: &[u8]) -> bool {
    let wanted = match head.get(..2) {
        Some(b"P1" | b"P4") => 2,
        Some(b"P2" | b"P3" | b"P5" | b"P6") => 3,
        Some(b"P7") => return head.get(2) == Some(&b'\n'),
        _ => return false,
    };
    let mut rest = head.get(2..head.len().min(4096)).unwrap_or_default();
    let mut numbers = 0;
    while numbers < wanted {
        let blanks = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
        if blanks == 0 && rest.first() != Some(&b'#') {
            return false;
        }
        rest = rest.get(blanks..).unwrap_or_default();
        if rest.first() == Some(&b'#') {
            let line = rest
                .iter()
                .take_while(|b| !matches!(b, b'\n' | b'\r'))
                .count();
            rest = rest.get(line..).unwrap_or_default();
            continue;
        }
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || digits > 9 {
            return false;
        }
        rest = rest.get(digits..).unwrap_or_default();
        numbers += 1;
    }
    rest.first().is_none_or(u8::is_ascii_whitespace)
}

fn camera_raw(head: &[u8]) -> Option<Kind> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    let name = if starts(b"FUJIFILMCCD-RAW") {
        "Fujifilm RAF"
    } else if starts(b"IIRO") || starts(b"IIRS") || starts(b"MMOR") {
        "Olympus ORF"
    } else if starts(b"IIU\0") {
        "Panasonic RW2"
    } else if head.get(6..14) == Some(b"HEAPCCDR") {
        "Canon CRW"
    } else if starts(b"FOVb") {
        "Sigma X3F"
    } else if starts(b"\0MRM") {
        "Minolta MRW"
    } else if head.get(4..12) == Some(b"ftypcrx ") {
        "Canon CR3"
    } else if matches!(head.get(4..8), Some(b"RED1" | b"RED2")) {
        "RED R3D"
    } else {
        return None;
    };
    Some(Kind::CameraRaw(name))
}

fn film(head: &[u8]) -> Option<Kind> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    let film = if let Some(kind) = iso_media(head) {
        return Some(kind);
    } else if starts(&[0x1A, 0x45, 0xDF, 0xA3]) {
        "Matroska"
    } else if starts(b"RIFF") && head.get(8..11) == Some(b"AVI") {
        "AVI"
    } else if starts(b"OggS") {
        let video = [b"\x80theora".as_slice(), b"OVP80", b"BBCD\0", b"\x01video"];
        let start = head.get(..head.len().min(4096)).unwrap_or_default();
        if !video.iter().any(|magic| contains(start, magic)) {
            return Some(Kind::Sound);
        }
        "Ogg"
    } else if starts(b"FLV\x01") {
        "Flash"
    } else if starts(&[0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11]) {
        "Windows Media"
    } else if starts(&[0, 0, 1, 0xBA]) {
        "MPEG program stream"
    } else if starts(&[0, 0, 1, 0xB3]) {
        "MPEG"
    } else if starts(&[0, 0, 1, 0xB0]) {
        "MPEG-4"
    } else if let Some(name) = annex_b(head) {
        name
    } else if is_transport_stream(head) {
        "MPEG transport stream"
    } else if starts(b".RMF") {
        "RealMedia"
    } else if starts(&[0x06, 0x0E, 0x2B, 0x34, 0x02, 0x05, 0x01, 0x01]) {
        "MXF"
    } else if starts(&[0x1F, 0x07, 0x00]) && matches!(head.get(3), Some(0x3F | 0xBF)) {
        "DV"
    } else if starts(b"YUV4MPEG2 ") {
        "YUV4MPEG"
    } else if starts(b"DHAV") || starts(b"DAHUA") {
        "Dahua"
    } else if starts(b"DKIF\0\0") {
        "AV1"
    } else if starts(b"nut/multimedia container\0") {
        "NUT"
    } else {
        return None;
    };
    Some(Kind::Film(film))
}

/// Files of ISO boxes: films, HEIF, AVIF (ISO/IEC 14496-12; brands as registered at mp4ra.org).
fn iso_media(head: &[u8]) -> Option<Kind> {
    let name = head.get(4..8)?;
    if name != b"ftyp" {
        let known = [b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"];
        let size = head.get(..4)?;
        // A first box of an invalid size is a coincidence.
        let plausible = size == [0, 0, 0, 1] || size == [0; 4] || size >= [0, 0, 0, 8].as_slice();
        return (plausible && known.iter().any(|one| name == *one))
            .then_some(Kind::Film("QuickTime"));
    }
    Some(match head.get(8..12)? {
        b"avif" => Kind::Image(Avif),
        b"avis" => Kind::Film(AVIF_SEQUENCE),
        b"heic" | b"heix" | b"heim" | b"heis" => Kind::Image(Heif),
        b"hevc" | b"hevx" | b"msf1" => Kind::Film(HEIF_SEQUENCE),
        // The general brand; a more specific one may be among the compatible brands.
        b"mif1" | b"mif2" | b"miaf" => {
            let brands = head.get(16..head.len().min(128)).unwrap_or_default();
            let size = head
                .first_chunk()
                .map_or(0, |size| u32::from_be_bytes(*size)) as usize;
            let brands = brands.get(..size.saturating_sub(16)).unwrap_or(brands);
            if brands.chunks(4).any(|brand| brand == b"avif") {
                Kind::Image(Avif)
            } else {
                Kind::Image(Heif)
            }
        }
        b"jxl " => Kind::Image(JpegXl),
        b"jp2 " | b"jpx " => Kind::Image(Jpeg2000),
        b"qt  " => Kind::Film("QuickTime"),
        b"M4A " | b"M4B " | b"M4P " => Kind::Sound,
        [b'3', b'g', ..] => Kind::Film("3GP"),
        b"crx " => return None,
        _ => Kind::Film("MP4"),
    })
}

/// Raw H.264 and HEVC: a start code, then the first unit of a stream (ITU-T H.264 and H.265, annex B).
fn annex_b(head: &[u8]) -> Option<&'static str> {
    let units = head
        .strip_prefix(&[0, 0, 0, 1])
        .or_else(|| head.strip_prefix(&[0, 0, 1]))?;
    let mut first = *units.first()?;
    let mut second = *units.get(1)?;
    // A delimiter may precede the parameters.
    if (first & 0x1F == 9 && first & 0x80 == 0) || (first, second) == (0x46, 0x01) {
        let rest = units.get(2..units.len().min(16))?;
        let at = rest.windows(3).position(|three| three == [0, 0, 1])?;
        (first, second) = (*rest.get(at + 3)?, *rest.get(at + 4)?);
    }
    match (first, second) {
        // Video, sequence or picture parameters: types 32 to 34, layer 0, temporal id 1.
        (0x40 | 0x42 | 0x44, 0x01) => Some("HEVC"),
        // Sequence parameters of a valid profile.
        (0x27 | 0x47 | 0x67, 44 | 66 | 77 | 83 | 86 | 88 | 100 | 110 | 118 | 122 | 128 | 244) => {
            Some("H.264")
        }
        _ => None,
    }
}

/// Packets of 188 bytes, of 192 with a timestamp before each (Blu-ray, camcorders), or of 204 with parity after each.
fn is_transport_stream(head: &[u8]) -> bool {
    [(0, 188), (4, 192), (0, 204)]
        .iter()
        .any(|&(offset, size)| {
            let packets = (head.len().saturating_sub(offset) / size).min(8);
            packets >= 3
                && (0..packets).all(|packet| head.get(offset + packet * size) == Some(&0x47))
        })
}

fn other(head: &[u8]) -> Option<Kind> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    let sound = starts(b"ID3")
        || starts(b"fLaC")
        || starts(b"#!AMR")
        || starts(b"MThd")
        || (starts(b"RIFF") && head.get(8..12) == Some(b"WAVE"))
        || (starts(b"FORM") && matches!(head.get(8..12), Some(b"AIFF" | b"AIFC")));
    if sound {
        return Some(Kind::Sound);
    }
    let document = starts(b"%PDF")
        || starts(b"%!PS")
        || starts(b"{\\rtf")
        || starts(&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1])
        || (is_text(head)
            && contains(
                head.get(..head.len().min(1024)).unwrap_or_default(),
                b"<svg",
            ));
    if document {
        return Some(Kind::Document);
    }
    let archive = starts(b"PK\x03\x04")
        || starts(b"PK\x05\x06")
        || starts(b"Rar!\x1A\x07")
        || starts(&[b'7', b'z', 0xBC, 0xAF, 0x27, 0x1C])
        || starts(&[0x1F, 0x8B, 0x08])
        || starts(b"BZh")
        || starts(&[0xFD, b'7', b'z', b'X', b'Z', 0])
        || starts(&[0x28, 0xB5, 0x2F, 0xFD])
        || head.get(257..262) == Some(b"ustar");
    archive.then_some(Kind::Archive)
}

/// Whether the beginning of a file is plain text, in UTF-8, or in UTF-16 with a byte order mark.
fn is_text(head: &[u8]) -> bool {
    let head = head.get(..head.len().min(4096)).unwrap_or_default();
    if head.starts_with(&[0xFF, 0xFE]) || head.starts_with(&[0xFE, 0xFF]) {
        return head.len() % 2 == 0 && head.len() > 2;
    }
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The end may be within a character.
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

fn contains(head: &[u8], part: &[u8]) -> bool {
    head.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signature_is_known() {
        let jpeg = Kind::Image(Jpeg);
        let mp4 = Kind::Film("MP4");
        let cases: [(&[u8], Kind); 34] = [
            (b"", Kind::Empty),
            (&[0xFF, 0xD8, 0xFF, 0xE0], jpeg),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Kind::Image(WebP)),
            (b"RIFF\x10\0\0\0AVI LIST", Kind::Film("AVI")),
            (b"RIFF\x10\0\0\0WAVEfmt ", Kind::Sound),
            (b"II*\0\x08\0\0\0\0\0\0\0\0\0", Kind::Image(TiffImage)),
            (b"II*\0\x10\0\0\0CR\x02\0", Kind::CameraRaw("Canon CR2")),
            (b"P6\n# a comment\n64 48\n255\n\x01\x02", Kind::Image(Pnm)),
            (b"P5 3 4 65535\n", Kind::Image(Pnm)),
            (b"P4\n8 1\n\xFF", Kind::Image(Pnm)),
            (b"P3 is a place, P6 another", Kind::Text),
            (b"P1 2025 results\n", Kind::Text),
            (b"\0\0\0\x1CftypavifAAAA", Kind::Image(Avif)),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", Kind::Image(Avif)),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", Kind::Image(Heif)),
            (b"\0\0\0\x18ftypheic\0\0\0\0", Kind::Image(Heif)),
            (
                b"\0\0\0\x18ftypcrx \0\0\0\x01",
                Kind::CameraRaw("Canon CR3"),
            ),
            (b"\0\0\0\x18ftypisom\0\0\0\x01", mp4),
            (b"\0\0\0\x14ftypqt  \0\0\0\x01", Kind::Film("QuickTime")),
            (b"\0\0\0\x08wide\0\0\x10\0mdat", Kind::Film("QuickTime")),
            (&[0xFF, 0x0A, 0x10, 0x20], Kind::Image(JpegXl)),
            (b"FUJIFILMCCD-RAW 0201", Kind::CameraRaw("Fujifilm RAF")),
            (b"IIU\0\x08\0\0\0", Kind::CameraRaw("Panasonic RW2")),
            (&[0, 0, 0, 1, 0x67, 66, 0xC0, 0x1E], Kind::Film("H.264")),
            (&[0, 0, 1, 0x67, 100, 0, 0x1E], Kind::Film("H.264")),
            (
                &[0, 0, 0, 1, 9, 0x10, 0, 0, 0, 1, 0x27, 77],
                Kind::Film("H.264"),
            ),
            (&[0, 0, 0, 1, 0x40, 0x01, 0x0C], Kind::Film("HEVC")),
            (&[0, 0, 1, 0xBA, 0x44], Kind::Film("MPEG program stream")),
            (b"DHAV\xFD\0", Kind::Film("Dahua")),
            (b"BM and other abbreviations", Kind::Text),
            (b"%PDF-1.7\n", Kind::Document),
            (b"<svg xmlns='a'></svg>", Kind::Document),
            (b"PK\x03\x04\x14", Kind::Archive),
            (&[0x93, b'N', b'U', b'M', 0, 1], Kind::Unknown),
        ];
        for (head, kind) in cases {
            assert_eq!(super::kind(head), kind, "{head:?}");
        }
    }

    #[test]
    fn transport_streams_are_known_by_their_packets() {
        let mut stream = vec![0; 188 * 4];
        for packet in stream.chunks_mut(188) {
            packet[0] = 0x47;
        }
        assert_eq!(kind(&stream), Kind::Film("MPEG transport stream"));
        stream[188] = 0;
        assert_eq!(kind(&stream), Kind::Unknown);
        // TypeScript.
        let program = b"export const answer: number = 42;\n".repeat(40);
        assert_eq!(kind(&program), Kind::Text);
    }

    #[test]
    fn the_sensor_data_of_cameras_is_told_from_tiff_images() {
        // One page with the given entries, each with one 16-bit value.
        let tiff = |entries: &[(u16, u16)]| {
            let mut bytes = b"II*\0\x08\0\0\0".to_vec();
            bytes.extend((entries.len() as u16).to_le_bytes());
            for (tag, value) in entries {
                bytes.extend(tag.to_le_bytes());
                bytes.extend([3, 0, 1, 0, 0, 0]);
                bytes.extend(value.to_le_bytes());
                bytes.extend([0, 0]);
            }
            bytes.extend([0; 4]);
            bytes
        };
        assert_eq!(kind(&tiff(&[(262, 2)])), Kind::Image(TiffImage));
        // A colour filter array; the version of DNG.
        let raw = Kind::CameraRaw("TIFF with sensor data");
        assert_eq!(kind(&tiff(&[(262, 32803)])), raw);
        assert_eq!(kind(&tiff(&[(262, 2), (50706, 1)])), raw);
    }

    #[test]
    fn animations_are_films_when_their_second_image_is_seen() {
        let gif = |images: usize| {
            let mut bytes = b"GIF89a\x01\0\x01\0\0\0\0".to_vec();
            for _ in 0..images {
                bytes.extend([0x2C, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0]);
            }
            bytes.push(0x3B);
            bytes
        };
        assert_eq!(kind(&gif(1)), Kind::Image(Gif));
        assert_eq!(kind(&gif(2)), Kind::Film("animated GIF"));
        let png = |frames: u8| {
            let mut bytes = b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR".to_vec();
            bytes.extend([0; 13 + 4]);
            bytes.extend(b"\0\0\0\x08acTL\0\0\0");
            bytes.push(frames);
            bytes.extend([0; 8]);
            bytes
        };
        assert_eq!(kind(&png(1)), Kind::Image(Png));
        assert_eq!(kind(&png(5)), Kind::Film("animated PNG"));
    }
}
