//! What the images of a project are called, and how they are counted.

use std::borrow::Cow;

use crate::text::counted;

/// What the images of a project are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Noun {
    /// All were taken from videos.
    #[default]
    Frame,
    /// All are photos.
    Photo,
    /// There are both.
    Image,
}

impl Noun {
    /// Several of them: `frames`, `photos`, `images`.
    #[must_use]
    pub fn many(self) -> &'static str {
        match self {
            Self::Frame => "frames",
            Self::Photo => "photos",
            Self::Image => "images",
        }
    }

    /// One of them: `frame`, `photo`, `image`.
    #[must_use]
    pub fn one(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Photo => "photo",
            Self::Image => "image",
        }
    }

    /// `1 photo`, `1,260 frames`
    #[must_use]
    pub fn count(self, value: usize) -> String {
        counted(value as u64, self.one(), self.many())
    }

    /// The text with `{images}` and `{image}` replaced by these words, `{Images}` and `{Image}` by the same at the
    /// beginning of a sentence.
    #[must_use]
    pub fn fill(self, text: &'static str) -> Cow<'static, str> {
        if !text.contains('{') {
            return Cow::Borrowed(text);
        }
        let [one_upper, many_upper] = match self {
            Self::Frame => ["Frame", "Frames"],
            Self::Photo => ["Photo", "Photos"],
            Self::Image => ["Image", "Images"],
        };
        Cow::Owned(
            text.replace("{images}", self.many())
                .replace("{image}", self.one())
                .replace("{Images}", many_upper)
                .replace("{Image}", one_upper),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_the_images_as_the_project_does() {
        assert_eq!(Noun::Photo.count(1), "1 photo");
        assert_eq!(Noun::Frame.count(1_260), "1,260 frames");
        assert_eq!(Noun::Image.count(0), "0 images");
        assert_eq!(Noun::Photo.fill("Undo"), "Undo");
        assert_eq!(
            Noun::Photo.fill("{Images} in all: no {image} of the {images}"),
            "Photos in all: no photo of the photos"
        );
    }
}
