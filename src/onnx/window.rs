//! The geometry of windows that slide over a feature map: convolutions and pools.

use super::proto::NodeProto;
use super::{attribute_int, attribute_ints, attribute_text};

/// How a window slides, one entry for each spatial dimension. Padding is written out, whichever way the node
/// describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Number of taps.
    pub kernel: Vec<usize>,
    /// Steps between windows.
    pub strides: Vec<usize>,
    /// Steps between taps.
    pub dilations: Vec<usize>,
    /// Padding before the first pixel.
    pub before: Vec<usize>,
    /// Padding after the last pixel.
    pub after: Vec<usize>,
    /// Lengths of what the window slides over.
    pub input: Vec<usize>,
    /// Numbers of windows.
    pub output: Vec<usize>,
}

impl Window {
    /// The window of a convolution or pool over a map of the lengths `input`, with `kernel` taps; `None` when
    /// the node's attributes do not fit it.
    #[must_use]
    pub fn of(node: &NodeProto, input: &[usize], kernel: &[usize]) -> Option<Self> {
        let rank = input.len();
        if kernel.len() != rank || kernel.contains(&0) {
            return None;
        }
        let counts = |name: &str| -> Option<Vec<usize>> {
            let Some(values) = attribute_ints(node, name).filter(|values| !values.is_empty())
            else {
                return Some(vec![1; rank]);
            };
            let counts: Vec<usize> = values
                .iter()
                .map(|value| usize::try_from(*value).ok().filter(|value| *value > 0))
                .collect::<Option<_>>()?;
            (counts.len() == rank).then_some(counts)
        };
        let mut window = Self {
            kernel: kernel.to_vec(),
            strides: counts("strides")?,
            dilations: counts("dilations")?,
            before: vec![0; rank],
            after: vec![0; rank],
            input: input.to_vec(),
            output: Vec::with_capacity(rank),
        };
        match attribute_text(node, "auto_pad").unwrap_or("NOTSET") {
            "SAME_UPPER" => window.pad_same(false),
            "SAME_LOWER" => window.pad_same(true),
            "VALID" => {}
            _ => {
                let pads = attribute_ints(node, "pads").unwrap_or_default();
                if !pads.is_empty() {
                    let pads: Vec<usize> = pads
                        .iter()
                        .map(|pad| usize::try_from(*pad).ok())
                        .collect::<Option<_>>()?;
                    if pads.len() != 2 * rank {
                        return None;
                    }
                    let (before, after) = pads.split_at(rank);
                    window.before = before.to_vec();
                    window.after = after.to_vec();
                }
            }
        }
        let ceil = attribute_int(node, "ceil_mode").unwrap_or(0) != 0;
        window.output = (0..rank)
            .map(|at| window.count(at, ceil))
            .collect::<Option<_>>()?;
        Some(window)
    }

    /// The length that a window covers, holes between taps included.
    #[must_use]
    pub fn extent(&self, at: usize) -> usize {
        (self.kernel[at] - 1) * self.dilations[at] + 1
    }

    /// The length from the start of the first window to the end of the last one.
    #[must_use]
    pub fn covered(&self, at: usize) -> usize {
        (self.output[at] - 1) * self.strides[at] + self.extent(at)
    }

    /// How many taps there would be if the kernel went on for as long as all windows still had a pixel under each
    /// tap: the kernel's own number, or more where the last window does not reach the end.
    #[must_use]
    pub fn taps_reached(&self, at: usize) -> usize {
        let padded = self.before[at] + self.input[at] + self.after[at];
        let room = padded - ((self.output[at] - 1) * self.strides[at] + 1);
        room / self.dilations[at] + 1
    }

    /// The padding, before and after, with which the convolution backwards gives a map of the length of the input: of
    /// the output with `stride - 1` zeros behind each pixel and with the taps in the opposite order. `None` where it
    /// would have to be negative.
    #[must_use]
    pub fn pads_backwards(&self) -> Option<[Vec<usize>; 2]> {
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
