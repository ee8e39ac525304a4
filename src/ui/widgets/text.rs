//! Text in the sizes and weights of the type scale.

use egui::{FontId, RichText};

use crate::ui::theme::{self, Tokens};

/// The heading of a workspace.
#[must_use]
pub fn heading(text: impl Into<String>) -> RichText {
    RichText::new(text).font(FontId::new(theme::TYPE_HEADING, theme::semibold()))
}

/// The title of a panel or a group of settings.
#[must_use]
pub fn title(text: impl Into<String>) -> RichText {
    RichText::new(text).font(FontId::new(theme::TYPE_BODY, theme::semibold()))
}

/// The name of a thing, slightly bolder than text.
#[must_use]
pub fn name(text: impl Into<String>) -> RichText {
    RichText::new(text).font(FontId::new(theme::TYPE_BODY, theme::medium()))
}

/// Text that explains other text.
#[must_use]
pub fn muted(t: &Tokens, text: impl Into<String>) -> RichText {
    RichText::new(text).color(t.muted)
}

/// Small text of little importance.
#[must_use]
pub fn faint(t: &Tokens, text: impl Into<String>) -> RichText {
    RichText::new(text).size(theme::TYPE_SMALL).color(t.faint)
}

/// Small text.
#[must_use]
pub fn small(t: &Tokens, text: impl Into<String>) -> RichText {
    RichText::new(text).size(theme::TYPE_SMALL).color(t.muted)
}

/// A number that is the message.
#[must_use]
pub fn figure(text: impl Into<String>) -> RichText {
    RichText::new(text).font(FontId::new(theme::TYPE_FIGURE, theme::semibold()))
}
