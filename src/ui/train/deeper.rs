//! How the part of a training that goes deeper than the head is done.

use egui::{RichText, Ui};

use crate::app::Session;
use crate::backbone::Depth;
use crate::train::{FineTuneOptimizer, FineTuneSettings};
use crate::ui::theme::tokens;
use crate::ui::widgets::{self, field_label, section, segments, separator};
use crate::ui::widgets::{Number, number_ui};

/// Paints the settings.
pub(super) fn deeper_ui(ui: &mut Ui, session: &Session, settings: &mut FineTuneSettings) {
    let t = tokens(ui);
    separator(ui);
    section(ui, "Fine-tuning", |_| {});
    if session.depth() == Some(Depth::Head) {
        let words = "They count when the depth is more than the head.";
        ui.add(egui::Label::new(widgets::faint(t, words)).wrap());
    }
    steps_ui(ui, session, settings);
    number_ui(
        ui,
        "Fine-tuning batch",
        "Images per step of the fine-tuning; a step takes as much longer as there are more",
        &mut settings.batch_size,
        &whole(1..=4_096, session.noun().many(), ""),
    );
    optimizer_ui(ui, settings);
    number_ui(
        ui,
        "Fine-tuning rate",
        "The highest learning rate of the fine-tuning; it rises to this in the first tenth of the steps and then falls to zero",
        &mut settings.learning_rate,
        &part(1e-6..=10.0, 0.000_05, 6),
    );
    number_ui(
        ui,
        "Layer decay",
        "How much slower each block learns than the one behind it: at 0.8 the last block learns at 0.8 of the rate, the one before at 0.64; at 1 all learn alike",
        &mut settings.layer_decay,
        &part(0.01..=1.0, 0.002, 3),
    );
    number_ui(
        ui,
        "Label smoothing",
        "How far the network is kept from being certain: the share of the answer that is spread over all classes",
        &mut settings.label_smoothing,
        &part(0.0..=0.9, 0.002, 3),
    );
    number_ui(
        ui,
        "Weight decay",
        "How strongly weights are drawn towards zero, which keeps the network from learning single images by heart",
        &mut settings.weight_decay,
        &part(0.0..=10.0, 0.000_5, 5),
    );
    number_ui(
        ui,
        "Weight averaging",
        "What is kept is the mean of the last weights; closer to 1 it reaches further back, at 0 only the last count",
        &mut settings.average_decay,
        &part(0.0..=0.9999, 0.000_5, 4),
    );
    number_ui(
        ui,
        "Gradient limit",
        "No single step may go further than this; 0 has no limit",
        &mut settings.clip_norm,
        &part(0.0..=1_000.0, 0.01, 3),
    );
    check_ui(
        ui,
        "Train depthwise kernels",
        "They look at one channel each; training them too takes a tenth longer, up to half as long again at greater depths",
        &mut settings.train_depthwise,
    );
    views_ui(ui, settings);
    budget_ui(ui, settings);
}

fn steps_ui(ui: &mut Ui, session: &Session, settings: &mut FineTuneSettings) {
    let mut automatic = settings.steps.is_none();
    let found = session.estimate().and_then(|estimate| {
        let deepest = estimate.depths.last()?;
        (deepest.steps > 0).then_some(deepest.steps)
    });
    let mut steps = settings.steps.or(found).unwrap_or(100);
    ui.add_enabled_ui(!automatic, |ui| {
        number_ui(
            ui,
            "Fine-tuning steps",
            "How many times the fine-tuned part is changed, each time by one batch",
            &mut steps,
            &whole(1..=1_000_000, "", ""),
        );
    });
    check_ui(
        ui,
        &session.noun().fill("As many as the {images} call for"),
        "As many steps as show each image two and a half times, at least 100 and at most 2,000",
        &mut automatic,
    );
    settings.steps = (!automatic).then_some(steps.max(1));
}

fn optimizer_ui(ui: &mut Ui, settings: &mut FineTuneSettings) {
    field_label(ui, "Fine-tuning optimiser").on_hover_text(
        "How the weights follow the gradient: AdamW suits each weight its own step, momentum takes one for all and needs a higher rate",
    );
    let all = [FineTuneOptimizer::AdamW, FineTuneOptimizer::Momentum];
    let chosen = usize::from(settings.optimizer == FineTuneOptimizer::Momentum);
    if let Some(optimizer) =
        segments(ui, chosen, &["AdamW", "Momentum"]).and_then(|index| all.get(index).copied())
        && optimizer != settings.optimizer
    {
        // The user's own rate stays.
        if (settings.learning_rate - settings.optimizer.default_rate()).abs() < 1e-9 {
            settings.learning_rate = optimizer.default_rate();
        }
        settings.optimizer = optimizer;
    }
}

fn views_ui(ui: &mut Ui, settings: &mut FineTuneSettings) {
    number_ui(
        ui,
        "Augmented views",
        "Changed copies of each image that are learned from too; each takes as much disk as the image itself",
        &mut settings.views,
        &whole(0..=16, "per image", ""),
    );
    if settings.views == 0 {
        return;
    }
    let augmentation = &mut settings.augmentation;
    check_ui(
        ui,
        "Mirror half of the views",
        "Swaps left and right; not for things where that matters, as letters and hands",
        &mut augmentation.flip_left_right,
    );
    for (label, tip, value) in [
        (
            "Crop",
            "How much of the margin a view may cut off",
            &mut augmentation.random_crop,
        ),
        (
            "Scale",
            "How much a view may be enlarged",
            &mut augmentation.random_scale,
        ),
        (
            "Brightness",
            "How much brighter or darker a view may be",
            &mut augmentation.random_brightness,
        ),
    ] {
        number_ui(ui, label, tip, value, &whole(0..=100, "at most", " %"));
    }
}

fn budget_ui(ui: &mut Ui, settings: &mut FineTuneSettings) {
    let mut gigabytes = settings.cache_budget_bytes as f64 / 1e9;
    let field = number_ui(
        ui,
        "Cache budget",
        "How much disk may be taken by what is kept of the images; what does not fit is computed again in each step",
        &mut gigabytes,
        &Number {
            note: "GB",
            ..part(0.0..=10_000.0, 0.1, 1)
        },
    );
    if field.changed() {
        settings.cache_budget_bytes = (gigabytes * 1e9) as u64;
    }
}

fn whole<T>(
    range: std::ops::RangeInclusive<T>,
    note: &'static str,
    suffix: &'static str,
) -> Number<T> {
    Number {
        range,
        speed: 0.5,
        decimals: 0,
        note,
        suffix,
    }
}

fn part<T>(range: std::ops::RangeInclusive<T>, speed: f64, decimals: usize) -> Number<T> {
    Number {
        range,
        speed,
        decimals,
        note: "",
        suffix: "",
    }
}

fn check_ui(ui: &mut Ui, label: &str, tip: &str, on: &mut bool) {
    let t = tokens(ui);
    ui.scope(|ui| {
        ui.spacing_mut().interact_size.y = 22.0;
        ui.spacing_mut().icon_width = 16.0;
        ui.checkbox(on, RichText::new(label).color(t.muted))
            .on_hover_text(tip);
    });
}
