//! When photos and films were recorded, according to their files.

use std::io::BufReader;
use std::path::Path;

use exif::{In, Tag, Value};
use jiff::civil::DateTime;

use super::ffmpeg::OpenVideo;
use crate::files;
use crate::project::Recorded;

/// The time on the camera's clock when the photo in the file `path` was taken: EXIF's `DateTimeOriginal`, otherwise
/// `DateTimeDigitized`. `None` if it has neither or cannot be read.
#[must_use]
pub fn photo_time(path: &Path) -> Option<DateTime> {
    let mut file = BufReader::new(files::open(path).ok()?);
    let exif = exif::Reader::new()
        .continue_on_error(true)
        .read_from_container(&mut file)
        .or_else(|error| error.distill_partial_result(|_| {}))
        .ok()?;
    let time = [Tag::DateTimeOriginal, Tag::DateTimeDigitized]
        .into_iter()
        .filter_map(|tag| exif.get_field(tag, In::PRIMARY))
        .find_map(|field| match &field.value {
            Value::Ascii(texts) => texts.first().and_then(|text| exif_time(text)),
            _ => None,
        })?;
    Recorded::Local(time).if_credible()?;
    Some(time)
}

/// `2024:05:01 18:22:01`
fn exif_time(text: &[u8]) -> Option<DateTime> {
    let time = exif::DateTime::from_ascii(text).ok()?;
    let [month, day, hour, minute, second] =
        [time.month, time.day, time.hour, time.minute, time.second]
            .map(|part| i8::try_from(part).ok());
    let year = i16::try_from(time.year).ok()?;
    DateTime::new(year, month?, day?, hour?, minute?, second?, 0).ok()
}

/// When the recording of a film began: Apple's cameras state it with the time zone, others in UTC.
pub(super) fn film_time(video: &OpenVideo) -> Option<Recorded> {
    let metadata = video.input.metadata();
    ["com.apple.quicktime.creationdate", "creation_time"]
        .into_iter()
        .filter_map(|key| metadata.get(key)?.parse::<Recorded>().ok())
        .find_map(Recorded::if_credible)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

    use super::*;

    /// A JPEG file that consists of an EXIF segment with this `DateTimeOriginal`.
    fn jpeg_of(time: &str) -> Vec<u8> {
        let mut tiff = b"MM\0*\0\0\0\x08\0\x01".to_vec();
        // One entry, a pointer to the EXIF directory at offset 26.
        tiff.extend([0x87, 0x69, 0, 4, 0, 0, 0, 1, 0, 0, 0, 26, 0, 0, 0, 0]);
        // One entry in it: 20 characters at offset 44.
        tiff.extend([0, 1, 0x90, 0x03, 0, 2, 0, 0, 0, 20, 0, 0, 0, 44, 0, 0, 0, 0]);
        tiff.extend(time.as_bytes());
        tiff.push(0);
        let mut jpeg = vec![0xFF, 0xD8, 0xFF, 0xE1];
        jpeg.extend(((tiff.len() + 8) as u16).to_be_bytes());
        jpeg.extend(b"Exif\0\0");
        jpeg.extend(tiff);
        jpeg.extend([0xFF, 0xD9]);
        jpeg
    }

    #[test]
    fn the_time_of_a_photo_is_that_of_the_camera() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jpg");
        let time_of = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            photo_time(&path).map(|time| time.to_string())
        };
        let taken = time_of(&jpeg_of("2024:05:01 18:22:01"));
        assert_eq!(taken.as_deref(), Some("2024-05-01T18:22:01"));
        for none in [
            "    :  :     :  :  ",
            "1980:01:01 00:00:00",
            "2024:13:41 18:22:01",
        ] {
            assert_eq!(time_of(&jpeg_of(none)), None, "{none}");
        }
        assert_eq!(time_of(b"\xFF\xD8\xFF\xD9"), None);
        assert_eq!(time_of(b"no image"), None);
        assert_eq!(photo_time(&dir.path().join("gone.jpg")), None);
    }
}
