//! The appearance in one place: surfaces, lines, text, accent, class colours, spacing, type. No other file has a
//! colour.

use egui::{
    Color32, Context, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, TextStyle, Theme,
    Ui, Visuals,
    style::{HandleShape, WidgetVisuals},
    vec2,
};

/// Lengths are multiples of this many points.
pub const UNIT: f32 = 4.0;
/// Corner radius of controls.
pub const RADIUS: u8 = 8;
/// Corner radius of panels and cards.
pub const RADIUS_LARGE: u8 = 12;
/// Corner radius of images and small marks.
pub const RADIUS_SMALL: u8 = 6;
/// Height of a control: button, field, menu.
pub const CONTROL_HEIGHT: f32 = 32.0;
/// Height of a small control: chip, pill, key cap.
pub const CHIP_HEIGHT: f32 = 24.0;

/// Size of headings, points.
pub const TYPE_HEADING: f32 = 18.0;
/// Size of text, points.
pub const TYPE_BODY: f32 = 13.0;
/// Size of secondary text, points.
pub const TYPE_SMALL: f32 = 12.0;
/// Size of the few most important numbers, points.
pub const TYPE_FIGURE: f32 = 30.0;

/// The family of medium weight (buttons, tabs).
#[must_use]
pub fn medium() -> FontFamily {
    FontFamily::Name("medium".into())
}

/// The family of semi-bold weight (headings, names).
#[must_use]
pub fn semibold() -> FontFamily {
    FontFamily::Name("semibold".into())
}

/// The family of icons; see [`super::icons`].
#[must_use]
pub fn icon_family() -> FontFamily {
    FontFamily::Name("icons".into())
}

/// The colours of one theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// Whether the theme is dark: light text on dark surfaces.
    pub dark: bool,
    /// The lowest surface: the background, and inside fields.
    pub window: Color32,
    /// The middle surface: panels, cards, bars.
    pub panel: Color32,
    /// The highest surface: buttons, chips, hovered items of menus.
    pub raised: Color32,
    /// A raised surface under the pointer.
    pub raised_hover: Color32,
    /// A raised surface being pressed.
    pub raised_press: Color32,
    /// The only colour of lines, except `line_strong`.
    pub line: Color32,
    /// A line that must be noticed: the edge of a hovered or dashed area.
    pub line_strong: Color32,
    /// Text.
    pub text: Color32,
    /// Text that explains other text.
    pub muted: Color32,
    /// Text of little importance; still readable.
    pub faint: Color32,
    /// The accent as a surface: the next thing to do, the selection, progress.
    pub accent: Color32,
    /// The accent as a surface, under the pointer.
    pub accent_hover: Color32,
    /// Text on the accent.
    pub on_accent: Color32,
    /// The accent as text or icon on a panel.
    pub accent_text: Color32,
    /// The accent as a muted surface: the chosen step, the chosen filter, badges.
    pub accent_soft: Color32,
    /// Surface of a hint.
    pub hint: Color32,
    /// Edge of a hint.
    pub hint_line: Color32,
    /// Text of a hint.
    pub hint_text: Color32,
    /// Success.
    pub ok: Color32,
    /// Failure.
    pub danger: Color32,
    /// Muted surface of a failure.
    pub danger_soft: Color32,
    /// Behind a dialog.
    pub backdrop: Color32,
    /// Background of text on an image.
    pub scrim: Color32,
    /// Text on an image.
    pub on_scrim: Color32,
    /// Shadow of windows and menus.
    pub shadow: Color32,
    /// The track of progress bars and sliders.
    pub track: Color32,
}

const fn rgb(value: u32) -> Color32 {
    Color32::from_rgb((value >> 16) as u8, (value >> 8) as u8, value as u8)
}

/// Dark surfaces.
pub const DARK: Tokens = Tokens {
    dark: true,
    window: rgb(0x14_16_1A),
    panel: rgb(0x1B_1E_24),
    raised: rgb(0x23_27_30),
    raised_hover: rgb(0x2B_30_3B),
    raised_press: rgb(0x1F_23_2B),
    line: rgb(0x2C_31_3B),
    line_strong: rgb(0x45_4C_59),
    text: rgb(0xE8_EA_EE),
    muted: rgb(0xA3_AA_B6),
    faint: rgb(0x7E_86_94),
    accent: rgb(0xFF_B0_2E),
    accent_hover: rgb(0xFF_C0_57),
    on_accent: rgb(0x1B_14_04),
    accent_text: rgb(0xFF_B0_2E),
    accent_soft: rgb(0x3A_2C_10),
    hint: rgb(0x2A_24_13),
    hint_line: rgb(0x51_43_1D),
    hint_text: rgb(0xF3_D5_92),
    ok: rgb(0x3F_C3_80),
    danger: rgb(0xF2_7A_72),
    danger_soft: rgb(0x3B_1F_1F),
    backdrop: Color32::from_black_alpha(150),
    scrim: Color32::from_black_alpha(158),
    on_scrim: rgb(0xFF_FF_FF),
    shadow: Color32::from_black_alpha(110),
    track: rgb(0x2A_2F_39),
};

/// Light surfaces.
pub const LIGHT: Tokens = Tokens {
    dark: false,
    window: rgb(0xF3_F4_F6),
    panel: rgb(0xFF_FF_FF),
    raised: rgb(0xED_EF_F2),
    raised_hover: rgb(0xE3_E6_EB),
    raised_press: rgb(0xD8_DC_E3),
    line: rgb(0xDE_E1_E7),
    line_strong: rgb(0xB4_BA_C5),
    text: rgb(0x1B_1E_24),
    muted: rgb(0x55_5C_69),
    faint: rgb(0x6F_77_85),
    accent: rgb(0xFF_B0_2E),
    accent_hover: rgb(0xF7_A1_14),
    on_accent: rgb(0x1B_14_04),
    accent_text: rgb(0x90_5A_00),
    accent_soft: rgb(0xFF_EC_C7),
    hint: rgb(0xFF_F7_E4),
    hint_line: rgb(0xF0_D9_A4),
    hint_text: rgb(0x6A_49_06),
    ok: rgb(0x1B_8F_55),
    danger: rgb(0xB9_2F_29),
    danger_soft: rgb(0xFD_E7_E5),
    backdrop: Color32::from_black_alpha(90),
    scrim: Color32::from_black_alpha(150),
    on_scrim: rgb(0xFF_FF_FF),
    shadow: Color32::from_black_alpha(40),
    track: rgb(0xE0_E3_E9),
};

/// The colours of a QR code in both themes: its modules, and its background.
pub const QR_DARK: Color32 = rgb(0x14_16_1A);
/// See [`QR_DARK`].
pub const QR_LIGHT: Color32 = rgb(0xFF_FF_FF);

/// The class colours: Okabe and Ito's set, which is distinguishable for colour-blind people, then the same hues
/// lighter and darker. A class keeps its index forever (`project::Class::color`).
const CLASSES: [Color32; 14] = [
    rgb(0x56_B4_E9), // sky blue
    rgb(0xE6_9F_00), // orange
    rgb(0x00_9E_73), // bluish green
    rgb(0xCC_79_A7), // reddish purple
    rgb(0xF0_E4_42), // yellow
    rgb(0x2F_7F_C1), // blue, lightened for dark surfaces
    rgb(0xD5_5E_00), // vermilion
    rgb(0xA6_D8_F4),
    rgb(0xF6_CF_7A),
    rgb(0x6F_D0_B2),
    rgb(0xE6_B8_D2),
    rgb(0xB5_AA_10),
    rgb(0x8E_B8_E0),
    rgb(0xF0_9A_5C),
];

/// The colour of the class with palette index `index`.
#[must_use]
pub fn class_color(index: usize) -> Color32 {
    CLASSES[index % CLASSES.len()]
}

/// The tokens of the theme of `ui`.
#[must_use]
pub fn tokens(ui: &Ui) -> &'static Tokens {
    if ui.visuals().dark_mode {
        &DARK
    } else {
        &LIGHT
    }
}

/// Registers the fonts, sizes, spacing and colours of both themes with egui.
pub fn install(ctx: &Context) {
    super::fonts::install(ctx);
    for (theme, tokens) in [(Theme::Dark, &DARK), (Theme::Light, &LIGHT)] {
        ctx.style_mut_of(theme, |style| {
            style.visuals = visuals(tokens);
            style.text_styles = [
                (TextStyle::Heading, FontId::new(TYPE_HEADING, semibold())),
                (
                    TextStyle::Body,
                    FontId::new(TYPE_BODY, FontFamily::Proportional),
                ),
                (TextStyle::Button, FontId::new(TYPE_BODY, medium())),
                (
                    TextStyle::Small,
                    FontId::new(TYPE_SMALL, FontFamily::Proportional),
                ),
                (
                    TextStyle::Monospace,
                    FontId::new(TYPE_SMALL, FontFamily::Monospace),
                ),
            ]
            .into();
            let spacing = &mut style.spacing;
            spacing.item_spacing = vec2(2.0 * UNIT, 2.0 * UNIT);
            spacing.button_padding = vec2(3.0 * UNIT, 7.0);
            spacing.interact_size = vec2(CONTROL_HEIGHT, CONTROL_HEIGHT);
            spacing.icon_spacing = 6.0;
            spacing.menu_margin = Margin::same(6);
            spacing.window_margin = Margin::same(20);
            spacing.menu_width = 260.0;
            spacing.tooltip_width = 360.0;
            spacing.combo_width = 80.0;
            spacing.slider_rail_height = 6.0;
            spacing.scroll.bar_width = 8.0;
            spacing.scroll.floating_width = 4.0;
            spacing.scroll.bar_inner_margin = 2.0;
            // Scroll bars are always visible, to indicate that there is more.
            spacing.scroll.dormant_handle_opacity = 0.35;
            spacing.scroll.dormant_background_opacity = 0.0;
            style.animation_time = 0.12;
            style.url_in_tooltip = true;
            style.interaction.selectable_labels = false;
            style.interaction.tooltip_delay = 0.35;
        });
    }
}

fn visuals(t: &Tokens) -> Visuals {
    let mut v = if t.dark {
        Visuals::dark()
    } else {
        Visuals::light()
    };
    v.panel_fill = t.window;
    v.window_fill = t.panel;
    v.window_stroke = Stroke::new(1.0, t.line);
    v.window_corner_radius = CornerRadius::same(RADIUS_LARGE);
    v.menu_corner_radius = CornerRadius::same(10);
    v.window_shadow = Shadow {
        offset: [0, 12],
        blur: 40,
        spread: 0,
        color: t.shadow,
    };
    v.popup_shadow = Shadow {
        offset: [0, 6],
        blur: 20,
        spread: 0,
        color: t.shadow,
    };
    v.extreme_bg_color = t.window;
    v.text_edit_bg_color = Some(t.window);
    v.faint_bg_color = t.raised;
    v.code_bg_color = t.raised;
    v.hyperlink_color = t.accent_text;
    v.warn_fg_color = t.hint_text;
    v.error_fg_color = t.danger;
    v.weak_text_color = Some(t.faint);
    v.selection.bg_fill = t.accent_soft;
    v.selection.stroke = Stroke::new(1.0, t.accent_text);
    v.handle_shape = HandleShape::Circle;
    v.slider_trailing_fill = true;
    v.disabled_alpha = 0.45;
    v.striped = false;
    v.interact_cursor = None;

    let w = &mut v.widgets;
    let style = |of: &mut WidgetVisuals, fill, weak_fill, line| {
        of.bg_fill = fill;
        of.weak_bg_fill = weak_fill;
        of.bg_stroke = Stroke::new(1.0, line);
        of.fg_stroke = Stroke::new(1.0, t.text);
        of.corner_radius = CornerRadius::same(RADIUS);
        of.expansion = 0.0;
    };
    style(&mut w.noninteractive, t.panel, t.panel, t.line);
    style(&mut w.inactive, t.track, t.raised, t.line);
    style(
        &mut w.hovered,
        t.raised_hover,
        t.raised_hover,
        t.line_strong,
    );
    style(&mut w.active, t.raised_press, t.raised_press, t.accent);
    style(&mut w.open, t.raised_hover, t.raised_hover, t.line_strong);
    v
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance and contrast as defined by WCAG 2.
    fn contrast(a: Color32, b: Color32) -> f32 {
        let luminance = |c: Color32| {
            let linear = |v: u8| {
                let v = f32::from(v) / 255.0;
                if v <= 0.03928 {
                    v / 12.92
                } else {
                    ((v + 0.055) / 1.055).powf(2.4)
                }
            };
            0.2126 * linear(c.r()) + 0.7152 * linear(c.g()) + 0.0722 * linear(c.b())
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_can_be_read_on_every_surface() {
        for t in [DARK, LIGHT] {
            for surface in [t.window, t.panel, t.raised] {
                assert!(contrast(t.text, surface) >= 7.0, "text, {t:?}");
                assert!(contrast(t.muted, surface) >= 4.5, "muted, {t:?}");
                assert!(contrast(t.faint, surface) >= 3.8, "faint, {t:?}");
            }
            assert!(contrast(t.on_accent, t.accent) >= 7.0);
            assert!(contrast(t.on_accent, t.accent_hover) >= 7.0);
            assert!(contrast(t.accent_text, t.accent_soft) >= 4.5);
            assert!(contrast(t.accent_text, t.panel) >= 4.5);
            assert!(contrast(t.hint_text, t.hint) >= 7.0);
            assert!(contrast(t.danger, t.panel) >= 4.5);
            assert!(contrast(t.danger, t.danger_soft) >= 4.5);
        }
    }

    #[test]
    fn class_colours_differ() {
        for (i, a) in CLASSES.iter().enumerate() {
            assert!(!CLASSES[..i].contains(a));
        }
    }
}
