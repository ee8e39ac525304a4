//! The icons: characters of the Phosphor font, to be painted in [`super::theme::icon_family`].

use egui::{FontId, RichText};

use super::theme;

/// An icon as text, `size` points.
#[must_use]
pub fn icon(icon: char, size: f32) -> RichText {
    RichText::new(icon).font(FontId::new(size, theme::icon_family()))
}

/// The first step: import videos.
pub const IMPORT: char = '\u{E20C}';
/// Merge.
pub const MERGE: char = '\u{E466}';
/// The second step: sort frames into classes.
pub const LABEL: char = '\u{E478}';
/// The third step: train.
pub const TRAIN: char = '\u{E4AE}';
/// The fourth step: evaluate.
pub const EVALUATE: char = '\u{EADC}';
/// The fifth step: export.
pub const EXPORT: char = '\u{EAF0}';
/// A phone.
pub const PHONE: char = '\u{E1E0}';
/// Undo.
pub const UNDO: char = '\u{E08A}';
/// Redo.
pub const REDO: char = '\u{E08C}';
/// Switch to the dark theme.
pub const MOON: char = '\u{E330}';
/// Switch to the light theme.
pub const SUN: char = '\u{E472}';
/// Help.
pub const HELP: char = '\u{E3E8}';
/// Opens a menu.
pub const CARET_DOWN: char = '\u{E136}';
/// Continue.
pub const CARET_RIGHT: char = '\u{E13A}';
/// Add.
pub const PLUS: char = '\u{E3D4}';
/// Close, remove.
pub const CROSS: char = '\u{E4F6}';
/// Done.
pub const CHECK: char = '\u{E182}';
/// Open a folder.
pub const FOLDER_OPEN: char = '\u{E256}';
/// A folder.
pub const FOLDER: char = '\u{E24A}';
/// A new project.
pub const FOLDER_NEW: char = '\u{E258}';
/// A video.
pub const VIDEO: char = '\u{E792}';
/// Photos.
pub const PHOTOS: char = '\u{E836}';
/// To the trash.
pub const TRASH: char = '\u{E4A6}';
/// Rename.
pub const RENAME: char = '\u{E3B4}';
/// More commands.
pub const MORE: char = '\u{E1FE}';
/// Search.
pub const SEARCH: char = '\u{E30C}';
/// A warning.
pub const WARNING: char = '\u{E4E0}';
/// An error.
pub const ERROR: char = '\u{E4E2}';
/// An information.
pub const INFO: char = '\u{E2CE}';
/// Pause.
pub const PAUSE: char = '\u{E39E}';
/// Continue, play.
pub const PLAY: char = '\u{E3D0}';
/// Stop and keep.
pub const STOP: char = '\u{E46C}';
/// The sample project.
pub const SPARKLE: char = '\u{E6A2}';
/// Recently used.
pub const RECENT: char = '\u{E1A0}';
/// Show outside Salamander.
pub const REVEAL: char = '\u{E5DE}';
/// A grid.
pub const GRID: char = '\u{E464}';
/// Success.
pub const OK: char = '\u{E184}';
/// View.
pub const VIEW: char = '\u{E220}';
/// A hint.
pub const HINT: char = '\u{E2DC}';
/// To the right.
pub const ARROW_RIGHT: char = '\u{E06C}';
/// To the left.
pub const ARROW_LEFT: char = '\u{E058}';
/// Up.
pub const ARROW_UP: char = '\u{E08E}';
/// Down.
pub const ARROW_DOWN: char = '\u{E03E}';
/// A filter.
pub const FILTER: char = '\u{E266}';
/// Missing.
pub const MISSING: char = '\u{E2E4}';
/// Again.
pub const REFRESH: char = '\u{E094}';
/// Settings.
pub const SETTINGS: char = '\u{E434}';
/// Copy to the clipboard.
pub const COPY: char = '\u{E1CA}';
