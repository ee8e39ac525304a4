//! A setting of the schema as a field.

use egui::{RichText, Ui};

use crate::app::words::Noun;
use crate::train::TrainSettings;
use crate::train::schema::{ChoiceOption, Kind, Nothing, Setting};
use crate::ui::theme::tokens;
use crate::ui::widgets::{Number, choice, field_label, menu_item, number_ui};

/// Paints the field of a setting; `note` is at its right, instead of its unit.
pub(super) fn field_ui(
    ui: &mut Ui,
    noun: Noun,
    setting: &Setting,
    settings: &mut TrainSettings,
    note: Option<&'static str>,
) {
    let title = noun.fill(setting.title);
    let tip = noun.fill(setting.brief);
    let (note, suffix) = match (note, setting.unit) {
        (Some(note), "%") => (note, " %"),
        (Some(note), _) => (note, ""),
        (None, "%") => ("", " %"),
        (None, "{images}") => (noun.many(), ""),
        (None, unit) => (unit, ""),
    };
    match &setting.kind {
        Kind::Whole { range, get, set } => {
            let mut value = get(settings);
            if whole_ui(ui, [&title, &tip], &mut value, *range, [note, suffix]) {
                set(settings, value);
            }
        }
        Kind::WholeOr {
            range,
            nothing,
            get,
            set,
        } => {
            let words = [&*title, &*tip];
            let value = get(settings);
            let changed = whole_or_ui(ui, noun, words, (value, *range, nothing), [note, suffix]);
            if changed != value {
                set(settings, changed);
            }
        }
        Kind::Real {
            range,
            digits,
            get,
            set,
        } => {
            let mut value = get(settings);
            let least = 0.1_f32.powi(i32::try_from(*digits).unwrap_or(i32::MAX));
            let lower = if range.with_least {
                range.least
            } else {
                range.least + least
            };
            let upper = if range.with_most {
                range.most
            } else {
                range.most - least
            };
            let number = Number {
                range: lower..=upper,
                speed: f64::from((value.abs() * 0.01).max(least)),
                decimals: *digits,
                note,
                suffix,
            };
            if number_ui(ui, &title, &tip, &mut value, &number).changed() {
                set(settings, value);
            }
        }
        Kind::Switch { get, set } => {
            let mut on = get(settings);
            if check_ui(ui, &title, &tip, &mut on) {
                set(settings, on);
            }
        }
        Kind::Choice { options, get, set } => {
            let words = [&*title, &*tip];
            if let Some(chosen) = choice_ui(ui, noun, (setting.key, words), options, get(settings))
            {
                set(settings, chosen);
            }
        }
        // Names are chosen in a field of their own.
        Kind::Name { .. } => {}
    }
}

fn whole_ui(
    ui: &mut Ui,
    [title, tip]: [&str; 2],
    value: &mut u64,
    [least, most]: [u64; 2],
    [note, suffix]: [&'static str; 2],
) -> bool {
    let number = Number {
        range: least..=most,
        speed: (*value as f64 * 0.005).clamp(0.2, 10.0),
        decimals: 0,
        note,
        suffix,
    };
    number_ui(ui, title, tip, value, &number).changed()
}

/// A number, and a box that makes it optional.
fn whole_or_ui(
    ui: &mut Ui,
    noun: Noun,
    words: [&str; 2],
    (value, range, nothing): (Option<u64>, [u64; 2], &Nothing),
    note: [&'static str; 2],
) -> Option<u64> {
    let mut none = value.is_none();
    let mut number = value.unwrap_or(nothing.instead);
    ui.add_enabled_ui(!none, |ui| whole_ui(ui, words, &mut number, range, note));
    check_ui(
        ui,
        &noun.fill(nothing.title),
        &noun.fill(nothing.brief),
        &mut none,
    );
    (!none).then_some(number)
}

fn choice_ui(
    ui: &mut Ui,
    noun: Noun,
    (key, [title, tip]): (&str, [&str; 2]),
    options: &[ChoiceOption],
    chosen: usize,
) -> Option<usize> {
    field_label(ui, title).on_hover_text(tip);
    let selected = options.get(chosen).map_or("", |option| option.title);
    let mut taken = None;
    choice(ui, key, title, &noun.fill(selected), |ui| {
        for (place, option) in options.iter().enumerate() {
            let item = menu_item(ui, None, &noun.fill(option.title), ());
            if item.on_hover_text(noun.fill(option.brief)).clicked() {
                taken = Some(place);
                ui.close();
            }
        }
    });
    taken
}

fn check_ui(ui: &mut Ui, label: &str, tip: &str, on: &mut bool) -> bool {
    let t = tokens(ui);
    ui.scope(|ui| {
        ui.spacing_mut().interact_size.y = 22.0;
        ui.spacing_mut().icon_width = 16.0;
        ui.checkbox(on, RichText::new(label).color(t.muted))
            .on_hover_text(tip)
            .changed()
    })
    .inner
}
