//! The filters between decoder and JPEG: FFmpeg's own `trim`, `fps`, `transpose`, `scale`, `tonemap`.

use ffmpeg_next::util::frame::Video;
use ffmpeg_next::{Error, Rational, color, filter};

use super::ffmpeg::Turn;

/// The pixel formats that the JPEG encoder accepts; FFmpeg selects the one that loses least.
const JPEG_FORMATS: &str = "yuvj420p|yuvj422p|yuvj444p";

/// The pixel format of a filter graph's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pixels {
    /// A format that the JPEG encoder accepts.
    Jpeg,
    /// 8-bit red, green, blue and alpha.
    Rgba,
}

/// The processing of decoded images.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Whether to drop images before zero (after a seek to a key frame).
    pub from_zero: bool,
    /// Where to stop, in microseconds from the first image.
    pub duration_us: Option<i64>,
    /// Where to stop, in the time base, if that is known already.
    pub end: Option<i64>,
    /// Frames per second; `None` keeps every image.
    pub fps: Option<Rational>,
    /// The rotation to apply.
    pub turn: Turn,
    /// The pixel aspect ratio in the container.
    pub aspect: Option<Rational>,
    /// Width to scale to; larger than the source's has no effect.
    pub width_px: Option<u32>,
    /// Whether to tone-map PQ and HLG to standard dynamic range, with the filters that [`can_tone_map`] found.
    pub tone_map: bool,
    /// The output format.
    pub pixels: Pixels,
    /// Time base of the decoded images.
    pub time_base: Rational,
    /// Frame rate declared to the filters.
    pub rate: Option<Rational>,
}

/// Whether this FFmpeg can tone-map HDR to standard dynamic range.
pub(super) fn can_tone_map() -> bool {
    filter::find("zscale").is_some() && filter::find("tonemap").is_some()
}

/// A running filter graph for images of one size and format.
pub(super) struct FilterGraph {
    graph: filter::Graph,
    shape: Shape,
    time_base: Rational,
}

/// The properties of images that a filter graph is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    width: u32,
    height: u32,
    format: i32,
}

impl Shape {
    fn of(frame: &Video) -> Self {
        // SAFETY: plain field of the frame, which is borrowed.
        let format = unsafe { (*frame.as_ptr()).format };
        Self {
            width: frame.width(),
            height: frame.height(),
            format,
        }
    }
}

impl FilterGraph {
    /// Builds the graph for images like `frame`.
    pub fn new(plan: &Plan, frame: &Video) -> Result<Self, Error> {
        let shape = Shape::of(frame);
        let aspect = plan
            .aspect
            .or_else(|| super::ffmpeg::positive(frame.aspect_ratio()))
            .unwrap_or(Rational(1, 1));
        let rate = plan.rate.map_or(String::new(), |rate| {
            format!(":frame_rate={}/{}", rate.numerator(), rate.denominator())
        });
        let source = format!(
            "video_size={}x{}:pix_fmt={}:time_base={}/{}:pixel_aspect={}/{}{rate}",
            shape.width,
            shape.height,
            shape.format,
            plan.time_base.numerator(),
            plan.time_base.denominator(),
            aspect.numerator(),
            aspect.denominator()
        );
        let buffer = filter::find("buffer").ok_or(Error::FilterNotFound)?;
        let sink = filter::find("buffersink").ok_or(Error::FilterNotFound)?;
        let mut graph = filter::Graph::new();
        // SAFETY: the graph is ours and not configured yet. One thread: decoder and JPEG encoder have their own and
        // keep the cores busy; distributing slices of small images costs more than it gains.
        unsafe { (*graph.as_mut_ptr()).nb_threads = 1 };
        graph.add(&buffer, "in", &source)?;
        graph.add(&sink, "out", "")?;
        graph
            .output("in", 0)?
            .input("out", 0)?
            .parse(&chain(plan, frame, aspect))?;
        graph.validate()?;
        let time_base = graph
            .get("out")
            .ok_or(Error::FilterNotFound)?
            .sink()
            .time_base();
        Ok(Self {
            graph,
            shape,
            time_base,
        })
    }

    /// Whether the graph was built for images like `frame`.
    pub fn fits(&self, frame: &Video) -> bool {
        self.shape == Shape::of(frame)
    }

    /// Passes an image to the graph.
    pub fn push(&mut self, frame: &Video) -> Result<(), Error> {
        let mut source = self.graph.get("in").ok_or(Error::FilterNotFound)?;
        source.source().add(frame)
    }

    /// Signals that nothing comes after `pts`.
    pub fn close(&mut self, pts: i64) -> Result<(), Error> {
        let mut source = self.graph.get("in").ok_or(Error::FilterNotFound)?;
        source.source().close(pts)
    }

    /// Takes a filtered image from the graph: `EAGAIN` if the graph needs more input, `Eof` at the end.
    pub fn pull(&mut self, frame: &mut Video) -> Result<(), Error> {
        let mut sink = self.graph.get("out").ok_or(Error::FilterNotFound)?;
        sink.sink().frame(frame)
    }

    /// Time base of the filtered images.
    pub fn time_base(&self) -> Rational {
        self.time_base
    }
}

/// The displayed size: upright, with square pixels.
pub(super) fn shown_size(width: u32, height: u32, aspect: Rational, turn: Turn) -> (u32, u32) {
    let shown = rescale(width, aspect.numerator(), aspect.denominator());
    if turn.swaps_sides() {
        (height, shown)
    } else {
        (shown, height)
    }
}

/// The size to scale to: `scale=W:-1` on square pixels, with an even width, at most the displayed size.
fn target_size(
    width: u32,
    height: u32,
    aspect: Rational,
    turn: Turn,
    wanted: Option<u32>,
) -> (u32, u32) {
    let shown = shown_size(width, height, aspect, turn);
    let Some(wanted) = wanted else {
        return shown;
    };
    let target = wanted.min(shown.0);
    let target = if target > 1 { target & !1 } else { 1 };
    // Exact, as in the scale filter: not from the rounded displayed size.
    let (num, den) = (
        i64::from(aspect.numerator()),
        i64::from(aspect.denominator()),
    );
    let (width, height) = (i64::from(width), i64::from(height));
    let (over, under) = if turn.swaps_sides() {
        (width * num, height * den)
    } else {
        (height * den, width * num)
    };
    let tall = (i64::from(target) * over + under / 2) / under.max(1);
    (target, u32::try_from(tall).unwrap_or(u32::MAX).max(1))
}

fn rescale(value: u32, num: i32, den: i32) -> u32 {
    let (value, num, den) = (i64::from(value), i64::from(num), i64::from(den).max(1));
    u32::try_from((value * num + den / 2) / den)
        .unwrap_or(u32::MAX)
        .max(1)
}

fn chain(plan: &Plan, frame: &Video, aspect: Rational) -> String {
    let mut filters = Vec::new();
    if plan.from_zero || plan.duration_us.is_some() || plan.end.is_some() {
        let mut trim = Vec::new();
        if plan.from_zero {
            trim.push("start=0".to_owned());
        }
        if let Some(end) = plan.end {
            trim.push(format!("end_pts={end}"));
        } else if let Some(duration) = plan.duration_us {
            trim.push(format!("duration={duration}us"));
        }
        filters.push(format!("trim={}", trim.join(":")));
    }
    // Before the rotation: only sampled frames need it, and the result is the same.
    if let Some(fps) = plan.fps {
        filters.push(format!("fps={}/{}", fps.numerator(), fps.denominator()));
    }
    filters.extend(plan.turn.filters());
    let (w, h) = target_size(
        frame.width(),
        frame.height(),
        aspect,
        plan.turn,
        plan.width_px,
    );
    if plan.tone_map {
        // HDR without stated colours is Rec. 2020.
        if frame.color_space() == color::Space::Unspecified {
            filters.push("setparams=colorspace=bt2020nc".into());
        }
        if frame.color_primaries() == color::Primaries::Unspecified {
            filters.push("setparams=color_primaries=bt2020".into());
        }
        if frame.color_range() == color::Range::Unspecified {
            filters.push("setparams=range=tv".into());
        }
    }
    filters.push(format!("scale={w}:{h}:flags=bicubic"));
    if plan.tone_map {
        // In linear light, on few pixels; `npl` is the brightness of white paper (ITU-R BT.2408).
        filters.push("format=yuv444p10le".into());
        filters.push("zscale=transfer=linear:npl=203".into());
        filters.push("format=gbrpf32le".into());
        filters.push("tonemap=hable:desat=0".into());
        filters.push("zscale=primaries=bt709:transfer=bt709:matrix=bt709:range=tv".into());
        // zscale does not accept an odd height with subsampled colour, so FFmpeg's scaler does the subsampling.
        filters.push("format=yuv444p".into());
        filters.push("format=yuvj420p".into());
    } else {
        filters.push(match plan.pixels {
            Pixels::Jpeg => format!("format={JPEG_FORMATS}"),
            Pixels::Rgba => "format=rgba".into(),
        });
    }
    filters.push("setsar=1".into());
    filters.join(",")
}

/// Whether the error is FFmpeg's request for more input.
pub(super) fn is_again(error: Error) -> bool {
    error
        == Error::Other {
            errno: ffmpeg_next::error::EAGAIN,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_even_and_never_above_the_source() {
        let square = Rational(1, 1);
        let size = |w, h, wanted| target_size(w, h, square, Turn::default(), wanted);
        assert_eq!(size(1920, 1080, Some(500)), (500, 281));
        assert_eq!(size(320, 240, Some(500)), (320, 240));
        assert_eq!(size(161, 121, Some(500)), (160, 120));
        assert_eq!(size(161, 121, None), (161, 121));
        assert_eq!(size(1, 1, Some(500)), (1, 1));
        assert_eq!(size(2, 9000, Some(2)), (2, 9000));
    }

    #[test]
    fn pixels_become_square() {
        let wide = Rational(16, 15);
        assert_eq!(
            target_size(720, 576, wide, Turn::default(), None),
            (768, 576)
        );
        assert_eq!(
            target_size(720, 576, wide, Turn::default(), Some(384)),
            (384, 288)
        );
    }
}
