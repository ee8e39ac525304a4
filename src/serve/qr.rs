//! An address as a QR code, for the camera of a phone.

use qrcode::{Color, EcLevel, QrCode};

use super::ServeError;

/// A QR code (ISO/IEC 18004) without its quiet zone, which is [`Qr::QUIET`] modules wide on each side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qr {
    side: usize,
    dark: Vec<bool>,
}

impl Qr {
    /// The width of the light border that readers need, in modules.
    pub const QUIET: usize = 4;

    /// The code for a text.
    ///
    /// # Errors
    /// [`ServeError::Qr`] if the text is too long.
    pub fn new(text: &str) -> Result<Self, ServeError> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M)
            .map_err(|error| ServeError::Qr(error.to_string()))?;
        Ok(Self {
            side: code.width(),
            dark: code
                .to_colors()
                .into_iter()
                .map(|color| color == Color::Dark)
                .collect(),
        })
    }

    /// The number of modules in a row.
    #[must_use]
    pub fn side(&self) -> usize {
        self.side
    }

    /// Whether the module in column `x`, row `y` is dark; modules outside the code are light.
    #[must_use]
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = x < self.side && y < self.side;
        inside && self.dark.get(y * self.side + x).copied().unwrap_or(false)
    }

    /// The code for a terminal, two rows a line, with quiet zone, dark on light whatever the terminal's colours are.
    #[must_use]
    pub fn to_text(&self) -> String {
        let edge = self.side + 2 * Self::QUIET;
        let dark = |x: usize, y: usize| {
            // Left of and above the code the difference wraps to a number outside it.
            self.is_dark(x.wrapping_sub(Self::QUIET), y.wrapping_sub(Self::QUIET))
        };
        let mut text = String::new();
        for y in (0..edge).step_by(2) {
            // Black on white.
            text.push_str("\u{1b}[30;107m");
            for x in 0..edge {
                text.push(match (dark(x, y), dark(x, y + 1)) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            text.push_str("\u{1b}[0m\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn the_corners_are_marked_and_the_edge_is_light() {
        let code =
            Qr::new("http://192.168.178.30:40123/0123456789abcdef0123456789abcdef/").unwrap();
        let last = code.side() - 1;
        for (x, y) in [(0, 0), (last, 0), (0, last), (6, 6)] {
            assert!(code.is_dark(x, y), "{x} {y}");
        }
        assert!(!code.is_dark(1, 1) && !code.is_dark(code.side(), 0));
        let text = code.to_text();
        assert_eq!(text.lines().count(), (code.side() + 8).div_ceil(2));
        assert!(
            text.lines()
                .next()
                .unwrap()
                .contains(&" ".repeat(code.side() + 8))
        );
    }
}
