//! Whether decoding that began within a film gives the very images that decoding from its start gives.
//!
//! It does behind a key frame, as a rule. What can spoil it: the first packet is no key frame after all; the times of images
//! are guessed from what came before; the decoder does not know yet by how many images it has to reorder. All of that
//! shows, and whoever decodes then begins further back.

use ffmpeg_next::util::frame::Video;
use ffmpeg_next::{Packet, color};

/// Watches the images from the key frame on with which decoding began.
#[derive(Debug)]
pub(super) struct LeadIn {
    /// The key frame is to be shown at this time or before, in the stream's time base.
    at: i64,
    /// When it is shown.
    key: Option<i64>,
    /// Time of the last image from the key frame on.
    last: Option<i64>,
    /// By how many images the decoder reorders.
    delay: Option<i32>,
    /// What is odd so far may have to do with the beginning here.
    settled: bool,
    doubt: Doubt,
}

/// Whether decoding may have to begin elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    Nothing,
    /// Further back.
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

    /// Notes a packet that was read, its times counted from the start of the range.
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

    /// Notes a picture as it comes from a decoder that reorders by `delay` pictures. Not to be used are those shown before
    /// the key frame: they refer to others before it.
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

    /// Notes an error of a packet or picture.
    pub fn error(&mut self) {
        // Those before the key frame are expected.
        if self.last.is_some() && !self.settled {
            self.raise(Doubt::Further);
        }
    }

    /// From now on damage and odd times are the film's own. Whether they could be distinguished up to here.
    pub fn settle(&mut self) -> Doubt {
        if self.last.is_none() {
            self.raise(Doubt::Further);
        }
        self.settled = true;
        self.doubt
    }

    /// What is in doubt so far.
    pub fn doubt(&self) -> Doubt {
        self.doubt
    }

    fn raise(&mut self, doubt: Doubt) {
        self.doubt = self.doubt.max(doubt);
    }
}

/// What the filters are made for: they are made for the first image and stay as long as its size does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    size: (u32, u32),
    format: ffmpeg_next::format::Pixel,
    aspect: (i32, i32),
    space: color::Space,
    primaries: color::Primaries,
    transfer: color::TransferCharacteristic,
    range: color::Range,
}

impl Look {
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
