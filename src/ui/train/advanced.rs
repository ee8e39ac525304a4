//! The settings that most people leave alone.

use egui::{RichText, Ui};

use super::deeper::deeper_ui;
use crate::app::Session;
use crate::app::words::Noun;
use crate::backbone::Fit;
use crate::train::{Optimizer, TrainSettings};
use crate::ui::icons;
use crate::ui::theme::tokens;
use crate::ui::widgets::{Number, number_ui};
use crate::ui::widgets::{choice, field_label, menu_item, quiet_button, segments};

/// Paints them, when they are unfolded.
pub(super) fn advanced_ui(
    ui: &mut Ui,
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
        .on_hover_text("Batches, optimiser, cropping, seed, and how fine-tuning is done")
        .clicked()
    {
        *open = !*open;
    }
    if !*open {
        return;
    }
    field_label(ui, "Optimiser").on_hover_text("How the weights follow the gradient");
    let chosen = usize::from(settings.optimizer == Optimizer::Adam);
    if let Some(index) = segments(ui, chosen, &["SGD", "Adam"])
        && index != chosen
    {
        // Each has its own scale of learning rate; the user's own value stays.
        let (optimizer, from, to) = if index == 0 {
            (Optimizer::Sgd, 0.001, 0.01)
        } else {
            (Optimizer::Adam, 0.01, 0.001)
        };
        settings.optimizer = optimizer;
        if (settings.learning_rate - from).abs() < 1e-9 {
            settings.learning_rate = to;
        }
    }
    let batch = |range| Number {
        range,
        speed: 1.0,
        decimals: 0,
        note: session.noun().many(),
        suffix: "",
    };
    number_ui(
        ui,
        "Training batch",
        "Images per step: first a class is drawn, then one of its images, so that small classes count as much as large ones",
        &mut settings.train_batch_size,
        &batch(1..=65_536),
    );
    validation_batch_ui(ui, session.noun(), settings);
    number_ui(
        ui,
        "Evaluate every",
        "Steps between two points of the curves; more where there are many validation images, so that evaluating does not take longer than learning",
        &mut settings.eval_step_interval,
        &Number {
            range: 1..=100_000,
            speed: 0.5,
            decimals: 0,
            note: "steps",
            suffix: "",
        },
    );
    fit_ui(ui, session.noun(), settings);
    number_ui(
        ui,
        "Seed",
        "Everything random follows from it: the same seed gives the same weights",
        &mut settings.seed,
        &Number {
            range: 0..=u64::MAX,
            speed: 1.0,
            decimals: 0,
            note: "",
            suffix: "",
        },
    );
    deeper_ui(ui, session, &mut settings.fine_tune);
}

fn validation_batch_ui(ui: &mut Ui, noun: Noun, settings: &mut TrainSettings) {
    let t = tokens(ui);
    let mut all = settings.validation_batch_size < 0;
    let mut size = if all {
        100
    } else {
        settings.validation_batch_size
    };
    ui.add_enabled_ui(!all, |ui| {
        number_ui(
            ui,
            "Validation batch",
            "Validation images per evaluation; few make the curve jump",
            &mut size,
            &Number {
                range: 1..=1_000_000,
                speed: 1.0,
                decimals: 0,
                note: noun.many(),
                suffix: "",
            },
        );
    });
    ui.scope(|ui| {
        ui.spacing_mut().interact_size.y = 22.0;
        ui.spacing_mut().icon_width = 16.0;
        ui.checkbox(
            &mut all,
            RichText::new(noun.fill("All validation {images}")).color(t.muted),
        )
        .on_hover_text("Smoother curves; a little slower with many images");
    });
    settings.validation_batch_size = if all { -1 } else { size.max(1) };
}

fn fit_ui(ui: &mut Ui, noun: Noun, settings: &mut TrainSettings) {
    let name = noun.fill("{Images} are made square by");
    field_label(ui, &name);
    let fits = [
        (
            Fit::CenterCrop,
            "Centre crop",
            "The largest square in the middle; the sides are cut off",
        ),
        (
            Fit::Stretch,
            "Stretch",
            "Width and height are scaled separately; nothing is cut off",
        ),
        (Fit::Pad, "Pad", "The whole image with grey bars"),
    ];
    let selected = fits
        .iter()
        .find(|(fit, ..)| *fit == settings.fit)
        .map_or("", |(_, label, _)| label);
    choice(ui, "fit", &name, selected, |ui| {
        for (fit, label, tip) in fits {
            if menu_item(ui, None, label, ()).on_hover_text(tip).clicked() {
                settings.fit = fit;
                ui.close();
            }
        }
    });
}
