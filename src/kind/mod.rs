//! The kind of a file, detected by content in one place for all callers.
//!
//! `table` lists every format with its extensions, `signature` recognises formats by their first bytes.
//! [`Kind::of_head`] is authoritative; [`Kind::of_name`] is a hint for cases in which opening every file would cost
//! too much (the scan of a million frames, the filter of a file dialog). FFmpeg may know formats without a known
//! signature: `Kind::of`, in the media layer, uses it, and reads animations beyond the first bytes.

pub(crate) mod gif;
pub(crate) mod jpeg;
mod signature;
mod table;
pub(crate) mod tiff;

use std::fmt;
use std::path::Path;

/// The number of bytes from the beginning of a file that [`Kind::of_head`] needs.
pub const HEAD_BYTES: usize = 64 << 10;

/// A GIF with more than one image.
pub(crate) const ANIMATED_GIF: &str = "animated GIF";
/// A PNG with more than one image.
pub(crate) const ANIMATED_PNG: &str = "animated PNG";
/// A sequence of JPEG images.
pub(crate) const MOTION_JPEG: &str = "Motion JPEG";
const AVIF_SEQUENCE: &str = "AVIF sequence";
const HEIF_SEQUENCE: &str = "HEIF sequence";

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A still image, or an animation of which FFmpeg reads only the first image.
    Image(ImageKind),
    /// A film: anything with video, with the name of its container.
    Film(&'static str),
    /// Raw data of a camera's sensor, with the maker and format.
    CameraRaw(&'static str),
    /// Only sound.
    Sound,
    /// Any text: notes, tables, programs, labels of another tool.
    Text,
    /// Another document: PDF, office documents, drawings.
    Document,
    /// Files packed into one.
    Archive,
    /// An empty file.
    Empty,
    /// An unknown format.
    Unknown,
}

/// The format of a still image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageKind {
    /// JPEG, also with depth maps or a short film after it.
    Jpeg,
    /// PNG; an animated one is a film.
    Png,
    /// WebP, also animated.
    WebP,
    /// GIF with one image; an animated one is a film.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF, also with several pages.
    Tiff,
    /// Portable pixmaps, graymaps, bitmaps and PAM.
    Pnm,
    /// Truevision TGA.
    Tga,
    /// Windows icon.
    Ico,
    /// Quite OK Image.
    Qoi,
    /// AVIF, one image.
    Avif,
    /// HEIF, HEIC.
    Heif,
    /// JPEG XL.
    JpegXl,
    /// JPEG 2000.
    Jpeg2000,
    /// Another format that FFmpeg may read.
    Rare(&'static str),
}

impl Kind {
    /// Detects the kind by the first bytes of a file ([`HEAD_BYTES`] of them, or all if there are fewer), independent
    /// of its name. Animations are detected if their second image, or the announcement of it, is within `head`.
    #[must_use]
    pub fn of_head(head: &[u8]) -> Self {
        signature::kind(head)
    }

    /// The kind by the extension alone, ignoring case; `None` if that is ambiguous (`ts`, `mod`, `dat`) or unknown.
    /// Only a hint: the content decides.
    #[must_use]
    pub fn of_name(path: &Path) -> Option<Self> {
        Self::of_extension(path.extension()?.to_str()?)
    }

    /// [`Kind::of_name`] for an extension without its dot.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        table::by_extension(extension)
    }

    /// The extensions of all images and films that can be read, in lower case, for file dialogs.
    #[must_use]
    pub fn media_extensions() -> Vec<&'static str> {
        table::media_extensions()
    }

    /// Whether it is a still image.
    #[must_use]
    pub fn is_image(self) -> bool {
        matches!(self, Self::Image(_))
    }

    /// Whether it is a film.
    #[must_use]
    pub fn is_film(self) -> bool {
        matches!(self, Self::Film(_))
    }

    /// Resolves an ambiguous content by the name: raw files of most cameras are TIFF, and a film may be a sequence of
    /// JPEG images.
    #[must_use]
    pub(crate) fn settled_by(self, name: Option<Self>) -> Self {
        match (self, name) {
            (Self::Image(ImageKind::Tiff) | Self::CameraRaw(_), Some(raw @ Self::CameraRaw(_))) => {
                raw
            }
            (Self::Image(ImageKind::Jpeg), Some(film @ Self::Film(MOTION_JPEG))) => film,
            _ => self,
        }
    }

    /// The format for reading its first image as a still one: that of an image, and of animations in image formats.
    pub(crate) fn first_image(self) -> Option<ImageKind> {
        match self {
            Self::Image(image) => Some(image),
            Self::Film(ANIMATED_GIF) => Some(ImageKind::Gif),
            Self::Film(ANIMATED_PNG) => Some(ImageKind::Png),
            Self::Film(AVIF_SEQUENCE) => Some(ImageKind::Avif),
            Self::Film(HEIF_SEQUENCE) => Some(ImageKind::Heif),
            _ => None,
        }
    }

    /// Whether it can be imported at all.
    #[must_use]
    pub fn is_media(self) -> bool {
        self.is_image() || self.is_film()
    }

    /// Why a file of this kind is not imported, with a remedy, to follow its name; `None` for images and films.
    #[must_use]
    pub fn refusal(self) -> Option<String> {
        Some(match self {
            Self::Image(_) | Self::Film(_) => return None,
            Self::CameraRaw(name) => format!(
                "is a camera raw photo ({name}), which is not supported; first save it as JPEG or PNG with the camera's program, darktable or RawTherapee"
            ),
            Self::Sound => "has no picture, only sound".into(),
            Self::Text => "is not an image or a video but text".into(),
            Self::Document => {
                "is a document, not an image or a video; export its images first".into()
            }
            Self::Archive => "is an archive; unpack it first".into(),
            Self::Empty => "is empty".into(),
            Self::Unknown => "is not an image or video, or has an unsupported format".into(),
        })
    }
}

/// A noun for users: "JPEG image", "Matroska video", "text".
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => write!(f, "{} image", image.name()),
            Self::Film(name) => write!(f, "{name} video"),
            Self::CameraRaw(name) => write!(f, "camera raw photo ({name})"),
            Self::Sound => f.write_str("sound"),
            Self::Text => f.write_str("text"),
            Self::Document => f.write_str("document"),
            Self::Archive => f.write_str("archive"),
            Self::Empty => f.write_str("empty file"),
            Self::Unknown => f.write_str("file of an unknown kind"),
        }
    }
}

impl ImageKind {
    /// The format's name for users.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
            Self::Pnm => "PNM",
            Self::Tga => "TGA",
            Self::Ico => "icon",
            Self::Qoi => "QOI",
            Self::Avif => "AVIF",
            Self::Heif => "HEIF",
            Self::JpegXl => "JPEG XL",
            Self::Jpeg2000 => "JPEG 2000",
            Self::Rare(name) => name,
        }
    }

    /// The extension for storing a file of this format, so that a scan recognises it without opening it; `None` for
    /// rare formats, which keep their own.
    #[must_use]
    pub fn extension(self) -> Option<&'static str> {
        table::extension_of(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case_and_never_by_a_bare_word() {
        let of = |name: &str| Kind::of_name(Path::new(name));
        assert_eq!(of("a/b.JPEG"), Some(Kind::Image(ImageKind::Jpeg)));
        assert_eq!(of("Taï/PICT0074.ASF").map(Kind::is_film), Some(true));
        assert_eq!(of("x.Nef"), Some(Kind::CameraRaw("Nikon NEF")));
        assert_eq!(of("jpg"), None);
        assert_eq!(of("label.txt"), Some(Kind::Text));
        // TypeScript or a transport stream: the name is ambiguous.
        assert_eq!(of("main.ts"), None);
        assert_eq!(of("MOV001.MOD"), None);
    }

    #[test]
    fn what_is_kept_is_found_by_its_extension() {
        use ImageKind::{
            Avif, Bmp, Gif, Heif, Ico, Jpeg, Jpeg2000, JpegXl, Png, Pnm, Qoi, Tga, Tiff, WebP,
        };
        for image in [
            Jpeg, Png, WebP, Gif, Bmp, Tiff, Pnm, Tga, Ico, Qoi, Avif, Heif, JpegXl, Jpeg2000,
        ] {
            let extension = image.extension();
            assert!(extension.is_some(), "{image:?}");
            assert_eq!(
                extension.and_then(Kind::of_extension),
                Some(Kind::Image(image))
            );
        }
    }

    #[test]
    fn each_refusal_names_what_it_is() {
        for kind in [
            Kind::CameraRaw("Canon CR2"),
            Kind::Sound,
            Kind::Text,
            Kind::Document,
            Kind::Archive,
            Kind::Empty,
            Kind::Unknown,
        ] {
            assert!(!kind.is_media());
            assert!(kind.refusal().is_some_and(|text| !text.ends_with('.')));
        }
        assert!(
            Kind::CameraRaw("Canon CR2")
                .refusal()
                .is_some_and(|text| text.contains("CR2") && text.contains("save it as JPEG"))
        );
        assert_eq!(Kind::Image(ImageKind::Jpeg).refusal(), None);
    }
}
