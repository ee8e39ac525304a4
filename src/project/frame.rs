//! Frames: images in class folders whose names carry their source and timestamp.

use super::{ClassName, SourceId};

/// Where a frame lies: in a class folder or in `unsorted/`, which is no class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// In `classes/<name>/`.
    Class(ClassName),
    /// In `unsorted/`.
    Unsorted,
}

/// The parts of a frame's file name: `<stem>-<source>_<seconds>_<id>.jpg`, for a photo
/// `<stem>-<source>_photo_<id>.<ext>`.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameName {
    /// Readable part, from the source's name; carries no meaning.
    pub stem: String,
    /// The source.
    pub source: SourceId,
    /// Seconds from the start of the video, to the microsecond; `None` for a photo.
    pub time_secs: Option<f64>,
    /// 8 hexadecimal digits from source, time and width (photo: from its bytes), so that extracting
    /// again finds what is there already.
    pub id: String,
    /// The extension, lower case.
    pub extension: String,
}

impl FrameName {
    /// Reads a file name; `None` when it was not made by Salamander.
    #[must_use]
    pub fn parse(file_name: &str) -> Option<Self> {
        todo!("{file_name}")
    }

    /// The file name. Characters that some file system refuses are replaced in the stem.
    #[must_use]
    pub fn to_file_name(&self) -> String {
        todo!()
    }
}

/// One image in the project.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Path relative to the project's root, with `/`: `classes/cat/hall-3fa9c1d2_12.500000_09ab34cd.jpg`.
    pub path: String,
    /// Its label.
    pub label: Label,
    /// Its source, from the name; `None` for a file that was put there by hand.
    pub source: Option<SourceId>,
    /// Its timestamp in seconds, from the name.
    pub time_secs: Option<f64>,
}

/// A snapshot of all frames: by class in the user's order, then unsorted; within one label by source and time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frames {
    /// The frames.
    pub list: Vec<Frame>,
}
