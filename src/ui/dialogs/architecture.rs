//! Adding an architecture: what was found in the file, what the user must still state, and its cost.

use std::sync::{Arc, Weak};

use egui::{ColorImage, Label, RichText, Sense, TextureHandle, TextureOptions, Ui, vec2};

use super::{End, buttons_ui, title_ui, words_ui};
use crate::app::{Action, Adding, ArchitectureAction, FoundNetwork, words};
use crate::backbone::{Asked, Candidate, Layout, Normalisation, Property, Provenance};
use crate::ui::Cx;
use crate::ui::theme::{self, Tokens, tokens};
use crate::ui::widgets::{
    self, accent_button, button, choice, field_label, menu_item, segments, spinner, text_field,
};

/// Side of the preview, points.
const PREVIEW: f32 = 132.0;
/// Resolutions to choose from if the file does not fix one, pixels.
const SIZES: [u32; 9] = [96, 128, 160, 192, 224, 256, 288, 299, 384];

/// The text being typed, and the preview.
#[derive(Default)]
pub struct View {
    name: String,
    licence: String,
    /// The preview, and the network that it was made for.
    preview: Option<(Weak<FoundNetwork>, TextureHandle)>,
}

pub(super) fn add_architecture_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    view: &mut View,
    fresh: bool,
) -> End {
    let t = tokens(ui);
    let Some(adding) = &cx.app.adding else {
        return End::Close;
    };
    if fresh {
        *view = View::default();
    }
    title_ui(ui, "Add architecture");
    let file = adding
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let mut asked = adding.asked.clone();
    let mut ready = false;
    match &adding.found {
        None => waiting_ui(ui, &format!("Reading “{}”", words::shorten(&file, 40))),
        Some(Err(reason)) => {
            ui.add(Label::new(RichText::new(reason).color(t.danger)).wrap());
        }
        Some(Ok(found)) => {
            let producer = found.inspected.producer();
            let by = if producer.is_empty() {
                String::new()
            } else {
                format!(", written by {producer}")
            };
            words_ui(
                ui,
                &format!(
                    "“{}”{by}. The network up to its pooled layer is copied into the project.",
                    words::shorten(&file, 40)
                ),
            );
            ready = found_ui(ui, t, adding, found, view, &mut asked);
        }
    }
    if asked != adding.asked {
        cx.act(Action::Architecture(ArchitectureAction::Say(asked)));
    }
    let busy = adding.task.is_some();
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        let add = ui
            .add_enabled_ui(ready && !busy, |ui| {
                accent_button(ui, None, "Add to the project")
            })
            .inner;
        if add.clicked() {
            cx.act(Action::Architecture(ArchitectureAction::Add));
        }
        let label = if ready || busy { "Cancel" } else { "Close" };
        if button(ui, None, label).clicked() {
            end = End::Close;
        }
        if busy {
            spinner(ui, 16.0);
        }
    });
    end
}

fn waiting_ui(ui: &mut Ui, text: &str) {
    ui.horizontal(|ui| {
        spinner(ui, 16.0);
        ui.label(text);
    });
}

/// Returns whether it can be added.
fn found_ui(
    ui: &mut Ui,
    t: &Tokens,
    adding: &Adding,
    found: &Arc<FoundNetwork>,
    view: &mut View,
    asked: &mut Asked,
) -> bool {
    let inspected = &found.inspected;
    ui.horizontal_top(|ui| {
        let width = ui.available_width() - PREVIEW - 16.0;
        ui.vertical(|ui| {
            ui.set_width(width);
            normalisation_ui(ui, t, &inspected.normalisation, asked);
            layout_ui(ui, t, &inspected.layout, asked);
            size_ui(ui, t, &inspected.size_px, asked);
        });
        ui.add_space(8.0);
        ui.vertical(|ui| preview_ui(ui, t, found, view));
    });
    pooled_ui(ui, t, found, asked);
    ui.columns(2, |columns| {
        let [left, right] = columns else { return };
        field_label(left, "Name");
        let hint = inspected.title();
        if text_field(left, "Name of the architecture", &mut view.name, &hint).lost_focus() {
            asked.name = Some(view.name.trim().to_owned()).filter(|name| !name.is_empty());
        }
        field_label(right, "Licence of its weights");
        if text_field(right, "Licence", &mut view.licence, "not stated").lost_focus() {
            asked.licence = Some(view.licence.trim().to_owned()).filter(|text| !text.is_empty());
        }
    });
    let stale = adding.task.is_some() && !adding.writing;
    match &found.candidate {
        None => {
            words_ui(
                ui,
                "Fill in what is marked; then the network is run and measured.",
            );
            false
        }
        Some(Err(reason)) => {
            ui.add(Label::new(RichText::new(reason).color(t.danger)).wrap());
            false
        }
        Some(Ok(candidate)) => {
            candidate_ui(ui, t, candidate);
            !stale
        }
    }
}

/// One property of the network, and its source.
fn answer_ui<T>(ui: &mut Ui, t: &Tokens, what: &str, known: &str, answer: &Property<T>) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 8.0;
        ui.label(widgets::muted(t, what));
        if !known.is_empty() {
            ui.label(known);
        }
        let (word, color) = match answer.provenance {
            Provenance::Found => ("found", t.faint),
            Provenance::Given => ("as you chose", t.faint),
            Provenance::Assumed => ("assumed", t.accent),
            Provenance::Missing => ("please choose", t.danger),
        };
        let word = RichText::new(word).color(color).size(theme::TYPE_SMALL);
        ui.label(word).on_hover_text(&answer.note);
    });
}

fn normalisation_ui(ui: &mut Ui, t: &Tokens, answer: &Property<[[f32; 3]; 2]>, asked: &mut Asked) {
    answer_ui(ui, t, "Normalisation", "", answer);
    let chosen = answer.value.map(|mean_std| {
        Normalisation::of(mean_std).map_or_else(|| "by its own values".to_owned(), titled)
    });
    let shown = chosen.unwrap_or_else(|| "How is its input normalised?".into());
    choice(
        ui,
        "normalisation",
        "Normalisation of the input",
        &shown,
        |ui| {
            for one in Normalisation::ALL {
                let right = widgets::faint(t, of_whom(one));
                if menu_item(ui, None, &titled(one), right).clicked() {
                    let [mean, std] = one.mean_std();
                    (asked.mean, asked.std) = (Some(mean), Some(std));
                    ui.close();
                }
            }
        },
    );
}

fn titled(normalisation: Normalisation) -> String {
    let title = normalisation.title();
    let mut chars = title.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}

fn of_whom(normalisation: Normalisation) -> &'static str {
    match normalisation {
        Normalisation::ImageNet => "torchvision, most of timm",
        Normalisation::Symmetric => "older Keras, many transformers",
        Normalisation::Unit => "some of timm",
        Normalisation::Raw => "newer Keras",
    }
}

fn layout_ui(ui: &mut Ui, t: &Tokens, answer: &Property<Layout>, asked: &mut Asked) {
    let found = matches!(answer.provenance, Provenance::Found);
    let known = match answer.value {
        Some(Layout::Nhwc) if found => "Channels last",
        Some(Layout::Nchw) if found => "Channels first",
        _ => "",
    };
    answer_ui(ui, t, "Layout", known, answer);
    if found {
        return;
    }
    let chosen = match answer.value {
        Some(Layout::Nchw) => 0,
        Some(Layout::Nhwc) => 1,
        None => usize::MAX,
    };
    match segments(ui, chosen, &["Channels first", "Channels last"]) {
        Some(0) => asked.layout = Some(Layout::Nchw),
        Some(_) => asked.layout = Some(Layout::Nhwc),
        None => {}
    }
}

fn size_ui(ui: &mut Ui, t: &Tokens, answer: &Property<u32>, asked: &mut Asked) {
    let shown = answer.value.map(|px| format!("{px} × {px} pixels"));
    if matches!(answer.provenance, Provenance::Found) {
        answer_ui(ui, t, "Size", &shown.unwrap_or_default(), answer);
        return;
    }
    answer_ui(ui, t, "Size", "", answer);
    let shown = shown.unwrap_or_else(|| "What is its input size?".into());
    choice(ui, "input size", "Input size", &shown, |ui| {
        for px in SIZES {
            if menu_item(ui, None, &format!("{px} × {px} pixels"), RichText::new("")).clicked() {
                asked.size_px = Some(px);
                ui.close();
            }
        }
    });
}

fn pooled_ui(ui: &mut Ui, t: &Tokens, found: &FoundNetwork, asked: &mut Asked) {
    let inspected = &found.inspected;
    answer_ui(ui, t, "Bottleneck", "", &inspected.pooled);
    let shown = inspected.pooled.value.as_ref().map(|pooled| {
        let dim = pooled
            .dim
            .map_or(String::new(), |dim| format!(", {dim} values"));
        format!("{}{dim}", pooled.name)
    });
    let shown = shown.unwrap_or_else(|| "Which layer is the pooled one?".into());
    choice(ui, "pooled layer", "Pooled layer", &shown, |ui| {
        for one in &inspected.choices {
            let right = widgets::faint(t, format!("{}, {} values", one.operator, one.dim));
            if menu_item(ui, None, &one.name, right).clicked() {
                asked.pooled = Some(one.name.clone());
                ui.close();
            }
        }
    });
}

fn preview_ui(ui: &mut Ui, t: &Tokens, found: &Arc<FoundNetwork>, view: &mut View) {
    let (rect, response) = ui.allocate_exact_size(vec2(PREVIEW, PREVIEW), Sense::hover());
    let Some(image) = &found.preview else {
        widgets::placeholder(ui, rect, 6, None);
        return;
    };
    let made_of = view.preview.as_ref().and_then(|(of, _)| of.upgrade());
    if made_of.is_none_or(|of| !Arc::ptr_eq(&of, found)) {
        let size = [image.width() as usize, image.height() as usize];
        let pixels = ColorImage::from_rgb(size, image.as_raw());
        let texture =
            ui.ctx()
                .load_texture("as the network sees it", pixels, TextureOptions::LINEAR);
        view.preview = Some((Arc::downgrade(found), texture));
    }
    if let Some((_, texture)) = &view.preview {
        widgets::image_ui(ui, rect, texture, 6);
    }
    response.on_hover_text("An image of the project, cropped and resized as the network sees it");
    let [mean, std] = found
        .inspected
        .normalisation
        .value
        .unwrap_or([[0.0; 3], [1.0; 3]]);
    let of = |value: f32| {
        let each = mean
            .iter()
            .zip(&std)
            .map(|(mean, std)| (value - mean) / std);
        each.sum::<f32>() / 3.0
    };
    let range = if found.inspected.normalisation.value.is_some() {
        format!("values {:.1} … {:.1}", of(0.0), of(255.0))
    } else {
        "values not known yet".to_owned()
    };
    ui.label(widgets::faint(t, range));
}

/// Its cost, and the depths to which it can be trained.
fn candidate_ui(ui: &mut Ui, t: &Tokens, candidate: &Candidate) {
    let macs = candidate
        .multiply_accumulates
        .get(&candidate.default_resolution);
    let cost = format!(
        "{} parameters, {} MACs, {}, {} values per bottleneck, {:.0} ms per image on one core",
        words::millions(candidate.parameters),
        words::millions(macs.copied().unwrap_or_default()),
        words::bytes(candidate.file_bytes()),
        candidate.bottleneck_dim,
        (candidate.image_time.as_secs_f64() * 1000.0).max(1.0),
    );
    ui.add(Label::new(cost).wrap());
    let depths: Vec<String> = candidate
        .depths
        .iter()
        .map(|offer| offer.depth.title().to_lowercase())
        .collect();
    let depths = match &candidate.hindrance {
        None => format!("Depths: {}.", depths.join(", ")),
        Some(reason) => format!(
            "Depths: {}. Not the whole network: {reason}.",
            depths.join(", ")
        ),
    };
    ui.add(Label::new(widgets::muted(t, depths)).wrap());
    let sizes: Vec<String> = candidate
        .multiply_accumulates
        .keys()
        .map(u32::to_string)
        .collect();
    ui.add(
        Label::new(widgets::faint(
            t,
            format!("Resolutions: {}", sizes.join(", ")),
        ))
        .wrap(),
    );
}
