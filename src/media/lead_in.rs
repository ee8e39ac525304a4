//! Decides whether decoding from within a film gives the same images as decoding from its start.
//!
//! After a key frame it usually does. There are exceptions: the first packet is no key frame after all; times of
//! images are guessed from earlier ones; the decoder does not know yet by how many images it has to reorder. These can
//! be detected, and decoding then starts again from further back.

use ffmpeg_next::util::frame::Video;
use ffmpeg_next::{Packet, color};

/// Checks the images from the key frame on at which decoding began.
#[derive(Debug)]
pub(super) struct LeadIn {
    /// The key frame is shown at this time or before, in the stream's time base.
    at: i64,
    /// When the key frame is shown.
    key: Option<i64>,
    /// Time of the last image from the key frame on.
    last: Option<i64>,
    /// By how many images the decoder reorders.
    delay: Option<i32>,
    /// Whether anomalies from now on are those of the film itself.
    settled: bool,
    doubt: Doubt,
}

/// Where decoding may have to start instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    Nothing,
    /// At a key frame further back.
    Further,
    /// At the start of the film.
    Start,
}

impl LeadIn {
    /// For decoding from a key frame that is shown at the time `at` or before, in the stream's time base.
    pub fn new(at: i64) -> Self {
        Self {
            at,
            key: None,
            last: None,
            delay: None,
            settled: false,
            doubt: Doubt::Nothing,
        }
    }

    /// Records a packet, with times from the start of the range.
    pub fn packet(&mut self, packet: &Packet) {
        if self.key.is_some() {
            return;
        }
        match packet.pts() {
            Some(pts) if packet.is_key() && pts <= self.at => self.key = Some(pts),
            other => {
                self.key = other.or(Some(i64::MIN));
                self.raise(Doubt::Further);
            }
        }
    }

    /// Records an image from a decoder that reorders by `delay` images, and returns whether it is usable. Images shown
    /// before the key frame are not: they refer to images before it.
    pub fn is_usable(&mut self, image: &Video, delay: i32) -> bool {
        let (stated, pts) = (image.pts(), image.timestamp());
        if stated.is_none() || stated != pts {
            self.raise(Doubt::Start);
        }
        if *self.delay.get_or_insert(delay) != delay {
            self.raise(Doubt::Start);
        }
        if pts < self.key {
            return false;
        }
        let in_order = match self.last {
            None => pts == self.key,
            last => pts > last,
        };
        if !in_order && !self.settled {
            self.raise(Doubt::Further);
        }
        self.last = pts;
        true
    }

    /// Records an error of a packet or image.
    pub fn error(&mut self) {
        // Errors before the key frame are expected.
        if self.last.is_some() && !self.settled {
            self.raise(Doubt::Further);
        }
    }

    /// From now on damage and wrong times are those of the film itself. Returns whether earlier ones are in doubt.
    pub fn settle(&mut self) -> Doubt {
        if self.last.is_none() {
            self.raise(Doubt::Further);
        }
        self.settled = true;
        self.doubt
    }

    /// The doubt so far.
    pub fn doubt(&self) -> Doubt {
        self.doubt
    }

    fn raise(&mut self, doubt: Doubt) {
        self.doubt = self.doubt.max(doubt);
    }
}

/// The properties of images that filters are built for; they are kept until these change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameFormat {
    size: (u32, u32),
    format: ffmpeg_next::format::Pixel,
    aspect: (i32, i32),
    space: color::Space,
    primaries: color::Primaries,
    transfer: color::TransferCharacteristic,
    range: color::Range,
}

impl FrameFormat {
    pub fn of(image: &Video) -> Self {
        let aspect = image.aspect_ratio();
        Self {
            size: (image.width(), image.height()),
            format: image.format(),
            aspect: (aspect.numerator(), aspect.denominator()),
            space: image.color_space(),
            primaries: image.color_primaries(),
            transfer: image.color_transfer_characteristic(),
            range: image.color_range(),
        }
    }
}
