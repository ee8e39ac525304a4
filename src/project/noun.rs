//! The noun for the images of a project, and how it is counted.

use std::borrow::Cow;

use crate::text::counted;

/// The noun for the images of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Noun {
    /// All images are from videos.
    #[default]
    Frame,
    /// All images are photos.
    Photo,
    /// There are both.
    Image,
}

impl Noun {
    /// The plural: `frames`, `photos`, `images`.
    #[must_use]
    pub fn many(self) -> &'static str {
        match self {
            Self::Frame => "frames",
            Self::Photo => "photos",
            Self::Image => "images",
        }
    }

    /// The singular: `frame`, `photo`, `image`.
    #[must_use]
    pub fn one(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Photo => "photo",
            Self::Image => "image",
        }
    }

    /// A number with the noun: `1 photo`, `1,260 frames`.
    #[must_use]
    pub fn count(self, value: usize) -> String {
        counted(value as u64, self.one(), self.many())
    }

    /// Replaces `{images}` and `{image}` in a text by the plural and singular, and `{Images}` and `{Image}` by the
    /// same with a capital.
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
