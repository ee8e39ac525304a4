//! Encodes frames as JPEG with FFmpeg's encoder at a fixed quality, and converts them to RGB.

use std::sync::Arc;

use ffmpeg_next::codec::{self, Context, encoder};
use ffmpeg_next::software::scaling;
use ffmpeg_next::util::format::Pixel;
use ffmpeg_next::util::frame::Video;
use ffmpeg_next::{Error, Packet, Rational, ffi};
use image::RgbImage;
use parking_lot::Mutex;

/// Encodes frames of any size as JPEG; an encoder is reused for frames of the same format.
#[derive(Clone)]
pub(super) struct JpegEncoder {
    /// FFmpeg's `-q:v`, 1..=31.
    quality: u8,
    state: Arc<Mutex<Option<Opened>>>,
}

struct Opened {
    encoder: encoder::video::Encoder,
    width: u32,
    height: u32,
    format: Pixel,
    frames: i64,
}

impl JpegEncoder {
    /// An encoder with the given `-q:v`.
    pub fn new(quality: u8) -> Self {
        Self {
            quality: quality.clamp(1, 31),
            state: Arc::default(),
        }
    }

    /// The frame as a JPEG file.
    pub fn encode(&self, frame: &Video) -> Result<Vec<u8>, Error> {
        let mut state = self.state.lock();
        let fits = state.as_ref().is_some_and(|opened| {
            opened.width == frame.width()
                && opened.height == frame.height()
                && opened.format == frame.format()
        });
        if !fits {
            *state = None;
        }
        let opened = match &mut *state {
            Some(opened) => opened,
            empty => empty.insert(self.open(frame)?),
        };
        let result = opened.encode(frame, self.lambda());
        if result.is_err() {
            // Its state is unknown after an error; the next frame gets a new one.
            *state = None;
        }
        result
    }

    fn lambda(&self) -> i32 {
        i32::from(self.quality) * ffi::FF_QP2LAMBDA
    }

    fn open(&self, frame: &Video) -> Result<Opened, Error> {
        let codec = encoder::find(codec::Id::MJPEG).ok_or(Error::EncoderNotFound)?;
        let mut encoder = Context::new_with_codec(codec).encoder().video()?;
        encoder.set_width(frame.width());
        encoder.set_height(frame.height());
        encoder.set_format(frame.format());
        encoder.set_time_base(Rational(1, 25));
        // With a stated aspect ratio the encoder writes a JFIF header.
        encoder.set_aspect_ratio(Rational(1, 1));
        encoder.set_flags(codec::Flags::QSCALE);
        encoder.set_quality(self.lambda() as usize);
        encoder.set_qmin(i32::from(self.quality.min(2)));
        // SAFETY: the context is ours and not open yet. One thread, so that each frame is returned immediately; the
        // range is that of the `yuvj` formats.
        unsafe {
            let context = encoder.as_mut_ptr();
            (*context).thread_count = 1;
            (*context).color_range = ffi::AVColorRange::AVCOL_RANGE_JPEG;
        }
        Ok(Opened {
            encoder: encoder.open()?,
            width: frame.width(),
            height: frame.height(),
            format: frame.format(),
            frames: 0,
        })
    }
}

impl Opened {
    fn encode(&mut self, frame: &Video, lambda: i32) -> Result<Vec<u8>, Error> {
        let mut numbered = Video::empty();
        self.frames += 1;
        // SAFETY: both frames are valid; this takes a new reference to the same pixels, so that time and quality can
        // be set without changing the caller's frame.
        unsafe {
            let copied = ffi::av_frame_ref(numbered.as_mut_ptr(), frame.as_ptr());
            if copied < 0 {
                return Err(Error::from(copied));
            }
            (*numbered.as_mut_ptr()).pts = self.frames;
            (*numbered.as_mut_ptr()).quality = lambda;
            (*numbered.as_mut_ptr()).pict_type = ffi::AVPictureType::AV_PICTURE_TYPE_NONE;
        }
        self.encoder.send_frame(&numbered)?;
        let mut packet = Packet::empty();
        self.encoder.receive_packet(&mut packet)?;
        packet.data().map(<[u8]>::to_vec).ok_or(Error::InvalidData)
    }
}

/// The frame as 8-bit RGB, as a JPEG reader would decode it.
pub(super) fn to_rgb(frame: &Video) -> Result<RgbImage, Error> {
    let (width, height) = (frame.width(), frame.height());
    let mut rgb = Video::empty();
    scaling::Context::get(
        frame.format(),
        width,
        height,
        Pixel::RGB24,
        width,
        height,
        scaling::Flags::BILINEAR | scaling::Flags::ACCURATE_RND | scaling::Flags::FULL_CHR_H_INT,
    )?
    .run(frame, &mut rgb)?;
    RgbImage::from_raw(width, height, rows(&rgb, 3)?).ok_or(Error::BufferTooSmall)
}

/// The pixels of a packed image without the padding at the end of its rows.
pub(super) fn rows(image: &Video, bytes_per_pixel: usize) -> Result<Vec<u8>, Error> {
    let row = image.width() as usize * bytes_per_pixel;
    let height = image.height() as usize;
    let mut pixels = Vec::with_capacity(row * height);
    for line in image.data(0).chunks(image.stride(0)).take(height) {
        pixels.extend_from_slice(line.get(..row).ok_or(Error::BufferTooSmall)?);
    }
    Ok(pixels)
}
