//! The choices of a sweep: architectures, depths, settings; the number of trainings and their duration.

use egui::{Popup, RichText, ScrollArea, Ui, vec2};

use super::{End, buttons_ui, message_ui, title_ui, words_ui};
use crate::app::{Action, SweepAction, SweepDraft, SweepEstimate, words};
use crate::backbone::{Architecture, Depth};
use crate::sweep::RankBy;
use crate::train::TrainSettings;
use crate::train::schema::{Kind, SETTINGS, Setting, SettingGroup};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::tokens;
use crate::ui::widgets::{
    Number, accent_button, button, chip, field_label, icon_button, menu_chip, menu_item, number_ui,
    separator, small, text_field, toggle_chip,
};

/// Seconds without a change after which a draft is estimated.
const SETTLE: f64 = 0.7;

/// What was computed for the last draft.
#[derive(Default)]
pub struct View {
    last: Option<LastDraft>,
}

struct LastDraft {
    draft: SweepDraft,
    base: TrainSettings,
    /// The numbers of trainings, and of combinations that are left out.
    counted: Result<(usize, usize), String>,
    since: f64,
}

pub(super) fn sweep_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    draft: &mut SweepDraft,
    view: &mut View,
) -> End {
    let Some(session) = cx.app.session.as_ref() else {
        return End::Close;
    };
    title_ui(ui, "Sweep");
    words_ui(
        ui,
        "Trains once for each combination and compares accuracy and cost. Each training is a run; all other settings are those on the left.",
    );
    let room = (ui.ctx().content_rect().height() - 290.0).clamp(120.0, 460.0);
    ScrollArea::vertical()
        .id_salt("settings to vary")
        .max_height(room)
        .show(ui, |ui| {
            ui.set_width(ui.available_width() - 10.0);
            field_label(ui, "Architectures");
            architectures_ui(ui, draft, &session.architectures);
            field_label(ui, "Depths");
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
                for depth in Depth::ALL {
                    let on = draft.depths.contains(&depth);
                    if chip(ui, on, depth.title()).clicked() {
                        toggle(&mut draft.depths, depth);
                    }
                }
            });
            axes_ui(ui, draft, &session.train.settings);
            repeats_ui(ui, draft);
        });
    separator(ui);
    let now = ui.input(|input| input.time);
    let base = &session.train.settings;
    let known = view.last.take();
    let known = known.filter(|last| last.draft == *draft && last.base == *base);
    let last = view.last.insert(known.unwrap_or_else(|| LastDraft {
        draft: draft.clone(),
        base: base.clone(),
        counted: counted(draft, base),
        since: now,
    }));
    let estimate = session.sweep.estimate(draft);
    let t = tokens(ui);
    let message = match &last.counted {
        Ok(counted) => RichText::new(summary(*counted, estimate)).color(t.text),
        Err(wrong) => RichText::new(wrong).color(t.danger),
    };
    message_ui(ui, 2, message);
    if last.counted.is_ok() && estimate.is_none() {
        let left = SETTLE - (now - last.since);
        if left <= 0.0 {
            cx.act(Action::Sweep(SweepAction::Estimate(draft.clone())));
        }
        let soon = left.max(0.2);
        ui.ctx()
            .request_repaint_after(std::time::Duration::from_secs_f64(soon));
    }
    let ready =
        last.counted.is_ok() && session.train.live.is_none() && session.sweep.live.is_none();
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        let start = ui
            .add_enabled_ui(ready, |ui| {
                accent_button(ui, Some(icons::PLAY), "Start sweep")
            })
            .inner
            .on_disabled_hover_text("Something is missing, or a training is running");
        if start.clicked() {
            cx.act(Action::Sweep(SweepAction::Start(draft.clone())));
            end = End::Close;
        }
        if button(ui, None, "Cancel").clicked() {
            end = End::Close;
        }
    });
    end
}

fn toggle<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if let Some(at) = all.iter().position(|known| *known == one) {
        all.remove(at);
    } else {
        all.push(one);
    }
}

fn architectures_ui(
    ui: &mut Ui,
    draft: &mut SweepDraft,
    own: &[&'static crate::backbone::Backbone],
) {
    let t = tokens(ui);
    let shipped = crate::backbone::catalogue().unwrap_or_default();
    for backbone in shipped.iter().chain(own.iter().copied()) {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
            let family = Architecture {
                backbone: backbone.name.clone(),
                resolution_px: backbone.default_resolution,
            };
            let title = words::architecture_name(&family);
            let title = title.split('@').next().unwrap_or_default().to_owned();
            ui.allocate_ui(vec2(110.0, 22.0), |ui| {
                ui.set_min_width(110.0);
                ui.add(egui::Label::new(small(t, title)).truncate());
            });
            for architecture in backbone.offered() {
                let on = draft.architectures.contains(&architecture);
                let px = architecture.resolution_px.to_string();
                let name = words::architecture_name(&architecture);
                if toggle_chip(ui, on, &px, &name).clicked() {
                    toggle(&mut draft.architectures, architecture);
                }
            }
        });
    }
}

/// The settings that are varied, each with its values as they are typed.
fn axes_ui(ui: &mut Ui, draft: &mut SweepDraft, base: &TrainSettings) {
    field_label(ui, "Settings");
    let mut removed = None;
    for (index, (key, text)) in draft.axes.iter_mut().enumerate() {
        let Some(setting) = Setting::find(key) else {
            continue;
        };
        ui.horizontal(|ui| {
            let t = tokens(ui);
            ui.allocate_ui(vec2(170.0, 32.0), |ui| {
                ui.set_min_width(170.0);
                ui.add(egui::Label::new(small(t, setting.title)).truncate())
                    .on_hover_text(setting.brief);
            });
            let name = format!("Values of {}", setting.title);
            ui.scope(|ui| {
                ui.set_width((ui.available_width() - 44.0).max(80.0));
                text_field(ui, &name, text, hint(setting));
            });
            let remove = format!("Do not vary {}", setting.title);
            if icon_button(ui, icons::CROSS, &remove, "").clicked() {
                removed = Some(index);
            }
        });
    }
    if let Some(index) = removed {
        draft.axes.remove(index);
    }
    let add = menu_chip(ui, "Add a setting", "Add a setting");
    Popup::menu(&add).width(280.0).show(|ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        ScrollArea::vertical().max_height(420.0).show(ui, |ui| {
            for setting in SETTINGS {
                let there = draft.axes.iter().any(|(key, _)| *key == setting.key);
                let elsewhere = ["architecture", "depth", "cache_budget"].contains(&setting.key);
                if there
                    || elsewhere
                    || matches!(setting.kind, Kind::Switch { .. })
                        && setting.group == SettingGroup::Data
                {
                    continue;
                }
                let item = menu_item(ui, None, setting.title, ());
                if item.on_hover_text(setting.brief).clicked() {
                    draft
                        .axes
                        .push((setting.key, setting.get(base).to_string()));
                    ui.close();
                }
            }
        });
    });
}

/// A hint on how values are typed.
fn hint(setting: &Setting) -> &'static str {
    match setting.kind {
        Kind::Real { .. } => "0.01, 0.03 or 0.001..0.1 log 5",
        Kind::Whole { .. } | Kind::WholeOr { .. } => "100, 200 or 100..500 linear 3",
        Kind::Switch { .. } => "no, yes",
        Kind::Choice { .. } | Kind::Name { .. } => "words separated by commas",
    }
}

fn repeats_ui(ui: &mut Ui, draft: &mut SweepDraft) {
    number_ui(
        ui,
        "Splits",
        "Number of splits to train each combination with; figures are their mean, with an interval",
        &mut draft.repeats,
        &Number {
            range: 1..=20,
            speed: 0.1,
            decimals: 0,
            note: "",
            suffix: "",
        },
    );
    field_label(ui, "Ranked by");
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        for (rank, label) in [
            (RankBy::Accuracy, "Validation accuracy"),
            (RankBy::CrossEntropy, "Validation cross-entropy"),
        ] {
            if chip(ui, draft.rank == rank, label).clicked() {
                draft.rank = rank;
            }
        }
    });
}

fn counted(draft: &SweepDraft, base: &TrainSettings) -> Result<(usize, usize), String> {
    let found = draft.plan(base).and_then(|plan| plan.trainings());
    let found = found.map_err(|error| error.to_string())?;
    Ok((found.list.len(), found.alike))
}

/// `16 trainings, about 10 min at most; 2 combinations left out that would be the same`
fn summary((count, alike): (usize, usize), estimate: Option<&SweepEstimate>) -> String {
    let trainings = words::count(count as u64, "training");
    let time = match estimate {
        None => ", estimating how long they take…".to_owned(),
        Some(SweepEstimate { secs: None, .. }) => {
            "; their duration could not be estimated".to_owned()
        }
        Some(SweepEstimate {
            secs: Some(secs), ..
        }) => format!(", {} at most", words::about(*secs)),
    };
    let alike = match alike {
        0 => String::new(),
        alike => format!(
            "; {} left out as a duplicate",
            words::counted(alike as u64, "combination is", "combinations are")
        ),
    };
    format!("{trainings}{time}{alike}")
}
