//! A field for a number.

use std::ops::RangeInclusive;

use egui::{DragValue, Response, Ui, emath};

use super::field::{field_frame, field_label};
use crate::app::words;

/// The properties of a number.
pub struct Number<T> {
    /// The valid range.
    pub range: RangeInclusive<T>,
    /// The change for each point of dragging.
    pub speed: f64,
    /// Digits after the decimal point.
    pub decimals: usize,
    /// The note at the right of the field.
    pub note: &'static str,
    /// The text after the number.
    pub suffix: &'static str,
}

/// A field for a number with its label above.
pub fn number_ui<T: emath::Numeric>(
    ui: &mut Ui,
    label: &str,
    tip: &str,
    value: &mut T,
    number: &Number<T>,
) -> Response {
    field_label(ui, label).on_hover_text(tip);
    let field = DragValue::new(value)
        .range(number.range.clone())
        .speed(number.speed)
        .max_decimals(number.decimals)
        .suffix(number.suffix)
        .custom_formatter(|value, _| {
            if number.decimals == 0 && (0.0..1e15).contains(&value) {
                words::number(value as u64)
            } else {
                let text = format!("{value:.*}", number.decimals);
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
        })
        .custom_parser(|text| text.replace([',', '\u{a0}', ' '], "").parse().ok());
    field_frame(ui, number.note, |ui| {
        ui.add(field).accessible_name(label).on_hover_text(tip)
    })
    .inner
}
