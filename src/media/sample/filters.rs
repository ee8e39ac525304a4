//! The filters of a pass: from decoded images to sampled ones, with gaps, the end of the range and errors of filters.

use ffmpeg_next::util::frame::Video;
use ffmpeg_next::{Error, Rational, Rescale, ffi, rescale};

use crate::media::MediaError;
use crate::media::gaps::FilterAction;
use crate::media::graph::{FilterGraph, is_again};

use super::{Halt, Hdr, Late, Pass, SampledFrame};

impl Pass {
    pub(super) fn take(&mut self, step: FilterAction) -> Result<(), Halt> {
        match step {
            FilterAction::Push(frame) => {
                if self.taken == 0 && self.first.is_none() {
                    self.first = Some(reference(&frame).map_err(failed)?);
                }
                match self.push(&frame) {
                    Ok(()) => Ok(()),
                    Err(error) => self.fall_back(error),
                }
            }
            FilterAction::Cut(close) => {
                match self.graph.as_mut().map(|graph| graph.close(close.at)) {
                    None => Ok(()),
                    Some(Ok(()) | Err(Error::Eof)) => {
                        self.cutting = true;
                        self.until_secs = close.until_secs;
                        Ok(())
                    }
                    Some(Err(error)) => Err(failed(error).into()),
                }
            }
            FilterAction::End(close) => {
                self.until_secs = close.until_secs;
                Ok(self.close(close.at).map_err(failed)?)
            }
        }
    }

    /// Continues without the HDR filters if they turn out not to accept the images.
    pub(super) fn fall_back(&mut self, error: Error) -> Result<(), Halt> {
        if self.began_within {
            return Err(Halt::Unsettled { from_start: true });
        }
        let first = self.first.as_ref().and_then(|first| reference(first).ok());
        match first {
            Some(first) if self.plan.tone_map => {
                log::debug!("{}: no tone mapping: {error}", self.path.display());
                self.plan.tone_map = false;
                self.hdr = Hdr::LeftAsIs;
                self.graph = None;
                Ok(self.push(&first).map_err(failed)?)
            }
            _ => Err(failed(error).into()),
        }
    }

    /// At the end of a video too short for one frame at this rate, passes its first image through.
    pub(super) fn begin_again_for_the_first(&mut self) -> Result<bool, MediaError> {
        let Some(first) = self.first.take() else {
            return Ok(false);
        };
        self.plan.fps = None;
        self.graph = None;
        let before = self.plan.from_zero && first.pts().is_some_and(|pts| pts < 0);
        if before {
            return Ok(false);
        }
        self.push(&first).map_err(failed)?;
        Ok(true)
    }

    fn push(&mut self, frame: &Video) -> Result<(), Error> {
        let fits = self.graph.as_ref().is_none_or(|graph| graph.fits(frame));
        if !fits {
            // The size of images changes within the file: frames in the old filters are dropped, as in FFmpeg's
            // program.
            self.graph = None;
        }
        let pts = frame.pts().unwrap_or(0);
        let graph = match &mut self.graph {
            Some(graph) => graph,
            empty => {
                let mut plan = self.plan.clone();
                if let (Some(length), Some(begun)) = (plan.duration_us, self.begun) {
                    // The filters count the duration from the first image of the range.
                    let end = begun + length.rescale(rescale::TIME_BASE, plan.time_base);
                    if pts >= end {
                        self.ended = true;
                        return Ok(());
                    }
                    plan.end = Some(end);
                }
                empty.insert(FilterGraph::new(&plan, frame)?)
            }
        };
        if pts >= 0 || !self.plan.from_zero {
            self.begun.get_or_insert(pts);
        }
        match graph.push(frame) {
            // After the end of the range the filters accept no more.
            Err(Error::Eof) => self.close(frame.pts().unwrap_or(i64::MAX)),
            other => other,
        }
    }

    /// Signals that nothing comes after `pts`, or after the end of the range.
    fn close(&mut self, pts: i64) -> Result<(), Error> {
        self.ended = true;
        let range_end = self
            .plan
            .duration_us
            .map(|us| us.rescale(rescale::TIME_BASE, self.plan.time_base));
        let pts = range_end.map_or(pts, |end| end.min(pts));
        match self.graph.as_mut().map(|graph| graph.close(pts)) {
            None | Some(Ok(()) | Err(Error::Eof)) => Ok(()),
            Some(Err(error)) => Err(error),
        }
    }

    pub(super) fn pull(&mut self) -> Result<Option<SampledFrame>, Error> {
        if let Some(frame) = self.repeat()? {
            return Ok(Some(frame));
        }
        let Some(graph) = &mut self.graph else {
            return Ok(None);
        };
        let mut image = Video::empty();
        match graph.pull(&mut image) {
            Ok(()) => {
                let time_base = graph.time_base();
                let pts = image.pts().unwrap_or(0);
                if pts < 0 {
                    return self.pull();
                }
                if self
                    .until_secs
                    .is_some_and(|until| secs(pts, time_base) >= until)
                {
                    self.drained();
                    return Ok(None);
                }
                // A late first image also represents the time before it, as in the `ffmpeg` program, whose output
                // always starts at zero.
                if self.taken == 0 && pts > 0 && self.plan.fps.is_some() {
                    let late_secs = secs(pts, time_base);
                    if late_secs > self.gaps.limit_secs() {
                        self.gaps.note(0.0, late_secs);
                        return Ok(Some(self.frame(image, late_secs)));
                    }
                    self.late = Some(Late {
                        image,
                        time_base,
                        next: 0,
                    });
                    return self.repeat();
                }
                Ok(Some(self.frame(image, secs(pts, time_base))))
            }
            Err(error) if is_again(error) => Ok(None),
            Err(Error::Eof) => {
                self.drained();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The filters have returned everything. After a gap new ones start, otherwise the film has ended.
    fn drained(&mut self) {
        self.ended |= !std::mem::take(&mut self.cutting);
        self.until_secs = None;
        self.graph = None;
    }

    /// Repeats the late first image at the next tick, up to its own time.
    fn repeat(&mut self) -> Result<Option<SampledFrame>, Error> {
        let Some(late) = &mut self.late else {
            return Ok(None);
        };
        let offset = secs(late.next, late.time_base);
        let image = reference(&late.image)?;
        late.next += 1;
        if image.pts().is_none_or(|pts| late.next > pts) {
            self.late = None;
        }
        Ok(Some(self.frame(image, offset)))
    }

    fn frame(&self, image: Video, offset_secs: f64) -> SampledFrame {
        SampledFrame {
            time_secs: self.from_secs + offset_secs,
            image,
            encoder: self.encoder.clone(),
        }
    }
}

fn failed(error: Error) -> MediaError {
    MediaError::Ffmpeg(format!("filter a frame: {error}"))
}

/// A second reference to the same image.
pub(in crate::media) fn reference(frame: &Video) -> Result<Video, Error> {
    let mut copy = Video::empty();
    // SAFETY: both frames are valid and `copy` is empty; the pixels are reference-counted.
    let status = unsafe { ffi::av_frame_ref(copy.as_mut_ptr(), frame.as_ptr()) };
    if status < 0 {
        Err(Error::from(status))
    } else {
        Ok(copy)
    }
}

/// A timestamp in seconds.
fn secs(pts: i64, time_base: Rational) -> f64 {
    pts as f64 * f64::from(time_base.numerator()) / f64::from(time_base.denominator())
}
