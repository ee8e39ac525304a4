//! The settings that few people change.

use egui::Ui;

use super::field::field_ui;
use super::settings::preset_ui;
use crate::app::Session;
use crate::backbone::Depth;
use crate::train::TrainSettings;
use crate::train::schema::{SETTINGS, SettingGroup};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::tokens;
use crate::ui::widgets::{self, quiet_button, section, separator};

/// The settings that are shown above them.
pub(super) const MAIN: [&str; 6] = [
    "architecture",
    "depth",
    "how_many_training_steps",
    "learning_rate",
    "validation_percentage",
    "testing_percentage",
];

/// Paints them if they are expanded.
pub(super) fn advanced_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    settings: &mut TrainSettings,
    open: &mut bool,
) {
    ui.add_space(6.0);
    let glyph = if *open {
        icons::CARET_DOWN
    } else {
        icons::CARET_RIGHT
    };
    let fold = quiet_button(ui, Some(glyph), "Advanced");
    if fold
        .on_hover_text("Batches, optimiser, cropping, seed and fine-tuning")
        .clicked()
    {
        *open = !*open;
    }
    if !*open {
        return;
    }
    preset_ui(
        ui,
        cx,
        session,
        settings,
        (TrainSettings::classic(), Some(Depth::Head)),
        [
            "Use those of retrain.py",
            "The head alone, 4,000 steps of plain gradient descent, without views",
        ],
    );
    for group in SettingGroup::ALL {
        group_ui(ui, session, settings, group);
    }
}

fn group_ui(ui: &mut Ui, session: &Session, settings: &mut TrainSettings, group: SettingGroup) {
    separator(ui);
    section(ui, group.title(), |_| {});
    if group == SettingGroup::FineTuning && session.depth() == Some(Depth::Head) {
        let t = tokens(ui);
        let words = "Used if more than the head is trained.";
        ui.add(egui::Label::new(widgets::faint(t, words)).wrap());
    }
    for setting in SETTINGS.iter().filter(|setting| setting.group == group) {
        if MAIN.contains(&setting.key) {
            continue;
        }
        // The settings of views matter only if there are views.
        let of_views = group == SettingGroup::Views && setting.key != "views";
        if of_views && settings.fine_tune.views == Some(0) {
            continue;
        }
        let before = settings.fine_tune.steps;
        field_ui(ui, session.noun(), setting, settings, None);
        if setting.key == "fine_tune_steps"
            && before.is_none()
            && settings.fine_tune.steps.is_some()
        {
            settings.fine_tune.steps = measured_steps(session).or(settings.fine_tune.steps);
        }
    }
}

/// The number of steps that is used if none is set.
fn measured_steps(session: &Session) -> Option<u32> {
    let deepest = session.estimate()?.depths.last()?;
    (deepest.steps > 0).then_some(deepest.steps)
}
