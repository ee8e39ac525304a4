//! Still images: by content, not by extension; upright; 8-bit RGB.

use std::path::Path;

use image::RgbImage;

use super::MediaError;

/// Reads an image file: JPEG (also CMYK), PNG, WebP, BMP, TIFF, first frame of a GIF; 16-bit is reduced,
/// transparency is laid on white, the EXIF orientation is applied.
pub fn load_image(path: &Path) -> Result<RgbImage, MediaError> {
    todo!("{path:?}")
}

/// Whether the extension is one of an image that [`load_image`] reads.
#[must_use]
pub fn is_image_name(path: &Path) -> bool {
    todo!("{path:?}")
}

/// Whether the extension is one of a video.
#[must_use]
pub fn is_video_name(path: &Path) -> bool {
    todo!("{path:?}")
}
