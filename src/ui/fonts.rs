//! The fonts: Inter in three weights, Phosphor for icons, and egui's own fonts as a fallback for symbols. Scripts that
//! none of them covers come from the system (`eframe`'s `system_fonts`).

use std::sync::Arc;

use egui::{Context, FontData, FontDefinitions, FontFamily};

use super::theme;

/// Registers the fonts with egui.
pub fn install(ctx: &Context) {
    let mut fonts = FontDefinitions::default();
    let fallback = fonts
        .families
        .get(&FontFamily::Proportional)
        .cloned()
        .unwrap_or_default();
    for (name, bytes, family) in [
        (
            "Inter-Regular",
            include_bytes!("../../assets/fonts/Inter-Regular.ttf").as_slice(),
            FontFamily::Proportional,
        ),
        (
            "Inter-Medium",
            include_bytes!("../../assets/fonts/Inter-Medium.ttf").as_slice(),
            theme::medium(),
        ),
        (
            "Inter-SemiBold",
            include_bytes!("../../assets/fonts/Inter-SemiBold.ttf").as_slice(),
            theme::semibold(),
        ),
        (
            "Phosphor",
            include_bytes!("../../assets/fonts/Phosphor.ttf").as_slice(),
            theme::icon_family(),
        ),
    ] {
        fonts
            .font_data
            .insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
        let mut chain = vec![name.to_owned()];
        chain.extend(fallback.iter().cloned());
        fonts.families.insert(family, chain);
    }
    ctx.set_fonts(fonts);
}
