//! The geometry of windows that slide over a feature map: convolutions and pools.

use super::attributes::Spelling;
use super::value::{Dim, as_ints, lens};

/// How a node specifies its padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AutoPad {
    /// By explicit widths.
    #[default]
    Explicit,
    /// As many windows as pixels divided by the stride, rounded up; an odd pixel of padding goes to the end.
    SameUpper,
    /// The same, with the odd pixel at the start.
    SameLower,
    /// No padding.
    Valid,
}

/// The window attributes of a node. Empty lists stand for the defaults: strides and dilations of 1, no padding, the
/// taps of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Sliding {
    /// How padding is specified.
    pub auto_pad: AutoPad,
    /// The number of taps in each spatial dimension.
    pub kernel: Vec<i64>,
    /// The distance between windows.
    pub strides: Vec<i64>,
    /// The distance between taps.
    pub dilations: Vec<i64>,
    /// Padding before each dimension, then after each.
    pub pads: Vec<i64>,
}

impl Sliding {
    /// With explicit strides, dilations and pads.
    #[must_use]
    pub fn new(strides: &[usize], dilations: &[usize], pads: &[usize]) -> Self {
        Self {
            strides: as_ints(strides),
            dilations: as_ints(dilations),
            pads: as_ints(pads),
            ..Self::default()
        }
    }

    /// Reads or writes its attributes.
    pub(super) fn spell(&mut self, spelling: &mut Spelling<'_>) {
        const NAMES: [(AutoPad, &str); 4] = [
            (AutoPad::Explicit, "NOTSET"),
            (AutoPad::SameUpper, "SAME_UPPER"),
            (AutoPad::SameLower, "SAME_LOWER"),
            (AutoPad::Valid, "VALID"),
        ];
        spelling.choice("auto_pad", &mut self.auto_pad, &NAMES);
        spelling.ints("kernel_shape", &mut self.kernel);
        spelling.ints("strides", &mut self.strides);
        spelling.ints("dilations", &mut self.dilations);
        spelling.ints("pads", &mut self.pads);
    }

    /// The window over a map with the lengths `input` and a kernel of `kernel` taps; `None` if they are inconsistent.
    /// `ceil` also counts a last window that extends beyond the map.
    #[must_use]
    pub fn window(&self, input: &[usize], kernel: &[usize], ceil: bool) -> Option<WindowGeometry> {
        let rank = input.len();
        if kernel.len() != rank || kernel.contains(&0) {
            return None;
        }
        let counts = |values: &[i64]| -> Option<Vec<usize>> {
            if values.is_empty() {
                return Some(vec![1; rank]);
            }
            let counts = lengths(values)?;
            (counts.len() == rank && !counts.contains(&0)).then_some(counts)
        };
        let mut window = WindowGeometry {
            kernel: kernel.to_vec(),
            strides: counts(&self.strides)?,
            dilations: counts(&self.dilations)?,
            before: vec![0; rank],
            after: vec![0; rank],
            input: input.to_vec(),
            output: Vec::with_capacity(rank),
        };
        match self.auto_pad {
            AutoPad::SameUpper => window.pad_same(false),
            AutoPad::SameLower => window.pad_same(true),
            AutoPad::Valid => {}
            AutoPad::Explicit if self.pads.is_empty() => {}
            AutoPad::Explicit => {
                let pads = lengths(&self.pads)?;
                if pads.len() != 2 * rank {
                    return None;
                }
                let (before, after) = pads.split_at(rank);
                window.before = before.to_vec();
                window.after = after.to_vec();
            }
        }
        window.output = (0..rank)
            .map(|at| window.count(at, ceil))
            .collect::<Option<_>>()?;
        Some(window)
    }

    /// The taps in the attributes, if they are given.
    #[must_use]
    pub fn taps(&self) -> Option<Vec<usize>> {
        lengths(&self.kernel).filter(|taps| !taps.is_empty())
    }

    /// The output shape of a convolution or pool over `[N, C, …]`: `[N, channels, …]`.
    pub(super) fn slid(
        &self,
        x: &[Dim],
        channels: &Dim,
        kernel: &[usize],
        ceil: bool,
    ) -> Option<Vec<Dim>> {
        let window = self.window(&lens(x.get(2..)?)?, kernel, ceil)?;
        let mut shape = vec![x.first()?.clone(), channels.clone()];
        shape.extend(window.output.into_iter().map(Dim::Fixed));
        Some(shape)
    }
}

fn lengths(values: &[i64]) -> Option<Vec<usize>> {
    values
        .iter()
        .map(|value| usize::try_from(*value).ok())
        .collect()
}

/// The geometry of a window, with one entry for each spatial dimension. Padding is explicit, however the node
/// specifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowGeometry {
    /// Number of taps.
    pub kernel: Vec<usize>,
    /// The distance between windows.
    pub strides: Vec<usize>,
    /// The distance between taps.
    pub dilations: Vec<usize>,
    /// Padding before the first pixel.
    pub before: Vec<usize>,
    /// Padding after the last pixel.
    pub after: Vec<usize>,
    /// Lengths of the input.
    pub input: Vec<usize>,
    /// The number of windows.
    pub output: Vec<usize>,
}

impl WindowGeometry {
    /// The length that a window covers, including gaps between taps.
    #[must_use]
    pub fn extent(&self, at: usize) -> usize {
        (self.kernel[at] - 1) * self.dilations[at] + 1
    }

    /// The length from the start of the first window to the end of the last one.
    #[must_use]
    pub fn covered(&self, at: usize) -> usize {
        (self.output[at] - 1) * self.strides[at] + self.extent(at)
    }

    /// The largest number of taps with which all windows still fit into the padded input: the kernel's own, or more if
    /// the last window does not reach the end.
    #[must_use]
    pub fn taps_reached(&self, at: usize) -> usize {
        let padded = self.before[at] + self.input[at] + self.after[at];
        let room = padded - ((self.output[at] - 1) * self.strides[at] + 1);
        room / self.dilations[at] + 1
    }

    /// The padding, before and after, with which the convolution of the backward pass gives a map of the input's
    /// length. That convolution reads the output's gradient with `stride - 1` zeros after each pixel, with the kernel
    /// reversed. `None` if the padding would be negative.
    #[must_use]
    pub fn backward_padding(&self) -> Option<[Vec<usize>; 2]> {
        let rank = self.kernel.len();
        let before: Vec<usize> = (0..rank)
            .map(|at| (self.extent(at) - 1).checked_sub(self.before[at]))
            .collect::<Option<_>>()?;
        let after = (0..rank)
            .map(|at| {
                (self.input[at] + self.before[at]).checked_sub(self.output[at] * self.strides[at])
            })
            .collect::<Option<_>>()?;
        Some([before, after])
    }

    fn pad_same(&mut self, more_before: bool) {
        for at in 0..self.input.len() {
            let windows = self.input[at].div_ceil(self.strides[at]);
            let covered = windows.saturating_sub(1) * self.strides[at] + self.extent(at);
            let total = covered.saturating_sub(self.input[at]);
            let less = total / 2;
            let (before, after) = if more_before {
                (total - less, less)
            } else {
                (less, total - less)
            };
            self.before[at] = before;
            self.after[at] = after;
        }
    }

    fn count(&self, at: usize, ceil: bool) -> Option<usize> {
        let padded = self.before[at] + self.input[at] + self.after[at];
        let room = padded.checked_sub(self.extent(at))?;
        let stride = self.strides[at];
        if !ceil {
            return Some(room / stride + 1);
        }
        let count = room.div_ceil(stride) + 1;
        // The last window must begin before the padding at the end.
        let outside = (count - 1) * stride >= self.before[at] + self.input[at];
        Some(if outside { count - 1 } else { count })
    }
}
