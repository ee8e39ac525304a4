//! The settings of the next training, each with an explanation.

use egui::{ScrollArea, Ui};

use super::advanced::advanced_ui;
use super::architectures::{architectures_ui, technical};
use super::depth::depth_ui;
use super::field::field_ui;
use crate::app::{Action, Readiness, Session, TrainAction, Workspace, words};
use crate::backbone::Depth;
use crate::project::{Label, Noun};
use crate::train::TrainSettings;
use crate::train::schema::Setting;
use crate::ui::Cx;
use crate::ui::theme::tokens;
use crate::ui::widgets::{
    self, button, choice, field_frame, field_label, hint_with, panel, quiet_button, section,
    separator,
};

/// Paints the settings.
pub fn settings_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, advanced: &mut bool) {
    let height = ui.available_height();
    // The scroll bar has the margin at the right to itself.
    let margin = egui::Margin {
        left: 14,
        right: 4,
        top: 14,
        bottom: 14,
    };
    panel(ui).inner_margin(margin).show(ui, |ui| {
        ui.set_min_height(height - 30.0);
        ui.set_width(ui.available_width());
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.set_max_width(ui.available_width() - 10.0);
            ui.spacing_mut().item_spacing.y = 5.0;
            let mut settings = session.train.settings.clone();
            section(ui, "Settings", |ui| {
                let preset = (TrainSettings::default(), None);
                preset_ui(
                    ui,
                    cx,
                    session,
                    &mut settings,
                    preset,
                    [
                        "Defaults",
                        "Reset settings and depth to the recommended values",
                    ],
                );
            });
            main_ui(ui, cx, session, &mut settings);
            advanced_ui(ui, cx, session, &mut settings, advanced);
            if settings != session.train.settings {
                cx.act(Action::Train(TrainAction::Set(settings)));
            }
            separator(ui);
            readiness_ui(ui, cx, session);
        });
    });
}

/// A button that applies a preset, chosen if the settings are equal to it; the architecture does not matter.
pub(super) fn preset_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    settings: &mut TrainSettings,
    (preset, depth): (TrainSettings, Option<Depth>),
    [name, tip]: [&str; 2],
) {
    let mut preset = TrainSettings {
        architecture: settings.architecture.clone(),
        ..preset
    };
    // The depth is chosen elsewhere.
    preset.fine_tune.depth = settings.fine_tune.depth;
    let is_it = *settings == preset && session.train.depth.chosen == depth;
    if !is_it && quiet_button(ui, None, name).on_hover_text(tip).clicked() {
        *settings = preset;
        cx.act(Action::Train(TrainAction::SetDepth(depth)));
    }
}

fn main_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, settings: &mut TrainSettings) {
    field_label(ui, "Architecture");
    architecture_ui(ui, cx, session, settings);
    depth_ui(ui, cx, session);
    // If more than the head is trained, these two apply to the head alone.
    let head_only = session.depth() == Some(Depth::Head);
    let note = (!head_only).then_some("of the head");
    let noun = session.noun();
    let field = |ui: &mut Ui, key, settings: &mut TrainSettings, note| {
        if let Some(setting) = Setting::find(key) {
            field_ui(ui, noun, setting, settings, note);
        }
    };
    field(ui, "how_many_training_steps", settings, note);
    field(ui, "learning_rate", settings, note);
    ui.columns(2, |columns| {
        if let [left, right] = columns {
            field(left, "validation_percentage", settings, None);
            field(right, "testing_percentage", settings, None);
        }
    });
    field_label(ui, "Split");
    fixed_ui(
        ui,
        "by source",
        match noun {
            Noun::Frame => "not by frame",
            Noun::Photo => "not by photo",
            Noun::Image => "not by image",
        },
        "All frames of one video, and similar photos, are on the same side; otherwise the test accuracy would not hold for new images. A class with too few videos is divided into blocks of time instead, and the run notes this",
    );
}

fn architecture_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, settings: &mut TrainSettings) {
    let t = tokens(ui);
    let chosen = settings.architecture.clone();
    let selected = words::architecture_in_words(&chosen);
    choice(ui, "architecture", "Architecture", &selected, |ui| {
        if let Some(architecture) = architectures_ui(ui, cx, &session.architectures, &chosen) {
            settings.architecture = architecture;
            ui.close();
        }
    });
    ui.label(widgets::faint(t, technical(&settings.architecture)));
}

/// A field that cannot be changed.
fn fixed_ui(ui: &mut Ui, words: &str, note: &str, tip: &str) {
    field_frame(ui, note, |ui| {
        ui.add_space(10.0);
        ui.label(words);
    })
    .response
    .on_hover_text(tip);
}

/// Whether there is enough to train on, and what is missing.
fn readiness_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    let counts = &session.snapshot.counts;
    let noun = session.noun();
    let classes: Vec<(&str, usize)> = session
        .classes
        .iter()
        .map(|class| {
            let label = Label::Class(class.name.clone());
            (class.name.as_str(), counts.label(&label))
        })
        .filter(|(_, frames)| *frames > 0)
        .collect();
    let sources = session
        .sources
        .iter()
        .filter(|source| source.class.is_some() && counts.source(&source.id) > 0)
        .count();
    let mut words = format!(
        "{} in {}",
        words::count(counts.labelled as u64, &format!("labelled {}", noun.one())),
        words::count(classes.len() as u64, "class"),
    );
    if sources > 0 {
        words.push_str(" from ");
        words.push_str(&words::count(sources as u64, "source"));
    }
    words.push('.');
    if counts.unsorted > 0 {
        words.push(' ');
        words.push_str(&words::counted(
            counts.unsorted as u64,
            &format!("unsorted {} is", noun.one()),
            &format!("unsorted {} are", noun.many()),
        ));
        words.push_str(" left out.");
    }
    ui.add(egui::Label::new(widgets::faint(t, words).line_height(Some(17.0))).wrap());
    if session.readiness() != Readiness::Ready {
        hint_with(
            ui,
            &noun.fill("Training needs {images} in at least two classes."),
            |ui| {
                if button(ui, None, &noun.fill("Label {images}")).clicked() {
                    cx.act(Action::Go(Workspace::Label));
                }
            },
        );
    } else if let Some((class, frames)) = classes.iter().find(|(_, frames)| *frames < 20) {
        let words = format!(
            "“{}” has only {}. With so few, its accuracy is a matter of luck.",
            words::shorten(class, 24),
            session.noun().count(*frames)
        );
        hint_with(ui, &words, |ui| {
            if button(ui, None, "Add more").clicked() {
                cx.act(Action::Go(Workspace::Import));
            }
        });
    }
}
